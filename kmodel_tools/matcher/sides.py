"""One of two models as pairing sees it: its weights with the names that they go by, and its layers with weights, in order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from kmodel_tools.architecture.checkpoint_layout import LISTED
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.legacy_weights import sub_layers_are_ordered
from kmodel_tools.architecture.normal import plain_class
from kmodel_tools.errors import KmtError
from kmodel_tools.matcher.maps import Mapped, targets
from kmodel_tools.matcher.patterns import check_rules, renamer
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A layer with weights of its own; those of the model itself are one too.

    Attributes:
        path: Its path in the model.
        name: The path that it goes by.
        class_name: Its class, under the name of the latest release, or None.
        weights: Places of its weights in `Side.weights`.
        mapped: Whether a map gave it its name, so that nothing else is to be asked.
        attr: The attribute that holds it, and its place in that one's lists; "" where a graph or a list of layers does.
    """

    path: Path
    name: Path
    class_name: str | None
    weights: tuple[int, ...]
    mapped: bool = False
    attr: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A model, taken apart.

    Attributes:
        model: The model.
        weights: Path and weight, in the model's order.
        names: The path that each weight goes by; None for what a map leaves out.
        items: The layers with weights, in order.
    """

    model: Model
    weights: tuple[tuple[Path, Weight], ...]
    names: tuple[Path | None, ...]
    items: tuple[Item, ...]

    def role(self, place: int) -> str:
        """What a weight of an item is called in it."""
        name = self.names[place]
        assert name is not None
        return name[-1]

    def size(self, item: Item) -> int:
        """The number of values that a layer holds."""
        return sum(self.weights[place][1].tensor.size for place in item.weights)


def side_of(model: Model, rename: Sequence[str] = (), mapping: Mapped | None = None) -> Side:
    """Take a model apart.

    Args:
        model: The model.
        rename: `OLD=NEW` rules, applied in turn to its paths.
        mapping: New paths by old ones or keys; what it names is not renamed otherwise.

    Raises:
        KmtError: A rule is none or meets nothing, the map does not fit the model, or two weights get one name.
    """
    new_path = renamer(rename)
    moved = targets(model, mapping) if mapping is not None else {}
    weights = tuple(model.weights())
    names = tuple(moved[id(weight)] if id(weight) in moved else new_path(path) for path, weight in weights)
    if rename:
        check_rules(rename, [*(path for path, _ in weights), *(path for path, layer in model.walk() if not layer.weights)])
    known = [name for name in names if name is not None]
    if (rename or mapping) and len(set(known)) < len(known) and len({path for path, _ in weights}) == len(weights):
        twice = next(name for name, count in Counter(known).items() if count > 1)
        both = [join_path(path) for (path, _), name in zip(weights, names, strict=True) if name == twice]
        raise KmtError(f"several weights would be called {join_path(twice)!r}: {', '.join(both)}", cure="give each a name of its own")
    return Side(model, weights, names, tuple(_items(model, weights, names, moved)))


def _items(
    model: Model, weights: Sequence[tuple[Path, Weight]], names: Sequence[Path | None], moved: Mapping[int, Path | None]
) -> list[Item]:
    holders = _holders(model)
    groups: dict[tuple[Path, Path, bool], list[int]] = {}
    for place, (path, weight) in enumerate(weights):
        name = names[place]
        if name is not None:
            groups.setdefault((path[:-1], name[:-1], id(weight) in moved), []).append(place)
    found = []
    for (path, name, mapped), places in groups.items():
        holder = holders.get(id(weights[places[0]][1]))
        kind = class_of(holder.class_name if holder else None)
        found.append(Item(path, name, kind, tuple(places), mapped, _attribute(holder) if path == name else ""))
    return found


def _attribute(holder: Layer | None) -> str:
    if holder is None or holder.attr is None or LISTED.fullmatch(holder.attr):
        return ""
    return holder.attr


def are_apart(a: Item, b: Item) -> bool:
    """Whether two layers are held by different attributes: names of layers are counted anew, those of attributes are not.

    What an attribute's list holds has its place (`cells/0`) in one file and the name of its class (`cells/lstm_cell`) in another.
    """
    parts = zip(split_path(a.attr), split_path(b.attr), strict=False) if a.attr and b.attr else ()
    return any(one != other and not one.isdigit() and not other.isdigit() for one, other in parts)


def _holders(model: Model) -> dict[int, Layer]:
    """The layer of each weight, by the weight's identity."""
    found: dict[int, Layer] = {}
    for _, layer in model.walk():
        for weight in layer.weights:
            found.setdefault(id(weight), layer)
    return found


def class_of(name: str | None) -> str | None:
    """A class under the name that the latest release has for it, without the package that it was registered under."""
    return canonical_class(name) or (plain_class(name) if name else None)


def order_tells(a: Model, b: Model) -> bool:
    """Whether the order of layers means the same in two models.

    A checkpoint by names has that of the names, and a legacy file of weights does not tell that of nested layers; two files of
    one such kind have theirs by the same rule.
    """
    known = [_is_in_order(model) for model in (a, b)]
    return all(known) or (known[0] is known[1] and a.format == b.format)


def is_by_names(model: Model) -> bool:
    """Whether a model is a checkpoint of variables by their names, in whose order they stand."""
    return model.architecture is None and model.metadata.get("dialect", "").endswith("name-based")


def _is_in_order(model: Model) -> bool:
    return not is_by_names(model) and sub_layers_are_ordered(model)


@dataclass(frozen=True, slots=True)
class Symbols:
    """What layers of two models are compared by: what both of them know.

    Attributes:
        classes: Whether classes count: every layer of both has one.
        roles: Whether roles count: no file left a number in the place of one.
    """

    classes: bool
    roles: bool

    @classmethod
    def of(cls, a: Side, b: Side) -> Symbols:
        """What can be compared of two models."""
        items = [item for side in (a, b) for item in side.items if item.path]
        numbered = any(name is not None and says_nothing(name[-1]) for side in (a, b) for name in side.names)
        return cls(all(item.class_name is not None for item in items), not numbered)

    def exact(self, side: Side, item: Item) -> Hashable:
        """Class, roles and shapes of a layer."""
        roles = [(side.role(place) if self.roles else "", side.weights[place][1].tensor.shape) for place in item.weights]
        return item.class_name if self.classes else None, tuple(sorted(roles))

    def loose(self, side: Side, item: Item) -> Hashable:
        """Class, roles and ranks of a layer: what is left of it when its sizes change."""
        roles = [(side.role(place) if self.roles else "", len(side.weights[place][1].tensor.shape)) for place in item.weights]
        return item.class_name if self.classes else None, tuple(sorted(roles))


def says_nothing(role: str) -> bool:
    """Whether a role is a number, or what Keras calls a variable that a layer gives no name to."""
    return role.isdigit() or re.fullmatch(r"variable(_\d+)?", role) is not None


def only_scales(side: Side, item: Item) -> bool:
    """Whether all arrays of a layer are vectors or scalars: it goes with the layer before it, as a normalisation does."""
    return all(len(side.weights[place][1].tensor.shape) <= 1 for place in item.weights)
