"""Keras 3.15.1 as the judge of the doctor: it refuses what it is said to, says what is explained, and the cures are valid Python."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.doctor.facts import facts_of
from kmodel_tools.doctor.initial import CONSISTENT, EXACT, MOVED, state_of
from kmodel_tools.doctor.training import ALIASES
from kmodel_tools.tensor import DType, InMemory, Tensor
from tests.conftest import ROOT, SAMPLES
from tests.doctor.cases import MODELS, UPGRADES

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]
INPUTS = np.random.default_rng(3).standard_normal((16, 4)).astype("float32")
WHOLE = (
    *sorted((SAMPLES / "keras_h5").glob("*.h5")),
    *sorted((SAMPLES / "keras_archive").glob("*.keras")),
    *sorted(UPGRADES.glob("tf*/*.h5")),
    *sorted(UPGRADES.glob("2*/*.h5")),
)


def model(name: str) -> Any:
    return keras.models.load_model(MODELS / name)


def cure(path: Path, identifier: str) -> str:
    return next(item.cure for item in kmt.diagnose(path) if item.identifier == identifier)


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in WHOLE if "weights" not in path.name])
def test_keras_refuses_what_it_is_said_to_refuse(path: Path) -> None:
    """No file that it loads is said to be rejected; those that it rejects are, but for the ones named here."""
    said = {item.identifier for item in kmt.diagnose(path) if item.severity == "error"} - {"compile-rejected-by-keras-3"}
    refused = ""
    try:
        found = keras.models.load_model(path, compile=False)
        refused = "takes another shape" if rank_of_inputs(path) not in (None, len(found.input_shape)) else ""
    except (TypeError, ValueError) as error:
        refused = str(error) or "refused"
    assert bool(refused) == ("rejected-by-keras-3" in said), refused
    assert refused or not said
    assert (kmt.readers(path).keras_3 in ("converted", "")) == bool(refused)


def rank_of_inputs(path: Path) -> int | None:
    """What the first layer of a Sequential that has no `InputLayer` says of the inputs, or None."""
    config: Any = (kmt.read(path).architecture or {}).get("config")
    first = config[0] if isinstance(config, list) else config["layers"][0]
    shape = first["config"].get("batch_input_shape") if "inbound_nodes" not in first and isinstance(first.get("config"), dict) else None
    return None if shape is None else len(shape)


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in (*WHOLE, MODELS / "clean.h5")])
def test_keras_refuses_to_compile_what_it_is_said_to_refuse(path: Path) -> None:
    """Among the files whose layers it takes; the cure loads them."""
    said = {item.identifier: item for item in kmt.diagnose(path) if item.theme == "opening" and item.severity == "error"}
    if "weights" in path.name or said.keys() - {"compile-rejected-by-keras-3"}:
        return
    refused = ""
    try:
        keras.models.load_model(path)
    except (TypeError, ValueError) as error:
        refused = str(error) or "refused"
    assert bool(refused) == bool(said), refused
    assert kmt.readers(path).keras_3 == ("with compile=False" if refused else "as it is")
    if said:
        exec(said["compile-rejected-by-keras-3"].cure, {"keras": keras})


@pytest.mark.parametrize("name", [*sorted(ALIASES), {"class_name": "MeanSquaredError", "config": {"reduction": "auto"}}], ids=str)
def test_names_of_losses_are_refused_in_hdf5(name: Any, tmp_path: Path) -> None:
    shutil.copy(MODELS / "clean.h5", tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        settings = json.loads(file.attrs["training_config"])
        file.attrs["training_config"] = json.dumps({**settings, "loss": name})
    with pytest.raises((TypeError, ValueError)) as failure:
        keras.models.load_model(tmp_path / "model.h5")
    first, *_ = kmt.diagnose(tmp_path / "model.h5", error=f"{type(failure.value).__name__}: {failure.value}")
    assert first.identifier in ("compile-refused", "message-not-known")
    assert "compile-rejected-by-keras-3" in {item.identifier for item in kmt.diagnose(tmp_path / "model.h5")}


def load_under(name: str, other: str) -> Callable[[Path], Any]:
    def load(folder: Path) -> Any:
        shutil.copy(MODELS / name, folder / other)
        if "weights" in name or "weights" in other or other == "w.h5":
            return model("clean.keras").load_weights(folder / other)
        return keras.models.load_model(folder / other)

    return load


def narrow(folder: Path) -> Any:
    layers = [keras.Input((4,)), keras.layers.Dense(16), keras.layers.BatchNormalization(), keras.layers.Dense(5)]
    return keras.Sequential(layers).load_weights(MODELS / "clean.h5")


def called(folder: Path) -> Any:
    return model("words_lost.h5")(keras.ops.convert_to_tensor([["a"]]))


def without(member: str) -> Callable[[Path], Any]:
    def load(folder: Path) -> Any:
        with zipfile.ZipFile(MODELS / "clean.keras") as old, zipfile.ZipFile(folder / "model.keras", "w") as new:
            for name in old.namelist():
                if name != member:
                    new.writestr(name, old.read(name))
        return keras.models.load_model(folder / "model.keras")

    return load


def endpoint(folder: Path) -> Any:
    shutil.copytree(SAMPLES / "saved_model" / "keras-3.15.1_export", folder / "export")
    return keras.layers.TFSMLayer(folder / "export", call_endpoint="predict")


def as_saved_model(folder: Path) -> Any:
    return pytest.importorskip("tensorflow").saved_model.load(str(MODELS / "clean.keras"))


FAILURES: tuple[tuple[str, str, Callable[[Path], Any]], ...] = (
    ("not-an-hdf5-file", "model.h5", load_under("clean.keras", "model.h5")),
    ("not-an-hdf5-file", "model.keras", load_under("clean.h5", "model.keras")),
    ("weights-given-for-model", "clean.weights.h5", lambda folder: keras.models.load_model(MODELS / "clean.weights.h5")),
    ("layer-count", "w.h5", load_under("clean.weights.h5", "w.h5")),
    ("variables-not-received", "w.weights.h5", load_under("clean.h5", "w.weights.h5")),
    ("shape-mismatch", "clean.h5", narrow),
    ("name-not-known", "custom.keras", lambda folder: model("custom.keras")),
    ("unsafe-content-refused", "gadget.keras", lambda folder: model("gadget.keras")),
    ("unsafe-content-refused", "tfsm.keras", lambda folder: model("tfsm.keras")),
    # Keras imports PyTorch before it refuses to load what is wrapped.
    ("unsafe-content-refused" if find_spec("torch") else "package-not-found", "torch.keras", lambda folder: model("torch.keras")),
    ("lambda-not-loaded", "lambda.keras", lambda folder: model("lambda.keras")),
    ("member-not-found", "model.keras", without("model.weights.h5")),
    ("member-not-found", "model.keras", without("config.json")),
    ("path-not-found", "clean.h5", lambda folder: keras.models.load_model(folder / "clean.h5")),
    ("saved-model-not-read", "clean.keras", as_saved_model),
    ("endpoint-not-found", "export", endpoint),
    ("name-ending-refused", "clean.h5", lambda folder: keras.saving.KerasFileEditor(str(MODELS / "clean.h5"))),
    (
        "model-not-built",
        "clean.weights.h5",
        lambda folder: keras.Sequential([keras.layers.Dense(16)]).load_weights(MODELS / "clean.weights.h5"),
    ),
    ("input-of-another-shape", "clean.keras", lambda folder: model("clean.keras")(np.ones((1, 3), "float32"))),
    ("vocabulary-not-loaded", "words_lost.h5", called),
    (
        "by-name-not-possible",
        "clean.weights.h5",
        lambda folder: model("clean.keras").load_weights(MODELS / "clean.weights.h5", by_name=True),
    ),
)


@pytest.mark.parametrize(("identifier", "name", "fail"), [pytest.param(*item, id=f"{item[0]}-{item[1]}") for item in FAILURES])
def test_what_keras_says_is_explained(identifier: str, name: str, fail: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(Exception) as failure:  # noqa: PT011  # whatever Keras and TensorFlow raise
        fail(tmp_path)
    path = tmp_path / name if (tmp_path / name).exists() else MODELS / name
    first = kmt.diagnose(path, error=f"{type(failure.value).__name__}: {failure.value}")[0]
    assert first.identifier == identifier
    in_the_code = ("by-name-not-possible", "path-not-found", "name-ending-refused", "model-not-built")
    assert first.severity == "error" or identifier in in_the_code


def test_lambdas_of_a_subclassed_saved_model_are_found(tmp_path: Path) -> None:
    """They are in no architecture, and loading makes them again all the same."""
    k = pytest.importorskip("tf_keras")

    class Network(k.Model):  # type: ignore[misc, name-defined]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.double = k.layers.Lambda(lambda x: x * 2)

        def call(self, x: Any) -> Any:
            return self.double(x)

    network = Network()
    network(np.ones((1, 4), "float32"))
    network.save(tmp_path / "network", save_format="tf")
    [item] = [item for item in kmt.diagnose(tmp_path / "network", themes=("safety",)) if item.identifier == "lambda-bytecode"]
    assert "marshalled code" in item.evidence[0].value


def test_statistics_are_updated_by_the_cure() -> None:
    """Nothing that is trained changes by it."""
    found = model("statistics.keras")
    before = [np.array(weight) for weight in found.trainable_weights]
    exec(cure(MODELS / "statistics.keras", "batchnorm-statistics-initial"), {"model": found, "inputs_of_training": [INPUTS]})
    assert all(np.array_equal(old, new) for old, new in zip(before, found.trainable_weights, strict=True))
    assert not np.array_equal(found.get_layer("norm").moving_mean, np.zeros(16))


def test_a_lost_vocabulary_is_set_by_the_cure() -> None:
    found = model("words_lost.h5")
    words = keras.ops.convert_to_tensor([["c"], ["z"]])
    exec(cure(MODELS / "words_lost.h5", "vocabulary-missing"), {"model": found, "WORDS_OF_TRAINING_IN_THEIR_ORDER": ["a", "b", "c"]})
    assert np.array_equal(found(words), model("words_kept.h5")(words))


def test_layers_compute_in_float32_by_the_cure() -> None:
    found = model("mixed.keras")
    policy, _, where = cure(MODELS / "mixed.keras", "mixed-policy").partition("  # ")
    assert where.startswith("for layer in model.layers")
    for layer in found.layers:
        exec(policy, {"layer": layer})
    assert np.array(found(INPUTS)).dtype == np.float32


def test_denormals_are_gone_by_the_cure() -> None:
    weight = model("denormal.keras").get_layer("head").kernel
    exec(cure(MODELS / "denormal.keras", "denormals"), {"w": weight, "keras": keras})
    assert not np.any(weight)


def test_states_are_reset_by_the_cure() -> None:
    found = model("stateful.keras")
    inputs = np.ones((16, 5, 2), "float32")
    first, second = np.array(found(inputs)), np.array(found(inputs))
    exec(cure(MODELS / "stateful.keras", "stateful-layer"), {"model": found})
    assert not np.array_equal(first, second)
    assert np.array_equal(first, found(inputs))


def test_predictions_of_a_layer_called_in_training_depend_on_chance() -> None:
    """As the finding says: those of `model(x)`, and not those of `predict`, until the cure."""
    found = model("random.keras")
    assert not np.array_equal(found(INPUTS), found(INPUTS))
    assert np.array_equal(found.predict(INPUTS, verbose=0), found.predict(INPUTS, verbose=0))
    new = model("clean.keras")
    exec(cure(MODELS / "random.keras", "random-at-inference").split(", then ")[1], {"new_model": new, "model": found})
    assert np.array_equal(new(INPUTS), found.predict(INPUTS, verbose=0))


def test_a_model_with_a_loss_of_ones_own_loads_by_the_cure() -> None:
    path = MODELS / "custom_loss.keras"
    assert isinstance(eval(cure(path, "custom-training-objects"), {"keras": keras}), keras.Model)
    assert ROOT in path.parents


INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "orthogonal",
    "zeros",
    "ones",
)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_what_initializers_make_is_told(name: str) -> None:
    """Of twenty draws each is told for what it is, whatever the shape; and none of them after a small step."""
    for seed in range(20):
        made = keras.initializers.get(name)
        config = {"kernel_initializer": keras.initializers.serialize(made)}
        if "seed" in made.get_config():
            made = type(made)(seed=seed)
        shape = ((40, 30), (3, 3, 8, 6), (30, 40))[seed % 3]
        values = np.array(made(shape))
        state = state_of("kernel", config, shape, facts(values))
        assert state is not None
        assert state[0] in (CONSISTENT, EXACT), (seed, state)
        stepped = state_of("kernel", config, shape, facts(values * 1.4 + 0.01))
        assert stepped is not None
        assert stepped[0] == MOVED


def facts(values: Any) -> Any:
    tensor = Tensor(DType.FLOAT32, values.shape, InMemory(np.ascontiguousarray(values, "<f4").tobytes()))
    return facts_of(tensor)


def test_the_bias_of_an_lstm_is_told() -> None:
    layer = keras.layers.LSTM(4)
    layer.build((None, 3, 2))
    bias = np.array(layer.cell.bias)
    state = state_of("bias", layer.get_config(), bias.shape, facts(bias))
    assert state == (EXACT, "zeros, ones of the forget gate")


def test_attention_is_told_in_every_layer() -> None:
    """Its kernels are those of equations, for which releases count inputs and outputs in two ways."""
    layer = keras.layers.MultiHeadAttention(4, 8)
    layer.build((None, 5, 16), (None, 5, 16))
    for dense in (layer.query_dense, layer.output_dense):
        kernel = np.array(dense.kernel)
        state = state_of("kernel", layer.get_config(), kernel.shape, facts(kernel))
        assert state is not None
        assert state[0] == CONSISTENT
