"""What operations of Keras 3 become among the layers of Keras 2: names, arguments, dtypes, references; judged by tf_keras elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.downgrade import downgrade
from kmodel_tools.architecture.downgrade.operations.dtypes import result_type
from kmodel_tools.architecture.upgrade import UpgradeError
from tests.architecture.configs import Json

NUMPY = "keras.src.ops.numpy"


def tensor(name: str, shape: Any = (None, 4), dtype: str = "float32", call: int = 0, output: int = 0) -> Json:
    config = {"shape": list(shape), "dtype": dtype, "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def operation(
    kind: str, *args: Any, name: str = "op", module: str = NUMPY, calls: Any = None, kwargs: Json | None = None, **config: Any
) -> Json:
    nodes = calls or [{"args": list(args), "kwargs": kwargs or {}}]
    made = {"module": module, "class_name": kind, "config": {"name": name, **config}, "registered_name": kind}
    return made | {"name": name, "inbound_nodes": nodes}


def source(name: str = "x", shape: Any = (None, 4), dtype: str = "float32") -> Json:
    config = {"name": name, "batch_shape": list(shape), "dtype": dtype}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def made(*layers: Json, end: Any = ("op", 0, 0), inputs: Any = (("x", 0, 0),)) -> list[Json]:
    """The layers of a graph, as Keras 2 has them, without its inputs."""
    config = {"name": "m", "layers": list(layers), "input_layers": [list(item) for item in inputs], "output_layers": [list(end)]}
    model = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, "registered_name": "Functional"}
    found = downgrade(model, "3.15.1").config["config"]
    ended: list[Json] = [item for item in found["layers"] if item["class_name"] != "InputLayer"]
    return ended


def said(item: Json) -> tuple[str, Any]:
    return item["config"]["function"], item["inbound_nodes"]


def test_an_operation_is_a_layer_of_its_name() -> None:
    (one,) = made(source(), operation("Add", tensor("x"), 3.0))
    assert one["class_name"] == "TFOpLambda"
    assert one["name"] == one["config"]["name"] == "op"
    assert said(one) == ("math.add", [["x", 0, 0, {"y": 3.0}]])


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (("float32", "int32"), "float32"),
        (("int32", "float"), "float32"),
        (("uint8", "int8"), "int16"),
        (("uint8", "int"), "uint8"),
        (("bool", "int"), "int32"),
        (("float16", "bfloat16"), "float32"),
        (("float16", "float"), "float16"),
        (("int64", "float16"), "float16"),
        (("int", "float"), "float32"),
        (("uint32", "int32"), "int64"),
        (("int8", "int16"), "int16"),
        (("uint16", "int16"), "int32"),
        (("uint64",), "uint32"),
        (("float64", "float32"), "float64"),
    ],
)
def test_dtypes_that_operands_become(dtypes: tuple[str, ...], result: str) -> None:
    """As `keras.backend.result_type` of Keras 3.15.1 with TensorFlow says."""
    assert result_type(*dtypes) == result


def test_integers_beside_fractions_are_cast_first() -> None:
    first, second = made(source(dtype="int32"), operation("Multiply", tensor("x", dtype="int32"), 1.5))
    assert said(first) == ("cast", [["x", 0, 0, {"dtype": "float32"}]])
    assert said(second) == ("math.multiply", [[first["name"], 0, 0, {"y": 1.5}]])


def test_a_constant_stands_first_where_the_order_matters() -> None:
    assert said(made(source(), operation("Subtract", 1, tensor("x")))[0]) == (
        "math.subtract",
        [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]],
    )
    assert said(made(source(), operation("Add", 1, tensor("x")))[0]) == ("math.add", [["x", 0, 0, {"y": 1.0}]])


def test_lists_of_tensors_keep_their_structure() -> None:
    (one,) = made(source(), operation("Concatenate", [tensor("x"), tensor("x")], axis=-1))
    assert said(one) == ("concat", [[["x", 0, 0, {"axis": -1}], ["x", 0, 0, {"axis": -1}]]])


def test_slices() -> None:
    ends = {"start": None, "stop": -1, "step": None}
    key = [{"class_name": "__ellipsis__", "config": {}}, {"class_name": "__slice__", "config": ends}, None]
    (one,) = made(source(shape=(None, 3, 4)), operation("GetItem", tensor("x", (None, 3, 4)), key))
    whole = {"start": None, "stop": None, "step": None}
    assert one["class_name"] == "SlicingOpLambda"
    assert said(one) == ("__operators__.getitem", [["x", 0, 0, {"slice_spec": [whole, whole, ends, None]}]])


def test_places_that_count_from_the_end_are_counted_from_the_front() -> None:
    assert said(made(source(), operation("Take", tensor("x"), -1, axis=1))[0]) == ("gather", [["x", 0, 0, {"indices": 3, "axis": 1}]])


def test_several_calls_and_several_results_are_told_apart() -> None:
    split = operation(
        "Split",
        name="parts",
        calls=[{"args": [tensor("x")], "kwargs": {}}, {"args": [tensor("parts", (None, 2), output=1)], "kwargs": {}}],
        indices_or_sections=2,
        axis=1,
    )
    layers = made(source(), split, operation("Add", tensor("parts", (None, 1), call=1, output=0), tensor("parts", (None, 2))))
    assert [item["name"] for item in layers] == ["parts", "parts_1", "op"]
    assert said(layers[1])[1] == [["parts", 0, 1, {"num_or_size_splits": 2, "axis": 1}]]
    assert said(layers[2])[1] == [["parts_1", 0, 0, {"y": ["parts", 0, 0]}]]


def test_an_activation_that_keras_2_lacks_is_an_operation() -> None:
    config = {"name": "op", "activation": "hard_silu", "dtype": "float32"}
    layer: Json = {"module": "keras.layers", "class_name": "Activation", "config": config, "registered_name": None, "name": "op"}
    layer["inbound_nodes"] = [{"args": [tensor("x")], "kwargs": {}}]
    assert [item["class_name"] for item in made(source(), layer)] == ["TFOpLambda"] * 4


def test_what_stands_behind_takes_what_an_operation_has_become() -> None:
    dense: Json = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "d", "units": 2},
        "registered_name": None,
        "name": "d",
    }
    dense["inbound_nodes"] = [{"args": [tensor("op")], "kwargs": {}}]
    layers = made(source(), operation("HardSilu", tensor("x"), module="keras.src.ops.nn"), dense, end=("d", 0, 0))
    functions = [item["config"].get("function") for item in layers]
    assert functions == ["math.add", "nn.relu6", "math.truediv", "math.multiply", None]
    assert layers[-1]["inbound_nodes"] == [[["op", 0, 0, {}]]]


def test_dtypes_and_shapes_that_the_file_does_not_tell_are_followed() -> None:
    """What carries models of Keras 2 up writes tensors without them."""
    unsaid = {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": ["x", 0, 0]}}
    (one,) = made(source(dtype="int32"), operation("NotEqual", unsaid, 0))
    assert said(one) == ("math.not_equal", [["x", 0, 0, {"y": 0}]])


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (operation("Median", tensor("x")), r"op \(Median\) is an operation of Keras 3, which no operation of TensorFlow does"),
        (operation("Where", tensor("x", dtype="bool")), "asks for the places where something is true"),
        (operation("Clip", tensor("x", dtype="int32"), x_min=0.5, x_max=2), "clips integers to 0.5"),
        (operation("Einsum", tensor("x"), tensor("x"), subscripts="...i,...j->...ij"), "is the product"),
        (operation("Unstack", tensor("x"), module="keras.src.ops.core", axis=0), "known only at run time"),
        (operation("Unstack", tensor("x"), module="keras.src.ops.core", num=10**9), "gives more than 10000 tensors"),
        (operation("Take", tensor("x", (None, None)), [-1], axis=1), "counts from the end of an axis whose size"),
        (operation("Add", tensor("x")), "is called without x2"),
        (operation("Mean", tensor("x"), axis="all"), "which are no integers"),
        (operation("Add", tensor("x"), {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "float32"}}), "is called in a way"),
        (operation("Add", tensor("op"), 1), "called on itself"),
    ],
)
def test_what_cannot_be_carried_back_is_named(item: Json, why: str) -> None:
    with pytest.raises(UpgradeError, match=why):
        made(source(dtype="float32"), item)
