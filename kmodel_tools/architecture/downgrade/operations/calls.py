"""A call of an operation of Keras 3: its class, its settings, and what it is called on.

::

    {"module": "keras.src.ops.numpy", "class_name": "Mean", "config": {"axis": -1, "keepdims": true, "name": "mean"},
     "inbound_nodes": [{"args": [TENSOR], "kwargs": {}}]}
    TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [null, 4], "dtype": "float32", "keras_history": ["x", 0, 0]}}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmodel_tools.architecture.downgrade.operations.building import Builder, Sizes, Tensor, Value
from kmodel_tools.architecture.downgrade.operations.dtypes import WEAK_FLOAT, WEAK_INT
from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError

MISSING = object()


@dataclass(slots=True)
class Call:
    """One call of an operation.

    Attributes:
        kind: Its class.
        settings: The arguments of the class, as far as they were given.
        args: What it is called on.
        kwargs: The same, by name.
        b: Makes layers of Keras 2.
    """

    kind: str
    settings: Json
    args: list[Any]
    kwargs: Json
    b: Builder

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 2 does this."""
        return self.b.refuse(why)

    # What it is called on.

    def given(self, place: int, name: str, default: Any = MISSING) -> Any:
        """An argument of the call, by its place or its name."""
        value = self.args[place] if place < len(self.args) else self.kwargs.get(name, default)
        if value is MISSING:
            raise self.refuse(f"is called without {name}")
        return value

    def value(self, place: int, name: str) -> Value:
        """An argument that is a tensor or a constant."""
        found = self.given(place, name)
        if isinstance(found, list):
            found = self.array(found)
        if isinstance(found, (Tensor, bool, int, float, np.ndarray)):
            return found
        raise self.refuse(f"is called with {name}={short(found)}, which is no tensor and no number")

    def tensor(self, place: int = 0, name: str = "x") -> Tensor:
        """An argument that has to be a tensor."""
        found = self.value(place, name)
        if isinstance(found, Tensor):
            return found
        near = self.near()
        return self.b.as_tensor(found, near, strong(found))

    def array(self, value: list[Any]) -> np.ndarray[Any, Any]:
        """Numbers in lists, as Keras takes them."""
        try:
            array = np.array(value)
        except ValueError as error:
            raise self.refuse("is called on lists of several lengths") from error
        if array.dtype.kind not in "fiub":
            raise self.refuse("is called on lists of what are no numbers")
        return array.astype({"f": "float32", "b": "bool"}.get(array.dtype.kind, "int32"))

    def near(self) -> Tensor:
        """Any tensor that it is called on."""
        stack = [self.args, self.kwargs]
        while stack:
            item: Any = stack.pop()
            if isinstance(item, Tensor):
                return item
            if isinstance(item, (list, tuple, dict)):
                stack.extend(item.values() if isinstance(item, dict) else item)
        raise self.refuse("is called on no tensor")

    def items(self, place: int, name: str) -> list[Value]:
        """A list of tensors and constants."""
        found = self.given(place, name)
        if not isinstance(found, list):
            raise self.refuse(f"is called on {short(found)}, which is no list of tensors")
        return [self.array(item) if isinstance(item, list) else item for item in found]

    def sizes(self, x: Tensor) -> Sizes:
        """The shape of a tensor, whose rank has to be known."""
        if x.shape is None:
            raise self.refuse("needs to know how many axes its tensor has, of which the file does not say")
        return x.shape

    # Settings.

    def setting(self, name: str, default: Any = None) -> Any:
        """A setting as it is."""
        return self.settings.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A setting that is yes or no."""
        value = self.settings.get(name, default)
        if isinstance(value, bool):
            return value
        raise self.refuse(f"has {name}={short(value)}")

    def number(self, name: str, default: Any = MISSING) -> Any:
        """A setting that is a number."""
        value = self.settings.get(name, default)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, (int, float)):
            return value
        raise self.refuse(f"has {name}={short(None if value is MISSING else value)}, which is no number")

    def integers(self, name: str, default: Any = None) -> list[int] | None:
        """A setting that is one integer or several; None where it is None."""
        value = self.settings.get(name, default)
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if value is None:
            return None
        found = list(value) if isinstance(value, (list, tuple)) else [value]
        if all(isinstance(item, int) and not isinstance(item, bool) for item in found):
            return found
        raise self.refuse(f"has {name}={short(value)}, which are no integers that the file says")

    def axes(self, name: str = "axis", default: Any = None) -> Any:
        """Axes as TensorFlow takes them: a number, a list, or None for all."""
        found = self.integers(name, default)
        value = self.settings.get(name, default)
        return found[0] if found is not None and not isinstance(value, (list, tuple, np.ndarray)) else found

    def axis(self, name: str = "axis", default: int = -1) -> int:
        """One axis."""
        found = self.integers(name, default)
        if found is None or len(found) != 1:
            raise self.refuse(f"works along {short(found)}, and not along one axis")
        return found[0]

    def dtype(self, default: str | None = None) -> str | None:
        """The setting `dtype`, by its name."""
        value = self.settings.get("dtype", default)
        if value is None or isinstance(value, str):
            return value
        inner = value.get("config") if isinstance(value, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            return str(inner["name"])
        raise self.refuse(f"has the dtype {short(value)}")


def kind_of(value: Value) -> str:
    """The dtype of an operand; of Python's numbers the weak one."""
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, np.ndarray):
        return str(value.dtype.name)
    return "bool" if isinstance(value, bool) else WEAK_INT if isinstance(value, int) else WEAK_FLOAT


def strong(value: Value) -> str:
    """The dtype of an operand that Keras makes a tensor before it looks at dtypes."""
    return {WEAK_INT: "int32", WEAK_FLOAT: "float32"}.get(kind_of(value), kind_of(value))


def rank_of(value: Value) -> int | None:
    """The number of axes of an operand."""
    return value.rank if isinstance(value, Tensor) else np.ndim(value)


def shape_of(value: Value) -> Sizes | None:
    """The sizes of an operand."""
    return value.shape if isinstance(value, Tensor) else tuple(np.shape(value))


def short(value: Any) -> str:
    """A value as an error shows it."""
    if isinstance(value, Tensor):
        return f"the output of {value.ref[0]}"
    text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


Result = Tensor | list[Tensor]
Handler = Callable[[Call], Result]
HANDLERS: dict[str, Handler] = {}
"""What carries an operation, by its class."""


def carries(*names: str) -> Callable[[Handler], Handler]:
    """Say which operations a function carries back to TensorFlow."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register
