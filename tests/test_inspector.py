from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kmodel_tools.errors import KmtError
from kmodel_tools.inspector import inspect, one_layer, statistics, weight_row
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.tree import Layer, Model, Note, Optimizer, Slot, Weight


def weight(role: str, shape: tuple[int, ...], trainable: bool | None = True) -> Weight:
    return Weight(role, Tensor.of(np.ones(shape, "float32")), role, trainable)


def test_totals_count_every_weight_once() -> None:
    shared = Layer("shared", class_name="Dense", weights=(weight("kernel", (2, 3)), weight("moving_mean", (3,), False)))
    model = Model(
        layers=(Layer("a", layers=(shared,)), shared, Layer("b", weights=(weight("w", (4,), None),))), own_weights=(weight("top", ()),)
    )
    totals = inspect(model).totals
    assert (totals.parameters, totals.trainable, totals.non_trainable, totals.unknown) == (14, 7, 3, 4)
    assert (totals.layers, totals.weights, totals.nbytes) == (3, 4, 56)
    assert totals.dtypes == {"float32": 14}


def test_rows_say_where_a_layer_stands() -> None:
    cell = Layer("lstm_cell", attr="cell", weights=(weight("kernel", (2,)),))
    model = Model(layers=(Layer("a", class_name="LSTM", layers=(cell,)), Layer("again", layers=(cell,))))
    rows = inspect(model).layers
    found = [(row.path, row.depth, row.class_name, row.parameters) for row in rows]
    assert found == [("a", 0, "LSTM", 2), ("a/cell", 1, None, 2), ("again", 0, None, 2)]
    assert rows[1].aliases == ("again/cell",)
    assert rows[0].trainable is True


def test_an_optimizer_in_numbers() -> None:
    kernel = weight("kernel", (2, 2))
    slots = tuple(Slot(name, kernel, Tensor.of(np.ones((2, 2), "float32")), name) for name in ("momentum", "velocity"))
    counters = (Weight("iterations", Tensor.of(np.int64(7)), "i"), Weight("learning_rate", Tensor.of(np.float32(0.001)), "l"))
    model = Model(layers=(Layer("d", weights=(kernel,)),), optimizer=Optimizer("Adam", slots, counters, (weight("x", (3,)),)))
    row = inspect(model).optimizer
    assert row is not None
    assert row.counters == {"iterations": 7, "learning_rate": 0.001}
    assert (row.slots, row.untied, row.parameters, row.nbytes) == ({"momentum": 1, "velocity": 1}, 1, 13, 8 + 4 + 32 + 12)


NUMBERS = st.one_of(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)),
    hnp.arrays(np.int32, st.integers(1, 40), elements=st.integers(-(2**31), 2**31 - 1)),
)


class _Chopped:
    """Values in blocks of a few elements, to put the merging of blocks to the test."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self.data = values.tobytes()
        self.step = values.itemsize * 3

    def blocks(self, limit: int) -> Any:
        yield from InMemory(self.data).blocks(self.step)


@given(NUMBERS)
def test_statistics_are_numpys(values: npt.NDArray[Any]) -> None:
    found = statistics(Tensor(DType(values.dtype.name), values.shape, _Chopped(values)))
    assert found is not None
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found.zeros == int((values == 0).sum())
    assert found.nans == int(np.isnan(values).sum())
    assert found.infinities == int(np.isinf(values).sum())
    if finite.size == 0:
        assert found.min is found.max is found.mean is found.std is None
        return
    assert (found.min, found.max) == (finite.min(), finite.max())
    scale = max(1.0, float(np.abs(finite).max()))
    assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9 * scale)
    assert found.std == pytest.approx(finite.std(), rel=1e-9, abs=1e-9 * scale)


def test_statistics_of_small_floats_and_of_what_has_none() -> None:
    halves = np.array([0, 1, -2.5]).astype(ml_dtypes.bfloat16)
    found = statistics(Tensor.of(halves))
    assert found is not None
    assert (found.min, found.max, found.zeros) == (-2.5, 1.0, 1)
    assert statistics(Tensor.of(np.array([b"a"], dtype=object))) is None
    assert statistics(Tensor.of(np.array([1j]))) is None
    empty = statistics(Tensor.of(np.zeros((0, 3))))
    assert empty is not None
    assert empty.mean is None


def test_statistics_are_read_on_demand() -> None:
    class Unreadable:
        def blocks(self, limit: int) -> Any:
            raise AssertionError("nobody asked for values")

    model = Model(layers=(Layer("d", weights=(Weight("kernel", Tensor(DType.FLOAT32, (2,), Unreadable()), "k"),)),))
    assert inspect(model).totals.parameters == 2
    with pytest.raises(AssertionError, match="nobody asked"):
        inspect(model, stats=True)


def test_everything_as_plain_data() -> None:
    model = Model(
        name="net",
        layers=(Layer("d", class_name="Mine", weights=(weight("kernel", (2,)),)),),
        architecture={"class_name": "Sequential", "config": {"layers": [{"class_name": "Mine", "config": {"name": "d"}}]}},
        extras=(weight("x", (1,)),),
        notes=(Note("odd", "something"),),
    )
    found = inspect(model).to_dict()
    assert found["class_name"] == "Sequential"
    assert found["custom_objects"] == ({"kind": "layer", "name": "Mine", "used_by": ("d",)},)
    assert found["notes"] == (("odd", "something"),)


def test_one_layer_or_weight() -> None:
    model = Model(layers=(Layer("a", layers=(Layer("b", weights=(weight("kernel", (2,)),)),)),))
    part = one_layer(model, "a/b")
    assert [row.path for row in inspect(part).layers] == ["a/b"]
    with pytest.raises(KmtError, match="is a weight"):
        one_layer(model, "a/b/kernel")
    found = model.find("a/b/kernel")
    assert isinstance(found, Weight)
    row = weight_row(model, found, stats=True)
    assert row.path == "a/b/kernel"
    assert row.stats is not None
    assert row.stats.mean == 1
