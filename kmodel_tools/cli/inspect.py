"""`kmt inspect`."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from kmodel_tools.cli.options import OUTPUTS, format_option, salvage_option, write_output

if TYPE_CHECKING:
    from kmodel_tools.tree import Model, Weight

MAX_WIDTH = 160


class _How(NamedTuple):
    """How to show a model, as the options say."""

    style: str
    stats: bool
    everything: bool
    salvage: bool


MOST_VALUES, FEW_VALUES = 1000, 60
"""Elements of an array that are shown in full: of a weight that is asked for, and of each of a layer's."""
FEW_WEIGHTS = 6
"""A layer of more weights than this shows their statistics alone."""


@click.command("inspect", short_help="Show what is in a model.")
@click.argument("file")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@format_option
@click.option("--output-format", type=click.Choice(OUTPUTS), default="tree", show_default=True, help="How to show it.")
@click.option("--json", "as_json", is_flag=True, help="Short for --output-format json.")
@click.option("--stats", is_flag=True, help="Read the values too: min, max, mean, std, zeros, NaN of every weight.")
@click.option("--all", "everything", is_flag=True, help="Show every row of a large model's tree.")
@click.option("--verify", is_flag=True, help="Read all of the file, compare checksums, and say if it is whole.")
@salvage_option
@click.option("--npy", metavar="OUT", help="Save the values of one weight as a NumPy file.")
@click.option("--force", is_flag=True, help="Let --npy and -o replace a file that is there.")
@click.option("-o", "--output", metavar="OUT", help="Write to a file instead of the terminal.")
def command(
    file: str,
    paths: tuple[str, ...],
    from_format: str | None,
    output_format: str,
    as_json: bool,
    stats: bool,
    everything: bool,
    verify: bool,
    salvage: bool,
    npy: str | None,
    force: bool,
    output: str | None,
) -> int:
    """Show what is in the model FILE: layers, classes, shapes, parameters, optimizer, who wrote it.

    FILE is a file, a directory, or the prefix of a checkpoint. With PATHs, show these layers (configuration, what is
    below them, values) or weights (values).

    With --verify, read every array instead, and exit with 2 if one is damaged. With --salvage, show the rest of a file of
    which arrays are damaged.

    \b
    kmt inspect model.h5
    kmt inspect model.keras conv1 conv2/kernel
    kmt inspect ckpt-7 --output-format csv -o weights.csv
    kmt inspect ckpt-7 --verify
    """
    from kmodel_tools import api

    style = "json" if as_json else output_format
    if verify:
        if paths or npy is not None or style not in ("tree", "json"):
            raise click.UsageError("--verify reads all of a file, and prints text or JSON")
        return _verified(file, from_format, style, output, force)
    model = api.read(file, from_format, salvage)
    how = _How(style, stats, everything, salvage)
    if npy is not None:
        _save(model, file, paths, npy, force)
        return 0
    if paths and style == "json":
        from kmodel_tools.render.json import json_text

        parts = [_part_data(model, file, path, how) for path in paths]
        text = json_text(parts[0] if len(parts) == 1 else parts)
    elif paths:
        text = "\n".join(_part(model, file, path, how) for path in paths)
    else:
        text = _rendered(model, file, how)
    write_output(text, output, force)
    return 0


def _verified(file: str, from_format: str | None, style: str, output: str | None, force: bool) -> int:
    from kmodel_tools import api
    from kmodel_tools.render.json import json_text
    from kmodel_tools.render.verification import verification_text

    model = api.read(file, from_format, salvage=True)
    result = api.verify(model)
    if style == "json":
        text = json_text({"path": file, **result.to_dict()})
    else:
        text = verification_text(result, api.format_named(model.format).title, file)
    write_output(text, output, force)
    return 0 if result.whole else 2


def _rendered(model: Model, file: str, how: _How) -> str:
    from kmodel_tools import api

    style = how.style
    summary = api.inspect(model, how.stats, how.salvage)
    title = api.format_named(model.format).title
    if style == "json":
        from kmodel_tools.render.json import json_text

        return json_text({"path": file, **summary.to_dict()})
    if style == "tree":
        from kmodel_tools.render.text import summary_text

        return summary_text(summary, title, file, _width(), how.everything)
    from kmodel_tools.render import tables

    if style == "csv":
        return tables.csv_text(summary)
    if style == "table":
        return tables.table_text(summary)
    return (tables.markdown_text if style == "md" else tables.html_page)(summary, title, file)


def _part(model: Model, file: str, path: str, how: _How) -> str:
    from kmodel_tools.inspector import one_layer, weight_row
    from kmodel_tools.render.text import weight_text
    from kmodel_tools.tree import Weight

    found = _found(model, file, path)
    if isinstance(found, Weight):
        return weight_text(weight_row(model, found, stats=True), _values(found))
    if how.style == "tree":
        return _layer(model, path, how)
    return _rendered(one_layer(model, path), file, how)


def _part_data(model: Model, file: str, path: str, how: _How) -> dict[str, object]:
    """One layer or weight as plain data."""
    from dataclasses import asdict

    from kmodel_tools import api
    from kmodel_tools.inspector import layer_settings, one_layer, weight_row
    from kmodel_tools.tree import Weight

    found = _found(model, file, path)
    if isinstance(found, Weight):
        return {**asdict(weight_row(model, found, stats=True)), "values": _listed(found)}
    return {"path": file, **api.inspect(one_layer(model, path), how.stats, how.salvage).to_dict(), "config": layer_settings(model, path)}


def _found(model: Model, file: str, path: str) -> object:
    from kmodel_tools.errors import KmtError

    try:
        return model.find(path)
    except KmtError as error:
        raise KmtError(error.problem, path=file, cure=error.cure) from error


def _layer(model: Model, path: str, how: _How) -> str:
    from kmodel_tools import api
    from kmodel_tools.inspector import layer_settings, one_layer
    from kmodel_tools.render.text import layer_text
    from kmodel_tools.tree import join_path

    alone = one_layer(model, path)
    weights = {join_path(place): weight for place, weight in alone.weights()}
    summary = api.inspect(alone, True, how.salvage)
    damaged = {row.path for layer in summary.layers for row in layer.weights if row.damage}
    shown = weights if len(weights) <= FEW_WEIGHTS else {}
    values = {place: _values(weight, FEW_VALUES) for place, weight in shown.items() if place not in damaged}
    return layer_text(summary, path, layer_settings(model, path), values, _width(), how.everything)


def _values(weight: Weight, most: int = MOST_VALUES) -> str:
    import numpy as np

    return np.array2string(weight.tensor.read(), threshold=most, edgeitems=4 if most == MOST_VALUES else 2, max_line_width=_width())


def _listed(weight: Weight) -> object:
    from kmodel_tools.tensor import DType

    values = weight.tensor.read()
    if weight.tensor.dtype is DType.STRING:
        return [item.decode("utf-8", "replace") for item in values.ravel().tolist()]
    return values.astype(float).tolist() if weight.tensor.dtype.is_float else values.tolist()


def _save(model: Model, file: str, paths: tuple[str, ...], npy: str, force: bool) -> None:
    import numpy as np

    from kmodel_tools.tree import Weight

    if len(paths) != 1:
        raise click.UsageError("--npy saves one weight: name it, as in: kmt inspect FILE layer/kernel --npy OUT")
    found = _found(model, file, paths[0])
    if not isinstance(found, Weight):
        raise click.UsageError(f"{paths[0]} is a layer; name one of its weights")
    if os.path.exists(npy) and not force:
        raise click.UsageError(f"{npy} is there already; --force replaces it")
    with open(npy, "wb") as target:
        np.save(target, found.tensor.read(), allow_pickle=False)


def _width() -> int:
    return min(MAX_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 80
