"""What is done with each cure to see that it works: commands are run as they stand, lines of code by a real Keras, and advice is listed.

A cure with names in capitals gets what a user would put there. After a cure the finding is gone from the file that it leaves.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from kmodel_tools.cli import kmt as command
from tests.doctor.cases import MODELS

INPUTS = np.random.default_rng(3).standard_normal((16, 4)).astype("float32")
TARGETS = np.arange(16) % 3
PROGRAMS = ("kmt", "mv", "cp", "curl", "gunzip", "tar", "unzip", "git", "pip")
"""What a cure that is a command begins with."""
ELSEWHERE: Mapping[str, str] = {
    "git": "needs the server that has the file, and Git LFS",
    "pip": "changes what is installed, beside an old Keras",
}
"""Programs whose commands are not run here, and why."""
ADVICE: Mapping[str, str] = {
    "fetch or save it again": "the file holds nothing",
    "fetch it again, or copy it from where it was saved": "what is missing is elsewhere",
    "copy all files of the model together, from where it was saved": "what is missing is elsewhere",
    "save the model again": "what is missing is elsewhere",
    "save the model again; zip -FF keeps one of each, and nobody knows which was meant": "nobody knows which was meant",
    "save the model again, or fetch the whole file from where it was saved": "what is missing is elsewhere",
    "nothing for predictions; model.evaluate(…) builds the metrics": "nothing is wrong",
    "feed arrays of this shape, the batch first: inputs[None, ...] makes a batch of one, inputs[..., None] adds a channel": (
        "the arrays are elsewhere"
    ),
    "see them with: kmt formats": "it is no model",
    "do not load it; have a look where the file comes from": "it is unsafe",
    "look at, and then import yourself before loading: lab": "the code is somebody's own",
    "load it in a sandbox, or not at all": "it is unsafe",
}
"""Cures in words, and why there is nothing to run."""
LIBRARY = "tf.load_op_library('LIBRARY.so')  # or import the package that has the operation"
"""A line that is not run: it takes a compiled library."""


def kind_of(cure: str) -> str:
    """Whether a cure is a `command`, `code`, or `words`."""
    if cure.split(maxsplit=1)[0] in PROGRAMS:
        return "command"
    try:
        ast.parse(cure)
    except SyntaxError:
        return "words"
    return "code"


def filled(cure: str, fill: Mapping[str, str]) -> str:
    """A cure with what stands in capitals put in."""
    for name, value in fill.items():
        assert name in cure, (name, cure)
        cure = cure.replace(name, value)
    left = re.findall(r"\b[A-Z]{4,}(?:_[A-Z]+)*\b", cure)
    assert not left, f"{left} are to be put in"
    return cure


def run(cure: str) -> str:
    """Run a command as a shell would, `kmt` in this process; what `kmt` printed last."""
    output = ""
    for line in cure.split(" && "):
        program, *arguments = shlex.split(line, comments=True)
        if program != "kmt":
            subprocess.run(line, shell=True, check=True, stdin=subprocess.DEVNULL, timeout=60)  # as it is pasted
            continue
        result = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
        assert result.exit_code == 0 or arguments[0] == "doctor", result.output
        output = result.output
    return output


# Lines of code: what a user does with them. Each takes Keras, the line, and the path; and returns that of a file without the finding.


Use = Callable[[Any, str, str], str]


def _saved(model: Any, path: str = "cured.keras") -> str:
    model.save(path)
    return path


def _on_the_model(**names: Any) -> Use:
    """Run the line with the loaded model, and save it."""

    def use(keras: Any, line: str, path: str) -> str:
        model = keras.models.load_model(path)
        exec(line, {"keras": keras, "model": model, **names})
        return _saved(model)

    return use


def _load(keras: Any, line: str, path: str) -> str:
    """The line loads the file that Keras refuses, or whose training nobody has."""
    model = eval(line, {"keras": keras})
    assert isinstance(model, keras.Model)
    return _saved(model)


def _load_checkpoint(keras: Any, line: str, path: str) -> str:
    import tensorflow as tf

    reader = eval(line, {"tf": tf})
    assert reader.get_variable_to_shape_map()
    return path.removesuffix(".index")


def _restore(keras: Any, line: str, path: str) -> str:
    """Of the checkpoint that the state file does not name."""
    import tensorflow as tf

    prefix = str(ast.literal_eval(line.partition("restore(")[2].partition(")")[0]))
    counter = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=tf.train.Checkpoint(optimizer=tf.train.Checkpoint(_iterations=counter)))
    eval(line, {"checkpoint": checkpoint}).expect_partial()
    assert counter.numpy() > 0
    return prefix


def _rename(keras: Any, line: str, path: str) -> str:
    layers = [keras.layers.Dense(4, name="norm") for _ in range(2)]
    exec(line, {"layer": layers[1]})
    return _saved(keras.Sequential([keras.Input((4,)), *layers]))


def _end_at_nan(keras: Any, line: str, path: str) -> str:
    """The run ends in its first epoch, so that a checkpoint from before is left."""
    model = keras.models.load_model(path)
    history = model.fit(INPUTS, TARGETS, epochs=3, verbose=0, callbacks=[eval(line, {"keras": keras})])
    assert len(history.history["loss"]) <= 1
    return str(MODELS / "clean.keras")


def _update_statistics(keras: Any, line: str, path: str) -> str:
    """Nothing that is trained changes by it."""
    model = keras.models.load_model(path)
    before = [np.array(weight) for weight in model.trainable_weights]
    exec(line, {"model": model, "inputs_of_training": [INPUTS]})
    assert all(np.array_equal(old, new) for old, new in zip(before, model.trainable_weights, strict=True))
    return _saved(model)


def _widen(keras: Any, line: str, path: str) -> str:
    model = keras.models.load_model(path)
    exec(line, {"model": model})
    assert np.array(model(INPUTS)).dtype == np.float32
    return _saved(model)


def _without_training(keras: Any, line: str, path: str) -> str:
    """Predictions are those of `predict`, and do not depend on chance any more."""
    model, new = keras.models.load_model(path), keras.models.load_model(MODELS / "clean.keras")
    assert not np.array_equal(model(INPUTS), model(INPUTS))
    assert np.array_equal(model.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0))
    exec(line, {"model": model, "NEW_MODEL": new})
    assert np.array_equal(new(INPUTS), model.predict(INPUTS, verbose=0))
    return _saved(new)


def _reset(keras: Any, line: str, path: str) -> str:
    model, inputs = keras.models.load_model(path), np.ones((16, 5, 2), "float32")
    first, second = np.array(model(inputs)), np.array(model(inputs))
    exec(line, {"model": model})
    assert not np.array_equal(first, second)
    assert np.array_equal(first, model(inputs))
    return ""


def _set_vocabulary(keras: Any, line: str, path: str) -> str:
    model, words = keras.models.load_model(path), keras.ops.convert_to_tensor([["c"], ["z"]])
    exec(line, {"model": model, "WORDS_OF_TRAINING_IN_THEIR_ORDER": ["a", "b", "c"]})
    assert np.array_equal(model(words), keras.models.load_model(MODELS / "words_kept.h5")(words))
    return _saved(model)


def _set_vocabulary_before_saving(keras: Any, line: str, path: str) -> str:
    """Of a model whose words were in a file."""
    lookup = keras.layers.StringLookup(name="drop")
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup])
    exec(line, {"model": model, "WORDS": ["a", "b"]})
    return _saved(model)


def _hash(keras: Any, line: str, path: str) -> str:
    layer = eval(line, {"keras": keras, "num_bins": 4, "NUMBER": 11})
    return _saved(keras.Sequential([keras.Input((1,), dtype="string"), layer]))


def _with_arguments(keras: Any, line: str, path: str) -> str:
    """With the method in its class, a file of the model loads, and the layer does what it did."""

    class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        def __init__(self, factor: float, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

    names: dict[str, Any] = {"Scaled": Scaled}
    exec(f"class Cured(Scaled):\n    {line.replace('ARGUMENT', 'factor')}\n", names)
    model = keras.Sequential([keras.Input((4,)), names["Cured"](3.0)])
    model.save("cured.keras")
    again = keras.models.load_model("cured.keras", custom_objects={"Cured": names["Cured"]})
    assert np.allclose(again(INPUTS), INPUTS * 3)
    return "cured.keras"


def _setting(name: str) -> Use:
    """A setting of Keras is then the one of the file."""

    def use(keras: Any, line: str, path: str) -> str:
        before = getattr(keras.config, name)()
        try:
            exec(line, {"keras": keras})
            assert getattr(keras.config, name)() != before
        finally:
            getattr(keras.config, f"set_{name}")(before)
        return ""

    return use


def _seed(keras: Any, line: str, path: str) -> str:
    """The model is the same each time that it is built."""
    made = []
    for _ in range(2):
        exec(line, {"keras": keras})
        made.append(keras.models.model_from_json(Path(path).read_text(encoding="utf-8")).get_weights())
    assert all(np.array_equal(first, second) for first, second in zip(*made, strict=True))
    return ""


def _save_both(keras: Any, line: str, path: str) -> str:
    """The file of weights is loaded into the model that its code makes."""
    model = keras.models.load_model(MODELS / "clean.keras")
    model.load_weights(path)
    exec(line, {"model": model})
    return "model.keras"


IN_KERAS: Mapping[str, Use] = {
    "checkpoint-file-named": _load_checkpoint,
    "checkpoint-moved": _restore,
    "duplicate-layer-names": _rename,
    "custom-training-objects": _load,
    "compile-rejected-by-keras-3": _load,
    "batchnorm-statistics-initial": _update_statistics,
    "optimizer-step-0": _on_the_model(INPUTS_OF_TRAINING=INPUTS, TARGETS=TARGETS),
    "not-a-number": _end_at_nan,
    "denormals": _on_the_model(),
    "mixed-policy": _widen,
    "random-at-inference": _without_training,
    "stateful-layer": _reset,
    "vocabulary-missing": _set_vocabulary,
    "vocabulary-path": _set_vocabulary_before_saving,
    "not-adapted": _on_the_model(INPUTS_OF_TRAINING=INPUTS),
    "hashing-without-salt": _hash,
    "custom-layer-without-arguments": _with_arguments,
    "channels-first": _setting("image_data_format"),
    "floatx-differs": _setting("floatx"),
    "metric-guessed": _on_the_model(),
    "unseeded": _seed,
    "vocabulary-differs": _on_the_model(WORDS_OF_TRAINING_IN_THEIR_ORDER=["a", "b", "c"]),
    "not-compared": _save_both,
}
"""What is done with the code that cures a finding."""
