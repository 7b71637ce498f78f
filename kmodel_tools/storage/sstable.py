"""LevelDB-style tables, as TensorFlow writes them: checkpoint indexes (V2) and whole checkpoints (V1).

Layout (LevelDB `doc/table_format.md`; TensorFlow `core/lib/io/table*.cc`)::

    data block …  metaindex block  index block  footer (48 bytes)

    footer   metaindex handle, index handle (each varint offset, varint size), zeros up to 40 bytes, magic (8 bytes)
    block    contents (handle's size), type byte (0 raw, 1 snappy), masked CRC-32C of contents and type (4 bytes)
    contents entries, then uint32 restart offset × n, then uint32 n
    entry    varint shared, varint unshared, varint value length, the key's unshared tail, value

A key repeats the first `shared` bytes of the one before it. The index block maps a key not below the last of each data
block to that block's handle.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.protobuf import WireError, read_varint, varint
from kmodel_tools.tensor import ByteRange

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
TRAILER = struct.Struct("<BI")
WORD = struct.Struct("<I")
RAW, SNAPPY = 0, 1
SNAPPY_RATIO = 64
"""A snappy copy of at most 64 bytes takes at least 2 bytes, so nothing honest grows by more."""
BLOCK_SIZE = 1 << 18
RESTART = 16
"""What TensorFlow writes: blocks of about 256 KiB, a key that shares nothing at every sixteenth entry (`table_options.h`)."""

KEY_RATIO = 64
"""Keys of a block may together be longer than the block by this much: TensorFlow writes a whole one after 15 shortened ones."""
KEY_FLOOR = 1 << 16

Handle = tuple[int, int]
"""Offset and size in bytes of a block's contents."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, opened: where it lies, and `(last key, handle)` of its data blocks."""

    file: ByteRange
    index: tuple[tuple[bytes, Handle], ...]

    def items(self) -> Iterator[tuple[bytes, memoryview]]:
        """Yield `(key, value)` in key order, reading one block at a time.

        Raises:
            CorruptFileError: A block fails its checksum or its layout, or keys are out of order.
        """
        previous: bytes | None = None
        for _, handle in self.index:
            for key, value in _entries(_block(self.file, handle), self.file.path, handle[0]):
                if previous is not None and key <= previous:
                    raise CorruptFileError("keys are out of order", path=self.file.path, where=repr(key))
                previous = key
                yield key, value

    def get(self, key: bytes) -> memoryview | None:
        """The value of a key, or None; reads the one block that can hold it."""
        for last, handle in self.index:
            if key <= last:
                found = dict(_entries(_block(self.file, handle), self.file.path, handle[0]))
                return found.get(key)
        return None


def open_table(file: ByteRange) -> Table:
    """Read a table's footer and index block.

    Raises:
        CorruptFileError: The file is no table, is cut short, or fails a checksum.
    """
    if file.length < FOOTER:
        raise CorruptFileError("is too short for a TensorFlow table", path=file.path)
    footer = file.slice(file.length - FOOTER, FOOTER).read()
    if footer[-len(MAGIC) :] != MAGIC:
        raise CorruptFileError("does not end as a TensorFlow table does", path=file.path, cure="it is cut short or another kind of file")
    try:
        _, at = _handle(footer, 0)
        index, _ = _handle(footer, at)
        handles = tuple((key, _handle(value, 0)[0]) for key, value in _entries(_block(file, index), file.path, index[0]))
    except WireError as error:
        raise CorruptFileError(f"its table index is damaged: {error}", path=file.path) from error
    end = 0
    for _, (offset, size) in handles:  # in the order of the file, so that reading all of them reads it once
        if offset < end:
            raise CorruptFileError("blocks of its table overlap", path=file.path, where=f"table block at byte {offset}")
        end = offset + size + TRAILER.size
    return Table(file, handles)


def _handle(data: memoryview | bytes, at: int) -> tuple[Handle, int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (offset, size), at


def _block(file: ByteRange, handle: Handle) -> memoryview:
    offset, size = handle
    where = f"table block at byte {offset}"
    data = file.slice(offset, size + TRAILER.size, where=where).read()
    kind, checksum = TRAILER.unpack_from(data, size)
    if mask(crc32c(data[: size + 1])) != checksum:
        raise CorruptFileError("a checksum is wrong", path=file.path, where=where, cure="the file is damaged: fetch it again")
    if kind == RAW:
        return memoryview(data)[:size]
    if kind != SNAPPY:
        raise UnsupportedFeatureError(f"a block is compressed by the unknown method {kind}", path=file.path, where=where)
    return _inflated(data[:size], file.path, where)


def _inflated(data: bytes, path: str, where: str) -> memoryview:
    import cramjam

    try:
        length, _ = read_varint(data, 0)
        if length > SNAPPY_RATIO * len(data):
            raise WireError(f"it says that it inflates to {length} bytes")
        return memoryview(bytes(cramjam.snappy.decompress_raw(data)))
    except (WireError, cramjam.DecompressionError) as error:
        raise CorruptFileError(f"a compressed block is damaged: {error}", path=path, where=where) from error


def _entries(block: memoryview, path: str, offset: int) -> Iterator[tuple[bytes, memoryview]]:
    where = f"table block at byte {offset}"
    if len(block) < WORD.size:
        raise CorruptFileError("a block is too short", path=path, where=where)
    (restarts,) = WORD.unpack_from(block, len(block) - WORD.size)
    end = len(block) - WORD.size * (restarts + 1)
    if end < 0:
        raise CorruptFileError("a block's restart list is longer than the block", path=path, where=where)
    key = b""
    at = expanded = 0
    try:
        while at < end:
            shared, at = read_varint(block, at)
            unshared, at = read_varint(block, at)
            length, at = read_varint(block, at)
            if shared > len(key) or at + unshared + length > end:
                raise WireError("an entry runs out of the block")
            key = key[:shared] + bytes(block[at : at + unshared])
            at += unshared
            expanded += len(key)
            if expanded > KEY_FLOOR + KEY_RATIO * len(block):
                raise WireError("its keys repeat too much of each other")
            yield key, block[at : at + length]
            at += length
    except WireError as error:
        raise CorruptFileError(f"a block is damaged: {error}", path=path, where=where) from error


def write_table(items: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Lay out a table as TensorFlow does, uncompressed: a checkpoint's index is all in memory anyway.

    Args:
        items: `(key, value)`, sorted by key; TensorFlow looks keys up by halving and would not find them otherwise.
    """
    out = bytearray()
    index: list[tuple[bytes, bytes]] = []
    pending: list[tuple[bytes, bytes]] = []
    size = 0
    for number, (key, value) in enumerate(items):
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= BLOCK_SIZE or number == len(items) - 1:
            index.append((key, _append(out, _contents(pending, RESTART))))
            pending, size = [], 0
    handles = _append(out, _contents([], RESTART)) + _append(out, _contents(index, 1))
    return bytes(out + handles.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC)


def _append(out: bytearray, contents: bytes) -> bytes:
    """Add a block to a table; return its handle."""
    handle = varint(len(out)) + varint(len(contents))
    stored = contents + bytes([RAW])
    out += stored + WORD.pack(mask(crc32c(stored)))
    return handle


def _contents(items: Sequence[tuple[bytes, bytes]], restart: int) -> bytes:
    out = bytearray()
    restarts = [0]
    previous = b""
    for number, (key, value) in enumerate(items):
        shared = 0
        if number % restart:
            while shared < min(len(previous), len(key)) and previous[shared] == key[shared]:
                shared += 1
        elif number:
            restarts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return bytes(out) + b"".join(map(WORD.pack, restarts)) + WORD.pack(len(restarts))
