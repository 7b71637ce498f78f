"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

OUTPUTS = ("tree", "table", "json", "csv", "md", "html")

format_option = click.option("--from", "from_format", metavar="FORMAT", help="The format of the file, instead of looking at its content.")

salvage_option = click.option("--salvage", is_flag=True, help="Go on where arrays are damaged, and name them.")

target_option = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the target format; see kmt formats."
)


def named_values(texts: Sequence[str], usage: str = "NAME=VALUE") -> dict[str, str]:
    """The values of an option such as `target_option` by name."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text!r} is not {usage}")
        if name in found:
            raise click.UsageError(f"{name!r} is given twice")
        found[name] = value
    return found


def write_output(text: str, output: str | None, force: bool) -> None:
    """Print a text, or write it to a file that is not there yet (`force` replaces one that is)."""
    if output is None:
        click.echo(text, nl=False)
        return
    if os.path.exists(output) and not force:
        raise click.UsageError(f"{output} is there already; --force replaces it")
    with click.open_file(output, "w", encoding="utf-8", atomic=True) as target:
        target.write(text)
