"""From an earlier Keras 3 to the one whose configurations are written: the few settings that it took back.

Sources: Keras 3.0.5 to 3.15.1, by saving every built-in layer with each release and loading it with the last one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Config, iter_mappings, settings_of, version_numbers
from kmodel_tools.architecture.upgrade.draft import Notes
from kmodel_tools.architecture.upgrade.graph import is_reference
from kmodel_tools.architecture.upgrade.objects import plain_class

PACKED_ANEW = (3, 14)
"""The release that packs the kernels of int4 layers along their last axis; Keras 3.11 to 3.13 do along the first."""
BARE_ENDS = (3, 11)
"""The release that writes a single input or output as it was given; before, all are lists (`models/functional.py`, `get_config`)."""
ENDS = ("input_layers", "output_layers")
QUANTIZED = "QuantizedDTypePolicy"


def brought_up(config: Config, keras_version: str | None, notes: Notes) -> Config:
    """An architecture of Keras 3 as its last release loads it; one that needs no change comes back as it is."""
    release = version_numbers(keras_version or "")[:2]
    if () < release < PACKED_ANEW:
        _say_int4(config, notes)
    listed = release < BARE_ENDS
    if not any(_takes_range(node) or (listed and _listed_ends(node)) for node in _objects(config)):
        return config
    made: dict[str, Any] = json.loads(json.dumps(config))
    for node in _objects(made):
        if _takes_range(node):
            _without_range(node, notes)
        if listed:
            _with_bare_ends(node)
    return made


def _takes_range(node: Mapping[str, Any]) -> bool:
    return plain_class(str(node.get("class_name"))) == "RandomRotation" and "value_range" in settings_of(node)


def _without_range(node: Mapping[str, Any], notes: Notes) -> None:
    """RandomRotation of Keras 3.0 to 3.5 without `value_range`, which it checked and used for nothing.

    Cures `Unrecognized keyword arguments passed to RandomRotation: {'value_range': [0, 255]}`.
    """
    settings = node["config"]
    del settings["value_range"]
    notes.say("RandomRotation has no value_range any more, which changed nothing", str(settings.get("name")))


def _listed_ends(node: Mapping[str, Any]) -> list[str]:
    """The ends of a graph of layers that are lists of one tensor."""
    settings = settings_of(node)
    if not isinstance(settings.get("layers"), list):
        return []
    return [key for key in ENDS if isinstance(ends := settings.get(key), list) and len(ends) == 1 and is_reference(ends[0])]


def _with_bare_ends(node: Mapping[str, Any]) -> None:
    """The single input or output of a Functional as itself, and not as a list of one, which earlier releases made of it.

    Keras 3.15 gives back a list then, which the layer behind a nested model takes for one more axis: cures predictions of
    shape (1, 2, 1) for (2, 1), without a word, and `Cannot convert '((None, 5), 1)' to a shape`.
    """
    for key in _listed_ends(node):
        (node["config"][key],) = node["config"][key]


def _say_int4(config: Config, notes: Notes) -> None:
    """Name the layers of int4, which no later release loads: `value.shape=(3, 7)` for a kernel of `shape=(5, 4)`."""
    for node in _objects(config):
        policy = settings_of(node).get("dtype") if isinstance(node.get("class_name"), str) else None
        inner = settings_of(policy) if isinstance(policy, Mapping) and policy.get("class_name") == QUANTIZED else {}
        if inner.get("mode") == "int4":
            sentence = "int4 kernels stay packed as Keras 3.11 to 3.13 pack them, and later releases do not load them"
            notes.say(sentence, str(settings_of(node).get("name")))


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    for item in iter_mappings(config):
        if isinstance(item, dict) and isinstance(item.get("class_name"), str) and isinstance(item.get("config"), dict):
            yield item
