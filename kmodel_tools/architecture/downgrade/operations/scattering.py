"""Operations that put elements in places, add up by segments, or take matrices and images apart."""

from __future__ import annotations

from kmodel_tools.architecture.downgrade.operations.building import Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import HANDLERS, Call, Handler, Result, carries, short, strong
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, INTEGERS, result_type
from kmodel_tools.architecture.downgrade.operations.elementwise import of_two, operands

_REDUCTIONS = {None: "update", "add": "add", "max": "max", "min": "min"}


def _indices(call: Call, place: int, name: str) -> Value:
    found = call.value(place, name)
    if strong(found) not in INTEGERS:
        raise call.refuse(f"has places of {strong(found)}, which no operation of TensorFlow takes")
    return found


@carries("Scatter")
def scatter(call: Call) -> Result:
    """Zeros of a shape, with values in some places."""
    shape, values = call.integers("shape"), call.tensor(1, "values")
    if shape is None:
        raise call.refuse("has no shape")
    return call.b.op("scatter_nd", _indices(call, 0, "indices"), values.dtype, shape, updates=values, shape_=shape)


@carries("ScatterUpdate")
def scatter_update(call: Call) -> Result:
    """A tensor with other values in some places."""
    reduction = call.setting("reduction")
    if reduction not in _REDUCTIONS:
        raise call.refuse(f"puts values in places by {short(reduction)}, which no operation of TensorFlow does")
    x = call.tensor(0, "inputs")
    updates = call.b.as_dtype(call.value(2, "updates"), x.dtype)
    return call.b.same(f"tensor_scatter_nd_{_REDUCTIONS[reduction]}", x, indices=_indices(call, 1, "indices"), updates=updates)


def _segments(name: str) -> Handler:
    def carried(call: Call) -> Result:
        data, places = call.tensor(0, "data"), call.tensor(1, "segment_ids")
        count = call.setting("num_segments")
        rest = None if data.shape is None else data.shape[1:]
        if call.flag("sorted") and count is None:
            return call.b.op(f"math.segment_{name}", data, shape=None if rest is None else (None, *rest), segment_ids=places)
        if not isinstance(count, int):
            raise call.refuse("adds up as many segments as is known only at run time, which is not carried back")
        shape = None if rest is None else (count, *rest)
        return call.b.op(f"math.unsorted_segment_{name}", data, shape=shape, segment_ids=places, num_segments=count)

    return carried


HANDLERS.update({f"Segment{name.title()}": _segments(name) for name in ("sum", "max", "min", "prod")})


@carries("InTopK")
def in_top_k(call: Call) -> Result:
    """Whether a class is among the most likely ones."""
    targets, predictions = call.tensor(0, "targets"), call.tensor(1, "predictions")
    return call.b.same("math.in_top_k", targets, "bool", predictions=predictions, k=int(call.number("k")))


@carries("Fmod")
def fmod(call: Call) -> Result:
    """The rest of a division, of the sign of the dividend."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y))
    return of_two(call, "truncatemod", x, y, "int32" if dtype == "bool" else dtype)


@carries("BitwiseNot", "BitwiseInvert", "I0")
def of_bits(call: Call) -> Result:
    """Each bit the other way round; a function of Bessel."""
    x = call.tensor()
    return call.b.same("math.bessel_i0" if call.kind == "I0" else "bitwise.invert", x)


@carries("BitwiseLeftShift", "LeftShift", "BitwiseRightShift", "RightShift")
def shifted(call: Call) -> Result:
    """Bits moved."""
    x, y = call.value(0, "x"), call.value(1, "y")
    name = "left_shift" if "Left" in call.kind else "right_shift"
    return of_two(call, f"bitwise.{name}", x, y, result_type(strong(x), strong(y)))


@carries("Cross")
def cross(call: Call) -> Result:
    """The product of vectors of three."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y))
    axes = [call.setting(name, default) for name, default in (("axisa", -1), ("axisb", -1), ("axisc", -1), ("axis", None))]
    left, right = call.tensor(0, "x1"), call.tensor(1, "x2")
    if axes not in ([-1, -1, -1, None], [-1, -1, -1, -1]) or left.shape is None or left.shape != right.shape or left.shape[-1] != 3:
        raise call.refuse("multiplies vectors of other than three numbers, or along other axes than the last, which is not carried back")
    return call.b.same("linalg.cross", call.b.cast(left, dtype), b=call.b.cast(right, dtype))


@carries("Qr", "Eigh", "SVD")
def factors(call: Call) -> Result:
    """Matrices as products of others."""
    x = call.tensor()
    if x.dtype not in FLOATS:
        raise call.refuse(f"takes matrices of {x.dtype}, which is not carried back")
    if call.kind == "Eigh":
        return call.b.ops("linalg.eigh", x, 2)
    if call.kind == "Qr":
        return call.b.ops("linalg.qr", x, 2, full_matrices=call.setting("mode", "reduced") == "complete")
    if not call.flag("compute_uv", True):
        return call.b.op("linalg.svd", x, full_matrices=call.flag("full_matrices", True), compute_uv=False)
    s, u, v = call.b.ops("linalg.svd", x, 3, full_matrices=call.flag("full_matrices", True), compute_uv=True)
    return [u, s, call.b.op("linalg.adjoint", Tensor(v.ref, x.dtype))]


@carries("SobelEdges")
def sobel_edges(call: Call) -> Result:
    """Edges of images."""
    if call.setting("data_format") not in (None, "channels_last"):
        raise call.refuse("has its channels first, which is not carried back")
    return call.b.op("image.sobel_edges", call.tensor(0, "images"))


@carries("SSIM")
def ssim(call: Call) -> Result:
    """How alike images are."""
    if call.setting("data_format") not in (None, "channels_last"):
        raise call.refuse("has its channels first, which is not carried back")
    numbers = {name: call.number(name, default) for name, default in (("max_val", 1.0), ("filter_size", 11), ("filter_sigma", 1.5))}
    first, second = call.tensor(0, "image1"), call.tensor(1, "image2")
    numbers |= {name: call.number(name, default) for name, default in (("k1", 0.01), ("k2", 0.03))}
    if first.dtype != "float32" or second.dtype != "float32":
        raise call.refuse("compares images of other than float32, which is not carried back")
    found: Tensor = call.b.op("image.ssim", first, None, None, img2=second, **numbers)
    return found
