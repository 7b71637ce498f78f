"""Operations that pick elements: slices, take, one-hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from kmodel_tools.architecture.downgrade.operations.building import Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, shape_of, short, strong
from kmodel_tools.architecture.downgrade.operations.dtypes import INTEGERS, UNSIGNED
from kmodel_tools.architecture.downgrade.operations.elementwise import broadcast


@carries("GetItem")
def getitem(call: Call) -> Result:
    """`x[:, 0]`, `x[..., None]`, `x[:, ::-1]`, of which an index may be a tensor of no axes."""
    x, key = call.tensor(), call.given(1, "key")
    parts = [_part(call, item) for item in (key if isinstance(key, list) else [key])]
    if x.shape is not None and Ellipsis in [part for part in parts if not isinstance(part, Tensor)]:
        place = next(index for index, part in enumerate(parts) if part is Ellipsis)
        count = len(x.shape) - sum(part is not None and part is not Ellipsis for part in parts)
        parts[place : place + 1] = [slice(None)] * max(count, 0)
    return call.b.getitem(x, parts, _sliced(x.shape, parts))


def _part(call: Call, item: Any) -> Any:
    """One part of an index."""
    if isinstance(item, Tensor):
        if item.dtype not in INTEGERS or item.rank != 0:
            raise call.refuse("takes elements by a mask or by several indices that are tensors, which is not carried back")
        return item
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        return item
    raise call.refuse(f"takes the elements {short(item)}, which no operation of TensorFlow does")


def _sliced(shape: Any, parts: list[Any]) -> list[int | None] | None:
    """The shape of `x[key]`."""
    if shape is None:
        return None
    left = list(shape)
    found: list[int | None] = []
    for part in parts:
        if part is None:
            found.append(1)
        elif left:
            size = left.pop(0)
            if isinstance(part, slice):
                plain = all(end is None or isinstance(end, int) for end in (part.start, part.stop, part.step))
                found.append(len(range(*part.indices(size))) if plain and size is not None else None)
    return found + left


@carries("Take")
def take(call: Call) -> Result:
    """Elements along an axis by their places, of which negative ones count from the end."""
    x, places, axes = call.tensor(), call.value(1, "indices"), call.integers("axis")
    if axes is None:
        x, axes = call.b.op("reshape", x, shape=(None,), shape_=[-1]), [0]
    axis = axes[0]
    size = None if x.shape is None else x.shape[axis]
    index = shape_of(places)
    shape = None
    if x.shape is not None and index is not None:
        shape = [*x.shape[:axis], *index, *x.shape[axis % len(x.shape) + 1 :]]
    return call.b.op("gather", x, shape=shape, indices=from_the_front(call, places, x, axis, size), axis=axis)


def from_the_front(call: Call, places: Value, x: Tensor, axis: int, size: int | None) -> Value:
    """Places of which none is negative: TensorFlow counts none from the end."""
    if not isinstance(places, Tensor):
        array = np.asarray(places)
        if array.dtype.kind not in "iu":
            raise call.refuse(f"takes the elements {short(places)}, which are no places")
        if array.size == 0 or array.min() >= 0:
            return array.tolist() if array.ndim else int(array)
        if size is None:
            raise call.refuse("counts from the end of an axis whose size is known only at run time")
        array = np.where(array < 0, array + size, array)
        return array.tolist() if array.ndim else int(array)
    if places.dtype in UNSIGNED:
        return places
    if places.dtype not in INTEGERS:
        raise call.refuse(f"takes elements by places of {places.dtype}, which no operation of TensorFlow does")
    length: Value = size if size is not None else _length(call, x, axis, places.dtype)
    negative = call.b.same("math.less", places, "bool", y=0)
    return call.b.op("where", negative, places.dtype, places.shape, x=call.b.same("math.add", places, y=length), y=places)


def _length(call: Call, x: Tensor, axis: int, dtype: str) -> Tensor:
    """The size of an axis, at run time."""
    sizes = call.b.op("shape", x, "int32", None if x.rank is None else (x.rank,))
    return call.b.cast(call.b.getitem(sizes, [axis], ()), dtype)


@carries("TakeAlongAxis")
def take_along_axis(call: Call) -> Result:
    """Elements along an axis, each row by its own places: the axis goes last, and all others are rows."""
    x, places, axes = call.tensor(), call.tensor(1, "indices"), call.integers("axis")
    if axes is None or places.shape is None or x.shape is None or len(places.shape) != len(x.shape):
        raise call.refuse("takes elements by places of another rank, which is not carried back")
    rank, axis = len(x.shape), axes[0] % len(x.shape)
    others = [(x.shape[place], places.shape[place]) for place in range(rank) if place != axis]
    if any(first != second for first, second in others):
        raise call.refuse("takes elements by places that are broadcast, which is not carried back")
    order = [*(place for place in range(rank) if place != axis), axis]
    index = from_the_front(call, places, x, axis, x.shape[axis])
    if axis == rank - 1:
        return call.b.op("gather", x, shape=places.shape, indices=index, axis=rank - 1, batch_dims=rank - 1)
    row = call.b.op("transpose", x, shape=[x.shape[place] for place in order], perm=order)
    index = call.b.op("transpose", index, shape=[places.shape[place] for place in order], perm=order)
    found = call.b.op("gather", row, shape=index.shape, indices=index, axis=rank - 1, batch_dims=rank - 1)
    back = [order.index(place) for place in range(rank)]
    return call.b.op("transpose", found, shape=places.shape, perm=back)


@carries("OneHot")
def one_hot(call: Call) -> Result:
    """One where the number says, zero elsewhere."""
    if call.setting("sparse"):
        raise call.refuse("gives a sparse tensor, which is not carried back")
    x, count, axis, dtype = call.tensor(), int(call.number("num_classes")), call.axis(), call.dtype() or "float32"
    x = x if x.dtype in ("uint8", "int8", "int32", "int64") else call.b.cast(x, "int64")
    found = call.b.op(
        "one_hot", x, "float32" if dtype == "bool" else dtype, depth=count, axis=axis, dtype_="float32" if dtype == "bool" else dtype
    )
    return call.b.cast(found, dtype)


@carries("Slice")
def slice_(call: Call) -> Result:
    """From a place on, as many as said."""
    x, start, sizes = call.tensor(0, "inputs"), call.given(1, "start_indices"), call.integers("shape")
    starts = start.tolist() if isinstance(start, np.ndarray) else start
    if not isinstance(starts, list) or not all(isinstance(item, int) for item in starts) or sizes is None:
        raise call.refuse("slices from a place that is known only at run time, which is not carried back")
    return call.b.op("slice", x, shape=sizes, begin=starts, size=sizes)


@carries("Select")
def select(call: Call) -> Result:
    """The value of the first condition that is true."""
    conditions, choices, default = call.items(0, "condlist"), call.items(1, "choicelist"), call.given(2, "default", 0)
    dtypes = {strong(item) for item in choices}
    if len(dtypes) != 1 or len(conditions) != len(choices) or isinstance(default, list):
        raise call.refuse("chooses between values of several dtypes, which is not carried back")
    dtype = dtypes.pop()
    found: Value = call.b.as_tensor(default, call.near(), dtype)
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        mark = call.b.as_dtype(condition, "bool")
        shape = broadcast(shape_of(mark), shape_of(choice), shape_of(found))
        found = call.b.op("where", mark, dtype, shape, x=call.b.as_dtype(choice, dtype), y=found)
    if not isinstance(found, Tensor):
        raise call.refuse("chooses between constants, which is not carried back")
    return found
