"""Running attempts in a child that is watched: its time, its memory, and how it ends."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

SECONDS = 2.0
"""An attempt that takes longer is a hang."""
MEMORY = 512 << 20
"""Bytes that a child may take."""
PATIENCE = 20.0
"""Seconds after which a child that says nothing is ended."""

Attempt = Callable[[], str]
"""Does one thing; returns `model` or `refused`. Whatever it raises is a failure."""


class Hang(BaseException):
    """Raised in an attempt that takes too long; nothing catches it."""


@dataclass(slots=True)
class Outcome:
    """What came of a number of attempts.

    Attributes:
        counts: How many ended how.
        failures: The number of an attempt, and what was wrong with it.
        longest: Seconds that the longest took.
        memory: Bytes that the largest child took.
    """

    counts: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    longest: float = 0.0
    memory: int = 0

    def add(self, other: Outcome, first: int = 0) -> None:
        """Add what came of further attempts, which are counted from `first`."""
        for name, count in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.failures += [(first + number, text) for number, text in other.failures]
        self.longest, self.memory = max(self.longest, other.longest), max(self.memory, other.memory)

    @property
    def total(self) -> int:
        """All attempts."""
        return sum(self.counts.values())


def attempt_all(attempts: Sequence[Attempt], log: Path) -> Outcome:
    """Do all attempts in children; one that dies is a failure of the attempt it was at, and the next child goes on behind it.

    Args:
        attempts: What is done, in order.
        log: A file that children write to.
    """
    found = Outcome()
    first = 0
    while first < len(attempts):
        log.write_text("")
        child = os.fork()
        if not child:
            _work(attempts[first:], log)
        died = _watch(child, log)
        done = [json.loads(line) for line in log.read_text().splitlines()]
        for number, (how, seconds, text) in enumerate(done):
            found.counts[how] = found.counts.get(how, 0) + 1
            found.longest = max(found.longest, seconds)
            if how == "failed":
                found.failures.append((first + number, text))
        first += len(done)
        found.memory = max(found.memory, _peak(log))
        if died and first < len(attempts):
            found.counts["failed"] = found.counts.get("failed", 0) + 1
            found.failures.append((first, died))
            first += 1
    return found


def _peak(log: Path) -> int:
    place = log.with_suffix(".memory")
    return int(place.read_text()) if place.exists() else 0


def _watch(child: int, log: Path) -> str:
    """Wait for a child; how it died, or "" where it came to its end."""
    said, since = -1, time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        size = log.stat().st_size
        if size != said:
            said, since = size, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"the process died of {name}{' after saying nothing for long' if name == 'SIGKILL' else ''}"
    return "" if os.WEXITSTATUS(status) == 0 else f"the process ended with {os.WEXITSTATUS(status)}"


def _work(attempts: Sequence[Attempt], log: Path) -> None:
    """The child: does the attempts and ends."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Hang

    faulthandler.disable()  # that of pytest, which would print where it died
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    devnull = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(devnull, descriptor)
    with log.open("a") as lines:
        for attempt in attempts:
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            how, text = _one(attempt)
            signal.setitimer(signal.ITIMER_REAL, 0)
            lines.write(json.dumps([how, time.monotonic() - start, text]) + "\n")
            lines.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    log.with_suffix(".memory").write_text(str(peak))
    sys.stdout.flush()
    os._exit(0)


def _one(attempt: Attempt) -> tuple[str, str]:
    try:
        return attempt(), ""
    except Hang:
        return "failed", f"takes more than {SECONDS} seconds: {traceback.format_exc()[-600:]}"
    except BaseException:  # noqa: BLE001  # whatever it is, it is a failure, and the next attempt is made
        return "failed", traceback.format_exc()[-1500:]
