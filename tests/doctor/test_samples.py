"""Each sample's findings are those of the text beside it; `python -m tests.doctor.test_samples` writes the texts anew, for review."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.render.findings_text import findings_text
from tests.conftest import ROOT, sample_files
from tests.doctor.test_pages import folder


def examined(path: Path) -> str:
    """What the doctor finds in a sample, named from the project's folder."""
    with folder():
        os.chdir(ROOT)
        name = str(path.relative_to(ROOT))
        return findings_text(kmt.diagnose(name), name, (), readers=kmt.readers(name))


def golden(path: Path) -> Path:
    return path.with_name(f"{path.name}.doctor.txt")


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_a_sample_has_the_findings_of_the_text_beside_it(path: Path) -> None:
    assert examined(path) == golden(path).read_text(encoding="utf-8")


if __name__ == "__main__":
    for sample in sample_files():
        golden(sample).write_text(examined(sample), encoding="utf-8")
