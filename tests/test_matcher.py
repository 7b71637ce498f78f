from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from kmodel_tools import KmtError, Layer, Model, Tensor, Weight
from kmodel_tools.matcher import Match, match, renamer, selector
from kmodel_tools.tree import join_path, split_path
from tests.strategies import models


def model(*weights: tuple[str, tuple[int, ...]], architecture: bool = True) -> Model:
    """A model of layers with a weight each: `("dense/kernel", shape)`."""
    layers = []
    for path, shape in weights:
        name, role = split_path(path)
        layers.append(Layer(name, weights=(Weight(role, Tensor.of(np.zeros(shape)), path),)))
    return Model(layers=tuple(layers), architecture={} if architecture else None)


def paired(found: Match) -> list[tuple[str, str]]:
    return [(join_path(pair.path_a), join_path(pair.path_b)) for pair in found.pairs]


A = model(("d1/kernel", (2, 3)), ("d2/kernel", (3, 3)), ("d3/kernel", (3, 3)))


@given(models())
def test_a_model_matches_itself_by_name(one: Model) -> None:
    found = match(one, one)
    assert found.by == "name"
    assert [(pair.a, pair.b) for pair in found.pairs] == [(weight, weight) for _, weight in one.weights()]
    assert not found.only_a
    assert not found.only_b


def test_other_names_and_the_same_shapes_are_paired_by_position_and_said_so() -> None:
    found = match(A, model(("x/kernel", (2, 3)), ("y/kernel", (3, 3)), ("z/kernel", (3, 3))))
    assert (found.by, found.why) == ("position", "3 of 3 names differ, and all shapes agree in order")
    assert paired(found) == [("d1/kernel", "x/kernel"), ("d2/kernel", "y/kernel"), ("d3/kernel", "z/kernel")]


def test_a_name_at_another_place_is_believed_if_both_know_their_names() -> None:
    moved = (("d1/kernel", (2, 3)), ("new/kernel", (3, 3)), ("d2/kernel", (3, 3)))
    found = match(A, model(*moved))
    assert (found.by, found.why) == ("name", "2 names are in both, at other places")
    assert paired(found) == [("d1/kernel", "d1/kernel"), ("d2/kernel", "d2/kernel")]
    assert match(A, model(*moved, architecture=False)).by == "position"


def test_by_name_it_is_said_that_names_were_counted_on() -> None:
    """Equal names of models that were built one after the other are those of the layer behind."""
    first = model(("dense/kernel", (3, 3)), ("dense_1/kernel", (3, 3)))
    again = model(("dense_1/kernel", (3, 3)), ("dense_2/kernel", (3, 3)))
    found = match(first, again, "name")
    assert paired(found) == [("dense_1/kernel", "dense_1/kernel")]
    assert found.remarks == ("names of the two models count from other numbers, and equal ones may be those of other layers: dense_1",)


@pytest.mark.parametrize("by", ["name", "auto"])
def test_it_is_said_that_a_layer_more_may_have_moved_the_numbers(by: str) -> None:
    def dense(*names: str) -> Model:
        return Model(
            layers=tuple(replace(layer, class_name="Dense") for layer in model(*((f"{name}/kernel", (3, 3)) for name in names)).layers)
        )

    two, three = dense("dense", "dense_1", "top_1"), dense("dense", "dense_1", "dense_2", "top_1")
    remark = "one model has more layers of a class and shapes, and equal numbers may be those of other layers: dense, dense_1"
    assert match(two, three, by).remarks == (remark,)
    assert match(three, two, by).remarks == (remark,)
    assert not match(three, three, by).remarks
    assert not match(dense("top_1", "top_2"), dense("top_1"), by).remarks  # somebody's own names do not go by counting
    nothing_known = model(*((f"{name}/kernel", (3, 3)) for name in ("dense", "dense_1", "top_1")))
    assert not match(two, nothing_known, by).remarks
    assert not match(two, three, by, exclude=["dense*"]).remarks


@pytest.mark.parametrize("rule", ["d=first", "d9=x", "re:^d$=first"])
def test_a_rename_rule_that_meets_nothing_is_an_error(rule: str) -> None:
    with pytest.raises(KmtError, match="meets the path of no weight"):
        match(A, A, rename=["d2=second", rule])


def test_a_rename_rule_with_an_end_is_for_what_a_layer_holds() -> None:
    """As in `kmt convert --rename`, which renames layers."""
    assert join_path(renamer([r"re:^dense(_\d+)?$=fc\1"])(("dense_2", "kernel"))) == "fc_2/kernel"
    assert join_path(renamer(["re:^b$=c"])(("a", "b", "kernel"))) == "a/b/kernel"
    assert ("d1/kernel", "first/kernel") in paired(match(A, model(("first/kernel", (2, 3))), "name", rename=["re:^d1$=first"]))


def test_names_that_were_counted_on_are_paired_by_position() -> None:
    first = model(("dense/kernel", (3, 3)), ("dense_1/kernel", (3, 3)))
    again = model(("dense_1/kernel", (3, 3)), ("dense_2/kernel", (3, 3)))
    found = match(first, again)
    assert (found.by, found.why) == ("position", "names differ in their numbers alone, and all shapes agree in order")
    swapped = model(("dense_1/kernel", (3, 3)), ("dense/kernel", (3, 3)))
    assert match(first, swapped).by == "name"


def test_without_a_common_name_roles_in_order_are_enough() -> None:
    found = match(A, model(("x/kernel", (2, 3)), ("y/kernel", (3, 4)), ("z/kernel", (4, 3))))
    assert (found.by, len(found.pairs)) == ("position", 3)
    assert match(A, model(("x/kernel", (2, 3)), ("y/bias", (3, 4)), ("z/kernel", (4, 3)))).by == "name"


def test_position_aligns_by_shape_and_says_so() -> None:
    longer = model(("x/kernel", (2, 3)), ("new/kernel", (7,)), ("y/kernel", (3, 3)), ("z/kernel", (3, 3)))
    found = match(A, longer, by="position")
    assert paired(found) == [("d1/kernel", "x/kernel"), ("d2/kernel", "y/kernel"), ("d3/kernel", "z/kernel")]
    assert [join_path(item.path) for item in found.only_b] == ["new/kernel"]
    assert found.why == "as asked for; 3 layers with weights against 4 are aligned by class and shapes"
    assert len(match(longer, A, by="position").only_a) == 1


def test_layers_of_one_shape_are_not_settled_where_their_number_differs() -> None:
    many = model(*((f"d{number}/kernel", (2,)) for number in range(3000)))
    more = model(*((f"e{number}/kernel", (2,)) for number in range(3100)))
    found = match(many, more, by="position")
    assert not found.pairs
    assert len(found.ambiguous) == 6100
    assert found.only_a[0].reason == "may be e0 or e100: they have its class and shapes"
    assert len(match(many, many, by="position").pairs) == 3000


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("encoder=backbone", "encoder/d/kernel", "backbone/d/kernel"),
        ("encoder=backbone", "encoder2/kernel", "encoder2/kernel"),
        ("d/kernel=d/w", "d/kernel", "d/w"),
        ("block_*=stage*", "block_1/kernel", "stage1/kernel"),
        ("*_?=*x?", "ab_1/kernel", "abx?/kernel"),
        (r"re:^block(\d)/=stage\1/", "block1/kernel", "stage1/kernel"),
        (r"a\/b=c", r"a\/b/kernel", "c/kernel"),
    ],
)
def test_rename_rules(rule: str, path: str, expected: str) -> None:
    assert join_path(renamer([rule])(split_path(path))) == expected


def test_renaming_pairs_by_name() -> None:
    other = model(("d3/kernel", (3, 3)), ("first/kernel", (2, 3)), ("d2/kernel", (3, 3)))
    assert ("d1/kernel", "first/kernel") in paired(match(A, other, rename=["d1=first"]))


@pytest.mark.parametrize("rule", ["nothing", "=x", "re:(=x", r"re:d=\7"])
def test_rules_that_are_none(rule: str) -> None:
    with pytest.raises(KmtError):
        match(A, A, rename=[rule])


def test_two_weights_of_one_name_are_refused() -> None:
    with pytest.raises(KmtError, match="several weights would be called 'd/kernel': d1/kernel, d2/kernel, d3/kernel"):
        match(A, A, rename=["d?=d"])


def test_selecting() -> None:
    keeps = selector(["d*"], ["re:2/kernel$"])
    assert [keeps(split_path(path)) for path in ("d1/kernel", "d2/kernel", "e/kernel", "d3")] == [True, False, False, True]
    assert selector(["d1"])(("d1", "kernel"))
    found = match(A, A, include=["d1", "d2"], exclude=["d2"])
    assert paired(found) == [("d1/kernel", "d1/kernel")]
    assert found.left_out == 2
    with pytest.raises(KmtError, match="not a regular expression"):
        selector(["re:("])


def test_an_unknown_way() -> None:
    with pytest.raises(KmtError, match="no way of pairing called 'shapes'"):
        match(A, A, by="shapes")


# Why, and what else it may be.


def layers(*items: tuple[str, str | None, dict[str, tuple[int, ...]]], **fields: Any) -> Model:
    """A model of layers with a class and several weights."""
    made = [
        Layer(
            name,
            class_name=kind,
            weights=tuple(Weight(role, Tensor.of(np.zeros(shape)), f"{name}:{role}") for role, shape in weights.items()),
        )
        for name, kind, weights in items
    ]
    return Model(**{"layers": tuple(made), "architecture": {}, **fields})


def dense(name: str, inputs: int, units: int) -> tuple[str, str, dict[str, tuple[int, ...]]]:
    return name, "Dense", {"kernel": (inputs, units), "bias": (units,)}


def norm(name: str, size: int) -> tuple[str, str, dict[str, tuple[int, ...]]]:
    return name, "BatchNormalization", {"gamma": (size,), "beta": (size,)}


def layer_pairs(found: Match) -> dict[str, str]:
    return {join_path(pair.path_a[:-1]): join_path(pair.path_b[:-1]) for pair in found.pairs}


def test_an_inserted_layer_is_seen_as_such_although_every_number_behind_it_changed() -> None:
    a = layers(dense("dense", 4, 8), dense("dense_1", 8, 5), dense("dense_2", 5, 2))
    b = layers(dense("dense", 4, 8), dense("dense_1", 8, 8), dense("dense_2", 8, 5), dense("dense_3", 5, 2))
    found = match(a, b)
    assert layer_pairs(found) == {"dense": "dense", "dense_1": "dense_2", "dense_2": "dense_3"}
    assert [(join_path(item.path), item.reason) for item in found.only_b] == [
        ("dense_1/kernel", "not in the other"),
        ("dense_1/bias", "not in the other"),
    ]
    assert {pair.how for pair in found.pairs} == {"name", "shape"}
    assert found.by == "auto"
    assert layer_pairs(match(a, b, "name")) == {"dense": "dense", "dense_1": "dense_1", "dense_2": "dense_2"}


def test_two_layers_of_one_class_and_shape_are_ambiguous_and_both_are_named() -> None:
    a = layers(dense("first", 4, 8), dense("one", 8, 8), dense("last", 8, 2))
    b = layers(dense("first", 4, 8), dense("left", 8, 8), dense("right", 8, 8), dense("last", 8, 2))
    found = match(a, b)
    assert layer_pairs(found) == {"first": "first", "last": "last"}
    (kernel, _) = found.only_a
    assert kernel.reason == "may be left or right: they have its class and shapes"
    assert kernel.candidates == (("left", "kernel"), ("right", "kernel"))
    assert [item.candidates for item in found.only_b] == [(("one", role),) for role in ("kernel", "bias")] * 2


def test_a_normalisation_goes_with_the_layer_before_it() -> None:
    def block(name: str, inputs: int) -> tuple[Any, ...]:
        return dense(f"{name}_d", inputs, 8), norm(f"{name}_n", 8)

    a = layers(*block("a1", 4), *block("a2", 8), dense("a3", 8, 2))
    b = layers(*block("b1", 4), *block("b2", 8), *block("b3", 8), dense("b4", 8, 2))
    assert layer_pairs(match(a, b)) == {"a1_d": "b1_d", "a1_n": "b1_n", "a3": "b4"}


def test_order_alone_is_said_to_be_all_that_tells() -> None:
    found = match(layers(dense("a", 3, 3), dense("b", 3, 3)), layers(dense("c", 3, 3), dense("d", 3, 3)), "shape")
    assert len(found.pairs) == 4
    assert found.remarks == ("order alone tells 2 layers from others of their class and shapes; if some changed places, it is not seen",)
    assert not match(layers(dense("a", 3, 3)), layers(dense("c", 3, 3)), "shape").remarks


def test_a_layer_of_its_own_class_and_shapes_is_found_at_another_place() -> None:
    a = layers(dense("a", 4, 9), dense("b", 3, 3), dense("c", 3, 3))
    b = layers(dense("x", 3, 3), dense("y", 3, 3), dense("z", 4, 9))
    assert layer_pairs(match(a, b, "shape"))["a"] == "z"


def test_the_order_of_a_checkpoint_by_names_tells_nothing() -> None:
    named = {"format": "tf-checkpoint", "metadata": {"dialect": "TensorFlow V2, name-based"}, "architecture": None}
    a = layers(dense("c1", 3, 3), dense("c10", 3, 3), dense("c2", 3, 3), dense("z", 3, 9), **named)
    b = layers(dense("x1", 3, 3), dense("x2", 3, 3), dense("x10", 3, 3), dense("y", 3, 9))
    for by in ("auto", "shape"):
        found = match(a, b, by)
        assert layer_pairs(found) == ({"z": "y"} if by == "shape" else {})
        assert found.only_a[0].candidates == (("x1", "kernel"), ("x2", "kernel"), ("x10", "kernel"))
    assert match(a, b).why == "no name is in both, and a checkpoint by names has no order of layers"
    again = layers(dense("s1", 3, 3), dense("s10", 3, 3), dense("s2", 3, 3), dense("z", 3, 9), **named)
    assert len(match(a, again).pairs) == 8


def test_models_that_share_a_shape_by_chance_have_no_pairs() -> None:
    a = layers(*(dense(f"a{number}", number + 2, 3) for number in range(6)))
    b = layers(*(norm(f"b{number}", number + 2) for number in range(6)), dense("b", 4, 3))
    found = match(a, b)
    assert not found.pairs
    assert [item.candidates for item in found.only_b if item.candidates] == [(("a2", "kernel"),), (("a2", "bias"),)]
    assert layer_pairs(match(a, b, "shape")) == {"a2": "b"}


def test_a_layer_of_other_sizes_is_found_between_its_neighbours() -> None:
    found = match(layers(dense("a", 4, 8), dense("b", 8, 5)), layers(dense("a", 4, 8), dense("other", 8, 7)))
    assert layer_pairs(found) == {"a": "a", "b": "other"}
    assert {pair.reason for pair in found.pairs} == {"by its path", "by class and shapes, in order; its shapes differ"}


def test_names_that_count_from_elsewhere_are_not_believed() -> None:
    a = layers(dense("dense", 8, 8), dense("dense_1", 8, 8), dense("head", 8, 2))
    b = layers(dense("dense_1", 8, 8), dense("dense_2", 8, 8), dense("other", 8, 2), dense("last", 2, 2))
    assert layer_pairs(match(a, b)) == {"dense": "dense_1", "dense_1": "dense_2", "head": "other"}
    a = layers(dense("dense", 4, 8), dense("dense_1", 8, 8), dense("dense_2", 8, 2), dense("head", 2, 2))
    b = layers(dense("dense_1", 4, 8), dense("dense_2", 8, 8), dense("dense_3", 8, 2), dense("dense_4", 2, 7))
    assert layer_pairs(match(a, b)) == {"dense": "dense_1", "dense_1": "dense_2", "dense_2": "dense_3", "head": "dense_4"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("batch_normalization_v1_2/gamma", "batch_normalization_2/gamma"),
        ("batchnormalization_2/gamma", "batch_normalization_2/gamma"),
        ("convolution2d_1/kernel", "conv2d_1/kernel"),
        ("cu_dnnlstm/kernel", "lstm/kernel"),
        ("deconvolution2d_3/kernel", "conv2d_transpose_3/kernel"),
        ("block1-conv/kernel", "block1_conv/kernel"),
        (r"block1\/conv/kernel", "block1/conv/kernel"),
        ("Encoder/kernel", "encoder/kernel"),
        ("dense:0/kernel", "dense/kernel"),
    ],
)
def test_one_name_in_the_spelling_of_two_releases(one: str, other: str) -> None:
    def of(path: str) -> Model:
        *above, role = split_path(path)
        layer = Layer(above[-1], weights=(Weight(role, Tensor.of(np.zeros(3)), path),))
        for name in reversed(above[:-1]):
            layer = Layer(name, layers=(layer,))
        return Model(layers=(layer,))

    (pair,) = match(of(one), of(other), "name").pairs
    assert (pair.how, pair.reason) == ("spelling", "by its path, which is spelt otherwise")
    assert not match(of(one), of("another/kernel"), "name").pairs


def test_a_spelling_that_two_have_tells_nothing() -> None:
    a, b = layers(dense("my-layer", 3, 3), dense("my_layer", 3, 3)), layers(dense("MyLayer", 3, 3))
    assert not match(a, b, "name").pairs


def test_a_map_is_all_that_is_asked_of_what_it_names() -> None:
    a, b = layers(dense("a", 3, 3), dense("b", 3, 3), dense("c", 3, 3)), layers(dense("a", 3, 3), dense("b", 3, 3), dense("c", 3, 3))
    found = match(a, b, mapping={"a": "b", "b/kernel": "a/kernel", "b/bias": None, "c": "nowhere"})
    assert paired(found) == [("a/kernel", "b/kernel"), ("a/bias", "b/bias"), ("b/kernel", "a/kernel")]
    assert {pair.how for pair in found.pairs} == {"map"}
    assert [item.reason for item in found.only_a] == [
        "the map leaves it out",
        "nowhere/kernel is not in the other",
        "nowhere/bias is not in the other",
    ]
    with pytest.raises(KmtError, match="'x' is not in the model"):
        match(a, b, mapping={"x": "a"})


@given(models(), models())
def test_a_match_given_back_as_a_map_is_the_same_match(one: Model, other: Model) -> None:
    for by in ("auto", "position", "shape"):
        found = match(one, other, by)
        if any(join_path(path) in {weight.key for _, weight in one.weights()} for path, _ in one.weights()):
            return  # a name that is the key of another weight means two things
        again = match(one, other, by, mapping=found.mapping)
        assert paired(again) == paired(found)
        assert [item.path for item in again.only_a] == [item.path for item in found.only_a]


def test_roles_that_a_file_does_not_say_are_told_by_shape() -> None:
    a = layers(("n", "BatchNormalization", {"0": (3,), "1": (3,)}))
    found = match(a, layers(norm("n", 3), norm("other", 3)))
    assert {pair.reason for pair in found.pairs} == {"by its path; only its place tells which array of its layer it is"}
    found = match(layers(("x", "Dense", {"0": (3, 2), "1": (2,)})), layers(dense("y", 3, 2)))
    assert paired(found) == [("x/0", "y/kernel"), ("x/1", "y/bias")]
    scale, unnamed = (layers(("s", "LayerScale", {role: (3,)})) for role in ("gamma", "variable"))
    assert paired(match(unnamed, scale, "name")) == [("s/variable", "s/gamma")]
    one, other = (layers(("n", "BatchNormalization", {role: (3,), "moving_mean": (3,)})) for role in ("0", "beta"))
    told = ["by its path; only its shape tells which array of its layer it is", "by its path"]
    assert [pair.reason for pair in match(one, other, "name").pairs] == told
    several = match(layers(("x", "Dense", {"0": (3, 2), "1": (2,)})), layers(dense("y", 3, 2), dense("z", 3, 2)))
    assert [item.candidates for item in several.only_a] == [(("y", role), ("z", role)) for role in ("kernel", "bias")]
    few = layers(("n", "BatchNormalization", {"0": (3,)}))
    assert not match(few, layers(norm("n", 3))).pairs


def test_ten_thousand_renamed_layers_are_aligned_in_five_seconds() -> None:
    random = np.random.default_rng(4)
    sizes = random.integers(2, 9, 10_000)
    a = [dense(f"a{number}", int(size), 3) for number, size in enumerate(sizes)]
    b = [dense(f"b{number}", int(size), 3) for number, size in enumerate(sizes)]
    b.insert(7_000, dense("new", 11, 3))
    one, other = layers(*a), layers(*b)
    start = time.process_time()
    found = match(one, other)
    assert time.process_time() - start < 5
    assert layer_pairs(found) == {f"a{number}": f"b{number}" for number in range(10_000)}
    alike, more = (layers(*(dense(f"{name}{number}", 3, 3) for number in range(count))) for name, count in (("a", 10_000), ("b", 10_001)))
    start = time.process_time()
    assert not match(alike, more).pairs
    assert time.process_time() - start < 5


def test_layers_of_different_attributes_are_not_paired_by_their_order() -> None:
    def held(*attrs: str) -> Model:
        inner = [Layer(attr, attr, "Dense", (Weight("kernel", Tensor.of(np.zeros((3, 3))), attr),)) for attr in attrs]
        return Model(layers=(Layer(f"block_of_{attrs[0]}", None, "Block", (), tuple(inner)),))

    found = match(held("dense_1", "dense_2"), held("dense_2", "dense_1"), "auto")
    assert all(pair.path_a[-2] == pair.path_b[-2] for pair in found.pairs)
    elements = match(held("rest/0", "rest/1"), held("rest/1", "rest/2"), "auto")
    assert [pair.path_b[1:3] for pair in elements.pairs] == [("rest", "1"), ("rest", "2")]
    by_class = match(held("cells/gru_cell", "cells/lstm_cell"), held("cells/1", "cells/0"), "auto")
    assert len(by_class.pairs) == 2
