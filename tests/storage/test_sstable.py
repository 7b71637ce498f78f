from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.sstable import open_table
from kmodel_tools.tensor import ByteRange
from tests.storage import tables

ENTRIES = [(f"key{number:04d}".encode(), b"value" * number) for number in range(40)]


def file(tmp_path: Path, data: bytes) -> ByteRange:
    (tmp_path / "table").write_bytes(data)
    return ByteRange.of_file(tmp_path / "table")


@pytest.mark.parametrize("snappy", [False, True])
def test_entries_of_several_blocks_come_in_order(tmp_path: Path, snappy: bool) -> None:
    table = open_table(file(tmp_path, tables.table(ENTRIES[:10], ENTRIES[10:30], ENTRIES[30:], snappy=snappy)))
    assert [(key, bytes(value)) for key, value in table.items()] == ENTRIES
    assert bytes(table.get(b"key0017") or b"") == b"value" * 17
    assert table.get(b"key0017x") is None
    assert table.get(b"zzz") is None


def test_every_flipped_byte_of_a_block_is_noticed(tmp_path: Path) -> None:
    data = tables.table(ENTRIES[:3])
    metaindex = len(tables.stored(tables.block(ENTRIES[:3])))  # nobody reads this one
    for at in set(range(len(data) - 48)) - set(range(metaindex, metaindex + len(tables.stored(tables.block([]))))):
        broken = bytearray(data)
        broken[at] ^= 0x10
        with pytest.raises((CorruptFileError, UnsupportedFeatureError)):
            list(open_table(file(tmp_path, bytes(broken))).items())


@pytest.mark.parametrize("length", [0, 7, 47, 60])
def test_a_table_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(CorruptFileError):
        list(open_table(file(tmp_path, tables.table(ENTRIES)[:length])).items())


def test_keys_out_of_order_are_refused(tmp_path: Path) -> None:
    table = open_table(file(tmp_path, tables.table([ENTRIES[5], ENTRIES[2]])))
    with pytest.raises(CorruptFileError, match="out of order"):
        list(table.items())


def _with_block(contents: bytes, kind: int) -> bytes:
    data = contents + bytes([kind])
    body = data + struct.pack("<I", mask(crc32c(data)))
    index = tables.stored(tables.block([(b"z", tables.varint(0) + tables.varint(len(contents)))]))
    handles = tables.varint(0) + tables.varint(0) + tables.varint(len(body)) + tables.varint(len(index) - 5)
    return body + index + handles.ljust(40, b"\0") + struct.pack("<Q", tables.MAGIC)


@pytest.mark.parametrize(
    ("contents", "kind", "problem"),
    [
        (tables.block(ENTRIES[:1]), 2, "unknown method 2"),
        (tables.varint(1 << 40) + b"xx", 1, "says that it inflates to"),
        (b"\x05\xff\xff", 1, "compressed block is damaged"),
        (b"\x00", 0, "too short"),
        (struct.pack("<I", 9), 0, "restart list"),
        (b"\x05\x01\x01ab" + struct.pack("<II", 0, 1), 0, "runs out of the block"),
    ],
)
def test_attacks_on_blocks(tmp_path: Path, contents: bytes, kind: int, problem: str) -> None:
    table = open_table(file(tmp_path, _with_block(contents, kind)))
    with pytest.raises((CorruptFileError, UnsupportedFeatureError), match=problem):
        list(table.items())
