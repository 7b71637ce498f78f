"""Loading what fits by name: what is loaded, what is not and why; from Python and from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given

import kmodel_tools as kmt
from kmodel_tools.cli import kmt as command
from kmodel_tools.cli import main
from kmodel_tools.editor import cast
from kmodel_tools.fitted import first_part, overlaid
from kmodel_tools.map_file import read_map
from kmodel_tools.matcher import Match, match
from kmodel_tools.render.map_text import match_json, match_yaml
from kmodel_tools.render.transfer import transfer_text
from kmodel_tools.transferrer import transfer
from kmodel_tools.tree import Layer, Model, Weight, join_path, split_path
from tests.conftest import SAMPLES
from tests.strategies import models

Shape = tuple[int, ...]


def model(weights: Mapping[str, Shape], value: float = 0.0, dtype: str = "float32") -> Model:
    """A model in which a path is a chain of layers."""
    root: list[Layer] = []
    for text, shape in weights.items():
        *names, role = split_path(text)
        layer = Layer(names[-1], weights=(Weight(role, kmt.Tensor.of(np.full(shape, value, dtype)), text),))
        for name in reversed(names[:-1]):
            layer = Layer(name, layers=(layer,))
        root.append(layer)
    return Model(layers=tuple(root))


def values(one: Model) -> dict[str, float]:
    return {join_path(path): float(weight.tensor.read().ravel()[0]) for path, weight in one.weights()}


def loaded(found: Match) -> list[tuple[str, str]]:
    return [(join_path(pair.path_a), join_path(pair.path_b)) for pair in found.pairs]


def test_what_has_a_partner_is_loaded_and_the_rest_is_as_it_was() -> None:
    source = model({"d1/kernel": (2,), "d2/kernel": (3,), "old/kernel": (2,)}, 1)
    into = model({"d1/kernel": (2,), "d2/kernel": (4,), "new/kernel": (2,)}, 7)
    result, found = transfer(source, into)
    assert values(result) == {"d1/kernel": 1, "d2/kernel": 7, "new/kernel": 7}
    assert loaded(found) == [("d1/kernel", "d1/kernel")]
    assert [join_path(pair.path_b) for pair in found.mismatched] == ["d2/kernel"]
    assert [join_path(item.path) for item in found.only_a] == ["old/kernel"]
    assert [join_path(item.path) for item in found.only_b] == ["new/kernel"]
    assert [weight.key for _, weight in result.weights()] == [weight.key for _, weight in into.weights()]


def test_a_layer_that_is_nested_on_one_side_is_found_by_the_end_of_its_path() -> None:
    flat, nested = {"d1/kernel": (2,), "d1/bias": (3,)}, {"net/d1/kernel": (2,), "net/d1/bias": (3,), "head/kernel": (2,)}
    pairs = [("d1/kernel", "net/d1/kernel"), ("d1/bias", "net/d1/bias")]
    assert loaded(match(model(flat), model(nested), "name")) == pairs
    assert loaded(match(model(nested), model(flat), "name")) == [(b, a) for a, b in pairs]


@pytest.mark.parametrize(
    ("source", "into", "reason"),
    [
        ("d/k", "a/d/k b/d/k", "may be a/d or b/d"),
        ("a/d/k", "b/d/k", "not in the other"),
        ("x/a/d/k", "d/k a/d/k", "may be a/d or d"),
    ],
)
def test_what_may_be_several_is_none(source: str, into: str, reason: str) -> None:
    found = match(model({source: (2,)}), model(dict.fromkeys(into.split(), (2,))), "name")
    assert not found.pairs
    assert found.only_a[0].reason == reason


def test_what_several_may_be_is_none() -> None:
    found = match(model({"a/d/k": (2,), "b/d/k": (2,)}), model({"d/k": (2,)}), "name")
    assert not found.pairs
    assert [item.reason for item in found.only_a] == ["d may as well be b/d", "d may as well be a/d"]
    assert [(item.reason, item.candidates) for item in found.only_b] == [("may be a/d or b/d", (("a", "d", "k"), ("b", "d", "k")))]
    taken = match(model({"a/d/k": (2,), "d/k": (2,)}), model({"d/k": (2,)}), "name")
    assert loaded(taken) == [("d/k", "d/k")]
    assert [item.reason for item in taken.only_a] == ["d has a partner of its own name"]


def test_a_single_name_is_no_end() -> None:
    own = Model(own_weights=(Weight("kernel", kmt.Tensor.of(np.zeros(2)), "k"),))
    assert not match(model({"a/kernel": (2,)}), own, "name").pairs


def test_elements_of_another_kind_do_not_fit_and_floats_are_rounded() -> None:
    _, found = transfer(model({"d/k": (2,)}, dtype="int8"), model({"d/k": (2,)}))
    assert len(found.mismatched) == 1
    result, _ = transfer(model({"d/k": (2,)}, 0.1, "float64"), model({"d/k": (2,)}, dtype="float16"))
    values_16 = next(result.weights())[1].tensor.read()
    assert values_16.dtype == np.float16
    assert (values_16 == np.full(2, 0.1, np.float16)).all()


def test_layers_of_different_classes_do_not_fit() -> None:
    def of(kind: str | None, value: float) -> Model:
        return Model(layers=(replace(model({"c/kernel": (3, 3)}, value).layers[0], class_name=kind),))

    result, found = transfer(of("Conv2D", 1), of("Conv2DTranspose", 7))
    assert values(result) == {"c/kernel": 7}
    assert [pair.remark for pair in found.mismatched] == ["Conv2D in the source, Conv2DTranspose in the target"]
    text = transfer_text(found, "a", "b", None, 0)
    assert "skipped     c/kernel: Conv2D in the source, Conv2DTranspose in the target" in text
    for one, other in (("Convolution2D", "Conv2D"), (None, "Conv2D"), ("Conv2D", "My>Conv"), ("Layer", "Conv2D")):
        assert values(transfer(of(one, 1), of(other, 7))[0]) == {"c/kernel": 1}


@pytest.mark.parametrize(
    ("narrow", "wide", "label"),
    [
        ("float16", "float32", "widened"),
        ("float32", "float16", "rounded"),
        ("bfloat16", "float32", "widened"),
        ("bfloat16", "float16", "rounded"),
    ],
)
def test_floats_are_said_to_be_widened_or_rounded(narrow: str, wide: str, label: str) -> None:
    into = cast(model({"d/k": (2,)}), kmt.DType(wide))
    _, found = transfer(cast(model({"d/k": (2,)}), kmt.DType(narrow)), into)
    text = transfer_text(found, "a", "b", None, 0)
    assert f"  {label}     1 weight to the precision of the target" in text
    assert ("rounded" in text) is (label == "rounded")


def test_options_of_the_target_are_passed_on(tmp_path: Path) -> None:
    assert run(H5, H5, "-o", tmp_path / "ckpt", "--to", "tf-checkpoint", "--option", "layout=names", "--lossy")[0] == 0
    assert kmt.read(tmp_path / "ckpt").metadata["dialect"].endswith("name-based")
    assert "is not NAME=VALUE" in str(CliRunner().invoke(command, ["transfer", str(H5), str(H5), "--dry-run", "--option", "x"]).output)


def test_a_map_and_patterns() -> None:
    source, into = model({"x/w": (2,), "y/w": (2,)}, 1), model({"d/kernel": (2,), "y/w": (2,)}, 7)
    result, found = transfer(source, into, {"x/w": "d/kernel"}, exclude=["y"])
    assert values(result) == {"d/kernel": 1, "y/w": 7}
    assert found.left_out == 1
    assert values(transfer(source, into, include=["y"])[0]) == {"d/kernel": 7, "y/w": 1}


def test_numbers_of_groups_are_not_taken_for_names(tmp_path: Path) -> None:
    nameless = SAMPLES / "keras_weights" / "keras-3.0.5.weights.h5"
    for source, into, which in ((H5, nameless, "target"), (nameless, H5, "source")):
        status, text = run(source, into, "-o", tmp_path / "out")
        assert status == 2
        assert f"the {which} holds no names of layers" in text
    assert run(nameless, nameless, "--dry-run")[0] == 0
    assert kmt.transfer(H5, nameless, {"my_d1": "dense"})[1].by == "name"


@given(models())
def test_a_model_transferred_into_itself_is_the_same(one: Model) -> None:
    result, found = transfer(one, one)
    assert len(found.pairs) == len(list(one.weights()))
    assert [*found.only_a, *found.only_b, *found.mismatched] == []
    assert kmt.digest(result) == kmt.digest(one)


H5 = SAMPLES / "keras_h5" / "keras-3.15.1.h5"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["transfer", *map(str, arguments)], standalone_mode=False)
    assert result.exception is None or isinstance(result.exception, kmt.KmtError), result.exception
    return (2 if result.exception else result.return_value), result.output + str(result.exception or "")


def test_the_command_reports_and_writes_in_the_format_of_into(tmp_path: Path) -> None:
    status, text = run(H5, H5, "-o", tmp_path / "out")
    assert status == 0
    assert "  loaded      10 weights (188 bytes)\n              my_d1: kernel, bias\n" in text
    assert kmt.detect(tmp_path / "out").name == "keras-h5"
    assert kmt.diff(H5, tmp_path / "out").same
    assert kmt.digest(H5, everything=True) == kmt.digest(tmp_path / "out", everything=True)
    assert run(H5, H5, "-o", tmp_path / "out.keras", "--exclude", "bn")[0] == 0
    assert kmt.detect(tmp_path / "out.keras").name == "keras-archive"


def test_nothing_is_written_where_nothing_matches(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    status, text = run(H5, H5, "-o", out, "--exclude", "*")
    assert (status, out.exists()) == (1, False)
    assert "nothing written" in text
    assert "  left out    10 weights: as asked for" in text
    for option in ("--include", "--exclude"):
        status, text = run(H5, H5, "-o", out, option, "my_d11")
        assert (status, out.exists()) == (2, False)
        assert "'my_d11' matches no layer and no weight" in text
        assert "nearest: my_d1" in text
    assert (run(H5, H5, "-o", out, "--exclude", "bn", "--strict")[0], out.exists()) == (0, True)


def test_strict_wants_a_partner_for_every_weight(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    names = tmp_path / "names.json"
    names.write_text('{"my_d1": "other"}', encoding="utf-8")
    status, text = run(H5, H5, "-o", out, "--map", names, "--strict")
    assert (status, out.exists()) == (1, False)
    assert "my_d1/kernel: other/kernel is not in the target" in text
    assert "my_d1/kernel: not in the source" in text
    assert run(H5, H5, "-o", out, "--map", names)[0] == 0
    with pytest.raises(kmt.MatchError, match="4 weights of the two models have no partner") as caught:
        kmt.transfer(H5, H5, names, strict=True)
    assert isinstance(caught.value.match, kmt.Match)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert run(H5, H5, "-o", tmp_path / "out.h5", "--dry-run")[0] == 0
    assert run(H5, H5, "--dry-run", "-q") == (0, "")
    assert not list(tmp_path.iterdir())
    status, text = run(H5, H5, "--dry-run", "--json")
    assert status == 0
    assert len(json.loads(text)["pairs"]) == 10


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"mine")
    assert run(H5, H5, "-o", out)[0] == 2
    assert out.read_bytes() == b"mine"
    assert run(H5, H5, "-o", out, "--force")[0] == 0


def test_values_beyond_the_targets_precision_are_told_before_anything_is_written(tmp_path: Path) -> None:
    kmt.write(model({"d/kernel": (2,)}, 1e6), tmp_path / "a.h5")
    kmt.write(model({"d/kernel": (2,)}, dtype="float16"), tmp_path / "b.h5")
    files = tmp_path / "a.h5", tmp_path / "b.h5"
    status, text = run(*files, "--dry-run")
    assert (status, "  lost        2 values of d/kernel: beyond float16\n" in text) == (0, True)
    status, text = run(*files, "-o", tmp_path / "out.h5")
    assert (status, "--lossy" in text, (tmp_path / "out.h5").exists()) == (2, True, False)
    assert run(*files, "-o", tmp_path / "out.h5", "--lossy")[0] == 0
    assert np.isinf(next(kmt.read(tmp_path / "out.h5").weights())[1].tensor.read()).all()


def test_an_earlier_model_is_carried_to_keras_3_before_it_is_loaded_into_one(tmp_path: Path) -> None:
    old = Path(__file__).parent / "eras" / "2.0.9" / "rnn.h5"
    kmt.convert(old, tmp_path / "new.keras")
    loaded, found = kmt.transfer(old, tmp_path / "new.keras")
    assert found.remarks[0] == "the source is carried to Keras 3 first"
    assert kmt.diff(loaded, tmp_path / "new.keras").same
    kmt.write(loaded, tmp_path / "loaded.keras")
    assert kmt.digest(tmp_path / "loaded.keras").values == kmt.digest(tmp_path / "new.keras").values


# Other ways of pairing, and what does not fit.


@pytest.mark.parametrize("by", ["position", "shape", "auto"])
def test_layers_of_other_names_are_loaded_if_that_is_asked_for(by: str) -> None:
    source, into = model({"a/k": (2,), "b/k": (3,)}, 1), model({"x/k": (2,), "y/k": (3,)}, 7)
    assert values(transfer(source, into)[0]) == {"x/k": 7, "y/k": 7}
    result, found = transfer(source, into, by=by)
    assert values(result) == {"x/k": 1, "y/k": 1}
    assert (
        "by class and shapes" in transfer_text(found, "a", "b", None, 0)
        or by != "shape"
        or "only ones" in transfer_text(found, "a", "b", None, 0)
    )


def test_what_may_be_one_or_another_is_not_loaded() -> None:
    source, into = model({"a/k": (2,), "b/k": (3,), "c/k": (4,)}, 1), model({"x/k": (2,), "y/k": (3,), "z/k": (3,), "w/k": (4,)}, 7)
    result, found = transfer(source, into, by="auto")
    assert values(result) == {"x/k": 1, "y/k": 7, "z/k": 7, "w/k": 1}
    text = transfer_text(found, "a", "b", None, 0)
    assert "  skipped     b/k: may be y or z: they have its class and shapes\n" in text
    assert "  as it was   y/k: may be b: they have its class and shapes\n" in text


def test_one_rule_or_pattern_may_be_given_as_it_is() -> None:
    """`rename="old=new"` is one rule, and no sequence of letters."""
    source, into = model({"old/k": (2,), "d2/k": (2,)}, 1), model({"new/k": (2,), "d2/k": (2,)})
    assert loaded(kmt.transfer(source, into, rename="old=new", include="new")[1]) == [("old/k", "new/k")]
    assert loaded(kmt.match(source, into, "name", rename="old=new", exclude="d2")) == [("old/k", "new/k")]


def test_rename_rules() -> None:
    source, into = model({"old/d1/k": (2,), "d2/k": (3,)}, 1), model({"new/d1/k": (2,), "d2/k": (3,)}, 7)
    result, found = transfer(source, into, rename=["old=new"], exclude=["d2"])
    assert values(result) == {"new/d1/k": 1, "d2/k": 7}
    assert found.left_out == 1


def of_range(*shape: int, start: int = 0, dtype: str = "float32") -> Model:
    array = np.arange(start, start + int(np.prod(shape))).reshape(shape).astype(dtype)
    return Model(layers=(Layer("d", weights=(Weight("k", kmt.Tensor.of(array), "k"),)),))


def held(one: Model) -> np.ndarray:
    return next(one.weights())[1].tensor.read()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_first_part_of_what_is_larger_and_what_is_smaller_in_its_place(dtype: str) -> None:
    into = cast(of_range(3, 4, start=100), kmt.DType(dtype))
    whole = held(into).astype("float64")
    for name, shape in (("slice", (5, 4)), ("slice", (3, 9)), ("slice", (4, 5)), ("pad", (2, 4)), ("pad", (3, 1)), ("pad", (2, 2))):
        result, found = transfer(of_range(*shape), into, on_mismatch=name)
        expected = whole.copy()
        rows, columns = min(shape[0], 3), min(shape[1], 4)
        expected[:rows, :columns] = held(of_range(*shape))[:rows, :columns]
        assert (held(result).astype("float64") == expected).all()
        assert held(result).dtype == held(into).dtype
        assert len(found.pairs) == 1
        assert f"  fitted      d/k: {found.pairs[0].remark}\n" in transfer_text(found, "a", "b", None, 0)
        other = "pad" if name == "slice" else "slice"
        assert not transfer(of_range(*shape), into, on_mismatch=other)[1].pairs
    assert found.pairs[0].remark == "(2, 2) for the first part of (3, 4), the rest as it was"


@pytest.mark.parametrize("shape", [(3,), (3, 4, 1), (2, 5)])
@pytest.mark.parametrize("way", ["slice", "pad"])
def test_shapes_that_no_part_of_the_other_is_are_skipped(shape: Shape, way: str) -> None:
    _, found = transfer(of_range(*shape), of_range(3, 4), on_mismatch=way)
    assert [pair.remark for pair in found.mismatched] == [f"{shape} in the source, (3, 4) in the target"]
    assert not transfer(of_range(5, 4, dtype="int32"), of_range(3, 4), on_mismatch=way)[1].pairs


def test_a_layer_that_is_loaded_in_part_is_named() -> None:
    """A bias without its kernel: the same number of units on other inputs."""
    source, into = model({"d/k": (5, 3), "d/b": (3,), "e/k": (3, 2)}), model({"d/k": (4, 3), "d/b": (3,), "e/k": (3, 2)})
    _, found = transfer(source, into)
    assert found.remarks == ("of some layers a part alone is loaded, since the rest does not fit: d",)
    assert transfer(source, into, exclude=["d"])[1].remarks == ()


def test_what_does_not_fit_may_be_an_error() -> None:
    with pytest.raises(kmt.MatchError, match=r"weights do not fit: d/k: \(2, 2\) in the source, \(3, 4\) in the target") as caught:
        transfer(of_range(2, 2), of_range(3, 4), on_mismatch="error")
    assert isinstance(caught.value.match, Match)
    assert transfer(of_range(3, 4), of_range(3, 4), on_mismatch="error")[1].pairs
    with pytest.raises(kmt.KmtError, match="no way called 'cut'"):
        transfer(of_range(3, 4), of_range(3, 4), on_mismatch="cut")


def test_parts_are_taken_of_what_has_them() -> None:
    tensor = kmt.Tensor.of(np.arange(6).reshape(2, 3))
    assert first_part(tensor, (2, 3)) is tensor
    assert overlaid(kmt.Tensor.of(np.zeros((2, 3), np.int64)), tensor) is tensor
    for shape in ((3, 3), (2,), (2, 3, 1)):
        with pytest.raises(kmt.CorruptFileError, match="is no part of"):
            first_part(tensor, shape)
    with pytest.raises(kmt.CorruptFileError, match="int64 are not put among those of float32"):
        overlaid(kmt.Tensor.of(np.zeros((4, 4), np.float32)), tensor)
    assert b"".join(bytes(block) for block in first_part(tensor, (2, 2)).blocks(8)) == np.array([0, 1, 3, 4]).tobytes()


@pytest.mark.parametrize("name", ["names.yaml", "names.json"])
def test_a_match_is_saved_edited_and_given_back(name: str, tmp_path: Path) -> None:
    files = tmp_path / "a.h5", tmp_path / "b.h5"
    kmt.write(model({"a/k": (2,), "b/k": (3,), "c/k": (4,), "d/k": (9,)}, 1), files[0])
    kmt.write(model({"x/k": (2,), "y/k": (3,), "z/k": (3,), "w/k": (4,)}, 7), files[1])
    names = tmp_path / name
    assert run(*files, "--dry-run", "--by", "shape", "--save-map", names)[0] == 0
    text = names.read_text(encoding="utf-8")
    assert main(["transfer", *map(str, files), "--dry-run", "--save-map", str(names)]) == 2, "it is there already"
    if name == "names.yaml":
        assert "a/k: x/k  # the only one of its class and shapes\n" in text
        assert "b/k: null  # (3,); ??? may be y or z: they have its class and shapes\n" in text
        assert "d/k: null  # (9,); not in the other\n" in text
        assert "# ?: y/k  # (3,); b/k\n" in text
    status, report = run(*files, "-o", tmp_path / "same.h5", "--map", names)
    assert status == 0
    assert "2 as the map says" in report
    names.write_text(text.replace("b/k: null", "b/k: z/k").replace('"b/k": null', '"b/k": "z/k"'), encoding="utf-8")
    assert run(*files, "-o", tmp_path / "out.h5", "--map", names)[0] == 0
    assert values(kmt.read(tmp_path / "same.h5")) == {"x/k": 1, "y/k": 7, "z/k": 7, "w/k": 1}
    assert values(kmt.read(tmp_path / "out.h5")) == {"x/k": 1, "y/k": 7, "z/k": 1, "w/k": 1}
    outcome = CliRunner().invoke(command, ["diff", *map(str, files), "--map", str(names), "--only", "weights", "--json"])
    assert [pair[0] for pair in json.loads(outcome.output)["pairing"]["renamed"]] == ["a/k", "b/k", "c/k"]


def test_a_misspelt_suffix_is_no_name_for_the_format_of_the_target(tmp_path: Path) -> None:
    status, text = run(H5, H5, "-o", tmp_path / "out.kears")
    assert status == 2
    assert "did you mean .keras?" in text
    assert not list(tmp_path.iterdir())
    assert run(H5, H5, "-o", tmp_path / "out.bin")[0] == 0, "any other name has the format of the target"


@pytest.mark.parametrize(
    ("a", "b", "by", "doubt"),
    [
        ("dense_1 dense_2 dense_3", "dense_2 dense_3 dense_4", "name", "names of the two models count from other numbers"),
        ("first second", "one two", "position", "order alone tells it from others of its class and shapes"),
    ],
)
def test_a_saved_map_keeps_what_is_doubtful(a: str, b: str, by: str, doubt: str) -> None:
    """A proposal marks such lines; a match said it of the whole alone, and its map looked certain."""
    one, other = (model({f"{name}/kernel": (3, 3) for name in names.split()}) for names in (a, b))
    found = match(one, other, by)
    assert len(found.remarks) == 1
    assert not any(pair.doubt for pair in found.pairs)
    lines = [line for line in match_yaml(found, "a", "b").splitlines() if line and not line.startswith("#") and ": null" not in line]
    assert len(lines) == len(found.pairs) == 2
    assert all("  # ??? " in line and doubt in line for line in lines)
    marked = json.loads(match_json(found))["_doubtful"]
    assert [(entry["source"], entry["target"]) for entry in marked] == [
        (join_path(pair.path_a), join_path(pair.path_b)) for pair in found.pairs
    ]
    assert set(marked[0]) == {"source", "target", "how", "doubt", "others"}
    assert marked[0]["doubt"].startswith(doubt)


def test_names_of_files_do_not_get_out_of_a_saved_map(tmp_path: Path) -> None:
    nasty = "a\n: null\x1b[31m # {'x"
    one = Model(
        layers=(Layer(nasty, weights=(Weight("k", kmt.Tensor.of(np.zeros(2)), "k"), Weight("l", kmt.Tensor.of(np.zeros(3)), "l"))),)
    )
    found = match(one, model({"b/k": (2,)}), "position")
    (tmp_path / "names.yaml").write_text(match_yaml(found, nasty, nasty), encoding="utf-8")
    (tmp_path / "names.json").write_text(match_json(found), encoding="utf-8")
    for name in ("names.yaml", "names.json"):
        assert read_map(tmp_path / name) == found.mapping
    assert "\x1b" not in (tmp_path / "names.yaml").read_text(encoding="utf-8")
