"""`kmt convert`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kmodel_tools.cli.options import format_option, named_values, salvage_option, target_option, write_output

if TYPE_CHECKING:
    from kmodel_tools.converter import Conversion, Progress


@click.command("convert", short_help="Write a model in another format.")
@click.argument("source")
@click.argument("destination", required=False)
@format_option
@click.option("--to", metavar="FORMAT", help="The format to write, instead of going by the destination's suffix.")
@click.option("--like", metavar="FILE", help="Take architecture and layout from FILE (a model, or an architecture in JSON/YAML).")
@click.option(
    "--target", type=click.Choice(("keras2", "keras3")), help="The generation of Keras to write for, where the format is for both."
)
@click.option("--map", "mapping", metavar="FILE", help="Rename layers and weights as FILE says, before anything else (YAML or JSON).")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Rename layers; OLD may be a GLOB or re:REGEX; repeatable.")
@click.option("--extract", metavar="PATH", help="Carry the nested model at PATH as one of its own, or the weights of the layer at PATH.")
@click.option(
    "--propose-map", "proposed", metavar="OUT", help="Write the likely map of SOURCE onto --like as OUT (YAML, or .json), no model."
)
@click.option("--averages", is_flag=True, help="Take the moving averages of weights for their values.")
@click.option(
    "--replace-layer",
    "replaced",
    multiple=True,
    metavar="NAME=CONFIG",
    help="Put another layer in the place of NAME (a path or pattern): 'Rescaling(scale=0.5)', JSON, or @FILE; repeatable.",
)
@click.option("--weights-only", is_flag=True, help="Leave out architecture, training configuration, optimizer and files of layers.")
@click.option("--no-optimizer", is_flag=True, help="Leave out the optimizer's state.")
@click.option("--select", multiple=True, metavar="PATTERN", help="Carry only weights whose path, or a layer's above it, matches.")
@click.option("--drop", multiple=True, metavar="PATTERN", help="Leave out layers or weights; without its last layers a model stays whole.")
@click.option("--dtype", metavar="DTYPE", help="Round floating-point weights to this precision: float32, float16, bfloat16 …")
@click.option("--lossy", is_flag=True, help="Write even if the target cannot hold everything.")
@click.option("--verify", is_flag=True, help="Read every array of the new file back and compare it before the file takes its place.")
@salvage_option
@click.option("--force", "overwrite", is_flag=True, help="Replace the destination if it is there.")
@target_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No report and no progress.")
def command(
    source: str,
    destination: str | None,
    from_format: str | None,
    salvage: bool,
    proposed: str | None,
    replaced: tuple[str, ...],
    no_optimizer: bool,
    options: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Write the model SOURCE as DESTINATION, in the format of its suffix: .keras, .weights.h5, .h5, or .json and .yaml for its
    architecture.

    What the target cannot hold is listed before anything is written, and refused unless --lossy lets it go. A .h5 is
    whole if the model has an architecture, and holds weights alone with --weights-only or without one.

    \b
    kmt convert model.h5 model.keras
    kmt convert ckpt-7 model.weights.h5 --like model.keras
    kmt convert model.h5 model.json
    kmt convert weights.h5 model.h5 --like model.json
    kmt convert new.keras old.h5 --target keras2
    kmt convert old.h5 new.keras --replace-layer 'lambda_1=Rescaling(scale=0.5)'
    kmt convert model.keras headless.keras --drop predictions --rename 'conv*=stem_*'
    kmt convert resnet_v1_50.ckpt --like resnet.keras --propose-map names.yaml
    kmt convert resnet_v1_50.ckpt model.h5 --like resnet.keras --map names.yaml
    """
    from kmodel_tools import api

    if (destination is None) is (proposed is None):
        raise click.UsageError("name a DESTINATION, or --propose-map OUT")
    if proposed is not None or destination is None:
        _propose(source, from_format, asked["like"], asked["mapping"], proposed or "", asked["overwrite"], quiet)
        return
    report = api.convert(
        api.read(source, from_format, salvage),
        destination,
        salvage=salvage,
        replace_layers=named_values(replaced, "NAME=CONFIG"),
        optimizer=not no_optimizer,
        options=named_values(options),
        progress=None if quiet or not sys.stderr.isatty() else _progress(),
        **asked,
    )
    _show(report, source, as_json, quiet)


def _show(report: Conversion, source: str, as_json: bool, quiet: bool) -> None:
    if as_json:
        from kmodel_tools.render.json import json_text

        click.echo(json_text(report.to_dict()), nl=False)
    elif not quiet:
        from kmodel_tools.render.conversion import conversion_text

        click.echo(conversion_text(report, source), nl=False, err=True)


def _propose(source: str, from_format: str | None, like: str | None, mapping: str | None, output: str, force: bool, quiet: bool) -> None:
    if like is None or mapping is not None:
        raise click.UsageError("--propose-map goes with --like FILE, and with no --map")
    from kmodel_tools import api
    from kmodel_tools.render.map_text import map_json, map_yaml, proposal_text

    proposal = api.propose_map(api.read(source, from_format), like)
    write_output(map_json(proposal) if output.endswith(".json") else map_yaml(proposal, source, like), output, force)
    if not quiet:
        click.echo(f"{output}: {proposal_text(proposal)}", err=True)


def _progress() -> Progress:
    """A line on the terminal that says how much is written, and how long the rest will take; it is wiped when all is."""
    import time

    from kmodel_tools.render.words import progress_text

    start, shown = time.monotonic(), [-1]

    def show(done: int, total: int) -> None:
        percent = 100 * done // max(1, total)
        if percent != shown[0]:
            shown[0] = percent
            click.echo(f"\r\x1b[Kwriting {progress_text(done, total, time.monotonic() - start)}", nl=False, err=True)
        if done >= total:
            click.echo("\r\x1b[K", nl=False, err=True)

    return show
