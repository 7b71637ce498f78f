"""Kernels of layers that have one for every position, brought to one layout; and the unit matrix, which takes windows out of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmodel_tools.damaged import first_damaged
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Windows:
    """Where each output position of a LocallyConnected layer looks.

    Attributes:
        inputs: The spatial shape of the input.
        window: That of the kernel.
        strides: Its steps.
        same: Whether windows reach beyond the borders: half of one before the input, whatever the strides.
    """

    inputs: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    same: bool

    @property
    def outputs(self) -> tuple[int, ...]:
        """The spatial shape of the output."""
        sizes = zip(self.inputs, self.window, self.strides, strict=True)
        return tuple(-(-size // step) if self.same else (size - length) // step + 1 for size, length, step in sizes)

    def ticks(self) -> list[list[list[int]]]:
        """For each axis and output position, the input positions of its window; those beyond the borders are none of the input's.

        Source: tf_keras 2.21 `utils/conv_utils.py`, `conv_connected_inputs`.
        """
        found = []
        for count, length, step in zip(self.outputs, self.window, self.strides, strict=True):
            before = length // 2 if self.same else 0
            found.append([[position * step - before + tick for tick in range(length)] for position in range(count)])
        return found

    @property
    def connections(self) -> int:
        """The number of pairs of an output and an input position that are connected."""
        inside = [sum(0 <= tick < size for row in axis for tick in row) for axis, size in zip(self.ticks(), self.inputs, strict=True)]
        return math.prod(inside)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The kernel of a LocallyConnected layer as `(*positions, window · channels, filters)`; holds the array."""

    tensor: Tensor
    windows: Windows
    channels: int
    filters: int
    channels_first: bool
    byte_range: None = None

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes of the elements."""

        values = self.tensor.read()
        made = self._of_sparse(values) if values.ndim == 1 else self._of_full(values)
        outputs, inner = self.windows.outputs, math.prod(self.windows.window) * self.channels
        flat = memoryview(made.reshape(*outputs, inner, self.filters).tobytes())
        yield from (flat[start : start + limit] for start in range(0, len(flat), limit))

    def _grid(self) -> tuple[list[Array], Array]:
        """For each axis the input positions, and which are inside, over `(*positions, *window)`."""
        import numpy as np

        rank = len(self.windows.inputs)
        grids, inside = [], np.ones((1,) * (2 * rank), bool)
        for axis, (ticks, size) in enumerate(zip(self.windows.ticks(), self.windows.inputs, strict=True)):
            array = np.array(ticks)
            shape = [1] * (2 * rank)
            shape[axis], shape[rank + axis] = array.shape
            grid = array.reshape(shape)
            inside = inside & (grid >= 0) & (grid < size)
            grids.append(np.clip(grid, 0, size - 1))
        return grids, inside

    def _of_full(self, values: Array) -> Array:
        """From a matrix of every input with every output: `(*inputs, channels, *outputs, filters)`, or channels before both."""
        import numpy as np

        rank = len(self.windows.inputs)
        if self.channels_first:
            values = np.moveaxis(values, (0, rank + 1), (rank, 2 * rank + 1))
        grids, inside = self._grid()
        outputs = [
            np.arange(count).reshape([-1 if axis == own else 1 for own in range(2 * rank)])
            for axis, count in enumerate(self.windows.outputs)
        ]
        places: tuple[Any, ...] = (*grids, slice(None), *outputs, slice(None))
        found = values[places]
        return np.where(inside[..., None, None], found, np.zeros((), values.dtype))

    def _of_sparse(self, values: Array) -> Array:
        """From a row of what is connected, in the order of flattened outputs and then inputs."""
        import numpy as np

        rank = len(self.windows.inputs)
        _, inside = self._grid()
        shape = (*self.windows.outputs, *self.windows.window)
        mask = np.broadcast_to(inside, shape)[..., None, None]
        full = np.zeros((*shape, self.channels, self.filters), values.dtype)
        positions, window = list(range(rank)), list(range(rank, 2 * rank))
        channel, filters = 2 * rank, 2 * rank + 1
        order = [filters, *positions, channel, *window] if self.channels_first else [*positions, filters, *window, channel]
        turned = full.transpose(order)
        turned[np.broadcast_to(mask, full.shape).transpose(order)] = values
        return full


def unshared(tensor: Tensor, windows: Windows, channels: int, filters: int, channels_first: bool) -> Tensor:
    """The kernel of a LocallyConnected layer of implementation 2 or 3 as `(*positions, window · channels, filters)`.

    Raises:
        CorruptFileError: It is not the kernel of such windows.
        UnsupportedFeatureError: Its elements have no fixed size.
    """
    if (damaged := first_damaged(tensor)) is not None:
        return damaged
    ends = ((windows.inputs, channels), (windows.outputs, filters))
    full = tuple(size for sizes, count in ends for size in ((count, *sizes) if channels_first else (*sizes, count)))
    if tensor.shape not in (full, (windows.connections * channels * filters,)):
        raise CorruptFileError(f"a kernel of the shape {tensor.shape} does not connect {windows.inputs} with {windows.outputs}")
    _require_fixed_size(tensor)
    shape = (*windows.outputs, math.prod(windows.window) * channels, filters)
    return Tensor(tensor.dtype, shape, Gathered(tensor, windows, channels, filters, channels_first))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit matrix in the precision of a tensor, row by row."""

    tensor: Tensor
    size: int
    byte_range: None = None

    def blocks(self, limit: int) -> Iterator[Buffer]:  # a row is the least and small
        """Yield the bytes of the rows."""
        import numpy as np

        row = np.zeros(self.size, self.tensor.dtype.numpy())
        for index in range(self.size):
            row[index] = 1
            yield memoryview(row.tobytes())
            row[index] = 0


def unit_matrix(tensor: Tensor, size: int) -> Tensor:
    """The unit matrix of a size, of elements as another tensor has them.

    Raises:
        UnsupportedFeatureError: They are no floats.
    """
    if not tensor.dtype.is_float:
        raise UnsupportedFeatureError(f"elements of type {tensor.dtype.value} are not computed with: they are no floats")
    return Tensor(tensor.dtype, (size, size), Unit(tensor, size))


def _require_fixed_size(tensor: Tensor) -> None:
    if tensor.dtype.itemsize is None:
        raise UnsupportedFeatureError(f"elements of type {tensor.dtype.value} are not reordered: they have no fixed size")
