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
    assert main(["convert", prefix, str(out), "--like", str(tmp_path / "like.h5"), "--map", str(names)]) == 0
    model.load_weights(out)
    expected = [first.kernel, first.bias, last.kernel, last.bias]
    assert all(judge.same_value(np.array(one), np.array(other)) for one, other in zip(model.weights, expected, strict=True))
