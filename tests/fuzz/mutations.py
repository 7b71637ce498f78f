"""Mutating bytes: what breaks parsers, more often than chance would."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 62),
    (1 << 63) - 1,
    (1 << 64) - 1,
)
WIDTHS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
WORDS = (b"-1", b"0", b"1e999", b"NaN", b"18446744073709551616", b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"[[[[]]]]", b"1.5")
_VALUE = re.compile(rb'-?[0-9]+(?:\.[0-9]+)?|"[^"\\]{0,40}"|true|false|null')

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def _flip(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def _number(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    size, code = chance.choice(WIDTHS)
    at = chance.randrange(max(1, len(data) - size))
    value = chance.choice((*NUMBERS, len(data), len(data) - 1, at)) & ((1 << (8 * size)) - 1)
    data[at : at + size] = struct.pack(f"{chance.choice('<>')}{code}", value)


def _cut(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data)) :]


def _remove(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 2, 4, 8, 64, 512))]


def _repeat(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.choice((1, 4, 16, 256))] * chance.choice((1, 2, 9))


def _swap(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    size = chance.choice((1, 4, 16, 64))
    one, other = chance.randrange(len(data)), chance.randrange(len(data))
    first, second = bytes(data[one : one + size]), bytes(data[other : other + size])
    if len(first) == len(second):
        data[one : one + size], data[other : other + size] = second, first


def _splice(data: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    other = chance.choice(others)
    if other:
        start = chance.randrange(len(other))
        at = chance.randrange(len(data))
        data[at : at + chance.choice((0, 8, 64))] = other[start : start + chance.choice((8, 64, 512))]


def _value(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """Another value in the place of one of a text, such as JSON."""
    start = chance.randrange(len(data))
    found = _VALUE.search(data, start, start + 4096)
    if found is not None:
        data[found.start() : found.end()] = chance.choice(WORDS)


MUTATIONS: tuple[Mutation, ...] = (_flip, _byte, _number, _number, _cut, _remove, _repeat, _swap, _splice, _value, _value)


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """A copy with one or a few mutations.

    Args:
        data: What is mutated.
        chance: Where and how.
        others: Further files, of which pieces may be put in.
    """
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        if found:
            chance.choice(MUTATIONS)(found, chance, others)
    return bytes(found)
