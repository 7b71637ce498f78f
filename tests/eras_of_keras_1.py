"""The models of Keras 0.3.3 and 1.2.2 beside the tests, and the way from them to Keras 2."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from kmodel_tools import Model, read
from kmodel_tools.architecture.upgrade.keras_1 import KERAS_VERSION, Keras2, to_keras_2
from kmodel_tools.upgrader import apply_rules
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "upgrades"
MODELS = sorted(path.with_name(path.name.removesuffix("_io.npz")) for path in FOLDER.glob("[01].*/*_io.npz"))
REFUSED = {
    "1.2.2_tensorflow_tf/bn1": "normalizes each sample",
    "1.2.2_tensorflow_tf/srelu": "is a function that no layer of Keras 2 computes",
    "1.2.2_theano_th/pool_Max_same_22": "pools as Theano pads",
}
"""Models that have no equivalent, and what is said."""
REFUSED_LATER = {"1.2.2_tensorflow_tf/local1d": "has a kernel of its own for every position"}
"""Models of Keras 2 that have no equivalent in Keras 3."""


def name_of(path: Path) -> str:
    """Folder and stem."""
    return f"{path.parent.name}/{path.name}"


def source_of(path: Path) -> Model:
    """The model as its file has it; that of Keras 0.3 with the architecture that lies beside it."""
    whole = path.with_name(path.name + ".h5")
    if whole.exists():
        return replace(read(whole), optimizer=None, training_config=None)
    architecture = json.loads(path.with_name(path.name + ".json").read_text())
    return replace(read(path.with_name(path.name + "_w.h5")), architecture=architecture)


def as_keras_2(path: Path) -> tuple[Keras2, Model]:
    """The model in an architecture of Keras 2."""
    model = source_of(path)
    assert model.architecture is not None
    backend = path.parent.name.split("_")[1]
    new = to_keras_2(model.architecture, model.metadata.get("keras_version"), backend, model)
    return new, apply_rules(model, new.config, new.rules, KERAS_VERSION).model
