"""A little of the long run, each time; and the watch itself: it sees what hangs, dies and grows."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import children
from tests.fuzz.children import attempt_all
from tests.fuzz.targets import fuzz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked, and their memory is bounded by Linux")


@pytest.mark.parametrize("whole_commands", [False, True], ids=["readers", "commands"])
def test_mutated_files_are_models_or_refused(whole_commands: bool, tmp_path: Path) -> None:
    found, failures = fuzz(200, 20261121, tmp_path, whole_commands)
    assert not failures, "\n".join(failures)
    assert found.total == 200
    assert min(found.counts["model"], found.counts["refused"]) > 10


def well() -> str:
    return "model"


def raising() -> str:
    raise ValueError("none of ours")


def dying() -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return "model"


def leaving() -> str:
    os._exit(3)


def slow() -> str:
    time.sleep(9)
    return "model"


def growing() -> str:
    return "model" if bytearray(600 << 20) else ""


@pytest.mark.parametrize(
    ("attempt", "said"),
    [(raising, "none of ours"), (dying, "SIGSEGV"), (leaving, "ended with 3"), (slow, "takes more than"), (growing, "MemoryError")],
)
def test_what_goes_wrong_is_seen(attempt: children.Attempt, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "SECONDS", 0.3)
    found = attempt_all([well, attempt, well], tmp_path / "log")
    assert found.counts == {"model": 2, "failed": 1}
    ((number, text),) = found.failures
    assert number == 1
    assert said in text


def test_a_child_that_is_stuck_in_c_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck() -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(9)
        return "model"

    monkeypatch.setattr(children, "SECONDS", 0.3)
    monkeypatch.setattr(children, "PATIENCE", 1.0)
    found = attempt_all([stuck, well], tmp_path / "log")
    assert found.counts == {"model": 1, "failed": 1}
    assert "SIGKILL" in found.failures[0][1]
