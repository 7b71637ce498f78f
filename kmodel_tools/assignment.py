"""The assignment problem: who goes with whom, so that all together go best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def assign(scores: Sequence[Sequence[float]]) -> list[int]:
    """For each row a column of its own, so that the sum of scores is highest; -1 for a row that gets none.

    The Hungarian algorithm with potentials, O(rows² · columns) (Kuhn 1955, Munkres 1957).

    Args:
        scores: A matrix; every row has as many columns as the others.
    """
    rows, columns = len(scores), len(scores[0]) if scores else 0
    if rows > columns:
        found = [-1] * rows
        for column, row in enumerate(assign([[scores[row][column] for row in range(rows)] for column in range(columns)])):
            found[row] = column
        return found
    state = _State(scores, rows, columns)
    for row in range(1, rows + 1):
        state.add(row)
    found = [-1] * rows
    for column in range(1, columns + 1):
        if state.owner[column]:
            found[state.owner[column] - 1] = column - 1
    return found


@dataclass(slots=True)
class _State:
    """Potentials and owners; rows and columns are counted from 1, and column 0 is where a new row starts from."""

    scores: Sequence[Sequence[float]]
    rows: int
    columns: int
    of_row: list[float] = field(init=False)
    of_column: list[float] = field(init=False)
    owner: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.of_row, self.of_column = [0.0] * (self.rows + 1), [0.0] * (self.columns + 1)
        self.owner = [0] * (self.columns + 1)

    def add(self, row: int) -> None:
        """Give one more row a column; rows that have one may get another."""
        self.owner[0], column = row, 0
        least, way = [math.inf] * (self.columns + 1), [0] * (self.columns + 1)
        done: list[int] = []
        left = set(range(1, self.columns + 1))
        while self.owner[column]:
            done.append(column)
            left.discard(column)
            row = self.owner[column]
            for other in left:
                cost = -self.scores[row - 1][other - 1] - self.of_row[row] - self.of_column[other]
                if cost < least[other]:
                    least[other], way[other] = cost, column
            column = min(left, key=lambda other: (least[other], other))
            step = least[column]
            for other in done:
                self.of_row[self.owner[other]] += step
                self.of_column[other] -= step
            for other in left:
                least[other] -= step
        while column:
            self.owner[column], column = self.owner[way[column]], way[column]
