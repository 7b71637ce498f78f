"""What becomes of the graphs of Keras 3 in Keras 2: calls, masks, and rows of layers."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.downgrade import downgrade
from kmodel_tools.architecture.upgrade import UpgradeError
from kmodel_tools.architecture.upgrade.graph import tensor_at
from kmodel_tools.architecture.upgrade.objects import spelled
from tests.architecture.configs import Json
from tests.architecture.test_downgrade import entry, layer, row

Call = tuple[list[Any], Json]
WORDS = layer("Embedding", "words", input_dim=9, output_dim=2, mask_zero=True)
UNEQUAL = spelled("keras.src.ops.numpy", "NotEqual", {"name": "unequal"})


def at(name: str, call: int = 0, output: int = 0) -> Json:
    """A tensor."""
    return tensor_at((name, call, output))


def call(*args: Any, **kwargs: Any) -> Call:
    return list(args), kwargs


def graph(*layers: tuple[Json, list[Call]], inputs: Any = None, outputs: Any = None) -> Json:
    """A Functional of Keras 3 behind one input."""
    found = [(entry(), []), *layers]
    made = [
        {**item, "name": item["config"]["name"], "inbound_nodes": [{"args": args, "kwargs": kwargs} for args, kwargs in calls]}
        for item, calls in found
    ]
    ends = {"input_layers": inputs or ["in", 0, 0], "output_layers": outputs or [made[-1]["name"], 0, 0]}
    return spelled("keras.src.models.functional", "Functional", {"name": "model", "trainable": True, "layers": made, **ends})


def nodes(model: Json, name: str = "x") -> Any:
    """The calls of a layer as Keras 2 lists them, and the report."""
    config = downgrade(model, "3.15.1").config["config"]
    (found,) = [item for item in config["layers"] if item["name"] == name]
    return found["inbound_nodes"]


# Calls.


def test_a_graph() -> None:
    found = downgrade(graph((layer("Dense", units=2), [call(at("in"))]))).config
    assert found["class_name"] == "Model"
    assert found["config"]["input_layers"] == [["in", 0, 0]]
    assert found["config"]["output_layers"] == [["x", 0, 0]]
    assert found["config"]["layers"][1]["inbound_nodes"] == [[["in", 0, 0, {}]]]


@pytest.mark.parametrize(
    ("item", "given", "expected"),
    [
        (layer("Add"), call([at("in"), at("in")]), [["in", 0, 0, {}], ["in", 0, 0, {}]]),
        (layer("Dense", units=2), call(inputs=at("in")), [["in", 0, 0, {}]]),
        (layer("Dropout", rate=0.5), call(at("in"), training=True), [["in", 0, 0, {}]]),
        (layer("Dropout", rate=0.5), call(at("in"), training=False), [["in", 0, 0, {}]]),
        (layer("Add"), call([at("in"), 2.0]), [["in", 0, 0, {}], ["_CONSTANT_VALUE", -1, 2.0, {}]]),
        (layer("MultiHeadAttention"), call(at("in"), at("in")), [["in", 0, 0, {"value": ["in", 0, 0]}]]),
        (
            layer("MultiHeadAttention"),
            call(query=at("in"), value=at("in"), use_causal_mask=True, attention_mask=None),
            [["in", 0, 0, {"value": ["in", 0, 0], "use_causal_mask": True}]],
        ),
        (layer("LSTM", units=2), call(at("in"), initial_state=[at("in"), at("in")]), [["in", 0, 0, {}]] * 3),
        (layer("GRU", units=2), call(at("in"), at("in")), [["in", 0, 0, {}]] * 2),
        (layer("LSTM", units=2), call(at("in"), mask=at("in")), [["in", 0, 0, {"mask": ["in", 0, 0]}]]),
    ],
    ids=lambda value: value.get("class_name") if isinstance(value, dict) else None,
)
def test_calls(item: Json, given: Call, expected: Any) -> None:
    assert nodes(graph((item, [given]))) == [expected]


def test_nested_models_count_their_calls_from_one() -> None:
    inner = graph((layer("Dense", "d", units=5), [call(at("in"))]))
    inner["config"]["name"] = "inner"
    model = graph((inner, [call(at("in")), call(at("inner"))]), (layer("Dense", units=2), [call(at("inner", 1))]), outputs=["inner", 1, 0])
    assert nodes(model) == [[["inner", 2, 0, {}]]]
    assert nodes(model, "inner") == [[["in", 0, 0, {}]], [["inner", 1, 0, {}]]]
    assert downgrade(model).config["config"]["output_layers"] == [["inner", 1, 0]]
    listed = row(entry(), layer("Dense", "d", units=5))
    late = row(layer("Dense", "d", units=5))
    for item, expected in ((listed, 1), (late, 0)):
        assert nodes(graph((item, [call(at("in"))]), (layer("Dense", units=2), [call(at("row"))]))) == [[["row", expected, 0, {}]]]


def test_structures_of_ends() -> None:
    found = downgrade(graph((layer("Dense", units=2), [call(at("in"))]), inputs={"a": ["in", 0, 0]}, outputs=[["x", 0, 0], ["in", 0, 0]]))
    assert found.config["config"]["input_layers"] == {"a": ["in", 0, 0]}
    assert found.config["config"]["output_layers"] == [["x", 0, 0], ["in", 0, 0]]


@pytest.mark.parametrize(
    ("item", "given", "why"),
    [
        (layer("MultiHeadAttention"), call(at("in"), at("in"), query_mask=at("in")), "query_mask"),
        (layer("Dense", units=2), call("word"), "which is no tensor"),
        (layer("Dense", units=2), call(), "is called on nothing"),
        (layer("Dense", units=2), call(at("in"), 1), "only the layer's code tells"),
    ],
    ids=["mask", "word", "nothing", "more"],
)
def test_calls_that_keras_2_has_no_word_for(item: Json, given: Call, why: str) -> None:
    with pytest.raises(UpgradeError, match=rf"the layer x .*{why}"):
        downgrade(graph((item, [given])))


# Masks.


def masked(*behind: tuple[Json, list[Call]]) -> Json:
    """A graph behind an Embedding, with the mask that Keras 3 notes."""
    return graph((WORDS, [call(at("in"))]), (UNEQUAL, [call(at("in"), 0)]), *behind)


def test_masks_that_keras_2_comes_to_by_itself_are_left_out() -> None:
    model = masked(
        (layer("Dropout", "drop", rate=0.5), [call(at("words"))]),
        (layer("LSTM", units=2), [call(at("drop"), mask=at("unequal"))]),
    )
    assert nodes(model) == [[["drop", 0, 0, {}]]]
    assert [item["name"] for item in downgrade(model).config["config"]["layers"]] == ["in", "words", "drop", "x"]


def test_masks_of_masking() -> None:
    model = graph(
        (layer("Masking", "masking", mask_value=0.0), [call(at("in"))]),
        (UNEQUAL, [call(at("in"), 0.0)]),
        (spelled("keras.src.ops.numpy", "Any", {"name": "any", "axis": -1, "keepdims": False}), [call(at("unequal"))]),
        (layer("Bidirectional", layer=layer("GRU", "g", units=2)), [call(at("masking"), mask=at("any"))]),
    )
    assert nodes(model) == [[["masking", 0, 0, {}]]]


def test_attention_takes_the_masks_of_its_tensors() -> None:
    told = call(at("words"), at("words"), query_mask=at("unequal"), value_mask=at("unequal"), key_mask=None)
    assert nodes(masked((layer("MultiHeadAttention"), [told]))) == [[["words", 0, 0, {"value": ["words", 0, 0]}]]]
    listed = call([at("words"), at("words")], mask=[at("unequal"), at("unequal")])
    assert nodes(masked((layer("Attention"), [listed]))) == [[["words", 0, 0, {}], ["words", 0, 0, {}]]]
    scores = masked((layer("MultiHeadAttention"), [call(at("words"), at("words"), return_attention_scores=True)]))
    assert "get other values of attention" in downgrade(scores).changes[0]


def test_a_mask_that_keras_3_does_not_have_is_taken_off() -> None:
    """An initial state: Keras 3 tells such a call no mask."""
    model = masked((layer("LSTM", units=2), [call(at("words"), initial_state=[at("in"), at("in")])]))
    assert nodes(model)[0][0] == ["words_bare", 0, 0, {}]
    assert nodes(model, "words_bare") == [[["words", 0, 0, {}]]]


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (layer("Multiply", "m"), "leaves masked values out"),
        (layer("Rescaling", "m", scale=2.0), "NotEqual"),
        (layer("Activation", "m", activation="hard_sigmoid"), "NotEqual"),
        (layer("Activation", "m", activation=spelled("builtins", "function", "hard_sigmoid", "function")), "NotEqual"),
    ],
    ids=["Multiply", "Rescaling", "hard_sigmoid", "function"],
)
def test_a_mask_that_keras_2_would_not_pass_on_is_never_left_out(between: Json, why: str) -> None:
    given = call([at("words"), at("words")]) if between["class_name"] == "Multiply" else call(at("words"))
    try:
        found = downgrade(masked((between, [given]), (layer("LSTM", units=2), [call(at("m"), mask=at("unequal"))]))).config
    except UpgradeError as error:
        assert why in str(error)  # noqa: PT017  # where the operation is carried, the mask stays an argument
    else:
        (last,) = [item for item in found["config"]["layers"] if item["name"] == "x"]
        assert "mask" in str(last["inbound_nodes"])


@pytest.mark.parametrize(
    "between",
    [layer("Rescaling", "m", scale=2.0), layer("Activation", "m", activation="hard_sigmoid")],
    ids=lambda item: item["class_name"],
)
def test_rows_in_which_a_mask_would_stop(between: Json) -> None:
    with pytest.raises(UpgradeError, match=r"the layer m .* passes a mask on to a layer that minds it"):
        downgrade(row(entry(), WORDS, between, layer("LSTM", units=2)))
    assert downgrade(row(entry(), WORDS, between, layer("Flatten"))).config["config"]["layers"][3]["class_name"] == "Flatten"


def test_identity_passes_masks_on_as_an_activation() -> None:
    made = downgrade(row(entry(), WORDS, layer("Identity", "i"), layer("LSTM", units=2))).config["config"]["layers"]
    assert (made[2]["class_name"], made[2]["config"]) == ("Activation", {"name": "i", "activation": "linear"})
    plain = downgrade(row(entry(), layer("Identity", "i"), layer("LSTM", units=2))).config["config"]["layers"]
    assert plain[1]["class_name"] == "Identity"
