"""Graphs: nodes of the graph and of its functions, constants in every form that they are stored in."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.graph_def import MAX_REPEATED, constant_tensor, count_operations, is_graph_def, iter_nodes
from kmodel_tools.storage.messages import MessageFile
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.tensor import ByteRange, Tensor
from tests.storage import wire

FUNCTION = wire.data(
    1,
    wire.data(1, wire.data(1, "double")),
    wire.data(3, wire.node("two", "Const")[2:]),
    wire.data(3, wire.node("y", "Mul", "x", "two:output:0")[2:]),
)
GRAPH = (
    wire.node("x", "Placeholder") + wire.node("y", "MatMul", "x", "w:0", "^x") + wire.data(2, FUNCTION) + wire.data(4, wire.number(1, 1395))
)


def tensor_of(message: bytes) -> Tensor:
    file = MessageFile(message)
    return constant_tensor(file, file.whole, "g.pb", "c")


def test_nodes_of_the_graph_and_of_its_functions() -> None:
    file = MessageFile(GRAPH)
    found = [(node.key, node.op, node.inputs) for node in iter_nodes(file, file.whole)]
    assert found == [
        ("x", "Placeholder", ()),
        ("y", "MatMul", ("x", "w:0", "^x")),
        ("double::two", "Const", ()),
        ("double::y", "Mul", ("x", "two:output:0")),
    ]
    counts, functions = count_operations(file, file.whole)
    assert dict(counts) == {"Placeholder": 1, "MatMul": 1, "Const": 1, "Mul": 1}
    assert functions == 1


def test_content_is_a_range_of_the_file(tmp_path: Path) -> None:
    values = struct.pack("<6f", *range(6))
    path = tmp_path / "g.pb"
    path.write_bytes(wire.node("x", "Placeholder") + wire.const("w", wire.floats(values, 2, 3)))
    file = MessageFile(ByteRange.of_file(path))
    node = list(iter_nodes(file, file.whole))[1]
    assert node.value is not None
    tensor = constant_tensor(file, node.value, str(path), "w")
    assert tensor.byte_range is not None
    assert tensor.byte_range.offset == path.read_bytes().index(values)
    assert tensor.read().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_values_in_typed_fields() -> None:
    assert tensor_of(
        wire.number(1, 3) + wire.data(2, wire.shape(3)) + wire.data(7, wire.varint(5), wire.varint((1 << 64) - 2))
    ).read().tolist() == [5, -2, -2]
    assert tensor_of(wire.number(1, 1) + wire.data(2, wire.shape(2))).read().tolist() == [0, 0]
    assert tensor_of(wire.number(1, 19) + wire.data(2, b"") + wire.number(13, 0x3E00)).read().tolist() == 1.5
    assert tensor_of(wire.number(1, 7) + wire.data(2, wire.shape(2)) + wire.data(8, "a") + wire.data(8, "bc")).read().tolist() == [
        b"a",
        b"bc",
    ]
    assert tensor_of(wire.number(1, 10) + wire.data(2, wire.shape(2)) + wire.number(11, 1)).read().tolist() == [True, True]


def test_strings_in_the_content() -> None:
    listed = wire.number(1, 7) + wire.data(2, wire.shape(2)) + wire.data(4, b"\1\2abc")
    assert tensor_of(listed).read().tolist() == [b"a", b"bc"]
    with pytest.raises(CorruptFileError, match="lengths of strings"):
        tensor_of(wire.number(1, 7) + wire.data(2, wire.shape(2)) + wire.data(4, b"\1\2ab")).read()


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (wire.floats(b"\0" * 7, 2), "has 7 bytes where its shape"),
        (wire.floats(b"", (1 << 62)), "has 0 bytes where its shape"),
        (wire.number(1, 1) + wire.data(2, wire.shape(MAX_REPEATED)) + wire.data(5, b"\0\0\0\0"), "is given by"),
        (wire.number(1, 7) + wire.data(2, wire.shape(1 << 40)) + wire.data(8, "a"), "is given by"),
        (wire.number(1, 1) + wire.data(2, wire.shape((1 << 64) - 1)), "has the shape"),
        (wire.number(1, 1) + wire.data(2, wire.data(2, b"") * 300), "300 dimensions"),
        (wire.number(1, 1) + wire.number(2, 5), "bytes belong"),
    ],
)
def test_forged_constants_are_refused_before_anything_is_allocated(message: bytes, match: str) -> None:
    with pytest.raises(CorruptFileError, match=match):
        tensor_of(message)


def test_an_unknown_element_type_is_named() -> None:
    with pytest.raises(UnsupportedFeatureError, match="element type 99"):
        tensor_of(wire.number(1, 99))


def test_a_constant_with_too_many_values_is_refused_when_it_is_read() -> None:
    with pytest.raises(CorruptFileError, match="a constant is damaged: holds 8 bytes for 1 elements"):
        tensor_of(wire.number(1, 1) + wire.data(2, wire.shape(1)) + wire.data(5, bytes(8))).read()


def test_what_is_a_graph_is_told_by_its_start() -> None:
    assert is_graph_def(MessageFile(GRAPH))
    assert is_graph_def(MessageFile(wire.data(4, wire.number(1, 21)) + wire.node("a", "NoOp")))
    assert is_graph_def(MessageFile(wire.data(2, FUNCTION)))
    for other in (
        b"",
        b"\x08\x01\x12\x00",
        wire.data(1, wire.data(1, "a")),
        wire.data(1, wire.data(1, "a"), wire.data(2, "\x01")),
        wire.number(1, 5),
    ):
        assert not is_graph_def(MessageFile(other))


def test_damage_is_an_error_of_the_wire() -> None:
    file = MessageFile(GRAPH[:-1])
    with pytest.raises(WireError):
        list(iter_nodes(file, file.whole))
    with pytest.raises(WireError):
        count_operations(file, file.whole)
