"""What becomes of the layers of Keras 3 in Keras 2: their classes, their meanings, their arguments, and the objects inside of them."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.downgrade import Downgraded, downgrade
from kmodel_tools.architecture.upgrade import UpgradeError
from kmodel_tools.architecture.upgrade.objects import spelled
from kmodel_tools.architecture.weight_rules import Piece, Scale, Take, WeightRule
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.tree import Layer, Model, Weight
from tests.architecture.configs import Json

FLATTER = 1 / 1.2
QUANTIZED = spelled("keras.quantizers", "Int8QuantizationConfig", {"weight_quantizer": None})


def layer(kind: str, name: str = "x", built: Any = None, **config: Any) -> Json:
    """A layer as archives of Keras 3 hold it."""
    found = spelled("keras.layers", kind, {"name": name, **config})
    return found if built is None else found | {"build_config": {"input_shape": built}}


def entry(shape: Any = (None, 5), **config: Any) -> Json:
    return layer("InputLayer", "in", batch_shape=list(shape), **({"dtype": "float32"} | config))


def row(*layers: Json, **more: Any) -> Json:
    return spelled("keras", "Sequential", {"name": "row", "layers": list(layers), **more})


def downgraded(item: Json, held: Model | None = None) -> tuple[Json, Downgraded]:
    """A layer behind an input, as Keras 2 has it."""
    found = downgrade(row(entry(), item), "3.15.1", held)
    made: Json = found.config["config"]["layers"][1]
    return made, found


def settings(item: Json) -> Json:
    config: Json = downgraded(item)[0]["config"]
    return config


def policy(name: str, kind: str = "DTypePolicy") -> Json:
    return spelled("keras", kind, {"name": name})


# Classes.


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (layer("RMSNormalization"), "is not in Keras 2"),
        (layer("RandomCrop", height=2, width=2), "leaves images as they are when it predicts"),
        (layer("StringLookup", output_mode="tf_idf"), "keeps frequencies of words"),
        (layer("SpectralNormalization", layer=layer("Embedding", "e", input_dim=3, output_dim=2)), "in the dtype of its input"),
        (layer("InputLayer", "in2", batch_shape=[None, 5], optional=True), "may be left out"),
        (layer("LSTM", units=2, activation="hard_sigmoid"), "applies hard_sigmoid to its state"),
        (layer("PReLU", activation="hard_sigmoid"), "another function of that name"),
        (layer("Dense", units=2, activation="sparsemax"), "applies sparsemax"),
        (layer("Dense", units=2, dtype=policy("int8_from_float32", "QuantizedDTypePolicy")), "dtype policy QuantizedDTypePolicy, which"),
        (layer("Dense", units=2, quantization_config=QUANTIZED), "has quantization_config=Int8QuantizationConfig, which"),
        (layer("Dense", units=2, kernel_initializer=spelled("keras.initializers", "STFT", {})), "the initializer STFT"),
        (layer("LayerNormalization", rms_scaling=True), "has rms_scaling=True"),
        (layer("MultiHeadAttention", num_heads=1, key_dim=2, use_gate=True), "has use_gate=True"),
        (layer("Dense", units=2, unheard_of=None), "has unheard_of=None"),
        (layer("Discretization", built=[None, 5], bin_boundaries=[0.0], output_mode="one_hot"), "encodes more than one axis"),
        (layer("CategoryEncoding", built=[None, 2, 3], num_tokens=3), "encodes more than one axis"),
    ],
    ids=lambda value: value.get("class_name") if isinstance(value, dict) else None,
)
def test_what_keras_2_lacks_is_refused_by_the_name_of_the_layer(item: Json, why: str) -> None:
    with pytest.raises(UpgradeError, match=rf"the layer (x|in2) \({item['class_name']}\) .*{why}"):
        downgraded(item)


def test_todays_names() -> None:
    assert downgraded(layer("Convolution2D", filters=2))[0]["class_name"] == "Conv2D"
    assert downgraded(layer("keras>Dense", units=2))[0]["class_name"] == "Dense"


def test_a_wrapper_that_loading_has_to_be_given_is_said() -> None:
    _, found = downgraded(layer("SpectralNormalization", layer=layer("Dense", "d", units=2), power_iterations=1))
    assert "custom_objects={" in found.changes[0]


def test_inputs() -> None:
    made = downgrade(row(entry(dtype=policy("float32"), optional=False), layer("Dense", units=2))).config["config"]["layers"][0]
    assert made == {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, 5], "dtype": "float32", "sparse": False, "ragged": False, "name": "in"},
    }
    built = downgrade(row(layer("Dense", units=2), build_input_shape=[None, 4])).config["config"]
    assert built["build_input_shape"] == [None, 4]


# Meanings.


def test_hard_sigmoid_of_a_dense() -> None:
    _, found = downgraded(layer("Dense", units=2, activation="hard_sigmoid"))
    assert [(rule.layer, rule.role, rule.pieces[0].steps) for rule in found.rules] == [
        (("x",), "kernel", (Scale(FLATTER),)),
        (("x",), "bias", (Scale(FLATTER),)),
    ]
    assert "divided by 1.2" in found.changes[0]
    _, plain = downgraded(layer("EinsumDense", equation="ab,bc->ac", output_shape=2, activation="hard_sigmoid"))
    assert [rule.role for rule in plain.rules] == ["kernel"]


def test_hard_sigmoid_of_gates() -> None:
    _, found = downgraded(layer("GRU", units=2, recurrent_activation="hard_sigmoid", reset_after=True))
    cell = ("x", "cell")
    flat, sharp = ([Take(axis, number, 3) for number in range(3)] for axis in (1, 0))
    expected = [
        WeightRule(cell, role, tuple(Piece(cell, role, (take, Scale(FLATTER)) if take.part < 2 else (take,)) for take in flat), 1)
        for role in ("kernel", "recurrent_kernel", "bias")
    ]
    assert [(rule.layer, rule.role, rule.pieces, rule.axis) for rule in found.rules] == [
        (rule.layer, rule.role, rule.pieces, rule.axis) for rule in expected
    ]
    _, early = downgraded(layer("GRU", units=2, recurrent_activation="hard_sigmoid", reset_after=False))
    assert [piece.steps[0] for piece in early.rules[2].pieces] == sharp
    _, simple = downgraded(layer("SimpleRNN", units=2, activation="hard_sigmoid", use_bias=False))
    assert [(rule.role, rule.pieces[0].steps) for rule in simple.rules] == [
        ("kernel", (Take(1, 0, 1), Scale(FLATTER))),
        ("recurrent_kernel", (Take(1, 0, 1), Scale(FLATTER))),
    ]


BOUND = spelled("keras.constraints", "MaxNorm", {})


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (layer("Dense", units=2, activation="hard_sigmoid", kernel_constraint=BOUND), True),
        (layer("GRU", units=2, recurrent_activation="hard_sigmoid", recurrent_regularizer=spelled("keras.regularizers", "L2", {})), True),
        (layer("Dense", units=2, activation="hard_sigmoid", activity_regularizer=spelled("keras.regularizers", "L2", {})), False),
        (layer("Dense", units=2, activation="hard_sigmoid", kernel_constraint=None), False),
        (layer("Dense", units=2, activation="relu", kernel_constraint=BOUND), False),
    ],
)
def test_what_binds_weights_that_were_scaled_is_said(item: Json, told: bool) -> None:
    assert any("weigh otherwise in training, since its weights are divided by 1.2" in text for text in downgraded(item)[1].changes) is told


def test_hard_sigmoid_alone() -> None:
    made, found = downgraded(layer("Activation", activation="hard_sigmoid"))
    assert [(item["class_name"], item["config"].get("scale")) for item in made["config"]["layers"]] == [
        ("Rescaling", FLATTER),
        ("Activation", None),
    ]
    assert made["config"]["name"] == "x"
    assert "a division by 1.2 is put before it" in found.changes[0]


@pytest.mark.parametrize(("width", "is_said"), [(5, True), (6, False), (None, True)])
def test_a_bias_that_keras_3_adds_along_the_wrong_axis_is_said(width: int | None, is_said: bool) -> None:
    more: Json = {"filters": 4, "kernel_size": [2, 2], "data_format": "channels_first"}
    assert bool(downgraded(layer("Conv2D", built=[None, 3, 7, width], **more))[1].changes) is is_said
    assert not downgraded(layer("Conv2D", built=[None, 3, 7, width], use_bias=False, **more))[1].changes
    depthwise = layer("DepthwiseConv2D", built=[None, 4, 7, width], kernel_size=[2, 2], data_format="channels_first")
    assert bool(downgraded(depthwise)[1].changes) is is_said


# Arguments.


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (layer("LSTM", units=2, use_cudnn="auto", seed=None, zero_output_for_mask=False), {"units": 2}),
        (layer("Conv2D", filters=2, groups=1, lora_rank=None, lora_alpha=None), {"filters": 2}),
        (layer("Conv2D", filters=2, groups=2), {"filters": 2, "groups": 2}),
        (layer("GroupNormalization", groups=1), {"groups": 1}),
        (layer("Attention", score_mode="dot", seed=None), {}),
        (layer("Normalization", axis=-1, invert=False), {"axis": -1}),
        (layer("BatchNormalization", renorm=False, renorm_momentum=0.9, renorm_clipping=None), {}),
        (layer("BatchNormalization", renorm=True, renorm_momentum=0.9), {"renorm": True, "renorm_momentum": 0.9}),
        (layer("Dense", units=2, quantization_config=None, autocast=True), {"units": 2}),
        (layer("GlobalMaxPooling1D", keepdims=False), {}),
        (layer("GlobalMaxPooling1D", keepdims=True), {"keepdims": True}),
        (layer("Dropout", rate=0.5, seed=None), {"rate": 0.5}),
        (layer("Dropout", rate=0.5, seed=2), {"rate": 0.5, "seed": 2}),
        (layer("LeakyReLU", negative_slope=0.25), {"alpha": 0.25}),
        (layer("StringLookup", vocabulary=["a"], dtype="float32", oov_method=None, salt=None), {"vocabulary": ["a"]}),
        (layer("TextVectorization", ngrams=[1, 3]), {"ngrams": {"class_name": "__tuple__", "items": [1, 3]}}),
        (layer("TextVectorization", ngrams=2), {"ngrams": 2}),
        (layer("Discretization", built=[None, 1], bin_boundaries=[0.0], output_mode="one_hot"), None),
        (
            layer("MultiHeadAttention", num_heads=1, key_dim=2, flash_attention=None, seed=1),
            {"num_heads": 1, "key_dim": 2, "query_shape": None, "key_shape": None, "value_shape": None},
        ),
    ],
    ids=lambda value: value.get("class_name") if isinstance(value, dict) else None,
)
def test_arguments(item: Json, expected: Json | None) -> None:
    found = settings(item)
    assert expected is None or found == {"name": "x", **expected}


def test_factors_of_lora_are_merged_in_archives_and_refused_beside_a_kernel() -> None:
    item = layer("Dense", units=2, lora_rank=2, lora_alpha=4)
    made, found = downgraded(item)
    assert made["config"] == {"name": "x", "units": 2}
    assert "LoRA is not in Keras 2" in found.changes[0]
    factor = Weight("lora_kernel_a", Tensor(DType.FLOAT32, (5, 2), InMemory(bytes(40))), "", True)
    held = Model(layers=(Layer("x", None, "Dense", (factor,), ()),))
    with pytest.raises(UpgradeError, match="keeps factors of LoRA beside its kernel"):
        downgraded(item, held)


def test_bytecode_is_carried_as_text() -> None:
    code = spelled("builtins", "__lambda__", {"code": "4wEAAAA=\n", "defaults": None, "closure": None})
    found = settings(layer("Lambda", function=code, arguments={}))
    shape = {"output_shape": None, "output_shape_type": "raw"}
    assert found == {"name": "x", "function": ["4wEAAAA=\n", None, None], "function_type": "lambda", "arguments": {}, **shape}
    named = settings(layer("Lambda", function=spelled("builtins", "function", "mine", "function"), output_shape=[2]))
    assert (named["function"], named["function_type"], named["output_shape"], named["output_shape_type"]) == (
        "mine",
        "function",
        [2],
        "raw",
    )


# Objects.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("silu", "swish"),
        ("celu", "elu"),
        ("relu", "relu"),
        ("relu6", {"class_name": "ReLU", "config": {"max_value": 6.0}}),
        ("leaky_relu", {"class_name": "LeakyReLU", "config": {"alpha": 0.2}}),
        (spelled("builtins", "function", "act", "mine>act"), "mine>act"),
    ],
    ids=str,
)
def test_activations(name: Any, expected: Any) -> None:
    assert settings(layer("Dense", units=2, activation=name))["activation"] == expected


def test_dtypes() -> None:
    assert settings(layer("Dense", units=2, dtype=policy("float64")))["dtype"] == "float64"
    assert settings(layer("Dense", units=2, dtype=policy("mixed_float16")))["dtype"] == {
        "class_name": "Policy",
        "config": {"name": "mixed_float16"},
    }


def test_initializers_regularizers_and_constraints() -> None:
    seed = spelled("keras.random", "SeedGenerator", {"seed": 7, "name": "s"})
    found = settings(
        layer(
            "Dense",
            units=2,
            kernel_initializer=spelled("keras.initializers", "HeNormal", {"seed": seed, "input_axes": None}),
            bias_initializer=spelled("keras.initializers", "Zeros", {}),
            kernel_regularizer=spelled("keras.regularizers", "L2", {"l2": 0.5}),
            kernel_constraint=spelled("keras.constraints", "NonNeg", {}),
        )
    )
    assert found["kernel_initializer"] == {"class_name": "HeNormal", "config": {"seed": 7}}
    assert found["bias_initializer"] == {"class_name": "Zeros", "config": {}}
    assert found["kernel_regularizer"] == {"class_name": "L2", "config": {"l2": 0.5}}
    assert found["kernel_constraint"] == {"class_name": "NonNeg", "config": {}}


def test_layers_inside_of_layers() -> None:
    both = settings(layer("Bidirectional", layer=layer("GRU", "g", units=2, activation="silu", use_cudnn="auto"), merge_mode="sum"))
    assert both["layer"] == {"class_name": "GRU", "config": {"name": "g", "units": 2, "activation": "swish"}}
    cells = settings(layer("RNN", cell=layer("StackedRNNCells", "c", cells=[layer("LSTMCell", "a", units=2, seed=None)])))
    assert cells["cell"]["config"]["cells"] == [{"class_name": "LSTMCell", "config": {"name": "a", "units": 2}}]


def test_somebodys_own_layer_is_written_under_its_registered_name() -> None:
    own = spelled("mine", "Own", {"name": "x", "size": 2}, "mine>Own")
    made, found = downgraded(own)
    assert made == {"class_name": "mine>Own", "config": {"name": "x", "size": 2}}
    assert [item.name for item in found.custom] == ["mine>Own"]


def test_names_that_no_scope_of_tensorflow_has() -> None:
    found = downgrade(row(entry(), layer("Dense", "my layer", units=2), layer("Dense", "my_layer", units=2), layer("Dense", "_d", units=2)))
    assert [item["config"]["name"] for item in found.config["config"]["layers"]] == ["in", "my_layer_1", "my_layer", "layer_d"]
    assert found.renamed == {("my layer",): "my_layer_1", ("_d",): "layer_d"}


def test_names_of_layers_inside_of_others_too() -> None:
    """Cures `'time_distributed/in ner/' is not a valid scope name`."""
    made, found = downgraded(layer("TimeDistributed", layer=layer("Dense", "a b", units=2)))
    assert made["config"]["layer"]["config"]["name"] == "a_b"
    assert found.changes == ("TensorFlow takes other signs in a name; underscores stand for them in: a b",)


def test_what_early_releases_of_keras_3_say_and_take_back() -> None:
    """Cures `the layer random_rotation (RandomRotation) has value_range=[0, 255], which no layer of Keras 2 does`."""
    assert "value_range" not in settings(layer("RandomRotation", factor=[-0.1, 0.1], value_range=[0, 255]))
