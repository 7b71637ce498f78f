"""Pairing by names: equal paths, paths that are spelt otherwise, ends of paths; and how far names can be believed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from kmodel_tools.likeness import recounted
from kmodel_tools.matcher.pairing import Doubt, Pairing, either
from kmodel_tools.matcher.result import END, NAME, SPELLING
from kmodel_tools.matcher.sides import Item, Side, Symbols, is_by_names
from kmodel_tools.tree import Model, Path, join_path

MAX_END = 16
"""Components of a path that its end is looked for in: real models are not nested deeper."""

ERAS = (
    (re.compile(r":\d+$"), ""),
    (re.compile(r"v[12](?=(_\d+)?$)"), ""),  # batch_normalization_v1_2, of TensorFlow 1.13
    (re.compile(r"^(de|atrous)convolution(?=\d)"), r"\1conv"),
    (re.compile(r"convolution(?=\d)"), "conv"),  # Convolution2D, of Keras 1
    (re.compile(r"^atrous"), ""),
    (re.compile(r"^deconv(\dd)"), r"conv\1transpose"),
    (re.compile(r"^cudnn"), ""),
)
"""What releases call layers of one class; after small letters, without underscores but before a number."""


def by_names(pairing: Pairing) -> None:
    """Pair by equal paths, then by paths that are spelt otherwise, then by ends of paths, if only one can be meant."""
    pairing.pair_by_names(range(len(pairing.a.items)))
    _by_spelling(pairing, lambda *_: True)
    _by_ends(pairing)


def by_sure_names(pairing: Pairing, symbols: Symbols) -> None:
    """Pair by names as far as they can be believed beside an order of layers that may tell as well.

    Not believed are names that count from other numbers than those of the other model, and numbers (`dense_2`) where the two layers
    differ: a layer that was inserted moves the numbers of those behind it.
    """
    side_a, side_b = pairing.a, pairing.b
    if nameless(side_a.model) is not nameless(side_b.model):
        pairing.pair_by_names(place for place, item in enumerate(side_a.items) if item.mapped)
        return
    counted_on = recounted([item.name for item in side_a.items], [item.name for item in side_b.items])
    of_b = {item.path: item for item in side_b.items}

    def believed(item: Item, other: Item) -> bool:
        if item.name in counted_on:
            return False
        return not is_counted(item) or symbols.exact(side_a, item) == symbols.exact(side_b, other)

    named = ((place, item, of_b.get(item.name)) for place, item in enumerate(side_a.items))
    pairing.pair_by_names(place for place, item, other in named if item.mapped or (other is not None and believed(item, other)))
    _by_spelling(pairing, believed)
    _by_ends(pairing)


def by_counted_names(pairing: Pairing) -> None:
    """Pair by names what the order of layers has left over."""
    if nameless(pairing.a.model) is nameless(pairing.b.model):
        free_b = {pairing.b.items[place].path for place in pairing.free_b()}
        pairing.pair_by_names([place for place in pairing.free_a() if pairing.a.items[place].name in free_b])


def nameless(model: Model) -> bool:
    """Whether layers are called as the groups of their container are, by class and number, for the file holds no names."""
    return model.metadata.get("names") == "groups"


def is_counted(item: Item) -> bool:
    """Whether a layer's name, or one above it, may be one that Keras gives: that of the class, and a number for each further one."""
    if any(without_numbers((part,)) != (part,) for part in item.name[:-1]):
        return True
    (name,) = without_numbers(item.name[-1:]) or ("",)
    return (name,) != item.name[-1:] if item.class_name is None else _in_one_era(name) == item.class_name.lower()


def without_numbers(path: Path) -> Path:
    """A path without what Keras appends to the name of each further layer of a class: `dense_2` → `dense`."""
    return tuple(re.sub(r"_\d+$", "", part) for part in path)


def spelt(path: Path) -> Path:
    """A path in a spelling that releases and containers have in common."""
    parts = [part for component in path for part in component.split("/")]
    return tuple(_in_one_era(part) for part in parts)


def _in_one_era(part: str) -> str:
    plain = _plain(part)
    for expression, new in ERAS:
        plain = expression.sub(new, plain)
    return plain


def _plain(part: str) -> str:
    return re.sub(r"_(?!\d)", "", re.sub(r"[-. ]", "_", part).lower())


def _by_spelling(pairing: Pairing, believed: Callable[[Item, Item], bool]) -> None:
    keys = [_keys(side) for side in (pairing.a, pairing.b)]
    free_b = set(pairing.free_b())
    for place in list(pairing.free_a()):
        key = spelt(pairing.a.items[place].name)
        rivals = keys[0][key], keys[1].get(key, [])
        if key and len(rivals[0]) == len(rivals[1]) == 1 and rivals[1][0] in free_b:
            item, other = pairing.a.items[place], pairing.b.items[rivals[1][0]]
            if believed(item, other):
                pairing.pair_layers(place, rivals[1][0], NAME if item.name == other.name else SPELLING)


def _keys(side: Side) -> dict[Path, list[int]]:
    found: dict[Path, list[int]] = {}
    for place, item in enumerate(side.items):
        found.setdefault(spelt(item.name), []).append(place)
    return found


@dataclass(frozen=True, slots=True)
class _Near:
    """For each layer of two models, those of the other of which either path is the end of the other."""

    of_a: dict[Path, list[Path]]
    of_b: dict[Path, list[Path]]


def _by_ends(pairing: Pairing) -> None:
    """Pair layers of which one's path is the end of the other's: `dense_1` was nested, and is `pretrained/dense_1`."""
    named_a = {item.name: place for place, item in enumerate(pairing.a.items)}
    named_b = {item.name: place for place, item in enumerate(pairing.b.items)}
    near = _Near(_same_end(named_a, named_b), _same_end(named_b, named_a))
    free_b = set(pairing.free_b())
    for place in list(pairing.free_a()):
        name = pairing.a.items[place].name
        others = near.of_a[name]
        if name in named_b or not others:
            continue
        partner = named_b[others[0]]
        back = near.of_b[others[0]]
        if len(others) > 1:
            items = [pairing.b.items[named_b[other]] for other in others]
            pairing.doubts_a[place] = Doubt(f"may be {either(items)}", tuple(items))
        elif others[0] in named_a or partner not in free_b:
            pairing.doubts_a[place] = Doubt(f"{join_path(others[0])} has a partner of its own name")
        elif len(back) > 1:
            rivals = [pairing.a.items[named_a[other]] for other in back if other != name]
            pairing.doubts_a[place] = Doubt(f"{join_path(others[0])} may as well be {either(rivals)}", (pairing.b.items[partner],))
            pairing.doubts_b[partner] = Doubt(
                f"may be {either([pairing.a.items[named_a[other]] for other in back])}",
                tuple(pairing.a.items[named_a[other]] for other in back),
            )
        else:
            pairing.pair_layers(place, partner, END)


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


NAMING = frozenset({"keras-h5", "keras-weights"})
"""Formats that hold the names of layers even without an architecture, but for those of `nameless` models and of Keras 0."""


def _holds_names(model: Model) -> bool:
    if model.architecture is not None:
        return True
    return model.format in NAMING and not nameless(model) and not model.metadata.get("dialect", "").startswith("Keras 0")


@dataclass(frozen=True, slots=True)
class Sure:
    """Which names of two models are the layers' own: all of them with an architecture or in files of Keras that hold names; else those
    of attributes. Others may be called as groups of the container are, which is by class and number.
    """

    all_sure: bool
    attributes: frozenset[Path]

    @classmethod
    def of(cls, a: Model, b: Model) -> Sure:
        """What is known of two models."""
        held = [{path for path, layer in model.walk() if layer.attr is not None} for model in (a, b)]
        return cls(_holds_names(a) and _holds_names(b), frozenset(held[0] & held[1]))

    def sure(self, path: Path) -> bool:
        """Whether the name of a weight's layer is its own."""
        return self.all_sure or path[:-1] in self.attributes


def place_or_name(names_a: Sequence[Path], side_a: Side, side_b: Side) -> tuple[str, str]:
    """Whether all weights go by name or by position, and why; the first is "" where each layer has to be looked at.

    They go by position if names differ while all shapes agree in order (or all roles, if no name is in both), and either no name
    that both have stands at another place, or names differ in their numbers alone. Names of a model without an architecture may be
    the container's own: then only shapes are asked.
    """
    names_b = [path for path, _ in side_b.weights]
    sure = Sure.of(side_a.model, side_b.model)
    common = set(names_a) & set(names_b)
    if len(common) == len(names_a) == len(names_b):
        return "name", "all names agree"
    shapes = [weight.tensor.shape for _, weight in side_a.weights]
    if is_by_names(side_a.model) is not is_by_names(side_b.model) and len(set(shapes)) < len(shapes):
        return "", f"{_shared(len(common))} in both, and a checkpoint by names has no order of layers"
    same_shapes = shapes == [weight.tensor.shape for _, weight in side_b.weights]
    if same_shapes:
        places = {path: index for index, path in enumerate(names_b)}
        moved = [path for index, path in enumerate(names_a) if path in common and places[path] != index]
        if not any(sure.sure(path) for path in moved):
            other = len(names_a) - len(common)
            return "position", f"{other:,} of {len(names_a):,} names differ, and all shapes agree in order"
        held = any(path[:-1] in sure.attributes for path in moved)  # nobody renumbers attributes
        if not held and [without_numbers(path) for path in names_a] == [without_numbers(path) for path in names_b]:
            return "position", "names differ in their numbers alone, and all shapes agree in order"
    if not common and names_a and sure.all_sure and [path[-1] for path in names_a] == [path[-1] for path in names_b]:
        return "position", "no name is in both; roles agree in order, shapes do not all"
    return "", f"{_shared(len(common))} in both, {'at other places' if same_shapes else 'and shapes do not agree in order'}"


def _shared(count: int) -> str:
    return {0: "no name is", 1: "1 name is"}.get(count, f"{count:,} names are")
