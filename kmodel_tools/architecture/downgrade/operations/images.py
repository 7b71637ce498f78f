"""Operations of images: another size, other colours, patches, edges."""

from __future__ import annotations

from kmodel_tools.architecture.downgrade.operations.building import Tensor
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, short
from kmodel_tools.architecture.downgrade.operations.dtypes import INTEGERS

_METHODS = frozenset({"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"})


def _images(call: Call) -> Tensor:
    """Images whose channels are last."""
    if call.setting("data_format") not in (None, "channels_last"):
        raise call.refuse(f"has its channels as {short(call.setting('data_format'))}, which is not carried back")
    return call.tensor(0, "images")


@carries("Resize")
def resize(call: Call) -> Result:
    """Another size, in the same dtype: integers are rounded. Source: Keras 3.15.1 `ops/image.py`, `_resize`."""
    x, size, method = _images(call), call.integers("size") or [], call.setting("interpolation", "bilinear")
    if call.flag("crop_to_aspect_ratio") or call.flag("pad_to_aspect_ratio") or method not in _METHODS or len(size) != 2:
        raise call.refuse(f"crops or pads to an aspect ratio, or resizes by {short(method)}, which no operation of TensorFlow does")
    dtype = x.dtype if method == "nearest" else "float32"
    found = call.b.op("image.resize", x, dtype, size_=size, method=method, antialias=call.flag("antialias"))
    if x.dtype == dtype:
        return found
    found = call.b.op("math.round", found) if x.dtype in INTEGERS else found
    return call.b.op("dtypes.saturate_cast", found, x.dtype, dtype_=x.dtype)


@carries("RGBToGrayscale", "RGBToHSV", "HSVToRGB")
def colours(call: Call) -> Result:
    """Other colours."""
    x = _images(call)
    name = {"RGBToGrayscale": "rgb_to_grayscale", "RGBToHSV": "rgb_to_hsv", "HSVToRGB": "hsv_to_rgb"}[call.kind]
    if x.dtype != "float32":
        raise call.refuse(f"changes the colours of {x.dtype}, which is not carried back")
    if call.kind == "RGBToGrayscale" and call.sizes(x)[-1] == 1:
        return call.b.same("identity", x)
    return call.b.op(f"image.{name}", x)


@carries("ExtractPatches")
def patches(call: Call) -> Result:
    """Patches of images, each as channels."""
    x, size, strides, rate = _images(call), call.integers("size") or [], call.integers("strides"), call.integers("dilation_rate", 1) or [1]
    size = size * 2 if len(size) == 1 else size
    strides = size if not strides else strides * 2 if len(strides) == 1 else strides
    rate = rate * 2 if len(rate) == 1 else rate
    padding = str(call.setting("padding", "valid")).upper()
    if len(size) != 2 or x.rank != 4 or padding not in ("SAME", "VALID"):
        raise call.refuse("takes patches of single images or of volumes, which is not carried back")
    return call.b.op("image.extract_patches", x, sizes=[1, *size, 1], strides=[1, *strides, 1], rates=[1, *rate, 1], padding=padding)


@carries("CropImages", "PadImages")
def edges(call: Call) -> Result:
    """Without pixels at the edges, or with more of them."""
    x = _images(call)
    sizes = call.sizes(x)
    word = "cropping" if call.kind == "CropImages" else "padding"
    key: list[slice] = [slice(None)] * (len(sizes) - 3)
    rows = [[0, 0]] * (len(sizes) - 3)
    for names, target, axis in ((("top", "bottom"), "target_height", -3), (("left", "right"), "target_width", -2)):
        ends = [call.setting(f"{name}_{word}") for name in names]
        whole, wanted = sizes[axis], call.setting(target)
        for place in (0, 1):
            if ends[place] is None and isinstance(wanted, int) and isinstance(ends[1 - place], int) and isinstance(whole, int):
                ends[place] = abs(whole - wanted) - ends[1 - place]
        if not all(isinstance(end, int) for end in ends):
            raise call.refuse("works out how far it goes in a way that is not carried back")
        first, last = ends
        key.append(slice(first, None if last == 0 else -last))
        rows.append([first, last])
    if call.kind == "CropImages":
        return call.b.getitem(x, [*key, slice(None)])
    return call.b.op("pad", x, paddings=[*rows, [0, 0]])
