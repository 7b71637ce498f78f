"""How far two arrays are apart: element by element, in blocks, never both of them whole in memory.

Two numbers are the same if ``|a - b| <= atol + rtol * |b|``, as in numpy; infinities only if they are equal. Integers,
booleans and strings are the same or not, whatever the tolerances are. Floats of two precisions are compared as float64, which holds
each value of every one of them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmodel_tools.elements import ELEMENTS, arrays, chunks
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import LENGTH, DType, Shape, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

COMPLEX = frozenset({DType.COMPLEX64, DType.COMPLEX128})
UNORDERED = frozenset({DType.STRING, DType.OPAQUE})
WITHIN, BEYOND, NAN = 0, 1, 2
"""Which difference is worse than another of any size: within the tolerances, beyond them, NaN on one side."""

Scalar = int | float | str


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What counts as the same number: `rtol` is relative to `b`; `equal_nan` says whether NaN equals NaN."""

    rtol: float = 0.0
    atol: float = 0.0
    equal_nan: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two arrays of one shape are apart.

    Attributes:
        size: Number of elements.
        changed: Number of elements that differ beyond the tolerances.
        max_abs: Largest ``|a - b|``, or None where elements have no distance (strings). NaN is left out of it.
        max_rel: Largest ``|a - b| / |b|``; infinite where `b` is zero and `a` is not.
        rms: Root of the mean of ``(a - b)**2``; what is NaN on one side is left out, what is NaN on both is no difference.
        index: Place of the element that differs most, one beyond the tolerances before one within; None if all are equal.
        value_a: The value of `a` there.
        value_b: The value of `b` there.
        nans: Number of elements that are NaN in one of the two, and count as changed.
        cosine: Cosine of the angle between the two as vectors, 1 for one that is the other scaled; None where one has no direction:
            all zeros, or a value that is not finite.
        rounded_to: The narrower of two float dtypes if its values are exactly those of the other, rounded to it.
    """

    size: int
    changed: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    rms: float | None = None
    index: Shape | None = None
    value_a: Scalar | None = None
    value_b: Scalar | None = None
    nans: int = 0
    cosine: float | None = None
    rounded_to: str | None = None

    @property
    def fraction(self) -> float:
        """The part of all elements that changed, 0 for an empty array."""
        return self.changed / self.size if self.size else 0.0


def kind_of(dtype: DType) -> str:
    """What elements are: `float` (complex too), `integer`, or the dtype's own name."""
    if dtype.is_float or dtype in COMPLEX:
        return "float"
    return "integer" if "int" in dtype.value else dtype.value


def difference(a: Tensor, b: Tensor, tolerance: Tolerance) -> Difference:
    """Compare two tensors of as many elements, in C order; dtypes may differ as long as both hold numbers.

    Raises:
        CorruptFileError: A source delivers more or fewer bytes than its shape needs.
        FileChangedError: A file was changed.
    """
    if a.dtype in UNORDERED or b.dtype in UNORDERED:
        return _unordered(a, b)
    import numpy as np

    tally = _Tally(a, b, tolerance)
    start = 0
    for left, right in zip(arrays(a), arrays(b), strict=True):
        if tally.may_skip and np.array_equal(left.view(np.uint8), right.view(np.uint8)):
            tally.add_same(left)
            start += left.size
            continue
        tally.add(left, right, start)
        start += left.size
    return tally.result(a.shape)


class _Tally:
    """What is known of the difference of two arrays after some of their blocks."""

    def __init__(self, a: Tensor, b: Tensor, tolerance: Tolerance) -> None:
        self.a, self.b, self.tolerance = a, b, tolerance
        self.exact = not (a.dtype.is_float or b.dtype.is_float or a.dtype in COMPLEX or b.dtype in COMPLEX)
        self.may_skip = a.dtype is b.dtype and (self.exact or tolerance.equal_nan)
        self.changed = self.nans = self.numbers = 0
        self.max_abs = self.max_rel = 0.0
        self.scale, self.squares = 0.0, 0.0  # their sum is scale**2 * squares, which neither overflows nor vanishes
        self.product, self.of_a, self.of_b = 0.0, 0.0, 0.0  # of a and b, of a with itself, of b with itself
        self.worst: tuple[int, float] = (WITHIN, 0.0)
        self.at: tuple[int, Scalar, Scalar] | None = None
        self.narrow = _narrower(a.dtype, b.dtype)
        self.is_rounded = self.narrow is not None

    def add_same(self, block: npt.NDArray[Any]) -> None:
        """Count a block that is the same on both sides."""
        import numpy as np

        self.numbers += block.size
        with np.errstate(all="ignore"):
            wide = block if block.dtype in (np.float32, np.float64) else _wide(block)
            square = float(np.vdot(wide, wide).real)
        self.product, self.of_a, self.of_b = self.product + square, self.of_a + square, self.of_b + square

    def add(self, left: npt.NDArray[Any], right: npt.NDArray[Any], start: int) -> None:
        import numpy as np

        with np.errstate(all="ignore"):
            distance, far, nan = _apart_exactly(left, right) if self.exact else self._apart(left, right)
            self.changed += int(np.count_nonzero(far))
            self.nans += int(np.count_nonzero(nan))
            self._spread(distance, right, nan)
            x, y = _wide(left), _wide(right)
            self.product += float(np.vdot(x, y).real)
            self.of_a += float(np.vdot(x, x).real)
            self.of_b += float(np.vdot(y, y).real)
            self._keep_worst(left, right, start, distance, far, nan)
            if self.is_rounded and self.narrow is not None:
                self.is_rounded = _rounds_to(left, right, self.narrow)

    def _apart(self, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Distances, which of them are too large, and where one value is NaN and should not be."""
        import numpy as np

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

    def _spread(self, distance: npt.NDArray[Any], right: npt.NDArray[Any], nan: npt.NDArray[Any]) -> None:
        import numpy as np

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
        left: npt.NDArray[Any],
        right: npt.NDArray[Any],
        start: int,
        distance: npt.NDArray[Any],
        far: npt.NDArray[Any],
        nan: npt.NDArray[Any],
    ) -> None:
        import numpy as np

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

    def result(self, shape: Shape) -> Difference:
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


def _apart_exactly(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Distances of integers and booleans, which differ however close they are; exact before they become float64."""
    import numpy as np

    unsigned = [array.dtype == np.uint64 for array in (left, right)]
    kind: Any = np.uint64 if all(unsigned) else object if any(unsigned) else np.int64
    x, y = left.astype(kind), right.astype(kind)
    distance = np.where(x > y, x - y, y - x)
    if kind is np.int64:
        distance = distance.view(np.uint64)  # what overflowed is right modulo 2**64
    return distance.astype(np.float64), np.asarray(x != y, dtype=bool), np.zeros(left.shape, dtype=bool)


def _wide(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import numpy as np

    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _as_numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import numpy as np

    return array if array.dtype.kind == "c" else array.astype(np.float64)


def _narrower(a: DType, b: DType) -> DType | None:
    """The narrower of two float dtypes of which one holds all values of the other."""
    if not (a.is_float and b.is_float) or a.itemsize == b.itemsize:
        return None
    return min(a, b, key=lambda dtype: dtype.itemsize or 0)


def _rounds_to(left: npt.NDArray[Any], right: npt.NDArray[Any], narrow: DType) -> bool:
    import numpy as np

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


def unravel(place: int, shape: Shape) -> Shape:
    """The index of the element at a place in C order."""
    index: list[int] = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return tuple(reversed(index))


def _unordered(a: Tensor, b: Tensor) -> Difference:
    """Elements that are the same or not: strings, opaque ones, and any of them against numbers."""
    if a.dtype is not b.dtype:
        return Difference(a.size, changed=a.size)
    if a.dtype is DType.OPAQUE:
        same = all(left == right for left, right in _opaque_blocks(a, b))
        return Difference(a.size, changed=0 if same else a.size)
    changed, first = 0, None
    for place, (left, right) in enumerate(zip(strings(a), strings(b), strict=True)):
        if left != right:
            changed += 1
            first = first or (place, left, right)
    if first is None:
        return Difference(a.size)
    place, left, right = first
    texts = left.decode("utf-8", "backslashreplace"), right.decode("utf-8", "backslashreplace")
    return Difference(a.size, changed, index=unravel(place, a.shape), value_a=texts[0], value_b=texts[1])


def _opaque_blocks(a: Tensor, b: Tensor) -> Iterator[tuple[bytes, bytes]]:
    import itertools

    for left, right in itertools.zip_longest(chunks(a, ELEMENTS), chunks(b, ELEMENTS), fillvalue=b""):
        yield bytes(left), bytes(right)


def strings(tensor: Tensor) -> Iterator[bytes]:
    """The elements of a string tensor in C order, one at a time.

    Raises:
        CorruptFileError: There are more or fewer of them than the shape needs.
    """
    pending = bytearray()
    count = 0
    for block in tensor.blocks():
        pending += block
        at = 0
        while at + LENGTH.size <= len(pending):
            (length,) = LENGTH.unpack_from(pending, at)
            if at + LENGTH.size + length > len(pending):
                break
            at += LENGTH.size
            yield bytes(pending[at : at + length])
            at += length
            count += 1
        del pending[:at]
    if pending or count != tensor.size:
        raise CorruptFileError(f"holds {count} strings where its shape {tensor.shape} needs {tensor.size}")
