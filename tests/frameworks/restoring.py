"""What TensorFlow makes of checkpoints that kmodel_tools wrote: live models restore them, and nothing is left over."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def restores(model: Any, prefix: str, root: str) -> None:
    """Assert that a live model gets all of its weights and its optimizer's state back from a checkpoint; it ends as it was."""
    import tensorflow as tf

    variables = _variables(model)
    before = [np.asarray(variable) for variable in variables]
    for variable, value in zip(variables, before, strict=True):
        variable.assign(np.zeros_like(value))
    try:
        status = model.load_weights(prefix) if root == "model" else tf.train.Checkpoint(model=model).restore(prefix)
        status.assert_consumed()
        status.assert_existing_objects_matched()
        status.assert_nontrivial_match()
        for variable, value in zip(variables, before, strict=True):
            np.testing.assert_array_equal(np.asarray(variable), value, err_msg=variable.name)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _variables(model: Any) -> list[Any]:
    state = model.optimizer.variables
    return [*model.weights, *(state() if callable(state) else state)]


def lists_the_same(prefix: str, original: str) -> None:
    """Assert that TensorFlow lists the same names, shapes, dtypes and values in two checkpoints."""
    import tensorflow as tf

    ours, theirs = tf.train.load_checkpoint(prefix), tf.train.load_checkpoint(original)
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    assert ours.get_variable_to_dtype_map() == theirs.get_variable_to_dtype_map()
    for key in theirs.get_variable_to_shape_map():
        if key != "_CHECKPOINTABLE_OBJECT_GRAPH":
            assert _bytes(ours.get_tensor(key)) == _bytes(theirs.get_tensor(key)), key


def _bytes(value: npt.NDArray[Any] | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.tobytes()
