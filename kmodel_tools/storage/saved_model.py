"""SavedModel: the messages of `saved_model.pb` and `keras_metadata.pb`, without the graph's nodes (see `graph_def`).

Fields (TensorFlow `core/protobuf/saved_model.proto`, `meta_graph.proto`, `saved_object_graph.proto`; tf.keras
`protobuf/saved_metadata.proto`, `versions.proto`)::

    SavedModel         1 schema version (1)   2 meta graph …
    MetaGraphDef       1 info {4 tag …, 5 TensorFlow's version}   2 graph (GraphDef)   4 collection {1 key, 2 value} …
                       5 signature {1 key, 2 SignatureDef} …   6 asset {2 file name} …   7 object graph
    SignatureDef       1 input {1 key, 2 TensorInfo} …   2 output …   3 method name
    TensorInfo         1 name   2 dtype   3 shape {2 dim {1 size} …, 3 unknown rank}
    CollectionDef      1 node list {1 value …}   2 bytes list {1 value …}   5 any list
    VariableDef        1 variable name ("dense/kernel:0")   4 slice {1 name of the whole}      in TensorFlow 1's collections
    SavedObjectGraph   1 object …                              absent from TensorFlow 1's
    SavedObject        1 child {1 node id, 2 local name} …   4 user object   7 variable   5 6 8 9 10 12 others
    user object        1 identifier ("_tf_keras_layer")   3 metadata (JSON, before Keras 2.5)
    variable           1 dtype   2 shape   3 trainable   6 name
    SavedMetadata      1 node {2 node id, 3 path ("root.layer-0"), 4 identifier, 5 metadata (JSON)} …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kmodel_tools.storage import protobuf
from kmodel_tools.storage.messages import MessageFile, Span, as_number, as_span
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.tensor_bundle import DTYPES, parse_shape
from kmodel_tools.tensor import DType, Shape

HEAD = b"\x08\x01\x12"
"""How a SavedModel starts: schema version 1, then a meta graph."""
SERVE = "serve"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: TensorFlow's name of its type, and its shape, with -1 for any size, or None for any rank."""

    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class SignatureDef:
    """A function that a model offers: what it is called by, what it is for, its inputs and outputs by name."""

    name: str
    method: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class SavedObject:
    """An object of the object graph.

    Attributes:
        children: `(local name, object number)`.
        identifier: What kind of user object it is, or "".
        metadata: Keras's JSON about it, where it lies here.
        variable: Where it is a variable: whether it was made to be trained; else None.
        dtype: Elements of the variable; None where they are not known.
        shape: Shape of the variable, with -1 for any size, or None for any rank.
        full_name: Name of the variable ("dense/kernel"), or "".
    """

    children: tuple[tuple[str, int], ...]
    identifier: str = ""
    metadata: str = ""
    variable: bool | None = None
    dtype: DType | None = None
    shape: Shape | None = None
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class MetadataNode:
    """Keras's JSON about an object: its number in the object graph, its path ("root.layer-0"), its kind, the JSON."""

    number: int
    path: str
    identifier: str
    metadata: str


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of a SavedModel, its nodes unread.

    Attributes:
        tags: What it is for ("serve").
        tensorflow_version: Who wrote it, or "".
        graph: Where its GraphDef lies, or None.
        signatures: In the order of the file, which is no order.
        collections: Values of TensorFlow 1's collections that are strings or messages.
        assets: Names of files in `assets/`.
        objects: Its objects, or () in one of TensorFlow 1.
    """

    tags: tuple[str, ...]
    tensorflow_version: str
    graph: Span | None
    signatures: tuple[SignatureDef, ...]
    collections: Mapping[str, tuple[bytes, ...]]
    assets: tuple[str, ...]
    objects: tuple[SavedObject, ...]

    def variables(self, collection: str) -> tuple[str, ...]:
        """The names of the variables in a collection of TensorFlow 1, without ":0", in its order; what is damaged is left out."""
        return tuple(dict.fromkeys(name for value in self.collections.get(collection, ()) for name in _variable_name(value)))


def _variable_name(data: bytes) -> list[str]:
    """The name in a VariableDef, of a partition that of the whole variable; nothing where it is damaged."""
    name = whole = ""
    try:
        for number, _, value in protobuf.fields(data):
            if number == 1:
                name = protobuf.text(value).removesuffix(":0")
            elif number == 4:
                whole = next((protobuf.text(part) for inner, _, part in protobuf.fields(protobuf.view(value)) if inner == 1), "")
    except WireError:
        return []
    return [whole or name]


def read_meta_graphs(file: MessageFile) -> list[MetaGraph]:
    """Read a `saved_model.pb`: its graphs, without their nodes.

    Raises:
        WireError: It is no SavedModel, or damaged.
    """
    found = []
    for number, _, value in file.fields(file.whole):
        if number == 2:
            found.append(_meta_graph(file, as_span(value)))
        elif number != 1:
            raise WireError(f"has a field {number}, which a SavedModel does not have")
    return found


def _meta_graph(file: MessageFile, span: Span) -> MetaGraph:
    tags: list[str] = []
    version = ""
    graph: Span | None = None
    signatures: list[SignatureDef] = []
    collections: dict[str, tuple[bytes, ...]] = {}
    assets: list[str] = []
    objects: tuple[SavedObject, ...] = ()
    for number, _, value in file.fields(span):
        if number == 1:
            for inner, _, part in protobuf.fields(file.view(value)):
                if inner == 4:
                    tags.append(protobuf.text(part))
                elif inner == 5:
                    version = protobuf.text(part)
        elif number == 2:
            graph = as_span(value)
        elif number == 4:
            name, entry = _entry(file.view(value))
            collections[name] = tuple(_collection(entry))
        elif number == 5:
            name, entry = _entry(file.view(value))
            signatures.append(_signature(name, entry))
        elif number == 6:
            assets += [protobuf.text(part) for inner, _, part in protobuf.fields(file.view(value)) if inner == 2]
        elif number == 7:
            objects = _objects(file, as_span(value))
    return MetaGraph(tuple(tags), version, graph, tuple(signatures), collections, tuple(dict.fromkeys(assets)), objects)


def _entry(data: memoryview) -> tuple[str, memoryview]:
    """Key and value of an entry of a map."""
    key, held = "", memoryview(b"")
    for number, _, value in protobuf.fields(data):
        if number == 1:
            key = protobuf.text(value)
        elif number == 2:
            held = protobuf.view(value)
    return key, held


def _collection(data: memoryview) -> Iterator[bytes]:
    for number, _, value in protobuf.fields(data):
        if number in (1, 2):
            for inner, _, part in protobuf.fields(protobuf.view(value)):
                if inner == 1:
                    yield bytes(protobuf.view(part))


def _signature(name: str, data: memoryview) -> SignatureDef:
    inputs: dict[str, TensorInfo] = {}
    outputs: dict[str, TensorInfo] = {}
    method = ""
    for number, _, value in protobuf.fields(data):
        if number in (1, 2):
            key, entry = _entry(protobuf.view(value))
            (inputs if number == 1 else outputs)[key] = _tensor_info(entry)
        elif number == 3:
            method = protobuf.text(value)
    return SignatureDef(name, method, inputs, outputs)


def _tensor_info(data: memoryview) -> TensorInfo:
    kind = 0
    shape: Shape | None = None
    for number, _, value in protobuf.fields(data):
        if number == 2:
            kind = protobuf.unsigned(value)
        elif number == 3:
            shape = _partial_shape(protobuf.view(value))
    dtype = DTYPES.get(kind)
    return TensorInfo(dtype.value if dtype is not None else {20: "resource", 0: "unknown"}.get(kind, f"type {kind}"), shape)


def _objects(file: MessageFile, span: Span) -> tuple[SavedObject, ...]:
    objects = tuple(_object(file, as_span(value)) for number, _, value in file.fields(span) if number == 1)
    for item in objects:
        if any(not 0 <= child < len(objects) for _, child in item.children):
            raise WireError("the object graph names an object that it does not have")
    return objects


def _object(file: MessageFile, span: Span) -> SavedObject:
    children: list[tuple[str, int]] = []
    identifier = metadata = ""
    made: tuple[bool | None, DType | None, Shape | None, str] = (None, None, None, "")
    for number, _, value in file.fields(span):
        if number == 1:
            target, name = 0, ""
            for inner, _, part in protobuf.fields(file.view(value)):
                if inner == 1:
                    target = protobuf.signed(part)
                elif inner == 2:
                    name = protobuf.text(part)
            children.append((name, target))
        elif number == 4:
            for inner, _, part in protobuf.fields(file.view(value)):
                if inner == 1:
                    identifier = protobuf.text(part)
                elif inner == 3:
                    metadata = protobuf.text(part)
        elif number == 7:
            made = _variable(file.view(value))
    return SavedObject(tuple(children), identifier, metadata, *made)


def _variable(data: memoryview) -> tuple[bool, DType | None, Shape | None, str]:
    """Whether a variable was made to be trained, its elements, its shape and its name."""
    trainable, dtype, name = False, None, ""
    shape: Shape | None = None
    for number, _, value in protobuf.fields(data):
        if number == 1:
            dtype = DTYPES.get(protobuf.unsigned(value))
        elif number == 2:
            shape = _partial_shape(protobuf.view(value))
        elif number == 3:
            trainable = value == 1
        elif number == 6:
            name = protobuf.text(value)
    return trainable, dtype, shape, name


def _partial_shape(data: memoryview) -> Shape | None:
    """A shape, or None for any rank."""
    any_rank = any(number == 3 and value for number, _, value in protobuf.fields(data))
    return None if any_rank else parse_shape(data)


def read_metadata(file: MessageFile) -> list[MetadataNode]:
    """Read a `keras_metadata.pb`.

    Raises:
        WireError: It is damaged.
    """
    found = []
    for number, _, value in file.fields(file.whole):
        if number != 1:
            raise WireError(f"has a field {number}, which Keras's metadata does not have")
        node, texts = 0, {3: "", 4: "", 5: ""}
        for inner, _, part in file.fields(as_span(value)):
            if inner == 2:
                node = as_number(part)
            elif inner in texts:
                texts[inner] = file.text(part)
        found.append(MetadataNode(node, texts[3], texts[4], texts[5]))
    return found
