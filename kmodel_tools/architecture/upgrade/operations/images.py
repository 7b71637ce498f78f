"""Images in another size, and in other colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value, product, quotient

_METHODS = ("bilinear", "nearest", "bicubic", "area")
"""The methods of TensorFlow 1 by number."""
_SAME = frozenset({"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"})
"""Those that Keras has."""


@carries("image.resize", "image.resize_images", "image.resize_v2")
def resize(call: Call) -> Value:
    """Another size: as TensorFlow 2 does it, which takes pixels at their centres, or as TensorFlow 1 does, by their corners."""
    method = call.take("method", default="bilinear")
    if isinstance(method, int):
        method = _METHODS[method] if 0 <= method < len(_METHODS) else str(method)
    if call.flag("preserve_aspect_ratio"):
        raise call.refuse("keeps the aspect ratio of images, which no operation of Keras 3 does")
    antialias = call.flag("antialias")
    if call.is_v1 or call.function.endswith("resize_images"):
        return resized_by_corners(call, str(method), call.flag("align_corners"))
    return resized(call, str(method), antialias)


def resized(call: Call, method: str, antialias: bool = False) -> Tensor:
    """Another size, pixels taken at their centres."""
    x, target = call.x(), call.dims("size")
    if method not in _SAME or len(target) != 2:
        raise call.refuse(f"resizes by the method {method!r}, which no operation of Keras 3 does")
    size = [item for item in target if isinstance(item, int)]
    if len(size) < 2:
        return _times(call, x, target, method, antialias)
    if x.dtype not in (None, "float32") and method != "nearest":
        x = call.b.cast(x, "float32")
    shape: Sequence[Dim | None] | None = None
    if x.shape is not None and len(x.shape) in (3, 4):
        shape = [*x.shape[:-3], *size, x.shape[-1]]
    return call.b.op("Resize", x, shape=shape, size=size, interpolation=method, antialias=antialias, data_format="channels_last")


def _times(call: Call, x: Tensor, target: Sequence[Dim], method: str, antialias: bool) -> Tensor:
    """A size that is known only at run time, but a multiple of what it was: `UpSampling2D`."""
    shape = x.shape or ()
    factors = [quotient([new], [old]) for new, old in zip(target, shape[1:3], strict=False)]
    if len(shape) != 4 or not all(isinstance(item, int) for item in factors) or antialias:
        raise call.refuse("resizes to a size that is known only at run time, which no operation of Keras 3 does")
    if x.dtype not in (None, "float32") and method != "nearest":
        x = call.b.cast(x, "float32")
    return call.b.layer(
        "UpSampling2D", x, shape=[shape[0], *target, shape[3]], size=factors, interpolation=method, data_format="channels_last"
    )


@carries("image.resize_bilinear", "image.resize_nearest_neighbor", "image.resize_bicubic")
def resize_by_name(call: Call) -> Value:
    """The operations of TensorFlow 1, each of one method."""
    method = {"bilinear": "bilinear", "neighbor": "nearest", "bicubic": "bicubic"}[call.function.rpartition("_")[2]]
    align = call.flag("align_corners")
    if call.flag("half_pixel_centers"):
        if align:
            raise call.refuse("aligns corners and takes pixels at their centres, which is an error")
        return resized(call, method)
    return resized_by_corners(call, method, align)


_KERNELS = {"triangle": "bilinear", "keyscubic": "bicubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5"}
"""Kernels of `ScaleAndTranslate` that `tf.image.resize` uses, by the method that it uses them for."""


@carries("ScaleAndTranslate")
def scale_and_translate(call: Call) -> Value:
    """What `tf.image.resize` is in a graph where it is antialiased, or goes by Lanczos.

    Source: TensorFlow 2.3 `python/ops/image_ops_impl.py`, `resize_images_v2`: scales are the new sizes by the old, nothing is moved.
    """
    kernel, antialias = call.take("kernel_type", default="lanczos3"), call.flag("antialias", default=True)
    x, size, scale, moved = call.x(), call.integers("size") or [], call.take("scale"), call.take("translation")
    old = (x.shape or ())[1:3]
    plain = all(isinstance(item, (list, np.ndarray)) for item in (scale, moved))
    if kernel not in _KERNELS or not plain or not all(isinstance(item, int) for item in old) or len(old) != 2:
        raise call.refuse("scales images as no operation of Keras 3 does, or by what is known only at run time")
    wanted = [new / item for new, item in zip(size, old, strict=True) if isinstance(item, int)]
    if np.any(np.abs(np.array(scale) - wanted) > 1e-6 * np.array(wanted)) or np.any(np.array(moved) != 0):
        raise call.refuse("cuts images and scales them at once, which no operation of Keras 3 does")
    if not antialias and not kernel.startswith("lanczos"):
        raise call.refuse("scales images as no operation of Keras 3 does")
    return resized(call, _KERNELS[kernel], antialias)


def resized_by_corners(call: Call, method: str, align_corners: bool) -> Tensor:
    """Another size as TensorFlow 1 does it: rows and columns are picked, and mixed by constants that follow from both sizes.

    Source: TensorFlow 2.21 `core/util/image_resizer_state.h`, `CalculateResizeScale`; `core/kernels/image/resize_bilinear_op.cc`,
    `LegacyScaler`; `resize_nearest_neighbor_op.cc`, which rounds where corners are aligned and else rounds down.
    """
    x, size = call.x(), call.integers("size") or []
    whole = x.shape[1:3] if x.shape is not None and len(x.shape) == 4 else ()
    if len(whole) != 2 or not all(isinstance(item, int) for item in whole):
        raise call.refuse("resizes images whose size is known only at run time as TensorFlow 1 did, which no operation of Keras 3 does")
    if method not in ("bilinear", "nearest"):
        raise call.refuse(f"resizes by the method {method!r} as TensorFlow 1 did, which no operation of Keras 3 does")
    if method == "bilinear" and x.dtype not in (None, "float32"):
        x = call.b.cast(x, "float32")
    for axis, (old, new) in enumerate(zip(whole, size, strict=True), 1):
        if isinstance(old, int) and old != new:
            x = _along(call, x, axis, old, new, method, align_corners)
    return x


def _along(call: Call, x: Tensor, axis: int, old: int, new: int, method: str, align_corners: bool) -> Tensor:
    call.b.allowed([new])
    scale = np.float32((old - 1) / (new - 1) if align_corners and new > 1 else old / new)
    places = np.arange(new, dtype="float32") * scale
    shape = [size if number != axis else new for number, size in enumerate(x.shape or ())]
    if method == "nearest":
        nearest = np.minimum(np.floor(places + np.float32(0.5)) if align_corners else np.floor(places), old - 1).astype("int32")
        return call.b.op("Take", x, nearest, shape=shape, dtype=x.dtype, axis=axis)
    low = np.floor(places).astype("int32")
    ends = [np.minimum(low + more, old - 1) for more in (0, 1)]
    first, second = (call.b.op("Take", x, end, shape=shape, dtype=x.dtype, axis=axis) for end in ends)
    part = (places - low).astype("float32").reshape((-1, *(1,) * (3 - axis)))
    return call.b.op("Add", first, call.b.op("Multiply", call.b.op("Subtract", second, first), part))


@carries(
    "image.rgb_to_grayscale",
    "image.rgb_to_hsv",
    "image.hsv_to_rgb",
    "image.flip_left_right",
    "image.flip_up_down",
    "image.grayscale_to_rgb",
)
def colours(call: Call) -> Value:
    """Flips and colours."""
    x, name = call.x(), call.function.rpartition(".")[2]
    if name.startswith("flip"):
        return call.b.op("Flip", x, axis=-2 if name.endswith("right") else -3)
    if name == "grayscale_to_rgb":
        return call.b.op("Concatenate", [x, x, x], shape=None if x.shape is None else (*x.shape[:-1], 3), dtype=x.dtype, axis=-1)
    if x.dtype not in (None, "float32"):
        raise call.refuse(f"changes colours of {short(x.dtype)}, which is not carried")
    kind = {"rgb_to_grayscale": "RGBToGrayscale", "rgb_to_hsv": "RGBToHSV", "hsv_to_rgb": "HSVToRGB"}[name]
    shape = None if x.shape is None else (*x.shape[:-1], 1) if name.endswith("grayscale") else x.shape
    return call.b.op(kind, x, shape=shape, data_format="channels_last")


@carries("image.central_crop", "image.crop_to_bounding_box")
def crop(call: Call) -> Value:
    """A part of images whose size is known."""
    x = call.x()
    whole = x.shape[-3:-1] if x.shape is not None and len(x.shape) in (3, 4) else ()
    sizes = [size for size in whole if isinstance(size, int)]
    if len(sizes) != 2:
        raise call.refuse("crops images whose size is known only at run time")
    if call.function.endswith("central_crop"):
        part = float(call.number("central_fraction"))
        starts = [int((size - size * part) / 2) for size in sizes]
        counts = [size - 2 * start for size, start in zip(sizes, starts, strict=True)]
    else:
        starts = [int(call.number(f"offset_{axis}")) for axis in ("height", "width")]
        counts = [int(call.number(f"target_{axis}")) for axis in ("height", "width")]
    key = [slice(None)] * (len(x.shape or ()) - 3) + [slice(start, start + count) for start, count in zip(starts, counts, strict=True)]
    return call.b.op("GetItem", x, tuple(key), shape=[*(x.shape or ())[:-3], *counts, (x.shape or ())[-1]])


@carries("image.per_image_standardization")
def standardized(call: Call) -> Value:
    """Each image with mean 0 and deviation 1, at least that of one pixel of all.

    Source: TensorFlow 2.21 `python/ops/image_ops_impl.py`, `per_image_standardization`.
    """
    x = call.b.cast(call.x(), "float32")
    sizes = [size for size in (x.shape or ())[-3:] if isinstance(size, int)]
    if len(sizes) != 3:
        raise call.refuse("standardizes images whose size is known only at run time")
    axes = [-3, -2, -1]
    shape = [*(x.shape or ())[:-3], 1, 1, 1]
    mean = call.b.op("Mean", x, shape=shape, axis=axes, keepdims=True)
    centred = call.b.op("Subtract", x, mean)
    deviation = call.b.op("Sqrt", call.b.op("Mean", call.b.op("Square", centred), shape=shape, axis=axes, keepdims=True))
    return call.b.op("Divide", centred, call.b.op("Maximum", deviation, 1 / float(np.sqrt(np.prod(sizes)))))


@carries("image.extract_patches", "image.extract_image_patches")
def patches(call: Call) -> Value:
    """Patches of images, each as channels."""
    x, padding = call.x(), str(call.take("padding")).lower()
    rows = [call.integers(*names) or [] for names in (("sizes", "ksizes"), ("strides",), ("rates",))]
    if padding not in ("same", "valid") or any(len(row) != 4 or row[0] != 1 or row[3] != 1 for row in rows):
        raise call.refuse("takes patches as no operation of Keras 3 does")
    size, strides, rates = (row[1:3] for row in rows)
    if rates[0] != rates[1] or x.dtype not in (None, "float32"):
        raise call.refuse("takes patches as no operation of Keras 3 does")
    shape: list[Dim | None] | None = None
    if x.shape is not None and len(x.shape) == 4:
        spans = [(window - 1) * rate + 1 for window, rate in zip(size, rates, strict=True)]
        shape = [x.shape[0], *(_count(*item, padding) for item in zip(x.shape[1:3], spans, strides, strict=True))]
        shape.append(product([x.shape[3], *size]))
    return call.b.op(
        "ExtractPatches", x, shape=shape, size=size, strides=strides, dilation_rate=rates[0], padding=padding, data_format="channels_last"
    )


def _count(size: Dim, span: int, step: int, padding: str) -> Dim | None:
    if not isinstance(size, int):
        return None
    return -(-(size if padding == "same" else size - span + 1) // step)
