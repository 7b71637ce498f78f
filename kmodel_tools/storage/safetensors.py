"""The container of safetensors: a JSON header, and the bytes of every tensor one after another.

::

    0     u64    length of the header in bytes, little endian
    8     JSON   {"__metadata__": {"format": "keras", …},
                  "dense/kernel": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, …}   padded with spaces
    8+n   data   C order, little endian; `data_offsets` count from here, without holes

A set of shards has an index: `{"metadata": {"total_size": …}, "weight_map": {"dense/kernel": "model-00001-of-00002.safetensors"}}`.
Source: the format's own description, huggingface/safetensors `README.md`; the order of dtypes `safetensors/src/tensor.rs`.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmodel_tools.errors import ConversionError, CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, ByteRange, DType, Tensor

LENGTH = struct.Struct("<Q")
METADATA = "__metadata__"
MAX_HEADER = 100_000_000
"""Bytes; the format's own limit."""
MAX_RANK = 64
ALIGNMENT = 8

DTYPES = {
    "F64": DType.FLOAT64,
    "F32": DType.FLOAT32,
    "F16": DType.FLOAT16,
    "BF16": DType.BFLOAT16,
    "F8_E4M3": DType.FLOAT8_E4M3FN,
    "F8_E5M2": DType.FLOAT8_E5M2,
    "I64": DType.INT64,
    "I32": DType.INT32,
    "I16": DType.INT16,
    "I8": DType.INT8,
    "U64": DType.UINT64,
    "U32": DType.UINT32,
    "U16": DType.UINT16,
    "U8": DType.UINT8,
    "BOOL": DType.BOOL,
    "C64": DType.COMPLEX64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: tensors by name in the order of their bytes, and its metadata."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def header_length(head: bytes, size: int) -> int | None:
    """The length of the header that the first bytes of a file of `size` bytes announce, or None where they announce none."""
    if len(head) < LENGTH.size + 2 or head[LENGTH.size : LENGTH.size + 1] != b"{":
        return None
    (length,) = LENGTH.unpack_from(head)
    return length if 2 <= length <= min(MAX_HEADER, size - LENGTH.size) else None


def read_contents(file: ByteRange) -> Contents:
    """Describe the tensors of a file; none is read.

    Raises:
        CorruptFileError: The header is damaged, or does not describe the bytes that follow it without holes and overlaps.
        UnsupportedFeatureError: A tensor has elements of a type that is not known.
    """
    length = header_length(file.slice(0, min(file.length, LENGTH.size + 2)).read(), file.length)
    if length is None:
        raise CorruptFileError("does not start with a header", path=file.path, cure="the file is cut short or damaged: fetch it again")
    document = _document(file.slice(LENGTH.size, length).read(), file.path)
    metadata = document.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptFileError("has metadata that are no texts", path=file.path, where=METADATA)
    data = file.slice(LENGTH.size + length, file.length - LENGTH.size - length)
    found = sorted(((*_place(name, entry, file.path), name) for name, entry in document.items()), key=lambda item: item[:2])
    tensors: dict[str, Tensor] = {}
    end = 0
    for start, stop, dtype, shape, name in found:
        if start != end:
            raise CorruptFileError("leaves a hole, or lies over another tensor", path=file.path, where=name)
        tensors[name] = Tensor(dtype, shape, data.slice(start, stop - start, name))
        end = stop
    if end != data.length:
        raise CorruptFileError(f"holds {data.length} bytes of tensors, and its header describes {end}", path=file.path)
    return Contents(tensors, metadata)


def _document(data: bytes, path: str) -> dict[str, Any]:
    """The header, in which every name stands once."""
    try:
        found = json.loads(data.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"has a header that is no JSON document: {error}", path=path) from error
    if not isinstance(found, dict):
        raise CorruptFileError("has a header that is no JSON object", path=path)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice!r} stands twice")
    return found


def _place(name: str, entry: Any, path: str) -> tuple[int, int, DType, tuple[int, ...]]:
    """Where a tensor lies, and what it is."""
    entry = entry if isinstance(entry, dict) else {}
    shape, offsets, kind = _sizes(entry.get("shape")), _sizes(entry.get("data_offsets")), entry.get("dtype")
    if shape is None or offsets is None or len(offsets) != 2 or len(shape) > MAX_RANK or not isinstance(kind, str):
        raise CorruptFileError("is not described as a tensor is", path=path, where=name)
    dtype = DTYPES.get(kind)
    if dtype is None:
        raise UnsupportedFeatureError(f"has elements of type {kind}, which is not read", path=path, where=name)
    start, stop = offsets
    if stop - start != math.prod(shape) * (dtype.itemsize or 0):
        raise CorruptFileError(f"is of shape {shape} and takes {stop - start} bytes, which do not fit", path=path, where=name)
    return start, stop, dtype, tuple(shape)


def _sizes(value: Any) -> list[int] | None:
    return value if isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value) else None


def file_blocks(tensors: Sequence[tuple[str, Tensor]], metadata: Mapping[str, str]) -> Iterator[Buffer]:
    """The bytes of a file, block by block.

    Raises:
        ConversionError: A tensor has elements that the format has no name for, or is called as the metadata are.
    """
    yield header(tensors, metadata)
    for _, tensor in tensors:
        yield from tensor.blocks()


def header(tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]) -> bytes:
    """The length and the header of a file that holds tensors in this order.

    Raises:
        ConversionError: As `file_blocks`.
    """
    entries: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors:
        if tensor.dtype not in NAMES:
            raise ConversionError(f"safetensors has no elements of type {tensor.dtype.value}, which {name} has", (name,))
        if name in entries or name == METADATA:
            raise ConversionError(f"two arrays would be called {name!r}", (name,))
        entries[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise ConversionError(f"the names and configurations take {len(text)} bytes, and a header holds {MAX_HEADER}")
    return LENGTH.pack(len(text)) + text
