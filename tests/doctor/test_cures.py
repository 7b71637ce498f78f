"""Cures work when they are run: after the command the finding is gone; after the line of code too, which a real Keras runs elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.doctor.kinds import kinds
from tests.conftest import SAMPLES
from tests.doctor.cases import COMPARED, MODELS, SHOWN, WITH_MESSAGE, Compared, Shown
from tests.doctor.cures import ADVICE, ELSEWHERE, IN_KERAS, LIBRARY, filled, kind_of, run
from tests.doctor.test_findings import name_of

MODEL = MODELS / "clean.keras"
OF_2_12 = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
"""A model of the layers that the sample of weights has."""


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def of_kind(found: tuple[kmt.Finding, ...], identifier: str) -> kmt.Finding:
    return next(item for item in found if item.identifier == identifier)


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in SHOWN])
def test_a_cure_that_is_a_command_works(case: Shown) -> None:
    """Every one of them is run; what is no command is code that a real Keras runs, or advice."""
    cure = of_kind(kmt.diagnose(case.make()), case.identifier).cure
    kind = kind_of(cure)
    if kind == "words":
        assert cure in ADVICE
    elif kind == "code":
        assert case.identifier in IN_KERAS or cure == LIBRARY
    elif cure.split()[0] not in ELSEWHERE:
        printed = run(filled(cure, case.fill))
        assert case.tells in printed
        assert case.tells or case.identifier not in {item.identifier for item in kmt.diagnose(case.cured)}


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{index}-{case.identifier}") for index, case in enumerate(COMPARED)])
def test_a_cure_of_two_files_works(case: Compared) -> None:
    first = case.make()
    cure = of_kind(kmt.diagnose(first, case.other()), case.identifier).cure
    if kind_of(cure) == "code":
        assert case.identifier in IN_KERAS
        return
    assert case.tells in run(filled(cure, {}))
    assert case.tells or case.identifier not in {item.identifier for item in kmt.diagnose(first, case.cured)}


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in WITH_MESSAGE])
def test_a_cure_of_a_message_works(case: Shown) -> None:
    """Commands are run; lines of code are Python; and the rest is advice."""
    cure = kmt.diagnose(case.make(), error=case.error)[0].cure
    kind = kind_of(cure)
    if kind == "words":
        assert cure in ADVICE
    elif kind == "command" and cure.split()[0] not in ELSEWHERE:
        for name in ("YOUR_MODEL.keras", "/srv/models/other"):
            cure = cure.replace(name, str(MODEL))
        run(cure.replace("MODEL_OF_THE_SAME_LAYERS.keras", str(OF_2_12)))


def test_no_advice_and_no_code_is_left_over() -> None:
    """What is listed here is what the doctor says."""
    assert set(IN_KERAS) <= set(kinds())
    assert all(kind_of(cure) == "words" for cure in ADVICE)
