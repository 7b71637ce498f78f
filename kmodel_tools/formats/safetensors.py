"""safetensors: arrays by name with a JSON header, in one file or in shards; what names and texts mean is in `_shared/named_arrays`.

A whole model survives the way there and back. Files of others are read as what they are: arrays whose names have slashes, or
dots. Nothing is turned: a kernel of PyTorch is one of PyTorch still.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import escape as pattern
from typing import Any

from kmodel_tools.errors import CorruptFileError, KmtError
from kmodel_tools.format import Container, FileSet, Format, Option, Part, Probe
from kmodel_tools.formats._shared.options import size_in_bytes
from kmodel_tools.storage.atomic import new_files
from kmodel_tools.storage.safetensors import file_blocks, header_length, read_contents
from kmodel_tools.tensor import ByteRange, Tensor
from kmodel_tools.tree import Model, Note

SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
WEIGHT_MAP = "weight_map"
SHARD_SIZE = "5GB"
_SHARD = re.compile(r"(.*)-[0-9]{5}-of-[0-9]{5}\.safetensors", re.DOTALL)


def detect(probe: Probe) -> str | None:
    """Say whether a file is of safetensors, or the index of shards, or None."""
    if probe.container is Container.JSON:
        return "sharded" if _is_index(probe.json) else None
    return "single file" if header_length(probe.head, probe.range.length) is not None else None


def _is_index(document: Any) -> bool:
    entries = document.get(WEIGHT_MAP) if isinstance(document, Mapping) else None
    return (
        isinstance(entries, Mapping) and bool(entries) and all(isinstance(item, str) and item.endswith(SUFFIX) for item in entries.values())
    )


def read(probe: Probe) -> Model:
    """Describe the arrays of a file, or of an index and its shards, and the model that they are of.

    Raises:
        CorruptFileError: A header is damaged, a shard is missing or does not hold what the index says.
        UnsupportedFeatureError: An element type is not known.
    """
    from kmodel_tools.formats._shared.named_arrays import read_arrays  # much, of which telling this from a .json has no need

    arrays, said = _shards(probe) if probe.container is Container.JSON else _single(probe.range)
    model = read_arrays(arrays, said, probe.path)
    dialect = "sharded" if probe.container is Container.JSON else "single file"
    shard = _SHARD.fullmatch(probe.path)
    notes = model.notes
    if shard is not None and os.path.isfile(index := f"{shard[1]}{INDEX_SUFFIX}"):
        notes = (Note("odd", f"this is one shard of {os.path.basename(index)}: open that to see the whole model"), *notes)
    return replace(model, format=FORMAT.name, metadata={**model.metadata, "dialect": dialect}, notes=notes)


def _single(file: ByteRange) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    contents = read_contents(file)
    return contents.tensors, contents.metadata


def _shards(probe: Probe) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    folder = os.path.dirname(probe.path)
    listed: dict[str, set[str]] = {}
    for name, file in probe.json[WEIGHT_MAP].items():
        if os.path.basename(file) != file:
            raise CorruptFileError("names a shard outside of its own folder", path=probe.path, where=file)
        listed.setdefault(file, set()).add(name)
    arrays: dict[str, Tensor] = {}
    said: dict[str, str] = {}
    for file in sorted(listed):
        path = os.path.join(folder, file)
        if not os.path.isfile(path):
            raise CorruptFileError(
                "a shard is missing", path=path, where=f"listed in {probe.path}", cure="copy all shards beside the index"
            )
        contents = read_contents(ByteRange.of_file(path))
        if lacking := sorted(listed[file] ^ contents.tensors.keys()):
            raise CorruptFileError("a shard does not hold what the index places in it", path=path, where=lacking[0])
        arrays |= contents.tensors
        said |= contents.metadata
    return arrays, said


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model: in shards if the path is that of an index; the first shard says what the model is.

    Raises:
        ConversionError: Two arrays would have one name, or an element type is none of the format's.
        KmtError: A file is there already, or cannot be written; or `shard-size` is no size, or given without shards.
    """
    from kmodel_tools.formats._shared.named_arrays import named_arrays, texts

    arrays = named_arrays(model)
    said = texts(model)
    size = options.get("shard-size")
    if not path.endswith(INDEX_SUFFIX):
        if size is not None:
            raise KmtError("shards need an index", path=path, cure=f"write to NAME{INDEX_SUFFIX}")
        with new_files([path], overwrite) as (file,):
            for block in file_blocks(arrays, said):
                file.write(block)
        return
    parts = _parts(arrays, size_in_bytes(size or SHARD_SIZE))
    stem = path.removesuffix(INDEX_SUFFIX)
    names = [f"{stem}-{number:05d}-of-{len(parts):05d}{SUFFIX}" for number in range(1, len(parts) + 1)]
    with new_files([*names, path], overwrite) as files:
        for number, (part, file) in enumerate(zip(parts, files, strict=False)):
            for block in file_blocks(part, said if not number else {"format": said["format"]}):
                file.write(block)
        files[-1].write(_index(parts, names))


def files(path: str) -> FileSet | None:
    """The index and its shards, where a path is that of an index."""
    if not path.endswith(INDEX_SUFFIX):
        return None
    stem = os.path.basename(path).removesuffix(INDEX_SUFFIX)
    return FileSet(path, f"{pattern(stem)}-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]{SUFFIX}")


def _parts(arrays: Sequence[tuple[str, Tensor]], limit: int) -> list[list[tuple[str, Tensor]]]:
    """Divide arrays among shards in their order: each takes what fits, and at least one."""
    parts: list[list[tuple[str, Tensor]]] = [[]]
    held = 0
    for name, tensor in arrays:
        if parts[-1] and held + tensor.nbytes > limit:
            parts.append([])
            held = 0
        parts[-1].append((name, tensor))
        held += tensor.nbytes
    return parts


def _index(parts: Sequence[Sequence[tuple[str, Tensor]]], names: Sequence[str]) -> bytes:
    places = {name: os.path.basename(file) for part, file in zip(parts, names, strict=True) for name, _ in part}
    total = sum(tensor.nbytes for part in parts for _, tensor in part)
    return json.dumps({"metadata": {"total_size": total}, WEIGHT_MAP: places}, indent=2).encode()


FORMAT = Format(
    name="safetensors",
    title="safetensors",
    suffixes=(SUFFIX, INDEX_SUFFIX),
    containers=frozenset({Container.OTHER, Container.JSON}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG | Part.OPTIMIZER,
    detect=detect,
    read=read,
    write=write,
    files=files,
    options=(Option("shard-size", SHARD_SIZE, f"most bytes of arrays in one shard, for an index NAME{INDEX_SUFFIX}: 500MB, 5GB"),),
)
