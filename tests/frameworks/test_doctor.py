"""Keras 3.15.1 as the judge of the doctor: it refuses what it is said to, says what is explained, and the cures work."""

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
from tests.conftest import SAMPLES
from tests.doctor.cases import COMPARED, MODELS, SHOWN, UPGRADES, Compared, Shown
from tests.doctor.cures import IN_KERAS, INPUTS, filled, kind_of, run

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]
WHOLE = (
    *sorted((SAMPLES / "keras_h5").glob("*.h5")),
    *sorted((SAMPLES / "keras_archive").glob("*.keras")),
    *sorted(UPGRADES.glob("tf*/*.h5")),
    *sorted(UPGRADES.glob("2*/*.h5")),
)


def model(name: str) -> Any:
    return keras.models.load_model(MODELS / name)


def cure(path: str | Path, identifier: str) -> str:
    return next(item.cure for item in kmt.diagnose(path) if item.identifier == identifier)


def stated_input(path: Path) -> tuple[int | None, ...] | None:
    """The shape of the input that the first layer of a Sequential in HDF5 says, with the batch."""
    if path.suffix != ".h5":
        return None
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    inner = config["config"]["layers"] if config["class_name"] == "Sequential" and isinstance(config["config"], dict) else None
    shape = None if inner is None else inner[0]["config"].get("batch_input_shape")
    return None if shape is None else tuple(shape)


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in WHOLE if "weights" not in path.name])
def test_keras_refuses_what_it_is_said_to_refuse(path: Path) -> None:
    """No file that it loads is said to be rejected; those that it rejects are, but for the ones named here."""
    said = {item.identifier for item in kmt.diagnose(path) if item.severity == "error"} - {"compile-rejected-by-keras-3"}
    refused = ""
    try:
        loaded = keras.models.load_model(path, compile=False)
        refused = "" if stated_input(path) in (None, loaded.input_shape) else f"it takes {loaded.input_shape}"
    except (TypeError, ValueError) as error:
        refused = str(error) or "refused"
    assert bool(refused) == ("rejected-by-keras-3" in said), refused
    assert refused or not said
    assert (kmt.readers(path).keras_3 in ("converted", "")) == bool(refused)


JSON = (*sorted((SAMPLES / "keras_json").glob("*.json")), *sorted(MODELS.glob("*.json")))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in JSON])
def test_keras_refuses_architectures_that_it_is_said_to_refuse(path: Path) -> None:
    said = {item.identifier for item in kmt.diagnose(path)}
    refused = ""
    try:
        made = keras.models.model_from_json(path.read_text(encoding="utf-8"))
        refused = "" if isinstance(made, keras.Model) else "no model"  # of Keras 0.x it gives the dictionary back
    except (TypeError, ValueError) as error:
        refused = str(error)
    assert bool(refused) == ("rejected-by-keras-3" in said), refused


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_architectures_of_keras_2_are_rejected_and_carried(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Could not locate class 'Sequential'`: of every JSON that Keras 2 writes, whatever is in it."""
    k = pytest.importorskip("tf_keras")
    monkeypatch.chdir(tmp_path)
    inputs = k.Input((4,))
    made = (
        k.Sequential([k.layers.InputLayer((4,)), k.layers.Dense(2)]) if kind == "Sequential" else k.Model(inputs, k.layers.Dense(2)(inputs))
    )
    (tmp_path / "old.json").write_text(made.to_json(), encoding="utf-8")
    with pytest.raises(TypeError, match="Could not locate class"):
        keras.models.model_from_json(made.to_json())
    run(cure("old.json", "rejected-by-keras-3"))
    assert keras.models.model_from_json((tmp_path / "old_keras3.json").read_text(encoding="utf-8")).count_params() == 10
    assert "rejected-by-keras-3" not in {item.identifier for item in kmt.diagnose("old_keras3.json")}


def test_an_attention_in_hdf5_is_rejected_and_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras 3 does not load what it has written itself: it takes the score mode `dot` for the function of that name."""
    monkeypatch.chdir(tmp_path)
    inputs = keras.Input((3, 4))
    keras.Model(inputs, keras.layers.Attention()([inputs, inputs])).save("attention.h5")
    with pytest.raises(TypeError, match="Invalid value for argument score_mode"):
        keras.models.load_model("attention.h5")
    run(cure("attention.h5", "rejected-by-keras-3"))
    assert keras.models.load_model("attention_keras3.keras").layers
    assert kmt.diagnose("attention_keras3.keras") == ()


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


CODE = [pytest.param(case, id=case.identifier) for case in SHOWN if case.identifier in IN_KERAS]


@pytest.mark.parametrize("case", CODE)
def test_a_line_of_code_cures(case: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done as a user would; the file that is saved after it has not the finding any more."""
    monkeypatch.chdir(tmp_path)
    path = case.make()
    line = cure(path, case.identifier)
    if kind_of(line) == "code":
        made = IN_KERAS[case.identifier](keras, line, path)
        assert not made or case.identifier not in {item.identifier for item in kmt.diagnose(made)}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.identifier) for case in COMPARED if case.identifier in IN_KERAS])
def test_a_line_of_code_cures_one_of_two_files(case: Compared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, other = case.make(), case.other()
    line = next(item.cure for item in kmt.diagnose(first, other) if item.identifier == case.identifier)
    made = IN_KERAS[case.identifier](keras, line, other)
    assert case.identifier not in {item.identifier for item in kmt.diagnose(first, made)}


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.identifier}-{case.cured}") for case in SHOWN if case.cured])
def test_keras_loads_what_a_command_has_cured(case: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of the command is a model, or weights for one."""
    monkeypatch.chdir(tmp_path)
    run(filled(cure(case.make(), case.identifier), case.fill))
    path = Path(case.cured)
    if path.suffix == ".json":
        assert keras.models.model_from_json(path.read_text(encoding="utf-8")).layers
    elif path.name.endswith(".weights.h5"):
        model("clean.keras").load_weights(path)
    elif path.suffix in (".keras", ".h5") or path.is_dir():
        assert keras.models.load_model(path).layers


def test_the_stub_of_somebodys_own_class_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command prints is Python, and loads the model with the code in its place."""
    monkeypatch.chdir(tmp_path)
    case = next(case for case in SHOWN if case.identifier == "custom-objects")
    printed = run(cure(case.make(), case.identifier))
    stub = printed[printed.index("import keras") :].replace('raise NotImplementedError("put your code here")', "return inputs * 2.0")
    names: dict[str, Any] = {}
    exec(stub, names)
    assert np.array(names["model"](INPUTS)).shape == (16, 3)


def test_what_a_lambda_did_is_done_by_the_layer_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = next(case for case in SHOWN if case.identifier == "lambda-bytecode")
    run(filled(cure(case.make(), case.identifier), case.fill))
    expected = keras.models.load_model(MODELS / "lambda.keras", safe_mode=False)(INPUTS)  # made by `make.py`
    assert np.allclose(keras.models.load_model(case.cured)(INPUTS), expected)


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
