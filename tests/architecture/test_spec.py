from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.envelope import ConfigError, Era, era_of, era_of_version
from kmodel_tools.architecture.spec import LayerSpec, find_layer, model_spec


def shown(spec: LayerSpec, path: str = "") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for child in spec.children:
        here = f"{path}/{child.attr or child.name}"
        if child.variables:
            found[here] = [item.role for item in child.variables]
        found |= shown(child, here)
    return found


def sequential(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}, **more}


def test_layers_of_every_kind() -> None:
    lstm = {"class_name": "LSTM", "config": {"name": "forward_l", "units": 2}}
    spec = model_spec(
        sequential(
            {"class_name": "InputLayer", "config": {"name": "in"}},
            {"class_name": "Dense", "config": {"name": "d", "use_bias": False}},
            {"class_name": "Bidirectional", "config": {"name": "b", "layer": lstm}},
            {"class_name": "RNN", "config": {"name": "r", "cell": [{"class_name": "GRUCell", "config": {"name": "g"}}]}},
            {"class_name": "TimeDistributed", "config": {"name": "t", "layer": {"class_name": "Dense", "config": {"name": "e"}}}},
            {"class_name": "Mine", "config": {"name": "m", "layer": {"class_name": "Dense", "config": {"name": "w"}}}},
        )
    )
    assert shown(spec.root) == {
        "/d": ["kernel"],
        "/b/forward_layer/cell": ["kernel", "recurrent_kernel", "bias"],
        "/b/backward_layer/cell": ["kernel", "recurrent_kernel", "bias"],
        "/r/cell/cells/0": ["kernel", "recurrent_kernel", "bias"],
        "/t/layer": ["kernel", "bias"],
        "/m/layer": ["kernel", "bias"],
    }
    assert [child.is_known for child in spec.root.children] == [True, True, True, True, False]


def test_frozen_layers_and_what_is_in_them() -> None:
    inner = sequential({"class_name": "Dense", "config": {"name": "a"}})
    inner["config"] |= {"name": "inner", "trainable": False}
    spec = model_spec(sequential({"class_name": "Dense", "config": {"name": "x", "trainable": False}}, inner))
    assert [child.trainable for child in spec.root.children] == [False, False]
    assert spec.root.children[1].children[0].trainable is False


def test_a_keras_1_list_of_layers() -> None:
    spec = model_spec({"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {"name": "l", "output_dim": 2}}]}, "1.2.2")
    assert spec.era is Era.KERAS_1
    assert shown(spec.root)["/l"][:2] == ["W_i", "U_i"]


@pytest.mark.parametrize(
    ("version", "era"),
    [
        ("0.3.3", Era.KERAS_0),
        ("1.2.2", Era.KERAS_1),
        ("2.3.1", Era.KERAS_2),
        ("2.2.4-tf", Era.TF_KERAS),
        ("2.15.0", Era.TF_KERAS),
        ("3.15.1", Era.KERAS_3),
    ],
)
def test_eras_by_version(version: str, era: Era) -> None:
    assert era_of_version(version) is era


def test_eras_by_shape() -> None:
    assert era_of({"module": "keras", "class_name": "Sequential", "config": {}}) is Era.KERAS_3
    assert era_of({"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"units": 1}}]}) is Era.KERAS_2
    assert era_of({"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"output_dim": 1}}]}) is Era.KERAS_1
    assert era_of({"name": "Sequential", "layers": []}) is Era.KERAS_0


def test_layers_are_found_by_their_paths() -> None:
    cell = {"class_name": "LSTMCell", "config": {"name": "c", "units": 3}}
    rnn = {"class_name": "RNN", "config": {"name": "read", "cell": [cell, cell]}}
    spec = model_spec(sequential({"class_name": "Bidirectional", "config": {"name": "a/b", "layer": rnn}}), "3.0.0")
    found = find_layer(spec.root, ("a/b", "forward_layer", "cell", "cells", "1"))
    assert found is not None
    assert found.class_name == "LSTMCell"
    assert find_layer(spec.root, ()) is spec.root
    assert find_layer(spec.root, ("a/b", "nothing")) is None


def test_what_is_no_configuration() -> None:
    deep: dict[str, Any] = sequential()
    for _ in range(200):
        deep = sequential(deep)
    broken_ones: list[dict[str, Any]] = [{"class_name": "Sequential", "config": {"name": "s"}}, {"config": {}}, deep]
    for broken in broken_ones:
        with pytest.raises(ConfigError):
            model_spec(broken)
