"""Operations that pick elements: slices, gather, one-hot, masks of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.scattering import taken_in_rows
from kmodel_tools.architecture.upgrade.operations.values import Dim, Dims, Symbol, Tensor, Value, dims_of, tensors_in

ELLIPSIS = "__ellipsis__"


@carries("__operators__.getitem")
def getitem(call: Call) -> Value:
    """`x[:, 0]`, `x[..., tf.newaxis]`, `x[:, ::-1]`; an index that is a tensor takes along its axis."""
    x, spec = call.x(), call.take("slice_spec")
    items = spec if isinstance(spec, list) else [spec]
    key: list[Any] = []
    taken: list[tuple[int, Tensor]] = []
    for item in items:
        one = _index(call, x, item, len([k for k in key if k is not None]), Ellipsis in key)
        if isinstance(one, Tensor):
            if one.dtype == "bool" or one.shape is None or len(one.shape) > 0:
                raise call.refuse("takes elements by a mask or by several indices that are tensors, which no operation of Keras 3 does")
            taken.append((len(key), one))
            one = slice(None)
        key.append(one)
    return _taken(call, x, key, taken)


def _index(call: Call, x: Tensor, item: Value, axis: int, from_the_end: bool) -> Any:
    """One part of an index, as Python has it; a tensor for an index that is one."""
    if item is None or isinstance(item, Tensor):
        return item
    if isinstance(item, dict) and item.get("class_name") == ELLIPSIS:
        return Ellipsis
    if isinstance(item, dict):
        ends = [item.get(name) for name in ("start", "stop", "step")]
        size = None if from_the_end else x.size(axis)
        return slice(*(_end(call, end, size) for end in ends))
    found = dims_of(item)
    if found is None or len(found) != 1:
        raise call.refuse(f"takes {short(item)} of a tensor, which no operation of Keras 3 does")
    return call.b.operand(item) if isinstance(found[0], Symbol) else found[0]


def _end(call: Call, value: Value, size: Dim | None) -> int | None:
    """Where a slice starts or stops; the size of the axis itself is its end."""
    if value is None:
        return None
    found = dims_of(value)
    if found and isinstance(found[0], int):
        return found[0]
    if found and found[0] == size:
        return None
    raise call.refuse("slices up to what is known only at run time, which no operation of Keras 3 does")


def _taken(call: Call, x: Tensor, key: list[Any], taken: Sequence[tuple[int, Tensor]]) -> Value:
    if not taken:
        return call.b.op("GetItem", x, tuple(key), shape=sliced(x.shape, key), dtype=x.dtype)
    if len(taken) > 1 or any(item is None or item is Ellipsis or isinstance(item, int) for item in key[: taken[0][0]]):
        raise call.refuse("takes elements by several indices that are tensors, which no operation of Keras 3 does")
    place, index = taken[0]
    found = call.b.op("GetItem", x, tuple(key), shape=sliced(x.shape, key)) if any(item != slice(None) for item in key) else x
    shape = None if found.shape is None else [size for axis, size in enumerate(found.shape) if axis != place]
    return call.b.op("Take", found, index, shape=shape, dtype=x.dtype, axis=place)


def sliced(shape: Sequence[Dim] | None, key: Sequence[Any]) -> list[Dim | None] | None:
    """The shape of `x[key]`."""
    if shape is None:
        return None
    parts = list(key)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    left = list(shape)
    found: list[Dim | None] = []
    while parts:
        part = parts.pop(0)
        if part is Ellipsis:
            kept = len(left) - sum(item is not None for item in parts)
            found += left[: max(kept, 0)]
            left = left[max(kept, 0) :]
        elif part is None:
            found.append(1)
        elif left:
            size = left.pop(0)
            if isinstance(part, slice):
                found.append(_length(size, part))
    return found


def _length(size: Dim, part: slice) -> Dim | None:
    if isinstance(size, int):
        return len(range(*part.indices(size)))
    return size if part.start is None and part.stop is None and part.step in (None, 1, -1) else None


@carries("slice")
def slice_(call: Call) -> Value:
    """From a place on, as many as said; -1 for the rest."""
    x, begin, counts = call.x(), call.integers("begin"), call.dims("size")
    key: list[Any] = []
    for axis, (start, count) in enumerate(zip(begin or [], counts, strict=True)):
        if isinstance(count, int):
            key.append(slice(start, None if count == -1 else start + count))
        elif count == x.size(axis) and start == 0:
            key.append(slice(None))
        else:
            raise call.refuse("slices as many elements as is known only at run time, which no operation of Keras 3 does")
    return call.b.op("GetItem", x, tuple(key), shape=sliced(x.shape, key))


@carries("strided_slice")
def strided_slice(call: Call) -> Value:
    """Slices as TensorFlow itself has them."""
    as_index(call)
    return getitem(call)


def as_index(call: Call) -> None:
    """Say the index that the slices of TensorFlow are: bits say which ends are open, which axes are new, and which go.

    Source: TensorFlow 2.21 `python/ops/array_ops.py`, `strided_slice`.
    """
    begin, end = call.dims("begin"), call.dims("end")
    strides = call.integers("strides", default=[1] * len(begin)) or [1] * len(begin)
    masks = {name: int(call.number(f"{name}_mask", default=0)) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    spec: list[Any] = []
    for bit, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        on = {name for name, mask in masks.items() if mask >> bit & 1}
        if "ellipsis" in on:
            spec.append({"class_name": ELLIPSIS})
        elif "new_axis" in on:
            spec.append(None)
        elif "shrink_axis" in on:
            spec.append(_value(call, start))
        else:
            ends = [None if "begin" in on else _value(call, start), None if "end" in on else _value(call, stop)]
            spec.append({"start": ends[0], "stop": ends[1], "step": step})
    call.rest["slice_spec"] = spec


def _value(call: Call, size: Dim) -> Value:
    near = next(iter(tensors_in([call.first, call.rest])), call.near)
    return size if isinstance(size, int) or near is None else Dims((size,), True, near)


@carries("gather", "gather_v2", "keras.backend.gather")
def gather(call: Call) -> Value:
    """Elements along an axis, by their places; with `batch_dims`, for each row its own.

    The axis is the first behind the batch dimensions by default. Places out of range, an error of TensorFlow, are the
    caller's business.
    """
    x, batch_dims = call.x(), call.number("batch_dims", default=0)
    axis = call.one_axis("axis", default=batch_dims)
    places = call.b.operand(call.take("indices", "reference"))
    if isinstance(places, (list, int)):
        places = np.array(places, "int32")
    if batch_dims == 0:
        return call.b.op("Take", x, places, shape=_gathered(call, x, places, axis), dtype=x.dtype, axis=axis)
    index = call.tensor(places)
    if x.shape is not None and index.shape is not None and len(x.shape) == len(index.shape) == batch_dims + 1 == axis % len(x.shape) + 1:
        return call.b.op("TakeAlongAxis", x, index, shape=index.shape, dtype=x.dtype, axis=-1)
    if x.shape is None or index.shape is None or batch_dims not in (1, 1 - len(index.shape)) or axis % len(x.shape) != 1:
        raise call.refuse(f"gathers with batch_dims={batch_dims} and axis={axis}, which no operation of Keras 3 does")
    return taken_in_rows(call, x, index)


def _gathered(call: Call, x: Tensor, places: Value, axis: int) -> list[Dim | None] | None:
    index = call.b.shape_of(places)
    if x.shape is None or index is None or not -len(x.shape) <= axis < len(x.shape):
        return None
    axis %= len(x.shape)
    return [*x.shape[:axis], *index, *x.shape[axis + 1 :]]


@carries("nn.embedding_lookup")
def embedding_lookup(call: Call) -> Value:
    """Rows of a table."""
    call.take("partition_strategy")
    table, places = call.tensor(call.first), call.tensor(call.take("ids"))
    return call.b.op("Take", table, places, shape=_gathered(call, table, places, 0), dtype=table.dtype, axis=0)


@carries("one_hot", "keras.backend.one_hot")
def one_hot(call: Call) -> Value:
    """One where the number says, zero elsewhere; or other values than these."""
    x, depth, axis = call.x(), call.number("depth", "num_classes"), call.one_axis("axis", default=-1)
    on, off, dtype = call.number("on_value", default=1), call.number("off_value", default=0), call.dtype()
    if dtype is None:
        dtype = "float32" if isinstance(on, float) or not call.rest.get("on_value") else "int32"
    shape: list[Dim | None] | None = None
    if x.shape is not None:
        shape = list(x.shape)
        shape.insert(axis if axis >= 0 else len(x.shape), depth)
    found = call.b.op("OneHot", x, shape=shape, dtype=dtype, num_classes=depth, axis=axis, dtype_=dtype, sparse=False)
    if (on, off) == (1, 0):
        return found
    return call.b.cast(
        call.b.op("Where", call.b.op("NotEqual", found, 0), on, off, dtype="float32" if isinstance(on, float) else "int32"), dtype
    )


@carries("sequence_mask")
def sequence_mask(call: Call) -> Value:
    """True for as many as a length says, of `maxlen`."""
    x, longest, dtype = call.x(), call.dims("maxlen"), call.dtype(default="bool") or "bool"
    if isinstance(longest[0], int):
        call.b.allowed(longest)
    places = call.b.counting(longest[0], x.dtype if x.dtype in ("int32", "int64") else "int32")
    ends = call.b.op("ExpandDims", x, shape=None if x.shape is None else (*x.shape, 1), axis=-1)
    return call.b.cast(call.b.op("Less", places, ends), dtype)
