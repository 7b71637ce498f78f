"""Two sequences, aligned: which elements go together however it is done best, and which may go with one or another.

The best alignments pair as many equal elements as can be, in order; of those, the ones with the fewest gaps, a gap being elements
of one side in a row that have no partner. Elements that *all* of the best alignments pair are certain; what some of them pair, and
others with something else or with nothing, is not, and no choice is made.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Plane = npt.NDArray[Any]

CELLS = 4_000_000
"""Pairs of places that are looked at, at the most: some 80 MB and a second."""
FIRST_BAND = 8
NEVER = -(1 << 40)
_SHOWN = 6


@dataclass(slots=True)
class Alignment:
    """What goes with what.

    Attributes:
        pairs: Places in both that all of the best alignments pair, rising.
        unsure_a: Places of `a`, and the places of `b` that some of the best alignments pair them with (the first few).
        unsure_b: The same for `b`.
        best: How many pairs each of the best alignments has.
        too_many: Whether the sequences are too long and too different to be aligned: then nothing is said of what is not in `pairs`.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    unsure_a: dict[int, list[int]] = field(default_factory=dict)
    unsure_b: dict[int, list[int]] = field(default_factory=dict)
    best: int = 0
    too_many: bool = False


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Alignment:
    """Align two sequences; time and memory are bounded, whatever they are (`Alignment.too_many`)."""
    found = Alignment()
    stack = [(0, len(a), 0, len(b))]
    while stack:
        a_from, a_to, b_from, b_to = stack.pop()
        left, right = a[a_from:a_to], b[b_from:b_to]
        if not left or not right:
            continue
        if list(left) == list(right):
            found.pairs += [(a_from + place, b_from + place) for place in range(len(left))]
            found.best += len(left)
            continue
        planes = _best(left, right)
        if planes is not None:
            planes.tell(found, a_from, b_from)
            continue
        anchors = [(a_from + one, b_from + other) for one, other in rising(unique_pairs(left, right))]
        if not anchors:
            found.too_many = True
            continue
        found.pairs += anchors
        found.best += len(anchors)
        ends = [(a_from - 1, b_from - 1), *anchors, (a_to, b_to)]
        stack += [(one[0] + 1, two[0], one[1] + 1, two[1]) for one, two in itertools.pairwise(ends)]
    found.pairs.sort()
    return found


def unique_pairs(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Places of the elements that occur once on both sides, in the order of `a`."""
    count_a, count_b = Counter(a), Counter(b)
    places = {element: place for place, element in enumerate(b) if count_b[element] == 1}
    return [(place, places[element]) for place, element in enumerate(a) if count_a[element] == 1 and element in places]


def rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most pairs that are in order on both sides: a longest rising subsequence (Fredman 1975); `pairs` rise in the first place."""
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(tails, place)
        before.append(at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(place)
            at.append(number)
        else:
            tails[length], at[length] = place, number
    found: list[tuple[int, int]] = []
    number = at[-1] if at else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


@dataclass(slots=True)
class _Planes:
    """Scores of alignments that go through a pair of places.

    Row `i`, column `k` stand for the first `i` elements of `a` and the first `i + low + k` of `b`. `through` says whether a best
    alignment pairs the last two of these, `skips` for each element of `a` whether a best alignment leaves it alone; each pairs `paired`.
    """

    low: int
    paired: int
    through: Plane
    skips: Plane

    def tell(self, found: Alignment, a_from: int, b_from: int) -> None:
        import numpy as np

        found.best += self.paired
        rows, columns = np.nonzero(self.through)
        partners: dict[int, list[int]] = {}
        back: dict[int, list[int]] = {}
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            one, other = row - 1, row + self.low + column - 1
            partners.setdefault(one, []).append(other)
            back.setdefault(other, []).append(one)
        for one, others in partners.items():
            if len(others) == 1 and len(back[others[0]]) == 1 and not self.skips[one]:
                found.pairs.append((a_from + one, b_from + others[0]))
                del back[others[0]]
            else:
                found.unsure_a[a_from + one] = [b_from + other for other in others[:_SHOWN]]
        found.unsure_b |= {b_from + other: [a_from + one for one in ones[:_SHOWN]] for other, ones in back.items()}


def _best(a: Sequence[Hashable], b: Sequence[Hashable]) -> _Planes | None:
    """All best alignments, or None if that takes too long.

    Looked for near the diagonal first: a way that leaves a band of `w` places beside it pairs fewer than `min(n, m) - w`
    elements, so that a way within it that pairs as many is among the best, and all of the best are in it (Ukkonen 1985).
    """
    import numpy as np

    codes = {element: number for number, element in enumerate(dict.fromkeys([*a, *b]))}
    left, right = (np.array([codes[element] for element in side], dtype=np.int64) for side in (a, b))
    shorter, longer = sorted((len(a), len(b)))
    match = shorter + longer + 2  # more than all gaps together cost
    band = min(FIRST_BAND, longer)
    while (len(a) + 1) * (abs(len(a) - len(b)) + 2 * band + 1) <= CELLS:
        low = min(0, len(b) - len(a)) - band
        width = abs(len(a) - len(b)) + 2 * band + 1
        forward = _scores(left, right, low, width, match)
        score = max(int(plane[-1, len(b) - len(a) - low]) for plane in forward)
        paired = -(-score // match)
        if shorter - paired <= band or band >= longer:
            # A row of the mirrored sequences' scores is that of the rest behind the place, from the other end.
            rest = [plane[::-1, ::-1] for plane in _scores(left[::-1], right[::-1], low, width, match)]
            through = forward[0] + np.maximum(np.maximum(rest[0], rest[1]), rest[2]) == score
            through[0] = False
            goes_on = np.maximum(np.maximum(rest[0], rest[2]), rest[1] + 1)  # a gap that goes on is counted once
            skips = (forward[1] + goes_on == score).any(axis=1)[1:]
            return _Planes(low, paired, through, skips)
        band = min(band * 4, longer)
    return None


def _scores(a: Plane, b: Plane, low: int, width: int, match: int) -> tuple[Plane, Plane, Plane]:
    """The best score of the first elements of both, the last step being a pair, an element of `a` left alone, one of `b`.

    Affine gaps (Gotoh 1982): a pair is worth `match`, a gap costs 1 however long it is.
    """
    import numpy as np

    rows = len(a) + 1
    pair, down, right = (np.full((rows, width), NEVER, dtype=np.int64) for _ in range(3))
    padded = np.full(len(b) + 2 * (width + rows), -1, dtype=np.int64)
    offset = width + rows  # the element of `b` at a place, wherever the band leaves it
    padded[offset : offset + len(b)] = b
    columns = np.arange(width)
    for row in range(rows):
        place = row + low + columns  # elements of `b` that are used
        if row == 0:
            pair[0, place == 0] = 0
            before = pair[0]
        else:
            best = np.maximum(np.maximum(pair[row - 1], down[row - 1]), right[row - 1])
            start = offset + row + low - 1
            equal = padded[start : start + width] == a[row - 1]
            pair[row, equal] = best[equal] + match
            down[row, :-1] = np.maximum(down[row - 1, 1:], np.maximum(pair[row - 1, 1:], right[row - 1, 1:]) - 1)
            before = np.maximum(pair[row], down[row])
        right[row, 1:] = np.maximum.accumulate(before)[:-1] - 1
        outside = (place < 0) | (place > len(b))
        for plane in (pair, down, right):
            plane[row, outside] = NEVER
        right[row, place == 0] = NEVER
    return pair, down, right
