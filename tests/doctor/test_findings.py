"""Each finding is found in a file that shows it, with its evidence and cure; the cure works, and the twin has none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

import kmodel_tools as kmt
from kmodel_tools.cli import kmt as command
from kmodel_tools.doctor import BY_THEMES, NOT_IN_A_FILE
from kmodel_tools.doctor.finding import SEVERITIES, SURENESS, THEMES
from kmodel_tools.doctor.kinds import kinds
from kmodel_tools.render.findings_text import evidence_text
from tests.doctor.cases import COMPARED, MODELS, SHOWN, WITH_MESSAGE, Compared, Shown, model, own_loss

CLEAN = (
    "clean.keras",
    "clean.h5",
    "clean.weights.h5",
    "adapted.keras",
    "words.keras",
    "words_kept.h5",
    "seeds_set.json",
    "hashing_salted.keras",
)


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def found(path: str, error: str | None = None) -> dict[str, kmt.Finding]:
    return {item.identifier: item for item in kmt.diagnose(path, error=error)}


def name_of(case: Shown) -> str:
    return f"{case.identifier}-{case.evidence[:30]}"


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in SHOWN])
def test_it_is_found_with_its_evidence_and_nothing_else(case: Shown) -> None:
    findings = found(case.make())
    assert set(findings) == {case.identifier, *case.also}
    item = findings[case.identifier]
    assert any(case.evidence in evidence_text(piece) for piece in item.evidence), item.evidence
    assert item.cure
    assert item.severity in SEVERITIES
    assert item.sure in SURENESS


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in SHOWN])
def test_the_twin_has_no_finding(case: Shown) -> None:
    assert found((case.twin or model("clean.keras"))()) == {}


@pytest.mark.parametrize("name", CLEAN)
def test_models_that_are_all_right_have_no_finding(name: str) -> None:
    assert kmt.diagnose(MODELS / name) == ()


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in WITH_MESSAGE])
def test_a_message_is_explained_by_the_file(case: Shown) -> None:
    path = case.make()
    first = kmt.diagnose(path, error=case.error)[0]
    assert first.identifier == case.identifier
    assert any(case.evidence in evidence_text(piece) for piece in first.evidence), first.evidence
    assert first.evidence[0].key == "message"


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{index}-{case.identifier}") for index, case in enumerate(COMPARED)])
def test_two_files_are_compared(case: Compared) -> None:
    findings = {item.identifier: item for item in kmt.diagnose(case.make(), case.other())}
    assert set(findings) == {case.identifier, *case.also}
    assert any(case.evidence in evidence_text(piece) for piece in findings[case.identifier].evidence), findings[case.identifier].evidence


@pytest.mark.parametrize("other", ["clean.keras", "clean.h5"])
def test_of_two_equal_files_neither_is_the_cause(other: str) -> None:
    """Whatever they are written in; the text says what to look at instead."""
    assert kmt.diagnose(MODELS / "clean.keras", MODELS / other) == ()
    result = CliRunner().invoke(command, ["doctor", str(MODELS / "clean.keras"), str(MODELS / other)])
    assert result.exit_code == 0
    assert "the files are not the cause" in " ".join(result.output.split())
    assert all(what in result.output for what, _ in NOT_IN_A_FILE)


def test_the_cure_of_a_lambda_is_one_for_its_place() -> None:
    """A loss is left out; only a layer can be replaced."""
    assert found(own_loss())["lambda-bytecode"].cure == 'keras.models.load_model("model.keras", compile=False)'


@pytest.mark.parametrize("size", [20_000, 33_400])
def test_what_is_left_of_a_file_is_not_compared(size: int) -> None:
    """One that was cut short behind its values has all of them, and no Keras opens it."""
    Path("cut.h5").write_bytes((MODELS / "clean.h5").read_bytes()[:size])
    [item] = kmt.diagnose(MODELS / "clean.h5", "cut.h5")
    assert item.identifier == "truncated"
    assert item.detail.endswith("It is cut.h5.")


@pytest.mark.parametrize(("words", "differ"), [('["c", "b", "a"]', False), ('["c", "b"]', True), ('["b", "a"]', True)])
def test_words_of_an_asset_and_of_a_configuration_may_be_the_same(words: str, differ: bool) -> None:
    """Those of `words.keras` are in an asset, and in this order."""
    model("words_kept.h5")()
    with h5py.File("words_kept.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('["a", "b", "c"]', words)
    for pair in ((MODELS / "words.keras", "words_kept.h5"), ("words_kept.h5", MODELS / "words.keras")):
        assert ("vocabulary-differs" in {item.identifier for item in kmt.diagnose(*pair)}) == differ


def test_two_runs_part_at_a_layer_that_is_named() -> None:
    [item] = kmt.diagnose(MODELS / "clean.keras", MODELS / "trained_on.keras")
    assert item.detail == "They part first in hidden/kernel; 0 of 8 weights are equal."


def test_every_kind_has_a_file_that_shows_it() -> None:
    shown = {case.identifier for case in (*SHOWN, *WITH_MESSAGE)} | {case.identifier for case in COMPARED}
    assert set(kinds()) - shown == {"checkpoint-not-found"}
    assert all(kind.theme in THEMES and kind.severity in SEVERITIES for kind in kinds().values())


def test_a_checkpoint_by_a_wrong_name_is_explained() -> None:
    shutil.copytree(Path(__file__).parent.parent.parent / "sample_models" / "tf_checkpoint", "ckpt")
    said = "DataLossError: Unable to open table file x: DATA_LOSS: not an sstable (bad magic number)"
    first = kmt.diagnose("ckpt/keras-3.15.1.data-00000-of-00001", error=said)[0]
    assert first.identifier == "checkpoint-not-found"
    assert "prefix = ckpt/keras-3.15.1" in [evidence_text(piece) for piece in first.evidence]


def test_nothing_at_the_path_is_an_error() -> None:
    with pytest.raises(kmt.KmtError, match="no such file"):
        kmt.diagnose("nothing.h5")


def test_settings_of_this_machine_are_compared(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float64"}', encoding="utf-8")
    assert "channels-first" not in found(model("channels_first.json")())
    assert found(model("clean.keras")()).keys() == {"floatx-differs"}
    assert "floatx-differs" not in found(model("float64.json")())


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in SHOWN])
def test_it_is_found_when_its_theme_alone_is_asked_for(case: Shown) -> None:
    theme = kinds()[case.identifier].theme
    assert case.identifier in {item.identifier for item in kmt.diagnose(case.make(), themes=(theme,))}


def test_values_are_not_read_for_what_does_not_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmodel_tools.doctor.case.facts_of", lambda tensor: pytest.fail("a value was read"))
    kmt.diagnose(MODELS / "untrained.keras", themes=("safety", "opening"))


def test_every_check_says_what_it_looks_for() -> None:
    assert all(check.__doc__ for checks, _ in BY_THEMES for check in checks)
    assert os.path.exists(MODELS)
