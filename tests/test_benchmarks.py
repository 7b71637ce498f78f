"""The harness of the benchmarks: what it makes of runs. Nothing is timed here."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest

import kmodel_tools as kmt
from benchmarks.__main__ import interleaved, main, size
from benchmarks.inputs import MAKERS, AbsentError, Inputs
from benchmarks.report import data, not_measured, of_amounts, of_pairs, table
from benchmarks.rows import Row, Unit, rows
from benchmarks.running import Command, Run, peak_memory, timed

NOTHING = Command((sys.executable, "-c", "pass"))


def row(unit: Unit, must: float = 2.0, aim: float = 1.0) -> Row:
    return Row("name", "work", NOTHING, NOTHING, unit, must, aim)


def runs(*seconds: tuple[float, float]) -> list[tuple[Run, Run]]:
    return [(Run(ours, ours / 2), Run(peer, peer / 4)) for ours, peer in seconds]


def test_the_figure_is_the_median_of_the_ratios_of_pairs() -> None:
    # The machine was ten times slower in the last two rounds, and one of ours was disturbed.
    found = of_pairs(row(Unit.TIMES), runs((1.5, 1.0), (15.0, 10.0), (90.0, 10.0)))
    assert (found.figure, found.spread) == (1.5, (1.5, 9.0))
    assert (found.ours, found.peer, found.processor) == (15.0, 10.0, 3.0)
    assert found.verdict == "must"


def test_how_many_times_faster_is_the_ratio_upside_down() -> None:
    found = of_pairs(row(Unit.FASTER, must=2, aim=5), runs((1.0, 4.0), (1.0, 6.0), (1.0, 7.0)))
    assert (found.figure, found.verdict) == (6.0, "aim")
    assert of_pairs(row(Unit.FASTER, must=2, aim=5), runs((1.0, 1.5))).verdict == "missed"


@pytest.mark.parametrize(("amount", "verdict"), [(0.5, "aim"), (1.0, "aim"), (2.0, "must"), (2.1, "missed")])
def test_amounts_are_held_against_the_goals(amount: float, verdict: str) -> None:
    assert of_amounts(row(Unit.SECONDS), [amount, amount, 100.0]).verdict == verdict


def test_the_table_says_what_was_not_measured_and_why() -> None:
    results = [of_pairs(row(Unit.TIMES), runs((1.0, 2.0))), not_measured(row(Unit.FASTER), "h5diff is not installed")]
    lines = table(results).splitlines()
    assert lines[2].startswith("| name | work | **0.5 ×** | 0.5 – 0.5 | ≤ 2 × | ≤ 1 × | aim | 1 s | 2 s |")
    assert "not measured: h5diff is not installed" in lines[3]
    assert len({line.count("|") for line in lines}) == 1
    assert json.loads(json.dumps(data(results, {"rounds": 1})))["rows"][1]["absent"] == "h5diff is not installed"


def test_a_pair_is_run_in_turn_and_the_first_round_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ours, peer = (Command(("sh", "-c", f'echo {name} >> "{log}"')) for name in ("ours", "peer"))
    pairs = interleaved(Row("name", "work", ours, peer, Unit.TIMES, 1, 1), rounds=2)
    assert len(pairs) == 2
    assert log.read_text(encoding="utf-8").split() == ["peer", "ours", "ours", "peer", "peer", "ours"]


def test_what_a_command_wrote_is_taken_away_before_it_runs_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = Command((sys.executable, "-c", "import sys; open(sys.argv[1], 'x')", str(out)), writes=str(out))
    timed(command)
    timed(command)


def test_a_command_that_fails_and_one_that_is_not_there_are_said() -> None:
    with pytest.raises(AbsentError, match="exit status 3 instead of 0"):
        timed(Command((sys.executable, "-c", "raise SystemExit(3)")))
    assert timed(Command((sys.executable, "-c", "raise SystemExit(3)"), exits=3)).seconds > 0
    with pytest.raises(AbsentError, match="no-such-program is not installed"):
        Command(("no-such-program",), programs=("no-such-program",)).need()
    with pytest.raises(AbsentError, match="no_such_package is not installed"):
        Command(NOTHING.arguments, modules=("no_such_package",)).need()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured by /proc")
def test_memory_is_the_most_that_there_was_at_any_time() -> None:
    code = "import time; data = bytearray(b'x') * (64 << 20); time.sleep(0.2); del data; time.sleep(0.05)"
    assert 64 << 20 <= peak_memory(Command((sys.executable, "-c", code))) < 96 << 20


def test_every_row_has_a_name_of_its_own_and_inputs_that_can_be_made(tmp_path: Path) -> None:
    found = rows(Inputs(tmp_path, 1 << 30, 10_000), rounds=3)
    assert len({item.name for item in found}) == len(found)
    assert {name for item in found for name in item.inputs} <= set(MAKERS)


def test_the_inputs_are_models_that_are_what_they_say(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, 8 << 20, 20)
    for name in ("large.h5", "large_other.h5", "deep.h5", "deep_tenth.h5"):
        inputs.ensure(name)
    large, deep = kmt.read(inputs.path("large.h5")), kmt.read(inputs.path("deep.h5"))
    assert sum(weight.tensor.nbytes for _, weight in large.weights()) == pytest.approx(8 << 20, rel=0.51)
    assert len(list(deep.weights())) == 2 * 20
    assert len(list(kmt.read(inputs.path("deep_tenth.h5")).weights())) == 2 * 2
    changes = kmt.diff(large, inputs.path("large_other.h5")).weights
    assert all(change.values is not None and change.values.fraction == 1 for change in changes)
    assert len(changes) == len(list(large.weights()))


def test_rows_are_listed_and_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "diff-*", "hash"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["diff-equal", "diff-equal-h5diff", "diff-other", "hash"]


def test_sizes_are_read_as_people_write_them() -> None:
    assert [size(text) for text in ("64M", "1GiB", "2g", "100")] == [64 << 20, 1 << 30, 2 << 30, 100]
    with pytest.raises(argparse.ArgumentTypeError, match="is no size"):
        size("much")
