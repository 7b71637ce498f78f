"""`kmt doctor`."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from kmodel_tools.cli.options import write_output

if TYPE_CHECKING:
    from kmodel_tools.doctor.finding import Finding
    from kmodel_tools.doctor.readers import Readers

STYLES = ("text", "json", "sarif", "github")
MAX_WIDTH = 120
MESSAGE_LIMIT = 1 << 20
"""Characters of an error message that are read."""


@click.command("doctor", short_help="Say why a model does not open, gives other results, or is unsafe.")
@click.argument("file")
@click.argument("other", required=False)
@click.option("--error", metavar="FILE", help="The message that Keras or TensorFlow gave, in a file; - reads it from a pipe.")
@click.option("--only", metavar="THEME[,THEME]", multiple=True, help="Look for these alone: safety, opening, weights, architecture …")
@click.option(
    "--output-format", "--format", "output_format", type=click.Choice(STYLES), default="text", show_default=True, help="How to show it."
)
@click.option("--json", "as_json", is_flag=True, help="Short for --output-format json.")
@click.option("--all", "everything", is_flag=True, help="Show all evidence of every finding.")
@click.option("-o", "--output", metavar="OUT", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o replace a file that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit status tells.")
def command(
    file: str,
    other: str | None,
    error: str | None,
    only: tuple[str, ...],
    output_format: str,
    as_json: bool,
    everything: bool,
    output: str | None,
    force: bool,
    quiet: bool,
) -> int:
    """Say why the model FILE does not open, gives other results than it did, or is unsafe to load. Nothing in it is run.

    With OTHER, say what in the two files can change a prediction. With --error, say what in FILE makes Keras or TensorFlow
    give that message.

    Also said is which releases of Keras and TensorFlow read the file as it is, as far as they were tried.

    Each finding has its evidence in this file and a cure; docs/findings.md tells more of each. Exit status: 0 nothing found; 1
    findings; 2 an error.

    \b
    kmt doctor model.h5
    kmt doctor before.keras after.keras
    kmt doctor model.h5 --error traceback.txt
    python train.py 2>&1 | kmt doctor model.keras --error -
    kmt doctor downloaded.keras --only safety --format sarif -o doctor.sarif
    """
    from kmodel_tools import api

    themes = tuple(name.strip() for text in only for name in text.split(",") if name.strip())
    found = api.diagnose(file, other, None if error is None else _message(error), themes or None)
    if not quiet:
        shown = other is None and output_format in ("text", "json") and (not themes or "opening" in themes)
        readers = api.readers(file) if shown else None
        style = "json" if as_json else output_format
        write_output(_rendered(found, file, other, style, everything, readers), output, force)
    return 1 if found else 0


def _message(error: str) -> str:
    """The text of an error message: a file's, or what is piped in."""
    from kmodel_tools.errors import KmtError

    try:
        with click.open_file(error, encoding="utf-8", errors="replace") as file:
            text: str = file.read(MESSAGE_LIMIT)
            return text
    except OSError as problem:
        raise KmtError(f"cannot be read: {problem.strerror}", path=error) from problem


def _rendered(found: tuple[Finding, ...], file: str, other: str | None, style: str, everything: bool, readers: Readers | None) -> str:
    from kmodel_tools.doctor import NOT_IN_A_FILE
    from kmodel_tools.doctor.kinds import kinds

    if style == "text":
        from kmodel_tools.render.findings_text import findings_text

        return findings_text(found, file, NOT_IN_A_FILE, other, _width(), everything, readers)
    from kmodel_tools.render import findings_formats

    if style == "json":
        return findings_formats.findings_json(found, file, other, NOT_IN_A_FILE, readers)
    if style == "sarif":
        from kmodel_tools import __version__

        return findings_formats.findings_sarif(found, file, kinds(), __version__)
    return findings_formats.findings_github(found, file)


def _width() -> int:
    return min(MAX_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 80
