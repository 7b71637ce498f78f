"""Tensors whose elements are those of others in another arrangement, moved when they are read: a closed set of operations.

What is held meanwhile, beside a block of each tensor that is read:

* `Joined` and `Taken` hold nothing; reshaping is no operation, but the same source under another shape.
* `Transposed` and `Flipped` need elements in another order than they come in: they hold the array that they reorder, once.
  Directly upon one another they hold it together; a reshaping between two of them may copy it. Upon other operations that
  stand upon further ones, each group holds its own: take a part first and reorder it then.

A damaged tensor makes a damaged one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from kmodel_tools.damaged import first_damaged
from kmodel_tools.elements import chunks
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Transposed:
    """A tensor with its axes in another order; holds the array."""

    tensor: Tensor
    axes: tuple[int, ...]

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the reordered elements."""
        yield from _blocks_of(_held(self.tensor).transpose(self.axes), limit)


def transpose(tensor: Tensor, axes: Sequence[int]) -> Tensor:
    """A tensor with its axes in another order, as `numpy.transpose` has it.

    Raises:
        CorruptFileError: The axes are not those of the tensor.
        UnsupportedFeatureError: Its elements have no fixed size.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    _require_fixed_size(tensor)
    rank = len(tensor.shape)
    plain = tuple(_axis(axis, tensor) for axis in axes)
    if sorted(plain) != list(range(rank)):
        raise CorruptFileError(f"axes {tuple(axes)} do not reorder the shape {tensor.shape}")
    shape = tuple(tensor.shape[axis] for axis in plain)
    return tensor if plain == tuple(range(rank)) else Tensor(tensor.dtype, shape, Transposed(tensor, plain))


@dataclass(frozen=True, slots=True)
class Flipped:
    """A tensor whose order along some axes is reversed; holds the array."""

    tensor: Tensor
    axes: tuple[int, ...]

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the reordered elements."""
        import numpy as np

        yield from _blocks_of(np.flip(_held(self.tensor), self.axes), limit)


def flip(tensor: Tensor, axes: Sequence[int]) -> Tensor:
    """A tensor whose order along some axes is reversed, as `numpy.flip` has it.

    Raises:
        CorruptFileError: The tensor has no such axes, or one is named twice.
        UnsupportedFeatureError: Its elements have no fixed size.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    _require_fixed_size(tensor)
    plain = tuple(_axis(axis, tensor) for axis in axes)
    if len(set(plain)) < len(plain):
        raise CorruptFileError(f"an axis of {tuple(axes)} is named twice")
    return Tensor(tensor.dtype, tensor.shape, Flipped(tensor, plain)) if plain else tensor


def reshape(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The same elements in C order under another shape, of which one size may be -1.

    Raises:
        CorruptFileError: The shape has not as many elements.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    sizes = tuple(shape)
    if sizes.count(-1) == 1:
        known = math.prod(size for size in sizes if size != -1)
        sizes = tuple(tensor.size // known if size == -1 and known else size for size in sizes)
    if any(size < 0 for size in sizes) or math.prod(sizes) != tensor.size:
        raise CorruptFileError(f"{tensor.size} elements of shape {tensor.shape} do not fill the shape {tuple(shape)}")
    return Tensor(tensor.dtype, sizes, tensor.source)


@dataclass(frozen=True, slots=True)
class Taken:
    """One of several equal parts of a tensor along an axis."""

    tensor: Tensor
    axis: int
    part: int
    parts: int

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the part; the whole tensor is read."""
        itemsize = self.tensor.dtype.itemsize or 1
        width = math.prod(self.tensor.shape[self.axis :]) // self.parts * itemsize
        period, start = width * self.parts, width * self.part
        done = 0
        for block in chunks(self.tensor, _whole(limit, itemsize)):
            end = done + len(block)
            # The parts of interest that this block touches begin at `start`, `start + period` …
            for row in range(done // period, -(-end // period)):
                first, last = max(done, row * period + start), min(end, row * period + start + width)
                if first < last:
                    yield block[first - done : last - done]
            done = end


def take(tensor: Tensor, axis: int, part: int, parts: int) -> Tensor:
    """The `part`-th of `parts` equal parts of a tensor along an axis.

    Raises:
        CorruptFileError: The tensor has no such axis, or it is not divisible so.
        UnsupportedFeatureError: Its elements have no fixed size.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    _require_fixed_size(tensor)
    axis = _axis(axis, tensor)
    if not 0 <= part < parts or tensor.shape[axis] % parts:
        raise CorruptFileError(f"there is no part {part} of {parts} along axis {axis} of the shape {tensor.shape}")
    shape = (*tensor.shape[:axis], tensor.shape[axis] // parts, *tensor.shape[axis + 1 :])
    return tensor if parts == 1 else Tensor(tensor.dtype, shape, Taken(tensor, axis, part, parts))


@dataclass(frozen=True, slots=True)
class Joined:
    """Tensors side by side along an axis; all of them are read at once."""

    tensors: tuple[Tensor, ...]
    axis: int

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes, row after row of what lies before the axis."""
        share = max(1, limit // len(self.tensors))
        readers = [_Reader(tensor, share) for tensor in self.tensors]
        rows = math.prod(self.tensors[0].shape[: self.axis])
        widths = [tensor.nbytes // rows if rows else 0 for tensor in self.tensors]
        for _ in range(rows):
            for reader, width in zip(readers, widths, strict=True):
                yield from reader.take(width)
        for reader in readers:
            reader.finish()


def concatenate(tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors side by side along an axis, as `numpy.concatenate` has it.

    Raises:
        CorruptFileError: They have other shapes beside that axis, or elements of several kinds.
        UnsupportedFeatureError: Their elements have no fixed size.
    """
    if (damaged := first_damaged(*tensors)) is not None:
        return damaged
    first = tensors[0]
    axis = _axis(axis, first)
    _require_fixed_size(first)
    beside = {(*tensor.shape[:axis], 0, *tensor.shape[axis + 1 :]) for tensor in tensors}
    if len(beside) > 1 or len({tensor.dtype for tensor in tensors}) > 1:
        raise CorruptFileError(f"arrays do not fit side by side along axis {axis}: {', '.join(str(tensor.shape) for tensor in tensors)}")
    shape = (*first.shape[:axis], sum(tensor.shape[axis] for tensor in tensors), *first.shape[axis + 1 :])
    return first if len(tensors) == 1 else Tensor(first.dtype, shape, Joined(tuple(tensors), axis))


@dataclass(slots=True)
class _Reader:
    """Takes bytes from a tensor's blocks in portions of any size."""

    tensor: Tensor
    limit: int
    _source: Iterator[Buffer] | None = None
    _left: memoryview = field(default_factory=lambda: memoryview(b""))

    def take(self, count: int) -> Iterator[memoryview]:
        """Yield the next `count` bytes in pieces; each is valid until the next is asked for."""
        while count:
            if not self._left:
                self._left = memoryview(next(self._blocks()))  # `chunks` has checked that they suffice
            piece, self._left = self._left[:count], self._left[count:]
            count -= len(piece)
            yield piece

    def finish(self) -> None:
        """Let the tensor say if it delivers more than its shape needs."""
        for _ in self._blocks():
            pass

    def _blocks(self) -> Iterator[Buffer]:
        if self._source is None:
            self._source = chunks(self.tensor, self.limit)
        return self._source


def _held(tensor: Tensor) -> Array:
    """The values of a tensor as an array, or as a view of the one that the operations below it reorder."""
    import numpy as np

    views: list[Callable[[Array], Array]] = []
    while isinstance(source := tensor.source, (Transposed, Flipped)):
        views.append(partial(_reshaped, shape=tensor.shape))
        move = partial(np.transpose, axes=source.axes) if isinstance(source, Transposed) else partial(np.flip, axis=source.axes)
        views.append(move)
        tensor = source.tensor
    values = tensor.read()
    for view in reversed(views):
        values = view(values)
    return values


def _reshaped(values: Array, shape: tuple[int, ...]) -> Array:
    return values.reshape(shape)


def _blocks_of(values: Array, limit: int) -> Iterator[memoryview]:
    """The bytes of an array, in C order whatever its strides are, some rows or a part of one at a time."""
    import numpy as np

    stack = [np.atleast_1d(values)]
    while stack:
        part = stack.pop()
        if part.ndim > 1 and part.nbytes > limit and part[0].nbytes > limit:
            stack.extend(part[index] for index in reversed(range(len(part))))
            continue
        rows = max(1, limit * len(part) // part.nbytes) if part.nbytes else 1
        for start in range(0, len(part) if part.nbytes else 0, rows):
            yield memoryview(part[start : start + rows].tobytes())


def _require_fixed_size(tensor: Tensor) -> None:
    if tensor.dtype.itemsize is None:
        raise UnsupportedFeatureError(f"elements of type {tensor.dtype.value} are not reordered: they have no fixed size")


def _axis(axis: int, tensor: Tensor) -> int:
    rank = len(tensor.shape)
    if not -rank <= axis < rank:
        raise CorruptFileError(f"there is no axis {axis} in the shape {tensor.shape}")
    return axis % rank


def _whole(limit: int, itemsize: int) -> int:
    return max(1, limit // itemsize) * itemsize
