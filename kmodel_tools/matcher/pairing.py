"""What is paired so far, and why; every way of pairing adds to it and takes nothing back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kmodel_tools.matcher.patterns import Selector
from kmodel_tools.matcher.result import MAP, NAME, Leftover, Match, Pair
from kmodel_tools.matcher.sides import Item, Side, says_nothing
from kmodel_tools.tree import Path, join_path

SHOWN = 3
BY_THE_MAP = "the map leaves it out"
BY_SHAPE = "only its shape tells which array of its layer it is"
BY_PLACE = "only its place tells which array of its layer it is"


@dataclass(slots=True)
class Doubt:
    """Why a layer has no partner, and which layers it may be."""

    reason: str
    candidates: tuple[Item, ...] = ()


@dataclass(slots=True)
class Pairing:
    """Weights and layers of two models that go together.

    Attributes:
        a: One model.
        b: The other.
        partners: For a place in `a.weights`: that in `b.weights`, what tells, and a doubt or "".
        taken: The places of `b` that are partners.
        layers: For a layer of `a`, by its place in `a.items`, the one of `b` that most of it went to.
        back: The same the other way round.
        doubts_a: Why layers of `a` have no partner.
        doubts_b: Why layers of `b` have none.
    """

    a: Side
    b: Side
    partners: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    layers: dict[int, int] = field(default_factory=dict)
    back: dict[int, int] = field(default_factory=dict)
    doubts_a: dict[int, Doubt] = field(default_factory=dict)
    doubts_b: dict[int, Doubt] = field(default_factory=dict)

    def copy(self) -> Pairing:
        """The same, to be added to on trial."""
        copied = (dict(self.partners), set(self.taken), dict(self.layers), dict(self.back), dict(self.doubts_a), dict(self.doubts_b))
        return Pairing(self.a, self.b, *copied)

    def free_a(self) -> Iterator[int]:
        """Layers of `a` that nothing has been said of yet, in order; a map has said all of those that it names."""
        return (place for place, item in enumerate(self.a.items) if not (place in self.layers or place in self.doubts_a or item.mapped))

    def free_b(self) -> Iterator[int]:
        """Layers of `b` that nothing has been said of yet, in order."""
        return (place for place in range(len(self.b.items)) if not (place in self.back or place in self.doubts_b))

    def pair_weights(self, one: int, other: int, how: str, doubt: str = "") -> None:
        """Pair two weights."""
        self.partners[one] = other, how, doubt
        self.taken.add(other)

    def pair_layers(self, one: int, other: int, how: str, doubt: str = "") -> None:
        """Pair two layers, and their weights by their roles; those that a file left without one by shape, or by place."""
        self.layers[one], self.back[other] = other, one
        left = {self.a.role(place): place for place in self.a.items[one].weights if place not in self.partners}
        right = {self.b.role(place): place for place in self.b.items[other].weights if place not in self.taken}
        for role, place in left.items():
            if role in right:
                self.pair_weights(place, right[role], how, doubt)
        self._complete(one, other, how, doubt)

    def _complete(self, one: int, other: int, how: str, doubt: str = "") -> None:
        """Pair what is left of two layers, where a file has numbers in the place of roles."""
        items = self.a.items[one], self.b.items[other]
        rest = (
            [place for place in items[0].weights if place not in self.partners],
            [place for place in items[1].weights if place not in self.taken],
        )
        shapes = [[side.weights[place][1].tensor.shape for place in places] for side, places in zip((self.a, self.b), rest, strict=True)]
        numbered = [all(says_nothing(side.role(place)) for place in places) for side, places in zip((self.a, self.b), rest, strict=True)]
        if rest[0] and shapes[0] == shapes[1] and any(numbered):
            told = BY_SHAPE if len(set(shapes[0])) == len(shapes[0]) else BY_PLACE
            for place, partner in zip(*rest, strict=True):
                self.pair_weights(place, partner, how, doubt or told)

    def pair_by_names(self, believed: Iterable[int]) -> None:
        """Pair weights of equal names, those of some layers of `a`; of several with one name, the first with the first."""
        places: dict[Path, list[int]] = {}
        items_b = {place: number for number, item in enumerate(self.b.items) for place in item.weights}
        for place, (path, _) in enumerate(self.b.weights):
            if place not in self.taken:
                places.setdefault(path, []).append(place)
        for number in believed:
            item = self.a.items[number]
            for place in item.weights:
                found = places.get(self.a.names[place] or ())
                if place not in self.partners and found:
                    partner = found.pop(0)
                    self.pair_weights(place, partner, MAP if item.mapped else NAME)
                    if number not in self.layers and items_b[partner] not in self.back:
                        self.layers[number], self.back[items_b[partner]] = items_b[partner], number
            if number in self.layers and not item.mapped and item.name == self.b.items[self.layers[number]].path:
                self._complete(number, self.layers[number], NAME)

    def match(self, by: str, why: str, wanted: Selector) -> Match:
        """What was found, without what is not wanted."""
        pairs = [
            Pair(*self.a.weights[one], *self.b.weights[other], how, doubt) for one, (other, how, doubt) in sorted(self.partners.items())
        ]
        only_a, only_b = list(self._only_a()), list(self._only_b())
        kept = tuple(pair for pair in pairs if wanted(pair.path_a, pair.path_b))
        kept_a, kept_b = (tuple(item for item in items if wanted(item.path)) for items in (only_a, only_b))
        left_out = len(pairs) + len(only_a) + len(only_b) - len(kept) - len(kept_a) - len(kept_b)
        return Match(kept, kept_a, kept_b, by, why, left_out)

    def _only_a(self) -> Iterator[Leftover]:
        items = {place: number for number, item in enumerate(self.a.items) for place in item.weights}
        for place, (path, weight) in enumerate(self.a.weights):
            if place in self.partners:
                continue
            name = self.a.names[place]
            if name is None:
                yield Leftover(path, weight, BY_THE_MAP)
                continue
            number = items[place]
            if number in self.layers:
                reason = f"{join_path(self.b.items[self.layers[number]].path) or 'the model'} has no {name[-1]} for it"
                yield Leftover(path, weight, reason)
            elif number in self.doubts_a:
                doubt = self.doubts_a[number]
                yield Leftover(path, weight, doubt.reason, _like(place, self.a.items[number], self.a, doubt.candidates, self.b))
            else:
                yield Leftover(path, weight, f"{join_path(name)} is not in the other" if name != path else "not in the other")

    def _only_b(self) -> Iterator[Leftover]:
        items = {place: number for number, item in enumerate(self.b.items) for place in item.weights}
        for place, (path, weight) in enumerate(self.b.weights):
            if place in self.taken:
                continue
            number = items[place]
            if number in self.back:
                reason = f"{join_path(self.a.items[self.back[number]].path) or 'the model'} has no {path[-1]} for it"
                yield Leftover(path, weight, reason)
            elif number in self.doubts_b:
                doubt = self.doubts_b[number]
                yield Leftover(path, weight, doubt.reason, _like(place, self.b.items[number], self.b, doubt.candidates, self.a))
            else:
                yield Leftover(path, weight, "not in the other")


def _like(place: int, own: Item, mine: Side, items: Sequence[Item], side: Side) -> tuple[Path, ...]:
    """The weight in each of some layers that has the role of one; where a layer has none, that at the same place in it."""
    found: list[int] = []
    for item in items:
        same = [other for other in item.weights if side.role(other) == mine.role(place)]
        at = own.weights.index(place)
        found += same[:1] or item.weights[at : at + 1]
    return tuple(side.weights[other][0] for other in found)


def either(items: Sequence[Item]) -> str:
    """Some layers, as a sentence names them: `a, b or c`."""
    names = [join_path(item.path) or "the model itself" for item in items[:SHOWN]]
    more = " or others" if len(items) > SHOWN else ""
    return " or ".join(names) + more
