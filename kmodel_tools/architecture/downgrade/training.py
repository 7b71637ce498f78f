"""What a model was compiled with, as legacy `.h5` files of Keras 2 hold it.

::

    Keras 3    {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.001, …}, …},
                "loss": "mean_squared_error", "metrics": ["accuracy"]}
    Keras 2    {"optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 0.001, "is_legacy_optimizer": false}},
                "loss": "mean_squared_error", "metrics": ["accuracy"], "weighted_metrics": null, "loss_weights": null}

Settings of an optimizer that earlier releases do not know, and that are as they are without them, are left out. What is not
Keras's own is passed on as somebody's own object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import Config, registered_as, settings_of
from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.spelling import UNLISTED
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.objects import FUNCTION, LISTS, POLICIES
from kmodel_tools.architecture.upgrade.training import LOSSES, METRICS, OPTIMIZERS, SCHEDULES

NEW = frozenset({"CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "ConcordanceCorrelation", "Dice", "PearsonCorrelation", "Tversky"})
"""Losses and metrics that Keras 2 does not have."""
KNOWN = LOSSES | METRICS | {"MeanMetricWrapper"}
"""Losses and metrics that both generations have."""
NEW_NAMES = frozenset(
    {"categorical_generalized_cross_entropy", "circle", "ctc", "dice", "tversky", "pearson_correlation", "concordance_correlation"}
)
DEFAULTS: Mapping[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
"""What every optimizer of Keras 3 says, and what it does without it."""
OF_KERAS_3 = frozenset({"loss_scale_factor", "gradient_accumulation_steps"})
REDUCTIONS = {"mean_with_sample_weight": "sum_over_batch_size", "mean": "sum_over_batch_size"}


@dataclass(slots=True)
class Training:
    """A training configuration of Keras 2, or None where there is none to be had.

    Attributes:
        config: What legacy files hold as `training_config`.
        changes: What was expressed in another way.
        lost: What has no equivalent in Keras 2, with the reason.
    """

    config: Json | None = None
    changes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def downgraded_training(config: Config) -> Training:
    """Carry a training configuration of Keras 3 to Keras 2."""
    training = Training()
    given = config.get("optimizer_config", config.get("optimizer"))
    optimizer = _optimizer(given, training)
    if optimizer is None:
        name = given.get("class_name") if isinstance(given, Mapping) else given
        why = f"Keras 2 has no optimizer {name}" if name else "it names no optimizer, which Keras 2 asks for"
        training.lost.append(f"the training configuration ({why})")
        return training
    new = sorted(_new_in(config.get("loss")) | _new_in(config.get("metrics")) | _new_in(config.get("weighted_metrics")))
    if new:
        training.lost.append(f"the training configuration (Keras 2 does not have {', '.join(new)})")
        return training
    training.config = {
        "loss": _plain(config.get("loss"), training),
        "metrics": _plain(config.get("metrics"), training),
        "weighted_metrics": _plain(config.get("weighted_metrics"), training),
        "loss_weights": config.get("loss_weights"),
        "optimizer_config": optimizer,
    }
    return training


def _optimizer(given: Any, training: Training) -> Json | None:
    """An optimizer, or None for one that Keras 2 does not have."""
    if isinstance(given, str):
        known = OPTIMIZERS.get(kind_of(given))
        return {"class_name": UNLISTED.get(known[0], known[0]), "config": {"is_legacy_optimizer": False}} if known else None
    if not isinstance(given, Mapping):
        return None
    kind = kind_of(str(given.get("class_name")))
    config = dict(settings_of(given))
    if kind not in OPTIMIZERS:
        registered = registered_as(given)
        return {"class_name": registered, "config": config} if registered is not None else None
    for key in OF_KERAS_3:
        if config.get(key) is not None:
            training.changes.append(f"the optimizer's {key} ({config[key]}) is not in Keras 2, and left out")
            del config[key]
    if not config.get("use_ema"):
        config.pop("ema_momentum", None)
    kept = {key: value for key, value in config.items() if key not in DEFAULTS or value != DEFAULTS[key]}
    rate = kept.get("learning_rate")
    if isinstance(rate, Mapping):
        plain = str(rate.get("class_name")).rpartition(">")[2]
        kept["learning_rate"] = {
            "class_name": plain if plain in SCHEDULES else rate.get("registered_name") or plain,
            "config": rate.get("config"),
        }
    # Without this, tf_keras makes an optimizer of Keras up to 2.10, which counts its state otherwise.
    name = OPTIMIZERS[kind][0]
    return {"class_name": UNLISTED.get(name, name), "config": kept | {"is_legacy_optimizer": False}}


def _new_in(value: Any) -> set[str]:
    """The losses and metrics among some that Keras 2 does not have."""
    found = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            found |= {item["class_name"]} & NEW if isinstance(item.get("class_name"), str) else set()
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, str):
            found |= {item.lower()} & NEW_NAMES
    return found


def _plain(value: Any, training: Training) -> Any:
    """Losses or metrics: names and objects, in the structure that they have."""
    if isinstance(value, list):
        return [_plain(item, training) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("class_name")
    if not isinstance(kind, str):
        return {key: _plain(item, training) for key, item in value.items()}
    if kind in LISTS:
        return _plain(value.get("items"), training)
    settings = value.get("config")
    if kind == FUNCTION and isinstance(settings, str):
        return settings
    plain = kind.rpartition(">")[2]
    if plain not in KNOWN or not isinstance(settings, Mapping):
        return {"class_name": registered_as(value) or kind, "config": settings}
    return {"class_name": plain, "config": _settings(plain, settings, training)}


def _settings(kind: str, settings: Mapping[str, Any], training: Training) -> Json:
    """The settings of a loss or a metric that Keras 2 takes; its losses have no dtype of their own."""
    found = {key: item for key, item in settings.items() if key != "dtype" or kind not in LOSSES - METRICS}
    reduction = found.get("reduction")
    if reduction in REDUCTIONS:
        found["reduction"] = REDUCTIONS[reduction]
        training.changes.append(f"the reduction {reduction} of {kind} is not in Keras 2: written as {found['reduction']}")
    dtype = found.get("dtype")
    if isinstance(dtype, Mapping) and dtype.get("class_name") in POLICIES:
        found["dtype"] = settings_of(dtype).get("name")
    function = found.get("fn")
    if isinstance(function, Mapping) and function.get("class_name") == FUNCTION and isinstance(function.get("config"), str):
        # Cures `Unknown metric function: 'function'` (tf_keras 2.21 `metrics/base_metric.py`, `MeanMetricWrapper.from_config`).
        found["fn"] = registered_as(function) or function["config"]
    return found
