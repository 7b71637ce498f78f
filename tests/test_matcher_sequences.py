"""Aligning two sequences, against all alignments there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodel_tools.matcher import sequences
from kmodel_tools.matcher.sequences import align, rising

Pairs = tuple[tuple[int, int], ...]


def alignments(a: Sequence[str], b: Sequence[str]) -> Iterator[Pairs]:
    """Every way to pair equal elements in order."""
    stack: list[tuple[int, int, Pairs]] = [(0, 0, ())]
    while stack:
        from_a, from_b, pairs = stack.pop()
        yield pairs
        for one in range(from_a, len(a)):
            stack += [(one + 1, other + 1, (*pairs, (one, other))) for other in range(from_b, len(b)) if a[one] == b[other]]


def gaps(pairs: Pairs, ends: tuple[int, int]) -> int:
    before = (-1, -1)
    count = 0
    for pair in (*pairs, ends):
        count += (pair[0] - before[0] > 1) + (pair[1] - before[1] > 1)
        before = pair
    return count


WORDS = st.text("abc", max_size=6)


@settings(max_examples=500, deadline=None)
@given(WORDS, WORDS)
def test_what_all_of_the_best_alignments_have_is_certain_and_what_some_have_is_not(a: str, b: str) -> None:
    ends = len(a), len(b)
    ranked = [(len(pairs), -gaps(pairs, ends), pairs) for pairs in alignments(a, b)]
    best = max(ranked)[:2]
    of_the_best = [set(pairs) for *rank, pairs in ranked if tuple(rank) == best]
    certain, some = set.intersection(*of_the_best), set.union(*of_the_best)
    found = align(a, b)
    assert found.best == best[0]
    assert set(found.pairs) == certain
    assert found.unsure_a == {one: sorted(j for i, j in some - certain if i == one) for one, _ in some - certain}
    assert found.unsure_b == {other: sorted(i for i, j in some - certain if j == other) for _, other in some - certain}


def test_sequences_that_are_too_long_are_split_at_what_occurs_once_or_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "CELLS", 40)
    a, b = "xxxxx" * 3 + "M" + "yz", "xx" + "M" + "yzz"
    found = align(a, b)
    assert found.too_many
    assert found.pairs == [(15, 2), (16, 3)]
    assert align("x" * 50, "x" * 60).too_many


@given(st.permutations(range(7)))
def test_the_longest_rising_run(order: list[int]) -> None:
    pairs = list(enumerate(order))
    found = rising(pairs)
    assert all(one < two for one, two in zip([j for _, j in found], [j for _, j in found][1:], strict=False))
    longest = max(
        len(chosen) for mask in range(1 << 7) for chosen in [[order[i] for i in range(7) if mask >> i & 1]] if chosen == sorted(chosen)
    )
    assert len(found) == longest
