"""Damaged files of every format: what is damaged is named, the rest is read, verified, converted and compared as it is."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools import cli
from kmodel_tools.damaged import damage_of
from kmodel_tools.format import Format
from kmodel_tools.storage.tensor_bundle import slice_key
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES, sample_files
from tests.storage import tables
from tests.storage.tables import entry, message, shape
from tests.trees import keys_in_tree

CHECKPOINT = SAMPLES / "tf_checkpoint" / "keras-2.21.0"
ARCHIVE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
H5 = SAMPLES / "keras_h5" / "keras-3.15.1.h5"
LEGACY_WEIGHTS = SAMPLES / "keras_h5" / "tf.keras-2.3.0_weights.h5"
STORE = SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        status = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def copied(folder: Path, prefix: Path = CHECKPOINT) -> Path:
    for path in prefix.parent.glob(f"{prefix.name}.[id]*"):
        if not path.name.endswith(".txt"):
            shutil.copy(path, folder)
    return folder / prefix.name


def shard_of(prefix: Path) -> Path:
    return Path(f"{prefix}.data-00000-of-00001")


def place(file: Path, path: str) -> int:
    """Where the values of a weight start in its file."""
    found = kmt.read(file).find(path)
    assert isinstance(found, kmt.Weight)
    where = found.tensor.byte_range
    assert where is not None
    return where.offset


def values(model: kmt.Model) -> dict[str, bytes]:
    """The bytes of every weight that can be read, by path."""
    return {join_path(path): weight.tensor.read().tobytes() for path, weight in model.weights() if damage_of(weight.tensor) is None}


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_salvaging_changes_nothing_of_a_whole_file(path: Path, run: Run) -> None:
    model, salvaged = kmt.read(path), kmt.read(path, salvage=True)
    assert [key for key, _ in model.tensors()] == [key for key, _ in salvaged.tensors()]
    more = () if kmt.detect(path).salvages else (salvaged.notes[0],)
    assert salvaged.notes == (*more, *model.notes)
    assert all("nothing can be salvaged" in note.text for note in more)
    assert kmt.inspect(model).to_dict() == kmt.inspect(replace(salvaged, notes=model.notes)).to_dict()
    assert kmt.digest(model, everything=True) == kmt.digest(salvaged, everything=True)
    result = kmt.verify(path)
    assert result.arrays == len(list(model.tensors()))
    assert not result.damages
    status, out, _ = run("inspect", path, "--verify")
    assert (status, "whole: everything could be read" in out) == ((0, True) if result.whole else (2, False))


def test_what_has_checksums_is_said(run: Run) -> None:
    assert "over every array" in run("inspect", CHECKPOINT, "--verify")[1]
    assert "over every array" in run("inspect", SAMPLES / "tf_checkpoint" / "tensorflow-0.ckpt", "--verify")[1]
    assert "over every array" in run("inspect", ARCHIVE, "--verify")[1]
    assert "the file has none" in run("inspect", H5, "--verify")[1]
    assert "the file has none" in run("inspect", SAMPLES / "keras_archive" / "vocabulary", "--verify")[1]


# Checkpoints.


def test_a_wrong_checksum(tmp_path: Path, run: Run) -> None:
    prefix = copied(tmp_path)
    key = "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    weight = next(weight for _, weight in kmt.read(prefix).weights() if weight.key == key)
    assert weight.tensor.byte_range is not None
    flip(shard_of(prefix), weight.tensor.byte_range.offset)
    status, out, _ = run("inspect", prefix, "--verify")
    assert (status, "conv1/kernel" in out or "/kernel: a tensor's checksum is wrong" in out) == (2, True)
    document = json.loads(run("inspect", prefix, "--verify", "--json")[1])
    assert not document["whole"]
    assert [(damage["key"], damage["part"]) for damage in document["damages"]] == [(key, "weight")]
    assert run("inspect", prefix, "--stats")[0] == 2
    status, out, _ = run("inspect", prefix, "--stats", "--salvage")
    assert status == 0
    assert "kernel! (3, 3, 4)" in out
    assert "! damaged: cannot be read" in out


def test_a_shard_that_is_not_there(tmp_path: Path, run: Run) -> None:
    """Name-based, so that nothing else in the shards is needed to describe it."""
    data = np.array([1.5, -2], "<f4").tobytes()
    entries = [
        (b"d/kernel", entry(1, (2,), data)),
        (b"d/bias", entry(1, (2,), data, shard=1)),
        (b"d/bias/Adam", entry(1, (2,), data, shard=1)),
    ]
    prefix = tmp_path / "ck"
    Path(f"{prefix}.index").write_bytes(tables.table(sorted([(b"", message((1, 2))), *entries])))
    Path(f"{prefix}.data-00000-of-00002").write_bytes(data)
    status, _, err = run("inspect", prefix)
    assert status == 2
    assert "ck.data-00001-of-00002: a data shard is missing (needed by d/bias); copy all files of the checkpoint, or --salvage" in err
    status, out, _ = run("inspect", prefix, "--salvage")
    assert status == 0
    assert "kernel, bias! (2,)" in " ".join(out.split())
    assert "unread: d/bias is damaged: a data shard is missing (ck.data-00001-of-00002)" in " ".join(out.split())
    rows = run("inspect", prefix, "--salvage", "--output-format", "csv")[1].splitlines()
    assert rows[0].endswith(",damage")
    assert [row.endswith("a data shard is missing (ck.data-00001-of-00002)") for row in rows[1:]] == [False, True]
    for style in ("table", "md", "html", "json"):
        assert "a data shard is missing" in run("inspect", prefix, "--salvage", "--output-format", style)[1], style
    assert run("inspect", prefix, "d/bias", "--salvage")[0] == 2
    assert run("inspect", prefix, "d/kernel", "--salvage")[0] == 0
    assert "-2" in run("inspect", prefix, "d", "--salvage")[1]
    model = kmt.read(prefix, salvage=True)
    assert model.optimizer is not None
    assert [slot.weight.key for slot in model.optimizer.slots] == ["d/bias"]
    assert sorted(keys_in_tree(model)) == sorted(key for key, _ in model.tensors())


def test_an_object_graph_that_is_damaged(tmp_path: Path, run: Run) -> None:
    prefix = copied(tmp_path)
    data = shard_of(prefix).read_bytes()
    at = data.index(b"layer_with_weights-0")
    flip(shard_of(prefix), at)
    status, _, err = run("inspect", prefix)
    assert (status, GRAPH in err, "--salvage" in err) == (2, True, True)
    model = kmt.read(prefix, salvage=True)
    assert any(note.kind == "unread" and "called by their keys" in note.text for note in model.notes)
    graph = kmt.read(CHECKPOINT)
    assert {weight.key for _, weight in model.weights()} == {weight.key for _, weight in graph.weights()}
    assert not any(".ATTRIBUTES" in part for path, _ in model.weights() for part in path)
    assert {slot.key for slot in graph.optimizer.slots} <= {extra.key for extra in model.extras} if graph.optimizer else True
    assert GRAPH in {extra.key for extra in model.extras}
    whole = dict(graph.tensors())
    kept = dict(model.tensors())
    assert kept.keys() == whole.keys()
    assert all(kept[key].read().tobytes() == whole[key].read().tobytes() for key in whole if key != GRAPH)
    assert not kmt.verify(prefix).whole


def test_an_index_that_is_damaged_is_no_checkpoint(tmp_path: Path) -> None:
    prefix = copied(tmp_path)
    flip(Path(f"{prefix}.index"), 40)
    with pytest.raises(kmt.CorruptFileError, match=r"keras-2\.21\.0\.index: a checksum is wrong"):
        kmt.read(prefix, salvage=True)


def v1(path: Path, names: list[str], missing: str = "") -> None:
    meta = b"".join(message((1, message((1, name.encode()), (2, shape(2)), (3, 1), (4, message((1, b"")))))) for name in names)
    records = [
        (slice_key(name.encode(), ((0, -1),)), message((2, message((1, name.encode()), (3, message((5, struct.pack("<2f", 1, 2))))))))
        for name in names
        if name != missing
    ]
    path.write_bytes(tables.table([(b"", message((1, meta)))], *([record] for record in sorted(records))))


def test_v1_with_a_damaged_block(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    v1(path, ["a", "b", "c"])
    at = path.read_bytes().index(b"\0b\0\1")
    flip(path, at)
    model = kmt.read(path, salvage=True)
    assert {damage.key for damage in kmt.verify(model).damages} == {"b"}
    assert {key: value for key, value in dict(model.tensors()).items() if key != "b"}["c"].read().tolist() == [1, 2]
    with pytest.raises(kmt.CorruptFileError, match=r"m\.ckpt: a checksum is wrong \(b, table block at byte \d+\); .*--salvage"):
        dict(kmt.read(path).tensors())["b"].read()


def test_v1_of_which_a_file_is_missing(tmp_path: Path) -> None:
    v1(tmp_path / "m.ckpt-00000-of-00002", ["a"])
    with pytest.raises(kmt.CorruptFileError, match=r"m\.ckpt-00001-of-00002: a file of the checkpoint is missing; .*--salvage"):
        kmt.read(tmp_path / "m.ckpt-00000-of-00002")
    model = kmt.read(tmp_path / "m.ckpt-00000-of-00002", salvage=True)
    assert values(model) == {"a": struct.pack("<2f", 1, 2)}
    assert kmt.verify(model).unread == ("m.ckpt-00001-of-00002 is missing, with the tensors that it alone lists",)
    v1(tmp_path / "m.ckpt-00001-of-00002", ["b"])
    assert len(values(kmt.read(tmp_path / "m.ckpt-00000-of-00002"))) == 2


# HDF5.


@pytest.mark.parametrize("path", [H5, STORE, LEGACY_WEIGHTS], ids=lambda path: path.name)
def test_hdf5_cut_short(path: Path, tmp_path: Path) -> None:
    """What is read is what was there, and never anything else; the more of the file, the more of it."""
    data = path.read_bytes()
    whole = {key: tensor.read().tobytes() for key, tensor in kmt.read(path).tensors()}
    target = tmp_path / path.name
    most = 0
    for length in range(len(data) // 8, len(data), 211):
        target.write_bytes(data[:length])
        with pytest.raises(kmt.CorruptFileError, match=r"not a whole HDF5 file.*--salvage"):
            kmt.read(target)
        model = salvaged_or_none(target)
        if model is None:
            continue
        found = kmt.verify(model)
        assert not found.whole
        damaged = {damage.key for damage in found.damages}
        read = {key: tensor.read().tobytes() for key, tensor in model.tensors() if key not in damaged}
        assert read.items() <= whole.items()
        assert sorted(keys_in_tree(model)) == sorted(key for key, _ in model.tensors())
        most = max(most, len(read))
    assert most >= len(whole) - 2


def salvaged_or_none(path: Path) -> kmt.Model | None:
    try:
        return kmt.read(path, salvage=True)
    except kmt.CorruptFileError:
        return None


def test_a_chunk_that_is_damaged(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "m.weights.h5"
    shutil.copy(STORE, path)
    with h5py.File(path, "r+") as file:
        name = "layers/dense/vars/0"
        old = file[name][()]
        del file[name]
        made = file.create_dataset(name, data=old, chunks=old.shape, fletcher32=True)
        at = made.id.get_chunk_info(0).byte_offset
    assert kmt.verify(path).whole
    flip(path, at)
    assert [damage.key for damage in kmt.verify(path).damages] == ["layers/dense/vars/0"]
    status, out, _ = run("inspect", path, "--salvage", "--stats")
    assert (status, "kernel!" in out) == (0, True)
    status, _, err = run("inspect", path, "--stats")
    assert (status, "layers/dense/vars/0" in err) == (2, True)


def test_shards_that_are_missing(tmp_path: Path, run: Run) -> None:
    for path in (SAMPLES / "keras_weights").glob("sharded*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "sharded_00001.weights.h5").unlink()
    index = tmp_path / "sharded.weights.json"
    status, _, err = run("inspect", index)
    assert (status, "a shard is missing" in err, "--salvage" in err) == (2, True, True)
    status, out, _ = run("inspect", index, "--salvage")
    assert status == 0
    assert "unread: sharded_00001.weights.h5: a shard is missing; it is to hold layers/" in " ".join(out.split())
    assert 0 < len(values(kmt.read(index, salvage=True))) < len(values(kmt.read(SAMPLES / "keras_weights" / "sharded.weights.json")))
    status, _, err = run("convert", index, tmp_path / "o.h5", "--salvage")
    assert (status, "a shard is missing" in err) == (2, True)


# Archives.


def test_an_archive_with_a_wrong_checksum(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "m.keras"
    shutil.copy(ARCHIVE, path)
    flip(path, place(ARCHIVE, "my_d1/kernel"))
    status, out, _ = run("inspect", path, "--verify")
    assert status == 2
    assert "model.weights.h5 is damaged: its checksum is wrong; a part of the values is wrong, and nothing tells which" in " ".join(
        out.split()
    )
    status, _, err = run("convert", path, tmp_path / "o.h5", "--salvage")
    assert (status, "nothing tells which" in err, (tmp_path / "o.h5").exists()) == (2, True, False)


def test_a_file_of_a_layer_that_is_damaged(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "v.keras"
    folder = SAMPLES / "keras_archive" / "vocabulary"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
        info = next(info for info in archive.infolist() if info.filename.startswith("assets/"))
    flip(path, info.header_offset + 30 + len(info.filename) + 2)
    with pytest.raises(kmt.CorruptFileError):
        kmt.read(path)
    model = kmt.read(path, salvage=True)
    assert f"assets/{model.assets[0].name}" != info.filename
    assert len(model.assets) == len(kmt.read(folder).assets) - 1
    assert any(note.kind == "unread" and note.text.startswith(f"{info.filename} is damaged") for note in model.notes)
    status, _, err = run("convert", path, tmp_path / "o.keras", "--salvage")
    assert (status, info.filename in err) == (2, True)
    assert run("convert", path, tmp_path / "o.keras", "--salvage", "--lossy")[0] == 0
    assert values(kmt.read(tmp_path / "o.keras")) == values(kmt.read(folder))


# Converting.


def damaged_checkpoint(folder: Path, key: str) -> Path:
    prefix = copied(folder)
    tensor = dict(kmt.read(prefix).tensors())[key]
    assert tensor.byte_range is not None
    flip(shard_of(prefix), tensor.byte_range.offset)
    return prefix


def test_the_rest_of_a_checkpoint_is_converted(tmp_path: Path, run: Run) -> None:
    lost, weight = next(iter(kmt.read(CHECKPOINT).weights()))
    prefix = damaged_checkpoint(tmp_path, weight.key)
    target = tmp_path / "o.h5"
    status, _, err = run("convert", prefix, target, "--lossy")
    assert (status, weight.key in err, "--salvage" in err, target.exists()) == (2, True, True, False)
    status, _, err = run("convert", prefix, target, "--salvage")
    assert (status, f"{join_path(lost)}, which is damaged: a tensor's checksum is wrong" in err, "--lossy" in err) == (2, True, True)
    assert not target.exists()
    status, _, err = run("convert", prefix, target, "--salvage", "--lossy")
    assert status == 0
    assert f"lost {join_path(lost)}, which is damaged" in " ".join(err.split())
    expected = values(kmt.read(CHECKPOINT))
    del expected[join_path(lost)]
    assert sorted(values(kmt.read(target)).values()) == sorted(expected.values()), "a legacy file of weights calls some layers otherwise"


def test_a_hole_is_not_filled_by_what_follows(tmp_path: Path) -> None:
    """In Keras's layout variables go by numbers: without gamma, beta stays 1."""
    path = tmp_path / "m.weights.h5"
    shutil.copy(STORE, path)
    with h5py.File(path, "r+") as file:
        name = "layers/batch_normalization/vars/0"
        old = file[name][()]
        del file[name]
        made = file.create_dataset(name, data=old, chunks=old.shape, fletcher32=True)
        at = made.id.get_chunk_info(0).byte_offset
    flip(path, at)
    report = kmt.convert(path, tmp_path / "o.weights.h5", salvage=True, lossy=True)
    assert any("which is damaged" in line for line in report.lost)
    assert any("the optimizer's state" in line for line in report.lost)
    with h5py.File(tmp_path / "o.weights.h5") as file, h5py.File(STORE) as whole:
        assert sorted(file["layers/batch_normalization/vars"]) == ["1", "2", "3"]
        assert "optimizer" not in file
        for number in ("1", "2", "3"):
            key = f"layers/batch_normalization/vars/{number}"
            np.testing.assert_array_equal(file[key][()], whole[key][()])


def test_with_a_layout_from_another_file(tmp_path: Path) -> None:
    """The layout names and places the weights that are left."""
    whole = tmp_path / "whole.weights.h5"
    data = {name: np.arange(size, dtype="<f4") for name, size in (("a", 2), ("b", 3), ("c", 4))}
    with h5py.File(whole, "w") as file:
        for name, array in data.items():
            file[f"layers/{name}/vars/0"] = array
    raw = b"".join(array.tobytes() for array in data.values())
    starts = {"a": 0, "b": 8, "c": 20}
    entries = [(f"{name}/w".encode(), entry(1, array.shape, array.tobytes(), starts[name])) for name, array in data.items()]
    prefix = tables.bundle(str(tmp_path / "ck"), entries, raw)
    flip(Path(f"{prefix}.data-00000-of-00001"), 9)
    kmt.convert(prefix, tmp_path / "o.weights.h5", like=whole, salvage=True, lossy=True)
    with h5py.File(tmp_path / "o.weights.h5") as file:
        found: dict[str, object] = {}
        file.visititems(lambda name, item: found.update({name: item[()].tolist()}) if isinstance(item, h5py.Dataset) else None)
    assert found == {"layers/a/vars/0": [0, 1], "layers/c/vars/0": [0, 1, 2, 3]}


def damaged_h5(folder: Path, name: str) -> Path:
    """A legacy file of which one dataset is damaged, in a chunk with a checksum."""
    path = folder / "m.h5"
    shutil.copy(H5, path)
    with h5py.File(path, "r+") as file:
        old = file[name][()]
        del file[name]
        made = file.create_dataset(name, data=old, chunks=old.shape, fletcher32=True)
        at = made.id.get_chunk_info(0).byte_offset
    flip(path, at)
    return path


def test_a_model_without_some_of_its_weights_is_no_model(tmp_path: Path, run: Run) -> None:
    path = damaged_h5(tmp_path, "model_weights/my_d2/my_d2/kernel")
    status, _, err = run("convert", path, tmp_path / "o.keras", "--salvage", "--lossy")
    assert (status, "holds whole models" in err, (tmp_path / "o.keras").exists()) == (2, True, False)
    report = kmt.convert(path, tmp_path / "o.h5", salvage=True, lossy=True)
    assert not report.carried
    made = kmt.read(tmp_path / "o.h5")
    assert made.architecture is None
    expected = values(kmt.read(H5))
    del expected["my_d2/kernel"]
    assert values(made) == expected


def test_optimizer_state_that_is_damaged(tmp_path: Path) -> None:
    whole = kmt.read(H5)
    assert whole.optimizer is not None
    path = damaged_h5(tmp_path, whole.optimizer.slots[3].key)
    with pytest.raises(kmt.ConversionError) as caught:
        kmt.convert(path, tmp_path / "o.keras", salvage=True)
    assert len(caught.value.losses) == 2
    kmt.convert(path, tmp_path / "o.keras", salvage=True, lossy=True)
    made = kmt.read(tmp_path / "o.keras")
    assert made.optimizer is None
    assert made.architecture is not None
    assert values(made) == values(whole)
    kmt.convert(path, tmp_path / "p.keras", optimizer=False)


def test_what_is_not_carried_is_no_loss(tmp_path: Path) -> None:
    path = damaged_h5(tmp_path, "model_weights/my_d2/my_d2/kernel")
    report = kmt.convert(path, tmp_path / "o.h5", drop=["my_d2"], salvage=True)
    assert not report.lost


def test_nothing_left(tmp_path: Path) -> None:
    data = bytes(8)
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"d/w", entry(1, (2,), data, crc=1))], data)
    with pytest.raises(kmt.ConversionError, match="no weight can be read: d/w, which is damaged"):
        kmt.convert(prefix, tmp_path / "o.h5", salvage=True, lossy=True)


def test_a_whole_file_is_converted_as_ever(tmp_path: Path) -> None:
    kmt.convert(H5, tmp_path / "a.keras")
    kmt.convert(H5, tmp_path / "b.keras", salvage=True)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


# Comparing.


def test_what_is_damaged_is_not_compared(tmp_path: Path, run: Run) -> None:
    path = damaged_h5(tmp_path, "model_weights/my_d2/my_d2/kernel")
    assert run("diff", path, H5)[0] == 2
    status, out, err = run("diff", path, H5, "--salvage")
    assert status == 2, "the same, as far as it can be told"
    assert "my_d2/kernel: is damaged as an HDF5 file" in err
    assert "9 weights" in out
    with h5py.File(path, "r+") as file:
        file["model_weights/my_d1/my_d1/bias"][0] = 77
    status, out, _ = run("diff", path, H5, "--salvage")
    assert (status, "my_d1/bias" in out) == (1, True)
    assert run("diff", H5, H5, "--salvage")[0] == 0


def test_optimizer_state_that_is_damaged_is_not_compared(tmp_path: Path, run: Run) -> None:
    whole = kmt.read(H5)
    assert whole.optimizer is not None
    path = damaged_h5(tmp_path, whole.optimizer.slots[3].key)
    status, out, err = run("diff", path, H5, "--salvage")
    assert status == 2
    assert whole.optimizer.slots[3].key in err
    assert "optimizer  " not in out


# Formats that cannot.


def test_a_format_that_salvages_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from kmodel_tools.formats import keras_h5

    record: Format = replace(keras_h5.FORMAT, salvages=False)
    monkeypatch.setattr(keras_h5, "FORMAT", record)
    assert any(note.kind == "odd" and "nothing can be salvaged" in note.text for note in kmt.read(H5, salvage=True).notes)


@pytest.mark.parametrize("option", ["--npy=x.npy", "--output-format=csv"])
def test_verifying_is_of_a_whole_file(option: str, run: Run) -> None:
    assert run("inspect", H5, "--verify", option)[0] == 2
    assert run("inspect", H5, "my_d1", "--verify")[0] == 2
