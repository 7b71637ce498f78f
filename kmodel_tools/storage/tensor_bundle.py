"""TensorBundle: TensorFlow's checkpoint V2, an index table beside shards of raw tensor bytes.

``PREFIX.index`` is a table (`sstable`). Its key "" holds the header, every other key a tensor's entry
(TensorFlow `core/protobuf/tensor_bundle.proto`)::

    header  1 num_shards   2 endianness (0 little)   3 version
    entry   1 dtype   2 shape {2 dim {1 size}}   3 shard   4 offset   5 size   6 masked CRC-32C (fixed32)   7 slices

``PREFIX.data-SSSSS-of-NNNNN`` holds the bytes, in the byte order of the machine that wrote them (`bundle_sources`).

A partitioned variable has an entry that lists `slices` and has no bytes; each slice has an entry of its own under an
ordered-code key that starts with a zero byte (`core/util/saved_tensor_slice_util.cc`).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field

from kmodel_tools.damaged import DAMAGE, MAX_RANK, damaged_tensor, offering_salvage
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.bundle_sources import BundleStrings, BundleVariants, ByteOrder, Checked, numbers
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.sliced import Piece, Sliced, check_tiling
from kmodel_tools.storage.sstable import open_table
from kmodel_tools.tensor import ByteRange, DType, Shape, Source, Tensor

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
BYTE_ORDERS: dict[int, ByteOrder] = {0: "little", 1: "big"}

Extent = tuple[int, int]
"""Start and length of a slice in one dimension; length -1 is the whole of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor's record in the index; `problem` is why it cannot be followed, if it cannot."""

    dtype: DType
    shape: Shape
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0
    slices: tuple[tuple[Extent, ...], ...] = ()
    problem: FormatError | None = None


def read_bundle(prefix: str, salvage: bool = False) -> dict[str, Tensor]:
    """Describe every tensor of the checkpoint `prefix`, in key order; reads the index, not the shards.

    Args:
        prefix: What the names of its files start with.
        salvage: Describe a tensor that cannot be read as a damaged one (`damaged.Damaged`), instead of raising.

    Raises:
        CorruptFileError: The index is damaged; or, unless `salvage`, a shard is missing, or ends before a tensor does, or
            an entry contradicts itself. The tensor is named.
        UnsupportedFeatureError: An element type that TensorFlow has added since, unless `salvage`.
    """
    index = ByteRange.of_file(prefix + ".index")
    entries: dict[bytes, Entry] = {}
    shards, order = 0, BYTE_ORDERS[0]
    for key, value in open_table(index).items():
        if key == b"":
            shards, order = _header(value, index.path)
        else:
            entries[key] = _entry(value, index.path, _key_text(key))
    reader = _Reader(prefix, shards, order, entries)
    found: dict[str, Tensor] = {}
    for key, entry in entries.items():
        if key[:1] == b"\0":
            continue
        try:
            found[_key_text(key)] = reader.tensor(key, entry)
        except DAMAGE as error:
            if not salvage:
                raise offering_salvage(error) from error
            found[_key_text(key)] = damaged_tensor(entry.dtype, entry.shape, error)
    return found


def shard_lengths(prefix: str) -> list[tuple[str, int, int | None]]:
    """For each shard of a checkpoint: its path, how long it must be at least for what the index says, and how long it is.

    The last is None for a shard that is not there.

    Raises:
        CorruptFileError: The index is damaged.
        UnsupportedFeatureError: It is of a byte order that is not known.
    """
    index = ByteRange.of_file(prefix + ".index")
    shards, needed = 0, dict[int, int]()
    for key, value in open_table(index).items():
        if key == b"":
            shards, _ = _header(value, index.path)
        else:
            entry = _entry(value, index.path, _key_text(key))
            needed[entry.shard] = max(needed.get(entry.shard, 0), entry.offset + entry.size)
    found: list[tuple[str, int, int | None]] = []
    for number in sorted(needed):
        path = f"{prefix}.data-{number:05d}-of-{shards:05d}"
        found.append((path, needed[number], os.path.getsize(path) if os.path.isfile(path) else None))
    return found


def _key_text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _header(data: memoryview, path: str) -> tuple[int, ByteOrder]:
    """Number of shards, and byte order."""
    shards = endianness = 0
    try:
        for number, wire, value in protobuf.fields(data):
            if number == 1 and wire == protobuf.VARINT:
                shards = protobuf.unsigned(value)
            elif number == 1:
                raise CorruptFileError("is a V1 checkpoint under the name of an index", path=path, cure="rename it without .index")
            elif number == 2:
                endianness = protobuf.unsigned(value)
    except WireError as error:
        raise CorruptFileError(f"the index header is damaged: {error}", path=path) from error
    if endianness not in BYTE_ORDERS:
        raise UnsupportedFeatureError(f"was written in the unknown byte order {endianness}", path=path)
    return shards, BYTE_ORDERS[endianness]


def _entry(data: memoryview, path: str, name: str) -> Entry:
    values = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: Shape = ()
    slices: list[tuple[Extent, ...]] = []
    try:
        for number, _, value in protobuf.fields(data):
            if number in values:
                values[number] = protobuf.unsigned(value)
            elif number == 2:
                shape = parse_shape(protobuf.view(value))
            elif number == 7:
                slices.append(parse_slice(protobuf.view(value)))
    except WireError as error:
        problem: FormatError = CorruptFileError(f"an index record is damaged: {error}", path=path, where=name)
        return Entry(DType.OPAQUE, (0,), problem=problem)
    dtype = DTYPES.get(values[1])
    if dtype is None:
        problem = UnsupportedFeatureError(
            f"a tensor has TensorFlow's element type {values[1]}, which is not known here", path=path, where=name
        )
        return Entry(DType.OPAQUE, shape, problem=problem)
    return Entry(dtype, shape, values[3], values[4], values[5], values[6], tuple(slices))


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


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the index says, and the shards that are there."""

    prefix: str
    shards: int
    order: ByteOrder
    entries: dict[bytes, Entry]
    opened: dict[int, ByteRange] = field(default_factory=dict)

    def tensor(self, key: bytes, entry: Entry) -> Tensor:
        """Describe one tensor.

        Raises:
            CorruptFileError: Its entry contradicts itself, or the shard that it leads to.
            UnsupportedFeatureError: It is of a type or a layout that is not read.
        """
        name, path = _key_text(key), self.prefix + ".index"
        if entry.problem is not None:
            raise entry.problem
        if any(size < 0 for size in entry.shape):
            raise CorruptFileError(f"a tensor has the shape {entry.shape}", path=path, where=name)
        if not entry.slices:
            return Tensor(entry.dtype, entry.shape, self._source(entry, name))
        if entry.dtype.itemsize is None:
            raise UnsupportedFeatureError("a partitioned tensor of strings", path=path, where=name)
        pieces = []
        for extents in entry.slices:
            part = self.entries.get(slice_key(key, extents))
            if part is None:
                raise CorruptFileError("a slice of a partitioned variable is missing", path=path, where=name)
            if part.problem is not None:
                raise CorruptFileError(f"a slice cannot be read: {part.problem.problem}", path=path, where=name)
            start = tuple(first for first, _ in extents)
            shape = tuple(whole if length < 0 else length for whole, (_, length) in zip(entry.shape, extents, strict=False))
            if part.shape != shape or len(shape) != len(entry.shape) or part.dtype is not entry.dtype:
                problem = f"a slice is {part.dtype.value} {part.shape} instead of {entry.dtype.value} {shape}"
                raise CorruptFileError(problem, path=path, where=name)
            pieces.append(Piece(start, shape, self._source(part, name)))
        check_tiling(entry.shape, pieces, path, name)
        return Tensor(entry.dtype, entry.shape, Sliced(entry.shape, entry.dtype.itemsize, tuple(pieces), path, name))

    def _source(self, entry: Entry, name: str) -> Source:
        path = self.prefix + ".index"
        stored = self._shard(entry.shard, name).slice(entry.offset, entry.size, where=name)
        elements = math.prod(entry.shape)
        if entry.dtype.itemsize is None:
            if elements > entry.size:
                kind = "strings" if entry.dtype is DType.STRING else "variants"
                raise CorruptFileError(f"{elements} {kind} cannot lie in {entry.size} bytes", path=path, where=name)
            if entry.dtype is DType.STRING:
                return BundleStrings(stored, elements, entry.checksum, name, self.order)
            if self.order == "big":
                raise UnsupportedFeatureError("variants of a big-endian machine, which nobody reads on another", path=path, where=name)
            return BundleVariants(stored, elements, entry.checksum, name)
        expected = elements * entry.dtype.itemsize
        if entry.size != expected:
            problem = f"a tensor has {entry.size} bytes where its shape {entry.shape} needs {expected}"
            raise CorruptFileError(problem, path=path, where=name)
        return numbers(Checked(stored, entry.checksum, name), entry.dtype, self.order)

    def _shard(self, number: int, name: str) -> ByteRange:
        if number not in self.opened:
            path = f"{self.prefix}.data-{number:05d}-of-{self.shards:05d}"
            if not os.path.isfile(path):
                raise CorruptFileError(
                    "a data shard is missing", path=path, where=f"needed by {name}", cure="copy all files of the checkpoint"
                )
            self.opened[number] = ByteRange.of_file(path)
        return self.opened[number]
