"""Architecture and weights taken apart and put together again; what releases of Keras wrote of one model is the judge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

import kmodel_tools as kmt
from tests.conftest import ERAS, ROOT

OWN = ROOT / "tests" / "eras"
NESTED = OWN / "2.3.1" / "func.h5"
SHARED = [pytest.mark.corpus, pytest.mark.skipif(not ERAS.is_dir(), reason="../shared/eras is not here")]
MODULES = {"tf2.15.1", "tfk2.21.0"}
"""Releases whose `to_json` says the module of each object, which their legacy files do not."""


def of_releases(suffix: str) -> list[Any]:
    """The documents with a suffix that lie beside a whole model; early files of tf.keras are empty: it wrote no YAML."""
    return [
        pytest.param(path, id=f"{root.name}/{path.parent.name}/{path.name}", marks=marks)
        for root, marks in ((OWN, []), (ERAS, SHARED))
        for path in sorted(root.glob(f"*/*{suffix}"))
        if path.with_suffix(".h5").exists() and path.stat().st_size
    ]


def listed_names(path: Path) -> list[tuple[str, list[str]]]:
    """The layers of a whole legacy file and the names of their weights, in its order."""

    def text(item: Any) -> str:
        return item.decode() if isinstance(item, bytes) else str(item)

    with h5py.File(path) as file:
        group = file["model_weights"]
        layers = [text(name) for name in group.attrs["layer_names"]]
        return [(name, [text(item) for item in group[name].attrs["weight_names"]]) for name in layers]


@pytest.mark.parametrize("path", of_releases(".json"))
def test_an_architecture_that_is_taken_out_is_what_the_release_wrote(path: Path, tmp_path: Path) -> None:
    kmt.convert(path.with_suffix(".h5"), tmp_path / "m.json")
    if path.parent.name in MODULES:
        assert kmt.diff(tmp_path / "m.json", path).same
        assert json.loads(path.read_text()).keys() == json.loads((tmp_path / "m.json").read_text()).keys()
    else:
        assert (tmp_path / "m.json").read_text() == path.read_text()


@pytest.mark.parametrize("path", of_releases(".yaml"))
def test_the_same_in_yaml(path: Path, tmp_path: Path) -> None:
    for name in ("m.yaml", "m.yml"):
        kmt.convert(path.with_suffix(".h5"), tmp_path / name)
        assert kmt.read(tmp_path / name).architecture == kmt.read(path).architecture
        assert kmt.read(tmp_path / name).metadata["dialect"] == "YAML"
        keys = [line for line in path.read_text().splitlines() if not line.startswith((" ", "-"))]
        assert [line for line in (tmp_path / name).read_text().splitlines() if not line.startswith((" ", "-"))] == keys


@pytest.mark.parametrize("path", [*of_releases(".json"), *of_releases(".yaml")])
def test_architecture_and_weights_are_the_model_that_lies_beside_them(path: Path, tmp_path: Path) -> None:
    whole = path.with_suffix(".h5")
    report = kmt.convert(path.with_name(f"{path.stem}_w.h5"), tmp_path / "m.h5", like=path)
    assert kmt.diff(tmp_path / "m.h5", whole, aspects=("layers", "weights", "trainable", "config")).same
    assert listed_names(tmp_path / "m.h5") == listed_names(whole)
    assert not report.lost
    assert kmt.read(tmp_path / "m.h5").metadata == kmt.read(whole).metadata


def test_layers_of_keras_1_that_are_counted_anew_keep_the_names_that_tell_the_backend(tmp_path: Path) -> None:
    """Theano's kernels are turned on the way to Keras 3, and only the names of the weights say whose they are."""
    whole = OWN / "1.2.2_tensorflow" / "func.h5"
    text = whole.with_suffix(".json").read_text()
    for layer in kmt.read(whole).layers:
        text = text.replace(f'"{layer.name}"', f'"{layer.name}x"')
    (tmp_path / "m.json").write_text(text)
    report = kmt.convert(whole.with_name("func_w.h5"), tmp_path / "m.h5", like=tmp_path / "m.json")
    assert any("by their order, not by name" in line for line in report.inferred)
    own = [names for _, names in listed_names(whole) if names]
    assert [names for _, names in listed_names(tmp_path / "m.h5") if names] == own
    assert kmt.diff(tmp_path / "m.h5", tmp_path / "m.json", aspects=("layers", "config")).same


def with_optimizer_of_release(release: str) -> Any:
    marks = () if release == "3.15.1" else SHARED
    return pytest.param((OWN if release == "3.15.1" else ERAS) / release / "f.keras", id=release, marks=marks)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("whole", [with_optimizer_of_release(release) for release in ("3.15.1", "3.10.0", "3.1.1", "3.0.5")])
def test_what_keras_3_was_compiled_with_and_has_learned_is_put_together_too(whole: Path, suffix: str, tmp_path: Path) -> None:
    """Its document says it, and its file of weights has the optimizer's state, which no names tie to the weights before 3.6."""
    kmt.convert(whole, tmp_path / "m.json")
    kmt.convert(whole.with_name("f.weights.h5"), tmp_path / f"m{suffix}", like=tmp_path / "m.json")
    result = kmt.diff(tmp_path / f"m{suffix}", whole)
    assert result.same
    assert {item.name for item in result.aspects if item.status == "same"} >= {"weights", "config", "training_config", "optimizer"}


def stacked_cells() -> dict[str, Any]:
    """A model of Keras 3 that holds a list of cells, which files of weights call by their classes."""
    cells = [
        {"module": "keras.layers", "class_name": f"{kind}Cell", "config": {"name": name, "units": 2}, "registered_name": None}
        for kind, name in (("LSTM", "a"), ("GRU", "b"), ("LSTM", "c"))
    ]
    rnn = {"name": "rnn", "cell": {"class_name": "StackedRNNCells", "config": {"name": "cell", "cells": cells}}}
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 4, 3]}},
        {"module": "keras.layers", "class_name": "RNN", "config": rnn, "registered_name": None},
    ]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}, "registered_name": None}


def test_cells_that_a_file_calls_by_their_classes_are_found(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(stacked_cells()))
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        for holder, called in (("vars", "s"), ("layers/rnn/vars", "rnn"), ("layers/rnn/cell/vars", "cell")):
            file.create_group(holder).attrs["name"] = called
        for number, (name, width, gates) in enumerate((("lstm_cell", 3, 8), ("gru_cell", 2, 6), ("lstm_cell_1", 2, 8))):
            group = file.create_group(f"layers/rnn/cell/cells/{name}/vars")
            group.attrs["name"] = "abc"[number]
            shapes = [(width, gates), (2, gates), (gates,) if gates == 8 else (2, gates)]
            for index, shape in enumerate(shapes):
                group.create_dataset(str(index), shape, "float32", fillvalue=number)
    for name in ("m.keras", "m.h5"):
        kmt.convert(tmp_path / "w.weights.h5", tmp_path / name, like=tmp_path / "m.json")
        kernels = {path: weight.tensor.read() for path, weight in kmt.read(tmp_path / name).weights() if path[-1] == "kernel"}
        assert {path[-2]: float(value[0, 0]) for path, value in kernels.items()} == {"0": 0, "1": 1, "2": 2}


def dense(*layers: dict[str, Any]) -> dict[str, Any]:
    """A Sequential of Keras 2 of Dense layers."""
    first: dict[str, Any] = {"name": "d", "units": 5, "use_bias": True, "batch_input_shape": [None, 4], "dtype": "float32"}
    items = [{"class_name": "Dense", "config": settings} for settings in (first, *layers)]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": items}, "keras_version": "2.3.1", "backend": "tensorflow"}


def gru(reset_after: bool) -> dict[str, Any]:
    settings = {"name": "g", "units": 3, "reset_after": reset_after, "batch_input_shape": [None, 4, 2], "dtype": "float32"}
    document = dense()
    return {**document, "config": {"name": "s", "layers": [{"class_name": "GRU", "config": settings}]}}


def convolution(**changed: Any) -> dict[str, Any]:
    settings = {"name": "c", "filters": 2, "kernel_size": [3, 1], "batch_input_shape": [None, 4, 4, 1], "dtype": "float32", **changed}
    document = dense()
    return {**document, "config": {"name": "s", "layers": [{"class_name": "Conv2D", "config": settings}]}}


def two_convolutions() -> dict[str, Any]:
    document = convolution()
    document["config"]["layers"].append({"class_name": "Conv2D", "config": {"name": "e", "filters": 2, "kernel_size": [1, 1]}})
    return document


DENSE = {"d/d/kernel:0": (4, 5), "d/d/bias:0": (5,)}
CONVOLUTION = {"c/c/kernel:0": (3, 1, 1, 2), "c/c/bias:0": (2,)}


def without(key: str, document: dict[str, Any]) -> dict[str, Any]:
    """A document in which the first layer has another setting: a width of 6, or none of the weights that a setting asks for."""
    document["config"]["layers"][0]["config"][key] = {"units": 6, "use_bias": False}[key]
    return document


def write_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A file of weights as Keras 2 writes it; of each weight its layer, its name and its shape."""
    layers: dict[str, list[str]] = {}
    for key in shapes:
        layer, _, name = key.partition("/")
        layers.setdefault(layer, []).append(name)
    with h5py.File(path, "w") as file:
        file.attrs.update({"layer_names": [name.encode() for name in layers], "keras_version": b"2.3.1", "backend": b"tensorflow"})
        for layer, names in layers.items():
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
        for key, shape in shapes.items():
            file.create_dataset(key, shape, "float32")


GRU = {"g/g/kernel:0": (2, 9), "g/g/recurrent_kernel:0": (3, 9), "g/g/bias:0": (9,)}
WRONG = [
    (DENSE, without("units", dense()), r"not those of the architecture: d/kernel of shape \(4, 5\), where the architecture has units=6"),
    (DENSE, without("use_bias", dense()), "d/bias, which no Dense of these settings has"),
    (DENSE, dense({"name": "e", "units": 3}), "asks for weights that are not there: e/kernel; e/bias"),
    (CONVOLUTION, convolution(kernel_size=[3, 3]), r"c/kernel of shape \(3, 1, 1, 2\), where the architecture has .*kernel_size=\(3, 3\)"),
    (CONVOLUTION, convolution(filters=4), r"c/bias of shape \(2,\), where the architecture has filters=4"),
    (GRU, gru(True), r"g/cell/bias of shape \(9,\), where the architecture has reset_after=True"),
    (DENSE, gru(False), r"g/cell/kernel of shape \(4, 5\), where the architecture has units=3"),
    (DENSE | CONVOLUTION, convolution(), "has no place for: d/kernel; d/bias"),
    (DENSE, two_convolutions(), "it has one for: c/kernel; c/bias"),
]


@pytest.mark.parametrize(("shapes", "document", "said"), WRONG, ids=lambda item: item if isinstance(item, str) else "")
def test_an_architecture_of_another_model_is_refused_by_what_does_not_fit(
    shapes: dict[str, tuple[int, ...]], document: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write_weights(tmp_path / "w.h5", shapes)
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(kmt.ConversionError, match=said):
        kmt.convert(tmp_path / "w.h5", tmp_path / "m.h5", like=tmp_path / "m.json")
    assert not (tmp_path / "m.h5").exists()


@pytest.mark.parametrize(("shapes", "document"), [(DENSE, dense()), (GRU, gru(False)), (CONVOLUTION, convolution())])
def test_an_architecture_of_the_same_model_is_not(shapes: dict[str, tuple[int, ...]], document: dict[str, Any], tmp_path: Path) -> None:
    write_weights(tmp_path / "w.h5", shapes)
    (tmp_path / "m.json").write_text(json.dumps(document))
    kmt.convert(tmp_path / "w.h5", tmp_path / "m.h5", like=tmp_path / "m.json")
    assert [weight.tensor.shape for _, weight in kmt.read(tmp_path / "m.h5").weights()] == list(shapes.values())


def test_keras_0_has_no_files_of_whole_models(tmp_path: Path) -> None:
    weights, document = OWN / "0.3.3" / "mlp_w.h5", OWN / "0.3.3" / "mlp.json"
    with pytest.raises(kmt.ConversionError, match=r"Keras 0\.x has files of weights and none of whole models; .*--target keras3"):
        kmt.convert(weights, tmp_path / "m.h5", like=document)
    kmt.convert(weights, tmp_path / "m.h5", like=document, target="keras3")
    kmt.convert(weights, tmp_path / "m.keras", like=document)
    assert kmt.diff(tmp_path / "m.h5", tmp_path / "m.keras", aspects=("layers", "weights", "config")).same
    for name in ("m.json", "m.yaml"):
        kmt.convert(document, tmp_path / name)
        assert kmt.read(tmp_path / name).architecture == json.loads(document.read_text())


def test_a_document_of_keras_2_that_says_modules_is_packed_as_legacy_files_spell_it(tmp_path: Path) -> None:
    archive = OWN / "2.15.0" / "f.keras"
    kmt.convert(archive, tmp_path / "m.json")
    document = json.loads((tmp_path / "m.json").read_text())
    assert list(document) == ["class_name", "config", "keras_version", "backend"]
    assert document["config"] == (kmt.read(archive).architecture or {})["config"]
    kmt.convert(archive, tmp_path / "w.h5", weights_only=True)
    kmt.convert(tmp_path / "w.h5", tmp_path / "m.h5", like=tmp_path / "m.json")
    assert "module" not in json.dumps(kmt.read(tmp_path / "m.h5").architecture)
    assert kmt.diff(tmp_path / "m.h5", archive.with_suffix(".h5"), aspects=("layers", "weights", "trainable", "config")).same


@pytest.mark.parametrize("name", ["m.json", "m.yaml"])
def test_what_stays_behind_is_said_and_is_no_loss(name: str, tmp_path: Path) -> None:
    report = kmt.convert(OWN / "2.3.1" / "mlp.h5", tmp_path / name)
    assert report.lost == ()
    assert report.carried == ("architecture",)
    assert report.weights == 0
    assert "8 weights: a document of an architecture holds none" in report.left_out
    assert "training configuration: a document of an architecture holds none before Keras 3" in report.left_out
    assert any(line.startswith("optimizer state") for line in report.left_out)


def test_an_architecture_goes_to_another_generation_with_its_weights_or_alone(tmp_path: Path) -> None:
    report = kmt.convert(NESTED, tmp_path / "whole.json", target="keras3")
    assert "it goes with weights as Keras 3 has them, whose values may be others: write them with --target too" in report.inferred
    kmt.convert(NESTED.with_suffix(".json"), tmp_path / "alone.json", target="keras3")
    assert kmt.diff(tmp_path / "whole.json", tmp_path / "alone.json", aspects=("layers", "config")).same
    kmt.convert(NESTED, tmp_path / "m.keras")
    assert kmt.diff(tmp_path / "m.keras", tmp_path / "alone.json", aspects=("layers", "config")).same
    kmt.convert(tmp_path / "alone.json", tmp_path / "back.json", target="keras2")
    assert json.loads((tmp_path / "back.json").read_text())["keras_version"].startswith("2.")
    assert kmt.diff(tmp_path / "back.json", NESTED.with_suffix(".json"), aspects=("layers",)).same


def test_a_document_of_an_early_keras_3_is_one_of_the_last(tmp_path: Path) -> None:
    """It does not say its version, by which the single inputs that 3.0 to 3.10 wrote as lists would be known."""
    last = kmt.read(OWN / "3.15.1" / "f.keras")
    document = json.loads(json.dumps(last.architecture))
    for key in ("input_layers", "output_layers"):
        document["config"][key] = [document["config"][key]]
    report = kmt.convert(replace(last, architecture=document, metadata={"keras_version": "3.0.5"}), tmp_path / "m.json")
    assert "it is written as Keras 3.15 loads it, which releases before 3.4 do not" in report.inferred
    assert json.loads((tmp_path / "m.json").read_text()) == last.architecture
    (tmp_path / "own.json").write_text(json.dumps(document))
    kmt.convert(OWN / "3.15.1" / "f.weights.h5", tmp_path / "m.h5", like=tmp_path / "own.json")
    packed = kmt.read(tmp_path / "m.h5")
    assert (packed.architecture or {})["config"] == (last.architecture or {})["config"]
    assert packed.metadata["keras_version"] == "3.15.1"


@pytest.mark.parametrize(
    "options", [{"weights_only": True}, {"select": ["shared"]}, {"drop": ["shared"]}, {"dtype": "float16"}, {"averages": True}]
)
def test_what_is_asked_of_weights_is_refused_where_there_are_none(options: dict[str, Any], tmp_path: Path) -> None:
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(kmt.ConversionError, match=f"holds no weights, which --{name} is for"):
        kmt.convert(NESTED, tmp_path / "m.json", **options)


def test_a_file_of_weights_has_no_architecture_to_be_taken_out(tmp_path: Path) -> None:
    with pytest.raises(kmt.ConversionError, match="a document of an architecture needs one, and the source has none"):
        kmt.convert(OWN / "2.3.1" / "mlp_w.h5", tmp_path / "m.json")
    kmt.convert(OWN / "2.3.1" / "func_w.h5", tmp_path / "m.json", like=NESTED.with_suffix(".yaml"))
    assert json.loads((tmp_path / "m.json").read_text()) == json.loads(NESTED.with_suffix(".json").read_text())


def test_an_architecture_that_no_document_tells_is_refused(tmp_path: Path) -> None:
    document: dict[str, Any] = {"module": "mine", "class_name": "Mine", "config": {"width": 3}, "registered_name": "mine>Mine"}
    with pytest.raises(kmt.ConversionError, match="of the class Mine is no graph and no list of layers"):
        kmt.write(kmt.Model(architecture=document), tmp_path / "m.json")
    sequential = {**stacked_cells(), "build_config": {"input_shape": b"\0"}}
    with pytest.raises(kmt.ConversionError, match="holds what JSON cannot"):
        kmt.write(kmt.Model(architecture=sequential), tmp_path / "m.json")
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("mine")
    with pytest.raises(kmt.KmtError, match="is there already; --force replaces it"):
        kmt.convert(NESTED, tmp_path / "m.json")
    assert (tmp_path / "m.json").read_text() == "mine"
    kmt.convert(NESTED, tmp_path / "m.json", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
