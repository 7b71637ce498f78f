"""The likely map of one model's weights onto another's, for people to look through: by names and shapes, never by values.

In turn: equal paths, and ends of paths that only one layer has; then layers of which the largest array has the same shape, the whole
class of them at once, so that the numbers and words of their names and their order fit best together; then single arrays
of a shape that is left once on both sides. What is told by less than a name or a shape of its own is marked, with what
else it might be; where nothing tells, nothing is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.legacy_weights import known_roles
from kmodel_tools.architecture.scope_names import joined_cell
from kmodel_tools.assignment import assign
from kmodel_tools.likeness import Name, counted_alike, is_sorted, likeness, natural, recounted, told_apart
from kmodel_tools.matcher import HOW, match
from kmodel_tools.tensor import Shape
from kmodel_tools.tree import Model, Path, Weight, join_path

ROLE_WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("w", "W", "weights", "weight", "matrix", "Matrix", "filter", "filters"), ("kernel", "embeddings")),
    **dict.fromkeys(("b", "B", "biases"), ("bias", "beta")),
    **dict.fromkeys(("g", "scale"), ("gamma",)),
    "offset": ("beta",),
    **dict.fromkeys(("table", "embedding", "embedding_weights", "lookup_table"), ("embeddings",)),
    "mean": ("moving_mean",),
    **dict.fromkeys(("variance", "var"), ("moving_variance",)),
}
"""What people call arrays, and the roles that they may be."""

LARGEST_CLASS = 128
"""Layers of one shape that are assigned by their names; with more, only their order is asked."""
FIT = 10.0
"""What it counts for that two layers hold the same arrays: more than any name."""
ORDER = 0.2
"""What order counts for beside names: enough where they say nothing, too little against a number."""
JOINED = "is of a TensorFlow 1 recurrent cell, which joins what Keras keeps apart"
AGAINST_ORDER = "the numbers in the names say this, and the order of the layers does not"
OTHER_COUNT = "the names of the two models count from different numbers"
COMPANY = 1.0
"""What it counts for that a layer lies in one whose partner has the same numbers in its name: a normalisation in a convolution."""
MARGIN = 0.1
"""Two names that are alike by less than that more or less are not told apart."""
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a map.

    Attributes:
        source: The weight that is proposed.
        target: The path that it would get.
        how: What tells, beside an equal path.
        doubt: Why that may be wrong, or "".
        others: Other weights of the source that it might be as well.
    """

    source: Path
    target: Path
    how: str = ""
    doubt: str = ""
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A map to be looked through.

    Attributes:
        entries: In the order of the target.
        without: Path and shape of each weight of the target without a proposal, and what it might be.
        left_over: Path and shape of each weight of the source that is not proposed for anything, and a remark or "".
    """

    entries: tuple[Entry, ...]
    without: tuple[tuple[Path, Shape, tuple[Path, ...]], ...]
    left_over: tuple[tuple[Path, Shape, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return {
            "entries": [
                {
                    "source": join_path(entry.source),
                    "target": join_path(entry.target),
                    "how": entry.how,
                    "doubt": entry.doubt,
                    "others": [join_path(path) for path in entry.others],
                }
                for entry in self.entries
            ],
            "without": [
                {"target": join_path(path), "shape": list(shape), "maybe": [join_path(other) for other in maybe]}
                for path, shape, maybe in self.without
            ],
            "left_over": [{"source": join_path(path), "shape": list(shape), "why": remark} for path, shape, remark in self.left_over],
        }

    @property
    def mapping(self) -> dict[str, str | None]:
        """The proposal as a map."""
        return {join_path(entry.source): join_path(entry.target) for entry in self.entries}


def propose(source: Model, target: Model) -> Proposal:
    """Propose which weight of a model is which of another.

    Args:
        source: The model that has the values, say a checkpoint of TensorFlow 1.
        target: The model whose names are wanted.
    """
    return _Proposer(source, target).proposal()


@dataclass(slots=True, eq=False)
class _Layer:
    """The weights of a layer that have no partner yet, by role."""

    path: Path
    name: Name
    weights: dict[str, Weight] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """That of the largest array, the first of several."""
        return max((weight.tensor for weight in self.weights.values()), key=lambda tensor: tensor.size).shape


@dataclass(slots=True)
class _Proposer:
    source: Model
    target: Model
    free: dict[Path, Weight] = field(init=False)
    open: dict[Path, Weight] = field(init=False)
    joined: list[Path] = field(init=False)
    entries: dict[Path, Entry] = field(default_factory=dict)
    maybe: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    partners: dict[Path, _Layer] = field(default_factory=dict)
    recounted: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        weights = dict(self.source.weights())
        self.open = dict(self.target.weights())
        self.joined = [path for path in weights if path not in self.open and joined_cell(path, weights)]
        self.free = {path: weight for path, weight in weights.items() if path not in self.joined}

    def proposal(self) -> Proposal:
        order = {path: number for number, path in enumerate(self.open)}
        if (self.source.metadata.get("names") == "groups") == (self.target.metadata.get("names") == "groups"):
            self._by_name()
        for of_source, of_target in self._classes():
            self._class(of_source, of_target)
        self._by_shape()
        left = [(path, weight.tensor.shape, "") for path, weight in self.free.items()]
        weights = dict(self.source.weights())
        left += [(path, weights[path].tensor.shape, JOINED) for path in self.joined]
        return Proposal(
            tuple(sorted(self.entries.values(), key=lambda entry: order[entry.target])),
            tuple((path, weight.tensor.shape, self.maybe.get(path, ())) for path, weight in self.open.items()),
            tuple(left),
        )

    def _take(self, source: Path, target: Path, how: str = "", doubt: str = "", others: tuple[Path, ...] = ()) -> None:
        self.entries[target] = Entry(source, target, how, doubt, others)
        del self.free[source], self.open[target]

    def _by_name(self) -> None:
        layers_of = ([path[:-1] for path, _ in model.weights()] for model in (self.source, self.target))
        self.recounted = recounted(*layers_of)
        for pair in match(self.source, self.target, "name").pairs:
            if pair.path_a == pair.path_b and pair.path_a[:-1] in self.recounted:
                continue
            if pair.path_a in self.free and pair.a.tensor.shape == pair.b.tensor.shape:
                self._take(pair.path_a, pair.path_b, "" if pair.path_a == pair.path_b else HOW[pair.how])
        partners = {entry.target[:-1]: entry.source[:-1] for entry in self.entries.values()}
        layers = _layers(self.free, self.source), _layers(self.open, self.target)
        for path, layer in layers[1].items():
            partner = layers[0].get(partners.get(path, ()))
            if path in partners and partner is not None:
                for one, other, doubt in _pairs(partner, layer):
                    self._take(one, other, "in the layer of this name", doubt)

    def _classes(self) -> Iterator[tuple[list[_Layer], list[_Layer]]]:
        """Layers of both sides whose largest arrays have one shape, the largest shapes first."""
        taken = {entry.target[:-1] for entry in self.entries.values()}, {entry.source[:-1] for entry in self.entries.values()}
        of_target = [layer for layer in _layers(self.open, self.target).values() if layer.path not in taken[0]]
        of_source = [layer for layer in _layers(self.free, self.source).values() if layer.path not in taken[1]]
        for shape in sorted({layer.shape for layer in of_target}, key=lambda shape: (-math.prod(shape), shape)):
            alike = [layer for layer in of_source if layer.shape == shape and shape]
            if alike:
                yield alike, [layer for layer in of_target if layer.shape == shape]

    def _class(self, of_source: Sequence[_Layer], of_target: Sequence[_Layer]) -> None:
        """Find partners in a class of layers; those that cannot be told apart stay without, unless their order can tell."""
        even = len(of_source) == len(of_target)
        if max(len(of_source), len(of_target)) > LARGEST_CLASS:
            for number, layer in enumerate(of_target):
                self._settle(of_source, layer, min(number, len(of_source) - 1), range(_SHOWN + 1), even)
            return
        fitting = [[len(_pairs(one, other)) / max(len(one.weights), len(other.weights)) for one in of_source] for other in of_target]
        names_a, names_b, moved = counted_alike([layer.name for layer in of_source], [layer.name for layer in of_target])
        told = [
            [
                FIT * fits + likeness(name, named) + self._company(one, other)
                for one, name, fits in zip(of_source, names_a, row, strict=True)
            ]
            for other, named, row in zip(of_target, names_b, fitting, strict=True)
        ]
        size = len(of_source)
        near = [[ORDER * (1 - abs(one - other) / size) if even else 0 for one in range(size)] for other in range(len(of_target))]
        chosen = assign([[one + other for one, other in zip(*rows, strict=True)] for rows in zip(told, near, strict=True)])
        crossed = _crossed(chosen, names_a, names_b) if even and (moved or all(len(name.numbers) <= 1 for name in names_b)) else set()
        for number, column in enumerate(chosen):
            if column >= 0 and fitting[number][column]:
                doubt = AGAINST_ORDER if number in crossed else ""
                self._settle(of_source, of_target[number], column, list(_rivals(number, chosen, told, fitting)), even, doubt)

    def _settle(
        self, of_source: Sequence[_Layer], layer: _Layer, column: int, rivals: Sequence[int], even: bool, against: str = ""
    ) -> None:
        one = of_source[column]
        if layer.path in self.recounted or one.path in self.recounted:
            against = OTHER_COUNT
        others = [of_source[index] for index in rivals if index != column]
        how = f"by their names, {len(of_source)} layers being of this shape" if len(of_source) > 1 else "the only layer of this shape"
        if even or not others:
            self.partners[one.path] = layer
        for source, target, by_shape in _pairs(one, layer):
            doubt = against or by_shape
            same = tuple((*other.path, source[-1]) for other in others if source[-1] in other.weights)[:_SHOWN]
            if others and not even:
                self.maybe[target] = (source, *same)
            else:
                self._take(source, target, "by their order" if others else how, doubt or "only order tells" if others else doubt, same)

    def _company(self, one: _Layer, other: _Layer) -> float:
        """What it counts for that a layer lies in one that has a partner."""
        partner = self.partners.get(one.path[:-1])
        return COMPANY if partner is not None and partner.name.numbers == other.name.numbers else 0

    def _by_shape(self) -> None:
        """Arrays whose shape is left once on both sides."""
        free, rivals = _by_shape(self.free), _by_shape(self.open)
        for target, weight in list(self.open.items()):
            shape = weight.tensor.shape
            alike = [path for path in free.get(shape, ()) if _may_be(path[-1], target[-1])]
            if len(alike) == len(rivals[shape]) == 1 and shape:
                self._take(alike[0], target, "the only array of this shape", "only its shape tells")
            elif alike and target not in self.maybe:
                self.maybe[target] = tuple(alike[: _SHOWN + 1])


def _by_shape(weights: Mapping[Path, Weight]) -> dict[Shape, list[Path]]:
    found: dict[Shape, list[Path]] = {}
    for path, weight in weights.items():
        found.setdefault(weight.tensor.shape, []).append(path)
    return found


def _rivals(number: int, chosen: Sequence[int], told: Sequence[Sequence[float]], fitting: Sequence[Sequence[float]]) -> Iterator[int]:
    """Columns that a row might have as well, names alone being asked: free ones, and those that two rows could change."""
    column = chosen[number]
    taken = {other: row for row, other in enumerate(chosen) if other >= 0}
    for other in range(len(told[number])):
        if other == column or not fitting[number][other]:
            continue
        row = taken.get(other)
        if row is None:
            as_good = told[number][other] > told[number][column] - MARGIN
        else:
            swapped = told[number][other] + told[row][column]
            as_good = fitting[row][column] > 0 and swapped > told[number][column] + told[row][other] - MARGIN
        if as_good:
            yield other


def _crossed(chosen: Sequence[int], names_a: Sequence[Name], names_b: Sequence[Name]) -> set[int]:
    """Rows that have their columns by their numbers, which differ in these alone, and whose columns do not rise with them."""
    found: set[int] = set()
    rows = [row for row, column in enumerate(chosen) if column >= 0 and names_a[column].numbers == names_b[row].numbers]
    for place, row in enumerate(rows):
        for other in rows[:place]:
            alike = names_b[other].words == names_b[row].words and names_b[other].numbers != names_b[row].numbers
            if alike and chosen[other] > chosen[row]:
                found |= {row, other}
    return found


def _layers(weights: Mapping[Path, Weight], model: Model) -> dict[Path, _Layer]:
    """The layers that hold some weights, in the model's order, or by the numbers in their names where it has none."""
    all_paths = list(dict.fromkeys(path[:-1] for path, _ in model.weights()))
    names = told_apart(all_paths)
    paths = list(dict.fromkeys(path[:-1] for path in weights))
    if is_sorted(all_paths):
        paths.sort(key=natural)
    layers = {path: _Layer(path, names[path]) for path in paths}
    for path, weight in weights.items():
        layers[path[:-1]].weights[path[-1]] = weight
    return layers


def _pairs(one: _Layer, other: _Layer) -> list[tuple[Path, Path, str]]:
    """The weights of two layers that go together, by roles and shapes, and a doubt where a shape alone tells."""
    found: list[tuple[Path, Path, str]] = []
    used: set[str] = set()
    for role, weight in other.weights.items():
        fits = [
            name
            for name, mine in one.weights.items()
            if name not in used and mine.tensor.shape == weight.tensor.shape and _may_be(name, role)
        ]
        hinted = [name for name in fits if name == role] or [name for name in fits if role in ROLE_WORDS.get(name, ())]
        rivals = [name for name, mine in other.weights.items() if mine.tensor.shape == weight.tensor.shape]
        if len(hinted) == 1 or (len(fits) == len(rivals) == 1):
            name = (hinted or fits)[0]
            used.add(name)
            found.append(((*one.path, name), (*other.path, role), "" if hinted else "only its shape tells"))
    return found


def _may_be(name: str, role: str) -> bool:
    """Whether an array of a name may have a role: the same, one of those people mean by it, or any where it says nothing."""
    if name == role:
        return True
    return role in ROLE_WORDS[name] if name in ROLE_WORDS else len(name) == 1 or name not in known_roles()
