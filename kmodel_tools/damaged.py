"""Tensors that a file describes and does not deliver: they have their place in the tree, and reading one says what is wrong.

A reader makes them only when it is asked to salvage (`Probe.salvage`); else the first damage ends the reading.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, DType, Shape, Tensor

DAMAGE = (CorruptFileError, UnsupportedFeatureError)
"""What is wrong with one tensor and leaves the others readable; a file that changes meanwhile is none of it."""
MAX_RANK = 254
"""Dimensions that a shape may have (TensorFlow `core/framework/tensor_shape.h`); HDF5 has 32, NumPy 64."""
OFFER = "--salvage (salvage=True) reads the others"


@dataclass(frozen=True, slots=True, eq=False)
class Damaged:
    """Stands in the place of values that cannot be read.

    Attributes:
        error: What is wrong, with the file and the tensor.
    """

    error: FormatError

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield nothing.

        Raises:
            FormatError: Always: `error`.
        """
        raise copy.copy(self.error)


def damaged_tensor(dtype: DType, shape: Shape, error: FormatError) -> Tensor:
    """A tensor that is described and cannot be read; a shape that is none becomes ``(0,)``, of opaque elements."""
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        dtype, shape = DType.OPAQUE, (0,)
    return Tensor(dtype, shape, Damaged(error))


def damage_of(tensor: Tensor) -> FormatError | None:
    """What was wrong with a tensor when it was described, or None; damage that only reading finds is not seen here."""
    return tensor.source.error if isinstance(tensor.source, Damaged) else None


def first_damaged(*tensors: Tensor) -> Tensor | None:
    """The first of some tensors that was damaged when it was described, or None."""
    return next((tensor for tensor in tensors if damage_of(tensor) is not None), None)


def offering_salvage(error: FormatError) -> FormatError:
    """The same error, whose cure says that the other tensors can be read on request."""
    offered = copy.copy(error)
    offered.cure = f"{error.cure}, or {OFFER}" if error.cure else OFFER
    return offered
