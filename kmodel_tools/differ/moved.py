"""Layers that kept all of their values and lost their name: what pairing by name leaves over, paired by content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from blake3 import blake3

from kmodel_tools.matcher import Match, Named, Pair
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Path

FEW = 4
"""A layer of fewer values than this is not told by them: many hold a single zero."""

Layers = dict[Path, list[Named]]


def with_moved(match: Match) -> Match:
    """A match in which layers without any partner are paired with those of the same shapes, dtypes and values on the other side.

    Layers of a few values are left alone.

    Values are read only of layers for which the other side has one with the same shapes and dtypes.

    Raises:
        FormatError: A value cannot be read.
    """
    paired = {pair.path_a[:-1] for pair in match.pairs}, {pair.path_b[:-1] for pair in match.pairs}
    of_a, of_b = (_by_layer(items, taken) for items, taken in zip((match.only_a, match.only_b), paired, strict=True))
    kinds = Counter(map(_kind, of_a.values())) & Counter(map(_kind, of_b.values()))
    if not kinds:
        return match
    waiting: dict[bytes, list[Path]] = defaultdict(list)
    for path, weights in of_b.items():
        if _kind(weights) in kinds:
            waiting[_content(weights)].append(path)
    found: list[Pair] = []
    for weights in of_a.values():
        same = waiting.get(_content(weights)) if _kind(weights) in kinds else None
        if same:
            found += _pairs(weights, of_b[same.pop(0)])
    if not found:
        return match
    taken = {id(pair.a) for pair in found} | {id(pair.b) for pair in found}
    return replace(
        match,
        pairs=(*match.pairs, *found),
        only_a=tuple(item for item in match.only_a if id(item[1]) not in taken),
        only_b=tuple(item for item in match.only_b if id(item[1]) not in taken),
        why=f"{match.why}; {len(found):,} more are found under other names by their values",
    )


def _by_layer(items: Sequence[Named], paired: set[Path]) -> Layers:
    found: Layers = defaultdict(list)
    for path, weight in items:
        if path[:-1] not in paired:
            found[path[:-1]].append((path, weight))
    return {path: weights for path, weights in found.items() if sum(weight.tensor.size for _, weight in weights) >= FEW}


def _kind(weights: Sequence[Named]) -> tuple[str, ...]:
    return tuple(sorted(f"{weight.tensor.dtype.value} {weight.tensor.shape}" for _, weight in weights))


def _content(weights: Sequence[Named]) -> bytes:
    return b"".join(sorted(_digest(weight.tensor) for _, weight in weights))


def _pairs(left: Sequence[Named], right: Sequence[Named]) -> list[Pair]:
    """Pairs of the same content; of several with one content, in order."""
    one, other = (sorted(items, key=lambda item: _digest(item[1].tensor)) for items in (left, right))
    partners = {id(a): (path_b, b) for (_, a), (path_b, b) in zip(one, other, strict=True)}
    return [Pair(path, weight, *partners[id(weight)]) for path, weight in left]


def _digest(tensor: Tensor) -> bytes:
    hasher = blake3(f"{tensor.dtype.value} {tensor.shape}".encode())
    for block in tensor.blocks():
        hasher.update(block)
    return hasher.digest()
