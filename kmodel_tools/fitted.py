"""Tensors of one shape with the values of another: its first part, or another's with its first part replaced.

The first part is a box: along each axis, the first elements. Both hold the arrays while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmodel_tools.damaged import first_damaged
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, Shape, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class FirstPart:
    """The first elements of a tensor along every axis."""

    tensor: Tensor
    shape: Shape

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the part; the whole tensor is read."""
        import numpy as np

        yield from _blocks_of(np.ascontiguousarray(self.tensor.read()[_box(self.shape)]), limit)


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A tensor whose first elements along every axis are those of another."""

    below: Tensor
    above: Tensor

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes; both tensors are read."""
        import numpy as np

        values = np.array(self.below.read())
        values[_box(self.above.shape)] = self.above.read()
        yield from _blocks_of(values, limit)


def first_part(tensor: Tensor, shape: Shape) -> Tensor:
    """The first elements of a tensor along every axis, as many as `shape` says.

    Raises:
        CorruptFileError: It has not so many.
        UnsupportedFeatureError: Its elements have no fixed size.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    _check(tensor, tensor.shape, shape)
    return tensor if tensor.shape == shape else Tensor(tensor.dtype, shape, FirstPart(tensor, shape))


def overlaid(below: Tensor, above: Tensor) -> Tensor:
    """A tensor with the first elements along every axis replaced by those of another of its dtype.

    Raises:
        CorruptFileError: The other does not fit into it.
        UnsupportedFeatureError: Their elements have no fixed size.
    """
    if (damaged := first_damaged(below, above)) is not None:
        return damaged
    _check(below, below.shape, above.shape)
    if below.dtype is not above.dtype:
        raise CorruptFileError(f"elements of {above.dtype.value} are not put among those of {below.dtype.value}")
    return above if below.shape == above.shape else Tensor(below.dtype, below.shape, Overlaid(below, above))


def _check(tensor: Tensor, whole: Shape, part: Shape) -> None:
    if len(whole) != len(part) or any(small > large for small, large in zip(part, whole, strict=True)):
        raise CorruptFileError(f"the shape {part} is no part of {whole}")
    if tensor.dtype.itemsize is None:
        raise UnsupportedFeatureError(f"elements of type {tensor.dtype.value} are not taken apart: they have no fixed size")


def _box(shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(size) for size in shape)


def _blocks_of(values: npt.NDArray[Any], limit: int) -> Iterator[memoryview]:
    import numpy as np

    flat = np.atleast_1d(values).reshape(-1)
    step = max(1, limit // max(1, flat.itemsize))
    for start in range(0, flat.size, step):
        yield memoryview(flat[start : start + step].tobytes())
