"""What the values of one weight show, gathered in one pass, in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kmodel_tools.damaged import DAMAGE, damage_of
from kmodel_tools.elements import arrays
from kmodel_tools.tensor import DType, Tensor

SMALL = 1 << 20
"""Elements of a matrix that is looked at as a whole, for being the identity or orthogonal."""
NEAR = 1e-4
OF_FLOATS = {"float32": 1.1754943508222875e-38, "float64": 2.2250738585072014e-308, "float16": 6.103515625e-05}
"""The smallest normal number of each type; smaller ones are denormal."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What values show; bounds and moments are over the finite ones, and 0 without any.

    Attributes:
        count: Number of elements.
        low: The smallest.
        high: The largest.
        mean: Their mean.
        std: Their standard deviation.
        nans: Number of NaN.
        infinities: Number of infinite ones.
        denormals: Number of denormal ones.
        identity: Whether it is a matrix that is the identity.
        orthogonal: Whether it is a matrix of orthonormal rows or columns (beyond its last axis, flattened).
    """

    count: int
    low: float
    high: float
    mean: float
    std: float
    nans: int
    infinities: int
    denormals: int
    identity: bool
    orthogonal: bool

    @property
    def is_finite(self) -> bool:
        """Whether nothing in it is NaN or infinite."""
        return not self.nans and not self.infinities

    def is_all(self, value: float) -> bool:
        """Whether every element has this value."""
        return self.is_finite and self.low == self.high == value


def facts_of(tensor: Tensor) -> Facts | None:
    """Read an array once; None for strings, complex and opaque elements, empty arrays, and what cannot be read."""
    if tensor.dtype in (DType.STRING, DType.OPAQUE, DType.COMPLEX64, DType.COMPLEX128) or not tensor.size or damage_of(tensor):
        return None
    import numpy as np

    count = finite_count = nans = infinities = denormals = 0
    low, high, total, squares = math.inf, -math.inf, 0.0, 0.0
    smallest = OF_FLOATS.get(tensor.dtype.value, 0.0)
    try:
        for part in arrays(tensor):
            values = part.astype(np.float64)
            count += values.size
            mask = np.isfinite(values)
            if not mask.all():
                nans += int(np.isnan(values).sum())
                infinities += int(np.isinf(values).sum())
                values = values[mask]
            if values.size:
                magnitudes = np.abs(values)
                denormals += int(((magnitudes > 0) & (magnitudes < smallest)).sum()) if smallest else 0
                low, high = min(low, float(values.min())), max(high, float(values.max()))
                total += float(values.sum())
                squares += float(np.square(values).sum())
                finite_count += values.size
        identity, orthogonal = _as_matrix(tensor, bool(nans or infinities))
    except DAMAGE:
        return None
    mean = total / finite_count if finite_count else 0.0
    variance = max(0.0, squares / finite_count - mean * mean) if finite_count else 0.0
    bounds = (low, high) if finite_count else (0.0, 0.0)
    return Facts(count, *bounds, mean, math.sqrt(variance), nans, infinities, denormals, identity, orthogonal)


def _as_matrix(tensor: Tensor, odd: bool) -> tuple[bool, bool]:
    """Whether an array of floats is the identity, and whether it is orthonormal along its smaller side."""
    if odd or len(tensor.shape) < 2 or tensor.size > SMALL or not tensor.dtype.is_float:
        return False, False
    import numpy as np

    matrix = tensor.read().astype(np.float64).reshape(-1, tensor.shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    unit = np.eye(matrix.shape[1])
    identity = matrix.shape[0] == matrix.shape[1] and bool(np.array_equal(matrix, unit))
    if matrix.shape[1] > 1024:
        return identity, False
    product = matrix.T @ matrix
    scale = float(product[0, 0])  # of gain g, the product is g² times the identity
    return identity, scale > 0 and bool(np.allclose(product, scale * unit, atol=NEAR * scale))
