"""Tensors whose values are computed from those of others when they are read: a closed set of operations.

All go block by block and hold nothing else. A damaged tensor makes a damaged one. What only moves elements is in `rearranged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmodel_tools.damaged import first_damaged
from kmodel_tools.elements import arrays
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, ByteRange, DType, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cast:
    """The values of a tensor of floats, rounded to another kind of float."""

    tensor: Tensor
    dtype: DType
    byte_range: None = None

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes of the rounded values; values beyond the range become infinite, as NumPy has it."""
        import numpy as np

        target = self.dtype.numpy()
        with np.errstate(over="ignore"):
            for values in arrays(self.tensor, max(1, limit // target.itemsize)):
                yield memoryview(values.astype(target).tobytes())


def cast(tensor: Tensor, dtype: DType) -> Tensor:
    """A tensor of floats as another kind of float; integers, booleans and strings stay what they are."""
    if not tensor.dtype.is_float or tensor.dtype is dtype:
        return tensor
    return Tensor(dtype, tensor.shape, Cast(tensor, dtype))


def count_beyond(tensor: Tensor) -> int:
    """How many finite values of what a rounded tensor is made of are beyond its precision: they would become infinite, or no number.

    Reads all values where that is possible at all; 0 for a tensor that is not rounded.
    """
    import numpy as np

    if not isinstance(tensor.source, Cast) or _range(tensor.dtype) >= _range(tensor.source.tensor.dtype):
        return 0
    target = tensor.dtype.numpy()
    count = 0
    with np.errstate(over="ignore"):
        for values in arrays(tensor.source.tensor):
            count += int(np.count_nonzero(np.isfinite(values) & ~np.isfinite(values.astype(target))))
    return count


def _range(dtype: DType) -> float:
    """The largest finite value."""
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype.numpy()).max)  # type: ignore[no-untyped-call]  # ml_dtypes states no types for it


@dataclass(frozen=True, slots=True)
class Scaled:
    """The values of a tensor of floats, each multiplied by a constant and rounded once."""

    tensor: Tensor
    factor: float

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the products."""
        yield from _elementwise(self.tensor, limit, lambda values: values * self.factor)


def scale(tensor: Tensor, factor: float) -> Tensor:
    """A tensor of floats multiplied by a constant: worked out in double precision, rounded once to its own.

    Raises:
        UnsupportedFeatureError: Its elements are not floats.
    """
    return _computed(tensor, lambda: Scaled(tensor, factor))


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A polynomial of each value of a tensor of floats, rounded once; the constant's coefficient comes first."""

    tensor: Tensor
    coefficients: tuple[float, ...]

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the results."""

        def worked_out(values: Array) -> Array:
            import numpy as np

            result = np.zeros_like(values)
            for coefficient in reversed(self.coefficients):
                result = result * values + coefficient
            return result

        yield from _elementwise(self.tensor, limit, worked_out)


def polynomial(tensor: Tensor, coefficients: Sequence[float]) -> Tensor:
    """A polynomial of each value, `c[0] + c[1] x + c[2] x² …`: worked out in double precision, rounded once.

    Raises:
        UnsupportedFeatureError: Its elements are not floats.
    """
    return _computed(tensor, lambda: Polynomial(tensor, tuple(coefficients)))


@dataclass(frozen=True, slots=True)
class Added:
    """The sum of tensors of floats, rounded once."""

    tensors: tuple[Tensor, ...]

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the sums."""
        dtype = self.tensors[0].dtype.numpy()
        for total in _sums(self.tensors, limit):
            yield memoryview(total.astype(dtype).tobytes())


def _sums(tensors: Sequence[Tensor], limit: int) -> Iterator[Array]:
    """The sums of the elements of tensors as doubles, some at a time."""
    import numpy as np

    with np.errstate(all="ignore"):
        for values in zip(*(arrays(tensor, max(1, limit // np.dtype(np.float64).itemsize)) for tensor in tensors), strict=True):
            yield sum((item.astype(np.float64) for item in values[1:]), values[0].astype(np.float64))


def add(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of tensors of floats, added in double precision and rounded once.

    Raises:
        CorruptFileError: Their shapes or elements differ.
        UnsupportedFeatureError: Their elements are not floats.
    """
    return _together(tensors, lambda: Added(tuple(tensors)))


def _together(tensors: Sequence[Tensor], make: Callable[[], Added | Mean]) -> Tensor:
    """A tensor made of several of one kind; of one alone, it is that."""
    first = tensors[0]
    if len(tensors) == 1:
        return first
    if (damaged := first_damaged(*tensors)) is not None:
        return damaged
    if len({(tensor.shape, tensor.dtype) for tensor in tensors}) > 1:
        raise CorruptFileError(
            f"arrays of several kinds do not go together: {', '.join(f'{tensor.dtype.value} {tensor.shape}' for tensor in tensors)}"
        )
    return _computed(first, make)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of tensors of floats, rounded once."""

    tensors: tuple[Tensor, ...]

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the means."""
        dtype = self.tensors[0].dtype.numpy()
        for total in _sums(self.tensors, limit):
            yield memoryview((total / len(self.tensors)).astype(dtype).tobytes())


def mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of floats: worked out in double precision, rounded once to their own.

    Raises:
        CorruptFileError: Their shapes or elements differ.
        UnsupportedFeatureError: Their elements are not floats.
    """
    return _together(tensors, lambda: Mean(tuple(tensors)))


@dataclass(frozen=True, slots=True)
class Counted:
    """A tensor's own values; says how many bytes of them have been taken."""

    tensor: Tensor
    advance: Callable[[int], None]

    @classmethod
    def of(cls, tensor: Tensor, advance: Callable[[int], None]) -> Tensor:
        """The same tensor, whose reading is counted."""
        return Tensor(tensor.dtype, tensor.shape, cls(tensor, advance))

    @property
    def byte_range(self) -> ByteRange | None:
        """Where the canonical bytes lie, if they lie anywhere."""
        return self.tensor.byte_range

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes."""
        for block in self.tensor.blocks(limit):
            yield block
            self.advance(len(block))


def _elementwise(tensor: Tensor, limit: int, change: Callable[[Array], Array]) -> Iterator[memoryview]:
    """The bytes of changed values: worked out as doubles, rounded once, as NumPy rounds."""
    import numpy as np

    dtype = tensor.dtype.numpy()
    with np.errstate(all="ignore"):
        for values in arrays(tensor, max(1, limit // np.dtype(np.float64).itemsize)):
            yield memoryview(change(values.astype(np.float64)).astype(dtype).tobytes())


def _computed(tensor: Tensor, make: Callable[[], Scaled | Polynomial | Added | Mean]) -> Tensor:
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    if not tensor.dtype.is_float:
        raise UnsupportedFeatureError(f"elements of type {tensor.dtype.value} are not computed with: they are no floats")
    return Tensor(tensor.dtype, tensor.shape, make())
