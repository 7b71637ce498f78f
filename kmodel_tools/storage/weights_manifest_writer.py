"""The weights of TensorFlow.js as they are written; `weights_manifest` draws the layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from kmodel_tools.elements import arrays
from kmodel_tools.errors import ConversionError
from kmodel_tools.storage.weights_manifest import QUANTIZED, STRING_LENGTH
from kmodel_tools.tensor import Buffer, DType, Tensor

WRITTEN = frozenset({DType.FLOAT32, DType.INT32, DType.BOOL, DType.COMPLEX64, DType.STRING})
"""Those that a tensor of TensorFlow.js can have; the others are stored as what they stand for."""
_BEYOND_FLOAT16 = 65520.0
"""What rounds to infinity there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A weight as it is written: what the manifest says of it, and its stored bytes.

    Attributes:
        said: Name, shape, element type and the rule of quantization.
        size: Its stored bytes, counted.
        tensor: Its values.
        quantized: The element type that they are stored as, or None.
    """

    said: Mapping[str, Any]
    size: int
    tensor: Tensor
    quantized: DType | None = None

    def blocks(self) -> Iterator[Buffer]:
        """Yield the stored bytes."""
        if self.tensor.dtype is DType.STRING:
            yield b"".join(STRING_LENGTH.pack(len(value)) + value for value in self.tensor.strings())
        elif self.quantized is None:
            yield from self.tensor.blocks()
        else:
            yield from self._quantized(self.quantized)

    def _quantized(self, dtype: DType) -> Iterator[Buffer]:
        import numpy as np

        rule = self.said["quantization"]
        for values in arrays(self.tensor):
            doubles = values.astype(np.float64)
            if dtype is not DType.FLOAT16:
                doubles = np.clip(np.round((doubles - rule["min"]) / rule["scale"]), 0, _levels(dtype))
            yield memoryview(doubles.astype(dtype.numpy()).tobytes())


def entry_of(name: str, tensor: Tensor, quantize: str | None = None) -> Entry:
    """What is written of a weight.

    Args:
        name: Its name.
        tensor: Its values.
        quantize: `uint8`, `uint16` or `float16`, as which floats are stored.

    Raises:
        ConversionError: TensorFlow.js has no such elements, or they have no value that can be quantized.
    """
    dtype = tensor.dtype
    if dtype not in WRITTEN:
        raise ConversionError(
            f"TensorFlow.js has no weights of {dtype.value} ({name})",
            cure="write them as others: --dtype float32" if dtype.is_float else None,
        )
    said: dict[str, Any] = {"name": name, "shape": list(tensor.shape), "dtype": dtype.value}
    if dtype is DType.STRING:
        return Entry(said, sum(STRING_LENGTH.size + len(value) for value in tensor.strings()), tensor)
    if quantize is None or dtype is not DType.FLOAT32:
        return Entry(said, tensor.nbytes, tensor)
    stored = QUANTIZED[quantize]
    low, high = _ends(name, tensor)
    if stored is not DType.FLOAT16:
        scale = (high - low) / _levels(stored) or 1.0
        # A zero stays one: many are, where a layer has no bias or was pruned.
        low = -round(-low / scale) * scale if low <= 0 <= high else low
        said["quantization"] = {"dtype": quantize, "min": low, "scale": scale}
    elif max(abs(low), abs(high)) >= _BEYOND_FLOAT16:
        raise ConversionError(f"{name} holds values that are infinite in float16")
    else:
        said["quantization"] = {"dtype": quantize}
    return Entry(said, tensor.size * (stored.itemsize or 0), tensor, stored)


def _levels(dtype: DType) -> int:
    return 255 if dtype is DType.UINT8 else 65535


def _ends(name: str, tensor: Tensor) -> tuple[float, float]:
    """The least and the greatest value; zeros where there is none."""
    import numpy as np

    ends = [(float(values.min()), float(values.max())) for values in arrays(tensor) if values.size]
    low, high = min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ConversionError(f"{name} holds values that are no numbers, which are not quantized")
    return low, high


def shard_sizes(total: int, limit: int) -> list[int]:
    """The bytes of each shard: full ones, and what is left; one at least."""
    return [min(limit, total - start) for start in range(0, total, limit)] or [0]


def write_shards(entries: Sequence[Entry], files: Sequence[IO[bytes]], limit: int) -> None:
    """Write the weights one behind the other, `limit` bytes in each file."""
    number = room = 0
    for entry in entries:
        for block in entry.blocks():
            view = memoryview(block).cast("B")
            while len(view):
                if not room:
                    file, room = files[number], limit
                    number += 1
                file.write(view[:room])
                room, view = room - min(room, len(view)), view[room:]
