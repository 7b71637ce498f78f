"""Loading a file into a live model: everything is matched and looked at first, then assigned in place, one array at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.converter.precision import beyond_precision
from kmodel_tools.damaged import damage_of
from kmodel_tools.errors import KmtError, MatchError
from kmodel_tools.live import Live, described
from kmodel_tools.live.frameworks import Framework, framework_of
from kmodel_tools.live.state import Given, build_optimizer, state_for
from kmodel_tools.live.variables import assign
from kmodel_tools.matcher import Match
from kmodel_tools.matcher.maps import Mapped
from kmodel_tools.matcher.names import nameless
from kmodel_tools.tensor import ByteRange, Tensor
from kmodel_tools.transferrer import transfer
from kmodel_tools.tree import Model, damage_text, join_path
from kmodel_tools.upgrader.generation import FIRST, Brought, brought_into, generation

ERROR = "error"


@dataclass(frozen=True, slots=True)
class Loading:
    """How to load.

    Attributes:
        by: How to pair weights, as `matcher.match` has it.
        mapping: Paths in the live model by paths or keys of the source, None for what is left out.
        rename: `OLD=NEW` rules for the paths of the source.
        include: Patterns; with any, only pairs are loaded of which one path, or a layer above it, matches one.
        exclude: Patterns; a pair of which one path, or a layer above it, matches one is not loaded.
        on_mismatch: What to do with pairs of other shapes, as `transferrer.transfer` has it.
        strict: Whether every weight of both must have a partner that fits.
        optimizer: Whether to load the optimizer's state.
    """

    by: str = "name"
    mapping: Mapped | None = None
    rename: Sequence[str] = field(default=())
    include: Sequence[str] = field(default=())
    exclude: Sequence[str] = field(default=())
    on_mismatch: str = ERROR
    strict: bool = False
    optimizer: bool = False


def load_into(model: Any, source: Model, how: Loading) -> Match:
    """Give the variables of a live model the values of their partners in another model.

    All is looked at before the first value is assigned: pairs and shapes, that every array can be read to its end and is not beyond the
    precision of its variable, and whether the optimizer can take its state.

    Args:
        model: A live model of Keras 3 or Keras 2.
        source: Where the values come from; it is carried to the model's generation first where it has an architecture.
        how: What is asked for.

    Returns:
        The match of `source` (a) and the live model (b): `pairs` were loaded, `mismatched` and `only_a` were not, and what is `only_b` is
        as it was. Paths of the live model are spelled as in the source where somebody's own classes allow for several spellings.

    Raises:
        MatchError: No weight fits; with `strict`, something is left over; with `on_mismatch="error"`, something does not fit. Nothing was
            assigned, and the error holds the match.
        KmtError: As `matcher.match`; the model is not built, a value cannot be read or held, or there is no state to load.
    """
    if how.optimizer:
        build_optimizer(model)
    brought = _brought(model, source, whole=how.by == "auto")
    live = described(model, whole=brought.whole, like=brought.source)
    if how.by == "name" and how.mapping is None and nameless(brought.source):
        raise KmtError(
            "the source holds no names of layers: `dense_1` is only the second Dense in it, whatever that was called",
            cure="pair by='auto', by='position', or say which is which with a mapping",
        )
    filled, match = transfer(brought.source, live.model, how.mapping, how.include, how.exclude, how.by, how.rename, how.on_mismatch)
    match = _remarked(match, live, brought.remarks)
    _refuse(match, how.strict)
    loaded = list(_loaded(live, filled))
    if how.optimizer:
        state, remark = state_for(live, brought.source, match)
        loaded += state
        match = replace(match, remarks=(*match.remarks, remark))
    _check(loaded)
    if beyond := beyond_precision(filled):
        raise KmtError(
            f"the model cannot hold values of the source: {'; '.join(beyond)}",
            cure="leave these weights out with exclude, or build the model with more precision",
        )
    for done, item in enumerate(loaded):
        _assign(item, done, len(loaded))
    return match


@dataclass(frozen=True, slots=True)
class _Source:
    source: Model
    whole: bool
    remarks: tuple[str, ...]


def _brought(model: Any, source: Model, whole: bool) -> _Source:
    """The source as a model of the live one's generation; only to carry it the live model is asked for its architecture."""
    target = framework_of(model)
    era = generation(source)
    same = (era is Era.KERAS_3) is (target is Framework.KERAS_3) and era not in FIRST
    if (same and era is not None) or (era is None and source.architecture is not None):
        return _Source(source, whole, ())
    found: Brought = brought_into(source, described(model).model)
    return _Source(found.model, True, (*found.said, *found.remarks))


def _remarked(match: Match, live: Live, remarks: tuple[str, ...]) -> Match:
    """The match with what is known of the live model: layers that have no weights yet."""
    unbuilt = live.structure.unbuilt
    only_a = tuple(
        replace(item, reason=f"{item.reason}: the layer was never called, and has no weights yet") if unbuilt & set(item.path) else item
        for item in match.only_a
    )
    return replace(match, only_a=only_a, remarks=tuple(dict.fromkeys((*remarks, *match.remarks))))


def _refuse(match: Match, strict: bool) -> None:
    over = len(match.only_a) + len(match.only_b) + 2 * len(match.mismatched)
    if strict and over:
        raise MatchError(f"{over} weights of the two models have no partner, or none that fits{_first(match)}; nothing was loaded", match)
    if not match.pairs:
        raise MatchError(
            f"no weight of the source has a partner in the model{_first(match)}; nothing was loaded",
            match,
            cure="look at both (kmt inspect), and say which is which with rename or mapping, or pair by='auto'",
        )


def _first(match: Match) -> str:
    """The first leftovers, for a sentence."""
    shown = [f"{join_path(item.path)}: {item.reason}" for item in (*match.only_a, *match.only_b)[:3]]
    shown += [f"{join_path(pair.path_b)}: {pair.remark}" for pair in match.mismatched[:2]]
    return f" ({'; '.join(shown[:3])})" if shown else ""


def _loaded(live: Live, filled: Model) -> Iterator[Given]:
    """What gets which values: the weights of the filled tree that are others than those of the live model."""
    for item, (path, weight) in zip(live.structure.held, filled.weights(), strict=True):
        if weight.tensor is not item.weight.tensor:
            yield Given(item.variable, weight.tensor, join_path(path), item.factors)


def _check(loaded: Sequence[Given]) -> None:
    """Make sure that every value can be read: what lies in a file as it is lies there whole; anything else is read to its end.

    Raises:
        KmtError: Something cannot be read; it says what.
    """
    looked_at: set[str] = set()
    for item in loaded:
        damage = damage_of(item.tensor)
        if damage is not None:
            raise KmtError(f"{item.name} cannot be loaded: {damage_text(damage)}; nothing was assigned", cure="leave it out with exclude")
        if isinstance(item.tensor.source, ByteRange):
            if item.tensor.source.path not in looked_at:
                looked_at.add(item.tensor.source.path)
                with item.tensor.source.opened():
                    pass
        else:
            _read_through(item.tensor)


def _read_through(tensor: Tensor) -> None:
    for _ in tensor.blocks():
        pass


def _assign(item: Given, done: int, total: int) -> None:
    """Read one array and assign it; a file that is damaged or replaced at this very moment leaves the model with a part of the values."""
    import numpy as np

    try:
        values = item.tensor.read()
        values.flags.writeable = True  # nobody else has it, and PyTorch complains of arrays that cannot be written
        assign(item.variable, values, item.name)
        for factor in item.factors:
            assign(factor, np.zeros(tuple(factor.shape), values.dtype), item.name)
    except KmtError as error:
        if done:
            error.problem = f"{error.problem}; {done} of {total} arrays were assigned before"
        raise
