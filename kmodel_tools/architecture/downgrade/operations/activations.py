"""Activation functions, as operations and as layers whose function Keras 2 does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.downgrade.operations.building import Tensor
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS
from kmodel_tools.architecture.downgrade.operations.elementwise import real
from kmodel_tools.architecture.envelope import class_of, settings_of
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.graph import calls_of
from kmodel_tools.architecture.upgrade.mask_flow import makes_mask

OF_LAYERS: Mapping[str, str] = {
    "hard_silu": "HardSilu",
    "hard_swish": "HardSilu",
    "hard_tanh": "HardTanh",
    "hard_shrink": "HardShrink",
    "soft_shrink": "SoftShrink",
    "tanh_shrink": "TanhShrink",
    "log_sigmoid": "LogSigmoid",
    "squareplus": "Squareplus",
    "sparse_plus": "SparsePlus",
    "sparse_sigmoid": "SparseSigmoid",
}
"""Functions that Keras 2 does not have, and the operation that each is."""


def as_operations(layers: Sequence[Json], is_nested: bool) -> list[Json]:
    """A graph in which an Activation that Keras 2 cannot apply is the operation that it applies: MobileNetV3 has them.

    A layer hands a mask on and an operation does not: nothing is done where there may be one.
    """
    inputs = [settings_of(layer).get("batch_shape") for layer in layers if class_of(layer) == "InputLayer"]
    may_have_mask = is_nested and not all(isinstance(shape, list) and len(shape) == 4 for shape in inputs)
    if may_have_mask or any(makes_mask(layer) for layer in layers if isinstance(layer.get("config"), dict)):
        return list(layers)
    return [_as_operation(layer) for layer in layers]


def _as_operation(layer: Json) -> Json:
    settings = settings_of(layer)
    function, dtype = settings.get("activation"), settings.get("dtype")
    policy = settings_of(dtype).get("name") if isinstance(dtype, Mapping) else dtype
    kind = OF_LAYERS.get(function) if isinstance(function, str) else None
    told = any(not isinstance(call, Mapping) or call.get("kwargs") for call in calls_of(layer))
    if class_of(layer) != "Activation" or kind is None or policy not in (None, "float32") or told:
        return layer
    config: dict[str, Any] = {"name": settings.get("name")}
    return {**layer, "module": "keras.src.ops.nn", "class_name": kind, "config": config, "registered_name": kind}


def _floats(call: Call) -> Tensor:
    """The tensor of a function of floating point numbers.

    Raises:
        UpgradeError: It is one of integers, of which Keras and TensorFlow make other things.
    """
    x = call.tensor()
    if x.dtype not in FLOATS:
        raise call.refuse(f"is called on {x.dtype}, which is not carried back")
    return x


@carries("LeakyRelu")
def leaky_relu(call: Call) -> Result:
    """A slope below 0; of integers as `float32`, as TensorFlow has it."""
    return call.b.same("nn.leaky_relu", real(call, call.tensor()), alpha=call.number("negative_slope", 0.2))


@carries("Gelu")
def gelu(call: Call) -> Result:
    """Gelu, approximated by default, as TensorFlow does not."""
    return call.b.same("nn.gelu", _floats(call), approximate=call.flag("approximate", True))


@carries("Elu")
def elu(call: Call) -> Result:
    """`alpha (exp(x) - 1)` below 0."""
    x, alpha = _floats(call), call.number("alpha", 1.0)
    found = call.b.same("nn.elu", x)
    return found if alpha == 1 else _by_sign(call, x, found, call.b.same("math.multiply", found, y=alpha))


def _by_sign(call: Call, x: Tensor, above: Tensor, below: Tensor) -> Tensor:
    return call.b.op("where", call.b.same("math.greater", x, "bool", y=0), x.dtype, x.shape, x=above, y=below)


@carries("Celu")
def celu(call: Call) -> Result:
    """`max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)`."""
    x, alpha, b = _floats(call), call.number("alpha", 1.0), call.b
    below = b.same("math.expm1", b.same("math.truediv", b.same("math.minimum", x, y=0.0), y=alpha))
    return b.same("math.add", b.same("math.maximum", x, y=0.0), y=b.same("math.multiply", below, y=alpha))


@carries("HardSigmoid", "HardSilu")
def hard_sigmoid(call: Call) -> Result:
    """`relu6(x + 3) / 6`, which the function of that name of Keras 2 is not; times `x`."""
    x, b = _floats(call), call.b
    found = b.same("math.truediv", b.same("nn.relu6", b.same("math.add", x, y=3.0)), y=6.0)
    return found if call.kind == "HardSigmoid" else b.same("math.multiply", x, y=found)


@carries("HardTanh")
def hard_tanh(call: Call) -> Result:
    """Between -1 and 1."""
    return call.b.same("clip_by_value", _floats(call), clip_value_min=-1.0, clip_value_max=1.0)


@carries("TanhShrink")
def tanh_shrink(call: Call) -> Result:
    """`x - tanh(x)`."""
    x = _floats(call)
    return call.b.same("math.subtract", x, y=call.b.same("math.tanh", x))


@carries("HardShrink", "SoftShrink", "Threshold")
def shrink(call: Call) -> Result:
    """0 near 0; or another value up to a limit."""
    x, limit, b = _floats(call), call.number("threshold", 0.5), call.b
    if call.kind == "Threshold":
        beyond = b.same("math.greater", x, "bool", y=limit)
        return b.op("where", beyond, x.dtype, x.shape, x=x, y=call.number("default_value"))
    if call.kind == "HardShrink":
        beyond = b.same("math.greater", b.same("math.abs", x), "bool", y=limit)
        return b.op("where", beyond, x.dtype, x.shape, x=x, y=b.same("zeros_like", x))
    above, below = b.same("math.greater", x, "bool", y=limit), b.same("math.less", x, "bool", y=-limit)
    inner = b.op("where", below, x.dtype, x.shape, x=b.same("math.add", x, y=limit), y=b.same("zeros_like", x))
    return b.op("where", above, x.dtype, x.shape, x=b.same("math.subtract", x, y=limit), y=inner)


@carries("Squareplus")
def squareplus(call: Call) -> Result:
    """`(x + sqrt(x^2 + b)) / 2`."""
    x, b = _floats(call), call.b
    root = b.same("math.sqrt", b.same("math.add", b.same("math.square", x), y=call.number("b", 4)))
    return b.same("math.truediv", b.same("math.add", x, y=root), y=2)


@carries("SparseSigmoid", "SparsePlus")
def sparse(call: Call) -> Result:
    """0 up to -1, and a line or a parabola from there to 1."""
    x, b = _floats(call), call.b
    shifted = b.same("math.add", x, y=1)
    low = b.same("math.less_equal", x, "bool", y=-1)
    if call.kind == "SparseSigmoid":
        high, inner = b.same("math.greater_equal", x, "bool", y=1), b.same("math.multiply", shifted, y=0.5)
        rest = b.op("where", high, x.dtype, x.shape, x=b.same("ones_like", x), y=inner)
    else:
        between, inner = b.same("math.less", x, "bool", y=1), b.same("math.multiply", b.same("math.square", shifted), y=0.25)
        rest = b.op("where", between, x.dtype, x.shape, x=inner, y=x)
    return b.op("where", low, x.dtype, x.shape, x=b.same("zeros_like", x), y=rest)
