"""Sentences about differences that text and Markdown share; nothing in them is escaped yet but by `printable`."""

from __future__ import annotations

from collections.abc import Sequence

from kmodel_tools.differ.result import DIFFERENT, NEITHER, NOT_COMPARED, SAME, Aspect, Diff, LayerChange, SettingChange, Side, WeightChange
from kmodel_tools.differ.values import Difference, Scalar
from kmodel_tools.render.words import counted, number, printable, setting_text, shape_text

ASPECT_NAMES = {"trainable": "trainable flags", "training_config": "training config"}
ARROW = "→"
THE_MODEL = "(the model)"


def aspect_name(name: str) -> str:
    """What people call an aspect."""
    return ASPECT_NAMES.get(name, name)


def side_text(side: Side, title: str) -> str:
    """One of the two files: its format, dialect and producer."""
    known = side.metadata
    parts = [title, known.get("dialect", "")]
    parts.append(f"Keras {known['keras_version']}" if "keras_version" in known else known.get("producer", ""))
    return printable(", ".join(part for part in parts if part))


def side_remarks(side: Side) -> list[str]:
    """What to know of how one of the two is compared, a line each; none where it is as its file has it."""
    first = ["compared as it is carried to Keras 3"] if side.upgraded else []
    return [printable(line) for line in (*first, *side.remarks)]


def pairing_text(diff: Diff) -> str:
    """How the weights were paired."""
    pairing = diff.pairing
    left_out = f"; {counted(pairing.left_out, 'weight')} left out" if pairing.left_out else ""
    return f"weights are paired by {pairing.by}: {pairing.why}{left_out}"


def verdict(diff: Diff) -> str:
    """The whole answer in one sentence: what is different, the same, and not compared."""
    groups = [(status, [aspect_name(aspect.name) for aspect in diff.aspects if aspect.status == status]) for status in STATUSES]
    words = [f"{status}: {', '.join(names)}" for status, names in groups if names]
    tolerance = diff.tolerance
    if (tolerance.rtol or tolerance.atol) and any(aspect.name in ("weights", "optimizer") for aspect in diff.aspects):
        words.append(f"tolerances: rtol {tolerance.rtol:g}, atol {tolerance.atol:g}")
    return "; ".join(words)


STATUSES = (DIFFERENT, SAME, NOT_COMPARED, NEITHER)


def aspect_details(aspect: Aspect) -> list[str]:
    """What was compared of an aspect, and what was not."""
    aside = [f"not compared: {printable('; '.join(aspect.not_compared))}"] if aspect.not_compared else []
    return [printable(aspect.detail), *aside]


def paths_text(path_a: str, path_b: str) -> str:
    """One path, or both where they differ."""
    if path_a == path_b:
        return printable(path_a) or THE_MODEL
    if not path_a or not path_b:
        return printable(path_a or path_b)
    return f"{printable(path_a)} {ARROW} {printable(path_b)}"


def layer_text(change: LayerChange) -> tuple[str, str]:
    """The mark of a change of layers (`-`, `+`, `~`), and what changed."""
    if change.kind in ("added", "removed"):
        mark, path, kind = ("+", change.path_b, change.class_b) if change.kind == "added" else ("-", change.path_a, change.class_a)
        parts = [printable(kind)] if kind else []
        parts += [counted(change.weights, "weight")] if change.weights else []
        return mark, printable(path) + (f" ({', '.join(parts)})" if parts else "")
    if change.kind == "renamed":
        return "~", paths_text(change.path_a, change.path_b)
    if change.kind == "moved":
        place = f"now after {printable(change.after)}" if change.after else "now the first"
        return "~", f"{paths_text(change.path_a, change.path_b)}: moved, {place}"
    return "~", f"{paths_text(change.path_a, change.path_b)}: {printable(change.class_a or '')} {ARROW} {printable(change.class_b or '')}"


def described(change: WeightChange) -> str:
    """Shape and dtype of a weight, both where they differ."""
    shapes, dtypes = shape_text(change.shape_a), change.dtype_a
    if change.shape_a != change.shape_b:
        shapes += f" {ARROW} {shape_text(change.shape_b)}"
    if change.dtype_a != change.dtype_b:
        dtypes += f" {ARROW} {change.dtype_b}"
    return f"{shapes} {dtypes}"


def change_facts(change: WeightChange) -> list[str]:
    """How two arrays differ: one phrase for each line of text."""
    facts: list[str] = []
    if change.layout is not None:
        facts.append(f"{change.layout}: the same values" if not change.layout.startswith("the same") else change.layout)
    if change.values_of is not None:
        facts.append(f"holds the values of {printable(change.values_of)}")
    values = change.values
    if values is None:
        return facts
    if values.changed and (values.size > 1 or values.index is None):
        facts.append(_amounts(values))
    if values.rounded_to is not None:
        narrow, wide = ("b", "a") if change.dtype_b == values.rounded_to else ("a", "b")
        exact = "the same values" if not values.max_abs and not values.changed else f"{narrow} is {wide} rounded to {values.rounded_to}"
        facts.append(exact)
    if values.changed and values.index is not None:
        place = f"at {list(values.index)}: " if values.index else ""
        cosine = number(values.cosine) if values.size > 1 else ""
        facts.append(f"{place}{value_text(values.value_a, values.value_b)}{f'; cosine {cosine}' if cosine not in ('', '1') else ''}")
    return facts


def _amounts(values: Difference) -> str:
    parts = [_count(values)]
    named = (("max abs", values.max_abs), ("max rel", values.max_rel), ("RMS", values.rms))
    parts += [f"{name} {number(value)}" for name, value in named if value is not None and values.changed > values.nans]
    parts += [f"{values.nans:,} NaN on one side"] if values.nans else []
    return ", ".join(parts)


def _count(values: Difference) -> str:
    """How many values changed: `1 of 12 values (8.3 %)`, `all 12 values`."""
    if values.changed == values.size:
        return f"all {counted(values.size, 'value')}"
    share = min(99.9, 100 * values.fraction)
    return f"{values.changed:,} of {counted(values.size, 'value')} ({f'{share:.1f}' if share >= 0.1 else f'{share:.2g}'} %)"


def value_text(a: Scalar | None, b: Scalar | None) -> str:
    """Two values, with as many digits as tell them apart."""
    short = [_value(item, 7) for item in (a, b)]
    return f" {ARROW} ".join(short if short[0] != short[1] else [_value(item, 17) for item in (a, b)])


def _value(value: Scalar | None, digits: int) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return printable(
        value if isinstance(value, str) and len(value) <= 60 else f"{str(value)[:60]}…" if isinstance(value, str) else str(value)
    )


def setting_change(change: SettingChange) -> str:
    """A setting's key with both values: `units: 10 → 12`; `not set` where there is none."""
    if isinstance(change.a, float) and isinstance(change.b, float):
        return f"{printable(change.key)}: {value_text(change.a, change.b)}"
    a = "not set" if change.missing_a else setting_text(change.a)
    b = "not set" if change.missing_b else setting_text(change.b)
    return printable(f"{change.key}: {a} {ARROW} {b}")


def same_settings(changes: Sequence[SettingChange]) -> list[list[SettingChange]]:
    """Changes grouped by what changed into what, in the order in which each comes first."""
    groups: dict[str, list[SettingChange]] = {}
    for change in changes:
        groups.setdefault(f"{change.key} {change.missing_a} {change.a!r} {change.missing_b} {change.b!r}", []).append(change)
    return list(groups.values())


def optimizer_only_text(change: SettingChange) -> str:
    """A slot or counter that one side has alone, or the two classes."""
    if not (change.missing_a or change.missing_b):
        return setting_change(change)
    where = f" of {paths_text(change.path_a, change.path_b)}" if change.path_a else ""
    return f"{printable(change.key)}{where} is in {'b' if change.missing_a else 'a'} alone"


def recast_texts(changes: Sequence[WeightChange]) -> list[str]:
    """Arrays whose values are the same in other dtypes: one sentence for each pair of dtypes."""
    groups: dict[tuple[str, str], list[WeightChange]] = {}
    for change in changes:
        if not change.differs:
            groups.setdefault((change.dtype_a, change.dtype_b), []).append(change)
    found = []
    for (dtype_a, dtype_b), group in groups.items():
        exact = all(not change.values or not change.values.max_abs for change in group)
        largest = max((change.values.max_abs or 0.0 for change in group if change.values), default=0.0)
        rounded = all(change.values and change.values.rounded_to for change in group)
        how = "the same values" if exact else f"equal within the tolerances, max abs {number(largest)}"
        extra = "; the one rounds to the other" if rounded and not exact else ""
        found.append(f"{dtype_a} {ARROW} {dtype_b} in {counted(len(group), 'array')}: {how}{extra}")
    return found
