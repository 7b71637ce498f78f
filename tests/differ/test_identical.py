"""Arrays are the same when their bytes are, however they are read; where one byte differs, so is the array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kmodel_tools.differ import identical
from kmodel_tools.differ.arrays import array_changes
from kmodel_tools.differ.identical import large_and_same
from kmodel_tools.differ.values import Tolerance
from kmodel_tools.errors import FileChangedError
from kmodel_tools.tensor import BLOCK, ByteRange, DType, Tensor

SIZE = 5 * BLOCK + 12


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identical, "PART", 2 * BLOCK)


def stored(path: Path, data: bytes) -> Tensor:
    path.write_bytes(b"head" + data)
    return Tensor(DType.FLOAT32, (len(data) // 4,), ByteRange.of_file(path).slice(4, len(data)))


@pytest.mark.parametrize("at", [0, BLOCK - 1, 2 * BLOCK, SIZE - 1])
def test_one_byte_makes_a_large_array_different(at: int, tmp_path: Path) -> None:
    data = np.random.default_rng(1).standard_normal(SIZE // 4, dtype=np.float32).tobytes()
    other = bytearray(data)
    other[at] ^= 1
    a, same, b = stored(tmp_path / "a", data), stored(tmp_path / "same", data), stored(tmp_path / "b", bytes(other))
    assert large_and_same([(a, same), (a, b), (same, a)], Tolerance()) == [True, False, True]
    memory = Tensor.of(np.frombuffer(bytes(other), dtype=np.float32))
    assert large_and_same([(a, memory), (memory, b)], Tolerance()) == [False, True]
    changes = array_changes([("a", a, "a", same), ("b", a, "b", b)], Tolerance())
    assert [(change.path_a, change.values and change.values.changed) for change in changes] == [("b", 1)]
    assert changes[0].values is not None
    assert changes[0].values.index == (at // 4,)


def test_nan_is_looked_for_where_it_is_not_the_same_as_itself() -> None:
    array = np.zeros(SIZE // 4, dtype=np.float32)
    array[-1] = np.nan
    pair = Tensor.of(array), Tensor.of(array)
    assert large_and_same([pair], Tolerance()) == [True]
    assert large_and_same([pair], Tolerance(equal_nan=False)) == [False]
    (change,) = array_changes([("x", pair[0], "x", pair[1])], Tolerance(equal_nan=False))
    assert change.values is not None
    assert change.values.nans == change.values.changed == 1


def test_a_file_that_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    data = bytes(SIZE)
    a, b = stored(tmp_path / "a", data), stored(tmp_path / "b", data)
    (tmp_path / "b").write_bytes(b"x")
    with pytest.raises(FileChangedError):
        array_changes([("x", a, "x", b)], Tolerance())
