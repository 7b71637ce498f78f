"""How the tensors of a bundle lie in its shards, and their checksums (TensorFlow `core/util/tensor_bundle/tensor_bundle.cc`).

::

    numbers   elements in C order                                               CRC: of these bytes
    strings   varint length × elements, check of the lengths, the strings       CRC: of the lengths, the check, the strings
    variants  per element: varint length, VariantTensorDataProto, check so far  CRC: of lengths, messages and checks

A check is a masked CRC-32C in 4 bytes. Checksums take the length of a string as uint32 (uint64 from 2**32 on) and that of
a variant as uint64, not as the varint.

On a big-endian machine (header's endianness 1) elements, both parts of a complex number, checks, and the words that stand
for lengths in checksums have the other byte order; varints and strings do not, and checksums are over the bytes as they
lie in the file (`GetValue`: "before byte-swapping"). TensorFlow swaps them too, since 2.1, but for float8, int4 and uint4, which it
refuses though they have one byte (`byte_swap_tensor.cc`), and for variants, whose messages hold tensors in the order of the machine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from kmodel_tools.damaged import OFFER
from kmodel_tools.elements import in_other_order
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.protobuf import WireError, read_varint
from kmodel_tools.tensor import LENGTH, Buffer, ByteRange, DType, InMemory

ByteOrder = Literal["little", "big"]
CHECK = 4
"""Bytes of a checksum that stands between the data."""

COMPONENTS = {DType.COMPLEX64: 4, DType.COMPLEX128: 8}


@dataclass(frozen=True, slots=True)
class Checked:
    """A byte range whose CRC-32C is known, and is checked whenever it is read to its end."""

    byte_range: ByteRange
    checksum: int
    name: str
    checksummed: ClassVar[bool] = True

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes in order.

        Raises:
            CorruptFileError: At the end, when the checksum is not the stored one.
        """
        value = 0
        for block in self.byte_range.blocks(limit):
            value = crc32c(block, value)
            yield block
        if mask(value) != self.checksum:
            raise _wrong_checksum(self.byte_range.path, self.name)


@dataclass(frozen=True, slots=True)
class Swapped:
    """Numbers that a big-endian machine wrote."""

    stored: Checked
    word: int
    checksummed: ClassVar[bool] = True

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes in little-endian order.

        Raises:
            CorruptFileError: At the end, when the checksum, which is over the bytes as they are stored, is wrong.
        """
        whole = max(self.word, limit - limit % self.word)
        for block in self.stored.blocks(whole):
            yield from InMemory(in_other_order(block, self.word)).blocks(limit)


def numbers(stored: Checked, dtype: DType, order: ByteOrder) -> Checked | Swapped:
    """The source of a tensor of numbers or booleans in a bundle of a byte order."""
    word = COMPONENTS.get(dtype, dtype.itemsize or 1)
    return stored if order == "little" or word == 1 else Swapped(stored, word)


@dataclass(frozen=True, slots=True)
class BundleStrings:
    """A string tensor's bytes in a shard."""

    stored: ByteRange
    elements: int
    checksum: int
    name: str
    order: ByteOrder = "little"
    checksummed: ClassVar[bool] = True

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes of one string after the other.

        Raises:
            CorruptFileError: The lengths do not fit the bytes, or a checksum is wrong.
        """
        if not self.elements and not self.stored.length and self.checksum == mask(0):
            return  # TensorFlow writes the check of no lengths all the same, and takes nothing at all for it too
        data = memoryview(self.stored.read())
        lengths: list[int] = []
        at = 0
        try:
            for _ in range(self.elements):
                length, at = read_varint(data, at)
                lengths.append(length)
        except WireError as error:
            raise self._damaged(f"a string tensor is damaged: {error}") from error
        start = at + CHECK
        if start + sum(lengths) != len(data):
            raise self._damaged("a string tensor's lengths do not fit its bytes")
        value = 0
        for length in lengths:
            value = crc32c(length.to_bytes(4 if length < 1 << 32 else 8, self.order), value)
        if mask(value).to_bytes(CHECK, self.order) != data[at:start] or mask(crc32c(data[at:], value)) != self.checksum:
            raise _wrong_checksum(self.stored.path, self.name)
        for length in lengths:
            yield LENGTH.pack(length) + bytes(data[start : start + length])
            start += length

    def _damaged(self, problem: str) -> CorruptFileError:
        return CorruptFileError(problem, path=self.stored.path, where=self.name, cure=OFFER)


@dataclass(frozen=True, slots=True)
class BundleVariants:
    """The bytes of a tensor of variants (lists of tensors, iterators), which are shown as they are stored."""

    stored: ByteRange
    elements: int
    checksum: int
    name: str
    checksummed: ClassVar[bool] = True

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the stored bytes.

        Raises:
            CorruptFileError: The lengths do not fit the bytes, or a checksum is wrong.
        """
        data = memoryview(self.stored.read())
        at = value = 0
        try:
            for _ in range(self.elements):
                length, at = read_varint(data, at)
                end = at + length
                if end + CHECK > len(data):
                    raise WireError("an element runs past the end")
                value = crc32c(data[at:end], crc32c(struct.pack("<Q", length), value))
                check = data[end : end + CHECK]
                if mask(value).to_bytes(CHECK, "little") != check:
                    raise _wrong_checksum(self.stored.path, self.name)
                value = crc32c(check, value)
                at = end + CHECK
            if at != len(data):
                raise WireError("there is more than its elements")
        except WireError as error:
            raise CorruptFileError(
                f"a tensor of variants is damaged: {error}", path=self.stored.path, where=self.name, cure=OFFER
            ) from error
        if mask(value) != self.checksum:
            raise _wrong_checksum(self.stored.path, self.name)
        yield from InMemory(data).blocks(limit)


def _wrong_checksum(path: str, name: str) -> CorruptFileError:
    return CorruptFileError("a tensor's checksum is wrong", path=path, where=name, cure=f"the file is damaged: fetch it again, or {OFFER}")
