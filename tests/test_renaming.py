"""Renaming by a map: paths, order, slots, shared layers; and what a map may not say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools import CorruptFileError, KmtError, Layer, MissingDependencyError, Model, Optimizer, Slot, Tensor, Weight
from kmodel_tools.map_file import read_map
from kmodel_tools.renaming import rename
from kmodel_tools.tree import join_path
from tests.strategies import NAMES, models


def weight(role: str, key: str = "") -> Weight:
    return Weight(role, Tensor.of(np.zeros(2)), key or role)


def layer(name: str, *roles: str, below: tuple[Layer, ...] = (), attr: str | None = None, class_name: str | None = None) -> Layer:
    return Layer(name, attr, class_name, tuple(weight(role, f"file:{name}:{role}") for role in roles), below)


def shown(model: Model) -> list[str]:
    return [join_path(path) for path, _ in model.weights()]


BIDIRECTIONAL = layer(
    "bi",
    class_name="Bidirectional",
    below=(layer("f", attr="forward_layer", below=(layer("c", "kernel", attr="cell", class_name="LSTMCell"),)),),
)
MODEL = Model(
    layers=(layer("in", class_name="InputLayer"), layer("d1", "kernel", "bias", class_name="Dense"), BIDIRECTIONAL, layer("d2", "kernel")),
    own_weights=(weight("scale", "file:scale"),),
)


def test_weights_that_the_map_brings_together_stand_in_the_order_of_their_roles() -> None:
    model = Model(own_weights=tuple(weight(role) for role in ("bias", "beta", "gamma", "kernel")))
    renamed, _ = rename(model, {"bias": "d/bias", "kernel": "d/kernel", "beta": "n/beta", "gamma": "n/gamma"})
    assert shown(renamed) == ["d/kernel", "d/bias", "n/gamma", "n/beta"]


def test_a_layer_moves_with_all_below_it_and_the_rest_stays_in_order() -> None:
    renamed, unnamed = rename(MODEL, {"bi": "enc/bi2", "d1/kernel": "d1/w"})
    assert shown(renamed) == ["scale", "d1/w", "d1/bias", "enc/bi2/forward_layer/cell/kernel", "d2/kernel"]
    assert [join_path(path) for path in unnamed] == ["scale", "d1/bias", "d2/kernel"]
    found = dict(renamed.walk())
    assert found["enc", "bi2"].class_name == "Bidirectional"
    assert found["enc", "bi2", "forward_layer", "cell"].attr == "cell"
    assert found["enc", "bi2", "forward_layer"].name == "f"
    assert found["in",].class_name == "InputLayer"
    assert [key.key for _, key in renamed.weights()] == [key.key for _, key in MODEL.weights()]


def test_a_layer_whose_weights_all_move_together_keeps_its_class() -> None:
    renamed, _ = rename(MODEL, {"d1/kernel": "x/kernel", "d1/bias": "x/bias"})
    assert [(item.name, item.class_name) for item in renamed.layers][:2] == [("in", "InputLayer"), ("x", "Dense")]
    parted, _ = rename(MODEL, {"d1/kernel": "x/kernel", "d1/bias": "y/bias"})
    assert [item.class_name for item in parted.layers][:3] == ["InputLayer", None, None]


def test_layers_that_become_one_have_a_class_if_they_agree() -> None:
    model = Model(layers=(layer("a", "x", class_name="Dense"), layer("b", "y", class_name="Conv2D"), layer("c", "z", class_name="Dense")))
    assert [item.class_name for item in rename(model, {"b": "a"})[0].layers] == [None, "Dense"]
    assert [item.class_name for item in rename(model, {"c": "a"})[0].layers] == ["Dense", "Conv2D"]


def test_the_longer_source_wins_and_a_key_is_a_source_too() -> None:
    renamed, unnamed = rename(MODEL, {"bi": "b", "bi/forward_layer": "f", "file:d2:kernel": "d3/kernel", "scale": "s/scale"})
    assert shown(renamed) == ["s/scale", "d1/kernel", "d1/bias", "f/cell/kernel", "d3/kernel"]
    assert len(unnamed) == 2
    assert "d2" not in {item.name for item in renamed.layers}


def test_null_leaves_out_and_a_longer_source_saves() -> None:
    assert shown(rename(MODEL, {"d1": None, "bi": None, "scale": None})[0]) == ["d2/kernel"]
    assert shown(rename(MODEL, {"d1": None, "d1/bias": "kept/bias"})[0])[:2] == ["scale", "kept/bias"]


def test_two_layers_change_names() -> None:
    renamed, _ = rename(MODEL, {"d1": "d2", "d2": "d1"})
    assert {join_path(path): item.key for path, item in renamed.weights()}["d2/bias"] == "file:d1:bias"
    assert shown(rename(renamed, {"d1": "d2", "d2": "d1"})[0]) == shown(MODEL)


def test_slots_follow_their_weights_and_go_with_them() -> None:
    kernel, bias = MODEL.layers[1].weights
    slots = tuple(Slot("momentum", item, item.tensor, f"m:{item.key}") for item in (kernel, bias))
    model = Model(layers=MODEL.layers, optimizer=Optimizer("Adam", slots), architecture={"class_name": "Functional"})
    renamed, _ = rename(model, {"d1/kernel": "x/w", "d1/bias": None})
    assert renamed.optimizer is not None
    assert [(slot.weight, slot.key) for slot in renamed.optimizer.slots] == [(renamed.find("x/w"), "m:file:d1:kernel")]
    assert renamed.architecture is None
    assert rename(model, {"d1": "d1"})[0] is model


def test_a_shared_layer_stays_one() -> None:
    shared = layer("s", "kernel")
    model = Model(layers=(Layer("a", layers=(shared,)), Layer("b", layers=(shared,))))
    renamed, _ = rename(model, {"b/s": "a/t", "b": "c"})
    assert shown(renamed) == ["a/t/kernel"]
    assert renamed.aliases() == {("a", "t"): (("c", "t"),)}
    assert rename(model, {"b": "a/s/b"})[0].aliases() == {}


def test_a_weight_that_two_layers_hold_stays_one() -> None:
    one = weight("kernel", "k")
    model = Model(layers=(Layer("a", weights=(one,)), Layer("b", weights=(one,)), layer("c", "kernel")))
    renamed, _ = rename(model, {"a": "x"})
    assert shown(renamed) == ["x/kernel", "c/kernel"]
    assert renamed.layers[1].weights == renamed.layers[0].weights


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"d1/kernle": "x"}, "'d1/kernle' is not in the model; nearest: d1/kernel"),
        ({"d1": "d2"}, "several weights would be called 'd2/kernel': d1/kernel, d2/kernel"),
        ({"d1/kernel": "x", "d1/bias": "x"}, "would be called 'x': d1/kernel, d1/bias; give each a name"),
        ({"d1/kernel": "x", "file:d1:kernel": "y"}, "names one thing twice, as 'd1/kernel' and as 'file:d1:kernel'; keep one"),
        ({"d1/kernel": ""}, "has an empty target; write null"),
    ],
)
def test_what_a_map_may_not_say(mapping: dict[str, str | None], message: str) -> None:
    with pytest.raises(KmtError, match=message):
        rename(MODEL, mapping)


def test_a_source_that_means_two_things() -> None:
    model = Model(layers=(Layer("a", weights=(weight("x", "a/y"), weight("y", "z"))),))
    with pytest.raises(KmtError, match="'a/y' is the path of one weight and the key of another"):
        rename(model, {"a/y": "b/y"})


@given(st.data())
def test_renaming_by_a_bijection_and_back_gives_the_same_model(data: st.DataObject) -> None:
    model = data.draw(models())
    paths = [join_path(path) for path, _ in model.weights()]
    names = data.draw(st.lists(st.lists(NAMES, min_size=2, max_size=3), min_size=len(paths), max_size=len(paths), unique_by=tuple))
    there = {path: join_path(tuple(name)) for path, name in zip(paths, names, strict=True)}
    renamed, unnamed = rename(model, dict(there))
    assert not unnamed
    assert {join_path(path): item.key for path, item in renamed.weights()} == {
        there[join_path(path)]: item.key for path, item in model.weights()
    }
    back, _ = rename(renamed, {new: old for old, new in there.items()})
    assert {path: item.key for path, item in back.weights()} == {path: item.key for path, item in model.weights()}


@given(st.data())
def test_renaming_layers_and_back_gives_the_same_order_too(data: st.DataObject) -> None:
    model = data.draw(models())
    names = [join_path((item.name,)) for item in model.layers]
    new = data.draw(st.permutations(names))
    renamed, _ = rename(model, dict(zip(names, new, strict=True)))
    back, _ = rename(renamed, dict(zip(new, names, strict=True)))
    assert [(path, item.key) for path, item in back.weights()] == [(path, item.key) for path, item in model.weights()]
    assert [item.name for item in back.layers] == [item.name for item in model.layers]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_maps_in_yaml_and_json_are_the_same(tmp_path: Path) -> None:
    yaml = written(tmp_path, "m.yaml", '# by hand\nconv1/weights: c/kernel  # sure\n1: on\n"a: b": null\nno: ~\nx: "null"\n')
    json = written(tmp_path, "m.json", '{"conv1/weights": "c/kernel", "1": "on", "a: b": null, "no": null, "x": "null", "_doubtful": [1]}')
    assert read_map(yaml) == read_map(json) == {"conv1/weights": "c/kernel", "1": "on", "a: b": None, "no": None, "x": "null"}
    assert read_map(written(tmp_path, "m", '{"a": "b"}')) == {"a": "b"}
    assert read_map(written(tmp_path, "empty.yaml", "# nothing\n")) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.yaml", "a: b\na: c\n", r"names a source twice \(a\)"),
        ("m.json", '{"a": "b", "a": "c"}', r"names a source twice \(a\)"),
        ("m.yaml", "a:\n", r"a target is missing \(line 1, a\); write null"),
        ("m.yaml", "a: [b]\n", r"something is nested \(line 1\)"),
        ("m.yaml", "? [a]\n: b\n", "something is nested"),
        ("m.yaml", "- a\n", "is no map"),
        ("m.yaml", "a: b: c\n", "is no YAML: mapping values are not allowed"),
        ("m.yaml", "[" * 5000, "is no YAML"),
        ("m.json", "[" * 100_000, "is no JSON"),
        ("m.json", '["a"]', "is no map"),
        ("m.json", '{"a": 1}', r"neither a name nor null \(a\)"),
        ("m.json", '{"a": {"b": "c"}}', r"neither a name nor null \(a\)"),
        ("m.json", "{", "is no JSON"),
    ],
)
def test_what_is_no_map(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=message):
        read_map(written(tmp_path, name, text))


def test_a_tag_makes_no_object(tmp_path: Path) -> None:
    assert read_map(written(tmp_path, "m.yaml", "a: !!python/name:os.system x\n")) == {"a": "x"}


def test_yaml_asks_for_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"a map in YAML needs the package pyyaml; pip install 'kmodel_tools\[yaml\]'"):
        read_map(written(tmp_path, "m.yaml", "a: b\n"))
    assert read_map(written(tmp_path, "m.json", '{"a": "b"}')) == {"a": "b"}


def test_files_that_are_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptFileError, match="no text in UTF-8"):
        read_map(tmp_path / "m.yaml")
    with pytest.raises(KmtError, match="cannot be opened"):
        read_map(tmp_path / "none.yaml")
