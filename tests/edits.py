"""Copies of a sample with one thing changed, as a user's next training run or conversion would change it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tests.conftest import SAMPLES

SAMPLE = SAMPLES / "keras_h5" / "keras-3.15.1.h5"
KERNEL = "model_weights/my_d1/my_d1/kernel"

Array = npt.NDArray[Any]
Config = dict[str, Any]


def edited(target: Path, *edits: Callable[[h5py.File], None], source: Path = SAMPLE) -> Path:
    """A copy of a sample with edits."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        for edit in edits:
            edit(file)
    return target


def one_value(file: h5py.File) -> None:
    """my_d1/kernel[2, 1] grows by a half."""
    values = file[KERNEL][()]
    values[2, 1] += 0.5
    file[KERNEL][...] = values


def every_weight(function: Callable[[Array], Array], group: str = "model_weights") -> Callable[[h5py.File], None]:
    """Replace every weight by a function of it."""

    def edit(file: h5py.File) -> None:
        found: list[str] = []
        file[group].visititems(lambda name, item: found.append(f"{group}/{name}") if isinstance(item, h5py.Dataset) else None)
        for name in found:
            values = function(file[name][()])
            del file[name]
            file[name] = values

    return edit


def layer_config(name: str, **settings: Any) -> Callable[[h5py.File], None]:
    """Change settings of a layer."""

    def edit(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == name:
                layer["config"].update(settings)
        file.attrs["model_config"] = json.dumps(config)

    return edit


def learning_rate(file: h5py.File) -> None:
    """Compiled anew with a smaller learning rate."""
    config = json.loads(file.attrs["training_config"])
    config["optimizer_config"]["config"]["learning_rate"] = 0.0001
    file.attrs["training_config"] = json.dumps(config)


def other_version(file: h5py.File) -> None:
    """Written by a later release."""
    file.attrs["keras_version"] = "3.99.0"


def weights_alone(source: Path, target: Path) -> Path:
    """What `save_weights` writes: the same arrays without `model_weights/` in front of them."""
    with h5py.File(source, "r") as whole, h5py.File(target, "w") as file:
        group = whole["model_weights"]
        for name in group:
            whole.copy(group[name], file, name=name)
        for key, value in group.attrs.items():
            file.attrs[key] = value
    return target


def halved(values: Array) -> Array:
    """Rounded to half precision."""
    return values.astype(np.float16)


def turned(values: Array) -> Array:
    """Transposed, as another framework stores it."""
    return np.ascontiguousarray(values.T)
