"""What `diff` says of trees that differ in one thing, and that it says nothing of what is the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

import kmodel_tools as kmt
from kmodel_tools.differ.result import ASPECTS, DIFFERENT, NEITHER, NOT_COMPARED, SAME
from kmodel_tools.tensor import ByteRange
from kmodel_tools.tree import Asset, Layer, Model, Optimizer, Slot, Weight
from tests.conftest import SAMPLES
from tests.strategies import models

H5 = SAMPLES / "keras_h5" / "keras-3.15.1.h5"
ARCHIVE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
WEIGHTS = SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5"

Array = npt.NDArray[Any]


def weight(role: str, values: Array, trainable: bool | None = True) -> Weight:
    return Weight(role, kmt.Tensor.of(values), role, trainable)


KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
BIAS = np.zeros(3, dtype=np.float32)


def dense(name: str = "d1", kernel: Array = KERNEL, bias: Array = BIAS, trainable: bool | None = True) -> Layer:
    return Layer(name, class_name="Dense", weights=(weight("kernel", kernel, trainable), weight("bias", bias, trainable)))


def config(**settings: Any) -> Mapping[str, Any]:
    layer = {"class_name": "Dense", "config": {"name": "d1", "units": 3, **settings}}
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}


def model(*layers: Layer, **fields: Any) -> Model:
    return Model(**{"layers": layers or (dense(),), "architecture": config(), **fields})


def statuses(result: kmt.Diff) -> dict[str, str]:
    return {aspect.name: aspect.status for aspect in result.aspects}


def different(result: kmt.Diff) -> set[str]:
    return {name for name, status in statuses(result).items() if status == DIFFERENT}


@given(models())
def test_a_model_is_the_same_as_itself(one: Model) -> None:
    assert kmt.diff(one, one).same


@pytest.mark.parametrize("other", [ARCHIVE, WEIGHTS, H5])
def test_containers_of_one_model(other: Path) -> None:
    result = kmt.diff(H5, other)
    assert result.same
    assert {aspect.name for aspect in result.aspects} == set(ASPECTS)
    assert statuses(result)["weights"] == SAME
    assert statuses(result)["config"] == (NOT_COMPARED if other == WEIGHTS else SAME)
    assert json.loads(json.dumps(result.to_dict()))["same"] is True


def test_one_value_is_named_with_its_place() -> None:
    changed = KERNEL.copy()
    changed[1, 2] += 0.5
    result = kmt.diff(model(), model(dense(kernel=changed)))
    (change,) = result.weights
    assert (change.path_a, change.differs, different(result)) == ("d1/kernel", True, {"weights"})
    assert change.values is not None
    assert (change.values.changed, change.values.index, change.values.value_a, change.values.value_b) == (1, (1, 2), 5.0, 5.5)
    assert change.values.fraction == 1 / 6
    assert kmt.diff(model(), model(dense(kernel=changed)), atol=0.5).same


def test_the_largest_change_comes_first_and_shapes_before_it() -> None:
    before = model(dense("x"), dense("y"), dense("z"), architecture=None)
    after = model(dense("x", KERNEL + 1), dense("y", KERNEL + 2), dense("z", bias=np.zeros(4, np.float32)), architecture=None)
    assert [change.path_a for change in kmt.diff(before, after, by="name").weights] == ["z/bias", "y/kernel", "x/kernel"]


def test_another_precision() -> None:
    fine = KERNEL / 3
    half = kmt.diff(model(dense(kernel=fine)), model(dense(kernel=fine.astype(np.float16), bias=BIAS.astype(np.float16))))
    assert different(half) == {"weights"}
    kernel, bias = half.weights
    assert (kernel.differs, bias.differs) == (True, False)
    assert kernel.values is not None
    assert kernel.values.rounded_to == "float16"
    assert "all by rounding alone" in half.aspect("weights").detail
    near = kmt.diff(model(dense(kernel=fine)), model(dense(kernel=fine.astype(np.float16))), rtol=1e-3)
    assert near.same
    assert near.weights[0].dtype_b == "float16"


def test_another_kind_of_elements_is_a_difference() -> None:
    assert different(kmt.diff(model(), model(dense(bias=np.zeros(3, np.int32))))) == {"weights"}
    assert kmt.diff(model(dense(bias=np.zeros(3, np.int64))), model(dense(bias=np.zeros(3, np.int32)))).same
    text = kmt.diff(model(), model(dense(bias=np.array(["", "", ""], dtype=object))))
    assert (different(text), text.weights[0].values) == ({"weights"}, None)


@pytest.mark.parametrize("size", [3, 2])
def test_transposed(size: int) -> None:
    kernel = np.arange(3 * size, dtype=np.float32).reshape(3, size)
    result = kmt.diff(model(dense(kernel=kernel)), model(dense(kernel=np.ascontiguousarray(kernel.T))))
    assert (result.weights[0].layout, different(result)) == ("transposed", {"weights"})


def test_layers_added_and_removed() -> None:
    result = kmt.diff(model(dense("a"), dense("b", KERNEL + 1)), model(dense("a"), dense("c", KERNEL[:1])), by="name")
    assert [(change.kind, change.path_a, change.path_b, change.weights) for change in result.layers] == [
        ("removed", "b", "", 2),
        ("added", "", "c", 2),
    ]
    assert [item.path for item in (*result.only_a, *result.only_b)] == ["b/kernel", "b/bias", "c/kernel", "c/bias"]
    assert {"layers", "weights"} <= different(result)


def test_layers_renamed() -> None:
    result = kmt.diff(model(dense("a")), model(dense("b")))
    assert [(change.kind, change.path_a, change.path_b) for change in result.layers] == [("renamed", "a", "b")]
    assert (result.pairing.by, result.pairing.renamed[0]) == ("position", ("a/kernel", "b/kernel"))
    assert different(result) == {"layers"}
    assert kmt.diff(model(dense("a")), model(dense("b")), rename=["a=b"]).pairing.by == "name"


def test_names_of_a_container_are_not_compared() -> None:
    result = kmt.diff(model(dense("a")), model(dense("dense"), architecture=None, format="keras-weights"))
    assert result.same
    assert result.pairing.renamed
    assert "names of layers (1 differ)" in result.aspect("layers").not_compared[0]


def test_classes_of_a_container_are_not_compared() -> None:
    other = model(replace(dense(), class_name="Guess"), architecture=None, format="keras-weights")
    assert kmt.diff(model(), other).same


def test_a_few_equal_values_do_not_tell_a_layer() -> None:
    def small(name: str) -> Layer:
        return Layer(name, weights=(weight("decay", np.zeros(())),))

    before, after = model(dense("a"), small("x")), model(small("y"), dense("a", KERNEL[:1]))
    assert [change.kind for change in kmt.diff(before, after).layers] == ["removed", "added"]
    in_place = model(dense("a", KERNEL[:1]), small("y"))
    assert [change.kind for change in kmt.diff(before, in_place).layers] == ["renamed"]


def test_a_weight_of_a_layer_that_is_in_both_has_not_moved() -> None:
    before = model(dense("a"), dense("b", KERNEL + 1))
    alone = Layer("new", class_name="Dense", weights=(weight("bias", BIAS),))
    after = model(replace(dense("a"), weights=dense("a").weights[:1]), dense("b", KERNEL + 1), alone)
    result = kmt.diff(before, after)
    assert [item.path for item in (*result.only_a, *result.only_b)] == ["a/bias", "new/bias"]


def test_a_layer_that_kept_its_values_is_found_under_its_new_name() -> None:
    before = model(dense("a"), dense("b", KERNEL + 1), dense("c", KERNEL + 2))
    after = model(dense("c", KERNEL + 2), dense("new", KERNEL + 1), dense("a", np.zeros((5, 3), np.float32)))
    result = kmt.diff(before, after)
    assert ("b/kernel", "new/kernel") in result.pairing.renamed
    assert result.pairing.why.endswith("2 more are found under other names by their values")
    assert not result.only_a
    assert not result.only_b


def test_classes_of_layers() -> None:
    result = kmt.diff(model(), model(replace(dense(), class_name="EinsumDense")))
    assert [(change.kind, change.class_a, change.class_b) for change in result.layers] == [("class", "Dense", "EinsumDense")]
    assert kmt.diff(model(replace(dense(), class_name="Custom>Mine")), model(replace(dense(), class_name="Mine"))).same


def test_trainable_flags() -> None:
    result = kmt.diff(model(), model(dense(trainable=False)))
    assert different(result) == {"trainable"}
    assert [(change.path_a, change.a, change.b) for change in result.trainable] == [("d1/kernel", True, False), ("d1/bias", True, False)]
    assert statuses(kmt.diff(model(), model(dense(trainable=None))))["trainable"] == NOT_COMPARED


def test_config_by_key() -> None:
    result = kmt.diff(model(), model(architecture=config(units=4, activation="relu")))
    assert [(change.path_a, change.key, change.a, change.b, change.missing_a) for change in result.config] == [
        ("d1", "units", 3, 4, False),
        ("d1", "activation", None, "relu", True),
    ]
    assert different(result) == {"config"}
    assert statuses(kmt.diff(model(), model(architecture=None)))["config"] == NOT_COMPARED


def test_a_configuration_that_cannot_be_followed_is_compared_as_it_is() -> None:
    one, other = ({"class_name": "Sequential", "config": {"layers": [{"config": {"x": number}}, 7]}} for number in (1, 2))
    result = kmt.diff(model(architecture=one), model(architecture=other))
    assert [(change.key, change.a, change.b) for change in result.config] == [("layers", *[[{"config": {"x": n}}, 7] for n in (1, 2)])]
    assert "cannot be followed" in result.aspect("config").detail


def test_a_configuration_nested_too_deeply_is_not_compared() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    result = kmt.diff(model(architecture=config(units=deep)), model(architecture=config(units=3)))
    assert (statuses(result)["config"], result.aspect("config").detail) == (NOT_COMPARED, "one is nested too deeply")
    assert kmt.diff(model(training_config={"x": deep}), model(training_config={"x": deep})).same


def test_the_order_of_a_sequential() -> None:
    def stacked(*names: str) -> Mapping[str, Any]:
        layers = [{"class_name": "ReLU", "config": {"name": name}} for name in names]
        return {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}

    def of(*names: str) -> Model:
        return Model(layers=tuple(Layer(name, class_name="ReLU") for name in names), architecture=stacked(*names))

    swapped = kmt.diff(of("a", "b", "c"), of("b", "a", "c"))
    assert [change.key for change in swapped.config] == ["order of layers"]
    shorter = kmt.diff(of("a", "b", "c"), of("a", "c"))
    assert (shorter.config, different(shorter)) == ((), {"layers"})


def test_training_config_by_key() -> None:
    one = {"loss": "mse", "metrics": ["mae"], "optimizer_config": {"class_name": "Custom>Adam", "config": {"learning_rate": 0.1}}}
    other = copy.deepcopy(one)
    other["optimizer_config"]["config"]["learning_rate"] = 0.2  # type: ignore[index]
    result = kmt.diff(model(training_config=one), model(training_config=other))
    assert [(change.key, change.a, change.b) for change in result.training_config] == [("optimizer.learning_rate", 0.1, 0.2)]
    named = kmt.diff(model(training_config=one), model(training_config={"loss": "mse", "metrics": ["mae"], "optimizer": "adam"}))
    assert named.same
    assert named.aspect("training_config").not_compared == ("the optimizer's settings, which b does not hold",)
    nameless = kmt.diff(model(training_config=one), model(training_config={"loss": "mse", "metrics": ["mae"]}))
    assert nameless.same
    assert nameless.aspect("training_config").not_compared == ("the optimizer, which b does not name",)


def trained(layer: Layer, *, step: int = 1, velocity: float = 0.5, names: tuple[str, ...] = ("velocity",), kind: str = "Adam") -> Model:
    slots = tuple(
        Slot(name, item, kmt.Tensor.of(np.full(item.tensor.shape, velocity)), item.key) for item in layer.weights for name in names
    )
    counter = Weight("iterations", kmt.Tensor.of(np.array(step)), "iterations")
    return model(layer, optimizer=Optimizer(kind, slots, (counter,)))


def test_the_optimizer() -> None:
    one = trained(dense())
    assert kmt.diff(one, trained(dense())).same
    result = kmt.diff(one, trained(dense(), step=2, velocity=0.75))
    assert different(result) == {"optimizer"}
    assert {change.path_a for change in result.optimizer} == {"iterations", "velocity:d1/kernel", "velocity:d1/bias"}
    assert [change.key for change in kmt.diff(one, trained(dense(), kind="SGD")).optimizer_only] == ["class"]
    assert kmt.diff(one, trained(dense(), kind="Custom>Adam")).same
    assert statuses(kmt.diff(one, model()))["optimizer"] == NOT_COMPARED
    more = kmt.diff(one, trained(dense(), names=("velocity", "momentum")))
    assert {(change.key, change.path_a) for change in more.optimizer_only} == {("momentum", "d1/kernel"), ("momentum", "d1/bias")}


def test_a_slot_that_another_container_does_not_hold_is_not_compared() -> None:
    checkpoint = replace(trained(dense(), names=("velocity", "momentum")), format="tf-checkpoint", architecture=None)
    result = kmt.diff(trained(dense()), checkpoint)
    assert result.same
    assert "momentum of 2 weights in b's optimizer alone" in result.aspect("optimizer").not_compared


def test_a_slot_is_missing_if_the_other_weights_have_theirs() -> None:
    whole = trained(dense())
    assert whole.optimizer is not None
    part = replace(whole, format="other", optimizer=replace(whole.optimizer, slots=whole.optimizer.slots[:1]))
    assert [(change.key, change.path_a) for change in kmt.diff(whole, part).optimizer_only] == [("velocity", "d1/bias")]


def test_assets(tmp_path: Path) -> None:
    def asset(name: str, text: str) -> Asset:
        (tmp_path / name).write_text(text)
        return Asset("vocabulary.txt", ByteRange.of_file(tmp_path / name))

    one, same, other = (model(assets=(asset(name, text),)) for name, text in (("1", "abc"), ("2", "abc"), ("3", "abd")))
    assert statuses(kmt.diff(one, same))["assets"] == SAME
    assert [change.key for change in kmt.diff(one, other).assets] == ["vocabulary.txt"]
    assert different(kmt.diff(one, model())) == {"assets"}
    assert statuses(kmt.diff(one, model(format="keras-h5")))["assets"] == NOT_COMPARED
    assert statuses(kmt.diff(model(), model()))["assets"] == NEITHER


def test_extras_are_compared_by_key_and_those_of_one_side_are_said() -> None:
    one, other = model(extras=(weight("x", KERNEL),)), model(extras=(weight("x", KERNEL + 1),))
    assert different(kmt.diff(one, other)) == {"extras"}
    alone = kmt.diff(one, model())
    assert alone.same
    assert alone.aspect("extras").detail == "1 array of no layer in a alone"


def test_only_some_aspects() -> None:
    result = kmt.diff(model(), model(dense(kernel=KERNEL + 1), architecture=config(units=9)), aspects=("config",))
    assert statuses(result) == {"config": DIFFERENT}
    assert not result.weights
    with pytest.raises(kmt.KmtError, match="no aspect called 'wieghts'"):
        kmt.diff(model(), model(), aspects=("wieghts",))
    with pytest.raises(kmt.KmtError, match="tolerance"):
        kmt.diff(model(), model(), rtol=-1)


def test_what_is_left_out_is_not_compared_anywhere() -> None:
    before, after = model(dense("a"), dense("b")), model(dense("a", KERNEL + 1), dense("b"))
    result = kmt.diff(before, after, exclude=["a"])
    assert result.same
    assert result.pairing.left_out == 2
    assert not kmt.diff(before, after, include=["a/kernel"]).same


def test_no_model_is_changed_by_comparing() -> None:
    architecture = config(kernel_initializer="zeros")
    before = copy.deepcopy(architecture)
    kmt.diff(model(architecture=architecture, training_config={"optimizer": "adam"}), model(architecture=architecture))
    assert architecture == before


# Layers that were exchanged, moved, renamed, or are strangers.


def random_dense(name: str, seed: int, shape: tuple[int, int] = (8, 6)) -> Layer:
    random = np.random.default_rng(seed)
    return dense(name, random.random(shape).astype(np.float32), random.random(shape[1]).astype(np.float32))


def sequential(*layers: Layer) -> Model:
    configs = [{"class_name": layer.class_name, "config": {"name": layer.name}} for layer in layers]
    return Model(layers=layers, architecture={"class_name": "Sequential", "config": {"name": "m", "layers": configs}})


def test_weights_that_hold_the_values_of_others_are_named() -> None:
    before = sequential(random_dense("a", 1), random_dense("b", 2), random_dense("c", 3))
    after = sequential(random_dense("a", 3), random_dense("b", 1), random_dense("c", 2))
    result = kmt.diff(before, after)
    assert {change.path_b: change.values_of for change in result.weights} == {
        f"{one}/{role}": f"{other}/{role}" for one, other in (("a", "c"), ("b", "a"), ("c", "b")) for role in ("kernel", "bias")
    }
    assert result.aspect("weights").detail == "6 of 6 weights changed, 6 hold values of others"


def test_a_layer_that_moved_is_named_with_its_place() -> None:
    layers = [random_dense(name, seed) for seed, name in enumerate("abcd")]
    result = kmt.diff(sequential(*layers), sequential(layers[3], *layers[:3]))
    assert [(change.kind, change.path_b, change.after) for change in result.layers] == [("moved", "d", "")]
    assert statuses(result)["weights"] == SAME
    result = kmt.diff(sequential(*layers), sequential(layers[1], layers[2], layers[0], layers[3]))
    assert [(change.kind, change.path_b, change.after) for change in result.layers] == [("moved", "a", "c")]
    graph = replace(sequential(*layers), architecture={"class_name": "Functional", "config": {"name": "m", "layers": []}})
    assert statuses(kmt.diff(graph, replace(graph, layers=(layers[3], *layers[:3]))))["layers"] == SAME


def test_a_layer_of_another_name_and_other_values_is_no_renamed_one_if_the_others_kept_theirs() -> None:
    kept = random_dense("a", 1)
    before, after = sequential(kept, random_dense("b", 2)), sequential(kept, random_dense("x", 3))
    result = kmt.diff(before, after)
    assert [(change.kind, change.path_a or change.path_b) for change in result.layers] == [("removed", "b"), ("added", "x")]
    assert result.layers[0].doubt == "x has its class, its place and its shapes, but no values in common, while other layers kept theirs"
    trained = dense("x", random_dense("b", 2).weights[0].tensor.read() * np.float32(1.01), random_dense("b", 4).weights[1].tensor.read())
    assert [change.kind for change in kmt.diff(before, sequential(kept, trained)).layers] == ["renamed"]
    counted = kmt.diff(sequential(kept, random_dense("d", 2)), sequential(kept, random_dense("d_1", 3)))
    assert [change.kind for change in counted.layers] == ["renamed"]
    everything = kmt.diff(sequential(random_dense("a", 5), random_dense("b", 2)), sequential(random_dense("y", 6), random_dense("x", 3)))
    assert [change.kind for change in everything.layers] == ["renamed", "renamed"]


def test_a_name_that_was_not_believed_is_when_nothing_else_is_left() -> None:
    kept = random_dense("last", 1)
    after = sequential(random_dense("new", 3), random_dense("dense_1", 4, (8, 5)), kept)
    result = kmt.diff(sequential(random_dense("dense_1", 2), kept), after)
    assert [(change.kind, change.path_b) for change in result.layers] == [("added", "new")]
    assert next((change.path_a, change.shape_a, change.shape_b) for change in result.weights) == ("dense_1/kernel", (8, 6), (8, 5))


def test_a_layer_without_weights_is_found_under_another_name() -> None:
    first, last = random_dense("a", 1), random_dense("b", 2)
    before, after = (sequential(first, Layer(name, class_name="Dropout"), last) for name in ("dropout_1", "dropout_7"))
    assert [(change.kind, change.path_b) for change in kmt.diff(before, after).layers] == [("renamed", "dropout_7")]
    more = sequential(first, Layer("dropout_7", class_name="Dropout"), last, random_dense("new", 3))
    changes = [(change.kind, change.path_a, change.path_b) for change in kmt.diff(before, more).layers]
    assert changes == [("renamed", "dropout_1", "dropout_7"), ("added", "", "new")]
    two = sequential(first, Layer("x", class_name="Dropout"), Layer("y", class_name="Dropout"), last)
    assert sorted(change.kind for change in kmt.diff(before, two).layers) == ["added", "added", "removed"]


def test_the_cosine() -> None:
    def cosine(a: Array, b: Array) -> float | None:
        values = kmt.diff(model(dense(kernel=a)), model(dense(kernel=b))).weights[0].values
        assert values is not None
        return values.cosine

    random = np.random.default_rng(1)
    a, b = (random.standard_normal((20, 30)).astype(np.float32) for _ in range(2))
    expected = float(np.dot(a.ravel(), b.ravel()) / np.linalg.norm(a) / np.linalg.norm(b))
    assert cosine(a, b) == pytest.approx(expected, rel=1e-5)
    assert cosine(a, 2 * a) == pytest.approx(1)
    assert cosine(a, -a) == pytest.approx(-1)
    assert cosine(a, np.zeros_like(a)) is None
    assert cosine(a, np.full_like(a, np.nan)) is None
    large = random.standard_normal((700, 900)).astype(np.float32)
    other = large.copy()
    other[-1] = 0  # in the last block alone
    assert cosine(large, other) == pytest.approx(np.linalg.norm(other) / np.linalg.norm(large), rel=1e-5)
