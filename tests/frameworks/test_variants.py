"""What the zoo leaves out: quantised layers, LoRA, precisions, optimizers, vocabularies; against the live model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
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
    assert kmt.digest(model) == kmt.digest(tmp_path / "m.keras")
    _loads(model, tmp_path / "m.weights.h5")


def _loads(model: Any, path: Path) -> None:
    """Assert that a live model gets all of its values back from a file."""
    expected = [_stored(variable) for variable in model.weights]
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape, _stored(variable).dtype))
    kmt.load_into(model, path, strict=True)
    for variable, value in zip(model.weights, expected, strict=True):
        assert judge.same_value(_stored(variable), value), variable.path


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantised_embedding_shows_its_scales(mode: str, tmp_path: Path) -> None:
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(9, 8, name="x")])
    model.layers[0].quantize(mode)
    model.save(tmp_path / "m.keras")
    assert set(_by_path(kmt.read(tmp_path / "m.keras"))) == {f"x/{variable.name}" for variable in model.layers[0].variables}
    assert kmt.digest(model) == kmt.digest(tmp_path / "m.keras")


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


def test_a_live_layer_with_lora_is_as_its_files_have_it(tmp_path: Path) -> None:
    """Merged from and for an archive, with its factors from a legacy file; factors left beside a merged kernel would count twice."""
    keras = making.framework("keras")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6, name="x")])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 6), "float32"))
    x = np.ones((3, 8), "float32")
    expected = _stored(model(x))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    assert kmt.diff(model, tmp_path / "m.keras").same
    kmt.convert(model, tmp_path / "ours.keras")
    np.testing.assert_allclose(_stored(keras.saving.load_model(tmp_path / "ours.keras")(x)), expected, rtol=1e-5)
    for file in ("m.keras", "m.h5"):
        for variable in model.weights:
            variable.assign(np.full(variable.shape, 0.3, "float32"))
        kmt.load_into(model, tmp_path / file, strict=True)
        np.testing.assert_allclose(_stored(model(x)), expected, rtol=1e-5, err_msg=file)


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
    assert kmt.digest(model) == kmt.digest(tmp_path / "m.keras")
    _loads(model, tmp_path / "m.weights.h5")


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
    for file in ("m.keras", "m.h5", "ck", "live"):
        tree = kmt.from_keras(model) if file == "live" else kmt.read(tmp_path / file)
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
    for file in ("m.h5", "bare", "live"):
        tree = kmt.from_keras(model) if file == "live" else kmt.read(tmp_path / file)
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
    assert kmt.diff(model, tree).same


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


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_dictionaries_of_inputs_and_outputs_go_by_their_sorted_keys(framework: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    keras.utils.set_random_seed(3)
    L = keras.layers
    inside = {"zz": keras.Input((5,), name="zz"), "aa": keras.Input((5,), name="aa")}
    inner = keras.Model(inside, {"r": L.Dense(5, name="dz")(inside["zz"]), "c": L.Dense(5, name="da")(inside["aa"])}, name="inner")
    one, two = keras.Input((5,), name="one"), keras.Input((5,), name="two")
    between = inner({"zz": L.Dense(5, name="p")(one), "aa": L.Dense(5, name="q")(two)})
    outputs = {"z": L.Dense(1, name="oz")(between["r"]), "c": L.Dense(1, name="oc")(between["c"])}
    model = keras.Model({"two": two, "one": one}, outputs, name="outer")
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    expected = [("/".join(path), _stored(variable)) for path, variable in judge.named_variables(model)]
    for file in ("m.keras", "m.h5"):
        found = _by_path(kmt.read(tmp_path / file))
        assert list(found) == [path for path, _ in expected], file
        for path, value in expected:
            assert judge.same_value(found[path], value), (file, path)


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_somebody_elses_class_of_a_built_in_name_gets_no_built_in_roles(framework: str, tmp_path: Path) -> None:
    keras = making.framework(framework)

    class BatchNormalization(keras.layers.Layer):  # type: ignore[misc, name-defined]  # keras is not typed
        def build(self, shape: Any) -> None:
            self.beta = self.add_weight(name="beta", shape=(4,))
            self.gamma = self.add_weight(name="gamma", shape=(4,))
            self.moving_variance = self.add_weight(name="moving_variance", shape=(4,), trainable=False)
            self.moving_mean = self.add_weight(name="moving_mean", shape=(4,), trainable=False)

        def call(self, x: Any) -> Any:
            return x * self.gamma + self.beta + self.moving_mean * self.moving_variance

    entry = keras.Input((4,))
    model = keras.Model(entry, BatchNormalization(name="x")(entry))
    model.save(tmp_path / "m.keras")
    assert list(_by_path(kmt.read(tmp_path / "m.keras"))) == ["x/0", "x/1", "x/2", "x/3"]
    assert list(_by_path(kmt.from_keras(model))) == ["x/beta", "x/gamma", "x/moving_variance", "x/moving_mean"]
    assert kmt.diff(model, tmp_path / "m.keras").same
    _loads(model, tmp_path / "m.keras")


def test_what_was_thawed_inside_of_a_frozen_model_is_trained(tmp_path: Path) -> None:
    keras = making.framework("keras")
    L = keras.layers
    base = keras.Sequential([keras.Input((4,)), L.Dense(4, name="low"), L.Dense(4, name="high")], name="base")
    base.trainable = False
    base.layers[-1].trainable = True
    entry = keras.Input((4,))
    model = keras.Model(entry, L.Dense(1, name="head")(base(entry)))
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4), "float32"), np.ones((2, 1), "float32"))
    expected = {"/".join(path): variable.trainable for path, variable in judge.named_variables(model)}
    for file in ("m.keras", "m.h5"):
        model.save(tmp_path / file)
        tree = kmt.read(tmp_path / file)
        assert {join_path(path): weight.trainable for path, weight in tree.weights()} == expected, file
        assert tree.optimizer is not None
        assert len(tree.optimizer.slots) == 8, file


@pytest.mark.parametrize("frozen", ["forward_layer", "backward_layer"])
@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_a_half_frozen_bidirectional_keeps_its_directions_apart(framework: str, frozen: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Bidirectional(keras.layers.LSTM(3), name="b")])
    getattr(model.layers[0], frozen).trainable = False
    expected = {"/".join(path): _stored(variable) for path, variable in judge.named_variables(model)}
    for file in ("m.h5", "m.keras"):
        model.save(tmp_path / file)
        found = _by_path(kmt.read(tmp_path / file))
        assert found.keys() == expected.keys(), file
        for path, value in expected.items():
            assert judge.same_value(found[path], value), (file, path)


def test_cells_of_any_name_keep_their_numbers_in_a_checkpoint(tmp_path: Path) -> None:
    import tensorflow as tf

    keras = making.framework("keras")
    cells = [keras.layers.LSTMCell(3, name="lower"), keras.layers.GRUCell(2, name="upper")]
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.RNN(cells, name="r"), keras.layers.Dense(1, name="o")])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 5, 3), "float32"), np.ones((2, 1), "float32"))
    tf.train.Checkpoint(model=model).save(tmp_path / "ck")
    assert list(_by_path(kmt.read(tmp_path / "ck-1"))) == ["/".join(path) for path, _ in judge.named_variables(model)]


NESTED = {
    "LSTM": lambda keras, L: [keras.Input((5, 3)), L.LSTM(4, name="x")],
    "GRU": lambda keras, L: [keras.Input((5, 3)), L.GRU(4, name="x")],
    "Bidirectional": lambda keras, L: [keras.Input((5, 3)), L.Bidirectional(L.LSTM(4), name="x")],
    "TimeDistributed": lambda keras, L: [keras.Input((5, 3)), L.TimeDistributed(L.Dense(4), name="x")],
    "Sequential": lambda keras, L: [keras.Input((3,)), keras.Sequential([keras.Input((3,)), L.Dense(4, name="a")], name="x")],
}


def _holding_attention(keras: Any) -> Any:
    entry = keras.Input((5, 4))
    return keras.Model(entry, keras.layers.MultiHeadAttention(2, 3, name="x")(entry, entry))


@pytest.mark.parametrize("kind", [*NESTED, "MultiHeadAttention"])
def test_nested_weights_survive_where_the_file_editor_of_keras_deletes_them(kind: str, tmp_path: Path) -> None:
    """The editor reads what we write as it reads Keras's own file; saved by it, what lies inside of a layer is gone."""
    keras = making.framework("keras")
    keras.utils.set_random_seed(5)
    model = _holding_attention(keras) if kind == "MultiHeadAttention" else keras.Sequential(NESTED[kind](keras, keras.layers))
    original, ours, edited = (str(tmp_path / f"{name}.weights.h5") for name in ("original", "ours", "edited"))
    model.save_weights(original)
    kmt.convert(original, ours)
    assert _plain(keras.saving.KerasFileEditor(ours).weights_dict) == _plain(keras.saving.KerasFileEditor(original).weights_dict)
    keras.saving.KerasFileEditor(original).save(edited)
    assert _arrays(edited) < len(model.weights) == _arrays(ours), "Keras has mended its editor"
    assert kmt.diff(original, ours).same
    expected = [_stored(variable) for variable in model.weights]
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    model.load_weights(ours)
    for variable, value in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(_stored(variable), value)


def _arrays(path: str) -> int:
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return len(found)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return np.asarray(node).tobytes()


def test_vocabularies_survive_from_archive_to_archive_and_are_a_loss_elsewhere(tmp_path: Path) -> None:
    keras = making.framework("keras")
    L = keras.layers
    text = L.TextVectorization(output_mode="tf_idf", name="text")
    text.adapt(["the cat sat", "the dog sat on the cat"])
    lookup = L.StringLookup(output_mode="one_hot", name="lookup")
    lookup.adapt([["red"], ["green"], ["blue"]])
    phrase, colour = keras.Input((), dtype="string", name="phrase"), keras.Input((1,), dtype="string", name="colour")
    model = keras.Model([phrase, colour], L.Dense(2, name="out")(L.Concatenate()([text(phrase), lookup(colour)])))
    model.save(tmp_path / "original.keras")
    kmt.convert(tmp_path / "original.keras", tmp_path / "ours.keras")
    kmt.convert(model, tmp_path / "live.keras")
    assert kmt.diff(model, tmp_path / "original.keras").same
    import tensorflow as tf

    given = [tf.constant(["a cat on the dog", "sat"]), tf.constant([["green"], ["pink"]])]
    for file in ("ours.keras", "live.keras"):
        other = keras.saving.load_model(tmp_path / file)
        np.testing.assert_array_equal(_stored(other(given)), _stored(model(given)))
    for file in ("m.h5", "m.weights.h5"):
        with pytest.raises(kmt.ConversionError, match=r"vocabulary\.txt") as caught:
            kmt.convert(tmp_path / "original.keras", tmp_path / file)
        assert {loss for loss in caught.value.losses if "vocabulary.txt" in loss}


@pytest.mark.parametrize("like", ["m.keras", "m.h5", "m.weights.h5", "m.json"])
def test_a_checkpoint_becomes_what_another_file_is_like(like: str, tmp_path: Path) -> None:
    import tensorflow as tf

    keras = making.framework("keras")
    case = next(case for case in MODELS if case.name == "model-several_outputs")
    model = making.trained(case, keras)
    tf.train.Checkpoint(model=model).save(tmp_path / "ck")
    expected = [_stored(variable) for variable in model.weights]
    if like.endswith(".json"):
        (tmp_path / like).write_text(model.to_json())
    elif like.endswith(".weights.h5"):
        model.save_weights(tmp_path / like)
    else:
        model.save(tmp_path / like)
    target = tmp_path / ("ours.weights.h5" if like.endswith(".weights.h5") else "ours.keras")
    kmt.convert(tmp_path / "ck-1", target, like=tmp_path / like, optimizer=False, lossy=True)
    if target.suffix == ".keras":
        model = keras.saving.load_model(target, compile=False)
    else:
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, "float32"))
        model.load_weights(target)
    for variable, value in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(_stored(variable), value)


STATES = {
    "Adam amsgrad": lambda optimizers: optimizers.Adam(amsgrad=True),
    "Nadam": lambda optimizers: optimizers.Nadam(),
    "RMSprop": lambda optimizers: optimizers.RMSprop(momentum=0.9, centered=True),
    "SGD average": lambda optimizers: optimizers.SGD(momentum=0.9, use_ema=True),
    "LossScale": lambda optimizers: optimizers.LossScaleOptimizer(optimizers.Adam(), initial_scale=8.0),
    "LossScale average": lambda optimizers: optimizers.LossScaleOptimizer(optimizers.Adam(use_ema=True)),
}


@pytest.mark.parametrize("way", [("a.keras",), ("a.h5", "b.keras"), ("a.weights.h5",)], ids=str)
@pytest.mark.parametrize("name", STATES)
def test_the_state_of_an_optimizer_survives(name: str, way: tuple[str, ...], tmp_path: Path) -> None:
    keras = making.framework("keras")
    L = keras.layers
    model = keras.Sequential([keras.Input((4,)), L.Dense(4), L.BatchNormalization(), L.Dense(1)])
    model.compile(STATES[name](keras.optimizers), keras.losses.MeanSquaredError())
    for _ in range(2):
        model.train_on_batch(np.ones((2, 4), "float32"), np.zeros((2, 1), "float32"))
    model.save(tmp_path / "source.keras")
    last = tmp_path / "source.keras"
    for step in way:
        kmt.convert(last, tmp_path / step)
        last = tmp_path / step
    other = keras.saving.load_model(tmp_path / "source.keras" if last.name.endswith(".weights.h5") else last)
    if last.name.endswith(".weights.h5"):
        for variable in other.optimizer.variables:
            variable.assign(np.zeros(variable.shape, _stored(variable).dtype))
        other.load_weights(last)
    elif not name.startswith("LossScale"):
        for variable in (*other.weights, *other.optimizer.variables):
            variable.assign(np.zeros(variable.shape, _stored(variable).dtype))
        kmt.load_into(other, last, strict=True, optimizer=True)
    assert len(other.optimizer.variables) == len(model.optimizer.variables)
    for variable, twin in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(_stored(twin), _stored(variable), err_msg=variable.path)


def test_weights_alone_stand_in_the_order_of_what_is_frozen(tmp_path: Path) -> None:
    """The base is frozen and its top thawed again: Keras asks the base alone, and takes its weights in plain order."""
    keras = making.framework("keras")
    L = keras.layers
    base = keras.Sequential([keras.Input((4,)), L.Dense(4, name="low"), L.Dense(4, name="high")], name="base")
    base.trainable = False
    base.layers[-1].trainable = True
    entry = keras.Input((4,))
    model = keras.Model(entry, L.Dense(4, name="head")(base(entry)))
    model.save(tmp_path / "m.keras")
    expected = [_stored(variable) for variable in model.weights]
    kmt.convert(tmp_path / "m.keras", tmp_path / "w.h5", weights_only=True)
    with h5py.File(tmp_path / "w.h5") as file:
        assert "model_config" not in file.attrs
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    model.load_weights(tmp_path / "w.h5")
    for variable, value in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(_stored(variable), value)


def test_a_checkpoint_with_more_than_a_model_gives_the_model(tmp_path: Path) -> None:
    import tensorflow as tf

    keras = making.framework("keras")
    case = next(case for case in MODELS if case.name == "model-several_outputs")
    model = making.trained(case, keras)
    model.save(tmp_path / "like.keras")
    step = tf.Variable(5, dtype="int64")
    tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=step).save(tmp_path / "ck")
    report = kmt.convert(tmp_path / "ck-1", tmp_path / "ours.keras", like=tmp_path / "like.keras", lossy=True)
    assert "1 arrays that stand beside the model (step)" in report.lost
    assert kmt.digest(tmp_path / "ours.keras").weights == kmt.digest(tmp_path / "like.keras").weights
