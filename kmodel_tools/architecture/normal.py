"""Configurations in a normal form, in which two spellings of one setting are equal: for comparing, never for writing.

What releases and containers write differently of the same model, and what it becomes::

    module, registered_name, build_config, compile_config, shared_object_id   nothing
    null, or no such key                                      nothing
    "pkg>Dense", "Dense"                                      Dense
    OrthogonalInitializer                                     Orthogonal
    {"class_name": "DTypePolicy", "config": {"name": n}}      n; Policy and FloatDTypePolicy too
    {"class_name": "__tuple__" or "TensorShape", "items": l}  l
    {"class_name": "function", "config": n}                   n
    "zeros" as an initializer                                 {"class_name": "Zeros", "config": {}}
    VarianceScaling(1, fan_avg, uniform)                      GlorotUniform, which it is
    batch_input_shape of an InputLayer                        batch_shape
    inbound nodes of Keras 2 (lists) and Keras 3 (objects)    names of layers, one list a call
    optimizer_config                                          optimizer
    [[{"class_name": "MeanMetricWrapper", …}]]                names of metrics
    dtype of a Sequential, build_input_shape beside an InputLayer              nothing: Keras 3 writes them and does not read them

    synchronized: false, and the like (`ADDED_LATER`)         nothing

Nothing else is touched: a default that one release wrote and another did not is shown as a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import iter_mappings, settings_of
from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.architecture.topology import TENSOR
from kmodel_tools.tree import Path, split_path

OF_THE_CONTAINER = frozenset({"module", "registered_name", "build_config", "compile_config", "shared_object_id"})
"""Keys of an object that say how it was stored, or restate the rest of it."""
MASKS = frozenset({"mask", "query_mask", "value_mask", "key_mask"})
OLD_CLASSES = {"OrthogonalInitializer": "Orthogonal", "IdentityInitializer": "Identity"}
"""What Keras 3.0 to 3.6 wrote for classes that Keras 2, and Keras 3 since 3.8, call otherwise."""
POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1"})
LISTS = frozenset({"__tuple__", "TensorShape"})
GLOROT = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}
METRICS = {"mae": "mean_absolute_error", "mse": "mean_squared_error", "mape": "mean_absolute_percentage_error", "acc": "accuracy"}
"""Short names that every release takes for the long ones."""
ADDED_LATER: Mapping[str, Any] = {
    "synchronized": False,
    "renorm": False,
    "sparse": False,
    "ragged": False,
    "optional": False,
    "time_major": False,
    "zero_output_for_mask": False,
    "use_gate": False,
    "trainable": True,
    "groups": 1,
    "keepdims": False,
    "rms_scaling": False,
    "is_legacy_optimizer": False,
}
"""Settings that not every release of Keras 2 and 3 writes, with the value that does what a release without them does."""
UNSET: tuple[Any, ...] = (None, False, 1, [], {})
"""Values of a compiled model's settings that say no more than that they were left alone."""

DEEPEST = 200
"""Configurations nested deeper than this are left alone: no release writes them, and a forged one must not exhaust the stack."""

Normal = dict[str, Any]


def is_too_deep(node: Any) -> bool:
    """Whether a configuration is nested deeper than `DEEPEST`."""
    stack = [(node, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > DEEPEST:
            return True
        below = item.values() if isinstance(item, Mapping) else item if isinstance(item, (list, tuple)) else ()
        stack.extend((child, depth + 1) for child in below)
    return False


def walk_specs(root: LayerSpec) -> Iterator[tuple[Path, LayerSpec]]:
    """Yield `(path, layer)` for a model and every layer below it that has a configuration of its own, each configuration once.

    Layers that a class makes from its own arguments (the projections of an attention layer) are left out.
    """
    written = {id(item) for item in iter_mappings(root.config)}
    seen: set[int] = set()
    stack: list[tuple[Path, LayerSpec]] = [((), root)]
    while stack:
        path, spec = stack.pop()
        if not path or spec.is_model or (id(spec.config) in written and id(spec.config) not in seen):
            seen.add(id(spec.config))
            yield path, spec
        below = [((*path, *((child.name,) if child.attr is None else split_path(child.attr))), child) for child in spec.children]
        stack.extend(reversed(below))


_NOT_READ = ("dtype", "build_input_shape")
"""What Keras 3 writes of a Sequential and does not read again (3.15.1 `models/sequential.py`, `from_config`)."""


def layer_settings(path: Path, spec: LayerSpec, names: Mapping[Path, str], with_calls: bool) -> Normal:
    """The settings of one layer in normal form, without its name and without the layers below it.

    Args:
        path: Its path.
        spec: The layer.
        names: New names of layers, by path, that connections are to be told by.
        with_calls: Tell the calls of a layer that is called several times apart; their numbers depend on the release.
    """
    inside = {id(child.config) for child in spec.children}
    own = {key: value for key, value in spec.config.items() if key not in ("name", "layers") and not _is_layer(value, inside)}
    found = _object(own, inside)
    if spec.class_name == "InputLayer" and "batch_input_shape" in found:
        found.setdefault("batch_shape", found.pop("batch_input_shape"))
    if spec.is_model:
        for key in ("input_layers", "output_layers"):
            if key in spec.config:
                found[key] = [_tensor_name(item, path, names, with_calls) for item in _tensors(spec.config[key])]
        found |= _of_a_list(spec)
        for key in _NOT_READ if spec.class_name == "Sequential" else ():
            if key == "dtype" or "input_shape" in found:
                found.pop(key, None)
    return found


def _of_a_list(spec: LayerSpec) -> Normal:
    """What a Sequential says by its list of layers: their order, and the shape of its input."""
    layers = spec.config.get("layers")
    if "input_layers" in spec.config or not isinstance(layers, list):
        return {}
    found: Normal = {"order of layers": [child.name for child in spec.children]}
    first = layers[0] if layers and isinstance(layers[0], Mapping) else {}
    if first.get("class_name") == "InputLayer":
        settings = settings_of(first)
        found["input_shape"] = normal(settings.get("batch_input_shape", settings.get("batch_shape")))
    return found


def connections(path: Path, spec: LayerSpec, names: Mapping[Path, str], with_calls: bool) -> dict[Path, list[Any]]:
    """What each layer of a functional model is called on: for every call the names of the tensors, then what else was passed."""
    found: dict[Path, list[Any]] = {}
    layers = spec.config.get("layers")
    for node in _with_needed_masks(layers) if isinstance(layers, list) else ():
        if isinstance(node, Mapping) and isinstance(node.get("inbound_nodes"), list):
            name = str(settings_of(node).get("name") or node.get("name"))
            found[(*path, name)] = [
                [*(_tensor_name(item, path, names, with_calls) for item in _tensors(call)), *_arguments(call)]
                for call in node["inbound_nodes"]
            ]
    return found


def _with_needed_masks(layers: list[Any]) -> list[Any]:
    """A graph of Keras 3 without the masks that calls are told and would come to by themselves; any other as it is."""
    called = [node for node in layers if isinstance(node, Mapping) and isinstance(node.get("inbound_nodes"), list)]
    told = any(isinstance(call, Mapping) and MASKS & (call.get("kwargs") or {}).keys() for node in called for call in node["inbound_nodes"])
    if not told:
        return layers
    from kmodel_tools.architecture.downgrade.masks import needless_masks  # which few models need

    try:
        needless = needless_masks(json.loads(json.dumps(layers)))
    except (TypeError, ValueError, LookupError, AttributeError):
        return layers  # a damaged or forged graph, in which nothing can be followed
    return [{**node, "inbound_nodes": [_without(node, *item, needless) for item in enumerate(node["inbound_nodes"])]} for node in called]


def _without(node: Mapping[str, Any], index: int, call: Any, needless: Collection[tuple[str, int, str]]) -> Any:
    if not isinstance(call, Mapping) or not isinstance(call.get("kwargs"), Mapping):
        return call
    return {**call, "kwargs": {key: value for key, value in call["kwargs"].items() if (node.get("name"), index, key) not in needless}}


def _tensors(node: Any) -> Iterator[Sequence[Any]]:
    """Every `[layer, call, output]` of a call or a list of tensors, of either generation."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            history = item.get("keras_history", item.get("config") if item.get("class_name") == TENSOR else None)
            stack.extend(reversed([history] if history is not None else list(item.values())))
        elif isinstance(item, (list, tuple)):
            if len(item) >= 3 and isinstance(item[0], str) and isinstance(item[1], int) and isinstance(item[2], int):
                yield item[:3]
                stack.extend(reversed(item[3:]))
            else:
                stack.extend(reversed(item))


def _tensor_name(tensor: Sequence[Any], path: Path, names: Mapping[Path, str], with_calls: bool) -> str:
    layer, call, output = tensor
    name = names.get((*path, layer), str(layer))
    return name + (f" (call {call})" if call and with_calls else "") + (f" (output {output})" if output else "")


def _arguments(call: Any) -> list[Any]:
    """What a call was given besides tensors; one of Keras 2 has a dictionary with each tensor, one of Keras 3 has `kwargs`.

    Keras 3 writes `training=False` with every call, and takes what the model is called with in its place (3.15.1 `models/functional.py`,
    `operation_fn`); True holds where a model is called without a word of it.
    """
    given: Normal = {}
    is_keras_3 = isinstance(call, Mapping)
    kept = [call.get("kwargs")] if is_keras_3 else [item[3] for item in _calls_of_keras_2(call)]
    for arguments in kept:
        for key, value in arguments.items() if isinstance(arguments, Mapping) else ():
            if value is not None and not any(True for _ in _tensors(value)) and not (is_keras_3 and key == "training" and not value):
                given[key] = normal(value)
    return [given] if given else []


def _calls_of_keras_2(call: Any) -> Iterator[Sequence[Any]]:
    for item in call if isinstance(call, list) else ():
        if isinstance(item, list) and len(item) > 3 and isinstance(item[0], str):
            yield item


def _is_layer(value: Any, inside: set[int]) -> bool:
    """Whether a setting is a layer, or a list of layers, that has a row of its own."""
    if isinstance(value, Mapping):
        return id(value.get("config")) in inside
    return isinstance(value, list) and any(isinstance(item, Mapping) and id(item.get("config")) in inside for item in value)


def normal(node: Any) -> Any:
    """Any part of a configuration in normal form."""
    if isinstance(node, Mapping):
        return _normal_mapping(node)
    if isinstance(node, (list, tuple)):
        return [normal(item) for item in node]
    return node


def _object(settings: Mapping[str, Any], inside: Collection[int] = ()) -> Normal:
    found: Normal = {}
    for key, value in settings.items():
        is_default = key in ADDED_LATER and value == ADDED_LATER[key]
        if key not in OF_THE_CONTAINER and value is not None and not is_default and id(value) not in inside:
            found[key] = _initializer(value) if key.endswith("_initializer") else normal(value)
    if "renorm" not in found:
        found.pop("renorm_momentum", None)  # which has no meaning without it
    return found


def _normal_mapping(node: Mapping[str, Any]) -> Any:
    kind = node.get("class_name")
    if not isinstance(kind, str):
        return _object(node)
    inner = node.get("config")
    if kind in LISTS and isinstance(node.get("items"), list):
        return normal(node["items"])
    if kind in POLICIES and isinstance(inner, Mapping) and set(inner) <= {"name", "loss_scale"} and not inner.get("loss_scale"):
        return inner.get("name")
    if kind == "function" and isinstance(inner, str):
        return inner
    found = _object({key: value for key, value in node.items() if key != "config"})
    found["class_name"] = plain_class(kind)
    if inner is not None:
        found["config"] = normal(inner)
    settings = found.get("config")
    if kind == "VarianceScaling" and isinstance(settings, dict) and {key: settings.get(key) for key in GLOROT} == GLOROT:
        found |= {"class_name": "GlorotUniform", "config": {key: value for key, value in settings.items() if key not in GLOROT}}
    return found


def _initializer(value: Any) -> Any:
    """An initializer, which may be written as its name alone."""
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z_]*", value):
        return {"class_name": "".join(part.capitalize() for part in value.split("_")), "config": {}}
    return normal(value)


def plain_class(name: str) -> str:
    """A class under its latest name, without the package that it was registered under: `Custom>Adam` → `Adam`."""
    plain = name.rpartition(">")[2]
    return OLD_CLASSES.get(plain, plain)


# What was compiled.


def normal_training(config: Mapping[str, Any]) -> Normal:
    """A training configuration in normal form; what says only that a setting was left alone is left out."""
    found: Normal = {}
    for key, value in config.items():
        if key in ("optimizer", "optimizer_config"):
            found["optimizer"] = _optimizer(value)
        elif key == "optimizer_experimental.Optimizer" or key in OF_THE_CONTAINER:
            continue
        elif key in ("metrics", "weighted_metrics", "loss"):
            found[key] = _names(value)
        else:
            found[key] = normal(value)
    return {key: value for key, value in found.items() if value not in UNSET}


def _optimizer(value: Any) -> Any:
    """An optimizer with its settings by key; one that is known by its name alone has no `config`."""
    if isinstance(value, str):
        return {"class_name": kind_of(value)}
    found = normal(value)
    if isinstance(found, dict) and isinstance(found.get("class_name"), str):
        found["class_name"] = kind_of(found["class_name"])
        if isinstance(found.get("config"), dict):
            found["config"] = {key: item for key, item in found["config"].items() if key != "name"}
    return found


def _names(value: Any) -> Any:
    """Losses and metrics by name, in order: an object of Keras's own stands for its function."""
    if isinstance(value, str):
        return METRICS.get(value, value)
    if isinstance(value, Mapping):
        inner = value.get("config")
        if value.get("class_name") == "MeanMetricWrapper" and isinstance(inner, Mapping) and isinstance(inner.get("fn"), str):
            return METRICS.get(inner["fn"], inner["fn"])
        found = normal(value)
        return found if isinstance(found, str) or "class_name" in value else {key: _names(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_names(item) for item in value if item is not None]
        return items[0] if len(items) == 1 and isinstance(items[0], list) else items
    return value
