"""Operations on shapes, and on constants: worked out here, for Keras 3 has neither among its operations.

A size that is known only at run time goes through what people do with it (indexing, packing, products, quotients) as a
symbol; operations that need its value get it from a tensor that has that size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.draft import UpgradeError
from kmodel_tools.architecture.upgrade.operations.calls import Call, Handler, carries, short
from kmodel_tools.architecture.upgrade.operations.indexing import as_index
from kmodel_tools.architecture.upgrade.operations.values import (
    Dim,
    Dims,
    ShapeOf,
    Symbol,
    Tensor,
    Value,
    dims_of,
    product,
    quotient,
    sizes,
    tensors_in,
)

NUMBERS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "truediv": np.true_divide,
    "divide": np.true_divide,
    "floordiv": np.floor_divide,
    "floor_div": np.floor_divide,
    "floormod": np.mod,
    "mod": np.mod,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sqrt": np.sqrt,
    "square": np.square,
    "negative": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "rsqrt": lambda x: np.reciprocal(np.sqrt(x)),
    "reciprocal": np.reciprocal,
    "ceil": np.ceil,
    "floor": np.floor,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_not": np.logical_not,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}
"""Operations of numbers that are worked out, by the last part of their name."""


@carries("shape", "keras.backend.shape", "shape_v2")
def shape(call: Call) -> Value:
    """The sizes of a tensor."""
    call.dtype("out_type")
    value = call.first
    if isinstance(value, Dims):
        return np.array([] if value.is_scalar else [len(value.items)], np.int32)
    x = call.x()
    return ShapeOf(x) if x.shape is None else sizes(x.shape, False, x)


@carries("size", "size_v2")
def size(call: Call) -> Value:
    """The number of elements."""
    call.dtype("out_type")
    x = call.x()
    if x.shape is None:
        return call.b.op("Size", x, shape=(), dtype="int32")
    return sizes([product(x.shape)], True, x)


@carries("rank", "keras.backend.ndim")
def rank(call: Call) -> Value:
    """The number of axes."""
    x = call.x()
    if x.shape is None:
        raise call.refuse("asks for the rank of a tensor whose rank is not known")
    return np.array(len(x.shape), np.int32)


MAX_SAID = 2000
"""Characters of the expression of a size; it could double at every operation."""

# What is worked out.


def folded(call: Call) -> Value:
    """The result of an operation on sizes and constants; NotImplemented for what needs a tensor."""
    given = [call.first, *call.rest.values()]
    if any(isinstance(item, Tensor) for item in _leaves(given)):
        return NotImplemented
    name = call.function.rpartition(".")[2]
    handler = _ON_SIZES.get(name)
    has_sizes = bool(tensors_in(given))
    if handler is not None and (has_sizes or isinstance(call.first, np.ndarray)):
        return handler(call)
    if has_sizes:
        return _arithmetic(call, name)
    if name in ("stack", "concat") and isinstance(call.first, list) and any(isinstance(item, np.ndarray) for item in call.first):
        return _joined(call, name)
    return _numbers(call, name)


def _joined(call: Call, name: str) -> Value:
    """Constants side by side."""
    typed = next(item for item in call.first if isinstance(item, np.ndarray))
    axis = call.one_axis("axis", "concat_dim", default=0)
    try:
        arrays = [np.asarray(item, typed.dtype) for item in call.first]
        return np.stack(arrays, axis) if name == "stack" else np.concatenate(arrays, axis)
    except (TypeError, ValueError) as error:
        raise call.refuse(f"cannot be worked out for {short(call.first)}") from error


def _leaves(value: Any) -> list[Any]:
    found: list[Any] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, dict)):
            stack.extend(item.values() if isinstance(item, dict) else item)
        else:
            found.append(item)
    return found


def _numbers(call: Call, name: str) -> Value:
    """An operation of constants alone."""
    function = NUMBERS.get(name)
    if function is None:
        return NotImplemented
    given = [call.first] + [call.take(key) for key in ("y",) if call.rest.get(key) is not None]
    typed = [item.dtype for item in given if isinstance(item, np.ndarray)]
    try:
        arrays = [
            item if isinstance(item, np.ndarray) else np.array(item, typed[0] if typed else _plain_dtype(call, item)) for item in given
        ]
        call.b.allowed(np.broadcast_shapes(*(array.shape for array in arrays)))
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))
    except (TypeError, ValueError) as error:
        raise call.refuse(f"cannot be worked out for {short(given)}") from error


def _plain_dtype(call: Call, value: Value) -> str:
    kind = np.array(value).dtype.kind
    return call.b.dtype if kind == "f" else "bool" if kind == "b" else "int32"


def _arithmetic(call: Call, name: str) -> Value:
    """Products, quotients, sums and differences of sizes; others need their values."""
    if name not in ("multiply", "floordiv", "floor_div", "add", "subtract"):
        return NotImplemented
    left, right = call.first, call.take("y")
    items = [dims_of(value) for value in (left, right)]
    if items[0] is None or items[1] is None:
        return NotImplemented
    is_scalar = all(_is_scalar(value) for value in (left, right))
    count = max(len(items[0]), len(items[1]))
    pairs = [(items[0][index if len(items[0]) > 1 else 0], items[1][index if len(items[1]) > 1 else 0]) for index in range(count)]
    source = tensors_in([left, right])[0]
    found = [_together(name, first, second) for first, second in pairs]
    return sizes(found, is_scalar, source)


def _is_scalar(value: Value) -> bool:
    return value.is_scalar if isinstance(value, Dims) else np.ndim(value) == 0


def _together(name: str, first: Dim, second: Dim) -> Dim:
    if name == "multiply":
        return product([first, second])
    if name in ("floordiv", "floor_div"):
        exact = quotient([first], [second])
        if exact is not None:
            return exact
        if isinstance(first, int) and isinstance(second, int) and second:
            return first // second
    if isinstance(first, int) and isinstance(second, int) and name in ("add", "subtract"):
        return first + second if name == "add" else first - second
    if second == 0 and name in ("add", "subtract"):
        return first
    if first == second and name == "subtract":
        return 0
    said = f"({name} {_said(first)} {_said(second)})"
    if len(said) > MAX_SAID:
        raise UpgradeError("a size that is worked out in too many steps to follow")
    return Symbol((said,))


def _said(size: Dim) -> str:
    return str(size) if isinstance(size, int) else "*".join(size.factors)


def _row(call: Call, value: Value) -> tuple[list[Dim], Tensor | None]:
    found = dims_of(value)
    if found is None:
        raise call.refuse(f"is called on {short(value)}, which are no sizes")
    near = tensors_in(value)
    return found, near[0] if near else None


def _made(items: Sequence[Dim], is_scalar: bool, near: Tensor | None) -> Value:
    if near is None:
        return np.array(items[0] if is_scalar else list(items), np.int32)
    return sizes(items, is_scalar, near)


def _taken(call: Call) -> Value:
    """`shape[0]`, `shape[1:]`, `shape[:-1]`."""
    spec = call.take("slice_spec")
    if isinstance(spec, list) and len(spec) == 1:
        spec = spec[0]
    if isinstance(call.first, np.ndarray):
        return _of_array(call, call.first, spec)
    index = dims_of(spec)
    if isinstance(call.first, ShapeOf):
        return _of_unknown_rank(call, call.first.tensor, spec, index)
    items, near = _row(call, call.first)
    if isinstance(spec, dict) and "start" in spec:
        ends = [None if spec.get(key) is None else dims_of(spec[key]) for key in ("start", "stop", "step")]
        numbers = [end[0] if end and isinstance(end[0], int) else None for end in ends]
        if [number is None for number in numbers] == [end is None for end in ends]:
            return _made(items[slice(numbers[0], numbers[1], numbers[2])], False, near)
    if index and len(index) == 1 and isinstance(index[0], int) and -len(items) <= index[0] < len(items):
        return _made([items[index[0]]], True, near)
    raise call.refuse(f"takes {short(spec)} of a shape, which is not followed")


def _of_array(call: Call, array: np.ndarray[Any, Any], spec: Any) -> Value:
    """A part of a constant."""
    key: list[Any] = []
    for item in spec if isinstance(spec, list) else [spec]:
        if isinstance(item, dict) and "start" in item:
            ends = [item.get(name) for name in ("start", "stop", "step")]
            if not all(end is None or dims_of(end) for end in ends):
                return NotImplemented
            key.append(slice(*(None if end is None else int(np.asarray(end)) for end in ends)))
        elif isinstance(item, dict):
            key.append(Ellipsis)
        else:
            key.append(item)
    try:
        return np.asarray(array[tuple(key)])
    except IndexError as error:
        raise call.refuse(f"takes {short(spec)} of a constant of the shape {array.shape}") from error


def _of_unknown_rank(call: Call, x: Tensor, spec: Any, index: list[Dim] | None) -> Value:
    """A size of a tensor whose rank is not known, counted from the front."""
    if isinstance(spec, dict) and spec.get("start") in (None, 0) and spec.get("step") in (None, 1):
        stop = spec.get("stop")
        if isinstance(stop, int) and stop > 0:
            return sizes([size for axis in range(stop) if (size := x.size(axis)) is not None], False, x)
    if index and isinstance(index[0], int) and (one := x.size(index[0])) is not None:
        return sizes([one], True, x)
    raise call.refuse("takes a size of a tensor whose rank is not known")


def _packed(call: Call) -> Value:
    """`tf.stack([batch, 24])`."""
    call.take("axis")
    items, near = _row(call, call.items())
    return _made(items, False, near)


def _concatenated(call: Call) -> Value:
    """`tf.concat([tf.shape(x)[:1], [24]], 0)`."""
    call.take("axis", "concat_dim")
    rows = [_row(call, item) for item in call.items()]
    return _made([size for row, _ in rows for size in row], False, next((near for _, near in rows if near is not None), None))


def _unpacked(call: Call) -> Value:
    call.take("axis", "num")
    items, near = _row(call, call.first)
    return [_made([item], True, near) for item in items]


def _same(call: Call) -> Value:
    for name in ("shape", "dtype", "axis", "perm"):
        call.take(name)
    return call.first


def _cast(call: Call) -> Value:
    dtype = call.dtype()
    if isinstance(call.first, np.ndarray) and dtype and dtype not in ("bfloat16", "string") and "complex" not in dtype:
        return call.first.astype(dtype)
    return call.first if isinstance(call.first, Dims) and dtype in ("int32", "int64") else NotImplemented


def _all_together(call: Call) -> Value:
    axis = call.take("axis", "reduction_indices")
    keeps = call.take("keepdims", "keep_dims", default=False)
    if isinstance(call.first, np.ndarray):
        axes = tuple(axis) if isinstance(axis, list) else axis
        return np.asarray(np.prod(call.first, axis=axes, keepdims=bool(keeps), dtype=call.first.dtype))
    if not isinstance(call.first, Dims) or keeps:
        return NotImplemented
    return sizes([product(call.first.items)], True, call.first.source)


def _gathered(call: Call) -> Value:
    call.take("axis", "batch_dims")
    places = call.take("indices")
    index = dims_of(places)
    if index is None or not all(isinstance(item, int) for item in index):
        return NotImplemented
    if isinstance(call.first, ShapeOf):
        return _of_unknown_rank(call, call.first.tensor, None, index)
    items, near = _row(call, call.first)
    return _made([items[item] for item in index if isinstance(item, int)], _is_scalar(places), near)


def _chosen(call: Call) -> Value:
    """One of two rows of sizes, by a condition that is a constant."""
    rows = [dims_of(call.take(name)) for name in ("x", "y")]
    if not isinstance(call.first, np.ndarray) or rows[0] is None or rows[1] is None:
        return NotImplemented
    near = next(iter(tensors_in(list(call.rest.values()))), None)
    triples = zip(call.first.reshape(-1).tolist(), *(row * (1 if len(row) > 1 else call.first.size) for row in rows if row), strict=True)
    return _made([left if mark else right for mark, left, right in triples], call.first.ndim == 0, near)


def _filled(call: Call) -> Value:
    call.take("dtype", "optimize")
    value = np.int32(call.function.endswith("ones_like"))
    if isinstance(call.first, Dims):
        return np.full(() if call.first.is_scalar else (len(call.first.items),), value)
    return np.full_like(call.first, value) if isinstance(call.first, np.ndarray) else NotImplemented


def _expanded(call: Call) -> Value:
    call.take("axis", "dim")
    return Dims(call.first.items, False, call.first.source) if isinstance(call.first, Dims) and call.first.is_scalar else NotImplemented


def _strided(call: Call) -> Value:
    as_index(call)
    return _taken(call)


_ON_SIZES: dict[str, Handler] = {
    "getitem": _taken,
    "strided_slice": _strided,
    "stack": _packed,
    "concat": _concatenated,
    "concatenate": _concatenated,
    "unstack": _unpacked,
    "identity": _same,
    "convert_to_tensor": _same,
    "stop_gradient": _same,
    "ensure_shape": _same,
    "cast": _cast,
    "reduce_prod": _all_together,
    "gather": _gathered,
    "expand_dims": _expanded,
    "where": _chosen,
    "ones_like": _filled,
    "zeros_like": _filled,
}
