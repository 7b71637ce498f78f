"""Operations that work element by element: arithmetic, comparisons, functions of one number, dtypes, activations."""

from __future__ import annotations

import numpy as np

from kmodel_tools.architecture.downgrade.operations.building import Sizes, Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import HANDLERS, Call, Handler, Result, carries, kind_of, shape_of, short, strong
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, INTEGERS, KNOWN, UNSIGNED, WEAK_FLOAT, floating, result_type

_REAL = """
Sqrt: math.sqrt | Exp: math.exp | Expm1: math.expm1 | Log: math.log | Log1p: math.log1p | Floor: math.floor | Ceil: math.ceil
Sin: math.sin | Cos: math.cos | Tan: math.tan | Arcsin: math.asin | Arccos: math.acos | Arctan: math.atan
Sinh: math.sinh | Cosh: math.cosh | Tanh: math.tanh | Arcsinh: math.asinh | Arccosh: math.acosh | Arctanh: math.atanh
"""
"""Functions of real numbers; Keras makes `float32` of integers first."""
_PLAIN = """
Negative: math.negative | Rsqrt: math.rsqrt | Reciprocal: math.reciprocal | Erf: math.erf | Erfc: math.erfc | Erfinv: math.erfinv
Copy: identity | StopGradient: stop_gradient | Relu: nn.relu | Relu6: nn.relu6 | Sigmoid: math.sigmoid | Softplus: math.softplus
Softsign: nn.softsign | Silu: nn.silu | LogSigmoid: math.log_sigmoid | Selu: nn.selu
"""
"""Functions that TensorFlow computes in the same dtype."""
_OF_TWO = """
Add: math.add | Subtract: math.subtract | Multiply: math.multiply | Maximum: math.maximum | Minimum: math.minimum
FloorDivide: math.floordiv
"""
"""Operations of two operands, of which a number of Python's takes on the dtype of the other."""
_COMPARED = """
Equal: math.equal | NotEqual: math.not_equal | Greater: math.greater | GreaterEqual: math.greater_equal
Less: math.less | LessEqual: math.less_equal
"""
_LOGICAL = "LogicalAnd: math.logical_and | LogicalOr: math.logical_or | LogicalXor: math.logical_xor"
_COMMUTES = frozenset({"math.add", "math.multiply", "math.maximum", "math.minimum", "math.equal", "math.not_equal"})


def table(text: str) -> dict[str, str]:
    """Keras's classes and TensorFlow's names, of lines of them."""
    pairs = [item.split(":") for item in text.replace("\n", "|").split("|") if ":" in item]
    return {kind.strip(): name.strip() for kind, name in pairs}


def real(call: Call, x: Tensor) -> Tensor:
    """A tensor as real numbers: integers and truths become `float32`."""
    return call.b.cast(x, floating(x.dtype))


def _of_real(name: str) -> Handler:
    return lambda call: call.b.same(name, real(call, call.tensor()))


def _of_one(name: str) -> Handler:
    return lambda call: call.b.same(name, call.tensor(0, "variable" if call.kind == "StopGradient" else "x"))


HANDLERS.update({kind: _of_real(name) for kind, name in table(_REAL).items()})
HANDLERS.update({kind: _of_one(name) for kind, name in table(_PLAIN).items()})


# Two operands.


def broadcast(*shapes: Sizes | None) -> Sizes | None:
    """The shape of an elementwise operation; None where it is not known."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    rank = max((len(shape) for shape in known), default=0)
    found: list[int | None] = []
    for axis in range(rank):
        sizes = [shape[axis - rank] for shape in known if len(shape) >= rank - axis]
        larger = [size for size in sizes if size != 1]
        found.append(next((size for size in larger if size is not None), None) if larger else 1)
    return tuple(found)


def of_two(call: Call, name: str, x: Value, y: Value, dtype: str, result: str | None = None) -> Tensor:
    """An operation of two operands that are brought to one dtype."""
    shape = broadcast(shape_of(x), shape_of(y))
    x, y = call.b.as_dtype(x, dtype), call.b.as_dtype(y, dtype)
    if not isinstance(x, Tensor) and name in _COMMUTES:
        x, y = y, x
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        x = call.b.as_tensor(x, call.near(), dtype)
    return call.b.op(name, x, result or dtype, shape, y=y)


def operands(call: Call) -> tuple[Value, Value]:
    """Both operands."""
    names = ("x", "y") if call.kind.startswith("Bitwise") else ("x1", "x2")
    return call.value(0, names[0]), call.value(1, names[1])


def _weak(name: str) -> Handler:
    def carried(call: Call) -> Result:
        x, y = operands(call)
        return of_two(call, name, x, y, result_type(kind_of(x), kind_of(y)))

    return carried


def _compared(name: str) -> Handler:
    def carried(call: Call) -> Result:
        x, y = operands(call)
        return of_two(call, name, x, y, result_type(strong(x), strong(y)), "bool")

    return carried


def _logical(name: str) -> Handler:
    def carried(call: Call) -> Result:
        x, y = (truth(call, item) for item in operands(call))
        return of_two(call, name, x, y, "bool")

    return carried


def truth(call: Call, x: Value) -> Value:
    """An operand as truths: whether it is not 0."""
    return call.b.as_dtype(x, "bool")


HANDLERS.update({kind: _weak(name) for kind, name in table(_OF_TWO).items()})
HANDLERS.update({kind: _compared(name) for kind, name in table(_COMPARED).items()})
HANDLERS.update({kind: _logical(name) for kind, name in table(_LOGICAL).items()})


@carries("Divide", "TrueDivide", "DivideNoNan")
def divide(call: Call) -> Result:
    """Division of real numbers: integers become `float32` first."""
    x, y = operands(call)
    name = "math.divide_no_nan" if call.kind == "DivideNoNan" else "math.truediv"
    return of_two(call, name, x, y, result_type(kind_of(x), kind_of(y), WEAK_FLOAT))


@carries("Power")
def power(call: Call) -> Result:
    """Powers; unsigned integers by way of `int32`, of which TensorFlow has powers."""
    x, y = operands(call)
    dtype = result_type(kind_of(x), kind_of(y))
    if dtype in UNSIGNED:
        return call.b.cast(of_two(call, "math.pow", x, y, "int32"), dtype)
    return of_two(call, "math.pow", x, y, dtype)


@carries("Mod")
def mod(call: Call) -> Result:
    """The rest of a division, of the sign of the divisor."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y))
    return of_two(call, "math.floormod", x, y, "int32" if dtype == "bool" else dtype)


@carries("Arctan2")
def arctan2(call: Call) -> Result:
    """The angle of two coordinates."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y), WEAK_FLOAT)
    shape = broadcast(shape_of(x), shape_of(y))
    x, y = call.b.as_dtype(x, dtype), call.b.as_dtype(y, dtype)
    return call.b.op("math.atan2", x, dtype, shape, x=y)


@carries("Logaddexp")
def logaddexp(call: Call) -> Result:
    """`log(exp(x) + exp(y))`, as the larger one and a rest."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y), WEAK_FLOAT)
    b, delta = call.b, of_two(call, "math.subtract", x, y, dtype)
    rest = b.same("math.log1p", b.same("math.exp", b.same("math.negative", b.same("math.abs", delta))))
    found = b.op("math.add", of_two(call, "math.maximum", x, y, dtype), y=rest)
    return b.op("where", b.op("math.is_nan", delta, "bool"), dtype, delta.shape, x=of_two(call, "math.add", x, y, dtype), y=found)


@carries("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(call: Call) -> Result:
    """Bit by bit."""
    x, y = operands(call)
    name = {"And": "and", "Or": "or", "Xor": "xor"}[call.kind.removeprefix("Bitwise")]
    return of_two(call, f"bitwise.bitwise_{name}", x, y, result_type(strong(x), strong(y)))


@carries("Where")
def where(call: Call) -> Result:
    """One of two values by a condition, all broadcast.

    Raises:
        UpgradeError: It asks for the places where something is true, of which nobody knows how many there are.
    """
    x, y = call.given(1, "x1", None), call.given(2, "x2", None)
    if x is None or y is None:
        raise call.refuse("asks for the places where something is true, which is not carried back")
    x, y = call.value(1, "x1"), call.value(2, "x2")
    dtype = result_type(kind_of(x), kind_of(y))
    condition = truth(call, call.value(0, "condition"))
    shape = broadcast(shape_of(condition), shape_of(x), shape_of(y))
    x, y = call.b.as_dtype(x, dtype), call.b.as_dtype(y, dtype)
    return call.b.op("where", condition, dtype, shape, x=typed(call, x, y, dtype), y=y)


def typed(call: Call, x: Value, y: Value, dtype: str) -> Value:
    """The first of two values; as a tensor where both are constants and TensorFlow would take them for another dtype."""
    if isinstance(x, Tensor) or isinstance(y, Tensor):
        return x
    return call.b.of_its_own(x, call.near(), dtype)


# One operand.


@carries("Absolute", "Abs")
def absolute(call: Call) -> Result:
    """Without its sign; what has none stays."""
    x = call.tensor()
    return call.b.same("identity" if x.dtype in UNSIGNED | {"bool"} else "math.abs", x)


@carries("Sign")
def sign(call: Call) -> Result:
    """1, 0 or -1; of unsigned integers by way of `int32`, as TensorFlow has none."""
    x = call.tensor()
    if x.dtype in ("uint8", "uint16", "uint32"):
        return call.b.cast(call.b.same("math.sign", call.b.cast(x, "int32")), x.dtype)
    return call.b.same("math.sign", x)


@carries("Square")
def square(call: Call) -> Result:
    """Squares; truths are counted."""
    x = call.tensor()
    return call.b.same("math.square", call.b.cast(x, "int32") if x.dtype == "bool" else x)


@carries("Round")
def rounded(call: Call) -> Result:
    """Rounded to some digits, halves to the even number."""
    x, digits = call.tensor(), call.number("decimals", 0)
    if digits == 0:
        return call.b.same("math.round", x)
    if x.dtype in INTEGERS and digits > 0:
        return call.b.same("identity", x)
    factor = 10.0**digits
    scaled = call.b.same("math.multiply", real(call, x), y=factor)
    return call.b.cast(call.b.same("math.truediv", call.b.same("math.round", scaled), y=factor), x.dtype)


@carries("Trunc")
def trunc(call: Call) -> Result:
    """Rounded towards 0."""
    x = call.tensor()
    if x.dtype not in FLOATS:
        return call.b.same("identity", x)
    below = call.b.same("math.less", x, "bool", y=0)
    return call.b.op("where", below, x.dtype, x.shape, x=call.b.same("math.ceil", x), y=call.b.same("math.floor", x))


@carries("Log2", "Log10")
def log_to_base(call: Call) -> Result:
    """Logarithms to the base 2 or 10: natural ones, divided."""
    x = real(call, call.tensor())
    base = float(np.log(2.0 if call.kind == "Log2" else 10.0))
    return call.b.same("math.truediv", call.b.same("math.log", x), y=base)


@carries("LogicalNot")
def logical_not(call: Call) -> Result:
    """What is not true."""
    return call.b.same("math.logical_not", call.b.cast(call.tensor(), "bool"))


@carries("Isnan", "Isinf", "Isfinite")
def finite(call: Call) -> Result:
    """Whether a number is none, or infinite."""
    name = {"Isnan": "is_nan", "Isinf": "is_inf", "Isfinite": "is_finite"}[call.kind]
    return call.b.same(f"math.{name}", real(call, call.tensor()), "bool")


@carries("Clip")
def clip(call: Call) -> Result:
    """Between two limits, which are numbers."""
    x = call.tensor()
    x = call.b.cast(x, "int32") if x.dtype == "bool" else x
    limits = []
    for name in ("x_min", "x_max"):
        value = call.setting(name)
        if isinstance(value, list):
            value = call.array(value)
        if not isinstance(value, (int, float, np.ndarray)):
            raise call.refuse(f"has the limit {short(value)}")
        if x.dtype in INTEGERS and np.asarray(value).dtype.kind == "f":
            raise call.refuse(f"clips integers to {short(value)}, which is none")
        limits.append(call.b.as_dtype(value, x.dtype))
    return call.b.same("clip_by_value", x, clip_value_min=limits[0], clip_value_max=limits[1])


@carries("Isclose")
def isclose(call: Call) -> Result:
    """Whether two numbers are as near as said, by the second one."""
    x, y = operands(call)
    dtype, b = result_type(strong(x), strong(y)), call.b
    if dtype not in FLOATS or call.flag("equal_nan"):
        raise call.refuse("compares integers, or takes NaN for equal, which is not carried back")
    far = b.same("math.abs", of_two(call, "math.subtract", x, y, dtype))
    second = b.as_tensor(y, call.near(), dtype)
    bound = b.same("math.multiply", b.same("math.abs", second), y=call.given(2, "rtol", 1e-5))
    return b.op("math.less_equal", far, "bool", far.shape, y=b.same("math.add", bound, y=call.given(3, "atol", 1e-8)))


# Dtypes.


@carries("Cast", "SaturateCast", "ConvertToTensor")
def cast(call: Call) -> Result:
    """Another dtype."""
    x, dtype = call.tensor(), call.dtype()
    if dtype is None:
        return call.b.same("identity", x)
    if dtype not in KNOWN:
        raise call.refuse(f"casts to {dtype}, which is not carried back")
    return call.b.op("dtypes.saturate_cast" if call.kind == "SaturateCast" else "cast", x, dtype, x.shape, dtype_=dtype)


@carries("OnesLike", "ZerosLike")
def like(call: Call) -> Result:
    """Ones or zeros of the shape of a tensor."""
    x, dtype = call.tensor(), call.dtype()
    name = "ones_like" if call.kind == "OnesLike" else "zeros_like"
    return call.b.same(name, x) if dtype in (None, x.dtype) else call.b.same(name, x, dtype, dtype_=dtype)


@carries("FullLike")
def full_like(call: Call) -> Result:
    """One number everywhere, of the shape of a tensor."""
    x, value = call.tensor(), call.value(1, "fill_value")
    dtype = call.dtype() or x.dtype
    zeros = call.b.same("zeros_like", x, dtype, dtype_=dtype)
    return call.b.same("math.add", zeros, y=call.b.as_dtype(value, dtype)) if dtype != "bool" else _filled(call, zeros, value)


def _filled(call: Call, zeros: Tensor, value: Value) -> Tensor:
    return call.b.same("math.logical_or", zeros, y=truth(call, value))


# Activations.


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
