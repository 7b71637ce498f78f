"""TensorProto: a tensor's values inside of a message, as V1 checkpoints and GraphDef constants hold them.

Fields (TensorFlow `core/framework/tensor.proto`)::

    1 dtype   2 shape   4 content (raw, little endian; of strings their lengths, then their bytes)
    5 float   6 double   7 int (all types up to 32 bits)   8 string   9 complex64   10 int64   11 bool
    12 complex128   13 half and bfloat16 (bit patterns)   16 uint32   17 uint64

Repeated numbers are packed or single. A message may give fewer values than elements: the last one then repeats, and
none at all means zeros.
"""

from __future__ import annotations

import math

from kmodel_tools.storage import protobuf
from kmodel_tools.storage.protobuf import WireError, read_varint
from kmodel_tools.tensor import DType, Shape, canonical_strings

CONTENT = 4
STRINGS = 8
_FIXED = {5: 4, 6: 8, 9: 4, 12: 8}
_VARINTS = frozenset({7, 10, 11, 13, 16, 17})


def canonical_bytes(message: memoryview, dtype: DType, shape: Shape, repeats: bool = True) -> bytes:
    """The canonical bytes of the values in a TensorProto.

    Args:
        message: The serialised TensorProto; its own dtype and shape are not looked at, since V1 files leave them out.
        dtype: The element type.
        shape: The shape.
        repeats: Whether the last value may stand for all that follow.

    Raises:
        WireError: The message is damaged, or holds more than the shape has room for, or fewer although nothing repeats.
    """
    count = math.prod(shape)
    strings: list[bytes] = []
    data = bytearray()
    for number, wire, value in protobuf.fields(message):
        if number == STRINGS:
            strings.append(bytes(protobuf.view(value)))
        elif number == CONTENT:
            data = bytearray(protobuf.view(value))
        elif number in _FIXED:
            data += protobuf.view(value) if wire == protobuf.BYTES else protobuf.unsigned(value).to_bytes(_FIXED[number], "little")
        elif number in _VARINTS:
            numbers = _packed(protobuf.view(value)) if wire == protobuf.BYTES else [protobuf.unsigned(value)]
            data += _integers(numbers, dtype)
    if dtype is DType.STRING:
        strings += _listed(memoryview(data), count) if data else []
        if len(strings) > count:
            raise WireError(f"holds {len(strings)} strings for {count} elements")
        if len(strings) < count and not repeats:
            raise WireError(f"holds {len(strings)} strings for {count} elements")
        return canonical_strings(strings + [strings[-1] if strings else b""] * (count - len(strings)))
    return _filled(data, dtype, count, repeats)


def _listed(content: memoryview, count: int) -> list[bytes]:
    """Strings in the content: all lengths as varints, then all bytes (TensorFlow `core/platform/tensor_coding.cc`)."""
    lengths = []
    at = 0
    for _ in range(min(count, len(content))):
        length, at = read_varint(content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise WireError("the lengths of strings do not fit their bytes")
    found = []
    for length in lengths:
        found.append(bytes(content[at : at + length]))
        at += length
    return found


def _packed(view: memoryview) -> list[int]:
    numbers = []
    at = 0
    while at < len(view):
        number, at = read_varint(view, at)
        numbers.append(number)
    return numbers


def _integers(numbers: list[int], dtype: DType) -> bytes:
    size = dtype.itemsize or 1
    mask = (1 << (8 * size)) - 1
    return b"".join((number & mask).to_bytes(size, "little") for number in numbers)


def _filled(data: bytearray, dtype: DType, count: int, repeats: bool) -> bytes:
    size = dtype.itemsize
    if size is None:
        raise WireError(f"holds elements of type {dtype.value}")
    if len(data) > count * size or len(data) % size or (len(data) < count * size and not repeats):
        raise WireError(f"holds {len(data)} bytes for {count} elements of {size} bytes")
    if not data:
        return bytes(count * size)
    return bytes(data + data[-size:] * (count - len(data) // size))
