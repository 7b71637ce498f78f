"""Small configurations of Keras 2, and looking at what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.upgrade import Upgraded, upgrade

TF_KERAS = "2.15.0"
Json = dict[str, Any]


def layer(kind: str, name: str = "x", **config: Any) -> Json:
    return {"class_name": kind, "config": {"name": name, **config}}


def entry(name: str = "in", shape: Any = (None, 5), **config: Any) -> Json:
    return layer("InputLayer", name, batch_input_shape=list(shape), **({"dtype": "float32", "sparse": False} | config))


def row(*layers: Json, **more: Any) -> Json:
    return {"class_name": "Sequential", "config": {"name": "row", "layers": list(layers), **more}}


def graph(*layers: tuple[Json, list[Any]], inputs: Any = None, outputs: Any = None) -> Json:
    found = [{**item, "name": item["config"]["name"], "inbound_nodes": calls} for item, calls in layers]
    last = found[-1]["name"]
    ends = {"input_layers": inputs or [["in", 0, 0]], "output_layers": outputs or [[last, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": found, **ends}}


def upgraded_layer(item: Json, version: str = TF_KERAS) -> tuple[Json, Upgraded]:
    """A layer behind an input, upgraded."""
    found = upgrade(row(entry(), item), version)
    made: Json = found.config["config"]["layers"][1]
    return made, found


def settings(item: Json, version: str = TF_KERAS) -> Json:
    config: Json = upgraded_layer(item, version)[0]["config"]
    return config


def calls(model: Mapping[str, Any], name: str) -> Any:
    """The `keras_history` of what a layer is called on, and its keyword arguments, one pair a call."""
    (found,) = [item for item in model["config"]["layers"] if item["name"] == name]
    return [(_histories(call["args"]), _histories(call["kwargs"])) for call in found["inbound_nodes"]]


def _histories(value: Any) -> Any:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return tuple(value["config"]["keras_history"])
    if isinstance(value, dict):
        return {key: _histories(item) for key, item in value.items()}
    return [_histories(item) for item in value] if isinstance(value, list) else value
