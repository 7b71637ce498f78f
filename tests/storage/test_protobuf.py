from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.storage import protobuf
from kmodel_tools.storage.protobuf import WireError


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_any_length(value: int) -> None:
    assert protobuf.read_varint(varint(value) + b"x", 0) == (value, len(varint(value)))


def test_the_four_kinds_of_field() -> None:
    data = b"\x08\x96\x01" + b"\x12\x07testing" + b"\x1d\x01\x00\x00\x00" + b"\x21\x02\x00\x00\x00\x00\x00\x00\x00"
    found = [(number, wire, bytes(value) if isinstance(value, memoryview) else value) for number, wire, value in protobuf.fields(data)]
    assert found == [(1, 0, 150), (2, 2, b"testing"), (3, 5, 1), (4, 1, 2)]


def test_negative_numbers_take_ten_bytes() -> None:
    ((_, _, value),) = protobuf.fields(b"\x08" + b"\xff" * 9 + b"\x01")
    assert protobuf.signed(value) == -1


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x12\x05ab", b"\x08" + b"\xff" * 11, b"\x1d\x01", b"\x21\x01", b"\x0b", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"]
)
def test_broken_messages(data: bytes) -> None:
    with pytest.raises(WireError):
        list(protobuf.fields(data))


def test_a_field_of_the_wrong_kind() -> None:
    with pytest.raises(WireError, match="bytes where a number belongs"):
        protobuf.unsigned(memoryview(b""))
    with pytest.raises(WireError, match="number where bytes belong"):
        protobuf.text(1)


@given(st.binary(max_size=64))
def test_anything_is_a_message_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        list(protobuf.fields(data))
