"""Which layer of one model is which of another, following their weights, and which layers that leaves over."""

from __future__ import annotations

from collections.abc import Callable

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.normal import plain_class
from kmodel_tools.differ.result import LayerChange
from kmodel_tools.matcher import Match
from kmodel_tools.tree import Layer, Model, Path, join_path

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
        if match.by == "position" or (in_place and all(path not in alone or path in paths_b for path in in_order)):
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
    for path, _ in of_a:
        same = new_path(path)
        if path not in found and same in paths_b and same not in taken:
            found[path] = same
            taken.add(same)
    return found


def _structure(path: Path, layer: Layer) -> tuple[object, ...]:
    return _class(layer.class_name), len(path), layer.attr


def _class(name: str | None) -> str | None:
    """A class under the name that the latest release has for it."""
    plain = canonical_class(name) or (plain_class(name) if name else None)
    return "Functional" if plain in GRAPHS else plain


def layer_changes(
    a: Model, b: Model, match: Match, partners: dict[Path, Path], names_are_sure: bool, wanted: Callable[..., bool]
) -> tuple[list[LayerChange], int, list[str]]:
    """Layers added, removed, renamed and of another class; the number of those in both; and what was not compared.

    Where the two sides name layers by different rules, only layers with weights are looked at, and their names and classes are not.
    """
    of_a, of_b = dict(a.walk()), dict(b.walk())
    back = {path_b: path_a for path_a, path_b in partners.items()}
    found = [*_gone("removed", of_a, {pair.path_a[:-1] for pair in match.pairs} | set(partners), names_are_sure, wanted)]
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
        if names_are_sure and one.class_name and other.class_name and _class(one.class_name) != _class(other.class_name):
            found.append(_change("class", path_a, path_b, one, other))
    found += _gone("added", of_b, {pair.path_b[:-1] for pair in match.pairs} | set(back), names_are_sure, wanted)
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
    for path, layer in layers.items():
        if path in kept or not wanted(path) or not (names_are_sure or layer.weights):
            continue
        if any(path[:length] in gone for length in range(1, len(path))):
            continue
        gone.add(path)
        text = join_path(path)
        below = sum(len(item.weights) for other, item in layers.items() if other[: len(path)] == path)
        if kind == "removed":
            found.append(LayerChange(kind, text, "", layer.class_name, None, below))
        else:
            found.append(LayerChange(kind, "", text, None, layer.class_name, below))
    return found
