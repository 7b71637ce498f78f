"""Operations of windows that go over images and sequences: pools and convolutions."""

from __future__ import annotations

from kmodel_tools.architecture.downgrade.operations.building import Tensor
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, short
from kmodel_tools.architecture.downgrade.operations.dtypes import result_type
from kmodel_tools.architecture.downgrade.operations.shaping import expanded, permuted


def _row(call: Call, name: str, axes: int, default: int = 1) -> list[int]:
    """Sizes along the spatial axes, which may be said once for all."""
    found = call.integers(name, default) or [default]
    return found * axes if len(found) == 1 else found


def _padding(call: Call) -> str:
    value = call.setting("padding", "valid")
    if isinstance(value, str) and value.lower() in ("same", "valid"):
        return value.upper()
    raise call.refuse(f"pads by {short(value)}, which no operation of TensorFlow does")


def _channels_last(call: Call, x: Tensor) -> tuple[Tensor, bool]:
    """A tensor with its channels last, as TensorFlow has them on every device, and whether they were first."""
    if call.setting("data_format") in (None, "channels_last"):
        return x, False
    if call.setting("data_format") != "channels_first":
        raise call.refuse(f"has its channels as {short(call.setting('data_format'))}")
    rank = len(call.sizes(x))
    return permuted(call, x, [0, *range(2, rank), 1]), True


def _back(call: Call, x: Tensor, rank: int, was_first: bool) -> Tensor:
    return permuted(call, Tensor(x.ref, x.dtype), [0, rank - 1, *range(1, rank - 1)]) if was_first else x


@carries("MaxPool", "AveragePool")
def pool(call: Call) -> Result:
    """The largest or the mean of windows."""
    x = call.tensor(0, "inputs")
    rank = len(call.sizes(x))
    x, was_first = _channels_last(call, x)
    size = _row(call, "pool_size", rank - 2)
    strides = size if call.setting("strides") is None else _row(call, "strides", rank - 2)
    kind = "max" if call.kind == "MaxPool" else "avg"
    found = call.b.op(f"nn.{kind}_pool{rank - 2}d", x, ksize=size, strides=strides, padding=_padding(call))
    return _back(call, found, rank, was_first)


@carries("Conv")
def convolution(call: Call) -> Result:
    """A convolution by a kernel that is a constant or a tensor."""
    x, kernel = call.tensor(0, "inputs"), call.value(1, "kernel")
    rank = len(call.sizes(x))
    dtype = _together(call, x, kernel)
    x, was_first = _channels_last(call, call.b.cast(x, dtype))
    strides, dilations = (_row(call, name, rank - 2) for name in ("strides", "dilation_rate"))
    found = call.b.op(
        "nn.convolution",
        x,
        filters=call.b.of_its_own(kernel, x, dtype),
        strides=strides,
        padding=_padding(call),
        dilations=dilations,
    )
    return _back(call, found, rank, was_first)


def _together(call: Call, x: Tensor, kernel: object) -> str:
    kind = kernel.dtype if isinstance(kernel, Tensor) else x.dtype
    return result_type(x.dtype, kind)


@carries("DepthwiseConv", "SeparableConv")
def depthwise(call: Call) -> Result:
    """A convolution of each channel by itself, and one of pixels behind it."""
    is_separable = call.kind == "SeparableConv"
    x, kernel = call.tensor(0, "inputs"), call.value(1, "depthwise_kernel" if is_separable else "kernel")
    rank = len(call.sizes(x))
    x, was_first = _channels_last(call, x)
    strides, dilations = (_row(call, name, rank - 2) for name in ("strides", "dilation_rate"))
    if rank == 3:
        x, kernel = expanded(call, x, 1), call.b.op("expand_dims", call.b.as_tensor(kernel, x, x.dtype), axis=0)
        strides, dilations = strides * 2, dilations * 2
    if rank not in (3, 4) or len({*strides}) > 1:
        raise call.refuse("goes in steps that differ between rows and columns, which no operation of TensorFlow does")
    found = call.b.op(
        "nn.depthwise_conv2d",
        x,
        filter=call.b.of_its_own(kernel, x, x.dtype),
        strides=[1, *strides, 1],
        padding=_padding(call),
        dilations=dilations,
    )
    if is_separable:
        point = call.value(2, "pointwise_kernel")
        if rank == 3:
            point = call.b.op("expand_dims", call.b.as_tensor(point, x, x.dtype), axis=0)
        found = call.b.op("nn.convolution", found, filters=call.b.of_its_own(point, x, x.dtype), strides=[1, 1], padding="VALID")
    if rank == 3:
        found = call.b.op("squeeze", found, axis=[1])
    return _back(call, found, rank, was_first)
