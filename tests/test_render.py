from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from kmodel_tools.inspector import inspect
from kmodel_tools.render import tables, words
from kmodel_tools.render.json import json_text
from kmodel_tools.render.text import summary_text
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Note, Weight


def model(*names: str, class_name: str | None = "Dense") -> Model:
    layers = []
    for name in names:
        kernel = Weight("kernel", Tensor.of(np.ones((2, 3), "float32")), f"{name}/k", True)
        count = Weight("count", Tensor.of(np.int64(1)), f"{name}/c", False)
        layers.append(Layer(name, class_name=class_name, weights=(kernel, count)))
    return Model(name="net", layers=tuple(layers))


def tree(made: Model, **settings: Any) -> list[str]:
    return summary_text(inspect(made), "Test format", "m.h5", **settings).splitlines()


def test_a_small_model() -> None:
    assert tree(model("a", "b")) == [
        "m.h5",
        "  format      Test format",
        "  model       net",
        "  weights     14 parameters in 4 weights of 2 layers, 64 bytes, float32, int64",
        "              12 trained, 2 not trained",
        "",
        "layer  class  params  weights",
        "a      Dense       7  kernel (2, 3)  count* () int64",
        "b      Dense       7  kernel (2, 3)  count* () int64",
        "",
        "* not trained",
    ]


def test_a_column_without_content_is_left_out() -> None:
    assert "layer  params  weights" in tree(model("a", class_name=None))


def test_three_thousand_layers_read_well() -> None:
    lines = tree(model(*(f"layer_{number}" for number in range(3000))))
    assert len(lines) < 60
    assert any("Dense ×3,000" in line for line in lines)
    assert "… 2,960 rows not shown: --all shows them, or name a layer" in lines
    assert any(line.startswith("layer_29 ") for line in lines)
    assert any(line.startswith("layer_2990 ") for line in lines)
    assert len(tree(model(*(f"layer_{number}" for number in range(3000))), everything=True)) > 3000


@pytest.mark.parametrize("width", [80, 100, 160])
def test_lines_keep_to_the_width(width: int) -> None:
    long = "a_very_long_name_of_a_layer_in_a_model_of_many_layers"
    made = model("short", "x" * 30, long)
    lines = tree(made, width=width)
    assert any(line.startswith(f"{long}  Dense") for line in lines)
    assert all(len(line) <= width for line in lines if not line.startswith((long, "x" * 30)))


def test_a_wrapped_cell_is_shown_on_its_layers_row() -> None:
    cell = Layer("lstm_cell", attr="cell", class_name="LSTMCell", weights=(Weight("kernel", Tensor.of(np.ones((2, 8), "f4")), "k", True),))
    made = Model(layers=(Layer("lstm", class_name="LSTM", layers=(cell,)),))
    assert tree(made)[-1] == "lstm   LSTM       16  cell/kernel (2, 8)"


def test_shared_layers_say_where_else_they_stand() -> None:
    shared = Layer("s", class_name="Dense", weights=(Weight("kernel", Tensor.of(np.ones((1,), "f4")), "k", True),))
    lines = tree(Model(layers=(Layer("a", layers=(shared,)), shared)))
    assert any("(also s)" in line for line in lines)


def test_notes_and_statistics_stand_below() -> None:
    made = Model(layers=model("a").layers, notes=(Note("odd", "something is odd"),))
    lines = summary_text(inspect(made, stats=True), "T", "m").splitlines()
    assert lines[-1] == "odd: something is odd"
    row = next(line for line in lines if line.startswith("a/kernel"))
    assert row.split() == ["a/kernel", "1", "1", "1", "0", "0"]


EVIL = "a\x1b[31m\n\u202e<b>|"


def test_names_cannot_command_a_terminal_or_a_page() -> None:
    layer = Layer(EVIL, class_name=EVIL, weights=(Weight(EVIL, Tensor.of([1.0]), EVIL),))
    made = Model(name=EVIL, layers=(layer,), notes=(Note("odd", EVIL),))
    summary = inspect(made, stats=True)
    texts = {
        "tree": summary_text(summary, "T", EVIL),
        "table": tables.table_text(summary),
        "md": tables.markdown_text(summary, "T", EVIL),
        "html": tables.html_page(summary, "T", EVIL),
        "csv": tables.csv_text(summary),
        "json": json_text(summary.to_dict()),
    }
    for kind, text in texts.items():
        assert "\x1b" not in text, kind
        assert "\u202e" not in text, kind
    assert "<b>" not in texts["html"]
    assert "\\|" in texts["md"]


def test_csv_is_read_back_and_holds_no_formulas() -> None:
    made = Model(layers=(Layer("=SUM(A1)", weights=(Weight('k,"x', Tensor.of(np.ones((2, 2), "f4")), "@key", True),)),))
    rows = list(csv.DictReader(io.StringIO(tables.csv_text(inspect(made, stats=True)))))
    assert rows[0]["path"] == "'=SUM(A1)/k,\"x"
    assert rows[0]["key"] == "'@key"
    assert (rows[0]["shape"], rows[0]["parameters"], rows[0]["bytes"], rows[0]["trainable"]) == ("(2, 2)", "4", "16", "yes")
    assert rows[0]["mean"] == "1.0"


def test_json_has_no_nan() -> None:
    text = json_text({"a": float("nan"), "b": [float("inf"), 1.5], "c": (1,)})
    assert json.loads(text) == {"a": "nan", "b": ["inf", 1.5], "c": [1]}


def test_a_page_is_well_formed() -> None:
    class Checker(HTMLParser):
        open: list[str]

        def __init__(self) -> None:
            super().__init__()
            self.open = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(tables.html_page(inspect(model("a", "b")), "T", "m"))
    assert checker.open == []


def test_markdown_is_a_table_for_a_pull_request() -> None:
    text = tables.markdown_text(inspect(model("a")), "T", "m.h5")
    assert text.startswith("## m.h5\n\n* T\n")
    assert "| a/kernel | Dense" in text


def test_small_words() -> None:
    sizes = [words.byte_size(size) for size in (0, 1, 1023, 1024, 5 << 20, 1 << 60)]
    assert sizes == ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "5.0 MiB", "1024.0 PiB"]
    assert words.counted(1, "layer") == "1 layer"
    assert words.counted(1234, "layer") == "1,234 layers"
    assert [words.shape_text(shape) for shape in ((), (3,), (3, 4))] == ["()", "(3,)", "(3, 4)"]
    assert words.printable("a\tb\x00\u200bc\U000e0001") == "a\\x09b\\x00\\u200bc\\U000e0001"


MEAN = {"class_name": "MeanSquaredError", "config": {"name": "mean_squared_error"}}
ACCURACY = {"class_name": "MeanMetricWrapper", "config": {"name": "acc", "fn": "accuracy"}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"optimizer_config": {"class_name": "Custom>Adam"}, "loss": "mse", "metrics": ["accuracy"]}, "Adam, loss mse, metrics accuracy"),
        ({"optimizer": "sgd", "loss": MEAN}, "sgd, loss mean_squared_error"),
        ({"loss": {"out": "mse"}, "metrics": [[ACCURACY]]}, "loss mse, metrics accuracy"),
        ({"loss": {"module": "builtins", "class_name": "function", "config": "my_loss"}}, "loss my_loss"),
        ({"loss": None}, None),
        (None, None),
    ],
)
def test_what_was_compiled(config: dict[str, Any] | None, expected: str | None) -> None:
    assert words.compiled_text(config) == expected


def test_settings_on_one_line() -> None:
    config = {
        "name": "x",
        "units": 3,
        "use_bias": True,
        "bias_regularizer": None,
        "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 2.0, "seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}},
        "cell": {"class_name": "LSTMCell", "config": {"name": "lstm_cell", "units": 3}},
        "strides": [1, 2],
        "function": "4wEAAAAA" * 100,
    }
    text = words.settings_text(config)
    assert text.startswith(
        "units 3, use_bias true, kernel_initializer VarianceScaling(scale 2.0), bias_initializer Zeros, dtype mixed_float16, "
    )
    assert "cell LSTMCell lstm_cell, strides [1, 2], function 4wEAAAAA" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, 1 << 30, 0.1, "  0 %  0 bytes of 1.0 GiB"),
        (1 << 28, 1 << 30, 0.5, " 25 %  256.0 MiB of 1.0 GiB"),
        (1 << 28, 1 << 30, 2, " 25 %  256.0 MiB of 1.0 GiB, 6 s left"),
        (1 << 20, 1 << 30, 1, "  0 %  1.0 MiB of 1.0 GiB, 17 min 3 s left"),
        (1 << 30, 1 << 30, 9, "100 %  1.0 GiB of 1.0 GiB"),
        (0, 0, 3, "  0 %  0 bytes of 0 bytes"),
    ],
)
def test_progress_says_how_far_it_is_and_how_long_it_takes(done: int, total: int, seconds: float, text: str) -> None:
    assert words.progress_text(done, total, seconds) == text
