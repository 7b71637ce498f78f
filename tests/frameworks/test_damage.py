"""TensorFlow as the judge of damaged and of big-endian checkpoints: it refuses what is called damaged here, and reads the rest alike."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.damaged import damage_of
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.tensor_bundle import read_bundle
from tests.storage import tables
from tests.storage.tables import entry
from tests.storage.test_byte_order import BIG, NUMBERS, TEXTS, big_endian, swapped, values
from tests.storage.test_damaged_bundle import UNREADABLE

tf = pytest.importorskip("tensorflow")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

UNSWAPPED = frozenset({"float8_e5m2", "float8_e4m3fn", "int4"})
"""Types of one byte that TensorFlow refuses to swap although nothing is to be done."""


def judged(prefix: str, key: str) -> Any:
    """What TensorFlow reads, or its error."""
    try:
        return tf.train.load_checkpoint(prefix).get_tensor(key)
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError, NotImplementedError) as error:
        return error


def ours(tensor: kmt.Tensor) -> Any:
    """What is read here, or the error."""
    try:
        return tensor.read()
    except kmt.FormatError as error:
        return error


def agree(prefix: str) -> tuple[set[str], set[str]]:
    """Assert that TensorFlow and this package read, or refuse, the same tensors; return (read, refused)."""
    read, refused = set(), set()
    for key, tensor in read_bundle(prefix, salvage=True).items():
        theirs, mine = judged(prefix, key), ours(tensor)
        assert isinstance(theirs, Exception) == isinstance(mine, Exception), (key, theirs, mine)
        if isinstance(mine, Exception):
            refused.add(key)
        else:
            read.add(key)
            if tensor.dtype.value == "string":
                assert tensor.strings() == np.asarray(theirs).ravel().tolist()
            else:
                assert np.asarray(theirs).tobytes() == mine.tobytes(), key
    return read, refused


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of TensorFlow's own: numbers of several types, strings, a partitioned variable."""
    prefix = str(tmp_path_factory.mktemp("written") / "ck")
    chance = np.random.default_rng(1)
    named: dict[str, Any] = {
        "f": tf.constant(chance.normal(size=(5, 7)).astype("f4")),
        "i": tf.constant(np.arange(9, dtype="i8")),
        "h": tf.constant(chance.normal(size=6).astype("f2")),
        "c": tf.constant((1 + 2j) * np.arange(3)),
        "t": tf.constant(["", "abc", "x" * 200]),
        "e": tf.zeros((0, 3)),
    }
    halves = chance.normal(size=(4, 3)).astype("f4")
    names = [*named, "p", "p"]
    slices = [""] * len(named) + ["4 3 0,1:-", "4 3 1,3:-"]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=slices, tensors=[*named.values(), halves[:1], halves[1:]])
    return prefix


def copied(prefix: str, folder: Path) -> Path:
    for path in Path(prefix).parent.glob("ck.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / "ck"


def test_one_that_is_whole(written: str) -> None:
    read, refused = agree(written)
    assert read == {"f", "i", "h", "c", "t", "e", "p"}
    assert not refused
    assert kmt.verify(written).whole


@pytest.mark.parametrize("seed", range(40))
def test_wrong_bytes_in_a_shard(seed: int, written: str, tmp_path: Path) -> None:
    prefix = copied(written, tmp_path)
    shard = Path(f"{prefix}.data-00000-of-00001")
    chance = random.Random(seed)
    data = bytearray(shard.read_bytes())
    for _ in range(chance.choice((1, 1, 3))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    shard.write_bytes(data)
    read, refused = agree(str(prefix))
    assert 1 <= len(refused) <= 3
    assert {damage.key for damage in kmt.verify(str(prefix)).damages} == refused
    assert {"e"} <= read


@pytest.mark.parametrize("part", [0.1, 0.5, 0.8, 0.99])
def test_a_shard_cut_short(part: float, written: str, tmp_path: Path) -> None:
    """But for an empty tensor behind the end, of which TensorFlow reads nothing."""
    prefix = copied(written, tmp_path)
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = shard.read_bytes()
    shard.write_bytes(data[: int(part * len(data))])
    for key, tensor in read_bundle(str(prefix), salvage=True).items():
        theirs, mine = judged(str(prefix), key), ours(tensor)
        assert isinstance(theirs, Exception) == isinstance(mine, Exception) or key == "e", (key, theirs, mine)
        if not isinstance(mine, Exception) and key != "t":
            assert np.asarray(theirs).tobytes() == mine.tobytes()


def test_a_missing_shard(written: str, tmp_path: Path) -> None:
    prefix = copied(written, tmp_path)
    Path(f"{prefix}.data-00000-of-00001").unlink()
    _, refused = agree(str(prefix))
    assert len(refused) == 7


ABORTS = frozenset({"size beyond measure", "unknown dtype", "negative shape", "enormous rank", "no record"})
"""Entries at which TensorFlow 2.21 aborts the process, as soon as it opens the checkpoint."""


@pytest.mark.parametrize("kind", [kind for kind in UNREADABLE if kind not in ABORTS])
def test_entries_that_contradict_the_data(kind: str, tmp_path: Path) -> None:
    data = np.array([1.5, -2], "<f4").tobytes()
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"bad", UNREADABLE[kind][0]), (b"good", entry(1, (2,), data))], data)
    assert agree(prefix) == ({"good"}, {"bad"})


def test_a_big_endian_checkpoint(tmp_path: Path) -> None:
    """TensorFlow swaps what the test's own writer wrote back to the same values, and so do we."""
    known = [dtype for dtype in NUMBERS if dtype not in UNSWAPPED]
    prefix = big_endian(str(tmp_path / "ck"), known)
    read, refused = agree(prefix)
    assert read == {*known, "text"}
    assert not refused
    for dtype in known:
        assert np.asarray(judged(prefix, dtype)).tobytes() == values(dtype).tobytes()
    assert judged(prefix, "text").tolist() == TEXTS


def test_bytes_that_tensorflow_does_not_swap(tmp_path: Path) -> None:
    prefix = big_endian(str(tmp_path / "ck"), sorted(UNSWAPPED))
    for dtype in UNSWAPPED:
        assert isinstance(judged(prefix, dtype), Exception)
        assert read_bundle(prefix)[dtype].read().tobytes() == values(dtype).tobytes()


@pytest.mark.parametrize("at", [0, 30, 90, 120])
def test_checksums_of_a_big_endian_checkpoint(at: int, tmp_path: Path) -> None:
    prefix = big_endian(str(tmp_path / "ck"), ["float32", "int64"])
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[at] ^= 1
    shard.write_bytes(data)
    _, refused = agree(prefix)
    assert len(refused) == 1


def test_checksums_are_over_the_stored_bytes(tmp_path: Path) -> None:
    stored = swapped(values("float32"))
    record = entry(1, (7,), stored, crc=mask(crc32c(values("float32").tobytes())))
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"w", record)], stored, BIG)
    _, refused = agree(prefix)
    assert refused == {"w"}


def test_variants_that_tensorflow_wrote(tmp_path: Path) -> None:
    """Lists of tensors: shown as bytes, and their own kind of checksum is compared."""
    prefix = str(tmp_path / "ck")
    variant = tf.raw_ops.TensorListFromTensor(tensor=tf.constant([[1.0, 2.0], [3.0, 4.0]]), element_shape=tf.constant([2]))
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=["v", "w"], shape_and_slices=["", ""], tensors=[tf.stack([variant, variant]), tf.constant([1, 2])]
    )
    found = read_bundle(prefix)
    assert (found["v"].dtype.value, found["v"].shape) == ("opaque", (2,))
    assert b"tensorflow::TensorList" in b"".join(bytes(block) for block in found["v"].blocks())
    assert kmt.verify(prefix).whole
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[10] ^= 1
    shard.write_bytes(data)
    assert [damage.key for damage in kmt.verify(prefix).damages] == ["v"]
    with pytest.raises(tf.errors.OpError):
        tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=["v"], shape_and_slices=[""], dtypes=[tf.variant])
    assert judged(prefix, "w").tolist() == [1, 2]
    assert damage_of(found["v"]) is None
