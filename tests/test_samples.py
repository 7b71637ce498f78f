"""Each sample's `kmt inspect` is the text beside it, at 80 columns; `python -m tests.test_samples` writes the texts anew, for review."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from kmodel_tools.cli import kmt
from tests.conftest import ROOT, SAMPLES, sample_files


def inspected(path: Path) -> str:
    """What `kmt inspect` prints for a sample, named from the project's folder."""
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        result = CliRunner().invoke(kmt, ["inspect", str(path.relative_to(ROOT))], catch_exceptions=False)
    finally:
        os.chdir(here)
    return result.output


def golden(path: Path) -> Path:
    return path.with_name(f"{path.name}.inspect.txt")


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_a_sample_reads_as_the_text_beside_it(path: Path) -> None:
    assert inspected(path) == golden(path).read_text(encoding="utf-8")


def test_no_line_is_wider_than_a_terminal() -> None:
    for path in SAMPLES.glob("*/*.inspect.txt"):
        assert max(len(line) for line in path.read_text(encoding="utf-8").splitlines()) <= 80, path


def test_every_sample_is_described() -> None:
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in text for path in sample_files())


if __name__ == "__main__":
    for sample in sample_files():
        golden(sample).write_text(inspected(sample), encoding="utf-8")
