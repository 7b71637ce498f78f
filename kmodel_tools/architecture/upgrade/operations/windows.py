"""Operations that go over images in windows: convolutions, pools, blocks of pixels, normalization by neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.shaping import reshaped
from kmodel_tools.architecture.upgrade.operations.values import Dim, Shape, Tensor, Value


def channels_first(call: Call) -> bool:
    """Whether channels come second, and not last."""
    value = call.take("data_format")
    if value is None or value in ("NHWC", "NWC", "NDHWC", "N...C", "channels_last"):
        return False
    if value in ("NCHW", "NCW", "NCDHW", "NC...", "channels_first"):
        return True
    raise call.refuse(f"has channels as {short(value)}")


def window_row(call: Call, *names: str, axes: int, first: bool, default: Any = None) -> list[int]:
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
    x, first, padding = call.x(), channels_first(call), _padding(call)
    digit = call.function.removesuffix("d")[-1]
    axes = int(digit) if digit.isdigit() else len(x.shape or (0, 0, 0, 0)) - 2
    kernel = window_row(call, "ksize", axes=axes, first=first)
    strides = window_row(call, "strides", axes=axes, first=first, default=kernel)
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
    x, first, padding = call.x(), channels_first(call), _padding(call)
    kernel = call.tensor(call.take("filters", "filter"), x)
    if kernel.shape is None or not all(isinstance(size, int) for size in kernel.shape):
        raise call.refuse("convolves by a kernel whose shape is not known")
    windows = [size for size in kernel.shape if isinstance(size, int)]
    axes = len(windows) - 2
    strides = window_row(call, "strides", "stride", axes=axes, first=first, default=[1])
    dilations = window_row(call, "dilations", "dilation_rate", "rate", axes=axes, first=first, default=[1])
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
    x, size, first = call.x(), call.number("block_size"), channels_first(call)
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


# Transposed, separable, and others.


@carries("nn.conv1d_transpose", "nn.conv2d_transpose", "nn.conv3d_transpose", "nn.conv_transpose")
def transposed_convolution(call: Call) -> Value:
    """A transposed convolution: zeros between the elements, then a convolution by the kernel turned round.

    `ConvTranspose` of Keras 3.15.1 cannot be called: it hands its paddings on in the wrong order (`src/ops/nn.py`). The shape that
    TensorFlow is told to give says how much of the edge goes. Source: TensorFlow 2.21 `core/framework/kernel_shape_util.cc`.
    """
    x, first = call.x(), channels_first(call)
    call.rest["padding"] = call.rest.get("padding") or "SAME"
    same = _padding(call) == "same"
    kernel = call.tensor(call.take("filters", "filter"), x)
    windows = [size for size in kernel.shape or () if isinstance(size, int)]
    axes = len(windows) - 2
    if axes < 1 or kernel.shape is None or len(windows) < len(kernel.shape) or x.shape is None or len(x.shape) != axes + 2:
        raise call.refuse("convolves by a kernel whose shape is not known, or what it is called on is not")
    strides = window_row(call, "strides", axes=axes, first=first)
    if any(step != 1 for step in window_row(call, "dilations", axes=axes, first=first, default=[1])):
        raise call.refuse("goes by a kernel with holes, which is not carried")
    target = call.dims("output_shape", "deconv_output_shape")
    inner = target if len(target) == axes else target[2:] if first else target[1:-1]
    start = 2 if first else 1
    for axis, (step, window, wanted) in enumerate(zip(strides, windows[:axes], inner, strict=True), start):
        x = _spread_out(call, x, axis, step, window, wanted, same)
    turned = call.b.op("Flip", kernel, axis=list(range(axes)))
    turned = call.b.op("Swapaxes", turned, shape=[*windows[:axes], windows[-1], windows[-2]], axis1=-1, axis2=-2)
    call.first, call.function = x, "nn.convolution"
    call.rest |= {"filters": turned, "strides": 1, "padding": "VALID"}
    return convolution(call)


def _spread_out(call: Call, x: Tensor, axis: int, step: int, window: int, wanted: Dim, same: bool) -> Tensor:
    """Zeros between the elements of an axis, and around them, as many as a convolution needs that gives so many.

    Raises:
        UpgradeError: A size is known only at run time, or is none that a transposed convolution gives.
    """
    size = x.size(axis)
    if x.shape is None or not isinstance(size, int) or not isinstance(wanted, int):
        raise call.refuse("spreads out what is of a size that is known only at run time, which no operation of Keras 3 does")
    if size != (-(-wanted // step) if same else (wanted - window) // step + 1):
        raise call.refuse(f"gives {wanted} for {size} in steps of {step}")
    before = max((size - 1) * step + window - wanted, 0) // 2 if same else 0
    shape = list(x.shape)
    if step > 1:
        apart = call.b.op("ExpandDims", x, shape=[*shape[: axis + 1], 1, *shape[axis + 1 :]], axis=axis + 1)
        widths = [[0, (step - 1) * (place == axis + 1)] for place in range(len(shape) + 1)]
        filled = [*shape[: axis + 1], step, *shape[axis + 1 :]]
        apart = call.b.op("Pad", apart, shape=filled, call={"constant_values": 0}, pad_width=widths, mode="constant")
        shape[axis] = size * step
        x = reshaped(call, apart, shape)
    ends = [window - 1 - before, wanted + before - size * step]
    if ends[1] < 0:
        shape[axis] = size * step + ends[1]
        key = [slice(None, ends[1]) if place == axis else slice(None) for place in range(len(shape))]
        x = call.b.op("GetItem", x, tuple(key), shape=shape)
        ends[1] = 0
    shape[axis] = wanted + window - 1
    widths = [ends if place == axis else [0, 0] for place in range(len(shape))]
    return call.b.op("Pad", x, shape=shape, call={"constant_values": 0}, pad_width=widths, mode="constant")


@carries("nn.separable_conv2d")
def separable_convolution(call: Call) -> Value:
    """A convolution of each channel, then one of pixels."""
    rest = dict(call.rest)
    call.rest = {**rest, "filter": rest.get("depthwise_filter"), "pointwise_filter": None, "depthwise_filter": None}
    call.function = "nn.depthwise_conv2d"
    middle = convolution(call)
    call.first, call.function = middle, "nn.conv2d"
    call.rest = {"filters": rest.get("pointwise_filter"), "strides": 1, "padding": "VALID", "data_format": rest.get("data_format")}
    return convolution(call)


@carries("nn.pool")
def any_pool(call: Call) -> Value:
    """The largest or the mean of windows, whichever is said."""
    kind = call.take("pooling_type")
    if kind not in ("MAX", "AVG") or any(step != 1 for step in call.integers("dilations", "dilation_rate", default=[1]) or []):
        raise call.refuse(f"pools by {short(kind)} or with holes, which no operation of Keras 3 does")
    axes = len(call.integers("window_shape") or [])
    call.rest["ksize"] = call.rest["window_shape"]
    call.rest.setdefault("padding", "VALID")
    if call.rest.get("strides") is None:
        call.rest["strides"] = [1] * axes
    call.function = f"nn.{'max' if kind == 'MAX' else 'avg'}_pool{axes}d"
    return pool(call)


@carries("nn.local_response_normalization")
def local_response_normalization(call: Call) -> Value:
    """`x / (bias + alpha sum(x^2)) ^ beta`, summed over the channels that are at most `depth_radius` away.

    Source: TensorFlow 2.21 `core/kernels/lrn_op.cc`.
    """
    x, radius = call.x(), int(call.number("depth_radius", default=5))
    bias, alpha, beta = (float(call.number(name, default=value)) for name, value in (("bias", 1.0), ("alpha", 1.0), ("beta", 0.5)))
    if x.shape is None or radius < 0:
        raise call.refuse("normalizes a tensor whose rank is not known")
    if radius > MAX_RADIUS:
        raise call.refuse(f"normalizes by more than {2 * MAX_RADIUS} neighbours, which is not written into a configuration")
    before = [[0, 0]] * (len(x.shape) - 1)
    more = [*x.shape[:-1], x.shape[-1] + 2 * radius if isinstance(x.shape[-1], int) else None]
    square = call.b.op("Square", x)
    padded = call.b.op("Pad", square, shape=more, call={"constant_values": 0}, pad_width=[*before, [radius, radius]], mode="constant")
    total: Tensor | None = None
    for start in range(2 * radius + 1):
        end = start - 2 * radius
        part = call.b.op("GetItem", padded, (Ellipsis, slice(start, end or None)), shape=x.shape)
        total = part if total is None else call.b.op("Add", total, part)
    level = call.b.op("Add", call.b.op("Multiply", total, alpha), bias)
    return call.b.op("Divide", x, call.b.op("Power", level, beta))


MAX_RADIUS = 50
"""Neighbours to either side; a forged number must not exhaust memory."""
