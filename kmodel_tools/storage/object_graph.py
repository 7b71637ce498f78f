"""The object graph of a TF2 checkpoint: which Python object held which variable, under which attribute.

The string tensor ``_CHECKPOINTABLE_OBJECT_GRAPH`` holds a TrackableObjectGraph
(TensorFlow `core/protobuf/trackable_object_graph.proto`)::

    graph   1 node …                                          node 0 is the root
    node    1 child {1 node id, 2 local name}
            2 attribute {1 name, 2 full name, 3 checkpoint key}
            3 slot {1 original variable's node id, 2 slot name, 3 slot variable's node id}
            4 registered saver {1 name, 2 object name}
            5 whether it or anything below it has values {1 bool}

A variable's checkpoint key is made of the local names that lead to it, the shortest way from the root, and its
attribute: ``model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE`` (TensorFlow
`python/checkpoint/checkpoint_view.py` and `graph_view.py`); a slot's stands below that of its variable:
``…/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE``. In local names, a dot is doubled and a slash is ``.S``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kmodel_tools.errors import CorruptFileError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.tensor import Tensor

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True, slots=True)
class SlotVariable:
    """An optimizer's slot: node of the variable it belongs to, name, node of the slot's own variable."""

    original: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Node:
    """One tracked object.

    Attributes:
        children: `(local name, node number)` in the order of the file.
        key: Checkpoint key of its value, where it is a variable.
        full_name: The variable's name without ":0" ("dense/kernel"), where it is one.
        slots: Slot variables, where it is a legacy optimizer.
        registered: Name of its registered saver, or "".
    """

    children: tuple[tuple[str, int], ...]
    key: str | None
    full_name: str
    slots: tuple[SlotVariable, ...]
    registered: str


def parse_graph(data: bytes, path: str) -> tuple[Node, ...]:
    """Parse the serialised graph of the checkpoint at `path`.

    Raises:
        CorruptFileError: It is not an object graph, or an edge leads to a node that is not there.
    """
    try:
        nodes = tuple(_node(protobuf.view(value)) for number, _, value in protobuf.fields(data) if number == 1)
    except WireError as error:
        raise CorruptFileError(f"the object graph is damaged: {error}", path=path, where=KEY) from error
    count = len(nodes)
    for node in nodes:
        targets = [child for _, child in node.children] + [end for slot in node.slots for end in (slot.original, slot.node)]
        if any(not 0 <= target < count for target in targets):
            raise CorruptFileError("the object graph names a node that it does not have", path=path, where=KEY)
    if not nodes:
        raise CorruptFileError("the object graph is empty", path=path, where=KEY)
    return nodes


def _node(data: memoryview) -> Node:
    children: list[tuple[str, int]] = []
    slots: list[SlotVariable] = []
    key: str | None = None
    full_name = registered = ""
    for number, _, value in protobuf.fields(data):
        if number == 1:
            target, name, _ = _record(protobuf.view(value), (1, 2))
            children.append((name, target))
        elif number == 2:
            attribute, variable, checkpoint_key = _attribute(protobuf.view(value))
            if attribute == VALUE:
                key, full_name = checkpoint_key, variable
        elif number == 3:
            original, name, slot = _record(protobuf.view(value), (1, 3))
            slots.append(SlotVariable(original, name, slot))
        elif number == 4:
            registered, _, _ = _attribute(protobuf.view(value))
    return Node(tuple(children), key, full_name, tuple(slots), registered)


def _record(data: memoryview, numbers: tuple[int, int]) -> tuple[int, str, int]:
    """A message of up to two node numbers and, in field 2, a name."""
    ids = {1: 0, 3: 0}
    name = ""
    for number, _, value in protobuf.fields(data):
        if number == 2:
            name = protobuf.text(value)
        elif number in numbers:
            ids[number] = protobuf.signed(value)
    return ids[1], name, ids[3]


def _attribute(data: memoryview) -> tuple[str, str, str]:
    """The first three fields of a message, all strings."""
    texts = {1: "", 2: "", 3: ""}
    for number, _, value in protobuf.fields(data):
        if number in texts:
            texts[number] = protobuf.text(value)
    return texts[1], texts[2], texts[3]


@dataclass(slots=True, eq=False)
class NewNode:
    """An object of a graph that is being made.

    Attributes:
        tensor: Its value, where it is a variable.
        full_name: The variable's name, where it is one.
        children: The objects that it holds, by local name; one object may have several names, and cycles are fine.
        slots: `(variable, slot's name, slot's own variable)`, where it is a legacy optimizer.
    """

    tensor: Tensor | None = None
    full_name: str = ""
    children: dict[str, NewNode] = field(default_factory=dict)
    slots: list[tuple[NewNode, str, NewNode]] = field(default_factory=list)


def lay_out(root: NewNode) -> tuple[bytes, list[tuple[str, Tensor]]]:
    """Number the objects of a graph breadth first, as TensorFlow does, and name its variables.

    Returns:
        The serialised graph, and `(checkpoint key, tensor)` for every variable.
    """
    paths: dict[int, str] = {id(root): ""}
    order = [root]
    for node in order:
        for name, child in node.children.items():
            if id(child) not in paths:
                paths[id(child)] = _joined(paths[id(node)], _escaped(name))
                order.append(child)
    for node in tuple(order):
        for variable, name, slot in node.slots:
            paths[id(slot)] = f"{paths[id(variable)]}/.OPTIMIZER_SLOT/{_joined(paths[id(node)], _escaped(name))}"
            order.append(slot)
    keys = {number: f"{path}/.ATTRIBUTES/{VALUE}" for number, path in paths.items()}
    numbers = {id(node): number for number, node in enumerate(order)}
    graph = b"".join(protobuf.bytes_field(1, _serialised(node, numbers, keys)) for node in order)
    return graph, [(keys[id(node)], node.tensor) for node in order if node.tensor is not None]


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S")


def _serialised(node: NewNode, numbers: dict[int, int], keys: dict[int, str]) -> bytes:
    parts = [
        protobuf.bytes_field(1, protobuf.number_field(1, numbers[id(child)]) + protobuf.text_field(2, name))
        for name, child in node.children.items()
    ]
    if node.tensor is not None:
        names = (VALUE, node.full_name, keys[id(node)])
        parts.append(protobuf.bytes_field(2, b"".join(protobuf.text_field(number, name) for number, name in enumerate(names, 1))))
    for variable, name, slot in node.slots:
        record = protobuf.number_field(1, numbers[id(variable)]) + protobuf.text_field(2, name)
        parts.append(protobuf.bytes_field(3, record + protobuf.number_field(3, numbers[id(slot)])))
    return b"".join(parts)
