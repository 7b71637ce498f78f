"""Operations on shapes, and on constants: worked out here, for Keras 3 has neither among its operations.

A size that is known only at run time goes through what people do with it (indexing, packing, products, quotients) as a
symbol; operations that need its value get it from a tensor that has that size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.draft import UpgradeError
from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.size_rows import ON_SIZES, is_scalar_size
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
    "RealDiv": np.true_divide,
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
    handler = ON_SIZES.get(name)
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
    if name not in ("multiply", "floordiv", "floor_div", "add", "subtract", "maximum"):
        return NotImplemented
    left, right = call.first, call.take("y")
    items = [dims_of(value) for value in (left, right)]
    if name == "maximum" and not _is_floor(items):
        return NotImplemented
    if items[0] is None or items[1] is None:
        return NotImplemented
    is_scalar = all(is_scalar_size(value) for value in (left, right))
    count = max(len(items[0]), len(items[1]))
    pairs = [(items[0][index if len(items[0]) > 1 else 0], items[1][index if len(items[1]) > 1 else 0]) for index in range(count)]
    source = tensors_in([left, right])[0]
    found = [_together(name, first, second) for first, second in pairs]
    return sizes(found, is_scalar, source)


def _is_floor(items: Sequence[list[Dim] | None]) -> bool:
    """Whether `maximum` compares sizes with what no size is below."""
    factors = [factor for row in items for item in row or () if isinstance(item, Symbol) for factor in item.factors]
    plain = not any(factor.startswith(("(", "#")) for factor in factors)
    return plain and any(row is not None and all(isinstance(item, int) and item <= 0 for item in row) for row in items)


def _together(name: str, first: Dim, second: Dim) -> Dim:
    if name == "multiply":
        return product([first, second])
    if name in ("floordiv", "floor_div"):
        exact = quotient([first], [second])
        if exact is not None:
            return exact
        if isinstance(first, int) and isinstance(second, int) and second:
            return first // second
    if name == "maximum":
        return second if isinstance(first, int) and not (isinstance(second, int) and second < first) else first
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
