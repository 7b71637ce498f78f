"""A call of an operation of TensorFlow: its name, what it is called on, and its other arguments.

::

    TFOpLambda        {"function": "math.add"}            [["x", 0, 0, {"y": ["y", 0, 0], "name": null}]]
                      {"function": "concat"}              [[["x", 0, 0, {"axis": -1}], ["y", 0, 0, {"axis": -1}]]]
                      {"function": "math.subtract"}       [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]]
    SlicingOpLambda   {"function": "__operators__.getitem"}   [["x", 0, 0, {"slice_spec": [{"start", "stop", "step"}, 0]}]]
    TensorFlowOpLayer {"node_def": {"op": "AddV2", "input": ["x", "AddV2/y"], "attr": {…}}, "constants": {"1": 1.0}}

The first argument keeps its structure, and each tensor in it has the rest of the arguments beside it; a list there may be
one list deeper. Source: tf_keras 2.21 `src/engine/node.py`, `serialize`; TensorFlow 2.2 `keras/engine/base_layer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError
from kmodel_tools.architecture.upgrade.operations.building import Builder
from kmodel_tools.architecture.upgrade.operations.values import Dim, Dims, ShapeOf, Tensor, Value, dims_of, tensors_in

MISSING = object()
IGNORED = frozenset(
    [
        "name",
        "validate_shape",
        "use_cudnn_on_gpu",
        "validate_indices",
        "a_is_sparse",
        "b_is_sparse",
        "grad_a",
        "grad_b",
        "conjugate",
        "bad_indices_policy",
        "allow_negative_nums",
        "layout",
        "parallel_iterations",
        "experimental_use_cudnn",
        "message",
    ]
)
"""Arguments that do not change what is computed of real, dense, valid tensors."""


@dataclass(slots=True)
class Call:
    """One call of an operation.

    Attributes:
        function: The name of the operation, without `compat.v1`.
        is_v1: Whether it is the operation of TensorFlow 1 of that name.
        first: Its first argument.
        rest: Its other arguments by name.
        b: Makes operations of Keras.
        near: A tensor that what it is called on comes from, where that is a constant or a size.
    """

    function: str
    is_v1: bool
    first: Value
    rest: Json
    b: Builder
    near: Tensor | None = None
    used: set[str] = field(default_factory=set)

    def take(self, *names: str, default: Value = None) -> Value:
        """An argument, under the first of its names that is given."""
        self.used.update(names)
        return next((self.rest[name] for name in names if self.rest.get(name) is not None), default)

    def done(self) -> None:
        """Refuse what nobody has asked for.

        Raises:
            UpgradeError: An argument has a value and was not looked at.
        """
        for key, value in self.rest.items():
            if value is not None and key not in self.used and key not in IGNORED:
                raise self.b.refuse(f"is called with {key}={short(value)}, which no operation of Keras 3 takes")

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 3 does this."""
        return self.b.refuse(why)

    # The first argument.

    def x(self) -> Tensor:
        """The tensor that it is called on."""
        return self.tensor(self.first)

    def items(self) -> list[Value]:
        """The list that it is called on."""
        return self.first if isinstance(self.first, list) else [self.first]

    def tensor(self, value: Value, like: Tensor | None = None) -> Tensor:
        """An argument that has to be a tensor."""
        value = self.b.operand(value)
        if isinstance(value, Tensor):
            return value
        near = next(iter(tensors_in([self.first, self.rest])), self.near)
        if near is None:
            raise self.refuse("is called on no tensor")
        return self.b.as_tensor(value, near, like.dtype if like else None)

    # Other arguments.

    def flag(self, *names: str, default: bool = False) -> bool:
        """A yes or no."""
        value = self.take(*names, default=default)
        if isinstance(value, (bool, int)):
            return bool(value)
        raise self.refuse(f"is called with {names[0]}={short(value)}")

    def number(self, *names: str, default: Any = MISSING) -> Any:
        """A number that the configuration says."""
        value = self.take(*names, default=None if default is MISSING else default)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, (int, float)) or (value is None and default is None):
            return value
        raise self.refuse(f"is called with {names[0]}={short(value)}, which is no number that the file says")

    def integers(self, *names: str, default: Any = MISSING) -> list[int] | None:
        """Some integers that the configuration says; one of them counts as a list."""
        value = self.take(*names)
        if value is None and default is not MISSING:
            return default  # type: ignore[no-any-return]  # whoever calls it gives a list or None
        found = dims_of(value)
        if found is None or not all(isinstance(item, int) for item in found):
            raise self.refuse(f"is called with {names[0]}={short(value)}, which are no numbers that the file says")
        return [int(item) for item in found]  # type: ignore[arg-type]  # all are integers

    def dims(self, *names: str) -> list[Dim]:
        """Sizes, some of which may be known only at run time."""
        value = self.take(*names)
        found = dims_of(value)
        if found is None:
            raise self.refuse(f"is called with {names[0]}={short(value)}, which are no sizes that the file says")
        return found

    def axis(self, *names: str, default: Any = MISSING) -> Any:
        """An axis, or several, as Keras has them: a number, a list, or None."""
        found = self.integers(*names, default=default)
        if found is None:
            return None
        return found[0] if len(found) == 1 and not isinstance(self.rest.get(names[0]), list) else found

    def one_axis(self, *names: str, default: int) -> int:
        """An axis."""
        found = self.integers(*names, default=[default])
        if found is None or len(found) != 1:
            raise self.refuse(f"works along {found}, and not along one axis")
        return found[0]

    def dtype(self, name: str = "dtype", default: str | None = None) -> str | None:
        """A dtype by its name; `tf.float32` may be written as an object."""
        value = self.take(name, default=default)
        return dtype_name(value) if value is not None else None


def dtype_name(value: Any) -> str | None:
    """The name of a dtype, however it is written: `float32`, `DT_FLOAT`, `{"class_name": "TypeSpec"…}` is none."""
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("name") if isinstance(value.get("config"), Mapping) else value.get("type")
    if not isinstance(value, str):
        return None
    return _DATA_TYPES.get(value, value.removeprefix("tf.")).removesuffix("_ref")


_DATA_TYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "bfloat16",
    "DT_INT8": "int8",
    "DT_INT16": "int16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_UINT8": "uint8",
    "DT_UINT16": "uint16",
    "DT_UINT32": "uint32",
    "DT_UINT64": "uint64",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
}


def short(value: Any) -> str:
    """A value as an error shows it."""
    if isinstance(value, Tensor):
        return f"the output of {value.history[0]}"
    if isinstance(value, (Dims, ShapeOf)):
        return "a size that is known only at run time"
    text = "[" + ", ".join(short(item) for item in value[:8]) + "]" if isinstance(value, list) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


Handler = Callable[[Call], Value]
HANDLERS: dict[str, Handler] = {}
"""What carries an operation, by its name."""


def carries(*names: str) -> Callable[[Handler], Handler]:
    """Say which operations a function carries to Keras 3."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register
