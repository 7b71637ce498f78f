"""One configuration as `.keras` archives, legacy HDF5 files and documents of an architecture alone spell it.

They differ in how layers say what they are and in how the training configuration is laid out. Keras 3 reads layers with
and without `module` from either container (3.15.1 `keras/src/models/functional.py`, `process_layer`; `sequential.py`,
`from_config`), but takes a text such as `"score_mode": "dot"` in a layer without one for the function of that name.

::

    archive   {"module", "class_name", "config", "registered_name", "compile_config": {"optimizer": {…}, "loss", …}}
    legacy    {"class_name", "config"}   beside it {"optimizer_config": {"class_name", "config"}, "loss", …}
    document  Keras 3: as the archive · Keras 2: {"class_name", "config", "keras_version", "backend"} · Keras 1 did not know "backend"
              Keras 0.3: {"name": "Sequential", "layers"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.custom_objects import BUILTIN_NAMES
from kmodel_tools.architecture.envelope import Config, Era, class_of, registered_as
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.topology import tensors_of
from kmodel_tools.architecture.upgrade.objects import FUNCTION, LISTS
from kmodel_tools.architecture.upgrade.training import plain_name

COMPILE_CONFIG = "compile_config"
UNLISTED = {name: f"Custom>{name}" for name in ("Adafactor", "Lion")}
"""Optimizers that Keras 2 does not find in a legacy file under their own name (tf_keras 2.21 `optimizers/__init__.py`, `deserialize`)."""
_PUBLIC_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
_MODULES = {"Functional": ("keras.src.models.functional", "Functional"), "Sequential": ("keras", None)}


def archive_config(architecture: Config, training_config: Config | None) -> dict[str, Any]:
    """The document `config.json` of an archive."""
    found = {key: _with_modules(value) for key, value in architecture.items() if key != COMPILE_CONFIG}
    if "module" not in found:
        found = _said(class_of(architecture)) | {"config": found.get("config")}
    if training_config:
        found[COMPILE_CONFIG] = _archive_training(training_config)
    return found


def legacy_config(architecture: Config) -> dict[str, Any]:
    """The attribute `model_config` of a legacy HDF5 file."""
    return {"class_name": class_of(architecture), "config": architecture["config"]}


def without_modules(node: Any) -> Any:
    """A part of a configuration of Keras 2.12 to 2.15 or tf_keras as it stands in a legacy HDF5 file, where no object says its module.

    A class that was registered is called by what it is registered under (tf_keras 2.21 `saving/legacy/serialization.py` and
    `saving/serialization_lib.py`, `serialize_keras_object`).
    """
    if isinstance(node, list):
        return [without_modules(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    kind, config = node.get("class_name"), node.get("config")
    if kind in LISTS and isinstance(node.get("items"), list):
        return without_modules(node["items"])
    if not isinstance(kind, str) or not ({"module", "registered_name"} & node.keys() or kind.startswith("__")):
        return {key: without_modules(value) for key, value in node.items()}
    if kind in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
        return config.get("value")
    name = registered_as(node) or kind
    if kind == "function" and isinstance(config, str):
        return name if name != kind else config
    found = {"class_name": UNLISTED.get(name, name), "config": _of_lambda(config) if kind == "Lambda" else without_modules(config)}
    return found | {key: without_modules(node[key]) for key in ("name", "inbound_nodes") if key in node}


def _of_lambda(config: Any) -> Any:
    """The arguments of a Lambda, whose functions are lists; what kind each is stands beside it in any spelling."""
    if not isinstance(config, Mapping):
        return config
    found = {}
    for key, value in config.items():
        inner = value.get("config") if isinstance(value, Mapping) and value.get("class_name") == "__lambda__" else None
        found[key] = [inner.get(part) for part in ("code", "defaults", "closure")] if isinstance(inner, Mapping) else without_modules(value)
    return found


def legacy_training_config(training_config: Config) -> dict[str, Any]:
    """The attribute `training_config` of a legacy HDF5 file."""
    if "optimizer_config" in training_config:
        return dict(training_config)
    found = {key: value for key, value in training_config.items() if key != "optimizer"}
    optimizer = training_config.get("optimizer")
    if isinstance(optimizer, str):  # as it was compiled with; tf_keras has `string indices must be integers` of a text here
        optimizer = {"class_name": optimizer, "config": {}}
    elif isinstance(optimizer, Mapping):
        optimizer = {"class_name": class_of(optimizer), "config": optimizer.get("config")}
    return found | {"optimizer_config": optimizer}


def compiled_for_legacy_file(training_config: Config) -> dict[str, Any]:
    """A training configuration of Keras 3 in which losses and metrics are spelled as Keras 3 finds them in a legacy HDF5 file.

    A loss goes by its full name, which cures `Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass`
    (Keras's own files say `mse`, and do not load); a function is its name, which cures of a metric `Expected 'config' to be a dict for
    MeanAbsoluteError, instead got <class 'str'>`. A short name of a metric loads. Sources: Keras 3.15.1
    `legacy/saving/saving_utils.py`, `compile_args_from_training_config`; `legacy/saving/serialization.py`, `serialize_keras_object`.
    """
    found = dict(training_config)
    for key in ("loss", "metrics", "weighted_metrics"):
        if key in found:
            found[key] = _called_by_name(found[key], key == "loss")
    return found


def _called_by_name(value: Any, in_full: bool) -> Any:
    """Losses or metrics in which functions are names; `in_full`, names that Keras shortens, which those of functions are not."""
    if isinstance(value, list):
        return [_called_by_name(item, in_full) for item in value]
    if not isinstance(value, Mapping):
        return plain_name(value) if in_full else value
    kind, name = value.get("class_name"), value.get("config")
    if kind is None:
        return {key: _called_by_name(item, in_full) for key, item in value.items()}
    return name if kind == FUNCTION and isinstance(name, str) else value


def document_config(architecture: Config, era: Era | None, training_config: Config | None, producer: Config) -> dict[str, Any]:
    """What `model.to_json()` of a generation writes, and the marks of objects that may be shared, which only archives have.

    Sources: Keras 0.3.3 `models.py`, `model_to_json`; 1.2.2 `engine/topology.py`, `_updated_config`; 2.3.1 `engine/network.py`;
    3.15.1 `models/model.py`, `to_json`, which alone writes what the model was compiled with.

    Args:
        architecture: The configuration, in any spelling of its generation.
        era: The generation.
        training_config: What the model was compiled with, or None.
        producer: Who wrote it: `keras_version` and `backend`, where that is known.
    """
    if era is Era.KERAS_3:
        return archive_config(architecture, training_config)
    if "config" not in architecture:
        return dict(architecture)
    known = {key: producer[key] for key in ("keras_version", "backend") if producer.get(key)}
    if era is Era.TF_KERAS and "keras_version" in known:
        known.setdefault("backend", "tensorflow")  # the archives of tf.keras do not say it
    return legacy_config(architecture) | known


def _said(kind: str) -> dict[str, Any]:
    module, registered = _MODULES.get(kind, ("keras.layers", None) if is_builtin(kind) else (None, kind))
    return {"module": module, "class_name": _PUBLIC_NAMES.get(kind, kind), "registered_name": registered}


def _with_modules(node: Any) -> Any:
    """A part of a configuration, in which every built-in layer says its module."""
    if isinstance(node, list):
        return [_with_modules(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _with_modules(value) for key, value in node.items()}
    kind = node.get("class_name")
    if isinstance(kind, str) and "config" in node and "module" not in node and is_builtin(kind):
        found = found | _said(kind)
        calls = node.get("inbound_nodes")
        shapes = [item["config"]["shape"] for item in tensors_of(calls[:1] if isinstance(calls, list) else None)]
        if len(shapes) == 1:
            found["build_config"] = {"input_shape": shapes[0]}
    return found


def _archive_training(training_config: Config) -> dict[str, Any]:
    if "optimizer_config" not in training_config:
        return dict(training_config)
    found = {key: value for key, value in training_config.items() if key != "optimizer_config"}
    optimizer = training_config["optimizer_config"]
    if isinstance(optimizer, Mapping) and "module" not in optimizer:
        kind = class_of(optimizer)
        own = kind not in BUILTIN_NAMES
        optimizer = {
            "module": None if own else "keras.optimizers",
            "class_name": kind.rpartition(">")[2],
            "config": optimizer.get("config"),
            "registered_name": kind if own else None,
        }
    return {"optimizer": optimizer} | found
