"""Live models of Keras 3 and Keras 2: as a tree, and loaded from any file. No framework is imported; theirs is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.errors import KmtError
from kmodel_tools.live.frameworks import backend_of, is_live, version_of
from kmodel_tools.live.optimizer import LiveOptimizer, optimizer_of
from kmodel_tools.live.settings import assets_of, settings_of
from kmodel_tools.live.structure import Structure, structure_of
from kmodel_tools.tree import Model

__all__ = ["Live", "described", "from_keras", "is_live"]


@dataclass(frozen=True, slots=True)
class Live:
    """A live model, described.

    Attributes:
        model: The tree; architecture and assets are in it only if they were asked for.
        structure: The variables behind its weights.
        optimizer: Its optimizer and the variables behind that, or None.
    """

    model: Model
    structure: Structure
    optimizer: LiveOptimizer | None


def from_keras(model: Any) -> Model:
    """Describe a live model: layers, weights, architecture, training configuration, optimizer state and vocabularies.

    Nothing is copied: a weight is read from its variable when it is asked for, and has the values that the variable has then. States of
    random generators and running values of metrics are left out, as they are in Keras's own files.

    Args:
        model: A model of Keras 3, with any backend, or of Keras 2 (tf_keras), also one of somebody's own class.

    Raises:
        KmtError: It is no live model, or not built.
    """
    return described(model).model


def described(model: Any, whole: bool = True, like: Model | None = None) -> Live:
    """Describe a live model, with the variables behind it.

    Args:
        model: The model.
        whole: Whether to ask it for its configurations and vocabularies.
        like: Another model, whose spelling of paths is taken on where somebody's own classes allow for several.

    Raises:
        KmtError: It is no live model, or not built.
    """
    if not is_live(model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise KmtError(f"a {kind} is no model of Keras", cure="give a keras.Model or a tf_keras.Model")
    structure = structure_of(model, like)
    weights = {id(item.variable): item.weight for item in structure.held}
    optimizer = optimizer_of(model, weights)
    architecture, training, notes = settings_of(model) if whole else (None, None, ())
    tree = Model(
        name=str(model.name),
        layers=structure.layers,
        own_weights=structure.own_weights,
        architecture=architecture,
        optimizer=None if optimizer is None else optimizer.optimizer,
        training_config=training,
        assets=assets_of(model) if whole else (),
        metadata=_metadata(model),
        notes=(*structure.notes, *notes),
    )
    return Live(tree, structure, optimizer)


def _metadata(model: Any) -> Mapping[str, str]:
    return {"keras_version": version_of(model), "backend": backend_of(model), "dialect": "live"}
