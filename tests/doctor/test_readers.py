"""Who reads a file: what was tried with real releases, and silence where nothing was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import kmodel_tools as kmt
from kmodel_tools.cli import kmt as command
from tests.conftest import SAMPLES
from tests.doctor.cases import MODELS, Maker, cut, model, sample, with_config

TF, NO_COMPILING = "TensorFlow {} to 2.15", "Keras 3.15.1 with compile=False"
KNOWN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("keras_h5/keras-1.2.2_theano.h5", ("Keras 1.2.2",), "converted"),
    (
        "keras_h5/keras-2.0.5.h5",
        ("Keras 2.0.5 to 2.3.1", TF.format("2.4"), "tf_keras 2.21", NO_COMPILING),
        "with compile=False",
    ),
    ("keras_h5/keras-2.0.9_hard_sigmoid.h5", ("Keras 2.0.9 to 2.3.1",), "converted"),  # it has a GRU
    ("keras_h5/keras-2.3.1.h5", ("Keras 2.3.1", TF.format("1.15"), "tf_keras 2.21"), "converted"),
    ("keras_h5/tf.keras-2.12.0.h5", (TF.format("2.12"), "tf_keras 2.21", NO_COMPILING), "with compile=False"),
    ("keras_h5/keras-3.15.1.h5", (NO_COMPILING,), "with compile=False"),
    ("keras_archive/keras-2.15.0.keras", ("TensorFlow 2.15", "tf_keras 2.21"), "converted"),
    ("keras_archive/keras-3.15.1.keras", ("Keras 3.15.1",), "as it is"),
    ("keras_weights/keras-3.15.1.weights.h5", ("Keras 3.15.1",), "as it is"),
    ("saved_model/tf.keras-2.2.0", (TF.format("2.2"), "tf_keras 2.21"), "converted"),
    ("saved_model/tf.keras-1.15.5", (), "converted"),
    ("saved_model/keras-3.15.1_export", (), ""),
    ("tf_checkpoint/keras-3.15.1", (), "converted"),
    ("npz/keras-3.15.1.npz", (), ""),
    ("safetensors/keras-3.15.1.safetensors", (), ""),
    ("graph_def/tensorflow-1.pb", (), ""),
)


@pytest.mark.parametrize(("name", "releases", "keras_3"), [pytest.param(*item, id=item[0]) for item in KNOWN])
def test_it_says_what_was_tried(name: str, releases: tuple[str, ...], keras_3: str) -> None:
    found = kmt.readers(SAMPLES / name)
    assert found.releases == releases
    assert found.keras_3 == keras_3
    assert bool(found.convert) == (keras_3 == "converted")


def test_the_keys_that_keras_3_rejects_are_named() -> None:
    """As the finding has them."""
    path = SAMPLES / "keras_archive" / "keras-2.15.0.keras"
    [finding] = [item for item in kmt.diagnose(path) if item.identifier == "rejected-by-keras-3"]
    found = kmt.readers(path)
    assert found.rejected == finding.evidence
    assert found.convert == finding.cure


@pytest.mark.parametrize("version", ["2.12.0", "2.13.1", "2.14.0", "2.15.0"])
def test_archives_of_a_release_that_counts_otherwise(version: str, tmp_path: Path) -> None:
    """Those of 2.12 to 2.14 are read by the same release alone (2.12 and 2.14 were tried)."""
    import zipfile

    with zipfile.ZipFile(SAMPLES / "keras_archive" / "keras-2.15.0.keras") as old, zipfile.ZipFile(tmp_path / "model.keras", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, json.dumps({**json.loads(data), "keras_version": version}) if name == "metadata.json" else data)
    expected = ("TensorFlow 2.15", "tf_keras 2.21") if version == "2.15.0" else (f"TensorFlow {version[:4]}",)
    assert kmt.readers(tmp_path / "model.keras").releases == expected


@pytest.mark.parametrize("version", ["2.1.6-tf", "later", "", "3.15.1\n", "9" * 40])
def test_no_release_is_made_up(version: str, tmp_path: Path) -> None:
    import shutil

    import h5py

    shutil.copy(SAMPLES / "keras_h5" / "tf.keras-2.12.0.h5", tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        for place in (file, file["model_weights"]):
            place.attrs["keras_version"] = version
    assert all(item.startswith("Keras 3.15.1") for item in kmt.readers(tmp_path / "model.h5").releases)


@pytest.mark.parametrize(
    ("kind", "config", "releases"),
    [
        ("Dense", {"units": 2}, ("Keras 2.2.4 to 2.3.1", TF.format("1.15"), "tf_keras 2.21")),
        ("Dense", {"units": 2, "trainable": None}, ("Keras 2.2.4 to 2.3.1",)),
        ("GRU", {"units": 2}, ("Keras 2.2.4 to 2.3.1",)),
        ("GRU", {"units": 2, "reset_after": False}, ("Keras 2.2.4 to 2.3.1", TF.format("1.15"), "tf_keras 2.21")),
        ("CuDNNGRU", {"units": 2}, ("Keras 2.2.4 to 2.3.1",)),
        ("Mine", {"units": 2}, ("Keras 2.2.4",)),
    ],
)
def test_layers_that_tensorflow_takes_otherwise(kind: str, config: dict[str, object], releases: tuple[str, ...], tmp_path: Path) -> None:
    layers = [{"class_name": kind, "config": {"name": "only", **config}}]
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": "2.2.4", "backend": "tensorflow"}
    (tmp_path / "model.json").write_text(json.dumps(whole), encoding="utf-8")
    assert kmt.readers(tmp_path / "model.json").releases == releases


def test_a_file_without_the_group_of_weights(tmp_path: Path) -> None:
    """No Keras writes or loads one, though its configuration is all right."""
    import shutil

    import h5py

    shutil.copy(MODELS / "clean.h5", tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file["model_weights"]
    assert kmt.readers(tmp_path / "model.h5") == kmt.Readers()


def test_bytecode_is_bound_to_what_wrote_it() -> None:
    found = kmt.readers(MODELS / "lambda.keras")
    assert found.releases == ("Keras 3.15.1",)
    assert "the Python that wrote its Lambda layers" in found.conditions[0]
    assert found.keras_3 == ""


def test_code_of_ones_own_is_a_condition() -> None:
    assert kmt.readers(MODELS / "custom.keras").conditions == ("your own code: Scaled",)
    assert kmt.readers(MODELS / "clean.weights.h5").conditions == ("a model that is made by its code",)


HINDERED: tuple[Maker, ...] = (
    cut("clean.h5", 20_000),
    model("clean.keras", "model.h5"),
    model("gadget.keras"),
    model("tfsm.keras"),
    model("torch.keras"),
    sample("keras_weights/sharded.weights.json"),
    with_config("model.keras", lambda config: config.clear()),
)


@pytest.mark.parametrize("make", HINDERED)
def test_nothing_is_said_of_what_does_not_load(make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kmt.readers(make()) == kmt.Readers()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"KERAS_HOME": "nowhere"}).invoke(command, ["doctor", *arguments], catch_exceptions=False, standalone_mode=False)
    return result.return_value or 0, result.output


def test_it_is_shown_without_being_a_finding() -> None:
    path = str(MODELS / "clean.keras")
    status, text = run(path)
    assert status == 0
    assert "nothing found\n\nread by   Keras 3.15.1\n\n" in text
    assert json.loads(run(path, "--json")[1])["readers"]["releases"] == ["Keras 3.15.1"]
    assert "read by" not in run(path, "--only", "weights")[1]
    assert "read by" not in run(path, path)[1]
    assert json.loads(run(path, path, "--json")[1])["readers"] is None


def test_the_command_for_keras_3_can_be_copied() -> None:
    """It stands on one line, however long; where a finding has it as its cure, it is not said again."""
    path = str(SAMPLES / "tf_checkpoint" / "keras-3.15.1")
    assert f"\nKeras 3   after kmt convert {path} {path}_keras3.weights.h5 --like MODEL_OF_THE_SAME_LAYERS.keras\n" in run(path)[1]
    assert run(str(SAMPLES / "keras_h5" / "keras-2.3.1.h5"))[1].count("kmt convert /") == 1
