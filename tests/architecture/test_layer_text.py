from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.layer_text import checked_layer, layer_from_text

RESCALING = {
    "module": "keras.layers",
    "class_name": "Rescaling",
    "config": {"scale": 0.5, "offset": 0.0},
    "registered_name": None,
}


@pytest.mark.parametrize(
    "text", ["Rescaling(scale=0.5)", "keras.layers.Rescaling(scale=0.5)", '{"class_name": "Rescaling", "config": {"scale": 0.5}}']
)
def test_a_layer_in_json_or_as_a_call(text: str) -> None:
    assert layer_from_text(text) == RESCALING


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("Reshape(target_shape=(7, -1))", {"target_shape": [7, -1]}),
        ("Flatten", {}),
        ("Flatten()", {}),
        ("Dense(units=3, activation='relu', use_bias=False)", {"units": 3, "activation": "relu", "use_bias": False}),
    ],
)
def test_arguments_are_literals(text: str, config: dict[str, Any]) -> None:
    assert layer_from_text(text)["config"] == config


@pytest.mark.parametrize(
    "text",
    [
        "Rescaling(0.5)",
        "Rescaling(scale=__import__('os').getpid())",
        "Rescaling(scale=1 if True else 2)",
        "Rescaling(**{'scale': 1})",
        "Rescaling(scale={1, 2})",
        "Rescaling(scale=b'x')",
        "[1]",
        "(lambda: 1)(scale=3)",
        "",
        "x = 3",
        "(" * 5000,
        '{"class_name": 3}',
        '{"class_name": "Dense", "config": [1]}',
        '{"class_name": ',
    ],
)
def test_nothing_else_is_a_layer(text: str) -> None:
    with pytest.raises(ConfigError):
        layer_from_text(text)


def test_what_keras_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="Rescaling has no argument 'scal'; nearest: scale"):
        layer_from_text("Rescaling(scal=0.5)")
    with pytest.raises(ConfigError, match="CuDNNLSTM is no layer of Keras 3"):
        layer_from_text("CuDNNLSTM(units=3)")


def test_a_class_that_is_not_of_keras_is_somebodys() -> None:
    assert layer_from_text("Mine(units=3)") == {"module": None, "class_name": "Mine", "config": {"units": 3}, "registered_name": "Mine"}
    packaged = checked_layer({"class_name": "Mine", "config": {}, "registered_name": "Pkg>Mine"})
    assert packaged == {"module": None, "class_name": "Mine", "config": {}, "registered_name": "Pkg>Mine"}
