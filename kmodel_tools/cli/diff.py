"""`kmt diff`."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from kmodel_tools.cli import options
from kmodel_tools.cli.options import by_option, map_option, rename_option, salvage_option, save_map_option, write_output

if TYPE_CHECKING:
    from kmodel_tools.differ.result import Diff
    from kmodel_tools.tree import Model

STYLES = ("text", "json", "md")
MAX_WIDTH = 160


@click.command("diff", short_help="Show what differs between two models.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@by_option("auto")
@click.option("--rtol", type=float, default=0.0, help="Relative tolerance of floats, to the value in B.  [default: 0]")
@click.option("--atol", type=float, default=0.0, help="Absolute tolerance of floats.  [default: 0]")
@click.option("--equal-nan/--no-equal-nan", default=True, show_default=True, help="Whether NaN equals NaN.")
@rename_option
@map_option
@save_map_option
@click.option("--include", metavar="GLOB", multiple=True, help="Compare these layers and weights alone; re:REGEX too; repeatable.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave these layers and weights out; re:REGEX too; repeatable.")
@click.option("--only", metavar="ASPECT[,ASPECT]", multiple=True, help="Compare these aspects alone.")
@click.option("--stat", is_flag=True, help="A line for each layer, as git diff --stat.")
@click.option("--name-only", is_flag=True, help="Only the paths of what differs, one a line.")
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Changes of each kind to show; 0 for all.")
@click.option("--output-format", type=click.Choice(STYLES), default="text", show_default=True, help="How to show it.")
@click.option("--json", "as_json", is_flag=True, help="Short for --output-format json.")
@click.option("--from-a", metavar="FORMAT", help="The format of A, instead of looking at its content.")
@click.option("--from-b", metavar="FORMAT", help="The format of B, instead of looking at its content.")
@salvage_option
@click.option("-o", "--output", metavar="OUT", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o and --save-map replace files that are there.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit status tells.")
def command(
    a: str,
    b: str,
    by: str,
    rtol: float,
    atol: float,
    equal_nan: bool,
    rename: tuple[str, ...],
    map_file: str | None,
    save_map: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    only: tuple[str, ...],
    stat: bool,
    name_only: bool,
    top: int,
    output_format: str,
    as_json: bool,
    from_a: str | None,
    from_b: str | None,
    salvage: bool,
    output: str | None,
    force: bool,
    quiet: bool,
) -> int:
    """Show what differs between the models A and B, whatever containers they are in.

    Compared are the aspects layers, weights, trainable, config, training_config, optimizer, assets, extras. One that a side
    does not hold is not compared, is said so, and does not change the exit status: 0 the same, 1 different, 2 an error.

    With --salvage, what is damaged in one of them is not compared, and is named; 2 if nothing else differs.

    Two floats are the same if |a - b| <= atol + rtol * |b|; of two precisions, both are cast. Integers are the same or not.

    \b
    kmt diff model.h5 model.keras
    kmt diff before.h5 after.h5 --stat
    kmt diff model.h5 ckpt-7 --rtol 1e-5 --only weights
    kmt diff old.keras new.keras --output-format md -o comment.md
    kmt diff a.h5 b.keras --save-map names.yaml; kmt diff a.h5 b.keras --map names.yaml
    """
    from kmodel_tools import api
    from kmodel_tools.cli.damage import Aside
    from kmodel_tools.render.words import printable

    if stat and name_only:
        raise click.UsageError("--stat and --name-only are two forms of one answer: choose one")
    models = api.read(a, from_a, salvage), api.read(b, from_b, salvage)
    aspects = tuple(name.strip().replace("-", "_") for text in only for name in text.split(",") if name.strip()) or None
    aside = Aside.of(models, (a, b)) if salvage else Aside()
    models, aspects, exclude = aside.models or models, aside.aspects(aspects), (*exclude, *aside.patterns)
    result = api.diff(*models, by, rtol, atol, equal_nan, rename, include, exclude, aspects, map_file)
    if save_map is not None and result.match is not None:
        options.save_map(result.match, save_map, (a, b), force)
    style = "json" if as_json else "stat" if stat else "names" if name_only else output_format
    if not quiet:
        write_output(_rendered(result, models, (a, b), style, top), output, force)
    for line in aside.lines:
        click.echo(f"kmt: not compared: {printable(line)}", err=True)
    return 1 if not result.same else 2 if aside.lines else 0


def _rendered(result: Diff, models: tuple[Model, Model], files: tuple[str, str], style: str, top: int) -> str:
    from kmodel_tools import api

    if style == "json":
        from kmodel_tools.render.json import json_text

        return json_text({"path_a": files[0], "path_b": files[1], **result.to_dict()})
    titles = [api.format_named(model.format).title for model in models]
    if style == "md":
        from kmodel_tools.render.diff_markdown import diff_markdown

        return diff_markdown(result, titles, files, top)
    from kmodel_tools.render import diff_text

    if style == "stat":
        return diff_text.stat_text(result, _width())
    return diff_text.names_text(result) if style == "names" else diff_text.diff_text(result, titles, files, top, _width())


def _width() -> int:
    return min(MAX_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 80
