"""Configurations with other names of layers and without their last ones: every spelling of calls and ends, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.architecture.editing.cutting import CutError, optimizer_alone, training_of_outputs, without_layers
from kmodel_tools.architecture.editing.names import training_with_names, with_names
from kmodel_tools.architecture.editing.places import layers_in
from kmodel_tools.architecture.envelope import ConfigError, Era
from kmodel_tools.architecture.topology import layer_order
from tests.architecture.configs import entry, graph, layer, row
from tests.strategies import NAMES

Json = dict[str, Any]


def tensor(name: str, call: int = 0, output: int = 0) -> Json:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 5], "dtype": "float32", "keras_history": [name, call, output]}}


def called(*args: Any, **kwargs: Any) -> Json:
    return {"args": list(args), "kwargs": kwargs}


OF_KERAS_2 = graph(
    (entry(), []),
    (layer("Dense", "d"), [[["in", 0, 0, {"mask": ["in", 0, 0]}]]]),
    (layer("Attention", "att"), [[["d", 0, 0, {"value": ["d", 0, 0], "other": {"deep": [["in", 0, 0], 2, "d"]}}]]]),
    (layer("TFOpLambda", "tf"), [["d", 0, 0, {"y": ["att", 0, 0], "z": ["_CONSTANT_VALUE", -1, 3.0], "name": "d"}]]),
    (layer("Dense", "e"), [[["d", 0, 0], ["tf", 0, 0]], [["in", 0, 0], ["d", 0, 0]]]),
    outputs=[["e", 0, 0], ["e", 1, 0]],
)
OF_KERAS_3 = graph(
    (entry(), []),
    (layer("Dense", "d"), [called(tensor("in"))]),
    (layer("Attention", "att"), [called([tensor("d"), tensor("in")], mask=[tensor("d"), None])]),
    (layer("Dense", "e"), [called({"a": tensor("att"), "d": tensor("d")}, training=False)]),
    outputs={"d": ["e", 0, 0], "e": ["d", 0, 0]},
)


def test_calls_of_keras_2_go_by_the_new_names() -> None:
    found = with_names(OF_KERAS_2, {("d",): "a", ("in",): "i", ("e",): "d"})
    assert [item["name"] for item in found["config"]["layers"]] == ["i", "a", "att", "tf", "d"]
    assert [item["config"]["name"] for item in found["config"]["layers"]] == ["i", "a", "att", "tf", "d"]
    calls = [item["inbound_nodes"] for item in found["config"]["layers"]]
    assert calls[1] == [[["i", 0, 0, {"mask": ["i", 0, 0]}]]]
    assert calls[2] == [[["a", 0, 0, {"value": ["a", 0, 0], "other": {"deep": [["i", 0, 0], 2, "d"]}}]]]
    assert calls[3] == [["a", 0, 0, {"y": ["att", 0, 0], "z": ["_CONSTANT_VALUE", -1, 3.0], "name": "d"}]]
    assert calls[4] == [[["a", 0, 0], ["tf", 0, 0]], [["i", 0, 0], ["a", 0, 0]]]
    assert found["config"]["input_layers"] == [["i", 0, 0]]
    assert found["config"]["output_layers"] == [["d", 0, 0], ["d", 1, 0]]


def test_tensors_of_keras_3_go_by_the_new_names_and_keys_stay() -> None:
    found = with_names(OF_KERAS_3, {("d",): "a", ("e",): "d"})
    calls = [item["inbound_nodes"] for item in found["config"]["layers"]]
    assert calls[2] == [called([tensor("a"), tensor("in")], mask=[tensor("a"), None])]
    assert calls[3] == [called({"a": tensor("att"), "d": tensor("a")}, training=False)]
    assert found["config"]["output_layers"] == {"d": ["d", 0, 0], "e": ["a", 0, 0]}
    bare = with_names(graph((entry(), []), inputs=["in", 0, 0], outputs=["in", 0, 0]), {("in",): "i"})
    assert (bare["config"]["input_layers"], bare["config"]["output_layers"]) == (["i", 0, 0], ["i", 0, 0])


def test_names_are_those_of_the_model_that_a_path_leads_to() -> None:
    inner = row(entry(), layer("Dense", "d"))
    inner["config"]["name"] = "inner"
    model = row(
        layer("TimeDistributed", "td", layer=graph((entry(), []), (layer("Dense", "d"), [[["in", 0, 0]]]))), inner, layer("Dense", "d")
    )
    below = {("td", "layer", "in"), ("td", "layer", "d"), ("inner", "in"), ("inner", "d")}
    assert set(layers_in(model)) == {("td",), ("inner",), ("d",)} | below
    found = with_names(model, {("td", "layer", "d"): "x", ("inner",): "y", ("d",): "z"})
    below = {("td", "layer", "in"), ("td", "layer", "x"), ("y", "in"), ("y", "d")}
    assert set(layers_in(found)) == {("td",), ("y",), ("z",)} | below
    assert found["config"]["layers"][0]["config"]["layer"]["config"]["output_layers"] == [["x", 0, 0]]


def test_a_list_of_keras_2_0_and_a_layer_without_a_name_of_its_own() -> None:
    model = {"class_name": "Sequential", "config": [layer("Dense", "d"), {"class_name": "Mine", "config": {}, "name": "m"}]}
    found = with_names(model, {("d",): "e", ("m",): "n"})
    assert found["config"] == [layer("Dense", "e"), {"class_name": "Mine", "config": {}, "name": "n"}]


@given(st.data())
def test_new_names_and_back_are_the_same_configuration_with_the_same_order(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from([OF_KERAS_2, OF_KERAS_3]))
    old = [path[0] for path in layers_in(model)]
    new = data.draw(st.lists(NAMES, min_size=len(old), max_size=len(old), unique=True))
    before = json.dumps(model)
    found = with_names(model, {(name,): other for name, other in zip(old, new, strict=True)})
    assert json.dumps(model) == before, "the configuration that was given is not touched"
    assert [path[0] for path in layers_in(found)] == new
    for era in (Era.TF_KERAS, Era.KERAS_3):
        assert layer_order(found["config"], era) == layer_order(model["config"], era)
    assert with_names(found, {(other,): name for name, other in zip(old, new, strict=True)}) == model


def test_what_was_compiled_goes_by_the_names_of_outputs() -> None:
    training = {"loss": {"d": "mse", "e": {"class_name": "Huber", "config": {}}}, "metrics": ["mae"], "loss_weights": {"d": 2.0}}
    found = training_with_names(training, OF_KERAS_2, {"d": "x", "e": "d"})
    assert found == {"loss": {"x": "mse", "d": {"class_name": "Huber", "config": {}}}, "metrics": ["mae"], "loss_weights": {"x": 2.0}}
    assert training_with_names(training, OF_KERAS_3, {"d": "x"}) == training, "a dictionary's keys stay"
    huber = {"loss": {"class_name": "Huber", "config": {}}}
    assert training_with_names(huber, OF_KERAS_2, {"class_name": "x"}) == huber


def test_a_nested_model_that_is_compiled_for_itself_and_one_that_is_cut() -> None:
    inner = {**row(layer("Dense", "d")), "compile_config": {"loss": {"d": "mse"}}}
    inner["config"]["name"] = "inner"
    model = {**row(inner, layer("Dense", "e")), "compile_config": {"loss": {"e": "mae"}}}
    found = with_names(model, {("inner", "d"): "x", ("e",): "d"})
    assert found["compile_config"] == {"loss": {"d": "mae"}}
    assert found["config"]["layers"][0]["compile_config"] == {"loss": {"x": "mse"}}
    cut = without_layers(model, Era.KERAS_3, {"e"}).architecture
    assert "compile_config" not in cut
    assert cut["config"]["layers"][0]["compile_config"] == {"loss": {"d": "mse"}}


def test_nested_deeper_than_any() -> None:
    model = layer("Dense", "d")
    for _ in range(110):
        model = row(model)
    with pytest.raises(ConfigError, match="nested more than 100 deep"):
        layers_in(model)


# Without the last layers.


def test_a_list_without_its_end() -> None:
    model = row(entry(), layer("Dense", "a"), layer("Dense", "b"), layer("Softmax", "c"))
    cut = without_layers(model, Era.TF_KERAS, {"b", "c"})
    assert cut.architecture == row(entry(), layer("Dense", "a"))
    assert (cut.kept_outputs, cut.new_outputs) == ((False,), ("a",))
    with pytest.raises(CutError, match=r"^c stands behind them"):
        without_layers(model, Era.TF_KERAS, {"b"})
    with pytest.raises(CutError, match="nothing of the model would be left"):
        without_layers(model, Era.TF_KERAS, {"a", "b", "c"})
    listed = {"class_name": "Sequential", "config": [layer("Dense", "a"), layer("Dense", "b")]}
    assert without_layers(listed, Era.KERAS_2, {"b"}).architecture["config"] == [layer("Dense", "a")]


def heads(outputs: Any, era: Era) -> Json:
    """A trunk with two heads, and a layer behind the first."""
    calls: list[Any]
    if era is Era.KERAS_3:
        calls = [[called(tensor("in"))], [called(tensor("t"))], [called(tensor("t"))], [called(tensor("a"))]]
    else:
        calls = [[[["in", 0, 0]]], [[["t", 0, 0]]], [[["t", 0, 0]]], [[["a", 0, 0]]]]
    kinds = [layer("Dense", name) for name in ("t", "a", "b", "s")]
    return graph((entry(), []), *zip(kinds, calls, strict=True), outputs=outputs)


@pytest.mark.parametrize("era", [Era.KERAS_2, Era.TF_KERAS, Era.KERAS_3])
def test_outputs_become_what_nothing_else_takes(era: Era) -> None:
    model = heads([["s", 0, 0], ["b", 0, 0]], era)
    cut = without_layers(model, era, {"b"})
    assert cut.architecture["config"]["output_layers"] == [["s", 0, 0]]
    assert (cut.kept_outputs, cut.new_outputs, set(cut.dropped)) == ((True, False), (), {"b"})
    cut = without_layers(model, era, {"s"})
    assert cut.architecture["config"]["output_layers"] == [["a", 0, 0], ["b", 0, 0]]
    assert (cut.kept_outputs, cut.new_outputs) == ((False, True), ("a",))
    cut = without_layers(model, era, {"s", "a", "b"})
    assert cut.architecture["config"]["output_layers"] == [["t", 0, 0]], "once, though both heads took it"
    assert [item["name"] for item in cut.architecture["config"]["layers"]] == ["in", "t"]
    with pytest.raises(CutError, match=r"^s takes what a makes"):
        without_layers(model, era, {"a"})
    with pytest.raises(CutError, match="nothing of the model would be left"):
        without_layers(model, era, {"t", "s", "a", "b"})


def test_an_output_that_stands_alone_stays_so_and_a_dictionary_keeps_its_keys() -> None:
    model = heads(["s", 0, 0], Era.KERAS_3)
    model["config"]["layers"] = [item for item in model["config"]["layers"] if item["name"] != "b"]
    assert without_layers(model, Era.KERAS_3, {"s"}).architecture["config"]["output_layers"] == ["a", 0, 0]
    model = heads({"one": ["s", 0, 0], "two": ["b", 0, 0]}, Era.KERAS_3)
    assert without_layers(model, Era.KERAS_3, {"s"}).architecture["config"]["output_layers"] == {"one": ["a", 0, 0], "two": ["b", 0, 0]}
    assert without_layers(model, Era.KERAS_3, {"b"}).architecture["config"]["output_layers"] == {"one": ["s", 0, 0]}
    with pytest.raises(CutError, match="not simply a list or a dictionary"):
        without_layers(heads([[["s", 0, 0]], ["b", 0, 0]], Era.KERAS_3), Era.KERAS_3, {"b"})


def test_a_layer_that_joins_leaves_what_it_joined_and_inputs_that_only_it_took_go() -> None:
    model = graph(
        (entry(), []),
        (entry("meta"), []),
        (layer("Dense", "a"), [[["in", 0, 0]]]),
        (layer("Dense", "b"), [[["a", 0, 0]]]),
        (layer("Concatenate", "j"), [[["a", 0, 0], ["b", 0, 0], ["meta", 0, 0]]]),
        inputs=[["in", 0, 0], ["meta", 0, 0]],
    )
    cut = without_layers(model, Era.TF_KERAS, {"j"})
    settings = cut.architecture["config"]
    assert (settings["input_layers"], settings["output_layers"]) == ([["in", 0, 0]], [["b", 0, 0]])
    assert cut.dropped == {"j", "meta"}
    model["config"]["layers"][-1]["inbound_nodes"] = [[["b", 0, 0], ["a", 0, 0]]]
    settings = without_layers(model, Era.TF_KERAS, {"j"}).architecture["config"]
    assert settings["input_layers"] == [["in", 0, 0], ["meta", 0, 0]], "nothing took the second before either"
    model["config"]["output_layers"] = [["nowhere", 0, 0]]
    with pytest.raises(ConfigError, match="cannot be followed"):
        without_layers(model, Era.TF_KERAS, {"j"})


def test_what_was_joined_stands_in_the_order_in_which_it_was() -> None:
    ends = [(layer("Dense", name), [[["in", 0, 0]]]) for name in ("c", "a", "b")]
    model = graph((entry(), []), *ends, (layer("Add", "j"), [[["b", 0, 0], ["c", 0, 0], ["a", 0, 0]]]))
    assert without_layers(model, Era.TF_KERAS, {"j"}).new_outputs == ("b", "c", "a")


@pytest.mark.parametrize(("era", "call", "end"), [(Era.KERAS_3, 0, 1), (Era.TF_KERAS, 1, 1)])
def test_a_nested_graph_that_becomes_the_output_is_counted_as_outputs_are(era: Era, call: int, end: int) -> None:
    """Keras 3 counts calls of a nested Functional from 0 in calls and from 1 among outputs, Keras 2 from 1 in both."""
    nested = graph((entry(), []), (layer("Dense", "d"), [[["in", 0, 0]]]))
    nested["config"]["name"] = "nested"
    given = [[["in", 0, 0]]] if era is Era.TF_KERAS else [called(tensor("in"))]
    taken = [[["nested", call, 0]]] if era is Era.TF_KERAS else [called(tensor("nested", call))]
    model = graph((entry(), []), (nested, given), (layer("Dense", "e"), taken))
    assert without_layers(model, era, {"e"}).architecture["config"]["output_layers"] == [["nested", end, 0]]


def test_what_is_no_graph_and_no_list_is_not_cut() -> None:
    with pytest.raises(CutError, match="a Mine is neither a graph nor a list of layers"):
        without_layers({"class_name": "Mine", "config": {"name": "m"}}, Era.KERAS_3, {"d"})


@pytest.mark.parametrize(
    ("given", "era", "left"),
    [
        ({"loss": {"a": "mse", "b": "mae"}, "loss_weights": {"b": 2.0}}, Era.TF_KERAS, {"loss": {"a": "mse"}, "loss_weights": {}}),
        ({"loss": ["mse", "mae"], "loss_weights": [1.0, 2.0]}, Era.KERAS_3, {"loss": "mse", "loss_weights": 1.0}),
        ({"loss": "mse", "metrics": ["mae", "acc"]}, Era.TF_KERAS, {"loss": "mse", "metrics": ["mae", "acc"]}),
        ({"loss": "mse", "metrics": ["mae", "acc"]}, Era.KERAS_3, {"loss": "mse", "metrics": ["mae"]}),
        ({"metrics": [["mae"], ["acc"]]}, Era.TF_KERAS, {"metrics": ["mae"]}),
        ({"metrics": [None, ["acc"]], "weighted_metrics": None}, Era.KERAS_3, {"metrics": None, "weighted_metrics": None}),
    ],
)
def test_what_was_compiled_for_outputs_that_are_gone_goes(given: Json, era: Era, left: Json) -> None:
    assert training_of_outputs({"optimizer": "adam", **given}, [True, False], ["a", "b"], era) == {"optimizer": "adam", **left}


def test_two_of_three_outputs_keep_theirs() -> None:
    training = {"loss": ["x", "y", "z"], "metrics": {"a": ["m"], "c": ["n"]}}
    assert training_of_outputs(training, [True, False, True], ["a", "b", "c"], Era.KERAS_3) == {
        "loss": ["x", "z"],
        "metrics": {"a": ["m"], "c": ["n"]},
    }


def test_an_optimizer_alone_is_for_generations_that_take_it() -> None:
    training = {"optimizer": {"class_name": "Adam"}, "loss": "mse", "metrics": ["mae"], "jit_compile": False}
    alone = {"optimizer": {"class_name": "Adam"}, "loss": None, "metrics": None, "jit_compile": False}
    assert optimizer_alone(training, Era.KERAS_3) == optimizer_alone(training, Era.TF_KERAS) == alone
    assert optimizer_alone(training, Era.KERAS_2) is None
    assert optimizer_alone({"loss": "mse"}, Era.KERAS_3) is None
