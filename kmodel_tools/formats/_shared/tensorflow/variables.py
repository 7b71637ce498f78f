"""Name-based checkpoints: variables under the names that they had in a TensorFlow 1 graph.

A variable's name is its path: `conv1/weights` is the array `weights` of scope `conv1`. An optimizer keeps its slots
under the variable's own name: `conv1/weights/Adam`; they are told by that name and by having the variable's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Optimizer, Slot, Weight

SLOTS = {
    "Adam": "momentum",
    "Adam_1": "velocity",
    "Momentum": "momentum",
    "RMSProp": "velocity",
    "RMSProp_1": "momentum",
    "RMSProp_2": "average_gradient",
    "Adagrad": "accumulator",
    "Adadelta": "accumulated_grad",
    "Adadelta_1": "accumulated_delta_var",
    "Ftrl": "accumulator",
    "Ftrl_1": "linear",
    "ExponentialMovingAverage": "average",
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
}
"""Name of an optimizer's slot in TensorFlow 1 (`python/training/*.py`), and Keras 3's name for it."""

COUNTERS = {"global_step": "iterations", "beta1_power": "beta_1_power", "beta2_power": "beta_2_power"}


@dataclass(slots=True)
class _Scope:
    weights: list[Weight] = field(default_factory=list)
    scopes: dict[str, _Scope] = field(default_factory=dict)


def read_variables(tensors: Mapping[str, Tensor], trainable: Mapping[str, bool] | None = None) -> Model:
    """Arrange variables by their scopes, and tie the slots of optimizers to them.

    Args:
        tensors: Every tensor by its variable's name.
        trainable: Whether a variable is trained, where the file says so.
    """
    trained = trainable or {}
    owners = {name: owner for name in tensors if (owner := _owner(name, tensors)) is not None}
    weights: dict[str, Weight] = {}
    counters: list[Weight] = []
    root = _Scope()
    for name, tensor in tensors.items():
        last = name.rpartition("/")[2]
        if last in COUNTERS and not tensor.shape:
            counters.append(Weight(COUNTERS[last], tensor, name, False))
        elif name not in owners:
            *scopes, role = name.split("/")
            scope = root
            for part in scopes:
                scope = scope.scopes.setdefault(part, _Scope())
            weights[name] = Weight(role, tensor, name, trained.get(name))
            scope.weights.append(weights[name])
    slots = [
        Slot(SLOTS[name.rpartition("/")[2]], weights[owner], tensors[name], name) for name, owner in owners.items() if owner in weights
    ]
    orphans = [Weight(name.rpartition("/")[2], tensors[name], name) for name, owner in owners.items() if owner not in weights]
    optimizer = Optimizer(None, tuple(slots), tuple(counters), tuple(orphans)) if slots or counters or orphans else None
    return Model(layers=_layers(root), own_weights=tuple(root.weights), optimizer=optimizer)


def _owner(name: str, tensors: Mapping[str, Tensor]) -> str | None:
    """The variable that a slot belongs to: `training/Adam/dense/kernel/m` and `dense/kernel/Adam` to `dense/kernel`."""
    variable, _, slot = name.rpartition("/")
    if slot not in SLOTS:
        return None
    parts = variable.split("/")
    for start in (0, 1, 2):
        owner = "/".join(parts[start:])
        if owner in tensors and tensors[owner].shape == tensors[name].shape:
            return owner
    return None


def _layers(root: _Scope) -> tuple[Layer, ...]:
    """Build the layers of scopes, innermost first."""
    order: list[tuple[str, _Scope]] = []
    stack = list(root.scopes.items())
    while stack:
        name, scope = stack.pop()
        order.append((name, scope))
        stack.extend(scope.scopes.items())
    built: dict[int, Layer] = {}
    for name, scope in reversed(order):
        inner = tuple(built[id(child)] for child in scope.scopes.values())
        built[id(scope)] = Layer(name, weights=tuple(scope.weights), layers=inner)
    return tuple(built[id(scope)] for scope in root.scopes.values())
