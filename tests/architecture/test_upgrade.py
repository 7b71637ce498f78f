"""What carries the envelope, the inputs and the graph of a configuration of Keras 2 to Keras 3; the frameworks judge the whole."""

from __future__ import annotations

import copy

import pytest

from kmodel_tools.architecture.upgrade import UpgradeError, upgrade
from tests.architecture.configs import TF_KERAS, calls, entry, graph, layer, row, settings, upgraded_layer

# Envelope.


def test_keras_3_comes_back_as_it_is() -> None:
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "row", "layers": []}, "registered_name": None}
    assert upgrade(config, "3.1.0").config is config


@pytest.mark.parametrize("version", ["0.3.3", "1.2.2"])
def test_what_is_older_is_refused(version: str) -> None:
    with pytest.raises(UpgradeError, match="an architecture of Keras"):
        upgrade(row(entry()), version)


def test_the_source_stays_as_it_is() -> None:
    config = graph((entry(), []), (layer("LeakyReLU", alpha=0.1, batch_input_shape=[None, 5]), [[["in", 0, 0, {"training": None}]]]))
    before = copy.deepcopy(config)
    upgrade(config, TF_KERAS)
    assert config == before


def test_every_built_in_object_says_its_module() -> None:
    dense = layer("keras>Dense", units=2, kernel_initializer={"class_name": "Zeros", "config": {"dtype": "float32"}})
    dense |= {"module": "tf_keras.layers", "build_config": {"input_shape": [None, 5]}, "shared_object_id": 3, "registered_name": None}
    made, found = upgraded_layer(dense)
    assert {key: made[key] for key in made if key != "config"} == {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": None,
    }
    assert made["config"]["kernel_initializer"] == {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    }
    assert found.config["module"] == "keras"
    functional = upgrade(graph((entry(), []), (dense, [[["in", 0, 0, {}]]])), TF_KERAS).config
    assert (functional["module"], functional["registered_name"]) == ("keras.src.models.functional", "Functional")


@pytest.mark.parametrize("kind", ["Model", "Container", "Network"])
def test_graphs_of_other_names_are_functional(kind: str) -> None:
    config = graph((entry(), []), (layer("Flatten"), [[["in", 0, 0, {}]]]))
    assert upgrade({**config, "class_name": kind}, TF_KERAS).config["class_name"] == "Functional"


def test_objects_inside_of_arguments() -> None:
    found = settings(
        layer(
            "Dense",
            units=2,
            dtype={"class_name": "Policy", "config": {"name": "mixed_bfloat16"}},
            activation="softmax_v2",
            kernel_regularizer={"class_name": "L2", "config": {"l2": {"type": "ndarray", "value": 0.5}}},
            kernel_constraint={"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}},
            bias_initializer={"class_name": "Constant", "config": {"value": {"type": "ndarray", "value": 0.5}}},
        )
    )
    assert found["dtype"] == {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}, "registered_name": None}
    assert found["activation"] == "softmax"
    assert found["kernel_regularizer"]["module"] == "keras.regularizers"
    assert found["kernel_regularizer"]["config"] == {"l2": 0.5}
    assert found["kernel_constraint"]["module"] == "keras.constraints"
    assert found["bias_initializer"]["config"] == {"value": 0.5}
    assert settings(layer("Reshape", target_shape={"class_name": "__tuple__", "items": [5, 1]}))["target_shape"] == [5, 1]
    activation = settings(layer("Dense", units=2, activation=layer("LeakyReLU", "leaky", alpha=0.1)))["activation"]
    assert (activation["module"], activation["config"]["negative_slope"]) == ("keras.layers", 0.1)


def test_own_layers_stay_and_what_is_in_them_is_upgraded() -> None:
    item = layer("Custom>Mine", batch_input_shape=[None, 5], inner=layer("LeakyReLU", "leaky", alpha=0.1), size=3)
    made, found = upgraded_layer(item)
    assert (made["module"], made["class_name"], made["registered_name"]) == (None, "Mine", "Custom>Mine")
    assert made["config"]["inner"]["config"] == {"name": "leaky", "negative_slope": 0.1}
    assert "batch_input_shape" not in made["config"]
    assert [(item.kind, item.name) for item in found.custom] == [("layer", "Custom>Mine")]


def test_an_own_layer_with_the_name_of_a_built_in_one_stays_somebodys() -> None:
    item = layer("Dense", size=3) | {"module": "my.code", "registered_name": "my>Dense", "build_config": {"input_shape": [None, 5]}}
    made, _ = upgraded_layer(item)
    assert (made["module"], made["registered_name"]) == (None, "my>Dense")
    assert made["config"]["size"] == 3
    assert made["build_config"] == {"input_shape": [None, 5]}


def test_layers_of_applications_are_found_where_keras_3_has_them() -> None:
    made, found = upgraded_layer(layer("Custom>CustomScaleLayer", scale=0.5, trainable=True, batch_input_shape=[None, 5]))
    assert made["module"] == "keras.src.applications.inception_resnet_v2"
    assert made["config"] == {"name": "x", "scale": 0.5, "trainable": True}
    assert not found.custom
    assert upgraded_layer(layer("LayerScale", init_values=0.1, projection_dim=5))[0]["module"] == "keras.src.applications.convnext"
    other, _ = upgraded_layer(layer("LayerScale", size=5))
    assert other["module"] is None
    assert upgraded_layer(layer("CustomScaleLayer", scale=0.5) | {"module": "my.code"})[0]["module"] is None


# Inputs.


def test_an_input_layer_keeps_what_keras_3_takes() -> None:
    found = upgrade(row(entry(ragged=False, type_spec=None), layer("Flatten")), TF_KERAS)
    assert found.config["config"]["layers"][0]["config"] == {"name": "in", "batch_shape": [None, 5], "dtype": "float32"}
    sparse = upgrade(row(entry(sparse=True, ragged=True, dtype="int32")), TF_KERAS)
    assert sparse.config["config"]["layers"][0]["config"] == {
        "name": "in",
        "batch_shape": [None, 5],
        "dtype": "int32",
        "sparse": True,
        "ragged": True,
    }
    with pytest.raises(UpgradeError, match=r"in \(InputLayer\) does not say the shape"):
        upgrade(row(layer("InputLayer", "in", type_spec="TensorSpec")), TF_KERAS)


def test_the_shape_on_a_first_layer_becomes_an_input_layer() -> None:
    found = upgrade(
        {"class_name": "Sequential", "config": [layer("Dense", units=2, batch_input_shape=[None, 5], dtype="float64")]}, "2.1.6"
    )
    first, second = found.config["config"]["layers"]
    assert first["config"] == {"name": "x_input", "batch_shape": [None, 5], "dtype": "float64"}
    assert "batch_input_shape" not in second["config"]
    assert found.config["config"]["name"]


def test_an_outermost_list_takes_the_shape_that_it_was_built_for() -> None:
    dense = layer("Dense", units=2)
    built = row(dense, build_input_shape={"class_name": "TensorShape", "items": [4, 5]})
    assert upgrade(built, TF_KERAS).config["config"]["layers"][0]["config"]["batch_shape"] == [None, 5]
    archived = row(dense) | {"build_config": {"input_shape": [None, 7]}}
    assert upgrade(archived, TF_KERAS).config["config"]["layers"][0]["config"]["batch_shape"] == [None, 7]
    stateful = row(layer("LSTM", units=2, stateful=True), build_input_shape=[4, 6, 5])
    assert upgrade(stateful, TF_KERAS).config["config"]["layers"][0]["config"]["batch_shape"] == [4, 6, 5]
    nested = upgrade(row(entry(), {**built, "config": {**built["config"], "name": "inner"}}), TF_KERAS)
    assert [item["class_name"] for item in nested.config["config"]["layers"][1]["config"]["layers"]] == ["Dense"]


def test_input_layers_inside_of_a_list_go() -> None:
    found = upgrade(row(entry(), layer("Flatten"), entry("again")), TF_KERAS)
    assert [item["class_name"] for item in found.config["config"]["layers"]] == ["InputLayer", "Flatten"]


# Graphs.


def test_calls_are_arguments() -> None:
    model = graph(
        (entry(), []),
        (entry("other"), []),
        (layer("Dense", "d", units=5), [[["in", 0, 0, {}]], [["other", 0, 0, {"training": None}]]]),
        (layer("Add", "sum"), [[["d", 0, 0, {}], ["d", 1, 0, {}]]]),
        (layer("Concatenate", "one"), [[["sum", 0, 0, {}]]]),
        (layer("MultiHeadAttention", "att", num_heads=1, key_dim=2), [[["one", 0, 0, {"value": ["d", 0, 0], "axes": [1, 2]}]]]),
        inputs=[["in", 0, 0], ["other", 0, 0]],
    )
    found = upgrade(model, TF_KERAS).config
    assert calls(found, "d") == [([("in", 0, 0)], {}), ([("other", 0, 0)], {})]
    assert calls(found, "sum") == [([[("d", 0, 0), ("d", 1, 0)]], {})]
    assert calls(found, "one") == [([[("sum", 0, 0)]], {})]
    assert calls(found, "att") == [([("one", 0, 0)], {"value": ("d", 0, 0), "axes": [1, 2]})]
    assert found["config"]["input_layers"] == [["in", 0, 0], ["other", 0, 0]]
    assert found["config"]["output_layers"] == ["att", 0, 0]


def test_states_are_a_keyword_argument() -> None:
    model = graph((entry(), []), (layer("LSTM", units=2), [[["in", 0, 0, {}], ["in", 0, 0, {}], ["in", 0, 0, {}]]]))
    assert calls(upgrade(model, TF_KERAS).config, "x") == [([("in", 0, 0)], {"initial_state": [("in", 0, 0), ("in", 0, 0)]})]
    constants = graph((entry(), []), (layer("LSTM", units=2), [[["in", 0, 0, {"constants": [["in", 0, 0]]}]]]))
    with pytest.raises(UpgradeError, match="is called with constants"):
        upgrade(constants, TF_KERAS)


@pytest.mark.parametrize(("kind", "at_the_end"), [("Functional", 2), ("Sequential", 1)])
def test_calls_of_nested_models_are_counted_from_none(kind: str, at_the_end: int) -> None:
    inner = row(entry(), layer("Flatten")) if kind == "Sequential" else graph((entry(), []), (layer("Flatten"), [[["in", 0, 0, {}]]]))
    inner["config"]["name"] = "inner"
    model = graph(
        (entry(), []),
        (inner, [[["in", 0, 0, {}]], [["inner", 1, 0, {}]]]),
        (layer("Dense", "d", units=5), [[["inner", 2, 0, {}]]]),
        outputs=[["inner", 2, 0]],
    )
    found = upgrade(model, TF_KERAS).config
    assert calls(found, "inner") == [([("in", 0, 0)], {}), ([("inner", 0, 0)], {})]
    assert calls(found, "d") == [([("inner", 1, 0)], {})]
    assert found["config"]["output_layers"] == ["inner", at_the_end, 0]


def test_calls_of_a_list_without_input_are_counted_from_none_already() -> None:
    inner = row(layer("Flatten"))
    inner["config"]["name"] = "inner"
    model = graph((entry(), []), (inner, [[["in", 0, 0, {}]], [["inner", 0, 0, {}]]]), outputs=[["inner", 1, 0]])
    found = upgrade(model, TF_KERAS).config
    assert calls(found, "inner") == [([("in", 0, 0)], {}), ([("inner", 0, 0)], {})]
    assert found["config"]["output_layers"] == ["inner", 1, 0]


def test_a_layer_that_nobody_calls_is_left_out() -> None:
    source = graph((entry(), []), (layer("Dense", "a", units=2), [[["in", 0, 0, {}]]]), (layer("Mine", "spare"), []), outputs=[["a", 0, 0]])
    found = upgrade(source, TF_KERAS)
    assert [item["name"] for item in found.config["config"]["layers"]] == ["in", "a"]
    assert found.uncalled == (("spare",),)
    assert found.custom == ()
    assert found.changes == ("left out, for the model holds it and does not call it: spare",)


def test_a_layer_of_somebodys_own_that_others_are_called_on_stays() -> None:
    source = graph((entry(), []), (layer("Mine", "own"), []), (layer("Add", "a"), [[["in", 0, 0, {}], ["own", 0, 0, {}]]]))
    assert upgrade(source, TF_KERAS).uncalled == ()


def test_inputs_by_name_stay_so() -> None:
    model = graph((entry("a/b"), []), (layer("Flatten"), [[["a/b", 0, 0, {}]]]), inputs={"one": ["a/b", 0, 0]})
    assert upgrade(model, TF_KERAS).config["config"]["input_layers"] == {"one": ["a_b", 0, 0]}


def test_slashes_leave_names() -> None:
    inner = row(entry("in/x"), layer("Dense", "c/d", units=2))
    inner["config"]["name"] = "in/ner"
    model = graph((entry(), []), (inner, [[["in", 0, 0, {}]]]), (layer("Dense", "in_ner", units=2), [[["in/ner", 1, 0, {}]]]))
    found = upgrade(model, TF_KERAS)
    assert calls(found.config, "in_ner") == [([("in_ner_1", 0, 0)], {})]
    assert found.renamed == {("in/ner",): "in_ner_1", ("in_ner_1", "in/x"): "in_x", ("in_ner_1", "c/d"): "c_d"}
    assert any("no slash" in sentence for sentence in found.changes)


def test_what_a_frozen_model_holds_is_frozen() -> None:
    inner = row(entry(), layer("Dense", units=2, trainable=True), trainable=False)
    inner["config"]["name"] = "inner"
    found = upgrade(row(entry(), inner), TF_KERAS).config["config"]["layers"][1]
    assert found["config"]["layers"][1]["config"]["trainable"] is False


def test_a_forged_depth_is_refused() -> None:
    item = layer("Flatten")
    for _ in range(150):
        item = layer("TimeDistributed", layer=item)
    with pytest.raises(UpgradeError, match="nested more than 100 deep"):
        upgrade(row(entry(), item), TF_KERAS)
