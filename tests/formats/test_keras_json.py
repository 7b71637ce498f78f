"""Architectures alone: told from every other document, read as the layers that they describe, given to weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

import kmodel_tools as kmt
from tests.conftest import ROOT, SAMPLES

FOLDER = SAMPLES / "keras_json"
OF_KERAS_1 = ROOT / "tests" / "eras" / "1.2.2_tensorflow"
SEQUENTIAL = {
    "class_name": "Sequential",
    "config": [{"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]}}],
}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


OTHERS: list[Any] = [
    {"model_config": SEQUENTIAL, "training_config": {}},
    {"metadata": {"total_size": 1}, "weight_map": {"layer": "model-1.bin"}},
    {"class_name": "GlorotUniform", "config": {"seed": None}},
    {"class_name": "Dense", "config": {"name": "d", "units": 2}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None},
    {"class_name": "Sequential", "config": {"layers": ["Dense", "Dense"]}},
    {"class_name": "Sequential"},
    {"name": "Sequential", "layers": {}},
    {"name": "a-package", "layers": [{"name": "Dense"}], "version": "1.0.0"},
    {"keras_version": "3.15.1", "date_saved": "2026-11-20@22:05:44"},
    {},
    [],
    "text",
]


OF_TENSORFLOW_JS: list[Any] = [
    {"format": "layers-model", "modelTopology": SEQUENTIAL, "weightsManifest": []},
    {"format": "layers-model", **SEQUENTIAL, "weightsManifest": []},
    {"modelTopology": {"model_config": SEQUENTIAL}},
    [{"paths": ["shard1"], "weights": [{"name": "dense/kernel", "shape": [1], "dtype": "float32"}]}],
]


@pytest.mark.parametrize("document", OF_TENSORFLOW_JS, ids=lambda item: json.dumps(item)[:60])
def test_documents_of_tensorflow_js_are_told_apart(document: Any, tmp_path: Path) -> None:
    assert kmt.detect(written(tmp_path / "model.json", json.dumps(document))).name == "tfjs-layers"
    with pytest.raises(kmt.UnknownFormatError):
        kmt.read(written(tmp_path / "model.yaml", yaml.safe_dump(document)))


@pytest.mark.parametrize("document", OTHERS, ids=lambda item: json.dumps(item)[:60])
def test_no_other_document_is_taken_for_one(document: Any, tmp_path: Path) -> None:
    for path in (written(tmp_path / "model.json", json.dumps(document)), written(tmp_path / "model.yaml", yaml.safe_dump(document))):
        with pytest.raises(kmt.UnknownFormatError):
            kmt.read(path)


@pytest.mark.parametrize(
    "text", ["config: [1", "layers: *x", "class_name = 1\nconfig: {", "config:\n  a: !!python/tuple [1]\n", "layers:\n- Dense\n"]
)
def test_other_text_is_not_taken_for_one(text: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.UnknownFormatError):
        kmt.read(written(tmp_path / "model.yaml", text))


@pytest.mark.parametrize("text", ["class_name: Sequential\nconfig: [", '{"class_name": "Sequential", "config": ['])
def test_a_damaged_one_is_said_to_be(text: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.CorruptFileError, match=r"is not a (YAML|JSON) document"):
        kmt.read(written(tmp_path / "model", text))


def test_an_object_that_yaml_asks_for_is_refused(tmp_path: Path) -> None:
    text = f"backend: tensorflow\n{yaml.safe_dump(SEQUENTIAL)}made: !!python/object/apply:os.system [echo]\n"
    with pytest.raises(kmt.UnsupportedFeatureError, match=r"asks for a Python object .*model\.to_json\(\)"):
        kmt.read(written(tmp_path / "model.yaml", text))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("keras-*.json")), ids=lambda path: path.name)
def test_any_spelling_of_one_document_is_the_same_architecture(path: Path, tmp_path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    spellings = [
        json.dumps(document, indent=2),
        json.dumps(json.dumps(document)),
        json.dumps(json.dumps(json.dumps(document))),
        yaml.safe_dump(document),
        "# by hand\n---\n" + yaml.safe_dump(document),
        yaml.safe_dump(json.dumps(document)),
        json.dumps(yaml.safe_dump(document)),
    ]
    for number, text in enumerate(spellings):
        model = kmt.read(written(tmp_path / f"{number}.txt", text))
        assert model.architecture == document
        assert kmt.inspect(model).layers == kmt.inspect(path).layers


def test_layers_of_all_generations() -> None:
    names = {path.name: [layer.name for layer in kmt.read(path).layers] for path in FOLDER.iterdir() if path.suffix in (".json", ".yaml")}
    assert names["keras-0.3.3.json"] == ["layer_0", "layer_1", "layer_2", "layer_3"]
    assert names["keras-1.2.2_theano.yaml"] == ["convolution2d_1", "maxpooling2d_1", "flatten_1", "dense_2"]
    assert names["keras-2.3.1.yaml"] == ["ia", "shared", "ib", "inner", "concatenate_1"]
    assert names["tf.keras-2.15.0.json"] == ["embedding", "lstm", "gru", "time_distributed", "bidirectional"]
    assert names["keras-3.15.1.json"] == ["given", "inner", "out"]


def test_without_weights_there_is_nothing_to_write_or_to_digest(tmp_path: Path) -> None:
    path = FOLDER / "tf.keras-2.15.0.json"
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        with pytest.raises(kmt.ConversionError, match=r"is an architecture alone, and holds no weights to be written; .*--like"):
            kmt.convert(path, tmp_path / name)
    with pytest.raises(kmt.KmtError, match=r"2\.15\.0\.json: holds no weights, of which a digest could be made"):
        kmt.digest(path)
    assert kmt.digest(path, everything=True).all != kmt.digest(FOLDER / "keras-3.15.1.json", everything=True).all


def test_a_model_that_has_no_weights_is_whole(tmp_path: Path) -> None:
    document = {
        "class_name": "Sequential",
        "config": [{"class_name": "Flatten", "config": {"name": "f", "batch_input_shape": [None, 3, 2]}}],
    }
    kmt.convert(written(tmp_path / "m.json", json.dumps(document | {"keras_version": "2.2.4"})), tmp_path / "m.keras")
    assert [layer.name for layer in kmt.read(tmp_path / "m.keras").layers] == ["f"]


@pytest.mark.parametrize("stem", ["mlp", "rnn"])
def test_weights_of_keras_1_in_the_architecture_that_they_were_saved_with(stem: str, tmp_path: Path) -> None:
    """As from the whole file; of the two, only the architecture says its version."""
    architecture = written(
        tmp_path / "m.json", json.dumps({**(kmt.read(OF_KERAS_1 / f"{stem}.h5").architecture or {}), "keras_version": "1.2.2"})
    )
    whole, parts = tmp_path / "whole.keras", tmp_path / "parts.keras"
    kmt.convert(OF_KERAS_1 / f"{stem}.h5", whole, optimizer=False)
    kmt.convert(OF_KERAS_1 / f"{stem}_w.h5", parts, like=architecture)
    assert kmt.diff(whole, parts, aspects=("layers", "weights", "config")).same


def test_weights_are_not_put_into_an_architecture_in_which_they_mean_something_else(tmp_path: Path) -> None:
    of_keras_1 = FOLDER / "keras-1.2.2_theano.yaml"
    with pytest.raises(kmt.ConversionError, match=r"the weights are of tf\.keras 2\.x, and the architecture is of Keras 1\.x"):
        kmt.convert(SAMPLES / "keras_h5" / "tf.keras-2.3.0_weights.h5", tmp_path / "m.keras", like=of_keras_1)
    theano = ROOT / "tests" / "eras" / "1.0.8_theano_th" / "rnn_w.h5"
    with pytest.raises(kmt.ConversionError, match="only their architecture tells which"):
        kmt.convert(theano, tmp_path / "m.keras", like=FOLDER / "keras-2.3.1.yaml")


def test_the_generation_of_an_architecture_without_a_version_is_told_by_its_own_words(tmp_path: Path) -> None:
    """An archive of Keras 2.15, its configuration taken out, is as little one of Keras 3 as the archive was."""
    archive = SAMPLES / "keras_archive" / "keras-2.15.0.keras"
    config = written(tmp_path / "config.json", json.dumps(kmt.read(archive).architecture))
    kmt.convert(archive, tmp_path / "whole.keras", optimizer=False)
    kmt.convert(archive, tmp_path / "parts.keras", like=config, optimizer=False)
    assert kmt.diff(tmp_path / "whole.keras", tmp_path / "parts.keras", aspects=("layers", "weights", "config")).same


def dense_layers(*names: str) -> dict[str, Any]:
    """A Sequential of Keras 2 of layers that are all alike."""
    first = {"batch_input_shape": [None, 2], "dtype": "float32"}
    layers = [
        {"class_name": "Dense", "config": {"name": name, "units": 2, **(first if number == 0 else {})}} for number, name in enumerate(names)
    ]
    return {"class_name": "Sequential", "config": {"name": "list", "layers": layers}, "keras_version": "2.3.1", "backend": "tensorflow"}


def write_weights(path: Path, *names: str) -> None:
    """A file of weights of such layers as Keras 2 writes it, each with values of its own."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["keras_version"] = b"2.3.1"
        for number, name in enumerate(names):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{role}:0".encode() for role in ("kernel", "bias")]
            group[f"{name}/kernel:0"] = np.full((2, 2), number, "float32")
            group[f"{name}/bias:0"] = np.full(2, number, "float32")


@pytest.mark.parametrize(
    ("held", "wanted", "found"),
    [
        (("a", "b", "c"), ("c", "b", "a"), (2, 1, 0)),
        (("a", "b", "c"), ("x", "y", "z"), (0, 1, 2)),
        (("dense_4", "b", "dense_5"), ("dense", "b", "dense_1"), (0, 1, 2)),
        (("dense_1", "dense_2", "c"), ("dense", "dense_1", "c"), None),
        (("a", "b"), ("x", "y", "z"), None),
    ],
)
def test_layers_are_found_by_name_or_else_by_order(
    held: tuple[str, ...], wanted: tuple[str, ...], found: tuple[int, ...] | None, tmp_path: Path
) -> None:
    """Names that are counted anew may be another layer's: then nothing is written."""
    write_weights(tmp_path / "w.h5", *held)
    like = written(tmp_path / "m.json", json.dumps(dense_layers(*wanted)))
    if found is None:
        with pytest.raises(kmt.ConversionError, match="the architecture has no place for"):
            kmt.convert(tmp_path / "w.h5", tmp_path / "m.keras", like=like)
        return
    report = kmt.convert(tmp_path / "w.h5", tmp_path / "m.keras", like=like)
    model = kmt.read(tmp_path / "m.keras")
    values = [float(layer.weights[0].tensor.read()[0, 0]) for layer in model.layers if layer.weights]
    assert values == list(found)
    assert any("by their order, not by name" in line for line in report.inferred) == (set(held) != set(wanted))


def test_a_checkpoint_and_an_architecture_are_a_model(tmp_path: Path) -> None:
    """The nested models of a checkpoint of Keras 2 have no name there."""
    source = ROOT / "tests" / "eras" / "2.3.1" / "func.h5"
    kmt.convert(source, tmp_path / "ckpt", to="tf-checkpoint", optimizer=False)
    kmt.convert(source, tmp_path / "whole.keras", optimizer=False)
    for like in (FOLDER / "keras-2.3.1.yaml", written(tmp_path / "m.json", json.dumps(kmt.read(FOLDER / "keras-2.3.1.yaml").architecture))):
        report = kmt.convert(tmp_path / "ckpt", tmp_path / "parts.keras", like=like, overwrite=True)
        assert "1 layers are found by their order, not by name: inner" in report.inferred
        assert kmt.diff(tmp_path / "whole.keras", tmp_path / "parts.keras", aspects=("layers", "weights", "config")).same


def test_cells_of_a_legacy_file_are_told_apart_by_their_order(tmp_path: Path) -> None:
    """The file has `cell/kernel` and `cell/kernel_1`; only with the architecture it is known that these are two cells."""
    cells = [
        {"class_name": "LSTMCell", "config": {"name": "a", "units": 4}},
        {"class_name": "GRUCell", "config": {"name": "b", "units": 3}},
    ]
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 7, 3]}},
        {
            "class_name": "RNN",
            "config": {"name": "rnn", "cell": {"class_name": "StackedRNNCells", "config": {"name": "cell", "cells": cells}}},
        },
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    shapes = {
        "kernel": (3, 16),
        "recurrent_kernel": (4, 16),
        "bias": (16,),
        "kernel_1": (4, 9),
        "recurrent_kernel_1": (3, 9),
        "bias_1": (9,),
    }
    values = {role: np.full(shape, number, "float32") for number, (role, shape) in enumerate(shapes.items())}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        names = [f"rnn/cell/{role}:0" for role in shapes]
        file.attrs.update({"layer_names": [b"in", b"rnn"], "keras_version": b"2.2.4-tf", "backend": b"tensorflow"})
        file.create_group("in").attrs["weight_names"] = np.array([], "S1")
        file.create_group("rnn").attrs["weight_names"] = [name.encode() for name in names]
        for name, value in zip(names, values.values(), strict=True):
            file["rnn"][name] = value
    (tmp_path / "m.json").write_text(json.dumps({**config, "keras_version": "2.2.4-tf", "backend": "tensorflow"}))
    kmt.convert(tmp_path / "w.h5", tmp_path / "m.keras", like=tmp_path / "m.json")
    found = {"/".join(path): weight.tensor for path, weight in kmt.read(tmp_path / "m.keras").weights()}
    np.testing.assert_array_equal(found["rnn/cell/cells/0/recurrent_kernel"].read(), values["recurrent_kernel"])
    np.testing.assert_array_equal(found["rnn/cell/cells/1/kernel"].read(), values["kernel_1"])
