"""Verbs that hold two models side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from kmodel_tools.api.arguments import Names, Readable, both, mapping_of, model_of, patterns_of
from kmodel_tools.differ.result import ASPECTS, Diff

if TYPE_CHECKING:
    from kmodel_tools.matcher import Match
    from kmodel_tools.proposer import Proposal


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
    first, second = both(a, b)
    return _diff(
        first,
        second,
        by,
        rtol,
        atol,
        equal_nan,
        patterns_of(rename),
        patterns_of(include),
        patterns_of(exclude),
        chosen,
        mapping_of(mapping),
    )


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

    first, second = both(source, target)
    return _match(first, second, by, patterns_of(rename), patterns_of(include), patterns_of(exclude), mapping_of(mapping))


def propose_map(source: Readable, like: Readable) -> Proposal:
    """Propose which weight of one model is which of another, by names and shapes: a map for people to look through.

    Args:
        source: A model, or the path of one, whose names are to be translated.
        like: A model, or the path of one, whose names are wanted.

    Raises:
        KmtError: As `read`.
    """
    from kmodel_tools.proposer import propose

    return propose(model_of(source), model_of(like))
