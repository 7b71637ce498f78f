"""One tensor of a checkpoint is damaged: it is named, and the others stay readable on request."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from kmodel_tools.damaged import damage_of
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.tensor_bundle import read_bundle
from kmodel_tools.tensor import DType
from tests.storage import tables
from tests.storage.tables import entry, message, shape, varint

DATA = np.array([1.5, -2], "<f4").tobytes()
GOOD = (b"good", entry(1, (2,), DATA))
SLICES = message((7, message((1, message((2, 1))))), (7, message((1, message((1, 1), (2, 1))))))
UNREADABLE = {
    "missing shard": (entry(1, (2,), DATA, shard=1), "a data shard is missing", DType.FLOAT32, (2,)),
    "shard of another world": (entry(1, (2,), DATA, shard=-1), "a data shard is missing", DType.FLOAT32, (2,)),
    "beyond the data": (entry(1, (2,), DATA, offset=1), "lie outside of the 8 bytes", DType.FLOAT32, (2,)),
    "negative offset": (entry(1, (2,), DATA, offset=-8), "lie outside of the 8 bytes", DType.FLOAT32, (2,)),
    "wrong size": (entry(1, (3,), DATA), "has 8 bytes where its shape", DType.FLOAT32, (3,)),
    "size beyond measure": (entry(1, (1 << 40, 1 << 40), DATA), "has 8 bytes where its shape", DType.FLOAT32, (1 << 40, 1 << 40)),
    "unknown dtype": (entry(77, (2,), DATA), "element type 77", DType.OPAQUE, (2,)),
    "missing slice": (message((1, 1), (2, shape(2))) + SLICES, "a slice of a partitioned variable is missing", DType.FLOAT32, (2,)),
    "negative shape": (message((1, 1), (2, message((2, message((1, -1)))))), "has the shape", DType.OPAQUE, (0,)),
    "enormous rank": (message((1, 1), (2, shape(*[1] * 300))), "a shape has 300 dimensions", DType.OPAQUE, (0,)),
    "no record": (message((2, b"\xff")), "index record is damaged", DType.OPAQUE, (0,)),
    "too many strings": (entry(7, (9,), DATA), "9 strings cannot lie in 8 bytes", DType.STRING, (9,)),
    "strings in slices": (message((1, 7), (2, shape(2))) + SLICES, "a partitioned tensor of strings", DType.STRING, (2,)),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_tensor_that_cannot_be_described(kind: str, tmp_path: Path) -> None:
    record, problem, dtype, sizes = UNREADABLE[kind]
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"bad", record), GOOD], DATA)
    with pytest.raises(FormatError, match=problem) as caught:
        read_bundle(prefix)
    assert (caught.value.path or "").startswith(prefix), "the file is named"
    assert "bad" in (caught.value.where or ""), "the tensor is named"
    assert "--salvage" in (caught.value.cure or "")
    found = read_bundle(prefix, salvage=True)
    assert list(found) == ["bad", "good"]
    assert found["good"].read().tolist() == [1.5, -2]
    assert (found["bad"].dtype, found["bad"].shape) == (dtype, sizes)
    damage = damage_of(found["bad"])
    assert damage is not None
    assert problem in str(damage)
    for _ in range(2):
        with pytest.raises(type(damage), match=problem):
            found["bad"].read()
        with pytest.raises(type(damage), match=problem):
            list(found["bad"].blocks())
    assert damage_of(found["good"]) is None


def test_a_wrong_checksum_is_no_obstacle_to_describing(tmp_path: Path) -> None:
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"bad", entry(1, (2,), DATA, crc=7)), GOOD], DATA)
    for salvage in (False, True):
        found = read_bundle(prefix, salvage)
        assert damage_of(found["bad"]) is None
        with pytest.raises(CorruptFileError, match=r"data-00000-of-00001: a tensor's checksum is wrong \(bad\); .*--salvage"):
            found["bad"].read()


def test_pieces_of_another_type_are_refused(tmp_path: Path) -> None:
    from kmodel_tools.storage.tensor_bundle import slice_key

    entries = [(b"v", message((1, 1), (2, shape(2))) + SLICES), (slice_key(b"v", ((0, 1),)), entry(1, (1,), DATA[:4]))]
    entries.append((slice_key(b"v", ((1, 1),)), entry(2, (1,), DATA)))
    with pytest.raises(CorruptFileError, match=r"a slice is float64 \(1,\) instead of float32 \(1,\)"):
        read_bundle(tables.bundle(str(tmp_path / "ck"), entries, DATA))


def variants(*messages: bytes) -> tuple[bytes, int]:
    """The bytes of a tensor of variants, and its masked checksum."""
    data, crc = b"", 0
    for item in messages:
        crc = crc32c(item, crc32c(struct.pack("<Q", len(item)), crc))
        check = struct.pack("<I", mask(crc))
        crc = crc32c(check, crc)
        data += varint(len(item)) + item + check
    return data, mask(crc)


def test_variants_have_checksums_of_their_own(tmp_path: Path) -> None:
    """`tests/frameworks/test_damage.py` reads one that TensorFlow wrote."""
    data, crc = variants(b"one", b"", b"three" * 40)
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"v", entry(21, (3,), data, crc=crc))], data)
    assert b"".join(bytes(block) for block in read_bundle(prefix)["v"].blocks()) == data
    with pytest.raises(UnsupportedFeatureError, match="opaque"):
        read_bundle(prefix)["v"].read()
    shard = Path(f"{prefix}.data-00000-of-00001")
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1
        shard.write_bytes(broken)
        with pytest.raises(CorruptFileError, match=r"variants is damaged|checksum is wrong"):
            list(read_bundle(prefix)["v"].blocks())
    entries = [(b"v", entry(21, (3,), data, crc=crc ^ 1))]
    with pytest.raises(CorruptFileError, match="checksum is wrong"):
        list(read_bundle(tables.bundle(prefix, entries, data))["v"].blocks())
