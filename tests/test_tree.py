from __future__ import annotations

import pytest
from hypothesis import given

from kmodel_tools.errors import KmtError
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path
from tests.strategies import PATHS


def weight(role: str, value: float = 0.0) -> Weight:
    return Weight(role, Tensor.of([value]), role)


@given(PATHS)
def test_paths_survive_being_written(path: Path) -> None:
    assert split_path(join_path(path)) == path


@pytest.mark.parametrize(("path", "text"), [(("a", "b"), "a/b"), (("a/b", "c"), r"a\/b/c"), (("a\\", "/"), r"a\\/\/")])
def test_paths_as_text(path: Path, text: str) -> None:
    assert join_path(path) == text


def test_slashes_at_the_ends_do_no_harm() -> None:
    assert split_path("/a//b/") == ("a", "b")


def test_a_component_is_the_attribute_where_there_is_one() -> None:
    cell = Layer("lstm_cell", attr="cell", weights=(weight("kernel"),))
    element = Layer("gru_cell", attr="cells/1", weights=(weight("kernel"),))
    model = Model(layers=(Layer("rnn", layers=(cell, element)),))
    assert [join_path(path) for path, _ in model.weights()] == ["rnn/cell/kernel", "rnn/cells/1/kernel"]


def test_own_weights_come_first_then_layers_in_order() -> None:
    inner = Layer("b", weights=(weight("w"),))
    model = Model(own_weights=(weight("top"),), layers=(Layer("a", weights=(weight("x"), weight("y")), layers=(inner,)), Layer("c")))
    assert [join_path(path) for path, _ in model.weights()] == ["top", "a/x", "a/y", "a/b/w"]
    assert [join_path(path) for path, _ in model.walk()] == ["a", "a/b", "c"]


def test_a_shared_layer_is_listed_once_and_has_aliases() -> None:
    shared = Layer("shared", weights=(weight("kernel"),), layers=(Layer("below"),))
    model = Model(layers=(Layer("left", layers=(shared,)), Layer("right", layers=(shared,)), shared))
    assert [join_path(path) for path, _ in model.weights()] == ["left/shared/kernel"]
    assert model.aliases() == {("left", "shared"): (("right", "shared"), ("shared",))}
    assert model.find("right/shared/kernel") is shared.weights[0]


def test_a_weight_that_two_layers_hold_is_listed_once() -> None:
    tied = weight("kernel")
    model = Model(layers=(Layer("a", weights=(tied,)), Layer("b", weights=(tied,))))
    assert [join_path(path) for path, _ in model.weights()] == ["a/kernel"]


def test_a_tree_may_be_deeper_than_python_recurses() -> None:
    layer = Layer("leaf", weights=(weight("kernel"),))
    for number in range(5000):
        layer = Layer(f"level{number}", layers=(layer,))
    model = Model(layers=(layer,))
    ((path, _),) = model.weights()
    assert len(path) == 5002
    assert isinstance(model.find(path), Weight)
    assert "level4999" in repr(layer)


def test_a_wrong_path_names_the_nearest_ones() -> None:
    model = Model(layers=(Layer("conv1", weights=(weight("kernel"),)),))
    with pytest.raises(KmtError, match=r"no layer or weight 'conv1/kernl'; nearest: conv1/kernel"):
        model.find("conv1/kernl")
    with pytest.raises(KmtError, match="kmt inspect"):
        model.find("zzz")


def test_a_model_in_memory_has_no_inventory() -> None:
    with pytest.raises(KmtError, match="not the image of one file"):
        list(Model().tensors())
