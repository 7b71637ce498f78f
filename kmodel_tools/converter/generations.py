"""The generation that a conversion writes for: what `--target` asks, what the target holds, and what the source is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.upgrade import KERAS_VERSION, upgrade
from kmodel_tools.converter.legacy_file import spelled_for_legacy_file
from kmodel_tools.converter.planned import Planned
from kmodel_tools.converter.unpacking import NONE_HELD
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.format import Part
from kmodel_tools.tree import Model
from kmodel_tools.upgrader.generation import FIRST, GENERATIONS, VERSIONS, carried, generation, refuse_values_of_keras_3

STORE = "keras-weights"
DOCUMENT = "keras-json"
AS_ASKED = "optimizer state: as asked for"


def in_its_generation(plan: Planned, model: Model) -> Model:
    """The model as one of the generation that is written for, with or without its architecture, as the target holds it.

    Raises:
        ConversionError: It has no equivalent there, or its weights mean nothing without their architecture.
        KmtError: A part of a model would have to be carried.
    """
    era = generation(model)
    wanted = _wanted_generation(plan, era)
    if model.architecture is None:
        _refuse_old_values(plan, generation(plan.source))
        return _meant_for(plan, wanted, model) if plan.request.target else model
    whole = not plan.weights_only and Part.ARCHITECTURE in plan.target.holds
    if era is not None and GENERATIONS[era] != wanted:
        model = _carried_to(plan, wanted, era, model if whole else replace(model, training_config=None))
    elif era is Era.KERAS_3 and whole and not (plan.source.format == plan.target.name == "keras-h5" and plan.request.target is None):
        model = _brought_up(plan, model)
    elif not whole:
        _refuse_old_values(plan, era)
    if not whole:
        why = "as asked for" if plan.weights_only else "a file of weights holds none"
        plan.left_out += (
            [] if plan.holes or plan.part else [f"architecture{' and training configuration' if model.training_config else ''}: {why}"]
        )
        # Layouts of weights alone still need it: groups go by classes, and the order of weights by what is frozen.
        holds = Part.ARCHITECTURE in plan.target.holds and plan.target.name != "keras-h5"
        return replace(model, architecture=None) if holds else model
    assert model.architecture is not None
    if plan.target.name == "keras-h5":
        model = spelled_for_legacy_file(model, era)
    if era is None or GENERATIONS[era] == wanted:
        plan.carried.append("architecture")
    if model.training_config and plan.target.name == DOCUMENT and wanted != GENERATIONS[Era.KERAS_3]:
        plan.left_out.append(f"training configuration: {NONE_HELD} before Keras 3")
        return replace(model, training_config=None)
    if model.training_config and plan.target.name == "keras-h5" and not _names_optimizer(model.training_config):
        plan.lost.append("the training configuration (it names no optimizer, without which a legacy file does not load)")
        return replace(model, training_config=None)
    if model.training_config:
        plan.carried.append("training configuration")
    return model


def _brought_up(plan: Planned, model: Model) -> Model:
    """A model of an earlier Keras 3 as the last one loads it."""
    assert model.architecture is not None
    new = upgrade(model.architecture, model.metadata.get("keras_version"))
    plan.carried += [f"of the architecture: {sentence}" for sentence in new.changes]
    if plan.target.name == DOCUMENT and new.config != model.architecture:
        plan.inferred.append("it is written as Keras 3.15 loads it, which releases before 3.4 do not")
    known = {"keras_version": KERAS_VERSION} | {key: value for key, value in model.metadata.items() if value}
    return replace(model, architecture=new.config, metadata=known)


def _carried_to(plan: Planned, wanted: str, era: Era, model: Model) -> Model:
    """The model as one of another generation."""
    if plan.holes or plan.part:
        raise KmtError(f"a part of a model is not carried from {GENERATIONS[era]} to {wanted}", cure="convert the whole model first")
    if wanted == GENERATIONS[Era.KERAS_3]:
        refuse_values_of_keras_3(plan.source, model)
    optimizer = None if plan.request.weights_only or not plan.request.optimizer else model.optimizer
    if optimizer is not model.optimizer:
        plan.left_out.append(AS_ASKED)
    new = carried(replace(model, optimizer=optimizer), wanted)
    plan.changes += new.changes
    plan.lost += new.lost
    plan.left_out += new.left_out
    what = "the weights are" if plan.weights_only or Part.ARCHITECTURE not in plan.target.holds else "architecture,"
    plan.carried.append(f"{what} carried from {GENERATIONS[era]} to {wanted}")
    return new.model


def _meant_for(plan: Planned, wanted: str, model: Model) -> Model:
    """Weights without an architecture, named as a generation names them."""
    plan.inferred.append(f"the weights are taken as they are for {wanted}: without an architecture, nothing says what they mean there")
    return replace(model, metadata={**model.metadata, "keras_version": VERSIONS[wanted]})


def _wanted_generation(plan: Planned, era: Era | None) -> str:
    """The generation to write for."""
    if plan.request.target is not None:
        return {"keras2": "Keras 2", "keras3": "Keras 3"}[plan.request.target]
    if plan.target.generation:
        return plan.target.generation
    if era is None or (era in FIRST and plan.target.name == STORE and not plan.holes):
        return GENERATIONS[Era.KERAS_3]
    return GENERATIONS[era]


def _refuse_old_values(plan: Planned, era: Era | None) -> None:
    if era in FIRST and plan.target.name != "keras-h5":
        assert era is not None
        raise ConversionError(
            f"layers of {GENERATIONS[era]} keep other arrays than those of later releases",
            cure="write a whole model: kmt convert OLD.h5 NEW.keras, for weights alone with their own architecture: --like OLD.json",
        )


def _names_optimizer(training_config: Mapping[str, Any]) -> bool:
    return bool(training_config.get("optimizer") or training_config.get("optimizer_config"))
