from __future__ import annotations

import ast
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.architecture.custom_stub import loading_stub


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}, "registered_name": None}


def own(kind: str, name: str, registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"module": None, "class_name": kind, "config": {"name": name, **config}, "registered_name": registered or kind}


def test_a_model_of_keras_alone_needs_none() -> None:
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}, "registered_name": None}
    assert loading_stub("m.keras", model(dense)) == ""


def test_classes_have_the_arguments_of_the_configuration() -> None:
    stub = loading_stub(
        "m.keras", model(own("Mine", "a", "Pkg>Mine", units=3, axis=-1), own("Mine", "b", "Pkg>Mine", units=4, axis=-1, more="x"))
    )
    assert "class Mine(keras.layers.Layer):  # of a, b" in stub
    assert "def __init__(self, *, units, axis=-1, more=None, **kwargs):" in stub
    assert '"Pkg>Mine": Mine,' in stub
    ast.parse(stub)


def test_objects_are_derived_from_what_they_stand_for() -> None:
    layer = own("Mine", "a", kernel_initializer=own("Start", "x"), kernel_regularizer=own("Fine", "x"), kernel_constraint=own("Cap", "x"))
    training = {"loss": own("Far", "l"), "metrics": [own("Near", "m"), "closeness"]}
    stub = loading_stub("m.keras", model(layer), training)
    for kind, base in (
        ("Start", "initializers.Initializer"),
        ("Fine", "regularizers.Regularizer"),
        ("Cap", "constraints.Constraint"),
        ("Far", "losses.Loss"),
        ("Near", "metrics.Metric"),
    ):
        assert f"class {kind}(keras.{base})" in stub
    assert "def closeness(y_true, y_pred):" in stub
    ast.parse(stub)


def test_two_of_one_name_go_by_two() -> None:
    stub = loading_stub("m.keras", model(own("Mine", "a", "One>Mine"), own("Mine", "b", "Two>Mine")))
    assert '"One>Mine": Mine,' in stub
    assert '"Two>Mine": Mine_2,' in stub


def test_bytecode_is_named_and_not_shown() -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None}}
    lambda_layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function": code}, "registered_name": None}
    stub = loading_stub("m.keras", model(lambda_layer))
    assert "safe_mode=False,  # runs the bytecode" in stub
    assert "4wEA" not in stub
    assert "custom_objects" not in stub


@given(st.text(), st.text(), st.text(), st.one_of(st.text(), st.floats(), st.lists(st.text())))
def test_what_a_file_says_never_becomes_code(kind: str, name: str, key: str, value: Any) -> None:
    stub = loading_stub(
        "m.keras", model({"module": None, "class_name": kind, "config": {key: value, "name": name}, "registered_name": kind})
    )
    tree = ast.parse(stub)
    assert {type(node) for node in tree.body} <= {ast.Import, ast.ClassDef, ast.Assign}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called in ("super", "super().__init__", "NotImplementedError", "keras.models.load_model")


def test_a_name_that_would_be_code_is_made_plain() -> None:
    stub = loading_stub("m.keras", model(own("X): import os\nclass Y(", "a\nimport os")))
    assert [type(node) for node in ast.parse(stub).body] == [ast.Import, ast.ClassDef, ast.Assign]
