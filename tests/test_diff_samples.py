"""What `kmt diff` prints is the text in `sample_models/diff`; `python -m tests.test_diff_samples` writes the texts anew, for review."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kmodel_tools.cli import kmt
from tests import edits
from tests.conftest import ROOT, SAMPLES

FOLDER = SAMPLES / "diff"
H5 = "sample_models/keras_h5/keras-3.15.1.h5"
ARCHIVE = "sample_models/keras_archive/keras-3.15.1_trained.keras"
WEIGHTS = "sample_models/keras_weights/keras-3.15.1.weights.h5"
OLD = "sample_models/keras_h5/tf.keras-2.12.0.h5"
BARE = "sample_models/keras_weights/keras-2.12.0.weights.h5"

CASES: dict[str, tuple[str, ...]] = {
    "containers.txt": (H5, ARCHIVE),
    "weights_only.txt": (H5, WEIGHTS),
    "names_of_classes.txt": (OLD, BARE),
    "generations.txt": (OLD, H5),
    "unrelated.txt": (H5, "sample_models/keras_h5/keras-2.3.1.h5"),
    "training.txt": ("before.h5", "after.h5"),
    "training.stat.txt": ("before.h5", "after.h5", "--stat"),
    "training.names.txt": ("before.h5", "after.h5", "--name-only"),
    "training.md": ("before.h5", "after.h5", "--output-format", "md"),
    "training.json": ("before.h5", "after.h5", "--json", "--only", "weights,config"),
    "half.txt": ("before.h5", "half.h5", "--only", "weights"),
    "half_within.txt": ("before.h5", "half.h5", "--only", "weights", "--rtol", "1e-3"),
    "transposed.txt": ("before.h5", "transposed.h5", "--only", "weights"),
}
MADE = {
    "before.h5": (),
    "after.h5": (edits.one_value, edits.layer_config("my_d2", activation="relu"), edits.learning_rate),
    "half.h5": (edits.every_weight(edits.halved),),
    "transposed.h5": (edits.every_weight(edits.turned),),
}


def printed(arguments: Sequence[str], folder: Path) -> str:
    """What `kmt diff` prints, run in a folder with the samples and the edited copies."""
    here = Path.cwd()
    if not (folder / "sample_models").exists():
        (folder / "sample_models").symlink_to(SAMPLES, target_is_directory=True)
    for name, changes in MADE.items():
        if name in arguments and not (folder / name).exists():
            edits.edited(folder / name, *changes)
    os.chdir(folder)
    try:
        return CliRunner().invoke(kmt, ["diff", *arguments], catch_exceptions=False).output
    finally:
        os.chdir(here)


@pytest.mark.parametrize("name", CASES)
def test_a_diff_reads_as_the_text_in_the_samples(name: str, tmp_path: Path) -> None:
    assert printed(CASES[name], tmp_path) == (FOLDER / name).read_text(encoding="utf-8")


def test_no_line_is_wider_than_a_terminal() -> None:
    for path in FOLDER.glob("*.txt"):
        assert max(len(line) for line in path.read_text(encoding="utf-8").splitlines()) <= 80, path


def test_every_text_has_its_case() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(CASES)
    assert (ROOT / "sample_models" / "diff").is_dir()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for case, given in CASES.items():
            (FOLDER / case).write_text(printed(given, Path(scratch)), encoding="utf-8")
