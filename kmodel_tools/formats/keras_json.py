"""An architecture alone, in JSON or YAML: what `model.to_json()` and `model.to_yaml()` return, written to a file.

::

    Keras 0.3     {"name": "Sequential", "layers": [{"name": "Dense", "output_dim": 5, …}, …]}
                  {"name": "Graph", "nodes": {…}, "node_config": […], "input_config": […], "output_config": […]}
    Keras 1, 2    {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {…}}, …], "keras_version": "1.2.2"}
    Keras 2.2.3   {"class_name": "Model", "config": {"layers": […], …}, "keras_version": "2.3.1", "backend": "tensorflow"}
    Keras 3       {"module": "keras", "class_name": "Sequential", "config": {…}, "registered_name": …, "build_config": …}

YAML (up to Keras 2.5) has the same in its own spelling. A text that was encoded twice, as `json.dump(model.to_json(), file)`
writes it, is a JSON string that holds the document. Sources: Keras 0.3.3 `models.py`, `model_to_json`; Keras 2.3.1
`engine/network.py`, `to_json` and `to_yaml`; Keras 3.15.1 `models/model.py`, `to_json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError, Era, class_of, era_of, is_model, settings_of
from kmodel_tools.architecture.spec import LayerSpec, model_spec
from kmodel_tools.architecture.spelling import document_config
from kmodel_tools.errors import ConversionError, CorruptFileError, KmtError
from kmodel_tools.format import Container, Format, Part, Probe, parse_json
from kmodel_tools.storage.atomic import new_file
from kmodel_tools.storage.yaml_data import parse_yaml, yaml_text
from kmodel_tools.tree import Layer, Model, Note

TIMES_ENCODED = 4
"""Texts within texts that are followed."""
OTHERS = frozenset({"modelTopology", "weightsManifest", "weight_map", "model_config"})
"""Keys of documents that hold more than an architecture, or something else: TensorFlow.js's and indexes of shards."""
OF_A_MODEL = frozenset({"build_config", "compile_config", "keras_version", "backend"})
"""What `to_json` writes beside the configuration: it tells a subclassed model's from any other object's."""
_YAML = re.compile(r"^(?:class_name\s*:.*\n(?:config\s*:)|config\s*:|layers\s*:|(?:input|node)_config\s*:|'\s*\{)", re.MULTILINE)


def detect(probe: Probe) -> str | None:
    """Say whether a document is an architecture, and in which spelling, or None."""
    if probe.container is Container.JSON:
        return "JSON" if _is_architecture(_document(probe)) else None
    if not _may_be_yaml(probe.head):
        return None
    try:
        document = _document(probe)
    except CorruptFileError:
        if b"\nclass_name:" in b"\n" + probe.head:
            raise
        return None  # some text in which a line happens to begin as one of a configuration does
    return "YAML" if _is_architecture(document) else None


def _may_be_yaml(head: bytes) -> bool:
    return b"\0" not in head and _YAML.search(head.decode("utf-8-sig", "replace")) is not None


def _document(probe: Probe) -> Any:
    """What the file holds, texts within texts opened.

    Raises:
        CorruptFileError: It is neither JSON nor YAML.
    """
    found = probe.json if probe.container is Container.JSON else probe.yaml
    for _ in range(TIMES_ENCODED):
        if not isinstance(found, str):
            return found
        text = found.strip()
        found = parse_json(text, probe.path) if text.startswith(("{", '"')) else parse_yaml(text, probe.path)
    return found


def _is_architecture(document: Any) -> bool:
    if not isinstance(document, Mapping) or OTHERS & document.keys():
        return False
    if "class_name" not in document:
        kind = document.get("name")
        return (kind == "Sequential" and _all_objects(document.get("layers"))) or (
            kind == "Graph" and isinstance(document.get("nodes"), Mapping) and _all_objects(document.get("node_config"))
        )
    kind, config = document["class_name"], document.get("config")
    if not isinstance(kind, str) or not isinstance(config, (Mapping, list)):
        return False
    settings = settings_of(document)
    if is_model(kind, settings):
        return _all_objects(settings.get("layers")) or (kind == "Graph" and isinstance(settings.get("nodes"), Mapping))
    return bool(OF_A_MODEL & document.keys())


def _all_objects(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, Mapping) for item in items)


def read(probe: Probe) -> Model:
    """Describe the layers of an architecture; it holds no weights, so that the layers have none.

    Raises:
        CorruptFileError: The document is damaged, or no architecture.
    """
    document = _document(probe)
    if not _is_architecture(document):
        raise CorruptFileError("is not the configuration of a model", path=probe.path)
    version = str(document.get("keras_version") or "")
    name, layers, notes = _tree(document, version)
    known = {key: str(document[key]) for key in ("keras_version", "backend") if isinstance(document.get(key), str)}
    if not known and era_of(document) is Era.KERAS_3:
        known["producer"] = "Keras 3"
    training = document.get("compile_config")
    return Model(
        name=name,
        format=FORMAT.name,
        layers=layers,
        architecture=document,
        training_config=training if isinstance(training, Mapping) and training else None,
        metadata=known | {"dialect": "JSON" if probe.container is Container.JSON else "YAML"},
        notes=tuple(notes),
        inventory=(),
    )


def _tree(document: Config, version: str) -> tuple[str, tuple[Layer, ...], list[Note]]:
    """The model's name, its layers, and what could not be made out."""
    try:
        if era_of(document, version or None) is Era.KERAS_0:
            return "", _of_keras_0(document), []
        spec = model_spec(document, version or None)
    except ConfigError as error:
        return "", (), [Note("odd", f"the configuration cannot be followed: {error}")]
    layers = tuple(_layer(child) for child in spec.root.children)
    return spec.root.name, layers, [Note("odd", text) for text in spec.odd]


def _layer(spec: LayerSpec) -> Layer:
    """A layer as it is described, with all below it; `spec.MAX_DEPTH` bounds the nesting."""
    return Layer(spec.name, spec.attr, spec.class_name, (), tuple(_layer(child) for child in spec.children))


def _of_keras_0(document: Config) -> tuple[Layer, ...]:
    """Layers of Keras 0.3 under the names that its files of weights have: a list's by number, a graph's nodes by name."""
    if document.get("name") == "Sequential":
        return tuple(Layer(f"layer_{number}", None, class_of(item)) for number, item in enumerate(document["layers"]))
    kinds = {name: class_of(item) for name, item in document["nodes"].items() if isinstance(item, Mapping)}
    return tuple(Layer(name, None, kind) for name, kind in kinds.items())


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model's architecture as its own generation's `to_json()` does, or its `to_yaml()` for a path that ends in .yaml or .yml.

    Raises:
        ConversionError: It has no architecture, or one that cannot be told by its document.
        KmtError: The file is there already, or cannot be written.
        MissingDependencyError: pyyaml is not installed, and YAML is to be written.
    """
    if model.architecture is None:
        raise ConversionError(
            "a document of an architecture needs one, and the source has none", cure="name a whole model, or give one: --like"
        )
    version = model.metadata.get("keras_version")
    era = era_of(model.architecture, version)
    document = document_config(model.architecture, era, model.training_config, model.metadata)
    if not _is_architecture(document):
        raise ConversionError(
            f"a model of the class {class_of(document)} is no graph and no list of layers: its document would not say that it is a model"
        )
    is_yaml = path.endswith((".yaml", ".yml"))
    try:
        text = yaml_text(document) if is_yaml else json.dumps(document)
        back = parse_yaml(text, path) if is_yaml else json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConversionError(f"the architecture holds what {'YAML' if is_yaml else 'JSON'} cannot: {error}") from error
    if json.dumps(back, sort_keys=True) != json.dumps(document, sort_keys=True):  # as text, in which NaN is equal to NaN
        raise KmtError("would not read back as the same architecture, and was not written", path=path, cure="please report this")
    with new_file(path, overwrite) as file:
        file.write(text.encode())


FORMAT = Format(
    name="keras-json",
    title="Keras architecture (.json, .yaml)",
    suffixes=(".json", ".yaml", ".yml"),
    containers=frozenset({Container.JSON, Container.OTHER}),
    holds=Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG,
    detect=detect,
    read=read,
    write=write,
    needs=Part.ARCHITECTURE,
)
