"""Protocol-buffer messages on the wire: just enough to read and write TensorFlow's few small ones by hand.

A message is a run of fields, each a varint ``number << 3 | wire type`` and a value (protobuf encoding guide)::

    wire 0  varint            wire 2  varint length, bytes
    wire 1  8 bytes, LE       wire 5  4 bytes, LE
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10

Value = int | memoryview


class WireError(ValueError):
    """Bytes that are not a protobuf message; turned into a CorruptFileError by whoever knows the file."""


def read_varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """Decode the unsigned varint at `at`; return it and the offset behind it.

    Raises:
        WireError: It runs past the end of the data or over ten bytes.
    """
    result = 0
    for index in range(MAX_VARINT_BYTES):
        if at + index >= len(data):
            raise WireError("a number runs past the end")
        byte = data[at + index]
        result |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return result, at + index + 1
    raise WireError("a number is longer than ten bytes")


def _number(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """As `read_varint`; most numbers take one byte."""
    if at < end and view[at] < 0x80:
        return view[at], at + 1
    return read_varint(view, at)


def fields(data: memoryview | bytes) -> Iterator[tuple[int, int, Value]]:
    """Yield `(field number, wire type, value)`; integers for varints and fixed words, views for bytes.

    Raises:
        WireError: The data is not a message.
    """
    view = memoryview(data)
    end = len(view)
    at = 0
    while at < end:
        tag, at = _number(view, at, end)
        wire = tag & 7
        value: Value
        if wire == VARINT:
            value, at = _number(view, at, end)
        elif wire == BYTES:
            length, at = _number(view, at, end)
            if at + length > end:
                raise WireError("a field runs past the end")
            value = view[at : at + length]
            at += length
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            if at + size > end:
                raise WireError("a field runs past the end")
            value = int.from_bytes(view[at : at + size], "little")
            at += size
        else:
            raise WireError(f"a field has the unknown wire type {wire}")
        yield tag >> 3, wire, value


def signed(value: Value) -> int:
    """A varint or fixed64 as the signed 64-bit number that protobuf's int32 and int64 mean.

    Raises:
        WireError: The field holds bytes.
    """
    number = unsigned(value)
    return number - (1 << 64) if number >= 1 << 63 else number


def unsigned(value: Value) -> int:
    """A number field's value.

    Raises:
        WireError: The field holds bytes.
    """
    if not isinstance(value, int):
        raise WireError("a field holds bytes where a number belongs")
    return value


def view(value: Value) -> memoryview:
    """A bytes field's value.

    Raises:
        WireError: The field holds a number.
    """
    if isinstance(value, int):
        raise WireError("a field holds a number where bytes belong")
    return value


def text(value: Value) -> str:
    """A string field's value; bytes that are not UTF-8 are kept as surrogates.

    Raises:
        WireError: The field holds a number.
    """
    return bytes(view(value)).decode("utf-8", "surrogateescape")


def varint(value: int) -> bytes:
    """Encode a number; a negative one as protobuf's int32 and int64 have it, in ten bytes."""
    rest = value & ((1 << 64) - 1)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """Encode a varint field; proto3 leaves a zero out."""
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Encode a field of bytes, a message or a string; an empty one is there all the same."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    """Encode a field of four bytes; proto3 leaves a zero out."""
    return varint(number << 3 | FIXED32) + value.to_bytes(4, "little") if value else b""


def text_field(number: int, value: str) -> bytes:
    """Encode a string field; proto3 leaves an empty one out."""
    return bytes_field(number, value.encode("utf-8", "surrogateescape")) if value else b""
