"""Which framework a live object is of, told by its classes and by what is loaded already: no framework is imported here.

A live model exists only where its framework does, so whatever is asked of that is found in `sys.modules`.
"""

from __future__ import annotations

import enum
import sys
from types import ModuleType
from typing import Any, Protocol

from kmodel_tools.errors import KmtError

KERAS_2_HOMES = ("tf_keras", "keras", "tensorflow")
"""Top modules of Keras 2: the package of its own, `keras` up to 2.15, `tensorflow.python.keras` up to TensorFlow 2.5."""


class LiveModel(Protocol):
    """What every live model has, whatever framework it is of."""

    @property
    def layers(self) -> Any:
        """Its layers."""
        ...

    @property
    def weights(self) -> Any:
        """Its variables."""
        ...


class Framework(enum.Enum):
    """The two generations of Keras that live models are of, by the name that the package has for them."""

    KERAS_3 = "Keras 3"
    KERAS_2 = "Keras 2"


def framework_of(value: object) -> Framework | None:
    """The generation of a live layer or model, or None for anything else."""
    for base in type(value).__mro__:
        top = base.__module__.partition(".")[0]
        if base.__name__ != "Layer" or top not in KERAS_2_HOMES:
            continue
        if top == "keras" and str(getattr(sys.modules.get("keras"), "__version__", "")).partition(".")[0] not in ("", "1", "2"):
            return Framework.KERAS_3
        return Framework.KERAS_2
    return None


def is_live(value: object) -> bool:
    """Whether something is a live model of Keras 3, tf_keras or Keras 2; nothing is imported to tell."""
    return framework_of(value) is not None and is_a(value, "Model")


def is_a(value: object, *names: str) -> bool:
    """Whether an object is of a class of Keras with one of these names, or of one that derives from it."""
    return any(base.__name__ in names and base.__module__.partition(".")[0] in KERAS_2_HOMES for base in type(value).__mro__)


def is_layer(value: object) -> bool:
    """Whether an object is a layer; a metric of Keras 2 is one by its class, and no part of a model's structure."""
    return is_a(value, "Layer") and not is_a(value, "Metric")


def is_graph(layer: object) -> bool:
    """Whether a layer is a graph or a list of layers, which calls them by name."""
    return is_a(layer, "Functional", "Sequential")


def is_builtin_class(layer: object) -> bool:
    """Whether a layer's class is the framework's own, and not somebody's who derived from it."""
    return type(layer).__module__.partition(".")[0] in KERAS_2_HOMES


def part_of(model: object, *paths: str) -> Any:
    """The first loaded module of a model's framework under one of these paths (`saving.saving_lib`), or None."""
    for home in homes_of(model):
        for path in paths:
            module = sys.modules.get(f"{home}.{path}")
            if module is not None:
                return module
    return None


def homes_of(model: object) -> list[str]:
    """The packages that a model's framework may have its modules in, the likely one first."""
    base = next(base for base in type(model).__mro__ if base.__name__ == "Layer" and base.__module__.partition(".")[0] in KERAS_2_HOMES)
    top = base.__module__.partition(".")[0]
    return [f"{top}.src", top] if top != "tensorflow" else ["tensorflow.python.keras"]


def version_of(model: object) -> str:
    """The version of a model's framework."""
    for home in homes_of(model):
        module: ModuleType | None = sys.modules.get(home)
        version = getattr(module, "__version__", None)
        if isinstance(version, str):
            return version.removesuffix("-tf")
    raise KmtError("the release of Keras that the model is of is not known")


def backend_of(model: object) -> str:
    """What computes for a model: `tensorflow`, `jax`, `torch`."""
    if framework_of(model) is not Framework.KERAS_3:
        return "tensorflow"
    module = part_of(model, "backend")
    return str(module.backend()) if module is not None else ""
