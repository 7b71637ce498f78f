"""What a model was compiled with that may mean something else after loading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, literal, shown
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.doctor.safety import places

GUESSED = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}
"""Names of metrics that Keras replaces by one that fits the loss and the shapes (Keras 3.15.1,
`trainers/compile_utils.py`, `get_metric`)."""
KNOWN = ("sparse_categorical", "categorical", "binary")


def guessed_metrics(case: Case) -> Iterator[Finding]:
    """Metrics whose name leaves open which one is meant."""
    config = None if case.model is None else case.model.training_config
    if config is None:
        return
    loss = _loss(config.get("loss"))
    found = [Evidence("", key, name) for key in ("metrics", "weighted_metrics") for name in _names(config.get(key)) if name in GUESSED]
    if not found:
        return
    kind = next((kind for kind in KNOWN if kind in loss), "")
    family = GUESSED[found[0].value]
    named = f"{kind}_{family}" if kind else f"sparse_categorical_{family}"
    cure = f'model.compile(model.optimizer, model.loss, metrics=["{named}"])' + ("" if kind else "  # or the one that you mean")
    yield finding("metric-guessed", [*dict.fromkeys(found), Evidence("", "loss", loss or "not said")], cure)


def _names(value: Any) -> Iterator[str]:
    """The metrics that stand there by name alone, for one output or several."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, Mapping) and "class_name" not in item:
            stack.extend(reversed(list(item.values())))


def _loss(value: Any) -> str:
    from kmodel_tools.architecture.names import snake_case

    if isinstance(value, Mapping) and "class_name" in value:
        inner = value.get("config")
        value = inner if value["class_name"] == "function" else value["class_name"]
    if isinstance(value, str):
        return snake_case(value)
    return ", ".join(sorted(set(_names(value)))) if isinstance(value, (list, Mapping)) else ""


SHORT = frozenset(["mse", "mae", "mape", "msle", "kld", "bce"])
ALIASES = SHORT | {name.upper() for name in SHORT} | {"cosine_proximity", "kullback_leibler_divergence", "logcosh", "huber_loss"}
"""Names of losses that Keras 3 knows in `compile`, or knew, and refuses in an `.h5` file."""
OLD_SETTINGS = frozenset({"lr", "jit_compile", "is_legacy_optimizer", "schedule_decay"})
"""Arguments of earlier optimizers that those of Keras 3 do not take, whatever the value; `decay` they leave out with a warning."""


def refused_settings(case: Case) -> Iterator[Finding]:
    """Losses and arguments of the optimizer for which Keras 3 does not load a whole model in HDF5.

    `ValueError: Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass`, `Argument(s) not recognized:
    {'lr': 0.001}`. Source: Keras 3.15.1 `legacy/saving/saving_utils.py` (`compile_args_from_training_config`), which looks for losses
    among classes and functions that have the very name, and `optimizers/base_optimizer.py`.
    """
    model = case.model
    if model is None or model.format != "keras-h5" or model.architecture is None or model.training_config is None:
        return
    config = model.training_config
    found = [Evidence("", "loss", name) for name in dict.fromkeys(_names(config.get("loss"))) if name in ALIASES]
    found += [Evidence("", "loss.reduction", "auto") for _, _, item in places(config.get("loss")) if item.get("reduction") == "auto"][:1]
    optimizer = config.get("optimizer_config")
    settings = optimizer.get("config") if isinstance(optimizer, Mapping) else None
    if isinstance(settings, Mapping):
        found += [Evidence("", f"optimizer_config.{key}", shown(value)) for key, value in settings.items() if key in OLD_SETTINGS]
    if found:
        yield finding("compile-rejected-by-keras-3", found, f"keras.models.load_model({literal(case.path)}, compile=False)")


CHECKS = (guessed_metrics, refused_settings)
