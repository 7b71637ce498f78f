"""What a weight's values say of its initializer: bounds, deviation and mean, each of which training moves."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from kmodel_tools.doctor.facts import Facts, facts_of
from kmodel_tools.doctor.initial import CONSISTENT, EXACT, MOVED, state_of
from kmodel_tools.tensor import DType, InMemory, Tensor

SHAPE = (40, 30)
LIMIT = math.sqrt(6 / sum(SHAPE))
"""Of Glorot's uniform initializer."""


def facts(values: npt.NDArray[np.float64]) -> Facts:
    found = facts_of(Tensor(DType.FLOAT32, values.shape, InMemory(values.astype("<f4").tobytes())))
    assert found is not None
    return found


def told(values: npt.NDArray[np.float64], name: str = "glorot_uniform", role: str = "kernel") -> str | None:
    state = state_of(role, {f"{role}_initializer": name}, values.shape, facts(values))
    return None if state is None else state[0]


def drawn(seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-LIMIT, LIMIT, SHAPE)


@pytest.mark.parametrize("seed", range(50))
def test_draws_are_told_for_what_they_are(seed: int) -> None:
    assert told(drawn(seed)) == CONSISTENT


def test_a_value_beyond_the_bound_has_moved() -> None:
    values = drawn()
    values[0, 0] = LIMIT * 1.01
    assert told(values) == MOVED


def test_another_deviation_has_moved() -> None:
    assert told(drawn() * 0.8) == MOVED


def test_another_mean_has_moved() -> None:
    values = drawn().ravel()
    negative = np.flatnonzero(values < 0)[::5]
    values[negative] *= -1  # the bound and, but for a hundredth, the deviation stay
    assert told(values.reshape(SHAPE)) == MOVED


def test_few_values_within_the_bound_tell_nothing() -> None:
    assert told(drawn()[:2, :3] / 10) is None
    assert told(np.full((2, 3), 100.0)) == MOVED


def test_constants_are_exact_or_have_moved() -> None:
    assert told(np.zeros(3), "zeros", "bias") == EXACT
    assert told(np.array([0.0, 0.0, 1e-9]), "zeros", "bias") == MOVED
    assert told(np.eye(4), "identity") == EXACT
    assert told(np.linalg.qr(drawn()[:8, :8])[0], "orthogonal") == EXACT
    assert told(np.linalg.qr(drawn()[:8, :8])[0] * (1 + np.eye(8) * 0.001), "orthogonal") == MOVED


def test_what_is_not_known_is_not_told() -> None:
    assert told(drawn(), "my_own") is None
    assert told(drawn() * np.nan) == MOVED
