"""Configurations that no release wrote are refused by the name of the layer, whatever a rule runs into."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.upgrade import upgrade
from kmodel_tools.architecture.upgrade.keras_1 import to_keras_2
from tests.architecture.configs import TF_KERAS, Json, entry, graph, layer


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ThresholdedReLU", {"theta": "x"}),
        ("ThresholdedReLU", {"theta": {}}),
        ("CuDNNLSTM", {}),
        ("CuDNNLSTM", {"units": []}),
        ("CuDNNGRU", {"units": "a"}),
        ("RandomCrop", {}),
    ],
)
def test_a_layer_of_keras_2_is_named(kind: str, settings: Json) -> None:
    called = (layer(kind, "odd", **settings), [[["in", 0, 0, {}]]])
    with pytest.raises(ConfigError, match=r"the layer odd is not as any release writes it \("):
        upgrade(graph((entry("in", (None, 4, 4)), []), called), TF_KERAS)


@pytest.mark.parametrize("more", [{"nb_row": None}, {"nb_row": "x"}, {"nb_col": []}])
def test_a_layer_of_keras_1_is_named(more: Json) -> None:
    settings: Json = {
        "name": "odd",
        "nb_filter": 2,
        "nb_row": 3,
        "nb_col": 3,
        "batch_input_shape": [None, 4, 4, 3],
        "dim_ordering": "tf",
        "border_mode": "same",
    }
    config: Any = {"class_name": "Sequential", "config": [{"class_name": "Convolution2D", "config": settings | more}]}
    with pytest.raises(ConfigError, match=r"the layer odd is not as any release writes it \("):
        to_keras_2(config, "1.2.2", "theano")


def test_what_is_no_list_of_layers_is_refused() -> None:
    layers = [{"class_name": "Dense", "config": {"name": "d", "output_dim": 2}, "name": "d", "inbound_nodes": 3}]
    config: Any = {"class_name": "Model", "config": {"name": "m", "layers": layers, "input_layers": [], "output_layers": []}}
    with pytest.raises(ConfigError, match="the architecture is not as any release writes it"):
        to_keras_2(config, "1.2.2")
