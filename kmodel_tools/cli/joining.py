"""What `kmt merge` and `kmt average` have in common: their options, how they write, and their report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kmodel_tools.cli.options import named_values, target_option

if TYPE_CHECKING:
    from kmodel_tools.editor.joining import Joined

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("files", metavar="FILE FILE...", nargs=-1, required=True),
    click.option("-o", "--output", metavar="OUT", required=True, help="The file to write, in the format of its suffix."),
    click.option("--to", metavar="FORMAT", help="The format to write, instead of going by the suffix of OUT."),
    click.option("--like", metavar="FILE", help="Take architecture and layout from FILE (a model, or an architecture in JSON/YAML)."),
    click.option("--lossy", is_flag=True, help="Write even if the target cannot hold everything."),
    click.option("--force", is_flag=True, help="Replace OUT if it is there."),
    target_option,
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output."),
    click.option("-q", "--quiet", is_flag=True, help="No report."),
)


def joining_options(command: Command) -> Command:
    """The arguments of a command that makes one file of several."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def write_joined(
    join: Callable[[Sequence[str]], Joined],
    files: tuple[str, ...],
    output: str,
    to: str | None,
    like: str | None,
    lossy: bool,
    force: bool,
    options: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a model of several files, write it, and say what became of them."""
    from kmodel_tools import api

    joined = join(files)
    report = api.convert(joined.model, output, to=to, like=like, lossy=lossy, overwrite=force, options=named_values(options))
    report = replace(report, carried=(*joined.said, *report.carried), left_out=(*joined.left_out, *report.left_out))
    if as_json:
        from kmodel_tools.render.json import json_text

        click.echo(json_text(report.to_dict()), nl=False)
    elif not quiet:
        from kmodel_tools.render.conversion import conversion_text

        click.echo(conversion_text(report, " + ".join(files)), nl=False, err=True)
