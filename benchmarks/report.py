"""From runs to figures, and from figures to a table or JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.rows import Row, Unit
from benchmarks.running import Run

Pair = tuple[Run, Run]
"""Ours and the peer's run of one round."""


@dataclass(frozen=True, slots=True)
class Result:
    """A row, measured.

    Attributes:
        name: The row's.
        work: What was done.
        unit: What `figure`, `must` and `aim` are.
        must: The worst figure that will do.
        aim: The figure that is aimed at.
        figure: The median over the rounds, None where the row could not be measured.
        spread: The lowest and the highest of the rounds.
        ours: Median seconds (or megabytes) of ours.
        peer: Median seconds of the peer.
        processor: Median ratio of processor time, which other work on the machine disturbs less; None for amounts.
        absent: Why it could not be measured.
    """

    name: str
    work: str
    unit: str
    must: float
    aim: float
    figure: float | None = None
    spread: tuple[float, float] | None = None
    ours: float | None = None
    peer: float | None = None
    processor: float | None = None
    absent: str = ""

    @property
    def verdict(self) -> str:
        """`aim`, `must` or `missed`: what it reached; "" where it was not measured."""
        if self.figure is None:
            return ""
        if self.unit == Unit.FASTER.value:
            return "aim" if self.figure >= self.aim else "must" if self.figure >= self.must else "missed"
        return "aim" if self.figure <= self.aim else "must" if self.figure <= self.must else "missed"


def of_pairs(row: Row, pairs: Sequence[Pair]) -> Result:
    """The figure of runs that were made in pairs: the median of the ratios, not the ratio of the medians.

    Both runs of a pair are neighbours in time, so what slows the machine down slows both.
    """
    upside_down = row.unit is Unit.FASTER
    ratios = [(peer.seconds / ours.seconds) if upside_down else (ours.seconds / peer.seconds) for ours, peer in pairs]
    spent = [ours.processor / peer.processor for ours, peer in pairs if peer.processor]
    return _result(
        row,
        figure=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        ours=statistics.median(ours.seconds for ours, _ in pairs),
        peer=statistics.median(peer.seconds for _, peer in pairs),
        processor=statistics.median(spent) if spent else None,
    )


def of_amounts(row: Row, amounts: Sequence[float]) -> Result:
    """The figure of a row without a peer: the median of its amounts."""
    median = statistics.median(amounts)
    return _result(row, figure=median, spread=(min(amounts), max(amounts)), ours=median)


def not_measured(row: Row, why: str) -> Result:
    """A row that could not be measured, which the table says."""
    return _result(row, absent=why)


def _result(row: Row, **facts: Any) -> Result:
    return Result(row.name, row.work, row.unit.value, row.must, row.aim, **facts)


def table(results: Sequence[Result]) -> str:
    """The results as a table in Markdown."""
    lines = [
        "| row | work | figure | rounds | must | aim | reached | ours | peer | processor |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for item in results:
        sign, unit = ("≥" if item.unit == Unit.FASTER.value else "≤"), item.unit
        goals = f"{sign} {item.must:g} {unit} | {sign} {item.aim:g} {unit}"
        if item.figure is None or item.spread is None:
            lines.append(f"| {item.name} | {item.work} | not measured: {item.absent} | | {goals} | | | | |")
            continue
        spread = " – ".join(f"{value:.3g}" for value in item.spread)
        amount = "MB" if unit == Unit.MEGABYTES.value else "s"
        cells = [f"{value:.3g} {amount}" if value is not None else "" for value in (item.ours, item.peer)]
        cells.append(f"{item.processor:.2f} ×" if item.processor is not None else "")
        facts = [item.name, item.work, f"**{item.figure:.3g} {unit}**", spread, goals, item.verdict, *cells]
        lines.append(f"| {' | '.join(facts)} |")
    return "\n".join(lines)


def data(results: Sequence[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """The results for JSON, beside facts about the run."""
    return {**facts, "rows": [{**asdict(item), "reached": item.verdict} for item in results]}
