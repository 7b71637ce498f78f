"""What a model was compiled with, as archives of Keras 3 hold it.

::

    Keras 2    {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.001, "decay": 0.0}}, "loss": "mse", "metrics": ["acc"],
                "sample_weight_mode": null}
    Keras 3    {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.001}, …},
                "loss": "mean_squared_error", "metrics": ["accuracy"]}

Keras 3 does not load a model at all whose training configuration it does not take; so what has no equivalent is left
out, and said, and what is not known to be Keras's own is passed on as somebody's own object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import Config, Era, registered_as, settings_of
from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.objects import LISTS, POLICIES, spelled

_OF_ALL = """learning_rate weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
    loss_scale_factor gradient_accumulation_steps name"""
OPTIMIZERS: Mapping[str, tuple[str, str]] = {
    "adam": ("Adam", "beta_1 beta_2 epsilon amsgrad"),
    "adamw": ("AdamW", "beta_1 beta_2 epsilon amsgrad"),
    "adamax": ("Adamax", "beta_1 beta_2 epsilon"),
    "nadam": ("Nadam", "beta_1 beta_2 epsilon"),
    "adagrad": ("Adagrad", "initial_accumulator_value epsilon"),
    "adadelta": ("Adadelta", "rho epsilon"),
    "rmsprop": ("RMSprop", "rho momentum epsilon centered"),
    "sgd": ("SGD", "momentum nesterov"),
    "lion": ("Lion", "beta_1 beta_2"),
    "adafactor": ("Adafactor", "beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step"),
    "ftrl": (
        "Ftrl",
        "learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength "
        "l2_shrinkage_regularization_strength beta",
    ),
}
"""Optimizers that Keras 3 has too, and what they take beside `_OF_ALL` (Keras 3.15.1, the signatures of `keras.optimizers`)."""
WRAPPERS = frozenset({"lossscaleoptimizer", "lossscaleoptimizerv3"})
SCHEDULES = frozenset(
    {"ExponentialDecay", "PiecewiseConstantDecay", "PolynomialDecay", "InverseTimeDecay", "CosineDecay", "CosineDecayRestarts"}
)
EPSILON = 1e-7
NADAM_DECAY = 0.004
"""What Keras 3 has built into Nadam, and Keras 2.0 to 2.3 let choose."""

NAMES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "bce": "binary_crossentropy",
    "acc": "accuracy",
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "cosine": "cosine_similarity",
    "logcosh": "log_cosh",
}
"""Functions that are known under a shorter or an older name; in capitals too."""
KEPT_NAMES = frozenset({"mse", "mae", "mape", "msle", "acc"})
"""Short names of metrics that Keras 3 takes in an archive: logs and callbacks (`val_mae`) go by them."""
LOSSES = frozenset(
    {
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "CategoricalHinge",
        "CosineSimilarity",
        "Hinge",
        "Huber",
        "KLDivergence",
        "LogCosh",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
    }
)
METRICS = LOSSES - {"BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "Huber", "LogCosh"} | {
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "IoU",
    "LogCoshError",
    "Mean",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
}
KEPT = ("loss_weights", "run_eagerly", "steps_per_execution", "jit_compile")


@dataclass(slots=True)
class Training:
    """An upgraded training configuration, or None where there is none to be had.

    Attributes:
        config: What archives hold as `compile_config`.
        changes: What was expressed in another way.
        lost: What has no equivalent in Keras 3, with the reason.
    """

    config: Json | None = None
    changes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def upgraded_training(config: Config, era: Era) -> Training:
    """Carry a training configuration of Keras 2 to Keras 3."""
    training = Training()
    given = config.get("optimizer_config", config.get("optimizer"))
    optimizer = _optimizer(given, era, training)
    if optimizer is None:
        training.lost.append(f"the training configuration (Keras 3 has no optimizer {_called(given)})")
        return training
    found: Json = {"optimizer": optimizer, "loss": _losses(config.get("loss"))}
    for key in ("metrics", "weighted_metrics"):
        if config.get(key) is not None:
            found[key] = _metrics(config[key])
    found |= {key: config[key] for key in KEPT if config.get(key) is not None}
    if config.get("sample_weight_mode") not in (None, [], {}) and not _all_none(config["sample_weight_mode"]):
        training.changes.append("sample_weight_mode is not in Keras 3, which takes weights of any shape")
    training.config = found
    return training


def _called(given: Any) -> str:
    return str(given.get("class_name")) if isinstance(given, Mapping) else str(given)


def _all_none(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return all(item is None for item in items)


# Optimizers.


def _optimizer(given: Any, era: Era, training: Training) -> Any:
    """An optimizer, or None for one that Keras 3 does not have and nobody can give it."""
    if isinstance(given, str):
        known = OPTIMIZERS.get(kind_of(given))
        return spelled("keras.optimizers", known[0], {}) if known else None
    if not isinstance(given, Mapping):
        return None
    kind = kind_of(_called(given))
    settings = given.get("config")
    config = dict(settings) if isinstance(settings, Mapping) else {}
    if kind in WRAPPERS:
        return _wrapped(config, era, training)
    if kind not in OPTIMIZERS:
        registered = registered_as(given)
        if kind == "tfoptimizer" or registered is None:
            return None
        return spelled(None, _called(given).rpartition(">")[2], config, registered)
    name, own = OPTIMIZERS[kind]
    config = _settings(kind, config, era, training)
    known_settings = {*_OF_ALL.split(), *own.split()}
    return spelled("keras.optimizers", name, {key: value for key, value in config.items() if key in known_settings})


def _wrapped(config: Json, era: Era, training: Training) -> Any:
    """A LossScaleOptimizer and the one that it wraps."""
    inner = _optimizer(config.get("inner_optimizer", config.get("optimizer")), era, training)
    if inner is None:
        return None
    if config.get("dynamic") is False:
        training.changes.append("the scale of the loss was fixed, and is dynamic in Keras 3")
    kept = {key: config[key] for key in ("initial_scale", "dynamic_growth_steps", "name") if config.get(key) is not None}
    return spelled("keras.optimizers", "LossScaleOptimizer", {"inner_optimizer": inner, **kept})


def _settings(kind: str, config: Json, era: Era, training: Training) -> Json:
    """The settings of an optimizer under their names of today.

    Cures `Argument(s) not recognized: {'lr': 0.001}`. `decay` was a division of the rate by `1 + decay * steps`, which is
    a schedule now; without an `initial_accumulator_value`, Keras up to 2.3 started Adagrad at 0, and Keras 3 at 0.1.
    """
    config = {key: _number(value) for key, value in config.items()}
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    if config.get("epsilon", EPSILON) is None:
        config["epsilon"] = EPSILON
    if kind == "adagrad" and era in (Era.KERAS_1, Era.KERAS_2):
        config.setdefault("initial_accumulator_value", 0.0)
    if kind == "nadam" and "decay" in config:
        # What tf.keras calls so in Nadam is the decay of its momentum (tf_keras 2.21 `optimizers/legacy/nadam.py`, `__init__`).
        config["schedule_decay"] = config.pop("decay")
    if kind == "nadam" and config.get("schedule_decay", NADAM_DECAY) != NADAM_DECAY:
        training.changes.append(f"Nadam's schedule_decay was {config['schedule_decay']}, and is {NADAM_DECAY} in Keras 3")
    rate = config.get("learning_rate")
    if isinstance(rate, Mapping):
        plain = _called(rate).rpartition(">")[2]
        module = "keras.optimizers.schedules" if plain in SCHEDULES else None
        registered = None if module else rate.get("registered_name") or plain
        config["learning_rate"] = spelled(module, plain, _named(rate.get("config")), registered)
    elif (decay := config.get("decay")) and isinstance(decay, float | int):
        schedule = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay, "staircase": False, "name": "InverseTimeDecay"}
        config["learning_rate"] = spelled("keras.optimizers.schedules", "InverseTimeDecay", schedule)
        training.changes.append(f"the optimizer's decay ({decay}) is a schedule of the learning rate in Keras 3")
    return config


def _named(settings: Any) -> Any:
    """The settings of a schedule, which has its class for its name where it has none.

    Cures ``Argument `name` must be a string and cannot contain character `/`. Received: name=None``, in the first step of training.
    """
    if not isinstance(settings, Mapping):
        return settings
    return {key: item for key, item in settings.items() if key != "name" or (isinstance(item, str) and "/" not in item)}


def _number(value: Any) -> Any:
    """A setting; NumPy's numbers were written as objects."""
    return value["value"] if isinstance(value, Mapping) and set(value) == {"type", "value"} else value


# Losses and metrics.


def _losses(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("class_name"), str):
        return _loss(value)
    if isinstance(value, Mapping):
        return {key: _losses(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_losses(item) for item in value]
    return plain_name(value)


def plain_name(value: Any) -> Any:
    """The name of a loss or metric as Keras 3 has it.

    Cures `Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass`.
    """
    return NAMES.get(value.lower() if value.isupper() else value, value) if isinstance(value, str) else value


def _loss(value: Mapping[str, Any]) -> Any:
    kind = str(value["class_name"]).rpartition(">")[2]
    settings = value.get("config")
    if kind == "function" and isinstance(settings, str):
        return plain_name(settings)
    if kind not in LOSSES or not isinstance(settings, Mapping):
        return _somebodys(value)
    config = {key: item for key, item in settings.items() if key != "fn"}
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return spelled("keras.losses", kind, config)


def _metrics(value: Any) -> Any:
    """Metrics: names or objects, in lists of lists for several outputs; for one output, in one list.

    An output without any has `[None]` in Keras 2, and None in Keras 3: `Expected metric, received None`.
    """
    if isinstance(value, Mapping) and isinstance(value.get("class_name"), str):
        if value["class_name"] in LISTS:
            return _metrics(value.get("items"))
        return _metric(value)
    if isinstance(value, Mapping):
        return {key: _metrics(item) for key, item in value.items()}
    if isinstance(value, list):
        found = [None if item == [None] else _metrics(item) for item in value]
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found
    return value if isinstance(value, str) and value.lower() in KEPT_NAMES else plain_name(value)


def _metric(value: Mapping[str, Any]) -> Any:
    kind = str(value["class_name"]).rpartition(">")[2]
    settings = value.get("config")
    if kind == "function" and isinstance(settings, str):
        return plain_name(settings)
    if kind in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper") and isinstance(settings, Mapping):
        function = settings.get("fn")
        name = function.get("config") if isinstance(function, Mapping) else function
        return plain_name(name) if isinstance(name, str) else _somebodys(value)
    if kind not in METRICS or not isinstance(settings, Mapping):
        return _somebodys(value)
    config = {key: item for key, item in settings.items() if key != "fn"}
    dtype = config.get("dtype")
    if isinstance(dtype, Mapping) and dtype.get("class_name") in POLICIES:
        config["dtype"] = settings_of(dtype).get("name")
    return spelled("keras.metrics", kind, config)


def _somebodys(value: Mapping[str, Any]) -> Json:
    """An object that Keras does not have: its class must be given when the model is loaded.

    Cures `Invalid value for argument `reduction`. … Received: reduction=auto` of a loss.
    """
    kind = str(value["class_name"])
    registered = value.get("registered_name")
    config = value.get("config")
    if isinstance(config, Mapping) and config.get("reduction") == "auto":
        config = {**config, "reduction": "sum_over_batch_size"}
    return spelled(None, kind.rpartition(">")[2], config, registered if isinstance(registered, str) else kind)
