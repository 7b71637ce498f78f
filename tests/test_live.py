"""What of live models needs no framework: refusals, and that none is imported. The rest is in `frameworks/test_live.py`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import kmodel_tools as kmt
from kmodel_tools.live.frameworks import framework_of, is_live
from kmodel_tools.tree import Model
from kmodel_tools.upgrader.generation import brought_into
from tests.test_imports import FRAMEWORKS, loaded


def test_no_framework_is_imported() -> None:
    assert not loaded("import kmodel_tools.live.loading") & FRAMEWORKS


@pytest.mark.parametrize("other", [None, 3, "model.h5", SimpleNamespace(layers=[], weights=[])], ids=repr)
def test_what_is_no_model_of_keras_is_refused(other: Any) -> None:
    assert not is_live(other)
    with pytest.raises(kmt.KmtError, match=r"a .*\.\w+ is no model of Keras; give a keras\.Model or a tf_keras\.Model"):
        kmt.from_keras(other)
    with pytest.raises(kmt.KmtError, match="is no model of Keras"):
        kmt.load_into(other, Model())


def test_a_class_of_the_same_name_is_no_layer() -> None:
    class Layer:
        pass

    assert framework_of(Layer()) is None


def test_weights_of_no_known_generation_are_said_to_be_so() -> None:
    layer = {"class_name": "LSTM", "config": {"name": "gates", "units": 2, "recurrent_activation": "hard_sigmoid"}}
    architecture = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    target = Model(architecture=architecture, metadata={"keras_version": "3.15.1"})
    for version, said in (
        ("", "does not say which Keras it is of"),
        ("2.15.0", "than in the earlier one that these weights are of: gates"),
    ):
        brought = brought_into(Model(metadata={"keras_version": version}), target)
        assert not brought.upgraded
        assert said in brought.remarks[0]
    old = Model(architecture=architecture, metadata={"keras_version": "2.15.0"})
    assert "in Keras 3, which these weights are of" in brought_into(Model(metadata={"keras_version": "3.15.1"}), old).remarks[0]
