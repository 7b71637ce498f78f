"""Fuzzing: mutated files through the readers and through whole commands, in children that are watched.

`python -m tests.fuzz files 50000` runs long and prints what it tried; `test_short.py` runs a little of it each time. What fails is kept,
and becomes a fixture of `tests/fuzz/found/`, which `test_short.py` runs too.
"""
