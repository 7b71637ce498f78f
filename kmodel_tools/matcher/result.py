"""What `match` answers, as plain data: who goes with whom and why, who is left over and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kmodel_tools.tree import Path, Weight, join_path

NAME, SPELLING, END, MAP = "name", "spelling", "end", "map"
CONTENT, SHAPE, ORDER, POSITION = "content", "shape", "order", "position"
HOW: Mapping[str, str] = {
    NAME: "by its path",
    SPELLING: "by its path, which is spelt otherwise",
    END: "by the end of its path",
    MAP: "as the map says",
    CONTENT: "by its values",
    SHAPE: "the only one of its class and shapes",
    ORDER: "by class and shapes, in order",
    POSITION: "by its place",
}
"""What tells that two weights go together, and how a sentence says so. Names come first, a place alone comes last."""
NAMED = frozenset({NAME, SPELLING, END, MAP})
"""What tells by names."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two weights that are taken for the same one.

    Attributes:
        path_a: The path of the one in its model.
        a: The one.
        path_b: The path of the other in its model.
        b: The other.
        how: What tells, a key of `HOW`.
        doubt: Why it may be another one nevertheless, or "".
        remark: Where values are carried from `a` to `b`: how they were made to fit, or why they were not carried; else "".
    """

    path_a: Path
    a: Weight
    path_b: Path
    b: Weight
    how: str = NAME
    doubt: str = ""
    remark: str = ""

    @property
    def reason(self) -> str:
        """Why the two are paired."""
        return HOW[self.how] + (f"; {self.doubt}" if self.doubt else "")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A weight without a partner.

    Attributes:
        path: Its path.
        weight: The weight.
        reason: Why it has none.
        candidates: Weights of the other model that it may be; with some, it is ambiguous.
    """

    path: Path
    weight: Weight
    reason: str
    candidates: tuple[Path, ...] = ()


@dataclass(frozen=True, repr=False)
class Match:
    """The weights of two models, paired.

    Attributes:
        pairs: In the order of `a`.
        only_a: Weights of `a` without a partner, in the order of `a`.
        only_b: Weights of `b` without a partner, in the order of `b`.
        by: How they were paired: `name`, `position` or `shape`; `auto` where some were by names and others by the sequence of layers.
        why: Why so, as the end of a sentence.
        left_out: Number of weights of both sides that `include` and `exclude` left out; a pair counts once.
        mismatched: Pairs that do not fit each other, where a caller wants those that do; `Pair.remark` says why.
        remarks: What to know of the whole, a sentence each: that `a` was carried to the generation of `b`.
        doubts: Why layers may be others than they are paired with, by their paths in `b`: what remarks say of several.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[Leftover, ...]
    only_b: tuple[Leftover, ...]
    by: str
    why: str
    left_out: int = 0
    mismatched: tuple[Pair, ...] = ()
    remarks: tuple[str, ...] = ()
    doubts: Mapping[Path, str] = field(default_factory=dict, hash=False)

    def doubt_of(self, pair: Pair) -> str:
        """Why a pair may be a wrong one, or "": for a reason of its own, or as its layer."""
        return pair.doubt or self.doubts.get(pair.path_b[:-1], "")

    def __repr__(self) -> str:
        counts = f"{len(self.pairs)} pairs, {len(self.only_a)} only in a, {len(self.only_b)} only in b, {len(self.mismatched)} mismatched"
        return f"<Match by {self.by}: {counts}>"

    def __str__(self) -> str:
        """What a person wants to know at once: how many pairs, and the first of what is left over, a line each."""
        lines = [f"{len(self.pairs)} weights paired by {self.by}: {self.why}"]
        misfits = [f"{join_path(pair.path_b)} ({pair.remark})" if pair.remark else join_path(pair.path_b) for pair in self.mismatched]
        lines += [f"{len(misfits)} do not fit: {some(misfits)}"] if misfits else []
        for name, items in (("a", self.only_a), ("b", self.only_b)):
            lines += [f"{len(items)} of {name} without a partner: {some([join_path(item.path) for item in items])}"] if items else []
        return "\n".join((*lines, *self.remarks))

    @cached_property
    def ambiguous(self) -> tuple[Leftover, ...]:
        """What of both sides is without a partner because several could be meant."""
        return tuple(item for item in (*self.only_a, *self.only_b) if item.candidates)

    @property
    def mapping(self) -> dict[str, str | None]:
        """The whole match as a map: every weight of `a` with the path of its partner, None without one."""
        found = {join_path(pair.path_a): join_path(pair.path_b) for pair in (*self.pairs, *self.mismatched)}
        return {**found, **dict.fromkeys((join_path(item.path) for item in self.only_a), None)}

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON: paths, shapes and reasons."""
        return {
            "by": self.by,
            "why": self.why,
            "pairs": [_pair(pair, self.doubt_of(pair)) for pair in self.pairs],
            "mismatched": [_pair(pair, self.doubt_of(pair)) for pair in self.mismatched],
            "only_a": [_leftover(item) for item in self.only_a],
            "only_b": [_leftover(item) for item in self.only_b],
            "left_out": self.left_out,
            "remarks": list(self.remarks),
        }


def some(names: Sequence[str]) -> str:
    """The first three of some names, and that there are more."""
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _pair(pair: Pair, doubt: str) -> dict[str, Any]:
    return {
        "a": join_path(pair.path_a),
        "b": join_path(pair.path_b),
        "shapes": [list(pair.a.tensor.shape), list(pair.b.tensor.shape)],
        "dtypes": [pair.a.tensor.dtype.value, pair.b.tensor.dtype.value],
        "how": pair.how,
        "reason": pair.reason,
        "doubt": doubt,
        "remark": pair.remark,
    }


def _leftover(item: Leftover) -> dict[str, Any]:
    return {
        "path": join_path(item.path),
        "shape": list(item.weight.tensor.shape),
        "reason": item.reason,
        "candidates": [join_path(path) for path in item.candidates],
    }
