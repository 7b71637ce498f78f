"""Checkpoints that are damaged or forged everywhere: the answer is a tensor, a damage, or an error of ours; soon, and in little memory."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodel_tools.damaged import DAMAGE, damage_of
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.storage.checkpoint_v1 import read_v1
from kmodel_tools.storage.checksum import crc32c, mask
from kmodel_tools.storage.sstable import open_table
from kmodel_tools.storage.tensor_bundle import DTYPES, read_bundle, slice_key
from kmodel_tools.tensor import ByteRange, Tensor
from tests.storage import tables
from tests.storage.tables import entry, fixed32, message, shape, varint

MEMORY = 64 << 20
SECONDS = 30.0


@contextlib.contextmanager
def soon_and_small() -> Iterator[None]:
    """Fail if the block takes longer, or more memory, than anything of its size may."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        yield
        assert time.monotonic() - started < SECONDS
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def drained(tensors: dict[str, Tensor]) -> dict[str, FormatError]:
    """Read everything in every way; what is wrong with each that cannot be read."""
    damages: dict[str, FormatError] = {}
    for key, tensor in tensors.items():
        error = attempt(tensor)
        if error is not None:
            damages[key] = error
    return damages


def attempt(tensor: Tensor) -> FormatError | None:
    try:
        for _ in tensor.blocks(1 << 16):
            pass
        tensor.read()
    except DAMAGE as error:
        return error
    return None


def small(prefix: str) -> str:
    """A checkpoint with a bit of everything."""
    numbers = np.arange(6, dtype="<f4").tobytes()
    text, crc = tables.strings([b"ab", b"", b"xyz"])
    half = message((1, message((2, 1)))), message((1, message((1, 1), (2, 1))))
    entries = [
        (b"a", entry(1, (2, 3), numbers)),
        (b"none", entry(9, (0, 4), b"", 24)),
        (b"text", entry(7, (3,), text, 24, crc=crc)),
        (b"v", message((1, 3), (2, shape(2)), *((7, part) for part in half))),
    ]
    words = [struct.pack("<i", value) for value in (7, -7)]
    base = 24 + len(text)
    entries += [(slice_key(b"v", ((n, 1),)), entry(3, (1,), word, base + 4 * n)) for n, word in enumerate(words)]
    return tables.bundle(prefix, entries, numbers + text + b"".join(words))


EXPECTED = {"a": [[0, 1, 2], [3, 4, 5]], "none": [], "text": [b"ab", b"", b"xyz"], "v": [7, -7]}


def test_the_whole_one_is_read(tmp_path: Path) -> None:
    found = read_bundle(small(str(tmp_path / "ck")))
    assert {key: tensor.read().tolist() for key, tensor in found.items()} == EXPECTED


def test_every_byte_of_the_index_flipped(tmp_path: Path) -> None:
    """A block's checksum, or the layout of the footer, catches it; what nobody reads (metaindex, padding) does no harm."""
    prefix = small(str(tmp_path / "ck"))
    index = Path(f"{prefix}.index")
    data = index.read_bytes()
    unread = 0
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        index.write_bytes(broken)
        for salvage in (False, True):
            answer = tensors_or_error(prefix, salvage)
            if isinstance(answer, FormatError):
                assert answer.path == str(index), at
            else:
                unread += 1
                assert {key: tensor.read().tolist() for key, tensor in answer.items()} == EXPECTED, at
    metaindex, padding = len(tables.stored(tables.block([]))), 40 - 2 * 2 - 1
    assert unread <= 2 * (metaindex + padding + 4)


def tensors_or_error(prefix: str, salvage: bool) -> dict[str, Tensor] | FormatError:
    try:
        return read_bundle(prefix, salvage)
    except (CorruptFileError, UnsupportedFeatureError) as error:
        return error


def test_the_index_cut_short_at_every_length(tmp_path: Path) -> None:
    prefix = small(str(tmp_path / "ck"))
    index = Path(f"{prefix}.index")
    data = index.read_bytes()
    for length in range(len(data)):
        index.write_bytes(data[:length])
        with pytest.raises(CorruptFileError) as caught:
            read_bundle(prefix, salvage=True)
        assert caught.value.path == str(index)


def test_the_shard_cut_short_at_every_length(tmp_path: Path) -> None:
    prefix = small(str(tmp_path / "ck"))
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = shard.read_bytes()
    for length in range(len(data)):
        shard.write_bytes(data[:length])
        with pytest.raises(CorruptFileError, match=r"lie outside of the \d+ bytes that are there \((a|none|text|v)\).*--salvage"):
            read_bundle(prefix)
        found = read_bundle(prefix, salvage=True)
        lost = set(drained(found))
        assert lost == {key for key, end in (("a", 24), ("none", 24), ("text", 36), ("v", 44)) if length < end}, length
        assert {key: found[key].read().tolist() for key in EXPECTED if key not in lost} == {
            key: value for key, value in EXPECTED.items() if key not in lost
        }


def test_every_byte_of_the_shard_flipped_damages_one_tensor(tmp_path: Path) -> None:
    prefix = small(str(tmp_path / "ck"))
    shard = Path(f"{prefix}.data-00000-of-00001")
    data = shard.read_bytes()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1
        shard.write_bytes(broken)
        assert list(drained(read_bundle(prefix))) == ["a" if at < 24 else "text" if at < 36 else "v"]


NUMBERS = st.one_of(st.integers(0, 12), st.sampled_from([1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 40]))
SIZES = st.lists(st.one_of(st.integers(0, 4), NUMBERS), max_size=12)
EXTENTS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """An entry whose numbers are anything."""
    dims = message(*((2, message((1, size))) for size in draw(SIZES)))
    fields: list[tuple[int, int | bytes]] = [(1, draw(st.one_of(st.sampled_from(sorted(DTYPES)), NUMBERS))), (2, dims)]
    fields += [(number, draw(NUMBERS)) for number in (3, 4, 5) if draw(st.booleans())]
    for extents in draw(st.lists(EXTENTS, max_size=3)):
        fields.append((7, message(*((1, message((1, start), (2, length))) for start, length in extents))))
    return message(*fields) + fixed32(6, draw(st.sampled_from([0, 0xA282EAD8, 1])))


KEYS = st.one_of(
    st.sampled_from([b"w", b"x", b"\xff\xfe", b"a/b"]),
    st.builds(
        slice_key, st.sampled_from([b"w", b"x"]), st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 12)), max_size=3).map(tuple)
    ),
)


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(KEYS, records(), max_size=5), st.binary(max_size=40), st.integers(0, 1))
def test_forged_entries(entries: dict[bytes, bytes], data: bytes, order: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        header = message((1, 1), (2, order))
        prefix = tables.bundle(f"{folder}/ck", [*entries.items(), (b"good", entry(4, (3,), b"abc"))], b"abc" + data, header)
        with contextlib.suppress(*DAMAGE):
            drained(read_bundle(prefix))
        with soon_and_small():
            found = read_bundle(prefix, salvage=True)
            drained(found)
        assert {key.decode("utf-8", "surrogateescape") for key in entries if key[:1] != b"\0"} | {"good"} == set(found)
        assert found["good"].read().tolist() == [97, 98, 99]
        assert all(size >= 0 for tensor in found.values() for size in tensor.shape)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([b"", b"w", b"x"]), st.binary(max_size=60), max_size=3))
def test_records_of_anything(entries: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(f"{folder}/ck.index").write_bytes(tables.table(sorted(entries.items()) or [(b"", b"")]))
        with contextlib.suppress(*DAMAGE):
            drained(read_bundle(f"{folder}/ck", salvage=True))
        with contextlib.suppress(*DAMAGE):
            drained(read_v1(f"{folder}/ck.index", salvage=True))


def test_shapes_that_numpy_does_not_have(tmp_path: Path) -> None:
    data = np.float32(3).tobytes()
    entries = [(b"deep", entry(1, (1,) * 200, data)), (b"wide", entry(1, (0, (1 << 63) - 1, 9), b""))]
    found = read_bundle(tables.bundle(str(tmp_path / "ck"), entries, data))
    for tensor in found.values():
        with pytest.raises(UnsupportedFeatureError, match="NumPy has no array"):
            tensor.read()
    assert b"".join(bytes(block) for block in found["deep"].blocks()) == data


@pytest.mark.parametrize(
    ("extents", "problem"),
    [
        ([((0, 2),), ((1, 2),)], "do not tile"),
        ([((0, 2),), ((0, 2),)], "do not tile"),
        ([((0, 2),), ((3, 1),)], "do not tile"),
        ([((0, 3),), ((2, 2),)], "do not tile"),
    ],
)
def test_slices_that_overlap(tmp_path: Path, extents: list[tuple[tuple[int, int], ...]], problem: str) -> None:
    slices = b"".join(
        message((7, message(*((1, message(*(((1, start),) if start else ()), (2, length))) for start, length in item)))) for item in extents
    )
    parts = {slice_key(b"v", item): entry(4, tuple(length for _, length in item), b"abc"[: item[0][1]]) for item in extents}
    prefix = tables.bundle(str(tmp_path / "ck"), [(b"v", message((1, 4), (2, shape(4))) + slices), *parts.items()], b"abcd")
    with pytest.raises(CorruptFileError, match=problem):
        read_bundle(prefix)
    assert damage_of(read_bundle(prefix, salvage=True)["v"]) is not None


def many_slices(folder: Path, places: Sequence[tuple[tuple[int, int], ...]], sizes: tuple[int, ...]) -> str:
    listed = b"".join(message((7, message(*((1, message((1, s), (2, n))) for s, n in place)))) for place in places)
    parts = [(slice_key(b"v", place), entry(4, tuple(n for _, n in place), b"a")) for place in places]
    return tables.bundle(str(folder / "ck"), [(b"v", message((1, 4), (2, shape(*sizes))) + listed), *parts], b"a")


def test_thousands_of_slices_take_no_longer_than_they_need(tmp_path: Path) -> None:
    rows = [((number, 1), (0, 1)) for number in range(2000)]
    with soon_and_small():
        assert read_bundle(many_slices(tmp_path, rows, (2000, 1)))["v"].shape == (2000, 1)
    columns = [((0, 1), (number, 1)) for number in range(2000)]
    with soon_and_small(), pytest.raises(UnsupportedFeatureError, match="several axes"):
        read_bundle(many_slices(tmp_path, columns, (1, 2000)))
    with pytest.raises(UnsupportedFeatureError, match="9 dimensions"):
        read_bundle(many_slices(tmp_path, [((0, 1),) * 9], (1,) * 9))


# Tables.


def forged_table(path: Path, blocks: list[bytes], handles: list[tuple[int, int]]) -> ByteRange:
    """A table of these stored blocks, whose index has these handles whatever they lead to."""
    body = b"".join(blocks)
    index = tables.stored(tables.block([(f"{n:08d}".encode(), varint(a) + varint(b)) for n, (a, b) in enumerate(handles)]))
    footer = varint(0) + varint(0) + varint(len(body)) + varint(len(index) - 5)
    path.write_bytes(body + index + footer.ljust(40, b"\0") + struct.pack("<Q", tables.MAGIC))
    return ByteRange.of_file(path)


@pytest.mark.parametrize(
    "handles", [[(0, 1 << 62)], [(1 << 62, 8)], [(0, (1 << 64) - 1)], [((1 << 64) - 5, 10)], [(3, 8)], [(0, 0)]], ids=str
)
def test_forged_handles(tmp_path: Path, handles: list[tuple[int, int]]) -> None:
    block = tables.stored(tables.block([(b"key", b"value")]))
    with soon_and_small(), pytest.raises((CorruptFileError, UnsupportedFeatureError)):
        list(open_table(forged_table(tmp_path / "t", [block], handles)).items())


def test_one_block_read_over_and_over_is_refused(tmp_path: Path) -> None:
    hollow = tables.stored(struct.pack("<I", 0) * 50_000 + struct.pack("<I", 50_000))
    file = forged_table(tmp_path / "t", [hollow], [(0, len(hollow) - 5)] * 20_000)
    with soon_and_small(), pytest.raises(CorruptFileError, match="overlap"):
        list(open_table(file).items())


def test_keys_that_grow_by_repeating_each_other(tmp_path: Path) -> None:
    grown = b"".join(varint(min(n, 1)) + varint(1) + varint(0) + b"a" for n in range(2))
    grown += b"".join(varint(n) + varint(1) + varint(0) + b"a" for n in range(2, 200_000))
    block = tables.stored(grown + struct.pack("<II", 0, 1))
    file = forged_table(tmp_path / "t", [block], [(0, len(block) - 5)])
    with soon_and_small(), pytest.raises(CorruptFileError, match="repeat too much"):
        for _ in open_table(file).items():
            pass


def test_snappy_bombs(tmp_path: Path) -> None:
    honest = bytes(cramjam.snappy.compress_raw(b"\0" * (16 << 20)))
    for data in (varint(1 << 40) + honest[4:], varint(1 << 31) + b"\0" * 20, honest):
        stored = data + b"\1"
        block = stored + struct.pack("<I", mask(crc32c(stored)))
        with soon_and_small(), contextlib.suppress(CorruptFileError):
            for _ in open_table(forged_table(tmp_path / "t", [block], [(0, len(data))])).items():
                pass


@pytest.mark.parametrize(
    ("sizes", "problem"), [((1 << 40,), "cannot lie in the file"), ((50,), "holds 4 bytes for 50"), ((-5,), "has the shape")]
)
def test_forged_shapes_of_v1(tmp_path: Path, sizes: tuple[int, ...], problem: str) -> None:
    """Only numbers that are there count: nothing is filled up with the last one, as constants in graphs are."""
    dims = message(*((2, message((1, size))) for size in sizes))
    meta = message((1, b"w"), (2, dims), (3, 1), (4, message((1, b""))))
    record = message((2, message((1, b"w"), (3, message((5, struct.pack("<f", 1)))))))
    path = tmp_path / "m.ckpt"
    path.write_bytes(tables.table([(b"", message((1, message((1, meta))))), (slice_key(b"w", ((0, -1),)), record)]))
    with soon_and_small(), pytest.raises(CorruptFileError, match=problem):
        read_v1(str(path))["w"].read()
    assert list(drained(read_v1(str(path), salvage=True))) == ["w"]
