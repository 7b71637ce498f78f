"""Over 144 real models: the doctor finds what Keras 3 refused and said there, and takes no trained model for an untrained one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kmodel_tools as kmt
from kmodel_tools.doctor.facts import facts_of
from tests.conftest import CORPUS
from tests.test_corpus import manifest, path_of

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here")]

OF_KERAS = ("hdf5 whole model", ".keras archive", "architecture json")


@cache
def findings(path: Path) -> tuple[kmt.Finding, ...]:
    return kmt.diagnose(path)


def models(*kinds: str) -> list[Any]:
    return [pytest.param(entry, id=entry["id"]) for entry in manifest() if entry["format"].startswith(kinds)]


@pytest.mark.parametrize("entry", models(*OF_KERAS))
def test_what_keras_3_refuses_has_a_finding_and_nothing_else(entry: dict[str, Any]) -> None:
    found = [item for item in findings(path_of(entry)) if item.identifier != "compile-rejected-by-keras-3"]  # with compile=False
    said = any(item.severity == "error" or item.identifier == "custom-objects" for item in found)
    if entry["keras3_loads"]:
        assert not said
    else:
        assert said


@pytest.mark.parametrize("entry", models(*OF_KERAS, "hdf5 weights"))
def test_what_an_optimizer_has_moved_is_not_taken_for_untrained(entry: dict[str, Any]) -> None:
    path = path_of(entry)
    try:
        optimizer = kmt.read(path).optimizer
    except kmt.KmtError:
        return
    facts = [facts_of(slot.tensor) for slot in optimizer.slots] if optimizer is not None else []
    if any(item is not None and not item.is_all(0.0) for item in facts):
        assert not {"weights-initial", "optimizer-step-0"} & {item.identifier for item in findings(path)}


def _said(entry: dict[str, Any]) -> bool:
    return bool(entry.get("keras3_error")) and not entry["keras3_error"].startswith("not attempted")


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry["id"]) for entry in manifest() if _said(entry)])
def test_what_keras_3_said_of_a_model_is_explained(entry: dict[str, Any]) -> None:
    """Every one of them is known, and most are explained by the file itself."""
    said = f"{entry['keras3_error']}\n{entry.get('keras3_error_detail') or ''}"
    found = kmt.diagnose(path_of(entry), error=said)
    assert found[0].theme == "message"
    assert found[0].identifier != "message-not-known"
    assert all(item.cure for item in found)
