"""Writing a TensorBundle: the shards of tensor bytes, then the index that says what lies where (`tensor_bundle` draws both)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmodel_tools.errors import ConversionError, CorruptFileError
from kmodel_tools.storage import protobuf
from kmodel_tools.storage.atomic import new_files
from kmodel_tools.storage.bundle_sources import CHECK
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.sstable import write_table
from kmodel_tools.storage.tensor_bundle import DTYPES
from kmodel_tools.tensor import BLOCK, Buffer, DType, Tensor

QUANTISED = frozenset({11, 12, 13, 15, 16})
NUMBERS: dict[DType, int] = {dtype: number for number, dtype in DTYPES.items() if dtype is not DType.OPAQUE and number not in QUANTISED}
"""TensorFlow's number of each element type; quantised integers are written as the integers that they are stored as."""
PRODUCER = 1
"""The version of the layout that TensorFlow writes (`kTensorBundleVersion`)."""


@dataclass(slots=True)
class _Part:
    """A tensor on its way: where it goes, and what its checksum turned out to be."""

    key: str
    tensor: Tensor
    strings: list[bytes] | None
    size: int
    shard: int = 0
    offset: int = 0
    checksum: int = 0

    def blocks(self) -> Iterator[Buffer]:
        """Yield the bytes as the shard holds them, and note their checksum."""
        value = 0
        if self.strings is None:
            delivered = 0
            for block in self.tensor.blocks(BLOCK):
                delivered += len(block)
                value = crc32c(block, value)
                yield block
            if delivered != self.size:
                raise CorruptFileError(f"an array delivers {delivered} bytes instead of {self.size}", where=self.key)
        else:
            for text in self.strings:
                value = crc32c(len(text).to_bytes(4 if len(text) < 1 << 32 else 8, "little"), value)
            lengths = mask(value).to_bytes(CHECK, "little")
            yield b"".join(protobuf.varint(len(text)) for text in self.strings) + lengths
            value = crc32c(lengths, value)
            for text in self.strings:
                value = crc32c(text, value)
                yield text
        self.checksum = mask(value)

    def entry(self) -> bytes:
        """The tensor's record in the index."""
        dims = b"".join(protobuf.bytes_field(2, protobuf.number_field(1, size)) for size in self.tensor.shape)
        return (
            protobuf.number_field(1, NUMBERS[self.tensor.dtype])
            + protobuf.bytes_field(2, dims)
            + protobuf.number_field(3, self.shard)
            + protobuf.number_field(4, self.offset)
            + protobuf.number_field(5, self.size)
            + protobuf.fixed32_field(6, self.checksum)
        )


def write_bundle(prefix: str, tensors: Sequence[tuple[str, Tensor]], overwrite: bool, shard_size: int) -> None:
    """Write tensors as the checkpoint `prefix`: streamed once, shards first, the index last.

    Args:
        prefix: What the names of its files start with.
        tensors: `(key, tensor)` in the order in which their bytes shall lie.
        overwrite: Whether files that are there may be replaced.
        shard_size: Most bytes in a shard; a tensor is never divided.

    Raises:
        ConversionError: An element type that TensorFlow does not have, or two tensors under one key.
        CorruptFileError: A source does not deliver what its shape says.
        KmtError: A file is there already, or cannot be written.
    """
    parts = [_part(key, tensor) for key, tensor in tensors]
    if len({part.key for part in parts}) != len(parts):
        raise ConversionError("two tensors would have the same key in the checkpoint", path=prefix)
    shards = _place(parts, shard_size)
    names = [f"{prefix}.data-{number:05d}-of-{shards:05d}" for number in range(shards)]
    with new_files([*names, f"{prefix}.index"], overwrite) as files:
        for part in parts:
            for block in part.blocks():
                files[part.shard].write(block)
        header = protobuf.number_field(1, shards) + protobuf.bytes_field(3, protobuf.number_field(1, PRODUCER))
        records = sorted((part.key.encode("utf-8", "surrogateescape"), part.entry()) for part in parts)
        files[-1].write(write_table([(b"", header), *records]))


def _part(key: str, tensor: Tensor) -> _Part:
    if tensor.dtype not in NUMBERS:
        raise ConversionError(f"{key}: TensorFlow has no element type {tensor.dtype.value}", cure="convert it to another: --dtype")
    if tensor.dtype is not DType.STRING:
        return _Part(key, tensor, None, tensor.nbytes)
    strings = tensor.strings()
    size = sum(len(protobuf.varint(len(text))) + len(text) for text in strings) + CHECK
    return _Part(key, tensor, strings, size)


def _place(parts: Sequence[_Part], limit: int) -> int:
    """Give each tensor its shard and offset; return the number of shards."""
    shard = offset = 0
    for part in parts:
        if offset and offset + part.size > limit:
            shard, offset = shard + 1, 0
        part.shard, part.offset = shard, offset
        offset += part.size
    return shard + 1
