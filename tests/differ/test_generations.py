"""Models of two generations: an earlier one is compared with one of Keras 3 as it is carried there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.editor import replace_weights

OLD = Path(__file__).parents[1] / "eras"


@pytest.mark.parametrize("name", ["1.2.2_tensorflow/rnn.h5", "1.0.8_theano_th/rnn.h5", "2.0.9/rnn.h5", "2.3.1/func.h5"])
def test_a_model_is_the_same_as_what_it_is_carried_to(name: str, tmp_path: Path) -> None:
    old = OLD / name
    kmt.convert(old, tmp_path / "new.keras")
    there, back = kmt.diff(old, tmp_path / "new.keras"), kmt.diff(tmp_path / "new.keras", old)
    assert there.same
    assert back.same
    assert (there.a.upgraded, there.b.upgraded, back.a.upgraded, back.b.upgraded) == (True, False, False, True)
    if name.endswith("rnn.h5"):
        assert any("1.2 times as large" in line for line in there.a.remarks)


def test_a_change_of_meaning_is_told_where_values_are_the_same(tmp_path: Path) -> None:
    """Keras 3 itself takes over weights as they are; the old function of that name gives other results with them."""
    old = OLD / "2.0.9" / "rnn.h5"
    kmt.convert(old, tmp_path / "new.keras")
    new = kmt.read(tmp_path / "new.keras")
    as_they_were = dict(kmt.read(old).weights())
    found = replace_weights(new, lambda path, weight: replace(weight, tensor=as_they_were[path].tensor))
    kmt.write(found, tmp_path / "passed_on.keras")
    result = kmt.diff(old, tmp_path / "passed_on.keras")
    assert {change.path_a for change in result.weights} >= {"lstm_1/cell/kernel", "gru_1/cell/bias"}
    assert any("hard_sigmoid is another function in Keras 3" in line for line in result.a.remarks)


def test_what_cannot_be_carried_is_compared_as_it_is_stored(tmp_path: Path) -> None:
    old = kmt.read(OLD / "2.3.1" / "mlp.h5")
    kmt.convert(old, tmp_path / "new.keras")
    layers = [{"class_name": "DenseFeatures", "config": {"name": "f"}}]
    strange = replace(old, architecture={"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
    result = kmt.diff(strange, tmp_path / "new.keras", aspects=["weights"])
    assert not result.a.upgraded
    assert "taken as it is stored" in result.a.remarks[0]
