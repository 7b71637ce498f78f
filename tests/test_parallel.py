from __future__ import annotations

import threading
import time

import pytest

from kmodel_tools import parallel
from kmodel_tools.parallel import BATCH, in_parallel


def test_results_are_in_the_order_of_the_items() -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    assert in_parallel(slow_at_first, range(20), lambda _: BATCH) == [number * number for number in range(20)]
    assert in_parallel(slow_at_first, [], lambda _: BATCH) == []


def test_much_is_shared_among_threads_and_little_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=30)

    def meet(_: int) -> str:
        both.wait()  # for the other thread, which is there at the same time
        return threading.current_thread().name

    assert len(set(in_parallel(meet, range(2), lambda _: BATCH))) == 2
    here = threading.current_thread().name
    assert set(in_parallel(lambda _: threading.current_thread().name, range(100), lambda _: 10)) == {here}


def test_the_error_of_the_first_item_is_raised() -> None:
    def fail(number: int) -> None:
        time.sleep(0.02 if number == 3 else 0)
        if number in (3, 5):
            raise ValueError(str(number))

    with pytest.raises(ValueError, match="3"):
        in_parallel(fail, range(8), lambda _: parallel.BATCH)
