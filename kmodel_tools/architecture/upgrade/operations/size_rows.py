"""What people do with the shape of a tensor: take sizes of it, put some together, and so on, until it is another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, Handler, short
from kmodel_tools.architecture.upgrade.operations.indexing import as_index
from kmodel_tools.architecture.upgrade.operations.values import Dim, Dims, ShapeOf, Tensor, Value, dims_of, product, sizes, tensors_in


def is_scalar_size(value: Value) -> bool:
    """Whether a value is one size, and not a row of them."""
    return value.is_scalar if isinstance(value, Dims) else np.ndim(value) == 0


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
    return _made([items[item] for item in index if isinstance(item, int)], is_scalar_size(places), near)


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


def _part(call: Call) -> Value:
    """`tf.slice(shape, [1], [2])`."""
    begin, count = dims_of(call.take("begin")), dims_of(call.take("size"))
    if not begin or not count or not isinstance(begin[0], int) or not isinstance(count[0], int) or len(begin) > 1:
        return NotImplemented
    call.rest["slice_spec"] = {"start": begin[0], "stop": None if count[0] == -1 else begin[0] + count[0], "step": None}
    return _taken(call)


def _reshaped(call: Call) -> Value:
    """A size as a row of one, and back."""
    target = dims_of(call.rest.get("shape"))
    if not isinstance(call.first, Dims) or target is None or len(target) > 1 or len(call.first.items) != 1:
        return NotImplemented
    call.take("shape")
    return Dims(call.first.items, not target, call.first.source)


ON_SIZES: dict[str, Handler] = {
    "slice": _part,
    "reshape": _reshaped,
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
