"""Operations that look along axes: sums and the like, norms, order, running sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.upgrade.operations.calls import HANDLERS, Call, Handler, carries
from kmodel_tools.architecture.upgrade.operations.elementwise import INTEGERS
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value

_REDUCTIONS = {
    "reduce_sum": "Sum",
    "reduce_mean": "Mean",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "reduce_prod": "Prod",
    "reduce_any": "Any",
    "reduce_all": "All",
    "reduce_logsumexp": "Logsumexp",
    "reduce_std": "Std",
    "reduce_variance": "Var",
}
_SMALL = INTEGERS - {"int32", "int64", "uint32"}


def reduced(x: Tensor, axes: Any, keepdims: bool) -> list[Dim] | None:
    """The shape of what is left of some axes, or of all of them for None."""
    if x.shape is None:
        return [] if axes is None and not keepdims else None
    rank = len(x.shape)
    gone = set(range(rank)) if axes is None else {axis % rank for axis in (axes if isinstance(axes, list) else [axes])} if rank else set()
    return [1 if axis in gone else size for axis, size in enumerate(x.shape) if keepdims or axis not in gone]


def reduce(call: Call, kind: str, x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    """A reduction of Keras."""
    return call.b.op(kind, x, shape=reduced(x, axes, keepdims), axis=axes, keepdims=keepdims)


def _axes(call: Call, default: Any = None) -> Any:
    return call.axis("axis", "reduction_indices", default=default)


def _reduction(kind: str) -> Handler:
    def carried(call: Call) -> Value:
        x, axes, keepdims = call.x(), _axes(call), call.flag("keepdims", "keep_dims")
        if x.dtype in INTEGERS and kind in ("Mean", "Std", "Var", "Logsumexp"):
            raise call.refuse("averages integers and rounds, which no operation of Keras 3 does")
        if x.dtype in _SMALL and kind in ("Sum", "Prod"):
            raise call.refuse(f"adds up {x.dtype} in that dtype, which no operation of Keras 3 does")
        if axes == []:
            return call.b.op("Copy", x)
        return reduce(call, kind, x, axes, keepdims)

    return carried


HANDLERS.update({f"{package}{name}": _reduction(kind) for name, kind in _REDUCTIONS.items() for package in ("", "math.")})


@carries("math.count_nonzero", "count_nonzero")
def count_nonzero(call: Call) -> Value:
    """How many elements are not 0."""
    dtype = call.dtype(default="int64") or "int64"
    x = call.b.cast(call.b.op("NotEqual", call.x(), 0), dtype)
    return reduce(call, "Sum", x, _axes(call), call.flag("keepdims", "keep_dims"))


@carries("math.reduce_euclidean_norm")
def euclidean_norm(call: Call) -> Value:
    """The root of the sum of squares."""
    if call.x().dtype in INTEGERS:
        raise call.refuse("takes roots of integers and rounds, which no operation of Keras 3 does")
    total = reduce(call, "Sum", call.b.op("Square", call.x()), _axes(call), call.flag("keepdims"))
    return call.b.op("Sqrt", total)


@carries("norm", "linalg.norm")
def norm(call: Call) -> Value:
    """A norm of vectors: 1, 2 or euclidean, infinity, or that of a power.

    Source: TensorFlow 2.21 `python/ops/linalg_ops.py`, `norm`: euclidean of a pair of axes is that of Frobenius.
    """
    order, axes, keepdims, x = call.take("ord", default="euclidean"), _axes(call), call.flag("keepdims", "keep_dims"), call.x()
    pair = isinstance(axes, list) and len(axes) == 2
    if order in ("euclidean", "fro") or (order == 2 and not pair):
        return call.b.op("Sqrt", reduce(call, "Sum", call.b.op("Square", x), axes, keepdims))
    size = call.b.op("Absolute", x)
    if pair or isinstance(order, str):
        raise call.refuse(f"is the norm {order} of matrices, which no operation of Keras 3 does")
    if order == float("inf"):
        return reduce(call, "Max", size, axes, keepdims)
    if order == 1:
        return reduce(call, "Sum", size, axes, keepdims)
    return call.b.op("Power", reduce(call, "Sum", call.b.op("Power", size, order), axes, keepdims), 1.0 / order)


@carries("linalg.normalize")
def normalized(call: Call) -> Value:
    """A tensor by its norm, and the norm."""
    call.rest["keepdims"] = True
    length = norm(call)
    return [call.b.op("Divide", call.x(), length), length]


@carries("math.l2_normalize", "nn.l2_normalize", "keras.backend.l2_normalize")
def l2_normalize(call: Call) -> Value:
    """`x rsqrt(max(sum(x^2), epsilon))`; `Normalize` of Keras bounds otherwise.

    Source: TensorFlow 2.21 `python/ops/nn_impl.py`, `l2_normalize_v2`.
    """
    x, axes, epsilon = call.x(), call.axis("axis", "dim", default=None), call.number("epsilon", default=1e-12)
    total = reduce(call, "Sum", call.b.op("Square", x), axes, True)
    return call.b.op("Multiply", x, call.b.op("Rsqrt", call.b.op("Maximum", total, epsilon)))


@carries("nn.moments")
def moments(call: Call) -> Value:
    """Mean and variance, in single precision for half, as TensorFlow has it."""
    call.take("shift")
    x, axes, keepdims = call.x(), call.axis("axes"), call.flag("keepdims", "keep_dims")
    wide = call.b.cast(x, "float32") if x.dtype == "float16" else x
    mean = reduce(call, "Mean", wide, axes, True)
    spread = call.b.op("Square", call.b.op("Subtract", wide, mean))
    both = [mean if keepdims else reduce(call, "Mean", wide, axes, False), reduce(call, "Mean", spread, axes, keepdims)]
    return [call.b.cast(item, x.dtype) if x.dtype == "float16" else item for item in both]


@carries("math.zero_fraction", "nn.zero_fraction")
def zero_fraction(call: Call) -> Value:
    """Which part of all elements is 0, in single precision."""
    zeros = call.b.cast(call.b.op("Equal", call.x(), 0), "float32")
    return reduce(call, "Mean", zeros, None, False)


@carries("clip_by_norm")
def clip_by_norm(call: Call) -> Value:
    """`x c / max(norm(x), c)`, c being at least 0. Source: TensorFlow 2.21 `python/ops/clip_ops.py`, `clip_by_norm`."""
    x, axes = call.x(), call.axis("axes", default=None)
    limit = call.b.op("Maximum", call.tensor(call.take("clip_norm"), x), 0.0)
    length = call.b.op("Sqrt", reduce(call, "Sum", call.b.op("Square", x), axes, True))
    return call.b.op("Divide", call.b.op("Multiply", x, limit), call.b.op("Maximum", length, limit))


# Order.


@carries("math.argmax", "math.argmin", "argmax", "argmin", "keras.backend.argmax", "keras.backend.argmin")
def argmax(call: Call) -> Value:
    """The place of an extreme, along the first axis by default, as `int64`; Keras looks at all elements and gives `int32`."""
    x = call.x()
    axis = call.one_axis("axis", "dimension", default=-1 if "backend" in call.function else 0)
    kind = "Argmax" if call.function.endswith("argmax") else "Argmin"
    dtype = call.dtype("output_type", default="int64") or "int64"
    found = call.b.op(kind, x, shape=reduced(x, axis, False), dtype="int32", axis=axis, keepdims=False)
    return call.b.cast(found, dtype)


@carries("math.top_k", "nn.top_k")
def top_k(call: Call) -> Value:
    """The largest along the last axis, and where they are."""
    call.take("index_type")
    x, k, is_sorted = call.x(), call.number("k", default=1), call.flag("sorted", default=True)
    shape = None if x.shape is None else (*x.shape[:-1], k)
    values, places = call.b.ops("TopK", x, shapes=[shape, shape], k=k, sorted=is_sorted)
    return [values, Tensor(places.history, places.shape, "int32")]


@carries("sort")
def sort(call: Call) -> Value:
    """Sorted along an axis."""
    x, axis = call.x(), call.one_axis("axis", default=-1)
    found = call.b.op("Sort", x, axis=axis)
    return call.b.op("Flip", found, axis=axis) if _is_descending(call) else found


@carries("argsort")
def argsort(call: Call) -> Value:
    """The order along an axis; among equals, the first comes first in both directions."""
    call.take("stable")
    x, axis, descending = call.x(), call.one_axis("axis", default=-1), _is_descending(call)
    if descending and x.dtype in INTEGERS:
        raise call.refuse("sorts integers from the largest down, which no operation of Keras 3 does")
    return call.b.op("Argsort", call.b.op("Negative", x) if descending else x, dtype="int32", axis=axis)


def _is_descending(call: Call) -> bool:
    direction = call.take("direction", default="ASCENDING")
    if direction not in ("ASCENDING", "DESCENDING"):
        raise call.refuse(f"sorts in the direction {direction!r}")
    return bool(direction == "DESCENDING")


@carries("math.cumsum", "cumsum", "math.cumprod", "keras.backend.cumsum", "keras.backend.cumprod")
def cumulative(call: Call) -> Value:
    """Running sums and products, backwards too, and without the element itself."""
    x, axis = call.x(), call.one_axis("axis", default=0)
    kind, start = ("Cumsum", 0) if "cumsum" in call.function else ("Cumprod", 1)
    backwards, exclusive = call.flag("reverse"), call.flag("exclusive")
    found = call.b.op("Flip", x, axis=axis) if backwards else x
    found = call.b.op(kind, found, axis=axis)
    if exclusive:
        found = _shifted(call, found, axis, start)
    return call.b.op("Flip", found, axis=axis) if backwards else found


def _shifted(call: Call, x: Tensor, axis: int, start: int) -> Tensor:
    """One further along an axis, the last element left out."""
    if x.shape is None:
        raise call.refuse("leaves elements out of running sums of a tensor whose rank is not known")
    rank = len(x.shape)
    here = [number == axis % rank for number in range(rank)]
    key = [slice(None, -1) if mark else slice(None) for mark in here]
    rest = call.b.op("GetItem", x, tuple(key), shape=[None if mark else size for mark, size in zip(here, x.shape, strict=True)])
    widths: Sequence[Any] = [[1, 0] if mark else [0, 0] for mark in here]
    return call.b.op("Pad", rest, shape=x.shape, call={"constant_values": start}, pad_width=widths, mode="constant")
