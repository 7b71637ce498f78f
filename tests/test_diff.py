"""`kmt diff` as a user runs it, and where h5diff gives no answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kmodel_tools
from kmodel_tools import cli, tree
from kmodel_tools.render.diff_markdown import diff_markdown
from kmodel_tools.render.diff_text import diff_text, names_text, stat_text
from tests import edits
from tests.conftest import SAMPLES
from tests.edits import edited

H5 = str(edits.SAMPLE)
ARCHIVE = str(SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras")
WEIGHTS = str(SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5")


class Outcome:
    """The exit status of a command, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.status = cli.main(["diff", *arguments])
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def changed(tmp_path: Path) -> str:
    return str(edited(tmp_path / "after.h5", edits.one_value, edits.layer_config("my_d2", activation="relu")))


@pytest.mark.parametrize("other", [H5, ARCHIVE, WEIGHTS])
def test_one_model_in_two_containers(capsys: pytest.CaptureFixture[str], other: str) -> None:
    result = Outcome(capsys, H5, other)
    assert (result.status, result.err) == (0, "")
    assert "weights          same          10 weights, 47 values" in result.out
    assert result.out.splitlines()[-2].startswith("same: layers, weights")


def test_one_value(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    result = Outcome(capsys, H5, changed)
    assert result.status == 1
    assert "my_d1/kernel  (4, 3) float32" in result.out
    assert "1 of 12 values (8.3 %), max abs 0.5" in result.out
    assert "at [2, 1]: -0.5928488 → -0.09284878" in result.out
    assert "my_d2  activation: linear → relu" in result.out


# h5diff prints nothing, or that some objects are not comparable, and exits 1.


def test_h5diff_the_same_arrays_below_another_group(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    alone = edits.weights_alone(edits.SAMPLE, tmp_path / "alone.h5")
    result = Outcome(capsys, H5, str(alone))
    assert result.status == 0
    assert "10 weights, 47 values" in result.out


def test_h5diff_equal_values_in_another_precision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    half = edited(tmp_path / "half.h5", edits.every_weight(edits.halved))
    exact = edited(tmp_path / "exact.h5", edits.every_weight(lambda values: values.astype(np.float32)), source=half)
    result = Outcome(capsys, str(half), str(exact), "--only", "weights")
    assert result.status == 0
    assert "float16 → float32 in 10 arrays: the same values" in result.out
    rounded = Outcome(capsys, H5, str(half), "--only", "weights")
    assert rounded.status == 1
    assert "b is a rounded to float16" in rounded.out
    assert Outcome(capsys, H5, str(half), "--only", "weights", "--rtol", "1e-3").status == 0


def test_h5diff_transposed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = Outcome(capsys, H5, str(edited(tmp_path / "turned.h5", edits.every_weight(edits.turned))), "--only", "weights")
    assert result.status == 1
    assert result.out.count("transposed: the same values") == 3
    assert "(4, 3) → (3, 4) float32" in result.out


def test_h5diff_an_archive(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    assert Outcome(capsys, ARCHIVE, changed).status == 1
    assert Outcome(capsys, ARCHIVE, ARCHIVE).status == 0


def test_h5diff_another_version_of_keras(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    near = edited(tmp_path / "near.h5", edits.other_version, edits.every_weight(lambda values: values + np.float32(1e-4)))
    assert Outcome(capsys, H5, str(near), "--atol", "1e-3").status == 0
    assert Outcome(capsys, H5, str(near)).status == 1


# Options.


def test_only(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    assert Outcome(capsys, H5, changed, "--only", "layers,training-config", "--only", "optimizer").status == 0
    result = Outcome(capsys, H5, changed, "--only", "weights")
    assert (result.status, "activation" in result.out) == (1, False)
    assert "no aspect called 'wieghts'" in Outcome(capsys, H5, H5, "--only", "wieghts").err


def test_selecting_and_renaming(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    result = Outcome(capsys, H5, changed, "--exclude", "my_d1/kernel", "--exclude", "re:^my_d2$")
    assert result.status == 0
    assert "weights left out" in result.out
    assert Outcome(capsys, H5, changed, "--include", "bn").status == 0
    assert Outcome(capsys, H5, H5, "--by", "name", "--rename", "my_d1=other").status == 1


def test_short_forms(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    assert Outcome(capsys, H5, changed, "--name-only").out == "my_d1/kernel\nmy_d2\n"
    assert Outcome(capsys, H5, changed, "--stat").out.startswith(" my_d1 | 1 of 12 values, max abs 0.5 ~")
    quiet = Outcome(capsys, H5, changed, "-q")
    assert (quiet.status, quiet.out) == (1, "")
    assert Outcome(capsys, H5, changed, "--stat", "--name-only").status == 2


def test_json(capsys: pytest.CaptureFixture[str], changed: str) -> None:
    document = json.loads(Outcome(capsys, H5, changed, "--json").out)
    assert (document["same"], document["path_a"], document["pairing"]["by"]) == (False, H5, "name")
    (change,) = document["weights"]
    assert (change["path_a"], change["values"]["index"], change["values"]["max_abs"]) == ("my_d1/kernel", [2, 1], 0.5)
    assert {aspect["name"]: aspect["status"] for aspect in document["aspects"]}["config"] == "different"


def test_output_to_a_file(capsys: pytest.CaptureFixture[str], changed: str, tmp_path: Path) -> None:
    target = tmp_path / "comment.md"
    result = Outcome(capsys, H5, changed, "--output-format", "md", "-o", str(target))
    assert (result.status, result.out) == (1, "")
    assert target.read_text().startswith("### Model diff: ")
    assert Outcome(capsys, H5, changed, "-o", str(target)).status == 2
    assert Outcome(capsys, H5, changed, "-o", str(target), "--force").status == 1


def test_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = Outcome(capsys, H5, str(tmp_path / "none.h5"))
    assert (missing.status, missing.out) == (2, "")
    assert Outcome(capsys, H5, H5, "--by", "shapes").status == 2
    assert Outcome(capsys, H5, H5, "--rename", "nothing").status == 2
    assert Outcome(capsys, H5, H5, "--from-b", "keras-archive").status == 2


# Readable for three layers and for three thousand.

WEIGHT = np.zeros(2, dtype=np.float32)


def _many(count: int, offset: float, settings: int = 3) -> kmodel_tools.Model:
    names = [f"dense_{number}" for number in range(count)]
    weights = [
        tree.Weight("kernel", kmodel_tools.Tensor.of(WEIGHT + np.float32(offset * number)), name) for number, name in enumerate(names)
    ]
    layers = tuple(tree.Layer(name, class_name="Dense", weights=(item,)) for name, item in zip(names, weights, strict=True))
    configs = [{"class_name": "Dense", "config": {"name": name, "units": settings}} for name in names]
    return kmodel_tools.Model(layers=layers, architecture={"class_name": "Sequential", "config": {"name": "m", "layers": configs}})


def test_a_diff_of_many_layers_stays_short() -> None:
    result = kmodel_tools.diff(_many(3000, 0), _many(3000, 1, settings=4))
    text = diff_text(result, ("a", "b"), ("a", "b"))
    assert len(text.splitlines()) < 90
    assert "dense_2999/kernel" in text
    assert "… 2,979 more of 2,999: --top 0 shows all" in text
    assert "units: 3 → 4, in 3,000 places" in text
    assert "dense_1/kernel" in diff_text(result, ("a", "b"), ("a", "b"), top=0)
    assert len(stat_text(result).splitlines()) == 3001
    assert len(diff_markdown(result, ("a", "b"), ("a", "b")).splitlines()) < 70


NASTY = "x\x1b[31m|`<b>@you#1\n"


def test_names_from_files_cannot_write_to_the_terminal_or_the_page() -> None:
    def named(values: float, kind: str) -> kmodel_tools.Model:
        layer = tree.Layer(NASTY, class_name=kind, weights=(tree.Weight(NASTY, kmodel_tools.Tensor.of(WEIGHT + values), NASTY),))
        return kmodel_tools.Model(layers=(layer,), metadata={"dialect": NASTY}, training_config={NASTY: f"{values} {NASTY}"})

    result = kmodel_tools.diff(named(0, "A"), named(1, NASTY))
    for text in (diff_text(result, (NASTY, "b"), (NASTY, "b")), stat_text(result), names_text(result)):
        assert "\x1b" not in text
        assert r"x\x1b[31m" in text
    page = diff_markdown(result, (NASTY, "b"), (NASTY, "b"))
    assert "\x1b" not in page
    assert "<b>" not in page.replace("`x\\x1b[31m|'<b>@you#1\\x0a`", "")
    assert "@you" not in page.replace("`x\\x1b[31m|'<b>@you#1\\x0a`", "")
