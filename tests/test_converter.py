"""Conversions between containers, judged without the frameworks: by the digest, and by what is refused."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools import converter
from kmodel_tools.converter.extras import arrays_beside
from kmodel_tools.converter.planting import planted
from kmodel_tools.editor import replace_weights
from kmodel_tools.format import Part, carries
from kmodel_tools.formats import load_format
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Optimizer, Weight, join_path
from tests.conftest import ERAS, SAMPLES, sample_files

ARCHIVE = SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras"
LEGACY = SAMPLES / "keras_h5" / "keras-3.15.1.h5"
KERAS_2 = SAMPLES / "keras_h5" / "tf.keras-2.12.0.h5"
KERAS_1 = SAMPLES / "keras_h5" / "keras-1.2.2_theano.h5"
WEIGHTS = SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5"
CHECKPOINT = SAMPLES / "tf_checkpoint" / "keras-3.15.1"
KERAS_2_CHECKPOINT = SAMPLES / "tf_checkpoint" / "keras-2.21.0"
VOCABULARY = SAMPLES / "keras_archive" / "vocabulary"
REFUSALS = (
    "needs an architecture, and the source has none",
    "goes by the classes of layers, and the source does not have them",
    "keep other arrays than those of later releases",
    "the architecture is of Keras",
    "cannot hold: the optimizer's state",
    "vocabulary.txt",
    "words.txt",
    "arrays that belong to no layer",
    "a legacy file goes by the order of weights",
    "it names no optimizer",
    "the optimizer's decay",
    "Keras 3 counts",
    "a checkpoint counts layers in the model's order",
    "is an architecture alone",
    "TensorFlow.js cannot run",
    "two weights would be called",
    "cannot be carried back to Keras 2",
    "no elements of type",
    "TensorFlow.js has no weights of",
)
"""Why a container may be refused to a sample."""
HELD: dict[Part, Callable[[Model], bool]] = {
    Part.WEIGHTS: lambda model: any(True for _ in model.weights()),
    Part.ARCHITECTURE: lambda model: model.architecture is not None,
    Part.TRAINING_CONFIG: lambda model: bool(model.training_config),
    Part.OPTIMIZER: lambda model: model.optimizer is not None,
    Part.ASSETS: lambda model: bool(model.assets),
}
TARGETS = ("m.keras", "m.weights.h5", "m.h5", "m.safetensors", "m.npz", "m.tfjs.json")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_every_pair_of_containers_keeps_every_value_or_says_what_it_lacks(path: Path, target: str, tmp_path: Path) -> None:
    destination = tmp_path / target
    refused: kmt.ConversionError | None = None
    try:
        report = kmt.convert(path, destination)
    except kmt.ConversionError as error:
        refused = error
    if refused is not None:
        assert not list(tmp_path.iterdir())
        assert any(reason in str(refused) for reason in REFUSALS), refused
        return
    source, back = kmt.read(path), kmt.read(destination)
    promised = carries(kmt.detect(path), kmt.detect(destination))
    for part, held in HELD.items():
        assert held(back) == (held(source) and part in promised), part
    scaled = any("1.2 times as large" in line for line in report.changes)
    assert (kmt.digest(destination).values == kmt.digest(path).values) is not scaled
    assert kmt.diff(path, destination, aspects=["weights"]).same
    assert report.lost == ()
    assert report.weights == sum(1 for _ in kmt.read(path).weights())
    first = destination.read_bytes()
    kmt.convert(path, destination, overwrite=True)
    assert destination.read_bytes() == first


@pytest.mark.parametrize("target", TARGETS)
def test_names_survive_the_way_through_every_container(target: str, tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / target, optimizer=False)
    assert kmt.digest(tmp_path / target).weights == kmt.digest(ARCHIVE).weights


def test_a_whole_model_goes_there_and_back(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "m.h5")
    kmt.convert(tmp_path / "m.h5", tmp_path / "m.keras")
    original, found = kmt.read(ARCHIVE), kmt.read(tmp_path / "m.keras")
    assert original.architecture is not None
    assert found.architecture is not None
    assert found.architecture["config"] == original.architecture["config"]
    assert found.training_config is not None
    assert found.training_config["optimizer"] == (original.training_config or {})["optimizer"]
    for model in (original, found):
        assert model.optimizer is not None
    states = [
        {(slot.name, slot.weight.role, slot.tensor.read().tobytes()) for slot in model.optimizer.slots}
        for model in (original, found)
        if model.optimizer
    ]
    assert states[0] == states[1]


def test_what_is_refused_is_listed_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(kmt.ConversionError, match=r"vocabulary\.txt.*--lossy") as caught:
        kmt.convert(VOCABULARY, tmp_path / "m.h5")
    assert any("vocabulary.txt" in loss for loss in caught.value.losses)
    assert not list(tmp_path.iterdir())
    report = kmt.convert(VOCABULARY, tmp_path / "m.h5", lossy=True)
    assert any("vocabulary.txt" in loss for loss in report.lost)


def test_vocabularies_stay_in_archives(tmp_path: Path) -> None:
    kmt.convert(VOCABULARY, tmp_path / "m.keras")
    original, found = kmt.read(VOCABULARY), kmt.read(tmp_path / "m.keras")
    assert original.assets
    assert {asset.name: asset.data.read() for asset in found.assets} == {asset.name: asset.data.read() for asset in original.assets}


def test_vocabularies_of_another_file_are_said_to_be(tmp_path: Path) -> None:
    source = kmt.read(VOCABULARY)
    kmt.convert(source, tmp_path / "like.keras")
    line = f"{len(source.assets)} files of layers are those of --like, not the source's"
    assert line not in kmt.convert(source, tmp_path / "own.keras").inferred
    assert line in kmt.convert(source, tmp_path / "m.keras", like=tmp_path / "like.keras").inferred


AIMS: dict[str, dict[str, Any]] = {
    "keras2": {"target": "keras2"},
    "keras3": {"target": "keras3"},
    "names": {"options": {"layout": "names"}},
}


@pytest.mark.parametrize("layout", AIMS)
@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in sample_files()])
def test_checkpoints_keep_every_value_or_say_what_they_lack(path: Path, layout: str, tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        refused = None
        try:
            report = kmt.convert(path, folder / "m", to="tf-checkpoint", **AIMS[layout])
        except kmt.ConversionError as error:
            refused = str(error)
        if refused is not None:
            assert not list(folder.iterdir())
            assert any(reason in refused for reason in REFUSALS), refused
            return
        assert report.lost == ()
        assert sorted(file.name for file in folder.iterdir()) == ["checkpoint", "m.data-00000-of-00001", "m.index"]
        if any("hard_sigmoid is another function" in change for change in report.changes):
            return
        assert kmt.digest(folder / "m").values == kmt.digest(path).values
        original, found = kmt.read(path), kmt.read(folder / "m")
        assert _state(found) == _state(original) or layout == "names"
    assert (tmp_path / "one" / "m.index").read_bytes() == (tmp_path / "two" / "m.index").read_bytes()


def _state(model: kmt.Model) -> list[tuple[str, bytes, bytes]]:
    """The optimizer's slots, each with the value of the weight that it belongs to."""
    slots = model.optimizer.slots if model.optimizer is not None else ()
    return sorted((slot.name, slot.weight.tensor.read().tobytes(), slot.tensor.read().tobytes()) for slot in slots)


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path: Path) -> None:
    prefix = tmp_path / "m"
    kmt.convert(KERAS_2_CHECKPOINT, prefix, to="tf-checkpoint", options={"shard-size": "100B"}, like=None, optimizer=False)
    assert len(list(tmp_path.glob("m.data-*"))) > 2
    (tmp_path / "m.data-other").write_bytes(b"somebody's own")
    with pytest.raises(kmt.KmtError, match="is there already; --force replaces it"):
        kmt.convert(KERAS_2_CHECKPOINT, prefix, to="tf-checkpoint")
    report = kmt.convert(KERAS_2_CHECKPOINT, tmp_path / "m.index", to="tf-checkpoint", overwrite=True)
    assert report.left_out == ("the file checkpoint: there is one in this folder, and it stays as it is",)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint", "m.data-00000-of-00001", "m.data-other", "m.index"]
    assert kmt.digest(prefix).values == kmt.digest(KERAS_2_CHECKPOINT).values
    (tmp_path / "m.index").unlink()
    with pytest.raises(kmt.KmtError, match=r"m\.data-00000-of-00001 is there already"):
        kmt.convert(KERAS_2_CHECKPOINT, prefix, to="tf-checkpoint")
    with pytest.raises(kmt.KmtError, match="is a folder; name what its files shall start with"):
        kmt.convert(KERAS_2_CHECKPOINT, tmp_path, to="tf-checkpoint")


def test_a_checkpoint_counts_how_often_it_was_saved(tmp_path: Path) -> None:
    kmt.convert(KERAS_2_CHECKPOINT, tmp_path / "first", to="tf-checkpoint", options={"root": "checkpoint"})
    kmt.convert(tmp_path / "first", tmp_path / "m", to="tf-checkpoint")
    found = {key.partition("/")[0] for key, _ in kmt.read(tmp_path / "m").tensors()}
    assert {"model", "optimizer", "save_counter"} <= found
    counted = "how often tf.train.Checkpoint has saved, which is no part of the model"
    report = kmt.convert(tmp_path / "m", tmp_path / "n", to="tf-checkpoint", options={"root": "model"})
    assert counted in report.left_out


def beside(*names: str) -> Model:
    """A checkpoint that holds a model under each of some names, and the number of a step."""
    model = kmt.read(KERAS_2)
    kept = [Layer(name, attr=name, layers=with_tensors_of_its_own(model).layers) for name in names]
    return Model(layers=tuple(kept), own_weights=(Weight("step", Tensor.of(np.int64(3)), "step"),), format="tf-checkpoint")


def with_tensors_of_its_own(model: Model) -> Model:
    return replace_weights(model, lambda path, weight: replace(weight, tensor=Tensor.of(weight.tensor.read())))


def test_the_architecture_finds_its_model_in_a_checkpoint_that_holds_more() -> None:
    like = Model(architecture=kmt.read(KERAS_2).architecture, metadata=dict(kmt.read(KERAS_2).metadata))
    model, remarks, left = planted(beside("net"), like)
    assert remarks[0] == "the model is what the source calls net"
    assert left == ("step",)
    assert kmt.digest(model).weights == kmt.digest(KERAS_2).weights
    with pytest.raises(kmt.ConversionError, match=r"no place for: net/my_d1/kernel; .*; and it fits ema; net alike"):
        planted(beside("net", "ema"), like)
    part = beside("net")
    less = replace(part, layers=(replace(part.layers[0], layers=part.layers[0].layers[:-1]),))
    with pytest.raises(kmt.ConversionError, match=r"the architecture has no place for: .* it has one for: my_d1/kernel"):
        planted(less, like)


def test_an_archive_is_laid_out_as_keras_lays_it_out(tmp_path: Path) -> None:
    kmt.convert(LEGACY, tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert file.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(file.read("config.json"))["module"].startswith("keras")
    place = next(kmt.read(tmp_path / "m.keras").weights())[1].tensor.byte_range
    assert place is not None
    assert place.path == str(tmp_path / "m.keras"), "weights are read in place"


def test_an_architecture_of_keras_1_is_carried_to_keras_3(tmp_path: Path) -> None:
    report = kmt.convert(KERAS_1, tmp_path / "m.keras")
    assert any(line == "architecture, carried from Keras 1 to Keras 3" for line in report.carried)
    assert kmt.read(tmp_path / "m.keras").metadata["keras_version"].startswith("3.")


def test_an_architecture_of_keras_3_is_carried_back(tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / "m.h5", target="keras2")
    assert "architecture, carried from Keras 3 to Keras 2" in report.carried
    assert kmt.read(tmp_path / "m.h5").metadata["keras_version"] == "2.15.0"
    assert kmt.digest(tmp_path / "m.h5") == kmt.digest(ARCHIVE)


def test_the_state_of_an_optimizer_is_laid_out_as_keras_2_takes_it(tmp_path: Path) -> None:
    """With the learning rate of Keras 3 among it, tf_keras warns and takes none (2.21 `saving/legacy/hdf5_format.py`)."""
    kmt.convert(ARCHIVE, tmp_path / "m.h5", target="keras2")
    with h5py.File(tmp_path / "m.h5") as file:
        names = [str(name, "utf-8") for name in file["optimizer_weights"].attrs["weight_names"]]
    assert names[0] == "iteration:0"
    assert len(names) > 2
    assert not any("learning_rate" in name for name in names)
    fresh = replace(kmt.read(ARCHIVE), optimizer=Optimizer("Adam", (), (Weight("iterations", Tensor.of(np.int64(0)), ""),)))
    kmt.write(fresh, tmp_path / "fresh.keras")
    report = kmt.convert(tmp_path / "fresh.keras", tmp_path / "fresh.h5", target="keras2")
    assert any("it has not trained the model yet" in line for line in report.left_out)


def test_an_archive_of_keras_2_becomes_a_legacy_file_without_modules(tmp_path: Path) -> None:
    report = kmt.convert(SAMPLES / "keras_archive" / "keras-2.15.0.keras", tmp_path / "m.h5")
    found = kmt.read(tmp_path / "m.h5")
    assert "architecture" in report.carried
    assert '"module"' not in json.dumps([found.architecture, found.training_config])
    assert kmt.diff(SAMPLES / "keras_archive" / "keras-2.15.0.keras", found).same


def test_a_target_that_a_format_is_not_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=r"is written for Keras 3 alone; name a \.h5 file"):
        kmt.convert(ARCHIVE, tmp_path / "m.keras", target="keras2")
    with pytest.raises(kmt.KmtError, match="there is no target 'keras9'; choose keras2 or keras3"):
        kmt.convert(ARCHIVE, tmp_path / "m.h5", target="keras9")


def test_arrays_of_keras_1_are_not_passed_off_as_later_ones(tmp_path: Path) -> None:
    bare = kmt.convert(KERAS_1, tmp_path / "bare.h5", weights_only=True).destination
    kmt.convert(KERAS_1, tmp_path / "m.keras")
    with pytest.raises(kmt.ConversionError, match="layers of Keras 1 keep other arrays"):
        kmt.convert(bare, tmp_path / "m.weights.h5")
    with pytest.raises(kmt.ConversionError, match="only their architecture tells which"):
        kmt.convert(bare, tmp_path / "n.keras", like=tmp_path / "m.keras")
    with pytest.raises(kmt.ConversionError, match="layers of Keras 1 keep other arrays"):
        kmt.convert(KERAS_1, tmp_path / "checkpoint", to="tf-checkpoint")


def test_weights_of_keras_1_are_carried_where_the_architecture_is_there(tmp_path: Path) -> None:
    kmt.convert(KERAS_1, tmp_path / "m.keras")
    report = kmt.convert(KERAS_1, tmp_path / "m.weights.h5")
    assert any(line.startswith("the weights are carried from Keras 1 to Keras 3") for line in report.carried)
    assert kmt.digest(tmp_path / "m.weights.h5").values == kmt.digest(tmp_path / "m.keras").values


OLD_RNN = Path(__file__).parent / "eras" / "2.0.9" / "rnn.h5"
"""Its LSTM and GRU have the hard_sigmoid that Keras 2 had, which Keras 3 expresses by weights 1.2 times as large."""


def test_weights_that_go_into_a_model_of_keras_3_mean_there_what_they_meant(tmp_path: Path) -> None:
    kmt.convert(OLD_RNN, tmp_path / "m.keras")
    report = kmt.convert(OLD_RNN, tmp_path / "n.keras", like=tmp_path / "m.keras")
    assert "the source is carried to Keras 3 first" in report.inferred
    assert any("1.2 times as large" in line for line in report.inferred)
    carried = kmt.digest(tmp_path / "m.keras").values
    assert kmt.digest(tmp_path / "n.keras").values == carried
    assert carried != kmt.digest(OLD_RNN).values
    bare = kmt.convert(OLD_RNN, tmp_path / "bare.h5", weights_only=True).destination
    _, match = kmt.transfer(bare, tmp_path / "m.keras")
    assert any("hard_sigmoid is another function in Keras 3" in line and "lstm_1" in line for line in match.remarks)


def test_weights_whose_meaning_changed_are_a_loss_where_nothing_tells_how_to_carry_them(tmp_path: Path) -> None:
    node = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "hard_sigmoid"}}
    layers = [{"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 3]}}, node]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    weights = (Weight("kernel", kmt.Tensor.of(np.ones((3, 2), "float32")), ""), Weight("bias", kmt.Tensor.of(np.ones(2, "float32")), ""))
    old = Model(layers=(Layer("d", None, "Dense", weights),), architecture=config, metadata={"keras_version": "2.3.1"})
    kmt.convert(old, tmp_path / "new.keras")
    kmt.convert(replace(old, architecture=None), tmp_path / "bare.h5")
    with pytest.raises(kmt.ConversionError, match=r"hard_sigmoid is another function in Keras 3 .*: d"):
        kmt.convert(tmp_path / "bare.h5", tmp_path / "wrong.keras", like=tmp_path / "new.keras")


def test_keras_2_weights_go_into_the_layout_of_keras_3(tmp_path: Path) -> None:
    kmt.convert(KERAS_2, tmp_path / "m.weights.h5", optimizer=False)
    assert kmt.digest(tmp_path / "m.weights.h5").values == kmt.digest(KERAS_2).values


def test_a_legacy_file_keeps_the_generation_of_its_source(tmp_path: Path) -> None:
    for source, suffix in ((KERAS_2, ":0"), (LEGACY, "")):
        kmt.convert(source, tmp_path / "m.h5", overwrite=True)
        with h5py.File(tmp_path / "m.h5") as file, h5py.File(source) as original:
            for name in file["model_weights"].attrs["layer_names"]:
                listed = file["model_weights"][name].attrs["weight_names"]
                assert [item.decode() for item in listed] == [
                    item.decode() if isinstance(item, bytes) else item for item in original["model_weights"][name].attrs["weight_names"]
                ]
                assert all(item.decode().endswith(suffix) for item in listed)
            assert file.attrs["keras_version"] == original.attrs["keras_version"]


def test_a_checkpoint_takes_its_layout_from_another_file(tmp_path: Path) -> None:
    with pytest.raises(kmt.ConversionError, match="--like"):
        kmt.convert(CHECKPOINT, tmp_path / "m.weights.h5")
    like = tmp_path / "like.weights.h5"
    source = kmt.read(CHECKPOINT)
    kmt.convert(CHECKPOINT, tmp_path / "m.h5", lossy=True)
    assert kmt.digest(tmp_path / "m.h5").values == kmt.digest(source).values
    kmt.convert(WEIGHTS, like)
    with pytest.raises(kmt.ConversionError, match=r"do not have the same weights|shapes differ"):
        kmt.convert(CHECKPOINT, tmp_path / "x.weights.h5", like=like)


def test_an_architecture_in_json_gives_the_layout(tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "w.h5", weights_only=True)
    (tmp_path / "like.json").write_text(json.dumps(kmt.read(ARCHIVE).architecture))
    kmt.convert(tmp_path / "w.h5", tmp_path / "m.keras", like=tmp_path / "like.json")
    assert kmt.digest(tmp_path / "m.keras").weights == kmt.digest(ARCHIVE).weights


def test_chosen_weights_go_alone(tmp_path: Path) -> None:
    paths = [join_path(path) for path, _ in kmt.read(ARCHIVE).weights()]
    layer = paths[0].split("/", maxsplit=1)[0]
    kmt.convert(ARCHIVE, tmp_path / "m.h5", select=[layer])
    assert [join_path(path) for path, _ in kmt.read(tmp_path / "m.h5").weights()] == [
        path for path in paths if path.startswith(f"{layer}/")
    ]
    kmt.convert(ARCHIVE, tmp_path / "m.h5", drop=[layer], overwrite=True)
    assert {join_path(path) for path, _ in kmt.read(tmp_path / "m.h5").weights()} == {
        path for path in paths if not path.startswith(f"{layer}/")
    }
    with pytest.raises(kmt.ConversionError, match="no weight is left"):
        kmt.convert(ARCHIVE, tmp_path / "x.h5", drop=["*"])


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_weights_are_rounded_as_numpy_rounds(dtype: str, tmp_path: Path) -> None:
    kmt.convert(ARCHIVE, tmp_path / "m.weights.h5", dtype=dtype)
    expected = {path: weight.tensor.read() for path, weight in kmt.read(ARCHIVE).weights()}
    for path, weight in kmt.read(tmp_path / "m.weights.h5").weights():
        found = weight.tensor.read()
        assert weight.tensor.dtype.value == dtype
        np.testing.assert_array_equal(found, expected[path].astype(found.dtype))


def large(folder: Path, values: list[float], dtype: str = "float32") -> kmt.Model:
    """A model of one weight."""
    path = folder / f"{dtype}.h5"
    weight = kmt.Weight("kernel", kmt.Tensor.of(np.array(values, dtype)), "d/kernel")
    kmt.write(kmt.Model(layers=(kmt.Layer("d", weights=(weight,)),)), path)
    return kmt.read(path)


@pytest.mark.parametrize("dtype", ["float16", "float8_e4m3fn"])
def test_values_beyond_a_precision_are_a_loss(dtype: str, tmp_path: Path) -> None:
    source = large(tmp_path, [1, 1e6, -1e6, np.inf, np.nan])
    out = tmp_path / "out.h5"
    with pytest.raises(kmt.ConversionError, match=f"2 values of d/kernel: beyond {dtype}"):
        kmt.convert(source, out, dtype=dtype)
    assert not out.exists()
    assert kmt.convert(source, out, dtype=dtype, lossy=True).lost == (f"2 values of d/kernel: beyond {dtype}",)
    assert kmt.convert(source, out, dtype="bfloat16", overwrite=True).lost == ()
    assert kmt.convert(source, out, dtype="float64", overwrite=True).lost == ()


def test_values_that_a_transfer_would_make_infinite_are_a_loss(tmp_path: Path) -> None:
    source, into = large(tmp_path, [1e6, 1]), large(tmp_path, [0, 0], "float16")
    model, _ = kmt.transfer(source, into)
    with pytest.raises(kmt.ConversionError, match="1 value of d/kernel: beyond float16"):
        kmt.write(model, tmp_path / "out.h5")


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    kmt.convert(ARCHIVE, tmp_path / "m.h5", progress=lambda done, total: seen.append((done, total)))
    total = sum(weight.tensor.nbytes for _, weight in kmt.read(ARCHIVE).weights())
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_file_can_be_converted_onto_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes(WEIGHTS.read_bytes())
    with pytest.raises(kmt.KmtError, match="is there already"):
        kmt.convert(path, path)
    kmt.convert(path, path, overwrite=True)
    assert kmt.digest(path) == kmt.digest(WEIGHTS)


def test_suffixes_and_options_that_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=r"its suffix names no format that is written; say which with --to: keras-h5 \(\.h5"):
        kmt.convert(ARCHIVE, tmp_path / "m.bin")
    with pytest.raises(kmt.KmtError, match="layout cannot be 'keras9'; it is one of auto, objects, names"):
        kmt.convert(ARCHIVE, tmp_path / "m.ckpt", options={"layout": "keras9"})
    with pytest.raises(kmt.KmtError, match="weights are not rounded to 'float31'"):
        kmt.convert(ARCHIVE, tmp_path / "m.h5", dtype="float31")
    with pytest.raises(kmt.KmtError, match="has no option 'shape'"):
        kmt.convert(ARCHIVE, tmp_path / "m.h5", options={"shape": "round"})
    assert not list(tmp_path.iterdir())


def test_long_lists_of_names_are_split_and_found_again(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.weights.h5", "w") as file:
        for number in range(900):
            name = f"dense_{number}" if number else "dense"
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = f"a_layer_with_a_name_that_is_rather_long_and_longer_than_that_and_goes_on_for_long_{number:05d}"
            group["0"] = np.full((1, 1), number, "float32")
    kmt.convert(tmp_path / "many.weights.h5", tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names0" in file.attrs
        assert "layer_names" not in file.attrs
    assert kmt.digest(tmp_path / "m.h5").weights == kmt.digest(tmp_path / "many.weights.h5").weights


def test_an_order_that_is_not_in_the_source_is_not_made_up(tmp_path: Path) -> None:
    """Sub-layers of a custom layer stand by the alphabet in this layout; a legacy file lists them as they were set."""
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        for group, name in (("layers/my_attention", "att"), ("layers/my_attention/combine", "c"), ("layers/my_attention/query", "q")):
            file.create_group(f"{group}/vars").attrs["name"] = name
        for name in ("combine", "query"):
            file[f"layers/my_attention/{name}/vars/0"] = np.ones((2, 2), "float32")
    with pytest.raises(kmt.ConversionError, match="does not have that of the sub-layers of att"):
        kmt.convert(path, tmp_path / "m.h5")
    kmt.convert(path, tmp_path / "copy.weights.h5")
    assert kmt.digest(tmp_path / "copy.weights.h5") == kmt.digest(path)


@pytest.mark.parametrize("dtype", ["int8", "bool", "string"])
def test_weights_are_rounded_to_floats_alone(dtype: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match=f"weights are not rounded to '{dtype}'"):
        kmt.convert(ARCHIVE, tmp_path / "m.keras", dtype=dtype)


def test_rounding_is_said(tmp_path: Path) -> None:
    report = kmt.convert(ARCHIVE, tmp_path / "m.keras", dtype="float16")
    assert "10 of the weights rounded to float16, as asked for" in report.carried


def test_a_file_that_would_not_read_back_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(model: kmt.Model, path: str, overwrite: bool, options: object) -> None:
        Path(path).write_bytes(WEIGHTS.read_bytes())  # another model's weights

    record = load_format("keras-weights")
    monkeypatch.setattr(converter, "writable_format", lambda path, name: replace(record, write=lossy))
    destination = tmp_path / "m.weights.h5"
    destination.write_bytes(b"old")
    with pytest.raises(kmt.KmtError, match=rf"^{destination}: would not read back"):
        kmt.convert(CHECKPOINT, destination, overwrite=True, optimizer=False)
    assert destination.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["tf.keras-2.2.0", "tf.keras-1.15.5", "tf_keras-2.21.0"])
def test_the_variables_of_a_saved_model_become_the_checkpoint_of_that_release(name: str, tmp_path: Path) -> None:
    """Each kind of optimizer keeps its own keys, those that the release itself gave to the variables."""
    source = SAMPLES / "saved_model" / name
    kmt.convert(source, tmp_path / "ck", to="tf-checkpoint")
    wanted = {key: tensor for key, tensor in kmt.read(source).tensors() if "keras_api" not in key}
    found = dict(kmt.read(tmp_path / "ck").tensors())
    assert found.keys() == wanted.keys()
    for key in found.keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}:
        assert found[key].read().tobytes() == wanted[key].read().tobytes(), key


@pytest.mark.skipif(not ERAS.is_dir(), reason="the files of old releases are not here")
def test_settings_of_an_old_optimizer_come_from_the_configuration(tmp_path: Path) -> None:
    """TensorFlow 2.2 restores such a checkpoint with assert_consumed; it asks for these variables."""
    kmt.convert(ERAS / "savedmodel" / "tf2.2.0", tmp_path / "m.h5")
    report = kmt.convert(tmp_path / "m.h5", tmp_path / "ck", to="tf-checkpoint")
    assert any("beta_1" in line for line in report.inferred), report.inferred
    keys = {key for key, _ in kmt.read(tmp_path / "ck").tensors()}
    assert {f"optimizer/{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in ("iter", "beta_1", "beta_2", "decay", "learning_rate")} <= keys
    assert any(".OPTIMIZER_SLOT/optimizer/m/" in key for key in keys)


SCOPES = {
    "blk/enc/l/kernel": (4, 4),
    "blk/l/kernel": (4, 4),
    "model/h0/attn/c_attn/w": (2, 3),
    "rnn/lstm_cell/kernel": (7, 16),
    "rnn/lstm_cell/bias": (16,),
    "rnn/lstm_cell/w_f_diag": (4,),
    "rnn/gru_cell/gates/kernel": (5, 4),
    "own/lstm_cell/kernel": (3, 8),
    "own/lstm_cell/recurrent_kernel": (2, 8),
}


def scopes(names: dict[str, tuple[int, ...]]) -> kmt.Model:
    """A model whose levels are scopes: nothing says what they are; each array has values of its own."""
    model = kmt.Model()
    for number, (name, shape) in enumerate(names.items()):
        *levels, role = name.split("/")
        weight = kmt.Weight(role, kmt.Tensor.of(np.full(shape, number, np.float32)), name)
        model = replace(model, layers=_with(model.layers, levels, weight))
    return model


def _with(layers: tuple[kmt.Layer, ...], levels: list[str], weight: kmt.Weight) -> tuple[kmt.Layer, ...]:
    there = next((layer for layer in layers if layer.name == levels[0]), kmt.Layer(levels[0]))
    if len(levels) == 1:
        made = replace(there, weights=(*there.weights, weight))
    else:
        made = replace(there, layers=_with(there.layers, levels[1:], weight))
    return tuple(made if layer is there else layer for layer in layers) if there in layers else (*layers, made)


def first_values(model: kmt.Model) -> dict[str, float]:
    return {join_path(path): float(weight.tensor.read().ravel()[0]) for path, weight in model.weights()}


@pytest.mark.parametrize(("target", "options"), [("m.h5", {}), ("m", {"layout": "names"})])
def test_without_an_architecture_every_level_stays_in_the_names(target: str, options: dict[str, str], tmp_path: Path) -> None:
    names = {name: shape for name, shape in SCOPES.items() if not (options and "recurrent" in name)}
    model = scopes(names)
    to = "tf-checkpoint" if options else "keras-h5"
    report = kmt.convert(model, tmp_path / target, to=to, options=options)
    written = kmt.read(tmp_path / target)
    back = first_values(written)
    assert any(f"{3 + bool(options)} arrays are of TensorFlow 1 recurrent cells" in note.text for note in written.notes)
    if options:
        assert report.inferred == ()
        assert back == first_values(model)
        return
    cell = {"own/lstm_cell/kernel": "own/cell/kernel", "own/lstm_cell/recurrent_kernel": "own/cell/recurrent_kernel"}
    assert back == {cell.get(name, name): value for name, value in first_values(model).items()}
    assert [text for text in report.inferred if "other paths" in text] == [
        "2 weights are read back under other paths: own/lstm_cell/kernel, own/lstm_cell/recurrent_kernel "
        "as own/cell/kernel, own/cell/recurrent_kernel"
    ]


def test_a_map_of_a_legacy_file_is_not_undone_by_the_names_in_it(tmp_path: Path) -> None:
    kmt.write(scopes({"blk/a/kernel": (2, 2), "blk/b/kernel": (2, 2)}), tmp_path / "one.h5")
    kmt.convert(tmp_path / "one.h5", tmp_path / "two.h5", mapping={"blk/a": "blk/b", "blk/b": "blk/a"})
    assert first_values(kmt.read(tmp_path / "two.h5")) == {"blk/b/kernel": 0, "blk/a/kernel": 1}


def test_a_weight_under_the_name_of_another_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = scopes({"a/kernel": (2,), "b/kernel": (2,)})
    monkeypatch.setattr(converter, "read_model", lambda *_: scopes({"b/kernel": (2,), "c/kernel": (2,)}))
    with pytest.raises(kmt.KmtError, match="b/kernel would read back as another weight"):
        kmt.write(other, tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["select", "drop"])
def test_a_pattern_that_matches_nothing_is_an_error(option: str, tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match="'my_d11' matches no layer and no weight; nearest: my_d1"):
        kmt.convert(LEGACY, tmp_path / "m.h5", **{option: ["my_d*", "my_d11"]})  # type: ignore[arg-type]  # one of two names
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("attribute", ["_rng", "_random_generator"])
def test_states_of_random_generators_are_missed_by_nobody(attribute: str) -> None:
    """`_rng` is what layers of TensorFlow 2.2 call theirs."""
    key = f"layer-0/{attribute}/_state_var/.ATTRIBUTES/VARIABLE_VALUE"
    weight = Weight("_state_var", kmt.Tensor.of(np.zeros(3, "int64")), key)
    left_out, lost = arrays_beside([weight])
    assert left_out == ["states of random generators, which draw anew when a model is loaded (1)"]
    assert lost == []
    assert arrays_beside([replace(weight, key="other/_state_var")])[1] != []


def test_a_legacy_file_of_an_archive_of_an_early_keras_3_is_one_that_the_last_loads(tmp_path: Path) -> None:
    """Cures `Unrecognized keyword arguments passed to RandomRotation`, and another shape of what a nested model puts out."""
    rotation = {"name": "r", "factor": [-0.1, 0.1], "value_range": [0, 255]}
    entry = {"name": "i", "batch_shape": [None, 4, 4, 3], "dtype": "float32"}
    layers = [
        {"module": "keras.layers", "class_name": kind, "config": config}
        for kind, config in (("InputLayer", entry), ("RandomRotation", rotation))
    ]
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}, "registered_name": None}
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file.create_group("vars")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.5"}))
        archive.writestr("config.json", json.dumps(model))
        archive.write(tmp_path / "m.weights.h5", "model.weights.h5")
    for target in (None, "keras3"):
        kmt.convert(tmp_path / "m.keras", tmp_path / "m.h5", target=target, overwrite=True)
        assert "value_range" not in str(kmt.read(tmp_path / "m.h5").architecture)


def test_weights_in_bfloat16_are_remarked_on_in_a_legacy_file(tmp_path: Path) -> None:
    report = kmt.convert(KERAS_2, tmp_path / "m.h5", dtype="bfloat16")
    assert any("weights are bfloat16, which no Keras loads from a legacy file" in line for line in report.inferred)
    assert not any("bfloat16" in line for line in kmt.convert(KERAS_2, tmp_path / "n.h5", dtype="float16").inferred)


@pytest.mark.parametrize("target", [*TARGETS, "m"])
def test_what_is_verified_is_compared_with_what_was_read_back(target: str, tmp_path: Path) -> None:
    to = None if "." in target else "tf-checkpoint"
    report = kmt.convert(ARCHIVE, tmp_path / target, to=to, optimizer="tfjs" not in target, verify=True)
    assert "every array was read back, and is bit-equal" in report.carried


@pytest.mark.parametrize("part", ["weight", "slot"])
def test_a_byte_that_the_disk_changed_is_noticed(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = kmt.read(ARCHIVE)
    slot = model.optimizer.slots[0] if model.optimizer else None
    assert slot is not None
    wanted = (slot.weight if part == "weight" else slot).tensor.read().tobytes()

    def write(path: str) -> None:
        data = bytearray(Path(path).read_bytes())
        at = data.index(wanted)
        data[at] ^= 1
        Path(path).write_bytes(bytes(data))

    record = load_format("safetensors")
    assert record.write is not None
    original = record.write

    def faulty(model: Model, path: str, overwrite: bool, options: Any) -> None:
        original(model, path, overwrite, options)
        write(path)

    monkeypatch.setattr(importlib.import_module("kmodel_tools.formats.safetensors"), "FORMAT", replace(record, write=faulty))
    with pytest.raises(kmt.KmtError, match="read back with other values"):
        kmt.convert(ARCHIVE, tmp_path / "m.safetensors", verify=True)
    assert not list(tmp_path.iterdir())
    kmt.convert(ARCHIVE, tmp_path / "m.safetensors")


def test_rounded_values_are_not_verified(tmp_path: Path) -> None:
    with pytest.raises(kmt.KmtError, match="rounded on purpose"):
        kmt.convert(ARCHIVE, tmp_path / "m.tfjs.json", optimizer=False, verify=True, options={"quantize": "uint8"})


def test_weights_that_change_places_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = load_format("safetensors")
    assert record.write is not None
    original = record.write

    def faulty(model: Model, path: str, overwrite: bool, options: Any) -> None:
        tensors = [weight.tensor for _, weight in model.weights() if weight.tensor.shape == (3,)]
        turned = dict(zip(map(id, tensors), reversed(tensors), strict=True))
        moved = replace_weights(model, lambda _, weight: replace(weight, tensor=turned.get(id(weight.tensor), weight.tensor)))
        original(moved, path, overwrite, options)

    monkeypatch.setattr(importlib.import_module("kmodel_tools.formats.safetensors"), "FORMAT", replace(record, write=faulty))
    with pytest.raises(kmt.KmtError, match="read back with other values"):
        kmt.convert(ARCHIVE, tmp_path / "m.safetensors", verify=True)
    assert not list(tmp_path.iterdir())
