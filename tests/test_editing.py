"""Editing files without the frameworks: names, parts, merging and averaging, what the report says of them and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.architecture.editing.places import layers_in
from kmodel_tools.architecture.envelope import era_of_version
from kmodel_tools.architecture.topology import layer_order
from kmodel_tools.cli import main
from kmodel_tools.derived import mean
from kmodel_tools.editor.naming import new_paths, rename_layers
from kmodel_tools.editor.parts import extract, without_last_layers
from kmodel_tools.render.conversion import conversion_text
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Slot, Weight, join_path
from tests.conftest import SAMPLES, sample_files

ARCHIVE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
LEGACY = SAMPLES / "keras_h5" / "keras-3.15.1.h5"
KERAS_2 = SAMPLES / "keras_h5" / "tf.keras-2.12.0.h5"
BARE = SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5"
VOCABULARY = SAMPLES / "keras_archive" / "vocabulary"
CHECKPOINT = SAMPLES / "tf_checkpoint" / "keras-2.21.0"


def whole(path: Path) -> bool:
    model = kmt.read(path)
    return model.architecture is not None and any(True for _ in model.weights()) and model.format in ("keras-h5", "keras-archive")


def paths(model: Path | Model) -> list[str]:
    return [join_path(path) for path, _ in (model if isinstance(model, Model) else kmt.read(model)).weights()]


def slots(model: Model) -> list[tuple[str, bytes, bytes]]:
    """The optimizer's slots, each with the value of the weight that it belongs to."""
    found = model.optimizer.slots if model.optimizer is not None else ()
    return sorted((slot.name, slot.weight.tensor.read().tobytes(), slot.tensor.read().tobytes()) for slot in found)


# Names.


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files() if whole(path)])
def test_every_layer_of_every_sample_is_renamed_and_found_again(path: Path, tmp_path: Path) -> None:
    model = kmt.read(path)
    assert model.architecture is not None
    new = {place: f"x_{place[-1]}" for place in layers_in(model.architecture)}

    def new_path(place: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new.get(place[: end + 1], part) for end, part in enumerate(place))

    renamed, count = rename_layers(model, new_path)
    assert count == len(new)
    target = "m.keras" if model.format == "keras-archive" else "m.h5"
    kmt.convert(renamed, tmp_path / target)
    kmt.convert(model, tmp_path / f"old_{target}")
    found, plain = kmt.read(tmp_path / target), kmt.read(tmp_path / f"old_{target}")
    expected = {new_path(place): weight.tensor.read().tobytes() for place, weight in plain.weights()}
    assert {place: weight.tensor.read().tobytes() for place, weight in found.weights()} == expected
    assert [place for place, _ in found.weights()] == list(expected), "in the same order"
    assert slots(found) == slots(plain)
    assert not [note for note in found.notes if note not in plain.notes]
    back, _ = rename_layers(renamed, lambda place: tuple(part.removeprefix("x_") for part in place))
    assert back.architecture == model.architecture
    assert paths(back) == paths(model)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("source", [ARCHIVE, LEGACY], ids=["archive", "legacy"])
def test_renamed_and_compared_under_the_same_rules_nothing_differs(source: Path, suffix: str, tmp_path: Path) -> None:
    rules = ["my_*=your_*", "re:^b(.)$=\\1b"]
    report = kmt.convert(source, tmp_path / f"m{suffix}", rename=rules)
    assert "4 layers under other names, as asked for" in report.carried
    assert "architecture" in report.carried
    assert paths(tmp_path / f"m{suffix}")[0] == "your_d1/kernel"
    assert kmt.diff(source, tmp_path / f"m{suffix}", rename=rules, aspects=["weights", "optimizer", "training_config"]).same


def test_addresses_in_a_legacy_file_go_by_the_new_names(tmp_path: Path) -> None:
    kmt.convert(KERAS_2, tmp_path / "m.h5", rename=["my_d1=first"])
    with h5py.File(tmp_path / "m.h5", "r") as file, h5py.File(KERAS_2, "r") as old:
        names = [name.decode() if isinstance(name, bytes) else name for name in file["model_weights"].attrs["layer_names"]]
        assert "first" in names
        assert "my_d1" not in names
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name))
        assert not [name for name in found if "my_d1" in name]
        before: list[str] = []
        old.visititems(lambda name, item: before.append(name))
        assert sorted(found) == sorted(name.replace("my_d1", "first") for name in before)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("my_d1=a/b", "my_d1 would become a/b.*keep their places"),
        ("my_d1=a\\/b", "my_d1 cannot be called 'a/b'"),
        ("my_d1=", "keep their places"),
        ("my_d1=my_d2", "two layers would be called 'my_d2': my_d1 and my_d2; give each a name of its own"),
        ("my_d?=d", "two layers would be called 'd'"),
        ("my_d1=inp", "two layers would be called 'inp'"),
        ("my_d1=top_level_model_weights", "is no name of a layer"),
        ("my_d1=a\nb", "is no name of a layer"),
        ("my_d1/kernel=my_d1/w", "what a weight is to its layer is not a name that can be changed; for weights alone, add --weights-only"),
        ("my_d9=x", "--rename 'my_d9=x' changes the name of no layer and no weight; nearest: my_d"),
        ("my_d1", "is not a rename rule"),
        ("re:my_d1/=x/", "my_d1 is no name of a layer that the architecture gives|would become x/kernel"),
    ],
)
@pytest.mark.parametrize("source", [ARCHIVE, LEGACY], ids=["archive", "legacy"])
def test_names_that_cannot_be_given_are_refused_before_anything_is_written(source: Path, rule: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=message):
        kmt.convert(source, tmp_path / f"m{source.suffix}", rename=[rule])
    assert not list(tmp_path.iterdir())


def test_names_that_tensorflow_takes_for_no_scope(tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match="cannot be called 'my layer': TensorFlow takes it for no scope"):
        kmt.convert(KERAS_2, tmp_path / "m.h5", rename=["my_d1=my layer"])
    kmt.convert(ARCHIVE, tmp_path / "m.keras", rename=["my_d1=my layer"])
    assert paths(tmp_path / "m.keras")[0] == "my layer/kernel"


def test_two_layers_change_names_and_rules_go_in_turn(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "m.keras", rename=["my_d1=x", "my_d2=my_d1", "x=my_d2"])
    old, new = (dict(kmt.read(path).weights()) for path in (ARCHIVE, tmp_path / "m.keras"))
    for one, other in (("my_d1", "my_d2"), ("my_d2", "my_d1")):
        assert np.array_equal(new[other, "kernel"].tensor.read(), old[one, "kernel"].tensor.read())


def test_a_role_is_renamed_for_weights_alone(tmp_path: Path) -> None:
    report = kmt.convert(LEGACY, tmp_path / "m.h5", rename=["my_d1/kernel=my_d1/w"], weights_only=True)
    assert "1 of the weights under other names, as asked for" in report.carried
    assert "my_d1/w" in paths(tmp_path / "m.h5")
    kmt.convert(
        CHECKPOINT, tmp_path / "c", to="tf-checkpoint", rename=["re:^layer_with_weights-1=second"], options={"layout": "names"}, lossy=True
    )
    assert not [path for path in paths(tmp_path / "c") if "layer_with_weights-1" in path]


def test_a_map_that_only_renames_layers_leaves_a_whole_model(tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / "m.keras", mapping={"my_d1": "first", "my_d2/kernel": "my_d2/kernel"})
    assert "1 layer under the names of the map" in report.carried
    assert "architecture" in report.carried
    assert paths(tmp_path / "m.keras")[0] == "first/kernel"
    report = kmt.convert(ARCHIVE, tmp_path / "m.h5", mapping={"my_d1": "deep/first"}, optimizer=False)
    assert any(
        line.startswith("architecture and training configuration: they know") and "keep their places" in line for line in report.left_out
    )
    report = kmt.convert(ARCHIVE, tmp_path / "n.h5", mapping={"my_d3": None}, optimizer=False)
    assert any(line.startswith("architecture and training configuration: they know") for line in report.left_out)


def test_names_come_first_where_another_architecture_is_taken(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "like.keras", rename=["my_*=your_*"])
    report = kmt.convert(ARCHIVE, tmp_path / "m.keras", like=tmp_path / "like.keras", rename=["my_*=your_*"])
    assert any("paired by name" in line for line in report.inferred)
    assert kmt.digest(tmp_path / "m.keras").weights == kmt.digest(tmp_path / "like.keras").weights


def test_what_was_compiled_goes_by_the_new_names() -> None:
    source = kmt.read(ARCHIVE)
    training = {**(source.training_config or {}), "loss": {"my_d3": "mse"}}
    renamed, _ = rename_layers(
        replace(source, training_config=training), lambda path: ("head" if path[0] == "my_d3" else path[0], *path[1:])
    )
    assert renamed.training_config is not None
    assert renamed.training_config["loss"] == {"head": "mse"}


def shared() -> Model:
    """A layer that a graph and a nested graph both call."""
    layer = Layer("d", None, "Dense", (Weight("kernel", Tensor.of(np.ones((2, 2), "float32")), "k"),))
    inner = Layer("inner", None, "Sequential", (), (layer,))
    dense = {"class_name": "Dense", "config": {"name": "d"}}
    row = {"class_name": "Sequential", "config": {"name": "inner", "layers": [dense]}}
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": [dense, row]}}
    return Model("m", "", (layer, inner), architecture=architecture, metadata={"keras_version": "3.15.1"})


@pytest.mark.parametrize("rule", ["d=e", "inner/d=inner/e"])
def test_a_shared_layer_has_one_name_wherever_it_occurs(rule: str) -> None:
    model = shared()
    renamed, count = rename_layers(model, new_paths(model, [rule]))
    assert count == 2
    assert [layer.name for layer in (renamed.layers[0], renamed.layers[1].layers[0])] == ["e", "e"]
    assert renamed.layers[0] is renamed.layers[1].layers[0]
    assert renamed.architecture is not None
    assert set(layers_in(renamed.architecture)) == {("e",), ("inner",), ("inner", "e")}
    with pytest.raises(kmt.KmtError, match="one layer would have several names: e, f; give it one name"):
        rename_layers(model, new_paths(model, ["d=e", "inner/d=inner/f"]))


def test_what_is_inside_of_somebodys_own_layer_is_not_renamed() -> None:
    inside = Layer("d", None, "Dense", (Weight("kernel", Tensor.of(np.ones(2)), "k"),))
    mine = {"class_name": "Mine", "config": {"name": "mine"}}
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": [mine]}}
    model = Model("m", "", (Layer("mine", None, "Mine", (), (inside,)),), architecture=architecture, metadata={"keras_version": "3.15.1"})
    with pytest.raises(kmt.ConversionError, match="mine/d is no name of a layer that the architecture gives"):
        rename_layers(model, new_paths(model, ["mine/d=mine/e"]))
    assert rename_layers(model, new_paths(model, ["mine=ours"]))[0].layers[0].name == "ours"
    policy = {"class_name": "DTypePolicyMap", "config": {}}
    mapped = replace(model, architecture={"class_name": "Sequential", "config": {"name": "m", "layers": [mine], "dtype": policy}})
    with pytest.raises(kmt.ConversionError, match="a map of precisions by the paths of layers"):
        rename_layers(mapped, new_paths(mapped, ["mine=ours"]))


# Parts.


@pytest.mark.parametrize("source", [ARCHIVE, LEGACY, KERAS_2], ids=["archive", "legacy", "keras 2"])
def test_without_its_last_layer_a_model_is_whole(source: Path, tmp_path: Path) -> None:
    out = tmp_path / f"m{source.suffix}"
    report = kmt.convert(source, out, drop=["my_d3"])
    assert report.changes[:2] == ("without the layers my_d3, as asked for", "the model ends in bn now")
    assert "architecture" in report.carried
    assert any("the outputs that it was compiled for are no more" in line for line in report.left_out)
    found, before = kmt.read(out), kmt.read(source)
    assert found.architecture is not None
    assert layer_order(found.architecture["config"], era_of_version(found.metadata["keras_version"]))[1] is None
    assert paths(found) == [path for path in paths(before) if not path.startswith("my_d3")]
    kept = {weight.tensor.read().tobytes() for _, weight in found.weights()}
    assert slots(found) == [slot for slot in slots(before) if slot[1] in kept]
    assert slots(found)
    assert found.training_config is not None
    assert found.training_config.get("loss") is None


def test_the_state_of_what_is_left_is_counted_anew(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "m.keras", drop=["my_d3"])
    optimizer = kmt.read(tmp_path / "m.keras").optimizer
    assert optimizer is not None
    state: list[Slot | Weight] = [*optimizer.slots, *optimizer.counters]
    numbers = sorted(int(item.key.rpartition("/")[2]) for item in state)
    assert numbers == list(range(len(numbers))), "Keras counts them without gaps"


def test_layers_with_files_are_not_cut_off() -> None:
    words = kmt.read(VOCABULARY)
    last = Layer("words", None, "StringLookup")
    dense = {"class_name": "Dense", "config": {"name": "d"}}
    lookup = {"class_name": "StringLookup", "config": {"name": "words"}}
    architecture = {"class_name": "Sequential", "config": {"name": "m", "layers": [dense, lookup]}}
    assets = (replace(words.assets[0], name="assets/layers/string_lookup/vocabulary.txt"),)
    model = Model("m", "", (Layer("d"), last), architecture=architecture, assets=assets, metadata={"keras_version": "3.15.1"})
    with pytest.raises(kmt.ConversionError, match="words has files, which are not sorted out"):
        without_last_layers(model, ["words"])


def test_what_is_not_at_the_end_leaves_weights_alone_and_why_is_said(tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / "m.h5", drop=["my_d2"])
    assert any("what is left is no whole model: bn takes what my_d2 makes" in line for line in report.left_out)
    assert kmt.read(tmp_path / "m.h5").architecture is None
    report = kmt.convert(ARCHIVE, tmp_path / "n.h5", drop=["my_d3/kernel"])
    assert any("'my_d3/kernel' is none of its outermost layers" in line for line in report.left_out)
    report = kmt.convert(ARCHIVE, tmp_path / "o.h5", drop=["re:bias|my_d3"])
    assert any("is a part of a layer" in line for line in report.left_out)
    with pytest.raises(kmt.ConversionError, match=r"holds whole models, and .*bn takes what my_d2 makes"):
        kmt.convert(ARCHIVE, tmp_path / "m.keras", drop=["my_d2"])
    with pytest.raises(kmt.ConversionError, match="nothing of the model would be left"):
        kmt.convert(ARCHIVE, tmp_path / "m.keras", drop=["*"])


def test_weights_alone_are_chosen_as_before(tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / "m.h5", drop=["my_d3"], weights_only=True)
    assert any("no whole model" in line for line in report.left_out)
    assert kmt.read(tmp_path / "m.h5").architecture is None


def test_an_architecture_alone_is_edited_as_one_with_weights_is(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "m.json", rename=["my_*=your_*"], drop=["your_d3"])
    found = kmt.read(tmp_path / "m.json")
    assert [layer.name for layer in found.layers] == ["inp", "your_d1", "your_d2", "bn"]
    kmt.convert(tmp_path / "m.json", tmp_path / "n.json", rename=["bn=last"])
    assert [layer.name for layer in kmt.read(tmp_path / "n.json").layers][-1] == "last"
    with pytest.raises(kmt.ConversionError, match=r"holds whole models, and .*bn takes what your_d2 makes"):
        kmt.convert(tmp_path / "m.json", tmp_path / "o.json", drop=["your_d2"])
    with pytest.raises(kmt.ConversionError, match="holds architectures of models, and bn is a layer"):
        kmt.convert(ARCHIVE, tmp_path / "o.json", extract="bn")


def test_a_layer_without_weights_that_others_need_is_named(tmp_path: Path) -> None:
    with pytest.raises(kmt.ConversionError, match="my_d1 takes what inp makes; and of the weights alone: 'inp' matches no layer"):
        kmt.convert(ARCHIVE, tmp_path / "m.h5", drop=["inp"])


def nested(tmp_path: Path) -> Path:
    """The sample inside of a list of layers, as a whole file of Keras 3."""
    source = kmt.read(ARCHIVE)
    assert source.architecture is not None
    layer = Layer("fm", None, "Functional", source.own_weights, source.layers)
    around = {"name": "around", "layers": [{**source.architecture, "build_config": {"input_shape": [None, 4]}}]}
    architecture = {"module": "keras", "class_name": "Sequential", "config": around, "registered_name": None}
    kmt.convert(
        replace(source, name="around", layers=(layer,), own_weights=(), architecture=architecture, inventory=None), tmp_path / "n.keras"
    )
    return tmp_path / "n.keras"


def test_a_nested_model_is_one_of_its_own_with_its_slots(tmp_path: Path) -> None:
    path = nested(tmp_path)
    assert paths(path)[0] == "fm/my_d1/kernel"
    assert extract(kmt.read(path), "fm").model.format == "", "groups of the file around it are not its own"
    report = kmt.convert(path, tmp_path / "m.keras", extract="fm")
    assert report.changes == ("the model fm out of around, as asked for",)
    found, original = kmt.read(tmp_path / "m.keras"), kmt.read(ARCHIVE)
    assert original.architecture is not None
    assert found.architecture is not None
    assert found.architecture["config"] == original.architecture["config"]
    assert kmt.digest(found).weights == kmt.digest(original).weights
    assert slots(found) == slots(original)
    assert found.training_config is not None
    assert found.training_config["loss"] is None
    kmt.convert(path, tmp_path / "o.keras", rename=["fm=g", "g/my_d1=g/a"], extract="g", drop=["my_d3"])
    assert paths(tmp_path / "o.keras")[0] == "a/kernel"


@pytest.mark.parametrize("target", ["m.h5", "m.weights.h5"])
def test_the_weights_of_a_layer_go_alone(target: str, tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / target, extract="bn")
    assert report.changes == ("the weights of the layer bn, as asked for",)
    assert report.left_out == ("architecture, training configuration and optimizer: a layer is no whole model",)
    found = {path[-1]: weight.tensor.read().tobytes() for path, weight in kmt.read(tmp_path / target).weights()}
    original = {path[-1]: weight.tensor.read().tobytes() for path, weight in kmt.read(ARCHIVE).weights() if path[0] == "bn"}
    assert found == original
    with pytest.raises(kmt.ConversionError, match="holds whole models, and bn is a layer"):
        kmt.convert(ARCHIVE, tmp_path / "m.keras", extract="bn")


def test_what_a_checkpoint_holds_beside_others_is_taken_out(tmp_path: Path) -> None:
    def held(name: str, value: int) -> Layer:
        dense = Layer("d", "d", None, (Weight("kernel", Tensor.of(np.full(2, value, "float32")), f"{name}/d/kernel"),))
        return Layer(name, name, None, (), (dense,))

    kmt.convert(Model(layers=(held("generator", 1), held("critic", 2))), tmp_path / "m.h5", extract="critic")
    assert paths(tmp_path / "m.h5") == ["d/kernel"]
    assert next(kmt.read(tmp_path / "m.h5").weights())[1].tensor.read().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("path", "message"),
    [("nothing", "there is no layer or weight 'nothing'"), ("my_d1/kernel", "is a weight, and no layer"), ("inp", "has no weights")],
)
def test_what_cannot_be_taken_out(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=message):
        kmt.convert(ARCHIVE, tmp_path / "m.h5", extract=path)


# Several files.


def parts(tmp_path: Path) -> list[Path]:
    """A model's layers in two files."""
    for name, layers in (("a", ["my_d1", "bn"]), ("b", ["my_d2", "my_d3"])):
        kmt.convert(LEGACY, tmp_path / f"{name}.h5", select=layers)
    return [tmp_path / "a.h5", tmp_path / "b.h5"]


def test_files_of_disjoint_layers_are_merged(tmp_path: Path) -> None:
    files = parts(tmp_path)
    assert main(["merge", *map(str, files), "-o", str(tmp_path / "both.h5")]) == 0
    assert sorted(paths(tmp_path / "both.h5")) == sorted(paths(LEGACY))
    assert kmt.digest(tmp_path / "both.h5").weights == kmt.digest(LEGACY).weights
    assert main(["merge", *map(str, files), "-o", str(tmp_path / "both.keras"), "--like", str(LEGACY), "-q"]) == 0
    assert kmt.diff(tmp_path / "both.keras", LEGACY, aspects=["weights", "config", "trainable"]).same
    joined = kmt.merge([kmt.read(ARCHIVE), _renamed(kmt.read(ARCHIVE))])
    assert joined.said == ("10 weights of model 1", "10 weights of model 2")
    assert "architecture and training configuration: what is merged is weights" in joined.left_out
    assert len(paths(joined.model)) == 20
    assert joined.model.format == "", "groups of the two files are not those of one"


def _renamed(model: Model) -> Model:
    return rename_layers(model, lambda path: (f"x_{path[0]}", *path[1:]))[0]


def test_weights_of_one_name_are_not_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = parts(tmp_path)
    assert main(["merge", str(files[0]), str(LEGACY), "-o", str(tmp_path / "both.h5")]) == 2
    message = capsys.readouterr().err
    assert f"bn is in {files[0]} and {LEGACY}" in message
    assert "my_d1 is in" in message
    assert not (tmp_path / "both.h5").exists()
    with pytest.raises(kmt.KmtError, match="two models at least"):
        kmt.merge([LEGACY])
    with pytest.raises(kmt.KmtError, match="named twice"):
        kmt.merge([LEGACY, LEGACY])
    with pytest.raises(kmt.ConversionError, match=r"of several generations.*of Keras 3.*of Keras 2.*kmt convert --target"):
        kmt.merge([LEGACY, KERAS_2])
    bare = replace(kmt.read(BARE), metadata={**kmt.read(BARE).metadata, "names": "groups"})
    with pytest.raises(kmt.ConversionError, match="holds no names of layers"):
        kmt.merge([bare, kmt.read(files[0])])


def scaled(path: Path, target: Path, factor: float) -> Path:
    """A copy of a legacy file with every float multiplied."""
    target.write_bytes(path.read_bytes())
    with h5py.File(target, "r+") as file:
        found: list[str] = []
        file["model_weights"].visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in found:
            file["model_weights"][name][...] = file["model_weights"][name][()] * np.float32(factor)
    return target


def test_the_mean_of_three_files(tmp_path: Path) -> None:
    files = [LEGACY, scaled(LEGACY, tmp_path / "a.h5", 2.5), scaled(LEGACY, tmp_path / "b.h5", -0.3)]
    assert main(["average", *map(str, files), "-o", str(tmp_path / "mean.keras"), "-q"]) == 0
    each = [{path: weight.tensor.read() for path, weight in kmt.read(file).weights()} for file in files]
    for path, weight in kmt.read(tmp_path / "mean.keras").weights():
        expected = np.mean([item[path].astype("float64") for item in each], axis=0).astype("float32")
        assert np.array_equal(weight.tensor.read(), expected), path
    report = kmt.average(files)
    assert report.said == (f"the mean of 3 models in 10 of 10 weights; all else is that of {LEGACY}",)
    assert report.left_out == ("optimizer state: there is no mean of it, and training starts with a new one",)
    assert report.model.architecture == kmt.read(LEGACY).architecture


def test_a_mean_is_worked_out_in_double_precision_and_rounded_once() -> None:
    values = [np.array([1.0, 3e38, 1e-8], "float32"), np.array([2**-24, 3e38, 1.0], "float32"), np.array([2**-24, 3e38, -1.0], "float32")]
    expected = (values[0].astype("float64") + values[1] + values[2]) / 3
    found = mean([Tensor.of(item) for item in values]).read()
    assert np.array_equal(found, expected.astype("float32"))
    assert np.isfinite(found).all(), "the sum is beyond single precision, the mean is not"
    large = [Tensor.of(np.random.default_rng(seed).random(400_000).astype("float16")) for seed in range(2)]
    both = np.mean([item.read().astype("float64") for item in large], axis=0).astype("float16")
    assert b"".join(bytes(block) for block in mean(large).blocks(1000)) == both.tobytes()


def counting(value: int, name: str = "n", dtype: str = "float32") -> Model:
    weights = (Weight("kernel", Tensor.of(np.full(3, value, dtype)), "k"), Weight("count", Tensor.of(np.array([value, 7])), "c"))
    return Model(layers=(Layer(name, None, "Mine", weights),))


def test_integers_must_be_equal_and_weights_the_same() -> None:
    assert [weight.tensor.read().tolist() for _, weight in kmt.average([counting(2), counting(2)]).model.weights()] == [[2, 2, 2], [2, 7]]
    with pytest.raises(kmt.ConversionError, match=r"these differ: n/count \(int64\)") as caught:
        kmt.average([counting(2), counting(3)])
    assert caught.value.losses == ("n/count (int64)",)
    with pytest.raises(kmt.ConversionError, match="n/kernel is not in model 2; n/count is not in model 2; m/kernel is not in model 1"):
        kmt.average([counting(2), counting(2, "m")])
    with pytest.raises(kmt.ConversionError, match=r"n/kernel is float32 \(3,\) in model 1 and float16 \(3,\) in model 2"):
        kmt.average([counting(2), counting(2, dtype="float16")])


def test_what_is_configured_otherwise_is_said_and_other_vocabularies_are_refused(tmp_path: Path) -> None:
    source = kmt.read(LEGACY)
    changed = json.loads(json.dumps(source.architecture).replace('"relu"', '"tanh"').replace('"linear"', '"relu"'))
    assert changed != source.architecture
    said = kmt.average([source, replace(source, architecture=changed)]).said
    assert said[1] == "model 2 is configured otherwise than model 1, whose architecture it is: see kmt diff"
    words = kmt.read(VOCABULARY)
    with pytest.raises(kmt.ConversionError, match="model 2 has other files of layers than model 1"):
        kmt.average([words, replace(words, assets=())])


def test_reports_of_joined_files_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = parts(tmp_path)
    assert main(["merge", *map(str, files), "-o", str(tmp_path / "both.h5"), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["weights"] == 10
    assert report["carried"][0] == f"6 weights of {files[0]}"
    assert main(["merge", *map(str, files), "-o", str(tmp_path / "both.h5")]) == 2, "it is there already"
    assert main(["merge", *map(str, files), "-o", str(tmp_path / "both.h5"), "--force"]) == 0
    assert f"{files[0]} + {files[1]}" in capsys.readouterr().err
    made = kmt.convert(kmt.read(files[0]), tmp_path / "one.h5")
    assert conversion_text(replace(made, source_format=""), "a + b").startswith("a + b → "), "of several formats, or of none"


def test_a_layer_that_has_no_name_in_the_architecture_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """Somebody's own class may leave its name out of its configuration."""
    model = kmt.read(ARCHIVE)
    assert model.architecture is not None
    settings = model.architecture["config"]
    nameless = {"class_name": "mine>Block", "config": {"trainable": True}}
    layers = [{**layer} for layer in settings["layers"]]
    first = next(str(layer["config"]["name"]) for layer in layers if layer["config"]["name"] in {path[0] for path, _ in model.weights()})
    with_block = replace(model, architecture={**model.architecture, "config": {**settings, "layers": [*layers, nameless]}})
    renamed, count = rename_layers(with_block, lambda path: tuple("x" if part == first else part for part in path))
    assert count == 1
    assert "x" in {path[0] for path, _ in renamed.weights()}
