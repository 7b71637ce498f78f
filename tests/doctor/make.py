"""Writes the models in `tests/doctor/models`, with Keras 3.15.1 on TensorFlow: `python -m tests.doctor.make`.

The bytes are the same on each run of one machine. Each model shows one finding; `clean` is what they all are when nothing is wrong. Those
that Keras itself would not write are edited afterwards, their weights or their `config.json`, and say so.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent / "models"
CONSTANT = (1980, 1, 1, 0, 0, 0)


def data(shape: tuple[int, ...] = (4,)) -> tuple[Any, Any]:
    """Sixteen samples, and a class of three for each."""
    random = np.random.default_rng(5)
    return random.standard_normal((16, *shape)).astype("float32"), random.integers(0, 3, 16)


def network(**options: Any) -> Any:
    """A dense network with normalisation and dropout; `options` put another layer in the place of one."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="inputs")
    x = keras.layers.Dense(16, activation="relu", name="hidden")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.2, name="drop", seed=3)(x, **options)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x), name="network")


def trained(model: Any, metrics: Any = ("sparse_categorical_accuracy",), loss: Any = "sparse_categorical_crossentropy") -> Any:
    """The model after two epochs."""
    model.compile("adam", loss, metrics=list(metrics))
    shape = tuple(model.inputs[0].shape[1:])
    x, y = data(shape)
    model.fit(x, y, epochs=2, verbose=0)
    return model


def sequential(*layers: Any, shape: tuple[int, ...] = (4,)) -> Any:
    """A list of layers, trained."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(3, activation="softmax", name="head")], name="network")


class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A layer whose `get_config` leaves its argument out."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config())


def own_loss(y_true: Any, y_pred: Any) -> Any:
    """A loss of somebody's own."""
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def with_new_head() -> Any:
    """A trained body, and a head that is not."""
    body = trained(network())
    head = keras.layers.Dense(16, activation="softmax", name="new_head")(body.get_layer("drop").output)
    return keras.Model(body.inputs, head, name="network")


def with_values(layer: str, change: Callable[[list[Any]], list[Any]]) -> Any:
    """A trained model with other values in one layer."""
    model = trained(network())
    model.get_layer(layer).set_weights(change(model.get_layer(layer).get_weights()))
    return model


def saved(model: Any, name: str) -> Path:
    """Save a model, with constant dates in archives."""
    path = FOLDER / name
    model.save(path)
    if name.endswith(".keras"):
        edited(path, lambda config: None)
    return path


def edited(path: Path, change: Callable[[Any], None]) -> None:
    """Change the configuration of an archive, which Keras's own dates go from."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    numbered(config, {})
    members["config.json"] = json.dumps(config).encode()
    members["metadata.json"] = json.dumps({"keras_version": keras.__version__, "date_saved": "1980-01-01@00:00:00"}).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(zipfile.ZipInfo(name, CONSTANT), content)


def numbered(node: Any, numbers: dict[int, int]) -> None:
    """Number shared objects, which Keras calls by their addresses."""
    if isinstance(node, dict):
        if "shared_object_id" in node:
            node["shared_object_id"] = numbers.setdefault(node["shared_object_id"], len(numbers) + 1)
        for value in node.values():
            numbered(value, numbers)
    elif isinstance(node, list):
        for value in node:
            numbered(value, numbers)


def layer_of(config: Any, name: str) -> Any:
    """The configuration of a layer of a Functional."""
    return next(item for item in config["config"]["layers"] if item["name"] == name)


def hostile(name: str, change: Callable[[Any], None]) -> None:
    """A model with a configuration that Keras would never write."""
    edited(saved(trained(network()), name), change)


def replaced(config: Any, class_name: str, inner: Any, module: str = "keras.layers", registered: str | None = None) -> None:
    """Put another class in the place of the dropout."""
    item = layer_of(config, "drop")
    item.update(class_name=class_name, config=inner, module=module, registered_name=registered)


def weights() -> None:
    """Models whose weights tell something."""
    saved(trained(network()), "clean.keras")
    saved(trained(network()), "clean.h5")
    trained(network()).save_weights(FOLDER / "clean.weights.h5")
    untrained = network()
    untrained.compile("adam", "sparse_categorical_crossentropy")
    saved(untrained, "untrained.keras")
    untrained.save_weights(FOLDER / "untrained.weights.h5")
    saved(with_new_head(), "new_head.keras")
    saved(with_values("norm", lambda values: [*values[:2], values[2] * 0, values[3] * 0 + 1]), "statistics.keras")
    saved(with_values("head", lambda values: [values[0] * np.nan, values[1]]), "nan.keras")
    saved(with_values("head", lambda values: [values[0] * 1e-40, values[1]]), "denormal.keras")


def settings() -> None:
    """Models whose configuration tells something."""
    saved(trained(network(), ["accuracy"]), "metric.keras")
    saved(trained(network(training=True)), "random.keras")
    keras.config.set_dtype_policy("mixed_float16")
    saved(trained(sequential(keras.layers.Dense(8, name="hidden"))), "mixed.keras")
    keras.config.set_dtype_policy("float16")
    saved(trained(sequential(keras.layers.Dense(8, name="hidden"))), "half.keras")
    keras.config.set_dtype_policy("float32")
    saved(trained(sequential(keras.layers.Normalization(name="scale"))), "not_adapted.keras")
    adapted = keras.layers.Normalization(name="scale")
    adapted.adapt(data()[0])
    saved(trained(sequential(adapted)), "adapted.keras")
    keras.utils.set_random_seed(1)
    inputs = keras.Input(batch_shape=(16, 5, 2), name="inputs")
    x = keras.layers.LSTM(4, stateful=True, name="read")(inputs)
    saved(trained(keras.Model(inputs, keras.layers.Dense(3, name="head")(x), name="network")), "stateful.keras")
    saved(trained(sequential(Scaled(2.0, name="scaled"))), "custom.keras")
    saved(trained(network(), loss=own_loss), "custom_loss.keras")
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2, name="double")], name="inner")
    saved(trained(sequential(inner)), "lambda.keras")
    (FOLDER / "seeds.json").write_text(keras_json(None), encoding="utf-8")
    (FOLDER / "seeds_set.json").write_text(keras_json(7), encoding="utf-8")
    doubles = keras.Sequential([keras.Input((4,)), keras.layers.Flatten(dtype="float64", name="flat")])
    (FOLDER / "float64.json").write_text(doubles.to_json(), encoding="utf-8")
    images = keras.Sequential([keras.Input((3, 8, 8)), keras.layers.ZeroPadding2D(data_format="channels_first", name="pad")])
    (FOLDER / "channels_first.json").write_text(images.to_json(), encoding="utf-8")


def keras_json(seed: int | None) -> str:
    """An architecture with random parts, seeded or not."""
    glorot = keras.initializers.GlorotUniform(seed=seed)
    if seed is None:
        glorot._init_seed = None
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.RandomFlip(seed=seed, name="flip"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Dropout(0.5, seed=seed, name="drop"),
        keras.layers.Dense(3, kernel_initializer=glorot, name="head"),
    ]
    return str(keras.Sequential(layers, name="network").to_json())


def words() -> None:
    """Models with vocabularies."""
    for name, known in (("words.keras", None), ("words_lost.h5", None), ("words_kept.h5", ["a", "b", "c"])):
        lookup = keras.layers.StringLookup(vocabulary=known, output_mode="multi_hot", num_oov_indices=1, name="lookup")
        if known is None:
            lookup.adapt(["a", "b", "c"])
        keras.utils.set_random_seed(1)
        inputs = keras.Input((1,), dtype="string", name="inputs")
        model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="head")(lookup(inputs)), name="network")
        model.get_layer("head").set_weights([np.arange(8.0).reshape(4, 2)])
        saved(model, name)
    for name, salt in (("hashing.keras", None), ("hashing_salted.keras", 11)):
        inputs = keras.Input((1,), dtype="string", name="inputs")
        model = keras.Model(inputs, keras.layers.Hashing(4, salt=salt, name="hash")(inputs), name="network")
        saved(model, name)


def pairs() -> None:
    """Models that differ from `clean` or from each other in one thing."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(4, activation="relu", name=name) for name in ("first", "second")]
    saved(trained(sequential(*layers)), "two_layers.keras")
    keras.utils.set_random_seed(1)
    model = trained(sequential(*(keras.layers.Dense(4, activation="relu", name=name) for name in ("first", "second"))))
    first, second = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.layers[0].set_weights(second)
    model.layers[1].set_weights(first)
    saved(model, "swapped.keras")
    model.layers[0].set_weights([first[0].T, first[1]])
    model.layers[1].set_weights(second)
    saved(model, "transposed.keras")
    again = trained(network())
    x, y = data()
    again.fit(x, y, epochs=1, verbose=0)
    saved(again, "trained_on.keras")


def added() -> None:
    """A model of Keras 2 with a loss and a metric that were added to it."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    inputs = tf_keras.Input((4,), name="inputs")
    hidden = tf_keras.layers.Dense(3, activation="softmax", name="head")(inputs)
    model = tf_keras.Model(inputs, hidden, name="network")
    model.add_loss(tf.reduce_mean(hidden))
    model.add_metric(tf.reduce_mean(hidden), name="mean")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*data(), verbose=0)
    model.save(FOLDER / "added_loss.h5")


def attacks() -> None:
    """Archives with configurations that Keras would not write; none of it is ever loaded."""
    hostile("gadget.keras", lambda config: replaced(config, "function", "get_file", "keras.utils", "function"))
    hostile("system.keras", lambda config: replaced(config, "function", "system", "os", "function"))
    hostile("module.keras", lambda config: replaced(config, "Scaled", {"name": "drop", "factor": 2}, "lab.layers", "lab>Scaled"))
    hostile("torch.keras", lambda config: replaced(config, "TorchModuleWrapper", {"name": "drop", "module": "gAJLAS4="}))
    inner = {"name": "drop", "filepath": "/srv/models/other", "call_endpoint": "serve"}
    hostile("tfsm.keras", lambda config: replaced(config, "TFSMLayer", inner))
    lookup = {"name": "drop", "vocabulary": "/etc/passwd", "max_tokens": None}
    hostile("vocabulary_path.keras", lambda config: replaced(config, "StringLookup", lookup))


def main() -> None:
    """Write all of them."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    FOLDER.mkdir(exist_ok=True)
    weights()
    settings()
    words()
    pairs()
    added()
    attacks()


if __name__ == "__main__":
    main()
