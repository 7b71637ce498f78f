"""What users tell most often, each made with a real framework: the doctor finds it, or says that no file shows it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.doctor import NOT_IN_A_FILE
from kmodel_tools.doctor.architecture import COMPUTED, RANDOM
from tests.doctor.cures import INPUTS, TARGETS, run

keras = pytest.importorskip("keras")
k = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def found(*paths: str, **options: Any) -> dict[str, kmt.Finding]:
    return {item.identifier: item for item in kmt.diagnose(*paths, **options)}


def places_of(item: kmt.Finding) -> set[str]:
    return {f"{piece.layer}: {piece.key}" for piece in item.evidence}


def network(framework: Any, *names: str) -> Any:
    """Two dense layers of these names, trained."""
    framework.utils.set_random_seed(1)
    layers = [framework.layers.Dense(3 if name == names[-1] else 16, name=name) for name in names]
    model = framework.Sequential([framework.Input((4,)), *layers])
    model.compile("adam", framework.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(INPUTS, TARGETS, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("framework", [keras, k], ids=["keras", "tf_keras"])
def test_a_metric_left_to_be_guessed(framework: Any, name: str) -> None:
    model = framework.Sequential([framework.Input((4,)), framework.layers.Dense(3, name="head")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(INPUTS, np.eye(3, dtype="float32")[TARGETS], verbose=0)
    model.save(name)
    if framework is k and name == "model.h5":  # which says the function that was chosen
        assert "metric-guessed" not in found(name)
        return
    assert "categorical_accuracy" in found(name)["metric-guessed"].cure
    model.compile("adam", "categorical_crossentropy", metrics=["categorical_accuracy"])
    model.fit(INPUTS, np.eye(3, dtype="float32")[TARGETS], verbose=0)
    model.save(f"named_{name}")
    assert "metric-guessed" not in found(f"named_{name}")


@pytest.mark.parametrize("framework", [keras, k], ids=["keras", "tf_keras"])
def test_seeds_that_are_null_and_layers_that_shuffle(framework: Any) -> None:
    """Where nothing is trained yet; once it is, the file holds what was drawn."""
    layers = [
        framework.Input((8, 8, 3)),
        framework.layers.RandomFlip(name="flip"),
        framework.layers.Flatten(),
        framework.layers.Dropout(0.5, name="drop"),
        framework.layers.Dense(3, name="head"),
    ]
    model = framework.Sequential(layers)
    Path("model.json").write_text(model.to_json(), encoding="utf-8")
    assert places_of(found("model.json")["unseeded"]) >= {"flip: seed", "drop: seed", "head: kernel_initializer.seed"}
    model.save("model.keras")
    assert "unseeded" not in found("model.keras")


def test_every_random_layer_is_known() -> None:
    """Of all layers of Keras 3 with a seed; attention and recurrent layers have theirs for a dropout that they may have."""
    seeded = {
        name
        for name, value in vars(keras.layers).items()
        if inspect.isclass(value) and issubclass(value, keras.Layer) and "seed" in inspect.signature(value.__init__).parameters
    }
    assert {
        name
        for name in seeded - RANDOM - {"JaxLayer"}
        if "dropout" not in inspect.signature(getattr(keras.layers, name).__init__).parameters
    } == set()


@pytest.mark.parametrize("framework", [keras, k], ids=["keras", "tf_keras"])
def test_a_lambda_in_an_architecture(framework: Any) -> None:
    model = framework.Sequential([framework.Input((4,)), framework.layers.Lambda(lambda x: x * 2, name="double")])
    Path("model.json").write_text(model.to_json(), encoding="utf-8")
    assert places_of(found("model.json")["lambda-bytecode"]) == {"double: function"}


class Scaled(keras.layers.Layer):  # type: ignore[misc, name-defined]  # Keras has no types
    """A layer whose `get_config` leaves its argument out, and that adds a loss."""

    def __init__(self, factor: float, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        self.add_loss(keras.ops.mean(inputs))
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config())


def test_a_layer_that_lacks_an_argument_in_its_configuration() -> None:
    """With the class at hand Keras says which one; the file says that it has none. The loss that it adds is code, and not in the file."""
    model = keras.Sequential([keras.Input((4,)), Scaled(2.0, name="scaled"), keras.layers.Dense(3, name="head")])
    model.compile("adam", "mse")
    model.fit(INPUTS, np.zeros((16, 3)), verbose=0)
    assert model.losses
    model.save("model.keras")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'factor'") as failure:
        keras.models.load_model("model.keras", custom_objects={"Scaled": Scaled})
    assert found("model.keras").keys() == {"custom-objects", "custom-layer-without-arguments", "module-outside-keras"}
    first, *_ = kmt.diagnose("model.keras", error=str(failure.value))
    assert first.identifier == "argument-missing"


def test_losses_in_the_graph_that_keras_3_drops() -> None:
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, name="hidden")(inputs)
    model = k.Model(inputs, hidden)
    model.add_loss(hidden)
    model.compile("adam")
    model.fit(INPUTS, verbose=0)
    model.save("model.h5")
    with pytest.raises(ValueError, match="Unknown layer: 'AddLoss'"):
        keras.models.load_model("model.h5", compile=False)
    item = found("model.h5")["added-loss"]
    run(item.cure)
    assert found("model_keras3.keras") == {}
    cured = keras.models.load_model("model_keras3.keras")
    assert np.allclose(cured(INPUTS), model(INPUTS), atol=1e-5)
    names: dict[str, Any] = {"keras": keras, "ADDED_LOSS": 100.0}
    exec(f"class Own(keras.Model):\n    {COMPUTED}\n", names)
    assert COMPUTED in item.detail
    own = names["Own"](cured.inputs, cured.outputs)
    own.compile("adam", "mse")
    assert own.fit(INPUTS, np.zeros((16, 3)), verbose=0).history["loss"][0] > 100


def test_weights_that_never_matched() -> None:
    """`by_name=True` of Keras 2 and `skip_mismatch=True` of Keras 3 load nothing, and say nothing."""
    network(k, "hidden", "head").save_weights("weights.h5")
    other = k.Sequential([k.Input((4,)), k.layers.Dense(16, name="dense"), k.layers.Dense(3, name="dense_1")])
    other.load_weights("weights.h5", by_name=True)
    other.save("by_name.h5")
    network(keras, "hidden", "head").save("trained.keras")
    keras.models.load_model("trained.keras").save_weights("trained.weights.h5")
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(20, name="hidden"), keras.layers.Dense(30, name="head")])
    wide.load_weights("trained.weights.h5", skip_mismatch=True)
    wide.save("skipped.keras")
    assert "weights-initial" in found("by_name.h5")
    assert "weights-initial" in found("skipped.keras")
    assert "weights-initial" not in found("trained.keras")
    network(k, "dense", "dense_1").save("of_these_names.h5")
    assert "one-is-untrained" in found("of_these_names.h5", "by_name.h5")


def test_weights_made_anew_by_the_global_initializer_of_tensorflow_1() -> None:
    """`saver.restore(session, …)`, then `session.run(tf.global_variables_initializer())`, and saved again."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        with v1.variable_scope("hidden"):
            kernel = v1.get_variable("kernel", (20, 30), initializer=v1.glorot_uniform_initializer())
            bias = v1.get_variable("bias", (30,), initializer=v1.zeros_initializer())
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        session.run([kernel.assign_add(tf.fill((20, 30), 0.3)), bias.assign(tf.fill((30,), 0.2))])
        saver.save(session, "trained", write_state=False)
        saver.restore(session, "trained")
        session.run(v1.global_variables_initializer())
        saver.save(session, "again", write_state=False)
    assert "weights-initial" not in found("trained")
    assert found("again")["weights-initial"].sure == "possible"
    assert places_of(found("trained", "again")["one-is-untrained"]) == {"hidden/kernel: as it was made", "hidden/bias: as it was made"}


def test_names_beyond_an_attribute_are_no_finding_where_they_are_split() -> None:
    """Keras 2 of late splits what does not fit into 64 KB; the file is all right, and all of its layers are found."""
    names = [f"a_layer_with_a_name_that_is_long_{'and_goes_on_' * 150}{index:04d}" for index in range(40)]
    model = k.Sequential([k.Input((2,)), *(k.layers.Activation("relu", name=name) for name in names), k.layers.Dense(2, name="head")])
    model.layers[-1].set_weights([np.ones((2, 2)), np.ones(2)])
    model.save("model.h5")
    assert "layer_names0" in _attributes("model.h5")
    assert found("model.h5") == {}


def _attributes(path: str) -> list[str]:
    import h5py

    with h5py.File(path) as file:
        return list(file["model_weights"].attrs)


def test_what_no_file_shows_is_said() -> None:
    said = " ".join(f"{what}: {check}" for what, check in NOT_IN_A_FILE)
    assert all(word in said for word in ("order of classes", "preprocessing outside of the model", "split of the data", "set_random_seed"))


def test_cures_reach_layers_in_nested_models() -> None:
    """`model.get_layer` finds the layers of one model alone."""
    scale, read = keras.layers.Normalization(name="scale"), keras.layers.LSTM(3, stateful=True, name="read")
    inner = keras.Sequential([keras.Input(batch_shape=(16, 5, 4)), scale, read], name="inner")
    outer = keras.Sequential([keras.Input(batch_shape=(16, 5, 4)), inner, keras.layers.Dense(3, name="head")])
    outer.compile("adam", "mse")
    inputs = np.random.default_rng(1).standard_normal((16, 5, 4)).astype("float32")
    outer.fit(inputs, np.zeros((16, 3)), batch_size=16, verbose=0)
    outer.save("model.keras")
    cures = {name: item.cure for name, item in found("model.keras").items()}
    names = {"model": outer, "INPUTS_OF_TRAINING": inputs}
    exec(cures["stateful-layer"], names)
    first = np.array(outer(inputs))
    exec(cures["stateful-layer"], names)
    assert np.array_equal(first, outer(inputs))
    exec(cures["not-adapted"], names)
    outer.save("adapted.keras")
    assert "not-adapted" not in found("adapted.keras")


def test_words_of_a_text_layer_in_a_nested_model_are_set() -> None:
    """In its configuration too, since Keras gives a layer that was made with words no others from an asset."""
    text = keras.layers.TextVectorization(vocabulary=["a", "b"], output_mode="multi_hot", name="text")
    inner = keras.Sequential([keras.Input((1,), dtype="string"), text], name="inner")
    model = keras.Sequential([keras.Input((1,), dtype="string"), inner, keras.layers.Dense(2, name="head")])
    model.save("model.keras")
    words = keras.layers.TextVectorization(vocabulary=["b", "a"], output_mode="multi_hot", name="text")
    turned = keras.Sequential(
        [keras.Input((1,), dtype="string"), keras.Sequential([keras.Input((1,), dtype="string"), words], name="inner")]
    )
    turned.add(keras.layers.Dense(2, name="head"))
    turned.layers[-1].set_weights(model.layers[-1].get_weights())
    turned.save("turned.keras")
    line = found("model.keras", "turned.keras")["vocabulary-differs"].cure
    exec(line, {"model": turned, "WORDS_OF_TRAINING_IN_THEIR_ORDER": ["a", "b"]})
    turned.save("cured.keras")
    assert "vocabulary-differs" not in found("model.keras", "cured.keras")
    asked = tf.constant([["a"], ["b a"]])
    assert np.array_equal(keras.models.load_model("cured.keras")(asked), model(asked))


def test_a_saved_model_with_a_loss_of_ones_own() -> None:
    """Keras 3 loads no SavedModel: the cure makes one that it does load, without the loss."""

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_mean(tf.square(y_pred))

    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, name="head")])
    model.compile("sgd", own_loss)
    model.fit(INPUTS, np.zeros((16, 3)), verbose=0)
    model.save("network", save_format="tf")
    command, _, line = found("network")["custom-training-objects"].cure.partition("  # and then: ")
    run(command)
    assert np.allclose(eval(line, {"keras": keras})(INPUTS), model(INPUTS), atol=1e-5)
