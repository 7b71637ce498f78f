from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.topology import layer_order, references


def layer(name: str, *inbound: list[Any], kind: str = "Dense", **more: Any) -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name}, "inbound_nodes": list(inbound), **more}


def order(layers: list[dict[str, Any]], outputs: list[Any], inputs: list[Any], era: Era = Era.TF_KERAS) -> tuple[list[str], str | None]:
    found, problem = layer_order({"layers": layers, "output_layers": outputs, "input_layers": inputs}, era)
    return [layers[index]["name"] for index in found], problem


def test_layers_stand_by_depth_whatever_the_order_of_the_configuration() -> None:
    layers = [
        layer("out", [["b", 0, 0, {}]]),
        layer("b", [["a", 0, 0, {}]]),
        layer("in", kind="InputLayer"),
        layer("a", [["in", 0, 0, {}]]),
    ]
    assert order(layers, [["out", 0, 0]], [["in", 0, 0]]) == (["in", "a", "b", "out"], None)


def test_equal_depths_stand_in_the_order_of_first_sight() -> None:
    layers = [
        layer("in", kind="InputLayer"),
        layer("left", [["in", 0, 0, {}]]),
        layer("right", [["in", 0, 0, {}]]),
        layer("sum", [["right", 0, 0, {}], ["left", 0, 0, {}]], kind="Add"),
    ]
    assert order(layers, [["sum", 0, 0]], [["in", 0, 0]])[0] == ["in", "right", "left", "sum"]


def test_a_shared_layer_lies_as_deep_as_its_deepest_call() -> None:
    layers = [
        layer("in", kind="InputLayer"),
        layer("shared", [["in", 0, 0, {}]], [["mid", 0, 0, {}]]),
        layer("mid", [["shared", 0, 0, {}]]),
        layer("out", [["shared", 1, 0, {}]]),
    ]
    assert order(layers, [["out", 0, 0]], [["in", 0, 0]])[0] == ["in", "shared", "mid", "out"]


def test_keras_3_arguments_and_operations() -> None:
    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]}}

    layers = [
        layer("in", kind="InputLayer", module="keras.layers"),
        {**layer("add", {"args": [tensor("in"), 1.0], "kwargs": {}}, kind="Add"), "module": "keras.src.ops.numpy"},  # type: ignore[arg-type]  # an object
        {**layer("out", {"args": [], "kwargs": {"x": [tensor("add")]}}), "module": "keras.layers"},  # type: ignore[arg-type]  # likewise
    ]
    assert order(layers, ["out", 0, 0], ["in", 0, 0], Era.KERAS_3) == (["in", "out"], None)


def test_a_nested_model_is_counted_from_one_in_keras_2() -> None:
    nested = {
        "class_name": "Functional",
        "name": "inner",
        "config": {"name": "inner", "layers": [], "input_layers": []},
        "inbound_nodes": [[["in", 0, 0, {}]]],
    }
    layers = [layer("in", kind="InputLayer"), nested, layer("out", [["inner", 1, 0, {}]])]
    assert order(layers, [["out", 0, 0]], [["in", 0, 0]]) == (["in", "inner", "out"], None)


def test_a_broken_graph_keeps_the_order_of_the_configuration() -> None:
    for broken in ([["nobody", 0, 0, {}]], [["a", 0, 0, {}]]):
        layers = [layer("in", kind="InputLayer"), layer("a", broken)]
        names, problem = order(layers, [["a", 0, 0]], [["in", 0, 0]])
        assert names[0] == "in"
        assert problem is None or "cannot be followed" in problem
    cycle = [layer("a", [["b", 0, 0, {}]]), layer("b", [["a", 0, 0, {}]])]
    names, problem = order(cycle, [["a", 0, 0]], [])
    assert names == ["a", "b"]
    assert "it has a cycle" in (problem or "")


def test_a_chain_longer_than_python_recurses() -> None:
    layers = [layer("l0", kind="InputLayer"), *(layer(f"l{number}", [[f"l{number - 1}", 0, 0, {}]]) for number in range(1, 3000))]
    names, problem = order(layers[::-1], [["l2999", 0, 0]], [["l0", 0, 0]])
    assert problem is None
    assert names == [f"l{number}" for number in range(3000)]


def test_references_of_every_form() -> None:
    one, two = ["a", 0, 0], ["b", 0, 1]
    assert references(one) == [one]
    assert references([one, two]) == [one, two]
    assert references({"x": one, "y": [two]}) == [one, two]
    assert references(None) == []


def test_dictionaries_go_by_their_sorted_keys() -> None:
    layers = [
        layer("one", kind="InputLayer"),
        layer("two", kind="InputLayer"),
        layer("p", [["one", 0, 0, {}]]),
        layer("q", [["two", 0, 0, {}]]),
        layer("both", {"zz": ["p", 0, 0, {}], "aa": ["q", 0, 0, {}]}),  # type: ignore[arg-type]  # as tf_keras writes a dictionary
        layer("left", [["both", 0, 0, {}]]),
        layer("right", [["both", 0, 1, {}]]),
    ]
    outputs: Any = {"z": ["left", 0, 0], "c": ["right", 0, 0]}
    assert order(layers, outputs, [["one", 0, 0], ["two", 0, 0]])[0] == ["two", "one", "q", "p", "both", "right", "left"]
