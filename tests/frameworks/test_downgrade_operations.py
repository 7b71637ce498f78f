"""Operations of Keras 3 carried back to layers of TensorFlow's operations: tf_keras loads them and computes the same, and so does Keras 3
when they are carried up again."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.architecture.operation_modules import MODULES
from tests.frameworks import making
from tests.frameworks.operating import assert_same, computed, fed, inputs_of, keras_3_computes
from tests.frameworks.zoo_keras_operations import REFUSED, THEMES, Form

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

IMAGE = (6, 8, 4)
NO_WAY_UP = {"neural": "convolves by a kernel whose shape is not known"}
"""Themes with a form that Keras 2 loads and that is not carried up again."""


def model_of(forms: list[Form]) -> Any:
    """A model with all inputs and an output for each tensor of each form."""
    keras = making.framework("keras")
    keras.utils.clear_session()
    inputs = inputs_of(keras, IMAGE)
    t = SimpleNamespace(ops=keras.ops, keras=keras, **vars(inputs))
    return keras.Model(vars(inputs), [item for form in forms for item in keras.tree.flatten(form(t))])


def loaded_by_keras_2(path: Path) -> Any:
    keras = making.framework("tf_keras")
    keras.backend.clear_session()
    return keras.models.load_model(os.fspath(path), compile=False)


@pytest.mark.parametrize("theme", THEMES)
def test_every_form_computes_the_same_in_keras_2_and_back_in_keras_3(theme: str, tmp_path: Path) -> None:
    inputs = fed(IMAGE)
    model_of(list(THEMES[theme])).save(tmp_path / "m.keras")
    wanted = keras_3_computes(tmp_path / "m.keras", inputs)
    kmt.convert(tmp_path / "m.keras", tmp_path / "m.h5", target="keras2")
    assert_same(wanted, computed(loaded_by_keras_2(tmp_path / "m.h5"), inputs))
    if theme in NO_WAY_UP:
        with pytest.raises(kmt.ConversionError, match=NO_WAY_UP[theme]):
            kmt.convert(tmp_path / "m.h5", tmp_path / "again.keras")
        return
    kmt.convert(tmp_path / "m.h5", tmp_path / "again.keras")
    assert_same(wanted, keras_3_computes(tmp_path / "again.keras", inputs))


@pytest.mark.parametrize("why", REFUSED)
def test_what_keras_2_cannot_do_is_named(why: str, tmp_path: Path) -> None:
    model_of([REFUSED[why]]).save(tmp_path / "m.keras")
    with pytest.raises(kmt.ConversionError, match=rf"the layer \S+ \(\w+\) is an operation of Keras 3, which .*{why}"):
        kmt.convert(tmp_path / "m.keras", tmp_path / "m.h5", target="keras2")


def gated(keras: Any) -> Any:
    """A model with operations inside of another that is called twice, with weights around them."""
    inside = keras.Input((8, 8, 3), name="inside")
    gate = keras.layers.Conv2D(3, 1, activation="sigmoid")(keras.ops.mean(inside, (1, 2), keepdims=True))
    inner = keras.Model(inside, [inside * gate, keras.ops.max(gate, axis=-1)], name="inner")
    image = keras.Input((8, 8, 3), name="image")
    scaled, largest = inner(inner(image)[0] + 1.0)
    flat = keras.ops.reshape(keras.layers.Conv2D(4, 3)(scaled), (-1, 144))
    return keras.Model(image, keras.layers.Dense(2)(flat) - keras.ops.reshape(largest, (-1, 1)))


def attention(keras: Any) -> Any:
    """Attention by hand on sequences of any length, of which the embedded ones have a mask."""
    ops = keras.ops
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(9, 8, mask_zero=True)(tokens)
    y = ops.expand_dims(ops.cast(tokens, "float32"), -1) * 0.1 + x
    scores = ops.softmax(ops.matmul(keras.layers.Dense(8)(y), ops.swapaxes(y, 1, 2)) / 8**0.5)
    mixed = ops.concatenate([ops.einsum("bqk,bkd->bqd", scores, y), y], axis=-1)
    return keras.Model(tokens, [keras.layers.LSTM(3)(mixed), keras.layers.LSTM(3)(x)])


@pytest.mark.parametrize("build", [gated, attention])
def test_whole_models_predict_the_same(build: Any, tmp_path: Path) -> None:
    keras = making.framework("keras")
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    model = build(keras)
    random = np.random.default_rng(0)
    shape = model.inputs[0].shape[1:]
    x = random.integers(0, 9, (3, 7)).astype("int32") if len(shape) == 1 else random.uniform(0, 1, (3, *shape)).astype("float32")
    wanted = computed(model, x)
    model.save(tmp_path / "m.keras")
    kmt.convert(tmp_path / "m.keras", tmp_path / "m.h5", target="keras2")
    assert_same(wanted, computed(loaded_by_keras_2(tmp_path / "m.h5"), x))
    kmt.convert(tmp_path / "m.h5", tmp_path / "again.keras")
    assert_same(wanted, keras_3_computes(tmp_path / "again.keras", x))


def test_operations_of_a_legacy_file_are_known_though_it_does_not_say_their_modules(tmp_path: Path) -> None:
    """Keras 3 does not load its own file: `Unknown layer: 'NotEqual'`, and `too many positional arguments` of an Add."""
    keras = making.framework("keras")
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    model = attention(keras)
    x = np.random.default_rng(0).integers(0, 9, (3, 7)).astype("int32")
    wanted = computed(model, x)
    model.save(tmp_path / "m.h5")
    kmt.convert(tmp_path / "m.h5", tmp_path / "m.keras")
    assert_same(wanted, keras_3_computes(tmp_path / "m.keras", x))
    kmt.convert(tmp_path / "m.h5", tmp_path / "old.h5", target="keras2")
    assert_same(wanted, computed(loaded_by_keras_2(tmp_path / "old.h5"), x))


def test_every_operation_of_keras_3_is_in_the_table() -> None:
    operation = importlib.import_module("keras.src.ops.operation").Operation
    missing = []
    for name in sorted(set(MODULES.values())):
        found = [kind for kind in vars(importlib.import_module(name)).values() if isinstance(kind, type) and issubclass(kind, operation)]
        missing += [kind.__name__ for kind in found if kind.__module__ == name and MODULES.get(kind.__name__) != name]
    assert set(missing) <= {"ReductionOp", "SegmentReduction"}  # what others are made from
