"""Models of Keras 2.0.9 to 2.3.1, on TensorFlow and Theano, and of TensorFlow 2.2 and 2.15: Keras 3 predicts what they predicted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.eras_of_keras_1 import FOLDER, name_of

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
keras = pytest.importorskip("keras")
MODELS = sorted(path for folder in FOLDER.glob("[2t]*") for path in folder.iterdir() if path.suffix in (".h5", ".keras"))


def loaded(path: Path, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model as Keras 3 loads it, and the arrays beside its file."""
    kmt.convert(path, folder / "new.keras")
    with np.load(path.with_name(path.stem + "_io.npz")) as stored:
        return keras.models.load_model(folder / "new.keras"), dict(stored)


@pytest.mark.parametrize("path", MODELS, ids=name_of)
def test_keras_3_predicts_what_the_old_release_did(path: Path, tmp_path: Path) -> None:
    model, stored = loaded(path, tmp_path)
    inputs = [stored[f"x{index}"] for index in range(len(model.inputs))]
    expected = [stored[f"y{index}"] for index in range(sum(bool(re.fullmatch(r"y\d+", key)) for key in stored))]
    found = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    for want, got in zip(expected, found if isinstance(found, list) else [found], strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * float(np.abs(want).max()) + 1e-6)


@pytest.mark.parametrize("path", [path for path in MODELS if path.stem == "trained"], ids=name_of)
def test_training_goes_on_with_the_same_losses(path: Path, tmp_path: Path) -> None:
    model, stored = loaded(path, tmp_path)
    found = [model.train_on_batch(stored["tx"], stored["ty"])[0] for _ in stored["loss"]]
    assert len(set(found)) == len(found)
    # The first loss of tf.keras 2.2 is a mean with those of the epoch before (its `train_on_batch` resets metrics afterwards).
    np.testing.assert_allclose(found[1:], stored["loss"][1:], rtol=1e-4)
