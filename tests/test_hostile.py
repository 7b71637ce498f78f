"""Broken files: whatever is cut off or flipped, the answer is a model or an error of ours.

libhdf5 itself can crash on flipped bytes, so those are tried on the containers that are parsed here.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path

import pytest

import kmodel_tools as kmt
from tests.conftest import SAMPLES, sample_files

FILES = [path for path in sample_files() if path.is_file()] + sorted((SAMPLES / "tf_checkpoint").glob("*.index"))
MESSAGES = ("saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb")
FILES += sorted(path for path in (SAMPLES / "saved_model").glob("*/*.*") if path.name in MESSAGES)
PARSED_HERE = [path for path in FILES if path.suffix not in (".h5", ".keras")]


def attempt(path: Path) -> None:
    """Read a model and all of its values, as it is and what is left of it; only errors of ours may come of it."""
    if path.name == "keras_metadata.pb":
        path = path.parent
    with contextlib.suppress(kmt.KmtError):
        model = kmt.read(path)
        kmt.inspect(model)
        for _, tensor in model.tensors():
            for _ in tensor.blocks():
                pass
    with contextlib.suppress(kmt.KmtError):
        model = kmt.read(path, salvage=True)
        kmt.verify(model)
        kmt.inspect(model, stats=True, salvage=True)


def beside(path: Path, folder: Path) -> Path:
    """Copy a sample with everything that belongs to it."""
    if path.parent.parent.name == "saved_model":
        shutil.copytree(path.parent, folder / "model")
        return folder / "model" / path.name
    for other in path.parent.glob(f"{path.name.split('.')[0]}*"):
        if other.is_file() and other.suffix != ".txt":
            shutil.copy(other, folder)
    for other in path.parent.glob(f"{path.stem}.data*"):
        shutil.copy(other, folder)
    shutil.copy(path, folder)
    return folder / path.name


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in FILES])
def test_files_cut_short(path: Path, tmp_path: Path) -> None:
    target = beside(path, tmp_path)
    data = path.read_bytes()
    size = len(data)
    lengths = {*range(0, min(size, 256), 5), *(size * part // 40 for part in range(40)), *range(max(0, size - 64), size, 3)}
    for length in sorted(lengths):
        target.write_bytes(data[:length])
        attempt(target)


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in PARSED_HERE])
def test_flipped_bytes(path: Path, tmp_path: Path) -> None:
    target = beside(path, tmp_path)
    data = path.read_bytes()
    chance = random.Random(path.name)
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 4))):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        target.write_bytes(bytes(broken))
        attempt(target)


@pytest.mark.parametrize("name", ["keras-2.21.0", "tensorflow-1-1"])
def test_a_shard_cut_short_names_the_tensor(name: str, tmp_path: Path) -> None:
    target = beside(SAMPLES / "tf_checkpoint" / f"{name}.index", tmp_path)
    shard = tmp_path / f"{name}.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(kmt.CorruptFileError, match=r"lie outside of the \d+ bytes that are there \(.+\); the file is cut short"):
        kmt.read(target)
