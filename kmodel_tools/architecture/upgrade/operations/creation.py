"""Tensors that are made of a size: ones, zeros, one number everywhere, numbers that count up."""

from __future__ import annotations

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value, dims_of


@carries("ones", "zeros", "keras.backend.ones", "keras.backend.zeros")
def ones(call: Call) -> Value:
    """Ones or zeros of a shape."""
    call.take("layout")
    dtype = call.dtype(default="float32") or "float32"
    found = call.b.ones(_target(call, call.first), dtype)
    if call.function.endswith("ones"):
        return found
    return call.b.op("ZerosLike", found) if isinstance(found, Tensor) else np.zeros_like(found)


@carries("fill")
def fill(call: Call) -> Value:
    """One number everywhere."""
    value = call.b.operand(call.take("value"))
    target = _target(call, call.first)
    if isinstance(value, Tensor):
        raise call.refuse("fills a tensor with what is known only at run time")
    array = np.array(value)
    dtype = array.dtype.name if isinstance(value, np.ndarray) else {"f": call.b.dtype, "i": "int32", "b": "bool"}.get(array.dtype.kind)
    if dtype in (None, "bool"):
        raise call.refuse(f"fills a tensor with {short(value)}")
    found = call.b.ones(target, dtype)
    return call.b.op("Multiply", found, array.item()) if isinstance(found, Tensor) else found * array.astype(found.dtype)


def _target(call: Call, value: Value) -> list[Dim]:
    found = dims_of(value)
    if found is None:
        raise call.refuse(f"makes a tensor of the shape {short(value)}")
    return found


@carries("zeros_like", "ones_like", "keras.backend.zeros_like", "keras.backend.ones_like")
def like(call: Call) -> Value:
    """Zeros or ones of the shape of a tensor."""
    call.take("optimize")
    x, dtype = call.x(), call.dtype()
    kind = "ZerosLike" if "zeros" in call.function else "OnesLike"
    return call.b.op(kind, x, dtype=dtype or x.dtype, dtype_=dtype)


@carries("range", "keras.backend.arange")
def numbers(call: Call) -> Value:
    """Numbers that count up; up to a size that is known only at run time, the running sum of ones."""
    limit, step, dtype = call.take("limit", "stop"), call.number("delta", "step", default=1), call.dtype()
    start = call.first if limit is not None else 0
    limit = call.first if limit is None else limit
    first, last = dims_of(start), dims_of(limit)
    if first and last and isinstance(first[0], int) and isinstance(last[0], int):
        call.b.allowed([max(0, (last[0] - first[0]) // step)] if step else [-1])
        return np.arange(first[0], last[0], step).astype(dtype or "int32")
    if first != [0] or step != 1 or not last:
        raise call.refuse(f"counts from {short(start)} to {short(limit)}, which no operation of Keras 3 does")
    return call.b.counting(last[0], dtype or "int32")
