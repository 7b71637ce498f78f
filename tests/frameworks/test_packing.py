"""What is taken out of a model, and what is put together, as Keras and tf_keras load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.architecture.envelope import without_ids
from tests.frameworks.making import framework

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]
FRAMEWORKS = ["keras", "tf_keras"]


def _model(name: str) -> Any:
    """Nested, shared, recurrent, normalized; compiled, with values that no initializer gives."""
    keras = framework(name)
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu"), layers.BatchNormalization()], name="inner")
    entry = keras.Input((5, 3), name="entry")
    sequence = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(entry)
    shared = layers.TimeDistributed(inner, name="each")(sequence)
    cells = layers.RNN([layers.GRUCell(4), layers.LSTMCell(4)], name="cells")(shared)
    ends = layers.Concatenate(name="join")([cells, layers.GlobalMaxPooling1D(name="pool")(shared)])
    model = keras.Model(entry, layers.Dense(2, name="head")(ends), name="whole")
    random = np.random.default_rng(4)
    model.set_weights([random.uniform(0.1, 0.9, value.shape).astype(value.dtype) for value in model.get_weights()])
    model.compile("adam", "mean_squared_error")
    return model


COMPILED: list[Any] = [
    lambda K: {"loss": "mse", "metrics": [["mae"], ["acc"]], "weighted_metrics": {"a": ["MSE"]}},
    lambda K: {"loss": {"a": "KLD", "b": "bce"}, "metrics": {"b": ["acc", "msle"]}},
    lambda K: {"loss": ["mape", K.losses.Huber()], "loss_weights": [1.0, 0.5]},
    lambda K: {"loss": K.losses.mean_squared_error, "metrics": [[K.metrics.mean_absolute_error], [K.metrics.BinaryAccuracy()]]},
    lambda K: {"loss": [_own_loss, "mse"], "metrics": [[_own_loss], None]},
]


def _own_loss(wanted: Any, given: Any) -> Any:
    return (wanted - given) ** 2


@pytest.mark.parametrize("compiled", COMPILED)
def test_what_a_model_was_compiled_with_in_a_legacy_file_of_keras_3(compiled: Any, tmp_path: Path) -> None:
    keras = framework("keras")
    entry = keras.Input((3,))
    ends = [keras.layers.Dense(2, activation="softmax", name=name)(entry) for name in ("a", "b")]
    model = keras.Model(entry, ends)
    model.compile("sgd", **compiled(keras))
    inputs, targets = np.ones((4, 3), "float32"), [np.eye(2, dtype="float32")[[0, 1, 1, 0]]] * 2
    wanted = model.evaluate(inputs, targets, verbose=0)
    model.save(tmp_path / "m.keras")
    kmt.convert(tmp_path / "m.keras", tmp_path / "m.h5", target="keras3")
    loaded = keras.saving.load_model(tmp_path / "m.h5", custom_objects={"_own_loss": _own_loss})
    # Metrics are called by their full names in any legacy file, and stand in the order of these.
    np.testing.assert_allclose(sorted(loaded.evaluate(inputs, targets, verbose=0)), sorted(wanted), rtol=1e-5)


def _same(model: Any, other: Any) -> None:
    inputs = np.random.default_rng(5).standard_normal((3, 5, 3)).astype("float32")
    np.testing.assert_array_equal(np.asarray(model(inputs)), np.asarray(other(inputs)))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_architecture_that_is_taken_out_is_a_model_with_its_weights(name: str, suffix: str, tmp_path: Path) -> None:
    keras, model = framework(name), _model(name)
    model.save(tmp_path / f"m{suffix}")
    model.save_weights(tmp_path / "w.weights.h5")
    kmt.convert(tmp_path / f"m{suffix}", tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text()
    if suffix == ".keras":  # legacy files spell objects without their modules; and archives alone mark those that may be shared
        assert without_ids(json.loads(text)) == json.loads(model.to_json())
    loaded = keras.models.model_from_json(text)
    loaded.load_weights(tmp_path / "w.weights.h5")
    _same(loaded, model)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_architecture_and_weights_are_a_model_that_loads(name: str, suffix: str, tmp_path: Path) -> None:
    """For `.keras`, a model of Keras 2 is carried to Keras 3."""
    model = _model(name)
    (tmp_path / "m.json").write_text(model.to_json())
    model.save_weights(tmp_path / "w.weights.h5")
    kmt.convert(tmp_path / "w.weights.h5", tmp_path / f"m{suffix}", like=tmp_path / "m.json", optimizer=False)
    loads = framework("keras" if suffix == ".keras" else name)
    loaded = loads.models.load_model(tmp_path / f"m{suffix}", compile=suffix == ".keras")
    inputs = np.random.default_rng(5).standard_normal((3, 5, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(loaded(inputs)), np.asarray(model(inputs)), rtol=1e-5, atol=1e-6)
    assert (getattr(loaded, "optimizer", None) is not None) == (name == "keras" and suffix == ".keras")


def test_an_architecture_of_one_generation_is_taken_out_for_the_other(tmp_path: Path) -> None:
    model = _model("tf_keras")
    model.save(tmp_path / "m.h5")
    kmt.convert(tmp_path / "m.h5", tmp_path / "m.json", target="keras3")
    kmt.convert(tmp_path / "m.h5", tmp_path / "m.weights.h5", target="keras3", optimizer=False)
    loaded = framework("keras").models.model_from_json((tmp_path / "m.json").read_text())
    loaded.load_weights(tmp_path / "m.weights.h5")
    inputs = np.random.default_rng(5).standard_normal((3, 5, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(loaded(inputs)), np.asarray(model(inputs)), rtol=1e-5, atol=1e-6)
