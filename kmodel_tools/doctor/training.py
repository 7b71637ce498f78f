"""What a model was compiled with that may mean something else after loading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding
from kmodel_tools.doctor.kinds import finding

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
    cure = f'model.compile(…, metrics=["{named}"])' + ("" if kind else "  # or the one that you mean")
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


CHECKS = (guessed_metrics,)
