"""TensorFlow's first checkpoint format: one table that holds the tensors themselves (the default before TensorFlow 0.12).

Its key "" holds the list of tensors, every other key one slice (TensorFlow `core/util/saved_tensor_slice.proto`)::

    SavedTensorSlices  1 meta {1 tensor {1 name, 2 shape, 3 type, 4 slice}}   2 data {1 name, 2 slice, 3 TensorProto}
"""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from kmodel_tools.damaged import DAMAGE, OFFER, damaged_tensor, offering_salvage
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.sliced import Piece, Sliced, check_tiling
from kmodel_tools.storage.sstable import SNAPPY_RATIO, open_table
from kmodel_tools.storage.tensor_bundle import DTYPES, Extent, parse_shape, parse_slice, slice_key
from kmodel_tools.storage.tensor_proto import canonical_bytes
from kmodel_tools.tensor import Buffer, ByteRange, DType, InMemory, Shape, Source, Tensor

META, DATA = 1, 2
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class SavedSlice:
    """The values of one slice, found in the table and decoded when they are asked for."""

    files: tuple[ByteRange, ...]
    key: bytes
    name: str
    dtype: DType
    shape: Shape
    checksummed: ClassVar[bool] = True  # by the block of the table that it lies in

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes.

        Raises:
            CorruptFileError: The slice is not in the table, or does not hold what its shape needs, or its block is damaged.
        """
        damage = CorruptFileError("a tensor is listed and not there", path=self.files[0].path, where=self.name, cure=OFFER)
        for file in self.files:
            try:
                record = self._record(file)
            except CorruptFileError as error:
                damage = error
                continue
            if record is not None:
                break
        else:
            raise damage
        try:
            # TensorFlow writes every value here (`core/util/tensor_slice_writer.cc`), so that nothing grows beyond the file.
            data = canonical_bytes(_tensor_proto(record), self.dtype, self.shape, repeats=False)
        except WireError as error:
            raise CorruptFileError(f"a tensor is damaged: {error}", path=file.path, where=self.name, cure=OFFER) from error
        yield from InMemory(data).blocks(limit)

    def _record(self, file: ByteRange) -> memoryview | None:
        try:
            return open_table(file).get(self.key)
        except CorruptFileError as error:
            where = f"{self.name}, {error.where}" if error.where else self.name
            cure = f"{error.cure}, or {OFFER}" if error.cure else OFFER
            raise CorruptFileError(error.problem, path=error.path, where=where, cure=cure) from error


def is_v1(file: ByteRange) -> bool:
    """Whether a table is a V1 checkpoint: its header record starts with a message, where V2's starts with a number."""
    table = open_table(file)
    header = table.get(b"")
    return header is not None and len(header) > 0 and header[0] == (META << 3 | protobuf.BYTES)


def shards_of(path: str) -> tuple[str, ...]:
    """The files of a V1 checkpoint, of which `path` is one (`name` or `name-00000-of-00002`)."""
    if not SHARD.search(path):
        return (path,)
    stem, count = path[: SHARD.search(path).start()], path[-5:]  # type: ignore[union-attr]  # searched just above
    return tuple(sorted(glob.glob(glob.escape(stem) + f"-?????-of-{count}")))


def missing_shards(path: str) -> tuple[str, ...]:
    """The files of a V1 checkpoint in several that are not there; each lists its own tensors, so nobody knows what they held."""
    found = SHARD.search(path)
    if found is None:
        return ()
    there, count = set(shards_of(path)), int(path[-5:])
    wanted = (f"{path[: found.start()]}-{number:05d}-of-{count:05d}" for number in range(count))
    return tuple(name for name in wanted if name not in there)


def read_v1(path: str, salvage: bool = False) -> dict[str, Tensor]:
    """Describe every tensor of a V1 checkpoint, in the order of its own list.

    Args:
        path: The file, or one of several.
        salvage: Describe a tensor that cannot be read as a damaged one, and pass over files that are missing, instead of raising.

    Raises:
        CorruptFileError: The table or its list of tensors is damaged; or, unless `salvage`, a file is missing, or slices do not
            tile a tensor.
        UnsupportedFeatureError: An element type that is not known, unless `salvage`.
    """
    missing = missing_shards(path)
    if missing and not salvage:
        raise CorruptFileError("a file of the checkpoint is missing", path=missing[0], cure=f"copy all files of the checkpoint, or {OFFER}")
    files = tuple(ByteRange.of_file(part) for part in shards_of(path))
    tensors: dict[str, Tensor] = {}
    for file in files:
        header = open_table(file).get(b"")
        if header is None:
            raise CorruptFileError("has no list of its tensors", path=file.path)
        try:
            for name, shape, kind, slices in _metadata(header):
                if name in tensors:
                    continue
                try:
                    tensors[name] = _tensor(files, name, shape, kind, slices)
                except DAMAGE as error:
                    if not salvage:
                        raise offering_salvage(error) from error
                    tensors[name] = damaged_tensor(DTYPES.get(kind, DType.OPAQUE), shape, error)
        except WireError as error:
            raise CorruptFileError(f"its list of tensors is damaged: {error}", path=file.path) from error
    return tensors


def _metadata(header: memoryview) -> Iterator[tuple[str, Shape, int, list[tuple[Extent, ...]]]]:
    for number, _, meta in protobuf.fields(header):
        if number != META:
            continue
        for inner, _, record in protobuf.fields(protobuf.view(meta)):
            if inner == 1:
                yield _tensor_meta(protobuf.view(record))


def _tensor_meta(record: memoryview) -> tuple[str, Shape, int, list[tuple[Extent, ...]]]:
    name, kind = "", 0
    shape: Shape = ()
    slices: list[tuple[Extent, ...]] = []
    for number, _, value in protobuf.fields(record):
        if number == 1:
            name = protobuf.text(value)
        elif number == 2:
            shape = parse_shape(protobuf.view(value))
        elif number == 3:
            kind = protobuf.unsigned(value)
        elif number == 4:
            slices.append(parse_slice(protobuf.view(value)))
    return name, shape, kind, slices


def _tensor(files: tuple[ByteRange, ...], name: str, shape: Shape, kind: int, slices: list[tuple[Extent, ...]]) -> Tensor:
    path = files[0].path
    dtype = DTYPES.get(kind)
    if dtype is None:
        raise UnsupportedFeatureError(f"a tensor has TensorFlow's element type {kind}, which is not known here", path=path, where=name)
    if any(size < 0 for size in shape):
        raise CorruptFileError(f"a tensor has the shape {shape}", path=path, where=name)
    if math.prod(shape) > SNAPPY_RATIO * sum(file.length for file in files):
        raise CorruptFileError(f"{math.prod(shape)} elements cannot lie in the file", path=path, where=name)
    pieces = []
    for extents in slices:
        full = extents or ((0, -1),) * len(shape)
        start = tuple(first for first, _ in full)
        part = tuple(whole if length < 0 else length for whole, (_, length) in zip(shape, full, strict=False))
        if len(part) != len(shape):
            raise CorruptFileError("a slice has another rank than its tensor", path=path, where=name)
        source = SavedSlice(files, slice_key(name.encode("utf-8", "surrogateescape"), extents), name, dtype, part)
        pieces.append(Piece(start, part, source))
    if len(pieces) == 1 and pieces[0].shape == shape:
        return Tensor(dtype, shape, pieces[0].source)
    check_tiling(shape, pieces, path, name)
    if dtype.itemsize is None:
        raise UnsupportedFeatureError("a partitioned tensor of strings", path=path, where=name)
    whole: Source = Sliced(shape, dtype.itemsize, tuple(pieces), path, name)
    return Tensor(dtype, shape, whole)


def _tensor_proto(record: memoryview) -> memoryview:
    for number, _, data in protobuf.fields(record):
        if number == DATA:
            for inner, _, value in protobuf.fields(protobuf.view(data)):
                if inner == 3:
                    return protobuf.view(value)
    raise WireError("a record without values")
