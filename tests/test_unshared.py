"""Kernels of layers that have one for every position, against the definition of what is connected with what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.unshared import Windows, unit_matrix, unshared

CHANNELS, FILTERS = 2, 3
ALL = [
    Windows((5,), (2,), (1,), False),
    Windows((5,), (3,), (2,), True),
    Windows((4, 5), (2, 3), (1, 2), False),
    Windows((4, 3), (3, 2), (2, 1), True),
]


def tensor_of(values: np.ndarray) -> Tensor:
    return Tensor(DType.FLOAT32, values.shape, InMemory(values.astype("float32").tobytes()))


def connected(windows: Windows, position: tuple[int, ...], tick: tuple[int, ...]) -> tuple[int, ...] | None:
    """The input position that a place in the window of an output position is."""
    before = [length // 2 if windows.same else 0 for length in windows.window]
    steps = zip(position, windows.strides, before, tick, strict=True)
    found = tuple(place * step - shift + index for place, step, shift, index in steps)
    return found if all(0 <= item < size for item, size in zip(found, windows.inputs, strict=True)) else None


@pytest.mark.parametrize("windows", ALL, ids=str)
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_full_kernel(windows: Windows, channels_first: bool) -> None:
    inputs, outputs = windows.inputs, windows.outputs
    rank = len(inputs)
    full = np.random.default_rng(0).standard_normal((*inputs, CHANNELS, *outputs, FILTERS)).astype("float32")
    stored = np.moveaxis(full, (rank, 2 * rank + 1), (0, rank + 1)) if channels_first else full
    found = unshared(tensor_of(stored), windows, CHANNELS, FILTERS, channels_first).read()
    for position in itertools.product(*map(range, outputs)):
        ticks = list(itertools.product(*map(range, windows.window)))
        for number, tick in enumerate(ticks):
            place = connected(windows, position, tick)
            wanted = full[place][(slice(None), *position)] if place is not None else np.zeros((CHANNELS, FILTERS))
            assert np.array_equal(found[position][number * CHANNELS : (number + 1) * CHANNELS], wanted)


@pytest.mark.parametrize("windows", ALL, ids=str)
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_sparse_kernel(windows: Windows, channels_first: bool) -> None:
    """What is connected, sorted by the places in the flattened output and input."""
    inputs, outputs = windows.inputs, windows.outputs

    def flat(place: tuple[int, ...], channel: int, sizes: tuple[int, ...], count: int) -> int:
        index, shape = ((channel, *place), (count, *sizes)) if channels_first else ((*place, channel), (*sizes, count))
        return int(np.ravel_multi_index(index, shape))

    pairs = {}
    for position in itertools.product(*map(range, outputs)):
        for number, tick in enumerate(itertools.product(*map(range, windows.window))):
            place = connected(windows, position, tick)
            for channel, filters in itertools.product(range(CHANNELS), range(FILTERS)) if place is not None else ():
                assert place is not None
                key = flat(position, filters, outputs, FILTERS), flat(place, channel, inputs, CHANNELS)
                pairs[key] = (*position, number * CHANNELS + channel, filters)
    values = np.arange(1, len(pairs) + 1)
    assert len(pairs) == windows.connections * CHANNELS * FILTERS
    found = unshared(tensor_of(values), windows, CHANNELS, FILTERS, channels_first).read()
    wanted = np.zeros(found.shape)
    for value, key in zip(values, sorted(pairs), strict=True):
        wanted[pairs[key]] = value
    assert np.array_equal(found, wanted)


def test_another_kernel_is_refused() -> None:
    with pytest.raises(CorruptFileError, match="does not connect"):
        unshared(tensor_of(np.zeros((4, 4))), ALL[0], CHANNELS, FILTERS, False)


def test_the_unit_matrix() -> None:
    made = unit_matrix(tensor_of(np.ones(2)), 3)
    assert np.array_equal(made.read(), np.eye(3))
    with pytest.raises(UnsupportedFeatureError, match="no floats"):
        unit_matrix(Tensor(DType.INT32, (1,), InMemory(b"\0\0\0\0")), 3)
