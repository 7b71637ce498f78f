"""Verbs that look at one model."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from kmodel_tools.api.arguments import Readable, model_of
from kmodel_tools.errors import KmtError
from kmodel_tools.format import Format, Part, Probe
from kmodel_tools.formats import all_formats, detect_format, load_format, read_model
from kmodel_tools.tree import Model

if TYPE_CHECKING:
    from kmodel_tools.digester import Digest
    from kmodel_tools.doctor.finding import Finding
    from kmodel_tools.doctor.readers import Readers
    from kmodel_tools.inspector.summary import Summary
    from kmodel_tools.verifier import Verification


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

    return _inspect(model_of(model, salvage), stats, salvage)


def verify(model: Readable) -> Verification:
    """Read every array of a file to its end, and compare it with its checksum where it has one.

    Args:
        model: The path of a model, or a model that was read with `salvage`.

    Raises:
        KmtError: As `read`, for a file of which nothing can be read.
    """
    from kmodel_tools.verifier import verify as _verify

    return _verify(model_of(model, salvage=True))


def digest(model: Readable, everything: bool = False) -> Digest:
    """Digest a model's weights, whatever container they are in.

    Args:
        model: A model, or the path of one.
        everything: Also digest configurations and the optimizer's state.

    Raises:
        KmtError: As `read`; for values that cannot be read, and for an architecture alone, unless `everything` is asked for.
    """
    from kmodel_tools.digester import digest as _digest

    given = model_of(model)
    if not everything and given.format and Part.WEIGHTS not in load_format(given.format).holds:
        path = model if isinstance(model, (str, os.PathLike)) else None
        raise KmtError("holds no weights, of which a digest could be made", path=path, cure="digest the architecture: kmt hash --all")
    return _digest(given, everything)


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


def readers(path: str | os.PathLike[str]) -> Readers:
    """Say which releases of Keras and TensorFlow read a file as it is, and what it takes for Keras 3. Nothing in it is run.

    Only what was tried is said: `doctor/readers.py` tells with which releases.

    Raises:
        KmtError: There is nothing at the path.
    """
    from kmodel_tools.doctor import readers as _readers

    return _readers(path)
