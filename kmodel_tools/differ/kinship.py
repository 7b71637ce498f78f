"""Whether layers of other names that were paired by class and shapes are akin: where others kept their values, they should too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kmodel_tools.differ.arrays import digest_of
from kmodel_tools.differ.layout import layout_change
from kmodel_tools.elements import arrays
from kmodel_tools.matcher import NAMED, Leftover, Match, Pair
from kmodel_tools.matcher.names import without_numbers
from kmodel_tools.tree import Path, join_path

ENOUGH = 32
"""Values that are needed for a correlation to tell anything."""
ALIKE = 0.5
"""Correlation above which two arrays are taken for the same one, trained on: of random ones with `ENOUGH` values 1 pair in 300 has it."""
FEW = 4
STRANGERS = "has its class, its place and its shapes, but no values in common, while other layers kept theirs"
STRANGERS_RESHAPED = "has its class and its place, but other shapes, while other layers kept theirs"


def without_strangers(match: Match) -> Match:
    """A match without the layers of other names that share nothing but class and place, where other layers kept their values.

    Then the one was removed and the other added; each is named as what the other may be. What is left under one name in both is
    paired then. Names that differ in their numbers alone are believed. Values are read where there are such pairs.

    Raises:
        FormatError: A value cannot be read.
    """
    layers: dict[tuple[Path, Path], list[Pair]] = {}
    for pair in match.pairs:
        layers.setdefault((pair.path_a[:-1], pair.path_b[:-1]), []).append(pair)
    doubtful = [pairs for (a, b), pairs in layers.items() if pairs[0].how not in NAMED and without_numbers(a) != without_numbers(b)]
    strangers = [pairs for pairs in doubtful if not any(map(_akin, pairs)) and not all(map(_equal, pairs))]
    if not strangers or not _some_are_kept(layers.values()):
        return match
    gone = {id(pair.a): pair for pairs in strangers for pair in pairs}
    back = {id(pair.b): pair for pair in gone.values()}
    only_a, only_b = list(_in_order(match, gone, of_a=True)), list(_in_order(match, back, of_a=False))
    places = {item.path: item for item in only_b}
    named = {item.path: Pair(item.path, item.weight, item.path, places[item.path].weight) for item in only_a if item.path in places}
    return replace(
        match,
        pairs=(*(pair for pair in match.pairs if id(pair.a) not in gone), *named.values()),
        only_a=tuple(item for item in only_a if item.path not in named),
        only_b=tuple(item for item in only_b if item.path not in named),
    )


def _in_order(match: Match, gone: dict[int, Pair], of_a: bool) -> Iterator[Leftover]:
    """What is left over with what was paired: both in their model's order, the former first."""
    yield from match.only_a if of_a else match.only_b
    for pair in gone.values():
        why = STRANGERS if pair.a.tensor.shape == pair.b.tensor.shape else STRANGERS_RESHAPED
        own, other = ((pair.path_a, pair.a), pair.path_b) if of_a else ((pair.path_b, pair.b), pair.path_a)
        yield Leftover(*own, f"{join_path(other[:-1]) or 'the model'} {why}", (other,))


def _some_are_kept(layers: Iterable[Sequence[Pair]]) -> bool:
    """Whether a layer has all of its values on both sides, so that the two models have a common past."""
    for pairs in layers:
        if (
            sum(pair.a.tensor.size for pair in pairs) >= FEW
            and all(_equal(pair) for pair in pairs)
            and any(_varied(pair) for pair in pairs)
        ):
            return True
    return False


def _equal(pair: Pair) -> bool:
    a, b = pair.a.tensor, pair.b.tensor
    return a.shape == b.shape and a.dtype is b.dtype and digest_of(pair.a) == digest_of(pair.b)


def _varied(pair: Pair) -> bool:
    """Whether an array has values that tell it from one that was just initialised with zeros or ones."""
    first = _first(pair, 0)
    return first is not None and len(first) >= FEW and bool((first != first[0]).any())


def _akin(pair: Pair) -> bool:
    """Whether two arrays have values in common, or are much alike, beginning with the first block of them."""
    if layout_change(pair.a.tensor, pair.b.tensor) is not None:
        return True
    if pair.a.tensor.shape != pair.b.tensor.shape:
        return False
    left, right = _first(pair, 0), _first(pair, 1)
    if left is None or right is None:
        return digest_of(pair.a) == digest_of(pair.b)
    import numpy as np

    if not _varied(pair):
        return False  # zeros and ones are in every model
    if 2 * int(np.count_nonzero(left == right)) >= len(left):
        return True
    with np.errstate(all="ignore"):
        return len(left) >= ENOUGH and bool(np.corrcoef(left, right)[0, 1] >= ALIKE)


def _first(pair: Pair, side: int) -> Any:
    """The first elements of an array as float64, or None if they are no real numbers."""
    import numpy as np

    tensor = (pair.a, pair.b)[side].tensor
    if tensor.dtype.itemsize is None or "complex" in tensor.dtype.value:
        return None
    return next((block.astype(np.float64) for block in arrays(tensor)), np.zeros(0))
