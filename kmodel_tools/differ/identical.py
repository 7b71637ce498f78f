"""Which pairs of arrays hold the same bytes: recognised before anything is decoded, at the speed of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmodel_tools.differ.values import UNORDERED, Tolerance
from kmodel_tools.elements import chunks
from kmodel_tools.parallel import in_parallel
from kmodel_tools.tensor import BLOCK, ByteRange, DType, Tensor

PART = 32 << 20
"""Bytes of an array that one thread compares, so that all of them have something to do where one array is most of a model."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is compared in one go: of the pair with this number, all, or bytes of both that lie in files as they are."""

    number: int
    a: Tensor
    b: Tensor


def identical(pairs: Sequence[tuple[Tensor, Tensor]], tolerance: Tolerance) -> list[bool]:
    """For each pair, whether both are of one shape and dtype, have the same bytes, and are the same by these tolerances for that.

    Where bytes differ, the rest of the pair is not read.

    Raises:
        FormatError: A value cannot be read.
    """
    parts = [part for number, (a, b) in enumerate(pairs) if _comparable(a, b, tolerance) for part in _parts(number, a, b)]
    different: set[int] = set()

    def compare(part: _Part) -> None:
        if part.number not in different and not _same(part.a, part.b):
            different.add(part.number)

    in_parallel(compare, parts, lambda part: 2 * part.a.nbytes)
    same = {part.number for part in parts} - different
    return [number in same for number in range(len(pairs))]


def _comparable(a: Tensor, b: Tensor, tolerance: Tolerance) -> bool:
    has_nan = a.dtype.is_float or "complex" in a.dtype.value
    return a.shape == b.shape and a.dtype is b.dtype and a.dtype not in UNORDERED and (tolerance.equal_nan or not has_nan)


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
