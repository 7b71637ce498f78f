"""Elements in blocks that do not know of elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.derived import cast
from kmodel_tools.elements import arrays
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.inspector import statistics
from kmodel_tools.tensor import Buffer, DType, InMemory, Tensor


@dataclass(frozen=True)
class Uneven:
    """A source whose blocks end anywhere, as those of a compressed or sliced array may."""

    data: bytes
    step: int
    byte_range: None = None

    def blocks(self, limit: int) -> Iterator[Buffer]:
        for start in range(0, len(self.data), min(self.step, limit)):
            yield self.data[start : start + min(self.step, limit)]


@given(st.integers(0, 200), st.integers(1, 37), st.integers(1, 50))
def test_every_element_comes_once_whatever_the_blocks(size: int, step: int, at_a_time: int) -> None:
    values = np.arange(size, dtype="float32")
    parts = [part.copy() for part in arrays(Tensor(DType.FLOAT32, (size,), Uneven(values.tobytes(), step)), at_a_time)]
    assert all(len(part) == at_a_time for part in parts[:-1])
    np.testing.assert_array_equal(np.concatenate([np.empty(0, "float32"), *parts]), values)


@pytest.mark.parametrize("step", [1, 3, 4, 7, 1000])
def test_values_are_rounded_and_counted_whatever_the_blocks(step: int) -> None:
    values = np.linspace(-3, 3, 101, dtype="float32")
    tensor = Tensor(DType.FLOAT32, (101,), Uneven(values.tobytes(), step))
    np.testing.assert_array_equal(cast(tensor, DType.FLOAT16).read(), values.astype("float16"))
    found = statistics(tensor)
    assert found is not None
    assert (found.min, found.max) == (-3.0, 3.0)
    assert found.mean == pytest.approx(values.astype("float64").mean())


@pytest.mark.parametrize("count", [0, 11, 13])
def test_too_few_and_too_many_bytes(count: int) -> None:
    with pytest.raises(CorruptFileError, match=r"of its shape|where its shape"):
        list(arrays(Tensor(DType.FLOAT32, (3,), InMemory(bytes(count)))))
