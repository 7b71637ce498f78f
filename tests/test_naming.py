"""Converting with a map, and with moving averages for values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES

BY_NAME = SAMPLES / "tf_checkpoint" / "tensorflow-1-1"


def paths(path: Path) -> dict[str, str]:
    return {join_path(path): str(weight.tensor.read().sum()) for path, weight in kmt.read(path).weights()}


def test_a_map_renames_before_anything_else(tmp_path: Path) -> None:
    names = {"conv1/weights": "block1/kernel", "conv1/bias": "block1/bias", "embedding": None}
    report = kmt.convert(BY_NAME, tmp_path / "m.h5", mapping=names, optimizer=False)
    assert paths(tmp_path / "m.h5") == {name.replace("conv1", "block1"): value for name, value in paths(BY_NAME).items() if "conv1" in name}
    assert "3 of the weights are named by the map, 0 keep their paths" in report.carried
    assert "1 weights: as the map says" in report.left_out


def test_with_a_map_weights_are_paired_by_name_alone(tmp_path: Path) -> None:
    """All shapes agree in order, and without the map they would be paired by it."""
    shapes = {"a/kernel": (2, 2), "b/kernel": (2, 2)}
    source, like = (
        read_variables({name.replace("a/", f"{first}/"): kmt.Tensor.of(np.full(shape, value)) for name, shape in shapes.items()})
        for first, value in (("x", 1.0), ("a", 2.0))
    )
    kmt.convert(source, tmp_path / "m.h5", like=like)
    with pytest.raises(kmt.ConversionError, match="a/kernel is not in the source; x/kernel has no place"):
        kmt.convert(source, tmp_path / "n.h5", like=like, mapping={"b": "b"})
    kmt.convert(source, tmp_path / "n.h5", like=like, mapping={"x": "b", "b": "a"})
    assert set(paths(tmp_path / "n.h5")) == {"a/kernel", "b/kernel"}


def test_an_architecture_that_knows_other_names_is_left_out_and_said(tmp_path: Path) -> None:
    report = kmt.convert(SAMPLES / "keras_h5" / "keras-3.15.1.h5", tmp_path / "m.h5", mapping={"bn/gamma": "bn/scale"}, optimizer=False)
    assert kmt.read(tmp_path / "m.h5").architecture is None
    assert any("they know the names that were" in text for text in report.left_out)


def averaged(*names: str) -> kmt.Model:
    tensors = {"d/kernel": kmt.Tensor.of(np.zeros((2, 3))), "d/bias": kmt.Tensor.of(np.zeros(3))}
    return read_variables(tensors | {f"d/kernel/{name}": kmt.Tensor.of(np.ones((2, 3))) for name in names})


def test_averages_take_the_place_of_values(tmp_path: Path) -> None:
    report = kmt.convert(averaged("ExponentialMovingAverage", "Momentum"), tmp_path / "m.h5", averages=True, optimizer=False)
    assert paths(tmp_path / "m.h5") == {"d/kernel": "6.0", "d/bias": "0.0"}
    assert "the moving averages of 1 weights in their place, as asked for" in report.carried
    assert kmt.transfer(averaged("ema"), averaged(), averages=True)[0].find("d/kernel").tensor.read().sum() == 6  # type: ignore[union-attr]


def test_averages_that_are_not_there_or_twice(tmp_path: Path) -> None:
    with pytest.raises(kmt.ConversionError, match="holds no moving averages"):
        kmt.convert(averaged("Momentum"), tmp_path / "m.h5", averages=True)
    with pytest.raises(kmt.ConversionError, match="several moving averages: d/kernel/ExponentialMovingAverage; d/kernel/ema"):
        kmt.convert(averaged("ExponentialMovingAverage", "ema"), tmp_path / "m.h5", averages=True)
