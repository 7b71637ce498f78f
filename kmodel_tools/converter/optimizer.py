"""Whether and how an optimizer's state goes from one container into another.

Every generation and container counts the state in its own way. Within one layout it is carried as it is; into another it
is laid out anew from what its arrays are, which is possible where all of them are tied to weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kmodel_tools.architecture.envelope import Era, era_of_version, version_numbers
from kmodel_tools.architecture.optimizers import DEFAULT_RATES, HYPERPARAMETERS, ITERATIONS, LEARNING_RATE, kind_of, rounds_of
from kmodel_tools.architecture.spec import followed
from kmodel_tools.converter.request import Request
from kmodel_tools.format import Format, Part
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, described_optimizer, slots_in_order, tie_by_order
from kmodel_tools.tensor import DType, Tensor
from kmodel_tools.tree import Model, Optimizer, Slot, Weight, join_path

CHECKPOINT = "tf-checkpoint"
LEGACY = "keras-h5"
STORES = ("keras-archive", "keras-weights")
WORKED_OUT = "current_learning_rate"
"""What a schedule said last (tf_keras 2.21 `optimizers/optimizer.py`)."""
PRODUCT = "u_product"
PRODUCTS = (PRODUCT, "momentum_cache")
"""What Nadam calls its product of momenta since Keras 2.11, and before."""
INTERLEAVED_SINCE = (2, 11)
"""The release from which an optimizer's slots stand in turn for each weight."""


@dataclass(slots=True)
class State:
    """What becomes of an optimizer's state."""

    optimizer: Optimizer | None
    lost: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)


def carried_state(model: Model, source: Model, era: Era | None, target: Format, request: Request, cut: bool = False) -> State:
    """Work out what of a model's optimizer the target can hold.

    Args:
        model: The model that will be written, with an optimizer.
        source: The model as it was read.
        era: The generation of the source, or None.
        target: The format that will be written.
        request: What the conversion was asked to do.
        cut: Whether the model is a part of the source, whose state is counted otherwise.
    """
    assert model.optimizer is not None
    if Part.OPTIMIZER not in target.holds:
        return State(None, ["the optimizer's state"])
    if target.name == LEGACY and model.architecture is None:
        return State(None, ["the optimizer's state (a legacy file of weights has no room for it)"])
    if request.options.get("layout") == "names" and target.name == CHECKPOINT:
        named = source.metadata.get("dialect", "").endswith("name-based")
        return State(model.optimizer) if named else State(None, ["the optimizer's state (those of TensorFlow 1 keep another one)"])
    if not cut and not _is_carried(model, era) and _stays_as_it_is(source, era, target, request):
        why = _other_trained(model) if request.like is not None else None
        return State(model.optimizer) if why is None else State(None, [f"the optimizer's state ({why})"])
    compiled_with = described_optimizer(model.training_config).class_name
    unnamed = model.optimizer.class_name is None and compiled_with is not None
    if unnamed:  # a SavedModel need not state its class
        model = replace(model, optimizer=replace(model.optimizer, class_name=compiled_with))
    has_slots_always = target.name == LEGACY or (target.name == CHECKPOINT and not _for_keras_3(target, request))
    if (_is_carried(model, era) or has_slots_always) and is_fresh(model.optimizer):
        return State(None, left_out=["the optimizer's counters: it has not trained the model yet"])
    why = _obstacle(model, target, request)
    if why is not None:
        return State(None, [f"the optimizer's state ({why})"])
    state = _laid_out_anew(model, target, request)
    if unnamed:
        state.inferred.append(f"the optimizer is taken for the {compiled_with} that the model is compiled with")
    return state


def retied(model: Model, source: Model) -> Model:
    """A model whose state a file of weights alone could not tie, tied by what another file says of classes and of what is trained."""
    optimizer = model.optimizer
    if optimizer is None or optimizer.slots or source.format not in STORES:
        return model
    described = described_optimizer(model.training_config)
    spec = OptimizerSpec(described.class_name or optimizer.class_name, described.config, interleaved=True)
    tied, _ = tie_by_order(spec, optimizer.extras, [weight for _, weight in model.weights()])
    return replace(model, optimizer=tied) if tied.slots else model


def counts_as_listed(model: Model) -> bool:
    """Whether the order of a model's weights is that in which Keras counts them, and the state of an optimizer with them.

    Keras's own layout lists the attributes of somebody's own class by their names, and the class counts them as it set them.
    """
    spec = followed(model)
    return model.format not in STORES or (spec is not None and spec.root.is_model)


def same_layout(model: Model, target: Format) -> bool:
    """Whether a model comes from a file of the layout that it is written in."""
    return model.format == target.name or (model.format in STORES and target.name in STORES)


def _is_carried(model: Model, era: Era | None) -> bool:
    """Whether one of the model that will be written and its source is of Keras 3, and the other is not: their files count otherwise."""
    version = model.metadata.get("keras_version", "")
    return bool(version) and (era is Era.KERAS_3) is not (era_of_version(version) is Era.KERAS_3)


def is_fresh(optimizer: Optimizer | None) -> bool:
    """Whether it has no state yet, but for a count of no steps: Keras 3 keeps that for a model that was only compiled."""
    counters = {counter.role: counter for counter in optimizer.counters} if optimizer is not None else {}
    if optimizer is None or optimizer.slots or optimizer.extras or counters.keys() - {ITERATIONS, LEARNING_RATE}:
        return False
    return ITERATIONS not in counters or not int(counters[ITERATIONS].tensor.read())


def _stays_as_it_is(source: Model, era: Era | None, target: Format, request: Request) -> bool:
    """Whether the target counts the state as the source does: it is the same layout, or both are Keras 3's lists."""
    if CHECKPOINT in (source.format, target.name) or (request.like is not None and era is not Era.KERAS_3):
        return False
    return era is Era.KERAS_3 or same_layout(source, target)


def _obstacle(model: Model, target: Format, request: Request) -> str | None:
    """Why the state cannot be laid out anew, or None."""
    optimizer = model.optimizer
    assert optimizer is not None
    if any("/" in counter.role for counter in optimizer.counters):
        return "there are several optimizers, and one is what a file has room for"
    if is_wrapped(optimizer):
        return "how a wrapping optimizer counts it is not in a checkpoint, nor in another layout"
    if optimizer.extras:
        return f"{len(optimizer.extras)} of its arrays are not tied to weights"
    if _for_keras_2_file(model, target) and not model.metadata.get("keras_version"):
        return "which release of Keras 2 it is for is not known, and each counts it otherwise"
    if slots_in_order(optimizer, [weight for _, weight in model.weights()], _is_interleaved(model, target)) is None:
        return f"in which order {optimizer.class_name or 'its optimizer'} counts it is not known"
    return _other_trained(model) or _mismatch(model, _for_keras_3(target, request))


def _other_trained(model: Model) -> str | None:
    """Why the state, which is counted by position, would come to other weights: the model trains others than those that have some."""
    optimizer = model.optimizer
    assert optimizer is not None
    having = {id(slot.weight) for slot in optimizer.slots}
    for path, weight in model.weights():
        if weight.trainable is not None and weight.trainable is not (id(weight) in having):
            told = "is not trained and has some" if id(weight) in having else "is trained and has none"
            return f"{join_path(path)} {told}" if having else None
    return None


def is_wrapped(optimizer: Optimizer) -> bool:
    """Whether it is one optimizer around another: a LossScaleOptimizer keeps a scale beside the inner one's state."""
    return any("scale" in item.role for item in (*optimizer.counters, *optimizer.extras))


def _for_keras_2_file(model: Model, target: Format) -> bool:
    version = model.metadata.get("keras_version", "")
    return target.name == LEGACY and (not version or era_of_version(version) is not Era.KERAS_3)


def _is_interleaved(model: Model, target: Format) -> bool:
    listed = version_numbers(model.metadata.get("keras_version", "")) >= INTERLEAVED_SINCE
    return listed or not _for_keras_2_file(model, target)


def _for_keras_3(target: Format, request: Request) -> bool:
    if target.name == CHECKPOINT:
        return request.options.get("target") == "keras3"
    return target.name in STORES


def _mismatch(model: Model, keras_3: bool) -> str | None:
    """Why the optimizer that the training configuration describes would not take the state."""
    optimizer = model.optimizer
    described = described_optimizer(model.training_config)
    assert optimizer is not None
    kind = kind_of(described.class_name)
    if not kind:
        return None
    if kind_of(optimizer.class_name) not in (kind, "", "optimizer"):
        return f"it is that of {optimizer.class_name}, and the model is compiled with {described.class_name}"
    held = {slot.name for slot in optimizer.slots}
    config: Mapping[str, Any] = described.config or {}
    if keras_3 and kind == "sgd" and described.config is not None and not config.get("momentum"):
        return "SGD without momentum keeps none in Keras 3" if "momentum" in held else None
    wanted = [{name for names in rounds for name in names} for rounds in rounds_of(described.class_name, described.config, True)]
    if keras_3 and is_fresh(optimizer):
        return None  # a model of Keras 3 that was only compiled has no slots
    return None if held in wanted else f"{described.class_name} as it is configured keeps other arrays"


def _laid_out_anew(model: Model, target: Format, request: Request) -> State:
    optimizer = model.optimizer
    assert optimizer is not None
    slots = slots_in_order(optimizer, [weight for _, weight in model.weights()], _is_interleaved(model, target)) or []
    # A nested model that was compiled for itself counts its own steps, further down in the graph of objects.
    counters = {counter.role: counter for counter in sorted(optimizer.counters, key=lambda item: -item.key.count("/"))}
    state = State(None)
    if target.name != CHECKPOINT or _for_keras_3(target, request):
        others = [role for role in counters if role not in (ITERATIONS, LEARNING_RATE)]
        settings = [role for role in others if role in HYPERPARAMETERS]
        if WORKED_OUT in others:
            others.remove(WORKED_OUT)
            state.left_out.append("the optimizer's current learning rate: it is worked out from its schedule")
        product = _product_of(optimizer, others, state)
        if settings:
            state.left_out.append(f"the optimizer's {', '.join(settings)}: Keras keeps such settings in its configuration")
        state.lost += [f"the optimizer's {role} (there is no place for it)" for role in others if role not in (*settings, *product)]
        counters = {role: counters[role] for role in (ITERATIONS, LEARNING_RATE) if role in counters} | product
    elif not any(role in HYPERPARAMETERS for role in counters) and _settings_are_variables(model):
        settings_of_config = _configured(model)
        counters |= settings_of_config
        state.inferred.append(f"the optimizer's {', '.join(settings_of_config)}: as in the training configuration")
    if isinstance((described_optimizer(model.training_config).config or {}).get(LEARNING_RATE), Mapping):
        if counters.pop(LEARNING_RATE, None) is not None:
            state.left_out.append("the optimizer's learning rate: the model is compiled with a schedule of it")
    elif _for_keras_2_file(model, target):
        counters.pop(LEARNING_RATE, None)  # Keras 2 has it in the configuration of such a file
    elif LEARNING_RATE not in counters and (rate := _configured(model).get(LEARNING_RATE)) is not None:
        counters[LEARNING_RATE] = rate
        state.inferred.append("the learning rate is that of the training configuration: the source has no variable of it")
    # Without keys, nobody takes the order of the source for that of the target.
    state.optimizer = Optimizer(
        optimizer.class_name,
        tuple(Slot(slot.name, slot.weight, slot.tensor, "") for slot in slots),
        tuple(Weight(counter.role, counter.tensor, "", False) for counter in counters.values()),
    )
    return state


def _product_of(optimizer: Optimizer, roles: Sequence[str], state: State) -> dict[str, Weight]:
    """The last variable of Nadam in Keras 3, without which it takes none; Keras 2 keeps it in checkpoints alone, and starts at 1 again.

    Cures `Skipping variable loading for optimizer 'nadam', because it has 7 variables whereas the saved optimizer has 6 variables`.
    Sources: Keras 3.15.1 and tf_keras 2.21 `optimizers/nadam.py`.
    """
    import numpy as np

    if kind_of(optimizer.class_name) != "nadam" or not optimizer.slots:
        return {}
    kept = [counter for counter in optimizer.counters if counter.role in roles and counter.role in PRODUCTS]
    if kept:
        return {counter.role: counter for counter in kept[:1]}
    state.inferred.append("Nadam's product of momenta is 1, as Keras 2 has it for a model that it loads")
    return {PRODUCT: Weight(PRODUCT, Tensor.of(np.array(1, DType.FLOAT32.numpy())), "", False)}


def _settings_are_variables(model: Model) -> bool:
    """Whether the optimizer is of Keras up to 2.10, which looks for its settings in a checkpoint."""
    version = version_numbers(model.metadata.get("keras_version", ""))
    return () < version < INTERLEAVED_SINCE


def _configured(model: Model) -> dict[str, Weight]:
    """The settings of a training configuration that an optimizer keeps as variables: those of an old one, the learning rate of any."""
    import numpy as np

    described = described_optimizer(model.training_config)
    config: Mapping[str, Any] = described.config or {LEARNING_RATE: DEFAULT_RATES.get(kind_of(described.class_name))}
    kept = HYPERPARAMETERS | {LEARNING_RATE} if _settings_are_variables(model) else {LEARNING_RATE}
    numbers = {name: value for name, value in config.items() if name in kept and isinstance(value, (int, float))}
    return {name: Weight(name, Tensor.of(np.array(value, DType.FLOAT32.numpy())), "", False) for name, value in numbers.items()}
