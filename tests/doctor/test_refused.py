"""What of earlier configurations Keras 3 refuses, or reads otherwise, told by the configuration alone.

That Keras 3.15.1 does so was seen with models that Keras 2.3.1 and TensorFlow 2.11 wrote.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import pytest

import kmodel_tools as kmt
from kmodel_tools.render.findings_text import evidence_text

Config = dict[str, Any]


def layer(kind: str, name: str, nodes: list[Any] | None = None, **config: Any) -> Config:
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes or []}


def graph(name: str, layers: list[Config], outputs: list[Any]) -> Config:
    return {"name": name, "layers": layers, "input_layers": [[layers[0]["name"], 0, 0]], "output_layers": outputs}


def twice(first: int, second: int) -> Config:
    """A model that is called twice, one call after the other, whose calls are counted from `first` on."""
    layers = [layer("InputLayer", "in", batch_input_shape=[None, 4]), layer("Dense", "d", [[["in", 0, 0, {}]]], units=4)]
    inner = graph("inner", layers, [["d", 0, 0]])
    nested = {"class_name": "Functional", "name": "inner", "config": inner, "inbound_nodes": [[["x", 0, 0, {}]], [["inner", first, 0, {}]]]}
    outer = graph("outer", [layer("InputLayer", "x", batch_input_shape=[None, 4]), nested], [["inner", second, 0]])
    return {"class_name": "Functional", "config": outer, "keras_version": "2.3.1", "backend": "tensorflow"}


def rejected(config: Config, folder: Path) -> list[str]:
    (folder / "model.json").write_text(json.dumps(config), encoding="utf-8")
    return said_of(folder / "model.json")


def rejected_in_hdf5(config: Config, folder: Path) -> list[str]:
    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = config["keras_version"]
    return said_of(folder / "model.h5")


def said_of(path: Path) -> list[str]:
    found = [item for item in kmt.diagnose(path) if item.identifier == "rejected-by-keras-3"]
    return [evidence_text(piece) for item in found for piece in item.evidence]


@pytest.mark.parametrize(("first", "second", "told"), [(1, 2, True), (0, 1, False)])
def test_calls_that_are_counted_from_1(first: int, second: int, told: bool, tmp_path: Path) -> None:
    """Keras 3 would feed the second call with itself."""
    assert ("inner: inbound_nodes = call 1 of inner, which has 2" in rejected(twice(first, second), tmp_path)) == told


@pytest.mark.parametrize(("first", "told"), [("Dense", True), ("InputLayer", False)])
def test_the_shape_of_a_first_layer(first: str, told: bool, tmp_path: Path) -> None:
    layers = [layer(first, "first", batch_input_shape=[None, 4]), layer("Dense", "last", units=1, batch_input_shape=[None, 4])]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": "2.3.1", "backend": "tensorflow"}
    said = [text for text in rejected_in_hdf5(config, tmp_path) if "batch_input_shape" in text]
    expected = "first: batch_input_shape = [null, 4], of which Keras 3 takes the batch size for a size of the input"
    assert said == ([expected] if told else [])


def test_what_attention_says_of_scores(tmp_path: Path) -> None:
    layers = [layer("Attention", "attend", score_mode="dot")]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": "2.11.0", "backend": "tensorflow"}
    assert "attend: score_mode = dot, which Keras 3 takes for the function keras.layers.dot" in rejected(config, tmp_path)


def test_an_architecture_without_modules(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}, "keras_version": "2.15.0", "backend": "tensorflow"}
    assert "class_name = Sequential without its module, which Keras 3 does not find" in rejected(config, tmp_path)
