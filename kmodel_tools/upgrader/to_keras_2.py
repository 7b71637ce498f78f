"""A model of Keras 3 as one of Keras 2: architecture, names, weights, optimizer and training configuration."""

from __future__ import annotations

from dataclasses import replace

from kmodel_tools.architecture.downgrade import KERAS_VERSION, downgrade
from kmodel_tools.architecture.downgrade.training import Training, downgraded_training
from kmodel_tools.architecture.envelope import ConfigError, class_of, is_model
from kmodel_tools.errors import ConversionError
from kmodel_tools.tree import Model
from kmodel_tools.upgrader import apply_rules
from kmodel_tools.upgrader.to_keras_3 import Upgrade, renamed

GENERATOR = "seed_generator_state"
NO_GENERATORS = "the state of random generators: Keras 2 keeps none"


def downgraded(model: Model) -> Upgrade:
    """Carry a model of Keras 3 back to Keras 2.

    Raises:
        ConversionError: Something in it has no equivalent there.
    """
    assert model.architecture is not None
    try:
        new = downgrade(model.architecture, model.metadata.get("keras_version"), model)
    except ConfigError as error:
        raise ConversionError(
            f"the architecture cannot be carried back to Keras 2: {error}",
            cure="put another layer in its place with --replace-layer, or convert its weights alone with --weights-only",
        ) from error
    training = downgraded_training(model.training_config) if model.training_config else Training()
    changes = (*new.changes, *training.changes)
    named = replace(renamed(model, new.renamed), training_config=training.config)
    if not is_model(class_of(new.config), new.config["config"]):
        # Only its own code knows the layers of a model that is no graph: the tree stays as it was read.
        metadata = {**model.metadata, "keras_version": KERAS_VERSION}
        return Upgrade(replace(named, architecture=new.config, metadata=metadata), changes, tuple(training.lost), ())
    generators = {path: NO_GENERATORS for path, weight in named.weights() if weight.role == GENERATOR}
    applied = apply_rules(named, new.config, new.rules, KERAS_VERSION, generators)
    lost = [line for line in applied.lost if NO_GENERATORS not in line]
    return Upgrade(applied.model, changes, (*training.lost, *lost), (NO_GENERATORS,) if generators else ())
