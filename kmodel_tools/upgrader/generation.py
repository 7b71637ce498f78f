"""Which generation of Keras a model is of, and two models brought to the same one."""

from __future__ import annotations

from dataclasses import dataclass

from kmodel_tools.architecture import downgrade, upgrade
from kmodel_tools.architecture.envelope import Config, Era, era_of, era_of_version, iter_configs
from kmodel_tools.architecture.upgrade.hard_sigmoid import HARD_SIGMOID
from kmodel_tools.errors import ConversionError
from kmodel_tools.tree import Model
from kmodel_tools.upgrader.to_keras_2 import downgraded
from kmodel_tools.upgrader.to_keras_3 import Upgrade, as_keras_2, upgraded

GENERATIONS = {Era.KERAS_0: "Keras 0", Era.KERAS_1: "Keras 1", Era.KERAS_2: "Keras 2", Era.TF_KERAS: "Keras 2", Era.KERAS_3: "Keras 3"}
VERSIONS = {"Keras 2": downgrade.KERAS_VERSION, "Keras 3": upgrade.KERAS_VERSION}
"""The release of each generation that is written."""
FIRST = frozenset({Era.KERAS_0, Era.KERAS_1})
"""Eras whose layers keep other arrays than those of later releases."""


def generation(model: Model) -> Era | None:
    """The era of the Keras that a model was saved by, or None where the file does not say."""
    version = model.metadata.get("keras_version", "")
    if version:
        return era_of_version(version)
    if model.format == "keras-h5":
        return Era.KERAS_1  # Keras 2 and later leave their version in every file
    if model.metadata.get("producer") == "Keras 3" or model.metadata.get("dialect") in ("Keras 3.6 or later", "sharded"):
        return Era.KERAS_3
    return era_of(model.architecture) if model.architecture is not None else None


def carried(model: Model, wanted: str) -> Upgrade:
    """A model with an architecture as one of another generation, "Keras 2" or "Keras 3".

    Raises:
        ConversionError: Something in it has no equivalent there.
    """
    if wanted == GENERATIONS[Era.KERAS_3]:
        return upgraded(model)
    return downgraded(model) if generation(model) is Era.KERAS_3 else as_keras_2(model)


@dataclass(frozen=True, slots=True)
class Brought:
    """A model as another one of some generation can be compared or paired with.

    Attributes:
        model: The model, carried to that generation where it is of another.
        upgraded: Whether it was.
        remarks: What was expressed in another way by that, what was lost, or why it was left as it is; a sentence each.
    """

    model: Model
    upgraded: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """That the model was carried, and whereto: a sentence, or none."""
        era = generation(self.model)
        return (f"the source is carried to {GENERATIONS[era]} first",) if self.upgraded and era is not None else ()


def brought_to(model: Model, other: Model) -> Brought:
    """Carry a model to Keras 3 where it is of an earlier generation and another one is of Keras 3.

    Layers of Keras 0.3 and 1 keep other arrays, so theirs are always carried; a later one only where `other` has an
    architecture too, which says that names and settings are to be read as those of Keras 3.
    """
    era, wanted = generation(model), generation(other)
    if era in (None, Era.KERAS_3) or wanted is not Era.KERAS_3:
        return Brought(model)
    if model.architecture is None:
        return Brought(model, remarks=_unknown_meaning(other))
    if era not in FIRST and other.architecture is None:
        return Brought(model)
    try:
        new = upgraded(model)
    except ConversionError as error:
        unknown = _unknown_meaning(other) if other.architecture is not None else ()
        return Brought(model, remarks=(f"it is taken as it is stored: {error.problem}", *unknown))
    lost = (f"not carried, and so not looked at: {'; '.join(new.lost)}",) if new.lost else ()
    return Brought(new.model, True, (*new.changes, *lost))


def brought_into(model: Model, other: Model) -> Brought:
    """Carry a model to the generation of another one: to Keras 3 as `brought_to` does, and to Keras 2 as well.

    Args:
        model: The model.
        other: The model whose generation is wanted, with its architecture.
    """
    era = generation(model)
    if era is not None and (generation(other) is Era.KERAS_3 or era not in (Era.KERAS_3, *FIRST)):
        return brought_to(model, other)
    if model.architecture is None:
        return Brought(model, remarks=_unknown_meaning(other, model))
    try:
        new = carried(model, GENERATIONS[Era.KERAS_2])
    except ConversionError as error:
        return Brought(model, remarks=(f"it is taken as it is stored: {error.problem}", *_unknown_meaning(other, model)))
    lost = (f"not carried, and so not looked at: {'; '.join(new.lost)}",) if new.lost else ()
    return Brought(new.model, True, (*new.changes, *lost))


def brought_over(model: Model, other: Model) -> Brought:
    """Carry a model to the generation of one that gets its values, where that has an architecture; else say what they may mean there.

    Layers of Keras 0.3 and 1 keep other arrays; a target of these is left as it is.
    """
    era, wanted = generation(model), generation(other)
    if era is None or wanted in FIRST or (era not in FIRST and wanted is not None and GENERATIONS[era] == GENERATIONS[wanted]):
        return brought_to(model, other)
    if other.architecture is not None:
        return brought_into(model, other)
    found = brought_to(model, other)
    layers = _hard_sigmoids(model.architecture) if model.architecture is not None and not found.upgraded else ""
    if not layers:
        return found
    whose = f"is of {GENERATIONS[wanted]}" if wanted is not None else "does not say which Keras it is of"
    said = (
        f"the target {whose}, and has no architecture to carry values to: hard_sigmoid is another function in Keras 3 than before: {layers}"
    )
    return Brought(model, remarks=(*found.remarks, said))


def _unknown_meaning(other: Model, model: Model | None = None) -> tuple[str, ...]:
    """What weights that come without an architecture may mean otherwise in another model.

    Args:
        other: The model that they are for: of Keras 3, unless `model` is given.
        model: The model that they come from, where it may be of Keras 3 or of no known generation.
    """
    layers = _hard_sigmoids(other.architecture) if other.architecture is not None else ""
    if not layers:
        return ()
    era = generation(model) if model is not None else Era.TF_KERAS
    if era is None:
        return (f"the source does not say which Keras it is of, and hard_sigmoid is another function in Keras 3 than before: {layers}",)
    if era is Era.KERAS_3:
        return (f"hard_sigmoid is another function in Keras 3, which these weights are of, than in the model: {layers}",)
    return (f"hard_sigmoid is another function in Keras 3 than in the earlier one that these weights are of: {layers}",)


def taken_for(source: Model, like: Model) -> tuple[str, ...]:
    """What weights are taken for whose file does not say their generation, where that makes a difference.

    tf_keras and Keras 3 up to 3.5 lay out `.weights.h5` alike.
    """
    wanted = generation(like)
    if generation(source) is not None or source.architecture is not None or like.architecture is None or wanted is None:
        return ()
    layers = _hard_sigmoids(like.architecture)
    name = GENERATIONS[wanted]
    return (
        (f"the weights are taken for those of {name}: hard_sigmoid is another function in other generations: {layers}",) if layers else ()
    )


def refuse_values_of_keras_3(source: Model, placed: Model) -> None:
    """An upgrade changes values, and must not do so to those that are of Keras 3 already.

    Args:
        source: The model that the weights are of, as it was read.
        placed: The model with its architecture, which may be that of another file.

    Raises:
        ConversionError: The weights are of Keras 3, and the architecture is not, and names a function that is another one there.
    """
    if generation(source) is not Era.KERAS_3 or placed.architecture is None or generation(placed) is Era.KERAS_3:
        return
    if layers := _hard_sigmoids(placed.architecture):
        raise ConversionError(
            f"the weights are of Keras 3, and the architecture is of an earlier one, whose hard_sigmoid is another function: {layers}",
            cure="give the architecture as Keras 3 has it: --like NEW.keras",
        )


def _hard_sigmoids(architecture: Config) -> str:
    """The layers with `hard_sigmoid`, or "" for none."""
    layers = [
        str(config.get("name", "a layer"))
        for config in iter_configs(architecture)
        if HARD_SIGMOID in (config.get("activation"), config.get("recurrent_activation"))
    ]
    return ", ".join(layers[:5]) + (" …" if len(layers) > 5 else "")
