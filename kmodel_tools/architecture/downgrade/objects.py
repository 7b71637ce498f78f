"""Initializers, regularizers, constraints, dtype policies and functions inside of a layer's configuration, as `.h5` of Keras 2 have them.

::

    {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null}, "registered_name": null}
    {"class_name": "GlorotUniform", "config": {"seed": null}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import registered_as, settings_of
from kmodel_tools.architecture.upgrade.draft import Draft, Json
from kmodel_tools.architecture.upgrade.objects import (
    ACTIVATION_KEYS,
    CONSTRAINTS,
    FUNCTION,
    INITIALIZERS,
    LISTS,
    POLICIES,
    REGULARIZERS,
    plain_class,
    plain_value,
)

OF_KERAS_3 = frozenset({"input_axes", "output_axes"})
"""Settings of initializers that Keras 3.13 and later write, and that say where a kernel's axes lie."""
MIXED = "mixed_"
ACTIVATIONS: Mapping[str, Any] = {
    "silu": "swish",
    "celu": "elu",
    "relu6": {"class_name": "ReLU", "config": {"max_value": 6.0}},
    "leaky_relu": {"class_name": "LeakyReLU", "config": {"alpha": 0.2}},
}
"""Functions of Keras 3 that every TensorFlow knows under another name, or as a layer (Keras 3.15.1 `activations/activations.py`)."""
_GONE_NAMES = """
    glu hard_shrink hard_silu hard_swish hard_tanh log_sigmoid soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink
    threshold
"""
TUPLES = frozenset({"ngrams"})
"""Arguments that Keras 2 takes as a tuple and not as a list: ``ngrams` must be None, an integer, or a tuple of integers. Received: [1, 3]`.

Its files hold them as `{"class_name": "__tuple__", "items": [1, 3]}` (tf_keras 2.21 `saving/legacy/saved_model/json_utils.py`).
"""
GONE = frozenset(_GONE_NAMES.split())
"""Functions that Keras 2 does not have."""


def downgraded_value(draft: Draft, key: str, value: Any, layer: Callable[[Mapping[str, Any], str], Json]) -> Any:
    """An argument of a layer, as Keras 2 has it.

    Args:
        draft: The layer.
        key: The argument's name.
        value: The argument.
        layer: Downgrades an object that is a layer, or belongs to no other kind; given the object and the name of the argument.

    Raises:
        UpgradeError: Keras 2 has no such object.
    """
    plain = plain_value(value) if key in TUPLES else None
    if isinstance(plain, list):
        return {"class_name": "__tuple__", "items": plain}
    if isinstance(value, list):
        return [downgraded_value(draft, key, item, layer) for item in value]
    if not isinstance(value, Mapping):
        return activation(draft, value) if key in ACTIVATION_KEYS and isinstance(value, str) else value
    kind = value.get("class_name")
    if not isinstance(kind, str):
        return {name: downgraded_value(draft, name, item, layer) for name, item in value.items()}
    if kind in LISTS and isinstance(value.get("items"), list):
        return [downgraded_value(draft, key, item, layer) for item in value["items"]]
    return _downgraded_object(draft, key, value, plain_class(kind), layer)


def _downgraded_object(draft: Draft, key: str, value: Mapping[str, Any], kind: str, layer: Callable[[Mapping[str, Any], str], Json]) -> Any:
    inner = value.get("config")
    settings = inner if isinstance(inner, Mapping) else {}
    if key == "dtype":
        return dtype(draft, value)
    if kind == FUNCTION and isinstance(inner, str):
        return registered_as(value) or inner
    if kind == "__numpy__":
        return settings.get("value")
    if kind == "SeedGenerator":
        return settings.get("seed")
    if kind.startswith("__"):
        return dict(value)
    if kind.startswith("STFT"):
        raise draft.refuse(f"has the initializer {kind}, which Keras 2 does not have")
    if kind in INITIALIZERS and not key.endswith("_regularizer"):
        return {"class_name": kind, "config": _of_initializer(kind, settings)}
    if kind in REGULARIZERS or kind in CONSTRAINTS:
        return {"class_name": kind, "config": dict(settings)}
    return layer(value, key)


def activation(draft: Draft, name: str) -> Any:
    """An activation function by its name.

    Cures `Unknown activation function: 'silu'` of releases before TensorFlow 2.13.

    Raises:
        UpgradeError: Keras 2 does not have it.
    """
    if name in GONE:
        raise draft.refuse(f"applies {name}, which Keras 2 does not have")
    return ACTIVATIONS.get(name, name)


def dtype(draft: Draft, value: Any) -> Any:
    """A dtype, by its name; a mixed policy as an object.

    Raises:
        UpgradeError: It is the policy of a quantized layer, or several policies.
    """
    if not isinstance(value, Mapping):
        return value
    kind, name = plain_class(str(value.get("class_name"))), settings_of(value).get("name")
    if kind not in POLICIES or not isinstance(name, str):
        raise draft.refuse(f"has the dtype policy {kind}, which Keras 2 does not have")
    return {"class_name": "Policy", "config": {"name": name}} if name.startswith(MIXED) else name


def _of_initializer(kind: str, settings: Mapping[str, Any]) -> Json:
    """The arguments of an initializer; a seed that was drawn is the number that it was."""
    if kind in ("Zeros", "Ones"):
        return {}
    found = {name: item for name, item in settings.items() if name not in OF_KERAS_3}
    seed = found.get("seed")
    if isinstance(seed, Mapping):
        found["seed"] = settings_of(seed).get("seed")
    return found
