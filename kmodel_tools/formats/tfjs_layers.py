"""TensorFlow.js: `model.json` with its shards; layers models are read and written, of graph models and bare manifests the weights are read.

::

    {"format": "layers-model", "generatedBy": "keras v2.15.0", "convertedBy": "TensorFlow.js Converter v4.22.0",
     "modelTopology": {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": {…}, "training_config": {…}},   by the converter
     "modelTopology": {"class_name": "Sequential", "config": {…}, "keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"},  by JS
     "trainingConfig": {…},                                                                                             by JS
     "weightsManifest": […]}                                                                   see `storage/weights_manifest`
    {"format": "graph-model", "modelTopology": {"node": […], "library": {…}}, …}               a graph of TensorFlow, its constants as weights
    [{"paths": […], "weights": […]}]                                                           `weights_manifest.json`: weights alone

A weight is called as in legacy HDF5 files, without `:0`: `dense/kernel`, `bidirectional/forward_lstm/kernel`, and without the names of
nested models. JS writes null for what is not set: such keys are left out here, so that Keras takes its own default. Source:
TensorFlow.js 4.22 `tfjs-layers/src/engine/container.ts`, `loadWeights`, and `models.ts`; `tfjs-core/src/io/types.ts`;
`tfjs-converter/python/tensorflowjs/converters/keras_h5_conversion.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era, era_of, iter_mappings
from kmodel_tools.architecture.legacy_wrappers import place_all_weights
from kmodel_tools.architecture.operation_modules import tell_modules
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec, model_spec
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.format import Container, Format, Part, Probe, parse_json
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.formats._shared.named_arrays import read_arrays
from kmodel_tools.storage.weights_manifest import Contents, Stored, is_manifest, read_manifest
from kmodel_tools.tree import Layer, Model, Note, Weight

NAME = "tfjs-layers"
INDEX = "model.json"
TOPOLOGY = "modelTopology"
MANIFEST = "weightsManifest"
JS = "tensor_flow.js"
LAYERS, GRAPH, WEIGHTS = "layers model", "graph model", "weights manifest"
OPTIMIZER = "optimizer"
"""The mark of weights that are the optimizer's."""
_V3 = frozenset({"vars", "layers", "_layer_checkpoint_dependencies"})
"""Levels of Keras 3's weights layout that are no layers."""


def detect(probe: Probe) -> str | None:
    """Say which of TensorFlow.js's documents a file is, or a folder holds, or None."""
    if probe.container is Container.DIRECTORY:
        if INDEX not in probe.names or not os.path.isfile(os.path.join(probe.path, INDEX)):
            return None
        inner = Probe(os.path.join(probe.path, INDEX))
        return detect(inner) if inner.container is Container.JSON else None
    document = probe.json
    if isinstance(document, list):
        return WEIGHTS if document and is_manifest(document) else None
    if not isinstance(document, Mapping) or not {TOPOLOGY, MANIFEST} & document.keys():
        return None
    topology = _opened(document.get(TOPOLOGY), probe.path)
    if not topology:
        return WEIGHTS
    return GRAPH if document.get("format") == "graph-model" or "node" in topology or "library" in topology else LAYERS


def read(probe: Probe) -> Model:
    """Describe the model of a `model.json` and its shards.

    Raises:
        CorruptFileError: The document is damaged, a shard is missing or too short.
        UnsupportedFeatureError: An element type is not known.
    """
    if probe.container is Container.DIRECTORY:
        return read(Probe(os.path.join(probe.path, INDEX), probe.salvage))
    kind = detect(probe)
    if kind is None:
        raise CorruptFileError("is no document of TensorFlow.js", path=probe.path)
    document: Mapping[str, Any] = {MANIFEST: probe.json} if isinstance(probe.json, list) else probe.json
    contents = read_manifest(document.get(MANIFEST) or [], probe.path, probe.salvage)
    model = _layers_model(document, contents, probe.path) if kind == LAYERS else _named_weights(contents, kind, probe.path)
    notes = [Note("odd", text) for text in contents.odd]
    said = {"generatedBy": "producer", "convertedBy": "converted_by"}
    metadata = {key: document[name] for name, key in said.items() if isinstance(document.get(name), str)}
    if quantized := sorted({item.quantized for item in contents.weights if item.quantized}):
        count = sum(bool(item.quantized) for item in contents.weights)
        metadata["quantization"] = f"{count} of {len(contents.weights)} weights, stored as {', '.join(quantized)}"
    return replace(
        model,
        format=FORMAT.name,
        metadata={**metadata, **model.metadata, "dialect": kind},
        notes=(*notes, *model.notes),
        inventory=tuple((item.name, item.tensor) for item in contents.weights),
    )


def _named_weights(contents: Contents, kind: str, path: str) -> Model:
    """Weights under the names that they have."""
    model = read_arrays({item.name: item.tensor for item in contents.weights}, {}, path)
    if kind != GRAPH:
        return model
    return replace(model, notes=(*model.notes, Note("inferred", "of the graph, only its weights are read: constants, named as its nodes")))


def _opened(topology: Any, path: str) -> Mapping[str, Any] | None:
    """The topology, which may be a text that holds it."""
    found = parse_json(topology, path, TOPOLOGY) if isinstance(topology, str) else topology
    return found if isinstance(found, Mapping) else None


def _layers_model(document: Mapping[str, Any], contents: Contents, path: str) -> Model:
    topology = _opened(document.get(TOPOLOGY), path)
    assert topology is not None, "a layers model has one"
    config = topology.get("model_config", topology)
    config = parse_json(config, path, "model_config") if isinstance(config, str) else config
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise CorruptFileError("holds no configuration of a model", path=path, where=TOPOLOGY)
    metadata = {key: topology[key] for key in ("keras_version", "backend") if isinstance(topology.get(key), str)}
    if metadata.get("backend") == JS:
        metadata = {"producer": metadata.get("keras_version", JS)}
        config = {key: _as_keras_has_it(value) for key, value in config.items() if key not in ("keras_version", "backend")}
    elif config is topology:
        config = {key: value for key, value in config.items() if key not in ("keras_version", "backend", "training_config")}
    tell_modules(config)
    training = topology.get("training_config") or document.get("trainingConfig")
    version = metadata.get("keras_version")
    notes: list[Note] = []
    placed = _Placing(_spec(config, version, notes), era_of(config, version), contents.weights)
    layers = tuple(placed.layers())
    return Model(
        name=placed.spec.root.name if placed.spec else "",
        layers=layers,
        own_weights=tuple(placed.own),
        architecture=config,
        training_config=training if isinstance(training, Mapping) and training else None,
        extras=tuple(Weight(item.name.rpartition("/")[2], item.tensor, item.name) for item in contents.weights if item.group == OPTIMIZER),
        metadata=metadata,
        notes=tuple(notes + placed.notes),
    )


def _spec(config: Mapping[str, Any], version: str | None, notes: list[Note]) -> ModelSpec | None:
    try:
        spec = model_spec(config, version)
    except ConfigError as error:
        notes.append(Note("odd", f"the configuration cannot be followed: {error}"))
        return None
    notes += [Note("odd", text) for text in spec.odd]
    return spec


def _as_keras_has_it(node: Any) -> Any:
    """A configuration of JS as Keras has it: without keys that are not set, and with what JS takes for granted of a GRU."""
    if isinstance(node, list):
        return [_as_keras_has_it(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _as_keras_has_it(value) for key, value in node.items() if value is not None}
    if found.get("class_name") in ("GRU", "GRUCell") and isinstance(found.get("config"), dict):
        found["config"].setdefault("reset_after", False)
    return found


@dataclass(slots=True)
class _Placing:
    """Finds the layer of each weight, by its name."""

    spec: ModelSpec | None
    era: Era
    weights: Sequence[Stored]
    own: list[Weight] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def layers(self) -> Iterator[Layer]:
        """The layers of the model, in its order; then those of which the configuration says nothing."""
        children = self.spec.root.children if self.spec is not None else ()
        owners = _owners(children)
        groups: dict[str, list[Stored]] = {}
        for item in self.weights:
            if item.group == OPTIMIZER:
                continue
            first, slash, _ = item.name.partition("/")
            if slash:
                groups.setdefault(owners.get(first, first), []).append(item)
            else:
                self.own.append(Weight(item.name, item.tensor, item.name))
        for child in children:
            yield self._layer(child.name, groups.pop(child.name, []), child)
        if groups and self.spec is not None:
            listed = ", ".join(list(groups)[:3]) + (" …" if len(groups) > 3 else "")
            self.notes.append(Note("odd", f"weights of layers that the architecture does not have: {listed}"))
        for name, items in groups.items():
            yield self._layer(name, items, None)

    def _layer(self, name: str, items: Sequence[Stored], spec: LayerSpec | None) -> Layer:
        names = [item.name for item in items]
        places = place_all_weights(name, names, spec, self.era).places
        placed = [
            (place.steps, Weight(place.role, item.tensor, item.name, place.trainable)) for place, item in zip(places, items, strict=True)
        ]
        return assembled(name, spec.class_name if spec else None, spec, placed)


def _owners(children: Sequence[LayerSpec]) -> dict[str, str]:
    """The outermost layer that a first part of a name leads to: its own name, or that of a layer in it."""
    found = {child.name: child.name for child in children}
    for child in children:
        stack = list(child.children)
        while stack:
            below = stack.pop()
            found.setdefault(below.name, child.name)
            stack.extend(below.children)
    return found


FORMAT = Format(
    name=NAME,
    title="TensorFlow.js",
    suffixes=(INDEX,),
    containers=frozenset({Container.JSON, Container.DIRECTORY}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG,
    detect=detect,
    read=read,
    salvages=True,
)
