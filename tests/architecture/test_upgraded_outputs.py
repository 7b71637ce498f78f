"""What several outputs were compiled with, said for each of them; and calls that say whether they train."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.upgrade import upgrade
from kmodel_tools.architecture.upgrade.draft import UpgradeError
from kmodel_tools.architecture.upgrade.outputs import with_outputs
from tests.architecture.configs import TF_KERAS, Json, entry, graph, layer

TWO: Json = {"config": {"output_layers": [["a_p", 0, 0], ["q", 0, 0]]}}
ONE: Json = {"config": {"output_layers": ["a_p", 0, 0]}}
NAMED: Json = {"config": {"output_layers": {"a/p": ["a_p", 0, 0], "q": ["q", 0, 0]}}}


def fitted(model: Json = TWO, /, **training: Any) -> Json:
    return with_outputs(training, model, {("a/p",): "a_p"})


def test_outputs_are_called_as_their_layers_are_now() -> None:
    found = fitted(loss={"a/p": "x", "q": "y"}, loss_weights={"a/p": 2.0, "q": 1.0}, metrics={"a/p": ["m"]})
    assert found == {"loss": {"a_p": "x", "q": "y"}, "loss_weights": {"a_p": 2.0, "q": 1.0}, "metrics": {"a_p": ["m"]}}
    assert fitted(NAMED, loss={"a/p": "x", "q": "y"})["loss"] == {"a/p": "x", "q": "y"}


@pytest.mark.parametrize("key", ["metrics", "weighted_metrics"])
def test_metrics_in_one_list_are_for_each_output(key: str) -> None:
    given: Json = {key: ["m", "n"]}
    assert fitted(**given)[key] == [["m", "n"], ["m", "n"]]
    assert fitted(NAMED, **{key: ["m"]})[key] == {"a/p": ["m"], "q": ["m"]}
    assert fitted(ONE, **{key: ["m"]})[key] == ["m"]
    values: list[Any] = [[["m"], None], [["m"], ["n"]], [None, None], []]
    for value in values:
        assert fitted(**{key: value})[key] == value


def test_outputs_without_a_loss_have_none() -> None:
    assert fitted(loss={"q": "y"})["loss"] == {"a_p": None, "q": "y"}


def test_a_loss_for_each_weight() -> None:
    assert fitted(loss="x", loss_weights=[0.2, 3.0])["loss"] == ["x", "x"]
    found = fitted(loss={"class_name": "Huber"}, loss_weights={"q": 3.0})
    assert found == {"loss": [{"class_name": "Huber"}] * 2, "loss_weights": [1.0, 3.0]}


def called(kind: str, training: Any, **config: Any) -> tuple[str, ...]:
    model = graph((entry(), []), (layer(kind, **config), [[["in", 0, 0, {"training": training}]]]))
    return upgrade(model, TF_KERAS).changes


def test_a_layer_that_normalizes_by_the_batch_when_it_predicts() -> None:
    with pytest.raises(UpgradeError, match=r"x \(BatchNormalization\) is called with training=True"):
        called("BatchNormalization", True)
    assert called("BatchNormalization", True, trainable=False)[0].startswith("is called with training=True")


def test_calls_that_say_whether_they_train_are_named() -> None:
    assert called("Dropout", True, rate=0.5)[0].startswith("is called with training=True")
    assert called("BatchNormalization", False)[0].startswith("is called with training=False")
    assert called("Dense", True, units=3) == called("BatchNormalization", None) == ()
