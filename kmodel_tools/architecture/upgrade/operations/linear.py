"""Operations of linear algebra on matrices: inverses, decompositions, determinants, diagonals."""

from __future__ import annotations

import numpy as np

from kmodel_tools.architecture.upgrade.operations.calls import Call, carries
from kmodel_tools.architecture.upgrade.operations.elementwise import real
from kmodel_tools.architecture.upgrade.operations.reductions import reduce
from kmodel_tools.architecture.upgrade.operations.repeating import spread
from kmodel_tools.architecture.upgrade.operations.shaping import swapped
from kmodel_tools.architecture.upgrade.operations.values import Tensor, Value, dims_of


@carries("linalg.inv")
def inverse(call: Call) -> Value:
    """The inverse of matrices."""
    if call.flag("adjoint"):
        raise call.refuse("inverts the adjoint, which is not carried")
    return call.b.op("Inv", call.x())


@carries("linalg.trace")
def trace(call: Call) -> Value:
    """The sum of the diagonal of matrices."""
    x = call.x()
    return call.b.op("Trace", x, shape=None if x.shape is None else x.shape[:-2], offset=0, axis1=-2, axis2=-1)


@carries("linalg.diag")
def diagonal_matrix(call: Call) -> Value:
    """Matrices with a row each on the diagonal and 0 elsewhere."""
    call.take("k", "num_rows", "num_cols", "padding_value", "align")
    x = call.x()
    size = x.size(-1)
    if not isinstance(size, int) or any(_tells(call.rest.get(key)) for key in call.rest if key != "name"):
        raise call.refuse("makes matrices with other than the whole diagonal of a known size")
    call.b.allowed([size, size])
    column = call.b.op("ExpandDims", x, shape=None if x.shape is None else (*x.shape, 1), axis=-1)
    if x.dtype == "bool":
        return call.b.op("LogicalAnd", column, np.eye(size, dtype=bool))
    return call.b.op("Where", np.eye(size, dtype=bool), column, 0, dtype=x.dtype)


def _tells(value: Value) -> bool:
    """Whether an argument asks for another diagonal than the whole main one, or for another filling."""
    return not (value is None or isinstance(value, str) or (np.ndim(value) == 0 and value in (0, -1)))


# Decompositions and what follows from them.


@carries("linalg.cholesky")
def cholesky(call: Call) -> Value:
    """The lower triangular root of matrices."""
    return call.b.op("Cholesky", call.x(), upper=False)


@carries("linalg.cholesky_solve")
def cholesky_solve(call: Call) -> Value:
    """`L L^T x = b` for x: two triangular systems, one after the other."""
    factor, right = call.x(), call.tensor(call.take("rhs"), call.first if isinstance(call.first, Tensor) else None)
    middle = call.b.op("SolveTriangular", factor, right, shape=right.shape, lower=True)
    return call.b.op("SolveTriangular", swapped(call, factor), middle, shape=right.shape, lower=False)


@carries("linalg.solve", "linalg.triangular_solve")
def solve(call: Call) -> Value:
    """`A x = b` for x; A may be triangular, and transposed."""
    matrix = call.x()
    right = call.tensor(call.take("rhs"), matrix)
    is_triangular, lower, turned = "triangular" in call.function, call.flag("lower", default=True), call.flag("adjoint")
    if turned:
        matrix, lower = swapped(call, matrix), not lower
    if is_triangular:
        return call.b.op("SolveTriangular", matrix, right, shape=right.shape, lower=lower)
    return call.b.op("Solve", matrix, right, shape=right.shape)


@carries("linalg.qr")
def qr(call: Call) -> Value:
    """An orthogonal factor, and an upper triangular one."""
    x = call.x()
    whole = call.flag("full_matrices")
    rows, columns = (x.shape or (None, None))[-2:]
    if x.shape is None or not isinstance(rows, int) or not isinstance(columns, int):
        raise call.refuse("takes matrices apart whose size is known only at run time")
    inner = rows if whole else min(rows, columns)
    shapes = [(*x.shape[:-1], inner), (*x.shape[:-2], inner, columns)]
    return call.b.ops("Qr", x, shapes=shapes, mode="complete" if whole else "reduced")


@carries("linalg.svd")
def svd(call: Call) -> Value:
    """Singular values, then both factors as TensorFlow gives them: the second one is not transposed."""
    x, whole, both = call.x(), call.flag("full_matrices"), call.flag("compute_uv", default=True)
    rows, columns = (x.shape or (None, None))[-2:]
    if x.shape is None or not isinstance(rows, int) or not isinstance(columns, int):
        raise call.refuse("takes matrices apart whose size is known only at run time")
    before, inner = x.shape[:-2], min(rows, columns)
    if not both:
        return call.b.op("SVD", x, shape=(*before, inner), full_matrices=whole, compute_uv=False)
    shapes = [(*before, rows, rows if whole else inner), (*before, inner), (*before, columns if whole else inner, columns)]
    left, values, right = call.b.ops("SVD", x, shapes=shapes, full_matrices=whole, compute_uv=True)
    return [values, left, swapped(call, right)]


@carries("linalg.eigh", "linalg.eigvalsh")
def eigh(call: Call) -> Value:
    """Eigenvalues of symmetric matrices in ascending order, and their vectors."""
    x = call.x()
    values, vectors = call.b.ops("Eigh", x, shapes=[None if x.shape is None else x.shape[:-1], x.shape])
    return values if call.function.endswith("eigvalsh") else [values, vectors]


@carries("linalg.logdet")
def logdet(call: Call) -> Value:
    """The logarithm of the determinant of positive definite matrices: from their roots, as TensorFlow has it.

    Source: TensorFlow 2.21 `python/ops/linalg/linalg_impl.py`, `logdet`.
    """
    x = call.x()
    diagonal = call.b.op("Diagonal", call.b.op("Cholesky", x, upper=False), shape=x.shape and x.shape[:-1], offset=0, axis1=-2, axis2=-1)
    return call.b.op("Multiply", reduce(call, "Sum", call.b.op("Log", diagonal), -1, False), 2.0)


@carries("linalg.cross")
def cross(call: Call) -> Value:
    """The product of vectors in space that stands upright on both."""
    x, y = call.x(), call.tensor(call.take("b"))
    return call.b.op("Cross", x, y, axisa=-1, axisb=-1, axisc=-1)


@carries("linalg.adjoint")
def adjoint(call: Call) -> Value:
    """Transposed matrices, for what is carried is real."""
    return swapped(call, real(call))


@carries("linalg.global_norm")
def global_norm(call: Call) -> Value:
    """The root of the sum of all squares of a list of tensors."""
    found: Tensor | None = None
    for item in call.items():
        one = reduce(call, "Sum", call.b.op("Square", call.tensor(item)), None, False)
        found = one if found is None else call.b.op("Add", found, one)
    return call.b.op("Sqrt", found)


@carries("linalg.set_diag")
def set_diagonal(call: Call) -> Value:
    """Matrices with another main diagonal."""
    if call.number("k", default=0) != 0:
        raise call.refuse("sets another than the main diagonal, which is not carried")
    call.take("align")
    x = call.x()
    diagonal = call.tensor(call.take("diagonal"), x)
    rows, columns = (x.shape or (None, None))[-2:]
    if not isinstance(rows, int) or rows != columns:
        raise call.refuse("sets the diagonal of matrices that are not square, or whose size is known only at run time")
    call.b.allowed([rows, rows])
    column = call.b.op("ExpandDims", diagonal, shape=None if diagonal.shape is None else (*diagonal.shape, 1), axis=-1)
    return call.b.op("Where", np.eye(rows, dtype=bool), column, x, shape=x.shape, dtype=x.dtype)


@carries("eye", "linalg.eye", "keras.backend.eye")
def eye(call: Call) -> Value:
    """Unit matrices, as many as there are samples, or of a size that is known only at run time."""
    rows = call.dims("num_rows", "size") if call.first is None else (dims_of(call.first) or [])
    columns = call.dims("num_columns") if call.rest.get("num_columns") is not None else rows
    dtype = call.dtype(default="float32") or "float32"
    value = call.take("batch_shape")
    batch = [] if value is None else dims_of(value)
    if len(rows) != 1 or len(columns) != 1 or batch is None:
        raise call.refuse("makes unit matrices of a shape that the file does not say")
    if isinstance(rows[0], int) and isinstance(columns[0], int):
        call.b.allowed([rows[0], columns[0]])
        plain: Value = np.eye(rows[0], columns[0], dtype="float32" if dtype == "bfloat16" else dtype)
    else:
        numbers = [call.b.counting(size, "int32") for size in (rows[0], columns[0])]
        down = call.b.op("ExpandDims", call.tensor(numbers[0]), shape=(rows[0], 1), axis=-1)
        plain = call.b.cast(call.b.op("Equal", down, numbers[1], shape=(rows[0], columns[0])), dtype)
    if not batch:
        return plain
    return spread(call, call.tensor(plain), [*batch, rows[0], columns[0]])
