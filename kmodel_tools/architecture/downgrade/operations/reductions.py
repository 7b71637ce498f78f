"""Operations that look along axes: sums and the like, norms, order, running sums, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.downgrade.operations.building import Sizes, Tensor
from kmodel_tools.architecture.downgrade.operations.calls import HANDLERS, Call, Handler, Result, carries, short
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, floating, result_type
from kmodel_tools.architecture.downgrade.operations.elementwise import real

EPSILON = 1e-7
"""Keras's own, where an operation is given none."""
_COUNTED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
"""What Keras adds small integers up in."""


def left(shape: Sizes | None, axes: Any, keepdims: bool) -> Sizes | None:
    """The shape that is left of some axes, or of all of them for None."""
    if shape is None:
        return () if axes is None and not keepdims else None
    rank = len(shape)
    listed = axes if isinstance(axes, list) else [axes]
    gone = set(range(rank)) if axes is None else {axis % rank for axis in listed} if rank else set()
    return tuple(1 if axis in gone else size for axis, size in enumerate(shape) if keepdims or axis not in gone)


def reduce(call: Call, name: str, x: Tensor, axes: Any, keepdims: bool, dtype: str | None = None) -> Tensor:
    """A reduction of TensorFlow."""
    return call.b.op(f"math.{name}", x, dtype, left(x.shape, axes, keepdims), axis=axes, keepdims=keepdims)


@carries("Sum", "Prod")
def total(call: Call) -> Result:
    """Sums and products; of small integers in one that is large enough."""
    x = call.tensor()
    if call.setting("dtype") is not None:
        raise call.refuse("multiplies in a dtype of its own, which is not carried back")
    x = call.b.cast(x, _COUNTED.get(x.dtype, x.dtype))
    return reduce(call, "reduce_sum" if call.kind == "Sum" else "reduce_prod", x, call.axes(), call.flag("keepdims"))


@carries("Mean", "Average")
def mean(call: Call) -> Result:
    """The mean, in single precision at least."""
    if call.given(1, "weights", None) is not None:
        raise call.refuse("weighs what it averages, which is not carried back")
    x = call.tensor()
    wide = call.b.cast(x, result_type(x.dtype, "float32"))
    found = reduce(call, "reduce_mean", wide, call.axes(), call.flag("keepdims"))
    return call.b.cast(found, x.dtype) if x.dtype in FLOATS else found


@carries("Max", "Amax", "Min", "Amin")
def extreme(call: Call) -> Result:
    """The largest or the smallest, and what else is said to be among them; of truths, any or all."""
    x, axes, keepdims, first = call.tensor(), call.axes(), call.flag("keepdims"), call.setting("initial")
    is_max = call.kind.endswith("max") or call.kind == "Max"
    if x.dtype == "bool":
        if first is not None:
            raise call.refuse("compares truths with a first one, which is not carried back")
        return reduce(call, "reduce_any" if is_max else "reduce_all", x, axes, keepdims)
    found = reduce(call, "reduce_max" if is_max else "reduce_min", x, axes, keepdims)
    if first is None:
        return found
    return call.b.same("math.maximum" if is_max else "math.minimum", found, y=call.b.as_dtype(call.number("initial"), x.dtype))


@carries("All", "Any")
def truths(call: Call) -> Result:
    """Whether all are true, or any."""
    x = call.b.cast(call.tensor(), "bool")
    return reduce(call, "reduce_all" if call.kind == "All" else "reduce_any", x, call.axes(), call.flag("keepdims"))


@carries("Std", "Var", "Logsumexp")
def spread(call: Call) -> Result:
    """Deviation and variance, of all and not of a sample; the logarithm of a sum."""
    x, axes, keepdims = call.tensor(), call.axes(), call.flag("keepdims")
    if call.kind == "Var":
        wide = call.b.cast(x, result_type(x.dtype, "float32"))
        return call.b.cast(reduce(call, "reduce_variance", wide, axes, keepdims), floating(x.dtype))
    if call.kind == "Logsumexp" and x.dtype not in FLOATS:
        raise call.refuse(f"takes {x.dtype}, which no operation of TensorFlow does")
    return reduce(call, "reduce_std" if call.kind == "Std" else "reduce_logsumexp", real(call, x), axes, keepdims)


@carries("CountNonzero")
def count_nonzero(call: Call) -> Result:
    """How many are not 0."""
    x = call.tensor()
    counted = call.b.cast(call.b.cast(x, "bool"), "int32")
    return reduce(call, "reduce_sum", counted, call.axes(), False)


@carries("Ptp")
def range_of(call: Call) -> Result:
    """The largest less the smallest."""
    x, axes, keepdims = call.tensor(), call.axes(), call.flag("keepdims")
    low = reduce(call, "reduce_min", x, axes, keepdims)
    return call.b.same("math.subtract", reduce(call, "reduce_max", x, axes, keepdims), y=low)


@carries("Norm")
def norm(call: Call) -> Result:
    """A norm of vectors, or that of Frobenius of matrices."""
    x, order, keepdims = real(call, call.tensor()), call.setting("ord"), call.flag("keepdims")
    axes = call.axes()
    count = len(axes) if isinstance(axes, list) else x.rank if axes is None else 1
    axes = axes[0] if isinstance(axes, list) and len(axes) == 1 else axes
    if order is None or (order == "fro" and count == 2) or (order == 2 and count == 1):
        squares = reduce(call, "reduce_sum", call.b.same("math.square", x), axes, keepdims)
        return call.b.same("math.sqrt", squares)
    if count != 1 or isinstance(order, str) or order == 0:
        raise call.refuse(f"is the norm {short(order)} of matrices or of unknown axes, which is not carried back")
    size = call.b.same("math.abs", x)
    if order in (float("inf"), float("-inf")):
        return reduce(call, "reduce_max" if order > 0 else "reduce_min", size, axes, keepdims)
    powers = reduce(call, "reduce_sum", call.b.same("math.pow", size, y=float(order)), axes, keepdims)
    return call.b.same("math.pow", powers, y=1.0 / order)


@carries("Normalize")
def normalize(call: Call) -> Result:
    """A tensor by its norm, which is bounded from below."""
    x, order, axes, b = call.tensor(), call.number("order", 2), call.axes(default=-1), call.b
    epsilon = EPSILON if call.setting("epsilon") is None else call.number("epsilon")
    if x.dtype not in FLOATS:
        raise call.refuse(f"normalizes {x.dtype}, which is not carried back")
    if order == 2:
        squares = reduce(call, "reduce_sum", b.same("math.square", x), axes, True)
        inverse = b.same("math.minimum", b.same("math.rsqrt", squares), y=1.0 / epsilon)
        return b.op("math.multiply", x, x.dtype, x.shape, y=inverse)
    powers = reduce(call, "reduce_sum", b.same("math.pow", b.same("math.abs", x), y=float(order)), axes, True)
    length = b.same("math.maximum", b.same("math.pow", powers, y=1.0 / order), y=epsilon)
    return b.op("math.truediv", x, x.dtype, x.shape, y=length)


# Order.


@carries("Argmax", "Argmin")
def place_of_extreme(call: Call) -> Result:
    """Where the largest or the smallest is, as `int32`; among equals, the first, and -0.0 is 0.0 here."""
    x, keepdims = call.tensor(), call.flag("keepdims")
    axes = call.integers("axis")
    if axes is not None and len(axes) != 1:
        raise call.refuse("looks along several axes, which no operation of TensorFlow does")
    if x.dtype == "bool":
        raise call.refuse("compares truths, which no operation of TensorFlow does")
    flat = call.b.op("reshape", x, shape=(None,), shape_=[-1]) if axes is None else x
    axis = 0 if axes is None else axes[0]
    found = call.b.op(f"math.{call.kind.lower()}", flat, "int32", left(flat.shape, axis, False), axis=axis, output_type="int32")
    if keepdims and axes is None:
        return call.b.op("reshape", found, shape=(1,) * len(call.sizes(x)), shape_=[1] * len(call.sizes(x)))
    return call.b.op("expand_dims", found, shape=left(x.shape, axis, True), axis=axis) if keepdims else found


@carries("TopK")
def top_k(call: Call) -> Result:
    """The largest along the last axis, and where they are."""
    x, k = call.tensor(), int(call.number("k"))
    shape = None if x.shape is None else (*x.shape[:-1], k)
    values, places = call.b.ops("math.top_k", x, 2, shape=shape, k=k, sorted=call.flag("sorted", True))
    return [values, Tensor(places.ref, "int32", places.shape)]


@carries("Sort", "Argsort")
def ordered(call: Call) -> Result:
    """Sorted along an axis, or the order; truths as numbers."""
    x, axes = call.tensor(), call.integers("axis", -1)
    kept = x.dtype if call.kind == "Sort" else "int32"
    x = call.b.cast(x, "int32") if x.dtype == "bool" else x
    if axes is None:
        x, axes = call.b.op("reshape", x, shape=(None,), shape_=[-1]), [0]
    found = call.b.op(call.kind.lower(), x, x.dtype if call.kind == "Sort" else "int32", x.shape, axis=axes[0])
    return call.b.cast(found, kept)


@carries("Cumsum", "Cumprod")
def cumulative(call: Call) -> Result:
    """Running sums and products."""
    x, axes, dtype = call.tensor(), call.integers("axis"), call.dtype()
    if dtype not in (None, x.dtype):
        raise call.refuse(f"adds up in {dtype}, which is not carried back")
    x = call.b.cast(x, "int32") if x.dtype == "bool" else x
    if axes is None:
        x, axes = call.b.op("reshape", x, shape=(None,), shape_=[-1]), [0]
    return call.b.same("math.cumsum" if call.kind == "Cumsum" else "math.cumprod", x, axis=axes[0])


def _softmax(name: str) -> Handler:
    def carried(call: Call) -> Result:
        x, axes = call.tensor(), call.setting("axis", -1)
        if not isinstance(axes, int):
            raise call.refuse(f"works along {short(axes)}, and not along one axis")
        return call.b.same(name, x, axis=axes)

    return carried


HANDLERS.update({"Softmax": _softmax("nn.softmax"), "LogSoftmax": _softmax("nn.log_softmax")})


@carries("Moments")
def moments(call: Call) -> Result:
    """Mean and variance; of half precision in single precision, within what that can hold."""
    x, axes, keepdims, b = call.tensor(), call.axes("axes"), call.flag("keepdims"), call.b
    if x.dtype not in FLOATS:
        raise call.refuse(f"takes moments of {x.dtype}, which no operation of TensorFlow does")
    wide = b.cast(x, "float32") if x.dtype in ("float16", "bfloat16") else x
    axes = axes if isinstance(axes, list) else [axes]
    found = b.ops("nn.moments", wide, 2, wide.dtype, left(x.shape, axes, keepdims), axes=axes, keepdims=keepdims)
    if wide is x:
        return found
    limit = 65504.0
    return [b.cast(b.same("clip_by_value", item, clip_value_min=-limit, clip_value_max=limit), x.dtype) for item in found]


def of_last(axes: Sequence[int], rank: int) -> bool:
    """Whether axes are the last one alone."""
    return [axis % rank for axis in axes] == [rank - 1]
