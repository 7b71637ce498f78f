"""A file for each finding: what shows it, what it is to be told by, and the same file without it.

Models are those of `make.py` or samples; what no framework writes is made here. Paths are relative to a folder of the test's own.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

import kmodel_tools as kmt
from tests.conftest import ROOT, SAMPLES
from tests.doctor.locked import PASSWORD, archive_with_password
from tests.doctor.messages import MESSAGES

MODELS = Path(__file__).resolve().parent / "models"
UPGRADES = ROOT / "tests" / "upgrades"
Maker = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two files, what differs in them, and text of its evidence."""

    identifier: str
    make: Maker
    other: Maker
    evidence: str
    also: tuple[str, ...] = ()
    cured: str = ""
    tells: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A file that shows a finding.

    Attributes:
        identifier: The finding.
        make: Makes the file in the current folder; its path.
        evidence: Text that some evidence of it has, as `layer: key = value`.
        also: The other findings about the same file, in their order.
        twin: Makes the same file without it; None where that is `clean.keras`.
        fill: What stands in the place of names in capitals when the cure is run.
        cured: The path that the cure leaves the model at, where it is a command that can be run.
        error: The message that is given with it.
        tells: What the command prints, where it tells what is to be done instead of doing it.
    """

    identifier: str
    make: Maker
    evidence: str
    also: tuple[str, ...] = ()
    twin: Maker | None = None
    fill: Mapping[str, str] = field(default_factory=dict)
    cured: str = ""
    error: str | None = None
    tells: str = ""


def model(name: str, to: str = "") -> Maker:
    """A model of `make.py`, perhaps under another name."""

    def make() -> str:
        shutil.copy(MODELS / name, to or name)
        return to or name

    return make


def sample(name: str, to: str = "") -> Maker:
    """A sample, or one of the models to be upgraded."""

    def make() -> str:
        found = next(folder / name for folder in (SAMPLES, UPGRADES) if (folder / name).exists())
        target = to or found.name
        if found.is_dir():
            shutil.copytree(found, target)
        else:
            shutil.copy(found, target)
        return target

    return make


def text(name: str, content: str | bytes) -> Maker:
    """A file of this content."""

    def make() -> str:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return make


def cut(name: str, length: int) -> Maker:
    """The beginning of a model of `make.py`."""

    def make() -> str:
        Path(name).write_bytes((MODELS / name).read_bytes()[:length])
        return name

    return make


def archive(name: str, change: Callable[[dict[str, bytes], zipfile.ZipFile], None], source: str = "clean.keras") -> Maker:
    """An archive, the clean one if no other is named, with other members."""

    def make() -> str:
        with zipfile.ZipFile(MODELS / source) as old:
            members = {item: old.read(item) for item in old.namelist()}
        with zipfile.ZipFile(name, "w") as new:
            change(members, new)
            for item, content in members.items():
                new.writestr(item, content)
        return name

    return make


def with_config(name: str, change: Callable[[dict[str, object]], None]) -> Maker:
    """The clean archive with another configuration."""

    def edit(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config).encode()

    return archive(name, edit)


def with_weights(name: str, change: Callable[[h5py.File], None], source: str = "clean.keras") -> Maker:
    """An archive, the clean one if no other is named, with other weights."""

    def edit(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        members["model.weights.h5"] = buffer.getvalue()

    return archive(name, edit, source)


def hdf5(name: str, change: Callable[[h5py.File], None]) -> Maker:
    """The clean HDF5 model, changed."""

    def make() -> str:
        shutil.copy(MODELS / "clean.h5", name)
        with h5py.File(name, "r+") as file:
            change(file)
        return name

    return make


def checkpoint(without: str = "", cut_by: int = 0, named: str = "") -> Maker:
    """A checkpoint of the samples in a folder of its own."""

    def make() -> str:
        os.makedirs("ckpt")
        for path in (SAMPLES / "tf_checkpoint").glob("keras-3.15.1.*"):
            if path.suffix != ".txt" and not (without and path.name.endswith(without)):
                data = path.read_bytes()
                (Path("ckpt") / path.name).write_bytes(data[: len(data) - cut_by] if ".data-" in path.name else data)
        return named or "ckpt/keras-3.15.1"

    return make


def _layer(config: dict[str, object], name: str) -> dict[str, object]:
    layers = config["config"]["layers"]  # type: ignore[index]
    found: dict[str, object] = next(item for item in layers if item["name"] == name)
    return found


def _settings(config: dict[str, object], layer: str, **changes: object) -> None:
    _layer(config, layer)["config"].update(changes)  # type: ignore[attr-defined]


def _twice_named(config: dict[str, object]) -> None:
    _settings(config, "drop", name="norm")
    _layer(config, "drop")["name"] = "norm"


def _rotation(config: dict[str, object]) -> None:
    """As Keras 3.0 to 3.5 writes it."""
    _layer(config, "drop").update(class_name="RandomRotation", config={"name": "drop", "factor": 0.1, "value_range": [0, 255]})


def _link(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("assets/words.txt")
    info.external_attr = 0o120777 << 16
    new.writestr(info, "/etc/passwd")


def _external(file: h5py.File) -> None:
    file["model_weights/head/other"] = h5py.ExternalLink("/etc/secrets.h5", "/key")


def _external_storage(file: h5py.File) -> None:
    """Values that stand in a file of the machine."""
    del file["model_weights/head/head/kernel"]
    file.create_dataset("model_weights/head/head/kernel", (16, 3), "f4", external=[("/etc/passwd", 0, 192)])


def _virtual(file: h5py.File) -> None:
    """Values that are put together of those of another file."""
    layout = h5py.VirtualLayout((16, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/secrets.h5", "key", (16, 3))
    del file["model_weights/head/head/kernel"]
    file.create_virtual_dataset("model_weights/head/head/kernel", layout)


def _soft_link(file: h5py.File) -> None:
    file["model_weights/head/other"] = h5py.SoftLink("/model_weights/hidden")


def _virtual_in_archive(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((16, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/secrets.h5", "key", (16, 3))
    del file["layers/dense_1/vars/0"]
    file.create_virtual_dataset("layers/dense_1/vars/0", layout)


def _shape_bomb(file: h5py.File) -> None:
    file.create_dataset("model_weights/head/huge", (1 << 40,), "f4", chunks=(1 << 16,))


def _without_head(file: h5py.File) -> None:
    del file["layers/dense_1/vars/0"]
    del file["layers/dense_1/vars/1"]


def _unwritten(file: h5py.File) -> None:
    del file["model_weights/head"]


def _twin_member(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is there twice
        for _ in range(2):
            new.writestr("metadata.json", members["metadata.json"])
    del members["metadata.json"]


def _outside(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    new.writestr("../../.bashrc", b"true")


def _without_all(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    members.clear()
    members["notes.txt"] = b"of somebody"


def _without_weights(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    del members["model.weights.h5"]


def _locked() -> str:
    with zipfile.ZipFile(MODELS / "clean.keras") as old:
        Path("locked.keras").write_bytes(archive_with_password({name: old.read(name) for name in old.namelist()}))
    return "locked.keras"


def _moved() -> str:
    checkpoint()()
    Path("ckpt/checkpoint").write_text('model_checkpoint_path: "/home/me/run/ckpt-7"\n', encoding="utf-8")
    return "ckpt"


def _pickled_weights(members: dict[str, bytes], new: zipfile.ZipFile) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    new.writestr("model.weights.npz", buffer.getvalue())


def _wide_head(file: h5py.File) -> None:
    for name, shape in (("0", (16, 5)), ("1", (5,))):
        del file[f"layers/dense_1/vars/{name}"]
        file.create_dataset(f"layers/dense_1/vars/{name}", data=np.ones(shape, "f4"))


def _reordered() -> str:
    shutil.copy(MODELS / "words_kept.h5", "reordered.h5")
    with h5py.File("reordered.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('["a", "b", "c"]', '["c", "a", "b"]')
    return "reordered.h5"


def _rounded() -> str:
    kmt.convert(MODELS / "clean.keras", "rounded.keras", dtype="float16", optimizer=False, overwrite=True)
    return "rounded.keras"


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 102400\n"
LOADED = {"module": "numpy", "class_name": "function", "config": "load", "registered_name": "load"}
PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
LAMBDA_JSON = json.dumps(
    {
        "class_name": "Sequential",
        "config": {
            "name": "network",
            "layers": [
                {
                    "class_name": "Lambda",
                    "config": {"name": "scale", "function": ["4wEAAAA=", None, [1]], "function_type": "lambda", "arguments": {}},
                }
            ],
        },
    }
)
CLEAN_WEIGHTS = model("clean.weights.h5")
CLEAN_H5 = model("clean.h5")
CONVERTED = "old_keras3.keras"


def long_names() -> str:
    """What Keras 2.0.5 leaves of a model whose names do not fit into an attribute: its configuration, and no list of layers."""
    names = [f"a_layer_with_a_name_that_is_quite_long_and_goes_on_and_on_and_on_and_on_and_on_{index:04d}" for index in range(900)]
    layers = [{"class_name": "Activation", "config": {"name": name, "activation": "relu"}} for name in names]
    with h5py.File("model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        file.attrs["keras_version"], file.attrs["backend"] = "2.0.5", "tensorflow"
        file.create_group("model_weights")
    return "model.h5"


def linked() -> str:
    """A model in a folder of which a part is a link to somewhere else, as the cache of a hub keeps it."""
    os.makedirs("blobs")
    with zipfile.ZipFile(MODELS / "clean.keras") as file:
        file.extractall("model")
    shutil.move("model/model.weights.h5", "blobs/4d7a2146")
    Path("model/model.weights.h5").symlink_to(Path("blobs/4d7a2146").resolve())
    return "model"


def pointers() -> str:
    """A model in shards of which one came as a pointer."""
    for name in ("sharded.weights.json", "sharded_00000.weights.h5"):
        shutil.copy(SAMPLES / "keras_weights" / name, name)
    Path("sharded_00001.weights.h5").write_text(LFS, encoding="utf-8")
    return "sharded.weights.json"


def variables_of_pointers() -> str:
    """A SavedModel whose values came as a pointer, named by its graph."""
    shutil.copytree(SAMPLES / "saved_model" / "keras-3.15.1_export", "export")
    Path("export/variables/variables.data-00000-of-00001").write_text(LFS, encoding="utf-8")
    return "export/saved_model.pb"


def variables_alone() -> str:
    """The folder of variables of a SavedModel, given in the place of the whole."""
    return f"{sample('saved_model/tf_keras-2.21.0')()}/variables"


def graph_of_pointers() -> str:
    """A SavedModel of pointers alone, named by its folder."""
    variables_of_pointers()
    Path("export/saved_model.pb").write_text(LFS, encoding="utf-8")
    return "export"


def dangling() -> str:
    """A link to a file that is not there, as a cache or a store of data leaves it."""
    Path("model.h5").symlink_to("store/4d7a2146")
    return "model.h5"


def around(name: str, inner: str) -> Maker:
    """A zip archive with a model in it, as a download of a folder is."""

    def make() -> str:
        with zipfile.ZipFile(name, "w") as file:
            file.write(MODELS / "clean.keras", inner)
        return name

    return make


def tar() -> str:
    """A tar archive with a model in it."""
    with tarfile.open("model.h5", "w") as file:
        file.add(MODELS / "clean.h5", "clean.h5")
    return "model.h5"


def own_loss() -> str:
    """A model that was compiled with a lambda."""
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    with zipfile.ZipFile(MODELS / "clean.keras") as old, zipfile.ZipFile("model.keras", "w") as new:
        for name in old.namelist():
            config = old.read(name)
            if name == "config.json":
                config = json.dumps({**json.loads(config), "compile_config": {"optimizer": "adam", "loss": code}}).encode()
            new.writestr(name, config)
    return "model.keras"


def flipped() -> str:
    """An archive of which a bit of the weights was turned on the way."""
    data = bytearray((MODELS / "clean.keras").read_bytes())
    with zipfile.ZipFile(MODELS / "clean.keras") as file:
        info = file.getinfo("model.weights.h5")
    data[info.header_offset + info.file_size // 2] ^= 1
    Path("model.keras").write_bytes(bytes(data))
    return "model.keras"


NO_LAYERS = '{"class_name": "Sequential", "config": {"layers": 3}}'


def not_followed() -> str:
    """A configuration that is a JSON object, and of no model."""
    with zipfile.ZipFile(MODELS / "clean.keras") as old, zipfile.ZipFile("model.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, NO_LAYERS if name == "config.json" else old.read(name))
    return "model.keras"


def in_folder() -> str:
    """A zip archive of a model's folder."""
    with zipfile.ZipFile(MODELS / "clean.keras") as old, zipfile.ZipFile("model.keras", "w") as file:
        for name in old.namelist():
            file.writestr(f"model/{name}", old.read(name))
    return "model.keras"


def new_head() -> str:
    """A model with a head that was not trained, and beside it the same one trained."""

    def edit(file: h5py.File) -> None:
        for dataset in ("layers/dense_1/vars/0", "layers/dense_1/vars/1"):
            file[dataset][()] += 0.5

    with_weights("trained.keras", edit, "new_head.keras")()
    return model("new_head.keras")()


def gzipped() -> str:
    """A model in gzip, in one block that is stored as it is: how well others compress depends on the library."""
    data = (MODELS / "clean.h5").read_bytes()
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data
    Path("model.h5.gz").write_bytes(b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block + struct.pack("<II", zlib.crc32(data), len(data)))
    return "model.h5.gz"


ADDRESS_OF_ARCHIVE = {"ADDRESS_OF_THE_FILE_ITSELF": (MODELS / "clean.keras").as_uri()}
ADDRESS = {"ADDRESS_OF_THE_FILE_ITSELF": (MODELS / "clean.h5").as_uri()}
OPENING = (
    Shown("lfs-pointer", text("model.h5", LFS), "expected size = 102,400 bytes"),
    Shown("web-page", text("model.keras", PAGE), "first line = <!DOCTYPE html>", (), None, ADDRESS_OF_ARCHIVE, "model.keras"),
    Shown("web-page", text("error.h5", '{"error": "Repository not found"}'), 'first line = {"error"', (), None, ADDRESS, "error.h5"),
    Shown("empty-file", text("model.h5", ""), "size = 0 bytes"),
    Shown("compressed-file", gzipped, "first bytes = of gzip", (), None, {"UNPACKED": "model.h5"}, "model.h5"),
    Shown("truncated", cut("clean.h5", 20_000), "expected size = 33,456 bytes", (), CLEAN_H5),
    Shown("truncated", cut("clean.h5", 20), "expected size = at least 48 bytes", (), CLEAN_H5),
    Shown("truncated", cut("clean.h5", 4), "expected size = at least 48 bytes", (), CLEAN_H5),
    Shown("part-of-saved-model", variables_alone, "the folder above = has saved_model.pb", tells="Keras 3 loads as a TFSMLayer only"),
    Shown("truncated", cut("clean.keras", 20_000), "expected size = at least 33,", ()),
    Shown("truncated", checkpoint(cut_by=20), "keras-3.15.1.data-00000-of-00001", (), checkpoint()),
    Shown("missing-part", checkpoint(without="-00001"), "keras-3.15.1.data-00000-of-00001 = not there", (), checkpoint()),
    Shown("missing-part", checkpoint(without=".index"), "keras-3.15.1.index = not there", (), checkpoint()),
    Shown("missing-part", archive("model.keras", _without_weights), "model.weights.h5 = not there"),
    Shown("duplicate-members", archive("model.keras", _twin_member), "metadata.json = 2 members"),
    Shown("encrypted-members", _locked, "encrypted", (), None, {"unzip": f"unzip -P {PASSWORD}"}, "locked_unpacked"),
    Shown("saving-broke-off", hdf5("model.h5", _unwritten), "head", (), CLEAN_H5),
    Shown("saving-broke-off", long_names, "names of the layers = 74,700 bytes", (), CLEAN_H5),
    Shown("damaged", text("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(800)), "is not a whole HDF5 file", (), CLEAN_H5),
    Shown("not-a-model", text("model.bin", b"nothing that anybody knows"), "is no model in any format"),
    Shown("zip-named-h5", model("clean.keras", "model.h5"), "content = zip archive", cured="model.keras"),
    Shown("hdf5-named-keras", model("clean.h5", "model.keras"), "content = HDF5 file", (), CLEAN_H5, cured="model.h5"),
    Shown("new-weights-named-h5", model("clean.weights.h5", "w.h5"), "Keras 3.6", (), CLEAN_WEIGHTS, cured="w.weights.h5"),
    Shown("legacy-named-weights-h5", model("clean.h5", "w.weights.h5"), "whole model", (), CLEAN_H5, cured="w.h5"),
    Shown("checkpoint-file-named", checkpoint(named="ckpt/keras-3.15.1.index"), "prefix = ckpt/keras-3.15.1", (), checkpoint()),
    Shown("checkpoint-moved", _moved, "/home/me/run/ckpt-7", (), checkpoint()),
    Shown("rejected-by-keras-3", sample("tf2.2/states.h5", "old.h5"), "time_major = false", cured=CONVERTED),
    Shown("rejected-by-keras-3", with_config("model.keras", _rotation), "drop: value_range = [0, 255]", cured="model_keras3.keras"),
    Shown(
        "rejected-by-keras-3", sample("keras_json/tf.keras-2.15.0.json", "old.json"), "written by", ("unseeded",), cured="old_keras3.json"
    ),
    Shown("duplicate-layer-names", with_config("model.keras", _twice_named), "norm: name = of 2 layers"),
    Shown(
        "custom-objects",
        model("custom.keras"),
        "scaled: layer = Scaled",
        ("custom-layer-without-arguments",),
        tells="class Scaled(keras.layers.Layer)",
    ),
    Shown("custom-training-objects", model("custom_loss.keras"), "function = own_loss"),
    Shown("lfs-pointer", pointers, "sharded_00001.weights.h5 = a pointer to 102,400 bytes"),
    Shown("lfs-pointer", variables_of_pointers, "variables.data-00000-of-00001 = a pointer to 102,400 bytes"),
    Shown("lfs-pointer", graph_of_pointers, "saved_model.pb = a pointer to 102,400 bytes"),
    Shown("missing-part", dangling, "symbolic link = → store/4d7a2146"),
    Shown(
        "compressed-file",
        around("model.zip", "best/model.keras"),
        "best/model.keras = in the archive",
        cured="model.zip_unpacked/best/model.keras",
    ),
    Shown("compressed-file", in_folder, "model/config.json = in the archive", cured="model_unpacked/model"),
    Shown("compressed-file", tar, "content = a tar archive", cured="clean.h5"),
    Shown("damaged", flipped, "model.weights.h5 is damaged", tells="its checksum is wrong"),
    Shown("damaged", not_followed, "the configuration cannot be followed", cured="model_kept.weights.h5"),
    Shown("compile-rejected-by-keras-3", sample("keras_h5/keras-3.15.1.h5"), "loss = mse", (), model("clean.h5")),
    Shown("web-page", text("model.h5", "Repository not found"), "first line = Repository not found", (), None, ADDRESS, "model.h5"),
    Shown("web-page", text("model.h5", "<!-- signed out --><html>"), "first line = <!-- signed out", (), None, ADDRESS, "model.h5"),
)
WEIGHTS = {"OTHER_FILE": str(MODELS / "clean.weights.h5")}
TRAINED = {"TRAINED_FILE": str(MODELS / "clean.keras")}
HEAD = {"TRAINED_FILE": "trained.keras"}
RESULTS = (
    Shown("weights-missing", with_weights("model.keras", _without_head), "head: kernel, bias", fill=WEIGHTS, cured="model_filled.keras"),
    Shown(
        "shape-contradicts-configuration",
        with_config("model.keras", lambda config: _settings(config, "head", units=5)),
        "head: units = 5 = kernel (16, 3)",
        fill={"MODEL_WITH_THE_RIGHT_SIZE": str(MODELS / "clean.keras")},
        cured="model_resized.keras",
    ),
    Shown(
        "weights-initial",
        model("untrained.keras"),
        "hidden/bias: zeros = all 0",
        ("optimizer-step-0",),
        fill=TRAINED,
        cured="untrained_filled.keras",
    ),
    Shown(
        "weights-initial",
        model("untrained.weights.h5"),
        "hidden/bias",
        ("optimizer-step-0",),
        CLEAN_WEIGHTS,
        TRAINED,
        "untrained_filled.weights.h5",
    ),
    Shown("layers-initial", new_head, "new_head/kernel: glorot_uniform", fill=HEAD, cured="new_head_filled.keras"),
    Shown("batchnorm-statistics-initial", model("statistics.keras"), "norm: moving_mean, moving_variance = all 0, all 1"),
    Shown("optimizer-step-0", model("untrained.keras"), "optimizer/vars/0 = 0", ("weights-initial",)),
    Shown("not-a-number", model("nan.keras"), "48 NaN of 48"),
    Shown("denormals", model("denormal.keras"), "48 of 48"),
    Shown("half-precision", model("half.keras"), "hidden/kernel", ("floatx-differs",), cured="half_float32.keras"),
    Shown("mixed-policy", model("mixed.keras"), "hidden: dtype = mixed_float16"),
    Shown("random-at-inference", model("random.keras"), "drop: inbound_nodes = Dropout(…, training=True)"),
    Shown("stateful-layer", model("stateful.keras"), "read: stateful = true"),
    Shown("vocabulary-missing", model("words_lost.h5"), "lookup: vocabulary", (), model("words_kept.h5")),
    Shown("vocabulary-missing", model("words_lost.h5"), "lookup: vocabulary", (), model("words.keras")),
    Shown("not-adapted", model("not_adapted.keras"), "scale: mean, variance = all 0, all 1", (), model("adapted.keras")),
    Shown("hashing-without-salt", model("hashing.keras"), "hash: salt = null", (), model("hashing_salted.keras")),
    Shown("custom-layer-without-arguments", model("custom.keras"), "scaled: config", ("custom-objects",)),
    Shown(
        "added-loss",
        model("added_loss.h5"),
        "add_loss: class_name = AddLoss",
        ("rejected-by-keras-3",),
        cured="added_loss_keras3.keras",
    ),
    Shown("channels-first", model("channels_first.json"), "pad: data_format = channels_first"),
    Shown(
        "other-backend",
        sample("2.2.4_theano_first/images.h5", "old.h5"),
        "backend = theano",
        ("rejected-by-keras-3", "channels-first"),
        cured=CONVERTED,
    ),
    Shown("floatx-differs", model("float64.json"), "dtype of layers = float64"),
    Shown("metric-guessed", model("metric.keras"), "metrics = accuracy"),
    Shown("unseeded", model("seeds.json"), "drop: seed = null (Dropout)", (), model("seeds_set.json")),
)
SAFETY = (
    Shown("pickle", text("model.h5", pickle.dumps({"weights": [1]}, 4)), "first bytes = 80 04"),
    Shown("pickle", text("model.pkl", pickle.dumps({"weights": [1]}, 0)), "first bytes"),
    Shown("pickle", text("model.h5", pickle.dumps({"weights": [1]}, 1)), "first bytes = 7d 71 00"),
    Shown("pickle", text("model.h5", pickle.dumps((1, "x"), 0)), "first bytes = 28 49 31 0a"),
    Shown("pickle", text("model.h5", b"cmymodule\nload\n(tR."), "first bytes = 63 6d 79"),
    Shown("pickle", archive("model.keras", _pickled_weights), "model.weights.npz"),
    Shown("gadget", model("gadget.keras"), "drop: layers = keras.utils.get_file"),
    Shown(
        "gadget",
        with_config("model.keras", lambda config: _settings(config, "head", kernel_initializer=LOADED)),
        "head: kernel_initializer = numpy.load",
        ("custom-objects",),
    ),
    Shown("gadget", model("system.keras"), "drop: layers = os.system"),
    Shown(
        "lambda-bytecode",
        model("lambda.keras"),
        "double: function = marshalled code",
        fill={"Rescaling(scale=1.0)": "Rescaling(scale=2.0)"},
        cured="lambda_without_lambda.keras",
    ),
    Shown(
        "lambda-bytecode",
        text("architecture.json", LAMBDA_JSON),
        "scale: function = marshalled code, 8 characters, with a closure",
        ("rejected-by-keras-3",),
        cured="architecture_without_lambda.json",
    ),
    Shown("torch-module", model("torch.keras"), "drop: module = 8 characters"),
    Shown(
        "saved-model-layer",
        model("tfsm.keras"),
        "drop: filepath = /srv/models/other",
        fill={"/srv/models/other": str(SAMPLES / "saved_model" / "tensorflow-2.21.0_module")},
        tells="dangerous-operation",
    ),
    Shown("vocabulary-path", model("vocabulary_path.keras"), "drop: vocabulary = /etc/passwd"),
    Shown("module-outside-keras", model("module.keras"), "drop: layers = lab.layers.Scaled", ("custom-objects",)),
    Shown("dangerous-operation", sample("saved_model/tensorflow-2.21.0_module", "module"), "ReadFile = 1 times: touches files"),
    Shown("custom-operation", text("graph.pbtxt", 'node {\n  name: "a"\n  op: "MyOwnOp"\n}\n'), "MyOwnOp = 1 times"),
    Shown("outside-hdf5", hdf5("model.h5", _external), "external link to /etc/secrets.h5, /key", (), CLEAN_H5),
    Shown("outside-hdf5", hdf5("model.h5", _external_storage), "head/kernel = values stored in /etc/passwd", (), CLEAN_H5),
    Shown("outside-hdf5", hdf5("model.h5", _virtual), "head/kernel = virtual dataset, of values in /etc/secrets.h5", (), CLEAN_H5),
    Shown("outside-hdf5", hdf5("model.h5", _soft_link), "model_weights/head/other = soft link", (), CLEAN_H5),
    Shown("outside-hdf5", with_weights("model.keras", _virtual_in_archive), "dense_1/vars/0 = virtual dataset"),
    Shown("path-traversal", archive("model.keras", _outside), "member = ../../.bashrc"),
    Shown("symbolic-link", archive("model.keras", _link), "member = assets/words.txt"),
    Shown("symbolic-link", linked, "model.weights.h5 = → ", fill={"COPY": "copied"}, cured="copied"),
    Shown("bomb", hdf5("model.h5", _shape_bomb), "4,398,046,511,104 bytes claimed, 0 stored", (), CLEAN_H5),
)
FIRST = model("clean.keras")
TWO_LAYERS = model("two_layers.keras")
COMPARED: tuple[Compared, ...] = (
    Compared(
        "layers-differ",
        FIRST,
        model("new_head.keras"),
        "head: removed",
        ("weights-unmatched", "inference-settings-differ"),
        tells="new_head",
    ),
    Compared(
        "weights-unmatched",
        FIRST,
        model("new_head.keras"),
        "new_head/kernel: (16, 16)",
        ("layers-differ", "inference-settings-differ"),
        tells="hidden: kernel, bias",
    ),
    Compared(
        "one-is-untrained",
        FIRST,
        model("untrained.keras"),
        "head/kernel: as it was made",
        ("training-settings-differ",),
        "untrained_loaded.keras",
    ),
    Compared(
        "weights-of-another-layer",
        TWO_LAYERS,
        model("swapped.keras"),
        "first/kernel: has the values of = second/kernel",
        (),
        "swapped_loaded.keras",
    ),
    Compared(
        "weights-laid-out-otherwise",
        TWO_LAYERS,
        model("transposed.keras"),
        "first/kernel: transposed = of first/kernel",
        (),
        "transposed_loaded.keras",
    ),
    Compared(
        "shapes-differ",
        FIRST,
        with_weights("wide.keras", _wide_head),
        "head/kernel: shape = (16, 3) → (16, 5)",
        (),
        tells="head/kernel: (16, 3) in the source, (16, 5)",
    ),
    Compared(
        "inference-settings-differ",
        FIRST,
        with_config("epsilon.keras", lambda config: _settings(config, "norm", epsilon=0.1)),
        "norm: epsilon = 0.001 → 0.1",
        tells="epsilon",
    ),
    Compared("vocabulary-differs", model("words_kept.h5"), _reordered, "lookup: vocabulary = the same words in another order"),
    Compared("only-statistics-differ", FIRST, model("statistics.keras"), "norm/moving_mean", tells="norm/moving_variance"),
    Compared("only-rounding-differs", FIRST, _rounded, "head/kernel: dtype = float32 → float16", tells="float16"),
    Compared("weights-differ", FIRST, model("trained_on.keras"), "hidden/kernel: largest difference", tells="hidden/kernel"),
    Compared(
        "training-settings-differ",
        FIRST,
        model("metric.keras"),
        'metrics = ["sparse_categorical_accuracy"] → ["accuracy"]',
        tells="metrics",
    ),
    Compared("not-compared", FIRST, model("clean.weights.h5"), "config = the second file holds none"),
)
SHOWN: tuple[Shown, ...] = (*OPENING, *RESULTS, *SAFETY)
BROKEN_WITH_MESSAGE: tuple[Shown, ...] = (
    Shown(
        "member-not-found",
        archive("model.keras", _without_weights),
        "missing-part: model.weights.h5 = not there",
        error="ValueError: Expected a model.weights.h5 or model.weights.npz file.",
    ),
    Shown(
        "member-not-found",
        around("model.keras", "model/config.json"),
        "compressed-file: model/config.json = in the archive",
        error="KeyError: \"There is no item named 'config.json' in the archive\"",
    ),
    Shown(
        "member-not-found",
        archive("model.keras", _without_all),
        "members = notes.txt",
        error="KeyError: \"There is no item named 'config.json' in the archive\"",
    ),
    Shown(
        "saved-model-not-read",
        graph_of_pointers,
        "lfs-pointer: saved_model.pb = a pointer to 102,400 bytes",
        error="OSError: Cannot parse file b'model/saved_model.pb': Error parsing message with type 'tensorflow.SavedModel'",
    ),
)
WITH_MESSAGE = (
    *BROKEN_WITH_MESSAGE,
    *(
        Shown(identifier, model(*name.split(" as ")) if not name.startswith("/") else sample(name[1:]), shown, error=said)
        for identifier, name, shown, said in MESSAGES
    ),
)
