"""A model as whole legacy HDF5 files of its generation spell it."""

from __future__ import annotations

from dataclasses import replace

from kmodel_tools.architecture.envelope import Era, iter_configs
from kmodel_tools.architecture.spelling import compiled_for_legacy_file, without_modules
from kmodel_tools.errors import ConversionError
from kmodel_tools.tree import Model
from kmodel_tools.upgrader.generation import generation

LEGACY = "keras-h5"
KERAS_2 = frozenset({Era.KERAS_2, Era.TF_KERAS})


def spelled_for_legacy_file(model: Model, era: Era | None) -> Model:
    """A model with the architecture and training configuration that a whole legacy file holds.

    Args:
        model: The model, with an architecture.
        era: The era that it was of before it was carried to another generation.

    Raises:
        ConversionError: There are no such files of its generation, or it has a layer that they cannot hold.
    """
    assert model.architecture is not None
    now = generation(model)
    if now is Era.KERAS_0:
        raise ConversionError("Keras 0.x has files of weights and none of whole models", cure="carry it to Keras 3: --target keras3")
    if model.format != LEGACY and any(config.get("lora_rank") for config in iter_configs(model.architecture)):
        raise ConversionError(
            "a layer with LoRA is stored merged, and a legacy file needs its factors", cure="convert to .keras, or its --weights-only"
        )
    if model.format != LEGACY and now is Era.KERAS_3 and model.training_config:
        return replace(model, training_config=compiled_for_legacy_file(model.training_config))
    if model.format == LEGACY or now not in KERAS_2 or era not in KERAS_2:
        return model
    architecture, training = (without_modules(part) for part in (model.architecture, model.training_config))
    return replace(model, architecture=architecture, training_config=training)
