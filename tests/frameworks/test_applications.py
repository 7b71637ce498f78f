"""The networks of `tf_keras.applications`, carried to Keras 3 from every container. All of them take minutes: see `ALL`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.frameworks.making import framework
from tests.frameworks.test_upgrade import outputs_of, same_predictions

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

ALL = bool(os.environ.get("KMT_ALL_APPLICATIONS"))
"""Whether to try one of each family, and not only those that take a moment."""
FEW = {"MobileNet": 32, "MobileNetV3Small": 32}
MANY = {
    "MobileNetV2": 64,
    "EfficientNetV2B0": 64,
    "EfficientNetV2S": 64,
    "DenseNet121": 64,
    "NASNetMobile": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "ResNetRS50": 64,
    "InceptionV3": 96,
    "InceptionResNetV2": 96,
    "Xception": 96,
    "VGG16": 48,
    "EfficientNetB0": 64,
    "RegNetX002": 64,
    "ConvNeXtTiny": 64,
}
"""Networks, and the size of the images that they are given; the last ones, and MobileNetV3, are made of operations too."""


def _network(name: str, size: int, **more: Any) -> Any:
    """A network whose weights are random, moments of normalizations included: damped, so that rounding is not amplified."""
    keras = framework("tf_keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(4)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **more)
    random = np.random.default_rng(8)
    ranges = {"gamma": (0.3, 0.7), "variance": (0.5, 1.5), "mean": (-0.2, 0.2), "beta": (-0.2, 0.2), "bias": (-0.2, 0.2)}
    for weight in model.weights:
        for word, (low, high) in ranges.items():
            if weight.name.split(":")[0].endswith(word):
                weight.assign(random.uniform(low, high, weight.shape).astype("float32"))
    for layer in model.layers:
        if type(layer).__name__ == "Normalization" and layer.weights:
            layer.finalize_state()
    return model


@pytest.mark.parametrize(("name", "size"), {**FEW, **(MANY if ALL else {})}.items())
def test_a_network_predicts_the_same(name: str, size: int, tmp_path: Path) -> None:
    model = _network(name, size, classes=10, classifier_activation=None)
    images = np.random.default_rng(9).uniform(0, 255, (2, size, size, 3)).astype("float32")
    wanted = outputs_of(model(images, training=False))
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "saved", save_format="tf")
    model.save_weights(os.fspath(tmp_path / "w"), save_format="tf")
    (tmp_path / "m.json").write_text(model.to_json())
    kmt.convert(tmp_path / "m.h5", tmp_path / "new.keras")
    loaded = framework("keras").models.load_model(tmp_path / "new.keras")
    same_predictions(wanted, outputs_of(loaded(images, training=False)))
    for other, like in (("m.keras", None), ("saved", None), ("w", tmp_path / "m.json")):
        kmt.convert(tmp_path / other, tmp_path / "other.keras", like=like, overwrite=True)
        assert kmt.read(tmp_path / "other.keras").architecture == kmt.read(tmp_path / "new.keras").architecture
        assert kmt.digest(tmp_path / "other.keras").weights == kmt.digest(tmp_path / "new.keras").weights
