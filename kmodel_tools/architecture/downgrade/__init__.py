"""Architectures of Keras 3, carried back to Keras 2: the configuration as its `.h5` files hold it, and what becomes of the weights.

The mirror of `architecture.upgrade`. What changed its meaning between the generations is expressed in layers that Keras 2 has;
what Keras 2 does not have is an error that names the layer. What is written loads in every TensorFlow that has its layers and
their arguments: settings at their defaults that earlier releases do not know are left out, and the classes are called as all of
them call them. The rules are small functions by theme: `layers`, `semantics`, `arguments`, `graph`, `objects`, `training`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmodel_tools.architecture.custom_objects import CustomObject, custom_objects
from kmodel_tools.architecture.downgrade.walk import downgraded_layer
from kmodel_tools.architecture.envelope import Config, Era, version_numbers
from kmodel_tools.architecture.layers_by_path import LayersByPath
from kmodel_tools.architecture.upgrade.draft import Notes, reading
from kmodel_tools.architecture.upgrade.within_keras_3 import brought_up
from kmodel_tools.architecture.weight_rules import WeightRule
from kmodel_tools.tree import Model, Path

KERAS_VERSION = "2.15.0"
"""The release whose files are written: the last Keras 2 that is TensorFlow's own; tf_keras goes on from there."""


@dataclass(frozen=True, slots=True)
class Downgraded:
    """An architecture of Keras 2, and how it came from one of Keras 3.

    Attributes:
        config: The configuration, as a legacy `.h5` holds it.
        renamed: New names of layers, by the new path of the model around them and their old name.
        rules: What the weights are made of whose values change; they speak of the new names.
        changes: What was expressed in another way, and why: a sentence each.
        custom: The classes and functions that loading it needs.
    """

    config: Config
    renamed: Mapping[Path, str]
    rules: tuple[WeightRule, ...]
    changes: tuple[str, ...]
    custom: tuple[CustomObject, ...]


def downgrade(config: Config, keras_version: str | None = None, held: Model | None = None) -> Downgraded:
    """Carry an architecture of Keras 3 to Keras 2.

    Args:
        config: The configuration of a model, as its file has it.
        keras_version: The version that wrote it, where the file says so.
        held: The model that it is of, where it is at hand: it tells shapes of weights, and what files of layers hold.

    Raises:
        UpgradeError: A layer has no equivalent in Keras 2.
        ConfigError: It is not a model's configuration.
    """
    with reading("the architecture"):
        notes = Notes(Era.KERAS_3, held=LayersByPath(held) if held is not None else None)
    notes.version = version_numbers(keras_version or "")
    made, _ = downgraded_layer(brought_up(config, keras_version, notes), ((),), notes)
    return Downgraded(made, notes.renamed, tuple(notes.rules), notes.sentences(), custom_objects(made))
