"""TensorFlow.js on Node as the judge: it loads what is written, and predicts what Keras does; and Keras what comes back.

Needs Node, and the npm package `@tensorflow/tfjs` in a folder that `KMT_NODE_MODULES` names: `npm install @tensorflow/tfjs` there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.conftest import SAMPLES
from tests.frameworks import making

pytest.importorskip("keras")

MODULES = os.environ.get("KMT_NODE_MODULES", "")
pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]
SEQUENCE, IMAGE = (6, 4), (8, 8, 3)


def stack(keras: Any, shape: tuple[int, ...], *layers: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def branches(keras: Any) -> Any:
    a, b, dense = keras.Input((4,), name="a"), keras.Input((4,), name="b"), keras.layers.Dense(4)
    x = keras.layers.Add()([dense(a), dense(b)])
    y = keras.layers.Multiply()([x, a])
    z = keras.layers.Concatenate()([y, keras.layers.Maximum()([a, b]), keras.layers.Average()([a, b]), keras.layers.Minimum()([a, b])])
    return keras.Model([a, b], [keras.layers.Dot(1)([x, y]), z])


def nested(keras: Any) -> Any:
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="in1"), keras.layers.BatchNormalization(name="in2")], name="inner"
    )
    a = keras.Input((3,))
    graph = keras.Model(a, keras.layers.Dense(2, name="deep")(a), name="graph")
    x = keras.Input((4,))
    return keras.Model(x, graph(inner(x)))


def shared(keras: Any) -> Any:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="in1")], name="inner")
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], keras.layers.Add()([inner(a), inner(inner(b))]))


def states(keras: Any) -> Any:
    x = keras.Input(SEQUENCE)
    y, h, c = keras.layers.LSTM(3, return_state=True, return_sequences=True)(x)
    return keras.Model(x, [keras.layers.LSTM(3)(y, initial_state=[h, c]), h])


ACTIVATIONS = [
    "elu",
    "selu",
    "relu",
    "relu6",
    "linear",
    "sigmoid",
    "softplus",
    "softsign",
    "tanh",
    "softmax",
    "mish",
    "gelu",
    "swish",
    "hard_sigmoid",
]
ZOO: dict[str, Callable[[Any, Any], Any]] = {
    "activations": lambda k, n: stack(k, (4,), *[n.Dense(4, activation=name) for name in ACTIVATIONS]),
    "images": lambda k, n: stack(
        k, IMAGE, n.Rescaling(1 / 3, -1.0), n.Conv2D(4, 3, padding="same", activation="relu"), n.BatchNormalization(),
        n.DepthwiseConv2D(3, depth_multiplier=2), n.SeparableConv2D(5, 2), n.MaxPooling2D(), n.Flatten(), n.Dense(2),
    ),
    "sequences": lambda k, n: stack(k, SEQUENCE, n.Conv1D(4, 2, padding="same"), n.AveragePooling1D(2), n.GlobalAveragePooling1D()),
    "volumes": lambda k, n: stack(k, (4, 4, 4, 2), n.Conv3D(3, 2), n.MaxPooling3D(1), n.Conv3DTranspose(2, 2)),
    "upwards": lambda k, n: stack(
        k, IMAGE, n.Conv2DTranspose(4, 3, strides=2, padding="same"), n.UpSampling2D(2), n.ZeroPadding2D(1), n.Cropping2D(1),
        n.GlobalMaxPooling2D(),
    ),
    "lstm": lambda k, n: stack(
        k, SEQUENCE, n.LSTM(3, return_sequences=True), n.LSTM(2, recurrent_activation="hard_sigmoid", go_backwards=True)
    ),
    "gru": lambda k, n: stack(k, SEQUENCE, n.GRU(3, reset_after=False, return_sequences=True), n.SimpleRNN(2)),
    "both_ways": lambda k, n: stack(
        k, SEQUENCE, n.Bidirectional(n.LSTM(3, return_sequences=True)), n.Bidirectional(n.GRU(2, reset_after=False), merge_mode="sum")
    ),
    "each_time": lambda k, n: stack(k, (3, *SEQUENCE), n.TimeDistributed(n.LSTM(2)), n.TimeDistributed(n.Dense(3)), n.LSTM(2)),
    "cells": lambda k, n: stack(
        k, SEQUENCE, n.RNN([n.LSTMCell(3), n.GRUCell(2, reset_after=False)], return_sequences=True), n.RNN(n.SimpleRNNCell(2))
    ),
    "conv_lstm": lambda k, n: stack(k, (3, 6, 6, 2), n.ConvLSTM2D(2, 2)),
    "masked": lambda k, n: stack(k, (5,), n.Embedding(7, 3, mask_zero=True), n.Dense(2), n.TimeDistributed(n.Dense(2)), n.LSTM(2)),
    "norms": lambda k, n: stack(
        k, SEQUENCE, n.LayerNormalization(), n.PReLU(shared_axes=[1]), n.LeakyReLU(), n.ELU(), n.Softmax(), n.ReLU(max_value=1.0)
    ),
    "shapes": lambda k, n: stack(k, SEQUENCE, n.Reshape((4, 6)), n.Permute((2, 1)), n.Flatten(), n.RepeatVector(2), n.Masking()),
    "training": lambda k, n: stack(
        k, SEQUENCE, n.Dropout(0.5), n.GaussianNoise(0.1), n.GaussianDropout(0.1), n.SpatialDropout1D(0.1), n.BatchNormalization(),
        n.Dense(2, kernel_regularizer="l2", kernel_initializer="lecun_normal", bias_constraint="non_neg"),
    ),
    "branches": lambda k, _: branches(k),
    "nested": lambda k, _: nested(k),
    "shared": lambda k, _: shared(k),
    "states": lambda k, _: states(k),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "negative_slope": (lambda k, n: stack(k, SEQUENCE, n.ReLU(negative_slope=0.1)), "does not know negative_slope"),
    "axis": (lambda k, n: stack(k, (3, 4, 5), n.BatchNormalization(axis=1)), "nothing says that axis 1 is the last one"),
    "keepdims": (lambda k, n: stack(k, IMAGE, n.GlobalAveragePooling2D(keepdims=True)), "does not know keepdims=True"),
    "groups": (lambda k, n: stack(k, (8, 8, 4), n.Conv2D(4, 3, groups=2)), "does not know groups=2"),
    "reset_after": (lambda k, n: stack(k, SEQUENCE, n.GRU(3)), "does not know reset_after=True"),
    "causal": (lambda k, n: stack(k, SEQUENCE, n.Conv1D(4, 2, padding="causal")), "does not do padding='causal'"),
    "bilinear": (lambda k, n: stack(k, IMAGE, n.UpSampling2D(2, interpolation="bilinear")), "does not do interpolation='bilinear'"),
    "class": (lambda k, n: stack(k, (4, 4, 4), n.GroupNormalization(2)), "has no such class"),
    "activation": (lambda k, n: stack(k, SEQUENCE, n.Dense(2, activation="exponential")), "does not know the activation"),
    "backward": (
        lambda k, n: stack(
            k, SEQUENCE, n.Bidirectional(n.LSTM(2), backward_layer=n.LSTM(2, activation="relu", go_backwards=True))
        ),
        "has a configuration of its own",
    ),
    "mask": (lambda k, n: stack(k, (5,), n.Embedding(7, 3, mask_zero=True), n.GlobalAveragePooling1D()), "takes no masks"),
}  # fmt: skip
SAMPLED: dict[str, tuple[list[Any], int]] = {
    "tfjs-4.22.0": ([[[0.3, -1.0, 2.0, 0.1], [1.0, 0.5, -0.5, 0.0]]], 1),
    "tfjs-4.22.0_recurrent": ([[[1, 2, 3, 4, 5], [0, 10, 3, 3, 7]]], 1),
}
"""Files that TensorFlow.js wrote: inputs, and the number of outputs."""
CASES = [pytest.param(framework, name, id=f"{framework}-{name}") for framework in making.FRAMEWORKS for name in ZOO]


def outputs(model: Any, inputs: list[Any]) -> list[Any]:
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(item) for item in (found if isinstance(found, (list, tuple)) else [found])]


def made(framework: str, name: str, folder: Path) -> tuple[Path, list[Any], list[Any]]:
    """A model with random weights, saved; inputs for it, and what it predicts."""
    keras = making.framework(framework)
    keras.backend.clear_session()
    model = ZOO[name](keras, keras.layers) if name in ZOO else REFUSED[name][0](keras, keras.layers)
    random = np.random.default_rng(3)
    values = [
        random.uniform(0.1, 0.9, array.shape) * (np.sign(random.standard_normal(array.shape)) if array.ndim > 1 else 1)
        for array in model.get_weights()
    ]
    model.set_weights([value.astype("float32") for value in values])
    path = folder / f"{framework}-{name}.{'keras' if framework == 'keras' else 'h5'}"
    model.save(path)
    shapes = [(2, *item.shape[1:]) for item in model.inputs]
    inputs = [
        (random.integers(0, 5, shape) if name in ("mask", "masked") else random.standard_normal(shape)).astype("float32")
        for shape in shapes
    ]
    return path, inputs, outputs(model, inputs)


def is_close(found: Any, expected: Any) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max() + 1e-6)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[Any]]]:
    """What TensorFlow.js predicts for each case, and what Keras does."""
    node = shutil.which("node")
    if node is None or not MODULES:
        pytest.skip("KMT_NODE_MODULES names no folder with @tensorflow/tfjs")
    folder = tmp_path_factory.mktemp("judged")
    expected = {}
    for framework in making.FRAMEWORKS:
        for name in ZOO:
            path, inputs, wanted = made(framework, name, folder)
            kmt.convert(path, folder / f"{framework}-{name}.json", to="tfjs-layers")
            fed = [{"values": item.ravel().tolist(), "shape": item.shape} for item in inputs]
            (folder / f"{framework}-{name}.inputs").write_text(json.dumps(fed))
            expected[f"{framework}-{name}"] = wanted
    for name, (inputs, _) in SAMPLED.items():
        document = json.loads((SAMPLES / "tfjs_layers" / f"{name}.json").read_text())
        for shard in document["weightsManifest"][0]["paths"]:
            shutil.copy(SAMPLES / "tfjs_layers" / shard, folder)
        (folder / f"{name}.json").write_text(json.dumps(document))
        (folder / f"{name}.inputs").write_text(
            json.dumps([{"values": np.ravel(item).tolist(), "shape": np.shape(item)} for item in inputs])
        )
        expected[name] = []
    script = Path(__file__).with_name("tensorflow_js.mjs")
    subprocess.run([node, str(script), str(folder), MODULES], check=True, capture_output=True)
    return {name: (json.loads((folder / f"{name}.outputs").read_text()), wanted) for name, wanted in expected.items()}


@pytest.mark.parametrize(("framework", "name"), CASES)
def test_tensorflow_js_predicts_the_same(framework: str, name: str, judged: dict[str, tuple[Any, list[Any]]]) -> None:
    found, expected = judged[f"{framework}-{name}"]
    assert not isinstance(found, str), found
    arrays = [np.array(item["values"]).reshape(item["shape"]) for item in found]
    assert len(arrays) == len(expected)
    assert all(is_close(one, other) for one, other in zip(arrays, expected, strict=True))


@pytest.mark.parametrize(("framework", "name"), CASES)
def test_keras_predicts_the_same_from_what_comes_back(framework: str, name: str, tmp_path: Path) -> None:
    path, inputs, expected = made(framework, name, tmp_path)
    kmt.convert(path, tmp_path / "m.tfjs.json")
    back = tmp_path / f"back{path.suffix}"
    kmt.convert(tmp_path / "m.tfjs.json", back)
    model = making.framework(framework).models.load_model(back)
    assert all(is_close(one, other) for one, other in zip(outputs(model, inputs), expected, strict=True))


@pytest.mark.parametrize("framework", making.FRAMEWORKS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_tensorflow_js_would_do_otherwise_is_refused(name: str, framework: str, tmp_path: Path) -> None:
    path, _, _ = made(framework, name, tmp_path)
    with pytest.raises(kmt.ConversionError, match=REFUSED[name][1]):
        kmt.convert(path, tmp_path / "m.tfjs.json")
    assert not (tmp_path / "m.tfjs.json").exists()
    kmt.convert(path, tmp_path / "m.tfjs.json", weights_only=True)
    assert kmt.digest(tmp_path / "m.tfjs.json") == kmt.digest(path)


@pytest.mark.parametrize("name", SAMPLED)
def test_keras_3_predicts_the_same_for_its_own_files(name: str, judged: dict[str, tuple[Any, list[Any]]], tmp_path: Path) -> None:
    keras = making.framework("keras")
    kmt.convert(SAMPLES / "tfjs_layers" / f"{name}.json", tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    found, _ = judged[name]
    assert not isinstance(found, str), found
    inputs, count = SAMPLED[name]
    assert len(found) == count
    predicted = outputs(model, [np.array(item, "float32") for item in inputs])
    assert all(is_close(np.array(item["values"]).reshape(item["shape"]), one) for item, one in zip(found, predicted, strict=True))
