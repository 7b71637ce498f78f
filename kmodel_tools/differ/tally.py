"""Counting how far two arrays are apart, block by block.

Most arrays are of finite floats. Theirs is the quick way: a dozen passes over a block that stays in the processor's cache, in room that is
used again. Integers, complex numbers, NaN, infinities, and what is near the ends of the range, take the careful one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from kmodel_tools.differ.values import COMPLEX, Difference, Scalar, Tolerance, unravel
from kmodel_tools.elements import ELEMENTS, arrays
from kmodel_tools.tensor import DType, Shape, Tensor

Array = npt.NDArray[Any]

WITHIN, BEYOND, NAN = 0, 1, 2
"""Which difference is worse than another of any size: within the tolerances, beyond them, NaN on one side."""
LARGE, SMALL = 1e300, 1e-140
"""Sums of squares below the one, and distances above the other, neither overflow nor vanish when they are squared."""


def tallied(a: Tensor, b: Tensor, tolerance: Tolerance) -> Tally:
    """Compare two tensors of as many numbers, in C order.

    Raises:
        CorruptFileError: A source delivers more or fewer bytes than its shape needs.
        FileChangedError: A file was changed.
    """
    tally = Tally(a, b, tolerance)
    start = 0
    for left, right in zip(arrays(a), arrays(b), strict=True):
        if tally.may_skip and bytearray(left.view(np.uint8).data) == right.view(np.uint8).data:
            tally.add_same(left)
        else:
            tally.add(left, right, start)
        start += left.size
    return tally


class Tally:
    """What is known of the difference of two arrays after some of their blocks."""

    def __init__(self, a: Tensor, b: Tensor, tolerance: Tolerance) -> None:
        self.a, self.b, self.tolerance = a, b, tolerance
        self.exact = not (a.dtype.is_float or b.dtype.is_float or a.dtype in COMPLEX or b.dtype in COMPLEX)
        self.is_real = a.dtype.is_float and b.dtype.is_float
        self.room = np.empty((3, min(ELEMENTS, a.size) if self.is_real else 0))
        self.may_skip = a.dtype is b.dtype and (self.exact or tolerance.equal_nan)
        self.changed = self.nans = self.numbers = 0
        self.max_abs = self.max_rel = 0.0
        self.scale, self.squares = 0.0, 0.0  # their sum is scale**2 * squares, which neither overflows nor vanishes
        self.product, self.of_a, self.of_b = 0.0, 0.0, 0.0  # of a and b, of a with itself, of b with itself
        self.worst: tuple[int, float] = (WITHIN, 0.0)
        self.at: tuple[int, Scalar, Scalar] | None = None
        self.narrow = _narrower(a.dtype, b.dtype)
        self.is_rounded = self.narrow is not None

    def add_same(self, block: Array) -> None:
        """Count a block that is the same on both sides."""
        self.numbers += block.size
        with np.errstate(all="ignore"):
            wide = _wide(block)
            square = _product(wide, wide)
        self.product, self.of_a, self.of_b = self.product + square, self.of_a + square, self.of_b + square

    def add(self, left: Array, right: Array, start: int) -> None:
        """Count two blocks that begin at the element `start`."""
        if self.is_real and self._add_finite(left, right, start):
            return
        with np.errstate(all="ignore"):
            distance, far, nan = _apart_exactly(left, right) if self.exact else self._apart(left, right)
            self.changed += int(np.count_nonzero(far))
            self.nans += int(np.count_nonzero(nan))
            self._spread(distance, right, nan)
            x, y = _wide(left), _wide(right)
            self.product += _product(x, y)
            self.of_a += _product(x, x)
            self.of_b += _product(y, y)
            self._keep_worst(left, right, start, distance, far, nan)
            if self.is_rounded and self.narrow is not None:
                self.is_rounded = _rounds_to(left, right, self.narrow)

    def _add_finite(self, left: Array, right: Array, start: int) -> bool:
        """Count two blocks of finite floats; nothing is counted and False returned where a value or a distance is too large or small."""
        x, y, distance = self.room[:, : left.size]
        with np.errstate(all="ignore"):
            np.copyto(x, left)
            np.copyto(y, right)
            np.subtract(x, y, out=distance)
            of_a, of_b, squares = (_product(item, item) for item in (x, y, distance))
            if not (of_a < LARGE and of_b < LARGE):
                return False
            product = _product(x, y)
            np.abs(distance, out=distance)
            largest = float(distance.max(initial=0.0))
            if 0 < largest < SMALL:
                return False
            self.numbers += left.size
            self.product, self.of_a, self.of_b = self.product + product, self.of_a + of_a, self.of_b + of_b
            if largest > 0:
                np.abs(y, out=y)
                self._keep_worst_finite(left, right, start, distance, y, largest)
                self._spread_finite(distance, y, largest, squares)
            if self.is_rounded and self.narrow is not None:
                self.is_rounded = _rounds_to(left, right, self.narrow)
        return True

    def _keep_worst_finite(self, left: Array, right: Array, start: int, distance: Array, size: Array, largest: float) -> None:
        """Count what is beyond the tolerances, and keep the worst; `size` is ``|b|``."""
        exactly = not self.tolerance.rtol and not self.tolerance.atol
        far = distance > (0.0 if exactly else self.tolerance.atol + self.tolerance.rtol * size)
        changed = int(np.count_nonzero(far))
        self.changed += changed
        if self.at is not None and (BEYOND if changed else WITHIN, largest) <= self.worst:
            return
        place = int((distance if exactly or not changed else np.where(far, distance, -1.0)).argmax())
        found = (BEYOND if changed else WITHIN, float(distance[place]))
        if self.at is None or found > self.worst:
            self.worst = found
            self.at = (start + place, _scalar(left[place]), _scalar(right[place]))

    def _spread_finite(self, distance: Array, size: Array, largest: float, squares: float) -> None:
        """Note the largest distances and the sum of their squares; `size` is ``|b|``, and `distance` is overwritten."""
        self.max_abs = max(self.max_abs, largest)
        if largest > self.scale:
            self.squares *= (self.scale / largest) ** 2
            self.scale = largest
        if math.isfinite(self.scale):
            self.squares += (largest / self.scale) ** 2 * (squares / largest / largest)
        np.divide(distance, size, out=distance)  # NaN where both are zero, which is no distance
        self.max_rel = max(self.max_rel, float(np.fmax.reduce(distance)))

    def _apart(self, left: Array, right: Array) -> tuple[Array, Array, Array]:
        """Distances, which of them are too large, and where one value is NaN and should not be."""
        wide = np.complex128 if self.a.dtype in COMPLEX or self.b.dtype in COMPLEX else np.float64
        x, y = left.astype(wide), right.astype(wide)
        same = x == y
        is_nan = np.isnan(x) | np.isnan(y)
        if self.tolerance.equal_nan:
            same |= np.isnan(x) & np.isnan(y)
        distance = np.abs(x - y)
        distance[same | is_nan] = 0
        close = distance <= self.tolerance.atol + self.tolerance.rtol * np.abs(y)
        close &= np.isfinite(x) & np.isfinite(y)
        return distance, ~(same | close), is_nan & ~same

    def _spread(self, distance: Array, right: Array, nan: Array) -> None:
        self.numbers += int(distance.size - np.count_nonzero(nan))
        largest = float(distance.max(initial=0.0))
        if largest == 0:
            return
        self.max_abs = max(self.max_abs, largest)
        apart = distance > 0
        relative = distance[apart] / np.abs(_as_numbers(right[apart]))
        relative[np.isnan(relative)] = np.inf
        self.max_rel = max(self.max_rel, float(relative.max()))
        if largest > self.scale:
            self.squares *= (self.scale / largest) ** 2 if math.isfinite(largest) else 0.0
            self.scale = largest
        if math.isfinite(self.scale):
            self.squares += float(np.square(distance / self.scale).sum())

    def _keep_worst(
        self,
        left: Array,
        right: Array,
        start: int,
        distance: Array,
        far: Array,
        nan: Array,
    ) -> None:
        if nan.any():
            tier, place = NAN, int(nan.argmax())
        elif far.any():
            tier, place = BEYOND, int(np.where(far, distance, -1.0).argmax())
        elif distance.any():
            tier, place = WITHIN, int(distance.argmax())
        else:
            return
        found = (tier, float(distance[place]))
        if self.at is None or found > self.worst:
            self.worst = found
            self.at = (start + place, _scalar(left[place]), _scalar(right[place]))

    def _cosine(self) -> float | None:
        length = math.sqrt(self.of_a) * math.sqrt(self.of_b) if self.of_a > 0 and self.of_b > 0 else 0.0
        if not length or not math.isfinite(length) or not math.isfinite(self.product):
            return None
        return max(-1.0, min(1.0, self.product / length))

    @property
    def may_be_rearranged(self) -> bool:
        """Whether the two could hold the same numbers in another order: then the sums of their squares would be the same."""
        if self.changed < 2:
            return False  # to move a value takes two places
        return not (self.of_a < LARGE and self.of_b < LARGE) or math.isclose(self.of_a, self.of_b, rel_tol=1e-6)

    def result(self, shape: Shape) -> Difference:
        """What is known, of arrays of a shape."""
        rms = math.inf if math.isinf(self.scale) else self.scale * math.sqrt(self.squares / self.numbers) if self.numbers else 0.0
        place, value_a, value_b = self.at or (None, None, None)
        return Difference(
            size=self.a.size,
            changed=self.changed,
            max_abs=self.max_abs,
            max_rel=self.max_rel,
            rms=rms,
            index=None if place is None else unravel(place, shape),
            value_a=value_a,
            value_b=value_b,
            nans=self.nans,
            cosine=self._cosine(),
            rounded_to=self.narrow.value if self.is_rounded and self.narrow is not None and self.a.size else None,
        )


def _apart_exactly(left: Array, right: Array) -> tuple[Array, Array, Array]:
    """Distances of integers and booleans, which differ however close they are; exact before they become float64."""
    unsigned = [array.dtype == np.uint64 for array in (left, right)]
    kind: Any = np.uint64 if all(unsigned) else object if any(unsigned) else np.int64
    x, y = left.astype(kind), right.astype(kind)
    distance = np.where(x > y, x - y, y - x)
    if kind is np.int64:
        distance = distance.view(np.uint64)  # what overflowed is right modulo 2**64
    return distance.astype(np.float64), np.asarray(x != y, dtype=bool), np.zeros(left.shape, dtype=bool)


def _product(x: Array, y: Array) -> float:
    """The real part of the sum of ``x * conj(y)``.

    Not by BLAS, whose own threads wait for each other at every block, and on a busy machine for many times what they compute.
    """
    return float(np.einsum("i,i->", x, y.conj() if y.dtype.kind == "c" else y).real)


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _as_numbers(array: Array) -> Array:
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def _narrower(a: DType, b: DType) -> DType | None:
    """The narrower of two float dtypes of which one holds all values of the other."""
    if not (a.is_float and b.is_float) or a.itemsize == b.itemsize:
        return None
    return min(a, b, key=lambda dtype: dtype.itemsize or 0)


def _rounds_to(left: Array, right: Array, narrow: DType) -> bool:
    dtype = narrow.numpy()
    x, y = left.astype(dtype).astype(np.float64), right.astype(dtype).astype(np.float64)
    return bool(((x == y) | (np.isnan(x) & np.isnan(y))).all())


def _scalar(value: Any) -> Scalar:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, complex):
        return str(plain)
    if isinstance(plain, (bool, int, float)):
        return plain
    return float(plain) if "float" in value.dtype.name else int(plain)
