"""Whether one array is the other in another layout: reshaped, with its axes in another order, flipped, rolled or permuted along one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from kmodel_tools.differ.values import UNORDERED
from kmodel_tools.elements import arrays, chunks
from kmodel_tools.tensor import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

LIMIT = 32 << 20
"""Bytes up to which arrays are loaded to find the order of their axes; of larger ones only that their values are the same is told."""
MOST_AXES = 5
CHUNK = 1 << 20


def layout_change(a: Tensor, b: Tensor) -> str | None:
    """How `b` comes from `a` if it holds the same values in another layout.

    Returns:
        `reshaped`, `transposed` (two axes), `axes in the order (…)` (as numpy's transpose takes it), `flipped along axis 0` or
        `along axes (0, 1)`, `rolled by 2 along axis 1` (as numpy's roll takes it), `permuted along axis 0`, `the same values in
        another order` (of arrays too large to find it, or in none of these), or None.

    Raises:
        FormatError: A value cannot be read.
    """
    if a.dtype is not b.dtype or a.dtype in UNORDERED or a.size != b.size or a.size < 2:
        return None
    if a.shape != b.shape and all(left == right for left, right in zip(chunks(a, CHUNK), chunks(b, CHUNK), strict=True)):
        return "reshaped"
    if sorted(a.shape) != sorted(b.shape) or not 1 <= len(a.shape) <= MOST_AXES:
        return None
    if a.shape == b.shape and _parity(a) != _parity(b):
        return None
    if a.nbytes > LIMIT:
        return "the same values in another order" if _fingerprint(a) == _fingerprint(b) else None
    left, right = a.read(), b.read()
    for order in itertools.permutations(range(len(a.shape))):
        if order != tuple(range(len(order))) and tuple(a.shape[axis] for axis in order) == b.shape and _equal(left.transpose(order), right):
            return "transposed" if len(order) == 2 else f"axes in the order {order}"
    return _moved_along(left, right) if a.shape == b.shape else None


def _moved_along(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> str | None:
    """How the slices of an array changed places, if its values tell them apart."""
    import numpy as np

    if len(np.unique(left.view(f"V{left.itemsize}").ravel())) * 2 < left.size:
        return None
    axes = [axis for axis, size in enumerate(left.shape) if size > 1]
    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            if _equal(np.flip(left, chosen), right):
                return f"flipped along {f'axis {chosen[0]}' if count == 1 else f'axes {chosen}'}"
    for axis in axes:
        order = _order_of_slices(left, right, axis)
        if order is not None:
            size = len(order)
            rolled = all(order[(place + 1) % size] == (order[place] + 1) % size for place in range(size))
            return f"rolled by {-order[0] % size} along axis {axis}" if rolled else f"permuted along axis {axis}"
    values = [sorted(side.ravel().view(f"V{side.itemsize}").tolist()) for side in (left, right)]
    return "the same values in another order" if values[0] == values[1] else None


def _order_of_slices(left: npt.NDArray[Any], right: npt.NDArray[Any], axis: int) -> list[int] | None:
    """For each slice of the one along an axis, its place in the other; None if they are not the same slices, each once."""
    import numpy as np

    slices = [[part.tobytes() for part in np.moveaxis(side, axis, 0)] for side in (left, right)]
    places = {part: place for place, part in enumerate(slices[0])}
    if len(places) < len(slices[0]) or set(slices[1]) != set(places):
        return None
    return [places[part] for part in slices[1]]


def _parity(tensor: Tensor) -> int:
    """A number that is the same for the same values in any order: their bits added without carry."""
    import numpy as np

    total = 0
    for block in arrays(tensor):
        words = block.view(np.uint8).reshape(-1, block.dtype.itemsize)
        column = np.bitwise_xor.reduce(words if block.dtype.itemsize not in (2, 4, 8) else block.view(f"u{block.dtype.itemsize}"), axis=0)
        total ^= int.from_bytes(np.ascontiguousarray(column).tobytes(), "little")
    return total


def _equal(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    import numpy as np

    if not np.array_equal(left.ravel()[:1].view(np.uint8), right.ravel()[:1].view(np.uint8)):
        return False  # the first element is the first in every order of the axes
    return np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()


def _fingerprint(tensor: Tensor) -> int:
    """A number that is the same for the same values in any order, and hardly ever for others: the sum of their hashes."""
    import numpy as np

    total = 0
    with np.errstate(over="ignore"):
        for block in arrays(tensor):
            size = block.dtype.itemsize
            words = block.view(np.uint8).reshape(-1, size)
            padded = np.zeros((len(words), -(-size // 8) * 8), dtype=np.uint8)
            padded[:, :size] = words
            parts = padded.view(np.uint64)
            mixed = np.zeros(len(parts), dtype=np.uint64)
            for column in range(parts.shape[1]):
                mixed = (mixed ^ parts[:, column]) + np.uint64(0x9E3779B97F4A7C15)
                mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            total = (total + int(mixed.sum(dtype=np.uint64))) % (1 << 64)
    return total
