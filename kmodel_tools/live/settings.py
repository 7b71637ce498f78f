"""The configurations of a live model, in the spelling that the files of its framework have."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kmodel_tools.errors import KmtError
from kmodel_tools.live.frameworks import Framework, framework_of, part_of
from kmodel_tools.live.variables import REFUSALS
from kmodel_tools.tensor import ByteRange
from kmodel_tools.tree import Asset, Note

Config = Mapping[str, Any]


def settings_of(model: Any) -> tuple[Config | None, Config | None, tuple[Note, ...]]:
    """Architecture and training configuration of a live model, as far as it can tell them, and notes on what it cannot.

    Those of Keras 3 are as in its archives, those of Keras 2 as in its legacy HDF5 files.
    """
    notes: list[Note] = []
    if framework_of(model) is Framework.KERAS_3:
        architecture = _told(lambda: _of_keras_3(model), "the architecture", notes)
        training = None if architecture is None else architecture.get("compile_config")
        return architecture, training or None, tuple(notes)
    architecture = _told(lambda: _of_keras_2(model), "the architecture", notes)
    training = _told(lambda: _training_of_keras_2(model), "the training configuration", notes)
    return architecture, training or None, tuple(notes)


def _told(ask: Callable[[], Any], what: str, notes: list[Note]) -> Config | None:
    """What a model says of itself in JSON; somebody's own class may not say it, which is noted."""
    try:
        found = json.loads(ask())
    except REFUSALS as error:
        reason = str(error).strip().partition("\n")[0]
        notes.append(Note("odd", f"the model does not tell {what}: {type(error).__name__}{f': {reason}' if reason else ''}"))
        return None
    return found if isinstance(found, dict) else None


def _of_keras_3(model: Any) -> str:
    """As `saving_lib` writes `config.json` (Keras 3.15.1, `_serialize_model_as_json`): objects that are shared have an identity."""
    library = part_of(model, "saving.serialization_lib")
    if library is None:
        return str(model.to_json())
    with library.ObjectSharingScope():
        return json.dumps(library.serialize_keras_object(model))


def _of_keras_2(model: Any) -> str:
    return str(model.to_json())


def _training_of_keras_2(model: Any) -> str:
    """As a legacy HDF5 file has it (tf_keras 2.21 `saving/legacy/saving_utils.py`, `model_metadata`)."""
    library = part_of(model, "saving.legacy.saving_utils", "saving.saving_utils")
    encoding = part_of(model, "saving.legacy.saved_model.json_utils", "saving.saved_model.json_utils")
    if not getattr(model, "optimizer", None) or library is None:
        return "null"
    found = library.model_metadata(model, include_optimizer=True, require_config=False).get("training_config")
    return json.dumps(found, default=getattr(encoding, "get_json_type", None))


class _Folder:
    """A temporary folder that lives as long as somebody refers to it."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="kmt-")

    def __del__(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def assets_of(model: Any) -> tuple[Asset, ...]:
    """The files of a live model's layers, such as vocabularies, under the names that archives have; written to a temporary folder.

    Raises:
        KmtError: A layer cannot write its own.
    """
    library = part_of(model, "saving.saving_lib")
    if library is None or not any(hasattr(layer, "save_assets") for layer in model._flatten_layers()):
        return ()
    folder = _Folder()
    try:
        store = library.DiskIOStore("assets", mode="w")
        try:
            library._save_state(model, weights_store=None, assets_store=store, inner_path="", visited_saveables=set())
            shutil.copytree(store.working_dir, folder.path, dirs_exist_ok=True)
        finally:
            store.close()
    except (*REFUSALS, OSError) as error:
        raise KmtError(f"the vocabularies of the model cannot be had: {error}") from error
    return tuple(Asset(name, ByteRange.of_file(path, owner=folder)) for name, path in _files(folder.path))


def _files(folder: str) -> Iterator[tuple[str, str]]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(base, name)
            yield os.path.relpath(path, folder).replace(os.sep, "/"), path
