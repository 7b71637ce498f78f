from __future__ import annotations

import pytest

from kmodel_tools.architecture.optimizers import (
    by_structure,
    counter_name,
    kind_of,
    slot_name,
    split_slot_name,
    subsequences,
)

A, B, C = (2, 3), (3,), (4,)


def tied(
    class_name: str, state: list[tuple[int, ...]], config: dict[str, object] | None = None, interleaved: bool | None = None
) -> list[tuple[str, int]] | None:
    return by_structure(class_name, config, interleaved, [(shape, "") for shape in state], [A, B])


def test_shapes_tell_the_order() -> None:
    assert tied("Adam", [A, A, B, B]) == [("momentum", 0), ("velocity", 0), ("momentum", 1), ("velocity", 1)]
    assert tied("Adam", [A, B, A, B]) == [("momentum", 0), ("momentum", 1), ("velocity", 0), ("velocity", 1)]
    assert tied("SGD", [A, B]) == [("momentum", 0), ("momentum", 1)]


def test_what_fits_in_two_ways_is_left_alone() -> None:
    assert tied("RMSprop", [A, B, A, B]) is None
    assert tied("RMSprop", [A, B, A, B], {"centered": True}) == [
        ("velocity", 0),
        ("velocity", 1),
        ("average_gradient", 0),
        ("average_gradient", 1),
    ]
    assert by_structure("Adam", {}, None, [(B, "")] * 4, [B, B]) is None
    assert by_structure("Adam", {}, True, [(B, "")] * 4, [B, B]) is not None


def test_names_decide_where_shapes_do_not() -> None:
    state = [(A, "o/a_velocity"), (B, "o/b_velocity"), (A, "o/a_momentum"), (B, "o/b_momentum")]
    assert by_structure("RMSprop", None, True, state, [A, B]) == [("velocity", 0), ("velocity", 1), ("momentum", 0), ("momentum", 1)]


def test_what_does_not_fit() -> None:
    assert tied("Adam", [A, B]) is None
    assert tied("Mine", [A, B]) is None
    assert tied("Adam", [A, C, A, C]) is None


def test_subsequences() -> None:
    assert subsequences([B], [A, B, C]) == [[1]]
    assert subsequences([C], [A, B]) == []
    assert len(subsequences([B], [B, A, B])) == 2
    assert subsequences([A, B], [B, A, B]) == [[1, 2]]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("Adam/dense/kernel/m:0", ("m", "dense/kernel")),
        ("Adam/m/dense/kernel:0", ("m", "dense/kernel")),
        ("training/Adam/dense/kernel/vhat:0", ("vhat", "dense/kernel")),
        ("adam/dense_kernel_momentum", ("momentum", "dense_kernel")),
        ("rmsprop/dense_kernel_average_gradient", ("average_gradient", "dense_kernel")),
    ],
)
def test_names_of_slots(variable: str, expected: tuple[str, str]) -> None:
    assert expected in split_slot_name(variable)


def test_names_are_keras_3s() -> None:
    assert slot_name("m", "Adam") == "momentum"
    assert slot_name("v", "Adamax") == "norm"
    assert slot_name("rms", "RMSprop") == "velocity"
    assert counter_name("Adam/iter:0") == counter_name("iteration:0") == counter_name("adam/iteration") == "iterations"
    assert counter_name("Adam/beta_1") == "beta_1"
    assert kind_of("Custom>Adam") == kind_of("adam_2") == "adam"
