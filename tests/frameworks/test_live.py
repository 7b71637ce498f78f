"""Live models of Keras 3 and tf_keras: described, and loaded where Keras itself loads something else, nothing, or refuses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.frameworks import judge, making

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")
pytest.importorskip("keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

FRAMEWORKS = ("keras", "tf_keras")


def values(model: Any) -> dict[str, Any]:
    """Every weight of a live model by its path, as the framework has it."""
    return {join_path(path): np.array(variable) for path, variable in judge.named_variables(model)}


def row(keras: Any, names: str, seed: int, units: int = 4, name: str = "row") -> Any:
    """A Sequential of Dense layers of one shape under the names, a word each."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(units, name=word, bias_initializer="random_normal") for word in names.split()]
    return keras.Sequential([keras.layers.InputLayer((4,)), *layers], name=name)


def same(left: dict[str, Any], right: dict[str, Any], **renamed: str) -> None:
    """Assert that layers have the weights of those of the other model, `left="right"`."""
    for one, other in renamed.items():
        for role in ("kernel", "bias"):
            np.testing.assert_array_equal(left[f"{one}/{role}"], right[f"{other.replace('__', '/')}/{role}"])


# The three wrong loads of which Keras says nothing.


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_names_of_which_none_is_in_both_are_an_error(framework: str, tmp_path: Path) -> None:
    """Keras returns as if it had loaded something."""
    keras = making.framework(framework)
    row(keras, "a b", 1).save(tmp_path / "m.h5")
    model = row(keras, "c d", 2)
    before = values(model)
    model.load_weights(str(tmp_path / "m.h5"), by_name=True)
    assert all(np.array_equal(before[path], value) for path, value in values(model).items()), "Keras has loaded something"
    with pytest.raises(kmt.MatchError, match=r"no weight of the source has a partner in the model .*a/kernel") as caught:
        kmt.load_into(model, tmp_path / "m.h5")
    assert isinstance(caught.value.match, kmt.Match)
    assert len(caught.value.match.only_a) == len(caught.value.match.only_b) == 4


def test_a_layer_that_was_put_in_front_shifts_nothing(tmp_path: Path) -> None:
    """Keras gives the new layer the weights of the first one, the first those of the second, and reports the last alone."""
    keras = making.framework("keras")
    source = row(keras, "a b", 1)
    source.save_weights(tmp_path / "m.weights.h5")
    model = row(keras, "new a b", 2)
    model.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    same(values(model), values(source), new="a", a="b")
    for by in ("name", "auto"):
        model = row(keras, "new a b", 2)
        before = values(model)
        match = kmt.load_into(model, tmp_path / "m.weights.h5", by=by)
        same(values(model), values(source), a="a", b="b")
        same(values(model), before, new="new")
        assert [join_path(item.path) for item in match.only_b] == ["new/kernel", "new/bias"]
        assert not match.only_a


def test_layers_that_changed_places_keep_their_weights(tmp_path: Path) -> None:
    """Keras goes by order, and says nothing; by position, kmt says that order alone tells the layers apart."""
    keras = making.framework("keras")
    source = row(keras, "a b", 1)
    source.save_weights(tmp_path / "m.weights.h5")
    model = row(keras, "b a", 2)
    model.load_weights(tmp_path / "m.weights.h5")
    same(values(model), values(source), a="b", b="a")
    kmt.load_into(model, tmp_path / "m.weights.h5", strict=True)
    same(values(model), values(source), a="a", b="b")
    match = kmt.load_into(model, tmp_path / "m.weights.h5", by="position")
    assert any("order alone tells 2 layers" in remark for remark in match.remarks)


def test_names_that_go_on_counting_are_named(tmp_path: Path) -> None:
    keras = making.framework("keras")
    row(keras, "dense dense_1 dense_2", 1).save(tmp_path / "m.keras")
    match = kmt.load_into(row(keras, "dense_1 dense_2 dense_3", 2), tmp_path / "m.keras")
    assert match.remarks == (
        "names of the two models count from other numbers, and equal ones may be those of other layers: dense_1, dense_2",
    )


# Transfer learning.


def _saved(model: Any, file: str, folder: Path) -> Path:
    """A model in a file by its suffix; without one, as a checkpoint of TensorFlow."""
    path = folder / file
    if file == "ck":
        tf.train.Checkpoint(model=model).write(str(path))
    elif file.endswith("weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


@pytest.mark.parametrize(
    ("framework", "file"),
    [("keras", "m.keras"), ("keras", "m.weights.h5"), ("keras", "m.h5"), ("keras", "ck"), ("tf_keras", "m.h5"), ("tf_keras", "ck")],
)
def test_a_model_with_a_new_head_takes_the_layers_of_the_same_name(framework: str, file: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    source = row(keras, "low high old_head", 1)
    path = _saved(source, file, tmp_path)
    model = row(keras, "low high new_head", 2)
    before = values(model)
    with pytest.warns(
        UserWarning, match=r"2 of 6 weights of the model are as they were, .*: new_head/(kernel, new_head/bias|bias, new_head/kernel);"
    ):
        match = kmt.load_into(model, path)
    assert repr(match) == "<Match by name: 4 pairs, 2 only in a, 2 only in b, 0 mismatched>"
    assert "\n2 of b without a partner: new_head/" in str(match)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        kmt.load_into(model, path, exclude=["new_head"])
        kmt.load_into(row(keras, "low high", 2), path)
    same(values(model), values(source), low="low", high="high")
    same(values(model), before, new_head="new_head")
    assert {join_path(item.path)[:8] for item in match.only_a} == {"old_head"}
    with pytest.raises(kmt.MatchError, match="nothing was loaded"):
        kmt.load_into(model, path, strict=True)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_pretrained_model_goes_into_the_one_that_it_is_nested_in(framework: str, tmp_path: Path) -> None:
    """Keras loads nothing by name there, and says nothing: the one layer that it sees is called as the nested model is."""
    keras = making.framework(framework)
    source = row(keras, "low high", 1)
    source.save(tmp_path / "m.h5")
    _saved(source, "ck", tmp_path)
    model = keras.Sequential([keras.layers.InputLayer((4,)), row(keras, "low high", 2, name="base"), keras.layers.Dense(2, name="head")])
    before = values(model)
    model.load_weights(str(tmp_path / "m.h5"), by_name=True)
    assert all(np.array_equal(before[path], value) for path, value in values(model).items()), "Keras has loaded something"
    for file in ("m.h5", "ck"):
        match = kmt.load_into(model, tmp_path / file)
        same(values(source), values(model), low="base__low", high="base__high")
        assert len(match.pairs) == 4
        assert not match.only_a
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, "float32"))


def _net(keras: Any) -> Any:
    class Net(keras.Model):  # type: ignore[misc]  # frameworks have no types
        def __init__(self) -> None:
            super().__init__(name="net")
            self.first = keras.layers.Dense(4, name="low", bias_initializer="random_normal")
            self._second = keras.layers.Dense(4, name="high", bias_initializer="random_normal")

        def call(self, x: Any) -> Any:
            return self._second(self.first(x))

    return Net()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_layers_move_between_functional_and_subclassed_models(framework: str, tmp_path: Path) -> None:
    """By the names of layers, and, where a checkpoint knows attributes alone, by these."""
    keras = making.framework(framework)
    keras.utils.set_random_seed(3)
    x = np.ones((2, 4), "float32")
    net, source = _net(keras), row(keras, "low high", 1)
    net(x)
    assert [join_path(path) for path, _ in kmt.from_keras(net).weights()] == ["first/kernel", "first/bias", "second/kernel", "second/bias"]
    _saved(net, "ck", tmp_path)
    expected = np.array(net(x))
    source.save(tmp_path / "m.h5")
    kmt.load_into(net, tmp_path / "m.h5", strict=True)
    np.testing.assert_array_equal(np.array(net(x)), np.array(source(x)))
    kmt.load_into(net, tmp_path / "ck", strict=True)
    np.testing.assert_array_equal(np.array(net(x)), expected)
    kmt.load_into(source, net, strict=True, rename=["first=low", "second=high"])
    np.testing.assert_array_equal(np.array(source(x)), expected)


def test_frozen_layers_of_a_nested_model_stand_in_another_order_in_its_file(tmp_path: Path) -> None:
    """What is trained comes first in a legacy file; in a model of which nothing is frozen, tf_keras takes it for something else."""
    keras = making.framework("tf_keras")

    def build(seed: int, frozen: bool) -> Any:
        inner = row(keras, "low high", seed, name="inner")
        inner.layers[0].trainable = not frozen
        return keras.Sequential([keras.layers.InputLayer((4,)), inner, keras.layers.Dense(4, name="head")])

    source, model = build(1, frozen=True), build(2, frozen=False)
    source.save_weights(tmp_path / "m.h5")
    model.load_weights(tmp_path / "m.h5")
    same({path.replace("inner/", ""): value for path, value in values(model).items()}, values(source), low="inner__high")
    kmt.load_into(model, tmp_path / "m.h5", strict=True)
    for path, value in values(source).items():
        np.testing.assert_array_equal(values(model)[path], value, err_msg=path)


@pytest.mark.parametrize("by", ["name", "position", "auto"])
def test_layers_without_weights_do_not_count(by: str, tmp_path: Path) -> None:
    keras = making.framework("keras")
    L = keras.layers
    source = row(keras, "a b", 1)
    source.save(tmp_path / "m.keras")
    low, high = (L.Dense(4, name=name) for name in ("a", "b"))
    model = keras.Sequential([L.InputLayer((4,)), L.Rescaling(1.0), low, L.Dropout(0.5), L.ReLU(), high, L.Flatten()])
    kmt.load_into(model, tmp_path / "m.keras", by=by, strict=True)
    same(values(model), values(source), a="a", b="b")


# Other generations, precisions, optimizers.


def _gated(keras: Any, seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    L = keras.layers
    entry = keras.Input((5, 3), name="entry")
    x = L.LSTM(4, recurrent_activation="hard_sigmoid", bias_initializer="random_normal", name="gates")(entry)
    return keras.Model(entry, L.Dense(2, name="head")(x), name="gated")


@pytest.mark.parametrize(("old", "new", "file"), [("tf_keras", "keras", "m.h5"), ("keras", "tf_keras", "m.keras")])
def test_a_file_of_another_generation_is_carried_first(old: str, new: str, file: str, tmp_path: Path) -> None:
    """hard_sigmoid is another function in Keras 3: the values of the weights make up for that, or it is said."""
    x = np.random.default_rng(1).standard_normal((6, 5, 3)).astype("float32")
    source = _gated(making.framework(old), 1)
    source.save(tmp_path / file)
    source.save_weights(tmp_path / "w.weights.h5")
    model = _gated(making.framework(new), 2)
    match = kmt.load_into(model, tmp_path / file, strict=True)
    assert any("carried to" in remark for remark in match.remarks), match.remarks
    np.testing.assert_allclose(np.array(model(x)), np.array(source(x)), atol=1e-6)
    match = kmt.load_into(model, tmp_path / "w.weights.h5", by="auto")
    assert any("hard_sigmoid" in remark for remark in match.remarks), match.remarks


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_training_goes_on_with_the_state_of_the_optimizer(framework: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    x, y = np.ones((4, 4), "float32"), np.zeros((4, 4), "float32")

    def compiled(seed: int, optimizer: Any) -> Any:
        model = row(keras, "a b", seed)
        model.compile(optimizer, "mse")
        return model

    source = compiled(1, keras.optimizers.Adam(0.01))
    for _ in range(3):
        source.train_on_batch(x, y)
    files = ["m.keras", "m.weights.h5"] if framework == "keras" else ["m.h5"]
    paths = [_saved(source, file, tmp_path) for file in files]
    expected = [float(np.asarray(source.train_on_batch(x, y)).ravel()[0]) for _ in range(2)]
    for path in paths:
        # A legacy file has the learning rate in its configuration, and not among the state.
        model = compiled(2, keras.optimizers.Adam(0.5 if framework == "keras" else 0.01))
        match = kmt.load_into(model, path, optimizer=True)
        assert [float(np.asarray(model.train_on_batch(x, y)).ravel()[0]) for _ in range(2)] == pytest.approx(expected, rel=1e-6)
        assert "of the optimizer, 8 slots" in match.remarks[-1]
    with pytest.raises(kmt.KmtError, match=r"state is that of .*Adam, and the model is compiled with SGD"):
        kmt.load_into(compiled(2, keras.optimizers.SGD(0.1, momentum=0.9)), paths[0], optimizer=True)
    with pytest.raises(kmt.KmtError, match="no optimizer that could take a state"):
        kmt.load_into(row(keras, "a b", 2), paths[0], optimizer=True)


def test_only_the_state_of_what_is_loaded_is_loaded(tmp_path: Path) -> None:
    keras = making.framework("keras")
    source, model = row(keras, "low old", 1), row(keras, "low new", 2)
    for item in (source, model):
        item.compile("adam", "mse")
        item.train_on_batch(np.ones((4, 4), "float32"), np.zeros((4, 4), "float32"))
    source.save(tmp_path / "m.keras")
    before = [np.array(variable) for variable in model.optimizer.variables]
    match = kmt.load_into(model, tmp_path / "m.keras", optimizer=True)
    assert match.remarks[-1].startswith("of the optimizer, 4 slots and 2 counters are loaded; the state of 2 weights is as it was")
    for place, (variable, twin) in enumerate(zip(model.optimizer.variables, source.optimizer.variables, strict=True)):
        np.testing.assert_array_equal(np.array(variable), np.array(twin) if place < 6 else before[place], err_msg=variable.path)


# Nothing is assigned if anything is wrong.


def test_a_model_stays_as_it_is_if_anything_is_wrong(tmp_path: Path) -> None:
    keras = making.framework("keras")
    row(keras, "a b", 1).save(tmp_path / "m.keras")
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(6, name="b")])
    half = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(4, name="b", dtype="float16")])
    huge = kmt.read(tmp_path / "m.keras")
    large = row(keras, "a b", 1)
    large.layers[1].kernel.assign(np.full((4, 4), 1e6, "float32"))
    large.save(tmp_path / "large.keras")
    (tmp_path / "short.h5").write_bytes(b"")
    for model, source, said in (
        (wide, tmp_path / "m.keras", "weights do not fit: b/kernel"),
        (half, tmp_path / "large.keras", "cannot hold values of the source: 16 values of b/kernel: beyond float16"),
        (wide, tmp_path / "short.h5", "empty"),
    ):
        before = values(model)
        with pytest.raises(kmt.KmtError, match=said):
            kmt.load_into(model, source)
        assert all(np.array_equal(before[path], value) for path, value in values(model).items()), said
    kmt.load_into(half, tmp_path / "m.keras", strict=True)
    np.testing.assert_array_equal(np.array(half.layers[1].kernel), dict(huge.weights())["b", "kernel"].tensor.read().astype("float16"))
    match = kmt.load_into(wide, tmp_path / "m.keras", on_mismatch="skip")
    assert [join_path(pair.path_b) for pair in match.mismatched] == ["b/kernel", "b/bias"]
    kmt.load_into(wide, tmp_path / "m.keras", on_mismatch="pad")
    np.testing.assert_array_equal(values(wide)["b/kernel"][:, :4], values(row(keras, "a b", 1))["b/kernel"])


def test_a_damaged_checkpoint_changes_nothing(tmp_path: Path) -> None:
    """The last array is the one that is damaged, and its checksum tells only when it is read."""
    keras = making.framework("keras")
    _saved(row(keras, "a b", 1), "ck", tmp_path)
    data = tmp_path / "ck.data-00000-of-00001"
    raw = bytearray(data.read_bytes())
    weight = dict(kmt.read(tmp_path / "ck").weights())["b", "kernel"].tensor.byte_range
    assert weight is not None
    raw[weight.offset] ^= 1
    data.write_bytes(raw)
    model = row(keras, "a b", 2)
    before = values(model)
    with pytest.raises(kmt.CorruptFileError, match="checksum"):
        kmt.load_into(model, tmp_path / "ck")
    assert all(np.array_equal(before[path], value) for path, value in values(model).items())
    match = kmt.load_into(model, tmp_path / "ck", exclude=["b/kernel"])
    assert len(match.pairs) == 3


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_not_built_is_refused_or_named(framework: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    L = keras.layers
    for model in (keras.Sequential([L.Dense(2)]), _net(keras)):
        with pytest.raises(kmt.KmtError, match="is not built: its layers have no weights yet; call it on some data"):
            kmt.from_keras(model)
    for other in (L.Dense(2), "a.h5", None):
        with pytest.raises(kmt.KmtError, match="is no model of Keras"):
            kmt.from_keras(other)  # type: ignore[arg-type]  # that is what is asked

    class Spare(keras.Model):  # type: ignore[misc, name-defined]  # as above
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = L.Dense(4, name="a"), L.Dense(4, name="b")

        def call(self, x: Any) -> Any:
            return self.used(x)

    model = Spare()
    model(np.ones((1, 4), "float32"))
    notes = [note.text for note in kmt.from_keras(model).notes]
    assert "layers that were never called, and have no weights yet: b" in notes
    row(keras, "a b", 1).save(tmp_path / "m.h5")
    match = kmt.load_into(model, tmp_path / "m.h5")
    assert {item.reason for item in match.only_a} == {"not in the other: the layer was never called, and has no weights yet"}


# Somebody's own classes.


def _held(keras: Any) -> Any:
    L = keras.layers

    class Own(L.Layer):  # type: ignore[misc, name-defined]  # as above
        """Variables of other names than their attributes, one of them not to be trained and set first."""

        def build(self, shape: Any) -> None:
            self.count = self.add_weight(name="n", shape=(2,), trainable=False)
            self._gain = self.add_weight(name="g", shape=(2,), initializer="random_normal")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x * self._gain[0] + self.count[0]

    class Net(keras.Model):  # type: ignore[misc]  # as above
        """Layers in lists, in lists in dictionaries, under two attributes, and one that knows its owner."""

        def __init__(self) -> None:
            super().__init__(name="net")
            self.many = [L.Dense(4, name="one"), L.Dense(4, name="two")]
            self.deep = {"x": [L.Dense(4, name="three")], "y": [L.Dense(4, name="four")]}
            self.own = Own(name="five")
            self.again = self.own

        def call(self, x: Any) -> Any:
            for layer in (*self.many, *self.deep["x"], *self.deep["y"], self.own):
                x = layer(x)
            return x

    return Net()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_attributes_lists_and_dictionaries_are_paths(framework: str, tmp_path: Path) -> None:
    keras = making.framework(framework)
    x = np.ones((2, 4), "float32")
    model = _held(keras)
    model(x)
    paths = [join_path(path) for path, _ in kmt.from_keras(model).weights()]
    layers = ["many/0", "many/1", "deep/x/0", "deep/y/0"]
    assert paths == [*(f"{layer}/{role}" for layer in layers for role in ("kernel", "bias")), "own/gain", "own/count"]
    expected, held = np.array(model(x)), {path: value.tobytes() for path, value in _by_path(model).items()}
    files = ["m.weights.h5"] if framework == "keras" else ["ck", "w.h5"]  # Keras 3 does not put lists into checkpoints
    for file in files:
        path = tmp_path / file
        _saved(model, file, tmp_path) if file != "w.h5" else model.save_weights(path)
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, "float32"))
        kmt.load_into(model, path, strict=True)  # .weights.h5: many/dense_1, deep/container_1/dense
        assert {path_b: value.tobytes() for path_b, value in _by_path(model).items()} == held, file
        np.testing.assert_array_equal(np.array(model(x)), expected, err_msg=file)


def _by_path(model: Any) -> dict[str, Any]:
    return {join_path(path): weight.tensor.read() for path, weight in kmt.from_keras(model).weights()}


def test_a_live_model_is_written_as_keras_loads_it(tmp_path: Path) -> None:
    """Layers under private attributes of somebody's own class included; of a tf_keras model, its legacy file."""
    from tests.frameworks.custom_classes import custom_classes

    for framework, file in (("keras", "m.keras"), ("tf_keras", "m.h5")):
        keras = making.framework(framework)
        own = custom_classes(keras)
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.layers.InputLayer((4,)), own.Block(3, name="block"), own.Scaled(name="scaled"), keras.layers.Dense(2)]
        )
        model.compile("adam", keras.losses.MeanSquaredError())
        x = np.ones((3, 4), "float32")
        model.train_on_batch(x, np.zeros((3, 2), "float32"))
        kmt.convert(model, tmp_path / file)
        with keras.utils.custom_object_scope({"Block": own.Block, "Scaled": own.Scaled}):
            other = keras.models.load_model(tmp_path / file)
        np.testing.assert_array_equal(np.array(other(x)), np.array(model(x)))
        assert [np.array(item).tobytes() for item in other.optimizer.variables] == [
            np.array(item).tobytes() for item in model.optimizer.variables
        ]


def test_a_tree_shows_the_values_that_a_variable_has_now() -> None:
    keras = making.framework("keras")
    model = row(keras, "a", 1)
    tree = kmt.from_keras(model)
    before = kmt.digest(tree)
    model.layers[0].kernel.assign(np.ones((4, 4), "float32"))
    assert kmt.digest(tree) != before
    assert kmt.digest(tree) == kmt.digest(model)
