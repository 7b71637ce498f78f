"""What only TensorFlow checkpoints do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.formats._shared.tensorflow.objects import read_objects
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES

FOLDER = SAMPLES / "tf_checkpoint"


def paths(model: kmt.Model) -> list[str]:
    return [join_path(path) for path, _ in model.weights()]


@pytest.mark.parametrize("name", ["keras-2.21.0", "keras-2.21.0.index", "keras-2.21.0.data-00000-of-00001"])
def test_any_file_of_a_checkpoint_names_it(name: str) -> None:
    assert kmt.digest(FOLDER / name) == kmt.digest(FOLDER / "keras-2.21.0")


def test_a_directory_and_its_state_file_name_the_latest() -> None:
    assert kmt.digest(FOLDER) == kmt.digest(FOLDER / "checkpoint") == kmt.digest(FOLDER / "tensorflow-1-1")


def test_a_directory_without_a_state_file(tmp_path: Path) -> None:
    for name in ("keras-3.15.1", "keras-2.21.0"):
        for path in FOLDER.glob(f"{name}.*"):
            if "legacy" not in path.name:
                shutil.copy(path, tmp_path)
    with pytest.raises(kmt.KmtError, match=r"holds 2 checkpoints \(keras-2\.21\.0, keras-3\.15\.1\); name one"):
        kmt.read(tmp_path)
    for path in tmp_path.glob("keras-2*"):
        path.unlink()
    model = kmt.read(tmp_path)
    assert any("only checkpoint is keras-3.15.1" in note.text for note in model.notes)


def test_a_state_file_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/somewhere/else/model-1"\n')
    with pytest.raises(kmt.KmtError, match="names the checkpoint /somewhere/else/model-1, which does not lie beside it"):
        kmt.read(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "m\\303\\274\\"x"\n')
    with pytest.raises(kmt.KmtError, match='names the checkpoint mü"x'):
        kmt.read(tmp_path / "checkpoint")


def test_a_shard_without_its_index(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "keras-2.21.0.data-00000-of-00001", tmp_path)
    with pytest.raises(kmt.CorruptFileError, match=r"shard without its index; copy keras-2\.21\.0\.index"):
        kmt.read(tmp_path / "keras-2.21.0.data-00000-of-00001")


def test_an_index_under_another_name(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "keras-2.21.0.index", tmp_path / "model.ckpt")
    with pytest.raises(kmt.CorruptFileError, match="index under another name"):
        kmt.read(tmp_path / "model.ckpt")


def test_frameworks_and_generations_of_optimizers_agree() -> None:
    one = [path for path in paths(kmt.read(FOLDER / "keras-2.21.0")) if not path.startswith("layer_with_weights")]
    two = [path for path in paths(kmt.read(FOLDER / "keras-3.15.1")) if not path.startswith("inner")]
    assert one == two
    for name in ("keras-2.21.0", "keras-2.21.0_legacy_optimizer", "keras-3.15.1"):
        optimizer = kmt.read(FOLDER / name).optimizer
        assert optimizer is not None
        assert {slot.name for slot in optimizer.slots} == {"momentum", "velocity"}
        assert len(optimizer.slots) == 28
        assert "iterations" in {counter.role for counter in optimizer.counters}


def test_variables_by_name_have_their_slots_tied() -> None:
    model = kmt.read(FOLDER / "tensorflow-1-1")
    assert paths(model) == ["conv1/kernel", "conv1/bias", "embedding/table"]
    assert model.optimizer is not None
    assert {(slot.name, slot.weight.key) for slot in model.optimizer.slots} == {
        (slot, key) for slot in ("momentum", "velocity") for key in ("conv1/biases", "conv1/weights", "embedding/table")
    }
    assert {counter.role for counter in model.optimizer.counters} == {"beta_1_power", "beta_2_power", "iterations"}


def test_a_slot_needs_its_variable_and_its_shape() -> None:
    tensors = {
        name: Tensor.of([0.0] * size) for name, size in {"a": 2, "a/Adam": 2, "b/m": 2, "c": 3, "c/m": 2, "training/Adam/a/v": 2}.items()
    }
    model = read_variables(tensors)
    assert paths(model) == ["a", "c", "b/m", "c/m"]
    assert model.optimizer is not None
    assert [(slot.name, slot.key) for slot in model.optimizer.slots] == [("momentum", "a/Adam"), ("velocity", "training/Adam/a/v")]


def node(children: dict[str, int] | None = None, key: str | None = None, full_name: str = "") -> Node:
    return Node(tuple((children or {}).items()), key, full_name, (), "")


def objects(*nodes: Node) -> kmt.Model:
    return read_objects(nodes, {item.key: Tensor.of([0.0]) for item in nodes if item.key})


def test_edges_lead_to_layers_and_a_way_back_up_does_no_harm() -> None:
    model = objects(
        node({"net": 1, "root": 0}),
        node({"dense": 2, "parent": 0}),
        node({"kernel": 3, "owner": 1}),
        node(key="k", full_name="net/dense/kernel"),
    )
    assert paths(model) == ["net/dense/kernel"]


def test_layers_that_hold_each_other_are_a_tree_all_the_same() -> None:
    model = objects(node({"a": 1, "b": 2}), node({"b": 2, "w": 3}), node({"a": 1, "w": 4}), node(key="k"), node(key="o"))
    assert paths(model) == ["a/w", "a/b/w"]
    assert model.find("b/w") is model.find("a/b/w")


def test_a_hand_made_checkpoint_keeps_its_names() -> None:
    model = objects(
        node({"dense": 1, "w": 3, "save_counter": 4}), node({"kernel": 2}), node(key="k"), node(key="w"), node(key="save_counter")
    )
    assert paths(model) == ["w", "dense/kernel"]
    assert [extra.key for extra in model.extras] == ["save_counter"]


def test_variables_of_one_object_that_would_be_called_alike_keep_their_own_names() -> None:
    model = objects(node({"m": 1}), node({"_w": 2, "w": 3, "_b": 4}), node(key="a"), node(key="b"), node(key="c"))
    assert paths(model) == ["m/_w", "m/w", "m/b"]
    kernels = objects(node({"m": 1}), node({"kernel": 2, "depthwise_kernel": 3}), node(key="a"), node(key="b"))
    assert paths(kernels) == ["m/kernel", "m/depthwise_kernel"]


def test_what_a_checkpoint_calls_the_model_is_no_level() -> None:
    assert paths(objects(node({"model": 1}), node({"d": 2}), node({"kernel": 3}), node(key="k"))) == ["d/kernel"]
    two = objects(node({"model": 1, "other": 4}), node({"d": 2}), node({"kernel": 3}), node(key="k"), node({"kernel": 5}), node(key="o"))
    assert paths(two) == ["model/d/kernel", "other/kernel"]


def test_layers_that_are_shared_are_one_object() -> None:
    tower = {"layer_with_weights-0": 2, "layer-0": 2}
    model = objects(node({"left": 1, "right": 4}), node(tower), node({"kernel": 3}), node(key="k", full_name="shared/kernel"), node(tower))
    assert paths(model) == ["left/shared/kernel"]
    assert model.aliases() == {("left", "shared"): (("right", "shared"),)}


def test_lists_of_variables_are_paths_and_lists_of_layers_too() -> None:
    model = objects(
        node({"ws": 1, "blocks": 3}),
        node({"0": 2, "1": 6}),
        node(key="a"),
        node({"0": 4}),
        node({"kernel": 5}),
        node(key="k"),
        node(key="b"),
    )
    assert paths(model) == ["ws/0", "ws/1", "blocks/0/kernel"]


def test_the_lists_that_a_saved_model_adds_to_each_layer_are_none_of_its_own() -> None:
    layer = {"kernel": 2, "regularization_losses": 5, "variables": 4, "trainable_variables": 4, "keras_api": 3}
    model = objects(node({"layer_with_weights-0": 1}), node(layer), node(key="k", full_name="dense/kernel"), node(), node({"0": 2}), node())
    assert paths(model) == ["dense/kernel"]
    assert not model.extras
    del layer["keras_api"]
    plain = objects(node({"layer_with_weights-0": 1}), node(layer), node(key="k"), node(), node({"0": 2, "1": 6}), node(), node(key="v"))
    assert "layer_with_weights-0/variables/1" in paths(plain)


def test_tables_and_the_state_of_generators_are_extras() -> None:
    model = objects(
        node({"layer": 1}), node({"_random_generator": 2, "kernel": 4}), node({"_state_var": 3}), node(key="state"), node(key="k")
    )
    assert paths(model) == ["layer/kernel"]
    assert [extra.key for extra in model.extras] == ["state"]


def test_a_graph_deeper_than_python_recurses() -> None:
    depth = 3000
    nodes = [node({"inner": number + 1}) for number in range(depth)]
    model = objects(*nodes, node({"kernel": depth + 1}), node(key="k"))
    ((path, _),) = model.weights()
    assert len(path) == depth + 1
