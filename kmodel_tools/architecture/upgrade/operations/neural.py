"""Products of matrices, normalization, dropout, noise."""

from __future__ import annotations

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.shaping import swapped
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value, broadcast, dims_of, tensors_in
from kmodel_tools.architecture.upgrade.operations.windows import channels_first


@carries("linalg.matmul", "matmul")
def matmul(call: Call) -> Value:
    """The product of matrices, of which either may be transposed."""
    first, second = call.b.operand(call.first), call.b.operand(call.take("b"))
    near = next((item for item in (first, second) if isinstance(item, Tensor)), None)
    x, y = call.tensor(first, near), call.tensor(second, near)
    call.dtype("output_type")
    if call.flag("transpose_a") or call.flag("adjoint_a"):
        x = swapped(call, x)
    if call.flag("transpose_b") or call.flag("adjoint_b"):
        y = swapped(call, y)
    shape: list[Dim | None] | None = None
    if x.shape is not None and y.shape is not None and min(len(x.shape), len(y.shape)) >= 2:
        shape = [*(broadcast(x.shape[:-2], y.shape[:-2]) or ()), x.shape[-2], y.shape[-1]]
    return call.b.op("Matmul", x, y, shape=shape)


@carries("tensordot")
def tensordot(call: Call) -> Value:
    """The product of tensors along some axes."""
    first, second = call.b.operand(call.first), call.b.operand(call.take("b"))
    near = next((item for item in (first, second) if isinstance(item, Tensor)), None)
    x, y, axes = call.tensor(first, near), call.tensor(second, near), call.take("axes")
    axes = axes.tolist() if isinstance(axes, np.ndarray) else axes
    if isinstance(axes, list):  # Keras takes no two numbers where TensorFlow does
        axes = [item if isinstance(item, list) else [item] for item in axes]
    pairs = axes if isinstance(axes, list) else None
    shape: list[Dim | None] | None = None
    if x.shape is not None and y.shape is not None:
        count = axes if isinstance(axes, int) else 0
        gone = pairs or [list(range(-count, 0)), list(range(count))]
        rows = [{axis % len(item.shape or ()) for axis in part} for item, part in zip((x, y), gone, strict=True)]
        shape = [size for item, row in zip((x, y), rows, strict=True) for axis, size in enumerate(item.shape or ()) if axis not in row]
    return call.b.op("Tensordot", x, y, shape=shape, axes=axes)


@carries("einsum", "linalg.einsum")
def einsum(call: Call) -> Value:
    """A product by an equation, of which tf_keras writes no operands; TensorFlow 2.0 to 2.3 did."""
    operands = call.take("inputs")
    if not isinstance(operands, list) or not isinstance(call.first, str):
        raise call.refuse("has lost its operands: tf_keras wrote the equation alone into the file, and cannot load it either")
    tensors = [call.tensor(item) for item in operands]
    known: dict[str, Dim] = {}
    left, _, right = call.first.replace(" ", "").partition("->")
    for letters, tensor in zip(left.split(","), tensors, strict=True):
        known |= dict(zip(letters, tensor.shape or (), strict=False))
    plain = "." not in call.first and "->" in call.first
    shape = [known.get(letter) for letter in right] if plain else None
    return call.b.op("Einsum", *tensors, shape=shape, subscripts=call.first)


@carries("nn.bias_add", "keras.backend.bias_add")
def bias_add(call: Call) -> Value:
    """A number more for each channel, which are last, or second."""
    x, bias = call.x(), call.b.operand(call.take("bias", "value"))
    if channels_first(call):
        rank = len(x.shape) if x.shape is not None else 0
        row = np.array(bias, "float32") if not isinstance(bias, Tensor) else bias
        if rank < 3 or isinstance(row, Tensor):
            raise call.refuse("adds a bias to channels that are second, of a tensor whose rank is not known")
        bias = row.reshape((-1,) + (1,) * (rank - 2)).tolist()
    return call.b.op("Add", x, bias)


@carries("nn.batch_normalization")
def batch_normalization(call: Call) -> Value:
    """`(x - mean) scale / sqrt(variance + epsilon) + offset`, in the order of TensorFlow.

    Source: TensorFlow 2.21 `python/ops/nn_impl.py`, `batch_normalization`.
    """
    x, mean, variance = call.x(), call.tensor(call.take("mean")), call.take("variance")
    epsilon, scale, offset = call.number("variance_epsilon"), call.take("scale"), call.take("offset")
    factor = call.b.op("Rsqrt", call.b.op("Add", call.tensor(variance), epsilon))
    if scale is not None:
        factor = call.b.op("Multiply", factor, call.b.operand(scale))
    shift = call.b.op("Negative", call.b.op("Multiply", mean, factor))
    if offset is not None:
        shift = call.b.op("Add", shift, call.b.operand(offset))
    return call.b.op("Add", call.b.op("Multiply", x, factor), shift)


@carries("nn.dropout", "keras.backend.dropout")
def dropout(call: Call) -> Value:
    """Dropout that is always on, at prediction too, as the operation is."""
    x, rate = call.x(), call.take("rate", "level")
    keep = call.take("keep_prob")
    call.take("rng")
    if keep is not None and rate is None:
        rate = 1 - keep
    if not isinstance(rate, (int, float)):
        raise call.refuse(f"drops by the rate {short(rate)}")
    shape = call.integers("noise_shape", default=None)
    seed = call.number("seed", default=None)
    if rate == 0:
        return call.b.op("Copy", x)
    x = call.b.op("Copy", x)  # the layer would hand a mask on, the operation does not
    return call.b.layer("Dropout", x, call={"training": True}, rate=rate, noise_shape=shape, seed=seed)


@carries("random.normal", "random_normal", "keras.backend.random_normal")
def random_normal(call: Call) -> Value:
    """Normal noise of a shape, drawn anew at every call: that of GaussianNoise, which is told that it is trained."""
    mean, deviation = call.number("mean", default=0.0), call.number("stddev", default=1.0)
    dtype, seed = call.dtype(default="float32") or "float32", call.number("seed", default=None)
    target = dims_of(call.first)
    near = next(iter(tensors_in(call.first)), call.near)
    if target is None or near is None or deviation < 0:
        raise call.refuse("draws noise of a shape that is not known")
    ones = call.b.as_tensor(call.b.ones(target, dtype), near, dtype)
    level = call.b.op("Multiply", ones, float(mean))
    if deviation == 0:
        return level
    return call.b.layer("GaussianNoise", level, call={"training": True}, stddev=float(deviation), seed=seed)


@carries("random.uniform", "random_uniform", "keras.backend.random_uniform")
def random_uniform(call: Call) -> Value:
    """Uniform noise of a shape, drawn anew at every call: normal noise, by its distribution function."""
    low, high = call.number("minval", default=0), call.number("maxval", default=None)
    dtype, seed = call.dtype(default="float32") or "float32", call.number("seed", default=None)
    target = dims_of(call.first)
    near = next(iter(tensors_in(call.first)), call.near)
    if target is None or near is None:
        raise call.refuse("draws noise of a shape that is not known")
    if dtype != "float32":
        raise call.refuse(f"draws noise of {dtype}, which is not carried")
    zeros = call.b.op("Multiply", call.b.as_tensor(call.b.ones(target, dtype), near, dtype), 0.0)
    noise = call.b.layer("GaussianNoise", zeros, call={"training": True}, stddev=1.0, seed=seed)
    part = call.b.op("Multiply", call.b.op("Add", call.b.op("Erf", call.b.op("Multiply", noise, ROOT_OF_HALF)), 1.0), 0.5)
    part = call.b.op("Minimum", part, BELOW_ONE)
    return call.b.op("Add", call.b.op("Multiply", part, float(1 if high is None else high) - float(low)), float(low))


ROOT_OF_HALF = 0.7071067811865476
BELOW_ONE = 0.99999994
"""The largest number of single precision below 1, which is not drawn."""
