"""Operations of Keras 3 in files that do not say their module."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kmodel_tools.architecture.operation_modules import MODULES, tell_modules

CALL: dict[str, Any] = {"args": [], "kwargs": {}}


def node(kind: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "n", **settings}, "name": "n", "inbound_nodes": [CALL]}


def test_an_operation_is_told_from_the_layer_of_the_same_class() -> None:
    inner = {"class_name": "Functional", "config": {"layers": [node("Cast", dtype="float32")]}, "inbound_nodes": [CALL]}
    config = {"class_name": "Functional", "config": {"layers": [node("Add"), node("Add", trainable=True), node("Relu"), inner]}}
    tell_modules(config)
    add, layer, relu, nested = config["config"]["layers"]  # type: ignore[index]
    assert (add["module"], add["registered_name"]) == ("keras.src.ops.numpy", "Add")
    assert "module" not in layer
    assert relu["module"] == "keras.src.ops.nn"
    assert nested["config"]["layers"][0]["module"] == "keras.src.ops.core"


@pytest.mark.parametrize(
    "other",
    [
        node("Add") | {"inbound_nodes": [[["a", 0, 0, {}]]]},
        node("Add") | {"module": "mine"},
        node("mine>Add"),
        {"class_name": "Add", "config": {"name": "n"}},
    ],
)
def test_what_is_none_stays(other: dict[str, Any]) -> None:
    before = copy.deepcopy(other)
    tell_modules({"config": {"layers": [other]}})
    assert other == before


def test_the_table_names_each_operation_once() -> None:
    assert set(MODULES.values()) == {f"keras.src.ops.{name}" for name in ["core", "einops", "image", "linalg", "math", "nn", "numpy"]}
