"""What the frameworks make of files that kmodel_tools wrote: they load them, and the models are as good as the original."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import kmodel_tools as kmt
from tests.frameworks import making
from tests.frameworks.zoo import Case

BROKEN_FOR_KERAS = {
    "model-shared_with_nested": "Keras 3 stores a layer that a nested model shares once, and does not find it again",
    "LayerNormalization-two_axes": "a legacy file has no build configuration, without which Keras 3 takes the axes for others",
    "Normalization-scalar": "a legacy file has no build configuration, without which Keras 3 gives the mean a shape",
    "attention-scaled": "Keras 3 takes score_mode='dot' in a legacy file for the function of that name",
}
"""Models that Keras 3 does not load from a file that it wrote itself, in at least one container."""
BROKEN_FOR_TF_KERAS = {
    "RandomFourierFeatures": "tf_keras does not find its own class when it loads",
    "model-shared_with_nested": "a legacy configuration does not say that two layers are one, and they come back as two",
}
"""The same of tf_keras."""
NO_SECOND_TRAINING = {
    "LSTM-dropout": "tf_keras draws another mask in each process step, whatever the seed",
    "RandomFourierFeatures": "tf_keras does not find its own class when it loads",
    "model-subclassed": "nobody loads it whole but by its own code",
}
"""Models whose next losses cannot be compared."""


def reload(keras: Any, case: Case, model: Any, path: str, compiled: bool, whole: str | None) -> Any:
    """The model in a file: loaded whole, or its weights loaded into another copy, from the file `whole` if there is one."""
    if not path.endswith(".weights.h5") and "weights-only" not in path:
        return keras.models.load_model(path, compile=compiled)
    if case.name == "model-subclassed":
        fresh = making.trained(case, keras)
    elif whole is not None:
        fresh = keras.models.load_model(whole)
    else:
        fresh = keras.models.clone_model(model)
        fresh.compile("adam", "mse", run_eagerly=True)
        fresh.optimizer.build(fresh.trainable_variables)
    for variable in fresh.weights:
        variable.assign(np.zeros(variable.shape, np.asarray(variable).dtype))
    fresh.load_weights(path)
    return fresh


def agrees(case: Case, model: Any, other: Any) -> None:
    """Assert that two live models have the same weights, bit by bit, and give the same outputs."""
    assert len(model.weights) == len(other.weights)
    for variable, twin in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), np.asarray(twin), err_msg=variable.name)
    same_outputs(predicted(case, model), predicted(case, other))


def predicted(case: Case, model: Any) -> list[Any]:
    """What a model of the zoo makes of the inputs of its case."""
    fed = making.inputs_of(case)
    return [np.asarray(output) for output in _outputs(model(fed if len(fed) > 1 else fed[0], training=False))]


def same_outputs(one: list[Any], other: list[Any]) -> None:
    """Assert that two models gave the same, bit by bit."""
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def zero(variables: list[Any]) -> None:
    """Make variables zero."""
    for variable in variables:
        variable.assign(np.zeros(variable.shape, np.asarray(variable).dtype))


def state_of(model: Any) -> list[Any]:
    """The variables of a compiled model's optimizer."""
    variables = model.optimizer.variables
    return list(variables() if callable(variables) and not isinstance(variables, list) else variables)


def same_state(model: Any, other: Any) -> None:
    """Assert that the optimizers of two compiled models have the same state, bit by bit."""
    variables, twins = model.optimizer.variables, other.optimizer.variables
    variables = variables() if callable(variables) else variables
    twins = twins() if callable(twins) else twins
    assert len(variables) == len(twins)
    for variable, twin in zip(variables, twins, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), np.asarray(twin), err_msg=variable.name)


def next_losses(keras: Any, case: Case, path: str, steps: int = 2) -> list[float]:
    """The losses of the next steps of training of the model in a file, from a fixed seed."""
    keras.utils.set_random_seed(11)
    model = keras.models.load_model(path)
    fed = making.inputs_of(case, seed=5)
    given = fed if len(fed) > 1 else fed[0]
    targets = [np.zeros(np.asarray(output).shape, "float32") for output in _outputs(model(given))]
    losses = []
    for _ in range(steps):
        found = model.train_on_batch(given, targets if len(targets) > 1 else targets[0])
        losses.append(float(np.asarray(found).ravel()[0]))
    return losses


def written_twice(source: str, destination: str, **options: Any) -> None:
    """Convert, twice: the bytes must be the same, and the digest of the values that of the source."""
    kmt.convert(source, destination, overwrite=True, **options)
    with open(destination, "rb") as file:
        first = file.read()
    os.unlink(destination)
    kmt.convert(source, destination, **options)
    with open(destination, "rb") as file:
        assert file.read() == first, "the same tree gave other bytes"
    source_model = kmt.read(source)
    if not source_model.aliases() or not destination.endswith(".h5"):  # a legacy file has a layer shared with a nested model twice
        assert kmt.digest(destination).values == kmt.digest(source_model).values


def _outputs(found: Any) -> list[Any]:
    return list(found) if isinstance(found, (list, tuple)) else [found]
