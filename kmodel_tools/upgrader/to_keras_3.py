"""A model of an earlier generation as one of Keras 3: architecture, names, weights, optimizer and training configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError, Era, class_of, era_of, is_model, settings_of
from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.upgrade import KERAS_VERSION, upgrade
from kmodel_tools.architecture.upgrade.keras_1 import to_keras_2
from kmodel_tools.architecture.upgrade.outputs import with_outputs
from kmodel_tools.architecture.upgrade.training import Training, upgraded_training
from kmodel_tools.errors import ConversionError
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Weight, make_from_below
from kmodel_tools.upgrader import apply_rules

VHAT = re.compile(r"/(vhat_\d+|[Vv]ariable)(_\d+)?$")
"""What Keras 2.3, and what Keras 2.1 and 2.2 (on TensorFlow, on Theano) call what Adam keeps for `amsgrad`."""
LAST_OF_KERAS_2 = "2.3.1"
"""The release that an architecture of Keras 1 is carried to on its way."""
SEPARATE = "a layer that is shared with a nested model is two layers of the same values: Keras 3 does not load such a one from a file"
UNCALLED = "the model does not call its layer"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A model of Keras 3, what was expressed in another way in it, what it lost, and what had nothing in it."""

    model: Model
    changes: tuple[str, ...]
    lost: tuple[str, ...]
    left_out: tuple[str, ...]


def upgraded(model: Model) -> Upgrade:
    """Carry a model to Keras 3.

    Raises:
        ConversionError: Something in it has no equivalent there.
    """
    assert model.architecture is not None
    first = as_keras_2(model)
    model = first.model
    assert model.architecture is not None
    try:
        new = upgrade(_with_names(model.architecture, model), model.metadata.get("keras_version"), model, model.metadata.get("backend"))
    except ConfigError as error:
        raise _refused("Keras 3", error) from error
    training = Training()
    if model.training_config:
        training = upgraded_training(model.training_config, era_of(model.architecture, model.metadata.get("keras_version")))
    if training.config is not None:
        training.config = with_outputs(training.config, new.config, new.renamed)
    changes = (*first.changes, *new.changes, *training.changes)
    optimizer, left_out = _worth_carrying(model)
    named = replace(renamed(model, new.renamed), training_config=training.config, optimizer=optimizer)
    if not is_model(class_of(new.config), new.config["config"]):
        # Only its own code knows the layers of a model that is no graph: the tree stays as it was read.
        metadata = {**model.metadata, "keras_version": KERAS_VERSION}
        return Upgrade(replace(named, architecture=new.config, metadata=metadata), changes, tuple(training.lost), left_out)
    left = {path: UNCALLED for path, _ in named.weights() if any(path[: len(layer)] == layer for layer in new.uncalled)}
    applied = apply_rules(named, new.config, new.rules, KERAS_VERSION, left)
    shared = (SEPARATE,) if applied.model.aliases() else ()
    if shared and applied.model.optimizer is not None:
        why = "the optimizer's state (a layer that was shared has become two)"
        applied = replace(applied, model=replace(applied.model, optimizer=None), lost=(*applied.lost, why))
    apart = replace(applied.model, layers=_apart(applied.model.layers))
    return Upgrade(apart, (*changes, *shared), (*first.lost, *training.lost, *applied.lost), left_out)


def as_keras_2(model: Model) -> Upgrade:
    """A model of Keras 0.3 or 1 as one of Keras 2; any other as it is.

    Raises:
        ConversionError: Something in it has no equivalent there.
    """
    assert model.architecture is not None
    version = model.metadata.get("keras_version")
    if era_of(model.architecture, version) not in (Era.KERAS_0, Era.KERAS_1):
        return Upgrade(model, (), (), ())
    try:
        new = to_keras_2(model.architecture, version, None, model)
    except ConfigError as error:
        raise _refused("Keras 2", error) from error
    applied = apply_rules(model, new.config, new.rules, LAST_OF_KERAS_2)
    return Upgrade(applied.model, new.changes, applied.lost, ())


def _refused(wanted: str, error: ConfigError) -> ConversionError:
    return ConversionError(
        f"the architecture cannot be carried to {wanted}: {error}",
        cure="put another layer in its place with --replace-layer, or convert its weights alone with --weights-only",
    )


def _with_names(config: Config, model: Model) -> Config:
    """An outermost list of layers whose nested lists, which have no name up to Keras 2.2, are called as the file calls them."""
    layers = settings_of(config).get("layers")
    if class_of(config) != "Sequential" or not isinstance(layers, list) or len(layers) != len(model.layers):
        return config
    named = [
        {**item, "name": layer.name} if isinstance(item, Mapping) and isinstance(item.get("config"), list) else item
        for item, layer in zip(layers, model.layers, strict=True)
    ]
    return {**config, "config": named if isinstance(config["config"], list) else {**config["config"], "layers": named}}


def _worth_carrying(model: Model) -> tuple[Optimizer | None, tuple[str, ...]]:
    """A model's optimizer without arrays that mean nothing, and what those are.

    One that keeps state for each weight and has none has taken no step. SGD of tf_keras 2.11 and later keeps the last step of
    each weight as its momentum, and multiplies it by 0 where none is asked for (2.21 `optimizers/sgd.py`, `update_step`).
    """
    optimizer = model.optimizer
    if optimizer is None:
        return None, ()
    settings = _settings(model)
    if kind_of(optimizer.class_name) == "sgd" and optimizer.slots and settings is not None and not settings.get("momentum"):
        why = f"{len(optimizer.slots)} arrays of SGD's momentum, which have no effect: it is 0"
        return replace(optimizer, slots=()), (why,)
    if not optimizer.slots and not optimizer.extras and kind_of(optimizer.class_name) not in ("sgd", ""):
        return None, ("the optimizer's counters: it has taken no step",)
    empty = _placeholders(model, optimizer)
    if not empty:
        return optimizer, ()
    kept = tuple(extra for extra in optimizer.extras if extra not in empty)
    return replace(optimizer, extras=kept), (f"{len(empty)} placeholders of Adam, which hold nothing without amsgrad",)


def _placeholders(model: Model, optimizer: Optimizer) -> list[Weight]:
    """What Adam keeps in place of the arrays of `amsgrad`, where that is not asked for: a single zero for each weight.

    Source: Keras 2.1.3 to 2.3.1 `optimizers.py`, `Adam.get_updates`.
    """
    if kind_of(optimizer.class_name) != "adam" or (_settings(model) or {}).get("amsgrad"):
        return []
    found = [extra for extra in optimizer.extras if VHAT.search(extra.role) and extra.tensor.shape == (1,)]
    weights = sum(slot.name == "momentum" for slot in optimizer.slots)
    return found if len(found) == weights else []


def _settings(model: Model) -> Mapping[str, Any] | None:
    """What the training configuration says of its optimizer beyond its class, or None; one that is named alone has the defaults."""
    config = model.training_config or {}
    described = config.get("optimizer_config", config.get("optimizer"))
    if isinstance(described, str):
        return {}
    settings = described.get("config") if isinstance(described, Mapping) else None
    return settings if isinstance(settings, Mapping) else None


def renamed(model: Model, names: Mapping[Path, str]) -> Model:
    """A model whose layers have new names; a layer that is shared gets that of its first path."""
    if not names:
        return model
    new: dict[int, str] = {}
    stack: list[tuple[Path, Layer]] = [((), layer) for layer in reversed(model.layers)]
    while stack:
        parent, layer = stack.pop()
        if id(layer) in new:
            continue
        new[id(layer)] = layer.name if layer.attr is not None else names.get((*parent, layer.name), layer.name)
        path = (*parent, *(layer.components if layer.attr is not None else (new[id(layer)],)))
        stack.extend((path, child) for child in reversed(layer.layers))
    layers = make_from_below(model.layers, attrgetter("layers"), lambda layer, made: replace(layer, name=new[id(layer)], layers=made))
    return replace(model, layers=layers)


def _apart(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers with those that several models hold once for each; `spec.MAX_DEPTH` and `MAX_LAYERS` bound them."""
    return tuple(replace(layer, layers=_apart(layer.layers)) for layer in layers)
