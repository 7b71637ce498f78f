"""Layers of Keras 2 that are operations of TensorFlow, in the place of one call of one operation of Keras 3.

::

    TFOpLambda        {"function": "math.add"}            [["x", 0, 0, {"y": ["y", 0, 0]}]]
                      {"function": "concat"}              [[["x", 0, 0, {"axis": -1}], ["y", 0, 0, {"axis": -1}]]]
                      {"function": "math.subtract"}       [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]]
    SlicingOpLambda   {"function": "__operators__.getitem"}   [["x", 0, 0, {"slice_spec": [{"start", "stop", "step"}, 0]}]]

Source: tf_keras 2.21 `src/engine/node.py`, `serialize`; `src/layers/core/tf_op_layer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, INTEGERS
from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError
from kmodel_tools.architecture.upgrade.graph import CONSTANT, free_name

GETITEM = "__operators__.getitem"
MAX_OUTPUTS = 10_000
"""Outputs of one operation; a forged number must not exhaust memory."""
MAX_LAYERS = 100_000
"""Layers that the operations of one model become."""
_SUMMED = FLOATS | {"int32", "int64"}
"""Dtypes in which TensorFlow adds up on every device."""
Sizes = tuple[int | None, ...]
Ref = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        ref: Layer, call and output that it comes from, as Keras 2 counts them.
        dtype: Its dtype.
        shape: Its sizes, None where they are known only at run time; or None where nothing tells its rank.
    """

    ref: Ref
    dtype: str
    shape: Sizes | None = None

    @property
    def rank(self) -> int | None:
        """The number of its axes."""
        return None if self.shape is None else len(self.shape)


Constant = bool | int | float | np.ndarray[Any, Any]
"""A number as Python has it, whose dtype is weak, or an array."""
Value = Tensor | Constant


@dataclass(slots=True)
class Builder:
    """The layers that take the place of one call.

    Attributes:
        name: The name of the operation, which the layer that gives the result inherits.
        label: What sentences call it.
        taken: Names that layers have.
        made: The entries, in the order of the calls.
    """

    name: str
    label: str
    taken: set[str]
    made: list[Json] = field(default_factory=list)

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 2 does what the operation does."""
        return UpgradeError(f"{self.label}, which {why}")

    # Layers.

    def op(self, function: str, first: Any, dtype: str | None = None, shape: Sequence[int | None] | None = None, **rest: Any) -> Tensor:
        """An operation of TensorFlow.

        Args:
            function: Its name.
            first: Its first argument: a tensor, a constant, or a list of them.
            dtype: The dtype of the result, by default that of the first tensor.
            shape: Its sizes, where they matter and are known.
            rest: Its other arguments; an underscore behind a name that is taken here, as in `dtype_`.
        """
        return self.ops(function, first, 1, dtype, shape, **rest)[0]

    def ops(
        self,
        function: str,
        first: Any,
        count: int,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        **rest: Any,
    ) -> list[Tensor]:
        """An operation with several results."""
        if count > MAX_OUTPUTS:
            raise self.refuse(f"gives more than {MAX_OUTPUTS} tensors")
        name = free_name(f"{self.name}.{function.rpartition('.')[2]}", self.taken)
        kind = "SlicingOpLambda" if function == GETITEM else "TFOpLambda"
        arguments = {key.rstrip("_"): _argument(value) for key, value in rest.items()}
        settings = {"name": name, "trainable": True, "dtype": "float32", "function": function}
        node = [_first(item, arguments) for item in first] if isinstance(first, list) else _first(first, arguments)
        self.made.append({"class_name": kind, "config": settings, "name": name, "inbound_nodes": [node]})
        near = next((item for item in (first if isinstance(first, list) else [first, *rest.values()]) if isinstance(item, Tensor)), None)
        dtype = dtype or (near.dtype if near is not None else "float32")
        return [Tensor((name, 0, number), dtype, None if shape is None else tuple(shape)) for number in range(count)]

    def same(self, function: str, x: Tensor, dtype: str | None = None, **rest: Any) -> Tensor:
        """An operation of one tensor that keeps its shape."""
        return self.op(function, x, dtype, x.shape, **rest)

    def getitem(self, x: Tensor, key: Sequence[Any], shape: Sequence[int | None] | None = None) -> Tensor:
        """`x[key]`, of which each part is a number, a tensor, a slice, None or Ellipsis."""
        return self.op(GETITEM, x, shape=shape, slice_spec=list(key))

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """A tensor in another dtype."""
        return x if x.dtype == dtype else self.op("cast", x, dtype, x.shape, dtype_=dtype)

    def finish(self, result: Tensor | list[Tensor]) -> list[Tensor]:
        """Give the operation's own name to the layer that the result comes from."""
        found = result if isinstance(result, list) else [result]
        if not self.made or not found or found[0].ref[0] != self.made[-1]["name"]:
            return found
        last = self.made[-1]
        old = last["name"]
        last["name"] = last["config"]["name"] = self.name
        return [replace(item, ref=(self.name, *item.ref[1:])) if item.ref[0] == old else item for item in found]

    # Constants.

    def as_dtype(self, value: Value, dtype: str) -> Value:
        """An operand in a dtype: a tensor is cast, a constant converted; TensorFlow gives it the dtype of the tensor beside it."""
        if isinstance(value, Tensor):
            return self.cast(value, dtype)
        array = np.asarray(value)
        if dtype == "bool":
            return _plain(array.astype(bool))
        if dtype in INTEGERS and array.dtype.kind == "f":
            array = np.trunc(array)
        if dtype in FLOATS:
            return _plain(array if array.dtype.kind == "f" else array.astype("float64"))
        return _plain(array.astype(dtype))

    def of_its_own(self, value: Value, near: Tensor, dtype: str) -> Value:
        """An operand of an operation that gives a constant a dtype without looking at the tensor beside it."""
        if isinstance(value, Tensor):
            return self.cast(value, dtype)
        plain = self.as_dtype(value, dtype)
        taken = {"f": "float32", "b": "bool"}.get(np.asarray(plain).dtype.kind, "int32")
        return plain if taken == dtype else self.as_tensor(value, near, dtype)

    def as_tensor(self, value: Value, near: Tensor, dtype: str) -> Tensor:
        """An operand as a tensor; a constant becomes one that depends on `near`, for a layer has to be called on a tensor."""
        if isinstance(value, Tensor):
            return self.cast(value, dtype)
        wide = dtype if dtype in _SUMMED else "int32"
        zeros = self.op("zeros_like", near, wide, near.shape, dtype_=wide)
        zero = self.op("math.reduce_sum", zeros, wide, (), axis=None, keepdims=False)
        if dtype == "bool":
            return self.op("math.not_equal", zero, "bool", np.shape(value), y=self.as_dtype(value, "int32"))
        return self.op("math.add", self.cast(zero, dtype), dtype, np.shape(value), y=self.as_dtype(value, dtype))


def _plain(array: np.ndarray[Any, Any]) -> Constant:
    return array.item() if array.ndim == 0 else array


def _first(value: Any, arguments: Json) -> Any:
    """One tensor or constant of the first argument, and beside it the others."""
    if isinstance(value, Tensor):
        return [*value.ref, arguments]
    return [CONSTANT, -1, _argument(value), arguments]


def _argument(value: Any) -> Any:
    """An argument as the configuration has it."""
    if isinstance(value, Tensor):
        return list(value.ref)
    if isinstance(value, slice):
        return {key: _argument(getattr(value, key)) for key in ("start", "stop", "step")}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__"}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _argument(item) for key, item in value.items()}
    return [_argument(item) for item in value] if isinstance(value, (list, tuple)) else value
