"""A model's summary as text for a terminal: what it is first, then its layers, in 80 columns or what there is."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kmodel_tools.inspector.summary import LayerRow, Summary, WeightRow
from kmodel_tools.render.graph import graph_facts
from kmodel_tools.render.words import (
    WIDTH,
    byte_size,
    compiled_text,
    counted,
    custom_text,
    number,
    plain_class,
    printable,
    settings_text,
    shape_text,
)

LABEL = 12
MANY = 60
"""A tree of more rows than this shows its beginning and its end, unless all of it is asked for."""
HEAD, TAIL = 30, 10
NOTES = 30
"""Notes that are shown unless all are asked for; a missing shard gives one for every tensor in it."""
NAME_COLUMN = 34
CLASS_COLUMN = 24

Cell = tuple[str, ...]
"""Pieces of text that belong together: a weight, or several of one shape."""
Row = tuple[str, str, str, list[Cell]]
"""A row of the tree: layer, class, number of parameters, weights."""


def summary_text(summary: Summary, title: str, path: str, width: int = WIDTH, everything: bool = False) -> str:
    """Lay out a summary.

    Args:
        summary: What to show.
        title: The format's name for people.
        path: The path as the user gave it.
        width: Columns to fill.
        everything: Show every row, however many there are.
    """
    blocks = ["\n".join(_heading(summary, title, path, width, everything)), "\n".join(_tree(summary, width, everything))]
    if any(row.stats for row in _weights(summary)):
        blocks.append("\n".join(_statistics(summary)))
    blocks.append("\n".join(_notes(summary, width, everything)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def layer_text(
    summary: Summary, path: str, config: Mapping[str, Any] | None, values: Mapping[str, str], width: int = WIDTH, everything: bool = False
) -> str:
    """Lay out one layer with what is below it.

    Args:
        summary: A summary of it alone, with statistics.
        path: Its path in the model.
        config: Its configuration, or None where the file has none.
        values: Values of weights by their paths, as numpy prints them.
        width: Columns to fill.
        everything: Show every row, however many there are.
    """
    heading = [printable(path), *_all_labelled(_amounts(summary), width)]
    if config is not None:
        heading += _labelled("config", settings_text(config), width)
    blocks = ["\n".join(heading), "\n".join(_tree(summary, width, everything))]
    if any(True for _ in _weights(summary)):
        blocks.append("\n".join(_statistics(summary)))
    blocks += [f"{printable(name)}\n{text}" for name, text in values.items()]
    return "\n\n".join(blocks) + "\n"


def _weights(summary: Summary) -> Iterator[WeightRow]:
    yield from summary.own_weights
    for layer in summary.layers:
        yield from layer.weights


# What it is.


def _heading(summary: Summary, title: str, path: str, width: int, everything: bool) -> Iterator[str]:
    yield printable(path)
    dialect = summary.metadata.get("dialect")
    yield from _labelled("format", title + (f", {dialect}" if dialect else ""), width)
    yield from _all_labelled(_facts(summary), width)
    if summary.graph is not None:
        yield from _all_labelled(graph_facts(summary.graph, everything), width)


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    if summary.class_name or summary.name:
        kind = f" ({summary.class_name})" if summary.class_name and summary.name else summary.class_name or ""
        yield "model", f"{summary.name}{kind}"
    producer = _producer(summary)
    if producer:
        yield "written by", producer
    yield from _amounts(summary)
    yield from _state(summary)


def _amounts(summary: Summary) -> Iterator[tuple[str, str]]:
    totals = summary.totals
    dtypes = ", ".join(sorted(totals.dtypes, key=lambda name: -totals.dtypes[name])) or "nothing stored"
    of_layers = f" of {counted(totals.layers, 'layer')}" if totals.layers else ""
    weights = counted(totals.weights, "weight")
    yield "weights", f"{counted(totals.parameters, 'parameter')} in {weights}{of_layers}, {byte_size(totals.nbytes)}, {dtypes}"
    split = [("trained", totals.trainable), ("not trained", totals.non_trainable), ("of which the file does not say", totals.unknown)]
    if totals.weights and (totals.trainable or totals.non_trainable):
        yield "", ", ".join(f"{count:,} {words}" for words, count in split if count)


def _producer(summary: Summary) -> str:
    known = summary.metadata
    parts = [f"Keras {known['keras_version']}"] if "keras_version" in known else [known["producer"]] if "producer" in known else []
    if "backend" in known:
        parts.append(f"{known['backend']} backend")
    if "tensorflow_version" in known:
        parts.append(f"TensorFlow {known['tensorflow_version']}")
    if "date_saved" in known:
        parts.append(f"on {known['date_saved'].replace('@', ' ')}")
    return ", ".join(parts)


def _state(summary: Summary) -> Iterator[tuple[str, str]]:
    compiled = compiled_text(summary.training_config)
    if compiled:
        yield "compiled", compiled
    optimizer = summary.optimizer
    if optimizer is not None:
        counters = ", ".join(f"{name} {value}" for name, value in optimizer.counters.items())
        slots = ", ".join(f"{name} of {counted(count, 'weight')}" for name, count in optimizer.slots.items())
        untied = f"{counted(optimizer.untied, 'array')} not tied to weights" if optimizer.untied else ""
        state = "; ".join(part for part in (counters, slots, untied) if part)
        yield "optimizer", f"{plain_class(optimizer.class_name) or 'class unknown'}: {state or 'no state'} ({byte_size(optimizer.nbytes)})"
    if summary.assets:
        yield "assets", ", ".join(f"{name} ({byte_size(size)})" for name, size in summary.assets)
    for item in summary.custom_objects:
        yield "custom", custom_text(item, 4)
    if summary.extras:
        size = sum(extra.nbytes for extra in summary.extras)
        named = ", ".join(extra.path for extra in summary.extras[:3]) + (" …" if len(summary.extras) > 3 else "")
        yield "extras", f"{counted(len(summary.extras), 'array')} of no layer ({byte_size(size)}): {named}"


def _all_labelled(facts: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    for label, text in facts:
        yield from _labelled(label, text, width)


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    indent = " " * (LABEL + 2)
    lines = textwrap.wrap(printable(text), max(20, width - len(indent)), break_long_words=False, break_on_hyphens=False) or [""]
    yield f"  {label:<{LABEL}}{lines[0]}"
    yield from (indent + line for line in lines[1:])


# The layers.


def _tree(summary: Summary, width: int, everything: bool) -> Iterator[str]:
    usual = max(summary.totals.dtypes, key=lambda name: summary.totals.dtypes[name], default="")
    rows = list(_rows(summary, usual))
    if not rows:
        return
    shown: Sequence[Row] = rows
    hidden = 0
    if len(rows) > MANY and not everything:
        yield from _labelled("classes", _class_counts(summary.layers), width)
        yield ""
        hidden = len(rows) - HEAD - TAIL
        shown = [*rows[:HEAD], *rows[-TAIL:]]
    classes = min(CLASS_COLUMN, max(len("class"), *(len(row[1]) for row in shown)))
    params = max(len("params"), *(len(row[2]) for row in shown))
    with_classes = any(row[1] for row in shown)
    piece = max((len(piece) for *_, cells in shown for cell in cells for piece in cell), default=0)
    room = width - params - (classes + 2 if with_classes else 0) - 4 - piece  # a longer name has a line of its own
    names = max(len("layer"), min(NAME_COLUMN, room, max(len(row[0]) for row in shown)))
    columns = (names, classes if with_classes else None, params)
    class_head = f"  {'class':<{classes}}" if with_classes else ""
    yield f"{'layer':<{names}}{class_head}  {'params':>{params}}  weights"
    for index, row in enumerate(shown):
        if hidden and index == HEAD:
            yield f"… {counted(hidden, 'row')} not shown: --all shows them, or name a layer"
        yield from _row_lines(row, columns, width)
    if any("*" in piece for *_, cells in shown for cell in cells for piece in cell):
        yield ""
        yield "* not trained"
    if any(weight.damage for weight in _weights(summary)):
        yield ""
        yield "! damaged: cannot be read"


def _row_lines(row: Row, columns: tuple[int, int | None, int], width: int) -> Iterator[str]:
    name, class_name, params, cells = row
    names, classes, numbers = columns
    middle = "" if classes is None else f"  {class_name:<{classes}}"
    start = f"{name:<{names}}{middle}  {params:>{numbers}}"
    indent = names + (0 if classes is None else classes + 2) + numbers + 4
    if len(start) + 2 > indent:
        yield f"{name}  {class_name}".rstrip()
        start = f"{params:>{indent - 2}}"
    lines = _flowed(cells, max(24, width - indent)) or [""]
    yield f"{start}  {lines[0]}".rstrip()
    yield from (" " * indent + line for line in lines[1:])


def _flowed(cells: Iterable[Cell], width: int) -> list[str]:
    """Set cells side by side, two blanks apart, and the pieces of a cell one blank apart; break lines between pieces."""
    lines: list[str] = []
    for cell in cells:
        for index, piece in enumerate(cell):
            gap = " " if index else "  "
            if lines and len(lines[-1]) + len(gap) + len(piece) <= width:
                lines[-1] += gap + piece
            else:
                lines.append(piece)
    return lines


def _rows(summary: Summary, usual: str) -> Iterator[Row]:
    if summary.own_weights:
        size = sum(row.parameters for row in summary.own_weights)
        yield "(the model itself)", "", f"{size:,}", _cells(summary.own_weights, usual)
    layers = summary.layers
    index = 0
    while index < len(layers):
        layer = layers[index]
        inlined = _only_descendant(layers, index)
        weights = layer.weights
        prefix = ""
        if inlined is not None:
            index = inlined
            weights = layers[inlined].weights
            prefix = layers[inlined].path[len(layer.path) + 1 :] + "/"
        label = "  " * (layer.depth) + printable(layer.path[_parent_length(layer) :])
        params = f"{layer.parameters:,}" if layer.parameters or layer.weights else ""
        cells = _cells(weights, usual, prefix)
        if layer.aliases:
            cells.append(tuple(f"(also {printable(alias)})" for alias in layer.aliases))
        yield label, printable(layer.class_name or ""), params, cells
        index += 1


def _parent_length(layer: LayerRow) -> int:
    """Where a layer's own component starts in its path."""
    own = layer.attr if layer.attr is not None else layer.name.replace("\\", "\\\\").replace("/", "\\/")
    return len(layer.path) - len(own)


def _only_descendant(layers: Sequence[LayerRow], index: int) -> int | None:
    """The row of the one sub-layer that holds all weights of a row, if they are few: shown on the row itself."""
    layer = layers[index]
    if layer.weights or layer.aliases:
        return None
    at = index
    while True:
        following = at + 1
        if following >= len(layers) or layers[following].depth <= layers[at].depth or layers[following].attr is None:
            return None
        if layers[following].parameters != layer.parameters or layers[following].aliases:
            return None
        at = following
        if layers[at].weights:
            after = at + 1
            has_more = after < len(layers) and layers[after].depth > layer.depth
            return None if has_more else at


def _cells(weights: Sequence[WeightRow], usual: str, prefix: str = "") -> list[Cell]:
    """Weights as cells; neighbours of one shape share it: `gamma, beta (32,)`."""
    cells: list[Cell] = []
    for (shape, dtype), rows in itertools.groupby(weights, key=lambda row: (row.shape, row.dtype)):
        names = [printable(prefix + row.role) + ("*" if row.trainable is False else "") + ("!" if row.damage else "") for row in rows]
        suffix = f" {shape_text(shape)}" + ("" if dtype == usual else f" {dtype}")
        cells.append((*(f"{name}," for name in names[:-1]), names[-1] + suffix))
    return cells


def _class_counts(layers: Sequence[LayerRow]) -> str:
    counts: dict[str, list[int]] = {}
    for layer in layers:
        if layer.attr is None:
            entry = counts.setdefault(layer.class_name or "unknown class", [0, 0])
            entry[0] += 1
            entry[1] += sum(weight.parameters for weight in layer.weights)
    return ", ".join(f"{name} ×{count:,}" for name, (count, _) in sorted(counts.items(), key=lambda item: -item[1][0]))


# Values and notes.


def _statistics(summary: Summary) -> Iterator[str]:
    rows = [row for row in _weights(summary) if row.stats is not None]
    names = min(NAME_COLUMN, max(len("weight"), *(len(printable(row.path)) for row in rows)))
    yield f"{'weight':<{names}} {'min':>10} {'max':>10} {'mean':>10} {'std':>10}  zeros"
    for row in rows:
        stats = row.stats
        if stats is None:
            continue
        path = printable(row.path)
        if len(path) > names:
            yield path
            path = ""
        odd = "".join(f"  {count:,} {word}" for count, word in ((stats.nans, "NaN"), (stats.infinities, "infinite")) if count)
        values = " ".join(f"{number(value):>10}" for value in (stats.min, stats.max, stats.mean, stats.std))
        yield f"{path:<{names}} {values}  {stats.zeros:,}{odd}"


def _notes(summary: Summary, width: int, everything: bool) -> Iterator[str]:
    shown = summary.notes if everything else summary.notes[:NOTES]
    for kind, text in shown:
        lines = textwrap.wrap(printable(f"{kind}: {text}"), width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        yield from lines
    if len(shown) < len(summary.notes):
        yield f"… {counted(len(summary.notes) - len(shown), 'note')} not shown: --all shows them"


# One weight.


def weight_text(row: WeightRow, values: str) -> str:
    """One weight with its values.

    Args:
        row: The weight.
        values: Its values, as numpy prints them.
    """
    lines = [
        printable(row.path),
        *_labelled("shape", f"{shape_text(row.shape)} {row.dtype}, {counted(row.parameters, 'parameter')}, {byte_size(row.nbytes)}", WIDTH),
        *_labelled("trained", {True: "yes", False: "no", None: "not in the file"}[row.trainable], WIDTH),
        f"  {'key':<{LABEL}}{printable(row.key)}",
    ]
    if row.stats is not None:
        stats = row.stats
        named = [("min", stats.min), ("max", stats.max), ("mean", stats.mean), ("std", stats.std)]
        text = ", ".join(f"{name} {number(value)}" for name, value in named if value is not None)
        counts = ", ".join(
            f"{count:,} {word}" for count, word in ((stats.zeros, "zero"), (stats.nans, "NaN"), (stats.infinities, "infinite"))
        )
        lines += _labelled("values", f"{text}; {counts}" if text else counts, WIDTH)
    return "\n".join(lines) + f"\n\n{values}\n"
