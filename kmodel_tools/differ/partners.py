"""Which layer of one model is which of another, following their weights, and which layers that leaves over."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.normal import plain_class
from kmodel_tools.differ.result import LayerChange
from kmodel_tools.matcher import Match
from kmodel_tools.matcher.sequences import align, rising
from kmodel_tools.tree import Layer, Model, Path, join_path, split_path

GRAPHS = frozenset({"Model", "Functional"})
"""What releases call a graph of layers; a subclass of it has a name of its own."""


def layer_partners(a: Model, b: Model, match: Match, new_path: Callable[[Path], Path]) -> dict[Path, Path]:
    """The path in `b` of each layer of `a` that has a partner: the layer of its weights, else that of its name.

    Models of the same classes in the same order are paired layer by layer, unless names that both have stand at other places.
    """
    of_a, of_b = list(a.walk()), list(b.walk())
    paths_a, paths_b = {path for path, _ in of_a}, {path for path, _ in of_b}
    both_known = a.architecture is not None and b.architecture is not None
    if both_known and [_structure(*item) for item in of_a] == [_structure(*item) for item in of_b]:
        in_order = {path_a: path_b for (path_a, _), (path_b, _) in zip(of_a, of_b, strict=True)}
        alone = {item.path[:-1] for item in match.only_a}
        in_place = all(in_order[path] == new_path(path) for path in in_order if new_path(path) in paths_b)
        if (match.by == "position" and not alone) or (in_place and all(path not in alone or path in paths_b for path in in_order)):
            return in_order
    found: dict[Path, Path] = {}
    taken: set[Path] = set()
    for pair in match.pairs:
        left, right = pair.path_a[:-1], pair.path_b[:-1]
        while left and right and left not in found and right not in taken:
            if left in paths_a and right in paths_b:
                found[left] = right
                taken.add(right)
            left, right = left[:-1], right[:-1]
    gone = {item.path[:-1] for item in match.only_a if item.candidates} & {item.path[:-1] for item in match.only_b if item.candidates}
    for path, _ in of_a:
        same = new_path(path)
        if path not in found and same in paths_b and same not in taken and path not in gone:
            found[path] = same
            taken.add(same)
    _pair_without_weights(dict(of_a), dict(of_b), found)
    return found


def _pair_without_weights(of_a: dict[Path, Layer], of_b: dict[Path, Layer], found: dict[Path, Path]) -> None:
    """Pair layers that hold no weights by their classes, between their neighbours that have partners, if that leaves one answer."""
    taken = set(found.values())
    below_a, below_b = _below(of_a), _below(of_b)
    for parent_a, parent_b in [((), ()), *list(found.items())]:
        left, right = below_a.get(parent_a, []), below_b.get(parent_b, [])
        places = {path: place for place, path in enumerate(right)}
        anchors = rising([(place, places[found[path]]) for place, path in enumerate(left) if path in found and found[path] in places])
        for (from_a, from_b), (to_a, to_b) in itertools.pairwise([(-1, -1), *anchors, (len(left), len(right))]):
            free_a = [path for path in left[from_a + 1 : to_a] if path not in found and _is_plain(of_a[path])]
            free_b = [path for path in right[from_b + 1 : to_b] if path not in taken and _is_plain(of_b[path])]
            for one, other in align(
                *([_class(of[path].class_name) for path in free] for of, free in ((of_a, free_a), (of_b, free_b)))
            ).pairs:
                found[free_a[one]] = free_b[other]
                taken.add(free_b[other])


def _below(layers: dict[Path, Layer]) -> dict[Path, list[Path]]:
    """The layers that lie directly in each other one, or in the model."""
    found: dict[Path, list[Path]] = {}
    for path, layer in layers.items():
        found.setdefault(path[: len(path) - len(layer.components)], []).append(path)
    return found


def _is_plain(layer: Layer) -> bool:
    return not layer.weights and not layer.layers and layer.class_name is not None


def moved_layers(a: Model, b: Model, partners: dict[Path, Path]) -> dict[Path, Path]:
    """The layers that stand at another place among those beside them, with their partners: as few as explain the order.

    The order in which a graph lists its layers says nothing: what each one is called on does.
    """
    below_a, below_b = _below(dict(a.walk())), _below(dict(b.walk()))
    graphs = {path for model in (a, b) for path in _graphs(model)}
    found: dict[Path, Path] = {}
    for parent_a, parent_b in [((), ()), *partners.items()]:
        if parent_a in graphs or parent_b in graphs:
            continue
        places = {path: place for place, path in enumerate(below_b.get(parent_b, ()))}
        paired = [(place, places[partners[path]]) for place, path in enumerate(below_a.get(parent_a, ())) if partners.get(path) in places]
        kept = set(rising(paired))
        layers = below_a.get(parent_a, [])
        found |= {layers[place]: partners[layers[place]] for place, other in paired if (place, other) not in kept}
    return found


def _graphs(model: Model) -> Iterator[Path]:
    """The models that are graphs, by their path; () for the whole."""
    kind = model.architecture.get("class_name") if model.architecture is not None else None
    if isinstance(kind, str) and _class(kind) == "Functional":
        yield ()
    yield from (path for path, layer in model.walk() if _class(layer.class_name) == "Functional")


def before(model: Model) -> dict[Path, Path]:
    """The layer in front of each one that has one beside it."""
    return {path: other for paths in _below(dict(model.walk())).values() for other, path in itertools.pairwise(paths)}


def _structure(path: Path, layer: Layer) -> tuple[object, ...]:
    return _class(layer.class_name), len(path), layer.attr


def _class(name: str | None) -> str | None:
    """A class under the name that the latest release has for it."""
    plain = canonical_class(name) or (plain_class(name) if name else None)
    return "Functional" if plain in GRAPHS else plain


def layer_changes(
    a: Model, b: Model, match: Match, partners: dict[Path, Path], names_are_sure: bool, wanted: Callable[..., bool]
) -> tuple[list[LayerChange], int, list[str]]:
    """Layers added, removed, renamed, moved and of another class; the number of those in both; and what was not compared.

    Where the two sides name layers by different rules, only layers with weights are looked at, and their names and classes are not.
    """
    of_a, of_b, front = dict(a.walk()), dict(b.walk()), before(b)
    moved = moved_layers(a, b, partners) if names_are_sure else {}
    back = {path_b: path_a for path_a, path_b in partners.items()}
    removed = _gone("removed", of_a, {pair.path_a[:-1] for pair in match.pairs} | set(partners), names_are_sure, wanted)
    doubts = [{join_path(item.path[:-1]): item.reason for item in items if item.candidates} for items in (match.only_a, match.only_b)]
    found = [replace(change, doubt=doubts[0].get(change.path_a, "")) for change in removed]
    compared = 0
    renamed = 0
    for path_a, path_b in partners.items():
        if not wanted(path_a, path_b) or not (names_are_sure or of_a[path_a].weights):
            continue
        compared += 1
        one, other = of_a[path_a], of_b[path_b]
        if path_a[-1] != path_b[-1] or len(path_a) != len(path_b):
            renamed += 1
            if names_are_sure:
                found.append(_change("renamed", path_a, path_b, one, other))
        if path_a in moved:
            found.append(replace(_change("moved", path_a, path_b, one, other), after=join_path(front.get(path_b, ()))))
        if names_are_sure and one.class_name and other.class_name and _class(one.class_name) != _class(other.class_name):
            found.append(_change("class", path_a, path_b, one, other))
    added = _gone("added", of_b, {pair.path_b[:-1] for pair in match.pairs} | set(back), names_are_sure, wanted)
    places = {change.path_b: join_path(front.get(split_path(change.path_b), ())) for change in added}
    found += [replace(change, after=places[change.path_b], doubt=doubts[1].get(change.path_b, "")) for change in added]
    aside = []
    if not names_are_sure:
        names = f"names of layers ({renamed:,} differ), " if renamed else ""
        aside.append(f"{names}layers without weights, and classes: one side holds no architecture")
    return found, compared, aside


def _change(kind: str, path_a: Path, path_b: Path, one: Layer, other: Layer) -> LayerChange:
    return LayerChange(kind, join_path(path_a), join_path(path_b), one.class_name, other.class_name, len(one.weights))


def _gone(kind: str, layers: dict[Path, Layer], kept: set[Path], names_are_sure: bool, wanted: Callable[..., bool]) -> list[LayerChange]:
    """Layers that the other side has not; what is below one of them goes with it."""
    found: list[LayerChange] = []
    gone: set[Path] = set()
    below: Counter[Path] = Counter()
    for path, layer in layers.items():
        for length in range(1, len(path) + 1):
            below[path[:length]] += len(layer.weights)
    for path, layer in layers.items():
        if path in kept or not wanted(path) or not (names_are_sure or layer.weights):
            continue
        if any(path[:length] in gone for length in range(1, len(path))):
            continue
        gone.add(path)
        text = join_path(path)
        if kind == "removed":
            found.append(LayerChange(kind, text, "", layer.class_name, None, below[path]))
        else:
            found.append(LayerChange(kind, "", text, None, layer.class_name, below[path]))
    return found
