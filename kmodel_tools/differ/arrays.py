"""Pairs of arrays: which of them changed, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from blake3 import blake3

from kmodel_tools.differ.identical import large_and_same, read_unless_same, same_if_equal
from kmodel_tools.differ.layout import layout_change
from kmodel_tools.differ.result import WeightChange
from kmodel_tools.differ.values import Tolerance, examined, kind_of
from kmodel_tools.parallel import in_parallel
from kmodel_tools.tensor import BLOCK, Tensor
from kmodel_tools.tree import Weight

Partners = tuple[list[tuple[str, Tensor, Tensor]], list[str], list[str]]
"""Arrays that both sides have, by name, and the names that one has alone."""


Compared = tuple[str, Tensor, str, Tensor]
"""Two arrays that are compared: path and array in `a`, and in `b`."""


def array_changes(arrays: Sequence[Compared], tolerance: Tolerance) -> list[WeightChange]:
    """How pairs of arrays differ, those alone that do; see `array_change`.

    Equal bytes are recognised first; only what is left is decoded. Both are done on several processors.

    Raises:
        FormatError: A value cannot be read.
    """
    same = large_and_same([(a, b) for _, a, _, b in arrays], tolerance)
    rest = [item for item, is_same in zip(arrays, same, strict=True) if not is_same]
    found = in_parallel(lambda item: array_change(*item, tolerance), rest, lambda item: item[1].nbytes + item[3].nbytes)
    return [change for change in found if change is not None]


def array_change(path_a: str, a: Tensor, path_b: str, b: Tensor, tolerance: Tolerance) -> WeightChange | None:
    """How two arrays differ, or None if shapes, dtypes and values are the same (values within the tolerances).

    Raises:
        FormatError: A value cannot be read.
    """
    facts = (path_a, path_b, a.shape, b.shape, a.dtype.value, b.dtype.value)
    if a.shape != b.shape:
        return WeightChange(*facts, differs=True, layout=layout_change(a, b))
    kinds = kind_of(a.dtype), kind_of(b.dtype)
    if kinds[0] != kinds[1] and not {"string", "opaque"}.isdisjoint(kinds):
        return WeightChange(*facts, differs=True)
    if a.nbytes <= BLOCK and same_if_equal(a, b, tolerance):
        pair = read_unless_same(a, b)
        if pair is None:
            return None
        a, b = pair
    values, may_be_rearranged = examined(a, b, tolerance)
    differs = values.changed > 0 or kinds[0] != kinds[1]
    if not differs and a.dtype is b.dtype:
        return None
    layout = layout_change(a, b) if may_be_rearranged else None
    return WeightChange(*facts, differs=differs, values=values, layout=layout)


def digest_of(weight: Weight) -> bytes:
    """A digest of a weight's dtype, shape and values.

    Raises:
        FormatError: A value cannot be read.
    """
    tensor = weight.tensor
    hasher = blake3(f"{tensor.dtype.value} {tensor.shape}".encode())
    for block in tensor.blocks():
        hasher.update(block)
    return hasher.digest()


def largest_first(changes: Sequence[WeightChange]) -> tuple[WeightChange, ...]:
    """Changes of shape, then of values, the largest first, then those of which only the dtype differs."""
    return tuple(sorted(changes, key=_weight_of))


def _weight_of(change: WeightChange) -> tuple[bool, bool, bool, float]:
    values = change.values
    size = values.max_abs if values is not None and values.max_abs is not None else math.inf
    nan = values is not None and values.nans > 0
    return not change.differs, values is not None, not nan, -size


def by_key(a: Sequence[Weight], b: Sequence[Weight], key: Callable[[Weight], str]) -> Partners:
    """Pair arrays by a name of theirs; of several with one name the last counts."""
    left, right = {key(item): item.tensor for item in a}, {key(item): item.tensor for item in b}
    both = [(name, left[name], right[name]) for name in left if name in right]
    return both, [name for name in left if name not in right], [name for name in right if name not in left]
