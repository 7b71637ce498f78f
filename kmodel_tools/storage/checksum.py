"""CRC-32C (Castagnoli) as TensorFlow and LevelDB store it.

A stored checksum is *masked*, since a checksum of data that holds its own checksum is weak (LevelDB `util/crc32c.h`):
rotate right by 15 bits and add 0xa282ead8, modulo 2**32.
"""

from __future__ import annotations

import google_crc32c

MASK_DELTA = 0xA282EAD8


PIECE = 128 << 10
"""Bytes that are copied at a time for the library, which takes nothing but `bytes`; they stay in the processor's cache."""


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """The CRC-32C of `data`, going on from `value`."""
    view = memoryview(data)
    for start in range(0, len(view), PIECE):
        value = int(google_crc32c.extend(value, bytes(view[start : start + PIECE])))
    return value


def mask(value: int) -> int:
    """Mask a checksum for storing."""
    return (((value >> 15) | (value << 17)) + MASK_DELTA) & 0xFFFFFFFF
