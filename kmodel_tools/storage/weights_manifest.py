"""TensorFlow.js weights: a manifest in JSON, and files ("shards") that hold the bytes.

::

    [{"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"],          a group: its files, one behind the other, are one run of bytes
      "weights": [{"name": "dense/kernel", "shape": [4, 5], "dtype": "float32",
                   "quantization": {"dtype": "uint8", "min": -0.5, "scale": 0.004}}, …]}, …]

    float32 int32 bool …    little endian, C order, one weight behind the other without a gap, over the ends of files too
    string                  for every element: u32 length, then UTF-8
    quantization            uint8, uint16:  value = stored * scale + min, worked out as a double; rounded half up for int32
                            float16:        value = stored

Source: TensorFlow.js 4.22 `tfjs-core/src/io/io_utils.ts`, `decodeWeight` and `getWeightBytelength`; `tfjs-converter/python/
tensorflowjs/write_weights.py` and `quantization.py`.
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kmodel_tools.damaged import damaged_tensor, offering_salvage
from kmodel_tools.elements import arrays
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.tensor import LENGTH, Buffer, ByteRange, DType, Shape, Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

STORED = {
    "float32": DType.FLOAT32,
    "int32": DType.INT32,
    "bool": DType.BOOL,
    "string": DType.STRING,
    "complex64": DType.COMPLEX64,
    "float16": DType.FLOAT16,
    "uint8": DType.UINT8,
    "uint16": DType.UINT16,
}
"""The element types that TensorFlow.js has."""
QUANTIZED = {"uint8": DType.UINT8, "uint16": DType.UINT16, "float16": DType.FLOAT16}
MAX_RANK = 32
WINDOW = 1 << 20
"""Bytes in which lengths of strings are looked for at once."""
STRING_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Joined:
    """Bytes that lie in several files, one part behind the other."""

    parts: tuple[ByteRange, ...]

    @property
    def length(self) -> int:
        """All of them, in bytes."""
        return sum(part.length for part in self.parts)

    def slice(self, offset: int, length: int) -> Joined:
        """Some of them; parts that none of them lie in are left out."""
        found = []
        for part in self.parts:
            start, end = max(offset, 0), min(offset + length, part.length)
            if start < end:
                found.append(part.slice(start, end - start))
            offset -= part.length
        return Joined(tuple(found))

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the bytes in order."""
        for part in self.parts:
            yield from part.blocks(limit)

    def read(self) -> bytes:
        """All bytes; meant for few of them."""
        return b"".join(part.read() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Strings:
    """Strings behind 32-bit lengths, with 64-bit ones in front of them."""

    stored: Joined

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield each string with its length."""
        data = self.stored.read()
        at = 0
        while at < len(data):
            (length,) = STRING_LENGTH.unpack_from(data, at)
            at += STRING_LENGTH.size
            yield LENGTH.pack(length) + data[at : at + length]
            at += length


@dataclass(frozen=True, slots=True, eq=False)
class Dequantized:
    """What quantized values stand for.

    Attributes:
        stored: The values as they are stored, of uint8, uint16 or float16.
        dtype: The element type that they stand for, float32 or int32.
        minimum: What is added to the product of a stored value and `scale`.
        scale: The distance of two neighbours.
    """

    stored: Tensor
    dtype: DType
    minimum: float
    scale: float

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Work out the values, block by block."""
        import numpy as np

        dtype = self.dtype.numpy()
        with np.errstate(all="ignore"):
            for values in arrays(self.stored, max(1, limit // 8)):
                yield memoryview(self._values(values).astype(dtype).tobytes())

    def _values(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        import numpy as np

        values = stored.astype(np.float64)
        if self.stored.dtype is not DType.FLOAT16:
            values = values * self.scale + self.minimum
        return np.floor(values + 0.5) if self.dtype is DType.INT32 else values


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight of a manifest.

    Attributes:
        name: Its name.
        tensor: Its values; quantized ones are what they stand for.
        group: What the weight is marked as ("optimizer"), or "".
        quantized: The element type that it is stored as, or "".
    """

    name: str
    tensor: Tensor
    group: str = ""
    quantized: str = ""


@dataclass(slots=True)
class Contents:
    """What a manifest tells of.

    Attributes:
        weights: The weights, in its order.
        odd: What is strange and does no harm.
    """

    weights: list[Stored] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


def read_manifest(groups: Any, path: str, salvage: bool = False) -> Contents:
    """Describe the weights of a manifest; the files are looked at, and the lengths of strings read.

    Args:
        groups: The manifest.
        path: The file that holds it; the shards lie in its folder or below.
        salvage: Whether weights that are not there whole are described as damaged ones instead.

    Raises:
        CorruptFileError: The manifest is none, a shard is missing or too short, or leads out of the folder.
        UnsupportedFeatureError: An element type is not known.
    """
    found = Contents()
    if not is_manifest(groups):
        raise CorruptFileError("the manifest is no list of groups of paths and weights", path=path)
    for group in groups:
        _Group(path, salvage, _shards(group["paths"], path, salvage), found).read(group["weights"])
    names = [weight.name for weight in found.weights]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise CorruptFileError("two weights have one name", path=path, where=twice)
    return found


def is_manifest(groups: Any) -> bool:
    """Whether a document is a list of groups, each with paths of files and the weights in them."""
    return isinstance(groups, list) and all(
        isinstance(group, Mapping)
        and isinstance(group.get("paths"), list)
        and isinstance(group.get("weights"), list)
        and all(isinstance(name, str) for name in group["paths"])
        and all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in group["weights"])
        for group in groups
    )


def _shards(names: Sequence[str], path: str, salvage: bool) -> Joined:
    parts = []
    for name in names:
        place = os.path.normpath(name)
        if os.path.isabs(name) or place.startswith("..") or "\0" in name or "://" in name:
            raise CorruptFileError("names a shard outside of its own folder", path=path, where=name)
        file = os.path.join(os.path.dirname(path), place)
        if not os.path.isfile(file):
            if salvage:
                break  # what follows stands at a place that nobody knows
            raise CorruptFileError("a shard is missing", path=file, where=f"listed in {path}", cure="copy all shards beside the manifest")
        parts.append(ByteRange.of_file(file))
    return Joined(tuple(parts))


@dataclass(slots=True)
class _Group:
    """Goes through the weights of a group."""

    path: str
    salvage: bool
    stored: Joined
    found: Contents
    at: int = 0

    def read(self, entries: Sequence[Mapping[str, Any]]) -> None:
        damaged = False
        for entry in entries:
            try:
                self.found.weights.append(self._weight(entry))
            except FormatError as error:  # noqa: PERF203  # what is damaged is said of each weight
                if not self.salvage:
                    raise offering_salvage(error) from error
                damaged = True
                self.at = self.stored.length + 1  # nothing behind it is where it should be
                self.found.weights.append(Stored(entry["name"], damaged_tensor(DType.OPAQUE, (0,), error)))
        rest = self.stored.length - self.at
        if rest > 0 and not damaged:
            shards = ", ".join(os.path.basename(part.path) for part in self.stored.parts)
            self.found.odd.append(f"{shards}: {rest} bytes behind the last weight belong to none")

    def _weight(self, entry: Mapping[str, Any]) -> Stored:
        name, shape = entry["name"], self._shape(entry)
        dtype = self._dtype(STORED, entry.get("dtype"), name)
        group = str(entry.get("group") or "")
        if "quantization" not in entry:
            return Stored(name, self._tensor(name, dtype, shape), group)
        rule = entry["quantization"]
        if not isinstance(rule, Mapping):
            raise CorruptFileError("its quantization is no rule", path=self.path, where=name)
        stored = self._tensor(name, self._dtype(QUANTIZED, rule.get("dtype"), name), shape)
        minimum, scale = rule.get("min", 0.0), rule.get("scale", 1.0)
        if not all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in (minimum, scale)):
            raise CorruptFileError("its quantization has no numbers", path=self.path, where=name)
        if stored.dtype is not DType.FLOAT16 and not {"min", "scale"} <= rule.keys():
            raise CorruptFileError("its quantization lacks min and scale", path=self.path, where=name)
        if dtype is not DType.FLOAT32 and (dtype is not DType.INT32 or stored.dtype is DType.FLOAT16):
            raise UnsupportedFeatureError(f"weights of {dtype.value} are not quantized as {stored.dtype.value}", path=self.path, where=name)
        return Stored(name, Tensor(dtype, shape, Dequantized(stored, dtype, float(minimum), float(scale))), group, stored.dtype.value)

    def _shape(self, entry: Mapping[str, Any]) -> Shape:
        shape = entry.get("shape")
        known = isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape)
        if not isinstance(shape, list) or not known or len(shape) > MAX_RANK:
            raise CorruptFileError(f"{str(shape)[:60]} is not a shape", path=self.path, where=entry["name"])
        return tuple(shape)

    def _dtype(self, known: Mapping[str, DType], name: Any, weight: str) -> DType:
        if not isinstance(name, str) or name not in known:
            raise UnsupportedFeatureError(f"elements of type {str(name)[:60]} are none of TensorFlow.js", path=self.path, where=weight)
        return known[name]

    def _tensor(self, name: str, dtype: DType, shape: Shape) -> Tensor:
        if dtype is DType.STRING:
            return self._strings(name, shape)
        size = math.prod(shape) * (dtype.itemsize or 0)
        self._check(name, size)
        found = self.stored.slice(self.at, size)
        self.at += size
        return Tensor(dtype, shape, found.parts[0] if len(found.parts) == 1 else found)

    def _strings(self, name: str, shape: Shape) -> Tensor:
        start = self.at
        self._check(name, math.prod(shape) * STRING_LENGTH.size)
        window, begin = b"", start
        for _ in range(math.prod(shape)):
            self._check(name, STRING_LENGTH.size)
            if self.at + STRING_LENGTH.size > begin + len(window):
                window, begin = self.stored.slice(self.at, WINDOW).read(), self.at
            (length,) = STRING_LENGTH.unpack_from(window, self.at - begin)
            self._check(name, STRING_LENGTH.size + length)
            self.at += STRING_LENGTH.size + length
        return Tensor(DType.STRING, shape, Strings(self.stored.slice(start, self.at - start)))

    def _check(self, name: str, size: int) -> None:
        """That so many bytes are there.

        Raises:
            CorruptFileError: They are not.
        """
        if self.at + size <= self.stored.length:
            return
        files = (
            ", ".join(f"{os.path.basename(part.path)} ({part.length:,} bytes)" for part in self.stored.parts) or "no shard that is there"
        )
        raise CorruptFileError(
            f"needs {size:,} bytes at {self.at:,}, beyond the end of {files}", path=self.path, where=name, cure="fetch the shards again"
        )
