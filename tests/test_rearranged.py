"""Tensors that are made of others when they are read, against NumPy: any shape, axes, elements, nesting and blocks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodel_tools.damaged import damage_of, damaged_tensor
from kmodel_tools.derived import add, cast, polynomial, scale
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.rearranged import concatenate, flip, reshape, take, transpose
from kmodel_tools.tensor import Buffer, ByteRange, DType, InMemory, Tensor
from tests.test_elements import Uneven

Array = npt.NDArray[Any]
KINDS = ["float64", "float32", "float16", "bfloat16", "int8", "int64", "bool"]


def numpy_dtype(kind: str) -> npt.DTypeLike:
    return ml_dtypes.bfloat16 if kind == "bfloat16" else np.dtype(kind)


@dataclass(frozen=True)
class Both:
    """A tensor, and the array that it stands for."""

    tensor: Tensor
    array: Array


def values(shape: Sequence[int], kind: str) -> Array:
    count = int(np.prod(shape, dtype=int))
    return ((np.arange(count) * 37 % 101 - 50) / 8).astype(numpy_dtype(kind)).reshape(tuple(shape))


@st.composite
def leaves(draw: st.DrawFn, shape: tuple[int, ...] | None = None, kind: str | None = None) -> Both:
    sizes = draw(st.lists(st.integers(0, 5), max_size=4)) if shape is None else shape
    array = values(sizes, kind or draw(st.sampled_from(KINDS)))
    tensor = Tensor.of(array)
    if draw(st.booleans()):
        tensor = Tensor(tensor.dtype, tensor.shape, Uneven(array.tobytes(), draw(st.integers(1, 40))))
    return Both(tensor, array)


def _transposed(draw: st.DrawFn, item: Both) -> Both:
    axes = draw(st.permutations(range(item.array.ndim)))
    return Both(transpose(item.tensor, axes), np.transpose(item.array, axes))


def _flipped(draw: st.DrawFn, item: Both) -> Both:
    axes = draw(st.lists(st.integers(0, item.array.ndim - 1), unique=True)) if item.array.ndim else []
    return Both(flip(item.tensor, axes), np.flip(item.array, tuple(axes)))


def _reshaped(draw: st.DrawFn, item: Both) -> Both:
    shape = draw(st.sampled_from([(-1,), (1, item.array.size), (*item.array.shape[::-1],), (*item.array.shape, 1)]))
    if item.array.size == 0 and -1 in shape:
        shape = (0,)
    return Both(reshape(item.tensor, shape), item.array.reshape(shape))


def _taken(draw: st.DrawFn, item: Both) -> Both:
    if item.array.ndim == 0:
        return item
    axis = draw(st.integers(-item.array.ndim, item.array.ndim - 1))
    parts = draw(st.sampled_from([count for count in range(1, 6) if item.array.shape[axis] % count == 0]))
    part = draw(st.integers(0, parts - 1))
    return Both(take(item.tensor, axis, part, parts), np.split(item.array, parts, axis)[part])


def _joined(draw: st.DrawFn, item: Both) -> Both:
    if item.array.ndim == 0:
        return item
    axis = draw(st.integers(-item.array.ndim, item.array.ndim - 1))
    others = []
    for _ in range(draw(st.integers(0, 3))):
        shape = list(item.array.shape)
        shape[axis] = draw(st.integers(0, 3))
        others.append(draw(leaves(tuple(shape), item.tensor.dtype.value)))
    every = [item, *others]
    return Both(concatenate([one.tensor for one in every], axis), np.concatenate([one.array for one in every], axis))


def _scaled(draw: st.DrawFn, item: Both) -> Both:
    if not item.tensor.dtype.is_float:
        return item
    factor = draw(st.sampled_from([1.2, -0.5, 1 / 3, 0.0]))
    return Both(scale(item.tensor, factor), (item.array.astype("float64") * factor).astype(item.array.dtype))


def _polynomial(draw: st.DrawFn, item: Both) -> Both:
    if not item.tensor.dtype.is_float:
        return item
    c = draw(st.lists(st.sampled_from([0.5, -2.0, 1e-3]), min_size=1, max_size=3))
    expected = np.polynomial.polynomial.polyval(item.array.astype("float64"), c)
    return Both(polynomial(item.tensor, c), expected.astype(item.array.dtype))


def _added(draw: st.DrawFn, item: Both) -> Both:
    if not item.tensor.dtype.is_float:
        return item
    other = draw(leaves(item.array.shape, item.tensor.dtype.value))
    expected = (item.array.astype("float64") + other.array.astype("float64")).astype(item.array.dtype)
    return Both(add([item.tensor, other.tensor]), expected)


def _cast(draw: st.DrawFn, item: Both) -> Both:
    kind = draw(st.sampled_from(["float32", "float16", "bfloat16"]))
    expected = item.array.astype(numpy_dtype(kind)) if item.tensor.dtype.is_float else item.array
    return Both(cast(item.tensor, DType(kind)), expected)


OPERATIONS: tuple[Callable[[st.DrawFn, Both], Both], ...] = (
    _transposed,
    _flipped,
    _reshaped,
    _taken,
    _joined,
    _scaled,
    _polynomial,
    _added,
    _cast,
)


@st.composite
def nested(draw: st.DrawFn) -> Both:
    item = draw(leaves())
    for operation in draw(st.lists(st.sampled_from(OPERATIONS), max_size=6)):
        item = operation(draw, item)
    return item


@settings(max_examples=400)
@given(nested(), st.integers(1, 100))
def test_every_nesting_is_what_numpy_makes(item: Both, limit: int) -> None:
    tensor, array = item.tensor, item.array
    assert (tensor.shape, tensor.dtype.numpy()) == (array.shape, array.dtype)
    blocks = [bytes(block) for block in tensor.blocks(limit)]
    assert b"".join(blocks) == array.tobytes()
    assert all(len(block) <= max(limit, 8) for block in blocks)
    assert tensor.read().tobytes() == array.tobytes()


@given(nested(), st.sampled_from(OPERATIONS), st.data())
def test_a_source_that_delivers_too_little_or_too_much_is_an_error(item: Both, operation: Any, data: st.DataObject) -> None:
    array = item.array
    change = data.draw(st.sampled_from([b"", array.tobytes()[:-1], array.tobytes() + b"\0"]))
    wrong = Tensor(item.tensor.dtype, array.shape, InMemory(change))
    if array.size == 0 and not change:
        return
    made = operation(data.draw, Both(wrong, array)).tensor
    if made.source is wrong.source and made.shape == wrong.shape:
        return  # nothing to do for the operation
    with pytest.raises(CorruptFileError, match="bytes"):
        made.read()


def test_a_damaged_tensor_makes_damaged_ones() -> None:
    damaged = damaged_tensor(DType.FLOAT32, (4, 4), CorruptFileError("is cut short", path="model.h5"))
    sound = Tensor.of(np.ones((4, 4), "float32"))
    made = [
        transpose(damaged, (1, 0)),
        flip(damaged, (0,)),
        reshape(damaged, (2, 8)),
        take(damaged, 0, 1, 2),
        concatenate([sound, damaged], 0),
        scale(damaged, 2.0),
        polynomial(damaged, (1.0, 2.0)),
        add([sound, damaged]),
        cast(damaged, DType.FLOAT16),
    ]
    for tensor in made[:-1]:
        assert damage_of(tensor) is not None
    for tensor in made:
        with pytest.raises(FormatError, match=r"model\.h5: is cut short"):
            tensor.read()


@pytest.mark.parametrize(
    "make",
    [
        lambda tensor: transpose(tensor, (0,)),
        lambda tensor: transpose(tensor, (0, 0)),
        lambda tensor: transpose(tensor, (0, 2)),
        lambda tensor: flip(tensor, (2,)),
        lambda tensor: flip(tensor, (1, -1)),
        lambda tensor: reshape(tensor, (7,)),
        lambda tensor: reshape(tensor, (-1, 4)),
        lambda tensor: reshape(tensor, (-1, -1)),
        lambda tensor: reshape(tensor, (0, -1)),
        lambda tensor: take(tensor, 0, 0, 3),
        lambda tensor: take(tensor, 0, 2, 2),
        lambda tensor: take(tensor, 5, 0, 1),
        lambda tensor: concatenate([tensor, reshape(tensor, (3, 2))], 0),
        lambda tensor: concatenate([tensor, cast(tensor, DType.FLOAT16)], 0),
        lambda tensor: concatenate([tensor, reshape(tensor, (6,))], 0),
        lambda tensor: add([tensor, reshape(tensor, (3, 2))]),
        lambda tensor: add([tensor, cast(tensor, DType.FLOAT16)]),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_described(make: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(CorruptFileError):
        make(Tensor.of(np.ones((2, 3), "float32")))


def test_strings_are_not_moved_and_integers_are_not_computed_with() -> None:
    strings = Tensor.of(["a", "b"])
    numbers = Tensor.of(np.arange(3))
    attempts: list[Callable[[], Tensor]] = [
        lambda: transpose(strings, (0,)),
        lambda: flip(strings, (0,)),
        lambda: take(strings, 0, 0, 2),
        lambda: concatenate([strings, strings], 0),
        lambda: scale(numbers, 2.0),
        lambda: polynomial(numbers, (1.0,)),
        lambda: add([numbers, numbers]),
    ]
    for attempt in attempts:
        with pytest.raises(UnsupportedFeatureError):
            attempt()


@dataclass(frozen=True)
class Zeros:
    """Many zeros, made on the way."""

    size: int

    def blocks(self, limit: int) -> Iterator[Buffer]:
        for start in range(0, self.size, limit):
            yield bytes(min(limit, self.size - start))


@pytest.mark.parametrize(
    ("make", "arrays"),
    [
        (lambda tensor: scale(tensor, 1.2), 0.1),
        (lambda tensor: add([tensor, tensor]), 0.1),
        (lambda tensor: take(tensor, 1, 1, 4), 0.1),
        (lambda tensor: concatenate([tensor, tensor], 1), 0.1),
        (lambda tensor: transpose(tensor, (1, 0)), 1.25),
        (lambda tensor: transpose(flip(reshape(transpose(tensor, (1, 0)), (2, 2048, 8192)), (0, 1)), (2, 1, 0)), 1.25),
        (lambda tensor: scale(transpose(take(tensor, 1, 0, 4), (1, 0)), 1.2), 0.5),
        (lambda tensor: concatenate([flip(take(tensor, 1, part, 4), (0,)) for part in range(4)], 1), 1.25),
    ],
)
def test_what_is_held_of_a_large_array(make: Callable[[Tensor], Tensor], arrays: float) -> None:
    """Of 128 MB: `arrays` times as much at the most, the blocks that are read at a time included."""
    nbytes = 128 << 20
    tensor = make(Tensor(DType.FLOAT32, (8192, 4096), Zeros(nbytes)))
    tracemalloc.start()
    try:
        total = sum(len(block) for block in tensor.blocks(1 << 16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == tensor.nbytes
    assert peak < arrays * nbytes


def test_a_reshaped_tensor_lies_where_it_lay(tmp_path: Path) -> None:
    path = tmp_path / "values"
    path.write_bytes(values((6,), "float32").tobytes())
    place = ByteRange.of_file(path)
    assert reshape(Tensor(DType.FLOAT32, (6,), place), (2, 3)).byte_range is place


def test_several_moves_directly_upon_one_another() -> None:
    array = values((2, 3, 4), "float32")
    tensor = transpose(flip(reshape(transpose(Tensor.of(array), (2, 0, 1)), (4, 3, 2)), (0, 2)), (1, 2, 0))
    expected = np.flip(array.transpose(2, 0, 1).reshape(4, 3, 2), (0, 2)).transpose(1, 2, 0)
    np.testing.assert_array_equal(tensor.read(), expected)


def test_joined_tensors_are_read_to_their_ends() -> None:
    array = values((2, 3), "float32")
    longer = Tensor(DType.FLOAT32, (2, 3), InMemory(array.tobytes() + b"1234"))
    with pytest.raises(CorruptFileError, match="holds more"):
        list(concatenate([longer, Tensor.of(array)], 1).blocks(8))
