"""Initializers, regularizers, constraints, dtype policies and functions inside of a layer's configuration, as Keras 3 spells them.

::

    {"class_name": "GlorotUniform", "config": {"seed": null, "dtype": "float32"}}
    {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null}, "registered_name": null}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import registered_as
from kmodel_tools.architecture.upgrade.draft import Draft, Json, UpgradeError

_INITIALIZER_NAMES = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal RandomNormal
    RandomUniform TruncatedNormal VarianceScaling Zeros
"""
_ACTIVATION_NAMES = """
    elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu softmax softplus
    softsign swish tanh
"""
INITIALIZERS = frozenset(_INITIALIZER_NAMES.split())
ACTIVATIONS = frozenset(_ACTIVATION_NAMES.split())
REGULARIZERS = frozenset({"L1", "L2", "L1L2", "OrthogonalRegularizer"})
CONSTRAINTS = frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"})
POLICIES = frozenset({"Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy"})
LISTS = frozenset({"__tuple__", "TensorShape"})
FUNCTION = "function"

_OLD_NAMES = {
    "OrthogonalInitializer": "Orthogonal",
    "IdentityInitializer": "Identity",
    "NormalInitializer": "RandomNormal",
    "UniformInitializer": "RandomUniform",
    **{f"{name}V2": name for name in ("Zeros", "Ones", "Constant", "RandomUniform", "RandomNormal", "TruncatedNormal", "VarianceScaling")},
}
_ACTIVATIONS = {"softmax_v2": "softmax", "relu_v2": "relu", "elu_v2": "elu", "swish_impl": "swish", "identity": "linear"}
"""Names that TensorFlow's own functions left in configurations (tf_keras 2.21 `activations.py`, `_TF_ACTIVATIONS_V2`)."""
ACTIVATION_KEYS = ("activation", "recurrent_activation")


def plain_class(name: str) -> str:
    """A class of Keras's own without the package that it was registered under."""
    package, _, plain = name.rpartition(">")
    plain = plain if package in ("", "keras", "Keras") else name
    return _OLD_NAMES.get(plain, plain)


def spelled(module: str | None, class_name: str, config: Any, registered: str | None = None) -> Json:
    """An object as archives of Keras 3 hold it."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered}


def activation_of(draft: Draft, key: str = "activation") -> str | None:
    """The name of an activation function, or None where it is an object or there is none."""
    value = draft.config.get(key)
    if isinstance(value, Mapping) and value.get("class_name") == FUNCTION:
        value = value.get("config")
    return _ACTIVATIONS.get(value, value) if isinstance(value, str) else None


def plain_value(value: Any) -> Any:
    """A number or lists of numbers, which may be wrapped as an array of NumPy's or as a tuple."""
    if isinstance(value, Mapping) and set(value) == {"type", "value"}:
        value = value["value"]
    if isinstance(value, Mapping) and value.get("class_name") in LISTS:
        value = value.get("items")
    return [plain_value(item) for item in value] if isinstance(value, list) else value


def sizes(value: Any, rank: int) -> tuple[int, ...]:
    """A size along each of some axes, of which one may stand for all.

    Raises:
        UpgradeError: It is none.
    """
    plain = plain_value(value)
    found = plain if isinstance(plain, list) else [plain] * rank
    if len(found) != rank or not all(isinstance(size, int) and size > 0 for size in found):
        raise UpgradeError(f"{value!r} is no size along {rank} axes")
    return tuple(found)


def upgraded_value(key: str, value: Any, layer: Callable[[Mapping[str, Any], str], Json]) -> Any:
    """An argument of a layer, upgraded.

    Args:
        key: Its name.
        value: The argument.
        layer: Upgrades an object that is a layer, or belongs to no other kind; given the object and the name of the argument.
    """
    if isinstance(value, list):
        return [upgraded_value(key, item, layer) for item in value]
    if not isinstance(value, Mapping):
        return _ACTIVATIONS.get(value, value) if key in ACTIVATION_KEYS and isinstance(value, str) else value
    if set(value) == {"type", "value"}:
        return value["value"]  # an array or a number of NumPy's, as Keras 2.0 to 2.3 wrote it
    kind = value.get("class_name")
    if not isinstance(kind, str):
        return {name: upgraded_value(name, item, layer) for name, item in value.items()}
    if kind in LISTS and isinstance(value.get("items"), list):
        return [upgraded_value(key, item, layer) for item in value["items"]]
    return _upgraded_object(key, value, plain_class(kind), layer)


def _upgraded_object(key: str, value: Mapping[str, Any], kind: str, layer: Callable[[Mapping[str, Any], str], Json]) -> Any:
    inner = value.get("config")
    settings = inner if isinstance(inner, Mapping) else {}
    if kind in POLICIES:
        return spelled("keras", "DTypePolicy", {"name": settings.get("name")})
    if kind == FUNCTION and isinstance(inner, str):
        name = _ACTIVATIONS.get(inner, inner)
        return name if key in ACTIVATION_KEYS and name in ACTIVATIONS else _function(value, inner)
    if kind.startswith("__"):
        return dict(value)
    if kind in INITIALIZERS and not key.endswith("_regularizer"):
        return spelled("keras.initializers", kind, _of_initializer(kind, settings))
    if kind in REGULARIZERS:
        return spelled("keras.regularizers", kind, {name: upgraded_value(name, item, layer) for name, item in settings.items()})
    if kind in CONSTRAINTS:
        return spelled("keras.constraints", kind, dict(settings))
    return layer(value, key)


def _function(value: Mapping[str, Any], name: str) -> Json:
    """Somebody's own function: found by its name among the custom objects."""
    return spelled("builtins", FUNCTION, name, registered_as(value) or FUNCTION)


def _of_initializer(kind: str, settings: Mapping[str, Any]) -> Json:
    """The arguments of an initializer.

    TensorFlow 1 wrote `dtype`, which Keras 3 does not take: `__init__() got an unexpected keyword argument 'dtype'`.
    """
    if kind in ("Zeros", "Ones"):
        return {}
    found = {name: item for name, item in settings.items() if name not in ("dtype", "partition_info", "layout")}
    value = found.get("value")
    if isinstance(value, Mapping) and "value" in value:
        found["value"] = value["value"]
    return found
