"""What becomes of the training configuration of Keras 2."""

from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.upgrade.training import upgraded_training
from tests.architecture.configs import Json


def training(**config: Any) -> Json:
    found = upgraded_training({"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse"} | config, Era.TF_KERAS).config
    assert found is not None
    return found


def optimizer(kind: str, era: Era = Era.TF_KERAS, **config: Any) -> Json:
    found = upgraded_training({"optimizer_config": {"class_name": kind, "config": config}}, era).config
    assert found is not None
    settings: Json = found["optimizer"]["config"]
    return settings


def test_optimizers() -> None:
    found = training(
        optimizer_config={"class_name": "Custom>Adam", "config": {"lr": 0.5, "decay": 0.0, "epsilon": None, "jit_compile": True}}
    )
    assert found["optimizer"] == {
        "module": "keras.optimizers",
        "class_name": "Adam",
        "config": {"learning_rate": 0.5, "epsilon": 1e-7},
        "registered_name": None,
    }
    schedule = optimizer("SGD", lr=0.5, decay=0.1)["learning_rate"]
    assert schedule["class_name"] == "InverseTimeDecay"
    assert (schedule["config"]["initial_learning_rate"], schedule["config"]["decay_rate"]) == (0.5, 0.1)
    given = optimizer("SGD", learning_rate={"class_name": "ExponentialDecay", "config": {"decay_rate": 0.5}})["learning_rate"]
    assert given["module"] == "keras.optimizers.schedules"
    assert optimizer("Adagrad", Era.KERAS_2)["initial_accumulator_value"] == 0.0
    assert "initial_accumulator_value" not in optimizer("Adagrad")
    assert optimizer("SGD", lr={"type": "ndarray", "value": 0.5})["learning_rate"] == 0.5
    wrapped = optimizer("LossScaleOptimizer", optimizer={"class_name": "Adam", "config": {"lr": 0.5}}, initial_scale=2.0, dynamic=True)
    assert wrapped["inner_optimizer"]["config"] == {"learning_rate": 0.5}
    assert wrapped["initial_scale"] == 2.0


def test_an_optimizer_that_keras_3_does_not_have_is_a_loss() -> None:
    found = upgraded_training({"optimizer_config": {"class_name": "TFOptimizer", "config": {}}, "loss": "mse"}, Era.KERAS_2)
    assert found.config is None
    assert found.lost == ["the training configuration (Keras 3 has no optimizer TFOptimizer)"]


def test_changes_of_training_are_said() -> None:
    config = {"optimizer_config": {"class_name": "Nadam", "config": {"schedule_decay": 0.1}}, "sample_weight_mode": "temporal"}
    changes = upgraded_training(config, Era.KERAS_2).changes
    assert [sentence.partition(" ")[0] for sentence in changes] == ["Nadam's", "sample_weight_mode"]


def test_losses() -> None:
    assert training(loss="MSE")["loss"] == "mean_squared_error"
    assert training(loss={"a": "kld", "b": ["mae"]})["loss"] == {"a": "kl_divergence", "b": ["mean_absolute_error"]}
    given = training(loss={"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "m", "fn": "mean_squared_error"}})[
        "loss"
    ]
    assert (given["module"], given["config"]) == ("keras.losses", {"reduction": "sum_over_batch_size", "name": "m"})
    own = training(loss={"class_name": "my>Loss", "config": {}, "registered_name": "my>Loss"})["loss"]
    assert (own["module"], own["registered_name"]) == (None, "my>Loss")


def test_metrics() -> None:
    wrapper = {"class_name": "MeanMetricWrapper", "config": {"name": "acc", "dtype": "float32", "fn": "categorical_accuracy"}}
    assert training(metrics=[[wrapper, "mse"]])["metrics"] == ["categorical_accuracy", "mse"]
    assert training(metrics=[["acc"], ["MAE"], ["kld"]])["metrics"] == [["acc"], ["MAE"], ["kl_divergence"]], "logs go by these names"
    policy = {"class_name": "Policy", "config": {"name": "float32"}}
    given = training(metrics=[{"class_name": "AUC", "config": {"name": "auc", "dtype": policy, "curve": "ROC"}}])["metrics"]
    assert (given[0]["module"], given[0]["config"]) == ("keras.metrics", {"name": "auc", "dtype": "float32", "curve": "ROC"})
    assert training(metrics=[["mae"], [None]])["metrics"] == [["mae"], None]
    assert "weighted_metrics" not in training(weighted_metrics=None)


def test_the_reduction_of_a_loss_of_somebody() -> None:
    loss = {"class_name": "Mine", "config": {"reduction": "auto", "delta": 2.0}}
    found = upgraded_training({"optimizer": "sgd", "loss": loss}, Era.TF_KERAS).config
    assert found is not None
    assert found["loss"]["config"] == {"reduction": "sum_over_batch_size", "delta": 2.0}


def test_a_schedule_without_a_name_has_none() -> None:
    rate = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "name": None}}
    found = upgraded_training({"optimizer": {"class_name": "SGD", "config": {"learning_rate": rate}}}, Era.TF_KERAS).config
    assert found is not None
    assert "name" not in found["optimizer"]["config"]["learning_rate"]["config"]


def test_what_nadam_calls_decay_is_not_of_its_rate() -> None:
    found = upgraded_training({"optimizer": {"class_name": "Nadam", "config": {"learning_rate": 0.1, "decay": 0.004}}}, Era.TF_KERAS)
    assert found.config is not None
    assert found.config["optimizer"]["config"] == {"learning_rate": 0.1}
    assert not found.changes


def test_a_third_version_of_the_optimizer_that_scales_losses() -> None:
    inner = {"inner_optimizer": {"class_name": "SGD", "config": {}}}
    found = upgraded_training({"optimizer": {"class_name": "LossScaleOptimizerV3", "config": inner}}, Era.TF_KERAS).config
    assert found is not None
    assert found["optimizer"]["class_name"] == "LossScaleOptimizer"
