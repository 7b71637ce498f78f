"""What becomes of an optimizer's state when weights are made of others: carried where that is exact, else lost and named.

Where weights are only moved, their moments are moved likewise. A weight that is multiplied, w' = s w, has the gradient g/s;
a slot that is linear in the gradients of the past is divided by s, one of their squares by s². A slot in which a constant
is mixed in (an epsilon, a first value) has no such power: Adagrad's accumulator, Adadelta's and Ftrl's state, RMSprop's momentum.
Sources: Keras 3.15.1 `keras/src/optimizers/*.py`, Keras 2.2.4 and 1.2.2 `keras/optimizers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.weight_rules import Polynomial, Scale, Step
from kmodel_tools.tree import Optimizer, Slot, Weight
from kmodel_tools.upgrader.origin import Origin, made_of

MOMENTS = {"momentum": -1, "velocity": -2, "velocity_hat": -2}
POWERS: Mapping[str, Mapping[str, int]] = {
    **dict.fromkeys(("adam", "adamw", "lamb", "nadam"), MOMENTS),
    "adamax": {"momentum": -1, "norm": -1},
    "sgd": {"momentum": -1},
    "lion": {"momentum": -1},
    "rmsprop": {"velocity": -2, "average_gradient": -1},
}
"""The power of a weight's factor that a slot is multiplied by."""
OF_ANY = {"average": 1, "gradient_accumulator": -1}
NEVER_NEGATIVE = frozenset({"norm"})


def carried_slots(
    optimizer: Optimizer | None, origins: Sequence[tuple[Weight, Origin]], names: Mapping[int, str]
) -> tuple[Optimizer | None, tuple[str, ...]]:
    """An optimizer whose slots belong to the new weights.

    Args:
        optimizer: The optimizer of the old model, or None.
        origins: Every new weight, once, with what it was made of.
        names: What to call an old weight, by its identity.

    Returns:
        The optimizer, its slots in the order that they had, and one line for each old weight whose state is lost. A new weight
        has all slots that its old ones had, or none.
    """
    if optimizer is None:
        return None, ()
    held: dict[int, dict[str, Slot]] = {}
    for slot in optimizer.slots:
        held.setdefault(id(slot.weight), {})[slot.name] = slot
    rank = {id(slot): index for index, slot in enumerate(optimizer.slots)}
    kept: list[tuple[int, Slot]] = []
    reasons: dict[int, str] = {}
    carried: set[int] = set()
    for weight, origin in origins:
        parts = [held.get(id(piece), {}) for piece, _ in origin.pieces]
        if not any(parts) or origin.is_constant:
            continue
        why = _obstacle(optimizer, origin, parts)
        if why is not None:
            reasons.update((id(piece), why) for piece, _ in origin.pieces)
            continue
        carried.update(id(piece) for piece, _ in origin.pieces)
        kept += [
            (min(rank[id(part[name])] for part in parts), _carried(optimizer, name, weight, origin, [part[name] for part in parts]))
            for name in parts[0]
        ]
    lost = [
        f"the optimizer's {', '.join(slots)} of {names.get(number, 'a weight')} ({reasons.get(number, 'the weight is not there any more')})"
        for number, slots in held.items()
        if number not in carried
    ]
    kept.sort(key=lambda item: item[0])
    return replace(optimizer, slots=tuple(slot for _, slot in kept)), tuple(lost)


def _obstacle(optimizer: Optimizer, origin: Origin, parts: Sequence[Mapping[str, Slot]]) -> str | None:
    """Why the slots of a weight cannot be made of those of its pieces, or None."""
    if origin.unchanged is not None:
        return None
    if origin.is_sum:
        return "the weight is added to another one"
    if any(part.keys() != parts[0].keys() for part in parts):
        return "the weights that it is joined with do not have the same"
    if any(slot.tensor.shape != slot.weight.tensor.shape for part in parts for slot in part.values()):
        return "it is not shaped as the weight is"
    steps = [step for _, own in origin.pieces for step in own]
    if any(isinstance(step, Polynomial) for step in steps):
        return "the weight is worked out anew"
    if any(isinstance(step, Scale) for step in steps):
        unknown = [name for name in parts[0] if _power(optimizer, name) is None]
        if unknown:
            return f"the weight is multiplied, and {', '.join(unknown)} of {optimizer.class_name or 'its optimizer'} is not exactly carried"
    return None


def _carried(optimizer: Optimizer, name: str, weight: Weight, origin: Origin, slots: Sequence[Slot]) -> Slot:
    if origin.unchanged is not None:
        return Slot(name, weight, slots[0].tensor, slots[0].key)
    power = _power(optimizer, name) or 0
    steps = [tuple(_of_slot(step, name, power) for step in own) for _, own in origin.pieces]
    return Slot(name, weight, made_of([slot.tensor for slot in slots], steps, origin.axis), "")


def _of_slot(step: Step, name: str, power: int) -> Step:
    if not isinstance(step, Scale):
        return step
    factor: float = step.factor**power
    return Scale(abs(factor) if name in NEVER_NEGATIVE else factor)


def _power(optimizer: Optimizer, name: str) -> int | None:
    return POWERS.get(kind_of(optimizer.class_name), {}).get(name, OF_ANY.get(name))
