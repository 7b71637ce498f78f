"""The result of reading a whole file, as text."""

from __future__ import annotations

import textwrap

from kmodel_tools.render.words import byte_size, counted, printable
from kmodel_tools.verifier import Verification

WIDTH = 80
LABEL = 14


def verification_text(result: Verification, title: str, path: str) -> str:
    """What was read, what has checksums, and what is damaged, a line each.

    Args:
        result: What to show.
        title: The format's name for people.
        path: The path as the user gave it.
    """
    found = [("format", title)]
    damaged = f", {len(result.damages):,} of them damaged" if result.damages else ""
    found.append(("arrays", f"{counted(result.arrays, 'array')}{damaged}; {byte_size(result.nbytes)} read"))
    found.append(("checksums", _checksums(result)))
    found += [("damaged", f"{damage.path or damage.key}: {damage.problem}") for damage in result.damages]
    found += [("unread", text) for text in result.unread]
    found.append(("", "whole: everything could be read" if result.whole else "not whole: --salvage shows and converts the rest"))
    lines = [printable(path)]
    previous = ""
    for label, text in found:
        head = f"  {label if label != previous else ''}".ljust(LABEL)
        lines += textwrap.wrap(
            printable(text), WIDTH, initial_indent=head, subsequent_indent=" " * LABEL, break_long_words=False, break_on_hyphens=False
        )
        previous = label
    return "\n".join(lines) + "\n"


def _checksums(result: Verification) -> str:
    if not result.checksummed:
        return "the file has none, so that a value that changed does not show"
    if result.checksummed == result.arrays:
        return "over every array"
    return f"over {result.checksummed:,} of them; in the others, a value that changed does not show"
