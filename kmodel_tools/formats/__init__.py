"""FILE ↔ MODEL: one module per format, both directions.

To add a format: write its module with a `FORMAT` record, name it here, add a sample.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import replace

from kmodel_tools.errors import AmbiguousFormatError, KmtError, UnknownFormatError
from kmodel_tools.format import Container, Format, Probe
from kmodel_tools.formats._shared.look_alikes import look_alike
from kmodel_tools.tree import Model, Note, damage_notes

FORMAT_MODULES: tuple[tuple[str, str, frozenset[Container], tuple[str, ...]], ...] = (
    ("keras-h5", "keras_h5", frozenset({Container.HDF5}), (".h5", ".hdf5")),
    ("keras-weights", "keras_weights", frozenset({Container.HDF5, Container.JSON}), (".weights.h5", ".weights.json")),
    ("keras-archive", "keras_archive", frozenset({Container.ZIP, Container.DIRECTORY}), (".keras",)),
    (
        "tf-checkpoint",
        "tf_checkpoint",
        frozenset(
            {
                Container.TABLE,
                Container.CHECKPOINT_PREFIX,
                Container.CHECKPOINT_STATE,
                Container.CHECKPOINT_SHARD,
                Container.DIRECTORY,
            }
        ),
        (".index", ".ckpt"),
    ),
    ("saved-model", "saved_model", frozenset({Container.DIRECTORY, Container.OTHER}), (".pb", ".pbtxt")),
    ("graph-def", "graph_def", frozenset({Container.OTHER}), (".pb", ".pbtxt")),
    ("npz", "npz", frozenset({Container.ZIP}), (".npz",)),
    ("safetensors", "safetensors", frozenset({Container.JSON, Container.OTHER}), (".safetensors", ".safetensors.index.json")),
    ("tfjs-layers", "tfjs_layers", frozenset({Container.JSON, Container.DIRECTORY}), (".tfjs.json",)),
    ("keras-json", "keras_json", frozenset({Container.JSON, Container.OTHER}), (".json", ".yaml", ".yml")),
)
"""Name, module, kinds of path and suffixes of every format; a module is imported when a path of such a kind or suffix comes along."""


def load_format(name: str) -> Format:
    """The record of the format with a name.

    Raises:
        KmtError: There is none.
    """
    for known, module, _, _ in FORMAT_MODULES:
        if known == name:
            return _record(module)
    raise KmtError(f"there is no format {name!r}", cure=f"the formats are: {', '.join(known for known, *_ in FORMAT_MODULES)}")


def all_formats() -> tuple[Format, ...]:
    """The records of all formats."""
    return tuple(_record(module) for _, module, _, _ in FORMAT_MODULES)


def writable_format(path: str | os.PathLike[str], name: str | None = None) -> Format:
    """The format to write a path in: the one that is named, else the one whose suffix it has.

    Raises:
        KmtError: No format of that name or suffix is written.
    """
    if name is not None:
        record = load_format(name)
        if record.write is None:
            raise KmtError(f"{record.title} is read and not written", path=path)
        return record
    text = os.fspath(path)
    named = [(suffix, module) for _, module, _, suffixes in FORMAT_MODULES for suffix in suffixes if text.endswith(suffix)]
    found = [(suffix, record) for suffix, module in named if (record := _record(module)).write]
    if not found:
        known = ", ".join(f"{record.name} ({' '.join(record.suffixes)})" for record in all_formats() if record.write)
        raise KmtError("its suffix names no format that is written", path=path, cure=f"say which with --to: {known}")
    return max(found, key=lambda item: len(item[0]))[1]


def detect_format(probe: Probe) -> Format:
    """The one format that claims a path, by its content.

    Raises:
        UnknownFormatError: None does; the message says what the file looks like.
        AmbiguousFormatError: Several do.
        CorruptFileError: It is damaged as the kind of file that it is.
    """
    candidates = [_record(module) for _, module, containers, _ in FORMAT_MODULES if probe.container in containers]
    claims = [item for item in candidates if item.detect(probe) is not None]
    if len(claims) == 1:
        return claims[0]
    if claims:
        names = " and ".join(item.name for item in claims)
        raise AmbiguousFormatError(f"could be {names}", path=probe.path, cure="say which with --from NAME")
    problem, cure = look_alike(probe)
    raise UnknownFormatError(problem, path=probe.path, cure=cure)


def read_model(path: str | os.PathLike[str], format: str | None = None, salvage: bool = False) -> Model:
    """Describe the model at a path; its tensors are not read.

    Args:
        path: A file, a directory, or a checkpoint's prefix.
        format: The name of its format, to be used instead of looking.
        salvage: Describe arrays that cannot be read as damaged ones, with a note for each, so that the others stay readable.

    Raises:
        KmtError: There is nothing at the path, or no format of that name.
        FormatError: The file is of no known format, damaged, or uses what is not supported.
    """
    probe = Probe(path, salvage)
    record = load_format(format) if format else detect_format(probe)
    if probe.container not in record.containers:
        kinds = " or ".join(sorted(kind.value for kind in record.containers))
        raise UnknownFormatError(f"is a {probe.container.value}, and {record.name} comes as a {kinds}", path=probe.path)
    model = record.read(probe)
    if not salvage:
        return model
    notes = damage_notes(model)
    if not record.salvages:
        notes = (*notes, Note("odd", f"of a damaged {record.title} nothing can be salvaged: it is read as a whole or not at all"))
    return replace(model, notes=(*notes, *model.notes))


def _record(module: str) -> Format:
    record = importlib.import_module(f"{__name__}.{module}").FORMAT
    assert isinstance(record, Format)
    return record
