"""SavedModels of every TensorFlow: the variables, and what is told of the layers that they belong to. The graph is never run.

::

    saved_model.pb  or  saved_model.pbtxt     graphs, signatures, and since TensorFlow 2 a graph of objects
    variables/variables.index  .data-…        a checkpoint (see `storage.tensor_bundle`)
    keras_metadata.pb                         tf.keras 2.5 and later: JSON about each layer
    assets/                                   vocabularies; saved_model.json of tf.keras 1.13 to 1.15
    fingerprint.pb, assets.extra/             not looked at

Who wrote it decides what is known::

    tf.keras        classes, names; the architecture of models that are a graph or a list of layers
    Keras export    names of the variables (see `exported`)
    TensorFlow 2    the names of attributes
    TensorFlow 1    the names of variables
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.spec import ModelSpec, model_spec
from kmodel_tools.damaged import offering_salvage
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.format import Container, Format, Part, Probe, parse_json
from kmodel_tools.formats._shared.tensorflow.configured import described_by, in_configured_order
from kmodel_tools.formats._shared.tensorflow.keyed import read_keys
from kmodel_tools.formats._shared.tensorflow.objects import read_objects
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.formats.saved_model.announced import check_variables
from kmodel_tools.formats.saved_model.exported import is_exported, model_scope, read_exported
from kmodel_tools.formats.saved_model.keras_nodes import KERAS, KerasNodes, join, plain, read_keras_nodes, trained
from kmodel_tools.formats.saved_model.parts import (
    ASSETS,
    BINARY,
    KERAS_JSON,
    TEXT,
    Parts,
    assets_of,
    graph_of,
    open_parts,
    read_stated,
)
from kmodel_tools.formats.saved_model.recovered import recovered_graph
from kmodel_tools.storage.graph_def import count_operations, iter_nodes
from kmodel_tools.storage.object_graph import KEY, Node, parse_graph
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.saved_model import HEAD
from kmodel_tools.storage.tensor_bundle import read_bundle
from kmodel_tools.tensor import ByteRange, DType, Tensor
from kmodel_tools.tree import Model, Note, damage_text

_TEXT_HEAD = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:saved_model_schema_version\s*:|meta_graphs\s*:?\s*[{<])")
_VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable", "AutoReloadVariable"})


def detect(probe: Probe) -> str | None:
    """Say in which form a SavedModel is there, or None."""
    if probe.container is Container.DIRECTORY:
        return "directory" if BINARY in probe.names or TEXT in probe.names else None
    if probe.head.startswith(HEAD):
        return "binary"
    return "text" if _TEXT_HEAD.match(probe.head) else None


def read(probe: Probe) -> Model:
    """Describe the model in a SavedModel.

    Raises:
        CorruptFileError: A file of it is damaged or missing: without its graph the variables are read all the same.
        UnsupportedFeatureError: Big-endian data, or element types that are not known.
    """
    parts = open_parts(probe)
    assets, graph = assets_of(parts), graph_of(parts)
    tensors = _variables(parts)
    model = _objects(parts, tensors) if KEY in tensors else _names(parts, tensors)
    metadata = dict(model.metadata)
    if parts.meta is not None and parts.meta.tensorflow_version:
        metadata["tensorflow_version"] = parts.meta.tensorflow_version
    if not any(key != KEY for key in tensors):
        parts.notes.append(Note("odd", "the model holds no variables: all that it does is in its graph, which is not run"))
    return replace(
        model,
        format=FORMAT.name,
        assets=assets,
        graph=graph,
        metadata=metadata,
        notes=(*parts.notes, *model.notes),
        inventory=tuple(tensors.items()),
    )


def _variables(parts: Parts) -> dict[str, Tensor]:
    """Every tensor of `variables/`; none where the folder is not there and the graph has no variables."""
    if os.path.isfile(parts.prefix + ".index"):
        return read_bundle(parts.prefix, parts.salvage)
    if _has_variables(parts):
        raise CorruptFileError(
            "the values of its variables are not there",
            path=parts.file,
            where="variables/variables.index",
            cure="copy the folder variables/ beside it, with all that is in it",
        )
    return {}


def _has_variables(parts: Parts) -> bool:
    meta = parts.meta
    if meta is None or parts.messages is None:
        return False
    if any(item.variable is not None for item in meta.objects) or meta.variables("variables"):
        return True
    if meta.graph is None:
        return False
    try:
        counts, _ = count_operations(parts.messages, meta.graph)
    except WireError as error:
        raise CorruptFileError(f"the graph is damaged: {error}", path=parts.file, cure="fetch the file again") from error
    return bool(_VARIABLE_OPS & counts.keys())


# TensorFlow 1: names alone.


def _names(parts: Parts, tensors: Mapping[str, Tensor]) -> Model:
    meta = parts.meta
    created = meta.variables("variables") if meta is not None else ()
    ordered = {name: tensors[name] for name in created if name in tensors} | dict(tensors)
    trainable = meta.variables("trainable_variables") if meta is not None else ()
    model = read_variables(ordered, {name: name in trainable for name in created})
    notes = list(model.notes)
    if tensors:
        notes.append(Note("unread", "a graph of TensorFlow 1 holds no Keras architecture: layers are the scopes of its variables' names"))
    return replace(model, metadata={"dialect": "TensorFlow 1"}, notes=tuple(notes))


# TensorFlow 2: a graph of objects.


def _objects(parts: Parts, tensors: Mapping[str, Tensor]) -> Model:
    graph = _graph(parts, tensors)
    if graph is None:
        return replace(read_keys(tensors), metadata={"dialect": "TensorFlow 2"})
    objects = parts.meta.objects if parts.meta is not None else ()
    joined = join(objects, graph)
    check_variables(parts, joined, graph, tensors)
    keras = read_keras_nodes(objects, read_stated(parts), graph, parts.file)
    made = {node: flag for number, node in joined.items() if (flag := objects[number].variable) is not None}
    if keras.data:
        return _keras(parts, keras, graph, tensors, made)
    document = _keras_json(parts)
    if document is not None:
        return _configured(parts, document, graph, tensors)
    if is_exported(graph):
        model = read_exported(graph, tensors, _scope(parts))
        note = Note("unread", "an export holds no Keras architecture: how the layers are connected is in its functions only")
        return replace(model, metadata={"dialect": "Keras export"}, notes=(*model.notes, note))
    model = read_objects(graph, tensors, None, made)
    notes = [note for note in model.notes if not note.text.startswith("a checkpoint holds no classes")]
    if any(key != KEY for key in tensors):
        notes.append(Note("inferred", "no classes are stated; layers are called after their variables, or the attributes that hold them"))
        if any(item.identifier.startswith(KERAS) for item in objects):
            notes.append(
                Note(
                    "unread",
                    "holds objects of Keras and no description of them, which only Keras itself saves: keras_metadata.pb",
                )
            )
        elif parts.meta is not None:
            notes.append(Note("unread", "holds no Keras objects, and so no architecture: what it computes is in its functions only"))
    return replace(model, metadata={"dialect": "TensorFlow 2"}, notes=tuple(notes))


def _graph(parts: Parts, tensors: Mapping[str, Tensor]) -> tuple[Node, ...] | None:
    """The graph of `variables/`; when salvaging a damaged one, that of `saved_model.pb`, or None where that is damaged, too."""
    try:
        tensor = tensors[KEY]
        if tensor.dtype is not DType.STRING or tensor.shape != ():
            raise CorruptFileError("the object graph is not a string", path=parts.prefix + ".index", where=KEY)
        return parse_graph(tensor.strings()[0], parts.prefix + ".index")
    except CorruptFileError as error:
        if not parts.salvage:
            raise offering_salvage(error) from error
        what = f"the object graph of variables/ is damaged: {damage_text(error)}"
    objects = parts.meta.objects if parts.meta is not None else ()
    instead = f"that of {os.path.basename(parts.file)} is taken" if objects else "weights are called by their keys"
    parts.notes.append(Note("unread", f"{what}; {instead}"))
    return recovered_graph(objects, tensors) if objects else None


def _keras(parts: Parts, keras: KerasNodes, graph: tuple[Node, ...], tensors: Mapping[str, Tensor], made: Mapping[int, bool]) -> Model:
    """A model of tf.keras, with what Keras states of each layer."""
    model = read_objects(graph, tensors, keras.described(), trained(graph, keras, made), keras.optimizer_class(), made)
    architecture = keras.architecture()
    metadata = keras.metadata()
    notes = list(model.notes)
    spec, more = _spec(architecture, metadata.get("keras_version"))
    notes += more
    if keras.damaged:
        notes.append(Note("unread", f"what Keras states of {keras.damaged} of its objects is damaged"))
    if keras.root is None:
        notes.append(
            Note("unread", "its outermost object is not Keras's, so that there is no architecture: that of the parts is not shown")
        )
    elif architecture is None:
        kind = keras.root.get("class_name")
        notes.append(
            Note(
                "unread", f"{kind} is a subclassed model: how its layers are connected is in its functions only, so it has no architecture"
            )
        )
    layers = in_configured_order(model.layers, spec.root) if spec is not None else model.layers
    name = (keras.root or {}).get("name")
    return replace(
        model,
        name=name if isinstance(name, str) else "",
        layers=layers,
        architecture=architecture,
        training_config=keras.training_config(),
        metadata={**metadata, "dialect": "tf.keras"},
        notes=tuple(notes),
    )


def _keras_json(parts: Parts) -> Mapping[str, Any] | None:
    """The configuration that tf.keras 1.13 to 1.15 left among the assets."""
    path = parts.path(ASSETS, KERAS_JSON)
    if not os.path.isfile(path):
        return None
    document = parse_json(ByteRange.of_file(path).read(), path, None, plain)
    return document if isinstance(document, Mapping) and "class_name" in document else None


def _configured(parts: Parts, document: Mapping[str, Any], graph: tuple[Node, ...], tensors: Mapping[str, Tensor]) -> Model:
    """A model of tf.keras 1.13 to 1.15: one configuration, and layers by their numbers in it."""
    version = document.get("keras_version")
    metadata = {key: str(document[key]) for key in ("keras_version", "backend") if key in document}
    architecture = {key: document[key] for key in ("class_name", "config") if key in document}
    spec, notes = _spec(architecture, version if isinstance(version, str) else None)
    described, trainable = described_by(graph, spec.root) if spec is not None else ({}, {})
    model = read_objects(graph, tensors, described, trainable)
    layers = in_configured_order(model.layers, spec.root) if spec is not None else model.layers
    return replace(
        model,
        name=spec.root.name if spec is not None else "",
        layers=layers,
        architecture=architecture,
        metadata={**metadata, "dialect": "tf.keras in TensorFlow 1"},
        notes=(*model.notes, *notes),
    )


def _spec(architecture: Mapping[str, Any] | None, version: str | None) -> tuple[ModelSpec | None, list[Note]]:
    if architecture is None:
        return None, []
    try:
        spec = model_spec(architecture, version)
    except ConfigError as error:
        return None, [Note("odd", f"the configuration cannot be followed: {error}")]
    return spec, [Note("odd", text) for text in spec.odd]


def _scope(parts: Parts) -> str | None:
    """The name of an exported model, from its operations."""
    if parts.meta is None or parts.meta.graph is None or parts.messages is None:
        return None
    try:
        return model_scope(iter_nodes(parts.messages, parts.meta.graph))
    except WireError as error:
        parts.notes.append(Note("unread", f"the graph is damaged: {error}"))
        return None


FORMAT = Format(
    name="saved-model",
    title="SavedModel",
    suffixes=(".pb", ".pbtxt"),
    containers=frozenset({Container.DIRECTORY, Container.OTHER}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG | Part.OPTIMIZER | Part.ASSETS,
    detect=detect,
    read=read,
    salvages=True,
)
