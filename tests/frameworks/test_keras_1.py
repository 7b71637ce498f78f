"""Models of Keras 0.3.3 and 1.2.2, carried to Keras 3 by way of Keras 2: it loads them, and predicts what the old release predicted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from kmodel_tools import write
from kmodel_tools.architecture.upgrade import upgrade
from kmodel_tools.architecture.upgrade.keras_1 import KERAS_VERSION
from kmodel_tools.upgrader import apply_rules
from tests.eras_of_keras_1 import MODELS, REFUSED, REFUSED_LATER, as_keras_2, name_of

pytestmark = pytest.mark.frameworks
keras = pytest.importorskip("keras")


@pytest.mark.parametrize("path", [path for path in MODELS if name_of(path) not in REFUSED | REFUSED_LATER], ids=name_of)
def test_keras_3_predicts_what_the_old_release_did(path: Path, tmp_path: Path) -> None:
    _, model = as_keras_2(path)
    assert model.architecture is not None
    new = upgrade(model.architecture, KERAS_VERSION)
    archive = tmp_path / "new.keras"
    write(apply_rules(model, new.config, new.rules, "3.15.1").model, archive)
    loaded = keras.models.load_model(archive, compile=False)
    with np.load(path.with_name(path.name + "_io.npz")) as stored:
        inputs = [stored[key] for key in sorted(stored.files) if re.fullmatch(r"x\d+", key)]
        expected = [stored[key] for key in sorted(stored.files) if re.fullmatch(r"y\d+", key)]
    found = loaded.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    for want, got in zip(expected, found if isinstance(found, list) else [found], strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * float(np.abs(want).max()) + 1e-6)
