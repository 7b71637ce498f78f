"""Tensors that are described before they are read.

A `Tensor` is a dtype, a shape and a `Source`. A source yields the tensor's *canonical bytes* (little endian, C order,
bool and int4 one byte an element) and nothing happens on disk before somebody asks for them.

Strings are canonical as, for every element in C order, an 8-byte little-endian length and then the bytes.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kmodel_tools.errors import CorruptFileError, FileChangedError, KmtError, UnsupportedFeatureError

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    import numpy.typing as npt

Buffer = bytes | bytearray | memoryview
Shape = tuple[int, ...]

BLOCK = 256 << 10
"""Bytes that a streaming read holds at a time, unless the caller says otherwise.

They are still in the processor's cache when they are written, hashed or compared. Of larger blocks, each step waits for memory: with
8 MiB, a copy takes three times as long.
"""

LENGTH = struct.Struct("<Q")
"""The length that stands before every element of a string tensor's canonical bytes."""


class DType(enum.Enum):
    """An element type under Keras's own name; `itemsize` is in bytes, None for elements without a fixed size."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E5M2 = "float8_e5m2"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    INT4 = "int4"
    UINT64 = "uint64"
    UINT32 = "uint32"
    UINT16 = "uint16"
    UINT8 = "uint8"
    UINT4 = "uint4"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    STRING = "string"
    OPAQUE = "opaque"

    @property
    def itemsize(self) -> int | None:
        """Bytes an element takes in canonical form; None for `string` and `opaque`."""
        return _ITEMSIZE[self]

    @property
    def is_float(self) -> bool:
        """Whether elements are real floating-point numbers of any width."""
        return "float" in self.value

    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the canonical bytes (ml_dtypes for bfloat16, float8, int4).

        Raises:
            UnsupportedFeatureError: The elements have no numpy dtype (`opaque`).
        """
        import numpy as np

        if self is DType.STRING:
            return np.dtype(object)
        if self is DType.OPAQUE:
            raise UnsupportedFeatureError(
                "elements of an opaque type have no values to show", cure="read the raw bytes with Tensor.blocks()"
            )
        if self in _ML_DTYPES:
            import ml_dtypes

            own: np.dtype[Any] = np.dtype(getattr(ml_dtypes, self.value))
            return own
        little: np.dtype[Any] = np.dtype(self.value).newbyteorder("<")
        return little


_ML_DTYPES = frozenset({DType.BFLOAT16, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2, DType.INT4, DType.UINT4})
_ITEMSIZE: dict[DType, int | None] = {
    DType.FLOAT64: 8,
    DType.FLOAT32: 4,
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.FLOAT8_E4M3FN: 1,
    DType.FLOAT8_E5M2: 1,
    DType.INT64: 8,
    DType.INT32: 4,
    DType.INT16: 2,
    DType.INT8: 1,
    DType.INT4: 1,
    DType.UINT64: 8,
    DType.UINT32: 4,
    DType.UINT16: 2,
    DType.UINT8: 1,
    DType.UINT4: 1,
    DType.BOOL: 1,
    DType.COMPLEX64: 8,
    DType.COMPLEX128: 16,
    DType.STRING: None,
    DType.OPAQUE: None,
}


class Source(Protocol):
    """Where a tensor's canonical bytes come from."""

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes in order, at most `limit` bytes at a time (one string may be longer)."""
        ...


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a file from its replacement: size in bytes, modification time in nanoseconds, inode."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Take the stamp from a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes of a file from `offset` on; nests by `slice`, so that a dataset in a zip member is one range.

    `owner` is held only to keep something alive for as long as the range: the temporary file it points into.
    """

    path: str
    offset: int
    length: int
    stamp: FileStamp
    owner: object | None = None

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], owner: object | None = None) -> ByteRange:
        """The range that is the whole of the file at `path`.

        Raises:
            KmtError: The file cannot be looked at.
        """
        try:
            stamp = FileStamp.of(os.stat(path))
        except OSError as error:
            raise KmtError(f"cannot be opened: {error.strerror}", path=path) from error
        return cls(os.fspath(path), 0, stamp.size, stamp, owner)

    def slice(self, offset: int, length: int, where: str | None = None) -> ByteRange:
        """The part of this range that starts `offset` bytes into it.

        Raises:
            CorruptFileError: The part does not lie inside this range; `where` names it.
        """
        if offset < 0 or length < 0 or offset + length > self.length:
            raise CorruptFileError(
                f"{length} bytes at offset {offset} lie outside of the {self.length} bytes that are there",
                path=self.path,
                where=where,
                cure="the file is cut short or damaged: fetch it again",
            )
        return ByteRange(self.path, self.offset + offset, length, self.stamp, self.owner)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Open the file for the time of a `with` block and yield its descriptor.

        Raises:
            FileChangedError: It is not the file that the range was made for, or not any more when the `with` block ends.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise FileChangedError(f"is gone since it was read: {error.strerror}", path=self.path, cure="run the command again") from error
        try:
            self._check(descriptor)
            yield descriptor
            self._check(descriptor)  # a file that is written over in place keeps its inode and length: no answer of old and new bytes
        finally:
            os.close(descriptor)

    def _check(self, descriptor: int) -> None:
        if FileStamp.of(os.fstat(descriptor)) != self.stamp:
            cure = "run the command again when nobody writes to it"
            raise FileChangedError("was changed while it was being read", path=self.path, cure=cure)

    def blocks(self, limit: int = BLOCK) -> Iterator[Buffer]:
        """Yield the bytes in order, at most `limit` at a time, by positioned reads into one buffer.

        A block is valid until the next one is asked for.

        Raises:
            FileChangedError: The file was truncated or replaced.
        """
        if self.length == 0:
            return
        buffer = memoryview(bytearray(min(limit, self.length)))
        with self.opened() as descriptor:
            done = 0
            while done < self.length:
                block = buffer[: min(limit, self.length - done)]
                _read_exactly(descriptor, block, self.offset + done, self.path)
                done += len(block)
                yield block

    def readinto(self, target: memoryview) -> None:
        """Fill `target` (exactly `length` bytes) in one go.

        Raises:
            FileChangedError: The file was truncated or replaced.
        """
        if self.length:
            with self.opened() as descriptor:
                _read_exactly(descriptor, target, self.offset, self.path)

    def read(self) -> bytes:
        """All bytes of the range; meant for headers and metadata, which are small."""
        target = bytearray(self.length)
        self.readinto(memoryview(target))
        return bytes(target)


def _read_exactly(descriptor: int, target: memoryview, offset: int, path: str) -> None:
    done = 0
    while done < len(target):
        try:
            count = pread(descriptor, target[done:], offset + done)
        except OSError as error:
            raise KmtError(f"cannot be read: {error.strerror}", path=path, where=f"offset {offset + done}") from error
        if count == 0:
            raise FileChangedError(
                "became shorter while it was being read", path=path, where=f"offset {offset + done}", cure="run the command again"
            )
        done += count


if hasattr(os, "preadv"):

    def pread(descriptor: int, target: memoryview, offset: int) -> int:
        """Read into `target` from a place in a file; return the number of bytes, 0 at its end."""
        return os.preadv(descriptor, [target], offset)

else:  # pragma: no cover - Windows has neither pread nor preadv; nobody else holds the descriptor, so seeking is safe

    def pread(descriptor: int, target: memoryview, offset: int) -> int:
        """Read into `target` from a place in a file; return the number of bytes, 0 at its end."""
        os.lseek(descriptor, offset, os.SEEK_SET)
        data = os.read(descriptor, len(target))
        target[: len(data)] = data
        return len(data)


@dataclass(frozen=True, slots=True)
class InMemory:
    """Canonical bytes that are there already."""

    data: Buffer

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield slices of the bytes; nothing is copied."""
        view = memoryview(self.data)
        for start in range(0, len(view), limit):
            yield view[start : start + limit]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An array that is described, and read when asked for; compared by identity, since its values may be gigabytes."""

    dtype: DType
    shape: Shape
    source: Source

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the values; 0 for strings and opaque elements, whose size only reading tells."""
        return self.size * (self.dtype.itemsize or 0)

    @property
    def byte_range(self) -> ByteRange | None:
        """Where the canonical bytes lie as they are in a file, or None when they have to be made."""
        source = self.source
        if isinstance(source, ByteRange):
            return source
        inner = getattr(source, "byte_range", None)
        return inner if isinstance(inner, ByteRange) else None

    def blocks(self, limit: int = BLOCK) -> Iterator[Buffer]:
        """Yield the canonical bytes in order, at most `limit` at a time; a block is valid until the next is asked for."""
        return self.source.blocks(limit)

    def read(self) -> npt.NDArray[Any]:
        """The values as a read-only array of `shape`; strings as an object array of bytes.

        Raises:
            FileChangedError: The file was truncated or replaced.
            CorruptFileError: The source delivers more or fewer bytes than the shape needs.
            UnsupportedFeatureError: The elements are opaque, or NumPy has no such shape.
        """
        import numpy as np

        if self.dtype is DType.STRING:
            array = np.empty(self.size, dtype=object)
            array[:] = self.strings()
        else:
            # What cannot be read says so here, before room is made for as much as it claims to be.
            blocks = iter(()) if self._is_in_place() else self.blocks()
            first = next(blocks, b"")
            dtype = self.dtype.numpy()
            raw = np.empty(self.nbytes, dtype=np.uint8)
            self._fill(raw.data, itertools.chain((first,), blocks))
            array = raw.view(dtype)
        try:
            array = array.reshape(self.shape)
        except (ValueError, OverflowError) as error:
            raise UnsupportedFeatureError(f"NumPy has no array of {len(self.shape)} dimensions of these sizes") from error
        array.flags.writeable = False
        return array

    def _is_in_place(self) -> bool:
        return isinstance(self.source, ByteRange) and self.source.length == self.nbytes

    def _fill(self, target: memoryview, blocks: Iterator[Buffer]) -> None:
        if isinstance(self.source, ByteRange) and self._is_in_place():
            self.source.readinto(target)
            return
        done = 0
        for block in blocks:
            if done + len(block) > len(target):
                raise CorruptFileError(f"holds more than the {len(target)} bytes of its shape {self.shape}")
            target[done : done + len(block)] = block
            done += len(block)
        if done != len(target):
            raise CorruptFileError(f"holds {done} bytes where its shape {self.shape} needs {len(target)}")

    def strings(self) -> list[bytes]:
        """The elements of a string tensor in C order, without numpy.

        Raises:
            CorruptFileError: There are more or fewer of them than the shape needs.
        """
        data = b"".join(bytes(block) for block in self.blocks())
        values: list[bytes] = []
        at = 0
        while at < len(data):
            (length,) = LENGTH.unpack_from(data, at)
            at += LENGTH.size
            values.append(data[at : at + length])
            at += length
        if len(values) != self.size:
            raise CorruptFileError(f"holds {len(values)} strings where its shape {self.shape} needs {self.size}")
        return values

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Tensor:
        """A tensor over an array in memory (numbers, booleans, or strings in an object array)."""
        import numpy as np

        array = np.asarray(values)
        if array.dtype.kind in "OSU":
            encoded = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
            return cls(DType.STRING, array.shape, InMemory(canonical_strings(encoded)))
        dtype = DType(array.dtype.name)
        return cls(dtype, array.shape, InMemory(array.astype(dtype.numpy(), copy=False).tobytes()))


def canonical_strings(values: Sequence[bytes]) -> bytes:
    """The canonical bytes of a string tensor with these elements."""
    return b"".join(LENGTH.pack(len(value)) + value for value in values)
