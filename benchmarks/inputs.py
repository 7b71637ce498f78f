"""The files that rows are measured on, each made when a row asks for it and kept in the cache folder.

What is large is written by h5py alone, in the layout of Keras 3's legacy HDF5 files; other containers of the same model are
converted from it. Applications are written by Keras itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KMT = "from kmodel_tools.cli import run; run()"
"""What the console script `kmt` runs, so that this copy of the package is measured whatever is installed."""

SMALL_UNITS = 4
"""Units of each layer of the models that are many layers and few bytes."""


class AbsentError(Exception):
    """An input cannot be made, or a program is not there; the message says which and why."""


@dataclass(frozen=True)
class Inputs:
    """The cache folder, and how large the inputs in it are.

    Attributes:
        folder: Where they are kept; those of another size or number of layers in the same folder would be mistaken for these.
        nbytes: Bytes of the weights of the large model.
        layers: Number of layers of the deep model.
    """

    folder: Path
    nbytes: int
    layers: int

    def path(self, name: str) -> str:
        """Where an input lies, whether it is made already or not."""
        return str(self.folder / name)

    def ensure(self, name: str) -> None:
        """Make an input, and those that it is made of, unless it is there.

        Raises:
            AbsentError: It needs a framework that is not installed, or its maker failed.
        """
        path = self.folder / name
        if path.exists() or path.with_name(name + ".index").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"draft.{name}"  # so that one that was interrupted is not taken for whole
        MAKERS[name](self, draft)
        for made in sorted(self.folder.glob(f"draft.{name}*")):
            made.rename(self.folder / made.name.removeprefix("draft."))


def _large(inputs: Inputs, path: Path) -> None:
    units = 4096 if inputs.nbytes >= 256 << 20 else 1024
    count = max(1, inputs.nbytes // (4 * units * (units + 1)))
    _write_model(path, [units] * (count + 1), seed=1)


def _large_again(inputs: Inputs, path: Path) -> None:
    inputs.ensure("large.h5")
    shutil.copyfile(inputs.path("large.h5"), path)


def _large_other(inputs: Inputs, path: Path) -> None:
    """The large model with every value changed a little."""
    inputs.ensure("large.h5")
    shutil.copyfile(inputs.path("large.h5"), path)
    _change_all(path)


def _deep(inputs: Inputs, path: Path) -> None:
    _write_model(path, [SMALL_UNITS] * (inputs.layers + 1), seed=2)


def _deep_tenth(inputs: Inputs, path: Path) -> None:
    _write_model(path, [SMALL_UNITS] * (max(1, inputs.layers // 10) + 1), seed=2)


def _deep_other(inputs: Inputs, path: Path) -> None:
    inputs.ensure("deep.h5")
    shutil.copyfile(inputs.path("deep.h5"), path)
    _change_all(path)


def _converted(source: str, *options: str) -> Callable[[Inputs, Path], None]:
    def make(inputs: Inputs, path: Path) -> None:
        inputs.ensure(source)
        run([sys.executable, "-c", KMT, "convert", "-q", inputs.path(source), str(path), *options])

    return make


def _application(suffix: str) -> Callable[[Inputs, Path], None]:
    def make(inputs: Inputs, path: Path) -> None:
        for module in ("keras", "tensorflow"):
            need_module(module)
        code = "import sys, keras; keras.utils.set_random_seed(1); model = keras.applications.MobileNetV2(weights=None); "
        if suffix:  # Keras tells the layout by the name's end, which a draft has too
            code += "model.save(sys.argv[1])" if not suffix.startswith(".weights") else "model.save_weights(sys.argv[1])"
        else:
            code += "import tensorflow as tf; tf.train.Checkpoint(model=model).write(sys.argv[1])"
        run([sys.executable, "-c", code, str(path)])

    return make


MAKERS: dict[str, Callable[[Inputs, Path], None]] = {
    "large.h5": _large,
    "large_again.h5": _large_again,
    "large_other.h5": _large_other,
    "large.weights.h5": _converted("large.h5"),
    "large.keras": _converted("large.h5"),
    "large_checkpoint": _converted("large.h5", "--to", "tf-checkpoint"),
    "deep.h5": _deep,
    "deep_tenth.h5": _deep_tenth,
    "deep_other.h5": _deep_other,
    "deep_checkpoint": _converted("deep.h5", "--to", "tf-checkpoint"),
    "deep_other_checkpoint": _converted("deep_other.h5", "--to", "tf-checkpoint"),
    "MobileNetV2.h5": _application(".h5"),
    "MobileNetV2.keras": _application(".keras"),
    "MobileNetV2.weights.h5": _application(".weights.h5"),
    "MobileNetV2_checkpoint": _application(""),
}
"""How each input is made, by its name."""


def need_module(name: str) -> None:
    """Raises `AbsentError` where a package is not installed."""
    if importlib.util.find_spec(name) is None:
        raise AbsentError(f"{name} is not installed")


def need_program(name: str) -> None:
    """Raises `AbsentError` where a program is not on the PATH."""
    if shutil.which(name) is None:
        raise AbsentError(f"{name} is not installed")


def environment() -> dict[str, str]:
    """What every child process is given: this copy of the package, compiled once as an installed one is, and quiet frameworks."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    root = str(Path(__file__).resolve().parent.parent)
    return {**given, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def run(command: list[str]) -> str:
    """Run a command that makes or measures something, and return what it prints.

    Raises:
        AbsentError: It failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise AbsentError(f"exit status {done.returncode}: {last}")
    return done.stdout


def _write_model(path: Path, units: list[int], seed: int) -> None:
    """A Sequential model of Dense layers, from `units[0]` inputs on, as `model.save("….h5")` of Keras 3 lays it out."""
    import h5py
    import numpy as np

    numbers = np.random.default_rng(seed)
    names = [f"dense_{number}" for number in range(1, len(units))]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "3.15.1", "tensorflow"
        file.attrs["model_config"] = json.dumps(_config(names, units))
        top = file.create_group("model_weights")
        top.attrs["keras_version"], top.attrs["backend"] = "3.15.1", "tensorflow"
        _annotate(top, "layer_names", names)
        for name, before, size in zip(names, units, units[1:], strict=False):
            group = top.create_group(name)
            _annotate(group, "weight_names", [f"{name}/kernel", f"{name}/bias"])
            group[f"{name}/kernel"] = numbers.standard_normal((before, size), dtype=np.float32)
            group[f"{name}/bias"] = numbers.standard_normal(size, dtype=np.float32)
        _annotate(top.create_group("top_level_model_weights"), "weight_names", [])


def _annotate(group: Any, attribute: str, names: list[str]) -> None:
    """A list of names; over 64 KiB in several attributes, as Keras divides it."""
    import numpy as np

    values = np.array([name.encode() for name in names], dtype="S" if names else float)
    parts = -(-values.nbytes // 64512) or 1
    if parts == 1:
        group.attrs[attribute] = values
    else:
        for number, part in enumerate(np.array_split(values, parts)):
            group.attrs[f"{attribute}{number}"] = part


def _config(names: list[str], units: list[int]) -> dict[str, Any]:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    inputs = {"batch_shape": [None, units[0]], "dtype": "float32", "sparse": False, "ragged": False, "name": "input_layer"}
    layers: list[dict[str, Any]] = [_layer("InputLayer", inputs)]
    for name, size in zip(names, units[1:], strict=True):
        config = {"name": name, "trainable": True, "dtype": policy, "units": size, "activation": "relu", "use_bias": True}
        layers.append(_layer("Dense", config))
    return {"class_name": "Sequential", "config": {"name": "sequential", "trainable": True, "dtype": policy, "layers": layers}}


def _layer(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}


def _change_all(path: Path) -> None:
    import h5py
    import numpy as np

    def change(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            item[...] = item[...] * np.float32(1.001) + np.float32(1e-6)

    with h5py.File(path, "r+") as file:
        file.visititems(change)
