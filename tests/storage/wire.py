"""Protocol-buffer messages for tests, by hand: fields as the encoding guide draws them."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A number below 2**64."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def data(field: int, *values: bytes | str) -> bytes:
    """A bytes field: a string, or a message made of fields."""
    value = b"".join(item.encode() if isinstance(item, str) else item for item in values)
    return varint(field << 3 | 2) + varint(len(value)) + value


def shape(*sizes: int) -> bytes:
    """A TensorShapeProto."""
    return b"".join(data(2, number(1, size)) for size in sizes)


def const(name: str, tensor: bytes) -> bytes:
    """A node of a graph: a constant."""
    return data(1, data(1, name), data(2, "Const"), data(5, data(1, "value"), data(2, data(8, tensor))))


def node(name: str, op: str, *inputs: str) -> bytes:
    """A node of a graph."""
    return data(1, data(1, name), data(2, op), *(data(3, item) for item in inputs))


def floats(values: bytes, *sizes: int) -> bytes:
    """A TensorProto of float32 with its content."""
    return number(1, 1) + data(2, shape(*sizes)) + data(4, values)


def saved_object(*children: tuple[str, int], user: tuple[str, str] | None = None, variable: bool | None = None) -> bytes:
    """An object of a SavedModel's object graph."""
    parts = [data(1, number(1, target), data(2, name)) for name, target in children]
    if user is not None:
        parts.append(data(4, data(1, user[0]), data(3, user[1])))
    if variable is not None:
        parts.append(data(7, number(1, 1), number(3, int(variable))))
    return data(1, *parts)


def saved_model(*parts: bytes, objects: bytes = b"", graph: bytes = b"", tags: tuple[str, ...] = ("serve",)) -> bytes:
    """A SavedModel of one graph; `parts` are more fields of the MetaGraphDef."""
    info = data(1, *(data(4, tag) for tag in tags), data(5, "2.0.0"))
    return number(1, 1) + data(2, info, data(2, graph), *parts, data(7, objects) if objects else b"")
