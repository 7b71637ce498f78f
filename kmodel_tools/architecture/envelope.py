"""The JSON objects that configurations are made of, whatever generation wrote them.

A configuration is JSON data and stays as it is in `Model.architecture`; here it is only looked at. Shapes of an object::

    Keras 0.x        {"name": "Dense", "custom_name": …, …arguments}                 in a "layers" list
    Keras 1 and 2    {"class_name": "Dense", "config": {…}}                          a Sequential's config may be a list
    .keras archives  {"module", "class_name", "config", "registered_name", …}
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any

Config = Mapping[str, Any]


class Era(enum.Enum):
    """The generation of Keras that a configuration speaks the language of."""

    KERAS_0 = "Keras 0.x"
    KERAS_1 = "Keras 1.x"
    KERAS_2 = "Keras 2.0-2.3"
    TF_KERAS = "tf.keras 2.x"
    KERAS_3 = "Keras 3.x"


class ConfigError(ValueError):
    """A configuration that is not one; turned into a CorruptFileError by whoever knows the file."""


def class_of(node: Mapping[str, Any]) -> str:
    """An object's class; Keras 0.x writes it as `name`.

    Raises:
        ConfigError: The object names none.
    """
    kind = node.get("class_name", node.get("name") if "config" not in node else None)
    if not isinstance(kind, str):
        raise ConfigError("an object without a class name")
    return kind


def registered_as(node: Mapping[str, Any]) -> str | None:
    """What somebody's own object is registered under, `package>name`, or None."""
    registered = node.get("registered_name")
    return registered if isinstance(registered, str) and ">" in registered else None


def settings_of(node: Mapping[str, Any]) -> Config:
    """An object's arguments; a Keras 1 Sequential's list of layers reads as {"layers": list}."""
    inner = node.get("config", node)
    if isinstance(inner, list):
        return {"layers": inner}
    return inner if isinstance(inner, Mapping) else {}


def is_model(class_name: str, config: Any) -> bool:
    """Whether a class with this configuration is a graph or a list of layers (subclasses of Functional included)."""
    if class_name in ("Sequential", "Graph"):
        return True
    return isinstance(config, Mapping) and isinstance(config.get("layers"), list) and "input_layers" in config


def era_of(config: Config, keras_version: str | None = None) -> Era:
    """The era of a configuration, by the version that wrote it where that is known, else by its shape."""
    if keras_version:
        return era_of_version(keras_version)
    if "class_name" not in config:
        return Era.KERAS_0
    if "module" in config or "registered_name" in config:
        return Era.TF_KERAS if _is_archived_by_keras_2(config) else Era.KERAS_3
    inner = config.get("config")
    text_keys = {key for layer in iter_configs(config) for key in layer if isinstance(layer, Mapping)}
    if text_keys & {"output_dim", "nb_filter", "border_mode", "init", "input_dtype"} and not text_keys & {"units", "filters"}:
        return Era.KERAS_1
    return Era.KERAS_2 if isinstance(inner, list) else Era.TF_KERAS


def _is_archived_by_keras_2(config: Config) -> bool:
    """Whether a configuration with modules is one of Keras 2.12 to 2.15 or tf_keras, by a module or an argument of its own."""
    if str(config.get("module") or "").startswith(("keras.engine.", "keras.src.engine.", "tf_keras")):
        return True
    return any("batch_input_shape" in inner for inner in iter_configs(config))


def era_of_version(version: str) -> Era:
    """The era of a Keras version ("1.2.2", "2.2.4-tf", "3.15.1"); multi-backend Keras 2 ended with 2.3.1."""
    major, minor, *_ = *version_numbers(version), 0, 0
    if major <= 1:
        return Era.KERAS_0 if version.startswith("0") else Era.KERAS_1
    if major == 2:
        return Era.TF_KERAS if version.endswith("-tf") or minor >= 4 else Era.KERAS_2
    return Era.KERAS_3


def trains_in_order_of_names(version: str) -> bool:
    """Whether a release sorts the weights that it trains by name, and with them the optimizer's state: up to 2.0.5.

    Source: `keras/engine/training.py`, which sorts in 2.0.5 and no longer in 2.0.6.
    """
    return () < version_numbers(version) < (2, 0, 6)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a release: "2.2.4-tf" → (2, 2, 4)."""
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:3])


def iter_mappings(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping in a node, itself included, iteratively."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def iter_configs(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object's `config` dictionary below a node."""
    for item in iter_mappings(node):
        inner = item.get("config")
        if isinstance(inner, Mapping):
            yield inner


def copied(node: Any) -> Any:
    """A configuration of new dictionaries and lists; it is JSON, which has no cycles."""
    if isinstance(node, Mapping):
        return {key: copied(value) for key, value in node.items()}
    return [copied(item) for item in node] if isinstance(node, list) else node


def without_ids(node: Any) -> Any:
    """A configuration without `shared_object_id`, which marks an object only where it occurs again."""
    if isinstance(node, Mapping):
        return {key: without_ids(value) for key, value in node.items() if key != "shared_object_id"}
    return [without_ids(value) for value in node] if isinstance(node, list) else node


def layer_configs(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The configurations of a model's layers, in the order of the file.

    Raises:
        ConfigError: It has no list of layers.
    """
    inner = node.get("config", node)
    layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    if layers is None and isinstance(node.get("layers"), list):
        layers = node["layers"]
    if not isinstance(layers, list) or not all(isinstance(layer, Mapping) for layer in layers):
        raise ConfigError("a model without a list of layers")
    return layers
