"""Pairing by the sequence of layers: by class, roles and shapes, between the layers that have a partner already.

Layers go in units first: one that has vectors alone, as a normalisation does, goes with the layer before it. Then layer by layer, then
by class, roles and ranks, for layers that got other sizes. What can go with several is left, with all that it may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from kmodel_tools.matcher.pairing import Doubt, Pairing, either
from kmodel_tools.matcher.result import CONTENT, ORDER, SHAPE
from kmodel_tools.matcher.sequences import align, rising
from kmodel_tools.matcher.sides import Side, Symbols, are_apart, only_scales, order_tells
from kmodel_tools.tree import Weight

FEW = 4
"""A layer of fewer values than this is not told by them: many hold a single zero."""
RESHAPED = "its shapes differ"
TOO_MANY = "the layers are too many, and too much alike, to be aligned"
SEVERAL = "several layers have these values"
Units = list[list[int]]
Content = Callable[[Weight], bytes]


def by_sequence(pairing: Pairing, symbols: Symbols, cautious: bool = False, names: Callable[[Pairing], None] | None = None) -> Pairing:
    """Pair the layers that are left where the two sequences leave one answer, and say of the others what they may be.

    Where the order of one of the two says nothing, only layers are paired of which no other has the class and shapes.

    Args:
        pairing: What is paired so far.
        symbols: What layers are compared by.
        cautious: Pair nothing if less than half of the smaller model's layers would have a partner: some are alike by chance.
        names: Pairs by names what has no partner of its shapes.

    Returns:
        What is paired then.
    """
    keys = _Keys.of(pairing, symbols)
    trial = pairing.copy()
    alike = len(trial.layers)
    ordered = order_tells(pairing.a.model, pairing.b.model)
    if ordered:
        alike += _pass(trial, keys, _in_units, keys.exact_a, keys.exact_b)
        alike += _pass(trial, keys, _one_by_one, keys.exact_a, keys.exact_b)
    else:
        _moved(trial, keys)
        alike = len(trial.layers)
    if cautious and 2 * alike < min(len(pairing.a.items), len(pairing.b.items)):
        trial, ordered = pairing, False
    else:
        _moved(trial, keys)
    if names is not None:
        names(trial)
    if ordered:
        _pass(trial, keys, _one_by_one, keys.loose_a, keys.loose_b, RESHAPED)
    _say_what_is_alike(trial, keys)
    return trial


@dataclass(frozen=True, slots=True)
class _Keys:
    """What the layers of both models are compared by; and the keys that one layer alone has in either."""

    exact_a: list[Hashable]
    exact_b: list[Hashable]
    loose_a: list[Hashable]
    loose_b: list[Hashable]
    single: frozenset[Hashable]

    @classmethod
    def of(cls, pairing: Pairing, symbols: Symbols) -> _Keys:
        a, b = pairing.a, pairing.b
        exact_a, exact_b = [symbols.exact(a, item) for item in a.items], [symbols.exact(b, item) for item in b.items]
        counts = Counter(exact_a), Counter(exact_b)
        single = frozenset(key for key, count in counts[0].items() if count == 1 and counts[1][key] == 1)
        return cls(exact_a, exact_b, [symbols.loose(a, item) for item in a.items], [symbols.loose(b, item) for item in b.items], single)


def _in_units(places: Sequence[int], side: Side) -> Units:
    units: Units = []
    for place in places:
        if units and only_scales(side, side.items[place]):
            units[-1].append(place)
        else:
            units.append([place])
    return units


def _one_by_one(places: Sequence[int], side: Side) -> Units:
    return [[place] for place in places]


def _pass(
    pairing: Pairing,
    keys: _Keys,
    grouped: Callable[[Sequence[int], Side], Units],
    keys_a: Sequence[Hashable],
    keys_b: Sequence[Hashable],
    doubt: str = "",
) -> int:
    """Align what is free between the layers that are paired, in units or layer by layer; how many of them are alike in order."""
    alike = 0
    for left, right in list(_regions(pairing)):
        units_a, units_b = grouped(left, pairing.a), grouped(right, pairing.b)
        found = align(
            [tuple(keys_a[place] for place in unit) for unit in units_a], [tuple(keys_b[place] for place in unit) for unit in units_b]
        )
        for one, other in found.pairs:
            for place, partner in zip(units_a[one], units_b[other], strict=True):
                if are_apart(pairing.a.items[place], pairing.b.items[partner]):
                    continue
                how = SHAPE if keys.exact_a[place] in keys.single and not doubt else ORDER
                pairing.pair_layers(place, partner, how, doubt)
        alike += sum(len(units_a[one]) for one, _ in found.pairs) + found.best - len(found.pairs)
        if doubt:
            continue
        unsure = _Unsure(pairing, units_a, units_b)
        unsure.note(found.unsure_a, found.unsure_b)
        if found.too_many:
            for place in left:
                if place not in pairing.layers:
                    pairing.doubts_a.setdefault(place, Doubt(TOO_MANY))
            for place in right:
                if place not in pairing.back:
                    pairing.doubts_b.setdefault(place, Doubt(TOO_MANY))
    return alike


@dataclass(slots=True)
class _Unsure:
    """Notes layers that go with one or another."""

    pairing: Pairing
    units_a: Units
    units_b: Units

    def note(self, unsure_a: dict[int, list[int]], unsure_b: dict[int, list[int]]) -> None:
        a, b = self.pairing.a, self.pairing.b
        for unit, others in unsure_a.items():
            for number, place in enumerate(self.units_a[unit]):
                items = tuple(b.items[self.units_b[other][number]] for other in others)
                self.pairing.doubts_a[place] = Doubt(f"may be {either(items)}: they have its class and shapes", items)
        for unit, others in unsure_b.items():
            for number, place in enumerate(self.units_b[unit]):
                items = tuple(a.items[self.units_a[other][number]] for other in others)
                self.pairing.doubts_b[place] = Doubt(f"may be {either(items)}: they have its class and shapes", items)


def _regions(pairing: Pairing) -> Iterator[tuple[list[int], list[int]]]:
    """What is free between two layers that are paired, where pairs are in order on both sides."""
    fixed = rising(sorted(pairing.layers.items()))
    free_a, free_b = list(pairing.free_a()), list(pairing.free_b())
    at_a = at_b = 0
    for end_a, end_b in [*fixed, (len(pairing.a.items), len(pairing.b.items))]:
        left, right = [], []
        while at_a < len(free_a) and free_a[at_a] < end_a:
            left.append(free_a[at_a])
            at_a += 1
        while at_b < len(free_b) and free_b[at_b] < end_b:
            right.append(free_b[at_b])
            at_b += 1
        if left and right:
            yield left, right


def _moved(pairing: Pairing, keys: _Keys) -> None:
    """Pair layers that stand elsewhere, if no other has their class and shapes in either model."""
    free_b = {keys.exact_b[place]: place for place in pairing.free_b()}
    for place in list(pairing.free_a()):
        key = keys.exact_a[place]
        if key in keys.single and key in free_b and pairing.a.size(pairing.a.items[place]) >= FEW:
            pairing.pair_layers(place, free_b[key], SHAPE)


def _say_what_is_alike(pairing: Pairing, keys: _Keys) -> None:
    """Name what the layers that are left may be: those of their class and shapes, wherever they stand."""
    left: dict[Hashable, list[int]] = {}
    right: dict[Hashable, list[int]] = {}
    for place, item in enumerate(pairing.a.items):
        if place not in pairing.layers and not item.mapped:
            left.setdefault(keys.exact_a[place], []).append(place)
    for place in range(len(pairing.b.items)):
        if place not in pairing.back:
            right.setdefault(keys.exact_b[place], []).append(place)
    for key in left.keys() & right.keys():
        items_a = tuple(pairing.a.items[place] for place in left[key][: SHOWN + 1])
        items_b = tuple(pairing.b.items[place] for place in right[key][: SHOWN + 1])
        for place in left[key]:
            pairing.doubts_a.setdefault(place, Doubt(f"may be {either(items_b)}, of its class and shapes", items_b))
        for place in right[key]:
            pairing.doubts_b.setdefault(place, Doubt(f"may be {either(items_a)}, of its class and shapes", items_a))


SHOWN = 5
"""Layers that are named as what another may be."""


@dataclass(slots=True)
class _Contents:
    """Digests of the layers of one model, each read when it is asked for."""

    side: Side
    content: Content
    known: dict[int, bytes] = field(default_factory=dict)

    def of(self, place: int) -> bytes:
        if place not in self.known:
            self.known[place] = b"".join(sorted(self._weight(number) for number in self.side.items[place].weights))
        return self.known[place]

    def kind(self, place: int) -> Hashable:
        weights = [self.side.weights[number][1].tensor for number in self.side.items[place].weights]
        return tuple(sorted((tensor.dtype.value, tensor.shape) for tensor in weights))

    def _weight(self, number: int) -> bytes:
        return self.content(self.side.weights[number][1])

    def in_order(self, place: int) -> list[int]:
        """The weights of a layer, sorted by their content."""
        return sorted(self.side.items[place].weights, key=self._weight)


def by_content(pairing: Pairing, content: Content) -> None:
    """Pair the layers that are left and have all of their values in common, of whatever names; of several alike, in order.

    Args:
        pairing: What is paired so far.
        content: A digest of a weight's dtype, shape and values; asked of layers for which the other side has one with these shapes.
    """
    one, other = _Contents(pairing.a, content), _Contents(pairing.b, content)
    free_a = [place for place in pairing.free_a() if pairing.a.size(pairing.a.items[place]) >= FEW]
    free_b = [place for place in pairing.free_b() if pairing.b.size(pairing.b.items[place]) >= FEW]
    kinds = {one.kind(place) for place in free_a} & {other.kind(place) for place in free_b}
    waiting: dict[bytes, list[int]] = {}
    for place in free_b:
        if other.kind(place) in kinds:
            waiting.setdefault(other.of(place), []).append(place)
    several = {key for key, places in waiting.items() if len(places) > 1}
    for place in free_a:
        if one.kind(place) not in kinds or not waiting.get(one.of(place)):
            continue
        partner = waiting[one.of(place)].pop(0)
        pairing.layers[place], pairing.back[partner] = partner, place
        for number, number_b in zip(one.in_order(place), other.in_order(partner), strict=True):
            pairing.pair_weights(number, number_b, CONTENT, SEVERAL if one.of(place) in several else "")
