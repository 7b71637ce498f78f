from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.legacy_weights import Place, place_weights
from kmodel_tools.architecture.spec import LayerSpec, model_spec

BN = ["gamma", "beta", "moving_mean", "moving_variance"]


def path(place: Place) -> str:
    return "/".join([*(step.component for step in place.steps), place.role])


def by_names(layer: str, names: list[str], era: Era = Era.TF_KERAS) -> list[str]:
    return [path(place) for place in place_weights(layer, names, None, era).places]


def nested(*layers: dict[str, Any]) -> LayerSpec:
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": list(layers)}}
    return model_spec({"class_name": "Sequential", "config": {"name": "s", "layers": [inner]}}, "2.3.1").root.children[0]


def dense(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": name, **config}}


def norm(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": "BatchNormalization", "config": {"name": name, **config}}


def test_names_of_built_in_sub_layers_become_attributes() -> None:
    assert by_names("lstm", ["lstm/lstm_cell_3/kernel:0", "lstm/lstm_cell_3/recurrent_kernel:0"]) == [
        "cell/kernel",
        "cell/recurrent_kernel",
    ]
    assert by_names("x", ["x/kernel:0", "x/recurrent_kernel:0", "x/bias:0"]) == ["cell/kernel", "cell/recurrent_kernel", "cell/bias"]
    assert by_names("b", [f"b/{way}_l/c/{role}:0" for way in ("forward", "backward") for role in ("kernel", "recurrent_kernel")]) == [
        "forward_layer/cell/kernel",
        "forward_layer/cell/recurrent_kernel",
        "backward_layer/cell/kernel",
        "backward_layer/cell/recurrent_kernel",
    ]
    assert by_names("m", [f"m/{part}/kernel" for part in ("query", "key", "value", "attention_output")]) == [
        "query_dense/kernel",
        "key_dense/kernel",
        "value_dense/kernel",
        "output_dense/kernel",
    ]
    assert by_names("m", ["m/query/kernel", "m/key/kernel"]) == ["query/kernel", "key/kernel"]


def test_cells_in_a_list_are_numbered_in_order() -> None:
    names = [f"rnn/stacked_rnn_cells/{cell}/{role}" for cell in ("lstm_cell", "gru_cell") for role in ("kernel", "recurrent_kernel")]
    assert by_names("rnn", names) == [
        "cell/cells/0/kernel",
        "cell/cells/0/recurrent_kernel",
        "cell/cells/1/kernel",
        "cell/cells/1/recurrent_kernel",
    ]


def test_depthwise_convolutions_have_a_kernel() -> None:
    assert by_names("d", ["d/depthwise_kernel:0", "d/bias:0"]) == ["kernel", "bias"]
    assert by_names("s", ["s/depthwise_kernel:0", "s/pointwise_kernel:0"]) == ["depthwise_kernel", "pointwise_kernel"]


def test_layers_of_a_nested_model_keep_their_names() -> None:
    assert by_names("inner", ["a/kernel:0", "bn/moving_mean:0"]) == ["a/kernel", "bn/moving_mean"]
    assert by_names("net", ["scope/net/dense_1/kernel:0"]) == ["dense_1/kernel"]


def test_names_that_a_graph_made_unique() -> None:
    assert by_names("a", ["a_1/kernel_2:0"]) == ["kernel"]


def test_keras_1_by_names() -> None:
    assert by_names("d", ["d_W", "d_b"], Era.KERAS_1) == ["kernel", "bias"]
    assert by_names("r", ["r_W", "r_U", "r_b"], Era.KERAS_1) == ["cell/kernel", "cell/recurrent_kernel", "cell/bias"]
    assert by_names("l", ["l_W_i", "l_U_i"], Era.KERAS_1) == ["W_i", "U_i"]
    assert by_names("b", ["forward_l_W_i", "backward_l_W_i"], Era.KERAS_1) == ["forward_layer/W_i", "backward_layer/W_i"]


def test_what_is_never_trained_is_known_without_a_configuration() -> None:
    places = place_weights("bn", [f"bn/{role}:0" for role in BN], None, Era.TF_KERAS).places
    assert [place.trainable for place in places] == [None, None, False, False]


def test_a_nested_model_lists_what_is_trained_first() -> None:
    spec = nested(dense("a"), norm("bn"), dense("b"))
    names = ["a/kernel", "a/bias", "bn/gamma", "bn/beta", "b/kernel", "b/bias", "bn/moving_mean", "bn/moving_variance"]
    found = place_weights("inner", names, spec, Era.KERAS_3)
    assert found.by == "spec"
    assert [path(place) for place in found.places] == names
    assert [place.trainable for place in found.places] == [True] * 6 + [False] * 2


def test_frozen_sub_layers_go_to_the_second_part() -> None:
    spec = nested(dense("a"), norm("bn", trainable=False), dense("b"))
    names = ["a/kernel", "a/bias", "b/kernel", "b/bias", *(f"bn/{role}" for role in BN)]
    assert [path(place) for place in place_weights("inner", names, spec, Era.KERAS_3).places] == names


def test_layers_of_one_name_are_told_apart_by_order() -> None:
    spec = nested(dense("a"), {"class_name": "Sequential", "config": {"name": "deep", "layers": [dense("a")]}})
    found = place_weights("inner", ["a/kernel", "a/bias", "a/kernel", "a/bias"], spec, Era.TF_KERAS)
    assert [path(place) for place in found.places] == ["a/kernel", "a/bias", "deep/a/kernel", "deep/a/bias"]


def test_an_order_that_no_release_writes_is_read_by_the_names() -> None:
    spec = nested(dense("a"), norm("bn"))
    names = [f"bn/{role}" for role in reversed(BN)] + ["a/bias", "a/kernel"]
    assert [path(place) for place in place_weights("inner", names, spec, Era.TF_KERAS).places] == names


def test_a_custom_layer_keeps_its_own_words() -> None:
    spec = model_spec(
        {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Mine", "config": {"name": "m"}}]}}
    ).root.children[0]
    found = place_weights("m", ["m/inner_cell/kernel", "m/inner_cell/recurrent_kernel", "m/depthwise_kernel"], spec, Era.TF_KERAS)
    assert [path(place) for place in found.places] == ["inner_cell/kernel", "inner_cell/recurrent_kernel", "depthwise_kernel"]
    assert [place.trainable for place in found.places] == [None] * 3
