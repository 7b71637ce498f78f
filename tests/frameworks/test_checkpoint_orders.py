"""What a checkpoint counts: where the source does not tell it, nothing is written that restores other layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.frameworks import making, restoring

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def keras() -> Any:
    """tf_keras, with nothing left of other models."""
    module = making.framework("tf_keras")
    module.backend.clear_session()
    return module


def _distinct(model: Any) -> Any:
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, number + 1, variable.dtype.as_numpy_dtype))
    return model


def _frozen_inside(keras: Any) -> Any:
    dense = keras.layers.Dense
    inner = keras.Sequential([keras.Input((3,)), dense(3, name="p", trainable=False), dense(3, name="q"), dense(3, name="r")], name="inner")
    return _distinct(keras.Sequential([keras.Input((3,)), inner, dense(3, name="z")]))


def test_a_legacy_file_of_weights_does_not_tell_the_order_of_nested_layers(keras: Any, tmp_path: Path) -> None:
    model = _frozen_inside(keras)
    model.save_weights(tmp_path / "w.h5")
    model.save_weights(tmp_path / "theirs")
    model.save(tmp_path / "m.h5")
    with pytest.raises(kmt.ConversionError, match="does not tell that of nested layers"):
        kmt.convert(tmp_path / "w.h5", tmp_path / "ck", to="tf-checkpoint")
    with pytest.raises(kmt.ConversionError, match="does not tell the order of nested layers"):
        kmt.convert(tmp_path / "theirs", tmp_path / "o.h5", like=tmp_path / "w.h5")
    kmt.convert(tmp_path / "w.h5", tmp_path / "ck", to="tf-checkpoint", like=tmp_path / "m.h5")
    before = [variable.numpy() for variable in model.weights]
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    model.load_weights(tmp_path / "ck").assert_consumed()
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_attributes_are_not_paired_by_position(keras: Any, tmp_path: Path) -> None:
    class Block(keras.layers.Layer):  # type: ignore[misc]  # the framework has no types
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense_1, self.dense_2 = keras.layers.Dense(3), keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.dense_2(self.dense_1(inputs))

    model = _distinct(keras.Sequential([keras.Input((3,)), Block(), keras.layers.Dense(3)]))
    model.save_weights(tmp_path / "theirs")
    model.save_weights(tmp_path / "s.weights.h5")
    with pytest.raises(kmt.ConversionError, match="the two models do not have the same weights"):
        kmt.convert(tmp_path / "theirs", tmp_path / "o.weights.h5", like=tmp_path / "s.weights.h5")


def test_vocabularies_count_among_the_layers_with_weights(keras: Any, tmp_path: Path) -> None:
    lookup = keras.layers.StringLookup()
    lookup.adapt(tf.constant(["a", "b"]))
    inputs = keras.Input((1,), dtype="string")
    outputs = keras.layers.Dense(2, name="d")(keras.layers.Flatten()(keras.layers.Embedding(4, 2, name="e")(lookup(inputs))))
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "w.weights.h5")
    model.save_weights(tmp_path / "theirs")
    for source in ("m.keras", "w.weights.h5", "theirs"):
        with pytest.raises(kmt.ConversionError, match="among the layers with weights"):
            kmt.convert(tmp_path / source, tmp_path / "ck", to="tf-checkpoint", lossy=True)


def test_somebodys_own_layer_without_a_name_keeps_its_place(tmp_path: Path) -> None:
    keras = making.framework("keras")
    keras.backend.clear_session()

    class Own(keras.layers.Layer):  # type: ignore[misc,name-defined]  # the framework has no types
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.d = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.d(inputs)

    model = keras.Sequential([keras.Input((3,)), Own(name="first"), keras.layers.Dense(3, name="second"), Own(name="third")])
    model.save(tmp_path / "m.keras")
    assert [layer.name for layer in kmt.read(tmp_path / "m.keras").layers] == ["first", "second", "third"]


def test_sub_layers_of_custom_layers_are_refused_from_a_legacy_file(keras: Any, tmp_path: Path) -> None:
    class Own(keras.layers.Layer):  # type: ignore[misc]  # the framework has no types
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.u, self.v = keras.layers.Dense(3, name="u"), keras.layers.Dense(3, name="v")

        def call(self, inputs: Any) -> Any:
            return self.v(self.u(inputs))

    model = keras.Sequential([keras.Input((3,)), Own(name="b"), keras.layers.Dense(3, name="z")])
    model.save(tmp_path / "m.h5")
    with pytest.raises(kmt.ConversionError, match="which attribute of b holds the layer u is not in the source"):
        kmt.convert(tmp_path / "m.h5", tmp_path / "ck", to="tf-checkpoint")


@pytest.mark.parametrize("name", ["tf_keras", "keras"])
def test_state_goes_to_the_weights_that_it_belongs_to_or_nowhere(name: str, tmp_path: Path) -> None:
    module = making.framework(name)

    def model(frozen: str) -> Any:
        module.backend.clear_session()
        made = module.Sequential([module.Input((3,)), module.layers.Dense(3, name="a"), module.layers.Dense(3, name="b")])
        made.get_layer(frozen).trainable = False
        made.compile("adam", "mse")
        made.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
        return made

    suffix = "keras" if name == "keras" else "h5"
    tf.train.Checkpoint(model=model("a")).write(str(tmp_path / "theirs"))
    model("b").save(tmp_path / f"like.{suffix}")
    with pytest.raises(kmt.ConversionError, match="a/kernel is trained and has none"):
        kmt.convert(tmp_path / "theirs", tmp_path / f"o.{suffix}", like=tmp_path / f"like.{suffix}")
    model("a").save(tmp_path / f"like.{suffix}")
    report = kmt.convert(tmp_path / "theirs", tmp_path / f"o.{suffix}", like=tmp_path / f"like.{suffix}")
    assert any("4 arrays for weights" in line for line in report.carried)


def test_a_root_of_somebodys_own_keeps_its_names(keras: Any, tmp_path: Path) -> None:
    model = _distinct(keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="a")]))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
    step = tf.Variable(5, dtype="int64")
    root = tf.train.Checkpoint(net=model, opt=model.optimizer, step=step)
    root.save(tmp_path / "theirs")
    kmt.convert(tmp_path / "theirs-1", tmp_path / "ours", to="tf-checkpoint")
    restoring.lists_the_same(str(tmp_path / "ours"), str(tmp_path / "theirs-1"))
    before = [variable.numpy() for variable in model.weights]
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    root.restore(str(tmp_path / "ours")).assert_consumed()
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_the_same_name_in_a_nested_model_is_not_the_same_variable(tmp_path: Path) -> None:
    keras = making.framework("keras")
    keras.backend.clear_session()
    inputs = keras.Input((3,))
    inner = keras.Model(inputs, keras.layers.Dense(3, name="x")(inputs), name="ff")
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(3, name="x")], name="sequential")
    model.compile("adam", keras.losses.MeanSquaredError())
    model.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
    model.save(tmp_path / "m.h5")
    tree = kmt.read(tmp_path / "m.h5")
    assert tree.optimizer is not None
    live = {
        np.asarray(variable).tobytes(): np.asarray(state).tobytes()
        for variable, state in zip(model.trainable_variables, model.optimizer._momentums, strict=True)
    }
    for slot in tree.optimizer.slots:
        if slot.name == "momentum":
            assert live[slot.weight.tensor.read().tobytes()] == slot.tensor.read().tobytes()
