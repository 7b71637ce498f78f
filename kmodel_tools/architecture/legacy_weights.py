"""Where the weights of one layer group of a legacy HDF5 file belong in the tree.

The file lists a group's weights by name, in the order ``trainable_weights + non_trainable_weights``, recomputed for
every wrapper and nested model. So there are two witnesses, order and names; with a configuration both must agree,
without one the names alone speak, as far as they allow only one answer.

Sources: Keras 3.15.1 `legacy_h5_format.py`, tf_keras 2.21 `saving/hdf5_format.py`, Keras 2.3.1 `engine/saving.py`; the
order of frozen nested models was checked by experiment in each.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.layer_table import Variable, table
from kmodel_tools.architecture.names import (
    is_cell,
    keras_1_role,
    plain_name,
    same_name,
    split_keras_1,
    without_number,
)
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.tree import Model

RECURRENT = "recurrent_kernel"
TF1_CELL = frozenset({"kernel", "bias", "w_f_diag", "w_i_diag", "w_o_diag"})
"""What a TensorFlow 1 cell may hold, its peepholes too (python/ops/rnn_cell_impl.py); one of Keras has a `recurrent_kernel`."""
ATTENTION = ("query", "key", "value", "attention_output")
FIXED_NAMES = frozenset({*ATTENTION, "gate"})
"""Names that sub-layers of attention layers have in every release; a class that names them otherwise only looks like one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One level between a layer and a weight: a component, whether it is an attribute, and the class there, if known."""

    component: str
    is_attr: bool
    class_name: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight belongs below its layer."""

    steps: tuple[Step, ...]
    role: str
    trainable: bool | None


@dataclass(frozen=True, slots=True)
class Placement:
    """Places for all weights of a layer, in the order of the file, and how they were found: "spec" or "names"."""

    places: tuple[Place, ...]
    by: str


def place_weights(layer: str, names: Sequence[str], spec: LayerSpec | None, era: Era) -> Placement:
    """Find the place of every weight of a layer group.

    Args:
        layer: Name of the layer, as the file has it.
        names: Names of its weights, as the file has them, in its order.
        spec: What the configuration says of the layer, or None.
        era: Who wrote the file.
    """
    if spec is not None and is_fully_known(spec):
        places = _by_spec(names, spec, era)
        if places is not None:
            return Placement(distinct(places), "spec")
    return Placement(distinct(by_names(layer, names, spec, era)), "names")


def distinct(places: Sequence[Place]) -> tuple[Place, ...]:
    """Make sure that no two weights of a layer share a path: repeated roles get their position behind them."""
    counts = Counter((place.steps, place.role) for place in places)
    seen: Counter[tuple[tuple[Step, ...], str]] = Counter()
    found = []
    for place in places:
        key = (place.steps, place.role)
        number = seen[key]
        seen[key] += 1
        found.append(Place(place.steps, f"{place.role}_{number}", place.trainable) if counts[key] > 1 and number else place)
    return tuple(found)


# With a configuration: the order that Keras writes, confirmed by the names.


@dataclass(frozen=True, slots=True)
class Slot:
    """A weight that the configuration announces: the sub-layers that lead to it, its variable, whether it was trainable."""

    owner: LayerSpec
    chain: tuple[LayerSpec, ...]
    variable: Variable
    trainable: bool

    @property
    def place(self) -> Place:
        """Where it belongs below the layer."""
        steps = tuple(Step(item.attr or item.name, item.attr is not None, item.class_name, item.name) for item in self.chain)
        return Place(steps, self.variable.role, self.trainable)


def is_fully_known(spec: LayerSpec) -> bool:
    """Whether the table tells everything about the weights of a layer and of all below it."""
    return spec.is_known and all(is_fully_known(child) for child in spec.children)


def slots_of(spec: LayerSpec, chain: tuple[LayerSpec, ...] = ()) -> Iterator[Slot]:
    """All weights below a layer in Keras's own order: its own first, then its sub-layers'."""
    for variable in spec.variables or ():
        yield Slot(spec, chain, variable, variable.trained and spec.trainable)
    for child in spec.children:
        yield from slots_of(child, (*chain, child))


def _by_spec(names: Sequence[str], spec: LayerSpec, era: Era) -> list[Place] | None:
    slots = list(slots_of(spec))
    if len(slots) != len(names):
        return None
    for order in _orders(slots):
        if all(agrees(slot, name, era) for slot, name in zip(order, names, strict=True)):
            return [slot.place for slot in order]
    matched = _unique_matches(slots, names, era)
    return [slot.place for slot in matched] if matched else None


def _orders(slots: list[Slot]) -> Iterator[list[Slot]]:
    """The orders in which a release may have written these weights, the likeliest first."""

    def partitioned(trained: Callable[[Slot], bool]) -> list[Slot]:
        return [slot for slot in slots if trained(slot)] + [slot for slot in slots if not trained(slot)]

    yield partitioned(lambda slot: slot.trainable)
    yield partitioned(lambda slot: slot.variable.trained)  # Keras 2.0-2.3 of a model that was frozen as a whole
    yield slots


def agrees(slot: Slot, name: str, era: Era) -> bool:
    """Whether a weight's name can be that of a slot: same role, and the name of the innermost layer of a nested model."""
    owner = next((item for item in reversed(slot.chain) if item.attr is None), None)
    if era in (Era.KERAS_0, Era.KERAS_1):
        parts = split_keras_1(name)
        if parts is None:
            return False
        prefix, suffix = parts
        role = suffix if slot.variable.role == suffix else keras_1_role(suffix, canonical_class(slot.owner.class_name), (suffix,))
        inner = {item.legacy_name for item in slot.chain if item.legacy_name}
        return role == slot.variable.role and (owner is None or same_name(prefix, owner.name) or prefix in inner)
    *scope, role = plain_name(name).split("/")
    fixed = slot.chain[-1].legacy_name if slot.chain else None
    if fixed in FIXED_NAMES and scope and scope[-1] != fixed:
        return False
    if any(_other_direction(item) in scope and item.legacy_name not in scope for item in slot.chain):
        return False
    if owner is not None and not any(same_name(part, owner.name.rpartition("/")[2]) for part in scope):
        return False
    wanted = slot.variable.role
    return role == wanted or without_number(role) == wanted or (wanted == "kernel" and without_number(role) == "depthwise_kernel")


def _other_direction(item: LayerSpec) -> str | None:
    """What the other half of a Bidirectional is called: `backward_lstm` for the layer `forward_lstm`."""
    this, other = ("forward", "backward") if item.attr == "forward_layer" else ("backward", "forward")
    name = item.legacy_name or ""
    return other + name.removeprefix(this) if item.attr == f"{this}_layer" and name.startswith(this) else None


def _unique_matches(slots: list[Slot], names: Sequence[str], era: Era) -> list[Slot] | None:
    """Pair names and slots by name alone, if there is exactly one way to do it at every step."""
    found: list[Slot] = []
    for name in names:
        fitting = [slot for slot in slots if slot not in found and agrees(slot, name, era)]
        if len(fitting) != 1:
            return None
        found.append(fitting[0])
    return found


# Without one, or for classes that are not built in: what the names say.


def by_names(layer: str, names: Sequence[str], spec: LayerSpec | None, era: Era) -> list[Place]:
    """What the names alone say; the levels inside of somebody's own layer go by their names, for nobody knows the attributes."""
    custom = spec is not None and not spec.is_known
    if era in (Era.KERAS_0, Era.KERAS_1):
        placed = _keras_1_places(layer, names, spec.class_name if spec else None)
    else:
        placed = [split_name(layer, name) for name in names]
    if custom:
        resolved = [(tuple(Step(part, is_attr=False) for part in item.scope), item.role) for item in placed]
    else:
        resolved = _with_attributes(placed)
    trained = None if spec is None or (custom and spec.trainable) else spec.trainable
    beside: dict[tuple[Step, ...], set[str]] = {}
    for steps, role in resolved:
        beside.setdefault(steps, set()).add(role)
    return [Place(steps, role, False if never_trained(role, beside[steps]) and not custom else trained) for steps, role in resolved]


@dataclass(frozen=True, slots=True)
class _Named:
    """Names of the levels between a layer and its weight, its role, and whether the layer's own name stood before them."""

    scope: tuple[str, ...]
    role: str
    own: bool


def split_name(layer: str, name: str) -> _Named:
    """Split a variable's name behind the layer's own name: ("lstm_cell",), "kernel"; a nested model's name is not in it."""
    plain = plain_name(name)
    parts = plain.split("/")
    if plain.startswith(f"{layer}/"):
        rest, own = plain[len(layer) + 1 :].split("/"), True
    else:
        places = [index for index, part in enumerate(parts[:-1]) if same_name(part, layer)]
        rest, own = parts[places[-1] + 1 :] if places else parts, bool(places)
    *scope, role = rest
    base = without_number(role)
    return _Named(tuple(scope), base if base in known_roles() else role, own)


def _keras_1_places(layer: str, names: Sequence[str], class_name: str | None) -> list[_Named]:
    split = [split_keras_1(name) for name in names]
    found: list[_Named] = []
    for name, parts in zip(names, split, strict=True):
        if parts is None:
            found.append(split_name(layer, name))
            continue
        owner, suffix = parts
        siblings = [other[1] for other in split if other and other[0] == owner]
        own_class = class_name if same_name(owner, layer) else None
        role = keras_1_role(suffix, canonical_class(own_class), siblings)
        found.append(_Named((), role, own=True) if same_name(owner, layer) else _Named((owner,), role, own=False))
    return found


def _with_attributes(placed: Sequence[_Named]) -> list[tuple[tuple[Step, ...], str]]:
    """Translate the names of built-in sub-layers into the attributes that hold them."""
    roles_at: dict[tuple[str, ...], set[str]] = {}
    children: dict[tuple[str, ...], list[str]] = {}
    for item in placed:
        roles_at.setdefault(item.scope, set()).add(item.role)
        for depth, part in enumerate(item.scope):
            below = children.setdefault(item.scope[:depth], [])
            if part not in below:
                below.append(part)
    joined = _joined_cells(roles_at)
    found = []
    for item in placed:
        scope, role = item.scope, item.role
        steps = tuple(
            itertools.chain.from_iterable(
                (Step(scope[depth], is_attr=False),) if scope[: depth + 1] in joined else _steps(scope[:depth], scope[depth], children)
                for depth in range(len(scope))
            )
        )
        roles = roles_at[scope]
        if RECURRENT in roles and not (steps and steps[-1].component.startswith("cell")):
            # Below its layer's own name, a scope that no wrapper makes is the cell's, whatever its name.
            cell = Step("cell", is_attr=True, name=scope[-1] if scope else None)
            steps = (*steps[:-1], cell) if item.own and steps and not steps[-1].is_attr else (*steps, cell)
        alone = role == "depthwise_kernel" and "pointwise_kernel" not in roles
        found.append((steps, "kernel" if alone else role))
    return found


def _joined_cells(roles_at: dict[tuple[str, ...], set[str]]) -> set[tuple[str, ...]]:
    """Scopes that are called as a cell is and hold nothing but what they do, at any level: cells of TensorFlow 1, not of Keras."""
    below: dict[tuple[str, ...], set[str]] = {}
    for scope, roles in roles_at.items():
        for depth in range(1, len(scope) + 1):
            if is_cell(scope[depth - 1]):
                below.setdefault(scope[:depth], set()).update(roles)
    return {scope for scope, roles in below.items() if roles <= TF1_CELL}


def _steps(above: tuple[str, ...], part: str, children: dict[tuple[str, ...], list[str]]) -> tuple[Step, ...]:
    siblings = children[above]
    if above and without_number(above[-1]) == "stacked_rnn_cells":
        return (Step(f"cells/{siblings.index(part)}", is_attr=True, name=part),)
    if is_cell(part):
        if len(siblings) > 1:
            # Cells side by side are a list of them, which Keras 2 gave no scope of its own.
            return (Step("cell", is_attr=True), Step(f"cells/{siblings.index(part)}", is_attr=True, name=part))
        return (Step("cell", is_attr=True, name=part),)
    if (
        len(siblings) == 2
        and part.startswith(("forward_", "backward_"))
        and {name.partition("_")[0] for name in siblings}
        == {
            "forward",
            "backward",
        }
    ):
        return (Step(part.partition("_")[0] + "_layer", is_attr=True, name=part),)
    if part in (*ATTENTION, "gate") and set(ATTENTION) <= set(siblings):
        return (Step({"attention_output": "output"}.get(part, part) + "_dense", is_attr=True, name=part),)
    return (Step(part, is_attr=False),)


@functools.cache
def known_roles() -> frozenset[str]:
    """Every role that some built-in class has."""
    return frozenset(variable.role for entries in table().values() for entry in entries for variable in entry.variables) | {
        "depthwise_kernel"
    }


NORMALIZATION = frozenset({"mean", "variance", "count"})
"""Roles of Normalization: alone, such a name may as well be that of a weight somebody trains."""


def sub_layers_are_ordered(model: Model) -> bool:
    """Whether the order of the layers inside of another is the model's own.

    A legacy file lists the weights of a nested model with those first that are trained, and without a configuration nobody
    knows which these are.
    """
    return model.format != "keras-h5" or model.architecture is not None or all(len(layer.layers) < 2 for _, layer in model.walk())


def never_trained(role: str, siblings: Collection[str]) -> bool:
    """Whether no built-in class trains the weight of this role, beside others of these roles."""
    return role in _untrained_roles() and (role not in NORMALIZATION or set(siblings) >= NORMALIZATION)


@functools.cache
def _untrained_roles() -> frozenset[str]:
    trained: dict[str, bool] = {}
    for entries in table().values():
        for entry in entries:
            for variable in entry.variables:
                trained[variable.role] = trained.get(variable.role, False) or variable.trained
    return frozenset(role for role, ever in trained.items() if not ever)
