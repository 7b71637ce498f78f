"""Tensors that are computed from another one when they are read, block by block: a closed set of operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kmodel_tools.elements import arrays
from kmodel_tools.tensor import Buffer, ByteRange, DType, Tensor


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
