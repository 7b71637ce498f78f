"""Graphs of objects made by hand: lists that repeat attributes, copies that are none, configurations laid beside nodes."""

from __future__ import annotations

from pathlib import Path

from kmodel_tools.architecture.spec import model_spec
from kmodel_tools.formats._shared.tensorflow.configured import described_by
from kmodel_tools.formats._shared.tensorflow.objects import read_objects
from kmodel_tools.formats.saved_model.exported import read_exported
from kmodel_tools.storage.bundle_sources import Checked
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.tensor import ByteRange, DType, Tensor
from kmodel_tools.tree import join_path


def node(*children: tuple[str, int], key: str | None = None, name: str = "") -> Node:
    return Node(children, key, name, (), (), "")


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
