"""What becomes of the layers of Keras 2: their arguments, their classes, and what had another meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kmodel_tools.architecture.upgrade import Upgraded, UpgradeError, upgrade
from kmodel_tools.architecture.weight_rules import Piece, Reshape, Scale, Take, Transpose, UnitMatrix, Unshared, WeightRule
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.tree import Layer, Model, Weight
from kmodel_tools.unshared import Windows
from tests.architecture.configs import TF_KERAS, Json, calls, entry, graph, layer, row, settings, upgraded_layer

# Arguments.


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (layer("LSTM", units=2, time_major=False, implementation=2), {"units": 2}),
        (layer("Conv2DTranspose", filters=2, kernel_size=[2, 2], groups=1), {"filters": 2, "kernel_size": [2, 2]}),
        (layer("DepthwiseConv2D", kernel_size=[2, 2], groups=1, filters=None, kernel_initializer="zeros"), {"kernel_size": [2, 2]}),
        (layer("SpatialDropout1D", rate=0.5, noise_shape=None, seed=None, trainable=True), {"rate": 0.5, "seed": None}),
        (layer("Embedding", input_dim=3, output_dim=2, input_length=4), {"input_dim": 3, "output_dim": 2}),
        (layer("MultiHeadAttention", num_heads=1, key_dim=2, query_shape=[None, 5]), {"num_heads": 1, "key_dim": 2}),
        (layer("RandomFlip", mode="vertical", rng_type=None), {"mode": "vertical"}),
        (layer("BatchNormalization", axis=[3], fused=True), {"axis": 3}),
        (layer("LeakyReLU", alpha={"type": "ndarray", "value": 0.25}), {"negative_slope": 0.25}),
        (layer("LeakyReLU", alpha=0.25), {"negative_slope": 0.25}),
        (layer("Rescaling", scale=2.0), {"scale": 2.0, "offset": 0.0}),
        (layer("CategoryEncoding", max_tokens=3, output_mode="binary"), {"num_tokens": 3, "output_mode": "multi_hot"}),
        (layer("Dense", units=2, trainable=None), {"units": 2}),
        (layer("Normalization", mean=[1.0, 2.0], variance=3.0, axis=[-1]), {"mean": [1.0, 2.0], "variance": [3.0, 3.0], "axis": [-1]}),
    ],
    ids=lambda value: value.get("class_name") if isinstance(value, dict) else None,
)
def test_arguments(item: Json, expected: Json) -> None:
    assert settings(item) == {"name": "x", **expected}


@pytest.mark.parametrize(
    "item",
    [
        layer("LSTM", units=2, time_major=True),
        layer("Conv2DTranspose", filters=2, kernel_size=[2, 2], groups=2),
        layer("SpatialDropout1D", rate=0.5, noise_shape=[1, 2, 3]),
        layer("Dense", units=2, unheard_of=None),
        layer("BatchNormalization", axis=[1, 3]),
    ],
    ids=lambda item: item["class_name"],
)
def test_an_argument_that_means_something_is_never_dropped(item: Json) -> None:
    with pytest.raises(UpgradeError, match=r"the layer x \("):
        settings(item)


def test_bytecode_is_carried_as_text() -> None:
    item = layer("Lambda", function=["4wEAAAA=\n", None, None], function_type="lambda", module="m", output_shape=None, arguments={})
    item["config"] |= {"output_shape_type": "raw", "output_shape_module": None}
    assert settings(item) == {
        "name": "x",
        "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=\n", "defaults": None, "closure": None}},
        "arguments": {},
    }
    named = settings(layer("Lambda", function="mine", function_type="function", module="m"))
    assert named["function"] == {"class_name": "function", "config": "mine", "module": "builtins", "registered_name": "function"}


def test_causal_attention_says_so_at_its_calls() -> None:
    model = graph((entry(), []), (layer("Attention", causal=True), [[["in", 0, 0, {}], ["in", 0, 0, {}]]]))
    found = upgrade(model, TF_KERAS).config
    assert calls(found, "x") == [([[("in", 0, 0), ("in", 0, 0)]], {"use_causal_mask": True})]
    assert "causal" not in settings(layer("Attention", causal=False))


# Classes.


@pytest.mark.parametrize(("old", "new"), [("GRUV2", "GRU"), ("Convolution2D", "Conv2D"), ("SyncBatchNormalization", "BatchNormalization")])
def test_todays_names(old: str, new: str) -> None:
    made, _ = upgraded_layer(layer(old))
    assert made["class_name"] == new
    assert made["config"].get("synchronized") == (True if old.startswith("Sync") else None)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("LocallyConnected2D", "a kernel of its own for every position"),
        ("RandomFourierFeatures", "sizes of its weights"),
        ("DenseFeatures", "feature columns"),
        ("TFOpLambda", "is the operation"),
        ("SlicingOpLambda", "is the operation"),
        ("TensorFlowOpLayer", "is the operation"),
    ],
)
def test_what_has_no_equivalent_is_named(kind: str, why: str) -> None:
    with pytest.raises(UpgradeError, match=rf"the layer x \({kind}\) .*{why}"):
        settings(layer(kind))


def test_thresholded_relu() -> None:
    made, found = upgraded_layer(layer("ThresholdedReLU", theta={"type": "ndarray", "value": 0.5}))
    assert made["class_name"] == "ReLU"
    assert made["config"] == {"name": "x", "threshold": 0.5, "max_value": None, "negative_slope": 0.0}
    assert "ThresholdedReLU is not in Keras 3" in found.changes[0]
    with pytest.raises(UpgradeError, match="negative threshold"):
        settings(layer("ThresholdedReLU", theta=-1.0))


def test_bidirectional_around_a_layer_that_goes_backwards() -> None:
    found = settings(layer("Bidirectional", layer=layer("GRU", "g", units=2, go_backwards=True)))
    assert found["layer"]["config"]["go_backwards"] is True
    assert found["backward_layer"]["config"]["go_backwards"] is False
    assert "backward_layer" not in settings(layer("Bidirectional", layer=layer("GRU", "g", units=2)))


def test_cudnn_lstm() -> None:
    made, found = upgraded_layer(layer("CuDNNLSTM", units=2, return_sequences=True, unit_forget_bias=True))
    assert made["class_name"] == "LSTM"
    assert made["config"]["recurrent_activation"] == "sigmoid"
    kernel, recurrent, bias = found.rules
    cell = ("x", "cell")
    assert kernel.pieces == tuple(Piece(cell, "kernel", (Take(1, gate, 4), Reshape((2, -1)), Transpose((1, 0)))) for gate in range(4))
    assert recurrent.pieces == tuple(Piece(cell, "recurrent_kernel", (Take(1, gate, 4), Transpose((1, 0)))) for gate in range(4))
    assert (bias.axis, bias.pieces) == (None, tuple(Piece(cell, "bias", (Take(0, part, 2),)) for part in range(2)))


def test_cudnn_gru() -> None:
    made, found = upgraded_layer(layer("CuDNNGRU", units=2))
    assert made["class_name"] == "GRU"
    assert made["config"]["reset_after"] is True
    assert found.rules[2].pieces == (Piece(("x", "cell"), "bias", (Reshape((2, 6)),)),)


def test_images_of_random_size_are_left_as_they_are() -> None:
    made, found = upgraded_layer(layer("RandomHeight", factor=0.2, interpolation="nearest", seed=1))
    assert (made["class_name"], made["config"]) == ("Identity", {"name": "x"})
    assert "in training it does not change images any more" in found.changes[0]


def test_causal_separable_convolution() -> None:
    config: Json = {"filters": 2, "kernel_size": [3], "dilation_rate": [2], "padding": "causal", "activation": "hard_sigmoid"}
    made, found = upgraded_layer(layer("SeparableConv1D", **config))
    pad, convolution = made["config"]["layers"]
    assert (pad["class_name"], pad["config"]["padding"]) == ("ZeroPadding1D", [4, 0])
    assert (convolution["class_name"], convolution["config"]["padding"]) == ("SeparableConv1D", "valid")
    steps = {(*rule.layer, rule.role): rule.pieces[0] for rule in found.rules}
    assert steps["x", "x_2", "depthwise_kernel"] == Piece(("x",), "depthwise_kernel")
    assert steps["x", "x_2", "pointwise_kernel"] == Piece(("x",), "pointwise_kernel", (Scale(1.2),))


# With weights at hand, which tell sizes.


def held_layer(item: Json, **shapes: tuple[int, ...]) -> tuple[Json, Upgraded]:
    """A layer whose weights have some shapes; a name with `__` is that of a sub-layer."""
    inner: dict[str, list[Weight]] = {}
    for role, shape in shapes.items():
        attr, _, name = role.rpartition("__")
        source = InMemory(bytes(4 * math.prod(shape)))
        inner.setdefault(attr, []).append(Weight(name, Tensor(DType.FLOAT32, shape, source), role))
    below = tuple(Layer(attr, attr, weights=tuple(weights)) for attr, weights in inner.items() if attr)
    model = Model(layers=(Layer("x", weights=tuple(inner.get("", ())), layers=below),))
    found = upgrade(row(entry(), item), TF_KERAS, model)
    return found.config["config"]["layers"][1], found


def test_locally_connected() -> None:
    config: Json = {"filters": 3, "kernel_size": [2, 1], "strides": [1, 1], "padding": "valid", "activation": "tanh"}
    made, found = held_layer(layer("LocallyConnected2D", **config), kernel=(6, 8, 3), bias=(2, 3, 3))
    taken, product = made["config"]["layers"]
    assert (taken["class_name"], taken["config"]["filters"], taken["config"]["trainable"]) == ("Conv2D", 8, False)
    assert (product["config"]["equation"], product["config"]["output_shape"]) == ("bhwk,hwkf->bhwf", [2, 3, 3])
    assert (product["config"]["bias_axes"], product["config"]["activation"]) == ("hwf", "tanh")
    steps = {(*rule.layer, rule.role): rule.pieces[0].steps for rule in found.rules}
    assert steps["x", "x_1", "kernel"] == (UnitMatrix(8), Reshape((2, 1, 4, 8)))
    assert steps["x", "x_2", "kernel"] == (Reshape((2, 3, 8, 3)),)
    assert steps["x", "x_2", "bias"] == ()


def test_locally_connected_that_keeps_a_matrix() -> None:
    config: Json = {"filters": 3, "kernel_size": [3], "strides": [2], "padding": "same", "implementation": 2}
    made, found = held_layer(layer("LocallyConnected1D", **config), kernel=(5, 2, 3, 3), bias=(3, 3))
    assert [item["class_name"] for item in made["config"]["layers"]] == ["ZeroPadding1D", "Conv1D", "EinsumDense"]
    assert made["config"]["layers"][0]["config"]["padding"] == [1, 1]
    (kernel,) = [rule for rule in found.rules if (rule.layer, rule.role) == (("x", "x_3"), "kernel")]
    assert kernel.pieces[0].steps == (Unshared(Windows((5,), (3,), (2,), True), 2, 3, False),)


def test_a_depthwise_convolution_with_channels_first() -> None:
    _, found = held_layer(layer("DepthwiseConv2D", kernel_size=[2, 2], data_format="channels_first"), kernel=(2, 2, 4, 1), bias=(4,))
    assert {(*rule.layer, rule.role) for rule in found.rules} == {("x", "x_2", "kernel"), ("x", "x_2", "bias")}


def test_an_activation_with_weights_comes_behind() -> None:
    made, found = upgraded_layer(layer("Dense", units=2, activation=layer("PReLU", "p", shared_axes=None)))
    assert [item["class_name"] for item in made["config"]["layers"]] == ["Dense", "PReLU"]
    assert {(*rule.layer, rule.role): (*rule.pieces[0].layer, rule.pieces[0].role) for rule in found.rules} == {
        ("x", "x_1", "kernel"): ("x", "kernel"),
        ("x", "x_1", "bias"): ("x", "bias"),
        ("x", "x_2", "alpha"): ("x", "activation", "alpha"),
    }
    with pytest.raises(UpgradeError, match="applies a PReLU"):
        upgraded_layer(layer("LocallyConnected1D", activation=layer("PReLU", "p")))


def test_locally_connected_whose_sizes_nothing_tells() -> None:
    config: Json = {"filters": 3, "kernel_size": [2, 1], "use_bias": False}
    with pytest.raises(UpgradeError, match="does not tell the sizes"):
        held_layer(layer("LocallyConnected2D", **config), kernel=(6, 8, 3))
    with pytest.raises(UpgradeError, match="is no size"):
        held_layer(layer("LocallyConnected2D", filters=3, kernel_size=["a", 1]), kernel=(6, 8, 3))


def test_time_first() -> None:
    item = layer("LSTM", units=2, time_major=True, return_sequences=True, return_state=True)
    made, found = held_layer(item, cell__kernel=(4, 8), cell__recurrent_kernel=(2, 8), cell__bias=(8,))
    assert [part["class_name"] for part in made["config"]["layers"]] == ["InputLayer", "Transpose", "LSTM", "Transpose"]
    assert made["config"]["output_layers"] == [["x_3", 0, 0], ["x_2", 0, 1], ["x_2", 0, 2]]
    assert made["config"]["layers"][0]["config"]["batch_shape"] == [None, None, 4]
    assert {rule.layer for rule in found.rules} == {("x", "x_2", "cell")}
    with pytest.raises(UpgradeError, match="time_major"):
        upgraded_layer(item)


def test_random_fourier_features() -> None:
    item = layer("RandomFourierFeatures", output_dim=3, kernel_initializer="gaussian", scale=None)
    made, found = held_layer(item, kernel_scale=(1,), unscaled_kernel=(5, 3), bias=(3,))
    assert made["class_name"] == "Functional"
    assert made["config"]["layers"][-1]["class_name"] == "Cos"
    assert {rule.pieces[0].role: rule.pieces[0].steps for rule in found.rules} == {
        "kernel_scale": (Reshape((1, 1)),),
        "unscaled_kernel": (),
        "bias": (Reshape((1, 3)),),
    }


# Meaning.


def rules(item: Json, version: str = TF_KERAS) -> dict[tuple[str, ...], WeightRule]:
    return {(*rule.layer, rule.role): rule for rule in upgraded_layer(item, version)[1].rules}


def scaled(rule: WeightRule) -> list[bool]:
    return [Scale(1.2) in piece.steps for piece in rule.pieces]


@pytest.mark.parametrize("kind", ["GRU", "LSTMCell", "ConvLSTM2D"])
def test_weights_of_an_activation_inside_of_a_recurrent_layer_are_refused(kind: str) -> None:
    size: Json = {"filters": 2, "kernel_size": [1, 1]} if kind.startswith("Conv") else {"units": 2}
    with pytest.raises(UpgradeError, match="applies a PReLU"):
        settings(layer(kind, **size, activation=layer("PReLU", "p")))
    assert settings(layer(kind, **size, activation=layer("ReLU", "r")))
    assert settings(layer("Dense", units=2, activation=layer("PReLU", "p")))


def test_a_gru_that_does_not_say_resets_before() -> None:
    assert settings(layer("GRU", units=2))["reset_after"] is False
    assert settings(layer("GRU", units=2, reset_after=True))["reset_after"] is True


def test_the_default_of_gates_was_hard_sigmoid() -> None:
    assert rules(layer("LSTM", units=2), "2.0.9")
    assert not rules(layer("LSTM", units=2))


@pytest.mark.parametrize(
    ("item", "changed"),
    [
        (layer("Dense", units=2), {("x", "kernel"), ("x", "bias")}),
        (layer("Dense", units=2, use_bias=False), {("x", "kernel")}),
        (layer("SeparableConv2D", filters=2, kernel_size=[1, 1]), {("x", "pointwise_kernel"), ("x", "bias")}),
        (layer("EinsumDense", equation="ab,bc->ac", output_shape=[2], bias_axes=None), {("x", "kernel")}),
        (layer("TimeDistributed", layer=layer("Dense", "d", units=2)), {("x", "layer", "kernel"), ("x", "layer", "bias")}),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else None,
)
def test_hard_sigmoid_behind_weights(item: Json, changed: set[tuple[str, ...]]) -> None:
    target = item["config"].get("layer", item)
    target["config"]["activation"] = "hard_sigmoid"
    found = rules(item)
    assert set(found) == changed
    assert all(rule.pieces[0].steps == (Scale(1.2),) for rule in found.values())


@pytest.mark.parametrize(
    ("item", "gates"),
    [
        (layer("LSTM", units=2, recurrent_activation="hard_sigmoid"), [True, True, False, True]),
        (layer("GRU", units=2, recurrent_activation="hard_sigmoid"), [True, True, False]),
        (layer("GRU", units=2, activation="hard_sigmoid", recurrent_activation="sigmoid"), [False, False, True]),
        (layer("SimpleRNN", units=2, activation="hard_sigmoid"), [True]),
    ],
    ids=["LSTM", "GRU", "GRU-candidate", "SimpleRNN"],
)
def test_hard_sigmoid_of_gates(item: Json, gates: list[bool]) -> None:
    found = rules(item)
    assert set(found) == {("x", "cell", role) for role in ("kernel", "recurrent_kernel", "bias")}
    assert [scaled(rule) for rule in found.values()] == [gates] * 3
    assert [rule.axis for rule in found.values()] == [1, 1, 0]


def test_gates_of_other_layers() -> None:
    both = rules(layer("GRU", units=2, recurrent_activation="hard_sigmoid", reset_after=True))
    assert both["x", "cell", "bias"].axis == 1
    conv = rules(layer("ConvLSTM2D", filters=2, kernel_size=[1, 1], recurrent_activation="hard_sigmoid", use_bias=False))
    assert {path: rule.axis for path, rule in conv.items()} == {("x", "cell", "kernel"): 3, ("x", "cell", "recurrent_kernel"): 3}
    inner = layer("LSTM", "l", units=2, recurrent_activation="hard_sigmoid")
    assert {path[:2] for path in rules(layer("Bidirectional", layer=inner))} == {("x", "forward_layer"), ("x", "backward_layer")}
    apart = rules(layer("Bidirectional", layer=inner, backward_layer=layer("LSTM", "m", units=2, recurrent_activation="sigmoid")))
    assert {path[:2] for path in apart} == {("x", "forward_layer")}
    cell = layer("LSTMCell", "c", units=2, recurrent_activation="hard_sigmoid")
    assert ("x", "cell", "kernel") in rules(layer("RNN", cell=cell))
    listed = rules(layer("RNN", cell=[layer("GRUCell", "g", units=2), cell]))
    assert {path[:4] for path in listed} == {("x", "cell", "cells", "1")}
    stacked = layer("StackedRNNCells", "s", cells=[cell])
    assert ("x", "cell", "cells", "0", "kernel") in rules(layer("RNN", cell=stacked))


def test_hard_sigmoid_of_a_state_is_refused() -> None:
    with pytest.raises(UpgradeError, match=r"the layer x \(LSTM\) applies the old hard_sigmoid to its state"):
        settings(layer("LSTM", units=2, activation="hard_sigmoid"))


def test_hard_sigmoid_of_any_other_layer_is_refused() -> None:
    with pytest.raises(UpgradeError, match=r"the layer x \(Attention\) applies the old hard_sigmoid"):
        settings(layer("Attention", activation="hard_sigmoid"))


def test_hard_sigmoid_alone() -> None:
    made, found = upgraded_layer(layer("Activation", activation="hard_sigmoid"))
    assert (made["module"], made["class_name"], made["config"]["name"]) == ("keras", "Sequential", "x")
    first, second = made["config"]["layers"]
    assert (first["class_name"], first["config"]["scale"], first["module"]) == ("Rescaling", 1.2, "keras.layers")
    assert second["config"]["activation"] == "hard_sigmoid"
    assert "multiplication by 1.2" in found.changes[0]


def test_random_crop_crops_when_it_predicts() -> None:
    made, _ = upgraded_layer(layer("RandomCrop", height=2, width=3, seed=4))
    assert [item["class_name"] for item in made["config"]["layers"]] == ["RandomCrop", "Resizing"]
    assert made["config"]["layers"][1]["config"]["crop_to_aspect_ratio"] is True


def test_random_crop_that_resizes_first_is_refused() -> None:
    with pytest.raises(UpgradeError, match=r"the layer x \(RandomCrop\) resizes images before it crops them"):
        settings(layer("RandomCrop", height=2, width=3), "2.3.0-tf")


def test_a_cell_without_units_is_refused() -> None:
    with pytest.raises(UpgradeError, match=r"\(LSTMCell\) does not say its units"):
        settings(layer("RNN", cell=layer("LSTMCell", "c", trainable=True)), "2.0.9")


def test_an_activation_of_somebody_is_a_function() -> None:
    assert settings(layer("Dense", units=2, activation="swish6"))["activation"] == {
        "module": "builtins",
        "class_name": "function",
        "config": "swish6",
        "registered_name": "function",
    }
    assert settings(layer("Dense", units=2, activation="relu6"))["activation"] == "relu6"
    assert settings(layer("LSTM", units=2, recurrent_activation="p>gate"))["recurrent_activation"]["registered_name"] == "p>gate"


def test_arrays_that_a_lambda_is_called_with() -> None:
    arrays = {"a": {"type": "ndarray", "value": [[1, 2]]}, "b": {"type": "ndarray", "value": [0.5]}, "c": 3}
    found = settings(layer("Lambda", function=["4wEA", None, None], arguments=arrays))["arguments"]
    assert found == {
        "a": {"class_name": "__numpy__", "config": {"value": [[1, 2]], "dtype": "int64"}},
        "b": {"class_name": "__numpy__", "config": {"value": [0.5], "dtype": "float64"}},
        "c": 3,
    }


def test_a_lambda_whose_mask_is_bytecode_is_refused() -> None:
    with pytest.raises(UpgradeError, match="has a function for its mask"):
        upgraded_layer(layer("Lambda", function=["4wEA", None, None], mask=["4wEA", None, None], mask_type="lambda"))


def test_bytecode_of_keras_1_is_carried_as_data() -> None:
    code = {"class_name": "__lambda__", "config": {"code": "\xe3\x01", "defaults": None, "closure": None}}
    item = layer("Lambda", function="\xe3\x01", function_type="lambda", output_shape=None, output_shape_type="raw")
    assert settings(item)["function"] == code
    assert settings(layer("Lambda", function="named", function_type="function"))["function"]["config"] == "named"


def test_bilinear_upsampling_of_keras_2_is_refused() -> None:
    item = layer("UpSampling2D", size=[2, 2], interpolation="bilinear")
    with pytest.raises(UpgradeError, match=r"the layer x \(UpSampling2D\) interpolates between corners"):
        settings(item, "2.2.4")
    assert settings(item)["interpolation"] == "bilinear"
    settings(layer("UpSampling2D", size=[2, 2], interpolation="nearest"), "2.2.4")


def test_the_dtype_of_an_input_is_none_of_its_layer() -> None:
    words = layer("Embedding", input_dim=9, output_dim=4, dtype="int32")
    assert "dtype" not in settings(words, "2.0.5")
    assert settings(words)["dtype"] == "int32"
    found = upgrade(row({**words, "config": {**words["config"], "batch_input_shape": [None, 6]}}), "2.0.5").config
    assert found["config"]["layers"][0]["config"]["dtype"] == "int32"


@pytest.mark.parametrize(("key", "told"), [("kernel_regularizer", True), ("bias_constraint", True), ("activity_regularizer", False)])
def test_what_binds_weights_that_were_scaled_is_said(key: str, told: bool) -> None:
    kind = "MaxNorm" if key.endswith("constraint") else "L2"
    bound = {key: {"class_name": kind, "config": {}}}
    found = upgrade(row(entry("in", (None, 3)), layer("Dense", "act", units=2, activation="hard_sigmoid", **bound)), TF_KERAS)
    assert any("weigh otherwise in training" in change for change in found.changes) is told


def test_layer_normalization_over_axes_that_are_not_sorted() -> None:
    held = Model(layers=(Layer("x", None, "LayerNormalization", (Weight("gamma", Tensor.of(np.zeros((5, 6))), ""),)),))
    node = row(entry("in", (None, 6, 7, 5)), layer("LayerNormalization", "x", axis=[3, 1], center=False))
    found = upgrade(node, TF_KERAS, held)
    assert found.config["config"]["layers"][1]["config"]["axis"] == [1, 3]
    assert [(rule.role, rule.pieces[0].steps) for rule in found.rules] == [("gamma", (Reshape((6, 5)),))]


def test_a_normalized_embedding_is_refused() -> None:
    words = {"class_name": "Embedding", "config": {"name": "words", "input_dim": 9, "output_dim": 3}}
    with pytest.raises(UpgradeError, match="whose vectors Keras 3 rounds to whole numbers"):
        settings(layer("SpectralNormalization", layer=words, power_iterations=1))
    settings(layer("SpectralNormalization", layer={"class_name": "Dense", "config": {"name": "d", "units": 2}}, power_iterations=1))
