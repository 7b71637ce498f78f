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
_NUMBERED = re.compile(r"(.*?)(?:_([0-9]{1,9}))?", re.DOTALL)
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


def counted_alike(a: Sequence[Name], b: Sequence[Name]) -> tuple[list[Name], list[Name], bool]:
    """Names whose numbers begin at the same one on both sides, and whether they did not before: one counts from 0, the other from 1.

    A name without a number, in a place where others have one, is the one before the first: `dense`, `dense_1`. Only where the
    numbers of one side are those of the other, moved by one amount, is there such a difference.
    """
    rows = [list(name.numbers) for name in a], [list(name.numbers) for name in b]
    moved = False
    for place in range(1, 1 + max((len(row) for row in (*rows[0], *rows[1])), default=0)):
        values = [[row[-place] for row in side if len(row) >= place] for side in rows]
        if not all(values):
            break
        for side, known in zip(rows, values, strict=True):
            for row in side:
                if len(row) == place - 1 and len(known) < len(side):
                    row.insert(0, min(known) - 1)
        here = [{row[-place] for row in side} for side in rows]
        offset = min(here[1]) - min(here[0])
        if offset and {number + offset for number in here[0]} == here[1]:
            moved = True
            for row in rows[0]:
                row[-place] += offset
    if not moved:
        return list(a), list(b), False
    new = [[Name(name.words, tuple(row)) for name, row in zip(names, side, strict=True)] for names, side in zip((a, b), rows, strict=True)]
    return new[0], new[1], True


def recounted(a: Iterable[Path], b: Iterable[Path]) -> set[Path]:
    """Layers that are in both of two models by name, where the names count from different numbers.

    One has `dense` and `dense_1`, the other `dense_1` and `dense_2`: Keras goes on counting from model to model, so that equal
    names may be those of different layers.
    """
    families = _families(a), _families(b)
    found: set[Path] = set()
    for stem, numbers in families[0].items():
        others = families[1].get(stem, {})
        both = set(numbers) & set(others)
        if both and min(numbers) != min(others) and (len(numbers) == len(others) or 0 in (min(numbers), min(others))):
            found |= {numbers[number] for number in both}
    return found


def _families(paths: Iterable[Path]) -> dict[Path, dict[int, Path]]:
    """Layers by what stands before their numbers, then by number; 0 is the one without."""
    found: dict[Path, dict[int, Path]] = {}
    for path in paths:
        match = _NUMBERED.fullmatch(path[-1]) if path else None
        if match is not None:
            found.setdefault((*path[:-1], match[1]), {})[int(match[2] or 0)] = path
    return found


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
