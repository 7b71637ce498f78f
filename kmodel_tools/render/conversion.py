"""The report of a conversion as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from kmodel_tools.converter import Conversion
from kmodel_tools.render.words import byte_size, counted, custom_text, printable

WIDTH = 80
LABEL = 12
DOCUMENT = "keras-json"
"""The format that has no place for weights: none to be counted."""
LAMBDAS = (
    "Lambda layers hold Python bytecode, which was copied and not looked into: {layers}. Keras loads it with safe_mode=False "
    "alone, and only under the minor version of Python that saved it. --replace-layer NAME=CONFIG puts another layer in the "
    "place of one"
)


def conversion_text(report: Conversion, source: str) -> str:
    """What was lost, carried, changed, concluded and left out, a paragraph each; then how to load a model with custom objects."""
    of_source = f" ({report.source_format})" if report.source_format else ""
    lines = [printable(f"{source}{of_source} → {report.destination} ({report.target_format})")]
    lines += _paragraph("lost", report.lost)
    weights = [] if report.target_format == DOCUMENT else [f"{counted(report.weights, 'weight')} ({byte_size(report.nbytes)})"]
    lines += _paragraph("carried", [*weights, *report.carried])
    lines += _paragraph("changed", report.changes)
    lines += _paragraph("custom", [custom_text(item, 8) for item in report.custom if item.kind != "lambda"])
    bytecode = [layer for item in report.custom if item.kind == "lambda" for layer in item.used_by]
    lines += _paragraph("bytecode", [LAMBDAS.format(layers=", ".join(bytecode))] if bytecode else [])
    lines += _paragraph("inferred", report.inferred)
    lines += _paragraph("left out", report.left_out)
    if report.stub:
        what = "with your own code in these places" if any(item.kind != "lambda" for item in report.custom) else "like this"
        lines += ["", f"It loads {what}:", "", *(printable(line) for line in report.stub.splitlines())]
    return "\n".join(lines) + "\n"


def _paragraph(label: str, items: Sequence[str]) -> list[str]:
    """Each item from a line of its own, under one label; a long one is hung in, so that its end is seen."""
    lines: list[str] = []
    for number, item in enumerate(items):
        head = (f"  {label}" if not number else "").ljust(LABEL)
        indent = " " * (LABEL + 2)
        lines += textwrap.wrap(printable(item), WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
    return lines
