"""Operations that pick or place elements by tensors of indices: gather_nd, scatter, sums by segment."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries
from kmodel_tools.architecture.upgrade.operations.shaping import reshaped
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value, product


@carries("gather_nd", "gather_nd_v2")
def gather_nd(call: Call) -> Value:
    """Elements by all of their places: the axes that are meant as one, along which a number says the place.

    With `batch_dims=1` each sample has indices of its own.
    """
    x, batch_dims = call.x(), int(call.number("batch_dims", default=0))
    index = call.tensor(call.take("indices"))
    if x.shape is None or index.shape is None or not isinstance(index.shape[-1], int) or batch_dims not in (0, 1):
        raise call.refuse(f"gathers with batch_dims={batch_dims}, or of what is not known well enough, which no operation of Keras 3 does")
    count = index.shape[-1]
    whole = x.shape[batch_dims : batch_dims + count]
    later = [size for size in whole[1:] if isinstance(size, int)]
    if count == 0 or len(whole) < count or len(later) < count - 1:
        raise call.refuse("gathers along axes whose size is known only at run time, which no operation of Keras 3 does")
    steps = [prod(later[axis:]) for axis in range(count)]
    place: Tensor | None = None
    for axis, step in enumerate(steps):
        one = call.b.op("GetItem", index, (Ellipsis, axis), shape=index.shape[:-1])
        one = call.b.op("Multiply", one, step) if step != 1 else one
        place = one if place is None else call.b.op("Add", place, one)
    assert place is not None
    flat = reshaped(call, x, [*x.shape[:batch_dims], product(whole), *x.shape[batch_dims + count :]]) if count > 1 else x
    if batch_dims:
        return taken_in_rows(call, flat, place)
    return call.b.op("Take", flat, place, shape=[*index.shape[:-1], *x.shape[count:]], dtype=x.dtype, axis=0)


def taken_in_rows(call: Call, x: Tensor, index: Tensor) -> Tensor:
    """Elements of (samples, places, …) by indices of (samples, …), each sample's own: along the second axis, all else as one."""
    if x.shape is None or index.shape is None or len(index.shape) < 1:
        raise call.refuse("gathers from what is not known well enough")
    inner = list(x.shape[2:])
    width = product(inner)
    if not isinstance(width, int):
        raise call.refuse("gathers rows of a size that is known only at run time")
    batch = x.shape[0] if x.shape[0] == index.shape[0] else index.shape[0]
    one = len(index.shape) == 1
    places = index if len(index.shape) == 2 else reshaped(call, index, [index.shape[0], product(index.shape[1:])])
    count = 1 if one else product(index.shape[1:])
    if not inner:
        found = call.b.op("TakeAlongAxis", x, places, shape=[batch, count], dtype=x.dtype, axis=1)
    else:
        call.b.allowed([width])
        flat = x if len(inner) == 1 else reshaped(call, x, [*x.shape[:2], width])
        column = call.b.op("ExpandDims", places, shape=[index.shape[0], count, 1], axis=-1)
        columns = call.b.op("Multiply", column, np.ones((1, 1, width), index.dtype or "int32"), shape=[index.shape[0], count, width])
        found = call.b.op("TakeAlongAxis", flat, columns, shape=[batch, count, width], dtype=x.dtype, axis=1)
    if len(index.shape) == 2 and len(inner) < 2:
        return found
    return reshaped(call, found, [batch, *index.shape[1:], *inner])


@carries("tensor_scatter_nd_update", "tensor_scatter_nd_add", "tensor_scatter_nd_sub", "tensor_scatter_nd_max", "tensor_scatter_nd_min")
def tensor_scatter(call: Call) -> Value:
    """A tensor, some elements of which are others, or more or less than they were."""
    x = call.x()
    index = call.tensor(call.take("indices"))
    updates = call.tensor(call.take("updates"), x)
    kind = call.function.rpartition("_")[2]
    if kind == "sub":
        updates = call.b.op("Negative", updates)
    how = {"update": None, "sub": "add"}.get(kind, kind)
    return call.b.op("ScatterUpdate", x, index, updates, shape=x.shape, dtype=x.dtype, reduction=how)


@carries("scatter_nd")
def scatter_nd(call: Call) -> Value:
    """Zeros of a shape, to which numbers are added at some places."""
    shape = call.dims("shape")
    if not all(isinstance(size, int) for size in shape):
        raise call.refuse("fills a shape that is known only at run time, which no operation of Keras 3 does")
    index = call.tensor(call.first)
    updates = call.tensor(call.take("updates"))
    call.b.allowed(shape)
    return call.b.op("Scatter", index, updates, shape=shape, dtype=updates.dtype, shape_=shape)


@carries(*(f"math.unsorted_segment_{kind}" for kind in ("sum", "prod", "max", "min", "mean")))
def segments(call: Call) -> Value:
    """Sums and the like of rows that have the same number."""
    x, count, kind = call.x(), int(call.number("num_segments")), call.function.rpartition("_")[2]
    ids = call.tensor(call.take("segment_ids"))
    if ids.shape is None or len(ids.shape) != 1 or x.shape is None:
        raise call.refuse("adds up by numbers in several rows, which no operation of Keras 3 does")
    if kind in ("max", "min"):
        raise call.refuse("finds extremes of segments, which differ between the backends of Keras 3 where a segment is empty")
    shape = [count, *x.shape[1:]]
    if kind != "mean":
        return call.b.op({"sum": "SegmentSum", "prod": "SegmentProd"}[kind], x, ids, shape=shape, num_segments=count, sorted=False)
    total = call.b.op("SegmentSum", x, ids, shape=shape, num_segments=count, sorted=False)
    ones = call.b.op("OnesLike", ids, dtype=x.dtype, dtype_=x.dtype)
    counts = call.b.op("Maximum", call.b.op("SegmentSum", ones, ids, shape=[count], num_segments=count, sorted=False), 1)
    spread: Sequence[Dim | None] = [count, *[1] * (len(x.shape) - 1)]
    return call.b.op("Divide", total, call.b.op("Reshape", counts, shape=spread, newshape=list(spread)))


@carries("math.in_top_k", "nn.in_top_k")
def in_top_k(call: Call) -> Value:
    """Whether the class that is said is among the largest."""
    places, x = call.take("targets"), call.take("predictions")
    places = call.tensor(call.first if places is None else places)
    x = call.tensor(call.first if x is None else x)
    return call.b.op("InTopK", places, x, shape=places.shape, k=int(call.number("k")))
