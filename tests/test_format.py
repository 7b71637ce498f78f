from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import pytest

import kmodel_tools as kmt
from kmodel_tools.errors import CorruptFileError, KmtError, UnknownFormatError
from kmodel_tools.format import Container, Probe, parse_json
from tests.conftest import SAMPLES


def container(path: Path) -> Container:
    return Probe(path).container


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_path_is_told_by_its_content(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "no_suffix", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "x.h5", "w") as file:
        file.writestr("a", "b")
    assert container(tmp_path / "no_suffix") is Container.HDF5
    assert container(tmp_path / "x.h5") is Container.ZIP
    assert container(tmp_path) is Container.DIRECTORY
    assert container(write(tmp_path / "j", b'\xef\xbb\xbf  {"a": 1}')) is Container.JSON
    assert container(write(tmp_path / "t", b"hello")) is Container.OTHER
    assert container(write(tmp_path / "empty", b"")) is Container.OTHER


def test_parts_of_a_checkpoint(tmp_path: Path) -> None:
    samples = SAMPLES / "tf_checkpoint"
    assert container(samples / "keras-2.21.0") is Container.CHECKPOINT_PREFIX
    assert container(samples / "keras-2.21.0.index") is Container.TABLE
    assert container(samples / "keras-2.21.0.data-00000-of-00001") is Container.CHECKPOINT_SHARD
    assert container(samples / "checkpoint") is Container.CHECKPOINT_STATE
    assert container(samples / "tensorflow-0.ckpt") is Container.TABLE


def test_hdf5_behind_a_user_block_is_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m", "w", userblock_size=1024):
        pass
    assert container(tmp_path / "m") is Container.HDF5


def test_an_archive_whose_weights_start_where_hdf5_looks_for_a_user_block_is_an_archive(tmp_path: Path) -> None:
    """By chance the member lies at 512, 1024, 2048 … in one of many real archives."""
    with h5py.File(tmp_path / "w.h5", "w"):
        pass
    weights = (tmp_path / "w.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", " " * (4096 - 30 - len("config.json") - 30 - len("model.weights.h5")))
        file.writestr("model.weights.h5", weights)
    assert (tmp_path / "m.keras").read_bytes()[4096:4104] == b"\x89HDF\r\n\x1a\n"
    assert container(tmp_path / "m.keras") is Container.ZIP


def test_a_missing_path_gets_a_guess(tmp_path: Path) -> None:
    write(tmp_path / "model.h5", b"x")
    with pytest.raises(KmtError, match=r"no such file or directory; did you mean .*model\.h5\?"):
        Probe(tmp_path / "modle.h5")
    with pytest.raises(KmtError, match="there is no directory"):
        Probe(tmp_path / "nowhere" / "model.h5")


def test_json_of_any_kind(tmp_path: Path) -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": NaN, "b": -Infinity}', "x").keys() == {"a", "b"}
    for broken in (b"{", b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(CorruptFileError, match="is not a JSON document"):
            parse_json(broken, "x")


LOOK_ALIKES = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n": "Git LFS pointer",
    b"\n<!DOCTYPE html><html>": "web page",
    b"<html><body>404": "web page",
    b"\x80\x04\x95\x00": "pickle",
    b"\x1f\x8b\x08\x00": "gzip",
    b"": "is empty",
    b"\x00\x00\x00\x00TFL3": "TensorFlow Lite",
    b"just text": "no model in any format",
    b"[metadata]\nname = x\n": "no model in any format",
    b"[1, 2]": "describes no model",
    b'{"class_name": "Zeros", "config": {}}': "an object that is no model",
}


@pytest.mark.parametrize("data", LOOK_ALIKES)
def test_what_is_no_model_is_called_by_its_name(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "model.bin", data)
    with pytest.raises(UnknownFormatError) as caught:
        kmt.read(path)
    assert LOOK_ALIKES[data] in str(caught.value)
    assert str(path) in str(caught.value)


def test_directories_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="empty directory"):
        kmt.read(tmp_path)
    write(tmp_path / "fingerprint.pb", b"")
    with pytest.raises(UnknownFormatError, match=r"is a SavedModel without its saved_model\.pb; .*variables/variables"):
        kmt.read(tmp_path)
    path = write(tmp_path / "saved_model.pb", b"nothing of the kind")
    with pytest.raises(UnknownFormatError, match=r"is damaged: it does not start as a SavedModel does; name its directory"):
        kmt.read(path)
    with pytest.raises(CorruptFileError, match="the graph is damaged"):
        kmt.read(tmp_path)


def test_hdf5_and_zip_that_are_no_models(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["temperature"] = [1.0, 2.0]
    with pytest.raises(UnknownFormatError, match="without Keras's layout: its root holds temperature"):
        kmt.read(tmp_path / "other.h5")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(UnknownFormatError, match=r"holds notes\.txt"):
        kmt.read(tmp_path / "x.zip")


def test_a_format_can_be_named_and_must_fit() -> None:
    sample = SAMPLES / "keras_h5" / "keras-2.3.1.h5"
    assert kmt.read(sample, "keras-h5").format == "keras-h5"
    with pytest.raises(KmtError, match="there is no format 'kears-h5'; the formats are: keras-h5"):
        kmt.read(sample, "kears-h5")
    with pytest.raises(UnknownFormatError, match="is a HDF5 file, and keras-archive comes as"):
        kmt.read(sample, "keras-archive")
