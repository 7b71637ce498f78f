"""Masks of a Functional model: Keras 3 says them in the graph, Keras 2 passes them on beside the tensors.

A mask tells which steps of a sequence count; Embedding and Masking make it, most layers pass it on. Keras 3 keeps each as the
operations that make it, and as an argument of every call that minds it (3.15.1 `layers/layer.py`, `Layer.__call__`)::

    NotEqual(ids, 0)                                                that of an Embedding
    Any(NotEqual(x, mask_value), -1), Squeeze where it keeps axes   that of a Masking
    LogicalOr                                                       that of a layer that merges

Where Keras 2 comes to the same mask by itself, the argument and its operations are left out. Where it has another one, the
argument stays; where Keras 3 has none, a Rescaling by 1 takes it off. The differences (see `upgrade.masks`): what merges, what
gets an initial state, and Identity, Rescaling and Normalization, which pass no mask on in Keras 2.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.topology import is_operation, references
from kmodel_tools.architecture.upgrade.draft import Json, Notes, UpgradeError
from kmodel_tools.architecture.upgrade.graph import MERGES, STATES, Ref, calls_in_order, free_name, refs, tensor_at, with_refs
from kmodel_tools.architecture.upgrade.hard_sigmoid import HARD_SIGMOID
from kmodel_tools.architecture.upgrade.mask_flow import ATTENTION, PASSING, STOPPING, USING, makes_mask
from kmodel_tools.architecture.upgrade.objects import spelled

VALUED = frozenset({"Maximum", "Minimum", "Multiply"})
"""Layers of Keras 3 that leave masked values out of what they compute."""
MASKS_OF = {"query_mask": 0, "value_mask": 1, "key_mask": 2}
"""What MultiHeadAttention is told, and of which of its tensors that is the mask."""
TENSORS_OF = ("query", "value", "key")
Mask = Hashable
"""How a mask is made, as nested tuples; None is no mask."""


def without_told_masks(layers: Sequence[Json], ends: Sequence[Any], notes: Notes) -> list[Json]:
    """A graph of Keras 3 without the masks that Keras 2 comes to by itself.

    Args:
        layers: The layers of a Functional model, copied deep enough for calls to be changed.
        ends: Its `input_layers` and `output_layers`.
        notes: Where to say what was done.

    Returns:
        The layers; operations that only made such masks are left out.

    Raises:
        UpgradeError: A layer minds a mask that Keras 2 cannot be told of.
    """
    listed = list(layers)
    if not any(makes_mask(layer) for layer in listed if "layers" in layer["config"] or not is_operation(layer)):
        return listed
    masks = _Masks(listed, notes, {str(layer["name"]) for layer in listed})
    for layer, index, node in calls_in_order(list(listed)):
        masks.call(layer, index, node)
    return _without_unused(listed, {str(item[0]) for end in ends for item in references(end)})


def needless_masks(layers: Sequence[Json]) -> set[tuple[str, int, str]]:
    """The masks that calls of a graph of Keras 3 are told, and would come to by themselves.

    Args:
        layers: The layers of a Functional model; their calls are changed.

    Returns:
        For each the layer, the number of its call, and the argument. None where the masks cannot be followed.
    """
    if not any(makes_mask(layer) for layer in layers if not is_operation(layer)):
        return set()
    masks = _Masks(list(layers), Notes(Era.KERAS_3), {str(layer["name"]) for layer in layers})
    try:
        for layer, index, node in calls_in_order(layers):
            masks.call(layer, index, node)
    except UpgradeError:
        return set()
    return masks.needless


@dataclass(slots=True)
class _Masks:
    """The masks of the tensors of a graph, in Keras 3 and in Keras 2.

    Attributes:
        layers: The layers; grows.
        notes: Where to say what was done.
        taken: Names of layers.
        told: The mask that a tensor is.
        new: The mask of each tensor that has one in Keras 3.
        old: The same in Keras 2.
        needless: Masks that a call is told and Keras 3 comes to by itself: the layer, the number of the call, the argument.
    """

    layers: list[Json]
    notes: Notes
    taken: set[str]
    told: dict[Ref, Mask] = field(default_factory=dict)
    new: dict[Ref, Mask] = field(default_factory=dict)
    old: dict[Ref, Mask] = field(default_factory=dict)
    needless: set[tuple[str, int, str]] = field(default_factory=set)

    def call(self, layer: Json, index: int, node: Json) -> None:
        """Follow the masks through one call, and change what it is told."""
        kind, out = layer["class_name"], (str(layer["name"]), index, 0)
        if is_operation(layer):
            self.told[out] = _made_by(layer, node, self.told) or ("tensor", out)
            return
        given = list(refs(node["args"][:1]))
        new, old = ([held.get(ref) for ref in given] for held in (self.new, self.old))
        if (kind == "Embedding" and layer["config"].get("mask_zero")) or kind == "Masking":
            mask = _made_here(layer, given)
            self.new[out] = self.old[out] = mask
        elif kind in MERGES:
            self._merge(layer, out, new, old)
        elif kind == "MultiHeadAttention":
            self._attend(layer, out, node)
        elif kind in ("Attention", "AdditiveAttention"):
            self._attend_to_list(layer, out, node, new, old)
        elif kind in USING or "mask" in node["kwargs"]:
            self._mind(layer, out, node, new, old)
        else:
            self._pass(layer, out, new[:1], old[:1])

    def _pass(self, layer: Json, out: Ref, new: Sequence[Mask], old: Sequence[Mask]) -> None:
        """A layer that does not look at masks."""
        kind = layer["class_name"]
        if kind in PASSING | STOPPING and new and new[0] is not None:
            self.new[out] = new[0]
        if kind in PASSING and not stops(layer) and old and old[0] is not None:
            self.old[out] = old[0]

    def _merge(self, layer: Json, out: Ref, new: Sequence[Mask], old: Sequence[Mask]) -> None:
        kind = layer["class_name"]
        if kind == "Dot":
            return
        if kind in VALUED and any(mask is not None for mask in new):
            raise UpgradeError(f"the layer {out[0]} ({kind}) leaves masked values out of what it computes, which Keras 2 does not")
        if any(mask is not None for mask in old):
            parts = tuple(dict.fromkeys(mask for mask in old if mask is not None))
            self.old[out] = (
                parts[0] if len(parts) == 1 and kind != "Concatenate" else ("all", kind, layer["config"].get("axis"), tuple(old))
            )
        if kind == "Concatenate" and any(mask is not None for mask in new):
            self.new[out] = ("any", layer["config"].get("axis"), tuple(new))
        elif new and all(mask is not None for mask in new):
            parts = tuple(dict.fromkeys(new))
            self.new[out] = parts[0] if len(parts) == 1 else ("or", frozenset(parts))
        if kind == "Concatenate" and len(set(new)) == 1 and list(new) == list(old) and new[0] is not None:
            self.new[out] = self.old[out] = new[0] if layer["config"].get("axis", -1) not in (1, -2) else ("join", tuple(new))

    def _mind(self, layer: Json, out: Ref, node: Json, new: Sequence[Mask], old: Sequence[Mask]) -> None:
        """A layer that computes something else because of a mask."""
        kind, kwargs = layer["class_name"], node["kwargs"]
        told = next(refs(kwargs.get("mask")), None)
        stateful = kind in STATES and any(refs(kwargs.get("initial_state")))
        implied = None if stateful or not new else new[0]
        wanted = self.told.get(told, ("tensor", told)) if told is not None else implied
        have = old[0] if old else None
        if told is not None and wanted == implied:
            self.needless.add((*out[:2], "mask"))
        if wanted == have:
            kwargs.pop("mask", None)
        elif wanted is None:
            node["args"] = [self._stripped(item) for item in node["args"]]
            have = None
        elif told is None:
            raise UpgradeError(f"the layer {out[0]} ({kind}) minds a mask that Keras 2 does not pass on to it")
        else:
            have = wanted
        if kind in ("Sequential", "Functional"):
            self._through_model(layer, out, wanted, have)
        elif kind in STATES:
            inner = layer["config"].get("layer", layer)
            if inner["config"].get("return_sequences"):
                self._keep(out, wanted, have)
        elif kind != "GlobalAveragePooling1D":
            self._keep(out, wanted, have)

    def _keep(self, out: Ref, new: Mask, old: Mask) -> None:
        if new is not None:
            self.new[out] = new
        if old is not None:
            self.old[out] = old

    def _through_model(self, layer: Json, out: Ref, new: Mask, old: Mask) -> None:
        """A nested model: what its first output has is known of lists alone."""
        if layer["class_name"] == "Functional":
            inside = {item["class_name"] for item in layer["config"]["layers"]}
            if new is not None and inside & (MERGES | STATES | STOPPING):
                self.notes.say("a mask goes into a nested model, in which Keras 2 may treat it otherwise", out[0])
            if new is not None or makes_mask(layer):
                self.new[out] = self.old[out] = ("inside", out)
            return
        for item in layer["config"]["layers"]:
            kind = item["class_name"]
            if makes_mask(item):
                new = old = ("inside", out, item["config"].get("name"))
            elif kind in STATES:
                inner = item["config"].get("layer", item)
                new, old = (new, old) if inner["config"].get("return_sequences") else (None, None)
            elif kind != "InputLayer":
                new = new if kind in PASSING | STOPPING else None
                old = old if kind in PASSING and not stops(item) else None
        self._keep(out, new, old)

    def _attend(self, layer: Json, out: Ref, node: Json) -> None:
        """MultiHeadAttention: Keras 2 takes the masks of its tensors."""
        kwargs = node["kwargs"]
        tensors = [next(refs(item), None) for item in node["args"][:3]]
        tensors += [next(refs(kwargs.get(name)), None) for name in TENSORS_OF[len(tensors) :]]
        for name, place in MASKS_OF.items():
            told = next(refs(kwargs.get(name)), None)
            of = tensors[place]
            have = self.old.get(of) if of is not None else None
            wanted = self.told.get(told, ("tensor", told)) if told is not None else self.new.get(of) if of is not None else None
            if told is not None and of is not None and wanted == self.new.get(of):
                self.needless.add((*out[:2], name))
            if wanted != have:
                raise UpgradeError(f"the layer {out[0]} (MultiHeadAttention) minds a {name} that Keras 2 does not pass on to it")
            kwargs.pop(name, None)
        if kwargs.get("return_attention_scores") and any(self.old.get(ref) is not None for ref in tensors if ref is not None):
            # Keras 3.15.1 `layers/activations/softmax.py` gives a step of which all is masked out zeros, tf_keras 2.21 the average.
            self.notes.say("steps that are masked out get other values of attention in Keras 2", out[0])
        query = tensors[0]
        if query is not None:
            self._keep(out, self.new.get(query), self.old.get(query))

    def _attend_to_list(self, layer: Json, out: Ref, node: Json, new: Sequence[Mask], old: Sequence[Mask]) -> None:
        """Attention, whose masks are a list."""
        given = node["kwargs"].get("mask")
        if not isinstance(given, list):
            self._keep(out, old[0] if old else None, old[0] if old else None)
            return
        wanted = [self.told.get(ref, ("tensor", ref)) if (ref := next(refs(item), None)) is not None else None for item in given]
        if wanted == list(new[: len(wanted)]) and not any(new[len(wanted) :]):
            self.needless.add((*out[:2], "mask"))
        if wanted == list(old[: len(wanted)]) and not any(old[len(wanted) :]):
            del node["kwargs"]["mask"]
        self._keep(out, wanted[0] if wanted else None, wanted[0] if wanted else None)

    def _stripped(self, value: Any) -> Any:
        """What a layer is called on, without masks."""

        def bare(ref: Ref) -> Ref:
            if self.old.get(ref) is None:
                return ref
            name = free_name(f"{ref[0]}_bare", self.taken)
            made = spelled("keras.layers", "Rescaling", {"name": name, "scale": 1.0, "offset": 0.0})
            self.layers.append({**made, "name": name, "inbound_nodes": [{"args": [tensor_at(ref)], "kwargs": {}}]})
            self.notes.say("no mask gets to it in Keras 3, and one would in Keras 2: a Rescaling by 1 takes it off", ref[0])
            return (name, 0, 0)

        return with_refs(value, bare)


def stops(layer: Mapping[str, Any]) -> bool:
    """Whether a layer passes masks on in Keras 3 and what is written for it does not: before `hard_sigmoid` stands a Rescaling."""
    if layer["class_name"] == "Activation":
        activation = layer["config"].get("activation")
        return HARD_SIGMOID in (activation, activation.get("config") if isinstance(activation, Mapping) else None)
    return layer["class_name"] in STOPPING


def _made_here(layer: Mapping[str, Any], given: Sequence[Ref]) -> Mask:
    """The mask that an Embedding or a Masking makes."""
    if not given:
        return ("inside", str(layer["name"]))
    if layer["class_name"] == "Embedding":
        return ("unequal", given[0], 0.0)
    return ("any", ("unequal", given[0], _number(layer["config"].get("mask_value", 0.0))))


def _made_by(layer: Mapping[str, Any], node: Mapping[str, Any], told: Mapping[Ref, Mask]) -> Mask | None:
    """The mask that an operation makes, where it is one of those that Keras 3 makes masks of."""
    kind, args = layer["class_name"], node["args"]
    given = list(refs(args))
    if kind == "NotEqual" and len(given) == 1 and len(args) == 2 and isinstance(args[1], int | float):
        return ("unequal", given[0], _number(args[1]))
    if not given or any(ref not in told for ref in given):
        return None
    if kind == "Any" and layer["config"].get("axis") in (-1, [-1]):
        return ("any", told[given[0]])
    if kind == "Squeeze" and layer["config"].get("axis") in (-1, [-1]):
        return told[given[0]]
    if kind == "LogicalOr" and len(given) == 2:
        parts = frozenset(part for ref in given for part in _alternatives(told[ref]))
        return next(iter(parts)) if len(parts) == 1 else ("or", parts)
    return None


def _alternatives(mask: Mask) -> Sequence[Mask]:
    return tuple(mask[1]) if isinstance(mask, tuple) and mask[0] == "or" else (mask,)


def _number(value: Any) -> Mask:
    return float(value) if isinstance(value, int | float) else str(value)


def _without_unused(layers: Sequence[Json], ends: set[str]) -> list[Json]:
    """The layers of a graph without operations that nothing takes."""
    takers: dict[str, int] = {}
    for layer in layers:
        for ref in refs(layer["inbound_nodes"]):
            takers[ref[0]] = takers.get(ref[0], 0) + 1
    by_name = {str(layer["name"]): layer for layer in layers}
    stack = [name for name, layer in by_name.items() if is_operation(layer) and not takers.get(name) and name not in ends]
    gone = set()
    while stack:
        name = stack.pop()
        gone.add(name)
        for ref in refs(by_name[name]["inbound_nodes"]):
            takers[ref[0]] -= 1
            other = by_name.get(ref[0])
            if other is not None and is_operation(other) and not takers[ref[0]] and ref[0] not in ends:
                stack.append(ref[0])
    return [layer for layer in layers if str(layer["name"]) not in gone]


def passed_on_in_row(layers: Sequence[Mapping[str, Any]], notes: Notes) -> list[Mapping[str, Any]]:
    """The layers of a Sequential, in which Identity passes masks on as it does in Keras 3.

    Raises:
        UpgradeError: A Rescaling or a Normalization stands between a mask and a layer that minds it.
    """
    found: list[Mapping[str, Any]] = []
    masked = False
    for index, layer in enumerate(layers):
        kind = layer["class_name"]
        behind = [item["class_name"] for item in layers[index + 1 :]]
        if masked and stops(layer) and any(name in USING for name in behind):
            if kind != "Identity":
                name = layer["config"].get("name")
                raise UpgradeError(f"the layer {name} ({kind}) passes a mask on to a layer that minds it, which it does not in Keras 2")
            config = {key: value for key, value in layer["config"].items() if key in ("name", "dtype", "trainable")}
            found.append({**layer, "class_name": "Activation", "config": config | {"activation": "linear"}})
            notes.say("Identity passes no mask on in Keras 2: written as a linear Activation", str(config.get("name")))
            continue
        found.append(layer)
        if makes_mask(layer):
            masked = True
        elif kind in STATES:
            inner = layer["config"].get("layer", layer)
            masked = masked and bool(inner["config"].get("return_sequences"))
        elif kind not in PASSING | STOPPING | ATTENTION | {"InputLayer"}:
            masked = False
    return found
