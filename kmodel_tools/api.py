"""The public verbs: each takes a path, a Model or a live model of Keras, and calls one function below."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from kmodel_tools.differ.result import ASPECTS, Diff
from kmodel_tools.digester import Digest
from kmodel_tools.errors import KmtError, MatchError
from kmodel_tools.format import Format, Part, Probe
from kmodel_tools.formats import all_formats, detect_format, load_format, read_model, writable_format
from kmodel_tools.inspector.summary import Summary
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Model

if TYPE_CHECKING:
    from kmodel_tools.converter import Conversion, Progress
    from kmodel_tools.doctor.finding import Finding
    from kmodel_tools.editor.joining import Joined
    from kmodel_tools.live.frameworks import LiveModel
    from kmodel_tools.matcher import Match
    from kmodel_tools.proposer import Proposal
    from kmodel_tools.verifier import Verification

Readable: TypeAlias = "str | os.PathLike[str] | Model | LiveModel"
Names = str | os.PathLike[str] | Mapping[str, str | None]


def read(path: str | os.PathLike[str], format: str | None = None, salvage: bool = False) -> Model:
    """Describe the model at a path: its layers, weights and configurations; the values are read when asked for.

    Args:
        path: A file, a directory, or a checkpoint's prefix.
        format: The name of its format (`kmt formats`), to be used instead of looking at the content.
        salvage: Describe arrays that cannot be read as damaged ones, with a note for each, so that the others stay readable;
            reading a damaged one raises what is wrong with it.

    Raises:
        KmtError: There is nothing at the path.
        FormatError: It is of no known format, damaged, or uses what is not supported.
    """
    return read_model(path, format, salvage)


def detect(path: str | os.PathLike[str]) -> Format:
    """The format of the model at a path, told by its content.

    Raises:
        KmtError: There is nothing at the path.
        FormatError: It is of no known format, of several, or damaged.
    """
    return detect_format(Probe(path))


def formats() -> tuple[Format, ...]:
    """The records of all formats."""
    return all_formats()


def format_named(name: str) -> Format:
    """The record of the format with a name, such as `Model.format`.

    Raises:
        KmtError: There is none.
    """
    return load_format(name)


def inspect(model: Readable, stats: bool = False, salvage: bool = False) -> Summary:
    """Summarise a model.

    Args:
        model: A model, or the path of one.
        stats: Also read every weight and count, bound and average its values.
        salvage: Show what cannot be read as damaged, instead of raising; see `read`.

    Raises:
        KmtError: As `read`.
    """
    from kmodel_tools.inspector import inspect as _inspect

    return _inspect(_model(model, salvage), stats, salvage)


def verify(model: Readable) -> Verification:
    """Read every array of a file to its end, and compare it with its checksum where it has one.

    Args:
        model: The path of a model, or a model that was read with `salvage`.

    Raises:
        KmtError: As `read`, for a file of which nothing can be read.
    """
    from kmodel_tools.verifier import verify as _verify

    return _verify(_model(model, salvage=True))


def diff(
    a: Readable,
    b: Readable,
    by: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    equal_nan: bool = True,
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    aspects: Collection[str] | None = None,
    mapping: Names | None = None,
) -> Diff:
    """Compare two models, whatever containers they are in.

    Args:
        a: A model, or the path of one; "the old one".
        b: Another.
        by: How to pair weights: `name`, `position`, `shape`, or `auto`; see `match`.
        rtol: Two floats are the same if ``|a - b| <= atol + rtol * |b|``.
        atol: See `rtol`.
        equal_nan: Whether NaN equals NaN.
        rename: `OLD=NEW` rules for the paths of `a`; `*` and `?`, or a regular expression after `re:`.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to be compared.
        exclude: Patterns of layers and weights to be left out.
        aspects: What to compare, of `layers`, `weights`, `trainable`, `config`, `training_config`, `optimizer`, `assets`,
            `extras`; all of them if it is None.
        mapping: Paths in `b` by paths or keys of layers and weights of `a`, None for what has no partner; or the path of such a map.

    Raises:
        KmtError: As `read`, for arguments that are not understood, and for values that cannot be read.
    """
    from kmodel_tools.differ import diff as _diff

    chosen = ASPECTS if aspects is None else aspects
    first, second = _both(a, b)
    return _diff(first, second, by, rtol, atol, equal_nan, rename, include, exclude, chosen, _mapping(mapping))


def match(
    source: Readable,
    target: Readable,
    by: str = "auto",
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    mapping: Names | None = None,
) -> Match:
    """Say which weight of one model is which of another, and why; nothing is read or changed.

    Args:
        source: A model, or the path of one.
        target: Another.
        by: `name`: equal paths, spelt otherwise, or ends of paths. `position`: in order. `shape`: the sequences of layers, aligned by
            class, roles and shapes. `auto`: names where they agree, the sequences in between; by position where only the order can tell.
        rename: `OLD=NEW` rules for the paths of `source`; `*` and `?`, or a regular expression after `re:`.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to pair.
        exclude: Patterns of layers and weights to leave out.
        mapping: Paths in `target` by paths or keys of layers and weights of `source`, None for what has no partner; or the path of
            a file that holds such a map.

    Returns:
        Pairs and leftovers, each with its reason; what may be one or another stays without a partner (`Match.ambiguous`).

    Raises:
        KmtError: As `read`; for arguments that are not understood.
    """
    from kmodel_tools.matcher import match as _match

    first, second = _both(source, target)
    return _match(first, second, by, rename, include, exclude, _mapping(mapping))


def diagnose(
    path: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    error: str | None = None,
    themes: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """Say why a file does not open, gives other results than it did, or is unsafe to load. Nothing in it is run.

    Args:
        path: A file, a directory, or a checkpoint's prefix.
        other: A second one, to be compared with it.
        error: The message that Keras or TensorFlow gave.
        themes: What to look for, of `doctor.finding.THEMES`; everything if it is None.

    Returns:
        The findings, the gravest and surest first.

    Raises:
        KmtError: There is nothing at a path, or no theme of a name.
    """
    from kmodel_tools.doctor import diagnose as _diagnose

    return _diagnose(path, other, error, themes)


def digest(model: Readable, everything: bool = False) -> Digest:
    """Digest a model's weights, whatever container they are in.

    Args:
        model: A model, or the path of one.
        everything: Also digest configurations and the optimizer's state.

    Raises:
        KmtError: As `read`; for values that cannot be read, and for an architecture alone, unless `everything` is asked for.
    """
    from kmodel_tools.digester import digest as _digest

    given = _model(model)
    if not everything and given.format and Part.WEIGHTS not in load_format(given.format).holds:
        path = model if isinstance(model, (str, os.PathLike)) else None
        raise KmtError("holds no weights, of which a digest could be made", path=path, cure="digest the architecture: kmt hash --all")
    return _digest(given, everything)


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

    Raises:
        ConversionError: The format cannot hold the model; `losses` lists what.
        KmtError: As `read`; or the destination is there already, or cannot be written.
    """
    from kmodel_tools import converter

    request = converter.Request(
        to,
        None if like is None else _model(like),
        target,
        weights_only,
        optimizer,
        tuple(select),
        tuple(drop),
        None if dtype is None else _dtype(dtype),
        lossy,
        overwrite,
        options or {},
        salvage,
        _mapping(mapping),
        averages,
        tuple(rename),
        extract,
        _replacements(replace_layers or {}),
    )
    return converter.convert(_model(source, salvage), destination, request, progress)


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

    origin = take_averages(_model(source))[0] if averages else _model(source)
    model, match = _transfer(origin, _model(into), _mapping(mapping), include, exclude, by, rename, on_mismatch)
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

    return merged(_by_name(models, names))


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

    return averaged(_by_name(models, names))


def _by_name(models: Sequence[Readable], names: Sequence[str]) -> dict[str, Model]:
    labels = list(names) or [
        os.fspath(model) if isinstance(model, (str, os.PathLike)) else f"model {number}" for number, model in enumerate(models, 1)
    ]
    if len(set(labels)) < len(models):
        raise KmtError("one file is named twice")
    return {label: _model(model) for label, model in zip(labels, models, strict=True)}


def from_keras(model: LiveModel) -> Model:
    """Describe a live model of Keras 3 (with any backend), tf_keras or Keras 2: whatever takes a `Model` takes it then.

    Every other verb takes the live model itself, too. Nothing is copied: a weight is read from its variable when it is asked for, and has
    the values that the variable has then. States of random generators and running values of metrics are left out, as they are in
    Keras's own files.

    Args:
        model: The model, also one of somebody's own class; its layers are found by the attributes that hold them.

    Raises:
        KmtError: It is no live model, or it is not built.
    """
    from kmodel_tools.live import from_keras as _from_keras

    return _from_keras(model)


def load_into(
    model: LiveModel,
    source: Readable,
    by: str = "name",
    mapping: Names | None = None,
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    on_mismatch: str = "error",
    strict: bool = False,
    optimizer: bool = False,
    averages: bool = False,
) -> Match:
    """Give the variables of a live model of Keras 3 or tf_keras the values of their partners in any file, in place.

    Everything is looked at before the first value is assigned; with an error, the model is as it was. A source of another generation is
    carried to that of the model first, where it has an architecture.

    Args:
        model: The live model; it has to be built.
        source: The path of a model in any readable format, a `Model`, or another live model.
        by: How to pair weights: `name`, `position`, `shape` or `auto`; see `match`.
        mapping: Paths in the live model by paths or keys of layers and weights of `source`, None for what is left out; or the path of
            a file that holds such a map.
        rename: `OLD=NEW` rules for the paths of `source`; `*` and `?`, or a regular expression after `re:`.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to load.
        exclude: Patterns of layers and weights not to load.
        on_mismatch: Where shapes differ: `error`, `skip`, `slice` (the first part of what is larger) or `pad` (what is smaller takes the
            place of the first part).
        strict: Whether every weight of both must have a partner.
        optimizer: Whether to load the optimizer's state too, that of the weights that are loaded, its step counter and learning rate.
        averages: Whether the moving averages of weights take their place.

    Returns:
        The match of `source` (a) and the model (b): `pairs` were loaded, `mismatched` and `only_a` were not, and what is `only_b` is as
        it was.

    Raises:
        MatchError: No weight fits; with `error`, one does not; with `strict`, something is left over. It holds the match.
        KmtError: As `read`; the model is not built; a value cannot be read, or is beyond the precision of its variable; there is no
            optimizer's state that could be loaded; the map does not fit the source, or a pattern is none.
    """
    from kmodel_tools.editor import take_averages
    from kmodel_tools.live.loading import Loading
    from kmodel_tools.live.loading import load_into as _load_into

    origin = take_averages(_model(source))[0] if averages else _model(source)
    how = Loading(by, _mapping(mapping), tuple(rename), tuple(include), tuple(exclude), on_mismatch, strict, optimizer)
    return _load_into(model, origin, how)


def propose_map(source: Readable, like: Readable) -> Proposal:
    """Propose which weight of one model is which of another, by names and shapes: a map for people to look through.

    Args:
        source: A model, or the path of one, whose names are to be translated.
        like: A model, or the path of one, whose names are wanted.

    Raises:
        KmtError: As `read`.
    """
    from kmodel_tools.proposer import propose

    return propose(_model(source), _model(like))


def format_for(path: str | os.PathLike[str], default: str) -> str:
    """The name of the format that a path's suffix names, or `default` where it names none that is written."""
    text = os.fspath(path)
    written = any(record.write and text.endswith(suffix) for record in all_formats() for suffix in record.suffixes)
    return writable_format(path).name if written else default


def _mapping(mapping: Names | None) -> Mapping[str, str | None] | None:
    if mapping is None or isinstance(mapping, Mapping):
        return mapping
    from kmodel_tools.map_file import read_map

    return read_map(mapping)


def _replacements(layers: Mapping[str, str | Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: _replacement(name, new) for name, new in layers.items()}


def _replacement(name: str, new: str | Mapping[str, Any]) -> dict[str, Any]:
    """The layer of Keras 3 that a mapping or a text describes.

    It is a configuration `{"class_name": "Rescaling", "config": {"scale": 0.5}}`, as a mapping or in JSON, or
    `Rescaling(scale=0.5)`, or `@FILE`, which holds one of these.
    """
    from kmodel_tools.architecture.envelope import ConfigError
    from kmodel_tools.architecture.layer_text import LONGEST, checked_layer, layer_from_text

    try:
        if not isinstance(new, str):
            return checked_layer(new)
        if not new.startswith("@"):
            return layer_from_text(new)
        with open(new[1:], encoding="utf-8") as file:
            return layer_from_text(file.read(LONGEST + 1))
    except ConfigError as error:
        raise KmtError(f"the replacement of {name}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise KmtError(f"the replacement of {name} cannot be read: {error}", path=str(new)[1:]) from error


def _dtype(name: str) -> DType:
    floats = {dtype.value: dtype for dtype in DType if dtype.is_float}
    if name not in floats:
        raise KmtError(f"weights are not rounded to {name!r}", cure=f"choose one of {', '.join(floats)}")
    return floats[name]


def _both(a: Readable, b: Readable) -> tuple[Model, Model]:
    """Two models as trees; a live one spells what somebody's own classes leave open as the other does."""
    if isinstance(a, (str, os.PathLike, Model)):
        first = _model(a)
        return first, _model(b, like=first)
    second = _model(b)
    return _model(a, like=second), second


def _model(model: Readable, salvage: bool = False, like: Model | None = None) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return read(model, salvage=salvage)
    from kmodel_tools.live import described

    return described(model, like=like).model
