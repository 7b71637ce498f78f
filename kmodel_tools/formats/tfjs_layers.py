"""TensorFlow.js: `model.json` with its shards; layers models are read and written, of graph models and bare manifests the weights are read.

::

    {"format": "layers-model", "generatedBy": "keras v2.15.0", "convertedBy": "TensorFlow.js Converter v4.22.0",
     "modelTopology": {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": {…}, "training_config": {…}},
     "weightsManifest": […]}                                                       see `storage/weights_manifest`

     "modelTopology": {"class_name": "Sequential", "config": {…}, "keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"},
     "trainingConfig": {…},                                                        so where JS wrote it, and not the converter

    {"format": "graph-model", "modelTopology": {"node": […], "library": {…}}, …}   a graph; its constants are the weights
    [{"paths": […], "weights": […]}]                                               `weights_manifest.json`: weights alone

A weight is called as in legacy HDF5 files, without `:0`: `dense/kernel`, `bidirectional/forward_lstm/kernel`, and without the names of
nested models. JS writes null for what is not set: such keys are left out here, so that Keras takes its own default. Source:
TensorFlow.js 4.22 `tfjs-layers/src/engine/container.ts`, `loadWeights`, and `models.ts`; `tfjs-core/src/io/types.ts`;
`tfjs-converter/python/tensorflowjs/converters/keras_h5_conversion.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape as pattern
from typing import Any

from kmodel_tools.architecture.downgrade import KERAS_VERSION
from kmodel_tools.architecture.envelope import ConfigError, Era, era_of
from kmodel_tools.architecture.legacy_wrappers import place_all_weights
from kmodel_tools.architecture.operation_modules import tell_modules
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec, model_spec
from kmodel_tools.architecture.spelling import without_modules
from kmodel_tools.architecture.tensorflow_js import spelled, spelled_by_keras, untaken
from kmodel_tools.errors import ConversionError, CorruptFileError
from kmodel_tools.format import Container, FileSet, Format, Option, Part, Probe, parse_json
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.formats._shared.keras_objects import interpret
from kmodel_tools.formats._shared.keras_store import Store
from kmodel_tools.formats._shared.named_arrays import read_arrays
from kmodel_tools.formats._shared.options import chosen, size_in_bytes
from kmodel_tools.storage.atomic import new_files
from kmodel_tools.storage.weights_manifest import Contents, Stored, is_manifest, read_manifest
from kmodel_tools.storage.weights_manifest_writer import Entry, entry_of, shard_sizes, write_shards
from kmodel_tools.tree import Layer, Model, Note, Weight, join_path

NAME = "tfjs-layers"
INDEX = "model.json"
TOPOLOGY = "modelTopology"
MANIFEST = "weightsManifest"
JS = "tensor_flow.js"
LAYERS, GRAPH, WEIGHTS = "layers model", "graph model", "weights manifest"
_BESIDE = ("keras_version", "backend", "training_config")
"""What stands in a topology beside the configuration, or among it."""
OPTIMIZER = "optimizer"
"""The mark of weights that are the optimizer's."""
SHARD_SIZE = "4MB"
_STORED = re.compile(r"^(?:layers|_layer_checkpoint_dependencies)/.*/vars/[0-9]+$")
"""What a weight is called that has its place in a `.keras` archive for a name: `layers/dense/vars/0`."""
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/]*")
"""How TensorFlow.js lets a weight be called."""
ROLES: Mapping[tuple[str | None, str], str] = {("DepthwiseConv2D", "kernel"): "depthwise_kernel"}
"""Roles of Keras 3 that TensorFlow.js has under the name of Keras 2."""


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
    if (kind := detect(probe)) is None:
        raise CorruptFileError("is no document of TensorFlow.js", path=probe.path)
    document: Mapping[str, Any] = {MANIFEST: probe.json} if isinstance(probe.json, list) else probe.json
    contents = read_manifest(document.get(MANIFEST) or [], probe.path, probe.salvage)
    model = _layers_model(document, contents, probe.path) if kind == LAYERS else _named_weights(contents, kind, probe.path)
    notes = [Note("odd", text) for text in contents.odd]
    said = {"generatedBy": "producer", "convertedBy": "converted_by"}
    metadata = {key: document[name] for name, key in said.items() if isinstance(document.get(name), str)}
    if quantized := sorted({item.quantized for item in contents.weights if item.quantized}):
        count = sum(bool(item.quantized) for item in contents.weights)
        text = f"{count} of {len(contents.weights)} weights were rounded: they are stored as {' and '.join(quantized)}, and worked out"
        notes.append(Note("inferred", text))
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
    note = Note("inferred", "of the graph, only its weights are read: constants, named as its nodes")
    return replace(model, notes=(*model.notes, note)) if kind == GRAPH else model


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
    config = spelled_by_keras({key: value for key, value in config.items() if config is not topology or key not in _BESIDE})
    tell_modules(config)
    training = topology.get("training_config") or document.get("trainingConfig")
    version = metadata.get("keras_version")
    notes: list[Note] = []
    spec = _spec(config, version, notes)
    model = Model(
        name=spec.root.name if spec else "",
        architecture=config,
        training_config=training if isinstance(training, Mapping) and training else None,
        metadata=metadata,
    )
    if any(_STORED.search(item.name) for item in contents.weights):
        return _stored(model, contents, spec, version, notes)
    placed = _Placing(spec, era_of(config, version), contents.weights)
    layers = tuple(placed.layers())
    extras = tuple(Weight(item.name.rpartition("/")[2], item.tensor, item.name) for item in contents.weights if item.group == OPTIMIZER)
    return replace(model, layers=layers, own_weights=tuple(placed.own), extras=extras, notes=tuple(notes + placed.notes))


def _stored(model: Model, contents: Contents, spec: ModelSpec | None, version: str | None, notes: list[Note]) -> Model:
    """A model whose weights are called by their places in a `.keras` archive, as the converter leaves them; see `_shared/keras_store`.

    Source: tensorflowjs 4.22 `converters/keras_h5_conversion.py`, `_convert_v3_group_structure_to_weights`.
    """
    store = Store()
    for item in contents.weights:
        store.put(item.name, item.tensor, item.name)
    found = interpret(store, spec, version)
    extras = (*found.optimizer, *found.extras)
    return replace(model, layers=found.layers, own_weights=found.own_weights, extras=extras, notes=(*notes, *found.notes))


def _spec(config: Mapping[str, Any], version: str | None, notes: list[Note]) -> ModelSpec | None:
    try:
        spec = model_spec(config, version)
    except ConfigError as error:
        notes.append(Note("odd", f"the configuration cannot be followed: {error}"))
        return None
    notes += [Note("odd", text) for text in spec.odd]
    return spec


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
        groups: dict[str, list[tuple[str, Stored]]] = {}
        for item in self.weights:
            if item.group == OPTIMIZER:
                continue
            name = self._inner(item.name, owners)
            first, slash, _ = name.partition("/")
            if slash:
                groups.setdefault(owners.get(first, first), []).append((name, item))
            else:
                self.own.append(Weight(item.name, item.tensor, item.name))
        for child in children:
            yield self._layer(child.name, groups.pop(child.name, []), child)
        if groups and self.spec is not None:
            listed = ", ".join(list(groups)[:3]) + (" …" if len(groups) > 3 else "")
            self.notes.append(Note("odd", f"weights of layers that the architecture does not have: {listed}"))
        for name, items in groups.items():
            yield self._layer(name, items, None)

    def _inner(self, name: str, owners: Mapping[str, str]) -> str:
        """A name without that of a Sequential, which Keras 3 puts in front in HDF5 files, and the converter leaves there."""
        first, _, rest = name.partition("/")
        is_root = self.spec is not None and first == self.spec.root.name and first not in owners
        return rest if is_root and rest.partition("/")[0] in owners else name

    def _layer(self, name: str, items: Sequence[tuple[str, Stored]], spec: LayerSpec | None) -> Layer:
        places = place_all_weights(name, [inner for inner, _ in items], spec, self.era).places
        placed = [
            (place.steps, Weight(place.role, item.tensor, item.name, place.trainable))
            for place, (_, item) in zip(places, items, strict=True)
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


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a layers model; of a model without an architecture, its weights as a bare manifest.

    Raises:
        ConversionError: TensorFlow.js does not have a layer or an argument, or no such elements; or names do not tell the layers.
        KmtError: A file is there already, or cannot be written; or an option has no such value.
    """
    quantize = chosen("quantize", options, ("none", "float16", "uint16", "uint8"))
    limit = size_in_bytes(options.get("shard-size", SHARD_SIZE))
    document: dict[str, Any] = {}
    if model.architecture is not None:
        document = _document(model, model.architecture)
    names = _js_names(model) if document else {id(weight): join_path(path) for path, weight in model.weights()}
    weights = {id(weight): weight for _, weight in model.weights()}
    entries = [entry_of(names[key], weight.tensor, None if quantize == "none" else quantize) for key, weight in weights.items()]
    if document:
        _check_names(model, document[TOPOLOGY], entries)
    sizes = shard_sizes(sum(entry.size for entry in entries), limit)
    stem = path.removesuffix(".json")
    shards = [f"{stem}-shard{number}of{len(sizes)}.bin" for number in range(1, len(sizes) + 1)]
    groups = [{"paths": [os.path.basename(shard) for shard in shards], "weights": [dict(entry.said) for entry in entries]}]
    text = json.dumps({**document, MANIFEST: groups} if document else groups)
    with new_files([*shards, path], overwrite) as files:
        write_shards(entries, files, limit)
        files[-1].write(text.encode())


def files(path: str) -> FileSet:
    """The document and its shards."""
    stem = os.path.basename(path).removesuffix(".json")
    return FileSet(path, f"{pattern(stem)}-shard[0-9]*of[0-9]*.bin")


def _document(model: Model, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the manifest."""
    plain = without_modules(architecture)
    if problems := untaken(plain):
        listed = "; ".join(problems[:3]) + ("; …" if len(problems) > 3 else "")
        raise ConversionError(
            f"TensorFlow.js cannot run {listed}", tuple(problems), cure="--weights-only writes the weights alone, as a manifest"
        )
    version = model.metadata.get("keras_version") or KERAS_VERSION
    topology = {"keras_version": version, "backend": model.metadata.get("backend") or "tensorflow", "model_config": spelled(plain)}
    if model.training_config:
        topology["training_config"] = without_modules(model.training_config)
    said = {"format": "layers-model", "generatedBy": f"keras v{version}", "convertedBy": "kmodel_tools"}
    return {**said, TOPOLOGY: topology}


def _js_names(model: Model) -> dict[int, str]:
    """The name of each weight in TensorFlow.js, by the weight's identity: what wraps a layer gives it its name."""
    found = {id(weight): weight.role for weight in model.own_weights}
    stack = [(layer.name, layer) for layer in reversed(model.layers)]
    while stack:
        name, layer = stack.pop()
        for weight in layer.weights:
            found.setdefault(id(weight), f"{name}/{ROLES.get((layer.class_name, weight.role), weight.role)}")
        stack += [(_below(name, child, layer), child) for child in reversed(layer.layers)]
    return found


def _below(name: str, child: Layer, holder: Layer) -> str:
    """What the weights of a layer in another one are called behind."""
    if child.attr is None:
        return child.name
    first, _, number = child.attr.rpartition("/")
    if first in ("cells", "cell/cells"):
        return f"{name}/RNNCell_{number}"
    if child.attr in ("forward_layer", "backward_layer"):
        wrapped = next(layer.name for layer in holder.layers if layer.attr == "forward_layer")
        return f"{name}/{child.attr.removesuffix('layer')}{wrapped.removeprefix('forward_')}"
    return name if child.attr in ("cell", "layer") else f"{name}/{child.name}"


def _check_names(model: Model, topology: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """That each name leads back to its weight."""
    names = [str(entry.said["name"]) for entry in entries]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ConversionError(f"two weights would be called {twice}", cure="give a layer another name: --rename OLD=NEW")
    if unfit := next((name for name in names if not _NAME.fullmatch(name)), None):
        raise ConversionError(f"TensorFlow.js has no weights called {unfit}", (unfit,), cure="rename the layer: --rename OLD=NEW")
    config, version = topology["model_config"], topology["keras_version"]
    stored = [Stored(name, entry.tensor) for name, entry in zip(names, entries, strict=True)]
    placed = _Placing(_spec(config, version, []), era_of(config, version), stored)
    back = Model(layers=tuple(placed.layers()), own_weights=tuple(placed.own))
    places = {path: id(weight.tensor) for path, weight in back.weights()}
    if other := [join_path(path) for path, weight in model.weights() if places.get(path, id(weight.tensor)) != id(weight.tensor)]:
        raise ConversionError(f"TensorFlow.js names weights so that {other[0]} would be another one", tuple(other))


FORMAT = Format(
    name=NAME,
    title="TensorFlow.js",
    suffixes=(".tfjs.json",),
    containers=frozenset({Container.JSON, Container.DIRECTORY}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG,
    detect=detect,
    read=read,
    write=write,
    files=files,
    options=(
        Option("shard-size", SHARD_SIZE, "most bytes of one shard: 500KB, 4MB"),
        Option("quantize", "none", "store floats as float16, uint16 or uint8, which rounds them: none, float16, uint16, uint8"),
    ),
    salvages=True,
    generation="Keras 2",
)
