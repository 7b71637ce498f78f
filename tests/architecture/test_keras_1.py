"""From Keras 0.3 and 1 to Keras 2: what is said, refused and concluded; `frameworks/test_keras_1.py` has real predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.upgrade import UpgradeError
from kmodel_tools.architecture.upgrade.keras_1 import backend_of, to_keras_2
from tests.eras_of_keras_1 import MODELS, REFUSED, as_keras_2, name_of


def layer(kind: str, name: str = "x", **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def upgraded(*layers: dict[str, Any], version: str = "1.2.2", backend: str | None = "tensorflow") -> list[dict[str, Any]]:
    new = to_keras_2({"class_name": "Sequential", "config": list(layers)}, version, backend)
    found: list[dict[str, Any]] = new.config["config"]["layers"]
    return found


def arguments(kind: str, **config: Any) -> dict[str, Any]:
    (only,) = upgraded(layer(kind, **config))
    own: dict[str, Any] = only["config"]
    return own


@pytest.mark.parametrize("path", [path for path in MODELS if name_of(path) not in REFUSED], ids=name_of)
def test_every_weight_finds_its_place(path: Path) -> None:
    new, model = as_keras_2(path)
    assert new.config is model.architecture
    assert all(weight.tensor.read().size == weight.tensor.size for _, weight in model.weights())


@pytest.mark.parametrize("path", [path for path in MODELS if name_of(path) in REFUSED], ids=name_of)
def test_what_has_no_equivalent_is_refused_by_name(path: Path) -> None:
    with pytest.raises(UpgradeError, match=REFUSED[name_of(path)]):
        as_keras_2(path)


def test_who_trained_it() -> None:
    assert backend_of(["model_weights/dense_1/dense_1_W:0", "dense_1/dense_1_b:0"]) == "tensorflow"
    assert backend_of(["model_weights/dense_1/dense_1_W"]) == "theano"
    assert backend_of(["a:0", "b"]) is None
    assert backend_of(["layer_0/param_0"]) is None
    assert backend_of([]) is None


def test_a_conclusion_is_said() -> None:
    convolution = layer("Convolution1D", nb_filter=2, filter_length=3, name="conv")
    row = {"class_name": "Sequential", "config": [convolution, layer("Dense", output_dim=2)]}
    said = "Theano and TensorFlow run it otherwise, and nothing says which did; taken for TensorFlow's: conv"
    assert to_keras_2(row, "1.2.2").changes == (said,)
    assert to_keras_2(row, "1.2.2", "theano").changes == ()


def test_who_trained_it_is_no_question_where_it_does_not_count() -> None:
    assert to_keras_2({"class_name": "Sequential", "config": [layer("Dense", output_dim=2)]}, "1.2.2").changes == ()


def test_other_generations_and_what_is_no_model_are_refused() -> None:
    with pytest.raises(UpgradeError, match=r"Keras 2\.0"):
        to_keras_2({"class_name": "Sequential", "config": []}, "2.1.0")
    with pytest.raises(UpgradeError, match="not that of a model"):
        to_keras_2(layer("Dense"), "1.2.2")


def test_objects_are_spelled_anew() -> None:
    found = arguments(
        "Dense",
        output_dim=2,
        init="orthogonal",
        W_regularizer={"name": "WeightRegularizer", "l1": 0.5, "l2": 0},
        b_regularizer={"name": "EigenvalueRegularizer", "k": 0.1},
        W_constraint={"name": "MaxNorm", "m": 3, "axis": 0},
        b_constraint={"name": "MinMaxNorm", "low": 0.1, "high": 2, "rate": 1.0, "axis": 0},
    )
    assert found["kernel_initializer"] == {"class_name": "Orthogonal", "config": {"gain": 1.1, "seed": None}}
    assert found["kernel_regularizer"] == {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}}
    assert found["bias_regularizer"] is None
    assert found["kernel_constraint"] == {"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0}}
    assert found["bias_constraint"]["config"] == {"min_value": 0.1, "max_value": 2, "rate": 1.0, "axis": 0}
    assert arguments("Dense", output_dim=1, init="zero")["kernel_initializer"] == "zeros"


def test_old_defaults_are_written_out() -> None:
    assert arguments("GRU", output_dim=2)["reset_after"] is False
    assert arguments("GRU", output_dim=2)["recurrent_activation"] == "hard_sigmoid"
    assert arguments("LSTM", output_dim=2, forget_bias_init="zero")["unit_forget_bias"] is False
    assert arguments("LSTM", output_dim=2)["unit_forget_bias"] is True


def test_embeddings_keep_their_own_arguments() -> None:
    found = arguments("Embedding", input_dim=5, output_dim=2, init="uniform", dropout=0.5, input_dtype="int32", batch_input_shape=[None, 3])
    assert (found["input_dim"], found["output_dim"], found["dtype"]) == (5, 2, "float32")
    assert found["embeddings_initializer"] == "random_uniform"
    assert "dropout" not in found


def test_the_ordering_of_images_is_that_of_other_layers_or_of_the_release() -> None:
    conv = layer("Convolution2D", "c", nb_filter=1, nb_row=1, nb_col=1, dim_ordering="th")
    assert upgraded(layer("Cropping2D", "p", cropping=[[1, 1], [1, 1]]), conv)[0]["config"]["data_format"] == "channels_first"
    padding = layer("ZeroPadding2D", padding=[1, 1])
    assert upgraded(padding)[0]["config"]["data_format"] == "channels_last"
    assert upgraded(padding, version="1.0.8")[0]["config"]["data_format"] == "channels_first"


def test_pooling_of_nobody_knows_which_backend_is_refused() -> None:
    pooling = layer("AveragePooling2D", pool_size=[2, 2], strides=[2, 2], border_mode="same", dim_ordering="tf")
    model = {"class_name": "Sequential", "config": [pooling]}
    with pytest.raises(UpgradeError, match="nothing says which it was"):
        to_keras_2(model, "1.2.2")
    to_keras_2(model, "1.2.2", "tensorflow")
    pooling["config"] |= {"pool_size": [3, 3], "strides": [1, 1]}
    to_keras_2(model, "1.2.2")


def test_merging_by_code_is_carried_as_data() -> None:
    code = ["\u00e3bytecode", None, None]
    found = upgraded(layer("Merge", mode=code, mode_type="lambda", output_shape=[3], arguments={"k": 1}))
    assert found[0]["class_name"] == "Lambda"
    assert (found[0]["config"]["function"], found[0]["config"]["arguments"]) == (code, {"k": 1})
    with pytest.raises(UpgradeError, match="merges by 'join'"):
        upgraded(layer("Merge", mode="join"))


def test_a_highway_of_unknown_size_is_refused() -> None:
    with pytest.raises(UpgradeError, match="whose size the weights say"):
        upgraded(layer("Highway"))
    (found,) = upgraded(layer("Highway", batch_input_shape=[None, 7]))
    assert found["class_name"] == "Model"


def test_custom_layers_stay_as_they_are() -> None:
    assert arguments("Mine", output_dim=2, init="zero") == {"name": "x", "output_dim": 2, "init": "zero"}


def test_graphs_that_refer_to_nothing() -> None:
    node = {"name": "d", "class_name": "Dense", "config": {"name": "d", "output_dim": 2}, "inbound_nodes": [[["gone", 0, 0]]]}
    model = {"class_name": "Model", "config": {"name": "m", "layers": [node], "input_layers": [], "output_layers": []}}
    with pytest.raises(ConfigError, match="gone"):
        to_keras_2(model, "1.2.2", "tensorflow")
    graph = {"name": "Graph", "input_config": [], "node_config": [{"name": "d", "input": "gone", "merge_mode": "concat"}],
             "output_config": [], "nodes": {"d": {"name": "Dense", "output_dim": 2}}}  # fmt: skip
    with pytest.raises(ConfigError, match="gone"):
        to_keras_2(graph, "0.3.3", "theano")
    with pytest.raises(UpgradeError, match="shared node"):
        to_keras_2({**graph, "node_config": [{"name": "d", "inputs": ["gone"]}]}, "0.3.3", "theano")


def test_models_nested_without_end_are_refused() -> None:
    model = {"class_name": "Sequential", "config": [layer("Dense", output_dim=1)]}
    for _ in range(150):
        model = {"class_name": "Sequential", "config": [model]}
    with pytest.raises(UpgradeError, match="deep"):
        to_keras_2(model, "1.2.2", "tensorflow")


def test_a_cosine_has_a_dimension_more() -> None:
    dot, reshape = upgraded(layer("Merge", mode="cos", dot_axes=[1, 1]))
    assert dot == {"class_name": "Dot", "config": {"name": "x", "axes": [1, 1], "normalize": True}}
    assert reshape["config"]["target_shape"] == [1, 1]


def test_slopes_have_an_initializer_of_their_own() -> None:
    assert arguments("PReLU", init="zero") == {"name": "x", "alpha_initializer": "zeros"}


def test_a_model_that_is_merged_with_itself_is_one() -> None:
    branch = {"class_name": "Sequential", "config": [layer("Dense", "d", output_dim=2, batch_input_shape=[None, 3])]}
    merge = {"class_name": "Merge", "config": {"name": "m", "mode": "sum", "layers": [branch, branch]}}
    new = to_keras_2({"class_name": "Sequential", "config": [merge]}, "1.2.2", "tensorflow").config["config"]
    assert [item["name"] for item in new["layers"]] == ["d_input", "d", "m"]
    assert new["input_layers"] == [["d_input", 0, 0]]
    assert new["layers"][1]["inbound_nodes"] == [[["d_input", 0, 0]], [["d_input", 0, 0]]]
    assert new["layers"][2]["inbound_nodes"] == [[["d", 0, 0], ["d", 1, 0]]]
