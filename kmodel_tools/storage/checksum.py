"""CRC-32C (Castagnoli) as TensorFlow and LevelDB store it.

A stored checksum is *masked*, since a checksum of data that holds its own checksum is weak (LevelDB `util/crc32c.h`):
rotate right by 15 bits and add 0xa282ead8, modulo 2**32.
"""

from __future__ import annotations

import google_crc32c

MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """The CRC-32C of `data`, going on from `value`."""
    return int(google_crc32c.extend(value, bytes(data)))


def mask(value: int) -> int:
    """Mask a checksum for storing."""
    return (((value >> 15) | (value << 17)) + MASK_DELTA) & 0xFFFFFFFF
