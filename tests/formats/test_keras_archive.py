"""What only `.keras` archives do."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES

SAMPLE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"


def repacked(path: Path, compression: int = zipfile.ZIP_DEFLATED, **changes: bytes | None) -> Path:
    """The sample with members replaced (`config_json=b"…"`), left out (None), or compressed."""
    with zipfile.ZipFile(SAMPLE) as source, zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            data = changes.get(name.replace(".", "_"), source.read(name))
            if data is not None:
                target.writestr(name, data)
    return path


def test_weights_are_read_in_place() -> None:
    place = kmt.read(SAMPLE).layers[1].weights[0].tensor.byte_range
    assert place is not None
    assert place.path == str(SAMPLE)


def test_a_compressed_archive_reads_the_same(tmp_path: Path) -> None:
    path = repacked(tmp_path / "m.keras")
    model = kmt.read(path)
    place = model.layers[1].weights[0].tensor.byte_range
    assert place is not None
    assert place.path != str(path)
    assert kmt.digest(model) == kmt.digest(SAMPLE)


def test_a_folder_reads_the_same(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLE) as source:
        source.extractall(tmp_path / "folder")
    assert kmt.digest(tmp_path / "folder") == kmt.digest(SAMPLE)


def test_what_a_model_is_besides_weights() -> None:
    model = kmt.read(SAMPLE)
    assert model.architecture is not None
    assert model.architecture["class_name"] == "Functional"
    assert model.training_config is not None
    assert model.training_config["loss"] == "mse"
    assert model.metadata["keras_version"] == "3.15.1"
    assert model.optimizer is not None
    assert {slot.name for slot in model.optimizer.slots} == {"momentum", "velocity"}


def test_assets_are_listed_and_read() -> None:
    model = kmt.read(SAMPLES / "keras_archive" / "vocabulary")
    texts = {asset.name: asset.data.read().decode() for asset in model.assets}
    assert texts["layers/text_vectorization/vocabulary.txt"].split("\n")[:3] == ["", "[UNK]", "the"]


def test_pickled_weights_are_refused_with_the_cure(tmp_path: Path) -> None:
    path = repacked(tmp_path / "m.keras", model_weights_h5=None)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("model.weights.npz", b"\x80\x04this would be a pickle")
    with pytest.raises(kmt.UnsupportedFeatureError, match=r"pickled model\.weights\.npz is never opened.*weights_format='h5'"):
        kmt.read(path)


def test_parts_that_are_damaged(tmp_path: Path) -> None:
    for change, problem in ((b"{", "not a JSON document"), (b"[]", "not a JSON object")):
        with pytest.raises(kmt.CorruptFileError, match=problem):
            kmt.read(repacked(tmp_path / "m.keras", config_json=change))
    with pytest.raises(kmt.CorruptFileError, match="is not a whole HDF5 file"):
        kmt.read(repacked(tmp_path / "n.keras", model_weights_h5=b"\x89HDF\r\n\x1a\n"))


def test_a_configuration_that_says_nothing_of_layers_leaves_the_groups(tmp_path: Path) -> None:
    path = repacked(
        tmp_path / "m.keras",
        config_json=json.dumps({"module": "me", "class_name": "Net", "config": {}, "registered_name": "me>Net"}).encode(),
    )
    model = kmt.read(path)
    assert [join_path(found) for found, _ in model.walk()][1] == "my_d1"
    assert [layer.class_name for layer in model.layers] == ["InputLayer", "Dense", "Dense", "BatchNormalization", "Dense"]


def test_weights_that_the_configuration_does_not_know_are_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLE) as source:
        config = json.loads(source.read("config.json"))
    layers = config["config"]["layers"]
    gone = next(layer for layer in layers if layer["name"] == "my_d3")
    layers.remove(gone)
    config["config"]["output_layers"] = ["bn", 0, 0]
    model = kmt.read(repacked(tmp_path / "m.keras", config_json=json.dumps(config).encode()))
    assert any("of which the configuration does not speak" in note.text for note in model.notes)
    assert len(list(model.weights())) == 10


def test_weights_that_the_file_lacks_are_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLE) as source:
        config = json.loads(source.read("config.json"))
    layers = config["config"]["layers"]
    extra = json.loads(json.dumps(next(layer for layer in layers if layer["name"] == "my_d3")))
    extra["name"] = extra["config"]["name"] = "new"
    extra["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "my_d3"
    layers.append(extra)
    config["config"]["output_layers"] = ["new", 0, 0]
    model = kmt.read(repacked(tmp_path / "m.keras", config_json=json.dumps(config).encode()))
    assert [note.text for note in model.notes] == [
        "the weights of layer new (Dense) are not in the file",
        "18 arrays of the optimizer cannot be tied to weights by their order",
    ] or any("the weights of layer new (Dense) are not in the file" in note.text for note in model.notes)


def test_an_archive_that_inflates_beyond_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        for number in range(3):
            with file.open(f"assets/{number}", "w") as member:
                for _ in range(100):
                    member.write(bytes(1 << 20))
    with pytest.raises(kmt.UnsupportedFeatureError, match="inflates to"):
        kmt.read(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_keras_never_uses_is_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(kmt.UnsupportedFeatureError, match="neither stored nor deflated"):
        kmt.read(repacked(tmp_path / "m.keras", method))


def test_a_damaged_member_is_named_in_its_archive(tmp_path: Path) -> None:
    path = repacked(tmp_path / "m.keras", model_weights_h5=b"no HDF5 at all")
    with pytest.raises(kmt.CorruptFileError, match=rf"^{path}: .*\(model\.weights\.h5\)"):
        kmt.read(path)


def test_names_in_the_file_are_believed_before_numbers(tmp_path: Path) -> None:
    """Renumbered groups: the names that Keras 3.6 and later leave in them still say which layer is which."""
    with zipfile.ZipFile(SAMPLE) as source:
        config = json.loads(source.read("config.json"))
        weights = tmp_path / "m.h5"
        weights.write_bytes(source.read("model.weights.h5"))
    names = [layer["config"]["name"] for layer in config["config"]["layers"] if layer["class_name"] == "Dense"]
    assert len(names) > 1
    with h5py.File(weights, "a") as file:
        first, second = (name for name, group in file["layers"].items() if group["vars"].attrs.get("name") in names[:2])
        file.move(f"layers/{first}", "layers/aside")
        file.move(f"layers/{second}", f"layers/{first}")
        file.move("layers/aside", f"layers/{second}")
    moved = kmt.read(repacked(tmp_path / "m.keras", model_weights_h5=weights.read_bytes()))
    assert kmt.digest(moved).weights == kmt.digest(SAMPLE).weights


def test_layers_that_never_end_are_refused(tmp_path: Path) -> None:
    layer: dict[str, object] = {"class_name": "LSTM", "config": {"name": "l", "units": 2}}
    for number in range(40):
        layer = {"class_name": "Bidirectional", "config": {"name": f"b{number}", "layer": layer}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    model = kmt.read(repacked(tmp_path / "m.keras", config_json=json.dumps(config).encode()))
    assert "more than 100000 layers" in " ".join(note.text for note in model.notes)
