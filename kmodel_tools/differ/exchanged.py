"""Weights that hold the values which another one had: layers that were swapped, or loaded into the wrong ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kmodel_tools.differ.arrays import digest_of
from kmodel_tools.differ.result import WeightChange
from kmodel_tools.matcher import Pair
from kmodel_tools.tensor import DType, Shape
from kmodel_tools.tree import Weight, join_path

HEAD = 256
"""Bytes at the beginning of arrays that are compared first."""
FEW = 4
"""Arrays of fewer values than this are not told by them."""


def with_exchanged(changes: Sequence[WeightChange], pairs: Sequence[Pair]) -> list[WeightChange]:
    """Name the changes of which the new values are the old ones of another weight that changed.

    Args:
        changes: What changed, in any order.
        pairs: The weights that were compared.

    Raises:
        FormatError: A value cannot be read.
    """
    moved = {join_path(pair.path_b): pair for pair in pairs}
    candidates = {change.path_b: moved[change.path_b] for change in changes if _may_be_exchanged(change) and change.path_b in moved}
    kinds = Counter(_kind(pair.a) for pair in candidates.values())
    old = _ByValue()
    for pair in candidates.values():
        if kinds[_kind(pair.a)] > 1:
            old.add(pair)
    found = []
    for change in changes:
        own = candidates.get(change.path_b)
        source = old.find(own.b) if own is not None and kinds[_kind(own.a)] > 1 else None
        found.append(replace(change, values_of=join_path(source.path_a)) if source is not None else change)
    return found


def _may_be_exchanged(change: WeightChange) -> bool:
    values = change.values
    return values is not None and change.layout is None and change.dtype_a == change.dtype_b and values.changed > 0 and values.size >= FEW


def _kind(weight: Weight) -> tuple[DType, Shape]:
    return weight.tensor.dtype, weight.tensor.shape


@dataclass(slots=True)
class _ByValue:
    """Old values, by their first bytes and then by all of them; equal ones of several weights tell nothing."""

    heads: dict[tuple[DType, Shape, bytes], list[Pair]] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        self.heads.setdefault((*_kind(pair.a), _head(pair.a)), []).append(pair)

    def find(self, weight: Weight) -> Pair | None:
        near = self.heads.get((*_kind(weight), _head(weight)), ())
        if not near:
            return None
        wanted = digest_of(weight)
        same = [pair for pair in near if self._digest(pair.a) == wanted]
        return same[0] if len(same) == 1 else None

    def _digest(self, weight: Weight) -> bytes:
        if id(weight) not in self.digests:
            self.digests[id(weight)] = digest_of(weight)
        return self.digests[id(weight)]


def _head(weight: Weight) -> bytes:
    for block in weight.tensor.blocks(HEAD):
        return bytes(block[:HEAD])
    return b""
