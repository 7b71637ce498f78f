"""Architectures of earlier generations, carried to Keras 3: the configuration upgraded, and what becomes of the weights.

A configuration goes in as its file has it, and comes out as a `.keras` archive of Keras 3 holds it. What changed its
meaning between the generations is expressed in layers that Keras 3 has, so that the model loads without further code and
predicts what it predicted; what cannot be expressed is an error that names the layer. The rules are small functions by
theme: `layers` (classes), `semantics` (meaning), `arguments`, `inputs`, `graph`, `objects`, `training`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmodel_tools.architecture.custom_objects import CustomObject, custom_objects
from kmodel_tools.architecture.envelope import Config, Era, era_of, version_numbers
from kmodel_tools.architecture.layers_by_path import LayersByPath
from kmodel_tools.architecture.upgrade.draft import Notes, reading
from kmodel_tools.architecture.upgrade.draft import UpgradeError as UpgradeError
from kmodel_tools.architecture.upgrade.theano import THEANO
from kmodel_tools.architecture.upgrade.walk import upgraded_layer
from kmodel_tools.architecture.upgrade.widths import widths
from kmodel_tools.architecture.upgrade.within_keras_3 import brought_up
from kmodel_tools.architecture.weight_rules import WeightRule
from kmodel_tools.tree import Model, Path

KERAS_VERSION = "3.15.1"
"""The release whose configurations are written."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An architecture of Keras 3, and how it came from an earlier one.

    Attributes:
        config: The configuration, as a `.keras` archive holds it.
        renamed: New names of layers, by the new path of the model around them and their old name.
        rules: What the weights are made of whose values change; they speak of the new names.
        changes: What was expressed in another way, and why: a sentence each.
        custom: The classes and functions that loading it needs.
        uncalled: Paths of layers that are left out, for no model calls them.
    """

    config: Config
    renamed: Mapping[Path, str]
    rules: tuple[WeightRule, ...]
    changes: tuple[str, ...]
    custom: tuple[CustomObject, ...]
    uncalled: tuple[Path, ...] = ()


def upgrade(config: Config, keras_version: str | None = None, held: Model | None = None, backend: str | None = None) -> Upgraded:
    """Carry an architecture to Keras 3. One of Keras 3 changes as little as its last release needs.

    Args:
        config: The configuration of a model, as its file has it.
        keras_version: The version that wrote it, where the file says so.
        held: The model that it is of, where it is at hand: it tells shapes of weights that the configuration does not.
        backend: What ran it, where the file says so: "theano" computes convolutions otherwise.

    Raises:
        UpgradeError: A layer has no equivalent in Keras 3.
        ConfigError: It is not a model's configuration.
    """
    era = era_of(config, keras_version)
    if era is Era.KERAS_3:
        notes = Notes(era)
        same = brought_up(config, keras_version, notes)
        return Upgraded(same, {}, (), notes.sentences(), custom_objects(same))
    if era in (Era.KERAS_0, Era.KERAS_1):
        raise UpgradeError(f"an architecture of {era.value}")
    with reading("the architecture"):
        notes = Notes(era, widths=widths(config), held=LayersByPath(held) if held is not None else None)
    notes.backend = (backend or "") if era is Era.KERAS_2 else ""
    notes.version = version_numbers(keras_version or "")
    if notes.backend not in ("", THEANO, "tensorflow"):
        notes.say(f"{notes.backend} ran it, which may pad on another side than TensorFlow; taken for TensorFlow's", "the model")
    upgraded, _ = upgraded_layer(config, ((),), notes)
    return Upgraded(upgraded, notes.renamed, tuple(notes.rules), notes.sentences(), custom_objects(upgraded), tuple(notes.uncalled))
