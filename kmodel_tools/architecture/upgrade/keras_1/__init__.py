"""Architectures of Keras 0.3 and 1, carried to Keras 2, with what becomes of the weights.

A file of Keras 0.3 holds weights alone, numbered; the rules speak of them as the reader calls them (`layer_3` / `0`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmodel_tools.architecture.envelope import Config, Era, era_of, version_numbers
from kmodel_tools.architecture.upgrade.draft import UpgradeError, reading
from kmodel_tools.architecture.upgrade.keras_1.draft import TENSORFLOW, THEANO, Source
from kmodel_tools.architecture.upgrade.keras_1.models import is_model_node, upgraded_model
from kmodel_tools.architecture.weight_rules import WeightRule
from kmodel_tools.tree import Model

KERAS_VERSION = "2.2.4"
"""The release whose configurations are written."""


@dataclass(frozen=True, slots=True)
class Keras2:
    """An architecture of Keras 2, and how it came from an earlier one.

    Attributes:
        config: The configuration, as a file of Keras 2.2.4 holds it.
        rules: What the weights are made of whose place or values change.
        changes: What was expressed in another way, or concluded: a sentence each.
    """

    config: Config
    rules: tuple[WeightRule, ...]
    changes: tuple[str, ...]


def to_keras_2(config: Config, keras_version: str | None = None, backend: str | None = None, held: Model | None = None) -> Keras2:
    """Carry an architecture of Keras 0.3 or 1 to Keras 2.

    Args:
        config: The configuration of a model, as its file has it.
        keras_version: The version that wrote it, where the file says so.
        backend: "theano" or "tensorflow", whichever trained the weights; None concludes it from `held`.
        held: The model that the weights are in, where it is at hand: it tells sizes and names that the configuration does not.

    Raises:
        UpgradeError: Keras 2 has no equivalent of a layer, or the configuration is of another generation.
        ConfigError: It is not a model's configuration.
    """
    era = era_of(config, keras_version)
    if era not in (Era.KERAS_0, Era.KERAS_1):
        raise UpgradeError(f"an architecture of {era.value}, which is not one of Keras 0.3 or 1")
    if not is_model_node(config):
        raise UpgradeError("the configuration is not that of a model")
    told = backend or (backend_of(weight.key for _, weight in held.weights()) if held is not None else None)
    assumed = THEANO if era is Era.KERAS_0 else TENSORFLOW
    source = Source.of(config, told or assumed, era, version_numbers(keras_version or ""), held)
    source.is_told = told is not None
    with reading("the architecture"):
        upgraded = upgraded_model(config, (), (), source)
    return Keras2(upgraded, tuple(source.notes.rules), source.notes.sentences())


def backend_of(keys: Iterable[str]) -> str | None:
    """Who trained the weights of a file of Keras 1, by their names: TensorFlow's end in `:0`, Theano's never do.

    Names of Keras 0.3 are numbers, which say nothing.
    """
    names = [key.rpartition("/")[2] for key in keys]
    if not names or any(name.startswith("param_") for name in names):
        return None
    return TENSORFLOW if all(":" in name for name in names) else None if any(":" in name for name in names) else THEANO
