"""Layers that are operations of TensorFlow, in every form that files write their calls in: what they become in Keras 3."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.upgrade import UpgradeError, upgrade
from kmodel_tools.architecture.upgrade.operations.values import BATCH, Symbol, broadcast, product, quotient
from tests.architecture.configs import TF_KERAS, Json, calls, entry, graph, layer

IMAGE = entry(shape=(None, 4, 6))
ANY = entry(shape=(None, None, 6))
KERNEL = [[[[1.0] * 6] * 2] * 3] * 3
OFFSETS = {"offset_height": 0, "offset_width": 0}


def op(function: str, name: str = "x", kind: str = "TFOpLambda") -> Json:
    return layer(kind, name, function=function, trainable=True, dtype="float32")


def node(name: str, kind: str, attr: Json | None = None, constants: Json | None = None) -> Json:
    """A layer of TensorFlow 2.0 to 2.3."""
    return layer("TensorFlowOpLayer", name, node_def={"name": name, "op": kind, "attr": attr or {}}, constants=constants or {})


def carried(*layers: tuple[Json, list[Any]], start: Json = IMAGE, outputs: Any = None) -> Json:
    found = upgrade(graph((start, []), *layers, outputs=outputs), TF_KERAS).config
    return dict(found)


def made(model: Json) -> list[tuple[str, Json]]:
    """Class and arguments of each layer behind the input, the names left out."""
    found = model["config"]["layers"][1:]
    return [(item["class_name"], {key: value for key, value in item["config"].items() if key not in ("name", "dtype")}) for item in found]


# What calls look like.


def test_an_operation_stands_where_its_layer_stood_under_its_name() -> None:
    found = carried((op("nn.relu", "tf.nn.relu"), [["in", 0, 0, {"name": None}]]))
    assert found["config"]["layers"][1] == {
        "module": "keras.src.ops.nn",
        "class_name": "Relu",
        "config": {"name": "tf.nn.relu"},
        "registered_name": "Relu",
        "name": "tf.nn.relu",
        "inbound_nodes": found["config"]["layers"][1]["inbound_nodes"],
    }
    assert calls(found, "tf.nn.relu") == [([("in", 0, 0)], {})]
    assert found["config"]["output_layers"] == ["tf.nn.relu", 0, 0]


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (["in", 0, 0, {"y": ["in", 0, 0], "name": None}], [("in", 0, 0), ("in", 0, 0)]),
        (["in", 0, 0, {"y": 2.5, "name": None}], [("in", 0, 0), 2.5]),
        (["_CONSTANT_VALUE", -1, 1.0, {"y": ["in", 0, 0], "name": None}], [1.0, ("in", 0, 0)]),
    ],
)
def test_operands_may_be_tensors_or_numbers_on_either_side(call: list[Any], wanted: list[Any]) -> None:
    assert calls(carried((op("math.subtract"), [call])), "x") == [(wanted, {})]


def test_tensors_in_a_list_are_packed_where_one_is_wanted() -> None:
    found = carried((op("math.reduce_mean"), [[["in", 0, 0, {"axis": 0}], ["in", 0, 0, {"axis": 0}]]]))
    assert made(found) == [("Stack", {"axis": 0}), ("Mean", {"axis": 0, "keepdims": False})]


def test_numbers_in_lists_are_arrays_of_the_dtype_of_the_tensor_that_they_meet() -> None:
    for dtype, kind in (("float32", "__numpy__"), ("float64", "__numpy__"), ("bfloat16", "__tensor__")):
        start = entry(shape=(None, 3), dtype=dtype)
        found = carried((op("math.multiply"), [["in", 0, 0, {"y": [1.0, 2, 3.0]}]]), start=start)
        constant = found["config"]["layers"][1]["inbound_nodes"][0]["args"][1]
        assert constant == {"class_name": kind, "config": {"value": [1.0, 2.0, 3.0], "dtype": dtype}}


def test_a_list_of_tensors_comes_first() -> None:
    given = [["in", 0, 0, {"axis": -1}], ["in", 0, 0, {"axis": -1}]]
    found = carried((op("concat"), [given]))
    assert made(found) == [("Concatenate", {"axis": -1})]
    assert calls(found, "x") == [([[("in", 0, 0), ("in", 0, 0)]], {})]


def test_indices_of_slices_new_axes_and_the_rest() -> None:
    spec = [{"start": None, "stop": None, "step": -1}, 0, None, {"class_name": "__ellipsis__"}]
    found = carried((op("__operators__.getitem", kind="SlicingOpLambda"), [["in", 0, 0, {"slice_spec": spec}]]))
    key = found["config"]["layers"][1]["inbound_nodes"][0]["args"][1]
    cut = {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": -1}}
    assert key == [cut, 0, None, {"class_name": "__ellipsis__", "config": {}}]


def test_several_outputs_keep_their_numbers() -> None:
    cut = (op("split", "cut"), [["in", 0, 0, {"num_or_size_splits": [1, -1, 2], "axis": 2}]])
    found = carried(cut, (op("math.add"), [["cut", 0, 2, {"y": ["cut", 0, 1]}]]))
    assert made(found)[0] == ("Split", {"indices_or_sections": [1, 4], "axis": 2})
    assert calls(found, "x") == [([("cut", 0, 2), ("cut", 0, 1)], {})]


def test_a_layer_that_is_called_twice_becomes_two_operations() -> None:
    relu = (op("nn.relu", "r"), [["in", 0, 0, {}], ["d", 0, 0, {}]])
    dense = (layer("Dense", "d", units=6), [[["r", 0, 0, {}]]])
    found = carried(relu, dense, (op("math.add"), [["r", 0, 0, {"y": ["r", 1, 0]}]]))
    assert [item["name"] for item in found["config"]["layers"]] == ["in", "r", "r_1", "d", "x"]
    assert calls(found, "x") == [([("r", 0, 0), ("r_1", 0, 0)], {})]
    assert calls(found, "d") == [([("r", 0, 0)], {})]


def test_names_are_legal_and_each_once() -> None:
    first = (op("math.l2_normalize", "a/b"), [["in", 0, 0, {"axis": -1}]])
    found = carried(first, (op("nn.relu", "a_b.square"), [["a/b", 0, 0, {}]]))
    names = [item["name"] for item in found["config"]["layers"]]
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)
    assert [kind for kind, _ in made(found)] == ["Square", "Sum", "Maximum", "Rsqrt", "Multiply", "Relu"]


def test_the_order_of_the_file_does_not_matter() -> None:
    layers = [(op("nn.relu", "b"), [["a", 0, 0, {}]]), (op("math.exp", "a"), [["in", 0, 0, {}]])]
    found = carried(*layers, outputs=[["b", 0, 0]])
    assert calls(found, "b") == [([("a", 0, 0)], {})]


def test_a_graph_that_goes_round_is_refused() -> None:
    with pytest.raises(UpgradeError, match="or on itself"):
        carried((op("nn.relu", "a"), [["b", 0, 0, {}]]), (op("nn.relu", "b"), [["a", 0, 0, {}]]))


# Sizes.


def shape_of(name: str = "shape", source: str = "in") -> tuple[Json, list[Any]]:
    return op("compat.v1.shape", name), [[source, 0, 0, {"out_type": "int32"}]]


def size(name: str, index: int) -> tuple[Json, list[Any]]:
    return op("__operators__.getitem", name, "SlicingOpLambda"), [["shape", 0, 0, {"slice_spec": index}]]


def test_the_batch_in_a_shape_is_the_size_that_is_open() -> None:
    found = carried(shape_of(), size("batch", 0), (op("reshape"), [["in", 0, 0, {"shape": [["batch", 0, 0], 24]}]]))
    assert made(found) == [("Reshape", {"newshape": [-1, 24]})]


def test_sizes_that_the_model_says_are_numbers() -> None:
    dense = (layer("Dense", "d", units=8), [[["in", 0, 0, {}]]])
    layers = [dense, shape_of(source="d"), size("b", 0), size("t", 1), size("c", 2)]
    found = carried(*layers, (op("reshape"), [["d", 0, 0, {"shape": [["b", 0, 0], ["c", 0, 0], ["t", 0, 0]]}]]))
    assert made(found)[1:] == [("Reshape", {"newshape": [-1, 8, 4]})]


def test_two_open_sizes_keep_the_batch() -> None:
    layers = [shape_of(), size("b", 0), size("t", 1)]
    found = carried(*layers, (op("reshape"), [["in", 0, 0, {"shape": [["b", 0, 0], ["t", 0, 0], 2, 3]}]]), start=ANY)
    assert made(found) == [("Reshape", {"target_shape": [-1, 2, 3]})]
    assert found["config"]["layers"][1]["module"] == "keras.layers"


def test_more_open_sizes_are_refused() -> None:
    flat = (op("reshape", "flat"), [["in", 0, 0, {"shape": [-1, 6]}]])
    layers = [shape_of(), size("b", 0), size("t", 1), flat]
    with pytest.raises(UpgradeError, match=r"the layer x .* operation reshape of TensorFlow, which reshapes to several sizes"):
        carried(*layers, (op("reshape"), [["flat", 0, 0, {"shape": [["b", 0, 0], ["t", 0, 0], 6]}]]), start=ANY)


def test_a_constant_that_a_layer_is_called_on_hangs_on_a_tensor() -> None:
    layers = [shape_of(), size("t", 1), (op("range", "places"), [["_CONSTANT_VALUE", -1, 0, {"limit": ["t", 0, 0], "delta": 1}]])]
    found = carried(*layers, (layer("Embedding", input_dim=9, output_dim=6), [[["places", 0, 0, {}]]]))
    assert [kind for kind, _ in made(found)] == ["Size", "Multiply", "Add", "Embedding"]
    assert found["config"]["layers"][3]["inbound_nodes"][0]["args"][1]["config"]["value"] == [0, 1, 2, 3]
    assert calls(found, "x") == [([("places.add", 0, 0)], {})]


def test_arithmetic_of_sizes() -> None:
    other = Symbol(("a/0/0/1",))
    assert product([2, 3]) == 6
    assert quotient([product([BATCH, other, 4])], [BATCH, 2]) == product([other, 2])
    assert quotient([BATCH], [other]) is None
    assert quotient([6], [4]) is None
    assert quotient([BATCH], [0]) is None
    assert broadcast((BATCH, 1, 6), (4, 1)) == (BATCH, 4, 6)
    assert broadcast((BATCH, 2), (other, 1)) == (None, 2)
    assert broadcast((2,), None) is None


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("image.resize_nearest_neighbor", ["in", 0, 0, {"size": [10**9, 2]}]),
        ("sequence_mask", ["in", 0, 0, {"maxlen": 10**9}]),
        ("broadcast_to", ["_CONSTANT_VALUE", -1, 1.0, {"shape": [["b", 0, 0], 10**9]}]),
        ("range", ["_CONSTANT_VALUE", -1, 0, {"limit": 10**9, "delta": 1}]),
        ("zeros", [["b", 0, 0, {}], ["_CONSTANT_VALUE", -1, 10**9, {}]]),
    ],
)
def test_a_size_that_would_fill_the_memory_is_refused(function: str, call: list[Any]) -> None:
    with pytest.raises(UpgradeError, match="which is not written into a configuration"):
        carried(shape_of(), size("b", 0), (op(function), [call]), start=entry(shape=(None, 4, 4, 1)))


def test_sizes_that_double_at_every_step_are_refused() -> None:
    for function, start in (("math.multiply", ANY), ("__operators__.add", ANY)):
        layers = [shape_of(), size("s0", 1), *((op(function, f"s{n + 1}"), [[f"s{n}", 0, 0, {"y": [f"s{n}", 0, 0]}]]) for n in range(60))]
        with pytest.raises(UpgradeError, match="size"):
            carried(*layers, start=start)


# What is refused.


@pytest.mark.parametrize(
    ("function", "call", "why"),
    [
        ("__operators__.eq", ["in", 0, 0, {}], "has lost an operand"),
        ("einsum", ["_CONSTANT_VALUE", -1, "bij->bji", {}], "has lost its operands"),
        ("math.nonsense", ["in", 0, 0, {}], "no operation of Keras 3 does"),
        ("nn.relu", ["in", 0, 0, {"leak": 0.5}], "is called with leak=0.5"),
        ("math.add", ["in", 0, 0, {"y": "three"}], "is called on 'three'"),
        ("nn.max_pool2d", ["in", 0, 0, {"ksize": 2, "strides": 2, "padding": [[0, 0]]}], "pads by"),
        ("image.resize", ["in", 0, 0, {"size": [2, 2], "preserve_aspect_ratio": True}], "aspect ratio"),
        ("transpose", ["in", 0, 0, {"perm": [0, 7]}], "in a way that is not understood"),
        ("unstack", ["in", 0, 0, {"num": 10**9}], "gives more than"),
        ("split", ["in", 0, 0, {"num_or_size_splits": 10**9}], "gives more than"),
        ("compat.v1.div", ["in", 0, 0, {"y": ["i", 0, 0]}], "as Python 2 did"),
    ],
)
def test_what_is_not_understood_is_named_with_its_layer(function: str, call: list[Any], why: str) -> None:
    whole = (op("cast", "i"), [["in", 0, 0, {"dtype": "int32"}]])
    with pytest.raises(UpgradeError, match=rf"the layer x \(TFOpLambda\) is the operation {function} of TensorFlow, which .*{why}"):
        carried(whole, (op(function), [call]))


# TensorFlow 2.0 to 2.3.


def test_a_node_of_a_graph_with_its_constants() -> None:
    found = carried((node("x", "Sub", constants={"0": 1.0}), [[["in", 0, 0, {}]]]))
    assert calls(found, "x") == [([1.0, ("in", 0, 0)], {})]
    found = carried((node("x", "Mean", {"keep_dims": {"b": True}}, {"1": [1, 2]}), [[["in", 0, 0, {}]]]))
    assert made(found) == [("Mean", {"axis": [1, 2], "keepdims": True})]
    found = carried((node("x", "ConcatV2", {"N": {"i": "2"}}, {"2": -1}), [[["in", 0, 0, {}], ["in", 0, 0, {}]]]))
    assert made(found) == [("Concatenate", {"axis": -1})]
    found = carried((node("x", "Split", {"num_split": {"i": "2"}}, {"0": -1}), [[["in", 0, 0, {}]]]))
    assert made(found) == [("Split", {"indices_or_sections": 2, "axis": -1})]
    found = carried((node("x", "Einsum", {"equation": {"s": "YmlqLT5iamk="}}), [[["in", 0, 0, {}]]]))
    assert made(found) == [("Einsum", {"subscripts": "bij->bji"})]


def test_slices_by_bits() -> None:
    attr = {"begin_mask": {"i": "1"}, "end_mask": {"i": "1"}, "shrink_axis_mask": {"i": "2"}, "new_axis_mask": {"i": "4"}}
    constants = {"1": [0, 3, 0], "2": [0, 4, 0], "3": [1, 1, 1]}
    found = carried((node("x", "StridedSlice", attr, constants), [[["in", 0, 0, {}]]]))
    key = found["config"]["layers"][1]["inbound_nodes"][0]["args"][1]
    assert key == [{"class_name": "__slice__", "config": {"start": None, "stop": None, "step": 1}}, 3, None]


def test_a_shape_through_nodes() -> None:
    shrink = {"shrink_axis_mask": {"i": "1"}}
    layers = [
        (node("s", "Shape"), [[["in", 0, 0, {}]]]),
        (node("b", "StridedSlice", shrink, {"1": [0], "2": [1], "3": [1]}), [[["s", 0, 0, {}]]]),
        (node("p", "Pack", {"axis": {"i": "0"}}, {"1": 24}), [[["b", 0, 0, {}]]]),
        (node("x", "Reshape"), [[["in", 0, 0, {}], ["p", 0, 0, {}]]]),
    ]
    assert made(carried(*layers)) == [("Reshape", {"newshape": [-1, 24]})]


def test_a_node_whose_first_argument_comes_last() -> None:
    constants = {"0": [1, 8, 12, 2], "1": KERNEL}
    attr = {"strides": {"list": {"i": ["1", "2", "2", "1"]}}, "padding": {"s": "U0FNRQ=="}}
    start = entry(shape=(None, 4, 6, 6))
    found = carried((node("x", "Conv2DBackpropInput", attr, constants), [[["in", 0, 0, {}]]]), start=start)
    assert [kind for kind, _ in made(found) if kind in ("ExpandDims", "Flip", "Conv")] == ["ExpandDims", "ExpandDims", "Flip", "Conv"]


def test_a_size_through_slice_reshape_and_maximum_of_nodes() -> None:
    layers = [
        (node("s", "Shape"), [[["in", 0, 0, {}]]]),
        (node("part", "Slice", constants={"1": [1], "2": [1]}), [[["s", 0, 0, {}]]]),
        (node("one", "Reshape", constants={"1": []}), [[["part", 0, 0, {}]]]),
        (node("most", "Maximum", constants={"0": 0}), [[["one", 0, 0, {}]]]),
        (node("p", "Pack", {"axis": {"i": "0"}}, {"0": -1, "2": 2, "3": 3}), [[["most", 0, 0, {}]]]),
        (node("x", "Reshape"), [[["in", 0, 0, {}], ["p", 0, 0, {}]]]),
    ]
    assert made(carried(*layers, start=ANY)) == [("Reshape", {"target_shape": [-1, 2, 3]})]


@pytest.mark.parametrize(
    ("scale", "moved", "fits"), [([2.0, 2.0], [0.0, 0.0], True), ([2.0, 3.0], [0, 0], False), ([2.0, 2.0], [1, 0], False)]
)
def test_an_antialiased_resize_is_told_from_other_scaling(scale: list[float], moved: list[float], fits: bool) -> None:
    constants = {"1": [8, 12], "2": scale, "3": moved}
    attr = {"kernel_type": {"s": "dHJpYW5nbGU="}, "antialias": {"b": True}}
    layers = [(node("x", "ScaleAndTranslate", attr, constants), [[["in", 0, 0, {}]]])]
    if fits:
        kind, config = made(carried(*layers, start=entry(shape=(None, 4, 6, 3))))[0]
        assert (kind, config["interpolation"], config["antialias"]) == ("Resize", "bilinear", True)
        return
    with pytest.raises(UpgradeError, match="cuts images and scales them at once"):
        carried(*layers, start=entry(shape=(None, 4, 6, 3)))


def test_numbers_in_a_list_that_are_chosen_from_are_not_of_the_dtype_of_the_condition() -> None:
    whole = (op("math.greater", "c"), [["in", 0, 0, {"y": 0.0}]])
    found = carried(whole, (op("where"), [["c", 0, 0, {"x": ["in", 0, 0], "y": [1.0, 2, 3, 4, 5, 6]}]]))
    arrays = [item for made in found["config"]["layers"][1:] for item in made["inbound_nodes"][0]["args"] if "__numpy__" in str(item)]
    assert [item["config"]["dtype"] for item in arrays] == ["float32"]


@pytest.mark.parametrize(
    ("function", "call", "why"),
    [
        (
            "nn.conv2d_transpose",
            {"filters": [[[[1.0] * 6] * 2] * 3] * 3, "output_shape": [1, 9, 12, 2], "strides": 2},
            "gives 9 for 4 in steps of 2",
        ),
        ("nn.local_response_normalization", {"depth_radius": 10**9}, "neighbours, which is not written into a configuration"),
        ("linalg.svd", {"full_matrices": False, "how": 1}, "is called with how=1"),
        ("scatter_nd", {"updates": 1.0, "shape": [10**6, 10**6]}, "which is not written into a configuration"),
        ("image.resize_with_pad", {"target_height": 10, "target_width": 9, "method": "area"}, "by the method 'area'"),
        (
            "image.pad_to_bounding_box",
            {"offset_height": 0, "offset_width": 0, "target_height": 3, "target_width": 9},
            "by less than nothing",
        ),
        ("math.unsorted_segment_max", {"segment_ids": [0, 1], "num_segments": 2}, "numbers|extremes"),
    ],
)
def test_what_later_operations_cannot_do_is_named(function: str, call: Json, why: str) -> None:
    with pytest.raises(UpgradeError, match=rf"the layer x \(TFOpLambda\) is the operation {function} of TensorFlow, which .*({why})"):
        carried((op(function), [["in", 0, 0, call]]), start=entry(shape=(None, 4, 6, 6)))


@pytest.mark.parametrize("function", ["math.real", "linalg.adjoint"])
def test_complex_numbers_are_not_taken_for_real_ones(function: str) -> None:
    with pytest.raises(UpgradeError, match="is called on complex64, which is not carried"):
        carried((op(function), [["in", 0, 0, {}]]), start=entry(shape=(None, 4, 6), dtype="complex64"))


def test_a_node_that_nothing_does_is_named() -> None:
    with pytest.raises(UpgradeError, match=r"the layer x \(TensorFlowOpLayer\) is the operation Lgamma of TensorFlow, which does what no"):
        carried((node("x", "Lgamma"), [[["in", 0, 0, {}]]]))
