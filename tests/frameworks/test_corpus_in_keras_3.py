"""Real models that nobody here made, carried to Keras 3: they load there in safe mode, and predict what they predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.conftest import CORPUS
from tests.frameworks.making import framework
from tests.frameworks.test_upgrade import outputs_of, same_predictions
from tests.test_corpus import manifest, path_of

pytest.importorskip("keras")

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.frameworks,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here"),
    # Keras warns of models that are compiled and have not been trained yet.
    pytest.mark.filterwarnings("ignore"),
]

WHOLE = ("hdf5 whole model", ".keras archive", "SavedModel tf.keras")

NOT_CONVERTED = {
    "hls-qconv-bn-k24": "somebody's own class by the attributes that hold them",
    "hls-qconv-bn-k29": "somebody's own class by the attributes that hold them",
    "modelaudit-safe": "dense/kernel gets no values",  # there is an architecture in it, and nothing else
    "tfdf-adult-rf": "a .keras archive needs an architecture",  # a forest, which is no network
}
"""Models that are refused, and what the error says."""

NOT_LOADED = {
    "basicpitch-nmp": "Could not locate class 'FlattenAudioCh'",
    "basicpitch-nov06": "Could not locate class 'FlattenAudioCh'",
    "dl4j-w-space-to-depth-simple-tensorflow-1": "whose `function` is a Python lambda",
    "dl4j-ex-model-lambda": "whose `function` is a Python lambda",
    "dl4j-ex-sequential-lambda": "whose `function` is a Python lambda",
    "hls-qkeras-3layer-whole": "Could not locate class 'QDense'",
    "hls-conv2d-k213": "Could not interpret initializer identifier: .*random_kernel",
    "keras-nested-container-3150": "Could not locate class 'NestedDenseModel'",
}
"""Models that need somebody's own code, and what Keras 3 says without it."""


def whole_models() -> list[Any]:
    return [pytest.param(entry, id=entry["id"]) for entry in manifest() if entry["format"] in WHOLE]


def weights_and_architectures() -> list[Any]:
    entries = [entry for entry in manifest() if entry["format"] == "hdf5 weights"]
    return [pytest.param(entry, id=entry["id"]) for entry in entries if any(item["local"].endswith(".json") for item in entry["paths"])]


@pytest.mark.parametrize("entry", whole_models())
def test_a_real_model_loads_in_keras_3_and_predicts_the_same(entry: dict[str, Any], tmp_path: Path) -> None:
    name, archive = entry["id"], tmp_path / "m.keras"
    if name in NOT_CONVERTED:
        with pytest.raises(kmt.ConversionError, match=NOT_CONVERTED[name]):
            kmt.convert(path_of(entry), archive)
        return
    kmt.convert(path_of(entry), archive)
    keras = framework("keras")
    keras.backend.clear_session()
    if name in NOT_LOADED:
        with pytest.raises((TypeError, ValueError), match=NOT_LOADED[name]):
            keras.models.load_model(archive)
        return
    model = keras.models.load_model(archive)
    stored = CORPUS / "predictions" / f"{name}.npz"
    if stored.exists():
        inputs, outputs = _arrays(stored, "x"), _arrays(stored, "y")
        found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        same_predictions(outputs, outputs_of(found))


@pytest.mark.parametrize("entry", weights_and_architectures())
def test_real_weights_beside_their_architecture_load_in_keras_3(entry: dict[str, Any], tmp_path: Path) -> None:
    like = next(CORPUS / item["local"] for item in entry["paths"] if item["local"].endswith(".json"))
    kmt.convert(path_of(entry), tmp_path / "m.keras", like=like)
    model = framework("keras").models.load_model(tmp_path / "m.keras")
    truth = json.loads((CORPUS / entry["truth"]).read_text())
    assert model.count_params() == sum(int(np.prod(item["shape"])) for item in truth)


def _arrays(path: Path, letter: str) -> list[Any]:
    """`x0`, `x1` … or `y0` …: what goes in, or comes out."""
    with np.load(path, allow_pickle=False) as stored:
        names = sorted((key for key in stored.files if key[0] == letter and key[1:].isdigit()), key=lambda key: int(key[1:]))
        return [stored[key] for key in names]


def test_every_excuse_is_of_a_model_of_the_corpus() -> None:
    assert {*NOT_CONVERTED, *NOT_LOADED} <= {entry["id"] for entry in manifest()}
