"""What a weight of an upgraded model was made of, and the making of its tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmodel_tools.architecture.weight_rules import Flip, Polynomial, Reshape, Scale, Step, Take, Transpose, UnitMatrix, Unshared
from kmodel_tools.derived import add, polynomial, scale
from kmodel_tools.rearranged import concatenate, flip, reshape, take, transpose
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Weight
from kmodel_tools.unshared import unit_matrix, unshared


@dataclass(frozen=True, slots=True)
class Origin:
    """Pieces of weights of the old model, what was done with each, and the axis along which they are joined (None: added up)."""

    pieces: tuple[tuple[Weight, tuple[Step, ...]], ...]
    axis: int | None = None

    @property
    def unchanged(self) -> Weight | None:
        """The old weight, where the new one has its values as they are."""
        return self.pieces[0][0] if len(self.pieces) == 1 and not self.pieces[0][1] else None

    @property
    def is_constant(self) -> bool:
        """Whether no value of the old weights is in it."""
        return all(any(isinstance(step, UnitMatrix) for step in steps) for _, steps in self.pieces)

    @property
    def is_sum(self) -> bool:
        """Whether several weights are added up."""
        return self.axis is None and len(self.pieces) > 1


def made_of(tensors: Sequence[Tensor], steps: Sequence[Sequence[Step]], axis: int | None) -> Tensor:
    """Take tensors through their steps and join them along an axis, or add them up where it is None.

    Raises:
        CorruptFileError: The steps do not fit the shapes.
        UnsupportedFeatureError: They do not fit the elements.
    """
    parts = []
    for tensor, own in zip(tensors, steps, strict=True):
        part = tensor
        for step in own:
            part = _stepped(part, step)
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return add(parts) if axis is None else concatenate(parts, axis)


def _stepped(tensor: Tensor, step: Step) -> Tensor:
    match step:
        case Transpose(axes):
            return transpose(tensor, axes)
        case Flip(axes):
            return flip(tensor, axes)
        case Reshape(shape):
            return reshape(tensor, shape)
        case Take(axis, part, parts):
            return take(tensor, axis, part, parts)
        case Scale(factor):
            return scale(tensor, factor)
        case Polynomial(coefficients):
            return polynomial(tensor, coefficients)
        case Unshared(windows, channels, filters, channels_first):
            return unshared(tensor, windows, channels, filters, channels_first)
        case UnitMatrix(size):
            return unit_matrix(tensor, size)
