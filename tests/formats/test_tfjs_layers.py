"""TensorFlow.js: what its own files hold, what is refused, and what is written; `tests/frameworks/test_tensorflow_js.py` has the judge."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.storage.weights_manifest import Joined
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Weight
from tests.conftest import CORPUS, SAMPLES

FOLDER = SAMPLES / "tfjs_layers"
SOURCES = [
    SAMPLES / "keras_h5" / "keras-2.3.1.h5",
    SAMPLES / "keras_h5" / "tf.keras-2.12.0.h5",
    SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras",
]


def document(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def copy(tmp_path: Path, name: str, change: Any) -> Path:
    """A copy of a sample with its shards, the document changed."""
    shutil.copytree(FOLDER, tmp_path / "copy")
    found = document(name)
    path = tmp_path / "copy" / name
    path.write_text(json.dumps(change(found) or found))
    return path


def weights_of(path: Path) -> dict[str, Any]:
    return {"/".join(path): weight.tensor.read() for path, weight in kmt.read(path).weights()}


def test_a_nested_model_and_the_order_of_js() -> None:
    found = weights_of(FOLDER / "tfjs-4.22.0.json")
    data = np.fromfile(FOLDER / "fun.weights.bin", "<f4")
    names = [item["name"] for item in document("tfjs-4.22.0.json")["weightsManifest"][0]["weights"]]
    assert names[-2:] == ["bn/moving_mean", "bn/moving_variance"]
    assert found["sequential_2/bn/moving_variance"].tolist() == data[-3:].tolist()
    assert found["sequential_2/a/kernel"].tolist() == data[:12].reshape(4, 3).tolist()


def test_what_js_does_not_set_is_left_to_keras() -> None:
    config = kmt.read(FOLDER / "tfjs-4.22.0_recurrent.json").architecture
    assert config is not None
    text = json.dumps(config)
    assert '"reset_after": false' in text
    assert "unit_forget_bias" not in text
    older = document("tfjs-4.22.0_recurrent.json")
    gru = older["modelTopology"]["config"]["layers"][2]
    assert gru["config"].pop("reset_after") is False


def test_a_gru_of_older_js_is_not_taken_for_one_of_tensorflow(tmp_path: Path) -> None:
    def change(found: Any) -> None:
        del found["modelTopology"]["config"]["layers"][2]["config"]["reset_after"]

    path = copy(tmp_path, "tfjs-4.22.0_recurrent.json", change)
    assert kmt.digest(path, everything=True) == kmt.digest(FOLDER / "tfjs-4.22.0_recurrent.json", everything=True)


@pytest.mark.parametrize("name", ["uint8", "uint16", "float16"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_quantized_values_are_those_of_javascript(name: str, dtype: str, tmp_path: Path) -> None:
    stored = np.array([0, 1, 2, 200], "<f2" if name == "float16" else f"<{np.dtype(name).str[1:]}")
    rule: dict[str, Any] = {"dtype": name} if name == "float16" else {"dtype": name, "min": -1.25, "scale": 0.3}
    (tmp_path / "s").write_bytes(stored.tobytes())
    groups = [{"paths": ["s"], "weights": [{"name": "w", "shape": [4], "dtype": dtype, "quantization": rule}]}]
    (tmp_path / "m.json").write_text(json.dumps(groups))
    if (name, dtype) == ("float16", "int32"):
        with pytest.raises(kmt.FormatError, match="are not quantized as float16"):
            kmt.read(tmp_path / "m.json")
        return
    ((_, weight),) = kmt.read(tmp_path / "m.json").weights()
    doubles = [float(value) * rule.get("scale", 1.0) + rule.get("min", 0.0) for value in stored.tolist()]
    expected = [int(np.floor(value + 0.5)) for value in doubles] if dtype == "int32" else np.array(doubles, "float32").tolist()
    assert weight.tensor.read().tolist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda group: group.update(paths=["away.bin"]), "a shard is missing"),
        (lambda group: group.update(paths=["../fun.weights.bin"]), "outside of its own folder"),
        (lambda group: group.update(paths=["/etc/passwd"]), "outside of its own folder"),
        (lambda group: group.update(paths=["https://there/x.bin"]), "outside of its own folder"),
        (lambda group: group["weights"][0].update(shape=[4, -3]), "is not a shape"),
        (lambda group: group["weights"][0].update(shape=[4.0, 3]), "is not a shape"),
        (lambda group: group["weights"][0].update(shape=[1] * 99), "is not a shape"),
        (lambda group: group["weights"][0].update(shape=[1 << 40, 1 << 40]), "beyond the end of fun.weights.bin"),
        (lambda group: group["weights"][0].update(dtype="string", shape=[1 << 40]), "beyond the end of fun.weights.bin"),
        (lambda group: group["weights"][0].update(dtype="float8"), "are none of TensorFlow.js"),
        (lambda group: group["weights"][0].update(quantization={"dtype": "uint8"}), "lacks min and scale"),
        (lambda group: group["weights"][0].update(quantization={"dtype": "uint8", "min": "0", "scale": 1}), "has no numbers"),
        (lambda group: group["weights"][0].update(quantization=8), "is no rule"),
        (lambda group: group["weights"][1].update(name=group["weights"][0]["name"]), "two weights have one name"),
        (lambda group: group.update(weights=[3]), "no list of groups"),
    ],
)
def test_what_is_damaged_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = copy(tmp_path, "tfjs-4.22.0.json", lambda found: change(found["weightsManifest"][0]))
    with pytest.raises(kmt.FormatError, match=message):
        kmt.read(path)


def test_a_short_shard_is_salvaged(tmp_path: Path) -> None:
    path = copy(tmp_path, "tfjs-4.22.0.json", lambda _: None)
    shard = path.with_name("fun.weights.bin")
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(kmt.CorruptFileError, match=r"fun.weights.bin \(132 bytes\)"):
        kmt.read(path)
    model = kmt.read(path, salvage=True)
    assert sum(note.kind == "unread" for note in model.notes) == 1


def test_bytes_behind_the_last_weight_are_said(tmp_path: Path) -> None:
    path = copy(tmp_path, "tfjs-4.22.0.json", lambda _: None)
    shard = path.with_name("fun.weights.bin")
    shard.write_bytes(shard.read_bytes() + b"more")
    assert any("4 bytes behind the last weight" in note.text for note in kmt.read(path).notes)


def test_a_folder_is_named_as_well_as_its_document(tmp_path: Path) -> None:
    kmt.convert(SOURCES[0], tmp_path / "model.json", to="tfjs-layers", lossy=True)
    assert kmt.digest(tmp_path) == kmt.digest(SOURCES[0])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_model_keeps_its_weights_and_its_layers(source: Path, tmp_path: Path) -> None:
    kmt.convert(source, tmp_path / "m.tfjs.json", optimizer=False, options={"shard-size": "100B"})
    assert kmt.digest(tmp_path / "m.tfjs.json") == kmt.digest(source)
    found = kmt.diff(source, tmp_path / "m.tfjs.json")
    assert not [item for item in found.aspects if item.status == "different" and item.name in ("layers", "weights", "config")]
    assert len(list(tmp_path.glob("m.tfjs-shard*"))) > 1
    kmt.convert(source, tmp_path / "m.tfjs.json", optimizer=False, overwrite=True)
    assert [path.name for path in tmp_path.glob("m.tfjs-shard*")] == ["m.tfjs-shard1of1.bin"]


@pytest.mark.parametrize(("name", "levels"), [("uint8", 255), ("uint16", 65535)])
def test_rounded_weights_are_as_near_as_the_type_allows(name: str, levels: int, tmp_path: Path) -> None:
    kmt.convert(SOURCES[0], tmp_path / "m.tfjs.json", lossy=True, options={"quantize": name})
    back = weights_of(tmp_path / "m.tfjs.json")
    for path, values in weights_of(SOURCES[0]).items():
        step = float(values.max() - values.min()) / levels
        assert np.abs(back[path] - values).max() <= step * 0.5001 + 1e-7
        assert (back[path][values == 0] == 0).all(), path


def test_only_numbers_are_rounded(tmp_path: Path) -> None:
    model = Model(layers=(Layer("a", None, None, (Weight("kernel", Tensor.of(np.array([1.0, np.nan], "float32")), "a"),)),))
    with pytest.raises(kmt.ConversionError, match="no numbers"):
        kmt.write(model, tmp_path / "m.json", format="tfjs-layers", options={"quantize": "uint8"})
    large = Model(layers=(Layer("a", None, None, (Weight("kernel", Tensor.of(np.array([1.0, 7e4], "float32")), "a"),)),))
    with pytest.raises(kmt.ConversionError, match="infinite in float16"):
        kmt.write(large, tmp_path / "m.json", format="tfjs-layers", options={"quantize": "float16"})
    half = Model(layers=(Layer("a", None, None, (Weight("kernel", Tensor.of(np.ones(2, "float16")), "a"),)),))
    with pytest.raises(kmt.ConversionError, match="no weights of float16"):
        kmt.write(half, tmp_path / "m.json", format="tfjs-layers")
    assert not list(tmp_path.iterdir())


def as_the_converter_has_it(folder: Path, config: Any, arrays: dict[str, Any]) -> Path:
    """A document of tensorflowjs 4.22 for a model of Keras 3: without modules, and all arrays in one shard."""

    def stripped(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: stripped(value) for key, value in node.items() if key not in ("module", "registered_name", "date_saved")}
        return [stripped(item) for item in node] if isinstance(node, list) else node

    topology = {"keras_version": "3.15.1", "model_config": stripped(config)}
    plain = {name: values.astype("int32" if values.dtype.kind in "iu" else "float32") for name, values in arrays.items()}
    (folder / "group1-shard1of1.bin").write_bytes(b"".join(values.tobytes() for values in plain.values()))
    weights = [{"name": name, "shape": list(values.shape), "dtype": values.dtype.name} for name, values in plain.items()]
    path = folder / "model.json"
    groups = [{"paths": ["group1-shard1of1.bin"], "weights": weights}]
    path.write_text(json.dumps({"format": "layers-model", "modelTopology": topology, "weightsManifest": groups}))
    return path


def stored_arrays(path: Path) -> dict[str, Any]:
    found = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_weights_of_an_archive_land_in_their_layers(tmp_path: Path) -> None:
    model = kmt.read(SOURCES[2])
    arrays = stored_arrays(SOURCES[2])
    assert any(name.startswith("layers/dense/vars/") for name in arrays)
    path = as_the_converter_has_it(tmp_path, model.architecture, arrays)
    assert kmt.digest(path) == kmt.digest(SOURCES[2])
    assert {"/".join(name) for name, _ in kmt.read(path).weights()} == {"/".join(name) for name, _ in model.weights()}
    kmt.convert(path, tmp_path / "back.keras", lossy=True)  # the optimizer's arrays have no names
    assert kmt.digest(tmp_path / "back.keras") == kmt.digest(SOURCES[2])


def test_the_name_of_a_sequential_before_those_of_its_layers_is_no_layer(tmp_path: Path) -> None:
    layers = [{"class_name": "Dense", "config": {"name": name, "units": 2}} for name in ("x", "y")]
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    path = as_the_converter_has_it(tmp_path, config, {f"model/{name}/kernel": np.ones((2, 2)) for name in ("x", "y")})
    model = kmt.read(path)
    assert [("/".join(steps), weight.key) for steps, weight in model.weights()] == [
        ("x/kernel", "model/x/kernel"),
        ("y/kernel", "model/y/kernel"),
    ]
    assert not [note for note in model.notes if note.kind == "odd"]


def test_many_strings_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").write_bytes(b"\x01\0\0\0a" * 30_000)
    weights = [{"name": "w", "shape": [30_000], "dtype": "string"}]
    (tmp_path / "m.json").write_text(json.dumps([{"paths": ["s"], "weights": weights}]))
    reads = []
    read = Joined.read

    def counted(self: Joined) -> bytes:
        reads.append(self)
        return read(self)

    monkeypatch.setattr(Joined, "read", counted)
    ((_, weight),) = kmt.read(tmp_path / "m.json").weights()
    assert len(reads) == 1
    assert weight.tensor.strings() == [b"a"] * 30_000


def test_a_name_that_javascript_does_not_take_is_refused(tmp_path: Path) -> None:
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "Dense", "config": {"name": "..", "units": 2, "batch_input_shape": [None, 2]}}]}}  # fmt: skip
    dense = Layer("..", None, "Dense", (Weight("kernel", Tensor.of(np.ones((2, 2), "float32")), "k"),))
    with pytest.raises(kmt.ConversionError, match=r"no weights called \.\./kernel"):
        kmt.write(Model(layers=(dense,), architecture=architecture), tmp_path / "m.json", format="tfjs-layers")


def test_weights_alone_are_a_manifest(tmp_path: Path) -> None:
    kmt.convert(SOURCES[2], tmp_path / "m.tfjs.json", weights_only=True)
    assert isinstance(json.loads((tmp_path / "m.tfjs.json").read_text()), list)
    assert kmt.digest(tmp_path / "m.tfjs.json") == kmt.digest(SOURCES[2])


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here")
@pytest.mark.parametrize("name", ["js-tspace-yolov3"])
def test_an_empty_shard_is_refused_by_name(name: str) -> None:
    entry = next(item for item in json.loads((CORPUS / "manifest.json").read_text()) if item["id"] == name)
    path = next(CORPUS / item["local"] for item in entry["paths"] if item["local"].endswith(".json"))
    with pytest.raises(kmt.CorruptFileError, match=r"yolov3-tiny.weights.bin \(0 bytes\)"):
        kmt.read(path)


def sha256(tensor: Tensor) -> str:
    return hashlib.sha256(b"".join(bytes(block) for block in tensor.blocks())).hexdigest()


def javascript() -> list[Any]:
    if not CORPUS.is_dir():
        return []
    entries = json.loads((CORPUS / "manifest.json").read_text())
    return [
        pytest.param(item, id=item["id"]) for item in entries if item["format"].startswith("TF.js") and item["id"] != "js-tspace-yolov3"
    ]


@pytest.mark.corpus
@pytest.mark.parametrize("entry", javascript())
def test_real_models_are_as_in_their_truth(entry: dict[str, Any]) -> None:
    path = next(CORPUS / item["local"] for item in entry["paths"] if item["local"].endswith(".json"))
    model = kmt.read(path)
    truth = {item["path"]: item for item in json.loads((CORPUS / entry["truth"]).read_text())}
    found = dict(model.tensors())
    assert found.keys() == truth.keys()
    for name, tensor in found.items():
        expected = truth[name]
        assert (list(tensor.shape), tensor.dtype.value) == (expected["shape"], expected["dtype"])
        assert sha256(tensor) == expected.get("dequant_sha256", expected["sha256"]), name
    assert kmt.inspect(model).totals.parameters == entry["n_params"]
