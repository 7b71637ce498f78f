"""Bundles of big-endian machines, written by hand as TensorFlow's source says.

`tests/frameworks/test_damage.py` has TensorFlow judge them.
"""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from kmodel_tools.damaged import damage_of
from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.tensor_bundle import read_bundle
from kmodel_tools.tensor import DType
from tests.storage import tables
from tests.storage.tables import entry, message

BIG = message((1, 1), (2, 1), (3, message((1, 1))))
NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
    "float8_e5m2": 24,
    "float8_e4m3fn": 25,
    "int4": 29,
}
TEXTS = [b"", b"hello", b"\xff" * 300]


def values(dtype: str) -> np.ndarray:
    """Seven values, no two of which have the same bytes in another order."""
    kind = np.dtype(getattr(ml_dtypes, dtype) if hasattr(ml_dtypes, dtype) else dtype)
    plain = np.array([0, 1, 0, 1, 1, 0, 1] if dtype == "bool" else [0, 1, 2, 3, 4, 5, 6])
    if kind.kind == "c":
        return (plain * (1.25 + 0.5j)).astype(kind)
    return plain.astype(kind)


def swapped(array: np.ndarray) -> bytes:
    """The bytes of an array on a big-endian machine: each number the other way round, each part of a complex one by itself."""
    word = array.dtype.itemsize // 2 if array.dtype.kind == "c" else array.dtype.itemsize
    raw = np.frombuffer(array.tobytes(), "u1").reshape(-1, word)
    return raw[:, ::-1].tobytes()


def big_endian(prefix: str, dtypes: list[str]) -> str:
    data, entries = b"", []
    for dtype in dtypes:
        raw = swapped(values(dtype))
        entries.append((dtype.encode(), entry(NUMBERS[dtype], (7,), raw, len(data))))
        data += raw
    raw, crc = tables.strings(TEXTS, "big")
    entries.append((b"text", entry(7, (3,), raw, len(data), crc=crc)))
    return tables.bundle(prefix, entries, data + raw, BIG)


def test_every_type_of_a_big_endian_machine(tmp_path: Path) -> None:
    found = read_bundle(big_endian(str(tmp_path / "ck"), list(NUMBERS)))
    for dtype in NUMBERS:
        assert found[dtype].read().tobytes() == values(dtype).tobytes(), dtype
        for limit in (1, 3, 8, 20):
            assert b"".join(bytes(block) for block in found[dtype].blocks(limit)) == values(dtype).tobytes(), (dtype, limit)
    assert found["text"].strings() == TEXTS
    assert found["float64"].byte_range is None, "the bytes in the file are not the canonical ones"


@pytest.mark.parametrize("at", [0, 9, 200])
def test_a_wrong_byte_is_noticed_in_either_order(tmp_path: Path, at: int) -> None:
    prefix = big_endian(str(tmp_path / "ck"), ["float32", "int64"])
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[at] ^= 1
    shard.write_bytes(data)
    found = read_bundle(prefix)
    name = "float32" if at < 28 else "int64" if at < 84 else "text"
    with pytest.raises(CorruptFileError, match=name):
        found.pop(name).read()
    for tensor in found.values():
        tensor.read()


def test_strings_of_the_other_order_are_told_by_their_checks(tmp_path: Path) -> None:
    raw, crc = tables.strings(TEXTS, "little")
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"text", entry(7, (3,), raw, crc=crc))], raw, BIG)
    with pytest.raises(CorruptFileError, match=r"checksum is wrong \(text\)"):
        read_bundle(prefix)["text"].strings()


def test_a_partitioned_variable_of_a_big_endian_machine(tmp_path: Path) -> None:
    from kmodel_tools.storage.tensor_bundle import slice_key

    whole = np.arange(4, dtype="f4")
    halves = [((0, 2),), ((2, 2),)]
    slices = b"".join(message((7, message((1, message(*(((1, s),) if s else ()), (2, n)))))) for ((s, n),) in halves)
    entries = [(b"v", message((1, 1), (2, tables.shape(4))) + slices)]
    entries += [(slice_key(b"v", extents), entry(1, (2,), swapped(whole[s : s + 2]), s * 4)) for extents in halves for s in [extents[0][0]]]
    prefix = tables.bundle(str(tmp_path / "ck"), entries, swapped(whole), BIG)
    assert read_bundle(prefix)["v"].read().tolist() == [0, 1, 2, 3]


def test_variants_of_a_big_endian_machine_are_left_alone(tmp_path: Path) -> None:
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"v", entry(21, (), b"\0....")), (b"w", entry(6, (1,), b"\7"))], b"\7....", BIG)
    with pytest.raises(UnsupportedFeatureError, match=r"variants of a big-endian machine.*\(v\).*--salvage"):
        read_bundle(prefix)
    found = read_bundle(prefix, salvage=True)
    assert damage_of(found["v"]) is not None
    assert found["v"].dtype is DType.OPAQUE
    assert found["w"].read().tolist() == [7]
