from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.tensor_bundle import read_bundle, slice_key
from tests.storage import tables
from tests.storage.tables import entry, message, shape


def bundle(tmp_path: Path, entries: list[tuple[bytes, bytes]], data: bytes) -> str:
    return tables.bundle(str(tmp_path / "ck"), entries, data)


def test_slice_keys_as_tensorflow_wrote_them() -> None:
    """Bytes seen in a checkpoint of TensorFlow 2.21: variable pv, rows and columns 0 to 3."""
    assert slice_key(b"pv", ((0, 3), (0, 3))) == b"\0pv\0\1" + bytes.fromhex("0102 8083 8083")
    assert slice_key(b"a\0b\xff", ()) == b"\0a\0\xffb\xff\0\0\1\0"
    assert slice_key(b"v", ((64, -1),)) == b"\0v\0\1\1\1" + bytes.fromhex("c040 7f")


def test_tensors_lie_where_the_index_says(tmp_path: Path) -> None:
    numbers = np.arange(6, dtype="<f4").tobytes()
    flag = b"\1"
    prefix = bundle(
        tmp_path, [(b"w", entry(1, (2, 3), numbers, 4)), (b"b", entry(10, (), flag, 2)), (b"none", entry(9, (0, 4), b""))], b"...."
    )
    Path(f"{prefix}.data-00000-of-00001").write_bytes(b"..\1." + numbers)
    found = read_bundle(prefix)
    assert list(found) == ["b", "none", "w"]
    assert found["w"].read().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].read().item() is True
    assert (found["none"].shape, found["none"].read().size) == ((0, 4), 0)
    place = found["w"].byte_range
    assert place is not None
    assert (place.offset, place.length) == (4, 24)


def test_a_wrong_checksum_is_noticed_when_the_tensor_is_read(tmp_path: Path) -> None:
    data = np.array([1, 2], "float32").tobytes()
    prefix = bundle(tmp_path, [(b"good", entry(1, (2,), data)), (b"bad", entry(1, (2,), data, crc=1))], data)
    found = read_bundle(prefix)
    assert found["good"].read().tolist() == [1, 2]
    with pytest.raises(CorruptFileError, match=r"checksum is wrong \(bad\)"):
        found["bad"].read()


def test_strings(tmp_path: Path) -> None:
    data, crc = tables.strings([b"", b"hello", b"\xff" * 200])
    found = read_bundle(bundle(tmp_path, [(b"s", entry(7, (3,), data, crc=crc))], data))
    assert found["s"].read().tolist() == [b"", b"hello", b"\xff" * 200]


@pytest.mark.parametrize("at", [0, 2, 5, 8])
def test_damaged_strings(tmp_path: Path, at: int) -> None:
    data, crc = tables.strings([b"a", b"hello"])
    broken = bytearray(data)
    broken[at] ^= 1
    found = read_bundle(bundle(tmp_path, [(b"s", entry(7, (2,), data, crc=crc))], bytes(broken)))
    with pytest.raises(CorruptFileError):
        found["s"].read()


def _partitioned(
    pieces: Sequence[tuple[tuple[tuple[int, int], ...], Any]], sizes: tuple[int, ...]
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    slices = b"".join(message((7, message(*((1, _extent(*extent)) for extent in extents)))) for extents, _ in pieces)
    entries = [(b"v", message((1, 1), (2, shape(*sizes))) + slices)]
    data = b""
    for extents, values in pieces:
        raw = values.astype("<f4").tobytes()
        entries.append((slice_key(b"v", extents), entry(1, values.shape, raw, len(data))))
        data += raw
    return entries, data


def _extent(start: int, length: int) -> bytes:
    fields: list[tuple[int, int | bytes]] = [(1, start)] if start else []
    return message(*fields, *([(2, length)] if length >= 0 else []))


def test_a_partitioned_variable_is_put_together(tmp_path: Path) -> None:
    whole = np.arange(24, dtype="f4").reshape(4, 6)
    pieces = [(((2, 2), (0, 4)), whole[2:, :4]), (((0, 2), (0, -1)), whole[:2]), (((2, 2), (4, 2)), whole[2:, 4:])]
    entries, data = _partitioned(pieces, (4, 6))
    found = read_bundle(bundle(tmp_path, entries, data))
    assert list(found) == ["v"]
    assert found["v"].read().tolist() == whole.tolist()
    for limit in (4, 7, 24, 40, 1000):
        assert b"".join(bytes(block) for block in found["v"].blocks(limit)) == whole.tobytes(), limit


@pytest.mark.parametrize(
    "pieces",
    [
        [((0, 2),), ((1, 2),)],
        [((0, 2),)],
        [((0, 2),), ((2, 3),)],
    ],
)
def test_slices_that_do_not_tile_are_refused(tmp_path: Path, pieces: list[tuple[tuple[int, int], ...]]) -> None:
    made = [(extents, np.zeros(extents[0][1], "f4")) for extents in pieces]
    entries, data = _partitioned(made, (4,))
    with pytest.raises(CorruptFileError, match="do not tile"):
        read_bundle(bundle(tmp_path, entries, data))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    prefix = bundle(tmp_path, [(b"w", entry(1, (1,), bytes(4)))], bytes(4))
    Path(f"{prefix}.data-00000-of-00001").unlink()
    with pytest.raises(CorruptFileError, match=r"shard is missing \(needed by w\)"):
        read_bundle(prefix)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (entry(1, (3,), bytes(8)), "has 8 bytes where its shape"),
        (entry(1, (2,), bytes(8), offset=4), "lie outside"),
        (entry(99, (2,), bytes(8)), "element type 99"),
        (entry(7, (1000,), bytes(8)), "cannot lie in 8 bytes"),
        (message((1, 1), (2, message((2, message((1, -1)))))), "has the shape"),
        (message((2, b"\xff")), "index record is damaged"),
    ],
)
def test_records_that_contradict_the_data(tmp_path: Path, record: bytes, problem: str) -> None:
    with pytest.raises((CorruptFileError, UnsupportedFeatureError), match=problem):
        read_bundle(bundle(tmp_path, [(b"w", record)], bytes(8)))


def test_an_unknown_byte_order_is_refused(tmp_path: Path) -> None:
    Path(f"{tmp_path}/ck.index").write_bytes(tables.table([(b"", message((1, 1), (2, 2)))]))
    with pytest.raises(UnsupportedFeatureError, match="unknown byte order 2"):
        read_bundle(f"{tmp_path}/ck")
