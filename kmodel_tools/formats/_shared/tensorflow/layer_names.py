"""Names of layers in an object graph, concluded from the names of their variables.

Every layer puts its own name before those of its variables: `bi/forward_lstm/lstm_cell/kernel`. There are exceptions in
Keras 2: the layers of a nested model do not know that they are nested, and a wrapped layer may go without a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.legacy_weights import Step, place_weights
from kmodel_tools.tree import Note, Weight, split_path

WITNESSES = 16
"""Variables that are asked for a layer's name: more of them would say the same."""


@dataclass(slots=True, eq=False)
class GraphObject:
    """A node that is a layer.

    Attributes:
        attr: The attribute path that holds it in its parent, or None under a graph or a list of layers.
        component: What the graph calls it there, as a path.
        name: Its name, once it is found.
        weights: Its own variables.
        children: Its sub-layers.
        given: Its name, where the file states it.
        class_name: Its class, where the file states it.
    """

    attr: str | None
    component: str
    name: str = ""
    weights: list[Weight] = field(default_factory=list)
    children: list[GraphObject] = field(default_factory=list)
    given: str | None = None
    class_name: str | None = None


def name_layers(top: GraphObject, full_names: Mapping[int, str], keras_3: bool) -> int:
    """Name every layer below an object; return how many stay without a name of their own.

    Args:
        top: The model.
        full_names: The variable name of each weight, by the weight's identity.
        keras_3: Whether Keras 3 wrote the graph.
    """
    order = _inside_out(top)
    witnesses: dict[int, list[_Witness]] = {}
    for item in order:
        own = [_Witness(full_names.get(id(weight), ""), 0, nested=False) for weight in item.weights[:WITNESSES]]
        for child in item.children:
            own += [_Witness(found.full_name, found.levels + 1, found.nested or child.attr is None) for found in witnesses[id(child)]]
        witnesses[id(item)] = own[:WITNESSES]
    unnamed = 0
    for item in order:
        names = {id(child): _layer_name(witnesses[id(child)], keras_3) for child in item.children if child.given is None}
        _strip_scope(names, item)
        names |= {id(child): child.given for child in item.children if child.given is not None}
        counts = Counter(names[id(child)] for child in item.children if child.attr is None)
        for child in item.children:
            name = names[id(child)]
            if child.attr is not None:
                child.name = name or split_path(child.attr)[-1]
            elif name and counts[name] == 1:
                child.name = name
            else:
                child.attr = child.component
                child.name = split_path(child.component)[-1]
                unnamed += 1
    return unnamed


def _inside_out(top: GraphObject) -> list[GraphObject]:
    """Every object below another and itself, sub-layers before what holds them, each once."""
    order: list[GraphObject] = []
    seen: set[int] = set()
    stack: list[tuple[GraphObject, bool]] = [(top, False)]
    while stack:
        item, entered = stack.pop()
        if entered:
            order.append(item)
        elif id(item) not in seen:
            seen.add(id(item))
            stack.append((item, True))
            stack.extend((child, False) for child in item.children)
    return order


def _strip_scope(names: dict[int, str | None], parent: GraphObject) -> None:
    """Take off what all listed layers start with: a Sequential that was built when it was called put its own name there."""
    listed = [id(child) for child in parent.children if child.attr is None and child.given is None]
    found = [name for number in listed if (name := names[number]) is not None]
    if found and len({name.partition("/")[0] for name in found}) == 1 and all("/" in name for name in found):
        for number in listed:
            name = names[number]
            names[number] = name.partition("/")[2] if name is not None else None


@dataclass(frozen=True, slots=True)
class _Witness:
    """A variable's name, how many levels it lies below a layer, and whether a listed layer is among them."""

    full_name: str
    levels: int
    nested: bool


def _layer_name(witnesses: Sequence[_Witness], keras_3: bool) -> str | None:
    """A layer's name, or None where its variables do not hold it or do not agree."""
    found = {name for witness in witnesses if (name := _name_in(witness, keras_3)) is not None}
    return found.pop() if len(found) == 1 else None


def _name_in(witness: _Witness, keras_3: bool) -> str | None:
    """The part of a variable's name that names a layer so many levels above it."""
    scope = witness.full_name.split("/")[:-1]
    if not scope or (witness.nested and not keras_3):
        return None
    left = scope[: max(0, len(scope) - witness.levels)] or ([] if witness.nested else scope[:1])
    if not left:
        return None
    return left[-1] if keras_3 else "/".join(left)


def place_unreached(top: GraphObject, unreached: Sequence[Weight], order: Sequence[Weight], full_names: Mapping[int, str]) -> list[Note]:
    """Put weights that no layer leads to under the layers that their names tell of.

    Keras 3 does not track lists, so the cells of a StackedRNNCells and the layers that a model keeps in a list are known
    to a checkpoint through the optimizer alone.

    Args:
        top: The model; layers are added to it.
        unreached: Such weights, in the optimizer's order.
        order: All trained weights in that order, which is the model's.
        full_names: The variable name of each weight, by the weight's identity.
    """
    if not unreached:
        return []
    scope = _scope(top, full_names)
    counts = Counter(full_names[id(weight)] for weight in unreached)
    groups: dict[tuple[int, str], list[tuple[GraphObject, str, Weight]]] = {}
    lost: list[Weight] = []
    for weight in unreached:
        full_name = full_names[id(weight)].removeprefix(scope)
        owner, rest = _deepest(top, full_name.split("/"))
        if counts[full_names[id(weight)]] > 1 or len(rest) < 2:
            lost.append(weight)
        else:
            groups.setdefault((id(owner), rest[0]), []).append((owner, "/".join(rest), weight))
    for (_, name), members in groups.items():
        owner = members[0][0]
        layer = GraphObject(None, name, name)
        placement = place_weights(name, [rest for _, rest, _ in members], None, Era.KERAS_3)
        for place, (_, _, weight) in zip(placement.places, members, strict=True):
            _under(layer, place.steps).weights.append(Weight(place.role, weight.tensor, weight.key, weight.trainable))
        following = order[order.index(members[-1][2]) + 1 :]
        owner.children.insert(_place_before(owner, following), layer)
    notes = []
    placed = len(unreached) - len(lost)
    if placed:
        notes.append(Note("inferred", f"{placed} weights are reached through the optimizer only and placed by their names"))
    if lost:
        top.children.append(GraphObject("trainable_variables", "trainable_variables", "trainable_variables", lost))
        notes.append(Note("odd", f"{len(lost)} weights are stored for the optimizer only: which layer holds them is not in the file"))
    return notes


def _scope(top: GraphObject, full_names: Mapping[int, str]) -> str:
    """What stands before the layers' names in all variable names: `sequential/` for layers built when that model was called."""
    found = {
        full_names.get(id(weight), "").partition(f"{child.name}/")[0]
        for child in top.children
        if child.attr is None
        for item in _inside_out(child)
        for weight in item.weights[:1]
    }
    return found.pop() if len(found) == 1 else ""


def _place_before(owner: GraphObject, following: Sequence[Weight]) -> int:
    """Where in a layer's children something goes that these weights follow: before the first child that holds one of them."""
    wanted = {id(weight) for weight in following}
    for index, child in enumerate(owner.children):
        if any(id(weight) in wanted for item in _inside_out(child) for weight in item.weights):
            return index
    return len(owner.children)


def _deepest(top: GraphObject, parts: list[str]) -> tuple[GraphObject, list[str]]:
    """Follow a variable's name down the named layers as far as it goes; return where it ends, and the rest of it."""
    item = top
    while len(parts) > 1:
        below = next((child for child in item.children if child.attr is None and child.name == parts[0]), None)
        if below is None:
            break
        item, parts = below, parts[1:]
    return item, parts


def _under(layer: GraphObject, steps: Sequence[Step]) -> GraphObject:
    for step in steps:
        attr = step.component if step.is_attr else None
        below = next((child for child in layer.children if child.component == step.component and child.attr == attr), None)
        if below is None:
            below = GraphObject(attr, step.component, step.name or split_path(step.component)[-1])
            layer.children.append(below)
        layer = below
    return layer
