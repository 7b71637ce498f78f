"""Transfer learning from the command line, with files of real Keras and tf_keras, judged by what they load from the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.cli import main
from tests.frameworks import judge, making

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def functional(framework: Any, seed: int) -> Any:
    framework.utils.set_random_seed(seed)
    inputs = framework.Input((784,), name="digits")
    x = framework.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = framework.layers.Dense(64, activation="relu", name="dense_2")(x)
    return framework.Model(inputs, framework.layers.Dense(10, name="predictions")(x), name="3_layer_mlp")


def backbone(framework: Any, seed: int) -> Any:
    whole = functional(framework, seed)
    return framework.Model(whole.inputs, whole.layers[-2].output, name="pretrained_model")


def new_head(framework: Any, nested: bool) -> Any:
    """A model of other values around layers of the same names, with a new head; its layers in it or nested."""
    below = backbone(framework, 2)
    head = framework.layers.Dense(5, name="new_head")
    if nested:
        return framework.Sequential([framework.Input((784,)), below, head])
    return framework.Model(below.inputs, head(below.output))


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize(
    ("name", "suffix"), [("tf_keras", ".h5"), ("tf_keras", ".weights.h5"), ("keras", ".keras"), ("keras", ".weights.h5")]
)
def test_a_checkpoint_of_the_first_layers_goes_into_a_model_with_a_new_head(name: str, suffix: str, nested: bool, tmp_path: Path) -> None:
    """The transfer learning example of the guide "Save, serialize, and export models"."""
    framework = making.framework(name)
    pretrained = backbone(tf_keras, 1)
    pretrained.save_weights(tmp_path / "pretrained_ckpt")
    model = new_head(framework, nested)
    before = [np.array(value) for value in model.get_weights()]
    into, out = tmp_path / f"into{suffix}", tmp_path / f"out{suffix}"
    model.save_weights(into) if suffix == ".weights.h5" else model.save(into)
    names = tmp_path / "names.yaml"
    arguments = ["transfer", str(tmp_path / "pretrained_ckpt"), str(into), "-o", str(out)]
    if (name, suffix) == ("tf_keras", ".weights.h5"):
        assert main(arguments) == 2, "a file of Keras 2 holds no names"
        above = "functional/" if nested else ""
        names.write_text(f"dense_1: {above}dense\ndense_2: {above}dense_1\n", encoding="utf-8")
        arguments += ["--map", str(names)]
    assert main(arguments) == 0
    if suffix == ".weights.h5":
        model.load_weights(out)
    else:
        model = framework.models.load_model(out)
    found = [np.array(value) for value in model.get_weights()]
    expected = [*(np.array(value) for value in pretrained.get_weights()), *before[-2:]]
    assert len(found) == len(expected) == 6
    assert all(judge.same_value(one, other) for one, other in zip(found, expected, strict=True))
    assert not judge.same_value(before[0], expected[0])


def test_a_hand_made_checkpoint_is_shown_renamed_and_converted(tmp_path: Path) -> None:
    """The example of `tf.train.Checkpoint(dense=…, kernel=…, bias=…)` of the same guide."""
    whole = functional(tf_keras, 1)
    first, last = whole.layers[1], whole.layers[-1]
    prefix = tf.train.Checkpoint(dense=first, kernel=last.kernel, bias=last.bias).save(str(tmp_path / "ckpt"))
    shown = {"/".join(path) for path, _ in kmt.read(prefix).weights()}
    assert shown == {"dense/kernel", "dense/bias", "kernel", "bias"}
    names = tmp_path / "names.yaml"
    names.write_text("dense: first\nkernel: predictions/kernel\nbias: predictions/bias\n", encoding="utf-8")
    model = tf_keras.Sequential(
        [tf_keras.Input((784,)), tf_keras.layers.Dense(64, name="first"), tf_keras.layers.Dense(10, name="predictions", input_dim=64)]
    )
    model.save_weights(tmp_path / "like.h5")
    out = tmp_path / "out.h5"
    assert main(["convert", prefix, str(out), "--like", str(tmp_path / "like.h5"), "--map", str(names), "--lossy"]) == 0
    model.load_weights(out)
    expected = [first.kernel, first.bias, last.kernel, last.bias]
    assert all(judge.same_value(np.array(one), np.array(other)) for one, other in zip(model.weights, expected, strict=True))


def slim_network() -> dict[str, Any]:
    """Variables of a small network, in scopes as slim's resnet_v1 has them, and their values."""
    v1 = tf.compat.v1
    shapes: dict[str, tuple[int, ...]] = {"net/conv1/weights": (3, 3, 3, 8)}
    for unit in (1, 2):
        shapes |= {f"net/block1/unit_{unit}/conv{number}/weights": (3, 3, 8, 8) for number in (1, 2)}
    for name in list(shapes):
        scope = name.removesuffix("weights")
        shapes |= {f"{scope}BatchNorm/{role}": (8,) for role in ("beta", "gamma", "moving_mean", "moving_variance")}
    shapes |= {"net/logits/weights": (8, 4), "net/logits/biases": (4,)}
    made = {}
    for index, (name, shape) in enumerate(shapes.items()):
        values = np.random.default_rng(index).random(shape).astype("float32") + 0.5
        made[name] = (v1.get_variable(name, initializer=values), values)
    v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.add_n([tf.reduce_sum(variable) for variable, _ in made.values()]))
    return {name: values for name, (_, values) in made.items()}


def keras_network(framework: Any) -> Any:
    layers = framework.layers
    inputs = x = framework.Input((12, 12, 3))
    for name in ("stem", "stage2_unit1_1", "stage2_unit1_2", "stage2_unit2_1", "stage2_unit2_2"):
        x = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return framework.Model(inputs, layers.Dense(4, name="predictions")(x))


@pytest.mark.parametrize(("name", "suffix"), [("keras", ".keras"), ("keras", ".weights.h5"), ("tf_keras", ".h5")])
def test_a_proposed_map_takes_a_network_of_tensorflow_1_to_keras(name: str, suffix: str, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        values = slim_network()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            prefix = v1.train.Saver().save(session, str(tmp_path / "slim"), write_meta_graph=False)
    framework = making.framework(name)
    model = keras_network(framework)
    like, out, names = str(tmp_path / f"like{suffix}"), str(tmp_path / f"out{suffix}"), str(tmp_path / "names.yaml")
    model.save_weights(like) if suffix == ".weights.h5" else model.save(like)
    assert main(["convert", prefix, "--like", like, "--propose-map", names]) == 0
    assert "???" not in Path(names).read_text(encoding="utf-8").split("then: kmt", 1)[1]
    assert main(["convert", prefix, out, "--like", like, "--map", names, "--no-optimizer"]) == 0
    if suffix == ".weights.h5":
        model.load_weights(out)
    else:
        model = framework.models.load_model(out)
    scopes = {"stem": "net/conv1", **{f"stage2_unit{unit}_{n}": f"net/block1/unit_{unit}/conv{n}" for unit in (1, 2) for n in (1, 2)}}
    for layer, scope in scopes.items():
        found = [*model.get_layer(f"{layer}_conv").get_weights(), *model.get_layer(f"{layer}_bn").get_weights()]
        expected = [
            values[f"{scope}/weights"],
            *(values[f"{scope}/BatchNorm/{r}"] for r in ("gamma", "beta", "moving_mean", "moving_variance")),
        ]
        assert all(judge.same_value(one, other) for one, other in zip(found, expected, strict=True)), layer
    found = model.get_layer("predictions").get_weights()
    assert all(judge.same_value(one, values[f"net/logits/{role}"]) for one, role in zip(found, ("weights", "biases"), strict=True))


def gated(framework: Any, seed: int) -> Any:
    """Recurrent layers with the gates of Keras 1 and early Keras 2: `hard_sigmoid` is another function in Keras 3."""
    framework.utils.set_random_seed(seed)
    layers = framework.layers
    inputs = framework.Input((5, 4))
    x = layers.GRU(6, recurrent_activation="hard_sigmoid", return_sequences=True, name="gru")(inputs)
    x = layers.LSTM(3, recurrent_activation="hard_sigmoid", name="lstm")(x)
    model = framework.Model(inputs, layers.Dense(2, name="head")(x))
    for weight in model.weights:
        weight.assign(weight.numpy() + np.random.default_rng(seed).standard_normal(weight.shape))
    return model


def close(wanted: Any, found: Any) -> bool:
    return bool(np.abs(wanted - found).max() <= 1e-5 * np.abs(wanted).max() + 1e-6)


STEPS = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")


@pytest.mark.parametrize(("old", "new"), [("keras", "tf_keras"), ("tf_keras", "keras")])
def test_values_are_carried_to_the_generation_of_the_target(old: str, new: str, tmp_path: Path) -> None:
    """As stored, the predictions would be off by a tenth, and nobody would be told."""
    source, target = gated(making.framework(old), 1), gated(making.framework(new), 2)
    wanted = np.asarray(source(STEPS))
    files = {suffix: (tmp_path / f"old{suffix}", tmp_path / f"new{suffix}") for suffix in (".keras", ".h5", ".weights.h5")}
    for first, second in files.values():
        source.save_weights(first) if first.name.endswith(".weights.h5") else source.save(first)
        target.save_weights(second) if second.name.endswith(".weights.h5") else target.save(second)
    name = "Keras 2" if new == "tf_keras" else "Keras 3"
    for suffix in (".keras", ".h5"):
        model, match = kmt.transfer(files[suffix][0], files[".h5"][1])
        assert match.remarks[0] == f"the source is carried to {name} first"
        assert "gru, lstm" in match.remarks[1]
        kmt.write(model, tmp_path / "out.h5", overwrite=True)
        found = making.framework(new).models.load_model(tmp_path / "out.h5", compile=False)
        assert close(wanted, np.asarray(found(STEPS)))
        kmt.convert(files[suffix][0], tmp_path / "like.h5", like=files[".h5"][1], overwrite=True)
        found = making.framework(new).models.load_model(tmp_path / "like.h5", compile=False)
        assert close(wanted, np.asarray(found(STEPS)))
    if new == "tf_keras":  # without an architecture, nothing tells whether the weights led to gates
        _, match = kmt.transfer(files[".weights.h5"][0], files[".h5"][1])
        assert match.remarks == ("hard_sigmoid is another function in Keras 3, which these weights are of, than in the model: lstm, gru",)
    else:
        _, match = kmt.transfer(files[".keras"][0], files[".weights.h5"][1])
        assert match.remarks[0].startswith("the target is of Keras 3, and has no architecture to carry values to: hard_sigmoid")
