from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.hdf5 import Hdf5Listing, Hdf5Values, hdf5_head, open_hdf5
from kmodel_tools.storage.hdf5_remains import RangeFile
from kmodel_tools.tensor import ByteRange, DType


def listing(path: Path) -> Hdf5Listing:
    with open_hdf5(ByteRange.of_file(path)) as file:
        return file.listing()


VALUES: dict[str, Any] = {
    "float32": np.arange(6, dtype="<f4").reshape(2, 3),
    "float16": np.arange(6, dtype="<f2"),
    "big_endian": np.arange(6, dtype=">f8"),
    "big_integers": np.arange(6, dtype=">i4"),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j, 3 - 4j]),
    "scalar": np.float32(7),
    "empty": np.zeros((0, 3), "f4"),
    "int8": np.arange(-3, 3, dtype="i1"),
    "uint64": np.array([2**64 - 1], dtype="u8"),
}


LAYOUTS: dict[str, dict[str, Any]] = {"contiguous": {}, "chunked": {"chunks": True}, "compressed": {"compression": "gzip", "shuffle": True}}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_of_every_type_and_layout(tmp_path: Path, name: str, layout: str) -> None:
    value = np.asarray(VALUES[name])
    settings = LAYOUTS[layout] if value.shape else {}  # a scalar has no chunks
    with h5py.File(tmp_path / "f", "w") as file:
        file.create_dataset("x", data=value, **settings)
    tensor = listing(tmp_path / "f").datasets["x"]
    found = tensor.read()
    assert (tensor.dtype.value, tensor.shape) == (value.dtype.name, value.shape)
    assert found.tolist() == value.tolist()
    native = not settings and value.dtype.byteorder != ">" and value.size > 0
    assert (tensor.byte_range is not None) == native
    canonical = value.astype(value.dtype.newbyteorder("<")).tobytes()
    for limit in (1, 5, 16, 1 << 20):
        assert b"".join(bytes(block) for block in tensor.blocks(limit)) == canonical


def test_what_hdf5_has_no_type_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        data = np.array([b"\x80\x3f", b"\x00\x40"], dtype="V2")
        file.create_dataset("named", data=data).attrs["dtype"] = "bfloat16"
        file.create_dataset("nameless", data=data)
        file.create_dataset("wrong_size", data=data).attrs["dtype"] = "float8_e4m3fn"
    found = listing(tmp_path / "f").datasets
    assert found["named"].dtype is DType.BFLOAT16
    assert found["named"].read().astype("f4").tolist() == [1, 2]
    assert found["nameless"].dtype is found["wrong_size"].dtype is DType.OPAQUE
    assert b"".join(bytes(block) for block in found["nameless"].blocks()) == b"\x80\x3f\x00\x40"


def test_strings_of_fixed_and_variable_length(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file["fixed"] = np.array([b"a", b"bcd"])
        file.create_dataset("variable", data=["ü", ""], dtype=h5py.string_dtype())
    found = listing(tmp_path / "f").datasets
    assert found["fixed"].read().tolist() == [b"a", b"bcd"]
    assert found["variable"].read().tolist() == ["ü".encode(), b""]


def test_unwritten_values_are_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file.create_dataset("x", shape=(3,), dtype="f4", fillvalue=2.5, chunks=(2,))
    assert listing(tmp_path / "f").datasets["x"].read().tolist() == [2.5] * 3


def test_an_object_with_two_names_is_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file["a/x"] = np.zeros(2)
        file["b"] = file["a/x"]
    found = listing(tmp_path / "f")
    assert found.objects == ("a/x",)
    assert found.datasets["a/x"] is found.datasets["b"]


def test_a_stored_range_of_a_larger_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "inner", "w") as file:
        file["x"] = np.arange(4, dtype="f4")
        file.create_dataset("y", data=np.arange(4), compression="gzip")
        file.attrs["note"] = "hi"
    inner = (tmp_path / "inner").read_bytes()
    (tmp_path / "outer").write_bytes(b"....." + inner + b"...")
    container = ByteRange.of_file(tmp_path / "outer").slice(5, len(inner))
    with open_hdf5(container) as opened:
        found = opened.listing()
        assert opened.attribute("/", "note") == "hi"
    assert found.datasets["x"].read().tolist() == [0, 1, 2, 3]
    assert found.datasets["y"].read().tolist() == [0, 1, 2, 3]
    place = found.datasets["x"].byte_range
    assert place is not None
    assert place.offset > 5
    assert isinstance(found.datasets["y"].source, Hdf5Values)


def test_names_in_attributes_of_every_kind(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file.attrs["bytes"] = np.array([b"a", b"bcd"])
        file.attrs["strings"] = ["a", "ü"]
        file.attrs["none"] = np.array([])
        file.attrs["long0"] = [b"a"]
        file.attrs["long1"] = [b"b", b"c"]
        file.attrs["number"] = 3
    with open_hdf5(ByteRange.of_file(tmp_path / "f")) as opened:
        assert opened.names("/", "bytes") == ["a", "bcd"]
        assert opened.names("/", "strings") == ["a", "ü"]
        assert opened.names("/", "none") == []
        assert opened.names("/", "long") == ["a", "b", "c"]
        assert opened.names("/", "missing") is None
        with pytest.raises(CorruptFileError, match="not a list of names"):
            opened.names("/", "number")


def test_the_head_shows_the_root_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file["a/b/c"] = 1
        file["d"] = 2
        file.attrs["x"] = 1
    head = hdf5_head(ByteRange.of_file(tmp_path / "f"))
    assert head.attributes == {"x"}
    assert head.members == {"a": "group", "d": "dataset"}
    assert head.groups_within == {"a": frozenset({"b"})}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "secret", "w") as file:
        file["x"] = np.arange(4)
    return tmp_path / "secret"


def test_links_out_of_the_file_are_refused(tmp_path: Path, secret: Path) -> None:
    for name, link in {"external": h5py.ExternalLink(str(secret), "/x"), "soft": h5py.SoftLink("/x")}.items():
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = 1
            file["link"] = link
        with pytest.raises(UnsupportedFeatureError, match=r"soft or external link.*\(link\)"):
            listing(tmp_path / name)


def test_values_kept_elsewhere_are_refused(tmp_path: Path, secret: Path) -> None:
    with h5py.File(tmp_path / "external", "w") as file:
        file.create_dataset("x", (4,), "i1", external=[(str(secret), 0, 4)])
    with pytest.raises(UnsupportedFeatureError, match="keeps its values in another file"):
        listing(tmp_path / "external")
    with h5py.File(tmp_path / "virtual", "w") as file:
        layout = h5py.VirtualLayout((4,), "i8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
        file.create_virtual_dataset("x", layout)
    with pytest.raises(UnsupportedFeatureError, match="virtual dataset"):
        listing(tmp_path / "virtual")


def test_a_file_cut_short(tmp_path: Path, secret: Path) -> None:
    data = secret.read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptFileError, match="is not a whole HDF5 file"):
        listing(tmp_path / "cut")


@pytest.mark.parametrize("chunks", [None, (1 << 20,)])
def test_more_values_than_bytes_could_hold_are_refused(tmp_path: Path, chunks: tuple[int, ...] | None) -> None:
    with h5py.File(tmp_path / "huge", "w") as file:
        file.create_dataset("x", (1 << 40,), "f4", chunks=chunks)
    with pytest.raises(UnsupportedFeatureError, match="stores 0 bytes and claims 4398046511104"):
        listing(tmp_path / "huge")


def test_a_forged_address_beyond_every_file_has_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(b"bytes")
    with RangeFile(ByteRange.of_file(tmp_path / "some"), 5) as file:
        file.seek((1 << 64) - 2)
        assert file.readinto(bytearray(4)) == 0
