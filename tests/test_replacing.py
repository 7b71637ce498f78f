from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import kmodel_tools as kmt
from kmodel_tools.cli import kmt as command
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Weight


def weight(role: str, *shape: int) -> Weight:
    return Weight(role, Tensor.of(np.ones(shape, "float32")), "", True)


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


CODE = ["4wEAAA==", None, None]
INNER = {"class_name": "Sequential", "config": {"name": "inner", "layers": [layer("Lambda", "deep", function=CODE)]}}
LAYERS = [
    {"class_name": "InputLayer", "config": {"name": "input", "batch_input_shape": [None, 3]}},
    layer("Dense", "dense", units=3),
    layer("Lambda", "lambda_1", function=CODE, arguments={}),
    layer("Lambda", "lambda_2", function=CODE, arguments={}),
    INNER,
]
ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "s", "layers": LAYERS}}
DENSE = Layer("dense", class_name="Dense", weights=(weight("kernel", 3, 3), weight("bias", 3)))
MODEL = Model(
    name="s",
    format="keras-h5",
    layers=(
        DENSE,
        Layer("lambda_1", class_name="Lambda"),
        Layer("lambda_2", class_name="Lambda"),
        Layer("inner", class_name="Sequential", layers=(Layer("deep", class_name="Lambda"),)),
    ),
    architecture=ARCHITECTURE,
    metadata={"keras_version": "2.15.0"},
)


def written(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read("config.json"))
    return {item["config"]["name"]: item for item in config["config"]["layers"]}


def test_a_layer_takes_the_place_and_the_name_of_another(tmp_path: Path) -> None:
    report = kmt.convert(MODEL, tmp_path / "m.keras", replace_layers={"lambda_1": "Rescaling(scale=0.5)", "inner/deep": "Flatten"})
    found = written(tmp_path / "m.keras")
    assert found["lambda_1"]["class_name"] == "Rescaling"
    assert found["lambda_1"]["module"] == "keras.layers"
    assert found["lambda_1"]["config"] == {"name": "lambda_1", "scale": 0.5, "offset": 0.0}
    assert found["inner"]["config"]["layers"][-1]["class_name"] == "Flatten"
    assert found["lambda_2"]["class_name"] == "Lambda"
    assert report.changes == (
        "lambda_1: Rescaling in the place of Lambda, as asked for",
        "inner/deep: Flatten in the place of Lambda, as asked for",
    )
    assert [item.used_by for item in report.custom] == [("lambda_2",)]
    assert ARCHITECTURE["config"]["layers"][2]["class_name"] == "Lambda", "the model that was given stays as it was"  # type: ignore[index]


def test_a_pattern_is_of_several_layers(tmp_path: Path) -> None:
    report = kmt.convert(MODEL, tmp_path / "m.keras", replace_layers={"lambda_*": {"class_name": "Flatten"}, "*/deep": "Flatten"})
    assert len(report.changes) == 3
    assert report.stub == ""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"lambda_3": "Flatten"}, "no layer 'lambda_3'; nearest: lambda_"),
        ({"deep": "Flatten"}, "no layer 'deep'; nearest: inner/deep"),
        ({"lambda_1": "Flatten", "lambda_*": "Flatten"}, "names lambda_1 twice"),
        ({"inner": "Flatten"}, "inner is a model"),
        ({"input": "Flatten"}, "input is an input"),
        ({"lambda_1": "Dense(units=2)"}, r"the weights of lambda_1 \(Lambda: none\) are not those of its replacement Dense"),
        ({"dense": "Dense(units=4)"}, r"the weights of dense \(Dense: kernel \(3, 3\), bias \(3,\)\) are not"),
        ({"dense": "LSTM(units=4)"}, "are not those of its replacement LSTM"),
        ({"dense": "Flatten"}, r"dense/kernel \(Flatten, its replacement, has no such weight\)"),
        ({"lambda_1": "Flatten(0)"}, "is no layer; write it as"),
        ({"lambda_1": "@missing.json"}, "missing.json: the replacement of lambda_1 cannot be read"),
    ],
)
def test_what_cannot_be_replaced_is_said(wanted: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=message):
        kmt.convert(MODEL, tmp_path / "m.keras", replace_layers=wanted)
    assert not list(tmp_path.iterdir())


def test_weights_that_fit_are_taken_over(tmp_path: Path) -> None:
    report = kmt.convert(MODEL, tmp_path / "m.keras", replace_layers={"dense": "Dense(units=3, activation='relu')"})
    assert report.changes[0] == "dense: Dense in the place of Dense, as asked for, with its weights kernel, bias"
    assert written(tmp_path / "m.keras")["dense"]["config"]["activation"] == "relu"


def test_weights_that_nobody_wants_go_if_they_may(tmp_path: Path) -> None:
    report = kmt.convert(MODEL, tmp_path / "m.keras", replace_layers={"dense": "Flatten"}, lossy=True)
    assert report.weights == 0
    assert len(report.lost) == 2


def test_somebodys_own_class_is_listed(tmp_path: Path) -> None:
    report = kmt.convert(MODEL, tmp_path / "m.keras", replace_layers={"lambda_*": "Mine(scale=2)", "*/deep": "Flatten"})
    assert [(item.kind, item.name, item.used_by) for item in report.custom] == [("layer", "Mine", ("lambda_1", "lambda_2"))]
    assert "def __init__(self, *, scale=2, **kwargs):" in report.stub


def test_a_part_of_a_model_has_no_layers_to_replace(tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match="--replace-layer is for a whole model"):
        kmt.convert(MODEL, tmp_path / "m.h5", replace_layers={"lambda_1": "Flatten"}, select=("dense",))
    with pytest.raises(kmt.KmtError, match="there is none; give one: --like"):
        kmt.convert(replace(MODEL, architecture=None), tmp_path / "m.h5", replace_layers={"lambda_1": "Flatten"})


def test_the_command_reads_files_and_reports(tmp_path: Path) -> None:
    kmt.convert(MODEL, tmp_path / "m.keras")
    (tmp_path / "flat.json").write_text('{"class_name": "Flatten", "config": {}}')
    run = CliRunner().invoke(
        command,
        [
            *("convert", str(tmp_path / "m.keras"), str(tmp_path / "n.keras")),
            *("--replace-layer", f"lambda_1=@{tmp_path / 'flat.json'}", "--replace-layer", "lambda_2=Flatten()"),
        ],
    )
    assert run.exit_code == 0, run.output
    assert "changed   lambda_1: Flatten in the place of Lambda, as asked for" in run.output
    assert "bytecode  Lambda layers hold Python bytecode, which was copied and not looked\n" in run.output
    assert "safe_mode=False" in run.output
    twice = ["convert", str(tmp_path / "m.keras"), "b.keras", "--replace-layer", "x=Flatten", "--replace-layer", "x=Flatten"]
    assert "given twice" in CliRunner().invoke(command, twice).output
