"""TensorFlow checkpoints: TensorBundle (V2), object-based and name-based, and the single-file tables before it (V1).

A checkpoint is named by a prefix, and users hold any of its files; all of these are taken::

    PREFIX    PREFIX.index    PREFIX.data-00000-of-00002    the directory    its `checkpoint` state file

The state file is a text (TensorFlow `python/training/checkpoint_state.proto`) that `tf.train.latest_checkpoint` looks at::

    model_checkpoint_path: "PREFIX"
    all_model_checkpoint_paths: "PREFIX"
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from glob import escape as pattern

from kmodel_tools.architecture.checkpoint_layout import NAMES, GraphLayout, is_name_based
from kmodel_tools.damaged import offering_salvage
from kmodel_tools.errors import CorruptFileError, KmtError
from kmodel_tools.format import STATE_KEY, Container, FileSet, Format, Option, Part, Probe
from kmodel_tools.formats._shared.options import chosen, size_in_bytes
from kmodel_tools.formats._shared.tensorflow.keyed import read_keys
from kmodel_tools.formats._shared.tensorflow.objects import SAVE_COUNTER, read_objects
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.storage.checkpoint_v1 import is_v1, missing_shards, read_v1
from kmodel_tools.storage.object_graph import KEY, lay_out, parse_graph
from kmodel_tools.storage.tensor_bundle import read_bundle
from kmodel_tools.tensor import DType, InMemory, Tensor, canonical_strings
from kmodel_tools.tree import Model, Note, damage_text

INDEX = ".index"
STATE = "checkpoint"
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")
_PATH = re.compile(rb'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
LAYOUTS = ("auto", "objects", NAMES)
TARGETS = tuple(layout.value for layout in GraphLayout)
ROOTS = ("auto", "model", "checkpoint")
SHARD_SIZE = "5GB"
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def detect(probe: Probe) -> str | None:
    """Say what part of a checkpoint a path is, or None."""
    if probe.container is not Container.DIRECTORY:
        return str(probe.container.value)
    if any(name in probe.names for name in SAVED_MODEL):
        return None
    if STATE in probe.names or any(name.endswith(INDEX) for name in probe.names):
        return str(Container.DIRECTORY.value)
    return None


def read(probe: Probe) -> Model:
    """Describe the model in a checkpoint.

    Raises:
        KmtError: The path names no checkpoint, or several.
        CorruptFileError: A file of it is damaged, missing or too short.
        UnsupportedFeatureError: Element types that are not known.
    """
    notes: list[Note] = []
    if probe.container is Container.TABLE and is_v1(probe.range):
        tensors, dialect = read_v1(probe.path, probe.salvage), "TensorFlow V1, name-based"
        missing = [os.path.basename(name) for name in missing_shards(probe.path)]
        notes += [Note("unread", f"{name} is missing, with the tensors that it alone lists") for name in missing]
        return _model(read_variables(tensors), tensors, dialect, notes)
    prefix = locate(probe, notes)
    tensors = read_bundle(prefix, probe.salvage)
    if KEY in tensors:
        try:
            graph = parse_graph(_text(tensors[KEY], prefix), prefix + INDEX)
        except CorruptFileError as error:
            if not probe.salvage:
                raise offering_salvage(error) from error
            notes.append(Note("unread", f"the object graph is damaged, so weights are called by their keys: {damage_text(error)}"))
            return _model(read_keys(tensors), tensors, "TensorFlow V2, object-based", notes)
        else:
            return _model(read_objects(graph, tensors), tensors, "TensorFlow V2, object-based", notes)
    return _model(read_variables(tensors), tensors, "TensorFlow V2, name-based", notes)


def _model(model: Model, tensors: dict[str, Tensor], dialect: str, notes: list[Note]) -> Model:
    return replace(
        model,
        format=FORMAT.name,
        metadata={**model.metadata, "dialect": dialect},
        notes=(*notes, *model.notes),
        inventory=tuple(tensors.items()),
    )


def _text(tensor: Tensor, prefix: str) -> bytes:
    if tensor.dtype is not DType.STRING or tensor.shape != ():
        raise CorruptFileError("the object graph is not a string", path=prefix + INDEX, where=KEY)
    return tensor.strings()[0]


def locate(probe: Probe, notes: list[Note]) -> str:
    """The prefix of the checkpoint that a path stands for; adds a note where there was a choice.

    Raises:
        KmtError: There is none, or there are several and no state file that says which.
    """
    path = probe.path
    if probe.container is Container.CHECKPOINT_PREFIX:
        return path
    if probe.container is Container.TABLE:
        if not path.endswith(INDEX):
            raise CorruptFileError("is a checkpoint's index under another name", path=path, cure="give it back its name, PREFIX.index")
        return path.removesuffix(INDEX)
    if probe.container is Container.CHECKPOINT_SHARD:
        prefix = _SHARD.sub("", path)
        if not os.path.isfile(prefix + INDEX):
            raise CorruptFileError("is a data shard without its index", path=path, cure=f"copy {os.path.basename(prefix)}{INDEX} beside it")
        return prefix
    if probe.container is Container.CHECKPOINT_STATE:
        return _from_state(path, probe.head)
    state = os.path.join(path, STATE)
    if os.path.isfile(state):
        head = Probe(state).head
        if STATE_KEY in head:
            return _from_state(state, head)
    prefixes = sorted(name.removesuffix(INDEX) for name in probe.names if name.endswith(INDEX))
    if len(prefixes) != 1:
        raise KmtError(f"holds {len(prefixes)} checkpoints", path=path, where=", ".join(prefixes[:5]), cure="name one of them")
    notes.append(Note("inferred", f"the directory's only checkpoint is {prefixes[0]}"))
    return os.path.join(path, prefixes[0])


def _from_state(state: str, head: bytes) -> str:
    """The latest checkpoint that a state file names, looked for in its own folder only."""
    found = _PATH.search(head)
    if found is None:
        raise CorruptFileError("names no checkpoint", path=state, where="model_checkpoint_path")
    named = _ESCAPE.sub(_unescaped, found[1]).decode("utf-8", "surrogateescape")
    prefix = os.path.join(os.path.dirname(state), os.path.basename(named.replace("\\", "/")))
    if not os.path.isfile(prefix + INDEX):
        raise KmtError(f"names the checkpoint {named}, which does not lie beside it", path=state, cure="give the checkpoint's own path")
    return prefix


def _unescaped(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = found.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    return bytes([int(hexadecimal, 16)]) if hexadecimal else _LETTERS.get(letter, letter)


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model as a checkpoint: objects as the restoring model tracks them, or variables by name.

    Raises:
        ConversionError: The layout cannot be told from the source, or an element type is not TensorFlow's.
        KmtError: A file is there already, cannot be written, or an option has another value than it can have.
    """
    # Reading has no need of these.
    from kmodel_tools.formats._shared.tensorflow.checkpoint_writer import checkpoint_root, named_tensors
    from kmodel_tools.storage.atomic import new_file
    from kmodel_tools.storage.bundle_writer import write_bundle

    layout = chosen("layout", options, LAYOUTS)
    if layout == LAYOUTS[0]:
        layout = NAMES if is_name_based(model.metadata) else "objects"
    root = chosen("root", options, ROOTS)
    wrapped = root == "checkpoint" or (root == "auto" and any(extra.role == SAVE_COUNTER for extra in model.extras))
    prefix = prefix_of(path)
    if layout == NAMES:
        tensors = named_tensors(model)
    else:
        graph, tensors = lay_out(checkpoint_root(model, GraphLayout(chosen("target", options, TARGETS)), wrapped=wrapped))
        tensors = [*tensors, (KEY, Tensor(DType.STRING, (), InMemory(canonical_strings([graph]))))]
    write_bundle(prefix, tensors, overwrite, size_in_bytes(options.get("shard-size", SHARD_SIZE)))
    name = "".join(_escaped_byte(byte) for byte in os.fsencode(os.path.basename(prefix)))
    with new_file(os.path.join(os.path.dirname(prefix), STATE), overwrite) as file:
        file.write(f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'.encode())


def prefix_of(path: str) -> str:
    """The prefix that a destination stands for: PREFIX.index is the checkpoint PREFIX."""
    return path.removesuffix(INDEX)


def files(path: str) -> FileSet:
    """The index and the shards of the checkpoint that a destination stands for."""
    prefix = prefix_of(path)
    return FileSet(prefix + INDEX, f"{pattern(os.path.basename(prefix))}.data-?????-of-?????", (STATE,))


def _escaped_byte(byte: int) -> str:
    """A byte of a file name in the text format of protocol buffers."""
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03o}"


FORMAT = Format(
    name="tf-checkpoint",
    title="TensorFlow checkpoint",
    suffixes=(".index", ".ckpt"),
    containers=frozenset(
        {
            Container.TABLE,
            Container.CHECKPOINT_PREFIX,
            Container.CHECKPOINT_STATE,
            Container.CHECKPOINT_SHARD,
            Container.DIRECTORY,
        }
    ),
    holds=Part.WEIGHTS | Part.NAMES | Part.OPTIMIZER,
    detect=detect,
    read=read,
    write=write,
    options=(
        Option("layout", LAYOUTS[0], "objects, which models of the --target find, or names, as TensorFlow 1 has them"),
        Option("root", ROOTS[0], "model (for load_weights), checkpoint (for tf.train.Checkpoint(model=…)), or auto: as the source"),
        Option("shard-size", SHARD_SIZE, "most bytes of tensors in one shard: 500MB, 5GB"),
    ),
    files=files,
    salvages=True,
)
