from __future__ import annotations

import pytest

from kmodel_tools.architecture import names


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("LSTMCell", "lstm_cell"),
        ("StackedRNNCells", "stacked_rnn_cells"),
        ("PReLU", "p_re_lu"),
        ("GRU", "gru"),
        ("TFSMLayer", "tfsm_layer"),
        ("GroupedQueryAttention", "grouped_query_attention"),
        ("MyNet", "my_net"),
        ("Conv2DTranspose", "conv2d_transpose"),
    ],
)
def test_snake_case_as_keras_has_it(class_name: str, expected: str) -> None:
    assert names.snake_case(class_name) == expected


def test_the_class_of_a_group() -> None:
    assert names.class_of_group("dense") == "Dense"
    assert names.class_of_group("dense_12") == "Dense"
    assert names.class_of_group("conv2d_transpose_1") == "Conv2DTranspose"
    assert names.class_of_group("functional") == "Functional"
    assert names.class_of_group("my_dense") is None


def test_the_python_class_behind_a_configured_name() -> None:
    assert names.file_class("Package>Net") == "Net"
    assert names.file_class("GroupQueryAttention") == "GroupedQueryAttention"
    assert names.file_class("Model") == "Functional"


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("dense_1_W", ("dense_1", "W")),
        ("dense_1_W:0", ("dense_1", "W")),
        ("lstm_1_W_i:0", ("lstm_1", "W_i")),
        ("batchnormalization_1_running_std", ("batchnormalization_1", "running_std")),
        ("highway_1_W_carry", ("highway_1", "W_carry")),
        ("dense_1_W_1:0", ("dense_1", "W")),
        ("something", None),
    ],
)
def test_keras_1_names(variable: str, expected: tuple[str, str] | None) -> None:
    assert names.split_keras_1(variable) == expected


def test_keras_1_roles_are_translated_where_they_have_one_successor() -> None:
    assert names.keras_1_role("W", "Embedding", ["W"]) == "embeddings"
    assert names.keras_1_role("W", "Dense", ["W"]) == "kernel"
    assert names.keras_1_role("W", None, ["W", "b"]) == "kernel"
    assert names.keras_1_role("W", None, ["W"]) == "W"
    assert names.keras_1_role("running_std", None, []) == "moving_variance"
    assert names.keras_1_role("W_i", "LSTM", []) == "W_i"
    assert names.keras_1_role("b", "Highway", []) == "b"


def test_names_that_a_graph_made_unique() -> None:
    assert names.same_name("kernel_1", "kernel")
    assert names.same_name("dense", "dense_2")
    assert not names.same_name("dense_1", "dense_2")
    assert names.plain_name("dense/kernel:0") == "dense/kernel"


@pytest.mark.parametrize(
    "component", ["lstm_cell", "gru_cell_3", "simple_rnn_cell", "conv_lstm_cell", "conv_lstm2d_cell", "stacked_rnn_cells"]
)
def test_cells_by_their_automatic_names(component: str) -> None:
    assert names.is_cell(component)
    assert not names.is_cell(f"my_{component}")
