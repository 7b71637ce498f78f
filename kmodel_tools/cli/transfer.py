"""`kmt transfer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kmodel_tools.cli import options as shared
from kmodel_tools.cli.options import by_option, format_option, map_option, named_values, rename_option, save_map_option, target_option

if TYPE_CHECKING:
    from kmodel_tools.converter import Conversion
    from kmodel_tools.matcher import Match


@click.command("transfer", short_help="Load what fits of one model into another.")
@click.argument("source")
@click.argument("into")
@click.option("-o", "--output", metavar="OUT", help="The file to write, in the format of its suffix, else in that of INTO.")
@by_option("name")
@rename_option
@map_option
@save_map_option
@click.option("--averages", is_flag=True, help="Take the moving averages of SOURCE's weights for their values.")
@click.option("--include", metavar="GLOB", multiple=True, help="Load these layers and weights alone; re:REGEX too; repeatable.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Do not load these layers and weights; re:REGEX too; repeatable.")
@click.option(
    "--on-mismatch",
    type=click.Choice(("skip", "error", "slice", "pad")),
    default="skip",
    show_default=True,
    help="Where shapes differ: leave it, stop, take the first part of a larger array, put a smaller one in place of the first part.",
)
@click.option("--strict", is_flag=True, help="Write only if every weight of both has a partner.")
@click.option("--dry-run", is_flag=True, help="Report, and write nothing.")
@format_option
@click.option("--to", metavar="FORMAT", help="The format to write, instead of going by the suffix of OUT.")
@click.option("--lossy", is_flag=True, help="Write even if OUT cannot hold everything: values beyond its precision become infinite.")
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@target_option
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Lines of each kind to show; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No report; the exit status tells.")
def command(
    source: str,
    into: str,
    output: str | None,
    by: str,
    rename: tuple[str, ...],
    map_file: str | None,
    save_map: str | None,
    averages: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    on_mismatch: str,
    strict: bool,
    dry_run: bool,
    from_format: str | None,
    to: str | None,
    lossy: bool,
    force: bool,
    options: tuple[str, ...],
    top: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Load the weights of SOURCE into those of the model INTO that are the same by name, and write that as OUT; INTO stays as it is.

    A weight is loaded if its path is in both, or if one layer's path is the end of the other's and no other's, and if it has the
    same shape there. Other ways of pairing: --by position, in order; --by shape, the two sequences of layers aligned by class and
    shapes; --by auto, names where they agree, and between them as shape. What may be one or another is skipped, and said.

    The report says what was loaded, what was skipped and why, and what is as it was. Exit status: 0 something was
    loaded; 1 nothing was or, with --strict, something was left over, and OUT is not written; 2 an error.

    \b
    kmt transfer pretrained_ckpt new_head.keras -o model.keras
    kmt transfer old.h5 new.h5 -o new_loaded.h5 --exclude 'predictions*'
    kmt transfer ckpt-7 model.keras -o out.keras --map names.yaml --dry-run
    kmt transfer old.h5 more_words.keras -o out.keras --rename 'encoder=backbone' --on-mismatch pad
    """
    from kmodel_tools import api
    from kmodel_tools.converter.precision import beyond_precision

    if output is None and not dry_run:
        raise click.UsageError("-o OUT is missing; --dry-run reports without it")
    given = named_values(options)
    target, origin = api.read(into), api.read(source, from_format)
    model, match = api.transfer(origin, target, map_file, include, exclude, averages, by=by, rename=rename, on_mismatch=on_mismatch)
    if save_map is not None:
        shared.save_map(match, save_map, (source, into), force)
    good = bool(match.pairs) and not (strict and (match.only_a or match.only_b or match.mismatched))
    report = None
    if output is not None and good and not dry_run:
        as_format = to or api.format_for(output, target.format)
        report = api.convert(model, output, to=as_format, lossy=lossy, overwrite=force, options=given)
    lost = report.lost if report is not None else tuple(beyond_precision(model))
    if as_json:
        _print_json(match, (source, into), lost, report)
    elif not quiet:
        from kmodel_tools.render.transfer import transfer_text

        click.echo(transfer_text(match, source, into, report, top, lost), nl=False, err=True)
    return 0 if good else 1


def _print_json(match: Match, files: tuple[str, str], lost: Sequence[str], report: Conversion | None) -> None:
    from kmodel_tools.render.json import json_text

    written = None if report is None else report.to_dict()
    known = {"source": files[0], "into": files[1], **match.to_dict(), "lost": list(lost), "written": written}
    click.echo(json_text(known), nl=False)
