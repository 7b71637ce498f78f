"""`python -m tests.fuzz files|parsers COUNT [--seed N] [--corpus]`: a long run; prints what it tried and what failed."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import fuzz


def main() -> int:
    """Run, and print; 1 if anything failed."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz")
    asked.add_argument("what", choices=("files", "parsers"), help="whole commands, or readers alone")
    asked.add_argument("count", type=int)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--corpus", action="store_true", help="mutate the small models of the corpus too")
    given = asked.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        found, failures = fuzz(given.count, given.seed, Path(folder), given.what == "files", given.corpus)
    for line in failures:
        print(line, "\n")  # noqa: T201  # this is a command
    said = ", ".join(f"{count:,} {how}" for how, count in sorted(found.counts.items()))
    took = time.monotonic() - start
    print(  # noqa: T201  # as above
        f"{found.total:,} attempts with seed {given.seed}: {said}; the longest {found.longest:.2f} s, "
        f"at most {found.memory / (1 << 20):.0f} MB; {took:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
