"""Products of matrices, convolutions, pools, normalization, dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.shaping import swapped
from kmodel_tools.architecture.upgrade.operations.values import Dim, Shape, Tensor, Value, broadcast


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
    pairs = axes if isinstance(axes, list) else None
    shape: list[Dim | None] | None = None
    if x.shape is not None and y.shape is not None:
        count = axes if isinstance(axes, int) else 0
        gone = [item if isinstance(item, list) else [item] for item in pairs] if pairs else [list(range(-count, 0)), list(range(count))]
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
        return call.b.layer("Identity", x)
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
    return call.b.op(
        "DepthwiseConv" if is_depthwise else "Conv",
        x,
        kernel,
        shape=shape,
        strides=strides,
        padding=padding,
        data_format="channels_first" if first else "channels_last",
        dilation_rate=dilations,
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
