"""Convolutions whose channels come first: where the bias may go wrong in Keras 3, they have them last inside."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.upgrade import upgrade
from kmodel_tools.architecture.upgrade.widths import widths
from kmodel_tools.architecture.weight_rules import Piece, Scale
from tests.architecture.configs import TF_KERAS, Json, entry, graph, layer, row

FIRST = {"data_format": "channels_first"}
IMAGE = (None, 3, 7, 8)


def conv(name: str = "x", **config: Any) -> Json:
    return layer("Conv2D", name, **({"filters": 6, "kernel_size": [3, 3], "use_bias": True} | FIRST | config))


def second(model: Json) -> tuple[Json, Any]:
    """What becomes of the second layer of a model, and the rules."""
    found = upgrade(model, TF_KERAS)
    return found.config["config"]["layers"][1], found.rules


def is_turned(model: Json) -> bool:
    return bool(second(model)[0]["class_name"] == "Sequential")


def test_as_wide_as_it_has_channels() -> None:
    made, rules = second(row(entry("in", IMAGE), conv(activation="relu")))
    before, inside, after = made["config"]["layers"]
    assert (before["config"]["dims"], after["config"]["dims"]) == ([2, 3, 1], [3, 1, 2])
    assert (inside["class_name"], inside["config"]["data_format"], inside["config"]["activation"]) == ("Conv2D", "channels_last", "relu")
    assert [(rule.layer, rule.role, rule.pieces) for rule in rules] == [
        (("x", "x_2"), role, (Piece(("x",), role),)) for role in ("kernel", "bias")
    ]


@pytest.mark.parametrize(
    ("item", "shape", "turned"),
    [
        (conv(), IMAGE, True),
        (conv(filters=5), IMAGE, False),
        (conv(filters=1, kernel_size=[3, 8]), IMAGE, False),
        (conv(use_bias=False), IMAGE, False),
        (conv(data_format="channels_last"), IMAGE, False),
        (conv(), (None, 3, None, None), True),
        (conv(filters=4, padding="same", strides=[2, 2]), IMAGE, True),
        (conv(filters=6, padding="same", strides=[2, 2]), IMAGE, False),
        (conv(filters=4, dilation_rate=[2, 2]), IMAGE, True),
        (layer("DepthwiseConv2D", kernel_size=[3, 3], **FIRST), IMAGE, True),
        (layer("SeparableConv2D", filters=6, kernel_size=[3, 3], **FIRST), IMAGE, True),
        (layer("Conv2DTranspose", filters=17, kernel_size=[3, 3], strides=[2, 2], **FIRST), IMAGE, True),
        (layer("Conv2DTranspose", filters=16, kernel_size=[3, 3], strides=[2, 2], **FIRST), IMAGE, False),
        (layer("Conv2DTranspose", filters=16, kernel_size=[3, 3], strides=[2, 2], padding="same", **FIRST), IMAGE, True),
        (layer("Conv2DTranspose", filters=3, kernel_size=[3, 3], output_padding=[1, 1], strides=[2, 2], **FIRST), IMAGE, True),
        (layer("Conv1D", filters=6, kernel_size=[3], **FIRST), (None, 4, 8), True),
        (layer("Conv3D", filters=6, kernel_size=[1, 2, 3], **FIRST), (None, 3, 6, 6, 8), True),
    ],
)
def test_only_where_it_may_go_wrong(item: Json, shape: tuple[Any, ...], turned: bool) -> None:
    assert is_turned(row(entry("in", shape), item)) is turned


@pytest.mark.parametrize("function", ["softmax", {"class_name": "Mine", "config": {}}, "mine"])
def test_a_function_of_several_elements_stays_behind(function: Any) -> None:
    made, _ = second(row(entry("in", IMAGE), conv(activation=function)))
    _, inside, _, last = made["config"]["layers"]
    assert inside["config"]["activation"] == "linear"
    assert last["class_name"] == "Activation"


def test_rules_of_the_weights_go_along() -> None:
    _, rules = second(row(entry("in", IMAGE), conv(activation="hard_sigmoid")))
    assert [(rule.layer, rule.role, rule.pieces[0].steps) for rule in rules] == [
        (("x", "x_2"), role, (Scale(1.2),)) for role in ("kernel", "bias")
    ]


def test_widths_of_a_graph() -> None:
    pool = layer("MaxPooling2D", "pool", pool_size=[2, 2], **FIRST)
    pad = layer("ZeroPadding2D", "pad", padding=[[1, 1], [2, 1]], **FIRST)
    model = graph(
        (layer("Add", "sum"), [[["up", 0, 0, {}], ["pad", 0, 0, {}]]]),
        (entry("in", IMAGE), []),
        (pool, [[["in", 0, 0, {}]]]),
        (pad, [[["pool", 0, 0, {}]]]),
        (layer("UpSampling2D", "up", size=[2, 2], **FIRST), [[["pool", 0, 0, {}]]]),
        (layer("Cropping2D", "crop", cropping=[[0, 0], [1, 0]], **FIRST), [[["up", 0, 0, {}]]]),
        (layer("Concatenate", "cat", axis=1), [[["crop", 0, 0, {}], ["pad", 0, 0, {}]]]),
        (layer("Concatenate", "wide", axis=-1), [[["crop", 0, 0, {}], ["pad", 0, 0, {}]]]),
        (layer("Activation", "twice", activation="relu"), [[["crop", 0, 0, {}]], [["up", 0, 0, {}]]]),
        (layer("Mine", "mine", **FIRST), [[["up", 0, 0, {}]]]),
        (layer("AveragePooling2D", "next", pool_size=[3, 3], strides=[2, 2], padding="same", **FIRST), [[["cat", 0, 0, {}]]]),
    )
    found = widths(model)
    assert found == {("in",): 8, ("pool",): 4, ("pad",): 7, ("up",): 8, ("crop",): 7, ("cat",): 7, ("next",): 4}


def test_widths_inside_of_models_and_of_forged_arguments() -> None:
    inner = row(entry("in", IMAGE), conv("c"))
    assert widths(row(layer("Mine", "first"), {**inner, "name": "inner"}))["inner", "c"] == 6
    forged = row(entry("in", IMAGE), conv("a", strides=0), conv("b", kernel_size="many"), conv("c", kernel_size=[1, 2**70]))
    assert widths(forged) == {("in",): 8}
