"""What a live model says of itself: the paths, values and trainability that a tree of its file must show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kmodel_tools import Model
from kmodel_tools.tree import Path


@dataclass(frozen=True)
class Expected:
    """A variable of a live model: its path by the naming scheme, its value, and whether training changes it."""

    path: Path
    value: npt.NDArray[Any]
    trainable: bool


def expected_weights(model: Any, by_class: bool = False) -> list[Expected]:
    """All weights of a live model, in the order of its layers, each variable once, under its first path.

    Args:
        model: The model.
        by_class: Call the layers of graphs as tf_keras's weight files do, by class and number, and not by name.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    seen: set[int] = set()
    found = []
    for path, variable in _variables(model, (), _Numbers() if by_class else None):
        if id(variable) not in seen:
            seen.add(id(variable))
            found.append(Expected(path, np.asarray(variable), id(variable) in trained))
    return found


def named_variables(model: Any) -> list[tuple[Path, Any]]:
    """Every variable of a live model once, with its first path."""
    found: dict[int, tuple[Path, Any]] = {}
    for path, variable in _variables(model, ()):
        found.setdefault(id(variable), (path, variable))
    return list(found.values())


class _Numbers:
    """Names layers as tf_keras's own writer does: one that was stored before gets no number any more."""

    def __init__(self) -> None:
        self.stored: set[int] = set()

    def of(self, layers: list[Any]) -> Iterator[tuple[Path, Any]]:
        from tf_keras.src.utils.generic_utils import to_snake_case

        used: dict[str, int] = {}
        for layer in layers:
            if id(layer) not in self.stored:
                self.stored.add(id(layer))
                name = to_snake_case(type(layer).__name__)
                count = used.get(name, 0)
                used[name] = count + 1
                yield (f"{name}_{count}" if count else name,), layer


def _variables(layer: Any, path: Path, numbers: _Numbers | None = None) -> Iterator[tuple[Path, Any]]:
    for variable in _own(layer):
        yield (*path, _role(layer, variable)), variable
    for component, below in numbers.of(layer.layers) if numbers and _is_graph(layer) else _sub_layers(layer):
        yield from _variables(below, (*path, *component), numbers)


def _own(layer: Any) -> list[Any]:
    """The variables of a layer that none of its sub-layers owns."""
    below = {id(variable) for _, sub in _sub_layers(layer) for variable in sub.variables}
    own = [*layer._trainable_variables, *layer._non_trainable_variables] if hasattr(layer, "_trainable_variables") else []
    if not hasattr(layer, "_trainable_variables"):
        own = [*layer._trainable_weights, *layer._non_trainable_weights]
    return [variable for variable in own if id(variable) not in below and "seed_generator" not in variable.name]


def _role(layer: Any, variable: Any) -> str:
    """The variable's own name; Keras 3 has renamed the kernel of a depthwise convolution."""
    name: str = variable.name.split(":")[0].split("/")[-1]
    return "kernel" if name == "depthwise_kernel" and "Depthwise" in type(layer).__name__ else name


def _is_graph(layer: Any) -> bool:
    return type(layer).__name__ in ("Functional", "Sequential")


def _sub_layers(layer: Any) -> list[tuple[Path, Any]]:
    """(what it adds to the path, sub-layer), in the layer's own order."""
    if _is_graph(layer):
        return [((sub.name,), sub) for sub in layer.layers]
    held: dict[int, tuple[Path, Any]] = {}
    for name, value in vars(layer).items():
        if name in ("_layers", "_self_tracked_trackables", "_obj_reference_counts_dict", "_inbound_nodes_value"):
            continue
        items: list[tuple[Path, Any]] = [((), value)] if _is_layer(value) else []
        if isinstance(value, (list, tuple)) or type(value).__name__ in ("ListWrapper", "TrackedList"):
            items = [((str(index),), item) for index, item in enumerate(value) if _is_layer(item)]
        for more, item in items:
            held.setdefault(id(item), ((name.lstrip("_"), *more), item))
    order = {id(sub): index for index, sub in enumerate(layer._flatten_layers(recursive=False, include_self=False))}
    return sorted(held.values(), key=lambda entry: order.get(id(entry[1]), len(order)))


def _is_layer(value: Any) -> bool:
    return any(base.__name__ == "Layer" for base in type(value).__mro__)


def tree_weights(model: Model) -> list[Expected]:
    """The weights of a tree, in its order; a weight whose trainability is not known counts as trainable."""
    return [Expected(path, weight.tensor.read(), weight.trainable is not False) for path, weight in model.weights()]


def same_value(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two arrays are equal bit by bit, dtype and shape included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def fingerprint(values: list[Expected]) -> list[tuple[str, tuple[int, ...], bytes]]:
    """The values alone, in an order that does not depend on names."""
    return sorted((str(item.value.dtype), item.value.shape, item.value.tobytes()) for item in values)


def expected_slots(model: Any) -> dict[tuple[str, Path], npt.NDArray[Any]]:
    """Adam's state of a live model: (slot, path of the weight) to value."""
    optimizer = model.optimizer
    paths = {id(variable): path for path, variable in named_variables(model)}
    found = {}
    for slot, variables in (("momentum", optimizer._momentums), ("velocity", optimizer._velocities)):
        for variable, state in zip(model.trainable_variables, variables, strict=True):
            found[slot, paths[id(variable)]] = np.asarray(state)
    return found
