"""Graphs of objects made by hand: lists that repeat attributes, copies that are none, configurations laid beside nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmodel_tools.architecture.spec import model_spec
from kmodel_tools.formats._shared.tensorflow.configured import described_by
from kmodel_tools.formats._shared.tensorflow.objects import read_objects
from kmodel_tools.formats.saved_model.exported import read_exported
from kmodel_tools.storage.bundle_sources import Checked
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.tensor import ByteRange, DType, InMemory, Tensor
from kmodel_tools.tree import join_path


def node(*children: tuple[str, int], key: str | None = None, name: str = "") -> Node:
    return Node(children, key, name, (), "")


def tensor(file: Path, checksum: int) -> Tensor:
    file.write_bytes(bytes(4))
    return Tensor(DType.FLOAT32, (1,), Checked(ByteRange.of_file(file), checksum, "t"))


def test_a_list_that_repeats_attributes_does_not_name_them(tmp_path: Path) -> None:
    graph = (
        node(("layer-0", 1)),
        node(("forward_layer", 2), ("_layers", 3), ("backward_layer", 4)),
        node(("kernel", 5)),
        node(("0", 2), ("1", 4)),
        node(("kernel", 6)),
        node(key="f", name="bi/forward/kernel"),
        node(key="b", name="bi/backward/kernel"),
    )
    model = read_objects(graph, {key: tensor(tmp_path / key, 1) for key in "fb"})
    assert [join_path(path) for path, _ in model.weights()] == ["bi/forward_layer/kernel", "bi/backward_layer/kernel"]


def test_what_only_looks_like_a_second_copy_is_an_extra(tmp_path: Path) -> None:
    graph = (
        node(("variables", 1), ("trainable_variables", 1), ("_all_variables", 2)),
        node(("0", 3)),
        node(("0", 4), ("1", 5)),
        node(key="a", name="d/kernel"),
        node(key="same", name="d/kernel"),
        node(key="other", name="d/kernel"),
    )
    tensors = {"a": tensor(tmp_path / "a", 1), "same": tensor(tmp_path / "s", 1), "other": tensor(tmp_path / "o", 2)}
    model = read_exported(graph, tensors, None)
    assert [(join_path(path), weight.key, weight.trainable) for path, weight in model.weights()] == [("d/kernel", "a", True)]
    assert [extra.key for extra in model.extras] == ["other"]


def test_a_configuration_tells_what_its_nodes_are() -> None:
    dense = {"class_name": "Dense", "config": {"name": "one", "units": 2, "trainable": False, "batch_input_shape": [None, 3]}}
    config = {"class_name": "Sequential", "config": {"name": "row", "layers": [dense]}}
    graph = (node(("layer-0", 1), ("layer-1", 2)), node(), node(("kernel", 3), ("bias", 4)), node(key="k"), node(key="b"))
    described, trained = described_by(graph, model_spec(config).root)
    assert {number: (item.name, item.class_name) for number, item in described.items()} == {0: ("row", "Sequential"), 2: ("one", "Dense")}
    assert trained == {3: False, 4: False}
    described, trained = described_by((node(("layer-0", 1), ("layer-1", 2), ("layer-2", 2)), *graph[1:]), model_spec(config).root)
    assert list(described) == [0], "three layers are not those of the configuration"


@pytest.mark.parametrize(
    ("scope", "stated", "class_name"),
    [("", None, None), ("velocity/", None, None), ("velocity/", "Adam", "Adam"), ("Adam/", None, "Adam"), ("fast/", "Adam", "Adam")],
)
def test_a_slots_name_is_no_class(tmp_path: Path, scope: str, stated: str | None, class_name: str | None) -> None:
    graph = (
        node(("layer-0", 1), ("optimizer", 2)),
        node(("kernel", 3)),
        node(("_variables", 4), ("_iterations", 6)),
        node(key="k", name="d/kernel"),
        node(("1", 5)),
        node(key="m", name=f"{scope}m/d/kernel"),
        node(key="i", name="iteration"),
    )
    model = read_objects(graph, {key: tensor(tmp_path / key, 1) for key in "kmi"}, optimizer_class=stated)
    assert model.optimizer is not None
    assert model.optimizer.class_name == class_name
    assert [(slot.name, slot.weight.key) for slot in model.optimizer.slots] == [("momentum", "k")]


def test_scalars_in_lists_of_an_optimizer_are_no_counters() -> None:
    graph = (
        node(("optimizer", 1)),
        node(("_iterations", 2), ("_r", 3), ("_c", 4), ("loss_scale", 7)),
        node(key="i", name="iteration"),
        node(("1", 5)),
        node(("1", 6)),
        node(key="r", name="Adafactor/r/d/bias"),
        node(key="c", name="Adafactor/r/d/bias"),
        node(("good_steps", 8)),
        node(key="g", name="good_steps"),
    )
    scalar = Tensor(DType.FLOAT32, (), InMemory(bytes(4)))
    optimizer = read_objects(graph, dict.fromkeys("ircg", scalar)).optimizer
    assert optimizer is not None
    assert sorted(item.role for item in optimizer.counters) == ["good_steps", "iterations"]
    assert sorted((item.role, item.key) for item in optimizer.extras) == [("_c/1", "c"), ("_r/1", "r")]
