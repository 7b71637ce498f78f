"""Convolutions of images whose channels come first, of which Keras 3 on TensorFlow adds the bias at another place now and then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import ACTIVATIONS, activation_of
from kmodel_tools.architecture.weight_rules import Piece, WeightRule

KERNELS: dict[str, tuple[str, ...]] = {
    **{f"{kind}{rank}D{back}": ("kernel",) for kind in ("Conv",) for rank in (1, 2, 3) for back in ("", "Transpose")},
    **{f"DepthwiseConv{rank}D": ("kernel",) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": ("depthwise_kernel", "pointwise_kernel") for rank in (1, 2)},
}
FIRST, LAST = "channels_first", "channels_last"
BY_ELEMENT = ACTIVATIONS - {"softmax", "log_softmax"}
"""Activations that do not care where the channels are."""
WHY = "Keras 3 adds a bias along the wrong axis where an image with its channels first is as wide as it has channels"


def bias_of_channels_first(draft: Draft) -> None:
    """A biased convolution with `channels_first` whose output is, or may be, as wide as it has channels.

    It becomes one with its channels last, between two Permute. Cures other predictions without a word. Keras 3.15.1
    `backend/tensorflow/numpy.py`, `add`, takes what can be squeezed to a vector for a bias, and adds it along the last axis
    wherever that has its length.
    """
    config = draft.config
    roles = KERNELS.get(draft.class_name)
    if roles is None or config.get("data_format") != FIRST or not config.get("use_bias", True):
        return
    filters = config.get("filters")  # a depthwise convolution does not say how many it has
    width = draft.notes.widths.get(draft.paths[0])
    if not draft.class_name.startswith("Depthwise") and (filters == 1 or (width is not None and width != filters)):
        return
    rank = int(draft.class_name.removesuffix("Transpose")[-2])
    kept = {key: value for key, value in config.items() if key not in ("name", "trainable", "dtype")}
    function = kept.get("activation")
    apart = function is not None and activation_of(draft) not in BY_ELEMENT
    conv = kept | {"data_format": LAST} | ({"activation": "linear"} if apart else {})
    row = [
        ("Permute", {"dims": [*range(2, rank + 2), 1]}),
        (draft.class_name, conv),
        ("Permute", {"dims": [rank + 1, *range(1, rank + 1)]}),
        *([("Activation", {"activation": function})] if apart else []),
    ]
    draft.become_a_row(*row)
    inner = str(draft.config["layers"][1]["config"]["name"])
    for path in draft.paths:
        _move((*path,), inner, (*roles, "bias"), draft)
        applied = draft.notes.layer_at((*path, "activation"))
        last = str(draft.config["layers"][-1]["config"]["name"])
        for weight in applied.weights if applied is not None else ():
            piece = Piece((*path, "activation"), weight.role)
            draft.notes.rules.append(WeightRule((*path, last, "activation"), weight.role, (piece,), 0, WHY))
    draft.say(f"{WHY}: this one has them last inside, between two layers that turn the image")


def _move(path: tuple[str, ...], inner: str, roles: Sequence[str], draft: Draft) -> None:
    """Weights of a layer go into the layer of that name that took its place, as earlier rules make them."""
    rules = draft.notes.rules
    for role in roles:
        made = [index for index, rule in enumerate(rules) if rule.layer == path and rule.role == role]
        for index in made:
            rules[index] = replace(rules[index], layer=(*path, inner))
        if not made:
            rules.append(WeightRule((*path, inner), role, (Piece(path, role),), 0, WHY))
