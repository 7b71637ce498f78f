"""What of a damaged source can be carried: everything is read once beforehand, since a wrong checksum shows only then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import FormatError
from kmodel_tools.tree import Model, Optimizer, damage_text, join_path
from kmodel_tools.verifier import damage_found


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What is left of a model.

    Attributes:
        model: The model without what cannot be read.
        losses: One line for each array that cannot be read, and for what goes with it.
        holes: Whether weights are missing.
    """

    model: Model
    losses: tuple[str, ...]
    holes: bool


def without_damaged(model: Model, optimizer: bool, extras: bool) -> Salvaged:
    """Leave out the arrays of a model that cannot be read.

    The optimizer's state goes as a whole: files count it by position, and a hole would shift what follows it.

    Args:
        model: The model; every array that is to be carried is read once, in blocks.
        optimizer: Whether its optimizer's state is to be carried.
        extras: Whether its arrays of no layer are.
    """
    damaged = {id(weight): error for _, weight in model.weights() if (error := damage_found(weight.tensor)) is not None}
    losses = [_line(join_path(path), damaged[id(weight)]) for path, weight in model.weights() if id(weight) in damaged]
    if optimizer and model.optimizer is not None:
        state = _state_losses(model.optimizer, damaged)
        losses += state
        model = replace(model, optimizer=None) if state else model
    if extras:
        broken = {extra.key: error for extra in model.extras if (error := damage_found(extra.tensor)) is not None}
        losses += [_line(key, error) for key, error in broken.items()]
        model = replace(model, extras=tuple(extra for extra in model.extras if extra.key not in broken))
    if damaged:
        kept = replace_weights(model, lambda _, weight: None if id(weight) in damaged else weight)
        model = replace(kept, inventory=model.inventory)  # for the order of the source
    return Salvaged(model, tuple(losses), bool(damaged))


def _state_losses(optimizer: Optimizer, damaged: Mapping[int, FormatError]) -> list[str]:
    arrays = [(slot.key, slot.tensor) for slot in optimizer.slots if id(slot.weight) not in damaged]
    arrays += [(item.key, item.tensor) for item in (*optimizer.counters, *optimizer.extras)]
    losses = [_line(key, error) for key, tensor in arrays if (error := damage_found(tensor)) is not None]
    if losses or any(id(slot.weight) in damaged for slot in optimizer.slots):
        losses.append("the optimizer's state, which is counted by position, and of which a part is missing")
    return losses


def _line(name: str, error: FormatError) -> str:
    return f"{name}, which is damaged: {damage_text(error)}"
