"""Tensors that are stored as slices: TensorFlow's partitioned variables, in either checkpoint format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, InMemory, Shape, Source

MAX_SLICES = 4096
MAX_RANK = 8
"""Dimensions of a partitioned tensor that TensorFlow can restore (`core/util/tensor_slice_util.h`, `kTensorSliceMaxRank`)."""
NEIGHBOURS = 64
"""Slices that may cover the rows of one slice, on average: TensorFlow's partitioners cut along one axis."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One slice of a partitioned tensor: where it starts, how far it goes, and its own values."""

    start: Shape
    shape: Shape
    source: Source


@dataclass(frozen=True, slots=True)
class Sliced:
    """A tensor stored as several slices that tile it (TensorFlow's partitioned variables).

    Raises at reading:
        CorruptFileError: A slice does not deliver as many bytes as its shape says, or its checksum is wrong.
    """

    shape: Shape
    itemsize: int
    pieces: tuple[Piece, ...]
    path: str
    name: str

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Assemble a band of rows at a time.

        A band spans the whole width of the tensor, so its slices are read side by side; each slice is streamed once.
        """
        rows = self.shape[0] if self.shape else 1
        row_bytes = math.prod(self.shape[1:]) * self.itemsize
        if not rows or not row_bytes:
            return
        cursors = [_Cursor(piece, self.itemsize, limit) for piece in self.pieces]
        step = max(1, limit // row_bytes)
        for first in range(0, rows, step):
            count = min(step, rows - first)
            band = bytearray(count * row_bytes)
            for cursor in cursors:
                self._fill(band, first, count, cursor)
            yield from InMemory(bytes(band)).blocks(limit)
        for cursor in cursors:
            cursor.finish(self)

    def _fill(self, band: bytearray, first: int, count: int, cursor: _Cursor) -> None:
        start, shape = cursor.piece.start, cursor.piece.shape
        if not shape:
            band[:] = cursor.take(self.itemsize, self)
            return
        runs = list(_runs(self.shape[1:], start[1:], shape[1:]))
        row_bytes = math.prod(self.shape[1:]) * self.itemsize
        for row in range(max(first, start[0]), min(first + count, start[0] + shape[0])):
            base = (row - first) * row_bytes
            for offset, length in runs:
                at = base + offset * self.itemsize
                band[at : at + length * self.itemsize] = cursor.take(length * self.itemsize, self)


def _runs(shape: Shape, start: Shape, part: Shape) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) in elements of the contiguous runs that `part` at `start` covers in a row of `shape`."""
    if not shape:
        yield 0, 1
        return
    inner = math.prod(shape[1:])
    if part[1:] == shape[1:]:
        yield start[0] * inner, part[0] * inner
        return
    for index in range(start[0], start[0] + part[0]):
        for offset, length in _runs(shape[1:], start[1:], part[1:]):
            yield index * inner + offset, length


class _Cursor:
    """Reads a piece from front to back in amounts that its blocks know nothing of."""

    def __init__(self, piece: Piece, itemsize: int, limit: int) -> None:
        self.piece = piece
        self.blocks = piece.source.blocks(max(limit, itemsize))
        self.rest = memoryview(b"")

    def take(self, size: int, owner: Sliced) -> bytes:
        out = bytearray()
        while len(out) < size:
            if not self.rest:
                block = next(self.blocks, None)
                if block is None:
                    raise CorruptFileError("a slice is shorter than its shape", path=owner.path, where=owner.name)
                self.rest = memoryview(bytes(block))
            part = self.rest[: size - len(out)]
            self.rest = self.rest[len(part) :]
            out += part
        return bytes(out)

    def finish(self, owner: Sliced) -> None:
        """Read on to the end, which is where a source compares its checksum."""
        if self.rest or any(len(block) for block in self.blocks):
            raise CorruptFileError("a slice is longer than its shape", path=owner.path, where=owner.name)


def check_tiling(shape: Shape, pieces: list[Piece], path: str, name: str) -> None:
    """Make sure that slices lie inside of `shape`, do not overlap and leave nothing out.

    Raises:
        CorruptFileError: They do not tile it.
        UnsupportedFeatureError: It has more dimensions, or is cut up more, than any partitioner does.
    """
    if len(pieces) > MAX_SLICES:
        raise CorruptFileError(f"a variable has {len(pieces)} slices", path=path, where=name)
    if len(shape) > MAX_RANK:
        raise UnsupportedFeatureError(f"a partitioned tensor of {len(shape)} dimensions", path=path, where=name)
    inside = all(
        first >= 0 and first + size <= whole for piece in pieces for first, size, whole in zip(piece.start, piece.shape, shape, strict=True)
    )
    if not inside or not _apart(pieces, path, name) or sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
        raise CorruptFileError("the slices of a partitioned variable do not tile it", path=path, where=name)


def _apart(pieces: list[Piece], path: str, name: str) -> bool:
    """Whether no two slices overlap: in the order of their first rows, each against those whose rows it shares."""
    compared = 0
    open_: list[Piece] = []
    for piece in sorted((piece for piece in pieces if math.prod(piece.shape)), key=lambda piece: piece.start):
        open_ = [other for other in open_ if not piece.start or other.start[0] + other.shape[0] > piece.start[0]]
        compared += len(open_)
        if compared > NEIGHBOURS * (len(pieces) + NEIGHBOURS):
            raise UnsupportedFeatureError("a tensor that is partitioned along several axes at once", path=path, where=name)
        if any(_overlap(piece, other) for other in open_):
            return False
        open_.append(piece)
    return True


def _overlap(a: Piece, b: Piece) -> bool:
    return all(
        first < other + length and other < first + size
        for first, size, other, length in zip(a.start, a.shape, b.start, b.shape, strict=True)
    )
