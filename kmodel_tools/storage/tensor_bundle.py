"""TensorBundle: TensorFlow's checkpoint V2, an index table beside shards of raw tensor bytes.

``PREFIX.index`` is a table (`sstable`). Its key "" holds the header, every other key a tensor's entry
(TensorFlow `core/protobuf/tensor_bundle.proto`)::

    header  1 num_shards   2 endianness (0 little)   3 version
    entry   1 dtype   2 shape {2 dim {1 size}}   3 shard   4 offset   5 size   6 masked CRC-32C (fixed32)   7 slices

``PREFIX.data-SSSSS-of-NNNNN`` holds the bytes: C order, little endian, no padding. A string tensor is laid out as::

    varint length × elements, masked CRC-32C of the lengths as uint32 (4 bytes), the strings

A partitioned variable has an entry that lists `slices` and has no bytes; each slice has an entry of its own under an
ordered-code key that starts with a zero byte (`core/util/saved_tensor_slice_util.cc`).
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.protobuf import WireError, read_varint
from kmodel_tools.storage.sliced import Piece, Sliced, check_tiling
from kmodel_tools.storage.sstable import open_table
from kmodel_tools.tensor import LENGTH, Buffer, ByteRange, DType, Shape, Source, Tensor

# TensorFlow's `core/framework/types.proto`; quantised integers are shown as the integers that they are stored as.
DTYPES = {
    1: DType.FLOAT32,
    2: DType.FLOAT64,
    3: DType.INT32,
    4: DType.UINT8,
    5: DType.INT16,
    6: DType.INT8,
    7: DType.STRING,
    8: DType.COMPLEX64,
    9: DType.INT64,
    10: DType.BOOL,
    11: DType.INT8,
    12: DType.UINT8,
    13: DType.INT32,
    14: DType.BFLOAT16,
    15: DType.INT16,
    16: DType.UINT16,
    17: DType.UINT16,
    18: DType.COMPLEX128,
    19: DType.FLOAT16,
    21: DType.OPAQUE,
    22: DType.UINT32,
    23: DType.UINT64,
    24: DType.FLOAT8_E5M2,
    25: DType.FLOAT8_E4M3FN,
    29: DType.INT4,
    30: DType.UINT4,
}
MAX_RANK = 254
UINT32 = struct.Struct("<I")

Extent = tuple[int, int]
"""Start and length of a slice in one dimension; length -1 is the whole of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor's record in the index."""

    dtype: DType
    shape: Shape
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[tuple[Extent, ...], ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A byte range whose CRC-32C is known, and is checked whenever it is read to its end."""

    byte_range: ByteRange
    checksum: int
    name: str

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes in order.

        Raises:
            CorruptFileError: At the end, when the checksum is not the stored one.
        """
        value = 0
        for block in self.byte_range.blocks(limit):
            value = crc32c(block, value)
            yield block
        if mask(value) != self.checksum:
            raise _wrong_checksum(self.byte_range.path, self.name)


@dataclass(frozen=True, slots=True)
class BundleStrings:
    """A string tensor's bytes in a shard."""

    stored: ByteRange
    elements: int
    checksum: int
    name: str

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes of one string after the other.

        Raises:
            CorruptFileError: The lengths do not fit the bytes, or a checksum is wrong.
        """
        data = memoryview(self.stored.read())
        lengths: list[int] = []
        at = 0
        try:
            for _ in range(self.elements):
                length, at = read_varint(data, at)
                lengths.append(length)
        except WireError as error:
            raise CorruptFileError(f"a string tensor is damaged: {error}", path=self.stored.path, where=self.name) from error
        start = at + UINT32.size
        if start + sum(lengths) != len(data):
            raise CorruptFileError("a string tensor's lengths do not fit its bytes", path=self.stored.path, where=self.name)
        value = 0
        for length in lengths:
            value = crc32c((UINT32 if length < 1 << 32 else LENGTH).pack(length), value)
        if UINT32.pack(mask(value)) != bytes(data[at:start]) or mask(crc32c(data[at:], value)) != self.checksum:
            raise _wrong_checksum(self.stored.path, self.name)
        for length in lengths:
            yield LENGTH.pack(length) + bytes(data[start : start + length])
            start += length


def _wrong_checksum(path: str, name: str) -> CorruptFileError:
    return CorruptFileError("a tensor's checksum is wrong", path=path, where=name, cure="the file is damaged: fetch it again")


def read_bundle(prefix: str) -> dict[str, Tensor]:
    """Describe every tensor of the checkpoint `prefix`, in key order; reads the index, not the shards.

    Raises:
        CorruptFileError: The index is damaged, a shard is missing or shorter than a tensor needs.
        UnsupportedFeatureError: Big-endian data, or an element type that TensorFlow has added since.
    """
    index = ByteRange.of_file(prefix + ".index")
    entries: dict[bytes, Entry] = {}
    shards = 0
    key = b""
    try:
        for key, value in open_table(index).items():
            if key == b"":
                shards = _header(value, index.path)
            else:
                entries[key] = _entry(value, index.path, _key_text(key))
    except WireError as error:
        raise CorruptFileError(f"an index record is damaged: {error}", path=index.path, where=_key_text(key)) from error
    files = _shard_opener(prefix, shards)
    return {_key_text(key): _tensor(key, entry, entries, files, index.path) for key, entry in entries.items() if key[:1] != b"\0"}


def _key_text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _header(data: memoryview, path: str) -> int:
    shards = 0
    for number, wire, value in protobuf.fields(data):
        if number == 1 and wire == protobuf.VARINT:
            shards = protobuf.unsigned(value)
        elif number == 1:
            raise CorruptFileError("is a V1 checkpoint under the name of an index", path=path, cure="rename it without .index")
        elif number == 2 and protobuf.unsigned(value) != 0:
            raise UnsupportedFeatureError("was written on a big-endian machine", path=path, cure="load and save it with TensorFlow")
    return shards


def _entry(data: memoryview, path: str, name: str) -> Entry:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: Shape = ()
    slices: list[tuple[Extent, ...]] = []
    for number, _, value in protobuf.fields(data):
        if number in numbers:
            numbers[number] = protobuf.unsigned(value)
        elif number == 2:
            shape = parse_shape(protobuf.view(value))
        elif number == 7:
            slices.append(parse_slice(protobuf.view(value)))
    dtype = DTYPES.get(numbers[1])
    if dtype is None:
        raise UnsupportedFeatureError(
            f"a tensor has TensorFlow's element type {numbers[1]}, which is not known here", path=path, where=name
        )
    return Entry(dtype, shape, numbers[3], numbers[4], numbers[5], numbers[6], tuple(slices))


def parse_shape(data: memoryview) -> Shape:
    """A TensorShapeProto as a shape; an unknown dimension is -1.

    Raises:
        WireError: It is not a shape.
    """
    dims: list[int] = []
    for number, _, value in protobuf.fields(data):
        if number == 2:
            size = 0
            for inner, _, dim in protobuf.fields(protobuf.view(value)):
                if inner == 1:
                    size = protobuf.signed(dim)
            dims.append(size)
    if len(dims) > MAX_RANK:
        raise WireError(f"a shape has {len(dims)} dimensions")
    return tuple(dims)


def parse_slice(data: memoryview) -> tuple[Extent, ...]:
    """A TensorSliceProto as (start, length) for every dimension.

    Raises:
        WireError: It is not a slice.
    """
    extents: list[Extent] = []
    for number, _, value in protobuf.fields(data):
        if number == 1:
            start, length = 0, -1
            for inner, _, part in protobuf.fields(protobuf.view(value)):
                if inner == 1:
                    start = protobuf.signed(part)
                elif inner == 2:
                    length = protobuf.signed(part)
            extents.append((start, length))
    return tuple(extents)


def slice_key(name: bytes, extents: tuple[Extent, ...]) -> bytes:
    """The table key of one slice of a variable: the ordered code of 0, its name, its rank and its extents."""
    escaped = re.sub(rb"[\x00\xff]", lambda found: b"\0\xff" if found[0] == b"\0" else b"\xff\0", name)
    key = b"\0" + escaped + b"\0\1"
    key += _number_increasing(len(extents))
    for start, length in extents:
        key += _signed_increasing(start) + _signed_increasing(length)
    return key


def _number_increasing(value: int) -> bytes:
    payload = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(payload)]) + payload


def _signed_increasing(value: int) -> bytes:
    magnitude = value if value >= 0 else ~value
    size = magnitude.bit_length() // 7 + 1
    header = ((0xFFFF << (16 - size)) & 0xFFFF) << (8 * (size - 2)) if size > 1 else 0x80
    return ((value & ((1 << (8 * size)) - 1)) ^ header).to_bytes(size, "big")


def _shard_opener(prefix: str, shards: int) -> Callable[[int, str], ByteRange]:
    opened: dict[int, ByteRange] = {}

    def shard(number: int, name: str) -> ByteRange:
        if number not in opened:
            path = f"{prefix}.data-{number:05d}-of-{shards:05d}"
            if not os.path.isfile(path):
                raise CorruptFileError(
                    "a data shard is missing", path=path, where=f"needed by {name}", cure="copy all files of the checkpoint"
                )
            opened[number] = ByteRange.of_file(path)
        return opened[number]

    return shard


def _tensor(key: bytes, entry: Entry, entries: dict[bytes, Entry], shard: Callable[[int, str], ByteRange], path: str) -> Tensor:
    name = _key_text(key)
    if any(size < 0 for size in entry.shape):
        raise CorruptFileError(f"a tensor has the shape {entry.shape}", path=path, where=name)
    if not entry.slices:
        return Tensor(entry.dtype, entry.shape, _source(entry, name, shard, path))
    if entry.dtype.itemsize is None:
        raise UnsupportedFeatureError("a partitioned tensor of strings", path=path, where=name)
    pieces = []
    for extents in entry.slices:
        part = entries.get(slice_key(key, extents))
        if part is None:
            raise CorruptFileError("a slice of a partitioned variable is missing", path=path, where=name)
        start = tuple(first for first, _ in extents)
        shape = tuple(whole if length < 0 else length for whole, (_, length) in zip(entry.shape, extents, strict=False))
        if part.shape != shape or len(shape) != len(entry.shape):
            raise CorruptFileError(f"a slice has the shape {part.shape} instead of {shape}", path=path, where=name)
        pieces.append(Piece(start, shape, _source(part, name, shard, path)))
    check_tiling(entry.shape, pieces, path, name)
    return Tensor(entry.dtype, entry.shape, Sliced(entry.shape, entry.dtype.itemsize, tuple(pieces), path, name))


def _source(entry: Entry, name: str, shard: Callable[[int, str], ByteRange], path: str) -> Source:
    file = shard(entry.shard, name)
    stored = file.slice(entry.offset, entry.size, where=name)
    if entry.dtype is DType.STRING:
        if math.prod(entry.shape) > entry.size:
            raise CorruptFileError(f"{math.prod(entry.shape)} strings cannot lie in {entry.size} bytes", path=path, where=name)
        return BundleStrings(stored, math.prod(entry.shape), entry.checksum, name)
    expected = math.prod(entry.shape) * entry.dtype.itemsize if entry.dtype.itemsize else entry.size
    if entry.size != expected:
        raise CorruptFileError(f"a tensor has {entry.size} bytes where its shape {entry.shape} needs {expected}", path=path, where=name)
    return Checked(stored, entry.checksum, name)
