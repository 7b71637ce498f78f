"""What the variables of a live layer are called: the roles of the naming scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.layer_table import OPEN, table
from kmodel_tools.architecture.names import is_index
from kmodel_tools.live.attributes import attributes_of
from kmodel_tools.live.frameworks import is_builtin_class
from kmodel_tools.live.variables import name_of


def ordered(layer: Any, variables: Sequence[Any]) -> list[Any]:
    """A layer's variables as Keras stores them: those of a quantised layer stand in an order of their own."""
    order = _order_of(layer, {_name(layer, variable) for variable in variables})
    return sorted(variables, key=lambda variable: order.get(_name(layer, variable), 0)) if order else list(variables)


def _order_of(layer: Any, names: set[str]) -> dict[str, int]:
    """The places of a built-in class's variables in the table, if it knows all of them."""
    if not _is_known(layer):
        return {}
    for entry in table().get(canonical_class(type(layer).__name__) or "", ()):
        roles = [variable.role for variable in entry.variables]
        if names <= set(roles):
            return {role: place for place, role in enumerate(roles)}
    return {}


def roles_of(layer: Any, variables: Sequence[Any], like: Sequence[str]) -> list[str]:
    """The role of each variable of a layer.

    Of a built-in class it is the variable's name; of somebody's own the attribute that holds it.

    Args:
        layer: The layer.
        variables: Its own variables, in the order in which Keras stores them.
        like: What another model calls the variables of this layer: its spelling is taken on where it is one of the same variables.
    """
    names = _unique([_name(layer, variable) for variable in variables])
    if _is_known(layer):
        return _numbered(names, like)
    attributes = attributes_of(layer, list(variables))
    held = _unique([attributes.get(id(variable), name) for variable, name in zip(variables, names, strict=True)])
    given = set(like)
    return _numbered(names if len(given.intersection(names)) > len(given.intersection(held)) else held, like)


def _numbered(roles: list[str], like: Sequence[str]) -> list[str]:
    """Roles, but a number where the other model has nothing else: its file holds a layer's variables in Keras's order."""
    if len(like) != len(roles) or not any(map(is_index, like)):
        return roles
    return [other if other == str(place) else role for place, (role, other) in enumerate(zip(roles, like, strict=True))]


def _is_known(layer: Any) -> bool:
    """Whether a layer's class is built in and owns what the table says."""
    kind = canonical_class(type(layer).__name__)
    return kind is not None and kind not in OPEN and is_builtin_class(layer)


def _name(layer: Any, variable: Any) -> str:
    """A variable's own name; Keras 3 has renamed the kernel of a depthwise convolution."""
    name = name_of(variable)
    return "kernel" if name == "depthwise_kernel" and "Depthwise" in type(layer).__name__ else name


def _unique(names: Sequence[str]) -> list[str]:
    """Names, numbered where several variables of a layer have the same."""
    found: list[str] = []
    for name in names:
        number, new = 0, name
        while new in found:
            number += 1
            new = f"{name}_{number}"
        found.append(new)
    return found
