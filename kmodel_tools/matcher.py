"""Which weight of one model belongs to which of another: by name, or by position.

Only paths and shapes are looked at, never values. Nothing is guessed in silence: a `Match` says how it was made, and why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher, get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from kmodel_tools.errors import KmtError
from kmodel_tools.tree import Model, Path, Weight, join_path, split_path

WAYS = ("auto", "name", "position")
REGEX = "re:"
MAX_END = 16
"""Components of a path that its end is looked for in: real models are not nested deeper."""

Named = tuple[Path, Weight]
Renamer = Callable[[Path], Path]
Selector = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two weights that are taken for the same one, each with its path in its own model."""

    path_a: Path
    a: Weight
    path_b: Path
    b: Weight


@dataclass(frozen=True, slots=True)
class Match:
    """The weights of two models, paired.

    Attributes:
        pairs: In the order of `a`.
        only_a: Weights of `a` without a partner.
        only_b: Weights of `b` without a partner.
        by: `name` or `position`: how they were paired.
        why: Why so, as the end of a sentence.
        left_out: Number of weights of both sides that `include` and `exclude` left out; a pair counts once.
        mismatched: Weights of one name that do not fit each other, where a caller wants pairs that do.
        reasons: Why a weight of `a` is without a partner, where more is to say than that `b` has none of its name.
        remarks: What to know of how `a` was taken, a sentence each: that it was carried to the generation of `b`.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[Named, ...]
    only_b: tuple[Named, ...]
    by: str
    why: str
    left_out: int = 0
    mismatched: tuple[Pair, ...] = ()
    reasons: Mapping[Path, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON: paths, shapes and reasons."""
        return {
            "by": self.by,
            "why": self.why,
            "pairs": [[join_path(pair.path_a), join_path(pair.path_b)] for pair in self.pairs],
            "mismatched": [
                {
                    "a": join_path(pair.path_a),
                    "b": join_path(pair.path_b),
                    "shapes": [list(pair.a.tensor.shape), list(pair.b.tensor.shape)],
                    "dtypes": [pair.a.tensor.dtype.value, pair.b.tensor.dtype.value],
                }
                for pair in self.mismatched
            ],
            "only_a": [{"path": join_path(path), "reason": self.reasons.get(path, "")} for path, _ in self.only_a],
            "only_b": [join_path(path) for path, _ in self.only_b],
            "left_out": self.left_out,
            "remarks": list(self.remarks),
        }


def match(
    a: Model, b: Model, by: str = "auto", rename: Sequence[str] = (), include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Match:
    """Pair the weights of two models.

    Args:
        a: One model.
        b: The other.
        by: `name`: equal paths. `position`: in order; where that does not come out even, aligned by their shapes. `auto`: by
            name, unless names differ while all shapes agree in order (or all roles, if no name is in both), and either no name
            that both have stands at another place, or names differ in their numbers alone. Names of a model without an
            architecture may be the container's own: then only shapes are asked.
        rename: `OLD=NEW`, applied in turn to the paths of `a` before they are compared; OLD is a layer or a weight, with `*`
            and `?`, or a regular expression after `re:`.
        include: Patterns; a pair stays if one of its two paths, or a layer above it, matches one of them.
        exclude: Patterns; a pair is left out if one of its two paths, or a layer above it, matches one of them.

    Raises:
        KmtError: `by` or a pattern is none, or two weights are renamed to one path.
    """
    if by not in WAYS:
        raise KmtError(f"there is no way of pairing called {by!r}", cure=f"use one of {', '.join(WAYS)}")
    new_path = renamer(rename)
    of_a, of_b = list(a.weights()), list(b.weights())
    renamed = [new_path(path) for path, _ in of_a]
    if rename and len(set(renamed)) < len({path for path, _ in of_a}):
        twice = next(path for path, count in Counter(renamed).items() if count > 1)
        raise KmtError(f"several weights are renamed to {join_path(twice)}", cure="make the rename rules more precise")
    how, why = (by, "as asked for") if by != "auto" else _choose(renamed, of_a, of_b, _Names.of(a, b))
    if how == "name":
        found = _by_name(renamed, [path for path, _ in of_b])
    else:
        found, aligned = _by_position([weight.tensor.shape for _, weight in of_a], [weight.tensor.shape for _, weight in of_b])
        why = f"{why}; {aligned}" if aligned else why
    return _selected(found, of_a, of_b, how, why, selector(include, exclude))


def match_names(a: Model, b: Model, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Match:
    """Pair weights by names alone: equal paths; then layers of which one's path is the end of the other's, if only one can be meant.

    A layer that was nested since goes by a longer path: `dense_1` became `pretrained/dense_1`.

    Args:
        a: One model.
        b: The other.
        include: As in `match`.
        exclude: As in `match`.

    Raises:
        KmtError: A pattern is none.
    """
    of_a, of_b = list(a.weights()), list(b.weights())
    found = _by_name([path for path, _ in of_a], [path for path, _ in of_b])
    partners, doubts = _by_end({path[:-1] for path, _ in of_a}, {path[:-1] for path, _ in of_b})
    places = {path: index for index, (path, _) in enumerate(of_b)}
    ends = [
        (index, places[(*partners[path[:-1]], path[-1])])
        for index, (path, _) in enumerate(of_a)
        if path[:-1] in partners and (*partners[path[:-1]], path[-1]) in places
    ]
    matched = _selected(sorted(found + ends), of_a, of_b, "name", "names alone are asked", selector(include, exclude))
    return replace(matched, reasons={path: doubts[path[:-1]] for path, _ in matched.only_a if path[:-1] in doubts})


def _by_end(layers_a: Collection[Path], layers_b: Collection[Path]) -> tuple[dict[Path, Path], dict[Path, str]]:
    """Layers of `b` for layers of `a` that are not in both, by the ends of their paths; and why others have none."""
    near_a, near_b = _same_end(layers_a, layers_b), _same_end(layers_b, layers_a)
    partners: dict[Path, Path] = {}
    doubts: dict[Path, str] = {}
    for path in layers_a:
        near = near_a[path]
        if path in layers_b or not near:
            continue
        back = near_b[near[0]]
        if len(near) > 1:
            doubts[path] = f"may be {_either(near)}"
        elif near[0] in layers_a:
            doubts[path] = f"{join_path(near[0])} has a partner of its own name"
        elif len(back) > 1:
            doubts[path] = f"{join_path(near[0])} may as well be {_either([other for other in back if other != path])}"
        else:
            partners[path] = near[0]
    return partners, doubts


def _same_end(layers: Collection[Path], others: Collection[Path]) -> dict[Path, list[Path]]:
    """For each layer, the other ones of which either path is the end of the other."""
    by_end: dict[Path, list[Path]] = {}
    for other in others:
        for length in range(1, min(len(other), MAX_END + 1)):
            by_end.setdefault(other[-length:], []).append(other)
    known = set(others)
    found: dict[Path, list[Path]] = {}
    for path in layers:
        shorter = (path[-length:] for length in range(1, min(len(path), MAX_END + 1)))
        found[path] = sorted([*by_end.get(path, ()), *(end for end in shorter if end in known)])
    return found


def _either(paths: Sequence[Path]) -> str:
    return " or ".join(join_path(path) for path in paths[:3]) + (" or others" if len(paths) > 3 else "")


@dataclass(frozen=True, slots=True)
class _Names:
    """Which names of two models are the layers' own: all of them with an architecture, without one those of attributes.

    A file without an architecture may call its layers as its groups are called, which is by class and number.
    """

    all_sure: bool
    attributes: frozenset[Path]

    @classmethod
    def of(cls, a: Model, b: Model) -> _Names:
        held = [{path for path, layer in model.walk() if layer.attr is not None} for model in (a, b)]
        return cls(a.architecture is not None and b.architecture is not None, frozenset(held[0] & held[1]))

    def sure(self, path: Path) -> bool:
        return self.all_sure or path[:-1] in self.attributes


def _choose(renamed: Sequence[Path], of_a: Sequence[Named], of_b: Sequence[Named], names: _Names) -> tuple[str, str]:
    """How to pair when that is left open, and why."""
    names_b = [path for path, _ in of_b]
    common = set(renamed) & set(names_b)
    if len(common) == len(renamed) == len(names_b):
        return "name", "all names agree"
    same_shapes = [weight.tensor.shape for _, weight in of_a] == [weight.tensor.shape for _, weight in of_b]
    if same_shapes:
        places = {path: index for index, path in enumerate(names_b)}
        moved = [path for index, path in enumerate(renamed) if path in common and places[path] != index]
        if not any(names.sure(path) for path in moved):
            other = len(renamed) - len(common)
            return "position", f"{other:,} of {len(renamed):,} names differ, and all shapes agree in order"
        held = any(path[:-1] in names.attributes for path in moved)  # nobody renumbers attributes
        if not held and [_without_numbers(path) for path in renamed] == [_without_numbers(path) for path in names_b]:
            return "position", "names differ in their numbers alone, and all shapes agree in order"
    if not common and of_a and names.all_sure and [path[-1] for path in renamed] == [path[-1] for path in names_b]:
        return "position", "no name is in both; roles agree in order, shapes do not all"
    shared = {0: "no name is", 1: "1 name is"}.get(len(common), f"{len(common):,} names are")
    return "name", f"{shared} in both, {'at other places' if same_shapes else 'and shapes do not agree in order'}"


def _without_numbers(path: Path) -> Path:
    """A path without what Keras appends to the name of each further layer of a class: `dense_2` → `dense`."""
    return tuple(re.sub(r"_\d+$", "", part) for part in path)


def _by_name(names_a: Sequence[Path], names_b: Sequence[Path]) -> list[tuple[int, int]]:
    places: dict[Path, list[int]] = {}
    for index, path in enumerate(names_b):
        places.setdefault(path, []).append(index)
    return [(index, places[path].pop(0)) for index, path in enumerate(names_a) if places.get(path)]


def _by_position(shapes_a: Sequence[object], shapes_b: Sequence[object]) -> tuple[list[tuple[int, int]], str]:
    """Pairs of places, and how they were aligned where that does not come out even."""
    if len(shapes_a) == len(shapes_b):
        return [(index, index) for index in range(len(shapes_a))], ""
    shortest = min(len(shapes_a), len(shapes_b))
    start = next((index for index in range(shortest) if shapes_a[index] != shapes_b[index]), shortest)
    rest = shortest - start
    end = next((index for index in range(rest) if shapes_a[-1 - index] != shapes_b[-1 - index]), rest)
    pairs = [(index, index) for index in range(start)]
    middle_a, middle_b = shapes_a[start : len(shapes_a) - end], shapes_b[start : len(shapes_b) - end]
    for kind, a_from, a_to, b_from, b_to in SequenceMatcher(None, middle_a, middle_b, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and a_to - a_from == b_to - b_from):
            pairs += [(start + a_from + index, start + b_from + index) for index in range(a_to - a_from)]
    pairs += [(len(shapes_a) - index, len(shapes_b) - index) for index in range(end, 0, -1)]
    return pairs, f"{len(shapes_a):,} weights against {len(shapes_b):,} are aligned by their shapes"


def _selected(found: Sequence[tuple[int, int]], of_a: Sequence[Named], of_b: Sequence[Named], by: str, why: str, wanted: Selector) -> Match:
    taken_a, taken_b = {index for index, _ in found}, {index for _, index in found}
    pairs = [Pair(*of_a[index_a], *of_b[index_b]) for index_a, index_b in found]
    only_a = [item for index, item in enumerate(of_a) if index not in taken_a]
    only_b = [item for index, item in enumerate(of_b) if index not in taken_b]
    kept = tuple(pair for pair in pairs if wanted(pair.path_a, pair.path_b))
    kept_a, kept_b = (tuple(item for item in items if wanted(item[0])) for items in (only_a, only_b))
    left_out = len(pairs) + len(only_a) + len(only_b) - len(kept) - len(kept_a) - len(kept_b)
    return Match(kept, kept_a, kept_b, by, why, left_out)


def selector(include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Selector:
    """A function of the paths of one thing that says whether it is wanted; a pattern for a layer holds for all below it.

    Raises:
        KmtError: A regular expression is none.
    """
    wanted, unwanted = [_pattern(text) for text in include], [_pattern(text) for text in exclude]

    def keeps(*paths: Path) -> bool:
        names = [name for path in paths for name in _with_parents(path)]
        if any(matches(name) for matches in unwanted for name in names):
            return False
        return not wanted or any(matches(name) for matches in wanted for name in names)

    return keeps


def check_patterns(patterns: Sequence[str], paths: Collection[Path]) -> None:
    """Make sure that every pattern of a selection matches something.

    Raises:
        KmtError: One matches no weight and no layer, which is a slip of the pen; the message names the nearest.
    """
    names = list(dict.fromkeys(name for path in paths for name in _with_parents(path)))
    for text in patterns:
        matches = _pattern(text)
        if not any(matches(name) for name in names):
            near = get_close_matches(text.removeprefix(REGEX), names, n=3, cutoff=0.5)
            cure = f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect"
            raise KmtError(f"{text!r} matches no layer and no weight", cure=cure)


def _with_parents(path: Path) -> Iterator[str]:
    for length in range(1, len(path) + 1):
        yield join_path(path[:length])


def _pattern(text: str) -> Callable[[str], bool]:
    if text.startswith(REGEX):
        compiled = _compiled(text.removeprefix(REGEX))
        return lambda name: compiled.search(name) is not None
    return lambda name: fnmatchcase(name, text)


def renamer(rules: Sequence[str]) -> Renamer:
    """A function that applies rename rules `OLD=NEW` to a path, in turn; `*` in NEW stands for what the same `*` of OLD matched.

    Raises:
        KmtError: A rule has no `=`, or its regular expression is none.
    """
    compiled = [_rule(rule) for rule in rules]

    def rename(path: Path) -> Path:
        if not compiled:
            return path
        name = join_path(path)
        try:
            for expression, template in compiled:
                name = expression.sub(template, name, count=1)
        except (re.error, IndexError) as error:
            raise KmtError(f"a rename rule cannot be applied to {name!r}: {error}") from error
        return split_path(name)

    return rename


def _rule(rule: str) -> tuple[re.Pattern[str], str]:
    is_regex = rule.startswith(REGEX)
    old, equals, new = rule.removeprefix(REGEX).rpartition("=") if is_regex else rule.partition("=")
    if not equals or not old:
        raise KmtError(f"{rule!r} is not a rename rule", cure="write OLD=NEW, as in encoder=backbone")
    if is_regex:
        return _compiled(old), new
    pieces = [f"({'.*' if piece == '*' else '.'})" if piece in ("*", "?") else re.escape(piece) for piece in re.split(r"([*?])", old)]
    parts = new.replace("\\", "\\\\").split("*")
    template = parts[0] + "".join(f"\\g<{number}>{part}" for number, part in enumerate(parts[1:], 1))
    return _compiled(f"^{''.join(pieces)}(?=/|$)"), template


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise KmtError(f"{expression!r} is not a regular expression: {error}") from error
