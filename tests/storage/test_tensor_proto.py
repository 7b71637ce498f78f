from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.tensor_proto import canonical_bytes
from kmodel_tools.tensor import DType
from tests.storage.tables import message, varint


def packed(*values: int) -> bytes:
    return b"".join(varint(value) for value in values)


@pytest.mark.parametrize(
    ("dtype", "data", "expected"),
    [
        (DType.FLOAT32, message((5, struct.pack("<3f", 1, 2, 3))), np.array([1, 2, 3], "float32")),
        (DType.FLOAT64, message((6, struct.pack("<3d", 1, 2, 3))), np.array([1, 2, 3], "float64")),
        (DType.INT32, message((7, packed(1, -2, 3))), np.array([1, -2, 3], "int32")),
        (DType.INT8, message((7, packed(1, -2, 3))), np.array([1, -2, 3], "int8")),
        (DType.UINT8, message((7, packed(1, 2, 255))), np.array([1, 2, 255], "uint8")),
        (DType.INT64, message((10, packed(1, -2, 2**62))), np.array([1, -2, 2**62], "int64")),
        (DType.BOOL, message((11, packed(1, 0, 1))), np.array([1, 0, 1], "bool")),
        (DType.FLOAT16, message((13, packed(0x3C00, 0x4000, 0x4200))), np.array([1, 2, 3], "float16")),
        (DType.COMPLEX64, message((9, struct.pack("<6f", 1, 2, 3, 4, 5, 6))), np.array([1 + 2j, 3 + 4j, 5 + 6j], "complex64")),
        (DType.UINT64, message((17, packed(1, 2, 2**64 - 1))), np.array([1, 2, 2**64 - 1], "uint64")),
        (DType.INT16, message((4, struct.pack("<3h", 1, -2, 3))), np.array([1, -2, 3], "int16")),
    ],
)
def test_values_of_every_kind(dtype: DType, data: bytes, expected: npt.NDArray[Any]) -> None:
    assert canonical_bytes(memoryview(data), dtype, (3,)) == expected.tobytes()


def test_the_last_value_repeats_and_none_are_zeros() -> None:
    assert canonical_bytes(memoryview(message((5, struct.pack("<f", 7)))), DType.FLOAT32, (2, 2)) == np.array([7] * 4, "float32").tobytes()
    assert canonical_bytes(memoryview(b""), DType.INT64, (2,)) == bytes(16)
    assert canonical_bytes(memoryview(message((7, 3))), DType.INT32, (2,)) == np.array([3, 3], "int32").tobytes()


def test_strings() -> None:
    assert canonical_bytes(memoryview(message((8, b"a"), (8, b"bc"))), DType.STRING, (2,)) == b"\1" + bytes(7) + b"a\2" + bytes(7) + b"bc"


@pytest.mark.parametrize("data", [message((5, bytes(12))), message((5, bytes(3))), message((8, b"a"), (8, b"b"), (8, b"c"))])
def test_more_than_the_shape_has_room_for(data: bytes) -> None:
    dtype = DType.STRING if data[0] >> 3 == 8 else DType.FLOAT32
    with pytest.raises(WireError):
        canonical_bytes(memoryview(data), dtype, (2,))
