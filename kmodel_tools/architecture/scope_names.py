"""What the names of TensorFlow 1 variables say about Keras's roles, by names and shapes alone.

Two families of layers wrote most name-based checkpoints (names checked with TensorFlow 1.15.5)::

    tf.layers, tf.keras            dense/kernel  dense/bias           Keras's own roles
    tf.contrib.layers (slim)       fc1/weights   fc1/biases           the same arrays under other names
                                   sep/depthwise_weights  sep/pointwise_weights
                                   conv1/BatchNorm/beta …             a layer below the one that it normalises
    tf.nn.rnn_cell                 rnn/lstm_cell/kernel               other arrays under Keras's names

A role is translated where siblings and shapes leave one answer, else the file's own name stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kmodel_tools.tensor import Shape
from kmodel_tools.tree import Path

_KERNELS = {"weights": "kernel", "depthwise_weights": "depthwise_kernel", "pointwise_weights": "pointwise_kernel"}
"""`tf.contrib.layers` renames the variables of `tf.layers` (contrib/layers/python/layers/layers.py, `_build_variable_getter`)."""

_MATRIX, _LARGEST = 2, 5
"""Ranks of a Dense layer's kernel and of a Conv3D layer's."""

JOINED_CELLS = (
    "of TensorFlow 1 recurrent cells, which join what Keras keeps apart, in another order of gates: they are no weights of a Keras layer"
)
"""What there is to say of arrays that `joined_cell` tells."""

_CELL = re.compile(
    r"(?:^|_)(?:rnn|lstm|gru|ugrnn|nas)(?:_[a-z]+)*_cell(?:_v2)?(?:_\d+)?$|^(?:Basic|Layer\w*|Coupled\w*)?(?:RNN|LSTM|GRU)Cell$"
)
_LONGEST_NAME = 200
"""Characters of a scope that is looked at; a forged one may be of any length."""
_JOINED = frozenset({"kernel", "bias", "weights", "biases", "Matrix", "Bias"})

ROLE_ORDER = (
    *("depthwise_kernel", "pointwise_kernel", "kernel", "recurrent_kernel", "bias"),
    *("gamma", "beta", "moving_mean", "moving_variance"),
)
"""Keras's order of the roles that a scope is likely to hold."""


def keras_roles(shapes: Mapping[str, Shape], normalised: Shape | None = None) -> dict[str, str]:
    """Keras's roles of the variables of one scope.

    Args:
        shapes: Shape by the file's own name of each variable of the scope.
        normalised: Shape of the arrays of a `BatchNorm` or `LayerNorm` scope right below, or None.

    Returns:
        The role for each name; the name itself where there is no other, or not one answer only.
    """
    found = {name: name for name in shapes}
    separable = any(name.startswith("pointwise_") for name in shapes)
    for name, shape in shapes.items():
        role = _KERNELS.get(name, name)
        if role == "depthwise_kernel" and not separable:
            role = "kernel"  # DepthwiseConv2D; in Keras 3 its role is that of any convolution
        if role != name and role not in shapes and _is_kernel(name, shape, shapes.get("biases"), normalised):
            found[name] = role
    if "biases" in shapes and "bias" not in shapes and any(_fits(shapes["biases"], name, shapes[name]) for name in _kernels(found)):
        found["biases"] = "bias"
    return found


def _is_kernel(name: str, shape: Shape, biases: Shape | None, normalised: Shape | None) -> bool:
    """Whether a kernel is all that an array can be; a matrix without a partner may as well be an embedding."""
    if name != "weights":
        return _MATRIX < len(shape) <= _LARGEST
    if len(shape) == _MATRIX:
        return any(partner == shape[-1:] for partner in (biases, normalised))
    return _MATRIX < len(shape) <= _LARGEST


def _kernels(roles: Mapping[str, str]) -> list[str]:
    return [name for name, role in roles.items() if role in _KERNELS.values()]


def _fits(bias: Shape, name: str, kernel: Shape) -> bool:
    """Whether a bias has as many elements as a kernel has outputs: the last axis, in a transposed convolution the one before."""
    if len(kernel) < _MATRIX or len(bias) != 1:
        return False
    outputs = {kernel[-1], kernel[-2]} if len(kernel) > _MATRIX else {kernel[-1]}
    return bias[0] in outputs or (name.startswith("depthwise") and bias[0] == kernel[-1] * kernel[-2])


def is_cell(scope: str) -> bool:
    """Whether a scope is called as a recurrent cell of TensorFlow 1 is; one of Keras may be too."""
    return len(scope) <= _LONGEST_NAME and _CELL.search(scope) is not None


def joined_cell(path: Path, siblings: Mapping[Path, object]) -> bool:
    """Whether a weight is one of a TensorFlow 1 recurrent cell: none of Keras's, though it may be called `kernel` or `bias`.

    Such a kernel is [inputs + units, 4 * units] with the gates in the order i, j, f, o (a GRU's is split into `gates` and
    `candidate`); Keras keeps two kernels, and i, f, c, o (python/ops/rnn_cell_impl.py). A cell of Keras may lie in a scope of
    the same name, and has a `recurrent_kernel`.

    Args:
        path: The weight's path.
        siblings: Anything by the paths of all weights.
    """
    if path[-1] not in _JOINED:
        return False
    end = next((end for end in range(len(path) - 1, 0, -1) if is_cell(path[end - 1])), 0)
    return end > 0 and (*path[:end], "recurrent_kernel") not in siblings
