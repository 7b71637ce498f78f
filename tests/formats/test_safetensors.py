"""safetensors, against the package of that name; what is damaged is refused before anything is allocated."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import kmodel_tools as kmt
from kmodel_tools.storage.safetensors import DTYPES
from kmodel_tools.tensor import DType, Tensor
from kmodel_tools.tree import Layer, Model, Weight
from tests.conftest import SAMPLES

SOURCE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
WHOLE = SAMPLES / "safetensors" / "keras-3.15.1.safetensors"
INDEX = SAMPLES / "safetensors" / "sharded.safetensors.index.json"


def test_the_package_reads_what_is_written(tmp_path: Path) -> None:
    kmt.convert(SOURCE, tmp_path / "m.safetensors")
    found = load_file(tmp_path / "m.safetensors")
    wanted = {"/".join(path): weight.tensor.read() for path, weight in kmt.read(SOURCE).weights()}
    assert {name: value.tolist() for name, value in found.items() if not name.startswith("@optimizer/")} == {
        name: value.tolist() for name, value in wanted.items()
    }
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert file.metadata()["format"] == "keras"
        assert json.loads(file.metadata()["config"])["class_name"] == "Functional"


@pytest.mark.parametrize("dtype", DTYPES.values())
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_type_there_and_back(dtype: DType, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.arange(int(np.prod(shape)), dtype="float64").reshape(shape).astype(dtype.numpy())
    kmt.write(_model(kernel=values, dtype=dtype), tmp_path / "m.safetensors")
    ((_, weight),) = kmt.read(tmp_path / "m.safetensors").weights()
    assert weight.tensor.dtype is dtype
    assert weight.tensor.read().tobytes() == values.tobytes()
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert file.get_slice("layer/kernel").get_shape() == list(shape)
        assert DTYPES[file.get_slice("layer/kernel").get_dtype()] is dtype


def _model(dtype: DType, **weights: Any) -> Model:
    made = [Weight(role, Tensor.of(value), "") for role, value in weights.items()]
    assert all(weight.tensor.dtype is dtype for weight in made)
    return Model(layers=(Layer("layer", None, None, tuple(made)),))


def test_what_the_package_writes_is_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"a.b.weight": np.ones((2, 3), "float16"), "a.b.bias": np.zeros(2, ml_dtypes.bfloat16), "step": np.array(7)}
    save_file(arrays, tmp_path / "m.safetensors")
    model = kmt.read(tmp_path / "m.safetensors")
    assert {path: weight.tensor.read().tolist() for path, weight in model.weights()} == {
        ("a", "b", "weight"): [[1.0] * 3] * 2,
        ("a", "b", "bias"): [0.0, 0.0],
        ("step",): 7,
    }
    assert any(note.kind == "inferred" for note in model.notes)


@pytest.mark.parametrize("path", [WHOLE, INDEX], ids=["single", "shards"])
def test_a_whole_model_survives(path: Path, tmp_path: Path) -> None:
    assert kmt.diff(SOURCE, path).same
    kmt.convert(path, tmp_path / "m.keras")
    assert kmt.diff(SOURCE, tmp_path / "m.keras").same
    assert kmt.digest(path, everything=True).values == kmt.digest(tmp_path / "m.keras", everything=True).values


def test_shards_hold_what_their_index_says(tmp_path: Path) -> None:
    report = kmt.convert(SOURCE, tmp_path / "m.safetensors.index.json", options={"shard-size": "100B"})
    names = sorted(file.name for file in tmp_path.iterdir())
    assert len(names) > 4
    held = {name: file.name for file in tmp_path.glob("*.safetensors") for name in load_file(file)}
    assert json.loads((tmp_path / "m.safetensors.index.json").read_text())["weight_map"] == held
    assert report.lost == ()
    (tmp_path / names[0]).unlink()
    with pytest.raises(kmt.CorruptFileError, match="a shard is missing"):
        kmt.read(tmp_path / "m.safetensors.index.json")


def _file(path: Path, header: Any, data: bytes = b"\0" * 24, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def _entry(start: int, stop: int, shape: Any = (6,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


BROKEN = {
    "a hole": ({"a": _entry(0, 4, [1]), "b": _entry(8, 24, [4])}, "leaves a hole, or lies over another"),
    "an overlap": ({"a": _entry(0, 16, [4]), "b": _entry(8, 24, [4])}, "leaves a hole, or lies over another"),
    "too much data": ({"a": _entry(0, 4, [1])}, "holds 24 bytes of tensors, and its header describes 4"),
    "past the end": ({"a": _entry(0, 4000, [1000])}, "outside of the 24 bytes"),
    "a shape that does not fit": ({"a": _entry(0, 24, [7])}, r"is of shape \[7\] and takes 24 bytes"),
    "a huge shape": ({"a": _entry(0, 24, [1 << 62, 1 << 62])}, "which do not fit"),
    "a negative size": ({"a": _entry(0, 24, [-6])}, "is not described as a tensor is"),
    "a truth for a size": ({"a": _entry(0, 24, [True, 6])}, "is not described as a tensor is"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [6]}}, "is not described as a tensor is"),
    "an unknown type": ({"a": _entry(0, 24, [6], "F31")}, "elements of type F31"),
    "metadata that are no text": ({"__metadata__": {"x": 1}, "a": _entry(0, 24)}, "metadata that are no texts"),
    "a name twice": (b'{"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}, "a": 1}', "the name 'a' stands twice"),
    "no JSON": (b'{"a": ', "no JSON document"),
    "deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no JSON document"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_damage_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    header, why = BROKEN[case]
    with pytest.raises(kmt.FormatError, match=why):
        kmt.read(_file(tmp_path / "m.safetensors", header))


def test_a_file_that_is_cut_short_says_so(tmp_path: Path) -> None:
    data = WHOLE.read_bytes()
    (tmp_path / "m.safetensors").write_bytes(data[:100])
    with pytest.raises(kmt.FormatError, match="is shorter than its header"):
        kmt.read(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes(data[:-1])
    with pytest.raises(kmt.FormatError, match="lie outside of"):
        kmt.read(tmp_path / "m.safetensors")
    with pytest.raises(kmt.FormatError):
        kmt.read(_file(tmp_path / "n.safetensors", {}, b"", 1 << 62))


def test_a_length_that_reads_as_a_brace_is_one_still(tmp_path: Path) -> None:
    header = json.dumps({"a": _entry(0, 24)}).encode()
    path = _file(tmp_path / "m.safetensors", header + b" " * (ord("{") - len(header)))
    assert path.read_bytes().startswith(b"{")
    assert kmt.detect(path).name == "safetensors"


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../m.safetensors"}}))
    with pytest.raises(kmt.CorruptFileError, match="outside of its own folder"):
        kmt.read(index)


def test_what_it_has_no_name_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = Model(layers=(Layer("layer", None, None, (Weight("table", Tensor.of(np.array([b"a"], object)), ""),)),))
    with pytest.raises(kmt.ConversionError, match="has no elements of type string"):
        kmt.write(model, tmp_path / "m.safetensors")
    with pytest.raises(kmt.ConversionError, match="'@optimizer'"):
        kmt.write(Model(layers=(Layer("@optimizer", None, None, (Weight("a", Tensor.of(np.zeros(2)), ""),)),)), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
