"""How Keras turns names into the paths of its files, and back.

* `.weights.h5` and `.keras` call a layer by its class: `snake_case`, numbered within its container.
* Legacy HDF5 files and TF checkpoints carry variable names: `dense/kernel:0`, `bi/forward_lstm/lstm_cell_2/kernel:0`,
  `dense_1_W` (Keras 1).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from kmodel_tools.architecture.layer_table import ALIASES, MODEL_CLASSES, table

KERAS_1_ROLES = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "alphas": "alpha",
}
"""Keras 1 names of roles that still exist. `running_std` holds the variance since Keras 1.0."""

KERAS_1_SUFFIXES = (
    *KERAS_1_ROLES,
    *(f"{letter}_{gate}" for letter in "WUb" for gate in "icfozrh"),
    *("gamma", "beta", "W_carry", "b_carry", "t_left", "a_left", "t_right", "a_right", "betas"),
    *("depthwise_kernel", "pointwise_kernel"),
)
"""What a Keras 1 weight name ends in, behind the layer's name and an underscore."""

_CELL = re.compile(r"(lstm|gru|simple_rnn|conv_lstm(_?[123]d)?|stacked_rnn|rnn)_cells?$")


def snake_case(class_name: str) -> str:
    """Keras's file name of a class: `Conv2D` → `conv2d`, `PReLU` → `p_re_lu` (Keras 3 `keras/src/utils/naming.py`)."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def file_class(class_name: str) -> str:
    """The Python class that a configuration's class name stands for: `Pkg>Net` → `Net`, public aliases resolved."""
    plain = class_name.rpartition(">")[2]
    return ALIASES[plain] if plain == "GroupQueryAttention" else "Functional" if plain == "Model" else plain


@functools.cache
def _classes_by_snake_case() -> dict[str, str]:
    own = {snake_case(name): name for name in (*MODEL_CLASSES, *table())}
    return {snake_case(alias): name for alias, name in ALIASES.items()} | own


def class_of_group(group: str) -> str | None:
    """The built-in class that a group of a container is numbered for (`conv2d_12` → `Conv2D`), or None."""
    by_name = _classes_by_snake_case()
    return by_name.get(group) or by_name.get(re.sub(r"_\d+$", "", group))


def numbered(class_names: Iterable[str]) -> Iterator[str]:
    """The group names of a container's elements, in order: class in snake case, `_1`, `_2` … for each repetition."""
    used: dict[str, int] = {}
    for class_name in class_names:
        name = snake_case(class_name)
        count = used.get(name, 0)
        used[name] = count + 1
        yield f"{name}_{count}" if count else name


def plain_name(variable: str) -> str:
    """A variable's name without TensorFlow's output number: `dense/kernel:0` → `dense/kernel`."""
    return re.sub(r":\d+$", "", variable)


def is_index(component: str) -> bool:
    """Whether a name component is a plain number, such as an index into a list; a forged file may hold what only looks like one."""
    return component.isascii() and component.isdigit() and len(component) < 10


def without_number(component: str) -> str:
    """A name component without the number that made it unique: `kernel_1` → `kernel`."""
    return re.sub(r"_\d+$", "", component)


def same_name(a: str, b: str) -> bool:
    """Whether two name components are equal up to the number that makes a name unique in a TF1 graph."""
    return a == b or without_number(a) == b or a == without_number(b)


def is_cell(component: str) -> bool:
    """Whether a name component is the automatic name of a recurrent cell: `lstm_cell_2`."""
    return _CELL.fullmatch(without_number(component)) is not None


def split_keras_1(variable: str) -> tuple[str, str] | None:
    """Split a Keras 1 weight name: `batchnormalization_1_running_std` → (`batchnormalization_1`, `running_std`).

    Returns:
        Owner and role as spelled in the file, or None for a name that ends in no Keras 1 role.
    """
    name = without_number(plain_name(variable)) if re.search(r"[A-Za-z]_\d+:\d+$", variable) else plain_name(variable)
    for suffix in sorted(KERAS_1_SUFFIXES, key=len, reverse=True):
        if name.endswith(f"_{suffix}"):
            return name[: -len(suffix) - 1], suffix
    return None


def keras_1_role(suffix: str, class_name: str | None, siblings: Iterable[str]) -> str:
    """Keras 3's role for a Keras 1 one; a role that has no successor, or several, keeps its name.

    Args:
        suffix: The role as spelled in the file.
        class_name: The layer's class, or None where nothing says.
        siblings: The layer's roles as spelled in the file.
    """
    roles = set(siblings)
    if class_name == "Highway" or "W_carry" in roles:
        return suffix
    if suffix == "W":
        if class_name is not None:
            return "embeddings" if class_name == "Embedding" else "kernel"
        return "kernel" if "b" in roles or "U" in roles else "W"
    return KERAS_1_ROLES.get(suffix, suffix)
