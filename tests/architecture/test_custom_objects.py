from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.custom_objects import CustomObject, custom_objects


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def test_layers_that_keras_does_not_have() -> None:
    found = custom_objects(model(layer("Dense", "d"), layer("Mine", "m"), layer("Mine", "n"), layer("TFOpLambda", "t")))
    assert found == (CustomObject("layer", "Mine", ("m", "n")),)


def test_objects_in_layers_and_in_wrappers() -> None:
    wrapped = layer("TimeDistributed", "t", layer=layer("Inner", "i"))
    dense = layer(
        "Dense",
        "d",
        kernel_initializer={"class_name": "GlorotUniform", "config": {}},
        kernel_regularizer={"class_name": "Odd", "config": {}},
    )
    assert custom_objects(model(wrapped, dense)) == (CustomObject("layer", "Inner", ("i",)), CustomObject("object", "Odd", ("d",)))


def test_functions_by_name() -> None:
    found = custom_objects(model(layer("Dense", "d", activation="relu"), layer("Activation", "a", activation="my_swish")))
    assert found == (CustomObject("function", "my_swish", ("a",)),)


def test_keras_3_says_where_things_come_from() -> None:
    mine = {**layer("Dense", "d"), "module": "my.package", "registered_name": "pkg>Dense"}
    theirs = {**layer("Rare", "r"), "module": "keras.layers", "registered_name": None}
    function = {"module": "builtins", "class_name": "function", "config": "loss", "registered_name": "function"}
    loss = {"module": "my.losses", "class_name": "function", "config": "my_loss", "registered_name": "pkg>my_loss"}
    found = custom_objects(model(mine, theirs), {"loss": [function, loss]})
    assert found == (CustomObject("layer", "pkg>Dense", ("d",)), CustomObject("function", "my_loss", ()))


def test_lambdas_with_bytecode() -> None:
    old = layer("Lambda", "l", function=["4wEAAAA=", None, None])
    new = layer("Lambda", "n", function={"class_name": "__lambda__", "config": {"code": "4wEA"}})
    named = layer("Lambda", "p", function="relu")
    assert custom_objects(model(old, new, named)) == (CustomObject("lambda", "Lambda", ("l", "n")),)


def test_nothing_is_imported(monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.import_module", None)
    assert custom_objects(model({**layer("X", "x"), "module": "os"}))[0].name == "X"


def test_functions_that_keras_looks_up_among_custom_objects() -> None:
    mine = {"module": "builtins", "class_name": "function", "config": "swish6", "registered_name": "function"}
    theirs = {"module": "builtins", "class_name": "function", "config": "tanh", "registered_name": "function"}
    assert custom_objects(model(layer("Dense", "d", activation=mine), layer("Dense", "e", activation=theirs))) == (
        CustomObject("function", "swish6", ("d",)),
    )


def test_losses_and_metrics_by_name() -> None:
    training = {"loss": {"a": "mse", "b": "focal"}, "metrics": [["accuracy", "my_f1"], "AUC"], "weighted_metrics": None}
    found = custom_objects(model(layer("Dense", "d")), training)
    assert found == (CustomObject("function", "focal", ()), CustomObject("function", "my_f1", ()))


def test_a_model_under_another_name() -> None:
    net = {"class_name": "Net", "config": {"name": "n", "layers": [], "input_layers": [], "output_layers": []}}
    assert custom_objects(net) == (CustomObject("layer", "Net", ()),)


def test_bytecode_of_shapes_and_masks() -> None:
    shaped = layer("Lambda", "l", function="relu", output_shape={"class_name": "__lambda__", "config": {"code": "4wEA"}})
    assert custom_objects(model(shaped)) == (CustomObject("lambda", "Lambda", ("l",)),)


def test_layers_of_a_sequential_of_keras_1() -> None:
    config = {"class_name": "Sequential", "config": [layer("Mine", "m"), layer("Lambda", "l", function="\xe3", function_type="lambda")]}
    assert custom_objects(config) == (CustomObject("layer", "Mine", ("m",)), CustomObject("lambda", "Lambda", ("l",)))


def test_losses_and_metrics_of_keras_2_are_no_custom_ones() -> None:
    training = {"loss": {"class_name": "Huber", "config": {}}, "metrics": [[{"class_name": "Recall", "config": {}}]]}
    assert custom_objects(model(layer("QActivation", "q", activation="quantized_relu(6)")), training) == (
        CustomObject("layer", "QActivation", ("q",)),
    )
