from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from kmodel_tools.errors import CorruptFileError
from kmodel_tools.storage.checkpoint_v1 import is_v1, read_v1
from kmodel_tools.storage.tensor_bundle import slice_key
from kmodel_tools.tensor import ByteRange
from tests.conftest import SAMPLES
from tests.storage import tables
from tests.storage.tables import message, shape

ROWS = ((0, 1), (0, -1)), ((1, 2), (0, -1))


def _extents(extents: tuple[tuple[int, int], ...]) -> bytes:
    return message(*((1, message(*([(1, start)] if start else []), *([(2, length)] if length >= 0 else []))) for start, length in extents))


def checkpoint(path: Path, present: int = 2) -> Path:
    """A V1 checkpoint of one 3×2 variable in two slices, of which `present` are there."""
    whole = np.arange(6, dtype="<f4").reshape(3, 2)
    meta = message((1, b"w"), (2, shape(3, 2)), (3, 1), *((4, _extents(extents)) for extents in ROWS))
    entries = [(b"", message((1, message((1, meta)))))]
    for extents, values in list(zip(ROWS, (whole[:1], whole[1:]), strict=True))[:present]:
        proto = message((5, struct.pack(f"<{values.size}f", *values.ravel())))
        entries.append((slice_key(b"w", extents), message((2, message((1, b"w"), (2, _extents(extents)), (3, proto))))))
    path.write_bytes(tables.table(sorted(entries)))
    return path


def test_slices_are_put_together(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "m.ckpt")
    assert is_v1(ByteRange.of_file(path))
    assert read_v1(str(path))["w"].read().tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_slice_that_is_not_there(tmp_path: Path) -> None:
    tensors = read_v1(str(checkpoint(tmp_path / "m.ckpt", present=1)))
    with pytest.raises(CorruptFileError, match="listed and not there"):
        tensors["w"].read()


def test_the_sample_that_tensorflow_wrote() -> None:
    tensors = read_v1(str(SAMPLES / "tf_checkpoint" / "tensorflow-0.ckpt"))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"conv1/biases": (4,), "conv1/weights": (3, 3, 1, 4)}
    assert not is_v1(ByteRange.of_file(SAMPLES / "tf_checkpoint" / "tensorflow-1-1.index"))
