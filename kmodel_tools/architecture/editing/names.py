"""Other names for layers, wherever a configuration has them.

::

    {"name": "conv", "config": {"name": "conv"}, "inbound_nodes": …}      the layer itself; some releases write one of the two
    [[["conv", 0, 0, {"mask": ["other", 0, 0]}]]]                         its calls in Keras 1 and 2, keyword arguments included
    {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["conv", 0, 0]}}], "kwargs": {…}}       in Keras 3
    "input_layers", "output_layers": [["conv", 0, 0]]                     one, a list or a dictionary of them, whose keys stay
    {"loss": {"conv": "mse"}, "metrics": …}                               what was compiled, by the names of outputs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.editing.places import models_in, name_of
from kmodel_tools.architecture.envelope import Config, copied, settings_of
from kmodel_tools.architecture.topology import TENSOR
from kmodel_tools.tree import Path

Names = Mapping[str, str]
OF_OUTPUTS = ("loss", "loss_weights", "metrics", "weighted_metrics", "sample_weight_mode")
"""Settings of a training configuration that may be dictionaries by output."""
METRICS = ("metrics", "weighted_metrics")
COMPILED = "compile_config"
"""What a model in an archive was compiled with, beside its configuration."""
ENDS = ("input_layers", "output_layers")


def with_names(architecture: Config, names: Mapping[Path, str]) -> Config:
    """A configuration in which some layers have other names.

    Args:
        architecture: The configuration, of any generation that lists layers.
        names: The new names, by the paths that the layers have in it.

    Raises:
        ConfigError: It is no configuration of a model.
    """
    found: Config = copied(architecture)
    for place in list(models_in(found)):  # paths are those of the old names, so all of them are looked up first
        new = {name: names.get((*place.path, name), name) for name in place.names}
        for layer in place.layers:
            _rename(layer, new[name_of(layer)])
            if isinstance(layer, dict) and "inbound_nodes" in layer:
                layer["inbound_nodes"] = _referring(layer["inbound_nodes"], new)
        compiled = place.node.get(COMPILED)
        if isinstance(place.node, dict) and isinstance(compiled, Mapping):  # a nested model may be compiled for itself
            place.node[COMPILED] = training_with_names(compiled, place.node, new)
        settings = place.node.get("config", place.node)
        for key in ENDS:
            if isinstance(settings, dict) and key in settings:
                settings[key] = _referring(settings[key], new)
    return found


def kept_keys(before: Config, after: Config) -> list[str]:
    """What to know of a model some of whose ends were renamed, where these are a dictionary: its keys are no names of layers, and stay.

    Keras 3.15.1 and tf_keras 2.21 (`models/functional.py`, `engine/functional.py`) look up what they are fed by these keys alone.
    """
    said = []
    for end, told in zip(ENDS, ("the model is still fed", "its outputs still go"), strict=True):
        old = settings_of(before).get(end)
        if isinstance(old, Mapping) and settings_of(after).get(end) != old:
            said.append(f"{told} by the keys {', '.join(map(str, old))}, which are no names of layers")
    return said


def _rename(layer: Mapping[str, Any], name: str) -> None:
    for holder in (layer, layer.get("config")):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str):
            holder["name"] = name


def _referring(value: Any, names: Names) -> Any:
    """A structure in which references `[layer, call, output, …]` and histories of tensors go by new names."""
    if isinstance(value, Mapping):
        tensor = value.get("config") if value.get("class_name") == TENSOR else None
        history = tensor.get("keras_history") if isinstance(tensor, Mapping) else None
        if isinstance(tensor, Mapping) and isinstance(history, list) and history:
            return {**value, "config": {**tensor, "keras_history": [names.get(history[0], history[0]), *history[1:]]}}
        return {key: _referring(item, names) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if _is_reference(value) and value[0] in names:
        return [names[value[0]], *(_referring(item, names) for item in value[1:])]
    return [_referring(item, names) for item in value]


def _is_reference(item: list[Any]) -> bool:
    return len(item) >= 3 and isinstance(item[0], str) and isinstance(item[1], int) and isinstance(item[2], int)


def training_with_names(training: Config, architecture: Config, names: Names) -> Config:
    """A training configuration in which losses, their weights and metrics go by the new names of outputs.

    Args:
        training: The configuration.
        architecture: That of the model; where its outputs are a dictionary, what was compiled goes by the keys of that, which stay.
        names: The new names of the outermost layers, by their old ones.
    """
    settings = architecture.get("config")
    if isinstance(settings, Mapping) and isinstance(settings.get("output_layers"), Mapping):
        return training
    found = dict(training)
    for key in OF_OUTPUTS:
        if is_by_output(found.get(key)):
            found[key] = {names.get(name, name): value for name, value in found[key].items()}
    return found


def is_by_output(value: Any) -> bool:
    """Whether a setting is a dictionary by output, and no object."""
    return isinstance(value, Mapping) and not isinstance(value.get("class_name"), str)
