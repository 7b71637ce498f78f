"""What is left of an HDF5 file that was cut short, or of which parts are damaged; and a byte range as a file object for h5py.

libhdf5 opens no file that is shorter than its superblock says (HDF5 file format specification, II.A)::

    version 0   8 version   13 size of offsets    24 base address   32 free space   40 end of file address
    version 1   8 version   13 size of offsets    28 base address   36 free space   44 end of file address
    version 2   8 version    9 size of offsets    12 base address   20 extension    28 end of file address     (3 too)

To salvage, the file object claims that length, and fails where bytes are wanted that are not there: never are there zeros in
their place.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from h5py import h5f, h5g, h5l, h5o

from kmodel_tools.storage.hdf5_types import H5PY_ERRORS
from kmodel_tools.tensor import ByteRange, pread

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUPERBLOCK = 52
_PLACES = {0: (13, 24, 40), 1: (13, 28, 44), 2: (9, 12, 28), 3: (9, 12, 28)}
MOST_MISSING = 1 << 50
"""Bytes that a file may lack; more is no file that was cut short, but a forged length."""


def stated_length(container: ByteRange) -> int:
    """How long an HDF5 file says that it is, if it says more than there is; else how long it is."""
    if container.length < SUPERBLOCK:
        return container.length
    head = container.slice(0, SUPERBLOCK).read()
    if not head.startswith(SIGNATURE) or head[8] not in _PLACES:
        return container.length
    width, base, end = _PLACES[head[8]]
    if head[width] != 8 or any(head[base : base + 8]):
        return container.length
    stated = int.from_bytes(head[end : end + 8], "little")
    return stated if container.length < stated < MOST_MISSING else container.length


class RangeFile(io.RawIOBase):
    """A byte range as the file object that h5py can open, perhaps longer than what is there."""

    def __init__(self, container: ByteRange, length: int) -> None:
        """Open the file; `length` is what it claims to have."""
        self._container = container
        self._length = length
        self._stack = contextlib.ExitStack()
        self._descriptor = self._stack.enter_context(container.opened())
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, which may lie behind the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer.

        Raises:
            OSError: It reaches behind the bytes that are there, in a file that claims to have more.
        """
        view = memoryview(buffer).cast("B")
        if self._at + len(view) > self._container.length and self._length > self._container.length:
            raise OSError(f"{len(view)} bytes at offset {self._at} lie behind the {self._container.length} bytes that are there")
        view = view[: max(0, self._container.length - self._at)]
        if not view:
            return 0  # a forged address may be beyond what the system takes for a place in a file
        count = pread(self._descriptor, view, self._container.offset + self._at)
        self._at += count
        return count

    def close(self) -> None:
        """Close the file."""
        self._stack.close()
        super().close()


def reachable(file: h5f.FileID) -> tuple[list[tuple[bytes, int, int]], dict[bytes, Exception]]:
    """The links that a walk from the root comes to, and what h5py says of those that it cannot follow.

    Returns:
        Path, type and address of each link, as h5py's `visit` gives them; and errors by the path of a link.
    """
    links: list[tuple[bytes, int, int]] = []
    broken: dict[bytes, Exception] = {}
    seen: set[int] = set()
    stack = [b""]
    while stack:
        path = stack.pop()
        try:
            opened = h5o.open(file, path or b"/")
            if not isinstance(opened, h5g.GroupID) or (address := h5o.get_info(opened).addr) in seen:
                continue
            seen.add(address)
            for name in opened:
                info = opened.links.get_info(name)
                full = path + b"/" + name if path else name
                links.append((full, info.type, info.u))
                if info.type == h5l.TYPE_HARD:
                    stack.append(full)
        except H5PY_ERRORS as error:
            broken[path] = error
    return sorted(links, key=lambda link: link[0].split(b"/")), broken
