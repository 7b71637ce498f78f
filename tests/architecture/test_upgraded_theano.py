"""Keras 2 on Theano: kernels the other way round, and padding on another side."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.upgrade import Upgraded, UpgradeError, upgrade
from kmodel_tools.architecture.weight_rules import Flip, Piece, Scale, Take
from tests.architecture.configs import Json, entry, layer, row

IMAGE = (None, 7, 8, 3)
LAST: Json = {"data_format": "channels_last"}


def found(item: Json, shape: tuple[Any, ...] = IMAGE, backend: str | None = "theano", version: str = "2.2.4") -> tuple[Json, Upgraded]:
    new = upgrade(row(entry("in", shape), item), version, backend=backend)
    return new.config["config"]["layers"][1], new


def conv(**config: Any) -> Json:
    return layer("Conv2D", **{"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", **LAST, **config})


@pytest.mark.parametrize(
    ("item", "shape", "axes"),
    [
        (layer("Conv1D", filters=4, kernel_size=[3], padding="causal"), (None, 8, 3), (0,)),
        (conv(padding="same"), IMAGE, (0, 1)),
        (layer("Conv3D", filters=4, kernel_size=[3, 3, 3], **LAST), (None, 4, 4, 4, 1), (0, 1, 2)),
        (layer("Conv2DTranspose", filters=4, kernel_size=[3, 3], padding="same", **LAST), IMAGE, (0, 1)),
    ],
)
def test_kernels_are_flipped(item: Json, shape: tuple[Any, ...], axes: tuple[int, ...]) -> None:
    made, new = found(item, shape)
    assert made["class_name"] == item["class_name"]
    assert [(rule.layer, rule.role, rule.pieces) for rule in new.rules] == [(("x",), "kernel", (Piece(("x",), "kernel", (Flip(axes),)),))]
    assert "flip kernels" in new.changes[0]


@pytest.mark.parametrize(("backend", "version"), [("tensorflow", "2.2.4"), (None, "2.2.4"), ("theano", "2.15.0")])
def test_nothing_is_flipped_for_others(backend: str | None, version: str) -> None:
    assert found(conv(padding="same", kernel_size=[2, 2]), backend=backend, version=version)[1].rules == ()


def test_other_backends_are_named() -> None:
    assert found(conv(), backend="cntk")[1].changes == (
        "cntk ran it, which may pad on another side than TensorFlow; taken for TensorFlow's: the model",
    )


def test_depthwise_kernels_are_not() -> None:
    assert found(layer("DepthwiseConv2D", kernel_size=[3, 3], padding="same", **LAST))[1].rules == ()


def test_a_rule_that_makes_the_kernel_is_kept() -> None:
    rules = {rule.role: rule.pieces[0].steps for rule in found(conv(activation="hard_sigmoid"))[1].rules}
    assert rules == {"kernel": (Flip((0, 1)), Scale(1.2)), "bias": (Scale(1.2),)}
    lstm = layer("ConvLSTM2D", filters=2, kernel_size=[3, 3], recurrent_activation="hard_sigmoid", use_bias=False, **LAST)
    steps = {rule.role: rule.pieces[0].steps for rule in found(lstm, (None, 2, 7, 8, 3))[1].rules}
    assert steps == dict.fromkeys(("kernel", "recurrent_kernel"), (Flip((0, 1)), Take(3, 0, 4), Scale(1.2)))


@pytest.mark.parametrize(
    ("item", "shape", "padding"),
    [
        (conv(padding="same", kernel_size=[2, 4]), IMAGE, [[1, 0], [2, 1]]),
        (conv(padding="same", strides=[2, 2]), IMAGE, [[1, 1], [1, 1]]),
        (conv(padding="same", kernel_size=[2, 2], dilation_rate=[3, 1]), IMAGE, [[2, 1], [1, 0]]),
        (layer("Conv1D", filters=4, kernel_size=[2], padding="same"), (None, 8, 3), [1, 0]),
        (layer("DepthwiseConv2D", kernel_size=[2, 2], padding="same", **LAST), IMAGE, [[1, 0], [1, 0]]),
    ],
)
def test_zeros_where_theano_has_them(item: Json, shape: tuple[Any, ...], padding: list[Any]) -> None:
    made, new = found(item, shape)
    zeros, inside = made["config"]["layers"]
    assert (zeros["class_name"], zeros["config"]["padding"]) == (f"ZeroPadding{len(shape) - 2}D", padding)
    assert (inside["class_name"], inside["config"]["padding"]) == (item["class_name"], "valid")
    assert {rule.layer for rule in new.rules} == {("x", "x_2")}


def test_channels_stay_first_outside() -> None:
    made, _ = found(conv(padding="same", kernel_size=[2, 2], filters=8, data_format="channels_first"), (None, 3, 7, 8))
    assert [item["class_name"] for item in made["config"]["layers"]] == ["ZeroPadding2D", "Permute", "Conv2D", "Permute"]
    assert made["config"]["layers"][0]["config"]["data_format"] == "channels_first"


@pytest.mark.parametrize(
    ("config", "cropping"),
    [
        ({"strides": [2, 2]}, [[1, 0], [1, 0]]),
        ({"kernel_size": [5, 3], "strides": [2, 1]}, [[2, 1], [1, 1]]),
        ({"strides": [2, 2], "output_padding": [1, 1]}, [[1, 0], [1, 0]]),
    ],
)
def test_what_theano_cuts(config: Json, cropping: list[Any]) -> None:
    item = layer("Conv2DTranspose", **{"filters": 4, "kernel_size": [3, 3], "padding": "same", "activation": "softmax", **LAST, **config})
    made, _ = found(item)
    inside, crop, function = made["config"]["layers"]
    assert (inside["config"]["padding"], inside["config"]["output_padding"], inside["config"]["activation"]) == ("valid", None, "linear")
    assert crop["config"]["cropping"] == cropping
    assert function["config"]["activation"] == "softmax"


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (layer("MaxPooling2D", pool_size=[2, 2], strides=[2, 2], padding="same"), "pools as Theano pads"),
        (layer("AveragePooling2D", pool_size=[3, 3], strides=[2, 2], padding="same"), "pools as Theano pads"),
        (layer("ConvLSTM2D", filters=2, kernel_size=[2, 3], **LAST), "pads its states"),
        (layer("ConvLSTM2D", filters=2, kernel_size=[3, 3], padding="same", strides=[2, 2], **LAST), "pads its states"),
        (layer("SeparableConv2D", filters=2, kernel_size=[2, 2], padding="same", **LAST), "has an even kernel"),
        (
            layer("Conv2DTranspose", filters=2, kernel_size=[1, 1], strides=[2, 2], padding="same", **LAST),
            "larger than what its kernel reaches",
        ),
    ],
)
def test_what_no_layer_does_is_refused(item: Json, why: str) -> None:
    with pytest.raises(UpgradeError, match=rf"the layer x \({item['class_name']}\) .*{why}"):
        found(item)


def test_pooling_that_starts_at_the_same_element() -> None:
    assert found(layer("MaxPooling2D", pool_size=[3, 1], strides=[1, 1], padding="same"))[1].changes == ()
