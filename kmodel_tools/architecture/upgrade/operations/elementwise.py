"""Operations that work element by element: arithmetic, comparisons, functions of one number, activations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import HANDLERS, Call, Handler, carries
from kmodel_tools.architecture.upgrade.operations.values import Dim, Tensor, Value, product

INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})

_OF_ONE = """
math.abs abs: Absolute | math.negative negative: Negative | math.square square: Square | math.sqrt sqrt: Sqrt
math.rsqrt: Rsqrt | math.exp exp: Exp | math.expm1: Expm1 | math.log log: Log | math.log1p: Log1p
math.sin sin: Sin | math.cos cos: Cos | math.tan tan: Tan | math.asin asin: Arcsin | math.acos acos: Arccos
math.atan atan: Arctan | math.sinh sinh: Sinh | math.cosh cosh: Cosh | math.tanh tanh nn.tanh: Tanh
math.asinh asinh: Arcsinh | math.acosh acosh: Arccosh | math.atanh atanh: Arctanh | math.erf erf: Erf | math.erfinv: Erfinv
math.erfc: Erfc | bitwise.invert: BitwiseNot | math.bessel_i0: I0
math.floor floor: Floor | math.ceil ceil: Ceil | math.sign sign: Sign
math.reciprocal reciprocal: Reciprocal | math.round round math.rint: Round
math.sigmoid sigmoid nn.sigmoid: Sigmoid | nn.relu: Relu | nn.relu6: Relu6 | nn.elu: Elu | nn.selu: Selu
math.softplus nn.softplus: Softplus | nn.softsign math.softsign: Softsign | math.log_sigmoid log_sigmoid: LogSigmoid
math.logical_not logical_not: LogicalNot | math.is_nan is_nan debugging.is_nan: Isnan
math.is_inf is_inf: Isinf | math.is_finite is_finite: Isfinite | stop_gradient: StopGradient
linalg.det: Det
"""
_OF_TWO = """
math.add add __operators__.add: Add | math.subtract subtract: Subtract | math.multiply multiply: Multiply
math.floormod floormod mod math.mod: Mod | math.pow pow: Power | math.floordiv floordiv floor_div math.floor_div: FloorDivide
math.maximum maximum: Maximum | math.minimum minimum: Minimum | math.atan2 atan2: Arctan2
math.equal equal: Equal | math.not_equal not_equal: NotEqual | math.greater greater: Greater
math.greater_equal greater_equal: GreaterEqual | math.less less: Less | math.less_equal less_equal: LessEqual
math.logical_and logical_and: LogicalAnd | math.logical_or logical_or: LogicalOr | math.logical_xor: LogicalXor
realdiv: Divide | truncatemod: Fmod
"""
"""TensorFlow's names: the class of Keras 3 that computes the same in the same dtype, for tensors of one dtype."""


def _lines(text: str) -> list[tuple[list[str], str]]:
    found = []
    for item in text.replace("\n", "|").split("|"):
        names, _, kind = item.partition(":")
        if kind:
            found.append((names.split(), kind.strip()))
    return found


def _of_one(kind: str) -> Handler:
    def carried(call: Call) -> Value:
        return call.b.op(kind, call.x())

    return carried


def _of_two(kind: str) -> Handler:
    def carried(call: Call) -> Value:
        x, y = operands(call)
        return call.b.op(kind, x, y)

    return carried


def operands(call: Call, *names: str) -> tuple[Value, Value]:
    """Both operands, at least one of which is a tensor.

    TensorFlow converts a number to the dtype of the tensor beside it, as Keras does; two tensors are of one dtype.

    Raises:
        UpgradeError: There is one only: tf_keras does not write the other operand of `x == y` and `x != y`.
    """
    second = call.take(*(names or ("y", "x")))
    if second is None:
        raise call.refuse("has lost an operand: tf_keras did not write it into the file, and cannot load it either")
    x, y = call.b.operand(call.first), call.b.operand(second)
    for value in (x, y):
        if isinstance(value, str) or value is None:
            raise call.refuse(f"is called on {value!r}, which is no number")
    return x, y


def two_tensors(call: Call) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of one dtype, a number too: Keras has no operation of numbers alone."""
    x, y = operands(call)
    like = next((item for item in (x, y) if isinstance(item, Tensor)), None)
    return call.tensor(x, like), call.tensor(y, like)


HANDLERS.update({name: _of_one(kind) for names, kind in _lines(_OF_ONE) for name in names})
HANDLERS.update({name: _of_two(kind) for names, kind in _lines(_OF_TWO) for name in names})


_BITWISE = {
    "bitwise_and": "BitwiseAnd",
    "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
    "left_shift": "BitwiseLeftShift",
    "right_shift": "BitwiseRightShift",
}


@carries(*(f"bitwise.{name}" for name in _BITWISE))
def bitwise(call: Call) -> Value:
    """Integers bit by bit; Keras takes no plain number here."""
    return call.b.op(_BITWISE[call.function.rpartition(".")[2]], *two_tensors(call))


@carries("math.real", "math.conj")
def real(call: Call) -> Value:
    """The same tensor, for what is carried is real."""
    x = call.x()
    if str(x.dtype).startswith("complex"):
        raise call.refuse(f"is called on {x.dtype}, which is not carried")
    return call.b.op("Copy", x)


@carries("__operators__.eq", "__operators__.ne")
def equality(call: Call) -> Value:
    """`x == y`: written by tf_keras without `y`."""
    x, y = operands(call, "other")
    return call.b.op("Equal" if call.function.endswith("eq") else "NotEqual", x, y)


@carries("math.truediv", "truediv", "math.divide", "divide", "div", "RealDiv", "math.divide_no_nan", "div_no_nan")
def true_division(call: Call) -> Value:
    """Division of floating point numbers, by 0 too; integers become such first, as TensorFlow has it: `float64` of 32 and 64 bits.

    Source: TensorFlow 2.21 `python/ops/math_ops.py`, `_truediv_python3`.
    """
    x, y = operands(call)
    kinds = {item.dtype for item in (x, y) if isinstance(item, Tensor)} & INTEGERS
    if kinds and call.is_v1:
        raise call.refuse("divides integers as Python 2 did, which no operation of Keras 3 does")
    if kinds:
        wide = "float32" if kinds <= {"int8", "int16", "uint8", "uint16"} else "float64"
        x, y = (call.b.cast(item, wide) if isinstance(item, Tensor) else item for item in (x, y))
    return call.b.op("DivideNoNan" if "no_nan" in call.function else "Divide", x, y)


@carries("math.squared_difference", "squared_difference")
def squared_difference(call: Call) -> Value:
    """`(x - y)^2`."""
    x, y = operands(call)
    return call.b.op("Square", call.b.op("Subtract", x, y))


@carries("math.multiply_no_nan")
def multiply_no_nan(call: Call) -> Value:
    """`x * y`, but 0 where `y` is 0, whatever `x` is."""
    x, y = two_tensors(call)
    return call.b.op("Where", call.b.op("Equal", y, 0), 0, call.b.op("Multiply", x, y), dtype=x.dtype)


@carries("math.xdivy")
def xdivy(call: Call) -> Value:
    """`x / y`, but 0 where `x` is 0, whatever `y` is."""
    x, y = two_tensors(call)
    return call.b.op("Where", call.b.op("Equal", x, 0), 0, call.b.op("Divide", x, y), dtype=x.dtype)


@carries("math.xlogy", "math.xlog1py")
def xlogy(call: Call) -> Value:
    """`x log(y)`, or `x log(1 + y)`, but 0 where `x` is 0, whatever `y` is."""
    x, y = two_tensors(call)
    size = call.b.op("Log1p" if call.function.endswith("py") else "Log", y)
    return call.b.op("Where", call.b.op("Equal", x, 0), 0, call.b.op("Multiply", x, size), dtype=x.dtype)


def _dtype(*values: Value) -> str | None:
    return next((value.dtype for value in values if isinstance(value, Tensor)), None)


@carries("math.reciprocal_no_nan")
def reciprocal_no_nan(call: Call) -> Value:
    """`1 / x`, but 0 where `x` is 0."""
    return call.b.op("DivideNoNan", 1.0, call.x())


@carries("math.scalar_mul")
def scalar_mul(call: Call) -> Value:
    """`scalar * x`."""
    x, y = operands(call, "x")
    return call.b.op("Multiply", x, y)


@carries("math.add_n", "add_n", "math.accumulate_n")
def add_n(call: Call) -> Value:
    """The sum of a list of tensors, from the first one on."""
    call.take("shape"), call.take("tensor_dtype")
    first, *others = (call.tensor(item) for item in call.items())
    for item in others:
        first = call.b.op("Add", first, item)
    return first if others else call.b.op("Copy", first)


@carries("clip_by_value", "keras.backend.clip")
def clip_by_value(call: Call) -> Value:
    """At most the one, then at least the other, as `tf.clip_by_value` does; a limit may be a tensor."""
    low, high = (call.take(f"clip_value_{end}", f"{end}_value") for end in ("min", "max"))
    found = call.x()
    for kind, limit in (("Minimum", high), ("Maximum", low)):
        if limit is not None:
            found = call.b.op(kind, found, call.b.operand(limit))
    return found


@carries("where", "where_v2", "select")
def where(call: Call) -> Value:
    """One of two values by a condition, all broadcast.

    That of TensorFlow 1 takes a condition with one element a row, which Keras does not.
    """
    x, y = call.take("x"), call.take("y")
    if x is None or y is None:
        raise call.refuse("asks for the places where something is true, of which nobody knows how many there are")
    condition = call.tensor(call.first)
    x, y = call.b.operand(x), call.b.operand(y)
    ranks = {None if (shape := call.b.shape_of(item)) is None else len(shape) for item in (condition, x, y)}
    if call.is_v1 and len(ranks) > 1:
        raise call.refuse("chooses rows by a condition of TensorFlow 1, which no operation of Keras 3 does")
    like = next((item for item in (x, y) if isinstance(item, Tensor)), None)
    if like is None:
        x = like = _typed(call, x, y)
    # Numbers in lists would else be of the dtype of the condition.
    x, y = (call.tensor(item, like) if isinstance(item, list) else item for item in (x, y))
    return call.b.op("Where", condition, x, y, dtype=_dtype(x, y) or "float32")


def _typed(call: Call, x: Value, y: Value) -> Tensor:
    """The first of two constants as an array, for two numbers have no dtype in Keras."""
    arrays = [np.array(item) for item in (x, y)]
    if any(array.dtype.kind not in "fiub" for array in arrays):
        raise call.refuse("chooses between values that are no numbers")
    kind = "float32" if any(array.dtype.kind == "f" for array in arrays) else "bool" if arrays[0].dtype.kind == "b" else "int32"
    dtypes = [item.dtype.name for item in (x, y) if isinstance(item, np.ndarray)]
    return call.tensor(np.array(x, dtypes[0] if dtypes else kind))


# Dtypes.


@carries("cast", "dtypes.cast", "keras.backend.cast", "dtypes.saturate_cast", "saturate_cast")
def cast(call: Call) -> Value:
    """Another dtype. Source: `tf.cast` and Keras's own round towards zero."""
    dtype = call.dtype()
    if dtype in (None, "string", "complex64", "complex128"):
        raise call.refuse(f"casts to {dtype}, which no tensor of Keras 3 is")
    x = call.x()
    return call.b.op("SaturateCast" if "saturate" in call.function else "Cast", x, dtype=dtype, dtype_=dtype)


def _to(dtype: str) -> Handler:
    def carried(call: Call) -> Value:
        return call.b.op("Cast", call.x(), dtype=dtype, dtype_=dtype)

    return carried


HANDLERS["keras.backend.cast_to_floatx"] = _to("float32")
HANDLERS.update(
    {f"to_{short}": _to(long) for short, long in (("float", "float32"), ("double", "float64"), ("int32", "int32"), ("int64", "int64"))}
)


@carries("identity", "convert_to_tensor", "ensure_shape", "grad_pass_through", "debugging.check_numerics", "keras.backend.identity")
def identity(call: Call) -> Value:
    """The same tensor, in a dtype that it may be given.

    A mask goes on through `convert_to_tensor`, which gives the very tensor that it got, and through nothing else.
    """
    for name in ("shape", "message", "preferred_dtype", "dtype_hint", "as_ref"):
        call.take(name)
    dtype = call.dtype()
    x = call.x()
    if dtype:
        return call.b.op("Cast", x, dtype=dtype, dtype_=dtype)
    return call.b.layer("Identity", x) if call.function == "convert_to_tensor" else call.b.op("Copy", x)


# Activations.


@carries("nn.leaky_relu")
def leaky_relu(call: Call) -> Value:
    """LeakyRelu, whose slope is 0.2 where none is given."""
    return call.b.op("LeakyRelu", call.x(), negative_slope=call.number("alpha", default=0.2))


@carries("nn.gelu", "keras.activations.gelu")
def gelu(call: Call) -> Value:
    """Gelu: exact where TensorFlow is not told to approximate it; Keras 3 approximates by default."""
    return call.b.op("Gelu", call.x(), approximate=call.flag("approximate"))


@carries("nn.silu", "nn.swish", "keras.activations.swish")
def silu(call: Call) -> Value:
    """`x sigmoid(beta x)`."""
    x, beta = call.x(), call.number("beta", default=1.0)
    if beta == 1:
        return call.b.op("Silu", x)
    return call.b.op("Multiply", x, call.b.op("Sigmoid", call.b.op("Multiply", x, beta)))


@carries("nn.crelu")
def crelu(call: Call) -> Value:
    """Relu of a tensor beside relu of its negative."""
    x, axis = call.x(), call.one_axis("axis", default=-1)
    parts = [call.b.op("Relu", x), call.b.op("Relu", call.b.op("Negative", x))]
    shape: list[Dim | None] | None = None
    if x.shape:
        shape = list(x.shape)
        shape[axis] = product([x.shape[axis], 2])
    return call.b.op("Concatenate", parts, shape=shape, dtype=x.dtype, axis=axis)


@carries("nn.softmax", "nn.log_softmax", "math.softmax", "math.log_softmax", "keras.activations.softmax")
def softmax(call: Call) -> Value:
    """Softmax along one axis, the last by default."""
    kind = "LogSoftmax" if "log" in call.function else "Softmax"
    return call.b.op(kind, call.x(), axis=call.one_axis("axis", "dim", default=-1))


@carries("keras.backend.hard_sigmoid", "keras.activations.hard_sigmoid")
def hard_sigmoid(call: Call) -> Value:
    """`clip(0.2 x + 0.5, 0, 1)`; that of Keras 3 is another."""
    x = call.b.op("Add", call.b.op("Multiply", call.x(), 0.2), 0.5)
    return call.b.op("Maximum", call.b.op("Minimum", x, 1.0), 0.0)


_ACTIVATIONS = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "softsign": "Softsign", "selu": "Selu", "elu": "Elu",
    "exponential": "Exp",
}  # fmt: skip


def _plain(kind: str) -> Callable[[Call], Value]:
    def carried(call: Call) -> Value:
        call.take("alpha", "max_value", "threshold", "negative_slope")
        if any(value not in (None, 0, 0.0) and not (name == "alpha" and kind == "Elu" and value == 1) for name, value in call.rest.items()):
            raise call.refuse("is called with arguments that the operation of Keras 3 does not take")
        return call.b.op(kind, call.x())

    return carried


HANDLERS.update({f"keras.{package}.{name}": _plain(kind) for name, kind in _ACTIVATIONS.items() for package in ("activations", "backend")})
