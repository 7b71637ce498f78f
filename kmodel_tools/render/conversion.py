"""The report of a conversion as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from kmodel_tools.converter import Conversion
from kmodel_tools.render.words import byte_size, printable

WIDTH = 80
LABEL = 12


def conversion_text(report: Conversion, source: str) -> str:
    """What was carried, left out, concluded and lost, a paragraph each."""
    weights = f"{report.weights:,} weights ({byte_size(report.nbytes)})"
    lines = [printable(f"{source} ({report.source_format}) → {report.destination} ({report.target_format})")]
    lines += _paragraph("carried", [weights, *report.carried])
    lines += _paragraph("left out", report.left_out)
    lines += _paragraph("inferred", report.inferred)
    lines += _paragraph("lost", report.lost)
    return "\n".join(lines) + "\n"


def _paragraph(label: str, items: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for number, item in enumerate(items):
        head = f"  {label}" if not number else ""
        lines += textwrap.wrap(printable(item), WIDTH, initial_indent=head.ljust(LABEL), subsequent_indent=" " * LABEL)
    return lines
