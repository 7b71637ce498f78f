"""Operations of Keras 3 as entries of a Functional model's list of layers, made one after the other.

::

    {"module": "keras.src.ops.numpy", "class_name": "Clip", "config": {"x_min": 0.0, "x_max": 1.0, "name": "clip"},
     "registered_name": "Clip", "name": "clip", "inbound_nodes": [{"args": [TENSOR], "kwargs": {}}]}

What the constructor takes stands in `config` and is constant; what the call takes stands in the node: tensors, numbers,
arrays (`__numpy__`; `__tensor__` for bfloat16, which NumPy does not know), lists of those, `__slice__`, `__ellipsis__`.
Source: Keras 3.15.1 `src/ops/operation.py`, `src/saving/serialization_lib.py`; safe mode takes any class below `keras`
that is a KerasSaveable, which operations are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmodel_tools.architecture.topology import TENSOR
from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError
from kmodel_tools.architecture.upgrade.graph import free_name
from kmodel_tools.architecture.upgrade.objects import spelled
from kmodel_tools.architecture.upgrade.operations.values import (
    MAX_CONSTANTS,
    Dim,
    Dims,
    Shape,
    ShapeOf,
    Symbol,
    Tensor,
    Value,
    broadcast,
    tensors_in,
)

_OF_NN = """
    Relu Relu6 Sigmoid Softplus Softsign Silu LogSigmoid LeakyRelu Elu Selu Gelu Softmax LogSoftmax MaxPool AveragePool
    Conv DepthwiseConv OneHot DepthToSpace SpaceToDepth
"""
_OF_OTHERS = {
    "nn": _OF_NN,
    "math": "TopK Logsumexp Rsqrt Erf Erfc Erfinv InTopK SegmentSum SegmentMax SegmentMin SegmentProd",
    "core": "Cast SaturateCast StopGradient Unstack Scatter ScatterUpdate",
    "image": "Resize RGBToGrayscale RGBToHSV HSVToRGB ExtractPatches SobelEdges SSIM",
    "linalg": "Inv Det Cholesky Solve SolveTriangular Qr SVD Eigh",
}
_MODULES = {kind: module for module, kinds in _OF_OTHERS.items() for kind in kinds.split()}
_LOGIC = "Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot LogicalXor Isnan Isinf Isfinite All Any InTopK"
_YES_OR_NO = frozenset(_LOGIC.split())
Sizes = Sequence[Dim | None]
MAX_OUTPUTS = 10_000
"""Outputs of one operation; a forged number must not exhaust memory."""


@dataclass(slots=True)
class Builder:
    """The operations that take the place of one call of one operation of TensorFlow.

    Attributes:
        name: The name of its layer, which the operation that gives the result inherits.
        label: What sentences call the layer.
        dtype: The dtype of floating point numbers where nothing else says it.
        taken: Names that layers have.
        sources: For each size that is known only at run time, a tensor that has it.
        made: The entries, in the order of the calls.
    """

    name: str
    label: str
    dtype: str
    taken: set[str]
    sources: dict[str, tuple[Tensor, int]]
    made: list[Json] = field(default_factory=list)

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 3 does what the operation did."""
        return UpgradeError(f"{self.label} {why}")

    # Entries.

    def op(
        self,
        kind: str,
        *args: Value,
        shape: Sizes | None = None,
        dtype: str | None = None,
        call: Mapping[str, Value] | None = None,
        **config: Any,
    ) -> Tensor:
        """An operation of Keras; elementwise where no shape is given.

        Args:
            kind: Its class.
            args: What it is called on: tensors, constants, lists of them.
            shape: The shape of the result.
            dtype: Its dtype, by default that of the first tensor.
            call: Keyword arguments of the call.
            config: Arguments of the class; an underscore behind a name that is taken here, as in `dtype_`.
        """
        return self.ops(kind, *args, shapes=None if shape is None else [shape], dtype=dtype, call=call, **config)[0]

    def ops(
        self,
        kind: str,
        *args: Value,
        shapes: Sequence[Sizes | None] | None = None,
        dtype: str | None = None,
        call: Mapping[str, Value] | None = None,
        **config: Any,
    ) -> list[Tensor]:
        """An operation with several results, as many as shapes are given."""
        flat = [item for arg in args for item in (arg if _has_tensors(arg) else [arg])]
        tensors = [item for item in flat if isinstance(item, Tensor)]
        like = next((item.dtype for item in tensors if item.dtype), None)
        if dtype is None:
            dtype = "bool" if kind in _YES_OR_NO else like
        made = self._entry(f"keras.src.ops.{_MODULES.get(kind, 'numpy')}", kind, kind, config)
        made["inbound_nodes"] = [
            {
                "args": [self._argument(arg, like) for arg in args],
                "kwargs": {key: self._argument(value, like) for key, value in (call or {}).items()},
            }
        ]
        if shapes is not None and len(shapes) > MAX_OUTPUTS:
            raise self.refuse(f"gives more than {MAX_OUTPUTS} tensors")
        if shapes is None:
            shapes = [broadcast(*(self.shape_of(item) for item in flat))]
        return [self.tensor(made["name"], number, shape, dtype) for number, shape in enumerate(shapes)]

    def layer(
        self,
        kind: str,
        x: Tensor,
        shape: Sizes | None = None,
        dtype: str | None = None,
        call: Mapping[str, Value] | None = None,
        **config: Any,
    ) -> Tensor:
        """A layer of Keras without weights, where no operation does the same; under its tensor's dtype, for operations are not cast."""
        dtype = dtype or x.dtype
        made = self._entry("keras.layers", kind, None, {**config, "dtype": dtype or self.dtype})
        made["inbound_nodes"] = [{"args": [self._argument(x, None)], "kwargs": dict(call or {})}]
        return self.tensor(made["name"], 0, x.shape if shape is None else shape, dtype)

    def _entry(self, module: str, kind: str, registered: str | None, config: Mapping[str, Any]) -> Json:
        name = self.unique(f"{self.name}.{kind.lower()}")
        arguments = {key.rstrip("_"): value for key, value in config.items()}
        made = spelled(module, kind, {**arguments, "name": name}, registered) | {"name": name}
        self.made.append(made)
        return made

    def unique(self, name: str) -> str:
        """A name that no layer has."""
        return free_name(name, self.taken)

    def tensor(self, name: str, output: int, shape: Sizes | None, dtype: str | None) -> Tensor:
        """A result, whose sizes become known to others."""
        found = Tensor((name, 0, output), None, dtype)
        if shape is not None:
            found = found.with_symbols(shape)
        self.remember(found)
        return found

    def remember(self, tensor: Tensor) -> None:
        """Let sizes be read from a tensor that are known only at run time."""
        for axis, size in enumerate(tensor.shape or ()):
            if isinstance(size, Symbol) and len(size.factors) == 1:
                self.sources.setdefault(size.factors[0], (tensor, axis))

    def finish(self, result: Value) -> Value:
        """Give the layer's own name to the operation that the result comes from."""
        found = result[0] if isinstance(result, list) and result else result
        if not isinstance(found, Tensor) or not self.made or self.made[-1]["name"] != found.history[0]:
            return result
        last = self.made[-1]
        old = last["name"]
        last["name"] = last["config"]["name"] = self.name
        renamed = [self._renamed(item, old) for item in (result if isinstance(result, list) else [result])]
        return renamed if isinstance(result, list) else renamed[0]

    def _renamed(self, tensor: Value, old: str) -> Value:
        if not isinstance(tensor, Tensor) or tensor.history[0] != old:
            return tensor
        found = Tensor((self.name, *tensor.history[1:]), tensor.shape, tensor.dtype)
        for axis, size in enumerate(found.shape or ()):
            if isinstance(size, Symbol) and len(size.factors) == 1 and self.sources.get(size.factors[0], (None,))[0] == tensor:
                self.sources[size.factors[0]] = (found, axis)
        return found

    # Arguments.

    def _argument(self, value: Value, like: str | None) -> Any:
        """An argument of a call as the configuration has it."""
        if isinstance(value, Tensor):
            sizes = [None] if value.shape is None else [size if isinstance(size, int) else None for size in value.shape]
            config = {"shape": sizes, "dtype": value.dtype or "float32", "keras_history": list(value.history)}
            return {"class_name": TENSOR, "config": config}
        if isinstance(value, (Dims, ShapeOf)):
            raise self.refuse("is called on a size that is known only at run time")
        if isinstance(value, slice):
            return {"class_name": "__slice__", "config": {"start": value.start, "stop": value.stop, "step": value.step}}
        if isinstance(value, tuple):  # an index, whose parts are told apart
            return [self._argument(item, None) for item in value]
        if value is Ellipsis:
            return {"class_name": "__ellipsis__", "config": {}}
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return value.item()
        if isinstance(value, np.ndarray):
            return _array(value, value.dtype.name)
        if isinstance(value, list):
            if _has_tensors(value):
                return [self._argument(item, like) for item in value]
            return self._array_of(value, like)
        return value

    def _array_of(self, value: list[Any], like: str | None) -> Json:
        """Numbers in lists, as TensorFlow takes them: of the dtype of the tensor that they meet."""
        try:
            array = np.array(value)
        except ValueError as error:
            raise self.refuse("is called on lists of several lengths") from error
        if array.dtype.kind not in "fiub":
            raise self.refuse("is called on constants that are no numbers")
        dtype = like or ("int32" if array.dtype.kind in "iu" else "bool" if array.dtype.kind == "b" else self.dtype)
        return _array(array, dtype)

    def shape_of(self, value: Value) -> Shape | None:
        """The shape of an argument."""
        if isinstance(value, Tensor):
            return value.shape
        if isinstance(value, (np.ndarray, list)) and not _has_tensors(value):
            try:
                return tuple(np.shape(value))
            except ValueError as error:
                raise self.refuse("is called on lists of several lengths") from error
        return ()

    # Sizes and constants as tensors.

    def operand(self, value: Value) -> Value:
        """An operand of arithmetic: sizes become a tensor, tensors in a list one more axis, as TensorFlow packs them; the rest stays."""
        if isinstance(value, list) and any(isinstance(item, (Tensor, list)) for item in value) and tensors_in(value):
            near = tensors_in(value)[0]
            items = [self.as_tensor(item, near, near.dtype) for item in value]
            shape = next((item.shape for item in items if item.shape is not None), None)
            return self.op("Stack", items, shape=None if shape is None else (len(items), *shape), axis=0)
        if isinstance(value, Dims):
            counts = [self.as_tensor(self.counted(item), value.source) for item in value.items]
            return counts[0] if value.is_scalar else self.op("Stack", counts, shape=(len(counts),), dtype="int32", axis=0)
        if isinstance(value, ShapeOf):
            raise self.refuse("computes with the shape of a tensor whose rank is not known")
        return value

    def as_tensor(self, value: Value, near: Tensor, dtype: str | None = None) -> Tensor:
        """A tensor of any operand; a constant becomes one that depends on `near`, for Keras has no operation without inputs."""
        value = self.operand(value)
        if isinstance(value, Tensor):
            return value
        array = np.array(value)
        dtype = dtype or (array.dtype.name if isinstance(value, np.ndarray) else self.dtype if array.dtype.kind == "f" else "int32")
        if array.dtype.kind not in "fiub":
            raise self.refuse("is called on a constant that is no number")
        if dtype == "bool":
            return self.op("NotEqual", self.as_tensor(array.astype("int32"), near), 0)
        zero = self.cast(self.op("Multiply", self.op("Size", near, shape=(), dtype="int32"), 0), dtype)
        return self.op("Add", zero, array.tolist())

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """A tensor in another dtype."""
        if x.dtype == dtype:
            return x
        return self.op("Cast", x, dtype=dtype, dtype_=dtype)

    def ones_along(self, factor: str, dtype: str = "int32") -> Tensor:
        """A row of as many ones as a size that is known only at run time says.

        Raises:
            UpgradeError: No tensor of known rank has that size.
        """
        if factor not in self.sources:
            raise self.refuse("works with a size that is known only at run time, of a tensor whose rank is not known")
        source, axis = self.sources[factor]
        shape = source.shape or ()
        key = tuple(slice(None) if number == axis else 0 for number in range(len(shape)))
        row = self.op("GetItem", source, key, shape=(shape[axis],)) if len(shape) > 1 else source
        return self.op("OnesLike", row, dtype=dtype, dtype_=dtype)

    def counting(self, size: Dim, dtype: str) -> Value:
        """The numbers from 0 up to a size; one that is known only at run time, by the running sum of as many ones."""
        if isinstance(size, int):
            return np.arange(size, dtype=dtype)
        if len(size.factors) != 1:
            raise self.refuse("counts to a size that is worked out at run time, which no operation of Keras 3 does")
        return self.op("Subtract", self.op("Cumsum", self.ones_along(size.factors[0], dtype), axis=0), 1)

    def counted(self, size: Dim) -> Value:
        """A size as a tensor of no dimensions."""
        if isinstance(size, int):
            return size
        found: Value = None
        for factor in size.factors:
            one: Value = int(factor[1:]) if factor.startswith("#") else self.op("Size", self.ones_along(factor), shape=(), dtype="int32")
            found = (
                one if found is None else self.op("Multiply", found, one) if isinstance(found, Tensor) else self.op("Multiply", one, found)
            )
        return found

    def ones(self, shape: Sequence[Dim], dtype: str) -> Value:
        """Ones of a shape, some of whose sizes are known only at run time."""
        fixed = [size if isinstance(size, int) else 1 for size in shape]
        self.allowed(fixed)
        found: Value = np.ones(fixed, "float32" if dtype == "bfloat16" else dtype)
        for axis, size in enumerate(shape):
            if isinstance(size, int):
                continue
            if len(size.factors) > 1:
                raise self.refuse("makes a tensor of a size that is worked out at run time")
            places = [number == axis for number in range(len(shape))]
            row = self.ones_along(size.factors[0], dtype)
            if len(shape) > 1:
                row = self.op(
                    "Reshape", row, newshape=[-1 if here else 1 for here in places], shape=[size if here else 1 for here in places]
                )
            found = self.op("Multiply", row, found)
        return found

    def allowed(self, shape: Sequence[Any]) -> None:
        """Refuse to work out an array that is too large."""
        if any(size < 0 for size in shape) or np.prod(shape, dtype=object) > MAX_CONSTANTS:
            raise self.refuse(f"makes a constant of the shape {tuple(shape)}, which is not written into a configuration")


def _has_tensors(value: Value) -> bool:
    """Whether a value is a list of tensors, among which constants may stand."""
    return isinstance(value, list) and any(isinstance(item, Tensor) for item in value)


def _array(array: np.ndarray[Any, Any], dtype: str) -> Json:
    kind = "__tensor__" if dtype == "bfloat16" else "__numpy__"
    return {"class_name": kind, "config": {"value": array.tolist(), "dtype": dtype}}
