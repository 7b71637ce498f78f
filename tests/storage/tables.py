"""Tables and bundles made by hand, byte by byte, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cramjam

from kmodel_tools.storage.checksum import crc32c, mask

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protobuf message of varint and bytes fields."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return out


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<I", value)


def block(entries: list[tuple[bytes, bytes]], share: bool = True) -> bytes:
    """The contents of a table block; keys share prefixes unless told otherwise."""
    out, previous = b"", b""
    for key, value in entries:
        shared = 0
        while share and shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return out + struct.pack("<II", 0, 1)


def stored(contents: bytes, snappy: bool = False) -> bytes:
    """A block as it lies in the file."""
    data = bytes(cramjam.snappy.compress_raw(contents)) if snappy else contents
    kind = bytes([int(snappy)])
    return data + kind + struct.pack("<I", mask(crc32c(data + kind)))


def table(*blocks: list[tuple[bytes, bytes]], snappy: bool = False) -> bytes:
    """A whole table of some data blocks."""
    out = b""
    index: list[tuple[bytes, bytes]] = []
    for entries in blocks:
        data = stored(block(entries), snappy)
        index.append((entries[-1][0], varint(len(out)) + varint(len(data) - 5)))
        out += data
    meta = stored(block([]))
    meta_handle = varint(len(out)) + varint(len(meta) - 5)
    out += meta
    top = stored(block(index, share=False))
    handles = meta_handle + varint(len(out)) + varint(len(top) - 5)
    return out + top + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def shape(*sizes: int) -> bytes:
    return message(*((2, message((1, size)) if size else b"") for size in sizes))


def entry(dtype: int, sizes: tuple[int, ...], data: bytes, offset: int = 0, shard: int = 0, crc: int | None = None) -> bytes:
    """A tensor's record in a bundle's index."""
    fields: list[tuple[int, int | bytes]] = [(1, dtype), (2, shape(*sizes))]
    fields += [(number, value) for number, value in ((3, shard), (4, offset), (5, len(data))) if value]
    return message(*fields) + fixed32(6, mask(crc32c(data)) if crc is None else crc)


HEADER = (b"", message((1, 1), (3, message((1, 1)))))


def bundle(prefix: str, entries: list[tuple[bytes, bytes]], data: bytes, header: bytes = HEADER[1]) -> str:
    """Write a bundle of one shard; the entries need not be sorted."""
    Path(f"{prefix}.index").write_bytes(table(sorted([(b"", header), *entries])))
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    return prefix


def strings(values: Sequence[bytes], order: Literal["little", "big"] = "little") -> tuple[bytes, int]:
    """The bytes of a string tensor, and its masked checksum."""
    lengths = b"".join(varint(len(value)) for value in values)
    crc = 0
    for value in values:
        crc = crc32c(len(value).to_bytes(4, order), crc)
    check = mask(crc).to_bytes(4, order)
    return lengths + check + b"".join(values), mask(crc32c(b"".join(values), crc32c(check, crc)))
