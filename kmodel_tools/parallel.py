"""Work on many arrays, shared among the processors.

Threads are enough: reading, comparing and hashing blocks, and NumPy's arithmetic, let other threads run meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 4
"""What is done in parallel waits for memory soon; more threads would only hold more blocks."""
BATCH = 4 << 20
"""Bytes that are worth handing to a thread; what is less in all is done at once."""


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item], size: Callable[[Item], int]) -> list[Result]:
    """The result of `work` for each item, in order; where there are many bytes, on several processors.

    Args:
        work: What is done to an item; it may raise, and the error of the first item in order is raised.
        items: What it is done to.
        size: Bytes that are read for an item.
    """
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    batches = list(_batches(items, size))
    if threads < 2 or len(batches) < 2:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return [result for results in pool.map(lambda batch: [work(item) for item in batch], batches) for result in results]


def _batches(items: Sequence[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Neighbours together, until they are enough to be handed over."""
    batch: list[Item] = []
    nbytes = 0
    for item in items:
        batch.append(item)
        nbytes += size(item)
        if nbytes >= BATCH:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch
