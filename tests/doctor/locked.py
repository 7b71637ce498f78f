"""A zip archive with a password, which Python reads and does not write: traditional PKWARE encryption (APPNOTE.TXT, section 6.1)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

PASSWORD = "secret"
MASK = 0xFFFFFFFF


def archive_with_password(members: Mapping[str, bytes]) -> bytes:
    """An archive of stored members, each encrypted with `PASSWORD`."""
    body, directory = b"", b""
    for name, content in members.items():
        crc = zlib.crc32(content)
        data = _encrypted(bytes(11) + bytes([crc >> 24]) + content)
        head = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 33, crc, len(data), len(content), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\x03\x04" + head + name.encode() + data
    count = len(members)
    return body + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)


def _encrypted(data: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]
    for byte in PASSWORD.encode():
        _turn(keys, byte)
    found = bytearray()
    for byte in data:
        mixed = (keys[2] | 2) & 0xFFFF
        found.append(byte ^ ((mixed * (mixed ^ 1)) >> 8 & 0xFF))
        _turn(keys, byte)
    return bytes(found)


def _turn(keys: list[int], byte: int) -> None:
    keys[0] = _crc(keys[0], byte)
    keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & MASK
    keys[2] = _crc(keys[2], keys[1] >> 24)


def _crc(value: int, byte: int) -> int:
    return zlib.crc32(bytes([byte]), value ^ MASK) ^ MASK
