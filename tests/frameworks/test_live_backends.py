"""Live models of Keras 3 on its other backends, each in a process of its own: a backend is chosen when Keras is imported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")

pytestmark = [pytest.mark.frameworks]

CODE = """
import sys
import keras, numpy as np
import kmodel_tools as kmt

def build(seed):
    keras.utils.set_random_seed(seed)
    L = keras.layers
    entry = keras.Input((6, 5), name="entry")
    x = L.Bidirectional(L.LSTM(3, name="l"), name="both")(entry)
    x = L.Dense(4, dtype="bfloat16", name="short")(x)
    x = L.Dropout(0.5, seed=1)(L.BatchNormalization(name="norm")(x))
    model = keras.Model(entry, L.Dense(1, name="out")(x), name="model")
    model.compile("adam", "mse")
    return model

x = np.random.default_rng(1).standard_normal((8, 6, 5)).astype("float32")
model = build(1)
model.fit(x, np.zeros((8, 1)), verbose=0)
model.save("m.keras")
model.save_weights("m.weights.h5")
kmt.convert(model, "ours.keras")
for file in ("m.keras", "m.weights.h5", "ours.keras"):
    assert kmt.diff(model, file).same, file
    assert kmt.digest(model) == kmt.digest(file), file
    other = build(2)
    kmt.load_into(other, file, strict=True, optimizer=True)
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    for one, two in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(two))
loaded = keras.saving.load_model("ours.keras")
np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
assert kmt.from_keras(model).metadata["backend"] == sys.argv[1] == keras.backend.backend()
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_describes_loads_and_writes(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, backend], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
