"""`kmt average`."""

from __future__ import annotations

from typing import Any

import click

from kmodel_tools.cli.joining import joining_options, write_joined


@click.command("average", short_help="Write the mean of the weights of several files of one model.")
@joining_options
def command(**arguments: Any) -> None:
    """Write a model whose weights are the means of those in several files of it, such as the last checkpoints of a training.

    All files must have the same weights, of the same shapes and precisions; floats are added up in double precision and rounded once,
    integers must be equal. All but the weights is that of the first file; the optimizer's state is left out.

    \b
    kmt average epoch-08.keras epoch-09.keras epoch-10.keras -o mean.keras
    """
    from kmodel_tools import api

    write_joined(api.average, **arguments)
