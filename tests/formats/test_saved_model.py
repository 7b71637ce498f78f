"""SavedModels: what is told of layers by whom, and what is said where something is missing, damaged or forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.formats.saved_model.announced import matches
from kmodel_tools.formats.saved_model.keras_nodes import join, plain
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.storage.saved_model import SavedObject
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES
from tests.storage import wire

FOLDER = SAMPLES / "saved_model"
KERAS = FOLDER / "tf_keras-2.21.0"
MODULE = FOLDER / "tensorflow-2.21.0_module"
EXPORT = FOLDER / "keras-3.15.1_export"

Copy = Callable[[Path], Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    def copied(sample: Path) -> Path:
        return Path(shutil.copytree(sample, tmp_path / "model"))

    return copied


def notes(model: kmt.Model) -> str:
    return "\n".join(f"{note.kind}: {note.text}" for note in model.notes)


def paths(model: kmt.Model) -> list[str]:
    return [join_path(path) for path, _ in model.weights()]


@pytest.mark.parametrize("sample", [pytest.param(path, id=path.name) for path in sorted(FOLDER.iterdir()) if path.is_dir()])
def test_its_file_stands_for_the_directory(sample: Path) -> None:
    file = next(path for path in sample.iterdir() if path.name.startswith("saved_model.pb"))
    assert kmt.detect(file).name == "saved-model"
    assert kmt.digest(file) == kmt.digest(sample)
    assert kmt.read(file).notes == kmt.read(sample).notes


def test_a_model_of_keras_is_told_in_full() -> None:
    model = kmt.read(KERAS)
    assert model.architecture is not None
    assert model.architecture["class_name"] == "Functional"
    entry = model.architecture["config"]["layers"][0]["config"]
    assert entry["batch_input_shape"] == [None, 4]
    assert "shared_object_id" not in json.dumps(model.architecture)
    assert [(join_path(path), layer.class_name) for path, layer in model.walk()] == [
        ("entry", "InputLayer"),
        ("before", "Dense"),
        ("inner", "Sequential"),
        ("inner/a", "Dense"),
        ("inner/norm", "BatchNormalization"),
        ("drop", "Dropout"),
    ]
    frozen = [join_path(path) for path, weight in model.weights() if weight.trainable is False]
    assert frozen == ["inner/a/kernel", "inner/a/bias", "inner/norm/moving_mean", "inner/norm/moving_variance"]
    assert model.metadata["keras_version"] == "2.21.0"
    assert model.metadata["tensorflow_version"].startswith("2.21")
    assert model.training_config is not None
    assert model.training_config["loss"] == "mse"


def test_the_graph_is_shown_and_nothing_of_it_is_run() -> None:
    summary = kmt.inspect(MODULE)
    assert summary.graph is not None
    (signature,) = summary.graph.signatures
    assert (signature.name, signature.inputs, signature.outputs) == (
        "scaled",
        (("x", "float32", (-1, 2)),),
        (("y", "float32", (-1, 2)),),
    )
    assert summary.graph.tags == ("serve",)
    assert summary.graph.noteworthy == {"PrintV2": "prints, and can print into a file", "ReadFile": "touches files"}
    assert summary.graph.operations["ReadFile"] == 1
    assert json.loads(json.dumps(summary.to_dict()))["graph"]["functions"] == summary.graph.functions
    assert summary.assets == (("words.txt", 8),)


def test_an_operation_that_is_not_tensorflows_is_called_custom(tmp_path: Path) -> None:
    graph = wire.node("a", "SimpleMLInferenceOp") + wire.node("b", "_Arg") + wire.node("c", "Addons>Rotate")
    (tmp_path / "saved_model.pb").write_bytes(wire.saved_model(graph=graph))
    row = kmt.inspect(tmp_path).graph
    assert row is not None
    assert row.noteworthy == {"SimpleMLInferenceOp": "custom", "Addons>Rotate": "custom"}


# What is missing or damaged.


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        ("tf.keras-2.2.0", r"is \(4, 5\) float32 in the graph, and \(3, 2\) float32 in variables/, which is of another model"),
        ("tensorflow-2.21.0_module", "and not there in variables/, which is of another model"),
    ],
)
def test_variables_of_another_model_are_not_read_as_this_ones(copy: Copy, sample: str, what: str) -> None:
    model = copy(KERAS)
    shutil.rmtree(model / "variables")
    shutil.copytree(FOLDER / sample / "variables", model / "variables")
    with pytest.raises(kmt.CorruptFileError, match=what):
        kmt.read(model)
    assert "which is of another model" in notes(kmt.read(model, salvage=True))


def test_sizes_that_the_graph_leaves_open_fit_any() -> None:
    values = kmt.Tensor.of(np.zeros((2, 3), np.float32))
    shapes: list[tuple[int, ...] | None] = [None, (2, 3), (-1, 3), (2,), (2, 4)]
    fits = [matches(SavedObject((), variable=True, dtype=kmt.DType.FLOAT32, shape=shape), values) for shape in shapes]
    assert fits == [True, True, True, False, False]
    assert not matches(SavedObject((), variable=True, dtype=kmt.DType.INT32), values)


@pytest.mark.parametrize("keep", [0, 2, 500, -1])
def test_variables_are_read_without_their_graph(copy: Copy, keep: int) -> None:
    model = copy(MODULE)
    data = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(data[:keep])
    found = kmt.read(model)
    assert kmt.digest(found) == kmt.digest(MODULE)
    assert "unread: saved_model.pb is damaged" in notes(found)
    assert all(weight.trainable is None for _, weight in found.weights())
    assert found.graph is None


@pytest.mark.parametrize(
    "name",
    [
        "tf_keras-2.21.0",
        "tensorflow-2.21.0_module",
        "keras-3.15.1_export",
        "tf.keras-2.2.0",
        "tf.keras-2.2.0_subclassed",
    ],
)
def test_a_damaged_graph_of_the_variables_is_recovered(copy: Copy, name: str) -> None:
    """What `saved_model.pb` says must come to the same as what the checkpoint said."""
    model, whole = copy(FOLDER / name), kmt.read(FOLDER / name)
    for shard in (model / "variables").glob("*.data*"):
        data = shard.read_bytes()
        at = max(data.find(b"VARIABLE_VALUE"), 0)
        shard.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at else data)
    with pytest.raises(kmt.CorruptFileError, match="--salvage"):
        kmt.read(model)
    found = kmt.read(model, salvage=True)
    assert "that of saved_model.pb" in notes(found)
    assert [(path, weight.key, weight.trainable) for path, weight in found.weights()] == [
        (path, weight.key, weight.trainable) for path, weight in whole.weights()
    ]
    assert _state(found) == _state(whole)
    assert not kmt.verify(model).whole
    for file in model.glob("saved_model.pb*"):
        file.write_bytes(b"\x08\x01")
    alone = kmt.read(model, salvage=True)
    assert "weights are called by their keys" in notes(alone)


def _state(model: kmt.Model) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Slots with their weights, and counters, by keys."""
    if model.optimizer is None:
        return [], []
    slots = sorted((slot.key, slot.name, slot.weight.key) for slot in model.optimizer.slots)
    return slots, sorted((item.key, item.role) for item in model.optimizer.counters)


def test_a_graph_that_was_copied_as_text_is_said_to_be(copy: Copy) -> None:
    model = copy(KERAS)
    data = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(data.replace(b"\n", b"\r\n"))
    assert "every line end was changed" in notes(kmt.read(model))


def test_keras_own_file_tells_of_layers_even_without_the_graph(copy: Copy) -> None:
    model = copy(KERAS)
    (model / "saved_model.pb").write_bytes(b"\r\n")
    found = kmt.read(model)
    assert paths(found) == paths(kmt.read(KERAS))
    assert found.architecture == kmt.read(KERAS).architecture


def test_a_damaged_graph_without_variables_is_an_error(copy: Copy) -> None:
    model = copy(MODULE)
    shutil.rmtree(model / "variables")
    (model / "saved_model.pb").write_bytes((model / "saved_model.pb").read_bytes()[:-9])
    with pytest.raises(kmt.CorruptFileError, match="the graph is damaged: a field runs past the end; fetch the file again"):
        kmt.read(model)


@pytest.mark.parametrize("sample", [MODULE, FOLDER / "tensorflow-1", FOLDER / "tf.keras-1.15.5"])
def test_missing_variables_are_an_error_that_says_what_to_copy(copy: Copy, sample: Path) -> None:
    model = copy(sample)
    shutil.rmtree(model / "variables")
    with pytest.raises(kmt.CorruptFileError, match=r"variables/variables\.index\); copy the folder variables/ beside it"):
        kmt.read(model)


def test_variables_of_a_graph_without_collections_are_missed_too(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(wire.saved_model(graph=wire.node("v", "VarHandleOp")))
    with pytest.raises(kmt.CorruptFileError, match="copy the folder"):
        kmt.read(tmp_path)


def test_a_model_without_variables_says_so(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(wire.saved_model(graph=wire.node("x", "Placeholder")))
    model = kmt.read(tmp_path)
    assert list(model.tensors()) == []
    assert "holds no variables" in notes(model)


def test_damaged_metadata_of_keras_is_said(copy: Copy) -> None:
    model = copy(KERAS)
    stated = model / "keras_metadata.pb"
    data = stated.read_bytes()
    stated.write_bytes(data[:-5])
    found = kmt.read(model)
    assert found.architecture is None
    assert "keras_metadata.pb is damaged" in notes(found)
    assert "holds objects of Keras and no description of them" in notes(found)
    stated.write_bytes(data.replace(b'{"name": "norm", "trainable": true, "expects', b'["name": "norm", "trainable": true, "expects'))
    found = kmt.read(model)
    assert found.architecture is not None
    assert "what Keras states of 1 of its objects is damaged" in notes(found)


def test_a_configuration_that_cannot_be_followed_is_said(copy: Copy) -> None:
    model = copy(KERAS)
    stated = model / "keras_metadata.pb"
    stated.write_bytes(stated.read_bytes().replace(b'"class_name": "InputLayer", "config"', b'"class_nase": "InputLayer", "config"'))
    found = kmt.read(model)
    assert "odd: the configuration cannot be followed" in notes(found)
    assert kmt.digest(found).values == kmt.digest(KERAS).values


def test_of_several_graphs_the_one_for_serving_is_shown(copy: Copy) -> None:
    model = copy(MODULE)
    file = model / "saved_model.pb"
    other = wire.saved_model(tags=("train",))[2:]
    file.write_bytes(b"\x08\x01" + other + file.read_bytes()[2:])
    found = kmt.read(model)
    assert found.graph is not None
    assert found.graph.tags == ("serve",)
    assert "odd: holds 2 graphs, of which that for serve is shown, not train" in notes(found)


def test_damage_deep_inside_of_the_graph_leaves_the_rest_to_be_seen(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(wire.saved_model(graph=wire.data(1, b"\x0f")))
    shutil.copytree(MODULE / "variables", tmp_path / "variables")
    row = kmt.inspect(tmp_path).graph
    assert row is not None
    assert row.problem == "the graph is damaged: a field has the unknown wire type 7"


# Assets.


def test_assets_outside_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    model = tmp_path / "model"
    (model / "assets").mkdir(parents=True)
    (model / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (model / "assets" / "unnamed.txt").write_text("not the graph's")
    (model / "assets" / "words.txt").write_text("one")
    named = ("words.txt", "../../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "gone.txt")
    (model / "saved_model.pb").write_bytes(wire.saved_model(*(wire.data(6, wire.data(2, name)) for name in named)))
    found = kmt.read(model)
    assert [(asset.name, asset.data.read()) for asset in found.assets] == [("words.txt", b"one")]
    assert notes(found).count("outside of its own folder") == 3
    assert "assets that the graph needs are not there: gone.txt" in notes(found)


# Names and graphs that are odd.


def test_graphs_are_joined_by_paths_and_cycles_end() -> None:
    def node(*children: tuple[str, int]) -> Node:
        return Node(children, None, "", (), "")

    objects = (SavedObject((("up", 0), ("a", 2))), SavedObject(()), SavedObject((("b", 1), ("other", 0), ("self", 2))))
    graph = (node(("a", 1), ("root", 0)), node(("b", 2), ("self", 1)), node(("back", 0)))
    assert join(objects, graph) == {0: 0, 2: 1, 1: 2}
    assert join((), graph) == {}
    assert join(objects, ()) == {}


def test_encodings_of_the_metadata_become_a_configurations() -> None:
    shape = '{"class_name": "TensorShape", "items": [null, 2]}'
    text = f'{{"a": {{"class_name": "__tuple__", "items": [1, {shape}]}}, "shared_object_id": 3, "class_name": "D"}}'
    assert json.loads(text, object_hook=plain) == {"a": [1, [None, 2]], "class_name": "D"}


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from kmodel_tools.cli import kmt as command

    value = wire.data(1, wire.data(1, "x\x07"), wire.data(2, wire.number(2, 1)))
    signature = wire.data(5, wire.data(1, "evil\x1b[31m"), wire.data(2, value))
    graph = wire.node("a", "Op\x1b]0;x")
    asset = wire.data(6, wire.data(2, "..\x1b/x"))
    (tmp_path / "saved_model.pb").write_bytes(wire.saved_model(signature, asset, graph=graph, tags=("t\x1b",)))
    for options in ([], ["--json"], ["--output-format", "md"]):
        result = CliRunner().invoke(command, ["inspect", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output
        assert "\x07" not in result.output


def test_second_copies_in_an_export_are_counted_and_not_shown_again() -> None:
    model = kmt.read(EXPORT)
    stored = dict(model.tensors())
    assert sum(key.startswith("_all_variables/") for key in stored) == 6
    assert paths(model) == ["d1/kernel", "d1/bias", "bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"]
    assert not model.extras
    assert "6 arrays are stored a second time" in notes(model)
    assert model.name == "row"


def test_what_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(kmt.UnknownFormatError, match="does not start as a SavedModel does"):
        kmt.read(path)
    assert kmt.detect(tmp_path).name == "saved-model"
