"""One command in a process of its own, timed; or watched for its memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import AbsentError, environment, need_module, need_program

SAMPLE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Command:
    """What is run.

    Attributes:
        arguments: The program and its arguments.
        writes: What it writes; taken away before each run, outside of the measured time.
        modules: Python packages without which it cannot run.
        programs: Likewise programs.
        exits: The exit status that it ends with when all is well.
    """

    arguments: tuple[str, ...]
    writes: str | None = None
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    exits: int = 0

    def need(self) -> None:
        """Raises `AbsentError` where something that it needs is not installed."""
        for module in self.modules:
            need_module(module)
        for program in self.programs:
            need_program(program)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: seconds from start to end, and seconds of both processors together."""

    seconds: float
    processor: float


def timed(command: Command) -> Run:
    """Run a command to its end.

    Raises:
        AbsentError: It ended otherwise than it should.
    """
    clear(command)
    if command.writes is not None:
        os.sync()  # so that it does not wait for what others left to be written
    start = time.perf_counter()
    process = _started(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    _check(process, command)
    return Run(seconds, usage.ru_utime + usage.ru_stime)


def peak_memory(command: Command) -> int:
    """The most anonymous memory of a command at any time, in bytes; mapped files do not count.

    Linux keeps no maximum of it, so `RssAnon` of /proc/PID/status is looked at about every millisecond.

    Raises:
        AbsentError: There is no /proc, or the command ended otherwise than it should.
    """
    if not Path("/proc/self/status").exists():
        raise AbsentError("there is no /proc here to measure memory by")
    clear(command)
    process = _started(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _anonymous(process.pid))
        time.sleep(SAMPLE_SECONDS)
    _check(process, command)
    return peak


def _anonymous(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) << 10
    except OSError:  # it has just ended
        pass
    return 0


def clear(command: Command) -> None:
    """Take away what a command has written, shards and all."""
    if command.writes is None:
        return
    path = Path(command.writes)
    for old in path.parent.glob(f"{path.name}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def _started(command: Command) -> subprocess.Popen[bytes]:
    # A file and no pipe, so that a child that prints much never waits for us.
    return subprocess.Popen(command.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())


def _check(process: subprocess.Popen[bytes], command: Command) -> None:
    if process.returncode != command.exits:
        raise AbsentError(f"exit status {process.returncode} instead of {command.exits}: {_shown(command.arguments)}")


def _shown(arguments: Sequence[str]) -> str:
    return " ".join(argument if len(argument) < 60 else f"{argument[:57]}…" for argument in arguments[1:6])
