"""Models that tf_keras builds and saves, carried to Keras 3: they load in safe mode and predict what they predicted."""

from __future__ import annotations

import inspect
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kmodel_tools as kmt
from kmodel_tools.architecture.layer_table import ALIASES
from kmodel_tools.architecture.upgrade.accepted import COMMON, FEW, accepted
from tests.frameworks import judge, making
from tests.frameworks.zoo import MODELS, SHARED, TF_KERAS, Case
from tests.frameworks.zoo_keras_2 import GRAPHS, WEIGHTED, WEIGHTLESS

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

Array = npt.NDArray[Any]

UNTIED = {"model-shared_with_nested": "the optimizer's state"}
"""Models that become others to train, and what cannot be carried."""
TRAINED = frozenset({"model-sequential", "model-nested", "model-frozen_part", "model-frozen_whole", "model-several_outputs"})
"""Models whose optimizer is compared."""
OWN_CODE = frozenset({"model-subclassed"})
"""Models that only their own code builds."""
CASES = [case for case in (*SHARED, *TF_KERAS, *MODELS, *WEIGHTLESS, *WEIGHTED, *GRAPHS) if case.name not in OWN_CODE]


def outputs_of(found: Any) -> list[Array]:
    items = list(found.values()) if isinstance(found, dict) else list(found) if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(item) for item in items]


def same_predictions(wanted: list[Array], found: list[Array]) -> None:
    """Assert the tolerance that a converted model must keep."""
    for want, got in zip(wanted, found, strict=True):
        assert want.shape == got.shape
        assert np.abs(want - got).max() <= 1e-5 * np.abs(want).max() + 1e-6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_of_tf_keras_loads_in_keras_3_and_predicts_the_same(case: Case, tmp_path: Path) -> None:
    model = making.trained(case, making.framework("tf_keras"))
    fed = making.inputs_of(case, 3)
    given = fed if len(fed) > 1 else fed[0]
    wanted = outputs_of(model(given, training=False))
    for name, options in (("m.h5", {}), ("m.keras", {}), ("saved", {"save_format": "tf"})):
        source = os.fspath(tmp_path / name)
        model.save(source, **options)
        lossy = case.name in UNTIED
        if lossy:
            with pytest.raises(kmt.ConversionError, match=UNTIED[case.name]):
                kmt.convert(source, f"{source}.3.keras")
        kmt.convert(source, f"{source}.3.keras", lossy=lossy)
        loaded = making.framework("keras").models.load_model(f"{source}.3.keras")
        same_predictions(wanted, outputs_of(loaded(given, training=False)))
    model.save_weights(tmp_path / "w.h5")
    (tmp_path / "m.json").write_text(model.to_json())
    kmt.convert(tmp_path / "w.h5", tmp_path / "w.keras", like=tmp_path / "m.json")
    parts = kmt.diff(f"{tmp_path / 'm.h5'}.3.keras", tmp_path / "w.keras", aspects=["layers", "weights", "config"])
    assert parts.same


@pytest.mark.parametrize("case", [case for case in MODELS if case.name in TRAINED], ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_the_state_of_the_optimizer_goes_along(case: Case, name: str, tmp_path: Path) -> None:
    model = making.trained(case, making.framework("tf_keras"))
    model.save(tmp_path / name)
    kmt.convert(tmp_path / name, tmp_path / "new.keras")
    loaded = making.framework("keras").models.load_model(tmp_path / "new.keras")
    wanted, found = judge.expected_slots(model), judge.expected_slots(loaded)
    assert found.keys() == wanted.keys()
    for key, value in found.items():
        assert judge.same_value(value, wanted[key]), key
    assert int(loaded.optimizer.iterations) == 1
    assert loaded.loss == "mean_squared_error"


@pytest.mark.parametrize(("name", "options"), [("m.h5", {}), ("m.keras", {}), ("saved", {"save_format": "tf"})])
def test_nadam_on_a_schedule_goes_on(name: str, options: dict[str, str], tmp_path: Path) -> None:
    """Keras 3 takes no state of an optimizer that lacks a variable, and says so in a warning alone."""
    optimizers = making.framework("tf_keras").optimizers
    nadam = optimizers.Nadam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
    model = making.trained(SHARED[0], making.framework("tf_keras"), nadam)
    model.save(tmp_path / name, **options)
    done = kmt.convert(tmp_path / name, tmp_path / "new.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")
        loaded = making.framework("keras").models.load_model(tmp_path / "new.keras")
    assert int(loaded.optimizer.iterations) == 1
    product = float(loaded.optimizer.variables[-1])
    assert product == pytest.approx(float(nadam._u_product) if name == "saved" else 1.0)
    assert any("current learning rate" in line for line in done.left_out) == (name == "saved")


def test_the_table_of_arguments_is_that_of_keras() -> None:
    keras = making.framework("keras")
    for name, known in accepted().items():
        kind = getattr(keras.layers, name)
        taken = _signature(kind)
        assert known <= taken, f"{name}: {known - taken}"
        assert (known >= COMMON) == (taken >= COMMON), name
        assert known >= FEW, name
    assert not set(ALIASES) & set(accepted()) - {"GroupQueryAttention"}


def _signature(kind: type) -> set[str]:
    """The arguments that a class takes, as far as it passes the rest to its base."""
    found: set[str] = set()
    for base in kind.__mro__:
        if base.__name__ == "Layer":
            return found | COMMON
        if "__init__" in vars(base):
            parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            found |= {item.name for item in parameters if item.kind is not item.VAR_KEYWORD}
            if not any(item.kind is item.VAR_KEYWORD for item in parameters):
                return found
    return found
