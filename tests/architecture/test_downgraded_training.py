"""What becomes of the training configuration of Keras 3 in Keras 2."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.downgrade.training import Training, downgraded_training
from kmodel_tools.architecture.upgrade.objects import spelled
from tests.architecture.configs import Json

ADAM = spelled("keras.optimizers", "Adam", {"name": "adam", "learning_rate": 0.5, "weight_decay": None, "use_ema": False})


def training(**config: Any) -> Training:
    return downgraded_training({"optimizer": ADAM, "loss": "mse", "metrics": None} | config)


def optimizer(kind: str = "Adam", **config: Any) -> Json:
    found = training(optimizer=spelled("keras.optimizers", kind, config)).config
    assert found is not None
    settings: Json = found["optimizer_config"]["config"]
    return settings


def test_an_optimizer_says_no_more_than_it_has_to() -> None:
    found = optimizer(learning_rate=0.5, clipnorm=None, use_ema=False, ema_momentum=0.99, loss_scale_factor=None)
    assert found.items() >= {"learning_rate": 0.5}.items()
    assert not found.keys() & {"clipnorm", "use_ema", "ema_momentum", "loss_scale_factor"}
    kept = optimizer(clipnorm=1.0, use_ema=True, ema_momentum=0.9)
    assert kept.items() >= {"clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.9}.items()


def test_schedules() -> None:
    rate = spelled("keras.optimizers.schedules", "ExponentialDecay", {"initial_learning_rate": 0.5})
    assert optimizer(learning_rate=rate)["learning_rate"] == {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.5}}


def test_losses_and_metrics() -> None:
    loss = spelled("keras.losses", "Huber", {"name": "h", "reduction": "sum_over_batch_size", "delta": 0.5, "dtype": "float32"})
    policy = spelled("keras", "DTypePolicy", {"name": "float32"})
    found = training(loss=[loss, "mse"], metrics=[["mae"], [spelled("keras.metrics", "AUC", {"name": "a", "dtype": policy})]]).config
    assert found is not None
    assert found["loss"] == [{"class_name": "Huber", "config": {"name": "h", "reduction": "sum_over_batch_size", "delta": 0.5}}, "mse"]
    assert found["metrics"] == [["mae"], [{"class_name": "AUC", "config": {"name": "a", "dtype": "float32"}}]]
    assert (found["weighted_metrics"], found["loss_weights"]) == (None, None)
    function = spelled("builtins", "function", "mean_squared_error", "function")
    assert (training(loss=function).config or {})["loss"] == "mean_squared_error"


def test_what_is_expressed_otherwise_is_said() -> None:
    found = training(loss=spelled("keras.losses", "Huber", {"reduction": "mean_with_sample_weight"}))
    assert (found.config or {})["loss"]["config"]["reduction"] == "sum_over_batch_size"
    assert "mean_with_sample_weight" in found.changes[0]
    accumulated = training(optimizer=spelled("keras.optimizers", "Adam", {"gradient_accumulation_steps": 4}))
    assert "gradient_accumulation_steps (4)" in accumulated.changes[0]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"optimizer": spelled("keras.optimizers", "Lamb", {})}, "no optimizer Lamb"),
        ({"loss": spelled("keras.losses", "Dice", {})}, "does not have Dice"),
        ({"loss": "tversky"}, "does not have tversky"),
        ({"metrics": [[spelled("keras.metrics", "PearsonCorrelation", {})]]}, "does not have PearsonCorrelation"),
    ],
    ids=["optimizer", "loss", "name", "metric"],
)
def test_what_keras_2_does_not_have_is_a_loss(config: Json, why: str) -> None:
    found = training(**config)
    assert found.config is None
    assert [line.startswith("the training configuration (Keras 2") and why in line for line in found.lost] == [True]
