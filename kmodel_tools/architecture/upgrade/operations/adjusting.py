"""Images made brighter, of another hue, turned, framed; and how much they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.images import resized
from kmodel_tools.architecture.upgrade.operations.reductions import reduce
from kmodel_tools.architecture.upgrade.operations.shaping import resized as resized_axis
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value

IN_COLOUR = [-3, -2, -1]


def _floating(call: Call, value: Value = None) -> Tensor:
    """The image, in single precision: others would be scaled first, and scaled back."""
    x = call.x() if value is None else call.tensor(value)
    if x.dtype != "float32":
        raise call.refuse(f"changes images of {x.dtype}, which is not carried")
    return x


def _parts(call: Call, x: Tensor) -> list[Tensor]:
    """The three channels, each with its axis."""
    shape = None if x.shape is None else (*x.shape[:-1], 1)
    return [call.b.op("GetItem", x, (Ellipsis, slice(index, index + 1)), shape=shape) for index in range(3)]


def _coloured(call: Call, parts: Sequence[Tensor], like: Tensor) -> Tensor:
    joined = call.b.op("Concatenate", list(parts), shape=like.shape, dtype=like.dtype, axis=-1)
    return call.b.op("HSVToRGB", joined, shape=like.shape, data_format="channels_last")


# Brightness and colour.


@carries("image.adjust_brightness")
def adjust_brightness(call: Call) -> Value:
    """Brighter by a number."""
    return call.b.op("Add", _floating(call), call.b.operand(call.take("delta")))


@carries("image.adjust_contrast")
def adjust_contrast(call: Call) -> Value:
    """Further from the mean of each channel of each image."""
    x, factor = _floating(call), call.b.operand(call.take("contrast_factor"))
    mean = reduce(call, "Mean", x, [-3, -2], True)
    return call.b.op("Add", call.b.op("Multiply", call.b.op("Subtract", x, mean), factor), mean)


@carries("image.adjust_gamma")
def adjust_gamma(call: Call) -> Value:
    """`gain x ^ gamma`."""
    gamma, gain = (call.number(name, default=1) for name in ("gamma", "gain"))
    return call.b.op("Multiply", call.b.op("Power", _floating(call), float(gamma)), float(gain))


@carries("image.adjust_saturation")
def adjust_saturation(call: Call) -> Value:
    """More or less colour: the saturation, times a factor, between 0 and 1."""
    x = _floating(call)
    hue, saturation, value = _parts(call, call.b.op("RGBToHSV", x, data_format="channels_last"))
    more = call.b.op("Multiply", saturation, call.b.operand(call.take("saturation_factor", "factor")))
    return _coloured(call, [hue, call.b.op("Maximum", call.b.op("Minimum", more, 1.0), 0.0), value], x)


@carries("image.adjust_hue")
def adjust_hue(call: Call) -> Value:
    """Other colours that are as bright: the hue goes round, the least and the largest of the channels stay.

    Source: TensorFlow 2.21 `core/kernels/image/adjust_hue_op.cc`.
    """
    x = _floating(call)
    hue = _parts(call, call.b.op("RGBToHSV", x, data_format="channels_last"))[0]
    turned = call.b.op("Mod", call.b.op("Add", hue, call.b.operand(call.take("delta"))), 1.0)
    ones = call.b.op("OnesLike", turned, dtype=x.dtype, dtype_=x.dtype)
    low, high = (reduce(call, kind, x, -1, True) for kind in ("Min", "Max"))
    pure = _coloured(call, [turned, ones, ones], x)
    return call.b.op("Add", low, call.b.op("Multiply", call.b.op("Subtract", high, low), pure))


_COLOURS = {
    "rgb_to_yiq": [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]],
    "yiq_to_rgb": [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]],
    "rgb_to_yuv": [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]],
    "yuv_to_rgb": [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]],
}
"""How colour spaces are mixed. Source: TensorFlow 2.21 `python/ops/image_ops_impl.py`."""


@carries(*(f"image.{name}" for name in _COLOURS))
def another_space(call: Call) -> Value:
    """Channels mixed into those of another colour space."""
    x = _floating(call)
    kernel = call.tensor(np.array(_COLOURS[call.function.rpartition(".")[2]], "float32"), x)
    return call.b.op("Tensordot", x, kernel, shape=x.shape, axes=[[-1], [0]])


@carries("image.convert_image_dtype")
def convert_dtype(call: Call) -> Value:
    """Images in another dtype: floating point numbers from 0 to 1, integers to the largest one of their dtype.

    Source: TensorFlow 2.21 `python/ops/image_ops_impl.py`, `convert_image_dtype`.
    """
    x, dtype, saturates = call.x(), call.dtype(), call.flag("saturate")
    if x.dtype is None or dtype is None:
        raise call.refuse("converts images whose dtype is not known")
    floats = [kind.startswith(("float", "bfloat")) for kind in (x.dtype, dtype)]
    if x.dtype == dtype:
        return call.b.op("Copy", x)
    if all(floats):
        return call.b.cast(x, dtype)
    if floats[1]:
        return call.b.op("Multiply", call.b.cast(x, dtype), 1.0 / float(np.iinfo(x.dtype).max))
    if not floats[0]:
        raise call.refuse(f"converts images of {x.dtype} to {dtype}, which is not carried")
    larger = call.b.op("Multiply", x, float(np.iinfo(dtype).max) + 0.5)
    return call.b.op("SaturateCast" if saturates else "Cast", larger, dtype=dtype, dtype_=dtype)


# Turned and framed.


@carries("image.rot90", "image.transpose")
def turned(call: Call) -> Value:
    """Turned to the left by quarters, or mirrored along the diagonal."""
    x = call.x()
    quarters = int(call.number("k", default=1)) % 4
    mirror = _mirrored(call, x) if call.function.endswith("transpose") or quarters in (1, 3) else x
    if call.function.endswith("transpose"):
        return mirror
    if quarters == 0:
        return call.b.op("Copy", x)
    return call.b.op("Flip", mirror, axis={1: [-3], 2: [-3, -2], 3: [-2]}[quarters])


def _mirrored(call: Call, x: Tensor) -> Tensor:
    shape = None if x.shape is None else (*x.shape[:-3], x.shape[-2], x.shape[-3], x.shape[-1])
    return call.b.op("Swapaxes", x, shape=shape, axis1=-3, axis2=-2)


def _sizes(call: Call, x: Tensor) -> list[int]:
    """Height and width."""
    found = [size for size in (x.shape or ())[-3:-1] if isinstance(size, int)]
    if x.shape is None or len(found) != 2 or len(x.shape) not in (3, 4):
        raise call.refuse("frames images whose size is known only at run time, which no operation of Keras 3 does")
    return found


def _framed(call: Call, x: Tensor, before: Sequence[int], target: Sequence[int]) -> Tensor:
    """Zeros around images."""
    after = [new - old - first for new, old, first in zip(target, _sizes(call, x), before, strict=True)]
    if min(*before, *after) < 0:
        raise call.refuse("frames images by less than nothing")
    shape = x.shape or ()
    widths = [*[[0, 0]] * (len(shape) - 3), *([first, last] for first, last in zip(before, after, strict=True)), [0, 0]]
    new: list[Dim | None] = [*shape[:-3], *target, shape[-1]]
    return call.b.op("Pad", x, shape=new, call={"constant_values": 0}, pad_width=widths, mode="constant")


def _target(call: Call) -> list[int]:
    return [int(call.number(f"target_{axis}")) for axis in ("height", "width")]


@carries("image.pad_to_bounding_box")
def pad_to_box(call: Call) -> Value:
    """Zeros around images, so that they stand at a place of a larger one."""
    return _framed(call, call.x(), [int(call.number(f"offset_{axis}")) for axis in ("height", "width")], _target(call))


@carries("image.resize_with_crop_or_pad", "image.resize_image_with_crop_or_pad")
def crop_or_pad(call: Call) -> Value:
    """The middle of images, with zeros around it where there is too little."""
    x, target = call.x(), _target(call)
    sizes = _sizes(call, x)
    cuts = [max((old - new) // 2, 0) for new, old in zip(target, sizes, strict=True)]
    kept = [min(new, old) for new, old in zip(target, sizes, strict=True)]
    if kept != sizes:
        key = (Ellipsis, *(slice(start, start + count) for start, count in zip(cuts, kept, strict=True)), slice(None))
        x = call.b.op("GetItem", x, key, shape=[*(x.shape or ())[:-3], *kept, (x.shape or ())[-1]])
    if kept != target:
        x = _framed(call, x, [max((new - old) // 2, 0) for new, old in zip(target, sizes, strict=True)], target)
    return call.b.op("Copy", x) if sizes == target else x


@carries("image.resize_with_pad")
def resize_with_pad(call: Call) -> Value:
    """As large as fits, and zeros around it.

    Source: TensorFlow 2.21 `python/ops/image_ops_impl.py`, `_resize_image_with_pad_common`, in single precision.
    """
    x, target = call.x(), _target(call)
    method, antialias = str(call.take("method", default="bilinear")), call.flag("antialias")
    old, new = (np.array(item, "float32") for item in (_sizes(call, x), target))
    inner = old / (old / new).max()
    call.rest["size"] = [int(size) for size in np.floor(inner)]
    return _framed(call, resized(call, method, antialias), [max(0, int(size)) for size in np.floor((new - inner) / 2)], target)


# How much images differ.


def _differences(call: Call, x: Tensor) -> list[Tensor]:
    """Each pixel less the one above it, and the one to the left of it."""
    found = []
    for axis in (-3, -2):
        rest = [slice(None)] * (-1 - axis)
        size = x.size(axis)
        shape = resized_axis(x.shape, axis, size - 1 if isinstance(size, int) else None)
        ends = [call.b.op("GetItem", x, (Ellipsis, part, *rest), shape=shape) for part in (slice(1, None), slice(None, -1))]
        found.append(call.b.op("Subtract", *ends))
    return found


@carries("image.total_variation")
def total_variation(call: Call) -> Value:
    """The sum of the sizes of all differences between neighbours."""
    sums = [reduce(call, "Sum", call.b.op("Absolute", part), IN_COLOUR, False) for part in _differences(call, call.x())]
    return call.b.op("Add", *sums)


@carries("image.image_gradients")
def gradients(call: Call) -> Value:
    """Differences between neighbours downwards and to the right, with zeros at the end."""
    x = call.x()
    found = []
    for axis, part in enumerate(_differences(call, x), 1):
        widths = [[0, int(number == axis)] for number in range(4)]
        found.append(call.b.op("Pad", part, shape=x.shape, call={"constant_values": 0}, pad_width=widths, mode="constant"))
    return found


@carries("image.sobel_edges")
def sobel_edges(call: Call) -> Value:
    """Edges downwards and to the right, along one more axis."""
    x = _floating(call)
    return call.b.op("SobelEdges", x, shape=None if x.shape is None else (*x.shape, 2), data_format="channels_last")


@carries("image.psnr")
def psnr(call: Call) -> Value:
    """Decibels between the largest value that there is and the mean squared difference."""
    x, y, largest = _floating(call), _floating(call, call.take("b")), float(call.number("max_val"))
    if largest <= 0:
        raise call.refuse(f"compares images whose largest value is {short(largest)}")
    error = reduce(call, "Mean", call.b.op("Square", call.b.op("Subtract", x, y)), IN_COLOUR, False)
    return call.b.op("Subtract", 20 * float(np.log10(largest)), call.b.op("Multiply", call.b.op("Log", error), 10 / float(np.log(10))))
