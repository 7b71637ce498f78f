"""Zip archives: their members as byte ranges.

A stored member lies in the archive as it is, so its range points there. A compressed member is inflated to a temporary
file; the member's range owns that file, which is deleted when nothing refers to the range any more, at the latest when
the interpreter ends.

Local file header (APPNOTE 4.3.7), and what follows the members (4.3.12 to 4.3.16)::

    0  "PK\\3\\4"   4 version needed    6 flags    8 method   10 time   12 date   14 CRC-32   18 stored size   22 size
       26  name length n   28  extra length m   30  name, extra, data
    0  "PK\\1\\2"   4 version made by   6 version needed and so on, as above 4 to 30       32 comment, disk, attributes
       42  place of the local header   46  name, extra            for each member: the directory
    0  "PK\\6\\6"   where 32 bits are not enough: sizes and places in 64    0  "PK\\6\\7"   and the place of this
    0  "PK\\5\\6"   8 members, twice   12 size of the directory   16 its place   20 comment length

A size or place that does not fit stands as 0xffffffff, and as 8 bytes in an extra field of kind 1 (4.5.3).
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from isal import isal_zlib

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import BLOCK, Buffer, ByteRange

LOCAL_HEADER = struct.Struct("<4s22xHH")
LOCAL = struct.Struct("<4sHHHHHIIIHH")
DIRECTORY = struct.Struct("<4sHHHHHHIIIHHHHHII")
WIDE_END = struct.Struct("<4sQHHIIQQQQ")
WIDE_PLACE = struct.Struct("<4sIQI")
END = struct.Struct("<4sHHHHIIH")
ELSEWHERE = 0xFFFFFFFF
WIDE_FROM = ELSEWHERE
"""Sizes and places from here on do not fit into 32 bits; then `ELSEWHERE` stands for them."""
UNIX = 3 << 8
UTF_8 = 0x800
ENCRYPTED = 0x1
SIZE_FOLLOWS = 0x8
MOST_MEMBERS = 100_000
CONSTANT_DAY = 1 << 5 | 1
"""1980-01-01, the first day that there is."""
INFLATION_LIMIT = 100
"""Members over `INFLATION_FLOOR` bytes together may not grow by more than this factor; Keras 3.15 has the same rule for one."""
INFLATION_FLOOR = 256 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name, its size in bytes when inflated, and how it is stored."""

    name: str
    size: int
    info: zipfile.ZipInfo

    @property
    def stored(self) -> bool:
        """Whether its bytes lie in the archive uncompressed."""
        return self.info.compress_type == zipfile.ZIP_STORED


class _TemporaryFile:
    """A file that is deleted when this object is, or at the end of the interpreter."""

    def __init__(self) -> None:
        handle, self.path = tempfile.mkstemp(prefix="kmt-", suffix=".member")
        self.handle = handle
        self._finalizer = weakref.finalize(self, _remove, self.path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def members(archive: ByteRange) -> dict[str, Member]:
    """List the files of an archive in its own order, directories left out.

    Raises:
        CorruptFileError: It has no readable directory, or two members of one name.
        UnsupportedFeatureError: A member is encrypted, a link, has a name that leads out of the archive or a compression
            that Keras never uses; or the archive inflates beyond any model's measure.
    """
    found: dict[str, Member] = {}
    try:
        with archive.opened(), zipfile.ZipFile(archive.path) as file:
            infos = file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError) as error:
        raise CorruptFileError(
            f"is not a whole zip archive: {error}", path=archive.path, cure="a download that broke off looks like this: fetch it again"
        ) from error
    grown = sum(info.file_size for info in infos if info.compress_type != zipfile.ZIP_STORED)
    if grown > INFLATION_FLOOR and grown > INFLATION_LIMIT * max(1, archive.length):
        raise UnsupportedFeatureError(f"an archive of {archive.length} bytes says that it inflates to {grown}", path=archive.path)
    for info in infos:
        if info.filename.endswith("/"):
            continue
        if info.filename in found:
            raise CorruptFileError("holds two members of one name", path=archive.path, where=info.filename)
        _refuse_unsafe(info, archive.path)
        found[info.filename] = Member(info.filename, info.file_size, info)
    return found


def _refuse_unsafe(info: zipfile.ZipInfo, path: str) -> None:
    parts = info.filename.replace("\\", "/").split("/")
    if info.flag_bits & ENCRYPTED:
        problem = "a member is encrypted"
    elif (info.external_attr >> 16) & 0o170000 == 0o120000:
        problem = "a member is a symbolic link"
    elif ".." in parts or parts[0] == "" or ":" in parts[0]:
        problem = "a member's name leads out of the archive"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = f"a member is compressed by method {info.compress_type}, neither stored nor deflated"
    else:
        return
    raise UnsupportedFeatureError(
        problem, path=path, where=info.filename, cure="Keras never writes one: have a look where the file comes from"
    )


def stated_length(archive: ByteRange) -> int:
    """How long an archive that was cut short must have been at least: up to the end of the last member that it begins.

    Members follow each other from the start; one whose header leaves its size to a record behind it ends the search.
    """
    at = 0
    for _ in range(MOST_MEMBERS):
        if at + LOCAL_HEADER.size > archive.length:
            break
        head = archive.slice(at, LOCAL_HEADER.size).read()
        magic, name, extra = LOCAL_HEADER.unpack(head)
        if magic != b"PK\3\4":
            break
        size: int | None = int.from_bytes(head[18:22], "little")
        end = at + LOCAL_HEADER.size + name + extra
        if size == 0xFFFFFFFF and end <= archive.length:
            size = _wide_size(archive.slice(at + LOCAL_HEADER.size + name, extra).read())
        if size is None or int.from_bytes(head[6:8], "little") & SIZE_FOLLOWS:
            break
        at = end + size
    return at


def _wide_size(extra: bytes) -> int | None:
    """The stored size in the ZIP64 field of a local header (APPNOTE 4.5.3), or None."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1 and length >= 16:
            return int.from_bytes(extra[at + 12 : at + 20], "little")
        at += 4 + length
    return None


def member_range(archive: ByteRange, member: Member) -> ByteRange:
    """The bytes of a member: in place when stored, in a temporary file that the range owns when compressed.

    Raises:
        CorruptFileError: Its header is damaged, it does not inflate to its stated size, or its CRC is wrong.
        UnsupportedFeatureError: It is compressed by a method other than deflate.
    """
    if member.stored:
        return _stored_range(archive, member)
    archive.slice(member.info.header_offset, LOCAL_HEADER.size, where=member.name)  # lies in the file, or this says that it does not
    temporary = _TemporaryFile()
    done = 0
    try:
        with (
            os.fdopen(temporary.handle, "wb") as target,
            archive.opened(),
            zipfile.ZipFile(archive.path) as file,
            file.open(member.info) as source,
        ):
            while block := source.read(BLOCK):
                done += len(block)
                target.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError) as error:  # the last: a name that is no UTF-8
        raise CorruptFileError(f"a member does not inflate: {error}", path=archive.path, where=member.name) from error
    except NotImplementedError as error:
        raise UnsupportedFeatureError(f"a member cannot be inflated: {error}", path=archive.path, where=member.name) from error
    if done != member.size:
        raise CorruptFileError(f"a member inflates to {done} bytes instead of {member.size}", path=archive.path, where=member.name)
    return ByteRange.of_file(temporary.path, owner=temporary)


def is_intact(archive: ByteRange, member: Member) -> bool:
    """Whether the bytes of a stored member have the CRC-32 that the archive's directory says; reads all of them.

    Raises:
        CorruptFileError: Its header is damaged.
    """
    value = 0
    for block in _stored_range(archive, member).blocks():
        value = isal_zlib.crc32(block, value)
    return value == member.info.CRC


def _stored_range(archive: ByteRange, member: Member) -> ByteRange:
    header = archive.slice(member.info.header_offset, LOCAL_HEADER.size, where=member.name).read()
    magic, name_length, extra_length = LOCAL_HEADER.unpack(header)
    if magic != b"PK\x03\x04":
        raise CorruptFileError("a member's local header is damaged", path=archive.path, where=member.name)
    start = member.info.header_offset + LOCAL_HEADER.size + name_length + extra_length
    return archive.slice(start, member.size, where=member.name)


def write_archive(target: IO[bytes], members: Iterable[tuple[str, int, Iterable[Buffer]]]) -> None:
    """Write an archive as Keras writes its own: members uncompressed and in order, here with a constant date.

    A member's checksum is filled in behind its bytes, which are passed on once. (Python's zipfile computes it seven times slower, and
    takes no other.)

    Args:
        target: A file opened for writing, at its start.
        members: Name, length in bytes, and the bytes; any length is fine.

    Raises:
        CorruptFileError: A member delivers more or fewer bytes than it said.
    """
    directory: list[bytes] = []
    at = 0
    for name, length, blocks in members:
        entry = _Entry(name.encode(), length, at)
        target.write(entry.local_header())
        done = 0
        for block in blocks:
            entry.checksum = isal_zlib.crc32(block, entry.checksum)
            done += len(block)
            target.write(block)
        if done != length:
            raise CorruptFileError(f"an array delivers {done} bytes instead of {length}", where=name)
        header = entry.local_header()
        target.seek(at)
        target.write(header)
        at += len(header) + length
        target.seek(at)
        directory.append(entry.directory_header())
    size = sum(map(len, directory))
    target.write(b"".join(directory))
    count, wide = len(directory), at >= WIDE_FROM or len(directory) > 0xFFFF
    if wide:
        target.write(WIDE_END.pack(b"PK\6\6", WIDE_END.size - 12, 45, 45, 0, 0, count, count, size, at))
        target.write(WIDE_PLACE.pack(b"PK\6\7", 0, at + size, 1))
    counted = min(count, 0xFFFF)
    target.write(END.pack(b"PK\5\6", 0, 0, counted, counted, size, ELSEWHERE if wide else at, 0))


@dataclass(slots=True)
class _Entry:
    """A member on its way: its name, length, the place of its header, and its checksum so far."""

    name: bytes
    length: int
    at: int
    checksum: int = 0

    def local_header(self) -> bytes:
        """What stands before its bytes; of the same length whatever the checksum is."""
        wide = self.length >= WIDE_FROM
        extra = struct.pack("<HHQQ", 1, 16, self.length, self.length) if wide else b""
        size = ELSEWHERE if wide else self.length
        return LOCAL.pack(b"PK\3\4", *self._common(wide, size), len(self.name), len(extra)) + self.name + extra

    def directory_header(self) -> bytes:
        """Its line in the directory."""
        wide = self.length >= WIDE_FROM
        numbers = ([self.length] * 2 if wide else []) + ([self.at] if self.at >= WIDE_FROM else [])
        extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        common = self._common(bool(numbers), ELSEWHERE if wide else self.length)
        start = DIRECTORY.pack(
            b"PK\1\2",
            UNIX + common[0],
            *common,
            len(self.name),
            len(extra),
            0,
            0,
            0,
            0o644 << 16,
            ELSEWHERE if self.at >= WIDE_FROM else self.at,
        )
        return start + self.name + extra

    def _common(self, wide: bool, size: int) -> tuple[int, ...]:
        """Version needed, flags, method, time, date, checksum, sizes."""
        version, flags = (45 if wide else 20), (0 if self.name.isascii() else UTF_8)
        return version, flags, zipfile.ZIP_STORED, 0, CONSTANT_DAY, self.checksum, size, size
