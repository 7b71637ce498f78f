"""How far two arrays are apart: element by element, in blocks, never both of them whole in memory.

Two numbers are the same if ``|a - b| <= atol + rtol * |b|``, as in numpy; infinities only if they are equal. Integers,
booleans and strings are the same or not, whatever the tolerances are. Floats of two precisions are compared as float64, which holds
each value of every one of them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.elements import ELEMENTS, chunks
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import LENGTH, DType, Shape, Tensor

COMPLEX = frozenset({DType.COMPLEX64, DType.COMPLEX128})
UNORDERED = frozenset({DType.STRING, DType.OPAQUE})

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
    return examined(a, b, tolerance)[0]


def examined(a: Tensor, b: Tensor, tolerance: Tolerance) -> tuple[Difference, bool]:
    """As `difference`, and whether the two may hold the same values in another order; if not, nobody need look for it."""
    if a.dtype in UNORDERED or b.dtype in UNORDERED:
        found = _unordered(a, b)
        return found, found.changed > 1
    from kmodel_tools.differ.tally import tallied  # loads NumPy

    tally = tallied(a, b, tolerance)
    return tally.result(a.shape), tally.may_be_rearranged


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
