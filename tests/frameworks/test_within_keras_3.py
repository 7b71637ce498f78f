"""Keras 3.15.1 as the judge of what earlier releases of Keras 3 wrote: it misreads or refuses it, and loads what is made of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.frameworks import making
from tests.frameworks.zoo import MODELS

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]


def as_of(release: str, source: Path, destination: Path, change: Any) -> None:
    """An archive as an earlier release writes it: its version, and the configuration changed."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(destination, "w") as made:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "metadata.json":
                data = json.dumps({"keras_version": release}).encode()
            if name == "config.json":
                config = json.loads(data)
                stack = [config]
                while stack:
                    item = stack.pop()
                    if isinstance(item, dict):
                        change(item)
                        stack.extend(item.values())
                    elif isinstance(item, list):
                        stack.extend(item)
                data = json.dumps(config).encode()
            made.writestr(name, data)


def listed(item: dict[str, Any]) -> None:
    for key in ("input_layers", "output_layers"):
        if key in item and isinstance(item[key][0], str):
            item[key] = [item[key]]


def test_single_ends_that_were_lists(tmp_path: Path) -> None:
    """Keras 3.0 to 3.10 write those of a Functional so; 3.15.1 then gives back one axis more where it is nested."""
    case = next(case for case in MODELS if case.name == "model-nested_functional")
    model = case.build(keras)
    given = making.inputs_of(case)[0]
    model.save(tmp_path / "now.keras")
    as_of("3.8.0", tmp_path / "now.keras", tmp_path / "old.keras", listed)
    wanted = np.asarray(model(given))
    assert keras.models.load_model(tmp_path / "old.keras")(given).shape == (1, *wanted.shape)
    kmt.convert(tmp_path / "old.keras", tmp_path / "new.keras")
    found = np.asarray(keras.models.load_model(tmp_path / "new.keras")(given))
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)


def with_range(item: dict[str, Any]) -> None:
    if "fill_mode" in item:
        item["value_range"] = [0, 255]


def test_rotation_with_a_range(tmp_path: Path) -> None:
    """Keras 3.0 to 3.5 write it, and 3.15.1 does not take it."""
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.RandomRotation(0.2), keras.layers.Flatten(), keras.layers.Dense(2)])
    given = np.ones((2, 6, 6, 1), "float32")
    model.save(tmp_path / "now.keras")
    as_of("3.4.1", tmp_path / "now.keras", tmp_path / "old.keras", with_range)
    with pytest.raises(TypeError, match="Unrecognized keyword arguments passed to RandomRotation"):
        keras.models.load_model(tmp_path / "old.keras")
    kmt.convert(tmp_path / "old.keras", tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    assert np.array_equal(np.asarray(loaded(given, training=False)), np.asarray(model(given, training=False)))
