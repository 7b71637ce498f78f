"""What becomes of the layers of Keras 2: their arguments, their classes, and what had another meaning."""

from __future__ import annotations

import pytest

from kmodel_tools.architecture.upgrade import UpgradeError, upgrade
from kmodel_tools.architecture.weight_rules import Piece, Reshape, Scale, Take, Transpose, WeightRule
from tests.architecture.configs import TF_KERAS, Json, calls, entry, graph, layer, settings, upgraded_layer

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
        (layer("CategoryEncoding", max_tokens=3, output_mode="binary"), {"num_tokens": 3, "output_mode": "multi_hot"}),
        (layer("Dense", units=2, trainable=None), {"units": 2}),
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
        ("RandomFourierFeatures", "is not in Keras 3"),
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


# Meaning.


def rules(item: Json, version: str = TF_KERAS) -> dict[tuple[str, ...], WeightRule]:
    return {(*rule.layer, rule.role): rule for rule in upgraded_layer(item, version)[1].rules}


def scaled(rule: WeightRule) -> list[bool]:
    return [Scale(1.2) in piece.steps for piece in rule.pieces]


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
