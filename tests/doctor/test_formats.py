"""How findings are shown: text, JSON, SARIF, GitHub's annotations; what the exit status tells."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kmodel_tools.cli import kmt, main
from kmodel_tools.doctor.kinds import kinds
from tests.doctor.cases import MODELS

UNTRAINED = str(MODELS / "untrained.keras")


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner(env={"KERAS_HOME": "nowhere"}).invoke(
        kmt, ["doctor", *arguments], input=text, catch_exceptions=False, standalone_mode=False
    )


def test_the_exit_status_tells() -> None:
    assert run(str(MODELS / "clean.keras")).return_value == 0
    assert run(UNTRAINED).return_value == 1
    assert run(UNTRAINED, "--quiet").output == ""
    assert main(["doctor", "nothing.h5"]) == 2
    assert main(["doctor", UNTRAINED, "--only", "nonsense"]) == 2


def test_two_files_are_never_called_equal_unseen() -> None:
    """What is compared is one theme, and a message is of one file: other wishes are refused, not answered with nothing."""
    both = str(MODELS / "clean.keras"), str(MODELS / "trained_on.keras")
    assert run(*both).return_value == 1
    assert run(*both, "--only", "comparison,weights").return_value == 1
    assert main(["doctor", *both, "--only", "weights"]) == 2
    assert main(["doctor", *both, "--error", UNTRAINED]) == 2
    assert run(str(MODELS / "clean.keras"), __file__, "--only", "comparison").return_value == 1


def test_a_name_is_no_option_in_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(MODELS / "clean.keras", "-rf.h5")
    assert "mv ./-rf.h5 ./-rf.keras" in run("--", "-rf.h5").output


def test_lines_fit_but_for_cures_that_are_to_be_copied() -> None:
    for line in run(UNTRAINED).output.splitlines()[1:]:
        assert len(line) <= 80 or line.startswith("  cure")


def test_words_longer_than_a_line_are_broken(tmp_path: Path) -> None:
    """But for those in a cure, and where the file lies."""
    said = f"OSError: Unable to open file (unable to open file: name = '{'folder/' * 20}model.h5', errno = 13)"
    lines = run(str(MODELS / "clean.h5"), "--error", "-", text=said).output.splitlines()
    assert max(len(line) for line in lines[1:] if not line.startswith("  cure")) == 80


@pytest.mark.parametrize(("size", "said"), [(33_455, "1 byte is missing."), (20, "28 bytes are missing, at least.")])
def test_one_is_singular(size: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes((MODELS / "clean.h5").read_bytes()[:size])
    assert said in run(str(tmp_path / "cut.h5")).output


def test_json_has_all_of_it() -> None:
    found = json.loads(run(UNTRAINED, "--json").output)
    assert found["counts"] == {"error": 0, "warning": 1, "note": 1}
    first = found["findings"][0]
    assert first["identifier"] == "weights-initial"
    assert first["evidence"][0] == {"layer": "hidden/kernel", "key": "glorot_uniform", "value": "-0.5316 … 0.5065, std 0.3081"}
    assert first["page"] == "docs/findings.md#weights-initial"
    assert first["sure"] == "likely"
    assert {item["what"] for item in found["not_in_a_file"]} >= {"the order of classes", "the split of the data"}


def test_sarif_has_a_rule_and_a_result_for_each() -> None:
    """SARIF 2.1.0, sections 3.13 to 3.27: what a log, a run, a rule and a result must have."""
    log = json.loads(run(str(MODELS / "gadget.keras"), "--format", "sarif").output)
    assert log["version"] == "2.1.0"
    [one] = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "kmt doctor"
    for result in one["results"]:
        rule = driver["rules"][result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["id"] in kinds()
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("gadget.keras")


def test_annotations_are_one_line_each() -> None:
    lines = run(UNTRAINED, "--format", "github").output.splitlines()
    assert len(lines) == 2
    assert all(re.match(r"::(error|warning|notice) file=[^,:]+,title=[a-z0-9-]+::\S", line) for line in lines)


def test_themes_are_chosen() -> None:
    assert run(UNTRAINED, "--only", "safety,training").return_value == 0
    assert "weights-initial" in run(UNTRAINED, "--only", "weights").output


def test_a_message_comes_from_a_file_or_a_pipe(tmp_path: Path) -> None:
    said = "ValueError: No model config found in the file at w.h5."
    (tmp_path / "error.txt").write_text(said, encoding="utf-8")
    weights = str(MODELS / "clean.weights.h5")
    from_file = run(weights, "--error", str(tmp_path / "error.txt"))
    assert "weights-given-for-model" in from_file.output
    assert run(weights, "--error", "-", text=said).output == from_file.output
    assert main(["doctor", weights, "--error", str(tmp_path / "none.txt")]) == 2


def test_all_evidence_is_shown_on_request(tmp_path: Path) -> None:
    layers = [{"class_name": "Own", "config": {"name": f"own_{index}", "size": 1}} for index in range(20)]
    drops = [{"class_name": "Dropout", "config": {"name": f"drop_{index}", "rate": 0.5, "seed": None}} for index in range(20)]
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"layers": [*layers, *drops]}}), encoding="utf-8")
    assert "… 12 more: --all shows them" in run(str(path)).output
    assert "drop_19" in run(str(path), "--all").output
