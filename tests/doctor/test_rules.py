"""Rules of the doctor one by one, on the least that they look at: a layer in a configuration, a member, a name."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.render.findings_text import evidence_text
from tests.conftest import SAMPLES
from tests.doctor.cases import MODELS, archive, checkpoint, model, with_config, with_weights


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "x", **config}}


def told(path: str, identifier: str) -> list[str]:
    """The evidence of one finding, or nothing."""
    return [evidence_text(piece) for item in kmt.diagnose(path) if item.identifier == identifier for piece in item.evidence]


def severity(path: str, identifier: str) -> str:
    return next(item.severity for item in kmt.diagnose(path) if item.identifier == identifier)


def as_json(*layers: dict[str, Any], **others: Any) -> str:
    """An architecture of Keras 2."""
    config = {"class_name": "Sequential", "config": {"name": "network", "layers": list(layers)}, "keras_version": "2.4.0", **others}
    Path("model.json").write_text(json.dumps(config), encoding="utf-8")
    return "model.json"


def as_hdf5(*layers: dict[str, Any]) -> str:
    """A whole model of Keras 2 in HDF5, without values."""
    with h5py.File("model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "network", "layers": list(layers)}})
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    return "model.h5"


LAMBDA = {"function": "scale", "function_type": "function", "module": "lab.helpers"}
ZEROS = {"class_name": "Zeros", "config": {"dtype": "float32"}}
RULES = (
    (
        "unsafe: a module that no class comes from",
        layer("Own", f={"module": "shutil", "class_name": "function", "config": "rmtree"}),
        "gadget",
    ),
    ("unsafe: a plain name of builtins", layer("Own", f={"module": "builtins", "class_name": "function", "config": "getattr"}), "gadget"),
    ("the module of a function that a Lambda calls", layer("Lambda", **LAMBDA), "module-outside-keras"),
    ("boundaries that were never made", layer("Discretization", bin_boundaries=[]), "not-adapted"),
    ("a vocabulary by its path", layer("StringLookup", vocabulary="words.txt"), "vocabulary-path"),
    ("a trainable that is null", layer("Add", trainable=None), "rejected-by-keras-3"),
    ("an initializer with a dtype", layer("Dense", units=2, bias_initializer=ZEROS), "rejected-by-keras-3"),
    ("a class that is gone", layer("AddLoss"), "rejected-by-keras-3"),
)


@pytest.mark.parametrize(("config", "identifier"), [pytest.param(config, name, id=what) for what, config, name in RULES])
def test_a_layer_shows_it(config: dict[str, Any], identifier: str) -> None:
    assert [text for text in told(as_json(config), identifier) if text.startswith("x: ")]
    assert [text for text in told(as_json(layer("Dense", units=2)), identifier) if text.startswith("x: ")] == []


def test_settings_that_are_names_of_functions_are_rejected_in_hdf5_alone() -> None:
    attention = layer("Attention", score_mode="dot", use_scale=False)
    assert "x: score_mode = dot, which Keras 3 takes for the function keras.layers.dot" in told(as_hdf5(attention), "rejected-by-keras-3")
    assert told(as_hdf5(layer("Attention", score_mode="concat", use_scale=False)), "rejected-by-keras-3") == []
    name = layer("Dense", units=2)
    name["config"]["name"] = "dot"
    assert told(as_hdf5(name), "rejected-by-keras-3") == []


def test_shapes_of_inputs_are_rejected_where_there_is_no_input_layer() -> None:
    dense, inputs = layer("Dense", units=2, batch_input_shape=[None, 4]), layer("InputLayer", batch_input_shape=[None, 4])
    inputs["config"]["name"] = "inputs"
    assert any(text.startswith("x: batch_input_shape = [null, 4]") for text in told(as_hdf5(dense), "rejected-by-keras-3"))
    assert told(as_hdf5(inputs, dense), "rejected-by-keras-3") == []


@pytest.mark.parametrize("value", [True, 1])
def test_calls_in_training_are_found_however_they_are_written(value: object) -> None:
    drop = {**layer("Dropout", rate=0.5), "name": "x", "inbound_nodes": [[["inputs", 0, 0, {"training": value}]]]}
    assert told(as_json(drop), "random-at-inference") == ["x: inbound_nodes = Dropout(…, training=True)"]
    assert severity("model.json", "random-at-inference") == "warning"


def test_only_convolutions_depend_on_the_backend() -> None:
    assert told(as_json(layer("Dense", units=2), backend="theano"), "other-backend") == []
    assert told(as_json(layer("Conv2D", filters=2, kernel_size=[3, 3]), backend="theano"), "other-backend") == ["backend = theano"]


@pytest.mark.parametrize(
    ("path", "expected"), [("words.txt", "warning"), ("../words.txt", "error"), ("https://a/b", "error"), ("C:/b", "error")]
)
def test_a_vocabulary_that_leads_away_is_grave(path: str, expected: str) -> None:
    assert severity(as_json(layer("StringLookup", vocabulary=path)), "vocabulary-path") == expected


def test_weighted_metrics_are_guessed_too() -> None:
    def weigh(config: dict[str, Any]) -> None:
        config["compile_config"].update(weighted_metrics=["acc"], metrics=None)

    path = with_config("model.keras", weigh)()
    assert told(path, "metric-guessed") == ["weighted_metrics = acc", "loss = sparse_categorical_crossentropy"]
    assert '["sparse_categorical_accuracy"]' in next(item.cure for item in kmt.diagnose(path) if item.identifier == "metric-guessed")


def test_one_weight_of_a_layer_that_is_missing_is_named() -> None:
    def without_bias(file: h5py.File) -> None:
        del file["layers/dense_1/vars/1"]

    assert told(with_weights("model.keras", without_bias)(), "weights-missing") == ["head: bias = not in the file"]


def test_arrays_of_objects_are_pickles_under_any_name() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    path = archive("model.keras", lambda members, new: new.writestr("assets/table.npy", buffer.getvalue()))()
    assert [text for text in told(path, "pickle") if text.startswith("assets/table.npy")]


@pytest.mark.parametrize("name", ["C:/x", "/x", "a/../../x", "..\\x"])
def test_members_that_lead_outside(name: str) -> None:
    path = archive("model.keras", lambda members, new: new.writestr(name, b"x"))()
    assert told(path, "path-traversal") == [f"member = {name}"]


def test_archives_that_inflate_beyond_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmodel_tools.doctor.containers.INFLATION_FLOOR", 1 << 20)

    def inflate(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
        new.writestr("assets/zeros", bytes(30 << 20), zipfile.ZIP_DEFLATED)

    assert told(archive("model.keras", inflate)(), "bomb")
    assert told(model("clean.keras")(), "bomb") == []


def test_links_within_a_model_are_no_finding() -> None:
    with zipfile.ZipFile(model("clean.keras")()) as file:
        file.extractall("network")
    Path("network/again.json").symlink_to(Path("network/config.json").resolve())
    assert kmt.diagnose("network") == ()


def test_a_shard_in_a_folder_of_its_own_is_no_shard_of_keras() -> None:
    Path("model.weights.json").write_text(json.dumps({"metadata": {}, "weight_map": {"/a": ["part/x.weights.h5"]}}), encoding="utf-8")
    assert told("model.weights.json", "path-traversal") == ["weight_map = part/x.weights.h5"]


def test_a_zip_archive_under_the_longer_name_of_hdf5() -> None:
    assert told(model("clean.keras", "model.hdf5")(), "zip-named-h5") == ["content = zip archive"]


def test_a_state_file_that_names_what_is_there() -> None:
    checkpoint()()
    Path("ckpt/checkpoint").write_text('model_checkpoint_path: "keras-3.15.1"\n', encoding="utf-8")
    assert told("ckpt", "checkpoint-moved") == []


# Two files.


def changed(change: Any) -> str:
    """The trained model of two layers with other values."""
    layers = ("dense", "dense_1", "dense_2")
    return with_weights("changed.keras", lambda file: change({name: file[f"layers/{name}/vars"] for name in layers}), "two_layers.keras")()


def compared(change: Any) -> set[str]:
    return {item.identifier for item in kmt.diagnose(MODELS / "two_layers.keras", changed(change))}


def test_layers_of_other_names_are_the_same_layers() -> None:
    kmt.convert(MODELS / "two_layers.keras", "renamed.keras", rename=["first=one", "second=two"])
    assert kmt.diagnose(MODELS / "two_layers.keras", "renamed.keras") == ()


def test_values_that_differ_in_the_last_digits_are_rounded() -> None:
    def nudge(layers: Any) -> None:
        layers["dense"]["0"][()] *= np.float32(1 + 1e-6)

    def push(layers: Any) -> None:
        layers["dense"]["0"][()] *= np.float32(1 + 1e-3)

    assert "only-rounding-differs" not in compared(push)
    assert compared(push) == {"weights-differ"}
    assert compared(nudge) == {"only-rounding-differs"}


@pytest.mark.parametrize(("dtype", "told"), [("float32", False), ("float16", True)])
def test_no_type_is_the_usual_type(dtype: str, told: bool) -> None:
    """Keras before 2.3 writes none but that of the first layer."""
    Path(as_json(layer("Dropout", rate=0.1))).rename("before.json")
    found = kmt.diagnose("before.json", as_json(layer("Dropout", rate=0.1, dtype=dtype)))
    assert ("inference-settings-differ" in {item.identifier for item in found}) == told


def test_small_and_constant_values_are_of_no_other_layer() -> None:
    def fill(layers: Any) -> None:
        layers["dense"]["1"][()] = 0.5
        layers["dense_1"]["1"][()] = 0.5

    assert compared(fill) == {"weights-differ"}


@pytest.mark.parametrize("name", ["h.safetensors", "h.npz", "h.h5", "h.weights.h5"])
def test_the_cure_of_weights_alone_can_be_run(name: str) -> None:
    """It names a format that can hold them."""
    import shlex

    kmt.convert(MODELS / "half.keras", name, weights_only=True, optimizer=False)
    if name == "h.npz":
        with np.load(name) as file:
            arrays = {key: value for key, value in file.items() if value.dtype == np.float16}
        np.savez(name, **arrays)
    [item] = [item for item in kmt.diagnose(name) if item.identifier == "half-precision"]
    source, target = shlex.split(item.cure)[2:4]
    kmt.convert(source, target, dtype="float32")
    assert "half-precision" not in {item.identifier for item in kmt.diagnose(target)}


def test_the_cure_of_a_graph_can_be_run() -> None:
    """Sizes and axes in it belong to no layer, and no other format holds them."""
    import shlex
    import shutil

    shutil.copy(SAMPLES / "graph_def" / "tensorflow-1.pb", "graph.pb")
    [item] = [item for item in kmt.diagnose("graph.pb") if item.identifier == "half-precision"]
    _, _, source, target, *options = shlex.split(item.cure)
    assert options == ["--dtype", "float32", "--lossy"]
    kmt.convert(source, target, dtype="float32", lossy=True)
    assert kmt.diagnose(target) == ()


def test_what_is_cut_off_has_no_shape_that_contradicts() -> None:
    import shutil

    shutil.copytree(SAMPLES / "tfjs_layers", "web", ignore=shutil.ignore_patterns("*.txt"))
    Path("web/fun.weights.bin").write_bytes(b"")
    Path("web/graph-shard1of1.bin").write_bytes(b"")
    for path in Path("web").glob("manifest-shard*"):
        path.write_bytes(b"")
    for path in Path("web").glob("*.json"):
        assert not {"shape-contradicts-configuration"} & {item.identifier for item in kmt.diagnose(path)}, path
