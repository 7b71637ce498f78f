"""What a file is that no format claims: said in one clause, with what to do about it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kmodel_tools.format import Container, Probe

Verdict = tuple[str, str | None]

ORBAX_FILES = ("pytree.orbax-checkpoint", "orbax.checkpoint", "checkpoint_metadata", "_CHECKPOINT_METADATA")

_HEADS: tuple[tuple[bytes, str, str | None], ...] = (
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"),
    (b"<!DOCTYPE", "is a web page, not a model: the download went wrong", "download the file itself, not the page that shows it"),
    (b"<!doctype", "is a web page, not a model: the download went wrong", "download the file itself, not the page that shows it"),
    (b"<html", "is a web page, not a model: the download went wrong", "download the file itself, not the page that shows it"),
    (b"<?xml", "is an XML document, perhaps an error message of a file server", "have a look at its text"),
    (b"\x80\x02", "is a Python pickle, which runs code when it is opened; it is never opened here", None),
    (b"\x80\x03", "is a Python pickle, which runs code when it is opened; it is never opened here", None),
    (b"\x80\x04", "is a Python pickle, which runs code when it is opened; it is never opened here", None),
    (b"\x80\x05", "is a Python pickle, which runs code when it is opened; it is never opened here", None),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it first: gunzip, or tar -xzf"),
    (b"BZh", "is compressed with bzip2", "unpack it first: bunzip2, or tar -xjf"),
    (b"\xfd7zXZ", "is compressed with xz", "unpack it first: unxz, or tar -xJf"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it first: unzstd"),
    (b"GGUF", "is a GGUF file of llama.cpp, not a Keras or TensorFlow model", None),
    (b"\x93NUMPY", "is a single NumPy array", None),
)


def look_alike(probe: Probe) -> Verdict:
    """Say what a path that no format claims looks like: the problem, and a cure or None."""
    if probe.container is Container.DIRECTORY:
        return _directory(probe)
    if probe.container is Container.HDF5:
        members = ", ".join(list(probe.hdf5.members)[:5]) or "nothing"
        return f"is an HDF5 file without Keras's layout: its root holds {members}", "open it with h5py"
    if probe.container is Container.ZIP:
        return _archive(probe)
    if probe.container is Container.JSON:
        return _document(probe)
    return _file(probe)


def _directory(probe: Probe) -> Verdict:
    if any(name in probe.names for name in ORBAX_FILES) or any("orbax-checkpoint" in name for name in probe.names):
        return "is an Orbax checkpoint, which is not read", "load it with Keras 3.14 or later, and save it as .keras"
    if not probe.names:
        return "is an empty directory", None
    if "fingerprint.pb" in probe.names or {"variables", "keras_metadata.pb"} <= probe.names:
        return "is a SavedModel without its saved_model.pb", f"its variables can be read: {probe.path.rstrip('/')}/variables/variables"
    return "is a directory without config.json, checkpoint or *.index in it", "name the model's file"


def _archive(probe: Probe) -> Verdict:
    names = list(probe.members)
    if any(name.endswith("data.pkl") for name in names):
        return "is a PyTorch file, a pickle in a zip archive; it is never opened here", None
    listed = ", ".join(names[:5]) or "nothing"
    return f"is a zip archive without a Keras model: it holds {listed}", "a .keras archive has config.json and model.weights.h5"


def _document(probe: Probe) -> Verdict:
    document = probe.json
    if isinstance(document, Mapping):
        if "weight_map" in document:
            return "is the index of a sharded model of another kind than Keras's", None
        if "class_name" in document:
            return "is the configuration of an object that is no model", None
    return "is a JSON document that describes no model", None


def _file(probe: Probe) -> Verdict:
    head = probe.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not probe.head:
        return "is empty", "the download or the copy went wrong: fetch it again"
    for start, problem, cure in _HEADS:
        if probe.head.startswith(start) or head.startswith(start):
            return problem, cure
    if os.path.basename(probe.path) in ("saved_model.pb", "saved_model.pbtxt"):
        return "is damaged: it does not start as a SavedModel does", "name its directory, to see at least the variables"
    if probe.head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model, which is not read", "convert from the model that it was made of"
    if probe.container is Container.CHECKPOINT_SHARD:
        return "is a data shard of a checkpoint without its index", "copy the .index file beside it"
    if probe.head[8:10] == b'{"' and int.from_bytes(probe.head[:8], "little") > probe.range.length - 8:
        return "starts as a safetensors file does, and is shorter than its header", "fetch it again"
    if probe.path.endswith((".h5", ".hdf5", ".keras")):
        return "does not start as an HDF5 file or a zip archive does: it is damaged or something else", "fetch it again"
    return "is no model in any format that is known here", "see them with: kmt formats"
