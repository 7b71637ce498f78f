"""What commands print for damaged files is the text in `sample_models/damaged`; `python -m tests.test_damaged_samples` writes it anew.

The files are copies of a sample of which bytes are changed or cut off; `docs/guides/damaged-files.md` shows some of the texts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from kmodel_tools.cli import kmt
from kmodel_tools.errors import KmtError
from kmodel_tools.storage.tensor_bundle import read_bundle
from tests.conftest import ROOT, SAMPLES

FOLDER = SAMPLES / "damaged"
SAMPLE = SAMPLES / "tf_checkpoint" / "tensorflow-1-1"
GUIDE = (ROOT / "docs" / "guides" / "damaged-files.md").read_text(encoding="utf-8")

CASES = {
    "refused.txt": "inspect cut-1",
    "verify_whole.txt": "inspect whole-1 --verify",
    "verify.txt": "inspect flipped-1 --verify",
    "verify.json": "inspect flipped-1 --verify --json",
    "inspect.txt": "inspect cut-1 --salvage",
    "stats.txt": "inspect flipped-1 --salvage --stats",
    "convert.txt": "convert flipped-1 rest.h5 --salvage",
    "convert_lossy.txt": "convert flipped-1 rest.h5 --salvage --lossy",
    "diff.txt": "diff flipped-1 whole-1 --salvage",
}


def make(folder: Path) -> None:
    """A whole copy of the sample, one with a wrong byte in a weight, and one whose shard ends early."""
    for name in ("whole-1", "flipped-1", "cut-1"):
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copy(f"{SAMPLE}{suffix}", folder / f"{name}{suffix}")
    weight = read_bundle(str(SAMPLE))["conv1/weights"].byte_range
    assert weight is not None
    shard = folder / "flipped-1.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[weight.offset + 5] ^= 16
    shard.write_bytes(data)
    shard = folder / "cut-1.data-00000-of-00001"
    shard.write_bytes(data[: 3 * len(data) // 4])


def printed(command: str, folder: Path) -> str:
    """What a command prints in a folder with the damaged copies."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        outcome = CliRunner().invoke(kmt, command.split())
        if isinstance(outcome.exception, KmtError):
            return f"kmt: {outcome.exception}\n"
        return outcome.output
    finally:
        os.chdir(here)


@pytest.mark.parametrize("name", CASES)
def test_a_command_prints_the_text(name: str, tmp_path: Path) -> None:
    make(tmp_path)
    assert printed(CASES[name], tmp_path) == (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["refused.txt", "verify.txt", "inspect.txt", "convert.txt"])
def test_the_guide_shows_it(name: str) -> None:
    assert f"$ kmt {CASES[name]}\n{(FOLDER / name).read_text(encoding='utf-8')}```" in GUIDE


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        make(Path(made))
        for text, line in CASES.items():
            (FOLDER / text).write_text(printed(line, Path(made)), encoding="utf-8")
