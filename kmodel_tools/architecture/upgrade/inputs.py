"""Where a model's inputs are said: InputLayer, and the first layer of a Sequential.

::

    Keras 2    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 5], "dtype", "sparse", "ragged", "name"}}
               {"class_name": "Dense", "config": {"batch_input_shape": [null, 5], …}}     first in a Sequential, up to TensorFlow 2.2
    Keras 3    {"class_name": "InputLayer", "config": {"batch_shape": [null, 5], "dtype", "name", …}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import class_of, is_model, settings_of
from kmodel_tools.architecture.upgrade.draft import Draft, Json
from kmodel_tools.architecture.upgrade.objects import LISTS, POLICIES, spelled

SHAPES = ("batch_input_shape", "batch_shape")


def input_layer(name: str, shape: Sequence[Any], dtype: str, **more: Any) -> Json:
    """An InputLayer as Keras 3 spells it."""
    return spelled("keras.layers", "InputLayer", {"name": name, "batch_shape": list(shape), "dtype": dtype, **more})


def upgraded_input(draft: Draft) -> Json:
    """An InputLayer's own configuration: `batch_shape`, and only what Keras 3 takes.

    Cures `Unrecognized keyword arguments: ['batch_input_shape']`, and `ragged`, which releases before 3.13 do not know.

    Raises:
        UpgradeError: Its shape is not said, or it is made of a type.
    """
    config = draft.config
    shape = as_shape(next((config[key] for key in SHAPES if config.get(key) is not None), None))
    if shape is None and isinstance(config.get("shape"), list):
        shape = [config.get("batch_size"), *config["shape"]]
    if shape is None:
        raise draft.refuse("does not say the shape of its input")
    flags = {key: True for key in ("sparse", "ragged", "optional") if config.get(key)}
    return input_layer(str(config["name"]), shape, dtype_name(config.get("dtype")), **flags)


def dtype_name(dtype: Any) -> str:
    """The name of a dtype, which may stand in a policy; inputs of mixed precision are single."""
    if isinstance(dtype, Mapping) and dtype.get("class_name") in POLICIES:
        dtype = settings_of(dtype).get("name")
    if not isinstance(dtype, str) or dtype.startswith("mixed_"):
        return "float32"
    return dtype


def as_shape(value: Any) -> list[Any] | None:
    """A shape, which may be wrapped as a tuple or a TensorShape; None for what is none."""
    if isinstance(value, Mapping) and value.get("class_name") in LISTS:
        value = value.get("items")
    return list(value) if isinstance(value, list) and all(size is None or isinstance(size, int) for size in value) else None


def said_input(node: Mapping[str, Any], is_root: bool) -> Json | None:
    """The InputLayer that a Sequential lacks, from what its first layer or the Sequential itself says; None if there is one.

    Cures `Expected shape (None, None, 4)` and the like: Keras 3 reads the `batch_input_shape` of a first layer as a
    shape without the batch. A nested Sequential that does not say it is built when it is called; an outermost one has no
    weights to load into: `Layer 'dense' expected 2 variables, but received 0 variables during loading`.
    """
    settings = settings_of(node)
    layers = settings.get("layers")
    first = layers[0] if isinstance(layers, list) and layers and isinstance(layers[0], Mapping) else None
    if first is None or class_of(first) == "InputLayer":
        return None
    own = settings_of(first)
    inner = settings_of(own["layer"]) if isinstance(own.get("layer"), Mapping) else {}
    for said in (own, inner):
        shape = None if is_model(class_of(first), own) else next((as_shape(said[key]) for key in SHAPES if key in said), None)
        if shape is not None:
            if said is inner:
                continue  # a wrapped layer's shape is without the axis that the wrapper adds
            return input_layer(f"{own.get('name') or first.get('name')}_input", shape, dtype_name(own.get("dtype")))
    if not is_root or is_model(class_of(first), own):
        return None
    built = node.get("build_config")
    shape = as_shape(settings.get("build_input_shape"))
    shape = as_shape(built.get("input_shape")) if shape is None and isinstance(built, Mapping) else shape
    if shape is None:
        return None
    keeps_batch = any(settings_of(layer).get("stateful") for layer in layers or () if isinstance(layer, Mapping))
    return input_layer(
        f"{settings.get('name', 'sequential')}_input", shape if keeps_batch else [None, *shape[1:]], dtype_name(own.get("dtype"))
    )
