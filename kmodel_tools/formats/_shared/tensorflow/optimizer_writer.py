"""From an optimizer's state to its object in a graph, as each generation of optimizers tracks it (`optimizer_nodes` draws them)."""

from __future__ import annotations

from collections.abc import Mapping

from kmodel_tools.architecture.checkpoint_layout import GraphLayout
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.optimizers import HYPERPARAMETERS, ITERATIONS, LEARNING_RATE, keras_2_slot, legacy_slot
from kmodel_tools.errors import ConversionError
from kmodel_tools.formats._shared.optimizer_state import slots_in_order
from kmodel_tools.formats._shared.tensorflow.optimizer_nodes import UNNAMED
from kmodel_tools.storage.object_graph import NewNode
from kmodel_tools.tree import Model, Optimizer, Slot, Weight

VARIABLES, TRAINED = "_variables", "_trainable_variables"


def is_legacy(optimizer: Optimizer) -> bool:
    """Whether the state is that of an optimizer of Keras up to 2.10, which keeps its settings as variables too."""
    return any(counter.role in HYPERPARAMETERS for counter in optimizer.counters)


def optimizer_node(model: Model, layout: GraphLayout, variables: Mapping[int, NewNode], full_names: Mapping[int, str]) -> NewNode | None:
    """Make the node of a model's optimizer, or None where the model has no state.

    Args:
        model: The model.
        layout: Whose optimizer shall find its state.
        variables: The node of each weight, by the weight's identity.
        full_names: The variable name of each weight, by the weight's identity.

    Raises:
        ConversionError: The order in which this layout counts the state cannot be told.
    """
    optimizer = model.optimizer
    if optimizer is None:
        return None
    if layout is GraphLayout.KERAS_2 and is_legacy(optimizer):
        return _slotted(optimizer, variables, full_names)
    slots = slots_in_order(optimizer, [weight for _, weight in model.weights()])
    if slots is None or optimizer.extras:
        raise ConversionError(
            "in which order a checkpoint counts the state of this optimizer is not known", cure="leave it out: --no-optimizer"
        )
    return _listed(optimizer, slots, layout, variables, full_names)


def _listed(
    optimizer: Optimizer, slots: list[Slot], layout: GraphLayout, variables: Mapping[int, NewNode], full_names: Mapping[int, str]
) -> NewNode:
    """An optimizer of Keras 2.11 and later: all its variables in a list, Keras 3's with the learning rate in second place."""
    keras_3 = layout is GraphLayout.KERAS_3
    kind = (optimizer.class_name or UNNAMED).rpartition(">")[2]
    counters = {
        item.role: NewNode(item.tensor, f"{snake_case(kind)}/{_singular(item.role)}" if keras_3 else _singular(item.role))
        for item in optimizer.counters
    }
    first = [counters[role] for role in ((ITERATIONS, LEARNING_RATE) if keras_3 else (ITERATIONS,)) if role in counters]
    states = [NewNode(slot.tensor, _slot_name(slot, kind, keras_3, full_names)) for slot in slots]
    node = NewNode(children={VARIABLES: _list([*first, *states])})
    if keras_3:
        trained = {id(slot.weight): variables[id(slot.weight)] for slot in slots}
        node.children[TRAINED] = _list(list(trained.values()))
    node.children |= {f"_{role}": counter for role, counter in counters.items()}
    return node


def _slotted(optimizer: Optimizer, variables: Mapping[int, NewNode], full_names: Mapping[int, str]) -> NewNode:
    """An optimizer of Keras up to 2.10: each slot tied to its variable by the graph itself."""
    node = NewNode()
    for counter in optimizer.counters:
        node.children["iter" if counter.role == ITERATIONS else counter.role] = NewNode(counter.tensor, _legacy_counter(counter, optimizer))
    for slot in optimizer.slots:
        name = legacy_slot(slot.name, optimizer.class_name)
        state = NewNode(slot.tensor, f"{optimizer.class_name or UNNAMED}/{full_names[id(slot.weight)]}/{name}")
        node.slots.append((variables[id(slot.weight)], name, state))
    return node


def _legacy_counter(counter: Weight, optimizer: Optimizer) -> str:
    return f"{optimizer.class_name or UNNAMED}/{'iter' if counter.role == ITERATIONS else counter.role}"


def _slot_name(slot: Slot, kind: str, keras_3: bool, full_names: Mapping[int, str]) -> str:
    variable = full_names[id(slot.weight)]
    if keras_3:
        return f"{snake_case(kind)}/{variable.replace('/', '_')}_{slot.name}"
    return f"{kind}/{keras_2_slot(slot.name)}/{variable}"


def _singular(role: str) -> str:
    """The variable name of a counter: Keras calls the attribute `iterations` and the variable `iteration`."""
    return "iteration" if role == ITERATIONS else role


def _list(nodes: list[NewNode]) -> NewNode:
    return NewNode(children={str(number): node for number, node in enumerate(nodes)})
