"""Which pairs of arrays hold the same bytes: recognised before anything is decoded, at the speed of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmodel_tools.differ.values import UNORDERED, Tolerance
from kmodel_tools.elements import chunks
from kmodel_tools.parallel import in_parallel
from kmodel_tools.tensor import BLOCK, ByteRange, DType, InMemory, Tensor

PART = 32 << 20
"""Bytes of an array that one thread compares, so that all of them have something to do where one array is most of a model."""

TensorPair = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class _Part:
    """What is compared in one go: of the pair with this number, all, or bytes of both that lie in files as they are."""

    number: int
    a: Tensor
    b: Tensor


def large_and_same(pairs: Sequence[TensorPair], tolerance: Tolerance) -> list[bool]:
    """For each pair, whether both are of more than a block, and are the same by these tolerances because their bytes are.

    Where bytes differ, the rest of the pair is not read.

    Raises:
        FormatError: A value cannot be read.
    """
    large = [number for number, (a, b) in enumerate(pairs) if a.nbytes > BLOCK and same_if_equal(a, b, tolerance)]
    parts = [part for number in large for part in _parts(number, *pairs[number])]
    different: set[int] = set()

    def compare(part: _Part) -> None:
        if part.number not in different and not _same(part.a, part.b):
            different.add(part.number)

    in_parallel(compare, parts, lambda part: 2 * part.a.nbytes)
    same = set(large) - different
    return [number in same for number in range(len(pairs))]


def same_if_equal(a: Tensor, b: Tensor, tolerance: Tolerance) -> bool:
    """Whether two arrays are the same if their bytes are: of one shape and dtype, and NaN is the same as NaN."""
    has_nan = a.dtype.is_float or "complex" in a.dtype.value
    return a.shape == b.shape and a.dtype is b.dtype and a.dtype not in UNORDERED and (tolerance.equal_nan or not has_nan)


def read_unless_same(a: Tensor, b: Tensor) -> TensorPair | None:
    """Two small arrays with their bytes in memory, so that these are read once; None if they are the same.

    Raises:
        FormatError: A value cannot be read.
    """
    left, right = (b"".join(map(bytes, chunks(tensor, BLOCK))) for tensor in (a, b))
    if left == right:
        return None
    return Tensor(a.dtype, a.shape, InMemory(left)), Tensor(b.dtype, b.shape, InMemory(right))


def _parts(number: int, a: Tensor, b: Tensor) -> Iterator[_Part]:
    if a.nbytes <= PART or not isinstance(a.source, ByteRange) or not isinstance(b.source, ByteRange):
        yield _Part(number, a, b)
        return
    for start in range(0, a.nbytes, PART):
        length = min(PART, a.nbytes - start)
        yield _Part(number, *(Tensor(DType.UINT8, (length,), source.slice(start, length)) for source in (a.source, b.source)))


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of as many bytes have the same ones."""
    # Two memoryviews are compared element by element, a bytearray with anything in one go.
    return all(bytearray(left) == right for left, right in itertools.zip_longest(chunks(a, BLOCK), chunks(b, BLOCK), fillvalue=b""))
