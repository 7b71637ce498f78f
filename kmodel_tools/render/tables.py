"""A model's summary as a table of its weights: plain text, CSV, Markdown, HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterator

from kmodel_tools.inspector.summary import Summary, WeightRow
from kmodel_tools.render.words import byte_size, compiled_text, counted, number, printable, shape_text, trainable_text

COLUMNS = ("weight", "class", "shape", "dtype", "parameters", "trainable")
STATISTICS = ("min", "max", "mean", "std", "zeros", "nans", "infinities")
DAMAGE = ("damage",)
CSV_COLUMNS = ("path", "class", "role", "shape", "dtype", "parameters", "bytes", "trainable", "key")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_text(summary: Summary) -> str:
    """The weights as a plain table."""
    from tabulate import tabulate

    headers, rows = _table(summary)
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=_alignment(headers)) + "\n"


def markdown_text(summary: Summary, title: str, path: str) -> str:
    """The summary as Markdown: a heading, the facts as a list, the weights as a table."""
    from tabulate import tabulate

    headers, rows = _table(summary)
    escaped = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    table = tabulate(escaped, headers, tablefmt="github", disable_numparse=True, colalign=_alignment(headers))
    facts = "\n".join(f"* {line}" for line in _facts(summary, title))
    return f"## {printable(path)}\n\n{facts}\n\n{table}\n"


def html_page(summary: Summary, title: str, path: str) -> str:
    """The summary as a page of its own, with nothing loaded from elsewhere."""
    headers, rows = _table(summary)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headers)
    body = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    facts = "\n".join(f"<li>{html.escape(line)}</li>" for line in _facts(summary, title))
    name = html.escape(printable(path))
    style = "body{font-family:sans-serif}table{border-collapse:collapse}td,th{border:1px solid #999;padding:2px 8px;text-align:left}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{name}</title><style>{style}</style></head>\n'
        f"<body>\n<h1>{name}</h1>\n<ul>\n{facts}\n</ul>\n<table>\n<tr>{head}</tr>\n{body}\n</table>\n</body>\n</html>\n"
    )


def csv_text(summary: Summary) -> str:
    """The weights as CSV (RFC 4180), one a line; a cell that a spreadsheet would take for a formula gets a quote in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    with_statistics = any(row.stats for _, row in _weights(summary))
    with_damage = any(row.damage for _, row in _weights(summary))
    writer.writerow([*CSV_COLUMNS, *(STATISTICS if with_statistics else ()), *(DAMAGE if with_damage else ())])
    for class_name, row in _weights(summary):
        flag = trainable_text(row.trainable)
        cells = [row.path, class_name, row.role, shape_text(row.shape), row.dtype, row.parameters, row.nbytes, flag, row.key]
        if with_statistics:
            cells += [getattr(row.stats, name) if row.stats else None for name in STATISTICS]
        cells += [row.damage] if with_damage else []
        writer.writerow([_harmless(cell) if isinstance(cell, str) else "" if cell is None else cell for cell in cells])
    return out.getvalue()


def _harmless(cell: str) -> str:
    text = printable(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def _weights(summary: Summary) -> Iterator[tuple[str, WeightRow]]:
    """Yield (class of the layer, weight)."""
    for row in summary.own_weights:
        yield summary.class_name or "", row
    for layer in summary.layers:
        for row in layer.weights:
            yield layer.class_name or "", row


def _table(summary: Summary) -> tuple[list[str], list[list[str]]]:
    with_statistics = any(row.stats for _, row in _weights(summary))
    with_damage = any(row.damage for _, row in _weights(summary))
    headers = [*COLUMNS, *(STATISTICS if with_statistics else ()), *(DAMAGE if with_damage else ())]
    rows = []
    for class_name, row in _weights(summary):
        flag = trainable_text(row.trainable)
        cells = [printable(row.path), printable(class_name), shape_text(row.shape), row.dtype, f"{row.parameters:,}", flag]
        if with_statistics:
            stats = row.stats
            cells += [number(getattr(stats, name)) for name in STATISTICS[:4]] if stats else [""] * 4
            cells += [f"{getattr(stats, name):,}" for name in STATISTICS[4:]] if stats else [""] * 3
        cells += [printable(row.damage or "")] if with_damage else []
        rows.append(cells)
    return headers, rows


def _alignment(headers: list[str]) -> tuple[str, ...]:
    return tuple("right" if name in ("parameters", *STATISTICS) else "left" for name in headers)


def _facts(summary: Summary, title: str) -> Iterator[str]:
    totals = summary.totals
    yield printable(title + (f", {summary.metadata['dialect']}" if "dialect" in summary.metadata else ""))
    if "keras_version" in summary.metadata:
        yield printable(f"written by Keras {summary.metadata['keras_version']}")
    if summary.name or summary.class_name:
        yield printable(f"model {summary.name} {summary.class_name or ''}".strip())
    yield f"{counted(totals.parameters, 'parameter')} in {counted(totals.weights, 'weight')}, {byte_size(totals.nbytes)}"
    compiled = compiled_text(summary.training_config)
    if compiled:
        yield printable(f"compiled with {compiled}")
    if summary.optimizer is not None:
        yield printable(f"optimizer {summary.optimizer.class_name or 'of unknown class'}, {byte_size(summary.optimizer.nbytes)}")
    for item in summary.custom_objects:
        yield printable(f"needs the custom {item.kind} {item.name}")
    for kind, text in summary.notes:
        yield printable(f"{kind}: {text}")
