"""The Python that loads a model which needs somebody's own classes and functions: a stub, to be filled with their code.

Names come out of a file, and the stub is pasted and run: only plain identifiers and literals of JSON get into it as code.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.custom_objects import Occurrence, occurrences
from kmodel_tools.architecture.envelope import is_model

WIDTH = 80
LONGEST = 40
"""Characters of a value that is shown as the default of an argument."""
OF_BASE: Mapping[str, frozenset[str]] = {
    "keras.layers.Layer": frozenset({"name", "trainable", "dtype"}),
    "keras.losses.Loss": frozenset({"name", "dtype", "reduction"}),
    "keras.metrics.Metric": frozenset({"name", "dtype"}),
}
"""Arguments that the class of Keras takes itself which somebody's is derived from."""
INDENT = " " * 4
LAMBDA = "lambda"


def loading_stub(path: str, architecture: Mapping[str, Any] | None, training: Mapping[str, Any] | None = None) -> str:
    """The Python that loads a file of Keras 3, or "" where `keras.models.load_model(path)` is all that it takes.

    Args:
        path: The file.
        architecture: The configuration in it.
        training: What the model was compiled with, or None.
    """
    found: dict[str, list[Occurrence]] = {}
    bytecode: list[str] = []
    for item in occurrences(architecture, training):
        if item.kind == LAMBDA:
            bytecode.append(item.layer)
        else:
            found.setdefault(item.name, []).append(item)
    if not found and not bytecode:
        return ""
    taken: set[str] = {"keras", "model"}
    named = {name: _identifier(name, taken) for name in found}
    lines = ["import keras", ""]
    for name, items in found.items():
        made = _function if items[0].kind == "function" else _class
        lines += ["", *made(named[name], items), ""]
    return "\n".join([*lines, *_call(path, named, bytecode)]) + "\n"


def _call(path: str, named: Mapping[str, str], bytecode: Sequence[str]) -> list[str]:
    lines = [*([""] if named else []), "model = keras.models.load_model(", f"{INDENT}{json.dumps(path)},"]
    if named:
        entries = [f"{INDENT * 2}{json.dumps(name)}: {identifier}," for name, identifier in named.items()]
        lines += [f"{INDENT}custom_objects={{", *entries, f"{INDENT}}},"]
    if bytecode:
        lines += [f"{INDENT}safe_mode=False,  # runs the bytecode of Lambda layers: only for a file that you trust"]
    return [*lines, ")"]


def _identifier(name: str, taken: set[str]) -> str:
    """What the stub calls a class or function: its name without the package, made a plain identifier, each once."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name.rpartition(">")[2])[:60]
    plain = plain if plain.isidentifier() and not keyword.iskeyword(plain) else f"_{plain}"
    found, count = plain, 1
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    taken.add(found)
    return found


def _function(name: str, items: Sequence[Occurrence]) -> list[str]:
    takes = "y_true, y_pred" if items[0].key in ("loss", "metrics", "weighted_metrics", "fn") else "x"
    return [f"def {name}({takes}):{_used_by(items)}", f'{INDENT}raise NotImplementedError("put your code here")']


def _class(name: str, items: Sequence[Occurrence]) -> list[str]:
    base = _base(items[0])
    lines = [f"class {name}({base}):{_used_by(items)}"]
    arguments = _arguments(items, base)
    if arguments:
        one_line = f"{INDENT}def __init__(self, *, {', '.join(arguments)}, **kwargs):"
        broken = [f"{INDENT}def __init__(", f"{INDENT * 2}self,", f"{INDENT * 2}*,", *(f"{INDENT * 2}{item}," for item in arguments)]
        lines += [one_line] if len(one_line) <= WIDTH else [*broken, f"{INDENT * 2}**kwargs,", f"{INDENT}):"]
        lines += [f"{INDENT * 2}super().__init__({'' if base.startswith('keras.initial') or base == 'object' else '**kwargs'})", ""]
    return [*lines, *_method(base)]


_METHODS: Mapping[str, str] = {
    "keras.layers.Layer": "call(self, inputs)",
    "keras.initializers.Initializer": "__call__(self, shape, dtype=None)",
    "keras.regularizers.Regularizer": "__call__(self, x)",
    "keras.constraints.Constraint": "__call__(self, w)",
    "keras.losses.Loss": "call(self, y_true, y_pred)",
    "keras.metrics.Metric": "update_state(self, y_true, y_pred, sample_weight=None)",
}


def _method(base: str) -> list[str]:
    if base not in _METHODS:
        return [f"{INDENT}pass  # put your code here"]
    return [f"{INDENT}def {_METHODS[base]}:", f'{INDENT * 2}raise NotImplementedError("put your code here")']


def _base(item: Occurrence) -> str:
    """The class of Keras that somebody's own is derived from, at the least."""
    if item.kind == "layer":
        return "keras.Model" if is_model("", item.config) else "keras.layers.Layer"
    for ending, base in (
        ("initializer", "keras.initializers.Initializer"),
        ("regularizer", "keras.regularizers.Regularizer"),
        ("constraint", "keras.constraints.Constraint"),
        ("loss", "keras.losses.Loss"),
        ("metrics", "keras.metrics.Metric"),
        ("optimizer", "keras.optimizers.Optimizer"),
        ("learning_rate", "keras.optimizers.schedules.LearningRateSchedule"),
    ):
        if item.key.endswith(ending):
            return base
    return "object"


def _arguments(items: Sequence[Occurrence], base: str) -> list[str]:
    """The arguments that a class is made with; those that are the same everywhere, and short, as defaults."""
    if base == "keras.Model":
        return []
    values: dict[str, list[Any]] = {}
    for item in items:
        for key, value in item.config.items():
            if key.isascii() and key.isidentifier() and not keyword.iskeyword(key) and key not in ("self", "kwargs"):
                values.setdefault(key, []).append(value)
    of_base = OF_BASE.get(base, frozenset())
    return [_argument(key, found, len(found) < len(items)) for key, found in values.items() if key not in of_base]


def _argument(key: str, found: Sequence[Any], sometimes: bool) -> str:
    same = all(value == found[0] and type(value) is type(found[0]) for value in found)
    if same and not sometimes and (text := _literal(found[0])) is not None:
        return f"{key}={text}"
    return f"{key}=None" if sometimes else key


def _literal(value: Any) -> str | None:
    """A short value of JSON as Python has it, or None."""
    plain = value if not isinstance(value, list) else [item for item in value if not isinstance(item, (bool, int, float, str, type(None)))]
    if not (isinstance(value, (bool, int, float, str)) or value is None or (isinstance(value, list) and not plain)):
        return None
    text = ascii(value)
    return text if len(text) <= LONGEST and not re.search(r"\b(inf|nan)\b", text) else None


def _used_by(items: Sequence[Occurrence]) -> str:
    layers = [layer for layer in dict.fromkeys(item.layer for item in items) if layer]
    if not layers:
        return ""
    listed = ", ".join(layers[:3]) + (" …" if len(layers) > 3 else "")
    return f"  # of {re.sub(r'[^ -~…]', '?', listed)[:60]}"
