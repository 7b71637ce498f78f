"""Operations of TensorFlow that tf_keras writes as layers, carried to Keras 3: they load in safe mode and compute the same."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.frameworks import making
from tests.frameworks.operating import assert_same, computed, fed, inputs_of, keras_3_computes
from tests.frameworks.zoo_operations import REFUSED, THEMES, Form

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]


IMAGE = (5, 6, 4)


def model_of(forms: list[Form]) -> Any:
    """A model with all inputs and an output for each tensor of each form."""
    import tensorflow as tf

    keras = making.framework("tf_keras")
    keras.backend.clear_session()
    inputs = inputs_of(keras, IMAGE)
    t = SimpleNamespace(tf=tf, keras=keras, **vars(inputs))
    outputs = [item for form in forms for item in tf.nest.flatten(form(t)) if keras.backend.is_keras_tensor(item)]
    return keras.Model(vars(inputs), outputs)


@pytest.mark.parametrize("theme", THEMES)
def test_every_form_computes_the_same_in_keras_3(theme: str, tmp_path: Path) -> None:
    model, inputs = model_of(list(THEMES[theme])), fed(IMAGE)
    wanted = computed(model, inputs)
    source, destination = os.fspath(tmp_path / "m.h5"), os.fspath(tmp_path / "new.keras")
    model.save(source)
    kmt.convert(source, destination)
    assert_same(wanted, keras_3_computes(destination, inputs))


@pytest.mark.parametrize("why", REFUSED)
def test_what_keras_3_cannot_do_is_named(why: str, tmp_path: Path) -> None:
    source = os.fspath(tmp_path / "m.h5")
    model_of([REFUSED[why]]).save(source)
    for lossy in (False, True):
        with pytest.raises(kmt.ConversionError, match=rf"the layer tf\.\S+ \(\w+\) is the operation .*{why}"):
            kmt.convert(source, tmp_path / "new.keras", lossy=lossy)


def nested(keras: Any, tf: Any) -> Any:
    """A model with operations inside of another, called twice, and one without whose sizes are asked for."""
    inside = keras.Input((8, 8, 3), name="inside")
    gate = keras.layers.Conv2D(3, 1, activation="sigmoid")(tf.reduce_mean(inside, [1, 2], keepdims=True))
    inner = keras.Model(inside, [inside * gate, tf.shape(inside)[0]], name="inner")
    image = keras.Input((8, 8, 3), name="image")
    scaled, _ = inner(inner(image)[0] + 1.0)
    row = keras.Sequential([keras.layers.Conv2D(4, 3, strides=2), keras.layers.BatchNormalization()], name="row")
    found = row(scaled)
    size = tf.shape(found)
    return keras.Model(image, keras.layers.Dense(2)(tf.reshape(found, [size[0], size[1] * size[2], size[3]])))


def attention(keras: Any, tf: Any) -> Any:
    """Attention by hand on sequences of any length, with a causal mask and embedded places."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    length = tf.shape(tokens)[1]
    x = keras.layers.Embedding(9, 8, mask_zero=True)(tokens) + keras.layers.Embedding(16, 8)(tf.range(length))

    def heads(tensor: Any) -> Any:
        return tf.transpose(tf.reshape(keras.layers.Dense(8)(tensor), (tf.shape(tensor)[0], -1, 2, 4)), [0, 2, 1, 3])

    q, k, v = heads(x), heads(x), heads(x)
    scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(tf.cast(tf.shape(k)[-1], tf.float32))
    scores += (1.0 - tf.linalg.band_part(tf.ones((length, length)), -1, 0)) * -1e9
    mixed = tf.reshape(tf.transpose(tf.matmul(tf.nn.softmax(scores), v), [0, 2, 1, 3]), (tf.shape(x)[0], -1, 8))
    return keras.Model(tokens, keras.layers.LSTM(3)(keras.layers.LayerNormalization()(x + mixed)))


def mobile(keras: Any, tf: Any) -> Any:
    """MobileNetV3, whose every activation is three operations."""
    return keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=5)


WHOLE = [(build, name) for build in (nested, attention) for name in ("m.h5", "m.keras", "saved")]
WHOLE += [(mobile, "m.h5"), (mobile, "m.keras")]


@pytest.mark.parametrize(("build", "name"), WHOLE)
def test_whole_models_predict_the_same(build: Any, name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    keras = making.framework("tf_keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    model = build(keras, tf)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(weight + tf.cast(random.uniform(0.0, 0.1, weight.shape), weight.dtype))
    shape = model.inputs[0].shape[1:]
    x = random.integers(0, 9, (3, 7)).astype("int32") if len(shape) == 1 else random.uniform(0, 255, (3, *shape)).astype("float32")
    wanted = computed(model, x)
    source = os.fspath(tmp_path / name)
    model.save(source, **({"save_format": "tf"} if name == "saved" else {}))
    kmt.convert(source, tmp_path / "new.keras")
    loaded = making.framework("keras").models.load_model(tmp_path / "new.keras")
    assert_same(wanted, computed(loaded, x))
    loaded.save(tmp_path / "again.keras")
    assert_same(wanted, keras_3_computes(tmp_path / "again.keras", x))
