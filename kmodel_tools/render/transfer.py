"""The report of a transfer as text: what was loaded, what was skipped and why, what is as it was."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from kmodel_tools.converter import Conversion
from kmodel_tools.matcher import Match, Pair
from kmodel_tools.matcher.result import CONTENT, END, MAP, NAME, ORDER, POSITION, SHAPE, SPELLING
from kmodel_tools.render.words import WIDTH, byte_size, counted, printable
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Path, join_path

LABEL = 14
OTHER = "not in the other"
TOLD = {
    NAME: "by their paths",
    SPELLING: "by their paths, spelt otherwise",
    END: "by the ends of them",
    MAP: "as the map says",
    CONTENT: "by their values",
    SHAPE: "the only ones of their class and shapes",
    ORDER: "by class and shapes, in order",
    POSITION: "by their places",
}
"""What told, of several."""


def transfer_text(match: Match, source: str, into: str, report: Conversion | None, top: int, lost: Sequence[str] = ()) -> str:
    """The report.

    Args:
        match: What `transferrer.transfer` matched.
        source: What the file is called that values were taken from.
        into: And the one they went into.
        report: What the writing of the result came to, or None if nothing was written.
        top: Lines of each kind to show; 0 for all.
        lost: What the result cannot hold, or could not.
    """
    pairs = match.pairs
    size = byte_size(sum(pair.a.tensor.nbytes for pair in pairs))
    lines = [printable(f"{source} → {into} → {report.destination if report else 'nothing written'}")]
    lines += _paragraph("loaded", [f"{counted(len(pairs), 'weight')} ({size}){_how(pairs)}", *_by_layer(pairs)], top)
    lines += _paragraph("inferred", match.remarks, 0)
    other = [pair for pair in pairs if pair.a.tensor.dtype is not pair.b.tensor.dtype]
    widened = sum(_holds(pair.b.tensor.dtype, pair.a.tensor.dtype) for pair in other)
    for label, count in (("widened", widened), ("rounded", len(other) - widened)):
        if count:
            lines += _paragraph(label, [f"{counted(count, 'weight')} to the precision of the target"], top)
    lines += _paragraph("fitted", [f"{join_path(pair.path_b)}: {pair.remark}" for pair in pairs if pair.remark], top)
    lines += _paragraph("doubtful", [f"{join_path(pair.path_b)}: {pair.doubt}" for pair in pairs if pair.doubt], top)
    skipped = [f"{join_path(pair.path_a)}: {pair.remark}" for pair in match.mismatched]
    skipped += [f"{join_path(item.path)}: {item.reason.replace(OTHER, 'not in the target')}" for item in match.only_a]
    lines += _paragraph("skipped", skipped, top)
    kept = [f"{join_path(item.path)}: {item.reason.replace(OTHER, 'not in the source')}" for item in match.only_b]
    kept += [f"{join_path(pair.path_b)}: {pair.remark}" for pair in match.mismatched]
    lines += _paragraph("as it was", kept, top)
    if match.left_out:
        lines += _paragraph("left out", [f"{counted(match.left_out, 'weight')}: as asked for by --include and --exclude"], top)
    if report is not None:
        lines += _paragraph("not written", report.left_out, top)
    lines += _paragraph("lost", lost, top)
    return "\n".join(lines) + "\n"


def _by_layer(pairs: Iterable[Pair]) -> list[str]:
    """A line for each layer, with the other's path where it differs, and what told then."""
    layers: dict[tuple[Path, Path], list[Pair]] = {}
    for pair in pairs:
        layers.setdefault((pair.path_a[:-1], pair.path_b[:-1]), []).append(pair)
    lines = []
    for (layer_a, layer_b), found in layers.items():
        name = join_path(layer_b) or "(the model itself)"
        told = "; ".join(dict.fromkeys(pair.reason for pair in found if pair.how != END or pair.doubt))
        other = f"  from {join_path(layer_a) or '(the model itself)'}" + (f" ({told})" if told else "") if layer_a != layer_b else ""
        lines.append(f"{name}: {', '.join(pair.path_b[-1] for pair in found)}{other}")
    return lines


def _how(pairs: Sequence[Pair]) -> str:
    """By what they were found, if it was not by their paths alone."""
    counts = Counter(pair.how for pair in pairs)
    if set(counts) <= {NAME}:
        return ""
    return ": " + ", ".join(f"{counts[how]:,} {text}" for how, text in TOLD.items() if counts[how])


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of one type of floats is one of another."""
    order = {DType.FLOAT16: 0, DType.BFLOAT16: 1, DType.FLOAT32: 2, DType.FLOAT64: 3}
    if wide not in order or narrow not in order:
        return False
    return order[wide] > max(order[narrow], order[DType.BFLOAT16])


def _paragraph(label: str, items: Sequence[str], top: int) -> list[str]:
    shown = list(items if not top or len(items) <= top + 1 else [*items[:top], f"… and {len(items) - top:,} more (--top 0)"])
    lines: list[str] = []
    for number, item in enumerate(shown):
        head = f"  {label}" if not number else ""
        lines += textwrap.wrap(printable(item), WIDTH, initial_indent=head.ljust(LABEL), subsequent_indent=" " * (LABEL + 2))
    return lines
