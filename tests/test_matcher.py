from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from kmodel_tools import KmtError, Layer, Model, Tensor, Weight
from kmodel_tools.matcher import Match, match, renamer, selector
from kmodel_tools.tree import join_path, split_path
from tests.strategies import models


def model(*weights: tuple[str, tuple[int, ...]], architecture: bool = True) -> Model:
    """A model of layers with a weight each: `("dense/kernel", shape)`."""
    layers = []
    for path, shape in weights:
        name, role = split_path(path)
        layers.append(Layer(name, weights=(Weight(role, Tensor.of(np.zeros(shape)), path),)))
    return Model(layers=tuple(layers), architecture={} if architecture else None)


def paired(found: Match) -> list[tuple[str, str]]:
    return [(join_path(pair.path_a), join_path(pair.path_b)) for pair in found.pairs]


A = model(("d1/kernel", (2, 3)), ("d2/kernel", (3, 3)), ("d3/kernel", (3, 3)))


@given(models())
def test_a_model_matches_itself_by_name(one: Model) -> None:
    found = match(one, one)
    assert found.by == "name"
    assert [(pair.a, pair.b) for pair in found.pairs] == [(weight, weight) for _, weight in one.weights()]
    assert not found.only_a
    assert not found.only_b


def test_other_names_and_the_same_shapes_are_paired_by_position_and_said_so() -> None:
    found = match(A, model(("x/kernel", (2, 3)), ("y/kernel", (3, 3)), ("z/kernel", (3, 3))))
    assert (found.by, found.why) == ("position", "3 of 3 names differ, and all shapes agree in order")
    assert paired(found) == [("d1/kernel", "x/kernel"), ("d2/kernel", "y/kernel"), ("d3/kernel", "z/kernel")]


def test_a_name_at_another_place_is_believed_if_both_know_their_names() -> None:
    moved = (("d1/kernel", (2, 3)), ("new/kernel", (3, 3)), ("d2/kernel", (3, 3)))
    found = match(A, model(*moved))
    assert (found.by, found.why) == ("name", "2 names are in both, at other places")
    assert paired(found) == [("d1/kernel", "d1/kernel"), ("d2/kernel", "d2/kernel")]
    assert match(A, model(*moved, architecture=False)).by == "position"


def test_names_that_were_counted_on_are_paired_by_position() -> None:
    first = model(("dense/kernel", (3, 3)), ("dense_1/kernel", (3, 3)))
    again = model(("dense_1/kernel", (3, 3)), ("dense_2/kernel", (3, 3)))
    found = match(first, again)
    assert (found.by, found.why) == ("position", "names differ in their numbers alone, and all shapes agree in order")
    swapped = model(("dense_1/kernel", (3, 3)), ("dense/kernel", (3, 3)))
    assert match(first, swapped).by == "name"


def test_without_a_common_name_roles_in_order_are_enough() -> None:
    found = match(A, model(("x/kernel", (2, 3)), ("y/kernel", (3, 4)), ("z/kernel", (4, 3))))
    assert (found.by, len(found.pairs)) == ("position", 3)
    assert match(A, model(("x/kernel", (2, 3)), ("y/bias", (3, 4)), ("z/kernel", (4, 3)))).by == "name"


def test_position_aligns_by_shape_and_says_so() -> None:
    longer = model(("x/kernel", (2, 3)), ("new/kernel", (7,)), ("y/kernel", (3, 3)), ("z/kernel", (3, 3)))
    found = match(A, longer, by="position")
    assert paired(found) == [("d1/kernel", "x/kernel"), ("d2/kernel", "y/kernel"), ("d3/kernel", "z/kernel")]
    assert [join_path(item.path) for item in found.only_b] == ["new/kernel"]
    assert found.why == "as asked for; 3 layers with weights against 4 are aligned by class and shapes"
    assert len(match(longer, A, by="position").only_a) == 1


def test_layers_of_one_shape_are_not_settled_where_their_number_differs() -> None:
    many = model(*((f"d{number}/kernel", (2,)) for number in range(3000)))
    more = model(*((f"e{number}/kernel", (2,)) for number in range(3100)))
    found = match(many, more, by="position")
    assert not found.pairs
    assert len(found.ambiguous) == 6100
    assert found.only_a[0].reason == "may be e0 or e100: they have its class and shapes"
    assert len(match(many, many, by="position").pairs) == 3000


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("encoder=backbone", "encoder/d/kernel", "backbone/d/kernel"),
        ("encoder=backbone", "encoder2/kernel", "encoder2/kernel"),
        ("d/kernel=d/w", "d/kernel", "d/w"),
        ("block_*=stage*", "block_1/kernel", "stage1/kernel"),
        ("*_?=*x?", "ab_1/kernel", "abx?/kernel"),
        (r"re:^block(\d)/=stage\1/", "block1/kernel", "stage1/kernel"),
        (r"a\/b=c", r"a\/b/kernel", "c/kernel"),
    ],
)
def test_rename_rules(rule: str, path: str, expected: str) -> None:
    assert join_path(renamer([rule])(split_path(path))) == expected


def test_renaming_pairs_by_name() -> None:
    other = model(("d3/kernel", (3, 3)), ("first/kernel", (2, 3)), ("d2/kernel", (3, 3)))
    assert ("d1/kernel", "first/kernel") in paired(match(A, other, rename=["d1=first"]))


@pytest.mark.parametrize("rule", ["nothing", "=x", "re:(=x", r"re:d=\7"])
def test_rules_that_are_none(rule: str) -> None:
    with pytest.raises(KmtError):
        match(A, A, rename=[rule])


def test_two_weights_of_one_name_are_refused() -> None:
    with pytest.raises(KmtError, match="several weights would be called 'd/kernel': d1/kernel, d2/kernel, d3/kernel"):
        match(A, A, rename=["d?=d"])


def test_selecting() -> None:
    keeps = selector(["d*"], ["re:2/kernel$"])
    assert [keeps(split_path(path)) for path in ("d1/kernel", "d2/kernel", "e/kernel", "d3")] == [True, False, False, True]
    assert selector(["d1"])(("d1", "kernel"))
    found = match(A, A, include=["d1", "d2"], exclude=["d2"])
    assert paired(found) == [("d1/kernel", "d1/kernel")]
    assert found.left_out == 2
    with pytest.raises(KmtError, match="not a regular expression"):
        selector(["re:("])


def test_an_unknown_way() -> None:
    with pytest.raises(KmtError, match="no way of pairing called 'shapes'"):
        match(A, A, by="shapes")
