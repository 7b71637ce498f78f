"""A `Diff` as text for a terminal: the differences first, then what was compared and what was not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from kmodel_tools.differ.result import NEITHER, Diff, SettingChange, WeightChange, WeightRecord
from kmodel_tools.render.diff_words import (
    aspect_details,
    aspect_name,
    change_facts,
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
    verdict,
)
from kmodel_tools.render.words import WIDTH, counted, number, printable, shape_text
from kmodel_tools.tree import join_path, split_path

TOP = 20
"""Changes of each kind that are shown unless more are asked for."""
FEW = 6
"""Layers that are named where one change is in many."""
BAR = 20
STATUS = 14
ASPECT = 17


def diff_text(diff: Diff, titles: Sequence[str], files: Sequence[str], top: int = TOP, width: int = WIDTH) -> str:
    """Lay out a comparison.

    Args:
        diff: What to show.
        titles: The two formats' names for people.
        files: The two paths as the user gave them.
        top: Changes of each kind to be shown; 0 for all.
        width: Columns to fill.
    """
    blocks = [_heading(diff, titles, files, width), *_changes(diff, top, width), list(_closing(diff, width))]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _heading(diff: Diff, titles: Sequence[str], files: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for letter, side, title, file in zip("ab", (diff.a, diff.b), titles, files, strict=True):
        lines += [f"{letter}  {printable(file)}", *_wrapped(side_text(side, title), width, "     ")]
        lines += [line for remark in side_remarks(side) for line in _wrapped(remark, width, "     ")]
    return [*lines, *_wrapped(pairing_text(diff), width, "", "  ")]


def _changes(diff: Diff, top: int, width: int) -> Iterator[list[str]]:
    yield _section("layers", [[" ".join(layer_text(change)), *_doubt(change.doubt)] for change in diff.layers], top, width)
    alone = [[f"{mark} {printable(item.path)} {shape_text(item.shape)} {item.dtype}", *_doubt(item.doubt)] for mark, item in _alone(diff)]
    changed = [change for change in diff.weights if change.differs]
    yield _section("weights, the largest change first", [_weight(change) for change in changed], top, width)
    yield _section("weights in one of the two", alone, top, width)
    yield _section("weights of another dtype", [[text] for text in recast_texts(diff.weights)], top, width)
    yield _section("trainable flags", [_setting(changes) for changes in same_settings(diff.trainable)], top, width)
    yield _section("config", [_setting(changes) for changes in same_settings(diff.config)], top, width)
    yield _section("training config", [[setting_change(change)] for change in diff.training_config], top, width)
    state = [[optimizer_only_text(change)] for change in diff.optimizer_only]
    state += [_weight(change) for change in diff.optimizer if change.differs]
    yield _section("optimizer", [*state, *([text] for text in recast_texts(diff.optimizer))], top, width)
    yield _section("assets, in bytes", [[setting_change(change)] for change in diff.assets], top, width)
    yield _section("extras", [_weight(change) for change in diff.extras if change.differs], top, width)


def _alone(diff: Diff) -> Iterator[tuple[str, WeightRecord]]:
    """Weights of one side, but for those of layers that are told as a whole."""
    gone = {change.path_a or change.path_b for change in diff.layers if change.kind in ("added", "removed")}
    for mark, items in (("-", diff.only_a), ("+", diff.only_b)):
        for item in items:
            path = split_path(item.path)
            if not any(join_path(path[:length]) in gone for length in range(1, len(path))):
                yield mark, item


def _doubt(text: str) -> list[str]:
    return [f"? {printable(text)}"] if text else []


def _weight(change: WeightChange) -> list[str]:
    return [f"{paths_text(change.path_a, change.path_b)}  {described(change)}", *(f"    {fact}" for fact in change_facts(change))]


def _setting(changes: Sequence[SettingChange]) -> list[str]:
    """One change of a setting, which may be the same in several layers."""
    first = f"{setting_change(changes[0])}"
    names = [paths_text(change.path_a, change.path_b) for change in changes[:FEW]]
    if len(changes) == 1:
        return [f"{names[0]}  {first}"]
    return [f"{first}, in {len(changes):,} places:", ", ".join(names) + (" …" if len(changes) > FEW else "")]


def _section(title: str, entries: Sequence[Sequence[str]], top: int, width: int) -> list[str]:
    if not entries:
        return []
    shown = entries if not top else entries[:top]
    lines = [title]
    for entry in shown:
        for index, line in enumerate(entry):
            lines += _wrapped(line.lstrip(), width, "  " if index == 0 else "      ", "      ")
    if len(shown) < len(entries):
        lines.append(f"  … {len(entries) - len(shown):,} more of {len(entries):,}: --top 0 shows all")
    return lines


def _closing(diff: Diff, width: int) -> Iterator[str]:
    for aspect in diff.aspects:
        if aspect.status == NEITHER:
            continue
        label, indent = f"{aspect_name(aspect.name):<{ASPECT}}{aspect.status:<{STATUS}}", " " * (ASPECT + STATUS)
        for index, text in enumerate(aspect_details(aspect)):
            yield from (line.rstrip() for line in _wrapped(text, width, label if index == 0 else indent, indent))
    yield ""
    yield from _wrapped(verdict(diff), width, "", "  ")


def _wrapped(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    indent = first if rest is None else rest
    found = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return found or [first.rstrip()]


# Shorter forms.


def stat_text(diff: Diff, width: int = WIDTH) -> str:
    """One line for each layer of which weights differ, as `git diff --stat`: how many values changed, and the largest change."""
    rows = list(_stat_rows(diff))
    names = min(max((len(name) for name, *_ in rows), default=0), width // 2)
    counts = max((len(count) for _, count, _ in rows), default=0)
    lines = [f" {name:<{names}} | {count:>{counts}} {bar}".rstrip() for name, count, bar in rows]
    return "\n".join([*lines, *_wrapped(verdict(diff), width, " ", "   ")]) + "\n"


def _stat_rows(diff: Diff) -> Iterator[tuple[str, str, str]]:
    for layer_change in diff.layers:
        if layer_change.kind in ("added", "removed"):
            mark, text = layer_text(layer_change)
            yield text, layer_change.kind, mark * BAR
    groups: dict[str, list[WeightChange]] = {}
    for change in diff.weights:
        if change.differs:
            groups.setdefault(_layer_of(change), []).append(change)
    for layer, changes in groups.items():
        values = [change.values for change in changes if change.values is not None]
        changed, total = sum(item.changed for item in values), sum(item.size for item in values)
        largest = max((item.max_abs for item in values if item.max_abs is not None), default=None)
        shapes = sum(change.values is None for change in changes)
        parts = [f"{changed:,} of {counted(total, 'value')}"] if total else []
        parts += [f"max abs {number(largest)}"] if largest else []
        parts += [counted(shapes, "shape")] if shapes else []
        share = 1.0 if shapes else changed / total
        yield printable(layer), ", ".join(parts), "~" * max(1, round(share * BAR))


def _layer_of(change: WeightChange) -> str:
    return join_path(split_path(change.path_b)[:-1]) or "(the model)"


def names_text(diff: Diff) -> str:
    """The paths of what differs, one a line: layers and weights by path; others as `@training_config`, `@optimizer`, `@assets/NAME`."""
    found = dict.fromkeys(printable(name) for name in _names(diff) if name)
    return "".join(f"{name}\n" for name in found)


def _names(diff: Diff) -> Iterable[str]:
    yield from (change.path_b or change.path_a for change in diff.layers)
    for _, item in _alone(diff):
        yield item.path
    yield from (change.path_b for change in diff.weights if change.differs)
    yield from (change.path_b or "@config" for change in (*diff.trainable, *diff.config))
    if diff.training_config:
        yield "@training_config"
    if diff.optimizer_only or any(change.differs for change in diff.optimizer):
        yield "@optimizer"
    yield from (f"@assets/{change.key}" for change in diff.assets)
    yield from (f"@extras/{change.path_b or change.path_a}" for change in diff.extras if change.differs)
