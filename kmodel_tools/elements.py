"""The elements of a tensor some at a time, whatever blocks its source yields: a block may end inside of an element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import Buffer, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

ELEMENTS = 1 << 16
"""Elements at a time, unless the caller says otherwise; a few arrays of them, at 8 bytes each, stay in the processor's cache."""


def arrays(tensor: Tensor, elements: int = ELEMENTS) -> Iterator[npt.NDArray[Any]]:
    """The elements of a tensor in C order, `elements` at a time whatever blocks its source yields; valid until the next.

    Raises:
        CorruptFileError: The source delivers more or fewer bytes than the shape needs.
    """
    import numpy as np

    dtype = tensor.dtype.numpy()
    for chunk in chunks(tensor, elements * dtype.itemsize):
        yield np.frombuffer(chunk, dtype=dtype)


def chunks(tensor: Tensor, size: int) -> Iterator[bytes | bytearray | memoryview]:
    """The canonical bytes of a tensor of fixed-size elements, exactly `size` at a time but for the last.

    Raises:
        CorruptFileError: The source delivers more or fewer bytes than the shape needs.
    """
    pending = bytearray()
    done = 0
    expected = None if tensor.dtype.itemsize is None else tensor.nbytes
    for block in tensor.blocks(size):
        view = memoryview(block).cast("B")
        done += len(view)
        if expected is not None and done > expected:
            raise CorruptFileError(f"holds more than the {expected} bytes of its shape {tensor.shape}")
        if not pending and len(view) == size:
            yield view
            continue
        pending += view
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if expected is not None and done != expected:
        raise CorruptFileError(f"holds {done} bytes where its shape {tensor.shape} needs {expected}")
    if pending:
        yield bytes(pending)


def in_other_order(block: Buffer, word: int) -> bytearray:
    """Bytes of whole words, each the other way round: numbers that a machine of the other endianness wrote."""
    found = bytearray(len(block))
    for at in range(word):
        found[at::word] = block[word - 1 - at :: word]
    return found
