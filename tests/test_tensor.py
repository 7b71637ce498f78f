from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.errors import CorruptFileError, FileChangedError, KmtError, UnsupportedFeatureError
from kmodel_tools.tensor import ByteRange, DType, InMemory, Tensor, canonical_strings
from tests.strategies import ARRAYS


@given(ARRAYS)
def test_an_array_comes_back_as_it_was(array: npt.NDArray[np.generic]) -> None:
    found = Tensor.of(array).read()
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not found.flags.writeable


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_types_that_numpy_does_not_have(name: str) -> None:
    array = np.arange(4).astype(getattr(ml_dtypes, name))
    tensor = Tensor.of(array)
    assert tensor.dtype is DType(name)
    assert tensor.nbytes == array.nbytes
    assert tensor.read().tobytes() == array.tobytes()


def test_big_endian_arrays_are_stored_little_endian() -> None:
    assert b"".join(bytes(block) for block in Tensor.of(np.array([1, 2], dtype=">u2")).blocks()) == b"\x01\x00\x02\x00"


def test_strings_are_lengths_and_bytes() -> None:
    tensor = Tensor.of(np.array([b"a", "ü"], dtype=object))
    assert b"".join(bytes(block) for block in tensor.blocks()) == b"\1" + bytes(7) + b"a" + b"\2" + bytes(7) + "ü".encode()
    assert tensor.read().tolist() == [b"a", "ü".encode()]


def test_strings_that_do_not_fit_their_shape() -> None:
    with pytest.raises(CorruptFileError, match="holds 1 strings where its shape"):
        Tensor(DType.STRING, (2,), InMemory(canonical_strings([b"a"]))).read()


@pytest.mark.parametrize(("data", "problem"), [(bytes(4), "holds 4 bytes where"), (bytes(12), "holds more than the 8 bytes")])
def test_values_that_do_not_fit_their_shape(data: bytes, problem: str) -> None:
    with pytest.raises(CorruptFileError, match=problem):
        Tensor(DType.FLOAT32, (2,), InMemory(data)).read()


def test_opaque_elements_have_no_values() -> None:
    with pytest.raises(UnsupportedFeatureError, match="opaque"):
        Tensor(DType.OPAQUE, (1,), InMemory(b"x")).read()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)))
    return path


@given(offset=st.integers(0, 256), length=st.integers(0, 256), limit=st.integers(1, 300))
def test_a_slice_of_a_file_reads_its_bytes_in_blocks(
    tmp_path_factory: pytest.TempPathFactory, offset: int, length: int, limit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    if not path.exists():
        path.write_bytes(bytes(range(256)))
    length = min(length, 256 - offset)
    found = ByteRange.of_file(path).slice(offset, length)
    blocks = [bytes(block) for block in found.blocks(limit)]
    assert b"".join(blocks) == bytes(range(256))[offset : offset + length] == found.read()
    assert all(len(block) <= limit for block in blocks)


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, 257), (250, 7), (0, -1), (300, 0)])
def test_a_slice_outside_of_its_range_is_refused(file: Path, offset: int, length: int) -> None:
    with pytest.raises(CorruptFileError, match=r"lie outside of the 256 bytes"):
        ByteRange.of_file(file).slice(offset, length, where="x")


def test_slices_nest(file: Path) -> None:
    assert ByteRange.of_file(file).slice(10, 20).slice(5, 3).read() == bytes([15, 16, 17])


def test_a_file_that_is_replaced_is_noticed(file: Path) -> None:
    found = ByteRange.of_file(file)
    other = file.with_name("other")
    other.write_bytes(bytes(256))
    os.replace(other, file)
    with pytest.raises(FileChangedError, match="was changed"):
        found.read()


def test_a_file_that_is_cut_short_is_noticed(file: Path) -> None:
    found = ByteRange.of_file(file)
    blocks = found.blocks(16)
    next(blocks)
    os.truncate(file, 20)
    with pytest.raises(FileChangedError, match="became shorter"):
        list(blocks)


def test_a_file_that_is_written_over_while_it_is_read_is_noticed(file: Path) -> None:
    found = ByteRange.of_file(file)
    blocks = found.blocks(128)
    next(blocks)
    with open(file, "r+b") as other:
        other.write(bytes(10))
    os.utime(file, ns=(0, 0))  # writing alone may come within one tick of the clock
    next(blocks)
    with pytest.raises(FileChangedError, match="was changed"):
        next(blocks)


def test_a_file_that_is_gone_is_noticed(file: Path) -> None:
    found = ByteRange.of_file(file)
    file.unlink()
    with pytest.raises(FileChangedError, match="is gone"):
        found.read()


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KmtError, match="cannot be opened"):
        ByteRange.of_file(tmp_path / "nothing")


def test_a_range_owned_by_nobody_holds_no_file_open(file: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    found = [ByteRange.of_file(file) for _ in range(50)]
    for item in found:
        item.read()
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after <= before


def test_where_the_bytes_lie(file: Path) -> None:
    found = ByteRange.of_file(file)
    assert Tensor(DType.UINT8, (256,), found).byte_range is found
    assert Tensor.of([1.0]).byte_range is None


def test_every_dtype_says_its_size() -> None:
    for dtype in DType:
        if dtype not in (DType.STRING, DType.OPAQUE):
            assert dtype.numpy().itemsize == dtype.itemsize, dtype


class _Broken:
    """A source that finds out at its first block that it has nothing."""

    def blocks(self, limit: int) -> Iterator[bytes]:
        yield from ()
        raise CorruptFileError("there is nothing")


def test_no_room_is_made_for_what_cannot_be_read() -> None:
    with pytest.raises(CorruptFileError, match="there is nothing"):
        Tensor(DType.FLOAT32, (1 << 60,), _Broken()).read()
    with pytest.raises(CorruptFileError, match="there is nothing"):
        Tensor(DType.OPAQUE, (3,), _Broken()).read()
