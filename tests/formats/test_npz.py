"""`.npz`, against NumPy; arrays of objects are never opened."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tensor import DType, Tensor
from kmodel_tools.tree import Layer, Model, Weight
from tests.conftest import SAMPLES

SOURCE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
COUNTED = SAMPLES / "npz" / "weights.npz"
TYPES = [dtype for dtype in DType if dtype.itemsize]


def test_numpy_reads_what_is_written(tmp_path: Path) -> None:
    kmt.convert(SOURCE, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as found:
        for path, weight in kmt.read(SOURCE).weights():
            assert np.array_equal(found["/".join(path)], weight.tensor.read())
        assert json.loads(bytes(found["@config"]))["class_name"] == "Functional"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_type_there_and_back(dtype: DType, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.arange(int(np.prod(shape)), dtype="float64").reshape(shape).astype(dtype.numpy())
    kmt.write(Model(layers=(Layer("layer", None, None, (Weight("kernel", Tensor.of(values), ""),)),)), tmp_path / "m.npz")
    ((_, weight),) = kmt.read(tmp_path / "m.npz").weights()
    assert weight.tensor.dtype is dtype
    assert weight.tensor.read().tobytes() == values.tobytes()
    with np.load(tmp_path / "m.npz", allow_pickle=False) as found:
        assert found["layer/kernel"].shape == shape
        assert found["layer/kernel"].tobytes() == values.tobytes()


def test_what_numpy_writes_is_read() -> None:
    with np.load(COUNTED) as wanted:
        found = kmt.read(COUNTED)
        assert {weight.role: weight.tensor.read().tolist() for weight in found.own_weights} == {
            name: wanted[name].tolist() for name in wanted
        }
    assert any("an order and no names" in note.text for note in found.notes)


def test_counted_arrays_are_in_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", *(np.full(1, number) for number in range(12)))
    assert [int(weight.tensor.read()[0]) for weight in kmt.read(tmp_path / "m.npz").own_weights] == list(range(12))


def test_a_whole_model_survives(tmp_path: Path) -> None:
    assert kmt.diff(SOURCE, SAMPLES / "npz" / "keras-3.15.1.npz").same
    kmt.convert(SAMPLES / "npz" / "keras-3.15.1.npz", tmp_path / "m.keras")
    assert kmt.diff(SOURCE, tmp_path / "m.keras").same


def test_types_without_a_name_are_shown_as_what_they_are_stored_as(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", a=np.ones(2, ml_dtypes.bfloat16))
    model = kmt.read(tmp_path / "m.npz")
    assert model.own_weights[0].tensor.dtype is DType.UINT16
    assert any("elements without a type" in note.text for note in model.notes)


def _archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


def _array(header: str, data: bytes = b"\0" * 16, version: int = 1) -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n"
BROKEN = {
    "objects": (_array(GOOD.replace("<f4", "|O")), "it is never opened here"),
    "records": (_array(GOOD.replace("'<f4'", "[('a', '<f4')]")), "holds records"),
    "texts": (_array(GOOD.replace("<f4", "<U1")), "holds texts"),
    "dates": (_array(GOOD.replace("<f4", "<M8")), "elements of type"),
    "another shape": (_array(GOOD.replace("(4,)", "(5,)")), "which takes 20 bytes, and holds 16"),
    "a huge shape": (_array(GOOD.replace("(4,)", "(4611686018427387904, 4)")), "and holds 16"),
    "a negative size": (_array(GOOD.replace("(4,)", "(-4,)")), "a header that is none"),
    "code": (_array("__import__('os').system('true')\n"), "a header that is none"),
    "a long header": (_array("{" + " " * 20_000 + "}"), "a header of 20002 bytes"),
    "a key more": (_array(GOOD.replace("}", "'x': 1}")), "a header that is none"),
    "no array": (b"nothing", "is no array of NumPy"),
    "cut short": (_array(GOOD)[:30], "outside of"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_damage_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    data, why = BROKEN[case]
    with pytest.raises(kmt.FormatError, match=why):
        kmt.read(_archive(tmp_path / "m.npz", a=data))


def test_other_versions_of_the_header(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        path = _archive(tmp_path / f"{version}.npz", a=_array(GOOD, version=version))
        assert kmt.read(path).own_weights[0].tensor.shape == (4,)
    held = io.BytesIO()
    np.lib.format.write_array(held, np.ones((2, 2), ">i2", order="F"), version=(2, 0))
    assert kmt.read(_archive(tmp_path / "f.npz", a=held.getvalue())).own_weights[0].tensor.read().tolist() == [[1, 1], [1, 1]]


def test_what_it_has_no_name_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = Model(layers=(Layer("layer", None, None, (Weight("table", Tensor.of(np.array([b"a"], object)), ""),)),))
    with pytest.raises(kmt.ConversionError, match="no elements of type string without pickles"):
        kmt.write(model, tmp_path / "m.npz")
    clash = Model(own_weights=(Weight("@format", Tensor.of(np.zeros(2)), ""),))
    with pytest.raises(kmt.ConversionError, match="an array is called '@format'"):
        kmt.write(clash, tmp_path / "m.npz")
    assert not list(tmp_path.iterdir())
