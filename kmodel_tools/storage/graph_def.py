"""GraphDef: TensorFlow's graphs, as frozen `.pb` files and SavedModels hold them. Read, never run.

Fields (TensorFlow `core/framework/graph.proto`, `node_def.proto`, `function.proto`, `attr_value.proto`)::

    GraphDef      1 node …   2 library {1 function …}   3 version   4 versions
    NodeDef       1 name   2 op   3 input …   4 device   5 attr {1 key, 2 AttrValue} …
    FunctionDef   1 signature {1 name}   3 node …
    AttrValue     8 tensor (TensorProto; see `tensor_proto`)

A node of a function is called FUNCTION::NODE here, since each function has names of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.messages import MessageFile, Span, as_number, as_span
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.tensor_bundle import DTYPES, parse_shape
from kmodel_tools.storage.tensor_proto import CONTENT, canonical_bytes
from kmodel_tools.tensor import Buffer, DType, InMemory, Shape, Source, Tensor

NODE, LIBRARY = 1, 2
CONST = "Const"
MAX_REPEATED = 256 << 20
"""A constant may be one value for all of its elements; more bytes than this are not made of it."""
MAX_REPEATED_STRINGS = 1 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """An operation.

    Attributes:
        function: The function that it belongs to, or "" for the graph itself.
        name: Its name there.
        op: What it does: "MatMul", "Const".
        inputs: Names of what it takes, as the file has them: "x", "x:1", "^x", in a function "x:output:0".
        value: Where the value of a constant lies.
    """

    function: str
    name: str
    op: str
    inputs: tuple[str, ...]
    value: Span | None

    @property
    def key(self) -> str:
        """Its address in the file."""
        return f"{self.function}::{self.name}" if self.function else self.name


def iter_nodes(file: MessageFile, graph: Span) -> Iterator[Node]:
    """Yield the nodes of a graph, then those of each function.

    Raises:
        WireError: It is not a GraphDef.
    """
    for function, span in _node_spans(file, graph):
        yield read_node(file, span, function)


def read_node(file: MessageFile, span: Span, function: str = "") -> Node:
    """Read a NodeDef.

    Raises:
        WireError: It is none.
    """
    name = op = ""
    inputs: list[str] = []
    attributes: list[Span] = []
    for number, _, value in file.fields(span):
        if number == 1:
            name = file.text(value)
        elif number == 2:
            op = file.text(value)
        elif number == 3:
            inputs.append(file.text(value))
        elif number == 5:
            attributes.append(as_span(value))
    return Node(function, name, op, tuple(inputs), _value(file, attributes) if op == CONST else None)


def _value(file: MessageFile, attributes: list[Span]) -> Span | None:
    for entry in attributes:
        key, held = "", None
        for number, _, value in file.fields(entry):
            if number == 1:
                key = file.text(value)
            elif number == 2:
                held = as_span(value)
        if key == "value" and held is not None:
            return next((as_span(value) for number, _, value in file.fields(held) if number == 8), None)
    return None


def _node_spans(file: MessageFile, graph: Span) -> Iterator[tuple[str, Span]]:
    libraries = []
    for number, _, value in file.fields(graph):
        if number == NODE:
            yield "", as_span(value)
        elif number == LIBRARY:
            libraries.append(as_span(value))
    for library in libraries:
        for number, _, value in file.fields(library):
            if number == 1:
                yield from _function_nodes(file, as_span(value))


def _function_nodes(file: MessageFile, function: Span) -> Iterator[tuple[str, Span]]:
    name = "function"
    for number, _, value in file.fields(function):
        if number == 1:
            name = next((file.text(part) for inner, _, part in file.fields(as_span(value)) if inner == 1), name)
        elif number == 3:
            yield name, as_span(value)


def count_operations(file: MessageFile, graph: Span) -> tuple[Counter[str], int]:
    """How often each operation occurs in a graph and its functions, and the number of functions.

    Raises:
        WireError: It is not a GraphDef.
    """
    counts: Counter[str] = Counter()
    functions = 0
    nodes = []
    for number, _, value in file.fields(graph):
        if number == NODE:
            counts[_operation(file, as_span(value))] += 1
        elif number == LIBRARY:
            nodes += [as_span(part) for inner, _, part in file.fields(as_span(value)) if inner == 1]
    for function in nodes:
        functions += 1
        for number, _, value in file.fields(function):
            if number == 3:
                counts[_operation(file, as_span(value))] += 1
    return counts, functions


def _operation(file: MessageFile, node: Span) -> str:
    return next((file.text(value) for number, _, value in file.fields(node) if number == 2), "")


# Constants.


@dataclass(frozen=True, slots=True)
class StoredProto:
    """The values of a TensorProto that are numbers in typed fields, or strings; decoded when they are asked for."""

    message: Source
    dtype: DType
    shape: Shape
    path: str
    name: str

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes.

        Raises:
            CorruptFileError: The message does not hold what its shape needs.
        """
        message = b"".join(bytes(block) for block in self.message.blocks(limit))
        try:
            yield from InMemory(canonical_bytes(memoryview(message), self.dtype, self.shape)).blocks(limit)
        except WireError as error:
            raise CorruptFileError(f"a constant is damaged: {error}", path=self.path, where=self.name) from error


def constant_tensor(file: MessageFile, value: Span, path: str, name: str) -> Tensor:
    """Describe the constant whose TensorProto lies at a span; its content is a range of the file where it lies there as it is.

    Raises:
        CorruptFileError: It is damaged, or its content does not fit its shape.
        UnsupportedFeatureError: Its elements are of an unknown type.
    """
    kind = 0
    shape: Shape = ()
    content: Span | None = None
    try:
        for number, _, part in file.fields(value):
            if number == 1:
                kind = as_number(part)
            elif number == 2:
                shape = parse_shape(file.view(part))
            elif number == CONTENT:
                content = as_span(part)
    except WireError as error:
        raise CorruptFileError(f"a constant is damaged: {error}", path=path, where=name) from error
    dtype = DTYPES.get(kind)
    if dtype is None:
        raise UnsupportedFeatureError(f"a constant has TensorFlow's element type {kind}, which is not known here", path=path, where=name)
    if any(size < 0 for size in shape):
        raise CorruptFileError(f"a constant has the shape {shape}", path=path, where=name)
    needed = math.prod(shape) * (dtype.itemsize or 1)
    if content is not None and dtype.itemsize is not None:
        if len(content) != needed:
            raise CorruptFileError(f"a constant has {len(content)} bytes where its shape {shape} needs {needed}", path=path, where=name)
        return Tensor(dtype, shape, file.source(content))
    most = MAX_REPEATED if dtype.itemsize else MAX_REPEATED_STRINGS
    if needed > max(most, len(value)):
        raise CorruptFileError(f"a constant of the shape {shape} is given by {len(value)} bytes", path=path, where=name)
    return Tensor(dtype, shape, StoredProto(file.source(value), dtype, shape, path, name))


def is_graph_def(file: MessageFile) -> bool:
    """Whether a file starts as a GraphDef does: with a node that has a name and an operation, a library, or its versions."""
    try:
        for number, wire, value in file.fields(file.whole):
            if number == NODE and wire == protobuf.BYTES:
                return _is_node(file, as_span(value))
            if number == LIBRARY and wire == protobuf.BYTES:
                return any(_is_node(file, span) for _, span in _node_spans(file, file.whole))
            if not (number == 4 and wire == protobuf.BYTES) and not (number == 3 and wire == protobuf.VARINT):
                return False
    except WireError:
        return False
    return False


def _is_node(file: MessageFile, span: Span) -> bool:
    """Whether a span starts as a NodeDef: a name of printable characters, then an operation, which is an identifier."""
    found: list[str] = []
    for number, wire, value in file.fields(span):
        if number != len(found) + 1 or wire != protobuf.BYTES or len(as_span(value)) > 4096:
            return False
        found.append(file.text(value))
        if len(found) == 2:
            return found[0].isprintable() and found[0] != "" and found[1].replace(">", "").replace("_", "").isalnum()
    return False
