"""`python -m benchmarks`: make the inputs, measure the rows, print the table."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.inputs import AbsentError, Inputs, run
from benchmarks.report import Pair, Result, data, not_measured, of_amounts, of_pairs, table
from benchmarks.rows import Row, Unit, rows
from benchmarks.running import Run, clear, peak_memory, timed

SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 if a row that was measured missed what it must reach."""
    options = _parser().parse_args(arguments)
    with _folder(options.cache) as folder:
        inputs = Inputs(folder / f"{options.size}_{options.layers}", options.size, options.layers)
        chosen = [row for row in rows(inputs, options.rounds) if _is_chosen(row.name, options.rows)]
        if options.list:
            print("\n".join(f"{row.name:22} {row.work}" for row in chosen))  # noqa: T201  # this is a command
            return 0
        results = [_measured(row, inputs, options.rounds) for row in chosen]
    print(table(results))  # noqa: T201
    if options.json:
        facts = {"python": platform.python_version(), "machine": platform.machine(), "processors": os.cpu_count()}
        facts |= {"rounds": options.rounds, "size": options.size, "layers": options.layers}
        Path(options.json).write_text(json.dumps(data(results, facts), indent=2) + "\n", encoding="utf-8")
    return 1 if any(item.verdict == "missed" for item in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours beside the peers, interleaved; the README says more.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names of rows, or patterns such as 'convert-*'; all without any")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs for each row (7)")
    parser.add_argument("--size", type=size, default=1 << 30, help="bytes of the large model: 64M, 1G (1G)")
    parser.add_argument("--layers", type=int, default=10_000, help="layers of the deep model (10000)")
    parser.add_argument("--cache", metavar="FOLDER", help="keep the inputs here for another time; else in a temporary folder")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON too")
    parser.add_argument("--list", action="store_true", help="list the rows and measure none")
    return parser


def size(text: str) -> int:
    """A number of bytes such as `64M`."""
    found = re.fullmatch(r"(\d+)([kmg]?)i?b?", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 64M or 1G")
    return int(found[1]) * SIZES[found[2]]


@contextlib.contextmanager
def _folder(cache: str | None) -> Iterator[Path]:
    if cache is not None:
        yield Path(cache).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="kmt-benchmarks-") as folder:
        yield Path(folder)


def _is_chosen(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _measured(row: Row, inputs: Inputs, rounds: int) -> Result:
    print(f"{row.name} …", file=sys.stderr, flush=True)  # noqa: T201
    commands = [row.ours] if row.peer is None else [row.ours, row.peer]
    try:
        for command in commands:
            command.need()
        for name in row.inputs:
            inputs.ensure(name)
        if row.unit is Unit.MEGABYTES:
            return of_amounts(row, [peak_memory(row.ours) / 1e6 for _ in range(min(rounds, 3))])
        if row.peer is not None:
            return of_pairs(row, interleaved(row, rounds))
        if row.unit is Unit.SECONDS:
            return of_amounts(row, [timed(row.ours).seconds for _ in range(rounds + 1)][1:])
        pairs = json.loads(run(list(row.ours.arguments)).splitlines()[-1])
        return of_pairs(row, [(Run(ours, 0.0), Run(peer, 0.0)) for ours, peer in pairs])
    except AbsentError as error:
        return not_measured(row, str(error))
    finally:
        for command in commands:
            clear(command)


def interleaved(row: Row, rounds: int) -> list[Pair]:
    """Pairs of runs, each first in turn; one round before them, which fills the caches, does not count.

    Raises:
        AbsentError: A command ended otherwise than it should.
    """
    assert row.peer is not None
    pairs: list[Pair] = []
    for number in range(rounds + 1):
        if number % 2:
            ours, peer = timed(row.ours), timed(row.peer)
        else:
            peer, ours = timed(row.peer), timed(row.ours)
        clear(row.ours)
        clear(row.peer)
        pairs.append((ours, peer))
    return pairs[1:]


if __name__ == "__main__":
    sys.exit(main())
