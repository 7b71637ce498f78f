"""Masks that Keras 3 loses, or makes otherwise, said explicitly in the graph of a Functional model.

A mask tells which steps of a sequence count; Embedding and Masking make it, most layers pass it on. Three things changed:

* A recurrent layer that is given an initial state gets no mask (Keras 3.15.1 `layers/layer.py`, `Layer.__call__`: with
  several tensors a mask goes to an argument `sequences_mask`, which no layer has).
* Layers that merge: what is masked in one of their inputs was masked in their output. Keras 3 masks what is masked in all,
  nothing where one input has no mask, and Maximum, Minimum and Multiply leave masked values out of what they compute.
* Identity, Rescaling and Normalization passed no mask on.

Masks are therefore computed where they are needed, by operations that Keras 3 has as nodes of a graph::

    NotEqual(ids, 0)                      that of an Embedding
    Any(NotEqual(x, mask_value), -1)      that of a Masking
    LogicalAnd, Concatenate               those of layers that merge

A recurrent layer takes one as `mask`; after a layer that merges, a list of one Identity called with it gives it to the tensor.
`Copy` takes the mask off a tensor: operations pass none on. Source of the old rules: tf_keras 2.21 `layers/merging/base_merge.py`,
`layers/merging/concatenate.py`, `engine/base_layer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.upgrade.draft import Json, Notes, UpgradeError
from kmodel_tools.architecture.upgrade.graph import MERGES, STATES, Ref, calls_in_order, free_name, refs, tensor_at, with_refs
from kmodel_tools.architecture.upgrade.mask_flow import (
    ATTENTION,
    PASSING,
    STOPPING,
    is_old_hard_sigmoid,
    makes_mask,
    puts_out_mask,
    stopped_in_row,
    used_masks,
)
from kmodel_tools.architecture.upgrade.objects import spelled


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """How a mask is made. There is one object for each (`_Masks.mask`), so that one of masks of masks is compared at once.

    Attributes:
        kind: "ids" (of an Embedding), "values" (of a Masking), "and", "join" or "unknown".
        of: The tensor that it is made of.
        number: What a Masking masks.
        parts: The masks that it is made of.
    """

    kind: str
    of: Ref | None = None
    number: Any = None
    parts: tuple[Mask, ...] = ()


UNKNOWN = Mask("unknown")
MAX_PARTS = 1000
"""Masks that one is made of; no model has so many, and each may be made of as many again."""

SUMS = frozenset({"Add", "Average", "Subtract"})
CHANGED = "Keras 3 makes other masks here: the old ones are computed by operations of the graph, and given explicitly"


def with_masks(layers: list[Json], ends: Json, notes: Notes) -> Json:
    """Make the masks of a model explicit where Keras 3 has other ones.

    Args:
        layers: The layers of a Functional model as Keras 3 spells them; changed, and more are added.
        ends: Its `input_layers` and `output_layers`.
        notes: Where to say so.

    Returns:
        The ends, which may be other tensors.
    """
    if not any(makes_mask(layer) for layer in layers):
        return ends
    masks = _Masks(layers, notes)
    masks.follow()
    return {key: masks.moved_end(value) for key, value in ends.items()}


@dataclass(slots=True)
class _Masks:
    """The masks of the tensors of a graph.

    Attributes:
        layers: The layers; grows.
        notes: Where to say what was done.
        held: The mask of each tensor that has one.
        made: Tensors that were added, by the mask that they are, or by what they are on the way to one.
        moved: Tensors in the place of which others are used.
        known: Every mask, by how it is made.
        used: Tensors whose mask gets to a layer that computes something else because of it.
        taken: Names of layers.
    """

    layers: list[Json]
    notes: Notes
    held: dict[Ref, Mask] = field(default_factory=dict)
    made: dict[Any, Ref] = field(default_factory=dict)
    moved: dict[Ref, Ref] = field(default_factory=dict)
    known: dict[tuple[Any, ...], Mask] = field(default_factory=dict)
    used: set[Ref] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def mask(self, kind: str, of: Ref | None = None, number: Any = None, parts: tuple[Mask, ...] = ()) -> Mask:
        """The one mask that is made so."""
        if len(parts) > MAX_PARTS:
            raise UpgradeError(f"a mask made of more than {MAX_PARTS} others")
        return self.known.setdefault((kind, of, number, parts), Mask(kind, of, number, parts))

    def follow(self) -> None:
        """Go through the calls."""
        self.used = used_masks(self.layers)
        self.taken = {str(layer["name"]) for layer in self.layers}
        for layer, index, node in calls_in_order(self.layers):
            self._call(layer, index, node)

    def _call(self, layer: Json, index: int, node: Json) -> None:
        kind, name = layer["class_name"], str(layer["name"])
        given = list(refs(node["args"][:1]))
        found = [self.held.get(ref) for ref in given]
        out = (name, index, 0)
        if kind in MERGES:
            self._merge(layer, out, node, found)
        else:
            mask = self._after(layer, given, found)
            if kind in STATES:
                mask = self._recurrent(layer, node, mask)
            elif kind in STOPPING and any(found):
                self._strip(node)
            elif kind == "MultiHeadAttention" and any(found) and node["kwargs"].get("return_attention_scores"):
                self.notes.say("steps that are masked out get other values of attention in Keras 3", name)
            if mask is not None:
                self.held[out] = mask
        node["args"], node["kwargs"] = self._moved(node["args"]), self._moved(node["kwargs"])

    def _after(self, layer: Mapping[str, Any], given: Sequence[Ref], found: Sequence[Mask | None]) -> Mask | None:
        """The mask of what a layer makes of tensors, of which the first is the one that counts."""
        kind, config = layer["class_name"], layer["config"]
        if kind == "Masking" and given:
            number = config.get("mask_value", 0.0)
            return self.mask("values", given[0], number) if isinstance(number, (int, float)) else UNKNOWN
        if kind == "Embedding" and config.get("mask_zero") and given:
            return self.mask("ids", given[0])
        mask = found[0] if found else None
        if is_old_hard_sigmoid(layer):
            return mask
        if kind == "Sequential":
            if mask is not None and isinstance(config["layers"], list):
                config["layers"][:] = stopped_in_row(config["layers"], self.notes, masked=True)
            place: Sequence[Ref] = given
            for item in config["layers"]:
                if item["class_name"] != "InputLayer":
                    makes = item["class_name"] in ("Masking", "Embedding")
                    mask = UNKNOWN if makes and not place and makes_mask(item) else self._after(item, place, [mask])
                    place = ()
            return mask
        if kind == "Functional" and (any(found) or (makes_mask(layer) and puts_out_mask(config))):
            if any(found) and any(item["class_name"] in MERGES | STATES for item in config["layers"]):
                self.notes.say("a mask goes into a nested model, in which Keras 3 may treat it otherwise", str(layer["name"]))
            return UNKNOWN
        if kind in STATES:
            inner = config.get("layer", layer)
            return mask if inner["config"].get("return_sequences") else None
        return mask if kind in PASSING | ATTENTION else None

    def _recurrent(self, layer: Mapping[str, Any], node: Json, mask: Mask | None) -> Mask | None:
        """A recurrent layer with an initial state: it is told its mask."""
        own = next((self.held.get(ref) for ref in refs(node["args"][:1])), None)
        if own is None or node["kwargs"].get("mask") is not None or not any(refs(node["kwargs"].get("initial_state"))):
            return mask
        tensor = self._tensor(own, str(layer["name"]))
        if tensor is not None:
            node["kwargs"]["mask"] = tensor_at(tensor)
            self.notes.say(CHANGED, str(layer["name"]))
        return mask

    def _merge(self, layer: Json, out: Ref, node: Json, found: Sequence[Mask | None]) -> None:
        """A layer that merges: what it makes is given the mask that it had."""
        kind, name = layer["class_name"], out[0]
        present = [mask for mask in found if mask is not None]
        if not present or kind == "Dot":
            return
        if kind in SUMS and len(present) == len(found) and len(set(present)) == 1 and present[0] is not UNKNOWN:
            self.held[out] = present[0]
            return
        if kind not in SUMS:
            self._strip(node)
            self.notes.say(CHANGED, name)
        joined = kind == "Concatenate" and layer["config"].get("axis") in (1, -2)
        mask = self.mask("join", parts=tuple(present)) if joined else self._both(present)
        self.held[out] = mask
        if out not in self.used:
            return
        tensor = self._tensor(mask, name)
        if tensor is None:
            return
        again = free_name(f"{name}_masked", self.taken)
        inner = spelled("keras.layers", "Identity", {"name": f"{again}_identity"})
        made = spelled("keras", "Sequential", {"name": again, "trainable": True, "layers": [inner]})
        self.layers.append({**made, "name": again, "inbound_nodes": [{"args": [tensor_at(out)], "kwargs": {"mask": tensor_at(tensor)}}]})
        self.moved[out] = (again, 0, 0)
        self.held[again, 0, 0] = mask
        self.notes.say(CHANGED, name)

    def _both(self, masks: Sequence[Mask]) -> Mask:
        """What all of some masks leave."""
        if UNKNOWN in masks:
            return UNKNOWN
        parts = tuple(dict.fromkeys(part for mask in masks for part in (mask.parts if mask.kind == "and" else (mask,))))
        return parts[0] if len(parts) == 1 else self.mask("and", parts=parts)

    # Operations.

    def _strip(self, node: Json) -> None:
        """Take the masks off what a layer is called on."""

        def stripped(ref: Ref) -> Ref:
            return self._operation("Copy", ref[0], ("bare", ref), [tensor_at(ref)]) if self.held.get(ref) else ref

        node["args"] = [with_refs(item, stripped) for item in node["args"]]

    def _tensor(self, mask: Mask, near: str) -> Ref | None:
        """The tensor that a mask is, made if need be, after those of its parts; None for one that nothing tells."""
        found: dict[Mask, Ref | None] = {}
        stack = [mask]
        while stack:
            one = stack[-1]
            left = [] if one in self.made else [part for part in one.parts if part not in found]
            if left:
                stack += reversed(left)
                continue
            stack.pop()
            if one not in found:
                found[one] = self.made[one] if one in self.made else self._made_of(one, [found[part] for part in one.parts], near)
        return found[mask]

    def _made_of(self, mask: Mask, parts: Sequence[Ref | None], near: str) -> Ref | None:
        """The tensor that a mask is, of those that its parts are."""
        if mask.kind == "unknown":
            self.notes.say("a mask from inside of a nested model is not carried", near)
            return None
        if mask.kind == "ids":
            return self._operation("NotEqual", near, mask, [_tensor_of(mask.of), 0])
        if mask.kind == "values":
            unequal = self._operation("NotEqual", near, ("unequal", mask.of, mask.number), [_tensor_of(mask.of), mask.number])
            return self._operation("Any", near, mask, [tensor_at(unequal)], axis=-1, keepdims=False)
        tensors = [part for part in parts if part is not None]
        if len(tensors) < len(parts):
            return None
        if mask.kind == "join":
            return self._operation("Concatenate", near, mask, [[tensor_at(ref) for ref in tensors]], axis=1)
        found = tensors[0]
        for number, ref in enumerate(tensors[1:], 2):
            first = self.mask("and", parts=mask.parts[:number])
            found = self._operation("LogicalAnd", near, first, [tensor_at(found), tensor_at(ref)])
        return found

    def _operation(self, kind: str, near: str, mask: Any, arguments: list[Any], **config: Any) -> Ref:
        """A node of the graph that is an operation; one of a kind, wherever it is needed again."""
        if mask not in self.made:
            name = free_name(f"{near}_{'bare' if kind == 'Copy' else 'mask'}", self.taken)
            made = spelled("keras.src.ops.numpy", kind, {"name": name, **config}, kind)
            self.layers.append({**made, "name": name, "inbound_nodes": [{"args": self._moved(arguments), "kwargs": {}}]})
            self.made[mask] = (name, 0, 0)
        return self.made[mask]

    def _moved(self, value: Any) -> Any:
        return with_refs(value, lambda ref: self.moved.get(ref, ref))

    def moved_end(self, value: Any) -> Any:
        """A model's ends, in which a tensor is a bare list."""
        if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
            return list(self.moved.get((value[0], value[1], value[2]), value))
        if isinstance(value, Mapping):
            return {key: self.moved_end(item) for key, item in value.items()}
        return [self.moved_end(item) for item in value] if isinstance(value, list) else value


def _tensor_of(ref: Ref | None) -> Json:
    return tensor_at(ref or ())
