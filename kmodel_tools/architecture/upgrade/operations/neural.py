"""Products of matrices, convolutions, pools, normalization, dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.reductions import reduce
from kmodel_tools.architecture.upgrade.operations.shaping import swapped
from kmodel_tools.architecture.upgrade.operations.values import Dim, Shape, Tensor, Value, broadcast, dims_of, tensors_in


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
    if _channels_first(call):
        rank = len(x.shape) if x.shape is not None else 0
        row = np.array(bias, "float32") if not isinstance(bias, Tensor) else bias
        if rank < 3 or isinstance(row, Tensor):
            raise call.refuse("adds a bias to channels that are second, of a tensor whose rank is not known")
        bias = row.reshape((-1,) + (1,) * (rank - 2)).tolist()
    return call.b.op("Add", x, bias)


def _channels_first(call: Call) -> bool:
    value = call.take("data_format")
    if value is None or value in ("NHWC", "NWC", "NDHWC", "N...C", "channels_last"):
        return False
    if value in ("NCHW", "NCW", "NCDHW", "NC...", "channels_first"):
        return True
    raise call.refuse(f"has channels as {short(value)}")


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


# Windows.


def _row(call: Call, *names: str, axes: int, first: bool, default: Any = None) -> list[int]:
    """Sizes of a window along the spatial axes, which may be said for all axes, or once for all."""
    found = call.integers(*names, default=default)
    if found is None:
        raise call.refuse(f"has no {names[0]}")
    if len(found) == axes + 2:
        found = found[2:] if first else found[1:-1]
    return found * axes if len(found) == 1 else found


def _padding(call: Call) -> str:
    value = call.take("padding")
    if isinstance(value, str) and value.lower() in ("same", "valid"):
        return value.lower()
    raise call.refuse(f"pads by {short(value)}, which no operation of Keras 3 does")


def _windowed(shape: Shape | None, first: bool, kernel: Sequence[int], strides: Sequence[int], padding: str) -> list[Dim | None] | None:
    """The shape after windows have gone over the spatial axes."""
    if shape is None or len(shape) != len(kernel) + 2:
        return None
    found: list[Dim | None] = list(shape)
    for axis, (window, step) in enumerate(zip(kernel, strides, strict=True), 2 if first else 1):
        size = shape[axis]
        found[axis] = (-(-(size if padding == "same" else size - window + 1) // step)) if isinstance(size, int) else None
    return found


@carries("nn.max_pool", "nn.avg_pool", *(f"nn.{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)), "nn.max_pool_v2")
def pool(call: Call) -> Value:
    """The largest or the mean of windows."""
    x, first, padding = call.x(), _channels_first(call), _padding(call)
    digit = call.function.removesuffix("d")[-1]
    axes = int(digit) if digit.isdigit() else len(x.shape or (0, 0, 0, 0)) - 2
    kernel = _row(call, "ksize", axes=axes, first=first)
    strides = _row(call, "strides", axes=axes, first=first, default=kernel)
    kind = "MaxPool" if "max" in call.function else "AveragePool"
    return call.b.op(
        kind,
        x,
        shape=_windowed(x.shape, first, kernel, strides, padding),
        pool_size=kernel,
        strides=strides,
        padding=padding,
        data_format="channels_first" if first else "channels_last",
    )


@carries("nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.convolution", "nn.depthwise_conv2d")
def convolution(call: Call) -> Value:
    """A convolution by a kernel that is a constant or a tensor."""
    x, first, padding = call.x(), _channels_first(call), _padding(call)
    kernel = call.tensor(call.take("filters", "filter"), x)
    if kernel.shape is None or not all(isinstance(size, int) for size in kernel.shape):
        raise call.refuse("convolves by a kernel whose shape is not known")
    windows = [size for size in kernel.shape if isinstance(size, int)]
    axes = len(windows) - 2
    strides = _row(call, "strides", "stride", axes=axes, first=first, default=[1])
    dilations = _row(call, "dilations", "dilation_rate", "rate", axes=axes, first=first, default=[1])
    spans = [(size - 1) * step + 1 for size, step in zip(windows[:axes], dilations, strict=True)]
    shape = _windowed(x.shape, first, spans, strides, padding)
    is_depthwise = "depthwise" in call.function
    if shape is not None:
        shape[1 if first else -1] = windows[-1] * windows[-2] if is_depthwise else windows[-1]
    if is_depthwise and len({*strides}) + len({*dilations}) > 2:
        raise call.refuse("goes in steps that differ between rows and columns, which no operation of Keras 3 does")
    return call.b.op(
        "DepthwiseConv" if is_depthwise else "Conv",
        x,
        kernel,
        shape=shape,
        strides=strides[0] if is_depthwise else strides,
        padding=padding,
        data_format="channels_first" if first else "channels_last",
        dilation_rate=dilations[0] if is_depthwise else dilations,
    )


@carries("nn.depth_to_space", "nn.space_to_depth", "depth_to_space", "space_to_depth")
def blocks(call: Call) -> Value:
    """Blocks of pixels as channels, and back."""
    x, size, first = call.x(), call.number("block_size"), _channels_first(call)
    to_depth = "to_depth" in call.function
    shape: list[Dim | None] | None = None
    if x.shape is not None:
        shape = list(x.shape)
        for axis in range(1, 4):
            is_channel = axis == (1 if first else 3)
            here = x.shape[axis]
            factor = size * size if is_channel else size
            if not isinstance(here, int):
                shape[axis] = None
            else:
                shape[axis] = here * factor if is_channel is to_depth else here // factor
    kind = "SpaceToDepth" if to_depth else "DepthToSpace"
    return call.b.op(kind, x, shape=shape, block_size=size, data_format="channels_first" if first else "channels_last")


@carries("linalg.inv")
def inverse(call: Call) -> Value:
    """The inverse of matrices."""
    if call.flag("adjoint"):
        raise call.refuse("inverts the adjoint, which is not carried")
    return call.b.op("Inv", call.x())


@carries("linalg.cholesky")
def cholesky(call: Call) -> Value:
    """The lower triangle whose square matrices are."""
    return call.b.op("Cholesky", call.x(), upper=False)


@carries("linalg.solve", "linalg.triangular_solve")
def solve(call: Call) -> Value:
    """Linear equations, for columns."""
    x, right = call.x(), call.tensor(call.take("rhs"))
    if call.flag("adjoint"):
        raise call.refuse("solves for the adjoint, which is not carried")
    if call.function == "linalg.solve":
        return call.b.op("Solve", x, right, shape=right.shape)
    return call.b.op("SolveTriangular", x, right, shape=right.shape, lower=call.flag("lower", default=True))


@carries("linalg.trace")
def trace(call: Call) -> Value:
    """The sum of the diagonal of matrices."""
    x = call.x()
    return call.b.op("Trace", x, shape=None if x.shape is None else x.shape[:-2], offset=0, axis1=-2, axis2=-1)


@carries("linalg.diag")
def diagonal_matrix(call: Call) -> Value:
    """Matrices with a row each on the diagonal and 0 elsewhere."""
    call.take("k", "num_rows", "num_cols", "padding_value", "align")
    x = call.x()
    size = x.size(-1)
    if not isinstance(size, int) or any(_tells(call.rest.get(key)) for key in call.rest if key != "name"):
        raise call.refuse("makes matrices with other than the whole diagonal of a known size")
    call.b.allowed([size, size])
    column = call.b.op("ExpandDims", x, shape=None if x.shape is None else (*x.shape, 1), axis=-1)
    return call.b.op("Where", np.eye(size, dtype=bool), column, 0, dtype=x.dtype)


def _tells(value: Value) -> bool:
    """Whether an argument asks for another diagonal than the whole main one, or for another filling."""
    return not (value is None or isinstance(value, str) or (np.ndim(value) == 0 and value in (0, -1)))


@carries("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy(call: Call) -> Value:
    """`max(x, 0) - x z + log(1 + exp(-|x|))`. Source: TensorFlow 2.21 `python/ops/nn_impl.py`."""
    labels, logits = call.take("labels"), call.take("logits")
    if labels is None:
        labels = call.first
    x, z = call.tensor(logits if logits is not None else call.first), call.b.operand(labels)
    size = call.b.op("Negative", call.b.op("Absolute", x))
    linear = call.b.op("Subtract", call.b.op("Relu", x), call.b.op("Multiply", x, z))
    return call.b.op("Add", linear, call.b.op("Log1p", call.b.op("Exp", size)))


@carries("nn.softmax_cross_entropy_with_logits", "nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy(call: Call) -> Value:
    """`-sum(labels log(softmax(logits)))` along an axis."""
    labels, logits = call.take("labels"), call.take("logits")
    x, axis = call.tensor(logits if logits is not None else call.first), call.one_axis("axis", "dim", default=-1)
    product = call.b.op("Multiply", call.b.operand(call.first if labels is None else labels), call.b.op("LogSoftmax", x, axis=axis))
    return call.b.op("Negative", reduce(call, "Sum", product, axis, False))


@carries("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy(call: Call) -> Value:
    """`-log(softmax(logits))` of the class that a number says, along the last axis."""
    labels, logits = call.take("labels"), call.take("logits")
    target, x = call.tensor(call.first if labels is None else labels), call.tensor(call.first if logits is None else logits)
    return call.b.op("SparseCategoricalCrossentropy", target, x, shape=target.shape, dtype=x.dtype, from_logits=True, axis=-1)


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
