"""What a model with several outputs was compiled with: which loss and metrics are for which output.

::

    Keras 2    loss "mse", loss_weights [0.2, 3.0]     one loss is for every output
               loss {"stars": "mse"}                   an output that is not named has none
               metrics ["mae", "mape"]                 all of them are for every output
    Keras 3    a loss for each weight; every output named; a list of metrics is one for each output

Sources: tf_keras 2.21 `engine/compile_utils.py`, `_should_broadcast` and `_conform_to_outputs`; Keras 3.15.1 `trainers/compile_utils.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.envelope import Config, settings_of
from kmodel_tools.architecture.topology import references
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.graph import is_reference
from kmodel_tools.tree import Path

OF_OUTPUTS = ("loss", "loss_weights", "metrics", "weighted_metrics")
METRICS = ("metrics", "weighted_metrics")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a model: a list or a dictionary of them, by these names."""

    names: tuple[str, ...]
    is_dict: bool

    @classmethod
    def of(cls, architecture: Config) -> Outputs:
        """Look at a configuration of Keras 3; a model that is no graph counts as one of a single output."""
        ends = settings_of(architecture).get("output_layers")
        if isinstance(ends, Mapping):
            return cls(tuple(ends), True)
        if not isinstance(ends, list) or is_reference(ends) or not all(is_reference(end) for end in ends):
            return cls((), False)
        return cls(tuple(str(item[0]) for item in references(ends)), False)

    @property
    def are_several(self) -> bool:
        """Whether there is more than one, and each has a name of its own."""
        return len(self.names) > 1 and len(set(self.names)) == len(self.names)

    def each(self, value: Callable[[str, int], Any]) -> Any:
        """A value for each output, in the structure that they have."""
        if self.is_dict:
            return {name: value(name, index) for index, name in enumerate(self.names)}
        return [value(name, index) for index, name in enumerate(self.names)]


def with_outputs(training: Config, architecture: Config, renamed: Mapping[Path, str]) -> Json:
    """A training configuration of Keras 3 that says of each output what Keras 2 took for granted.

    Args:
        training: The configuration, whose losses and metrics are Keras 3's already.
        architecture: The architecture of Keras 3.
        renamed: New names of layers, by the new path of the model around them and their old name.
    """
    found = dict(training)
    outputs = Outputs.of(architecture)
    if not outputs.is_dict:
        for key in OF_OUTPUTS:
            if _is_by_output(found.get(key)):
                found[key] = {renamed.get((name,), name): item for name, item in found[key].items()}
    if not outputs.are_several:
        return found
    _with_metrics_of_each(found, outputs)
    _with_losses_of_each(found, outputs)
    return found


def _is_by_output(value: Any) -> bool:
    return isinstance(value, Mapping) and not isinstance(value.get("class_name"), str)


def _with_metrics_of_each(training: Json, outputs: Outputs) -> None:
    """Metrics in one list are for every output.

    Cures metrics that change their output without a word, or `tuple arity mismatch; expected: 2, got: 1` when the model is evaluated.
    """
    for key in METRICS:
        value = training.get(key)
        if isinstance(value, list) and any(item is not None for item in value) and not any(_is_nested(item) for item in value):
            training[key] = outputs.each(lambda name, index, items=value: list(items))  # type: ignore[misc]  # bound at once


def _is_nested(item: Any) -> bool:
    return isinstance(item, list) or _is_by_output(item)


def _with_losses_of_each(training: Json, outputs: Outputs) -> None:
    """A loss for every output, or None: where only some are named, and where they have weights.

    Cures ``Expected keys ['p', 'q'] in loss dict, but found loss.keys()=['q']`` and
    ``loss_weights` must match the number of losses, got 1 losses and 2 weights`.
    """
    loss, weights = training.get("loss"), training.get("loss_weights")
    if isinstance(loss, Mapping) and _is_by_output(loss):
        if not set(loss) <= set(outputs.names):
            return
        training["loss"] = loss = {name: loss.get(name) for name in outputs.names}
    elif loss is not None and not isinstance(loss, list) and weights is not None:
        training["loss"] = loss = outputs.each(lambda name, index: loss)
    if isinstance(weights, Mapping) and isinstance(loss, list | Mapping) and set(weights) <= set(outputs.names):
        whole = {name: weights.get(name, 1.0) for name in outputs.names}
        training["loss_weights"] = whole if isinstance(loss, Mapping) else _listed(whole, outputs.names)


def _listed(values: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [values[name] for name in names]
