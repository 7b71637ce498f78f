"""What flows between the operations of TensorFlow while they are carried: tensors, sizes of tensors, and constants.

`tf.shape(x)` has no counterpart among the operations of Keras 3: sizes are followed here instead, through indexing,
arithmetic and packing, until they are spent in the shape of a `tf.reshape` or the like. A size is a number where the model
says it, else a symbol: the batch, or a size that is known only at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmodel_tools.architecture.upgrade.draft import UpgradeError

MAX_CONSTANTS = 10_000_000
"""Elements of an array that is worked out here; larger ones are refused, for a forged size must not exhaust memory."""

LARGEST = 2**31 - 1
MAX_FACTORS = 32
"""Sizes larger, or made of more, than these are refused: no model has them, and they could double at every operation."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size that is known only at run time.

    Attributes:
        factors: What it is the product of, sorted; each is `layer/call/output/axis` of a tensor, or an expression of such.
    """

    factors: tuple[str, ...]


BATCH = Symbol(("batch",))
"""The number of samples; the same for all inputs of a model, or they could not be fed."""

Dim = int | Symbol
Shape = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        history: Layer, call and output that it comes from, as Keras 3 counts them.
        shape: Its shape, or None where the layers before it do not tell.
        dtype: Its dtype, or None.
    """

    history: tuple[str, int, int]
    shape: Shape | None = None
    dtype: str | None = None

    def size(self, axis: int) -> Dim | None:
        """The size of one axis; None where that is not known, because it counts from the end of a shape that is not."""
        if self.shape is None:
            return Symbol((self._label(axis),)) if axis >= 0 else None
        return self.shape[axis] if -len(self.shape) <= axis < len(self.shape) else None

    def _label(self, axis: int) -> str:
        return "/".join((*map(str, self.history), str(axis)))

    def with_symbols(self, shape: Sequence[Dim | None]) -> Tensor:
        """The same tensor under a shape, in which sizes that are not known become symbols."""
        return Tensor(
            self.history, tuple(Symbol((self._label(axis),)) if size is None else size for axis, size in enumerate(shape)), self.dtype
        )


@dataclass(frozen=True, slots=True)
class Dims:
    """Integers made of sizes, some of which are symbols: one, or a row of them.

    Attributes:
        items: The integers.
        is_scalar: Whether it is a single one.
        source: The tensor that has these sizes.
    """

    items: Shape
    is_scalar: bool
    source: Tensor


@dataclass(frozen=True, slots=True)
class ShapeOf:
    """All sizes of a tensor whose rank is not known."""

    tensor: Tensor


Value = Any
"""A `Tensor`, `Dims`, a `ShapeOf`, a constant (a number, a text, an array that was worked out), or a list or dictionary of values."""


def tensors_in(value: Value) -> list[Tensor]:
    """Every tensor of a value, those whose sizes it is made of included."""
    found: list[Tensor] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Tensor):
            found.append(item)
        elif isinstance(item, Dims):
            found.append(item.source)
        elif isinstance(item, ShapeOf):
            found.append(item.tensor)
        elif isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return found


def dims_of(value: Value) -> list[Dim] | None:
    """The sizes that a value says, one or a row; None if it does not."""
    if isinstance(value, Dims):
        return list(value.items)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, list):
        return None
    found: list[Dim] = []
    for item in value:
        inner = dims_of(item)
        if inner is None or len(inner) != 1 or isinstance(item, list):
            return None
        found += inner
    return found


def sizes(items: Sequence[Dim], is_scalar: bool, source: Tensor) -> Dims | np.ndarray[Any, Any]:
    """Sizes as a value: an array where all of them are known."""
    if all(isinstance(item, int) for item in items):
        if any(abs(item) > LARGEST for item in items if isinstance(item, int)):
            raise UpgradeError(f"a size beyond {LARGEST}")
        return np.array(items[0] if is_scalar else items, np.int32)
    return Dims(tuple(items), is_scalar, source)


def product(items: Sequence[Dim]) -> Dim:
    """The product of sizes."""
    number, factors = _factored(items)
    if not factors:
        return number
    if len(factors) > MAX_FACTORS or abs(number) > LARGEST:
        raise UpgradeError(f"a size that is the product of more than {MAX_FACTORS} sizes, or beyond {LARGEST}")
    return Symbol(tuple(sorted(factors + [f"#{number}"] * (number != 1))))


def quotient(items: Sequence[Dim], by: Sequence[Dim]) -> Dim | None:
    """The product of sizes divided by that of others, where that is a number or a single symbol; None where it is not known."""
    number, factors = _factored(items)
    divisor, taken = _factored(by)
    for factor in taken:
        if factor not in factors:
            return None
        factors.remove(factor)
    if divisor == 0 or number % divisor:
        return None
    return product([number // divisor, Symbol(tuple(factors))])


def _factored(items: Sequence[Dim]) -> tuple[int, list[str]]:
    number = 1
    factors: list[str] = []
    for item in items:
        if isinstance(item, int):
            number *= item
            continue
        for factor in item.factors:
            if factor.startswith("#"):
                number *= int(factor[1:])
            else:
                factors.append(factor)
    return number, factors


def broadcast(*shapes: Shape | None) -> tuple[Dim | None, ...] | None:
    """The shape of an elementwise operation; None for what is not known of it."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    rank = max((len(shape) for shape in known), default=0)
    return tuple(_together([shape[axis - rank] for shape in known if len(shape) >= rank - axis]) for axis in range(rank))


def _together(sizes_here: Sequence[Dim]) -> Dim | None:
    """The size that sizes of one axis become."""
    larger = {size for size in sizes_here if size != 1}
    numbers = [size for size in larger if isinstance(size, int)]
    if numbers:
        return numbers[0]
    return None if len(larger) > 1 else next(iter(larger), 1)
