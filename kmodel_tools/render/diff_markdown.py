"""A `Diff` as Markdown for a pull request: the verdict, a table of aspects, and the differences folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kmodel_tools.differ.result import NEITHER, Diff, LayerChange, WeightChange
from kmodel_tools.render.diff_text import FEW, TOP
from kmodel_tools.render.diff_words import (
    aspect_details,
    aspect_name,
    described,
    layer_text,
    optimizer_only_text,
    pairing_text,
    paths_text,
    recast_texts,
    same_settings,
    setting_change,
    side_remarks,
    side_text,
    value_text,
    verdict,
)
from kmodel_tools.render.words import number, printable, shape_text

Table = tuple[str, list[str], list[list[str]]]
"""A heading with what to count, column titles, rows."""


def diff_markdown(diff: Diff, titles: Sequence[str], files: Sequence[str], top: int = TOP) -> str:
    """Lay out a comparison as GitHub Markdown.

    Args:
        diff: What to show.
        titles: The two formats' names for people.
        files: The two paths as the user gave them.
        top: Rows of each table; 0 for all.
    """
    named = " → ".join(f"`{_code(file)}`" for file in files)
    lines = [f"### Model diff: {named}", "", f"**{_cell(verdict(diff))}**", ""]
    for letter, side, title in zip("ab", (diff.a, diff.b), titles, strict=True):
        lines.append(f"* {letter}: {_cell('; '.join((side_text(side, title), *side_remarks(side))))}")
    lines += [f"* {_cell(pairing_text(diff))}", ""]
    details = [
        [_cell(aspect_name(item.name)), item.status, "<br>".join(map(_cell, aspect_details(item)))]
        for item in diff.aspects
        if item.status != NEITHER
    ]
    lines += _table(["aspect", "verdict", "what"], details)
    for title, columns, rows in _tables(diff):
        shown = rows[:top] if top else rows
        lines += ["", f"<details><summary>{title} ({len(rows):,})</summary>", "", *_table(columns, shown)]
        if len(shown) < len(rows):
            lines += ["", f"… and {len(rows) - len(shown):,} more"]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _tables(diff: Diff) -> Iterator[Table]:
    tables: list[Table] = [
        ("Layers", ["", "layer"], [_layer(change) for change in diff.layers]),
        ("Changed weights, the largest change first", CHANGE, [_weight(change) for change in diff.weights if change.differs]),
        ("Weights in one of the two", ["", "weight", "shape"], _alone(diff)),
        ("Weights of another dtype", ["what"], [[_cell(text)] for text in recast_texts(diff.weights)]),
        ("Trainable flags and settings", ["layer", "setting"], _settings(diff)),
        ("Training config", ["setting"], [[_cell(setting_change(change))] for change in diff.training_config]),
        ("Optimizer", ["what"], [[_cell(optimizer_only_text(change))] for change in diff.optimizer_only]),
        ("Optimizer state", CHANGE, [_weight(change) for change in diff.optimizer if change.differs]),
        ("Assets, in bytes", ["file"], [[_cell(setting_change(change))] for change in diff.assets]),
        ("Extras", CHANGE, [_weight(change) for change in diff.extras if change.differs]),
    ]
    return (table for table in tables if table[2])


CHANGE = ["weight", "shape, dtype", "changed", "max abs", "max rel", "RMS", "cosine", "worst", ""]


def _weight(change: WeightChange) -> list[str]:
    values = change.values
    start = [_cell(paths_text(change.path_a, change.path_b)), _cell(described(change))]
    if values is None:
        return [*start, "", "", "", "", "", "", _cell(change.layout or "")]
    place = f"{list(values.index)}: " if values.index else ""
    worst = f"{place}{value_text(values.value_a, values.value_b)}" if values.index is not None else ""
    notes = [change.layout] if change.layout else []
    notes += [f"the values of {printable(change.values_of)}"] if change.values_of else []
    notes += [f"{values.nans:,} NaN on one side"] if values.nans else []
    notes += [f"the one rounds to the other in {values.rounded_to}"] if values.rounded_to else []
    numbers = [number(value) for value in (values.max_abs, values.max_rel, values.rms, values.cosine)]
    return [*start, f"{values.changed:,} of {values.size:,}", *numbers, _cell(worst), _cell("; ".join(notes))]


def _layer(change: LayerChange) -> list[str]:
    mark, text = layer_text(change)
    return [_cell(mark), _cell(text) + (f"<br>? {_cell(printable(change.doubt))}" if change.doubt else "")]


def _alone(diff: Diff) -> list[list[str]]:
    sides = (("-", diff.only_a), ("+", diff.only_b))
    return [[mark, _cell(printable(item.path)), f"{shape_text(item.shape)} {item.dtype}"] for mark, items in sides for item in items]


def _settings(diff: Diff) -> list[list[str]]:
    rows = []
    for changes in (*same_settings(diff.trainable), *same_settings(diff.config)):
        names = ", ".join(paths_text(change.path_a, change.path_b) for change in changes[:FEW])
        more = f" and {len(changes) - FEW:,} more" if len(changes) > FEW else ""
        rows.append([_cell(names + more), _cell(setting_change(changes[0]))])
    return rows


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join('---' for _ in columns)}|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _cell(text: str) -> str:
    """Text of a file in a table: nothing in it is markup, a link, a mention or the end of the cell."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;").replace("#", "&#35;")
    return re.sub(r"([\\`*_{}\[\]|~!])", r"\\\1", escaped)


def _code(text: str) -> str:
    return printable(text).replace("`", "'")
