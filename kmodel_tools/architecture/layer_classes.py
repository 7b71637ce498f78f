"""What the table of built-in layer classes says of a layer: its variables, its sub-layers, and which array is which."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from kmodel_tools.architecture.envelope import Config
from kmodel_tools.architecture.layer_table import (
    ALIASES,
    CONDITIONS,
    FLOATS,
    MODEL_CLASSES,
    OPEN,
    LayerClass,
    SubLayer,
    Variable,
    table,
)
from kmodel_tools.tensor import DType, Shape


def canonical_class(class_name: str | None) -> str | None:
    """The name that the table has a class under: aliases, old names and package prefixes resolved; None if it is not built in."""
    if class_name is None:
        return None
    plain = class_name.rpartition(">")[2] if class_name.startswith(("keras>", "Keras>")) else class_name
    plain = ALIASES.get(plain, plain)
    return plain if plain in table() or plain in MODEL_CLASSES or plain in OPEN else None


def is_builtin(class_name: str) -> bool:
    """Whether Keras itself, of any generation, has a layer or model class of this name."""
    return canonical_class(class_name) is not None


KERAS_1 = "keras1"


def quantization_mode(config: Config) -> str | None:
    """How a layer is quantised, by its dtype policy ("int8", "int4", "float8", "gptq", "awq"), or None."""
    policy = config.get("dtype")
    if not isinstance(policy, Mapping):
        return None
    inner = policy.get("config")
    mode = inner.get("mode") if isinstance(inner, Mapping) else None
    return str(mode).partition("/")[0] if mode else None


def variables_of(class_name: str, config: Config, keras_1: bool = False) -> tuple[Variable, ...] | None:
    """The weights that a layer with this configuration owns itself, in Keras 3's order; None for a class that is not known."""
    entry = _entry(class_name, config, keras_1)
    if entry is None:
        return None
    return tuple(item for item in entry.variables if item.condition is None or CONDITIONS[item.condition](config))


def sublayers_of(class_name: str, config: Config, keras_1: bool = False) -> tuple[SubLayer, ...] | None:
    """The sub-layers that a layer with this configuration holds, in Keras 3's order; None for a class that is not known."""
    entry = _entry(class_name, config, keras_1)
    if entry is None:
        return None
    return tuple(item for item in entry.sublayers if item.condition is None or CONDITIONS[item.condition](config))


@functools.cache
def class_with_parts(attrs: frozenset[str]) -> str | None:
    """The one built-in class that holds sub-layers under just these attributes, or None."""
    found = {
        entry.name
        for entries in table().values()
        for entry in entries
        if len(attrs) > 1 and {sub.attr for sub in entry.sublayers if not sub.is_list} == attrs
    }
    return found.pop() if len(found) == 1 else None


def _entry(class_name: str, config: Config, keras_1: bool) -> LayerClass | None:
    name = canonical_class(class_name)
    variants = table().get(name or "")
    if variants is None:
        return None
    mode = KERAS_1 if keras_1 and config.get("consume_less") != "gpu" else quantization_mode(config)
    return next((entry for entry in variants if entry.mode == mode), variants[0])


Described = tuple[Shape, DType]


def assign(
    arrays: Sequence[Described], class_name: str | None, config: Config | None, among: frozenset[str] | None = None
) -> list[Variable | None]:
    """Tell which of a layer's variables each of its stored arrays is.

    Args:
        arrays: Shape and dtype of the arrays, in stored order.
        class_name: The layer's class, or None where nothing says.
        config: Its configuration, or None where nothing says.
        among: The classes that it can be, where that much is known and no more.

    Returns:
        A variable for each array, None for one that has several answers or none. Without a class, either all arrays have
        one answer or none has.
    """
    if config is not None and class_name is not None:
        exact = variables_of(class_name, config)
        if exact is not None and fits(exact, arrays):
            return list(exact)
    fitting = [variant for variant in _variants(class_name, among, len(arrays)) if fits(variant, arrays)]
    answers = [_agreed([variant[index] for variant in fitting]) for index in range(len(arrays))]
    return answers if class_name is not None or None not in answers else [None] * len(arrays)


def _agreed(candidates: list[Variable]) -> Variable | None:
    return candidates[0] if len({item.role for item in candidates}) == 1 else None


@functools.cache
def _variants(class_name: str | None, among: frozenset[str] | None, count: int) -> tuple[tuple[Variable, ...], ...]:
    """Every list of `count` variables that a class, or any of some classes, can own under some configuration."""
    if class_name is None:
        known = table().items()
        entries: Iterator[LayerClass] = itertools.chain.from_iterable(item for name, item in known if among is None or name in among)
    else:
        entries = iter(table().get(canonical_class(class_name) or "", ()))
    found: list[tuple[Variable, ...]] = []
    for entry in entries:
        if entry.mode == KERAS_1:
            continue  # never in a file without names
        conditions = sorted({item.condition for item in entry.variables if item.condition})
        for truth in itertools.product((True, False), repeat=len(conditions)):
            holds = dict(zip(conditions, truth, strict=True))
            variant = tuple(item for item in entry.variables if item.condition is None or holds[item.condition])
            if len(variant) == count and variant not in found:
                found.append(variant)
    return tuple(found)


def fits(variables: tuple[Variable, ...], arrays: Sequence[Described]) -> bool:
    """Whether arrays can be the variables of a layer: as many, with shapes that agree among themselves, of the right elements."""
    if len(variables) != len(arrays):
        return False
    symbols: dict[str, int | Shape] = {}
    return all(
        _dtype_fits(item.dtype, dtype) and _shape_fits(item.dims, shape, symbols)
        for item, (shape, dtype) in zip(variables, arrays, strict=True)
    )


SETTINGS = {"u": ("units", "output_dim"), "f": ("filters",), "n": ("input_dim",), "d": ("output_dim",), "m": ("depth_multiplier",)}
"""Symbols of the table that a layer's configuration binds, and the settings that do."""
WINDOWED = re.compile(r"(Depthwise|Separable)?Conv[123]D(Transpose)?$")
"""Classes whose kernels begin with `kernel_size`."""


def misshapen(variables: tuple[Variable, ...], class_name: str, config: Config, held: Mapping[str, Shape]) -> dict[str, str]:
    """The roles of a layer's weights whose shapes its configuration does not allow, and the settings that say so.

    Args:
        variables: The variables of the layer.
        class_name: Its class.
        config: Its configuration, of Keras 2 or later.
        held: The shape of each weight, by its role.
    """
    used = {name for variable in variables for dim in variable.dims if (name := dim.lstrip("0123456789")) in SETTINGS}
    bound = {name: (key, config[key]) for name in used for key in SETTINGS[name] if isinstance(config.get(key), int)}
    said = [f"{key}={size}" for key, size in bound.values()]
    symbols: dict[str, int | Shape] = {name: size for name, (_, size) in bound.items()}
    found = {}
    for variable in variables:
        shape = held.get(variable.role)
        window = _window(class_name, config) if variable.role in ("kernel", "depthwise_kernel") else ()
        if shape is not None and not (_shape_fits(variable.dims, shape, symbols) and shape[: len(window)] == window):
            found[variable.role] = ", ".join([*said, *([f"kernel_size={window}"] if window else [])]) or "other sizes"
    after = config.get("reset_after")
    if canonical_class(class_name) == "GRUCell" and isinstance(after, bool) and len(held.get("bias", (0,) * (1 + after))) != 1 + after:
        found["bias"] = f"reset_after={after}"  # the recurrent kernel has a bias of its own with it
    return found


def _window(class_name: str, config: Config) -> Shape:
    size = config.get("kernel_size")
    if WINDOWED.match(canonical_class(class_name) or "") is None or not isinstance(size, (list, tuple)):
        return ()
    return tuple(size)


def _dtype_fits(wanted: str, dtype: DType) -> bool:
    return dtype.is_float if wanted == FLOATS else dtype.value == wanted


def _shape_fits(dims: tuple[str, ...], shape: Shape, symbols: dict[str, int | Shape]) -> bool:
    """Whether a shape fits symbolic dimensions; binds the symbols that it meets first."""
    for index, symbol in enumerate(dims):
        if "*" in symbol:
            rest = shape[index:]
            return symbol == "_*" or symbols.setdefault(symbol, rest) == rest
        if index >= len(shape) or not _dim_fits(symbol, shape[index], symbols):
            return False
    return len(shape) == len(dims)


def _dim_fits(symbol: str, size: int, symbols: dict[str, int | Shape]) -> bool:
    if symbol == "_":
        return True
    if symbol.isdigit():
        return size == int(symbol)
    factor, name = re.match(r"(\d*)(\w+)", symbol).groups()  # type: ignore[union-attr]  # the table's symbols all match
    unit, rest = divmod(size, int(factor or 1))
    return rest == 0 and symbols.setdefault(name, unit) == unit
