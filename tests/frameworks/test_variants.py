"""What the zoo leaves out: quantised layers, LoRA, precisions, optimizers, vocabularies; against the live model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.frameworks import judge, making
from tests.frameworks.zoo import MODELS

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]


def _stored(variable: Any) -> Any:
    return np.asarray(variable)


def _by_path(tree: kmt.Model) -> dict[str, Any]:
    return {join_path(path): weight.tensor.read() for path, weight in tree.weights()}


QUANTIZED = {
    "dense": lambda L: L.Dense(6, name="x"),
    "einsum": lambda L: L.EinsumDense("ab,bc->ac", 6, bias_axes="c", name="x"),
    "dense_no_bias": lambda L: L.Dense(6, use_bias=False, name="x"),
}


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("kind", QUANTIZED)
def test_a_quantised_layer_shows_the_variables_of_its_mode(kind: str, mode: str, tmp_path: Path) -> None:
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((8,)), QUANTIZED[kind](keras.layers), keras.layers.Dense(1, name="last")])
    model.layers[0].quantize(mode)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    expected = {f"x/{variable.name}": _stored(variable) for variable in model.layers[0].variables}
    for file in ("m.keras", "m.weights.h5"):
        found = {path: value for path, value in _by_path(kmt.read(tmp_path / file)).items() if path.startswith("x/")}
        assert found.keys() == expected.keys(), file
        for path, value in found.items():
            assert judge.same_value(value, expected[path]), (file, path)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantised_embedding_shows_its_scales(mode: str, tmp_path: Path) -> None:
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(9, 8, name="x")])
    model.layers[0].quantize(mode)
    model.save(tmp_path / "m.keras")
    assert set(_by_path(kmt.read(tmp_path / "m.keras"))) == {f"x/{variable.name}" for variable in model.layers[0].variables}


def test_lora_is_merged_in_archives_and_kept_in_legacy_files(tmp_path: Path) -> None:
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6, name="x")])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 6), "float32"))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    archive = kmt.read(tmp_path / "m.keras")
    assert {join_path(path): weight.trainable for path, weight in archive.weights()} == {"x/kernel": False, "x/bias": True}
    np.testing.assert_allclose(_by_path(archive)["x/kernel"], _stored(model.layers[0].kernel), rtol=1e-6)
    legacy = _by_path(kmt.read(tmp_path / "m.h5"))
    assert set(legacy) == {"x/kernel", "x/bias", "x/lora_kernel_a", "x/lora_kernel_b"}


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "float64", "mixed_float16", "mixed_bfloat16"])
def test_precisions_keep_their_bits(policy: str, tmp_path: Path) -> None:
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype=policy, name="x"), keras.layers.BatchNormalization(name="n")])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    expected = judge.expected_weights(model)
    for file in ("m.keras", "m.weights.h5"):
        found = judge.tree_weights(kmt.read(tmp_path / file))
        for want, got in zip(expected, found, strict=True):
            assert want.path == got.path
            assert judge.same_value(want.value, got.value), (file, want.path)


SPELLED = {"m": "momentum", "v": "velocity", "vhat": "velocity_hat", "u": "norm"}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGD-momentum": {"momentum": 0.9},
    "RMSprop": {},
    "RMSprop-all": {"momentum": 0.5, "centered": True},
    "RMSprop-centered": {"centered": True},
    "Adam": {},
    "Adam-amsgrad": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "Nadam": {},
    "Adagrad": {},
    "Adadelta": {},
    "Ftrl": {},
    "Lion": {},
    "Adam-ema": {"use_ema": True},
}


def _expected_state(model: Any) -> dict[tuple[str, str], Any]:
    """(slot, path of its weight) to value, by the names that the framework gives to its optimizer's variables."""
    paths = {id(variable): join_path(path) for path, variable in judge.named_variables(model)}
    found = {}
    for variable in model.trainable_variables:
        for state in model.optimizer.variables:
            name = getattr(state, "path", state.name).split(":")[0]
            if hasattr(variable, "path"):
                prefix = f"{variable.path.replace('/', '_')}_"
                last = name.rpartition("/")[2]
                slot = last[len(prefix) :] if last.startswith(prefix) and tuple(state.shape) == tuple(variable.shape) else None
            else:
                owner = variable.name.split(":")[0]
                parts = name.removesuffix(f"/{owner}").split("/")
                slot = parts[-1] if name.endswith(f"/{owner}") else None
            if slot:
                found[SPELLED.get(slot, slot), paths[id(variable)]] = _stored(state)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("framework", making.FRAMEWORKS)
def test_every_optimizer_has_its_slots_tied(framework: str, name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    keras = making.framework(framework)
    case = next(case for case in MODELS if case.name == "model-nested")
    optimizer = getattr(keras.optimizers, name.partition("-")[0])(**OPTIMIZERS[name])
    model = making.trained(case, keras, optimizer)
    expected = _expected_state(model)
    assert expected or name == "SGD"
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    tf.train.Checkpoint(model=model).write(str(tmp_path / "ck"))
    for file in ("m.keras", "m.h5", "ck"):
        tree = kmt.read(tmp_path / file)
        assert tree.optimizer is not None
        by_weight = {id(weight): path for path, weight in tree.weights()}
        found = {(slot.name, by_weight[id(slot.weight)][-2:]): slot.tensor.read() for slot in tree.optimizer.slots}
        wanted = {(slot, tuple(path.split("/")[-2:])): value for (slot, path), value in expected.items()}
        assert found.keys() == wanted.keys(), f"{file}: {sorted(found.keys() ^ wanted.keys())}"
        for key, value in found.items():
            assert judge.same_value(value, wanted[key]), (file, key)


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl"])
def test_legacy_optimizers_are_tied_by_graph_and_by_name(name: str, tmp_path: Path) -> None:
    keras = making.framework("tf_keras")
    case = next(case for case in MODELS if case.name == "model-nested")
    settings = {"momentum": 0.9} if name == "SGD" else {}
    model = making.trained(case, keras, getattr(keras.optimizers.legacy, name)(**settings))
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "bare")
    slots = model.optimizer.get_slot_names()
    for file in ("m.h5", "bare"):
        tree = kmt.read(tmp_path / file)
        assert tree.optimizer is not None
        by_weight = {id(weight): path for path, weight in tree.weights()}
        assert len(tree.optimizer.slots) == len(slots) * len(model.trainable_variables), file
        for slot in tree.optimizer.slots:
            layer, role = by_weight[id(slot.weight)][-2:]
            variable = next(item for item in model.trainable_variables if item.name == f"{layer}/{role}:0")
            states = [np.asarray(model.optimizer.get_slot(variable, spelling)) for spelling in slots]
            assert any(judge.same_value(slot.tensor.read(), state) for state in states), (file, slot.name, layer, role)


def test_loss_scaling_shows_the_inner_optimizer(tmp_path: Path) -> None:
    keras = making.framework("keras")
    case = next(case for case in MODELS if case.name == "model-sequential")
    model = making.trained(case, keras, keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))
    model.save(tmp_path / "m.keras")
    tree = kmt.read(tmp_path / "m.keras")
    assert tree.optimizer is not None
    assert len(tree.optimizer.slots) == 2 * len(model.trainable_variables)
    inner = model.optimizer.inner_optimizer
    momenta = {id(variable): _stored(state) for variable, state in zip(model.trainable_variables, inner._momentums, strict=True)}
    live = dict(judge.named_variables(model))
    by_weight = {id(weight): path for path, weight in tree.weights()}
    for slot in tree.optimizer.slots:
        if slot.name == "momentum":
            assert judge.same_value(slot.tensor.read(), momenta[id(live[by_weight[id(slot.weight)]])])


def test_vocabularies_are_assets_and_weights_of_tf_idf_are_weights(tmp_path: Path) -> None:
    keras = making.framework("keras")
    layer = keras.layers.TextVectorization(output_mode="tf_idf", name="words")
    layer.adapt(["a b c", "a b", "a"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer, keras.layers.Dense(1, name="last")])
    model.save(tmp_path / "m.keras")
    tree = kmt.read(tmp_path / "m.keras")
    texts = {asset.name: asset.data.read().decode() for asset in tree.assets}
    assert any("a" in text.split("\n") for text in texts.values()), texts
    assert any(path[-1] == "idf_weights" for path, _ in tree.weights())
    assert "words" in [layer.name for layer in tree.layers]
