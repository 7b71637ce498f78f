"""What Theano computed otherwise than TensorFlow, in files of Keras 2.0 to 2.3 that say it was the backend.

::

    convolution      Theano turns the kernel round; `same` puts half of it before the first element, whatever the stride
    transposed       the same kernel; `same` cuts half of it off the start
    pooling          `same` starts before the first element by all but one (even) or two (odd) of the window
    depthwise        the kernel as it is, for Keras turns it round itself

Sources: Keras 2.2.4 `backend/theano_backend.py`, `utils/conv_utils.py` (`convert_kernel`, `deconv_length`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.weight_rules import Flip

THEANO = "theano"
CONVOLUTIONS = {f"Conv{rank}D": rank for rank in (1, 2, 3)}
TRANSPOSED = {f"Conv{rank}DTranspose": rank for rank in (2, 3)}
DEPTHWISE = {"DepthwiseConv2D": 2}
SEPARABLE = {f"SeparableConv{rank}D": rank for rank in (1, 2)}
POOLINGS = {f"{kind}Pooling{rank}D": rank for kind in ("Max", "Average") for rank in (1, 2, 3)}
FLIPPED = "Theano's convolution flips kernels, TensorFlow's does not"
PADDED = "Theano pads on another side than TensorFlow; a layer of zeros was put before"


def each(value: Any, rank: int) -> list[int]:
    """An argument for each dimension, of which there may be one for all."""
    items = list(value) if isinstance(value, Sequence) else [value]
    return [int(item) for item in items] if len(items) == rank else [int(items[0])] * rank


def _reach(draft: Draft, rank: int) -> list[int]:
    """How far a kernel reaches along each dimension."""
    sizes, rates = each(draft.config["kernel_size"], rank), each(draft.config.get("dilation_rate", 1), rank)
    return [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]


def _is_same(draft: Draft) -> bool:
    return draft.notes.backend == THEANO and draft.config.get("padding") == "same"


def flip_kernels(draft: Draft) -> None:
    """Kernels the other way round. Cures other predictions without a word."""
    rank = {**CONVOLUTIONS, **TRANSPOSED, "ConvLSTM2D": 2}.get(draft.class_name)
    if draft.notes.backend != THEANO or rank is None:
        return
    flip = Flip(tuple(range(rank)))
    attr = "cell" if draft.class_name == "ConvLSTM2D" else ""
    for role in ("kernel", "recurrent_kernel") if attr else ("kernel",):
        if not _flip_ruled(draft, attr, role, flip):
            draft.change_weight(attr, role, [{"steps": (flip,)}], 0, FLIPPED)
    draft.say("Theano trained it, whose convolutions flip kernels: they were turned round in")


def _flip_ruled(draft: Draft, attr: str, role: str, flip: Flip) -> bool:
    """Flip the kernel as rules make it already; whether any does."""
    places = [(*path, attr) if attr else path for path in draft.paths]
    found = False
    for index, rule in enumerate(draft.notes.rules):
        if rule.layer in places and rule.role == role:
            pieces = tuple(replace(piece, steps=(flip, *piece.steps)) for piece in rule.pieces)
            draft.notes.rules[index] = replace(rule, pieces=pieces)
            found = True
    return found


def pad_before(draft: Draft) -> None:
    """`same` with even kernels or strides: zeros beforehand. Cures other predictions without a word."""
    rank = {**CONVOLUTIONS, **DEPTHWISE, **SEPARABLE}.get(draft.class_name)
    if not _is_same(draft) or rank is None:
        return
    reach, strides = _reach(draft, rank), each(draft.config.get("strides", 1), rank)
    if all(size % 2 and step == 1 for size, step in zip(reach, strides, strict=True)):
        return
    if draft.class_name in SEPARABLE and any(size % 2 == 0 for size in reach):
        raise draft.refuse("has an even kernel and pads as Theano does, which makes more of it than Keras says")
    pads = [[size // 2, (size - 1) // 2] for size in reach]
    config = {"padding": pads[0] if rank == 1 else pads, "data_format": draft.config.get("data_format", "channels_last")}
    draft.before.append((f"ZeroPadding{rank}D", config))
    draft.config["padding"] = "valid"
    draft.say(PADDED)


def crop_behind(draft: Draft) -> None:
    """A transposed `same`: all that the kernel reaches, cropped where Theano cuts. Cures other predictions without a word.

    Raises:
        UpgradeError: Theano makes more than the kernel reaches.
    """
    rank = TRANSPOSED.get(draft.class_name)
    if not _is_same(draft) or rank is None:
        return
    reach, strides = _reach(draft, rank), each(draft.config.get("strides", 1), rank)
    extra = draft.config.get("output_padding")
    if extra is None:
        ends = [size - step - size // 2 for size, step in zip(reach, strides, strict=True)]
    else:
        ends = [size // 2 - more for size, more in zip(reach, each(extra, rank), strict=True)]
    crops = [[size // 2, end] for size, end in zip(reach, ends, strict=True)]
    if extra is None and all(step == 1 and size % 2 for size, step in zip(reach, strides, strict=True)):
        return
    if any(end < 0 for end in ends):
        raise draft.refuse("makes an output that is larger than what its kernel reaches, as Theano alone does")
    draft.config |= {"padding": "valid", "output_padding": None}
    draft.after.append((f"Cropping{rank}D", {"cropping": crops, "data_format": draft.config.get("data_format", "channels_last")}))
    draft.say("Theano pads on another side than TensorFlow; a layer that crops was put behind")


def refuse_pooling(draft: Draft) -> None:
    """`same` pooling starts at another element, unless windows are of 3 (or 1) and move by 1."""
    rank = POOLINGS.get(draft.class_name)
    if not _is_same(draft) or rank is None:
        return
    sizes = each(draft.config.get("pool_size", 2), rank)
    strides = each(draft.config.get("strides") or sizes, rank)
    if any((size, step) not in ((3, 1), (1, 1)) for size, step in zip(sizes, strides, strict=True)):
        raise draft.refuse("pools as Theano pads (`same`), which starts at another element than TensorFlow's")


def refuse_uneven_states(draft: Draft) -> None:
    """ConvLSTM2D pads its states inside, where nothing can be put before it."""
    if draft.notes.backend != THEANO or not draft.is_a("ConvLSTM2D"):
        return
    strides = each(draft.config.get("strides", 1), 2)
    if any(size % 2 == 0 for size in _reach(draft, 2) + each(draft.config["kernel_size"], 2)) or (_is_same(draft) and strides != [1, 1]):
        raise draft.refuse("pads its states as Theano does (even kernels, or `same` with strides), on another side than TensorFlow")


RULES = (refuse_pooling, refuse_uneven_states, flip_kernels, pad_before, crop_behind)
