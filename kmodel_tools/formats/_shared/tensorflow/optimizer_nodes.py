"""Optimizers in an object graph.

::

    Keras up to 2.10, optimizers.legacy   iter, beta_1 …            slots listed by the node, each tied to its variable
    Keras 2.11 and later                  _iterations, _learning_rate, _variables/1 …      named Adam/m/dense/kernel
    Keras 3                               the same, and _trainable_variables/0 … : what the slots belong to, in order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.optimizers import ITERATIONS, counter_name, is_slot, slot_name
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, tie_by_name, tie_by_order
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Note, Optimizer, Slot, Weight

_COUNTERS = frozenset({"_iterations", "iter"})
_WRAPPED = frozenset({"base_optimizer", "inner_optimizer", "_optimizer"})
_TRAINED = "_trainable_variables"
_LISTED = "_variables"
UNNAMED = "optimizer"
"""What stands before the names of the state where nothing says which class it is of."""


def optimizer_nodes(graph: Sequence[Node]) -> dict[int, str]:
    """Nodes that are optimizers, and the name that each is held under."""
    found: dict[int, str] = {}
    for node in graph:
        for name, child in node.children:
            target = graph[child]
            if target.key is None and (target.slots or any(inner in _COUNTERS for inner, _ in target.children)):
                found.setdefault(child, name)
    for number, node in enumerate(graph):
        if any(name in _WRAPPED and child in found for name, child in node.children):
            found.setdefault(number, "loss_scale")  # a LossScaleOptimizer keeps its scale beside the optimizer
    return found


@dataclass(slots=True)
class OptimizerReader:
    """Reads the optimizers of a graph whose layers have been read.

    Attributes:
        graph: The nodes.
        tensors: Every tensor by key.
        variables: The weight at each node that a layer holds.
        stated: The class of the only optimizer, where the file says it; else it is taken from the names of its variables.
        unreached: Weights that only an optimizer leads to; see `find_unreached`.
    """

    graph: Sequence[Node]
    tensors: Mapping[str, Tensor]
    variables: dict[int, Weight]
    stated: str | None = None
    unreached: list[Weight] = field(default_factory=list)

    def find_unreached(self, optimizers: Mapping[int, str]) -> list[Weight]:
        """Find the trained variables of Keras 3 that no layer leads to, and count them among the variables.

        Returns:
            All trained weights in the optimizers' order, which is the model's.
        """
        order: list[Weight] = []
        for number in optimizers:
            for child in self._list(number, _TRAINED):
                key = self.graph[child].key
                if child not in self.variables and key is not None and key in self.tensors:
                    self.variables[child] = Weight(key.rsplit("/", 3)[-3], self.tensors[key], key, True)
                    self.unreached.append(self.variables[child])
                order += [self.variables[child]] if child in self.variables else []
        return order

    def read(self, optimizers: Mapping[int, str], weights: Sequence[Weight]) -> tuple[Optimizer | None, list[Note]]:
        """Read all optimizers as one; with several, counters carry the name that each is held under.

        Args:
            optimizers: The nodes, and the name that each is held under.
            weights: The weights of the finished tree.
        """
        by_key = {weight.key: weight for weight in weights}
        for number, weight in self.variables.items():
            self.variables[number] = by_key.get(weight.key, weight)
        notes: list[Note] = []
        if sum(not self._wraps(number, optimizers) for number in optimizers) != 1:
            self.stated = None
        found: list[tuple[str, Optimizer]] = []
        for number, name in optimizers.items():
            stored = self._stored_below(number, optimizers)
            optimizer = self._slotted(number, stored) if self.graph[number].slots else self._listed(number, stored, weights, notes)
            if optimizer.slots or optimizer.counters or optimizer.extras:
                found.append((name, optimizer))
        if len(found) < 2:
            return (found[0][1] if found else None), notes
        several = sum(bool(held.slots) for _, held in found) > 1
        counters = tuple(
            Weight(f"{name}/{item.role}" if several else item.role, item.tensor, item.key, False)
            for name, held in found
            for item in held.counters
        )
        class_name = None if several else next((held.class_name for _, held in found if held.class_name), None)
        slots = tuple(slot for _, held in found for slot in held.slots)
        return Optimizer(class_name, slots, counters, tuple(extra for _, held in found for extra in held.extras)), notes

    def _wraps(self, number: int, optimizers: Mapping[int, str]) -> bool:
        return any(name in _WRAPPED and child in optimizers for name, child in self.graph[number].children)

    def _listed(self, number: int, stored: Mapping[int, Weight], weights: Sequence[Weight], notes: list[Note]) -> Optimizer:
        listed = self._list(number, _LISTED)
        arrays = [stored[child] for child in listed if child in stored]
        class_name = self.stated or _class_before(next((item.role for item in arrays if "/" in item.role), ""))
        trained = [self.variables[child] for child in self._list(number, _TRAINED) if child in self.variables]
        spec = OptimizerSpec(class_name, None, interleaved=True, named=bool(trained))
        if trained:
            optimizer, more = tie_by_order(spec, arrays, trained)
        else:
            optimizer, more = tie_by_name(spec, arrays, weights, self._by_name())
        notes += more
        attributes = {child: name for name, child in self.graph[number].children}
        scalars = [(child, item) for child, item in stored.items() if child not in listed and not item.tensor.shape]
        elements = self._elements(number)
        counters = tuple(
            Weight(counter_name(attributes.get(child, item.role)), item.tensor, item.key, False)
            for child, item in scalars
            if child not in elements
        )
        extras = tuple(Weight(elements[child], item.tensor, item.key, False) for child, item in scalars if child in elements)
        if extras:
            notes.append(
                Note("odd", f"{len(extras)} scalars that the optimizer keeps in lists ({extras[0].role} …) cannot be tied to weights")
            )
        return Optimizer(optimizer.class_name, optimizer.slots, (*optimizer.counters, *counters), (*optimizer.extras, *extras))

    def _elements(self, number: int) -> dict[int, str]:
        """The paths of what lies in lists of an optimizer, such as `_r/1`: state of a weight, and no counter."""
        own = self.graph[number].children
        direct = {child for _, child in own}
        lists = [(f"{name}/{index}", child) for name, held in own for index, child in self.graph[held].children if index.isdigit()]
        return {child: path for path, child in reversed(lists) if child not in direct}

    def _slotted(self, number: int, stored: Mapping[int, Weight]) -> Optimizer:
        """An optimizer of Keras up to 2.10: the graph itself ties its slots."""
        node = self.graph[number]
        slots: list[Slot] = []
        extras: list[Weight] = []
        class_name: str | None = None
        for slot in node.slots:
            key = self.graph[slot.node].key
            if key is None or key not in self.tensors:
                continue
            if self.graph[slot.node].full_name.endswith(f"/{slot.name}"):
                # `Adam/dense/kernel/m`; an optimizer of TensorFlow 1 writes `dense/kernel/Adam`
                class_name = self.stated or _class_in(self.graph[slot.node].full_name) or class_name
            weight = self.variables.get(slot.original)
            if weight is None:
                extras.append(Weight(slot.name, self.tensors[key], key))
            else:
                slots.append(Slot(slot_name(slot.name, class_name), weight, self.tensors[key], key))
        counters = tuple(
            Weight(ITERATIONS if name == "iter" else name.lstrip("_"), stored[child].tensor, stored[child].key, False)
            for name, child in node.children
            if child in stored
        )
        return Optimizer(class_name, tuple(slots), counters, tuple(extras))

    def _list(self, number: int, name: str) -> list[int]:
        """The elements of a list that a node holds under a name."""
        held = dict(self.graph[number].children).get(name)
        return [] if held is None else [child for _, child in self.graph[held].children]

    def _stored_below(self, number: int, optimizers: Mapping[int, str]) -> dict[int, Weight]:
        """The variables that an optimizer itself holds, directly or in lists, with their full names as roles."""
        found: dict[int, Weight] = {}
        stack = [number]
        seen: set[int] = set()
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            for name, child in self.graph[current].children:
                key = self.graph[child].key
                if key is None:
                    stack.extend([child] if name != _TRAINED and child not in optimizers else [])
                elif key in self.tensors and child not in self.variables:
                    found[child] = Weight(self.graph[child].full_name or name, self.tensors[key], key)
        return found

    def _by_name(self) -> dict[str, Weight | None]:
        """The weight under each variable name, None for a name that several have."""
        names: dict[str, Weight | None] = {}
        for number, weight in self.variables.items():
            for name in {self.graph[number].full_name, self.graph[number].full_name.replace("/", "_")}:
                names[name] = None if name in names else weight
        return names


def _class_in(full_name: str) -> str:
    """The optimizer's class in a slot's name: `Adam/dense/kernel/m`, in TensorFlow 1 `training/Adam/dense/kernel/m`."""
    return full_name.removeprefix("training/").partition("/")[0]


def _class_before(full_name: str) -> str | None:
    """The class in the name of a listed variable, `Adam/m/dense/kernel`; None where that starts with the slot, `m/dense/kernel`."""
    first = full_name.partition("/")[0]
    return None if not first or first == UNNAMED or is_slot(first) else first
