"""Tying an optimizer's arrays to the weights that they belong to: by name where names say it, else by order and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.optimizers import (
    ITERATIONS,
    by_structure,
    canonical_order,
    counter_name,
    expected_order,
    rounds_of,
    slot_name,
    split_slot_name,
    subsequences,
)
from kmodel_tools.tensor import Shape
from kmodel_tools.tree import Note, Optimizer, Slot, Weight


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """What a file says of an optimizer apart from its arrays.

    Attributes:
        class_name: Its class, or None.
        config: Its configuration, or None.
        interleaved: Whether its slots stand in turn for each weight, or None where nothing says.
        named: Whether the roles of its arrays are Keras 3's names of them (`adam/dense_kernel_momentum`).
    """

    class_name: str | None = None
    config: Mapping[str, Any] | None = None
    interleaved: bool | None = None
    named: bool = False


def described_optimizer(training_config: Mapping[str, Any] | None, interleaved: bool | None = None, inner: bool = False) -> OptimizerSpec:
    """What a training configuration of any generation says of its optimizer, or of the one inside of a LossScaleOptimizer."""
    described = (training_config or {}).get("optimizer_config", (training_config or {}).get("optimizer"))
    if inner and isinstance(described, Mapping):
        config = described.get("config")
        described = config.get("inner_optimizer") if isinstance(config, Mapping) else None
    if not isinstance(described, Mapping):
        return OptimizerSpec(described if isinstance(described, str) else None, None, interleaved)
    name, config = described.get("class_name"), described.get("config")
    return OptimizerSpec(name if isinstance(name, str) else None, config if isinstance(config, Mapping) else None, interleaved)


def tie_by_order(spec: OptimizerSpec, arrays: Sequence[Weight], weights: Iterable[Weight]) -> tuple[Optimizer, tuple[Note, ...]]:
    """Tie arrays that only have a position.

    Args:
        spec: What the file says of the optimizer.
        arrays: Its arrays in the file's order: the step counter, in Keras 3 the learning rate, then the slots.
        weights: The model's weights in its order; those known to be untrained are passed over.
    """
    trained = [weight for weight in weights if weight.trainable is not False]
    shapes = [weight.tensor.shape for weight in trained]
    for counters, end in _splits(arrays, len(trained)):
        state = [(item.tensor.shape, item.role if spec.named else "") for item in arrays[counters:end]]
        order = by_structure(spec.class_name, spec.config, spec.interleaved, state, shapes) if state else []
        if order is not None:
            tied = zip(order, arrays[counters:end], strict=True)
            slots = tuple(Slot(slot, trained[index], item.tensor, item.key) for (slot, index), item in tied)
            return Optimizer(spec.class_name, slots, _counters(arrays[:counters]), tuple(arrays[end:])), ()
    subset = _trained_subset(spec, arrays, trained) if any(weight.trainable is None for weight in trained) else None
    if subset is not None:
        optimizer, _ = tie_by_order(spec, arrays, subset)
        return optimizer, (
            Note("inferred", f"the optimizer keeps state for {len(subset)} of {len(trained)} weights: the others are frozen"),
        )
    return untied(spec, arrays, "by their order" if spec.class_name else "since its class is not in the file")


def tie_stored(
    spec: OptimizerSpec, arrays: Sequence[Weight], weights: Iterable[Weight], unordered: Sequence[str]
) -> tuple[Optimizer, tuple[Note, ...]]:
    """Tie a store's arrays by their order, unless the order of the weights is not in the store.

    Args:
        spec: What the file says of the optimizer.
        arrays: Its arrays in the file's order.
        weights: The model's weights in the order of the file.
        unordered: Names of objects whose sub-layers the file has in an order of its own.
    """
    if unordered:
        owners = unordered[0] if len(unordered) == 1 else f"{len(unordered)} layers"
        return untied(spec, arrays, f"since the order of the sub-layers of {owners} is not in the file")
    return tie_by_order(spec, arrays, weights)


def untied(spec: OptimizerSpec, arrays: Sequence[Weight], why: str) -> tuple[Optimizer, tuple[Note, ...]]:
    """Keep arrays that nothing ties to weights, and say why."""
    note = Note("odd", f"{len(arrays)} arrays of the optimizer cannot be tied to weights {why}")
    return Optimizer(spec.class_name, (), (), tuple(arrays)), (note,)


def _trained_subset(spec: OptimizerSpec, arrays: Sequence[Weight], weights: Sequence[Weight]) -> list[Weight] | None:
    """The weights that were trained, where some were frozen and the file does not say which: if only one choice fits the shapes."""
    given = [weight.tensor.shape for weight in weights]
    answers: list[list[int]] = []
    for rounds in rounds_of(spec.class_name, spec.config, spec.interleaved):
        slots = sum(len(names) for names in rounds)
        for counters, end in _splits(arrays, len(weights)):
            count, rest = divmod(end - counters, slots)
            if rest or not 0 < count < len(weights):
                continue
            order = expected_order(rounds, count)
            shapes: dict[int, set[Shape]] = {}
            for (_, index), item in zip(order, arrays[counters:end], strict=True):
                shapes.setdefault(index, set()).add(item.tensor.shape)
            if all(len(found) == 1 for found in shapes.values()):
                answers += subsequences([shape for index in range(count) for shape in shapes[index]], given)
    return [weights[index] for index in answers[0]] if len(answers) == 1 else None


def _splits(arrays: Sequence[Weight], weights: int) -> Iterator[tuple[int, int]]:
    """Yield (number of counters, end of the slots): the ways in which counters, slots and a rest may follow each other.

    The rest is Nadam's product of schedules, a scalar, or what Keras 2.1 to 2.3 puts for Adam's unused `vhat`: an array of
    shape (1,) for every weight.
    """
    ends = [len(arrays)]
    if arrays and not arrays[-1].tensor.shape:
        ends.append(len(arrays) - 1)
    if len(arrays) > weights and all(item.tensor.shape == (1,) for item in arrays[-weights:]):
        ends.append(len(arrays) - weights)
    for counters in (2, 1, 0):
        if counters <= len(arrays) and not any(item.tensor.shape for item in arrays[:counters]):
            yield from ((counters, end) for end in ends if end > counters or end == len(arrays) == counters)


def _counters(head: Sequence[Weight]) -> tuple[Weight, ...]:
    names = (ITERATIONS, "learning_rate")
    return tuple(Weight(name, item.tensor, item.key, False) for name, item in zip(names, head, strict=False))


def tie_by_name(
    spec: OptimizerSpec, arrays: Sequence[Weight], weights: Sequence[Weight], variables: Mapping[str, Weight | None]
) -> tuple[Optimizer, tuple[Note, ...]]:
    """Tie arrays whose names hold the name of a variable; scalars of other names are counters.

    Args:
        spec: What the file says of the optimizer.
        arrays: Its arrays, with their variable names as roles.
        weights: The model's weights in its order.
        variables: The weight under each variable name, None for a name that several weights have.
    """
    slots: list[Slot] = []
    counters: list[Weight] = []
    rest: list[Weight] = []
    for item in arrays:
        slot = _named_slot(item, spec.class_name, variables)
        if slot is not None:
            slots.append(slot)
        elif not item.tensor.shape:
            counters.append(Weight(counter_name(item.role), item.tensor, item.key, False))
        else:
            rest.append(item)
    if not rest:
        return Optimizer(spec.class_name, tuple(slots), tuple(counters), ()), ()
    if not slots:
        return tie_by_order(spec, arrays, weights)
    note = Note("odd", f"{len(rest)} arrays of the optimizer cannot be tied to weights by their names")
    return Optimizer(spec.class_name, tuple(slots), tuple(counters), tuple(rest)), (note,)


def _named_slot(item: Weight, class_name: str | None, variables: Mapping[str, Weight | None]) -> Slot | None:
    for spelling, variable in split_slot_name(item.role):
        weight = variables.get(variable)
        if weight is not None and weight.tensor.shape == item.tensor.shape:
            return Slot(slot_name(spelling, class_name), weight, item.tensor, item.key)
    return None


def slots_in_order(optimizer: Optimizer, weights: Iterable[Weight], interleaved: bool = True) -> list[Slot] | None:
    """An optimizer's slots as Keras lists them, whatever order and container they come from.

    Args:
        optimizer: The optimizer.
        weights: The model's weights in its order.
        interleaved: Whether they shall stand in turn for each weight, as in Keras 2.11 and later, or slot by slot, as before.

    Returns:
        The slots; None where that order cannot be told, or a weight that is trained lacks one of its slots.
    """
    held: dict[int, dict[str, Slot]] = {}
    for slot in optimizer.slots:
        if held.setdefault(id(slot.weight), {}).setdefault(slot.name, slot) is not slot:
            return None  # two arrays for one slot: one of them is another weight's
    trained = [weight for weight in weights if id(weight) in held]
    names = frozenset(slot.name for slot in optimizer.slots)
    if len(trained) != len(held) or any(found.keys() != names for found in held.values()):
        return None
    order = canonical_order(optimizer.class_name, names, len(trained), interleaved) if names else []
    return None if order is None else [held[id(trained[index])][name] for name, index in order]
