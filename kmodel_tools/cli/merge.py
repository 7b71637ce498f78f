"""`kmt merge`."""

from __future__ import annotations

from typing import Any

import click

from kmodel_tools.cli.joining import joining_options, write_joined


@click.command("merge", short_help="Put the layers of several files into one file of weights.")
@joining_options
def command(**arguments: Any) -> None:
    """Write the layers of several files, side by side, as one file of weights.

    No two files may have weights of one name: such are listed, and nothing is written. With --like FILE the weights go into the
    architecture of FILE, which must have all of them.

    \b
    kmt merge encoder.h5 decoder.h5 -o both.h5
    kmt merge encoder.h5 decoder.h5 -o autoencoder.keras --like autoencoder.json
    """
    from kmodel_tools import api

    write_joined(api.merge, **arguments)
