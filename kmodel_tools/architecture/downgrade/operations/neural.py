"""Operations of neural networks: normalization, entropies, attention."""

from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.downgrade.operations.building import Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, short
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, result_type
from kmodel_tools.architecture.downgrade.operations.reductions import EPSILON, left, of_last, reduce


def _optional(call: Call, place: int, name: str, dtype: str) -> Value | None:
    """An argument that may be left out, in a dtype."""
    if call.given(place, name, None) is None:
        return None
    return call.b.as_tensor(call.value(place, name), call.near(), dtype)


@carries("BatchNorm")
def batch_norm(call: Call) -> Result:
    """`(x - mean) scale / sqrt(variance + epsilon) + offset` along the last axis."""
    x, axis = call.tensor(), call.axis()
    if axis != -1 and axis != (x.rank or 0) - 1:
        raise call.refuse("normalizes along another axis than the last, which is not carried back")
    rest: Any = {name: _optional(call, place, name, x.dtype) for place, name in ((1, "mean"), (2, "variance"), (3, "offset"), (4, "scale"))}
    return call.b.same("nn.batch_normalization", x, **rest, variance_epsilon=call.number("epsilon", 1e-3))


@carries("RMSNorm", "LayerNorm")
def layer_norm(call: Call) -> Result:
    """By the root of the mean square, or by mean and deviation, in single precision at least."""
    x, b = call.tensor(), call.b
    axes = call.integers("axis", -1) or [-1]
    epsilon = EPSILON if call.setting("epsilon") is None else call.number("epsilon")
    dtype = result_type(x.dtype, "float32")
    names = ("scale", None) if call.kind == "RMSNorm" else ("gamma", "beta")
    scale, offset = (None if name is None else _optional(call, place, name, dtype) for place, name in enumerate(names, 1))
    if (scale is not None or offset is not None) and not of_last(axes, len(call.sizes(x))):
        raise call.refuse("scales along other axes than the last, which is not carried back")
    wide = b.cast(x, dtype)
    if call.kind == "RMSNorm" or call.flag("rms_scaling"):
        is_rms = call.kind == "RMSNorm"
        mean = b.same("math.square", wide) if is_rms else wide
        squares = reduce(call, "reduce_mean" if is_rms else "reduce_variance", mean, axes, True)
        found = b.op("math.multiply", wide, y=_inverse(call, squares, epsilon))
        found = found if scale is None else b.op("math.multiply", found, y=scale)
        return b.cast(Tensor(found.ref, dtype, x.shape), x.dtype)
    mean, variance = b.ops("nn.moments", wide, 2, dtype, left(x.shape, axes, True), axes=axes, keepdims=True)
    factor = _inverse(call, variance, epsilon)
    factor = factor if scale is None else b.op("math.multiply", factor, y=scale)
    shift = b.op("math.multiply", b.op("math.negative", mean), y=factor)
    shift = shift if offset is None else b.op("math.add", shift, y=offset)
    found = b.op("math.add", b.op("math.multiply", wide, y=factor), y=shift)
    return b.cast(Tensor(found.ref, dtype, x.shape), x.dtype)


def _inverse(call: Call, variance: Tensor, epsilon: float) -> Tensor:
    return call.b.same("math.rsqrt", call.b.same("math.add", variance, y=epsilon))


@carries("Glu")
def glu(call: Call) -> Result:
    """One half of the channels, by the sigmoid of the other."""
    x, axis = call.tensor(), call.axis()
    halves = call.b.ops("split", x, 2, num_or_size_splits=2, axis=axis)
    return call.b.op("math.multiply", halves[0], y=call.b.op("math.sigmoid", halves[1]))


@carries("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy")
def crossentropy(call: Call) -> Result:
    """Entropies of logits. Of probabilities Keras takes what they were made of, where it finds it.

    Source: Keras 3.15.1 `backend/tensorflow/nn.py`, `_get_logits`.
    """
    if not call.flag("from_logits"):
        raise call.refuse("takes the entropy of probabilities, for which Keras 3 looks for their logits, and which is not carried back")
    target, output = call.tensor(0, "target"), call.tensor(1, "output")
    if output.dtype not in FLOATS:
        raise call.refuse(f"takes the entropy of {output.dtype}")
    if call.kind == "BinaryCrossentropy":
        return call.b.same("nn.sigmoid_cross_entropy_with_logits", target, output.dtype, logits=output)
    axis = call.axis()
    if call.kind == "CategoricalCrossentropy":
        shape = left(output.shape, axis, False)
        return call.b.op("nn.softmax_cross_entropy_with_logits", target, output.dtype, shape, logits=output, axis=axis)
    if target.rank is None or output.rank is None or target.rank != output.rank - 1:
        raise call.refuse("has targets of the rank of its output, which is not carried back")
    return call.b.op("nn.sparse_softmax_cross_entropy_with_logits", call.b.cast(target, "int64"), output.dtype, target.shape, logits=output)


@carries("DepthToSpace", "SpaceToDepth")
def blocks(call: Call) -> Result:
    """Blocks of pixels as channels, and back."""
    if call.setting("data_format", "channels_last") not in (None, "channels_last"):
        raise call.refuse(f"has its channels as {short(call.setting('data_format'))}, which is not carried back")
    name = "depth_to_space" if call.kind == "DepthToSpace" else "space_to_depth"
    return call.b.op(f"nn.{name}", call.tensor(), block_size=int(call.number("block_size")))
