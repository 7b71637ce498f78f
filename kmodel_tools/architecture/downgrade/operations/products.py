"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.downgrade.operations.building import Sizes, Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import HANDLERS, Call, Handler, Result, carries, rank_of, shape_of, short, strong
from kmodel_tools.architecture.downgrade.operations.dtypes import FLOATS, WEAK_FLOAT, result_type
from kmodel_tools.architecture.downgrade.operations.elementwise import broadcast, of_two, operands, real, table
from kmodel_tools.architecture.downgrade.operations.shaping import expanded, permuted


def _both(call: Call, *, real_numbers: bool = True) -> tuple[Value, Value, str]:
    """Both operands in the dtype that they are multiplied in, and that of the product."""
    x, y = operands(call)
    result = result_type(strong(x), strong(y))
    dtype = result_type(result, WEAK_FLOAT) if real_numbers else result
    if strong(x) == strong(y) == "int8":
        raise call.refuse("multiplies matrices of int8, which is not carried back")
    near = call.near()
    return call.b.of_its_own(x, near, dtype), call.b.of_its_own(y, near, dtype), result


@carries("Matmul")
def matmul(call: Call) -> Result:
    """The product of matrices, or of vectors; integers by way of `float32`, as Keras has it."""
    x, y, dtype = _both(call)
    ranks = rank_of(x), rank_of(y)
    near = call.near()
    if None in ranks:
        raise call.refuse("multiplies tensors of which the file does not say how many axes they have")
    if ranks[1] == 1:
        found = call.b.op("tensordot", x, dtype, _rest(shape_of(x), -1), b=y, axes=1)
    elif ranks[0] == 1:
        found = call.b.op("tensordot", x, dtype, _rest(shape_of(y), -2), b=y, axes=[[0], [(ranks[1] or 0) - 2]])
    else:
        found = call.b.op("linalg.matmul", x, near.dtype, _product(shape_of(x), shape_of(y)), b=y)
    return call.b.cast(Tensor(found.ref, strong(x), found.shape), dtype)


def _rest(shape: Sizes | None, axis: int) -> list[int | None] | None:
    if shape is None:
        return None
    found = list(shape)
    del found[axis]
    return found


def _product(x: Sizes | None, y: Sizes | None) -> Sizes | None:
    if x is None or y is None:
        return None
    outer = broadcast(x[:-2], y[:-2])
    return None if outer is None else (*outer, x[-2], y[-1])


@carries("Dot", "Inner", "Vdot")
def dot(call: Call) -> Result:
    """The product over the last axis of the one and the last but one of the other, or the last of a vector."""
    x, y, dtype = _both(call)
    ranks = rank_of(x), rank_of(y)
    if None in ranks or (call.kind == "Vdot" and ranks != (1, 1)):
        raise call.refuse("multiplies tensors of which the file does not say how many axes they have")
    if 0 in ranks:
        return call.b.cast(of_two(call, "math.multiply", x, y, strong(x)), dtype)
    second = (ranks[1] or 0) - (1 if ranks[1] == 1 or call.kind == "Inner" else 2)
    return call.b.cast(_contracted(call, x, y, [[(ranks[0] or 0) - 1], [second]]), dtype)


@carries("Tensordot")
def tensordot(call: Call) -> Result:
    """The product over some axes."""
    x, y, dtype = _both(call, real_numbers=False)
    wide = dtype if dtype in FLOATS | {"int32", "int64"} else result_type(dtype, WEAK_FLOAT)
    axes = call.setting("axes", 2)
    x, y = (call.b.of_its_own(item, call.near(), wide) for item in (x, y))
    if isinstance(axes, list):  # TensorFlow takes two lists, or two numbers
        axes = [item if isinstance(item, list) else [item] for item in axes]
    elif not isinstance(axes, int):
        raise call.refuse(f"multiplies over {short(axes)}")
    return call.b.cast(_contracted(call, x, y, axes), dtype)


def _contracted(call: Call, x: Value, y: Value, axes: Any) -> Tensor:
    shapes = shape_of(x), shape_of(y)
    shape: list[int | None] | None = None
    if shapes[0] is not None and shapes[1] is not None:
        gone = [list(range(-axes, 0)), list(range(axes))] if isinstance(axes, int) else axes
        shape = []
        for sizes, row in zip(shapes, gone, strict=True):
            left_out = {axis % len(sizes or ()) for axis in row}
            shape += [size for axis, size in enumerate(sizes or ()) if axis not in left_out]
    return call.b.op("tensordot", x, strong(x), shape, b=y, axes=axes)


@carries("Outer")
def outer(call: Call) -> Result:
    """Each element of the one by each of the other."""
    x, y = operands(call)
    dtype = result_type(strong(x), strong(y))
    near = call.near()
    column = call.b.op("reshape", call.b.as_tensor(x, near, dtype), dtype, (None, 1), shape_=[-1, 1])
    return call.b.op("math.multiply", column, y=call.b.op("reshape", call.b.as_tensor(y, near, dtype), dtype, (None,), shape_=[-1]))


# Einsum.


@carries("Einsum")
def einsum(call: Call) -> Result:
    """A product by an equation, as transposed matrices: Keras 2 cannot write the operands of `tf.einsum` into a file.

    Letters of both operands that the result has are batch axes, and so are letters of one operand but for the last, of size one
    in the other; the product is that of matrices, and what else is to be added up is added up behind it.
    """
    equation = str(call.setting("subscripts", "")).replace(" ", "")
    values = [*call.args] if len(call.args) > 1 or not isinstance(call.args[0], list) else call.args[0]
    tensors = [call.b.as_tensor(item, call.near(), strong(item)) for item in values]
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    letters = set("".join(terms))
    plain = arrow and len(terms) == len(tensors) and all(len(set(term)) == len(term) for term in (*terms, right))
    if not plain or "." in letters or len(tensors) not in (1, 2) or not set(right) <= letters:
        raise call.refuse(f"is the product {equation!r}, which is not carried back")
    dtype = result_type(*(item.dtype for item in tensors))
    tensors = [real(call, item) for item in (call.b.cast(item, dtype) for item in tensors)]
    reduced = []
    for number, (term, tensor) in enumerate(zip(terms, tensors, strict=True)):
        others = set(right).union(*(other for place, other in enumerate(terms) if place != number))
        gone = [axis for axis, letter in enumerate(term) if letter not in others]
        part = call.b.op("math.reduce_sum", tensor, axis=gone, keepdims=False) if gone else tensor
        reduced.append(("".join(letter for letter in term if letter in others), part))
    found, result = _multiplied(call, *reduced[0], *reduced[1], right) if len(reduced) == 2 else (reduced[0][1], reduced[0][0])
    if result != right:
        found = _transposed(call, found, result, right)
    return call.b.cast(Tensor(found.ref, tensors[0].dtype, found.shape), dtype)


def _multiplied(call: Call, first: str, x: Tensor, second: str, y: Tensor, right: str) -> tuple[Tensor, str]:
    """The product of two tensors, and the letters of its axes."""
    shared = [letter for letter in first if letter in second]
    summed = [letter for letter in shared if letter not in right]
    rows, columns = ([letter for letter in term if letter not in other] for term, other in ((first, second), (second, first)))
    inner = summed[-1:]
    batch = [letter for letter in shared if letter not in inner] + rows[:-1] + columns[:-1]
    x = _laid_out(call, x, first, [*batch, *(rows[-1:] or [""]), *(inner or ["*"])])
    y = _laid_out(call, y, second, [*batch, *(inner or ["*"]), *(columns[-1:] or [""])])
    found = call.b.op("linalg.matmul", x, b=y)
    axes = [*batch, *(rows[-1:] or [""]), *(columns[-1:] or [""])]
    gone = [axis for axis, letter in enumerate(axes) if letter in summed]
    if gone:
        found = call.b.op("math.reduce_sum", found, axis=gone, keepdims=False)
    axes = [letter for letter in axes if letter not in summed]
    ones = [axis for axis, letter in enumerate(axes) if not letter]
    if ones:
        found = call.b.op("squeeze", found, axis=ones)
    return found, "".join(axes)


def _laid_out(call: Call, x: Tensor, term: str, axes: list[str]) -> Tensor:
    """A tensor with its axes in an order, and axes of one for those that it does not have."""
    order = [term.index(letter) for letter in axes if letter and letter in term]
    if order != sorted(order):
        x = permuted(call, x, order)
    for place, letter in enumerate(axes):
        if not letter or letter not in term:
            x = expanded(call, x, place)
    return x


def _transposed(call: Call, x: Tensor, old: str, new: str) -> Tensor:
    return permuted(call, Tensor(x.ref, x.dtype, None), [old.index(letter) for letter in new])


# Linear algebra.

_OF_MATRICES = "Det: linalg.det | Inv: linalg.inv | Logdet: linalg.logdet"


def _of_matrices(name: str) -> Handler:
    def carried(call: Call) -> Result:
        x = call.tensor()
        if x.dtype not in FLOATS:
            raise call.refuse(f"takes matrices of {x.dtype}, which is not carried back")
        return call.b.op(name, x)

    return carried


HANDLERS.update({kind: _of_matrices(name) for kind, name in table(_OF_MATRICES).items()})


@carries("Cholesky")
def cholesky(call: Call) -> Result:
    """The lower triangle whose square matrices are."""
    if call.flag("upper"):
        raise call.refuse("is the upper triangle, which is not carried back")
    return call.b.op("linalg.cholesky", call.tensor())


@carries("Solve", "SolveTriangular")
def solve(call: Call) -> Result:
    """Linear equations."""
    a, b = call.tensor(0, "a"), call.tensor(1, "b")
    if a.rank is None or b.rank != a.rank:
        raise call.refuse("solves for vectors, or of an unknown rank, which is not carried back")
    if call.kind == "Solve":
        return call.b.op("linalg.solve", a, rhs=b)
    return call.b.op("linalg.triangular_solve", a, rhs=b, lower=call.flag("lower"))
