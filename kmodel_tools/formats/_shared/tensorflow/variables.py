"""Name-based checkpoints: variables under the names that they had in a TensorFlow 1 graph.

A variable's name is its path: `conv1/weights` is an array of scope `conv1`, and every scope is a layer under its own name.
Roles are Keras's where that has one answer (`architecture/scope_names.py`); keys stay the file's names. What an optimizer
keeps is told by its name and shape (`companions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.legacy_weights import known_roles, never_trained
from kmodel_tools.architecture.names import plain_name
from kmodel_tools.architecture.scope_names import JOINED_CELLS, ROLE_ORDER, is_cell, joined_cell, keras_roles
from kmodel_tools.formats._shared.tensorflow.companions import AVERAGE, Companions, find_companions
from kmodel_tools.tensor import Shape, Tensor
from kmodel_tools.tree import Layer, Model, Note, Optimizer, Path, Slot, Weight, join_path, make_from_below

_NORMALIZERS = ("BatchNorm", "LayerNorm", "InstanceNorm", "GroupNorm")
"""Scopes of `tf.contrib.layers` that normalise the layer which they lie in."""

_PART = re.compile(r"part_\d+$")
"""A slice of a partitioned variable (python/ops/variable_scope.py, `_get_partitioned_variable`)."""

_IN_PARTS = "stored in parts and not joined: the file does not say along which axis"
_SHOWN = 3


@dataclass(slots=True, eq=False)
class _Scope:
    name: str = ""
    in_cell: bool = False
    variables: dict[str, tuple[str, Tensor, bool | None]] = field(default_factory=dict)
    scopes: dict[str, _Scope] = field(default_factory=dict)


def read_variables(tensors: Mapping[str, Tensor], trainable: Mapping[str, bool] | None = None) -> Model:
    """Arrange variables by their scopes, give them Keras's roles, and tie the slots of optimizers to them.

    Args:
        tensors: Every array by its name, in the file's order.
        trainable: Whether a variable is trained, where the file says so.
    """
    companions = find_companions(tensors)
    root = _Scope()
    for name, tensor in tensors.items():
        if name not in companions:
            *scopes, role = plain_name(name).split("/")
            scope = root
            for part in scopes:
                scope = scope.scopes.setdefault(part, _Scope(part, scope.in_cell or is_cell(part)))
            scope.variables[role if role not in scope.variables else name] = (name, tensor, (trainable or {}).get(name))
    layers = make_from_below(root.scopes.values(), _scopes, _layer)
    model = Model(layers=layers, own_weights=_weights(root))
    weights = {weight.key: weight for _, weight in model.weights()}
    return Model(
        layers=layers,
        own_weights=model.own_weights,
        optimizer=_optimizer(companions, tensors, weights),
        extras=tuple(Weight(name.rpartition("/")[2], tensors[name], name, False) for name in tensors if name in companions.corrections),
        notes=tuple(_notes(model, companions)),
    )


def _scopes(scope: _Scope) -> tuple[_Scope, ...]:
    return tuple(scope.scopes.values())


def _layer(scope: _Scope, layers: tuple[Layer, ...]) -> Layer:
    return Layer(scope.name, weights=_weights(scope), layers=layers)


def _weights(scope: _Scope) -> tuple[Weight, ...]:
    """The weights of a scope, in Keras's order of their roles and then in the file's."""
    shapes = {name: tensor.shape for name, (_, tensor, _) in scope.variables.items()}
    below = [scope.scopes[name].variables for name in _NORMALIZERS if name in scope.scopes]
    normalised: Shape | None = next((tensor.shape for variables in below for _, tensor, _ in variables.values()), None)
    roles = {name: name for name in shapes} if scope.in_cell else keras_roles(shapes, normalised)
    made = [
        Weight(role, tensor, key, False if flag is None and never_trained(role, roles.values()) else flag)
        for name, (key, tensor, flag) in scope.variables.items()
        for role in (roles[name],)
    ]
    return tuple(sorted(made, key=lambda weight: ROLE_ORDER.index(weight.role) if weight.role in ROLE_ORDER else len(ROLE_ORDER)))


def _optimizer(companions: Companions, tensors: Mapping[str, Tensor], weights: Mapping[str, Weight]) -> Optimizer | None:
    slots = tuple(Slot(slot, weights[owner], tensors[name], name) for name, (slot, owner) in companions.slots.items() if owner in weights)
    counters = tuple(Weight(role, tensors[name], name, False) for name, role in companions.counters.items())
    lost = companions.untied | {name for name, (_, owner) in companions.slots.items() if owner not in weights}
    extras = tuple(Weight(name.rpartition("/")[2], tensors[name], name, False) for name in tensors if name in lost)
    if not (slots or counters or extras):
        return None
    class_name = next(iter(companions.class_names)) if len(companions.class_names) == 1 else None
    return Optimizer(class_name, slots, counters, extras)


def _notes(model: Model, companions: Companions) -> list[Note]:
    """What was renamed, what kept its name, and what a reader would not expect."""
    weights = dict(model.weights())
    joined = [path for path in weights if joined_cell(path, weights)]
    renamed = sum(weight.role != plain_name(weight.key).rpartition("/")[2] for weight in weights.values())
    own = [path for path, weight in weights.items() if not _is_role(weight.role) and path not in joined]
    parts = list(dict.fromkeys(path[:-1] for path in own if _PART.match(path[-1])))
    averages = len({owner for slot, owner in companions.slots.values() if slot == AVERAGE})
    unknown, untied = ", ".join(sorted(companions.unknown)), len(companions.untied)
    notes = [
        (len(weights), "inferred", "layers are the scopes of variables: a checkpoint by names holds no others, and no classes"),
        (renamed, "inferred", f"{_count(renamed, 'array goes', 'arrays go')} by the role in Keras, since no other is possible"),
        (len(own), "odd", f"{_count(len(own), 'array keeps its', 'arrays keep their')} own name, no role of Keras ({_listed(own)})"),
        (len(joined), "inferred", f"{_count(len(joined), 'array is', 'arrays are')} {JOINED_CELLS} ({_listed(joined)})"),
        (len(parts), "odd", f"{_count(len(parts), 'variable is', 'variables are')} {_IN_PARTS} ({_listed(parts)})"),
        (averages, "odd", f"there are moving averages of {_count(averages, 'array', 'arrays')} too: convert them by --averages"),
        (len(unknown), "inferred", f"arrays called {unknown} are taken for slots: each lies under a variable of its own shape"),
        (untied, "odd", f"{_count(untied, 'array', 'arrays')} of the optimizer cannot be tied to weights by their names"),
    ]
    return [Note(kind, text) for count, kind, text in notes if count]


def _is_role(name: str) -> bool:
    """Whether a layer of Keras has such a role; `W` and `b` of Keras 1 are anybody's."""
    return len(name) > 1 and name in known_roles()


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(join_path(path) for path in paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
