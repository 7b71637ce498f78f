"""What earlier releases of Keras 3 wrote that the last one does not load."""

from __future__ import annotations

from typing import Any

from kmodel_tools.architecture.upgrade import upgrade


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}, "registered_name": "Sequential"}


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": kind.lower(), **config}, "registered_name": None}


def test_rotation_takes_no_range() -> None:
    """Keras 3.15.1: Unrecognized keyword arguments passed to RandomRotation."""
    config = model(model(layer("RandomRotation", factor=0.1, value_range=[0, 255])), layer("RandomBrightness", value_range=[0, 1]))
    found = upgrade(config, "3.4.1")
    assert found.config == model(model(layer("RandomRotation", factor=0.1)), layer("RandomBrightness", value_range=[0, 1]))
    assert found.changes == ("RandomRotation has no value_range any more, which changed nothing: randomrotation",)
    assert "value_range" in config["config"]["layers"][0]["config"]["layers"][0]["config"]


def functional(ends: Any) -> dict[str, Any]:
    layers = [layer("InputLayer", batch_shape=[None, 2])]
    return {"class_name": "Functional", "config": {"name": "f", "layers": layers, "input_layers": ends, "output_layers": ends}}


def test_a_single_end_is_no_list() -> None:
    """Keras 3.15.1 predicts with one more axis otherwise."""
    one = ["inputlayer", 0, 0]
    for version in ("3.0.5", "3.10.0", None):
        assert upgrade(model(functional([one])), version or None).config == model(functional(one))
    for version, ends in (("3.15.1", [one]), ("3.0.5", one), ("3.0.5", [one, one]), ("3.0.5", {"a": one})):
        config = model(functional(ends))
        assert upgrade(config, version).config is config


def test_int4_is_said_where_it_is_packed_otherwise() -> None:
    policy = {"module": "keras.dtype_policies", "class_name": "QuantizedDTypePolicy", "config": {"mode": "int4", "source_name": "float32"}}
    config = model(layer("Dense", dtype=policy), layer("Conv1D", dtype={**policy, "config": {"mode": "int8"}}))
    for version in ("3.11.0", "3.13.2"):
        (sentence,) = upgrade(config, version).changes
        assert sentence.endswith("later releases do not load them: dense")
    assert upgrade(config, "3.14.0").changes == ()
    assert upgrade(config, "3.15.1").config is config
