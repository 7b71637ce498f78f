"""144 real models that nobody here made: every array of those in our formats, and a clear refusal of what is none."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kmodel_tools as kmt
from kmodel_tools.storage.safetensors import DTYPES
from kmodel_tools.tensor import Tensor
from tests.conftest import CORPUS
from tests.trees import keys_in_tree, keys_of_the_file

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here")]

READ = ("hdf5", ".keras archive", "TF checkpoint", "SavedModel")


@cache
def manifest() -> list[dict[str, Any]]:
    if not CORPUS.is_dir():
        return []
    entries: list[dict[str, Any]] = json.loads((CORPUS / "manifest.json").read_text())
    return entries


def _entries(*kinds: str) -> list[Any]:
    return [pytest.param(entry, id=entry["id"]) for entry in manifest() if entry["format"].startswith(kinds)]


def path_of(entry: dict[str, Any]) -> Path:
    """The file, for a checkpoint the index, or for a SavedModel the directory, that a user would name."""
    files: list[Path] = [CORPUS / item["local"] for item in entry["paths"]]
    if entry["format"].startswith("SavedModel"):
        return next(file.parent for file in files if file.name.startswith("saved_model.pb"))
    models = [file for file in files if file.suffix not in (".json", ".meta") and ".data-" not in file.name and file.name != "checkpoint"]
    return next((file for file in models if file.suffix == ".index"), (models or files)[0])


def _sha256(tensor: Tensor) -> str:
    digest = hashlib.sha256()
    for block in tensor.blocks():
        digest.update(block)
    return digest.hexdigest()


@pytest.mark.parametrize("entry", _entries(*READ))
def test_every_array_is_as_in_the_truth(entry: dict[str, Any]) -> None:
    model = kmt.read(path_of(entry))
    truth = {item["path"]: item for item in json.loads((CORPUS / entry["truth"]).read_text())}
    found = dict(model.tensors())
    assert found.keys() == truth.keys()
    for key, tensor in found.items():
        expected = truth[key]
        assert (list(tensor.shape), tensor.dtype.value) == (expected["shape"], expected["dtype"]), key
        assert _sha256(tensor) == expected["sha256"], key


@pytest.mark.parametrize("entry", _entries(*READ))
def test_every_array_is_in_the_tree_once(entry: dict[str, Any]) -> None:
    model = kmt.read(path_of(entry))
    assert sorted(keys_in_tree(model)) == keys_of_the_file(model)
    paths = [path for path, _ in model.weights()]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("entry", [item for item in _entries(*READ) if item.values[0].get("n_params") is not None])
def test_parameters_are_counted_as_the_manifest_says(entry: dict[str, Any]) -> None:
    model = kmt.read(path_of(entry))
    state = 0
    if entry["dialect"] == "savedmodel-tf1" and model.optimizer is not None:  # the manifest takes an optimizer's arrays for weights there
        state = sum(item.tensor.size for items in (model.optimizer.counters, model.optimizer.extras) for item in items)
    assert kmt.inspect(model).totals.parameters + state == entry["n_params"]


@pytest.mark.parametrize("entry", _entries("safetensors"))
def test_every_array_of_safetensors_is_as_in_the_truth(entry: dict[str, Any]) -> None:
    found = dict(kmt.read(path_of(entry)).tensors())
    truth = {item["path"]: item for item in json.loads((CORPUS / entry["truth"]).read_text())}
    assert found.keys() == truth.keys()
    for key, tensor in found.items():
        assert (list(tensor.shape), tensor.dtype) == (truth[key]["shape"], DTYPES[truth[key]["dtype"]]), key
        assert _sha256(tensor) == truth[key]["sha256"], key


@pytest.mark.parametrize("entry", _entries("architecture"))
def test_every_layer_of_an_architecture_is_there(entry: dict[str, Any]) -> None:
    model = kmt.read(CORPUS / entry["paths"][0]["local"])
    found = Counter(layer.class_name for layer in model.layers)
    assert sum(found.values()) == entry["n_layers"]
    assert all(entry["layer_classes"][kind] == count for kind, count in found.items() if kind is not None)


@pytest.mark.parametrize("entry", _entries("negative"))
def test_what_is_no_model_is_refused(entry: dict[str, Any]) -> None:
    path = path_of(entry)
    with pytest.raises(kmt.FormatError) as caught:
        kmt.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_every_way_to_name_a_checkpoint_leads_to_the_same_tree() -> None:
    entry = next(item for item in manifest() if item["id"] == "tfx-taxi-ckpt-2shards")
    index = path_of(entry)
    prefix = index.with_suffix("")
    names = [index, prefix, Path(f"{prefix}.data-00001-of-00002"), index.parent, index.parent / "checkpoint"]
    assert len({kmt.digest(name).weights for name in names}) == 1
