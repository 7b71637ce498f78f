"""What differs between two models, aspect by aspect; what one side does not hold is not compared, and said to be so."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kmodel_tools.differ.arrays import digest_of
from kmodel_tools.differ.aspects import Findings, Task, assets, config, extras, layers, optimizer, trainable, training_config, weights
from kmodel_tools.differ.kinship import without_strangers
from kmodel_tools.differ.result import ASPECTS, Diff, Pairing, Side
from kmodel_tools.differ.values import Tolerance
from kmodel_tools.errors import KmtError
from kmodel_tools.matcher import Match, match, renamer, selector
from kmodel_tools.matcher.maps import Mapped
from kmodel_tools.tree import Model, join_path
from kmodel_tools.upgrader.generation import Brought, brought_to

__all__ = ["ASPECTS", "Diff", "diff"]

_COMPARERS = {
    "layers": layers,
    "weights": weights,
    "trainable": trainable,
    "config": config,
    "training_config": training_config,
    "optimizer": optimizer,
    "assets": assets,
    "extras": extras,
}


def diff(
    a: Model,
    b: Model,
    by: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    equal_nan: bool = True,
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    aspects: Collection[str] = ASPECTS,
    mapping: Mapped | None = None,
) -> Diff:
    """Compare two models, whatever containers they are from.

    Two floats are the same if ``|a - b| <= atol + rtol * |b|``; integers, booleans and strings are the same or not. Floats of two
    precisions are compared after both are cast to float64, which holds all of them exactly; another dtype alone is told, and is
    no difference. Arrays are read in blocks. Where one of the two is of Keras 3, an earlier one is compared as it is carried there:
    what is expressed otherwise in Keras 3 is no difference (`brought_to`).

    Args:
        a: One model, "the old one".
        b: The other.
        by: How to pair weights: `auto`, `name`, `position`, `shape`; see `matcher.match`. With `auto`, layers that names leave over
            are paired if all of their values are the same, and layers of other names that share none are not (`kinship`).
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        equal_nan: Whether NaN equals NaN.
        rename: `OLD=NEW` rules for the paths of `a`.
        include: Patterns of layers and weights to be compared; all without any.
        exclude: Patterns of layers and weights to be left out.
        aspects: What to compare, of `ASPECTS`; what is not asked for is not read.
        mapping: Paths in `b` by paths or keys of layers and weights of `a`, None for what has no partner.

    Raises:
        KmtError: An argument is not understood.
        FormatError: A value that is needed cannot be read.
    """
    tolerance = Tolerance(rtol, atol, equal_nan)
    _check(aspects, tolerance)
    brought_a, brought_b = brought_to(a, b), brought_to(b, a)
    side_a, side_b = _side(a, brought_a), _side(b, brought_b)
    a, b = brought_a.model, brought_b.model
    reads = not {"layers", "weights", "optimizer", "trainable"}.isdisjoint(aspects)
    pairs = match(a, b, by, rename, include, exclude, mapping, digest_of if reads else None)
    if by == "auto" and reads:
        pairs = without_strangers(pairs)
    task = Task(a, b, pairs, tolerance, renamer(rename), selector(include, exclude))
    findings = Findings()
    verdicts = tuple(_COMPARERS[name](task, findings) for name in ASPECTS if name in aspects)
    return Diff(
        a=side_a,
        b=side_b,
        pairing=_pairing(pairs),
        tolerance=tolerance,
        aspects=verdicts,
        match=pairs,
        **{name: tuple(found) for name, found in findings.lists.items()},
    )


def _check(aspects: Collection[str], tolerance: Tolerance) -> None:
    unknown = sorted(set(aspects) - set(ASPECTS))
    if unknown:
        raise KmtError(f"there is no aspect called {unknown[0]!r}", cure=f"use some of {', '.join(ASPECTS)}")
    if not (tolerance.rtol >= 0 and tolerance.atol >= 0):
        raise KmtError("a tolerance is negative or NaN", cure="give rtol and atol as numbers from 0 on")


def _side(model: Model, brought: Brought) -> Side:
    return Side(model.name, model.format, dict(model.metadata), brought.upgraded, brought.remarks)


def _pairing(pairs: Match) -> Pairing:
    return Pairing(
        by=pairs.by,
        why="; ".join((pairs.why, *pairs.remarks)),
        pairs=len(pairs.pairs),
        elements=sum(pair.a.tensor.size for pair in pairs.pairs),
        left_out=pairs.left_out,
        renamed=tuple((join_path(pair.path_a), join_path(pair.path_b)) for pair in pairs.pairs if pair.path_a != pair.path_b),
    )
