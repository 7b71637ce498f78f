"""What the attributes of a live layer hold: layers and variables, also in lists and dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.names import snake_case
from kmodel_tools.live.frameworks import is_layer
from kmodel_tools.tree import Path, join_path

ACCOUNTS = frozenset(
    {
        "_layers",
        "_operations",
        "_functional",
        "_tracker",
        "_tracked",
        "_modules",
        "_parameters",
        "_torch_params",
        "_metrics",
        "_self_tracked_trackables",
        "_obj_reference_counts_dict",
        "_inbound_nodes_value",
        "_outbound_nodes_value",
        "_self_unconditional_checkpoint_dependencies",
        "_self_unconditional_dependency_names",
        "_trainable_variables",
        "_non_trainable_variables",
        "_trainable_weights",
        "_non_trainable_weights",
    }
)
"""Attributes in which the frameworks keep account of what others hold."""
CONTAINERS = (list, tuple, Mapping)
MAX_NESTING = 20
"""Lists and dictionaries in one another that are looked into."""


def sub_layers(layer: Any) -> list[tuple[list[str], Any]]:
    """(attributes, layer) for each layer that a layer tracks, in the framework's order; an element of a list as `cells/0`.

    The attributes are those that hold it, as they are spelled in the code; there may be none. Behind them comes what Keras's files call
    an element of a list: `cells/gru_cell`.
    """
    tracked = {id(sub): sub for sub in layer._flatten_layers(recursive=False, include_self=False)}
    if not tracked:
        return []
    attributes: dict[int, list[str]] = {}
    for attr, value in held(layer, is_layer):
        attributes.setdefault(id(value), []).append(attr)
    for attr, value in _in_containers(layer):
        attributes.setdefault(id(value), []).append(attr)
    return [(attributes.get(number, []), sub) for number, sub in tracked.items() if is_layer(sub)]


def _in_containers(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, layer) for what the lists and dictionaries of a layer hold, as Keras stores it.

    An element goes by its class and, for each further one of that, a number; a list in a list is a `container`.

    Source: Keras 3.15.1 and tf_keras 2.21 `saving/saving_lib.py`, `_save_container_state`.
    """
    containers: list[tuple[Path, Any]] = [
        ((name,), value) for name, value in vars(layer).items() if name not in ACCOUNTS and isinstance(value, CONTAINERS)
    ]
    stack = containers[::-1]
    seen: set[int] = set()
    while stack:
        path, container = stack.pop()
        if id(container) in seen or len(path) > MAX_NESTING:
            continue
        seen.add(id(container))
        counts: Counter[str] = Counter()
        for item in container.values() if isinstance(container, Mapping) else container:
            inner = isinstance(item, CONTAINERS)
            if not inner and not is_layer(item):
                continue
            kind = "container" if inner else snake_case(type(item).__name__)
            number = counts[kind]
            counts[kind] += 1
            below = (*path, f"{kind}_{number}" if number else kind)
            if inner:
                stack.append((below, item))
            else:
                yield join_path(below), item


def own_variables(layer: Any) -> list[Any]:
    """The variables that a layer tracks for itself, those that are made to be trained first; states of generators are none of them."""
    names = ("_trainable_variables", "_non_trainable_variables")  # Keras 3
    if not hasattr(layer, names[0]):
        names = ("_trainable_weights", "_non_trainable_weights")  # Keras 2
    found = {id(variable): variable for name in names for variable in getattr(layer, name, ())}
    lookup = getattr(layer, "_lookup_layer", layer)
    if hasattr(lookup, "idf_weights_const") and id(lookup.idf_weights) not in found:
        return [*found.values(), IdfWeights(lookup)]
    return [variable for variable in found.values() if "seed_generator" not in str(variable.name)]


@dataclass(frozen=True, slots=True)
class IdfWeights:
    """The weights of tf-idf of a lookup layer of Keras 3: stored with the model's weights, and tracked by nobody.

    A layer that holds such a layer for itself, as TextVectorization does, stores them once more.

    Source: Keras 3.15.1 `layers/preprocessing/index_lookup.py`, `save_own_variables`.
    """

    layer: Any
    name: str = "idf_weights"

    @property
    def shape(self) -> Any:
        """One weight for each word."""
        return self.layer.idf_weights_const.shape

    @property
    def dtype(self) -> Any:
        """The type of their elements."""
        return self.layer.idf_weights_const.dtype

    def numpy(self) -> Any:
        """Their values."""
        return self.layer.idf_weights_const.numpy()

    def assign(self, values: Any) -> None:
        """Give them new values, as Keras does when it loads them."""
        self.layer.idf_weights.assign(values)
        self.layer.idf_weights_const = self.layer.idf_weights.value()


def attributes_of(layer: Any, variables: list[Any]) -> dict[int, str]:
    """The attribute that holds each of some variables, by the variable's identity; the last one, if several do."""
    wanted = {id(variable) for variable in variables}
    return {id(value): plain(attr) for attr, value in held(layer, lambda value: id(value) in wanted)}


def plain(attr: str) -> str:
    """An attribute without leading underscore."""
    return attr.lstrip("_") or attr


def held(layer: Any, wanted: Any) -> Iterator[tuple[str, Any]]:
    """Yield (attribute path, value) for what a layer's attributes hold of what is wanted; nothing of that is looked into."""
    # With PyTorch, a layer is a module too, and keeps the layers that are its attributes in a dictionary of its own.
    for name, value in (vars(layer) | (vars(layer).get("_modules") or {})).items():
        if name in ACCOUNTS:
            continue
        stack: list[tuple[tuple[str, ...], Any]] = [((name,), value)]
        seen: set[int] = set()
        while stack:
            path, item = stack.pop()
            if wanted(item):
                yield join_path(path), item
            elif isinstance(item, (list, tuple, Mapping, set, frozenset)) and id(item) not in seen and len(path) <= MAX_NESTING:
                seen.add(id(item))
                pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
                stack.extend(((*path, str(key)), inner) for key, inner in reversed(list(pairs)))
