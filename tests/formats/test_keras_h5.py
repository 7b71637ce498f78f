"""What only legacy HDF5 files do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES


def paths(model: kmt.Model) -> list[str]:
    return [join_path(path) for path, _ in model.weights()]


def write(group: h5py.Group, layers: dict[str, list[str]], split: int = 0) -> None:
    """Write a weights group: layer names to weight names; every weight holds its running number."""
    names = [name.encode() for name in layers]
    if split:
        for part in range(0, len(names), split):
            group.attrs[f"layer_names{part // split}"] = names[part : part + split]
    else:
        group.attrs["layer_names"] = names
    number = 0
    for name, weights in layers.items():
        below = group.require_group(name)
        below.attrs["weight_names"] = [weight.encode() for weight in weights]
        for weight in weights:
            below[weight] = np.array([number], "float32")
            number += 1


def config(*layers: dict[str, Any]) -> str:
    return json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}})


def dense(name: str) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": name}}


def test_long_lists_of_names_are_put_together(tmp_path: Path) -> None:
    layers = {f"layer_{number}": [f"layer_{number}/kernel:0"] for number in range(25)}
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, layers, split=7)
    model = kmt.read(tmp_path / "m.h5")
    assert [layer.name for layer in model.layers] == list(layers)
    assert [weight.tensor.read().item() for _, weight in model.weights()] == list(range(25))


@pytest.mark.parametrize("kind", ["bytes", "strings"])
def test_attributes_as_h5py_2_and_3_wrote_them(tmp_path: Path, kind: str) -> None:
    text = config(dense("d"))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = text.encode() if kind == "bytes" else text
        file.attrs["keras_version"] = b"2.3.1" if kind == "bytes" else "2.3.1"
        write(file.create_group("model_weights"), {"d": ["d/kernel:0"]})
    model = kmt.read(tmp_path / "m.h5")
    assert model.layers[0].class_name == "Dense"
    assert model.metadata["keras_version"] == "2.3.1"


def test_a_layer_name_with_a_slash_is_no_group_of_another(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"a": ["a/kernel:0"], "a/b": ["a/b/kernel:0"]})
    assert paths(kmt.read(tmp_path / "m.h5")) == ["a/kernel", r"a\/b/kernel"]


def test_a_configuration_that_was_encoded_twice(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config(dense("d")))
        write(file.create_group("model_weights"), {"d": ["d/kernel:0"]})
    assert kmt.read(tmp_path / "m.h5").layers[0].class_name == "Dense"


def test_weights_of_the_model_itself(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"d": ["d/kernel:0"]})
        top = file.create_group("top_level_model_weights")
        top.attrs["weight_names"] = [b"net/scale:0"]
        top["net/scale:0"] = np.array([9], "float32")
    assert paths(kmt.read(tmp_path / "m.h5")) == ["scale", "d/kernel"]


def test_arrays_that_nobody_lists_are_extras(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"d": ["d/kernel:0"]})
        file["notes/mine"] = np.array([1, 2])
    model = kmt.read(tmp_path / "m.h5")
    assert [extra.key for extra in model.extras] == ["notes/mine"]


def test_weights_of_a_layer_that_share_a_role_stay_apart(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"d": ["d/kernel:0", "d/kernel_1:0", "d/kernel_2:0"]})
    assert paths(kmt.read(tmp_path / "m.h5")) == ["d/kernel", "d/kernel_1", "d/kernel_2"]


def test_keras_1_merges_are_read_by_the_names_of_their_branches(tmp_path: Path) -> None:
    branch = {"class_name": "Sequential", "config": [{"class_name": "Embedding", "config": {"name": "e"}}]}
    merge = {"class_name": "Merge", "config": {"name": "m", "layers": [branch]}}
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [merge, dense("d")]})
        write(file.create_group("model_weights"), {"e": ["e_W"], "m": [], "d": ["d_W", "d_b"]})
    assert paths(kmt.read(tmp_path / "m.h5"))[1:] == ["d/kernel", "d/bias"]


def test_numbers_are_sorted_as_numbers_in_keras_0(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["nb_layers"] = 12
        for layer in range(12):
            group = file.create_group(f"layer_{layer}")
            group.attrs["nb_params"] = 11
            for parameter in range(11):
                group[f"param_{parameter}"] = np.array([layer * 11 + parameter], "float32")
    model = kmt.read(tmp_path / "m.h5")
    assert [weight.tensor.read().item() for _, weight in model.weights()] == list(range(132))
    assert paths(model)[:2] == ["layer_0/0", "layer_0/1"]


def test_what_is_listed_must_be_there(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"d": ["d/kernel:0"]})
        del file["d/d/kernel:0"]
    with pytest.raises(kmt.CorruptFileError, match=r"listed and not there \(d/d/kernel:0\)"):
        kmt.read(tmp_path / "m.h5")


def test_a_layer_that_was_never_written_is_said(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write(file, {"a": ["a/kernel:0"], "b": ["b/kernel:0"]})
        del file["b"]
    notes = [note.text for note in kmt.read(tmp_path / "m.h5").notes if note.kind == "unread"]
    assert len(notes) == 1
    assert "(b)" in notes[0]


def test_an_architecture_without_weights(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = config(dense("d"))
    model = kmt.read(tmp_path / "m.h5")
    assert [layer.name for layer in model.layers] == ["d"]
    assert any("no weights" in note.text for note in model.notes)


@pytest.mark.parametrize(("attribute", "value"), [("model_config", "{"), ("model_config", "[1]"), ("training_config", "{")])
def test_configurations_that_are_none(tmp_path: Path, attribute: str, value: str) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = config(dense("d"))
        file.attrs[attribute] = value
        write(file.create_group("model_weights"), {"d": ["d/kernel:0"]})
    with pytest.raises(kmt.CorruptFileError, match="JSON"):
        kmt.read(tmp_path / "m.h5")


def test_a_configuration_of_another_shape_is_no_obstacle(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Net", "config": {"width": 3}})
        write(file.create_group("model_weights"), {"d": ["net/d/kernel:0"]})
    assert paths(kmt.read(tmp_path / "m.h5")) == ["d/kernel"]


def test_state_that_keras_2_0_5_sorted_by_name_belongs_to_its_weights() -> None:
    """Judged by Adam itself: weights that began at zero lie where the first step leads by the state that is said to be theirs."""
    model = kmt.read(SAMPLES / "keras_h5" / "keras-2.0.5.h5")
    assert model.optimizer is not None
    weights = {join_path(path): weight for path, weight in model.weights()}
    for path in ("second/bias", "norm/beta", "first/bias"):
        weight = weights[path]
        state = {slot.name: slot.tensor.read() for slot in model.optimizer.slots if slot.weight is weight}
        step = 0.001 * math.sqrt(1 - 0.999) / (1 - 0.9)
        np.testing.assert_allclose(weight.tensor.read(), -step * state["momentum"] / (np.sqrt(state["velocity"]) + 1e-8), rtol=1e-4)
