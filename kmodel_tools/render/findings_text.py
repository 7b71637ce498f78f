"""What the doctor found, as text for a terminal: the gravest first, each with its evidence and its cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from kmodel_tools.doctor.finding import SEVERITIES, Evidence, Finding
from kmodel_tools.doctor.readers import Readers
from kmodel_tools.render.words import WIDTH, counted, printable

INDENT = "  "
LABEL, READ_BY = 7, 10
MOST = 8
"""Pieces of evidence that are shown of one finding, unless all are asked for."""


def findings_text(
    findings: Sequence[Finding],
    path: str,
    elsewhere: Sequence[tuple[str, str]],
    other: str | None = None,
    width: int = WIDTH,
    everything: bool = False,
    readers: Readers | None = None,
) -> str:
    """Lay out findings.

    Args:
        findings: What was found, the gravest first.
        path: The path as the user gave it.
        elsewhere: What no file shows, and what to look at; said where nothing else is to be done first.
        other: The path of a second file, where two are compared.
        width: Columns to fill.
        everything: Show all evidence, however much there is.
        readers: Who reads the file.
    """
    blocks = [_headline(findings, path, other), *(finding_text(item, width, everything) for item in findings)]
    if readers is not None and (lines := list(_readers(readers, width))):
        blocks.append("\n".join(lines))
    first = any(item.theme in ("opening", "message") or (item.theme == "safety" and item.severity == "error") for item in findings)
    if elsewhere and not first:
        blocks.append("\n".join(_elsewhere(elsewhere, width)))
    return "\n\n".join(blocks) + "\n"


def _readers(readers: Readers, width: int) -> Iterator[str]:
    """Who reads the file: the releases that do, what they need, and how Keras 3 takes it."""
    rest = " " * READ_BY
    if readers.releases:
        yield from _wrapped(", ".join(readers.releases), width, f"{'read by':<{READ_BY}}", rest)
    for condition in readers.conditions:
        yield from _wrapped(f"with {condition}", width, rest, rest)
    if readers.rejected:
        yield f"{'Keras 3':<{READ_BY}}after kmt convert, as above"
    elif readers.convert:
        yield f"{'Keras 3':<{READ_BY}}after {printable(readers.convert)}"


def _headline(findings: Sequence[Finding], path: str, other: str | None) -> str:
    name = printable(path if other is None else f"{path} and {other}")
    if not findings:
        return (
            f"{name}: nothing found" if other is None else f"{name}: nothing differs that changes a prediction; the files are not the cause"
        )
    counts = [(sum(item.severity == severity for item in findings), severity) for severity in SEVERITIES]
    return f"{name}: {', '.join(counted(count, severity) for count, severity in counts if count)}"


def finding_text(item: Finding, width: int = WIDTH, everything: bool = False) -> str:
    """One finding with its evidence, its cure and where to read more of it."""
    return "\n".join(_block(item, width, everything))


def _block(item: Finding, width: int, everything: bool) -> Iterator[str]:
    sure = "" if item.sure == "certain" else f" ({item.sure})"
    yield from _wrapped(f"{item.severity}: {item.title}{sure}", width, "", INDENT)
    shown = item.evidence if everything else item.evidence[:MOST]
    for piece in shown:
        yield from _wrapped(evidence_text(piece), width, INDENT, INDENT * 2, breaks=True)
    if len(shown) < len(item.evidence):
        yield f"{INDENT}… {len(item.evidence) - len(shown):,} more: --all shows them"
    if item.detail:
        yield from _wrapped(item.detail, width, INDENT, INDENT)
    yield f"{INDENT}{'cure':<{LABEL}}{printable(item.cure)}"
    yield f"{INDENT}{'more':<{LABEL}}{item.page}"


def evidence_text(piece: Evidence) -> str:
    """One piece of evidence on a line: `dense_1: kernel_initializer = zeros`."""
    stands = " = ".join(part for part in (piece.key, piece.value) if part)
    return ": ".join(part for part in (piece.layer, stands) if part)


def _elsewhere(elsewhere: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    yield "Not in any file, and often the cause of other results:"
    for what, check in elsewhere:
        yield from _wrapped(f"{what}: {check}", width, INDENT, INDENT * 2)


def _wrapped(text: str, width: int, first: str, rest: str, breaks: bool = False) -> list[str]:
    """Lines of a text; words longer than a line are broken only in evidence, which nobody pastes."""
    lines = textwrap.wrap(
        printable(text), width, initial_indent=first, subsequent_indent=rest, break_long_words=breaks, break_on_hyphens=False
    )
    return lines or [first]
