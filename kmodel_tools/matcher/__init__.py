"""Which weight of one model belongs to which of another: by names, by position, by class and shapes, or by what tells best.

Paths, classes and shapes are looked at; values only through a function that a caller gives. Nothing is guessed in silence: every pair and
every leftover has its reason, and what may be one or another stays without a partner, with all that it may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kmodel_tools.errors import KmtError
from kmodel_tools.matcher.alignment import Content, by_content, by_sequence
from kmodel_tools.matcher.maps import Mapped
from kmodel_tools.matcher.names import by_counted_names, by_names, by_sure_names, place_or_name
from kmodel_tools.matcher.pairing import Pairing
from kmodel_tools.matcher.patterns import check_patterns, renamer, selector
from kmodel_tools.matcher.remarks import remarked
from kmodel_tools.matcher.result import CONTENT, HOW, NAMED, POSITION, Leftover, Match, Pair
from kmodel_tools.matcher.sides import Symbols, are_apart, class_of, side_of
from kmodel_tools.tree import Model

__all__ = ["HOW", "NAMED", "WAYS", "Leftover", "Match", "Pair", "check_patterns", "class_of", "match", "renamer", "selector"]


def match(
    a: Model,
    b: Model,
    by: str = "auto",
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    mapping: Mapped | None = None,
    content: Content | None = None,
) -> Match:
    """Pair the weights of two models.

    Args:
        a: One model.
        b: The other.
        by: `name`: equal paths; then paths that releases spell otherwise; then layers of which one's path is the end of the other's,
            if only one can be meant. `position`: in order, layers without weights not being counted; where that does not come out
            even, as `shape`. `shape`: the two sequences of layers, aligned by class, roles and shapes; names are not asked. `auto`:
            by name as far as names agree, and between those as `shape`; by position, if names differ while all shapes agree in order
            (`names.place_or_name`).
        rename: `OLD=NEW`, applied in turn to the paths of `a` before they are compared; OLD is a layer or a weight, with `*`
            and `?`, or a regular expression after `re:`.
        include: Patterns; a pair stays if one of its two paths, or a layer above it, matches one of them.
        exclude: Patterns; a pair is left out if one of its two paths, or a layer above it, matches one of them.
        mapping: Paths in `b` by paths or keys of layers and weights of `a`, None for what has no partner; nothing else is asked of these.
        content: With `auto`, a digest of a weight's dtype, shape and values: layers that names leave over are paired if all of
            their values are the same.

    Raises:
        KmtError: `by` or a pattern is none, a map does not fit `a`, or two weights are renamed to one path.
    """
    if by not in WAYS:
        raise KmtError(f"there is no way of pairing called {by!r}", cure=f"use one of {', '.join(WAYS)}")
    pairing = Pairing(side_of(a, rename, mapping), side_of(b))
    if mapping is not None:
        pairing.pair_by_names([place for place, item in enumerate(pairing.a.items) if item.mapped])
    told = _WAYS[by](pairing, content)
    found = told.pairing.match(told.by, told.why, selector(include, exclude))
    return remarked(told.pairing, found)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is paired in the end, by what, and why so."""

    pairing: Pairing
    by: str
    why: str


def _name(pairing: Pairing, _: Content | None) -> _Told:
    by_names(pairing)
    return _Told(pairing, "name", "as asked for")


def _shape(pairing: Pairing, _: Content | None) -> _Told:
    return _Told(by_sequence(pairing, Symbols.of(pairing.a, pairing.b)), "shape", "as asked for")


def _position(pairing: Pairing, _: Content | None) -> _Told:
    a, b = pairing.a, pairing.b
    if any(item.mapped for item in a.items):
        aligned = by_sequence(pairing, Symbols.of(a, b))
        return _Told(aligned, "shape", "as asked for; what the map leaves open is aligned by class and shapes")
    if len(a.weights) == len(b.weights) == sum(name is not None for name in a.names):
        _all_in_order(pairing)
        return _Told(pairing, "position", "as asked for")
    if len(a.items) == len(b.items):
        for place in range(len(a.items)):
            pairing.pair_layers(place, place, POSITION)
        return _Told(pairing, "position", f"as asked for; {len(a.weights):,} weights against {len(b.weights):,}, in as many layers")
    aligned = by_sequence(pairing, Symbols.of(a, b))
    counts = f"{len(a.items):,} layers with weights against {len(b.items):,}"
    return _Told(aligned, "shape", f"as asked for; {counts} are aligned by class and shapes")


def _all_in_order(pairing: Pairing) -> None:
    for place in range(len(pairing.a.weights)):
        pairing.pair_weights(place, place, POSITION)


def _auto(pairing: Pairing, content: Content | None) -> _Told:
    a, b = pairing.a, pairing.b
    names = [name for name in a.names if name is not None]
    how, why = place_or_name(names, a, b)
    if how == "position" and any(are_apart(one, other) for one, other in zip(a.items, b.items, strict=False)):
        how, why = "shape", "the order of layers is another one than that of the attributes that hold them"
    if how == "position" and len(names) == len(a.names) and not any(item.mapped for item in a.items):
        _all_in_order(pairing)
        return _Told(pairing, how, why)
    symbols = Symbols.of(a, b)
    if how == "name":
        by_names(pairing)
    else:
        by_sure_names(pairing, symbols)
    if content is not None:
        by_content(pairing, content)
    pairing = by_sequence(pairing, symbols, cautious=True, names=by_counted_names)
    counts = Counter(how for _, how, _ in pairing.partners.values())
    others = sum(count for how, count in counts.items() if how not in NAMED)
    if counts[CONTENT]:
        why += f"; {counts[CONTENT]:,} more are found under other names by their values"
    if others > counts[CONTENT]:
        why += f"; {others - counts[CONTENT]:,} {'more ' if others < len(pairing.partners) else ''}by class and shapes, in order"
    return _Told(pairing, "name" if not others else "auto" if others < len(pairing.partners) else "shape", why)


_WAYS: dict[str, Callable[[Pairing, Content | None], _Told]] = {"auto": _auto, "name": _name, "position": _position, "shape": _shape}
WAYS = tuple(_WAYS)
"""How weights may be paired."""
