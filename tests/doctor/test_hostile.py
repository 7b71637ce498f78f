"""Broken files: whatever is cut off or flipped, the doctor has an answer; and forged configurations end in no crash."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import h5py
import pytest

import kmodel_tools as kmt
from kmodel_tools.doctor.kinds import kinds
from kmodel_tools.doctor.messages import MESSAGES
from tests.doctor.cases import with_config
from tests.test_hostile import FILES, PARSED_HERE, beside

OF_FOLDERS = ("saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb")


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in FILES])
def test_broken_files_are_examined(path: Path, tmp_path: Path) -> None:
    target = beside(path, tmp_path)
    data, chance = path.read_bytes(), random.Random(path.name)
    for _ in range(3):
        target.write_bytes(data[: chance.randrange(len(data))])
        assert examined(target)
    for _ in range(3 if path in PARSED_HERE else 0):
        broken = bytearray(data)
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        target.write_bytes(bytes(broken))
        examined(target)


def examined(target: Path) -> bool:
    """Whether anything is found; a file of a folder is examined with it."""
    found = kmt.diagnose(target.parent if target.name in OF_FOLDERS else target)
    assert all(item.identifier in kinds() and item.cure for item in found)
    return bool(found) or target.name in OF_FOLDERS or target.suffix in (".pbtxt", ".yaml", ".pb")


FORGED = (
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": None}]}},
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": ["x"], "units": "many", "dtype": 5}}]}},
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {"name": 1, "function": [], "module": {}}}]}},
    {"class_name": "Sequential", "config": {"layers": [{"class_name": ["Dense"], "config": {"name": "x"}}]}},
    {
        "class_name": "Functional",
        "config": {"layers": [{"name": "a", "class_name": "Dropout", "config": {"name": "a"}, "inbound_nodes": 7}]},
    },
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "StringLookup", "config": {"name": "x", "vocabulary": {"a": 1}}}]}},
    {
        "class_name": "Sequential",
        "config": {"layers": [{"class_name": "Bidirectional", "config": {"name": "x", "layer": {"class_name": 3}}}]},
    },
    {"class_name": "function", "module": 5, "config": "system", "layers": [{}]},
    {
        "class_name": "Sequential",
        "keras_version": "2.3.1",
        "config": {"layers": [{"class_name": "Dense", "name": {"a": 1}, "config": {"name": "d", "units": 2}, "inbound_nodes": 7}]},
    },
)


@pytest.mark.parametrize("config", FORGED)
def test_forged_configurations_are_examined(config: object, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    kmt.diagnose(path)
    kmt.diagnose(path, error="Unrecognized keyword arguments passed to Dense: {'x': 1}\nUnknown layer: 'Own'\nShape mismatch (1, 2)")


@pytest.mark.parametrize("compiled", [[1], "adam", 7])
def test_forged_training_configurations_are_examined(compiled: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kmt.diagnose(with_config("model.keras", lambda config: config.update(compile_config=compiled))())


def test_deep_configurations_are_examined(tmp_path: Path) -> None:
    text = '{"class_name": "Sequential", "config": {"layers": [' * 150 + "]}}" * 150
    path = tmp_path / "model.json"
    path.write_text(text, encoding="utf-8")
    kmt.diagnose(path)


def test_an_index_of_no_names_is_examined(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"/a": 7, "/b": ["gone.h5"], "/c": "../../x"}}), encoding="utf-8")
    assert [item.identifier for item in kmt.diagnose(path)] == ["missing-part", "path-traversal"]


def test_groups_in_groups_do_not_take_longer_the_deeper_they_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["out"] = h5py.ExternalLink("other.h5", "x")
    before = time.process_time()
    assert [item.identifier for item in kmt.diagnose(tmp_path / "model.h5")] == ["outside-hdf5"]
    assert time.process_time() - before < 3


def test_a_long_word_in_a_message_does_not_take_long() -> None:
    before = time.process_time()
    assert messages_of("a" * 100_000) == []
    assert messages_of("a" * 100_000 + ".__init__() missing 1 required positional argument: 'x'") == ["argument-missing"]
    assert time.process_time() - before < 3


def messages_of(text: str) -> list[str]:
    """The messages that are known in a text."""
    return [message.identifier for message in MESSAGES if message.pattern.search(text)]


def test_what_is_no_file_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.h5")
    [item] = kmt.diagnose(tmp_path / "model.h5")
    assert item.identifier == "not-a-model"
    assert item.evidence[0].value == "is neither a file nor a directory"


def test_a_lambda_in_a_string_is_found(tmp_path: Path) -> None:
    """As a class of somebody's own keeps the `to_json()` of a model that it makes again."""
    inner = {"class_name": "Lambda", "config": {"name": "x", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}}
    layer = {"class_name": "Own", "config": {"name": "own", "model": json.dumps({"class_name": "Sequential", "config": [inner]})}}
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}), encoding="utf-8")
    assert "lambda-bytecode" in {item.identifier for item in kmt.diagnose(path)}
