"""`kmt hash`."""

from __future__ import annotations

import click

from kmodel_tools.cli.options import format_option


@click.command("hash", short_help="Print digests that do not depend on the container.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@format_option
@click.option("--values", is_flag=True, help="Digest the values alone, whatever the weights are called.")
@click.option("--all", "everything", is_flag=True, help="Digest configurations and the optimizer's state too.")
@click.option("--layers", is_flag=True, help="A line for every layer that owns weights.")
def command(files: tuple[str, ...], from_format: str | None, values: bool, everything: bool, layers: bool) -> int:
    """Print the digest of the weights of each FILE, and the FILE, as sha256sum prints them.

    The digest is over the paths, dtypes, shapes and values of the weights, so the same weights give the same digest in
    every container. It starts with the name of the rules that the paths follow.

    \b
    kmt hash model.h5 model.keras model.weights.h5
    kmt hash --layers model.h5
    """
    from kmodel_tools import api
    from kmodel_tools.errors import KmtError
    from kmodel_tools.render.words import printable

    status = 0
    for file in files:
        try:
            digest = api.digest(api.read(file, from_format), everything)
        except KmtError as error:
            click.echo(f"kmt: {printable(str(error))}", err=True)
            status = 2
            continue
        if layers:
            for path, value in digest.layers:
                click.echo(f"{digest.scheme}:{value}  {printable(f'{file}::{path}')}")
        elif values:
            click.echo(f"{digest.scheme}-values:{digest.values}  {printable(file)}")
        elif digest.all is not None:
            click.echo(f"{digest.scheme}-all:{digest.all}  {printable(file)}")
        else:
            click.echo(f"{digest.scheme}:{digest.weights}  {printable(file)}")
    return status
