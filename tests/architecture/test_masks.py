"""Masks that Keras 3 loses or makes otherwise are computed in the graph, and given explicitly."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.upgrade import UpgradeError, upgrade
from tests.architecture.configs import TF_KERAS, Json, calls, entry, graph, layer, row

IDS = entry("in", (None, 6))
VALUES = entry("other", (None, 6, 4))
EMBEDDING = layer("Embedding", "ids", input_dim=9, output_dim=4, mask_zero=True)
MASKING = layer("Masking", "skip", mask_value=0.5)
NAMES = {"NotEqual", "Any", "LogicalAnd", "Copy", "Concatenate"}


def two(merge: Json, *more: tuple[Json, list[Any]], plain: bool = False) -> Any:
    """Two masked sequences (or a masked one and one that is not) merged."""
    second = "other" if plain else "skip"
    layers = [(IDS, []), (VALUES, []), (EMBEDDING, [[["in", 0, 0, {}]]]), (MASKING, [[["other", 0, 0, {}]]])]
    merged = (merge, [[["ids", 0, 0, {}], [second, 0, 0, {}]]])
    return upgrade(graph(*layers, merged, *more, inputs=[["in", 0, 0], ["other", 0, 0]]), TF_KERAS).config


def operations(model: Any) -> dict[str, str]:
    found = {item["name"]: item["class_name"] for item in model["config"]["layers"] if item["module"] == "keras.src.ops.numpy"}
    assert set(found.values()) <= NAMES
    return found


LAST = (layer("GRU", "last", units=2), [[["x", 0, 0, {}]]])


def test_a_recurrent_layer_with_a_state_is_told_its_mask() -> None:
    state = (layer("Dense", "state", units=3), [[["other", 0, 0, {}]]])
    called = (layer("GRU", "x", units=3), [[["ids", 0, 0, {"initial_state": ["state", 0, 0]}]]])
    layers = [(IDS, []), (entry("other", (None, 3)), []), (EMBEDDING, [[["in", 0, 0, {}]]]), state, called]
    found = upgrade(graph(*layers, inputs=[["in", 0, 0], ["other", 0, 0]]), TF_KERAS)
    assert calls(found.config, "x") == [([("ids", 0, 0)], {"initial_state": ("state", 0, 0), "mask": ("x_mask", 0, 0)})]
    assert calls(found.config, "x_mask") == [([("in", 0, 0), 0], {})]
    assert any("Keras 3 makes other masks here" in change and "x" in change for change in found.changes)


def test_what_is_masked_in_one_input_is_masked_in_the_sum() -> None:
    model = two(layer("Add"), LAST)
    assert set(operations(model).values()) == {"NotEqual", "Any", "LogicalAnd"}
    (masked,) = [item for item in model["config"]["layers"] if item["name"] == "x_masked"]
    assert [item["class_name"] for item in masked["config"]["layers"]] == ["Identity"]
    ((given, keywords),) = calls(model, "x_masked")
    assert given == [("x", 0, 0)]
    assert operations(model)[keywords["mask"][0]] == "LogicalAnd"
    assert calls(model, "last") == [([("x_masked", 0, 0)], {})]
    assert calls(model, "x") == [([[("ids", 0, 0), ("skip", 0, 0)]], {})]


def test_an_input_without_a_mask_leaves_the_other_ones() -> None:
    model = two(layer("Add"), LAST, plain=True)
    assert set(operations(model).values()) == {"NotEqual"}
    assert calls(model, "last") == [([("x_masked", 0, 0)], {})]


@pytest.mark.parametrize("kind", ["Maximum", "Minimum", "Multiply", "Concatenate"])
def test_masked_values_are_merged_as_others(kind: str) -> None:
    model = two(layer(kind))
    ((given, _),) = calls(model, "x")
    assert [operations(model)[name] for name, _, _ in given[0]] == ["Copy", "Copy"]
    assert set(operations(model).values()) == {"Copy"}, "nobody uses the mask"


def test_sequences_that_are_joined_have_joined_masks() -> None:
    model = two(layer("Concatenate", axis=1), LAST)
    assert list(operations(model).values()).count("Concatenate") == 1


def test_a_mask_that_is_the_same_everywhere_stays_as_it_is() -> None:
    drop = (layer("Dropout", "drop", rate=0.1), [[["ids", 0, 0, {}]]])
    merged = (layer("Add"), [[["ids", 0, 0, {}], ["drop", 0, 0, {}]]])
    model = upgrade(graph((IDS, []), (EMBEDDING, [[["in", 0, 0, {}]]]), drop, merged, LAST), TF_KERAS).config
    assert not operations(model)
    assert calls(model, "last") == [([("x", 0, 0)], {})]


def test_the_end_of_a_model_is_what_has_the_mask() -> None:
    model = two(layer("Add"), LAST)
    assert model["config"]["output_layers"] == ["last", 0, 0]
    assert two(layer("Add"))["config"]["output_layers"] == ["x", 0, 0]


def test_a_layer_that_passed_no_mask_on() -> None:
    called = (layer("Rescaling", scale=2.0), [[["ids", 0, 0, {}]]])
    model = upgrade(graph((IDS, []), (EMBEDDING, [[["in", 0, 0, {}]]]), called, LAST), TF_KERAS).config
    assert list(operations(model).values()) == ["Copy"]


def test_attention_scores_of_masked_steps_are_said_to_differ() -> None:
    called = (
        layer("MultiHeadAttention", num_heads=1, key_dim=2),
        [[["ids", 0, 0, {"value": ["ids", 0, 0], "return_attention_scores": True}]]],
    )
    found = upgrade(graph((IDS, []), (EMBEDDING, [[["in", 0, 0, {}]]]), called), TF_KERAS)
    assert any("other values of attention" in change for change in found.changes)


def chained(count: int, kind: str, partner: str, **arguments: Any) -> Any:
    """A chain of layers that merge what is masked with itself ("same") or with another layer's output, before a GRU."""
    layers: list[tuple[Json, list[Any]]] = [(IDS, []), (EMBEDDING, [[["in", 0, 0, {}]]])]
    last = "ids"
    for number in range(count):
        other = last if partner == "same" else partner
        layers.append((layer(kind, f"m{number}", **arguments), [[[last, 0, 0, {}], [other, 0, 0, {}]]]))
        last = f"m{number}"
    layers.append((layer("GRU", "last", units=2), [[[last, 0, 0, {}]]]))
    return upgrade(graph(*layers, inputs=[["in", 0, 0]], outputs=[["last", 0, 0]]), TF_KERAS).config


@pytest.mark.parametrize(("partner", "count"), [("same", 60), ("ids", 1200)])
def test_a_mask_of_masks_takes_one_operation_each(partner: str, count: int) -> None:
    """Such a mask names 2 to the power of 60 others, or is 1200 deep: neither time nor the stack may go with that."""
    made = operations(chained(count, "Concatenate", partner, axis=1)).values()
    assert sorted(made).count("Concatenate") == count


def test_long_chains_of_merges_are_followed_once() -> None:
    found = chained(1000, "Multiply", "ids")
    assert len(found["config"]["layers"]) > 2000


def test_masks_of_too_many_others_are_refused() -> None:
    names = [f"skip{number}" for number in range(1001)]
    skips = [(layer("Masking", name, mask_value=float(number)), [[["other", 0, 0, {}]]]) for number, name in enumerate(names)]
    merged = (layer("Add", "sum"), [[[name, 0, 0, {}] for name in names]])
    with pytest.raises(UpgradeError, match="a mask made of more than 1000 others"):
        upgrade(graph((VALUES, []), *skips, merged, inputs=[["other", 0, 0]]), TF_KERAS)


def test_what_a_masking_masks_may_be_no_number() -> None:
    skip = (layer("Masking", "skip", mask_value=[0.5]), [[["other", 0, 0, {}]]])
    found = upgrade(graph((VALUES, []), skip, (layer("GRU", "last", units=2), [[["skip", 0, 0, {}]]]), inputs=[["other", 0, 0]]), TF_KERAS)
    assert not operations(found.config)


def test_sequences_joined_along_their_steps_by_a_negative_axis() -> None:
    made = operations(two(layer("Concatenate", axis=-2), LAST))
    assert "Concatenate" in made.values()
    assert "LogicalAnd" not in made.values()


def test_a_mask_from_inside_of_a_nested_model_is_said_to_be_lost() -> None:
    nested = graph((entry("ids_in", (None, 6)), []), (EMBEDDING, [[["ids_in", 0, 0, {}]]]), inputs=[["ids_in", 0, 0]])
    nested["config"]["name"] = "words"
    merged = (layer("Add"), [[["words", 1, 0, {}], ["other", 0, 0, {}]]])
    layers = [(IDS, []), (VALUES, []), (nested, [[["in", 0, 0, {}]]]), merged, LAST]
    found = upgrade(graph(*layers, inputs=[["in", 0, 0], ["other", 0, 0]]), TF_KERAS)
    assert "a mask from inside of a nested model is not carried: x" in found.changes


@pytest.mark.parametrize("kind", ["Identity", "Rescaling", "Normalization"])
@pytest.mark.parametrize(("last", "stops"), [("LSTM", True), ("GlobalAveragePooling1D", True), ("Flatten", False)])
def test_a_row_in_which_a_layer_passes_no_mask_on(kind: str, last: str, stops: bool) -> None:
    behind = layer(last, "last", **({"units": 2} if last == "LSTM" else {}))
    config = upgrade(row(VALUES, MASKING, layer(kind), behind), TF_KERAS).config["config"]
    assert [item["class_name"] for item in config["layers"][2:]] == [kind, *(["UpSampling1D"] if stops else []), last]


def test_the_old_hard_sigmoid_passes_a_mask_on() -> None:
    act: tuple[Json, list[Any]] = (layer("Activation", "act", activation="hard_sigmoid"), [[["skip", 0, 0, {}]]])
    merged = (layer("Concatenate"), [[["act", 0, 0, {}], ["in", 0, 0, {}]]])
    layers = [(entry("in", (None, 6, 4)), []), (VALUES, []), (MASKING, [[["other", 0, 0, {}]]]), act, merged, LAST]
    found = upgrade(graph(*layers, inputs=[["in", 0, 0], ["other", 0, 0]]), TF_KERAS).config
    assert {"NotEqual", "Any", "Copy"} <= set(operations(found).values())
    config = upgrade(
        row(VALUES, MASKING, layer("Activation", "act", activation="hard_sigmoid"), layer("Identity"), LAST[0]), TF_KERAS
    ).config
    assert [item["class_name"] for item in config["config"]["layers"][4:]] == ["UpSampling1D", "GRU"]


def test_masks_that_are_lost_are_named() -> None:
    each = layer("TimeDistributed", "each", layer={**EMBEDDING, "config": {**EMBEDDING["config"], "name": "ids"}})
    assert upgrade(row(entry("in", (None, 3, 6)), each), TF_KERAS).changes[0].endswith("layers behind it take every step: each")
    assert upgrade(row(VALUES, MASKING, layer("Rescaling", scale=2.0)), TF_KERAS).changes[0].endswith("behind its list gets one: x")
