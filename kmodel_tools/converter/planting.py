"""Weights in an architecture that was saved apart from them: `--like model.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kmodel_tools.architecture.envelope import Era, era_of
from kmodel_tools.architecture.spec import LayerSpec, followed
from kmodel_tools.editor import plant
from kmodel_tools.errors import ConversionError
from kmodel_tools.format import Part
from kmodel_tools.formats import load_format
from kmodel_tools.tree import Model
from kmodel_tools.upgrader.generation import FIRST, generation

OF_THE_SOURCE = frozenset({"keras_version", "dialect", "producer"})
"""Metadata that tell the generation of the weights' file, which need not be that of the architecture."""
OF_THE_ARCHITECTURE = ("keras_version", "backend")


def planted(source: Model, like: Model) -> Model:
    """The weights of a model in the architecture of another, which has none.

    The generation is that of the architecture: it says what the weights are for.

    Raises:
        ConversionError: A weight has no place in the architecture, or was trained for another meaning of it.
    """
    assert like.architecture is not None
    version = like.metadata.get("keras_version")
    era = era_of(like.architecture, version)
    _refuse_other_meaning(source, generation(source), era)
    metadata = {key: value for key, value in source.metadata.items() if key not in OF_THE_SOURCE}
    metadata |= {key: like.metadata[key] for key in OF_THE_ARCHITECTURE if key in like.metadata}
    if era is Era.KERAS_0:  # its files number the arrays, and the way to Keras 2 counts them
        return replace(source, architecture=like.architecture, training_config=None, format="", metadata=metadata, inventory=None)
    return replace(plant(source, like.architecture, version), metadata=metadata)


def refuse_an_architecture_alone(source: Model) -> None:
    """Make sure that there are weights to be written, if the model has any.

    Raises:
        ConversionError: The file holds an architecture and nothing else, of a model that has weights, or may have.
    """
    if not source.format or Part.WEIGHTS in load_format(source.format).holds:
        return
    spec = followed(source)
    if spec is None or any(layer.variables or not layer.is_known for layer in _below(spec.root)):
        raise ConversionError(
            "the source is an architecture alone, and holds no weights to be written",
            cure="name the file of its weights as the source, and the architecture with --like",
        )


def _below(root: LayerSpec) -> Iterator[LayerSpec]:
    stack = [root]
    while stack:
        layer = stack.pop()
        yield layer
        stack.extend(layer.children)


def _refuse_other_meaning(source: Model, of_weights: Era | None, era: Era) -> None:
    """Keras 2 arranges the arrays of some layers otherwise than Keras 1 does, and shapes do not always tell."""
    if of_weights is not None and (of_weights in FIRST) is not (era in FIRST):
        problem = f"the weights are of {of_weights.value}, and the architecture is of {era.value}, which keep other arrays"
        raise ConversionError(problem, cure="give the architecture that they were saved with: --like")
