"""What every format promises, over the registry and the samples."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.format import Container, Format, Part, Probe
from kmodel_tools.formats import FORMAT_MODULES, all_formats
from kmodel_tools.tensor import ByteRange
from tests.conftest import SAMPLES, sample_files
from tests.trees import keys_in_tree, keys_of_the_file

FORMATS = [pytest.param(item, id=item.name) for item in all_formats()]
FILES = [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()]
METADATA = 64 << 10


@pytest.mark.parametrize("item", FORMATS)
def test_a_record_is_well_formed(item: Format) -> None:
    name, module, containers, suffixes = next(line for line in FORMAT_MODULES if line[0] == item.name)
    assert importlib.import_module(f"kmodel_tools.formats.{module}").FORMAT is item
    assert item.containers == containers
    assert item.suffixes == suffixes
    assert name == item.name == item.name.lower()
    assert item.title
    assert item.suffixes
    assert all(suffix.startswith(".") for suffix in item.suffixes)
    assert item.holds & (Part.WEIGHTS | Part.ARCHITECTURE)
    assert any(path.parent.name == module for path in sample_files()), f"{module} has no sample"


def test_names_are_not_given_twice() -> None:
    assert len({item.name for item in all_formats()}) == len(FORMAT_MODULES)


@pytest.mark.parametrize("path", FILES)
def test_a_sample_is_claimed_by_its_format_alone(path: Path) -> None:
    probe = Probe(path)
    claims = [item.name for item in all_formats() if probe.container in item.containers and item.detect(probe) is not None]
    assert claims == [path.parent.name.replace("_", "-")]
    assert kmt.detect(path).name == claims[0]


# The others are several files, which find each other by name.
SINGLE_FILES = [
    pytest.param(path, id=f"{path.parent.name}/{path.name}")
    for path in sample_files()
    if Probe(path).container in (Container.HDF5, Container.ZIP, Container.TABLE) or path.parent.name == "keras_json"
]


@pytest.mark.parametrize("path", SINGLE_FILES)
def test_a_name_is_no_evidence(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "model.bin")
    assert kmt.digest(tmp_path / "model.bin", everything=True) == kmt.digest(path, everything=True)


@pytest.mark.parametrize("path", FILES)
def test_reading_describes_and_reads_no_values(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are reached through `blocks` and `readinto`; what a reader itself needs is small and goes through `read`."""

    def refuse(*_: object) -> None:
        raise AssertionError("a reader has read values")

    def small(self: ByteRange) -> bytes:
        assert self.length <= METADATA, f"a reader has read {self.length} bytes at once"
        target = bytearray(self.length)
        original(self, memoryview(target))
        return bytes(target)

    original = ByteRange.readinto
    monkeypatch.setattr(ByteRange, "read", small)
    monkeypatch.setattr(ByteRange, "blocks", refuse)
    monkeypatch.setattr("kmodel_tools.storage.hdf5.Hdf5Values.blocks", refuse)
    monkeypatch.setattr("kmodel_tools.storage.bundle_sources.Checked.blocks", refuse)
    model = kmt.read(path)
    assert bool(list(model.weights())) == (Part.WEIGHTS in kmt.detect(path).holds)


@pytest.mark.parametrize("path", FILES)
def test_every_array_is_in_the_tree_once_and_reads(path: Path) -> None:
    model = kmt.read(path)
    stored = dict(model.tensors())
    assert sorted(keys_in_tree(model)) == keys_of_the_file(model)
    for key, tensor in stored.items():
        assert tensor.read().shape == tensor.shape, key
    paths = [path for path, _ in model.weights()]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("path", FILES)
def test_reading_twice_gives_the_same(path: Path) -> None:
    assert kmt.inspect(path).to_dict() == kmt.inspect(path).to_dict()
    assert kmt.digest(path, everything=True) == kmt.digest(path, everything=True)


@pytest.mark.parametrize("path", FILES)
def test_slots_are_tied_by_identity(path: Path) -> None:
    model = kmt.read(path)
    if model.optimizer is not None:
        in_tree = {id(weight) for _, weight in model.weights()}
        assert all(id(slot.weight) in in_tree for slot in model.optimizer.slots)
        assert all(slot.weight.tensor.shape == slot.tensor.shape for slot in model.optimizer.slots)


def test_no_file_stays_open() -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("only Linux shows the open files")
    before = len(list(descriptors.iterdir()))
    models = [kmt.read(path) for path in sample_files()]
    for model in models:
        for _, weight in model.weights():
            weight.tensor.read()
    assert len(list(descriptors.iterdir())) == before


def test_samples_are_small() -> None:
    assert all(path.stat().st_size <= 50_000 for path in SAMPLES.rglob("*") if path.is_file())
