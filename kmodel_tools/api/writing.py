"""Verbs that make a model of one or several others, and those that write it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kmodel_tools.api.arguments import Names, Readable, by_name, dtype_of, mapping_of, model_of, patterns_of, replacements_of
from kmodel_tools.errors import KmtError, MatchError
from kmodel_tools.formats import all_formats, writable_format
from kmodel_tools.tree import Model

if TYPE_CHECKING:
    from kmodel_tools.converter import Conversion, Progress
    from kmodel_tools.editor.joining import Joined
    from kmodel_tools.matcher import Match

NEAR = 0.7
"""How alike two suffixes are, from which on one is taken for the other misspelt."""


def write(
    model: Model,
    path: str | os.PathLike[str],
    format: str | None = None,
    overwrite: bool = False,
    options: Mapping[str, str] | None = None,
) -> None:
    """Write a model as it is; `convert` also says what is carried and what is lost.

    Args:
        model: The model.
        path: Where to write.
        format: The name of the format, or None to go by the suffix of `path`.
        overwrite: Whether a file that is there may be replaced.
        options: Options of the format, by name.

    Raises:
        ConversionError: The format cannot hold the model.
        KmtError: The file is there already, or cannot be written.
    """
    convert(model, path, to=format, overwrite=overwrite, options=options)


def convert(
    source: Readable,
    destination: str | os.PathLike[str],
    to: str | None = None,
    like: Readable | None = None,
    target: str | None = None,
    weights_only: bool = False,
    optimizer: bool = True,
    select: Sequence[str] = (),
    drop: Sequence[str] = (),
    dtype: str | None = None,
    lossy: bool = False,
    overwrite: bool = False,
    options: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    salvage: bool = False,
    mapping: Names | None = None,
    averages: bool = False,
    replace_layers: Mapping[str, str | Mapping[str, Any]] | None = None,
    rename: Sequence[str] = (),
    extract: str | None = None,
    verify: bool = False,
) -> Conversion:
    """Write a model in another format, and say what was carried, concluded and lost.

    Args:
        source: A model, or the path of one.
        destination: Where to write.
        to: The name of the format, or None to go by the suffix of `destination`.
        like: A model whose architecture and layout the weights take on, or the path of one or of an architecture in JSON or YAML.
        target: The generation of Keras to write for, `keras2` or `keras3`; by default that of the source, or what the format is for.
        weights_only: Leave out architecture, training configuration, optimizer and files of layers.
        optimizer: Whether to carry the optimizer's state.
        select: Patterns of the weights to carry; `*` and `?`, or a regular expression after `re:`.
        drop: Patterns of the layers or weights not to carry; without its last layers a model stays a whole one.
        dtype: Precision to round floating-point weights to, by Keras's name of it.
        lossy: Whether what the format cannot hold may go.
        overwrite: Whether a file that is there may be replaced.
        options: Options of the format, by name.
        progress: Called with the bytes of weights written and of all.
        salvage: Leave out what cannot be read, each as a loss, so that `lossy` lets it go; every array is read once beforehand.
        mapping: New paths of layers and weights by their old paths or keys, None to leave out; or the path of such a map.
        averages: Whether the moving averages of weights take their place.
        replace_layers: Layers of Keras 3, as objects or as text, by paths or patterns of those whose place they take.
        rename: `OLD=NEW` rules for the names of layers, wherever the model has them; of weights too, where these go alone.
        extract: The path of a nested model that is carried as one of its own, or of a layer whose weights are carried.
        verify: Whether every array of the new file is read back and compared before the file takes its place.

    Raises:
        ConversionError: The format cannot hold the model; `losses` lists what.
        KmtError: As `read`; or the destination is there already, or cannot be written.
    """
    from kmodel_tools import converter

    asked = converter.Request(to=to, target=target, options=options or {}, lossy=lossy, overwrite=overwrite, salvage=salvage)
    asked = replace(asked, weights_only=weights_only, optimizer=optimizer, averages=averages, extract=extract, verify=verify)
    asked = replace(asked, select=patterns_of(select), drop=patterns_of(drop), rename=patterns_of(rename))
    asked = replace(asked, dtype=dtype_of(dtype), mapping=mapping_of(mapping), replace_layers=replacements_of(replace_layers or {}))
    asked = replace(asked, like=None if like is None else model_of(like))
    return converter.convert(model_of(source, salvage), destination, asked, progress)


def transfer(
    source: Readable,
    into: Readable,
    mapping: Names | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    averages: bool = False,
    strict: bool = False,
    by: str = "name",
    rename: Sequence[str] = (),
    on_mismatch: str = "skip",
) -> tuple[Model, Match]:
    """Load what fits of one model into another: a model that `write` can write, and what was matched.

    Args:
        source: A model, or the path of one, that values are taken from.
        into: A model, or the path of one, that everything else is taken from; the file stays as it is.
        mapping: Paths in `into` by paths or keys of layers and weights of `source`, None for what is left out; or the path
            of a file that holds such a map.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to load.
        exclude: Patterns of layers and weights not to load.
        averages: Whether the moving averages of weights take their place.
        strict: Whether every weight of both must have a partner.
        by: How to pair weights: `name`, `position`, `shape` or `auto`; see `match`.
        rename: `OLD=NEW` rules for the paths of `source`; `*` and `?`, or a regular expression after `re:`.
        on_mismatch: Where shapes differ: `skip`, `slice` (the first part of what is larger), `pad` (what is smaller takes the place of
            the first part) or `error`.

    Returns:
        The model, and a match of `source` (a) and `into` (b): `pairs` were loaded, `mismatched` and `only_a` were not, and what
        is `only_b` is as it was.

    Raises:
        MatchError: With `strict`, something is left over; with `error`, something does not fit; it holds the match.
        KmtError: As `read`; the map does not fit the source, or a pattern is none.
    """
    from kmodel_tools.editor import take_averages
    from kmodel_tools.transferrer import transfer as _transfer

    origin = take_averages(model_of(source))[0] if averages else model_of(source)
    model, match = _transfer(
        origin, model_of(into), mapping_of(mapping), patterns_of(include), patterns_of(exclude), by, patterns_of(rename), on_mismatch
    )
    over = len(match.only_a) + len(match.only_b) + 2 * len(match.mismatched)
    if strict and over:
        raise MatchError(f"{over} weights of the two models have no partner, or none that fits", match)
    return model, match


def merge(models: Sequence[Readable], names: Sequence[str] = ()) -> Joined:
    """Put the layers of several models side by side: a model that `write` can write as weights.

    Args:
        models: Models, or paths of them; no two with weights of one name.
        names: What messages call them; by default their paths.

    Raises:
        ConversionError: Several have weights of one name, or they do not go together.
        KmtError: As `read`; there are fewer than two.
    """
    from kmodel_tools.editor.joining import merged

    return merged(by_name(models, names))


def average(models: Sequence[Readable], names: Sequence[str] = ()) -> Joined:
    """Make a model of the means of the weights of several, which are one model at several times.

    Args:
        models: Models, or paths of them, with the same weights; all but the weights is the first one's.
        names: What messages call them; by default their paths.

    Raises:
        ConversionError: They do not have the same weights, or integers in them differ.
        KmtError: As `read`; there are fewer than two.
    """
    from kmodel_tools.editor.joining import averaged

    return averaged(by_name(models, names))


def format_for(path: str | os.PathLike[str], default: str) -> str:
    """The name of the format that a path's suffix names, or `default` where it names none that is written.

    Raises:
        KmtError: The suffix is nearly one, which is a slip of the pen: nobody wants `model.kears`.
    """
    text = os.fspath(path)
    suffixes = [suffix for record in all_formats() if record.write for suffix in record.suffixes]
    if any(text.endswith(suffix) for suffix in suffixes):
        return writable_format(path).name
    near = get_close_matches(os.path.splitext(text)[1], suffixes, 1, NEAR)
    if near:
        raise KmtError("its suffix names no format that is written", path=text, cure=f"did you mean {near[0]}? Or say which with --to")
    return default
