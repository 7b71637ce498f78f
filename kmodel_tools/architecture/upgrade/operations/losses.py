"""Losses among the layers: cross entropies and the like."""

from __future__ import annotations

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries
from kmodel_tools.architecture.upgrade.operations.reductions import reduce
from kmodel_tools.architecture.upgrade.operations.values import Tensor, Value


@carries("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy(call: Call) -> Value:
    """`max(x, 0) - x z + log(1 + exp(-|x|))`. Source: TensorFlow 2.21 `python/ops/nn_impl.py`."""
    labels, logits = call.take("labels"), call.take("logits")
    if labels is None:
        labels = call.first
    x, z = call.tensor(logits if logits is not None else call.first), call.b.operand(labels)
    size = call.b.op("Negative", call.b.op("Absolute", x))
    linear = call.b.op("Subtract", call.b.op("Relu", x), call.b.op("Multiply", x, z))
    return call.b.op("Add", linear, call.b.op("Log1p", call.b.op("Exp", size)))


@carries("nn.softmax_cross_entropy_with_logits", "nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy(call: Call) -> Value:
    """`-sum(labels log(softmax(logits)))` along an axis."""
    labels, logits = call.take("labels"), call.take("logits")
    x, axis = call.tensor(logits if logits is not None else call.first), call.one_axis("axis", "dim", default=-1)
    product = call.b.op("Multiply", call.b.operand(call.first if labels is None else labels), call.b.op("LogSoftmax", x, axis=axis))
    return call.b.op("Negative", reduce(call, "Sum", product, axis, False))


@carries("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy(call: Call) -> Value:
    """`-log(softmax(logits))` of the class that is said, along the last axis."""
    labels, logits = call.take("labels"), call.take("logits")
    x = call.tensor(logits if logits is not None else call.first)
    places = call.tensor(call.first if labels is None else labels)
    if x.shape is None or not isinstance(x.shape[-1], int):
        raise call.refuse("counts classes of which the file does not say how many there are")
    dtype = x.dtype or "float32"
    classes = call.b.op("OneHot", places, shape=x.shape, dtype=dtype, num_classes=x.shape[-1], axis=-1, dtype_=dtype, sparse=False)
    return call.b.op("Negative", reduce(call, "Sum", call.b.op("Multiply", classes, call.b.op("LogSoftmax", x, axis=-1)), -1, False))


@carries("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits")
def cross_entropy_of_a_graph(call: Call) -> Value:
    """The loss; its gradient is the second output, which no layer is called on."""
    handler = sparse_softmax_cross_entropy if call.function.startswith("Sparse") else softmax_cross_entropy
    call.rest = {"logits": call.first, "labels": call.rest.get("labels")}
    return [handler(call)]


@carries("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy(call: Call) -> Value:
    """`(1 - z) x + (1 + (q - 1) z) (log(1 + exp(-|x|)) + max(-x, 0))`. Source: TensorFlow 2.21 `python/ops/nn_impl.py`."""
    labels, logits = call.take("labels", "targets"), call.take("logits")
    x = call.tensor(logits if logits is not None else call.first)
    z = call.tensor(call.first if labels is None else labels, x)
    more = call.b.op("Subtract", call.b.operand(call.take("pos_weight")), 1) if _is_tensor(call) else float(call.number("pos_weight")) - 1
    weight = call.b.op("Add", call.b.op("Multiply", z, more), 1)
    size = call.b.op("Log1p", call.b.op("Exp", call.b.op("Negative", call.b.op("Absolute", x))))
    rest = call.b.op("Add", size, call.b.op("Relu", call.b.op("Negative", x)))
    return call.b.op("Add", call.b.op("Multiply", call.b.op("Subtract", 1, z), x), call.b.op("Multiply", weight, rest))


def _is_tensor(call: Call) -> bool:
    return isinstance(call.rest.get("pos_weight"), Tensor)


@carries("nn.l2_loss")
def l2_loss(call: Call) -> Value:
    """Half the sum of all squares."""
    return call.b.op("Divide", reduce(call, "Sum", call.b.op("Square", call.x()), None, False), 2)


@carries("keras.backend.binary_crossentropy")
def binary_crossentropy(call: Call) -> Value:
    """`-z log(p + e) - (1 - z) log(1 - p + e)` of probabilities within (e, 1 - e), e being 1e-7.

    Source: tf_keras 2.21 `src/backend.py`, `binary_crossentropy`.
    """
    target, from_logits = call.take("output"), call.flag("from_logits")
    x = call.tensor(target)
    z = call.tensor(call.first, x)
    if from_logits:
        call.rest, call.first = {"labels": z, "logits": x}, z
        return sigmoid_cross_entropy(call)
    bounded = call.b.op("Maximum", call.b.op("Minimum", x, 1 - EPSILON), EPSILON)
    yes = call.b.op("Multiply", z, call.b.op("Log", call.b.op("Add", bounded, EPSILON)))
    no = call.b.op("Log", call.b.op("Add", call.b.op("Subtract", 1, bounded), EPSILON))
    return call.b.op("Negative", call.b.op("Add", yes, call.b.op("Multiply", call.b.op("Subtract", 1, z), no)))


@carries("keras.backend.categorical_crossentropy")
def categorical_crossentropy(call: Call) -> Value:
    """`-sum(z log(p))` along an axis, of probabilities that are made to add up to 1, within (e, 1 - e).

    Source: tf_keras 2.21 `src/backend.py`, `categorical_crossentropy`.
    """
    x, axis, from_logits = call.tensor(call.take("output")), call.one_axis("axis", default=-1), call.flag("from_logits")
    if from_logits:
        call.rest, call.first = {"labels": call.first, "logits": x, "axis": axis}, None
        return softmax_cross_entropy(call)
    x = call.b.op("Divide", x, reduce(call, "Sum", x, axis, True))
    bounded = call.b.op("Maximum", call.b.op("Minimum", x, 1 - EPSILON), EPSILON)
    product = call.b.op("Multiply", call.b.operand(call.first), call.b.op("Log", bounded))
    return call.b.op("Negative", reduce(call, "Sum", product, axis, False))


@carries("keras.backend.sparse_categorical_crossentropy")
def sparse_categorical_crossentropy(call: Call) -> Value:
    """`-log(p)` of the class that is said, of probabilities within (e, 1 - e).

    Source: tf_keras 2.21 `src/backend.py`, `sparse_categorical_crossentropy`.
    """
    x, places, from_logits = call.tensor(call.take("output")), call.tensor(call.first), call.flag("from_logits")
    if x.shape is None or places.shape is None or call.one_axis("axis", default=-1) not in (-1, len(x.shape) - 1):
        raise call.refuse("counts classes along another axis than the last one, or of what is not known well enough")
    if len(places.shape) == len(x.shape) and places.shape[-1] == 1:
        places = call.b.op("Squeeze", places, shape=places.shape[:-1], axis=-1)
    if places.shape is None or len(places.shape) != len(x.shape) - 1:
        raise call.refuse("is given classes and probabilities that do not lie side by side")
    if not from_logits:
        x = call.b.op("Log", call.b.op("Maximum", call.b.op("Minimum", x, 1 - EPSILON), EPSILON))
    places = places if "int" in str(places.dtype) else call.b.cast(places, "int64")
    call.rest, call.first = {"labels": places, "logits": x}, None
    return sparse_softmax_cross_entropy(call)


EPSILON = 1e-7
"""`keras.backend.epsilon()`, where nobody has set another."""
