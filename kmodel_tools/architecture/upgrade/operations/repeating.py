"""Operations that repeat elements or add some: tile, broadcast, repeat, pad; and those of diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.shaping import Sizes, resized
from kmodel_tools.architecture.upgrade.operations.values import Dim, Symbol, Tensor, Value, dims_of, product


@carries("tile", "keras.backend.tile")
def tile(call: Call) -> Value:
    """Copies along each axis, as many as a number says, or the batch for an axis of one."""
    x, counts = call.x(), call.dims("multiples", "n")
    if all(isinstance(count, int) for count in counts):
        known = x.shape is not None and len(x.shape) == len(counts)
        shape = [_times(size, count) for size, count in zip(x.shape or (), counts, strict=True)] if known else None
        return call.b.op("Tile", x, shape=shape, repeats=counts)
    if x.shape is None or len(x.shape) != len(counts):
        raise call.refuse("repeats a tensor whose rank is not known as often as is known only at run time")
    fixed = [count if isinstance(count, int) else 1 for count in counts]
    if any(size != 1 for size, count in zip(x.shape, counts, strict=True) if isinstance(count, Symbol)):
        raise call.refuse("repeats an axis as often as is known only at run time, which no operation of Keras 3 does")
    if any(count != 1 for count in fixed):
        x = call.b.op("Tile", x, shape=[_times(size, count) for size, count in zip(x.shape, fixed, strict=True)], repeats=fixed)
    return spread(call, x, [count if isinstance(count, Symbol) else 1 for count in counts])


def _times(size: Dim, count: Dim) -> Dim:
    return product([size, count])


def spread(call: Call, x: Tensor, shape: Sequence[Dim]) -> Tensor:
    """A tensor broadcast to sizes that may be known only at run time: beside ones, for a condition that holds everywhere."""
    ones = call.b.ones(shape, "int32")
    return call.b.op("Where", call.b.op("Equal", ones, 1), x, call.b.op("ZerosLike", x), dtype=x.dtype)


@carries("broadcast_to")
def broadcast_to(call: Call) -> Value:
    """Broadcast to a shape."""
    x, shape = call.x(), call.dims("shape")
    if all(isinstance(size, int) for size in shape):
        return call.b.op("BroadcastTo", x, shape=shape, shape_=shape)
    return spread(call, x, shape)


@carries("repeat", "keras.backend.repeat_elements")
def repeat(call: Call) -> Value:
    """Each element several times along an axis."""
    x, axis = call.x(), call.integers("axis", default=None)
    value = call.take("repeats", "rep")
    counts = dims_of(value)
    if counts is None:
        raise call.refuse(f"repeats {short(value)} times")
    place = None if axis is None else axis[0]
    if all(isinstance(count, int) for count in counts):
        whole = None if place is None or x.shape is None else x.size(place)
        size: Dim | None = None
        if isinstance(whole, int):
            size = whole * counts[0] if len(counts) == 1 else sum(count for count in counts if isinstance(count, int))  # type: ignore[operator]  # all are
        elif place is not None and len(counts) == 1 and whole is not None:
            size = product([whole, counts[0]])
        shape = None if place is None else resized(x.shape, place, size)
        return call.b.op("Repeat", x, shape=shape, repeats=counts[0] if len(counts) == 1 else counts, axis=place)
    if place is None or x.shape is None or len(counts) != 1 or x.size(place) != 1:
        raise call.refuse("repeats elements as often as is known only at run time, which no operation of Keras 3 does")
    ones: list[Dim] = [1] * len(x.shape)
    ones[place] = counts[0]
    return spread(call, x, ones)


@carries("pad")
def pad(call: Call) -> Value:
    """More elements around: a number, or the edge reflected, itself left out or not."""
    x, mode = call.x(), str(call.take("mode", default="CONSTANT")).lower()
    value = call.take("paddings")
    widths = [dims_of(row) for row in (value.tolist() if hasattr(value, "tolist") else value)] if value is not None else []
    if mode not in ("constant", "reflect", "symmetric") or not all(
        row and len(row) == 2 and all(isinstance(n, int) for n in row) for row in widths
    ):
        raise call.refuse(f"pads by {short(value)} in the mode {mode}, which no operation of Keras 3 does")
    shape: Sizes | None = None
    if x.shape is not None and len(x.shape) == len(widths):
        shape = [_grown(size, row or []) for size, row in zip(x.shape, widths, strict=True)]
    fill: dict[str, Any] = {"constant_values": call.number("constant_values", default=0)} if mode == "constant" else {}
    call.used.add("constant_values")
    return call.b.op("Pad", x, shape=shape, call=fill, pad_width=widths, mode=mode)


def _grown(size: Dim, row: Sequence[Dim]) -> Dim | None:
    more = sum(width for width in row if isinstance(width, int))
    return size if more == 0 else size + more if isinstance(size, int) else None


@carries("linalg.tensor_diag_part", "linalg.diag_part")
def diagonal(call: Call) -> Value:
    """The diagonal of matrices."""
    k = call.number("k", default=0)
    call.take("align", "padding_value")  # which fill up what is shorter, where several diagonals are taken
    x = call.x()
    shape: Sizes | None = None
    if k == 0 and x.shape is not None and len(x.shape) > 1 and x.shape[-1] == x.shape[-2]:
        shape = [*x.shape[:-1]]
    return call.b.op("Diagonal", x, shape=shape, offset=int(k), axis1=-2, axis2=-1)


@carries("linalg.band_part")
def band_part(call: Call) -> Value:
    """The part of matrices below or above the diagonal."""
    x, lower, upper = call.x(), call.number("num_lower"), call.number("num_upper")
    found = x
    if lower >= 0:
        found = call.b.op("Triu", found, k=-lower)
    if upper >= 0:
        found = call.b.op("Tril", found, k=upper)
    return found if found is not x else call.b.op("Copy", x)
