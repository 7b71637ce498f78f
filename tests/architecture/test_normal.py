from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.normal import connections, layer_settings, normal, normal_training, walk_specs
from kmodel_tools.architecture.spec import model_spec

POLICY: dict[str, Any] = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
    "shared_object_id": 7,
}
ZEROS: dict[str, Any] = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
GLOROT: dict[str, Any] = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
OLD_ADAM = {"class_name": "Custom>Adam", "config": {"name": "Adam", "learning_rate": 1}}
NEW_ADAM = {"module": "keras.optimizers", "class_name": "Adam", "config": {"name": "adam", "learning_rate": 1}}
WRAPPED = [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "dtype": "float32", "fn": "mean_absolute_error"}}]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dtype": POLICY}, {"dtype": "float32"}),
        ({"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}, {"dtype": "mixed_float16"}),
        ({"bias_initializer": ZEROS}, {"bias_initializer": "zeros"}),
        ({"bias_initializer": ZEROS}, {"bias_initializer": {"class_name": "Zeros", "config": {}}}),
        ({"kernel_initializer": GLOROT}, {"kernel_initializer": "glorot_uniform"}),
        ({"axis": {"class_name": "__tuple__", "items": [1, 2]}}, {"axis": [1, 2]}),
        ({"shape": {"class_name": "TensorShape", "items": [None, 2]}}, {"shape": [None, 2]}),
        ({"kernel_regularizer": None, "units": 3}, {"units": 3}),
        (
            {"activation": {"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}},
            {"activation": "mine"},
        ),
        ({"class_name": "pkg>Mine", "config": {"x": 1}}, {"class_name": "Mine", "config": {"x": 1}, "registered_name": "pkg>Mine"}),
        ({"synchronized": False, "renorm": False, "renorm_momentum": 0.99}, {}),
        ({"groups": 1}, {}),
        ({"trainable": True}, {}),
        ({"recurrent_initializer": {"class_name": "OrthogonalInitializer", "config": {}}}, {"recurrent_initializer": "orthogonal"}),
    ],
)
def test_spellings_of_one_setting(one: Any, other: Any) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dtype": POLICY}, {"dtype": "float16"}),
        ({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}}, {"dtype": "float32"}),
        ({"kernel_initializer": GLOROT}, {"kernel_initializer": "he_uniform"}),
        ({"kernel_initializer": GLOROT}, {"kernel_initializer": {**GLOROT, "config": {**GLOROT["config"], "scale": 2.0}}}),
        ({"synchronized": True}, {}),
        ({"renorm": True, "renorm_momentum": 0.99}, {"renorm": True}),
        ({"groups": 2}, {}),
        ({"trainable": False}, {}),
        ({"activation": "relu"}, {}),
        ({"class_name": "Mine", "config": {"x": 1}}, {"class_name": "Mine", "config": {"x": 2}}),
    ],
)
def test_settings_that_differ_stay_different(one: Any, other: Any) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"metrics": WRAPPED}, {"metrics": ["mae"]}),
        ({"metrics": None, "run_eagerly": False, "steps_per_execution": 1, "jit_compile": None}, {}),
        ({"loss": "mse"}, {"loss": "mean_squared_error"}),
        ({"optimizer_config": OLD_ADAM}, {"optimizer": NEW_ADAM}),
    ],
)
def test_spellings_of_one_training_config(one: Any, other: Any) -> None:
    assert normal_training(one) == normal_training(other)


def test_training_configs_that_differ() -> None:
    assert normal_training({"metrics": ["mae"]}) != normal_training({"metrics": ["mse"]})
    assert normal_training({"loss": {"out": "mse"}}) != normal_training({"loss": {"out": "mae"}})
    assert normal_training({"steps_per_execution": 4}) != normal_training({})


def _functional(inbound: list[Any], inputs: list[Any]) -> dict[str, Any]:
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": {"name": "x"}, "inbound_nodes": []},
        {"class_name": "Add", "name": "add", "config": {"name": "add"}, "inbound_nodes": inbound},
    ]
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers, "input_layers": inputs, "output_layers": [["add", 0, 0]]}}


def _calls(inbound: list[Any], inputs: list[Any], with_calls: bool = False) -> Any:
    root = model_spec(_functional(inbound, inputs)).root
    return connections((), root, {("x",): "renamed"}, with_calls)[("add",)]


def _tensor(*history: Any) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 2], "dtype": "float32", "keras_history": list(history)}}


def test_connections_of_both_generations() -> None:
    old = _calls([[["x", 0, 0, {}], ["x", 1, 0, {"axis": 1}]]], [["x", 0, 0]])
    new = _calls([{"args": [[_tensor("x", 0, 0), _tensor("x", 0, 0)]], "kwargs": {"axis": 1, "mask": None}}], ["x", 0, 0])
    assert old == new == [["renamed", "renamed", {"axis": 1}]]
    assert _calls([[["x", 1, 2, {}]]], [], with_calls=True) == [["renamed (call 1) (output 2)"]]
    mask = {"args": [_tensor("x", 0, 0)], "kwargs": {"mask": _tensor("x", 0, 1)}}
    assert _calls([mask], []) == [["renamed", "renamed (output 1)"]]


def test_what_keras_3_writes_of_training_with_every_call_has_no_meaning() -> None:
    assert _calls([{"args": [_tensor("x", 0, 0)], "kwargs": {"training": False}}], ["x", 0, 0]) == [["renamed"]]
    assert _calls([[["x", 0, 0, {"training": False}]]], [["x", 0, 0]]) == [["renamed", {"training": False}]]


def test_every_configuration_is_walked_once() -> None:
    lstm = {"class_name": "LSTM", "config": {"name": "lstm", "units": 2}}
    both = {"class_name": "Bidirectional", "config": {"name": "both", "layer": lstm}}
    attention = {"class_name": "MultiHeadAttention", "config": {"name": "mha", "num_heads": 1, "key_dim": 2}}
    root = model_spec({"class_name": "Sequential", "config": {"name": "m", "layers": [both, attention]}}).root
    assert [path for path, _ in walk_specs(root)] == [(), ("both",), ("both", "forward_layer"), ("mha",)]


def test_what_keras_3_writes_of_a_sequential_and_does_not_read() -> None:
    start = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 4]}}
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}

    def settings(*layers: Any, **more: Any) -> Any:
        root = model_spec({"class_name": "Sequential", "config": {"name": "m", "layers": list(layers), **more}}).root
        return layer_settings((), root, {}, with_calls=False)

    written = {"dtype": POLICY, "build_input_shape": [None, 4]}
    assert settings(start, dense, **written) == settings(start, dense)
    assert settings(dense, **written)["build_input_shape"] == [None, 4]  # it is what builds a list that has no InputLayer
    assert settings(start, dense, trainable=False) != settings(start, dense)


def test_masks_that_keras_3_comes_to_by_itself_are_not_compared() -> None:
    def node(kind: str, name: str, config: dict[str, Any], *args: Any, module: str = "keras.layers", **kwargs: Any) -> dict[str, Any]:
        calls = [{"args": list(args), "kwargs": kwargs}] if args else []
        return {"module": module, "class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": calls}

    mask = node("NotEqual", "m", {}, _tensor("x", 0, 0), 0, module="keras.src.ops.numpy")
    other = node("NotEqual", "m", {}, _tensor("x", 0, 0), 7, module="keras.src.ops.numpy")
    base = [node("InputLayer", "x", {}), node("Embedding", "e", {"mask_zero": True}, _tensor("x", 0, 0))]
    told = node("LSTM", "out", {"units": 2}, _tensor("e", 0, 0), mask=_tensor("m", 0, 0))
    untold = node("LSTM", "out", {"units": 2}, _tensor("e", 0, 0))

    def called(*layers: dict[str, Any]) -> Any:
        config = {"name": "m", "layers": [*base, *layers], "input_layers": ["x", 0, 0], "output_layers": ["out", 0, 0]}
        return connections((), model_spec({"class_name": "Functional", "config": config}).root, {}, False)[("out",)]

    assert called(mask, told) == called(untold) == [["e"]]
    assert called(other, told) == [["e", "m"]]


@pytest.mark.parametrize("kwargs", [{"mask": {}}, "mask", ["mask"], 7])
def test_a_forged_graph_with_masks_is_walked(kwargs: object) -> None:
    call = {"args": [_tensor("x", 0, 0)], "kwargs": kwargs}
    config = _functional([call], ["x", 0, 0])
    config["config"]["layers"][-1]["name"] = ["add"]
    assert ("add",) in connections((), model_spec(config).root, {}, False)
