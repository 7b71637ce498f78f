"""`.keras`: a whole model as a zip archive, or as the folder that one unpacks to (Keras 2.12 and later).

::

    metadata.json       {"keras_version": "3.15.1", "date_saved": "2026-11-20@22:05:44"}
    config.json         architecture, with build and compile configurations
    model.weights.h5    weights, in the layout of `.weights.h5`
    assets/…            files of layers, under the path that the layer has among the weights

Keras stores the members uncompressed, so the weights are read in place (Keras 3.15.1 `saving_lib.py`, `_save_model_to_fileobj`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.names import is_index
from kmodel_tools.architecture.spec import ModelSpec, model_spec
from kmodel_tools.errors import ConversionError, CorruptFileError, UnsupportedFeatureError
from kmodel_tools.format import Container, Format, Part, Probe, parse_json
from kmodel_tools.formats._shared.keras_objects import StoreContents, interpret
from kmodel_tools.formats._shared.keras_store import Store
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, described_optimizer, tie_stored
from kmodel_tools.storage.atomic import new_file
from kmodel_tools.storage.zip import is_intact, member_range, write_archive
from kmodel_tools.tensor import Buffer, ByteRange, Tensor
from kmodel_tools.tree import Asset, Model, Note, Optimizer

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
PICKLED = "model.weights.npz"
ASSETS = "assets/"
INNER = "inner_optimizer/"
NO_DATE = "1980-01-01@00:00:00"


def detect(probe: Probe) -> str | None:
    """Say whether a zip archive or a directory is a Keras model, or None."""
    names = probe.members if probe.container is Container.ZIP else probe.names
    if CONFIG in names and (METADATA in names or WEIGHTS in names or PICKLED in names):
        return "archive" if probe.container is Container.ZIP else "directory"
    return None


def read(probe: Probe) -> Model:
    """Describe the model in an archive or directory.

    Raises:
        CorruptFileError: A part is missing or damaged.
        UnsupportedFeatureError: The weights are pickled, or a member is unsafe.
    """
    parts, damage = _parts(probe)
    if CONFIG not in parts or WEIGHTS not in parts:
        _refuse(probe.path, parts)
    config = _json(parts[CONFIG], probe.path, CONFIG)
    metadata = _json(parts[METADATA], probe.path, METADATA) if METADATA in parts else {}
    version = str(metadata.get("keras_version", ""))
    spec, notes = _spec(config, version)
    store = Store()
    inventory = _add_weights(store, parts[WEIGHTS], probe)
    contents = interpret(store, spec, version)
    model = Model(layers=contents.layers, own_weights=contents.own_weights)
    compiled = config.get("compile_config")
    training_config = compiled if compiled and isinstance(compiled, Mapping) else None
    optimizer, more = _optimizer(training_config, contents, model)
    return Model(
        name=contents.name,
        format=FORMAT.name,
        layers=contents.layers,
        own_weights=contents.own_weights,
        architecture=config,
        optimizer=optimizer,
        training_config=training_config,
        assets=tuple(Asset(name.removeprefix(ASSETS), data) for name, data in parts.items() if name.startswith(ASSETS)),
        extras=contents.extras,
        metadata={key: str(value) for key, value in metadata.items()} | ({"dialect": "directory"} if os.path.isdir(probe.path) else {}),
        notes=(*damage, *notes, *contents.notes, *more),
        inventory=tuple(inventory),
    )


def _parts(probe: Probe) -> tuple[dict[str, ByteRange], list[Note]]:
    """The bytes of each part, by its name in the archive; only what is needed of a compressed one is inflated.

    To salvage, the checksum of each is compared, which reads all of it: a file of a layer that is damaged is left out, and of
    damaged weights nobody knows which they are. The notes say so.
    """
    if probe.container is Container.ZIP:
        return _members(probe)
    parts: dict[str, ByteRange] = {}
    for folder, _, files in os.walk(probe.path):
        for name in sorted(files):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, probe.path).replace(os.sep, "/")
            if relative in (CONFIG, METADATA, WEIGHTS) or relative.startswith(ASSETS):
                parts[relative] = ByteRange.of_file(path)
    return parts, []


def _members(probe: Probe) -> tuple[dict[str, ByteRange], list[Note]]:
    parts: dict[str, ByteRange] = {}
    notes: list[Note] = []
    for name, member in probe.members.items():
        if name == PICKLED:
            continue
        intact, why = True, "its checksum is wrong"
        try:
            parts[name] = member_range(probe.range, member)
            intact = not probe.salvage or not member.stored or is_intact(probe.range, member)
        except CorruptFileError as error:
            if not probe.salvage or not name.startswith(ASSETS):
                raise
            intact, why = False, error.problem
        if not intact and name.startswith(ASSETS):
            parts.pop(name, None)
            notes.append(Note("unread", f"{name} is damaged, and is left out: {why}"))
        elif not intact:
            which = "; a part of the values is wrong, and nothing tells which" if name == WEIGHTS else ""
            notes.append(Note("unread", f"{name} is damaged: {why}{which}"))
    return parts, notes


def _refuse(path: str, parts: Mapping[str, ByteRange]) -> None:
    if CONFIG in parts and WEIGHTS not in parts:
        raise UnsupportedFeatureError(
            "its weights are not an HDF5 file; a pickled model.weights.npz is never opened, since it runs what it holds",
            path=path,
            where=PICKLED,
            cure="load it with the Keras that wrote it, if you trust it, and save it with weights_format='h5'",
        )
    raise CorruptFileError("an archive without config.json", path=path, cure="save the model again")


def _add_weights(store: Store, part: ByteRange, probe: Probe) -> list[tuple[str, Tensor]]:
    try:
        return store.add(part, f"{WEIGHTS}::", probe.salvage)
    except CorruptFileError as error:  # of a member, perhaps of the temporary file that it was inflated to
        where = f"{WEIGHTS}::{error.where}" if error.where else WEIGHTS
        raise CorruptFileError(error.problem, path=probe.path, where=where, cure=error.cure) from error


def _json(data: ByteRange, path: str, where: str) -> Mapping[str, Any]:
    document = parse_json(data.read(), path, where)
    if not isinstance(document, Mapping):
        raise CorruptFileError("is not a JSON object", path=path, where=where)
    return document


def _spec(config: Mapping[str, Any], version: str) -> tuple[ModelSpec | None, list[Note]]:
    try:
        spec = model_spec(config, version or None)
    except ConfigError as error:
        return None, [Note("odd", f"the configuration cannot be followed: {error}")]
    return spec, [Note("odd", text) for text in spec.odd]


def _optimizer(
    training_config: Mapping[str, Any] | None, contents: StoreContents, model: Model
) -> tuple[Optimizer | None, tuple[Note, ...]]:
    arrays = contents.optimizer
    if not arrays:
        return None, ()
    inner = [item for item in arrays if item.role.startswith(INNER)]
    if inner:  # the wrapper's own variables are its scale, and the inner state once more
        spec, own = described_optimizer(training_config, interleaved=True, inner=True), inner
    else:
        spec, own = described_optimizer(training_config, interleaved=True), [item for item in arrays if is_index(item.role)]
    if spec.class_name is None:
        spec = OptimizerSpec(contents.optimizer_name, None, interleaved=True)
    optimizer, notes = tie_stored(spec, own, [weight for _, weight in model.weights()], contents.unordered)
    rest = tuple(item for item in arrays if item not in own)
    return Optimizer(optimizer.class_name, optimizer.slots, optimizer.counters, (*optimizer.extras, *rest)), notes


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a whole model as an archive of Keras 3.

    Raises:
        ConversionError: It has no architecture, or the layout of its weights cannot be told.
        KmtError: The file is there already, or cannot be written.
    """
    # Reading has no need of these.
    from kmodel_tools.architecture.spelling import archive_config
    from kmodel_tools.formats._shared.store_writer import store_objects
    from kmodel_tools.storage.hdf5_writer import Hdf5Image

    if model.architecture is None:
        raise ConversionError("a .keras archive needs an architecture, and the source has none", cure="give one: --like model.keras")
    config = archive_config(model.architecture, model.training_config)
    image = Hdf5Image(store_objects(model))
    metadata = {"keras_version": model.metadata.get("keras_version", ""), "date_saved": model.metadata.get("date_saved", NO_DATE)}
    documents = [(METADATA, json.dumps(metadata).encode()), (CONFIG, json.dumps(config).encode())]
    with new_file(path, overwrite) as file:
        members: list[tuple[str, int, Iterable[Buffer]]] = [(name, len(data), [data]) for name, data in documents]
        members.append((WEIGHTS, image.length, image.blocks()))
        members += [(ASSETS + asset.name, asset.data.length, asset.data.blocks()) for asset in model.assets]
        write_archive(file, members)


FORMAT = Format(
    name="keras-archive",
    title="Keras archive (.keras)",
    suffixes=(".keras",),
    containers=frozenset({Container.ZIP, Container.DIRECTORY}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG | Part.OPTIMIZER | Part.ASSETS,
    detect=detect,
    read=read,
    write=write,
    salvages=True,
    generation="Keras 3",
    needs=Part.ARCHITECTURE,
)
