"""Which layers make masks, pass them on, mind them and stop them; and lists of layers in which one stops a mask that Keras 3 passes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.topology import references
from kmodel_tools.architecture.upgrade.draft import Json, Notes
from kmodel_tools.architecture.upgrade.graph import MERGES, STATES, Ref, refs
from kmodel_tools.architecture.upgrade.objects import spelled

ATTENTION = frozenset({"MultiHeadAttention", "Attention", "AdditiveAttention"})
_PASSING_NAMES = """
    Activation ActivityRegularization AlphaDropout BatchNormalization Dense Dropout ELU GaussianDropout GaussianNoise
    GroupNormalization LayerNormalization LeakyReLU PReLU ReLU Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    TimeDistributed UnitNormalization
"""
PASSING = frozenset(_PASSING_NAMES.split())
USING = STATES | ATTENTION | {"GlobalAveragePooling1D", "Softmax", "TimeDistributed", "Sequential", "Functional"}
STOPPING = frozenset({"Identity", "Rescaling", "Normalization"})


def makes_mask(layer: Mapping[str, Any]) -> bool:
    """Whether a layer, or one inside of it, makes a mask."""
    config = layer["config"]
    if layer["class_name"] in ("Sequential", "Functional"):
        return any(makes_mask(item) for item in config["layers"])
    return layer["class_name"] == "Masking" or (layer["class_name"] == "Embedding" and bool(config.get("mask_zero")))


def puts_out_mask(config: Mapping[str, Any]) -> bool:
    """Whether the first output of a nested model may have a mask that is made inside of it."""
    layers = {str(layer["name"]): layer for layer in config["layers"]}
    found = next(iter(references(config["output_layers"])), None)
    for _ in layers:
        if found is None or (layer := layers.get(str(found[0]))) is None:
            return False
        kind = layer["class_name"]
        if kind in STATES:
            inner = layer["config"].get("layer", layer)
            return bool(inner["config"].get("return_sequences"))
        if kind not in PASSING:
            return makes_mask(layer) or kind in MERGES | ATTENTION | {"Sequential", "Functional"}
        found = next(refs(layer["inbound_nodes"]), None)
    return False


def stopped_in_row(layers: list[Json], notes: Notes, masked: bool = False) -> list[Json]:
    """The layers of a Sequential, with one behind Identity, Rescaling or Normalization that takes a mask off.

    It repeats each step once, and stands only before what takes sequences of vectors and minds the mask.
    """
    found: list[Json] = []
    for index, layer in enumerate(layers):
        found.append(layer)
        if masked and layer["class_name"] in STOPPING:
            masked = False
            if _minds_mask(layers[index + 1 :]):
                taken = {item["config"].get("name") for item in layers}
                numbered = (f"{layer['config']['name']}_bare{count or ''}" for count in range(len(layers) + 1))
                name = next(name for name in numbered if name not in taken)
                found.append(spelled("keras.layers", "UpSampling1D", {"name": name, "size": 1}))
                notes.say("no mask is passed on by it, which Keras 3 does: a layer behind it takes it off", str(layer["config"]["name"]))
            elif all(item["class_name"] in PASSING | STOPPING for item in layers[index + 1 :]):
                notes.say(
                    "no mask is passed on by it, which Keras 3 does: what comes behind its list gets one", str(layer["config"]["name"])
                )
        elif makes_mask(layer):
            masked = True
        elif layer["class_name"] not in PASSING | {"InputLayer"} and not is_old_hard_sigmoid(layer):
            masked = masked and bool(layer["config"].get("return_sequences"))
    return found


def _minds_mask(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first one that does not merely pass a mask on does."""
    behind = next((layer for layer in layers if layer["class_name"] not in PASSING | STOPPING), {})
    inner = behind["config"].get("layer", behind) if behind.get("class_name") == "Bidirectional" else behind
    return inner.get("class_name") in ("LSTM", "GRU", "SimpleRNN", "GlobalAveragePooling1D")


def is_old_hard_sigmoid(layer: Mapping[str, Any]) -> bool:
    """Whether it is the list that stands for an Activation with the old `hard_sigmoid`, which passed masks on."""
    items: Sequence[Any] = layer["config"]["layers"] if layer["class_name"] == "Sequential" else ()
    kinds = [item["class_name"] for item in items]
    return kinds == ["Rescaling", "Activation"] and items[1]["config"].get("activation") == "hard_sigmoid"


def used_masks(layers: Sequence[Mapping[str, Any]]) -> set[Ref]:
    """The tensors of a graph whose mask gets to a layer that computes something else because of it."""
    below: dict[Ref, list[Ref]] = {}
    stack: list[Ref] = []
    for layer in layers:
        for index, node in enumerate(layer["inbound_nodes"]):
            given = list(refs([node["args"], node["kwargs"]]))
            if layer["class_name"] in USING:
                stack += given
            elif layer["class_name"] in PASSING | MERGES:
                below[str(layer["name"]), index, 0] = given
    used: set[Ref] = set()
    while stack:
        ref = stack.pop()
        if ref not in used:
            used.add(ref)
            stack += below.get(ref, ())
    return used
