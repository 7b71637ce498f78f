"""Models as people build them, carried to Keras 3: from every container, with their optimizer, and trained on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests.frameworks.making import framework
from tests.frameworks.test_upgrade import outputs_of, same_predictions
from tests.frameworks.zoo_of_tasks import TASKS, Task

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]


def _fed(task: Task) -> list[Any]:
    random = np.random.default_rng(5)
    if task.words:
        return [random.integers(0, 9, (4, *shape)).astype("int32") for shape in task.inputs]
    return [random.standard_normal((4, *shape)).astype("float32") for shape in task.inputs]


def _only(items: list[Any]) -> Any:
    return items if len(items) > 1 else items[0]


def _trained(task: Task, inputs: list[Any]) -> tuple[Any, list[Any]]:
    """A model of tf_keras after a step of training, in which no vector is of zeros or ones, and what it is trained for."""
    keras = framework("tf_keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = task.build(keras)
    random = np.random.default_rng(6)
    outputs = outputs_of(model(_only(inputs)))
    targets = [random.uniform(0, 1, output.shape).astype("float32") for output in outputs]
    model.train_on_batch(_only(inputs), _only(targets))
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign_add(random.uniform(0, 0.3, weight.shape).astype("float32"))
    return model, targets


def _saved(model: Any, folder: Path) -> dict[str, Path | None]:
    """The files that tf_keras writes of a model, and the architecture beside those that hold none."""
    model.save(folder / "m.h5")
    model.save(folder / "m.keras")
    model.save(folder / "saved", save_format="tf")
    model.save_weights(os.fspath(folder / "checkpoint" / "w"), save_format="tf")
    (folder / "m.json").write_text(model.to_json())
    return {"m.h5": None, "m.keras": None, "saved": None, "checkpoint/w": folder / "m.json"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_it_predicts_the_same_and_trains_on(task: Task, tmp_path: Path) -> None:
    inputs = _fed(task)
    model, targets = _trained(task, inputs)
    wanted = outputs_of(model(_only(inputs), training=False))
    files = _saved(model, tmp_path)
    loss = np.ravel(model.train_on_batch(_only(inputs), _only(targets)))[0]
    for name, like in files.items():
        archive = tmp_path / "new.keras"
        kmt.convert(tmp_path / name, archive, like=like, overwrite=True, optimizer=like is None)
        loaded = framework("keras").models.load_model(archive)
        same_predictions(wanted, outputs_of(loaded(_only(inputs), training=False)))
        if like is not None:
            continue  # an architecture alone says nothing of training
        assert int(loaded.optimizer.iterations) == 1
        if task.alike:
            once_more = np.ravel(loaded.train_on_batch(_only(inputs), _only(targets)))[0]
            np.testing.assert_allclose(once_more, loss, rtol=1e-4)
