"""Building, training and saving the models of the zoo with the real frameworks."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

from tests import exceptions
from tests.frameworks.zoo import KERAS_3, MODELS, SHARED, TF_KERAS, Case

FRAMEWORKS = ("keras", "tf_keras")
CASES = [(name, case) for name in FRAMEWORKS for case in (*SHARED, *(KERAS_3 if name == "keras" else TF_KERAS), *MODELS)]


def framework(name: str) -> Any:
    """Keras 3 or tf_keras, with TensorFlow told to keep quiet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module(name)


def inputs_of(case: Case, seed: int = 0) -> list[Any]:
    """Four samples for each input of a case."""
    random = np.random.default_rng(seed)
    if case.integers:
        return [random.integers(0, 9, (4, *shape)).astype("int32") for shape in case.inputs]
    return [random.standard_normal((4, *shape)).astype("float32") for shape in case.inputs]


def trained(case: Case, keras: Any, optimizer: Any = "adam") -> Any:
    """The model of a case, compiled, after one step of training."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    model = case.build(keras)
    inputs = inputs_of(case)
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.adapt(inputs[0])
    model.compile(optimizer, "mse", run_eagerly=True)
    fed = inputs if len(inputs) > 1 else inputs[0]
    outputs = model(fed)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    targets = [np.zeros(output.shape, "float32") for output in outputs]
    model.train_on_batch(fed, targets if len(targets) > 1 else targets[0])
    return model


def saved(model: Any, name: str, folder: str, whole_h5: bool = True) -> dict[str, tuple[str, str]]:
    """Save a model in every container that its framework can write.

    Returns:
        For each file, a label: its path and the container, as the table of exceptions calls it.
    """
    import tensorflow as tf

    made: dict[str, tuple[str, str]] = {}

    def path(file: str, label: str, container: str) -> str:
        made[label] = (os.path.join(folder, file), container)
        return made[label][0]

    model.save(path("m.keras", "archive", exceptions.ARCHIVE))
    if whole_h5:
        model.save(path("m.h5", "h5", exceptions.H5_WHOLE))
    model.save_weights(path("m.weights.h5", "weights", exceptions.WEIGHTS))
    if name == "keras":
        largest = max(variable.numpy().nbytes for variable in (*model.variables, *model.optimizer.variables))
        model.save_weights(path("s.weights.json", "sharded weights", exceptions.WEIGHTS), max_shard_size=(largest + 2048) / 1024**3)
        model.save(path("folder", "directory", exceptions.ARCHIVE), zipped=False)
        model.export(path("exported", "export", exceptions.EXPORT), verbose=False)
        checkpoint = exceptions.CHECKPOINT_3
    else:
        model.save_weights(path("w.h5", "h5 weights", exceptions.H5_WEIGHTS))
        model.save_weights(path("bare", "saved weights", exceptions.CHECKPOINT_2))
        model.save(path("saved", "SavedModel", exceptions.SAVED_MODEL), save_format="tf")
        path("saved/variables/variables.index", "variables of a SavedModel", exceptions.CHECKPOINT_2)
        checkpoint = exceptions.CHECKPOINT_2
    tf.train.Checkpoint(model=model).save(os.path.join(folder, "ck"))
    path("ck-1", "checkpoint", checkpoint)
    return made
