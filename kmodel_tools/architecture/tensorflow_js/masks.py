"""Masks in TensorFlow.js: where they go otherwise than in Keras.

A mask that was once there is given to every later layer that has none of its own, whatever it is fed: an LSTM behind the layer that took
the mask away still leaves out steps (4.22 `tfjs-layers/src/engine/executor.ts`, `execute`, `kwargs['mask']`). So what uses masks is
refused in a model that has one, unless that very mask reaches it through layers that hand it on in both.
Merging layers make other masks of several (`merge.ts`, `computeMask`), nested models give none (`container.ts`), and where a mask begins
with a step that is left out, a layer gives the state it began with and not zeros (`recurrent.ts`, `rnn`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.topology import references

USERS = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM2D", "Bidirectional"})
"""Layers that leave out steps."""
PASSING = frozenset(
    [
        "Activation", "AlphaDropout", "BatchNormalization", "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
        "LayerNormalization", "LeakyReLU", "PReLU", "ReLU", "SpatialDropout1D", "ThresholdedReLU",
    ]
)  # fmt: skip
"""Layers behind which the mask is the same, in both."""


class Mask(enum.Enum):
    """What is known of the mask of a tensor."""

    NONE = "none"
    SAME = "the same in both"
    UNKNOWN = "unknown"


def of_masks(model: Config) -> list[str]:
    """The layers of a model that would get another mask than in Keras; a sentence for each."""
    if not _has_masks(model):
        return []
    flow = _Flow()
    flow.model(model, Mask.NONE)
    return flow.found


def _has_masks(model: Config) -> bool:
    stack: list[Any] = [model]
    while stack:
        item = stack.pop()
        if not isinstance(item, Mapping) or "class_name" not in item:
            continue
        if _is_source(item):
            return True
        stack += layer_configs(item) if is_model(class_of(item), settings_of(item)) else [settings_of(item).get("layer")]
    return False


def _is_source(entry: Config) -> bool:
    return class_of(entry) == "Masking" or (class_of(entry) == "Embedding" and bool(settings_of(entry).get("mask_zero")))


@dataclass(slots=True)
class _Flow:
    """Follows masks through a model, and through those in it; configurations nest no deeper than `spec.MAX_DEPTH`."""

    found: list[str] = field(default_factory=list)

    def model(self, model: Config, given: Mask) -> Mask:
        """Say what is found in a model whose inputs have a mask, or none; returns the mask of what it puts out."""
        masks: dict[str, Mask] = {}
        last = given
        for entry in layer_configs(model):
            name = str(entry.get("name") or settings_of(entry).get("name"))
            calls = entry.get("inbound_nodes")
            if isinstance(calls, list):
                made = [self._layer(entry, [_of(item, masks) for item in references(call)] or [given]) for call in calls or [[]]]
                last = made[0] if len(set(made)) == 1 else Mask.UNKNOWN
            else:
                last = self._layer(entry, [last])
            masks[name] = last
        ends = [_of(item, masks) for item in references(settings_of(model).get("output_layers"))] or [last]
        return ends[0] if len(set(ends)) == 1 else Mask.UNKNOWN

    def _layer(self, entry: Config, masks: list[Mask]) -> Mask:
        kind, settings = class_of(entry), settings_of(entry)
        first = masks[0]
        if kind == "InputLayer":
            return first
        if _is_source(entry):
            return Mask.SAME
        if is_model(kind, settings):
            return self._nested(entry, masks)
        if kind in USERS:
            self.found += [f"layer {settings.get('name', '')} ({kind}): {reason}" for reason in _reasons(kind, settings, masks)]
            inner = settings.get("layer") if kind == "Bidirectional" else entry
            sequences = isinstance(inner, Mapping) and settings_of(inner).get("return_sequences")
            return first if sequences else Mask.NONE
        if kind == "TimeDistributed":
            return self._each_time(settings, first)
        if kind in PASSING:
            return first
        return Mask.NONE if all(mask is Mask.NONE for mask in masks) else Mask.UNKNOWN

    def _nested(self, entry: Config, masks: list[Mask]) -> Mask:
        given = masks[0] if len(set(masks)) == 1 else Mask.UNKNOWN
        made = self.model(entry, given)
        return Mask.UNKNOWN if made is not Mask.NONE and _has_masks(entry) else made

    def _each_time(self, settings: Config, given: Mask) -> Mask:
        inner = settings.get("layer")
        if not isinstance(inner, Mapping):
            return Mask.UNKNOWN
        if class_of(inner) in PASSING or given is Mask.NONE:
            return given
        if class_of(inner) in USERS or is_model(class_of(inner), settings_of(inner)):
            self.found.append(f"layer {settings.get('name', '')} (TimeDistributed): it gives no mask to its layer, and here is one")
        return Mask.UNKNOWN


def _of(item: Any, masks: Mapping[str, Mask]) -> Mask:
    """The mask of a tensor; states, which are further outputs, have none."""
    mask = masks.get(str(item[0]), Mask.UNKNOWN)
    return Mask.NONE if item[2] and mask is Mask.SAME else mask


def _reasons(kind: str, settings: Config, masks: list[Mask]) -> Iterator[str]:
    inner = settings.get("layer")
    if masks[0] is not Mask.SAME:
        yield (
            "a mask from elsewhere in the model would reach it, and in Keras does not"
            if masks[0] is Mask.NONE
            else ("its mask would be another one")
        )
    elif len(masks) > 1:
        yield "it has a mask and states to begin with, which it would give where the first steps are left out"
    elif kind == "Bidirectional" and isinstance(inner, Mapping) and settings_of(inner).get("return_sequences"):
        yield "it has a mask, and would not give zeros for the steps that are left out"
