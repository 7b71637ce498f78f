"""The optimizer of a live model: which of its variables is which slot of which weight.

Optimizers keep a list for each slot, in the order of the weights that they were built for, so that a slot is tied to its
weight by identity and not by shapes or names::

    Keras 3             optimizer._momentums[i]    names: dense_kernel_momentum
    Keras 2.11+         optimizer._momentums[i]           Adam/m/dense/kernel:0
    Keras 2 up to 2.10  optimizer.get_slot(weight, "m")   Adam/dense/kernel/m:0
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.optimizers import counter_name, slot_name, split_slot_name
from kmodel_tools.live.attributes import held
from kmodel_tools.live.frameworks import Framework, framework_of
from kmodel_tools.live.variables import address_of, name_of, tensor_of
from kmodel_tools.tree import Optimizer, Slot, Weight


@dataclass(frozen=True, slots=True)
class LiveOptimizer:
    """An optimizer and the variable behind each of its arrays, by the array's identity."""

    optimizer: Optimizer
    variables: Mapping[int, Any]


def optimizer_of(model: Any, weights: Mapping[int, Weight]) -> LiveOptimizer | None:
    """Describe what the optimizer of a live model keeps; None for a model that is not compiled.

    Args:
        model: The model.
        weights: The weight of the tree for each variable, by the variable's identity.
    """
    outer = getattr(model, "optimizer", None)
    if outer is None:
        return None
    inner = getattr(outer, "inner_optimizer", None) or outer
    kind = type(inner).__name__
    of_keras_3 = framework_of(model) is Framework.KERAS_3
    tied = _tied(inner, model, of_keras_3)
    slots: list[Slot] = []
    counters: list[Weight] = []
    extras: list[Weight] = []
    behind: dict[int, Any] = {}
    for variable in _variables(outer):
        address = address_of(variable)
        tensor = tensor_of(variable, address)
        name, owner = tied.get(id(variable), ("", None))
        weight = weights.get(id(owner)) if owner is not None else None
        made: Slot | Weight
        if weight is not None:
            made = Slot(slot_name(name, kind), weight, tensor, address)
            slots.append(made)
        elif not tensor.shape and owner is None:
            made = Weight(counter_name(address), tensor, address, False)
            (counters if _is_of(inner, variable) else extras).append(made)
        else:
            made = Weight(name_of(variable), tensor, address, False)
            extras.append(made)
        behind[id(made)] = variable
    return LiveOptimizer(Optimizer(kind, tuple(slots), tuple(counters), tuple(extras)), behind)


def _variables(optimizer: Any) -> list[Any]:
    """All variables of an optimizer, in its own order."""
    found = optimizer.variables
    return list(found() if callable(found) and not isinstance(found, list) else found)


def _is_of(inner: Any, variable: Any) -> bool:
    return any(variable is other for other in _variables(inner))


def _tied(optimizer: Any, model: Any, of_keras_3: bool) -> dict[int, tuple[str, Any]]:
    """(the slot as the framework spells it, the weight's variable) for each slot, by the identity of the slot's variable."""
    if hasattr(optimizer, "get_slot_names"):
        found = {}
        for name in optimizer.get_slot_names():
            for variable in model.trainable_variables:
                slots = optimizer._slots.get(_slot_key(optimizer, variable), {})
                if name in slots:
                    found[id(slots[name])] = (name, variable)
        return found
    built_for = _built_for(optimizer, model)
    known = {id(variable) for variable in _variables(optimizer)}
    tied: dict[int, tuple[str, Any]] = {}
    for place, variable in _places(optimizer):
        if id(variable) in known and place < len(built_for):
            name = _spelled(variable, built_for[place], of_keras_3)
            if name and tuple(variable.shape) == tuple(built_for[place].shape):
                tied.setdefault(id(variable), (name, built_for[place]))
    return tied


def _slot_key(optimizer: Any, variable: Any) -> Any:
    """The key that an optimizer of Keras up to 2.10 has for a weight (tf_keras 2.21 `optimizers/legacy/optimizer_v2.py`, `_var_key`)."""
    return variable._unique_id if hasattr(variable, "_unique_id") else id(variable)


def _built_for(optimizer: Any, model: Any) -> Sequence[Any]:
    """The variables that an optimizer was built for, in its order."""
    own = getattr(optimizer, "_trainable_variables", None)
    if own:
        return list(own)
    index = getattr(optimizer, "_index_dict", None)
    if index:  # by `_unique_id`, of which the optimizers of Keras 2.11 and later keep no more than a number
        by_key = {optimizer._var_key(variable): variable for variable in model.variables}
        places = sorted((place, by_key[key]) for key, place in index.items() if key in by_key)
        return [variable for _, variable in places] if len(places) == len(index) else []
    return []


def _places(optimizer: Any) -> Iterator[tuple[int, Any]]:
    """(place in a list, variable) for what the optimizer's attributes hold in lists."""
    for attr, value in held(optimizer, lambda value: hasattr(value, "assign") and hasattr(value, "shape")):
        last = attr.rpartition("/")[2]
        if "/" in attr and last.isdecimal():
            yield int(last), value


def _spelled(variable: Any, owner: Any, of_keras_3: bool) -> str:
    """What the framework calls the slot that a variable is, or "" where its name does not say that it is one of this weight."""
    if of_keras_3:
        prefix = f"{str(owner.path).replace('/', '_')}_"
        name = str(variable.name)
        return name.removeprefix(prefix) if name.startswith(prefix) else ""
    plain = str(getattr(owner, "_shared_name", owner.name)).partition(":")[0]
    return next((slot for slot, other in split_slot_name(str(variable.name)) if other == plain), "")
