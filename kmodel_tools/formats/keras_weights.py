"""`.weights.h5`: weights alone, in Keras 3's layout (Keras 2.12 and later), in one file or in shards.

Sharded, a JSON index lists which file holds which group (Keras 3.15.1 `saving_lib.py`, `ShardedH5IOStore`)::

    {"metadata": {"total_size": 123.0}, "weight_map": {"/layers/dense/vars": ["model_00000.weights.h5"], …}}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from glob import escape as pattern
from typing import TYPE_CHECKING, Any

from kmodel_tools.architecture.optimizers import kind_of
from kmodel_tools.architecture.store_layout import LAYERS
from kmodel_tools.damaged import offering_salvage
from kmodel_tools.errors import CorruptFileError, KmtError
from kmodel_tools.format import Container, FileSet, Format, Option, Part, Probe
from kmodel_tools.formats._shared.keras_objects import interpret
from kmodel_tools.formats._shared.keras_store import DEPENDENCIES, VARS, Store
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, tie_stored
from kmodel_tools.tensor import ByteRange, Tensor
from kmodel_tools.tree import Model, Note

if TYPE_CHECKING:
    from kmodel_tools.storage.hdf5 import Hdf5Head
    from kmodel_tools.storage.hdf5_writer import NewObject

WEIGHT_MAP = "weight_map"
INDEX_SUFFIX = ".weights.json"
SHARD_SIZE = "5GB"


def detect(probe: Probe) -> str | None:
    """Say which dialect of Keras's weights layout a file has, or None."""
    if probe.container is Container.HDF5:
        return dialect_of(probe.hdf5)
    return "sharded" if _is_index(probe.json) else None


def dialect_of(head: Hdf5Head) -> str | None:
    """The dialect of an HDF5 file's root, or None where it does not have Keras's weights layout."""
    legacy = {"layer_names", "layer_names0", "model_config", "nb_layers"} & head.attributes or "model_weights" in head.members
    if legacy:
        return None
    names = [name.replace("\\", "/").partition("/")[0] for name in head.members]
    if DEPENDENCIES in names:
        return "Keras 2.12-2.14"
    objects = any(VARS in inner for inner in head.groups_within.values())
    if VARS in names or objects or (LAYERS in names and head.members.get(LAYERS, "group") == "group"):
        return "Keras 2.15 or later"
    return None


def _is_index(document: Any) -> bool:
    if not isinstance(document, Mapping) or not isinstance(document.get(WEIGHT_MAP), Mapping):
        return False
    entries = document[WEIGHT_MAP]
    return bool(entries) and all(isinstance(path, str) and path.startswith("/") for path in entries)


def read(probe: Probe) -> Model:
    """Describe the model whose weights a file, or an index and its shards, hold.

    Raises:
        CorruptFileError: A file is damaged, a shard is missing, or shards do not hold what the index says.
        UnsupportedFeatureError: A file links or stores outside of itself.
    """
    store = Store()
    notes: list[Note] = []
    if probe.container is Container.HDF5:
        inventory = store.add(probe.range, salvage=probe.salvage)
        notes += _shard_note(probe.path)
    else:
        inventory = _add_shards(store, probe, notes)
    contents = interpret(store, None)
    named = any(group.name for group in store.groups.values())
    model = Model(name=contents.name, layers=contents.layers, own_weights=contents.own_weights)
    optimizer = None
    if contents.optimizer:
        kind = kind_of(contents.optimizer_name) if contents.optimizer_name else None
        weights = [weight for _, weight in model.weights()]
        optimizer, more = tie_stored(OptimizerSpec(kind, None, interleaved=True), contents.optimizer, weights, contents.unordered)
        notes += more
    if not named:
        notes.append(Note("inferred", "the file has no layer names: layers are called as their groups are, in write order"))
    return Model(
        name=contents.name,
        format=FORMAT.name,
        layers=contents.layers,
        own_weights=contents.own_weights,
        optimizer=optimizer,
        extras=contents.extras,
        metadata={"dialect": _dialect(detect(probe) or "", named)} | ({} if named else {"names": "groups"}),
        notes=(*contents.notes, *notes),
        inventory=tuple(inventory),
    )


def _dialect(dialect: str, named: bool) -> str:
    return "Keras 3.6 or later" if named and not dialect.startswith("sharded") else dialect


def _add_shards(store: Store, probe: Probe, notes: list[Note]) -> list[tuple[str, Tensor]]:
    folder = os.path.dirname(probe.path)
    listed: dict[str, set[str]] = {}
    for group, files in probe.json[WEIGHT_MAP].items():
        for file in files if isinstance(files, list) else [files]:
            if not isinstance(file, str) or os.path.basename(file) != file:
                raise CorruptFileError("names a shard outside of its own folder", path=probe.path, where=str(file))
            listed.setdefault(file, set()).add(group.strip("/"))
    inventory: list[tuple[str, Tensor]] = []
    for file in sorted(listed):
        found, problem = _add_shard(store, os.path.join(folder, file), listed[file], probe)
        inventory += found
        if problem:
            notes.append(Note("unread", f"{file}: {problem}; it is to hold {', '.join(sorted(listed[file]))}"))
    return inventory


def _add_shard(store: Store, path: str, groups: set[str], probe: Probe) -> tuple[list[tuple[str, Tensor]], str]:
    """The arrays of a shard; and, to salvage, why some are not there."""
    try:
        if not os.path.isfile(path):
            cure = "copy all shards beside the index"
            raise CorruptFileError("a shard is missing", path=path, where=f"listed in {probe.path}", cure=cure)
        found = store.add(ByteRange.of_file(path), f"{os.path.basename(path)}::", probe.salvage)
        held = {key.partition("::")[2].rpartition("/")[0] for key, _ in found}
        lacking = sorted(groups - held)
        if lacking and not probe.salvage:
            raise CorruptFileError("a shard lacks a group that the index places in it", path=path, where=lacking[0])
    except CorruptFileError as error:
        if not probe.salvage:
            raise offering_salvage(error) from error
        return [], error.problem
    return found, f"it lacks {', '.join(lacking)}" if lacking else ""


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model's weights and its optimizer's state in the layout of Keras 3: in shards if the path is that of an index.

    Raises:
        ConversionError: The layout of the weights cannot be told.
        KmtError: A file is there already, or cannot be written; or `shard-size` is no size, or given without shards.
    """
    # Reading has no need of these.
    from kmodel_tools.formats._shared.options import size_in_bytes
    from kmodel_tools.formats._shared.store_writer import store_objects
    from kmodel_tools.storage.atomic import new_files
    from kmodel_tools.storage.hdf5_writer import Hdf5Image

    objects = store_objects(model)
    size = options.get("shard-size")
    if not path.endswith(INDEX_SUFFIX):
        if size is not None:
            raise KmtError("shards need an index", path=path, cure=f"write to NAME{INDEX_SUFFIX}")
        parts, names, index = [objects], [path], None
    else:
        parts = _parts(objects, size_in_bytes(size or SHARD_SIZE))
        names = [f"{path.removesuffix(INDEX_SUFFIX)}_{number:05d}.weights.h5" for number in range(len(parts))]
        index = _index(parts, [os.path.basename(name) for name in names])
    images = [Hdf5Image(part) for part in parts]
    with new_files(names if index is None else [*names, path], overwrite) as files:
        for image, file in zip(images, files, strict=False):
            for block in image.blocks():
                file.write(block)
        if index is not None:
            files[-1].write(index)


def files(path: str) -> FileSet | None:
    """The index and its shards, where a path is that of an index."""
    if not path.endswith(INDEX_SUFFIX):
        return None
    stem = os.path.basename(path).removesuffix(INDEX_SUFFIX)
    return FileSet(path, f"{pattern(stem)}_[0-9][0-9][0-9][0-9][0-9].weights.h5")


def _parts(objects: Sequence[NewObject], limit: int) -> list[list[NewObject]]:
    """Divide objects among shards: an object's variables stay together, a shard takes what fits, and at least one object."""
    groups: list[list[NewObject]] = []
    for item in objects:
        if item.tensor is None or not groups:
            groups.append([])
        groups[-1].append(item)
    parts: list[list[NewObject]] = [[]]
    for group in groups:
        if _nbytes(parts[-1]) and _nbytes(parts[-1]) + _nbytes(group) > limit:
            parts.append([])
        parts[-1] += group
    return parts


def _nbytes(objects: Sequence[NewObject]) -> int:
    return sum(item.tensor.nbytes for item in objects if item.tensor is not None)


def _index(parts: Sequence[Sequence[NewObject]], names: Sequence[str]) -> bytes:
    """The index: which shard holds the variables of which object; objects without variables are not in it."""
    places: dict[str, list[str]] = {}
    for part, name in zip(parts, names, strict=True):
        for item in part:
            if item.tensor is not None:
                places.setdefault(f"/{item.path.rpartition('/')[0]}", [name])
    total = float(sum(_nbytes(part) for part in parts))
    return json.dumps({"metadata": {"total_size": total}, WEIGHT_MAP: places}, indent=4).encode()


def _shard_note(path: str) -> list[Note]:
    """Say so when a file is one of several: its name ends in a shard number and the index lies beside it."""
    stem, _, number = path.removesuffix(".weights.h5").rpartition("_")
    index = f"{stem}.weights.json"
    if path.endswith(".weights.h5") and number.isdigit() and len(number) == 5 and os.path.isfile(index):
        return [Note("odd", f"this is one shard of {os.path.basename(index)}: open that to see the whole model")]
    return []


FORMAT = Format(
    name="keras-weights",
    title="Keras weights (.weights.h5)",
    suffixes=(".weights.h5", ".weights.json"),
    containers=frozenset({Container.HDF5, Container.JSON}),
    holds=Part.WEIGHTS | Part.NAMES | Part.OPTIMIZER,
    detect=detect,
    read=read,
    write=write,
    files=files,
    salvages=True,
    options=(Option("shard-size", SHARD_SIZE, "most bytes of weights in one shard, for an index NAME.weights.json: 500MB, 5GB"),),
)
