"""The numbers of a difference against plain numpy over whole arrays, whatever blocks the sources yield."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kmodel_tools.differ.values import Difference, Tolerance, difference, unravel
from kmodel_tools.elements import arrays
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import DType, Tensor, canonical_strings
from tests.strategies import SHAPES

Array = npt.NDArray[Any]
EXACT = Tolerance()


@dataclass(frozen=True)
class Uneven:
    """A source that yields blocks of any size, not at the ends of elements."""

    data: bytes
    sizes: tuple[int, ...]

    def blocks(self, limit: int) -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(self.data):
            size = min(self.sizes[turn % len(self.sizes)], limit)
            yield self.data[at : at + size]
            at, turn = at + size, turn + 1


def uneven(array: Array, sizes: tuple[int, ...]) -> Tensor:
    dtype = DType(array.dtype.name)
    return Tensor(dtype, array.shape, Uneven(array.astype(dtype.numpy()).tobytes(), sizes))


def oracle(a: Array, b: Array, tolerance: Tolerance) -> dict[str, Any]:
    """What numpy says of two whole arrays of floats."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    with np.errstate(all="ignore"):
        close = np.isclose(x, y, tolerance.rtol, tolerance.atol, tolerance.equal_nan)
        distance = np.where(x == y, 0.0, np.abs(x - y))
    numbers = ~(np.isnan(x) | np.isnan(y))
    kept = distance[numbers]
    return {"changed": int((~close).sum()), "max_abs": float(kept.max(initial=0.0)), "nans": int((~close & ~numbers).sum())}


FLOATS = st.sampled_from(["float64", "float32", "float16", "bfloat16", "float8_e4m3fn"])
BLOCKS = st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple)
TOLERANCES = st.builds(Tolerance, st.sampled_from([0.0, 0.1, 1e-3]), st.sampled_from([0.0, 1e-2, 1.0]), st.booleans())


@st.composite
def pairs_of_floats(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two arrays of one shape, of which the second is often near or equal to the first."""
    shape = draw(SHAPES)
    special = st.sampled_from([0.0, -0.0, 1.0, -2.5, np.nan, np.inf, -np.inf, 0.1])
    elements = st.one_of(special, st.floats(-100, 100))
    a = draw(hnp.arrays(np.float64, shape, elements=elements))
    b = np.where(draw(hnp.arrays(np.bool_, shape)), a, draw(hnp.arrays(np.float64, shape, elements=elements)))
    with np.errstate(all="ignore"):
        return tuple(item.astype(DType(draw(FLOATS)).numpy()) for item in (a, b))  # type: ignore[return-value]


@given(pairs_of_floats(), BLOCKS, BLOCKS, TOLERANCES)
def test_floats_of_any_precision(
    pair: tuple[Array, Array], sizes_a: tuple[int, ...], sizes_b: tuple[int, ...], tolerance: Tolerance
) -> None:
    a, b = pair
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "__defaults__", (7,))
        found = difference(uneven(a, sizes_a), uneven(b, sizes_b), tolerance)
    expected = oracle(a, b, tolerance)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.size == a.size
    x, y = a.astype(np.float64), b.astype(np.float64)
    if found.index is not None:
        assert (float(found.value_a), float(found.value_b)) == pytest.approx((float(x[found.index]), float(y[found.index])), nan_ok=True)  # type: ignore[arg-type]
        assert found.nans == 0 or math.isnan(x[found.index]) or math.isnan(y[found.index])
    else:
        assert found.changed == 0
        assert found.max_abs == 0
    both_nan = np.isnan(x) & np.isnan(y) & tolerance.equal_nan
    x, y = np.where(both_nan, 0, x), np.where(both_nan, 0, y)
    numbers = ~(np.isnan(x) | np.isnan(y))
    if np.isfinite(x[numbers]).all() and np.isfinite(y[numbers]).all() and numbers.any():
        assert found.rms == pytest.approx(math.sqrt(float(np.mean((x[numbers] - y[numbers]) ** 2))), rel=1e-9)


@given(pairs_of_floats())
def test_a_tolerance_of_the_largest_relative_difference_is_enough(pair: tuple[Array, Array]) -> None:
    tensors = [Tensor.of(array.astype(np.float64)) for array in pair]
    found = difference(tensors[0], tensors[1], EXACT)
    assert found.max_rel is not None
    if math.isfinite(found.max_rel) and not found.nans:
        assert difference(tensors[0], tensors[1], Tolerance(rtol=found.max_rel * (1 + 1e-12))).changed == 0


INTEGERS = st.sampled_from(["int64", "int32", "int8", "uint8", "uint64", "bool"])


@given(INTEGERS.flatmap(lambda name: hnp.arrays(name, 9)), INTEGERS.flatmap(lambda name: hnp.arrays(name, 9)), BLOCKS)
def test_integers_are_compared_exactly_whatever_the_tolerances(a: Array, b: Array, sizes: tuple[int, ...]) -> None:
    found = difference(uneven(a, sizes), Tensor.of(b), Tolerance(1.0, 1e30))
    left, right = [int(item) for item in a.tolist()], [int(item) for item in b.tolist()]
    assert found.changed == sum(x != y for x, y in zip(left, right, strict=True))
    assert found.max_abs == float(max(abs(x - y) for x, y in zip(left, right, strict=True)))


def test_int4_and_complex() -> None:
    small = np.array([1, -8, 7], dtype=ml_dtypes.int4)
    other = np.array([1, 7, 7], dtype=ml_dtypes.int4)
    found = difference(Tensor.of(small), Tensor.of(other), EXACT)
    assert (found.changed, found.max_abs, found.index, found.value_a, found.value_b) == (1, 15.0, (1,), -8, 7)
    found = difference(Tensor.of(np.array([1 + 2j])), Tensor.of(np.array([1 + 5j], dtype=np.complex64)), EXACT)
    assert (found.changed, found.max_abs, found.value_b) == (1, 3.0, "(1+5j)")


@given(pairs_of_floats())
def test_what_is_only_rounded_is_said_to_be(pair: tuple[Array, Array]) -> None:
    wide = pair[0].astype(np.float64)
    with np.errstate(all="ignore"):
        narrow = wide.astype(np.float32)
    assert difference(Tensor.of(wide), Tensor.of(narrow), EXACT).rounded_to == ("float32" if wide.size else None)
    assert difference(Tensor.of(narrow), Tensor.of(wide), EXACT).rounded_to == ("float32" if wide.size else None)
    assert difference(Tensor.of(wide), Tensor.of(wide), EXACT).rounded_to is None
    off = np.nan_to_num(narrow, posinf=1, neginf=1) + np.float32(1e4)
    assert difference(Tensor.of(wide), Tensor.of(off), EXACT).rounded_to is None


def test_the_worst_is_beyond_the_tolerances_if_anything_is() -> None:
    a, b = np.array([100.0, 1.0, 0.0]), np.array([101.0, 1.5, 0.0])
    assert difference(Tensor.of(a), Tensor.of(b), EXACT).index == (0,)
    found = difference(Tensor.of(a), Tensor.of(b), Tolerance(rtol=0.1))
    assert (found.index, found.changed, found.max_abs) == ((1,), 1, 1.0)
    assert difference(Tensor.of(a), Tensor.of(b), Tolerance(rtol=1.0)).index == (0,)


def test_blocks_that_are_equal_count_for_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "__defaults__", (4,))
    a = np.zeros(16)
    b = a.copy()
    b[5] = b[9] = 2.0
    found = difference(Tensor.of(a), Tensor.of(b), EXACT)
    assert found.rms == math.sqrt(8 / 16)
    assert found.index == (5,)  # the first of those that differ most


def test_infinity_is_near_to_nothing() -> None:
    a, b = np.array([np.inf, 1.0]), np.array([np.inf, np.inf])
    assert difference(Tensor.of(a), Tensor.of(b), Tolerance(rtol=1.0, atol=1e30)).changed == 1


def test_not_a_number() -> None:
    a, b = np.array([np.nan, np.nan, 1.0]), np.array([np.nan, 2.0, 1.0])
    found = difference(Tensor.of(a), Tensor.of(b), Tolerance(atol=1e9))
    assert (found.changed, found.nans, found.index, found.max_abs) == (1, 1, (1,), 0.0)
    assert difference(Tensor.of(a), Tensor.of(a), Tolerance(equal_nan=False)).changed == 2


def test_strings_differ_or_do_not() -> None:
    data = canonical_strings([b"one", b"", b"three" * 10])
    a = Tensor(DType.STRING, (3,), Uneven(data, (1, 5, 2)))
    b = Tensor.of(np.array(["one", "two", "three"], dtype=object))
    found = difference(a, b, EXACT)
    assert (found.changed, found.index, found.value_a, found.value_b, found.max_abs) == (2, (1,), "", "two", None)
    assert difference(a, a, EXACT) == Difference(3)


def test_a_source_that_is_too_long_is_an_error() -> None:
    long = Tensor(DType.FLOAT64, (10,), Uneven(bytes(88), (8,)))
    with pytest.raises(CorruptFileError, match="more than the 80 bytes"):
        difference(Tensor.of(np.zeros(10)), long, EXACT)


def test_opaque_bytes() -> None:
    a, b = (Tensor(DType.OPAQUE, (2,), Uneven(data, (3,))) for data in (b"abcdefgh", b"abcdefgX"))
    assert difference(a, a, EXACT).changed == 0
    assert difference(a, b, EXACT).changed == 2


def test_a_source_that_is_cut_short_is_an_error() -> None:
    whole = Tensor.of(np.zeros(10))
    short = Tensor(DType.FLOAT64, (10,), Uneven(bytes(72), (8,)))
    with pytest.raises(CorruptFileError, match="72 bytes where its shape"):
        difference(short, short, EXACT)
    with pytest.raises(CorruptFileError):
        difference(whole, short, EXACT)


@given(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5), st.data())
def test_unravel_is_numpys(shape: tuple[int, ...], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, math.prod(shape) - 1))
    assert unravel(place, shape) == tuple(int(item) for item in np.unravel_index(place, shape))


@dataclass(frozen=True)
class Counted:
    """Numbers that are made when they are asked for: as large as one likes."""

    elements: int
    step: int

    def blocks(self, limit: int) -> Iterator[bytes]:
        size = max(1, limit // 4)
        for start in range(0, self.elements, size):
            yield (np.arange(start, min(start + size, self.elements), dtype=np.float32) * self.step).astype("<f4").tobytes()


def test_memory_stays_bounded() -> None:
    elements = 20_000_000
    a, b = (Tensor(DType.FLOAT32, (elements,), Counted(elements, step)) for step in (1, 2))
    tracemalloc.start()
    try:
        found = difference(a, b, EXACT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.changed == elements - 1
    assert peak < elements * 4 / 2, peak


def test_blocks_of_ordinary_and_of_extreme_values_are_counted_together() -> None:
    """What is counted the quick way and the careful way in one array: finite values, very large ones, infinities, NaN, tiny distances."""
    size = 1 << 16
    numbers = np.random.default_rng(7)
    a = numbers.standard_normal(6 * size)
    b = a + numbers.standard_normal(6 * size) * 1e-3
    a[size : 2 * size] *= 1e200
    b[2 * size : 3 * size] = a[2 * size : 3 * size] * (1 + 1e-160)  # the same after all
    b[3 * size : 4 * size] = np.zeros(size)
    a[3 * size : 4 * size] = 1e-200
    a[4 * size + 5], b[4 * size + 6] = np.nan, np.nan
    a[5 * size :], b[5 * size :] = 0, 0
    for tolerance in (EXACT, Tolerance(1e-3, 1e-4)):
        found = difference(uneven(a, (1 << 19,)), uneven(b, (1 << 18,)), tolerance)
        expected = oracle(a, b, tolerance)
        assert (found.changed, found.nans) == (expected["changed"], expected["nans"])
        assert found.max_abs == expected["max_abs"]
        both = ~(np.isnan(a) | np.isnan(b))
        with np.errstate(all="ignore"):
            distance, largest = np.abs(a - b)[both], np.abs(a - b)[both].max()
            assert found.rms == pytest.approx(largest * np.sqrt(np.square(distance / largest).sum() / both.sum()), rel=1e-9)
        assert found.max_rel == math.inf
        assert found.index is not None
        assert found.index[0] in (4 * size + 5, 4 * size + 6)
