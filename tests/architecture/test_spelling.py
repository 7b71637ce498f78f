"""One configuration in the spellings of archives and of legacy files."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.spelling import compiled_for_legacy_file

OWN = {"module": "builtins", "class_name": "function", "config": "mse", "registered_name": "function"}
HUBER = {"module": "keras.losses", "class_name": "Huber", "config": {"name": "huber_loss"}, "registered_name": None}


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("loss", "mse", "mean_squared_error"),
        ("loss", "KLD", "kl_divergence"),
        ("loss", {"a": "bce", "b": None}, {"a": "binary_crossentropy", "b": None}),
        ("loss", ["mae", HUBER, OWN], ["mean_absolute_error", HUBER, "mse"]),  # a function is somebody's own, whatever its name
        ("metrics", [["mse", "acc"], [OWN]], [["mse", "acc"], ["mse"]]),
        ("weighted_metrics", None, None),
    ],
)
def test_losses_and_metrics_in_a_legacy_file_of_keras_3(key: str, given: Any, expected: Any) -> None:
    optimizer = {"class_name": "Adam", "config": {}}
    found = compiled_for_legacy_file({"optimizer": optimizer, key: given})
    assert found == {"optimizer": optimizer, key: expected}
