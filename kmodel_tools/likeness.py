"""How alike the names of two layers are, each within its own model: the words, and the numbers that count blocks and layers.

`block1/unit_2/bottleneck_v1/conv3` and `conv2_block2_3_conv` count the same things by other words. What tells is the numbers from
the end, once those are left out that never change: the version of a bottleneck, the width in the model's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kmodel_tools.tree import Path

Unit = tuple[str, int | None]
"""A word and the number behind it."""

_UNIT = re.compile(r"([A-Z]?[a-z]+|[A-Z]+)?[_\-./]*(\d{1,9})?")
_DIMENSIONS = re.compile(r"(?<=[a-zA-Z])[123][dD](?![a-zA-Z])")
_WORDS = {"bn": "norm", "batchnorm": "norm", "batchnormalization": "norm", "batch": "norm", "normalization": "norm", "layernorm": "norm"}
_WORDS |= {"fc": "dense", "logits": "dense", "predictions": "dense", "fully": "dense", "connected": "dense", "linear": "dense"}
_WORDS |= {"convolution": "conv", "sep": "separable", "dw": "depthwise", "pw": "pointwise", "emb": "embedding", "embeddings": "embedding"}

NUMBERS, WORDS = 1.0, 0.5
"""What the two count for."""


@dataclass(frozen=True, slots=True)
class Name:
    """What of a layer's name tells it from the others of its model."""

    words: frozenset[str]
    numbers: tuple[int, ...]


def told_apart(paths: Sequence[Path]) -> dict[Path, Name]:
    """For each layer of a model, what of its name tells: words that not all have, numbers that change."""
    units = {path: _units(path) for path in paths}
    seen: dict[str, set[int | None]] = {}
    for found in units.values():
        for word, number in found:
            seen.setdefault(word, set()).add(number)
    held = Counter(word for found in units.values() for word in {word for word, _ in found})
    fixed = {word for word, numbers in seen.items() if len(numbers) == 1 and held[word] > 1}
    everywhere = {word for word, count in held.items() if count == len(paths) > 1}
    return {
        path: Name(
            frozenset(word for word, _ in found if word and word not in everywhere),
            tuple(number for word, number in found if number is not None and word not in fixed),
        )
        for path, found in units.items()
    }


def likeness(a: Name, b: Name) -> float:
    """How alike two names are, from 0 to `NUMBERS + WORDS`: numbers from the end, words in any order."""
    longest = max(len(a.numbers), len(b.numbers))
    same = sum(one == other for one, other in zip(reversed(a.numbers), reversed(b.numbers), strict=False))
    either = a.words | b.words
    return NUMBERS * (same / longest if longest else 1) + WORDS * (len(a.words & b.words) / len(either) if either else 1)


def natural(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """A key that sorts numbers in names by their value: `unit_2` before `unit_10`."""
    return tuple(
        tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"[0-9]{1,9}|[^0-9]+", item)) for item in path
    )


def is_sorted(paths: Iterable[Path]) -> bool:
    """Whether paths stand in the order of their characters, which then says nothing about that of the layers."""
    texts = ["/".join(path) for path in paths]
    return texts == sorted(texts)


def _units(path: Path) -> list[Unit]:
    found: list[Unit] = []
    for component in path:
        for match in _UNIT.finditer(_DIMENSIONS.sub("", component)):
            if match[1] or match[2]:
                word = (match[1] or "").lower()
                found.append((_WORDS.get(word, word), int(match[2]) if match[2] else None))
    return found
