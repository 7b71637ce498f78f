"""Weights in an architecture of another generation: by path, by rules, shared, with an optimizer's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kmodel_tools.architecture.weight_rules import Flip, Piece, Polynomial, Reshape, Scale, Step, Take, Transpose, WeightRule
from kmodel_tools.damaged import damage_of, damaged_tensor
from kmodel_tools.errors import ConversionError, CorruptFileError
from kmodel_tools.tensor import DType, Tensor
from kmodel_tools.tree import Layer, Model, Optimizer, Slot, Weight, join_path
from kmodel_tools.upgrader import apply_rules

Array = npt.NDArray[Any]


def dense(name: str, units: int = 3, **more: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": name, "units": units, **more}}


def sequential(*layers: Mapping[str, Any], name: str = "new") -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def numbers(*shape: int, start: int = 1) -> Array:
    return np.arange(start, start + int(np.prod(shape)), dtype="float32").reshape(shape)


def layer(name: str, below: Sequence[Layer] = (), **weights: Array) -> Layer:
    made = (Weight(role, Tensor.of(values), f"{name}/{role}", True) for role, values in weights.items())
    return Layer(name, weights=tuple(made), layers=tuple(below))


def values_of(model: Model) -> dict[str, Array]:
    return {join_path(path): weight.tensor.read() for path, weight in model.weights()}


OLD = Model(
    "old", "keras-h5", (layer("a", kernel=numbers(2, 3), bias=numbers(3)),), metadata={"keras_version": "1.2.2", "backend": "theano"}
)


def rule(role: str, *pieces: Piece, path: tuple[str, ...] = ("a",), axis: int | None = 0) -> WeightRule:
    return WeightRule(path, role, pieces, axis)


def piece(role: str, *steps: Step, path: tuple[str, ...] = ("a",)) -> Piece:
    return Piece(path, role, steps)


def test_without_rules_weights_are_carried_by_path_with_the_layers_of_the_architecture() -> None:
    architecture = sequential(dense("a", trainable=False), {"class_name": "Dropout", "config": {"name": "d", "rate": 0.5}})
    upgraded = apply_rules(OLD, architecture, (), "2.15.0")
    new = upgraded.model
    assert upgraded.lost == ()
    assert [(item.name, item.class_name) for item in new.layers] == [("a", "Dense"), ("d", "Dropout")]
    assert [(weight.role, weight.key, weight.trainable) for weight in new.layers[0].weights] == [
        ("kernel", "a/kernel", False),
        ("bias", "a/bias", False),
    ]
    assert new.layers[0].weights[0].tensor is OLD.layers[0].weights[0].tensor
    assert (new.name, new.format, new.architecture, new.inventory) == ("new", "", architecture, None)
    assert new.metadata == {"keras_version": "2.15.0"}


STEPS: list[tuple[Sequence[Step], Array]] = [
    ([Transpose((1, 0))], numbers(2, 4).T),
    ([Flip((0,))], numbers(2, 4)[::-1]),
    ([Reshape((4, -1))], numbers(2, 4).reshape(4, 2)),
    ([Take(1, 1, 2)], numbers(2, 4)[:, 2:]),
    ([Scale(-0.5)], numbers(2, 4) * -0.5),
    ([Polynomial((1.0, 2.0, 1.0))], (numbers(2, 4) + 1) ** 2),
    ([Take(1, 0, 2), Transpose((1, 0)), Scale(2.0)], numbers(2, 4)[:, :2].T * 2),
]


@pytest.mark.parametrize(("steps", "expected"), STEPS)
def test_every_step_is_taken_in_its_turn(steps: Sequence[Step], expected: Array) -> None:
    old = Model(layers=(layer("a", kernel=numbers(2, 4)),))
    architecture = sequential(dense("a", use_bias=False))
    new = apply_rules(old, architecture, [rule("kernel", piece("kernel", *steps))]).model
    np.testing.assert_array_equal(values_of(new)["a/kernel"], expected)
    (weight,) = new.layers[0].weights
    assert (weight.key, weight.trainable) == ("", True)


def test_pieces_are_joined_along_an_axis_or_added_up() -> None:
    old = Model(layers=(layer("a", W_i=numbers(2, 2), W_f=numbers(2, 1), b_1=numbers(3), b_2=numbers(3)),))
    rules = [rule("kernel", piece("W_f"), piece("W_i"), axis=1), rule("bias", piece("b_1"), piece("b_2"), axis=None)]
    new = values_of(apply_rules(old, sequential(dense("a")), rules).model)
    np.testing.assert_array_equal(new["a/kernel"], np.concatenate([numbers(2, 1), numbers(2, 2)], 1))
    np.testing.assert_array_equal(new["a/bias"], numbers(3) * 2)


def refused(old: Model, architecture: Mapping[str, Any], rules: Sequence[WeightRule] = ()) -> tuple[str, ...]:
    with pytest.raises(ConversionError) as caught:
        apply_rules(old, architecture, rules)
    return caught.value.losses


def test_what_is_left_on_either_side_is_listed() -> None:
    losses = refused(OLD, sequential(dense("b"), dense("a", use_bias=False)))
    assert losses == ("b/kernel gets no values", "b/bias gets no values", "a/bias has no place")


def test_rules_that_fit_nothing_are_listed() -> None:
    assert refused(OLD, sequential(dense("a")), [rule("scale", piece("kernel"))]) == ("a/scale is made by a rule and has no place",)
    assert refused(OLD, sequential(dense("a")), [rule("kernel", piece("W"))]) == (
        "a/kernel is made of a/W, which is not there",
        "a/kernel has no place",
    )
    (problem,) = refused(OLD, sequential(dense("a")), [rule("kernel", piece("kernel", Take(0, 0, 5)))])
    assert problem.startswith("a/kernel: there is no part 0 of 5")
    (problem,) = refused(OLD, sequential(dense("a")), [rule("kernel", piece("kernel", Transpose((1, 0))))])
    assert problem == "a: a Dense has no such arrays: kernel float32 (3, 2), bias float32 (3,)"


def test_an_architecture_that_is_none() -> None:
    with pytest.raises(ConversionError, match="cannot be followed"):
        apply_rules(OLD, {"class_name": "Sequential", "config": {"layers": 3}}, ())


def test_what_is_dropped_on_purpose_is_said() -> None:
    upgraded = apply_rules(OLD, sequential(dense("a", use_bias=False)), (), dropped={("a", "bias"): "nobody uses it"})
    assert upgraded.lost == ("a/bias (nobody uses it)",)


def test_a_custom_layer_keeps_what_it_had() -> None:
    inner = layer("inner", kernel=numbers(2, 2))
    old = Model(layers=(layer("mine", (inner,), secret=numbers(4)),))
    new = apply_rules(old, sequential({"class_name": "Mine", "config": {"name": "mine"}}), ()).model
    assert list(values_of(new)) == ["mine/secret", "mine/inner/kernel"]
    rules = [WeightRule(("mine",), "secret", (Piece(("mine",), "secret", (Scale(2.0),)),))]
    scaled = apply_rules(old, sequential({"class_name": "Mine", "config": {"name": "mine"}}), rules).model
    np.testing.assert_array_equal(values_of(scaled)["mine/secret"], numbers(4) * 2)


def nested(shared: Layer) -> Model:
    return Model(layers=(shared, Layer("inner", layers=(shared,))))


@pytest.mark.parametrize("steps", [(), (Flip((0,)),)])
def test_a_shared_layer_stays_shared(steps: tuple[Step, ...]) -> None:
    old = nested(layer("s", kernel=numbers(2, 3), bias=numbers(3)))
    architecture = sequential(dense("s"), sequential(dense("s"), name="inner"))
    rules = [rule("kernel", piece("kernel", *steps, path=path), path=path) for path in (("s",), ("inner", "s"))]
    new = apply_rules(old, architecture, rules if steps else ()).model
    assert new.aliases() == {("s",): (("inner", "s"),)}
    assert list(values_of(new)) == ["s/kernel", "s/bias"]


def test_two_layers_of_one_name_that_were_not_shared_are_not() -> None:
    first, second = (layer("s", kernel=numbers(2, 3), bias=numbers(3)) for _ in range(2))
    old = Model(layers=(first, Layer("inner", layers=(second,))))
    new = apply_rules(old, sequential(dense("s"), sequential(dense("s"), name="inner")), ()).model
    assert new.aliases() == {}
    assert len(values_of(new)) == 4


def test_models_that_share_models_have_too_many_paths_to_list() -> None:
    below = layer("d", kernel=numbers(2, 3), bias=numbers(3))
    for _ in range(60):
        below = Layer("m", layers=(Layer("x", layers=(below,)), Layer("y", layers=(below,))))
    losses = refused(Model(layers=(below, *OLD.layers)), sequential(dense("a")))
    assert losses == tuple("m/x/" * 60 + f"d/{role} has no place" for role in ("kernel", "bias"))


def test_a_damaged_weight_stays_so() -> None:
    error = CorruptFileError("is cut short", path="model.h5")
    hurt = Weight("kernel", damaged_tensor(DType.FLOAT32, (2, 3), error), "a/kernel", True)
    old = Model(layers=(Layer("a", weights=(hurt, OLD.layers[0].weights[1])),))
    new = apply_rules(old, sequential(dense("a")), [rule("kernel", piece("kernel", Transpose((1, 0)), Scale(2.0)))]).model
    assert damage_of(new.layers[0].weights[0].tensor) is not None


# The optimizer's state.


def trained(class_name: str, *names: str) -> Model:
    """`OLD` with slots of the shape of their weights: 10, 20 … in each."""
    slots = []
    for number, name in enumerate(names, 1):
        for weight in OLD.layers[0].weights:
            values = np.full(weight.tensor.shape, 10.0 * number, "float32") + numbers(*weight.tensor.shape)
            slots.append(Slot(name, weight, Tensor.of(values), f"{name}/{weight.role}"))
    optimizer = Optimizer(class_name, tuple(slots), (Weight("iterations", Tensor.of(np.array(7)), "i"),))
    return Model("old", layers=OLD.layers, optimizer=optimizer)


def slots_of(model: Model) -> dict[tuple[str, str], Array]:
    assert model.optimizer is not None
    owners = {id(weight): weight.role for _, weight in model.weights()}
    return {(slot.name, owners[id(slot.weight)]): slot.tensor.read() for slot in model.optimizer.slots}


def test_slots_stay_with_weights_that_are_carried() -> None:
    old = trained("Adam", "momentum", "velocity")
    new = apply_rules(old, sequential(dense("a")), ()).model
    assert old.optimizer is not None
    assert new.optimizer is not None
    assert list(slots_of(new)) == [("momentum", "kernel"), ("momentum", "bias"), ("velocity", "kernel"), ("velocity", "bias")]
    assert [slot.key for slot in new.optimizer.slots] == [slot.key for slot in old.optimizer.slots]
    assert new.optimizer.counters == old.optimizer.counters


def test_slots_stay_with_a_weight_that_is_renamed() -> None:
    old = trained("Adam", "momentum")
    rules = [rule(role, piece(role), path=("b",)) for role in ("kernel", "bias")]
    upgraded = apply_rules(old, sequential(dense("b")), rules)
    assert upgraded.lost == ()
    assert len(slots_of(upgraded.model)) == 2


def test_slots_move_as_their_weights_are_moved() -> None:
    rules = [rule("kernel", piece("kernel", Flip((0,)), Take(1, 1, 3)))]
    gone: dict[tuple[str, ...], str] = {("a", "bias"): "gone"}
    upgraded = apply_rules(trained("Unheard", "whatever"), sequential(dense("a", use_bias=False)), rules, dropped=gone)
    np.testing.assert_array_equal(slots_of(upgraded.model)["whatever", "kernel"], (10 + numbers(2, 3))[::-1][:, 1:2])
    assert upgraded.lost == ("a/bias (gone)", "the optimizer's whatever of a/bias (the weight is not there any more)")


POWERS = [
    ("Adam", "momentum", -1),
    ("Adam", "velocity", -2),
    ("Adam", "velocity_hat", -2),
    ("Nadam", "velocity", -2),
    ("SGD", "momentum", -1),
    ("Lion", "momentum", -1),
    ("RMSprop", "velocity", -2),
    ("RMSprop", "average_gradient", -1),
    ("Adamax", "momentum", -1),
    ("RMSprop", "momentum", None),
    ("Adagrad", "accumulator", None),
    ("Adadelta", "accumulated_delta_var", None),
    ("Ftrl", "linear", None),
    ("Unheard", "average", 1),
]


@pytest.mark.parametrize(("optimizer", "name", "power"), POWERS)
def test_slots_of_a_weight_that_is_multiplied(optimizer: str, name: str, power: int | None) -> None:
    upgraded = apply_rules(trained(optimizer, name), sequential(dense("a")), [rule("kernel", piece("kernel", Scale(-4.0)))])
    found = slots_of(upgraded.model)
    assert (name, "bias") in found
    if power is None:
        assert (name, "kernel") not in found
        assert upgraded.lost == (
            f"the optimizer's {name} of a/kernel (the weight is multiplied, and {name} of {optimizer} is not exactly carried)",
        )
    else:
        np.testing.assert_array_equal(found[name, "kernel"], (10 + numbers(2, 3)) * (-4.0) ** power)


def test_a_norm_stays_positive() -> None:
    new = apply_rules(trained("Adamax", "norm"), sequential(dense("a")), [rule("kernel", piece("kernel", Scale(-4.0)))]).model
    np.testing.assert_array_equal(slots_of(new)["norm", "kernel"], (10 + numbers(2, 3)) / 4)


def test_one_slot_that_cannot_be_carried_takes_the_others_along() -> None:
    rules = [rule("kernel", piece("kernel", Scale(2.0)))]
    upgraded = apply_rules(trained("RMSprop", "velocity", "momentum"), sequential(dense("a")), rules)
    assert set(slots_of(upgraded.model)) == {("velocity", "bias"), ("momentum", "bias")}
    assert len(upgraded.lost) == 1


@pytest.mark.parametrize(
    ("pieces", "axis", "reason"),
    [
        ([piece("bias"), piece("bias")], None, "the weight is added to another one"),
        ([piece("bias", Polynomial((0.0, 1.0)))], 0, "the weight is worked out anew"),
    ],
)
def test_slots_of_sums_and_of_what_is_worked_out_anew_are_lost(pieces: list[Piece], axis: int | None, reason: str) -> None:
    upgraded = apply_rules(trained("Adam", "momentum"), sequential(dense("a")), [rule("bias", *pieces, axis=axis)])
    assert upgraded.lost == (f"the optimizer's momentum of a/bias ({reason})",)


def test_weights_that_are_joined_need_the_same_slots() -> None:
    old = trained("Adam", "momentum")
    assert old.optimizer is not None
    bias, (kernel_slot, _) = OLD.layers[0].weights[1], old.optimizer.slots
    half = Model(layers=OLD.layers, optimizer=Optimizer("Adam", (kernel_slot,)))
    rules = [rule("kernel", piece("kernel"), piece("bias", Reshape((1, 3)))), rule("bias", piece("bias"))]
    upgraded = apply_rules(half, sequential(dense("a")), rules)
    assert upgraded.lost == ("the optimizer's momentum of a/kernel (the weights that it is joined with do not have the same)",)
    factored = Slot("r", bias, Tensor.of(numbers(1)), "r")
    odd = Model(layers=OLD.layers, optimizer=Optimizer("Adafactor", (factored,)))
    upgraded = apply_rules(odd, sequential(dense("a")), [rule("bias", piece("bias", Flip((0,))))])
    assert upgraded.lost == ("the optimizer's r of a/bias (it is not shaped as the weight is)",)


def test_weightless_layers_are_shared_only_where_they_were() -> None:
    dropout = {"class_name": "Dropout", "config": {"name": "d", "rate": 0.5}}
    old = Model(layers=(Layer("d"), Layer("inner", layers=(Layer("d"),))))
    assert apply_rules(old, sequential(dropout, sequential(dropout, name="inner")), ()).model.aliases() == {}
    assert len(apply_rules(nested(Layer("d")), sequential(dropout, sequential(dropout, name="inner")), ()).model.aliases()) == 1


def test_cells_in_a_list_are_found() -> None:
    cell = {"class_name": "SimpleRNNCell", "config": {"name": "c", "units": 2, "use_bias": False}}
    rnn = {"class_name": "RNN", "config": {"name": "r", "cell": [cell, cell]}}
    held = [
        Layer("c", f"cells/{n}", None, layer("c", kernel=numbers(2, 2, start=n), recurrent_kernel=numbers(2, 2)).weights) for n in (0, 1)
    ]
    old = Model(layers=(Layer("r", layers=(Layer("stacked", "cell", layers=tuple(held)),)),))
    assert values_of(apply_rules(old, sequential(rnn), ()).model)["r/cell/cells/1/kernel"][0, 0] == 1


def test_slots_stay_with_the_weights_inside_of_a_custom_layer() -> None:
    inner = layer("inner", kernel=numbers(2, 2))
    optimizer = Optimizer("Adam", (Slot("momentum", inner.weights[0], Tensor.of(numbers(2, 2)), "m"),))
    old = Model(layers=(Layer("mine", layers=(inner,)),), optimizer=optimizer)
    upgraded = apply_rules(old, sequential({"class_name": "Mine", "config": {"name": "mine"}}), ())
    assert upgraded.lost == ()
    assert list(slots_of(upgraded.model)) == [("momentum", "kernel")]
