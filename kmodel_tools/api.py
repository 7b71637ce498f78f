"""The public verbs: each takes a path or a Model and calls one function below."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from kmodel_tools.differ.result import ASPECTS, Diff
from kmodel_tools.digester import Digest
from kmodel_tools.format import Format, Probe
from kmodel_tools.formats import all_formats, detect_format, load_format, read_model
from kmodel_tools.inspector import Summary
from kmodel_tools.tree import Model

Readable = str | os.PathLike[str] | Model


def read(path: str | os.PathLike[str], format: str | None = None) -> Model:
    """Describe the model at a path: its layers, weights and configurations; the values are read when asked for.

    Args:
        path: A file, a directory, or a checkpoint's prefix.
        format: The name of its format (`kmt formats`), to be used instead of looking at the content.

    Raises:
        KmtError: There is nothing at the path.
        FormatError: It is of no known format, damaged, or uses what is not supported.
    """
    return read_model(path, format)


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


def inspect(model: Readable, stats: bool = False) -> Summary:
    """Summarise a model.

    Args:
        model: A model, or the path of one.
        stats: Also read every weight and count, bound and average its values.

    Raises:
        KmtError: As `read`.
    """
    from kmodel_tools.inspector import inspect as _inspect

    return _inspect(_model(model), stats)


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
) -> Diff:
    """Compare two models, whatever containers they are in.

    Args:
        a: A model, or the path of one; "the old one".
        b: Another.
        by: How to pair weights: `name`, `position`, or `auto`: by name unless only the order can tell, which the result says.
        rtol: Two floats are the same if ``|a - b| <= atol + rtol * |b|``.
        atol: See `rtol`.
        equal_nan: Whether NaN equals NaN.
        rename: `OLD=NEW` rules for the paths of `a`; `*` and `?`, or a regular expression after `re:`.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to be compared.
        exclude: Patterns of layers and weights to be left out.
        aspects: What to compare, of `layers`, `weights`, `trainable`, `config`, `training_config`, `optimizer`, `assets`,
            `extras`; all of them if it is None.

    Raises:
        KmtError: As `read`, for arguments that are not understood, and for values that cannot be read.
    """
    from kmodel_tools.differ import diff as _diff

    return _diff(_model(a), _model(b), by, rtol, atol, equal_nan, rename, include, exclude, ASPECTS if aspects is None else aspects)


def digest(model: Readable, everything: bool = False) -> Digest:
    """Digest a model's weights, whatever container they are in.

    Args:
        model: A model, or the path of one.
        everything: Also digest configurations and the optimizer's state.

    Raises:
        KmtError: As `read`, and for values that cannot be read.
    """
    from kmodel_tools.digester import digest as _digest

    return _digest(_model(model), everything)


def _model(model: Readable) -> Model:
    return model if isinstance(model, Model) else read(model)
