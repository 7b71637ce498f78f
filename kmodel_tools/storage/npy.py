"""`.npy`: one array of NumPy, as the members of a `.npz` archive hold it.

::

    0   "\\x93NUMPY"  6  u8 major  7  u8 minor
    8   u16 (version 1) or u32 (2, 3)   length of the header in bytes, little endian
    …   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   a Python literal, padded with spaces, then a line feed
    …   the elements

Version 3 has the header in UTF-8, the others in Latin-1. Arrays of objects are pickles, and never opened.
Source: NumPy `lib/format.py`.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kmodel_tools.elements import in_other_order
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, ByteRange, DType, InMemory, Shape

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Bytes; NumPy reads no longer one either, unless it is told to trust the file."""
MAX_RANK = 64
ALIGNMENT = 64
_LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}
_DESCR = re.compile(r"([<>|=]?)([a-zA-Z])([0-9]{1,9})")

DTYPES = {
    "f8": DType.FLOAT64,
    "f4": DType.FLOAT32,
    "f2": DType.FLOAT16,
    "i8": DType.INT64,
    "i4": DType.INT32,
    "i2": DType.INT16,
    "i1": DType.INT8,
    "u8": DType.UINT64,
    "u4": DType.UINT32,
    "u2": DType.UINT16,
    "u1": DType.UINT8,
    "b1": DType.BOOL,
    "c8": DType.COMPLEX64,
    "c16": DType.COMPLEX128,
}
DESCRS = {dtype: f"{'|' if descr in ('i1', 'u1', 'b1') else '<'}{descr}" for descr, dtype in DTYPES.items()}
BARE = {1: DType.UINT8, 2: DType.UINT16}
"""What elements of a type that NumPy has no name for are taken for, by their size in bytes."""


@dataclass(frozen=True, slots=True)
class Array:
    """What a header says of an array, and its bytes as they are stored.

    Attributes:
        dtype: The type of its elements; None for texts, which `width` bytes hold each.
        shape: Its shape.
        is_named: Whether NumPy has a name for the type; bfloat16 is two bytes there.
        big_endian: Whether the most significant byte comes first.
        by_columns: Whether the first axis varies fastest.
        width: Bytes of an element.
        data: The elements.
    """

    dtype: DType | None
    shape: Shape
    is_named: bool
    big_endian: bool
    by_columns: bool
    width: int
    data: ByteRange


def read_array(file: ByteRange, where: str) -> Array:
    """Describe an array; its elements are not read.

    Raises:
        CorruptFileError: It does not start as an array does, or its elements are not all there.
        UnsupportedFeatureError: It holds objects, or elements of a type that no model has.
    """
    start = file.slice(0, min(file.length, 12), where).read()
    kind = _LENGTHS.get(start[6]) if start.startswith(MAGIC) and len(start) > 8 else None
    if kind is None or len(start) < 8 + kind.size:
        raise CorruptFileError("is no array of NumPy", path=file.path, where=where)
    (length,) = kind.unpack_from(start, 8)
    if length > MAX_HEADER:
        raise CorruptFileError(f"has a header of {length} bytes", path=file.path, where=where)
    text = file.slice(8 + kind.size, length, where).read().decode("utf-8" if start[6] == 3 else "latin-1", "replace")
    descr, by_columns, shape = _header(text, file.path, where)
    dtype, is_named, width = _element(descr, file.path, where)
    offset = 8 + kind.size + length
    wanted = math.prod(shape) * width
    if file.length - offset != wanted:
        problem = f"is of shape {shape}, which takes {wanted} bytes, and holds {file.length - offset}"
        raise CorruptFileError(problem, path=file.path, where=where)
    return Array(dtype, shape, is_named, descr.startswith(">"), by_columns, width, file.slice(offset, wanted, where))


def _header(text: str, path: str, where: str) -> tuple[str, bool, Shape]:
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise CorruptFileError("has a header that is none", path=path, where=where) from error
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise CorruptFileError("has a header that is none", path=path, where=where)
    descr, order, shape = found["descr"], found["fortran_order"], found["shape"]
    if isinstance(descr, list):
        raise UnsupportedFeatureError("holds records, which no model has", path=path, where=where)
    if not isinstance(descr, str) or not isinstance(order, bool) or not _is_shape(shape):
        raise CorruptFileError("has a header that is none", path=path, where=where)
    return descr, order, shape


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= MAX_RANK and all(type(size) is int and 0 <= size < 1 << 63 for size in value)


def _element(descr: str, path: str, where: str) -> tuple[DType | None, bool, int]:
    """The type of elements (None for texts), whether NumPy has a name for it, and the bytes of one."""
    if "O" in descr:
        raise UnsupportedFeatureError(
            "holds Python objects, which a pickle keeps; it is never opened here, since it runs what it holds",
            path=path,
            where=where,
            cure="save plain arrays: np.savez(path, *model.get_weights())",
        )
    match = _DESCR.fullmatch(descr)
    if match is None:
        raise UnsupportedFeatureError(f"holds elements of type {descr}, which no model has", path=path, where=where)
    kind, size = match[2], int(match[3])
    if kind in "SU" and size:
        return None, True, size * (4 if kind == "U" else 1)
    if kind == "V" and size in BARE:
        return BARE[size], False, size
    dtype = DTYPES.get(f"{kind}{size}")
    if dtype is None:
        raise UnsupportedFeatureError(f"holds elements of type {descr}, which no model has", path=path, where=where)
    return dtype, True, size


@dataclass(frozen=True, slots=True)
class BigEndian:
    """Numbers that are stored with their most significant byte first."""

    stored: ByteRange
    word: int

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes in little-endian order."""
        for block in self.stored.blocks(max(self.word, limit - limit % self.word)):
            yield from InMemory(in_other_order(block, self.word)).blocks(limit)


def header(descr: str, shape: Shape) -> bytes:
    """What stands before the elements of an array that is stored row by row."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}"
    kind = _LENGTHS[1]
    room = -(8 + kind.size + len(text) + 1) % ALIGNMENT
    padded = f"{text}{' ' * room}\n".encode("latin-1")
    return MAGIC + bytes([1, 0]) + kind.pack(len(padded)) + padded
