"""Writing HDF5: h5py reads what we write."""

from __future__ import annotations

import io
from collections.abc import Sequence

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.hdf5_writer import ATTRIBUTE_LIMIT, Attribute, Hdf5Image, NewObject, list_of_names
from kmodel_tools.tensor import DType, InMemory, Tensor, canonical_strings


def tensor(values: npt.NDArray[np.generic]) -> Tensor:
    return Tensor(DType(str(values.dtype)), values.shape, InMemory(values.tobytes()))


def written(objects: Sequence[NewObject], limit: int = 1000) -> bytes:
    return b"".join(bytes(block) for block in Hdf5Image(objects).blocks(limit))


def opened(objects: Sequence[NewObject], limit: int = 1000) -> h5py.File:
    return h5py.File(io.BytesIO(written(objects, limit)), "r")


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint64", "bool", "complex64"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (3, 4), (2, 3, 4)])
def test_h5py_reads_every_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(int(np.prod(shape)), dtype="int64").reshape(shape).astype(dtype)
    with opened([NewObject("a/b/x", tensor(values)), NewObject("y", tensor(values))]) as file:
        for path in ("a/b/x", "y"):
            assert file[path].dtype == values.dtype
            np.testing.assert_array_equal(file[path][()], values)


@pytest.mark.parametrize("dtype", [DType.BFLOAT16, DType.FLOAT8_E4M3FN, DType.INT4])
def test_what_hdf5_has_no_type_for_says_its_name(dtype: DType) -> None:
    size = dtype.itemsize or 0
    data = bytes(range(4 * size))
    with opened([NewObject("x", Tensor(dtype, (4,), InMemory(data)))]) as file:
        assert file["x"].attrs["dtype"] == dtype.value
        assert file["x"][()].tobytes() == data


def test_strings() -> None:
    data = canonical_strings([b"", "ä".encode(), b"long" * 100])
    with opened([NewObject("x", Tensor(DType.STRING, (3,), InMemory(data)))]) as file:
        assert file["x"].asstr()[()].tolist() == ["", "ä", "long" * 100]


def test_opaque_elements_are_refused() -> None:
    with pytest.raises(UnsupportedFeatureError, match="opaque"):
        Hdf5Image([NewObject("x", Tensor(DType.OPAQUE, (3,), InMemory(b"")))])


def test_attributes_of_every_kind() -> None:
    attributes: dict[str, Attribute] = {"text": "ä", "long": b"x" * 200_000, "names": [b"a", b"bcd"], "none": []}
    with opened([NewObject("", attributes=attributes), NewObject("empty/group")]) as file:
        assert file.attrs["text"] == "ä"
        assert file.attrs["long"] == "x" * 200_000
        assert file.attrs["names"].tolist() == [b"a", b"bcd"]
        assert file.attrs["none"].tolist() == []
        assert list(file["empty"]) == ["group"]


@given(st.lists(st.text(max_size=300), max_size=600))
def test_long_lists_of_names_are_split_as_keras_splits_them(names: list[str]) -> None:
    """Keras: the least number of parts, by numpy.array_split, of which none is over the limit (`save_attributes_to_hdf5_group`)."""
    data = np.asarray([name.encode() for name in names])
    parts = 1
    while any(chunk.nbytes > ATTRIBUTE_LIMIT for chunk in np.array_split(data, parts)):
        parts += 1
    expected = [[bytes(item) for item in chunk] for chunk in np.array_split(data, parts)] if parts > 1 else None
    found = list_of_names("n", names)
    if expected is None:
        assert found == {"n": [name.encode() for name in names]}
    else:
        assert [[np.bytes_(item) for item in chunk if isinstance(item, bytes)] for chunk in found.values()] == expected
        assert list(found) == [f"n{number}" for number in range(parts)]


def test_the_same_objects_give_the_same_bytes_in_blocks_of_any_size() -> None:
    objects = [NewObject(f"layers/dense_{number}/vars/0", tensor(np.full((7, 5), number, "float32"))) for number in range(50)]
    assert written(objects, 1000) == written(objects, 17)


def test_room_for_values_costs_no_memory() -> None:
    image = Hdf5Image([NewObject("x", Tensor(DType.FLOAT32, (1 << 34,), InMemory(b"")))])
    assert image.length > 1 << 36
    with pytest.raises(CorruptFileError, match="an array delivers 0 bytes instead of 68719476736"):
        for _ in image.blocks():
            pass


def test_small_files_stay_small() -> None:
    assert len(written([NewObject("layers/dense/vars/0", tensor(np.ones((2, 2), "float32")))])) < 6000
