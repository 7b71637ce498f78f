"""Operations that move elements: reshape, transpose, new axes, repeat, pad, flip; and those of diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmodel_tools.architecture.downgrade.operations.building import Sizes, Tensor
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, short
from kmodel_tools.architecture.downgrade.operations.reductions import left


@carries("Reshape", "Ravel")
def reshape(call: Call) -> Result:
    """Another shape, of which one size may be -1."""
    x = call.tensor()
    target = [-1] if call.kind == "Ravel" else call.integers("newshape")
    if target is None:
        raise call.refuse("reshapes to sizes that the file does not say")
    return call.b.op("reshape", x, shape=[None if size == -1 else size for size in target], shape_=target)


@carries("Size")
def size(call: Call) -> Result:
    """The number of elements."""
    return call.b.op("size", call.tensor(), "int32", ())


def permuted(call: Call, x: Tensor, axes: Sequence[int]) -> Tensor:
    """The axes in another order."""
    shape = None if x.shape is None else [x.shape[axis] for axis in axes]
    return call.b.op("transpose", x, shape=shape, perm=list(axes))


@carries("Transpose")
def transpose(call: Call) -> Result:
    """The axes in another order; all the other way round by default."""
    x, axes = call.tensor(), call.integers("axes")
    if not axes:
        return call.b.op("transpose", x, shape=None if x.shape is None else x.shape[::-1])
    if any(axis < 0 for axis in axes):
        axes = [axis % len(axes) for axis in axes]
    return permuted(call, x, axes)


@carries("Swapaxes")
def swapaxes(call: Call) -> Result:
    """Two axes in each other's place."""
    x, first, second = call.tensor(), int(call.number("axis1")), int(call.number("axis2"))
    return swapped(call, x, first, second)


def swapped(call: Call, x: Tensor, first: int, second: int) -> Tensor:
    """Two axes in each other's place; the last two of them without knowing how many there are."""
    if {first, second} == {-1, -2}:
        shape = None if x.shape is None else (*x.shape[:-2], x.shape[-1], x.shape[-2])
        return call.b.op("linalg.matrix_transpose", x, shape=shape)
    axes = list(range(len(call.sizes(x))))
    axes[first], axes[second] = axes[second], axes[first]
    return permuted(call, x, axes)


@carries("Moveaxis")
def moveaxis(call: Call) -> Result:
    """Axes in other places, the rest in their order."""
    x, source, destination = call.tensor(), call.integers("source") or [], call.integers("destination") or []
    rank = len(call.sizes(x))
    source, destination = ([axis % rank for axis in axes] for axes in (source, destination))
    order = [axis for axis in range(rank) if axis not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return permuted(call, x, order)


@carries("ExpandDims")
def expand_dims(call: Call) -> Result:
    """New axes of one, whose places are those in the result."""
    x, axes = call.tensor(), call.integers("axis")
    if not axes:
        raise call.refuse("has no place for a new axis")
    if len(axes) > 1:
        rank = len(call.sizes(x)) + len(axes)
        axes = sorted(axis % rank for axis in axes)
    for axis in axes:
        x = expanded(call, x, axis)
    return x


def expanded(call: Call, x: Tensor, axis: int) -> Tensor:
    """A new axis of one."""
    shape: list[int | None] | None = None
    if x.shape is not None:
        shape = list(x.shape)
        shape.insert(axis if axis >= 0 else len(x.shape) + 1 + axis, 1)
    return call.b.op("expand_dims", x, shape=shape, axis=axis)


@carries("Squeeze")
def squeeze(call: Call) -> Result:
    """Without some axes of one, or without all of them."""
    x, axes = call.tensor(), call.integers("axis")
    if axes is None:
        return call.b.op("squeeze", x)
    return call.b.op("squeeze", x, shape=left(x.shape, axes, False), axis=axes)


@carries("BroadcastTo")
def broadcast_to(call: Call) -> Result:
    """Broadcast to a shape."""
    x, shape = call.tensor(), call.integers("shape")
    if shape is None:
        raise call.refuse("has no shape")
    return call.b.op("broadcast_to", x, shape=shape, shape_=shape)


@carries("Tile")
def tile(call: Call) -> Result:
    """Copies along each axis; fewer numbers than axes are those of the last ones."""
    x, counts = call.tensor(), call.integers("repeats") or []
    rank = len(call.sizes(x)) if x.shape is not None else len(counts)
    counts = [1] * (rank - len(counts)) + counts
    for _ in range(len(counts) - rank):
        x = expanded(call, x, 0)
    shape = None if x.shape is None else [None if size is None else size * count for size, count in zip(x.shape, counts, strict=True)]
    return call.b.op("tile", x, shape=shape, multiples=counts)


@carries("Repeat")
def repeat(call: Call) -> Result:
    """Each element several times along an axis."""
    x, counts, axes = call.tensor(), call.axes("repeats"), call.integers("axis")
    axis = None if axes is None else axes[0]
    counts = counts[0] if isinstance(counts, list) and len(counts) == 1 else counts
    return call.b.op("repeat", x, repeats=counts, axis=axis)


@carries("Pad")
def pad(call: Call) -> Result:
    """More elements around: a number, or the edge reflected, itself left out or not."""
    x, mode, widths = call.tensor(), str(call.setting("mode", "constant")), call.setting("pad_width")
    value = call.given(1, "constant_values", None)
    rows = np.asarray(widths.tolist() if isinstance(widths, np.ndarray) else widths)
    if mode not in ("constant", "reflect", "symmetric") or rows.dtype.kind not in "iu" or isinstance(value, Tensor):
        raise call.refuse(f"pads by {short(widths)} in the mode {mode!r}, which is not carried back")
    if rows.shape != (len(x.shape) if x.shape is not None else len(rows), 2):
        rows = np.broadcast_to(rows, (len(call.sizes(x)), 2))
    shape: Sizes | None = None
    if x.shape is not None:
        shape = tuple(None if size is None else size + sum(row) for size, row in zip(x.shape, rows.tolist(), strict=True))
    more: Any = {} if value is None else {"constant_values": call.b.as_dtype(value, x.dtype)}
    return call.b.op("pad", x, shape=shape, paddings=rows, mode=mode.upper(), **more)


@carries("Flip", "Fliplr", "Flipud")
def flip(call: Call) -> Result:
    """The other way round along some axes, or along all."""
    x = call.tensor()
    axes = [1] if call.kind == "Fliplr" else [0] if call.kind == "Flipud" else call.integers("axis")
    return call.b.same("reverse", x, axis=list(range(len(call.sizes(x)))) if axes is None else axes)


@carries("Roll")
def roll(call: Call) -> Result:
    """Shifted along axes, what falls out coming in at the other end."""
    x, shift, axes = call.tensor(), call.axes("shift"), call.axes()
    if axes is None:
        raise call.refuse("rolls over all axes as one, which is not carried back")
    if isinstance(axes, list) and not isinstance(shift, list):
        shift = [shift] * len(axes)
    return call.b.same("roll", x, shift=shift, axis=axes)


# Diagonals.


@carries("Tril", "Triu")
def triangle(call: Call) -> Result:
    """The part of matrices below or above a diagonal."""
    x, k = call.tensor(), int(call.number("k", 0))
    if call.kind == "Tril" and k >= 0:
        return call.b.same("linalg.band_part", x, num_lower=-1, num_upper=k)
    if call.kind == "Triu" and k <= 0:
        return call.b.same("linalg.band_part", x, num_lower=-k, num_upper=-1)
    if x.dtype == "bool":
        raise call.refuse("takes a part of truths off the diagonal, which is not carried back")
    lower, upper = (-1, k - 1) if call.kind == "Triu" else (-k - 1, -1)  # what is left out
    zeros = call.b.same("zeros_like", x)
    inside = call.b.same("linalg.band_part", call.b.same("ones_like", x), num_lower=lower, num_upper=upper)
    return call.b.op("where", call.b.same("math.not_equal", inside, "bool", y=0), x.dtype, x.shape, x=zeros, y=x)


@carries("Diagonal")
def diagonal(call: Call) -> Result:
    """A diagonal of matrices, whose axes are the first two unless said otherwise."""
    x, offset = call.tensor(), int(call.number("offset", 0))
    x = _matrices(call, x)
    return call.b.op("linalg.diag_part", x, k=offset) if offset else call.b.op("linalg.diag_part", x)


def _matrices(call: Call, x: Tensor) -> Tensor:
    """A tensor whose matrices lie on its last two axes."""
    first, second = int(call.number("axis1", 0)), int(call.number("axis2", 1))
    if (first, second) == (-2, -1):
        return x
    rank = len(call.sizes(x))
    first, second = first % rank, second % rank
    if (first, second) == (rank - 2, rank - 1):
        return x
    return permuted(call, x, [*(axis for axis in range(rank) if axis not in (first, second)), first, second])


@carries("Trace")
def trace(call: Call) -> Result:
    """The sum of the diagonal of matrices."""
    x = call.tensor()
    if int(call.number("offset", 0)) != 0 or x.dtype in ("bool", "int8", "int16", "uint8", "uint16"):
        raise call.refuse("adds up another than the main diagonal, or small integers, which is not carried back")
    return call.b.op("linalg.trace", _matrices(call, x))


@carries("Diff")
def diff(call: Call) -> Result:
    """What each element is more than the one before it."""
    x, axis = call.tensor(0, "a"), call.axis()
    rank = len(call.sizes(x))
    for _ in range(int(call.number("n", 1))):
        here = [number == axis % rank for number in range(rank)]
        keys = [[part if mark else slice(None) for mark in here] for part in (slice(1, None), slice(None, -1))]
        old = call.sizes(x)
        shape = [size - 1 if mark and size is not None else size for mark, size in zip(here, old, strict=True)]
        after, before = (call.b.getitem(x, key, shape) for key in keys)
        x = call.b.same("math.not_equal" if x.dtype == "bool" else "math.subtract", after, y=before)
    return x if call.b.made else call.b.same("identity", x)
