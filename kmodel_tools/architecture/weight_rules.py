"""How the values of weights change when an architecture is carried to another generation of Keras, as data.

A rule says what one weight of the new model is made of: pieces of weights of the old one, each taken through some steps and
then joined. What no rule speaks of keeps its path and its values. Nothing is computed here; `upgrader` turns rules into
tensors that are worked out when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmodel_tools.tree import Path
from kmodel_tools.unshared import Windows


@dataclass(frozen=True, slots=True)
class Transpose:
    """Reorder the axes, as `numpy.transpose` does."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flip:
    """Reverse the order along some axes."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in C order under another shape; one size may be -1."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Take:
    """The `part`-th of `parts` equal parts along an axis: the gates of a recurrent kernel."""

    axis: int
    part: int
    parts: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply by a constant, in the array's own precision."""

    factor: float


@dataclass(frozen=True, slots=True)
class Polynomial:
    """Work out `c[0] + c[1] x + c[2] x² …` of each value: the variance of a layer that keeps a deviation."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Unshared:
    """Bring the kernel of a LocallyConnected layer of implementation 2 or 3 to `(*positions, window · channels, filters)`."""

    windows: Windows
    channels: int
    filters: int
    channels_first: bool


@dataclass(frozen=True, slots=True)
class UnitMatrix:
    """Make the unit matrix of a size, in the array's own precision; its values do not matter."""

    size: int


Step = Transpose | Flip | Reshape | Take | Scale | Polynomial | Unshared | UnitMatrix


@dataclass(frozen=True, slots=True)
class Piece:
    """A weight of the old model: the path of its layer, its role, and what is done with it, first step first."""

    layer: Path
    role: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightRule:
    """What a weight of the new model is made of.

    Attributes:
        layer: Path of its layer in the new model.
        role: Its role there.
        pieces: What it is made of.
        axis: The axis along which the pieces are joined, or None where they are added up.
        why: What changed between the generations, in a clause.
    """

    layer: Path
    role: str
    pieces: tuple[Piece, ...]
    axis: int | None = 0
    why: str = ""
