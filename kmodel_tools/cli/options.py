"""Options that several commands share, and where their output goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kmodel_tools.matcher import Match

OUTPUTS = ("tree", "table", "json", "csv", "md", "html")

format_option = click.option("--from", "from_format", metavar="FORMAT", help="The format of the file, instead of looking at its content.")

salvage_option = click.option("--salvage", is_flag=True, help="Go on where arrays are damaged, and name them.")

target_option = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the target format; see kmt formats."
)


def by_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--by`, which says how weights are paired."""
    ways = click.Choice(("auto", "name", "position", "shape"))
    return click.option("--by", type=ways, default=default, show_default=True, help="How to pair weights.")


rename_option = click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    help="Take a layer or weight of the first by another name; * or re:REGEX; repeatable.",
)

map_option = click.option(
    "--map", "map_file", metavar="FILE", help="Pair layers and weights of the first model with those that FILE names (YAML or JSON)."
)

save_map_option = click.option(
    "--save-map", metavar="FILE", help="Write which weight was paired with which as a map, to be edited and given as --map."
)


def save_map(match: Match, output: str, files: tuple[str, str], force: bool) -> None:
    """Write a match as a map, in JSON if the file is called so, else in YAML."""
    from kmodel_tools.render.map_text import match_json, match_yaml

    write_output(match_json(match) if output.endswith(".json") else match_yaml(match, *files), output, force)


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
    """Print a text, or write it to a file that is not there yet (`force` replaces one that is).

    Raises:
        KmtError: The file is there, or cannot be written.
    """
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    from kmodel_tools.storage.atomic import new_file

    with new_file(output, force) as target:
        target.write(text.encode())
