"""An optimizer's state for a live model: which variable of its optimizer gets which array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmodel_tools.architecture.optimizers import LEARNING_RATE, kind_of
from kmodel_tools.derived import cast
from kmodel_tools.errors import KmtError
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, described_optimizer, tie_by_order
from kmodel_tools.live import Live
from kmodel_tools.live.variables import REFUSALS
from kmodel_tools.matcher import Match
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Model, Optimizer, Slot, Weight, join_path


@dataclass(frozen=True, slots=True)
class Given:
    """A variable and the values that it gets.

    Attributes:
        variable: The variable.
        tensor: The values, in the variable's own elements and shape.
        name: What to call it in an error.
        factors: Variables that become zero by that.
    """

    variable: Any
    tensor: Tensor
    name: str
    factors: tuple[Any, ...] = ()


def build_optimizer(model: Any) -> None:
    """Have the optimizer of a live model make its variables, as Keras does before it loads a whole model.

    Raises:
        KmtError: The model is not compiled, or its optimizer cannot make them.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise KmtError("the model has no optimizer that could take a state", cure="compile the model first, or leave out optimizer=True")
    legacy = getattr(optimizer, "_create_all_weights", None)
    if legacy is None and getattr(optimizer, "built", getattr(optimizer, "_built", False)):
        return
    try:
        (legacy or optimizer.build)(model.trainable_variables)
    except REFUSALS as error:
        raise KmtError(f"the model's optimizer cannot make its variables: {error}") from error


def state_for(live: Live, source: Model, match: Match) -> tuple[list[Given], str]:
    """What the variables of a live optimizer get, for the weights that are loaded as they are, and a sentence on it.

    Args:
        live: The live model.
        source: The model that the values come from.
        match: Which weights of it (a) and of the live model (b) are loaded.

    Raises:
        KmtError: The source has no state, that of another optimizer, or one that cannot be tied to weights; or shapes differ.
    """
    assert live.optimizer is not None
    target, stored = live.optimizer.optimizer, _tied(source, live, match)
    if kind_of(stored.class_name) not in ("", "optimizer", kind_of(target.class_name)):
        raise KmtError(
            f"the state is that of {stored.class_name}, and the model is compiled with {target.class_name}",
            cure="compile the model with that, or leave out optimizer=True",
        )
    held = {(id(slot.weight), slot.name): slot for slot in stored.slots}
    partners = {id(pair.b): id(pair.a) for pair in match.pairs if not pair.remark}
    paths = {id(weight): join_path(path) for path, weight in live.model.weights()}
    slots = [(slot, held.get((partners.get(id(slot.weight), 0), slot.name))) for slot in target.slots]
    without = {id(slot.weight) for slot, found in slots if found is None}
    given = [_given(live, slot, found.tensor, f"{slot.name} of {paths[id(slot.weight)]}") for slot, found in slots if found is not None]
    stored_counters = _counters(stored, target)
    counters = [counter for counter in target.counters if counter.role in stored_counters]
    if not given and (stored.slots or not counters):
        raise KmtError("none of the optimizer's state belongs to a weight that is loaded", cure="leave out optimizer=True")
    remark = f"of the optimizer, {len(given)} slots and {len(counters)} counters are loaded"
    if others := [counter.role for counter in target.counters if counter.role not in stored_counters]:
        remark += f"; {', '.join(others)} is as it was"
    if without:
        remark += f"; the state of {len(without)} weights is as it was"
    if any(counter.role == LEARNING_RATE for counter in counters):
        remark += "; the learning rate is that of the source"
    return [*given, *(_given(live, counter, stored_counters[counter.role].tensor, counter.role) for counter in counters)], remark


def _counters(stored: Optimizer, target: Optimizer) -> dict[str, Weight]:
    """The scalars of a stored state by the live optimizer's names; one left on both sides is the same: Nadam's product has no name."""
    found = {counter.role: counter for counter in stored.counters}
    roles = {counter.role for counter in target.counters}
    left = [item for item in (*stored.counters, *stored.extras) if item.role not in roles and not item.tensor.shape]
    open_roles = [role for role in roles if role not in found]
    return found | ({open_roles[0]: left[0]} if len(open_roles) == len(left) == 1 else {})


def _given(live: Live, item: Slot | Weight, tensor: Tensor, name: str) -> Given:
    assert live.optimizer is not None
    if tensor.shape != item.tensor.shape:
        raise KmtError(f"the optimizer's {name} is of shape {tensor.shape} in the source, and {item.tensor.shape} in the model")
    return Given(live.optimizer.variables[id(item)], _as(tensor, item.tensor), f"the optimizer's {name}")


def _as(tensor: Tensor, like: Tensor) -> Tensor:
    """Values in the elements of a variable: floats are rounded; a counter may be an int32 here and an int64 there."""
    if tensor.dtype is like.dtype or tensor.dtype.is_float:
        return cast(tensor, like.dtype)
    values = tensor.read()
    converted = values.astype(like.dtype.numpy())
    if (converted != values).any():
        raise KmtError(f"the step counter {values} is beyond {like.dtype.value}")
    return Tensor.of(converted)


def _tied(source: Model, live: Live, match: Match) -> Optimizer:
    """The source's optimizer; a file of weights alone cannot tie its state, which the live model's class and flags may do."""
    stored = source.optimizer
    if stored is None:
        raise KmtError("the source holds no state of an optimizer", cure="leave out optimizer=True")
    if stored.slots or not stored.extras:
        return stored
    assert live.optimizer is not None
    kind = stored.class_name if kind_of(stored.class_name) not in ("", "optimizer") else live.optimizer.optimizer.class_name
    described = described_optimizer(source.training_config)
    flags = {id(pair.a): pair.b.trainable for pair in match.pairs}
    stand_ins = [(weight, replace(weight, trainable=flags.get(id(weight), weight.trainable))) for _, weight in source.weights()]
    tied, _ = tie_by_order(OptimizerSpec(kind, described.config, interleaved=True), stored.extras, [item for _, item in stand_ins])
    if not tied.slots:
        raise KmtError(
            f"the {len(stored.extras)} arrays of the optimizer's state cannot be tied to weights",
            cure="load from a .keras or .h5 of the whole model, or leave out optimizer=True",
        )
    originals = {id(stand_in): weight for weight, stand_in in stand_ins}
    slots: Sequence[Slot] = [replace(slot, weight=originals[id(slot.weight)]) for slot in tied.slots]
    return replace(tied, slots=tuple(slots))
