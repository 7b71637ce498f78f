"""Pairing and loading, with networks of real Keras: what it loads by name, by order, and what Keras loads wrongly without a word."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.cli import main
from kmodel_tools.tree import Layer, Model, Weight, join_path
from tests.frameworks import judge, making

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def hidden(model: Any, prefix: str, classes: bool = True) -> tuple[Model, dict[str, str]]:
    """The tree of a model whose layers go by numbers, without values, and the true names."""
    layers, names = [], {}
    for number, layer in enumerate(model.layers):
        name = f"{prefix}{number}"
        names[name] = layer.name
        weights = tuple(
            Weight(weight.name.rpartition("/")[2].split(":")[0], kmt.Tensor.of(np.broadcast_to(np.float32(0), tuple(weight.shape))), name)
            for weight in layer.weights
        )
        layers.append(Layer(name, None, type(layer).__name__ if classes else None, weights))
    return Model(layers=tuple(layers)), names


def test_resnet50_in_resnet101_by_the_sequence_of_layers_alone() -> None:
    keras = making.framework("tf_keras")
    small, large = (getattr(keras.applications, name)(weights=None) for name in ("ResNet50", "ResNet101"))
    held = {layer.name for layer in small.layers if layer.weights}
    sure = {name for name in held if not name.startswith("conv4_") or name.startswith("conv4_block1_")}
    assert len(sure) == 77
    for by, classes in (("auto", True), ("auto", False), ("shape", True)):
        (one, names), (other, others) = hidden(small, "p", classes), hidden(large, "q", classes)
        match = kmt.match(one, other, by)
        pairs = {(names[pair.path_a[0]], others[pair.path_b[0]]) for pair in match.pairs}
        assert pairs == {(name, name) for name in sure}
        assert {names[item.path[0]] for item in match.only_a if item.candidates} == held - sure
        assert all(item.candidates for item in (*match.only_a, *match.only_b))
        (first,) = [item for item in match.only_a if names[item.path[0]] == "conv4_block2_1_conv" and item.path[1] == "kernel"]
        assert {others[path[0]] for path in first.candidates} == {"conv4_block2_1_conv", "conv4_block19_1_conv"}
    keras.backend.clear_session()


# The whole of `keras.applications`: see `ALL`.

ALL = bool(os.environ.get("KMT_ALL_APPLICATIONS"))
FEW = {("keras", "MobileNet"): 32, ("tf_keras", "MobileNet"): 32}
MANY = {
    (name, network): 96 if "ception" in network else 64
    for name in ("keras", "tf_keras")
    for network in (
        *("MobileNetV3Small", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3", "NASNetMobile"),
        *("ResNet50", "ResNet50V2", "VGG16", "Xception", "ConvNeXtTiny", "InceptionResNetV2"),
    )
}
FORMATS = {
    "keras": (".keras", ".weights.h5", ".h5", "checkpoint"),
    "tf_keras": (".keras", ".h5", "weights.h5", "checkpoint", "saved_model"),
}


def saved(model: Any, kind: str, folder: Path) -> Path:
    if kind == "checkpoint":
        return Path(tf.train.Checkpoint(model=model).save(str(folder / "ckpt")))
    if kind == "saved_model":
        model.save(folder / "saved", save_format="tf")
        return folder / "saved"
    path = folder / f"source{kind}"
    model.save_weights(path) if kind.endswith("weights.h5") else model.save(path)
    return path


def backbone(framework: Any, name: str, size: int, seed: int) -> Any:
    framework.backend.clear_session()
    framework.utils.set_random_seed(seed)
    model = getattr(framework.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if len(weight.shape) < 2:  # zeros and ones are in every network
            weight.assign(random.random(tuple(weight.shape)).astype("float32"))
    return model


def classifier(framework: Any, name: str, size: int) -> Any:
    below = backbone(framework, name, size, 2)
    x = framework.layers.GlobalAveragePooling2D(name="my_pool")(below.output)
    return framework.Model(below.inputs, framework.layers.Dense(7, name="my_classes")(x), name="mine")


@pytest.mark.parametrize(("name", "network", "size"), [(*key, size) for key, size in {**FEW, **(MANY if ALL else {})}.items()])
def test_a_backbone_goes_into_a_new_classifier_by_name_from_every_format(name: str, network: str, size: int, tmp_path: Path) -> None:
    framework = making.framework(name)
    source = backbone(framework, network, size, 1)
    wanted = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    paths = [saved(source, kind, tmp_path) for kind in FORMATS[name]]
    model = classifier(framework, network, size)
    head = model.get_layer("my_classes").get_weights()
    suffix = ".keras" if name == "keras" else ".h5"
    model.save(tmp_path / f"into{suffix}")
    for path in paths:
        loaded, match = kmt.transfer(path, tmp_path / f"into{suffix}")
        kmt.convert(loaded, tmp_path / f"out{suffix}", overwrite=True)
        model.load_weights(tmp_path / f"out{suffix}")
        for layer, values in wanted.items():
            found = model.get_layer(layer).get_weights()
            assert len(found) == len(values)
            assert all(judge.same_value(one, other) for one, other in zip(found, values, strict=True)), (path.name, layer)
        found = model.get_layer("my_classes").get_weights()
        assert all(judge.same_value(one, other) for one, other in zip(found, head, strict=True))
        assert {join_path(item.path) for item in match.only_b} == {"my_classes/kernel", "my_classes/bias"}


# What Keras loads wrongly, and says nothing of.


def dense_model(framework: Any, layers: Mapping[str, int], seed: int = 1) -> Any:
    framework.utils.set_random_seed(seed)
    return framework.Sequential([framework.Input((4,)), *(framework.layers.Dense(units, name=name) for name, units in layers.items())])


def kernels(model: Any) -> dict[str, Any]:
    return {layer.name: np.array(layer.get_weights()[0]) for layer in model.layers if layer.weights}


def test_a_load_of_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras = making.framework("keras")
    source, model = dense_model(keras, {"a": 4}), dense_model(keras, {"b": 4}, 2)
    before = kernels(model)
    source.save_weights(tmp_path / "a.weights.h5")
    source.save(tmp_path / "a.h5")
    model.load_weights(tmp_path / "a.h5", by_name=True)
    assert judge.same_value(kernels(model)["b"], before["b"]), "Keras loads nothing, and returns"
    model.save(tmp_path / "b.keras")
    for name in ("a.h5", "a.weights.h5"):
        assert main(["transfer", str(tmp_path / name), str(tmp_path / "b.keras"), "-o", str(tmp_path / "out.keras")]) == 1
        text = capsys.readouterr().err
        assert "loaded      0 weights" in text
        assert "a/kernel: not in the target" in text
        assert not (tmp_path / "out.keras").exists()


def test_a_layer_that_was_inserted_does_not_move_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras = making.framework("keras")
    source, model = dense_model(keras, {"a": 4, "b": 4}), dense_model(keras, {"new": 4, "a": 4, "b": 4}, 2)
    wanted, before = kernels(source), kernels(model)
    source.save_weights(tmp_path / "a.weights.h5")
    model.save_weights(tmp_path / "b.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
    wrong = kernels(model)
    assert judge.same_value(wrong["new"], wanted["a"]), "Keras gives every layer the values of the one before it"
    assert judge.same_value(wrong["a"], wanted["b"])
    model.save_weights(tmp_path / "wrong.weights.h5")
    assert main(["transfer", str(tmp_path / "a.weights.h5"), str(tmp_path / "b.weights.h5"), "-o", str(tmp_path / "out.weights.h5")]) == 0
    assert "new/kernel: not in the source" in capsys.readouterr().err
    model.load_weights(tmp_path / "out.weights.h5")
    right = kernels(model)
    assert judge.same_value(right["new"], before["new"])
    assert all(judge.same_value(right[name], wanted[name]) for name in "ab")
    found = kmt.diff(tmp_path / "out.weights.h5", tmp_path / "wrong.weights.h5", aspects=("weights",))
    assert {(change.path_b, change.values_of) for change in found.weights} >= {("new/kernel", "a/kernel"), ("a/kernel", "b/kernel")}
    aligned = kmt.match(tmp_path / "a.weights.h5", tmp_path / "b.weights.h5", by="shape")
    assert not aligned.pairs
    assert aligned.only_a[0].candidates == (("new", "kernel"), ("a", "kernel"))


def test_layers_that_changed_places_are_not_swapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras = making.framework("keras")
    source, model = dense_model(keras, {"a": 4, "b": 4}), dense_model(keras, {"b": 4, "a": 4}, 2)
    wanted = kernels(source)
    source.save_weights(tmp_path / "a.weights.h5")
    model.save_weights(tmp_path / "b.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    assert judge.same_value(kernels(model)["a"], wanted["b"]), "Keras swaps them"
    model.save_weights(tmp_path / "wrong.weights.h5")
    assert main(["transfer", str(tmp_path / "a.weights.h5"), str(tmp_path / "b.weights.h5"), "-o", str(tmp_path / "out.weights.h5")]) == 0
    capsys.readouterr()
    model.load_weights(tmp_path / "out.weights.h5")
    assert all(judge.same_value(values, wanted[name]) for name, values in kernels(model).items())
    swapped = kmt.diff(tmp_path / "out.weights.h5", tmp_path / "wrong.weights.h5")
    assert {(change.path_b, change.values_of) for change in swapped.weights} >= {("a/kernel", "b/kernel"), ("b/kernel", "a/kernel")}
    moved = kmt.diff(tmp_path / "a.weights.h5", tmp_path / "out.weights.h5")
    assert [change.kind for change in moved.layers] == ["moved"]
    assert moved.aspect("weights").status == "same"


# The examples of the guides to transfer learning, and what people do beside them.


def test_a_pretrained_model_nested_in_a_sequential(tmp_path: Path) -> None:
    """Keras 2 with `by_name` finds no layer of the nested model's, loads nothing, and says nothing."""
    framework = making.framework("tf_keras")

    def features(seed: int) -> Any:
        return dense_model(framework, {"features_1": 5, "features_2": 3}, seed)

    source = features(1)
    source.save(tmp_path / "source.h5")
    inner = features(2)
    model = framework.Sequential([framework.Input((4,)), inner, framework.layers.Dense(2, name="head")])
    before = [np.array(value) for value in model.get_weights()]
    model.load_weights(tmp_path / "source.h5", by_name=True)
    assert all(judge.same_value(one, other) for one, other in zip(model.get_weights(), before, strict=True))
    model.save(tmp_path / "into.h5")
    loaded, match = kmt.transfer(tmp_path / "source.h5", tmp_path / "into.h5")
    kmt.write(loaded, tmp_path / "out.h5", "keras-h5")
    result = framework.models.load_model(tmp_path / "out.h5").get_weights()
    expected = [*source.get_weights(), *before[-2:]]
    assert all(judge.same_value(one, other) for one, other in zip(result, expected, strict=True))
    assert {pair.how for pair in match.pairs} == {"end"}


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_between_a_functional_model_and_one_of_more_layers_without_weights(name: str, tmp_path: Path) -> None:
    """`model.set_weights(other.get_weights())` of the guide: layers without weights do not count."""
    framework = making.framework(name)
    layers = framework.layers
    source = dense_model(framework, {"one": 5, "two": 3})
    inputs = x = framework.Input((4,))
    for layer in (layers.Dense(5, name="first"), layers.Dropout(0.5), layers.Dense(3, name="second"), layers.Activation("relu")):
        x = layer(x)
    model = framework.Model(inputs, x)
    suffix = ".keras" if name == "keras" else ".h5"
    files = [str(tmp_path / f"{file}{suffix}") for file in ("source", "into", "out")]
    source.save(files[0])
    model.save(files[1])
    assert main(["transfer", *files[:2], "-o", files[2]]) == 1
    assert main(["transfer", *files[:2], "-o", files[2], "--by", "position", "--strict"]) == 0
    result = framework.models.load_model(files[2])
    model.set_weights(source.get_weights())
    assert all(judge.same_value(one, other) for one, other in zip(result.get_weights(), model.get_weights(), strict=True))


def test_between_a_functional_and_a_subclassed_model(tmp_path: Path) -> None:
    """The guide's `subclassed_model.set_weights(functional_model.get_weights())`, from file to file."""
    keras = making.framework("keras")

    class Subclassed(keras.Model):  # type: ignore[misc, name-defined]  # the framework is found when the test runs
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(5, name="one")
            self.second = keras.layers.Dense(3, name="two")

        def call(self, inputs: Any) -> Any:
            return self.second(self.first(inputs))

    functional = dense_model(keras, {"one": 5, "two": 3})
    subclassed = Subclassed()
    subclassed(np.zeros((1, 4), "float32"))
    functional.save_weights(tmp_path / "functional.weights.h5")
    subclassed.save_weights(tmp_path / "subclassed.weights.h5")
    for way in ("position", "shape", "auto"):
        loaded, match = kmt.transfer(tmp_path / "functional.weights.h5", tmp_path / "subclassed.weights.h5", by=way, strict=True)
        kmt.write(loaded, tmp_path / f"{way}.weights.h5")
        subclassed.load_weights(tmp_path / f"{way}.weights.h5")
        assert all(judge.same_value(one, other) for one, other in zip(subclassed.get_weights(), functional.get_weights(), strict=True))
        assert len(match.pairs) == 4


def test_frozen_nested_layers_whose_weights_come_in_another_order(tmp_path: Path) -> None:
    """Keras 2 writes trained weights before the others: a nested model that was frozen since has them in another order."""
    framework = making.framework("tf_keras")

    def model(seed: int, frozen: bool) -> Any:
        framework.utils.set_random_seed(seed)
        layers = [framework.layers.Dense(4, name="d"), framework.layers.BatchNormalization(name="n"), framework.layers.Dense(4, name="e")]
        inner = framework.Sequential([framework.Input((4,)), *layers], name="inner")
        inner.get_layer("n").trainable = not frozen
        return framework.Sequential([framework.Input((4,)), inner, framework.layers.Dense(2, name="head")])

    source, target = model(1, True), model(2, False)
    for weight in source.weights:
        weight.assign(np.random.default_rng(len(weight.shape)).random(tuple(weight.shape)))
    wanted = {weight.name: np.array(weight) for weight in source.weights}
    source.save_weights(tmp_path / "source.h5")
    target.save_weights(tmp_path / "into.h5")
    loaded, match = kmt.transfer(tmp_path / "source.h5", tmp_path / "into.h5", strict=True)
    kmt.write(loaded, tmp_path / "out.h5", "keras-h5")
    target.load_weights(tmp_path / "out.h5")
    assert all(judge.same_value(np.array(weight), wanted[weight.name]) for weight in target.weights)
    assert len(match.pairs) == 10


@pytest.mark.parametrize("way", ["slice", "pad"])
def test_an_embedding_of_more_or_fewer_words(way: str, tmp_path: Path) -> None:
    keras = making.framework("keras")

    def model(words: int, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input((3,)), keras.layers.Embedding(words, 4, name="words"), keras.layers.LSTM(2, name="lstm")])

    source, target = model(*((9, 1) if way == "slice" else (5, 1))), model(7, 2)
    source.save(tmp_path / "source.keras")
    target.save(tmp_path / "into.keras")
    before = target.get_weights()
    arguments = ["transfer", str(tmp_path / "source.keras"), str(tmp_path / "into.keras"), "-o", str(tmp_path / "out.keras")]
    assert main([*arguments, "--on-mismatch", "error"]) == 2
    assert main([*arguments, "--on-mismatch", way, "--strict"]) == 0
    found = keras.models.load_model(tmp_path / "out.keras").get_weights()
    rows = min(len(source.get_weights()[0]), 7)
    assert judge.same_value(found[0][:rows], source.get_weights()[0][:rows])
    assert judge.same_value(found[0][rows:], before[0][rows:])
    assert all(judge.same_value(one, other) for one, other in zip(found[1:], source.get_weights()[1:], strict=True))
