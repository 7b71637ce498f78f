"""A model of Keras 2 as one of Keras 3: what of its optimizer is worth carrying, and what no layer of it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kmodel_tools import convert, read
from kmodel_tools.errors import ConversionError
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Optimizer, Slot, Weight
from kmodel_tools.upgrader.to_keras_3 import upgraded
from tests.architecture.configs import entry, graph, layer
from tests.eras_of_keras_1 import FOLDER


def array(*shape: int) -> Tensor:
    return Tensor.of(np.ones(shape, "float32"))


def dense(name: str) -> Layer:
    return Layer(
        name, None, "Dense", (Weight("kernel", array(5, 2), f"{name}/kernel", True), Weight("bias", array(2), f"{name}/bias", True))
    )


def made(kind: str, slots: tuple[str, ...], extras: tuple[str, ...], settings: Any, *spare: str) -> Model:
    """A Dense behind an input, with an optimizer; `spare` are layers that are not called."""
    layers = (dense("a"), *map(dense, spare))
    held = tuple(Slot(name, weight, array(*weight.tensor.shape), name) for name in slots for weight in layers[0].weights)
    optimizer = Optimizer(
        kind, held, (Weight("iterations", Tensor.of(np.array(3)), "i"),), tuple(Weight(name, array(1), name) for name in extras)
    )
    listed: list[Any] = [(layer("Dense", name, units=2), []) for name in spare]
    config = graph((entry(), []), (layer("Dense", "a", units=2), [[["in", 0, 0, {}]]]), *listed, outputs=[["a", 0, 0]])
    training = {"loss": "mse", "optimizer_config": {"class_name": kind, "config": settings}}
    return Model(
        "m", "keras-h5", layers, architecture=config, optimizer=optimizer, training_config=training, metadata={"keras_version": "2.1.6"}
    )


def test_the_momentum_of_sgd_without_momentum_is_no_loss() -> None:
    found = upgraded(made("SGD", ("momentum",), (), {"learning_rate": 0.1, "momentum": 0.0}))
    assert found.model.optimizer is not None
    assert found.model.optimizer.slots == ()
    assert [counter.role for counter in found.model.optimizer.counters] == ["iterations"]
    assert found.left_out == ("2 arrays of SGD's momentum, which have no effect: it is 0",)
    assert found.lost == ()


@pytest.mark.parametrize("settings", [{"learning_rate": 0.1, "momentum": 0.9}, None])
def test_the_momentum_of_sgd_stays_where_it_is_used_or_nothing_tells(settings: Any) -> None:
    found = upgraded(made("SGD", ("momentum",), (), settings))
    assert found.model.optimizer is not None
    assert len(found.model.optimizer.slots) == 2


def test_placeholders_of_adam_without_amsgrad_are_no_loss() -> None:
    found = upgraded(made("Adam", ("momentum", "velocity"), ("training/Adam/Variable_4", "training/Adam/Variable_5"), {"amsgrad": False}))
    assert found.model.optimizer is not None
    assert found.model.optimizer.extras == ()
    assert found.left_out == ("2 placeholders of Adam, which hold nothing without amsgrad",)


@pytest.mark.parametrize(
    ("extras", "settings"),
    [
        (("training/Adam/Variable_4", "training/Adam/Variable_5"), {"amsgrad": True}),
        (("training/Adam/Variable_4", "training/Adam/other"), {"amsgrad": False}),
        (("training/Adam/Variable_4",), {"amsgrad": False}),  # one for each weight, or none
    ],
)
def test_other_arrays_of_adam_are_kept(extras: tuple[str, ...], settings: Any) -> None:
    found = upgraded(made("Adam", ("momentum", "velocity"), extras, settings))
    assert found.model.optimizer is not None
    assert len(found.model.optimizer.extras) == len(extras)


def test_weights_of_a_layer_that_is_not_called_are_lost() -> None:
    found = upgraded(made("SGD", (), (), {}, "spare"))
    assert [item.name for item in found.model.layers] == ["in", "a"]
    assert found.lost == ("spare/kernel (the model does not call its layer)", "spare/bias (the model does not call its layer)")


def test_placeholders_of_adam_as_theano_calls_them() -> None:
    new = upgraded(read(FOLDER / "2.2.4_theano_first" / "trained.h5"))
    assert new.left_out == ("6 placeholders of Adam, which hold nothing without amsgrad",)
    assert new.lost == ()
    assert new.model.optimizer is not None
    assert new.model.optimizer.extras == ()


def test_a_nested_list_without_a_name_is_called_as_its_weights_are() -> None:
    """Keras 2.0 to 2.2.2 write a Sequential as a bare list, and its name is in the list of the file's layers alone."""
    inner = {"class_name": "Sequential", "config": [layer("Dense", "d", units=2, batch_input_shape=[None, 5])]}
    tree = (Layer("sequential_7", None, "Sequential", (), (dense("d"),)),)
    model = Model("m", "keras-h5", tree, architecture={"class_name": "Sequential", "config": [inner]}, metadata={"keras_version": "2.0.9"})
    assert [path for path, _ in upgraded(model).model.weights()] == [("sequential_7", "d", "kernel"), ("sequential_7", "d", "bias")]


def test_weights_of_keras_3_are_not_scaled_again(tmp_path: Path) -> None:
    """Weights that were carried, and come back with the architecture of before, would be 1.44 times as large."""
    old, carried, weights = "sample_models/keras_h5/keras-2.0.9_hard_sigmoid.h5", tmp_path / "new.keras", tmp_path / "new.weights.h5"
    convert(old, carried)
    convert(carried, weights)
    with pytest.raises(ConversionError, match="the weights are of Keras 3, and the architecture is of an earlier one"):
        convert(weights, tmp_path / "again.keras", like=old)
    convert(weights, tmp_path / "again.keras", like=carried)
