"""Convolutions of images whose channels come first, of which Keras 3 on TensorFlow adds the bias at another place now and then."""

from __future__ import annotations

from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import ACTIVATIONS, activation_of

KERNELS: dict[str, tuple[str, ...]] = {
    **{f"Conv{rank}D{back}": ("kernel",) for rank in (1, 2, 3) for back in ("", "Transpose")},
    **{f"DepthwiseConv{rank}D": ("kernel",) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": ("depthwise_kernel", "pointwise_kernel") for rank in (1, 2)},
}
FIRST, LAST = "channels_first", "channels_last"
BY_ELEMENT = ACTIVATIONS - {"softmax", "log_softmax"}
"""Activations that do not care where the channels are."""
WHY = "Keras 3 adds a bias along the wrong axis where an image with its channels first is as wide as it has channels"


def bias_of_channels_first(draft: Draft) -> None:
    """A biased convolution with `channels_first` whose output is, or may be, as wide as it has channels.

    It gets its channels last, between two Permute. Cures other predictions without a word. Keras 3.15.1
    `backend/tensorflow/numpy.py`, `add`, takes what can be squeezed to a vector for a bias, and adds it along the last axis
    wherever that has its length.
    """
    config = draft.config
    if draft.class_name not in KERNELS or config.get("data_format") != FIRST or not config.get("use_bias", True):
        return
    filters = config.get("filters")
    width = None if draft.after else draft.notes.widths.get(draft.paths[0])  # what is cropped is wider before
    says_it = not draft.class_name.startswith("Depthwise")  # which does not say how many channels it makes
    if says_it and (filters == 1 or (width is not None and width != filters)):
        return
    rank = int(draft.class_name.removesuffix("Transpose")[-2])
    config["data_format"] = LAST
    draft.before.append(("Permute", {"dims": [*range(2, rank + 2), 1]}))
    draft.after.insert(0, ("Permute", {"dims": [rank + 1, *range(1, rank + 1)]}))
    draft.say(f"{WHY}: this one has them last inside, between two layers that turn the image")


def row_of_layers(draft: Draft) -> None:
    """A convolution with layers before or after it; an activation that is not of each element alone comes last."""
    if not draft.before and not draft.after:
        return
    function = draft.config.get("activation")
    is_apart = bool(draft.after) and function is not None and activation_of(draft) not in BY_ELEMENT
    if is_apart:
        draft.config["activation"] = "linear"
        draft.after.append(("Activation", {"activation": function}))
    roles = KERNELS[draft.class_name]
    draft.surround((*roles, "bias") if draft.config.get("use_bias", True) else roles, is_apart)


RULES = (bias_of_channels_first, row_of_layers)
