from __future__ import annotations

import json
from typing import Any

import pytest

from kmodel_tools.architecture.layer_classes import (
    assign,
    canonical_class,
    is_builtin,
    quantization_mode,
    sublayers_of,
    variables_of,
)
from kmodel_tools.architecture.layer_table import CONDITIONS, table
from kmodel_tools.tensor import DType
from tests.conftest import SHARED

F = DType.FLOAT32
FACTS = SHARED / "formats" / "layer-weights.json"


def roles(shapes: list[tuple[int, ...]], class_name: str | None, config: dict[str, Any] | None = None) -> list[str | None]:
    return [item.role if item else None for item in assign([(shape, F) for shape in shapes], class_name, config)]


def test_a_class_and_its_shapes_tell_the_roles() -> None:
    assert roles([(5, 3), (3,)], "Dense") == ["kernel", "bias"]
    assert roles([(4,), (4,), (4,), (4,)], "BatchNormalization") == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert roles([(4,), (4,)], "BatchNormalization") == ["moving_mean", "moving_variance"]


def test_what_has_two_answers_has_none() -> None:
    assert roles([(4,), (4,), (4,)], "BatchNormalization") == [None, "moving_mean", "moving_variance"]
    assert roles([(4,)], "LayerNormalization") == [None]
    assert roles([(4,), (4,)], None) == [None, None]


def test_a_configuration_decides() -> None:
    assert roles([(4,), (4,), (4,)], "BatchNormalization", {"scale": False}) == ["beta", "moving_mean", "moving_variance"]
    assert roles([(4,)], "LayerNormalization", {"center": False}) == ["gamma"]


def test_without_a_class_any_that_fits_must_agree() -> None:
    assert roles([(5, 3), (3,)], None) == ["kernel", "bias"]
    assert roles([(5, 12), (3, 12), (12,)], None) == ["kernel", "recurrent_kernel", "bias"]
    assert roles([(5, 3)], None) == [None]


def test_shapes_that_do_not_fit_a_class() -> None:
    assert roles([(5, 3), (4,)], "Dense") == [None, None]
    assert roles([(5, 3), (3,)], "MyDense") == [None, None]
    assert roles([(5, 10), (3, 10), (10,)], "LSTMCell") == [None, None, None]


def test_names_of_classes_from_all_times() -> None:
    assert canonical_class("Convolution2D") == "Conv2D"
    assert canonical_class("Custom>Dense") is None
    assert canonical_class("GroupQueryAttention") == "GroupedQueryAttention"
    assert canonical_class("Package>Dense") is None
    assert is_builtin("TFOpLambda")
    assert not is_builtin("QDense")


def test_a_quantised_layer_is_told_by_its_policy() -> None:
    config = {"dtype": {"class_name": "Int4DTypePolicy", "config": {"mode": "int4/128", "source_name": "float32"}}}
    assert quantization_mode(config) == "int4"
    assert [item.role for item in variables_of("Dense", config) or ()] == ["kernel", "bias", "kernel_scale", "kernel_zero", "g_idx"]
    per_channel = {"dtype": {"class_name": "Int4DTypePolicy", "config": {"mode": "int4/-1"}}}
    assert [item.role for item in variables_of("Dense", per_channel) or ()] == ["kernel", "bias", "kernel_scale"]


def test_what_a_class_is_made_of() -> None:
    assert [item.attr for item in sublayers_of("MultiHeadAttention", {"use_gate": True}) or ()] == [
        "query_dense",
        "key_dense",
        "gate_dense",
        "value_dense",
        "output_dense",
    ]
    assert [item.role for item in variables_of("LSTM", {}, keras_1=True) or ()][:3] == ["W_i", "U_i", "b_i"]
    assert variables_of("LSTM", {"consume_less": "gpu"}, keras_1=True) == ()
    assert variables_of("Mine", {}) is None


def test_the_table_is_well_formed() -> None:
    for entries in table().values():
        for entry in entries:
            conditions = {item.condition for item in entry.variables} | {item.condition for item in entry.sublayers}
            assert conditions <= {None, *CONDITIONS}, entry.name
            for sub in entry.sublayers:
                assert sub.class_name is None or sub.class_name in table(), entry.name


@pytest.mark.skipif(not FACTS.is_file(), reason="../shared/formats is not here")
def test_against_every_layer_that_was_instantiated() -> None:
    entries = [entry for entry in json.loads(FACTS.read_text())["entries"] if entry.get("v3")]
    checked = 0
    for entry in entries:
        own = [item for item in entry["v3"] if item["path"].startswith("vars/") and item["path"][5:].isdigit()]
        class_name = entry["cls"].rpartition(".")[2]
        if not own or class_name == "SpectralNormalization":
            continue
        found = assign([(tuple(item["shape"]), DType(item["dtype"])) for item in own], class_name, None)
        for item, variable in zip(own, found, strict=True):
            role = "kernel" if item["role"] == "depthwise_kernel" and class_name.startswith("Depthwise") else item["role"]
            assert variable is None or variable.role == role, (class_name, entry["variant"])
            checked += 1
    assert checked > 300
