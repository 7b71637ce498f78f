"""The files of a SavedModel: which of them are there, and what can be read of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.format import Container, Probe
from kmodel_tools.storage.graph_def import count_operations
from kmodel_tools.storage.messages import MessageFile, Span
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.saved_model import SERVE, MetadataNode, MetaGraph, SignatureDef, read_meta_graphs, read_metadata
from kmodel_tools.storage.text_proto import to_wire
from kmodel_tools.tensor import ByteRange
from kmodel_tools.tree import Argument, Asset, Graph, Note, Operations, Signature

BINARY, TEXT = "saved_model.pb", "saved_model.pbtxt"
METADATA = "keras_metadata.pb"
VARIABLES = os.path.join("variables", "variables")
ASSETS = "assets"
KERAS_JSON = "saved_model.json"
TEXT_LIMIT = 64 << 20
HIDDEN = "__saved_model_init_op"
"""A signature that TensorFlow itself calls when it loads a model."""


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """A graph in a file."""

    stored: ByteRange
    is_text: bool
    span: Span

    def operations(self) -> Operations:
        """Count the operations; reads the whole graph.

        Raises:
            CorruptFileError: It is damaged.
        """
        try:
            counts, functions = count_operations(open_messages(self.stored, self.is_text), self.span)
        except WireError as error:
            raise CorruptFileError(f"the graph is damaged: {error}", path=self.stored.path) from error
        return Operations(dict(counts), functions)


@dataclass(slots=True)
class Parts:
    """A SavedModel's files.

    Attributes:
        folder: The directory.
        file: Its `saved_model.pb` or `.pbtxt`.
        is_text: Whether that is text.
        messages: It, opened.
        meta: Its graph, or None where the file is damaged.
        notes: What is odd.
        salvage: Whether variables that cannot be read shall be described as damaged.
    """

    folder: str
    file: str
    is_text: bool = False
    messages: MessageFile | None = None
    meta: MetaGraph | None = None
    notes: list[Note] = field(default_factory=list)
    salvage: bool = False

    @property
    def prefix(self) -> str:
        """The prefix of the checkpoint that holds the variables."""
        return os.path.join(self.folder, VARIABLES)

    def path(self, *names: str) -> str:
        """The path of one of its files."""
        return os.path.join(self.folder, *names)


def open_parts(probe: Probe) -> Parts:
    """Find the files of the SavedModel at a path and read its graph's outline.

    Raises:
        CorruptFileError: Its graph is damaged, and there are no variables beside it that could be read all the same.
    """
    if probe.container is Container.DIRECTORY:
        folder = probe.path
        file = os.path.join(folder, BINARY if BINARY in probe.names else TEXT)
    else:
        folder, file = os.path.dirname(probe.path) or os.curdir, probe.path
    parts = Parts(folder, file, salvage=probe.salvage)
    stored = ByteRange.of_file(file)
    parts.is_text = _is_text(stored)
    try:
        if stored.length < 3:
            raise WireError(f"it holds {stored.length} bytes")
        parts.messages = open_messages(stored, parts.is_text)
        graphs = read_meta_graphs(parts.messages)
        parts.meta = _chosen(graphs, parts.notes)
    except WireError as error:
        if not os.path.isfile(parts.prefix + ".index"):
            raise CorruptFileError(f"the graph is damaged: {error}", path=file, cure="fetch the file again") from error
        unknown = "signatures, assets and what is trained" if os.path.isfile(parts.path(METADATA)) else "what it holds beside the variables"
        what = f"{os.path.basename(file)} is damaged ({error}){_cause(stored)}"
        parts.notes.append(Note("unread", f"{what}: {unknown} cannot be known; the rest is read without it"))
    return parts


def open_messages(stored: ByteRange, is_text: bool) -> MessageFile:
    """A `saved_model.pb` or `.pbtxt` as a message.

    Raises:
        WireError: The text is none.
        UnsupportedFeatureError: The text is larger than any.
    """
    if not is_text:
        return MessageFile(stored)
    if stored.length > TEXT_LIMIT:
        raise UnsupportedFeatureError(f"a graph as text of {stored.length} bytes", path=stored.path, cure="convert it to its binary form")
    return MessageFile(to_wire(stored.read(), "SavedModel"))


def _is_text(stored: ByteRange) -> bool:
    """Whether a file is text: a binary one starts with a control character."""
    head = stored.slice(0, min(stored.length, 1)).read()
    return head[:1] >= b" " or head[:1] in (b"\n", b"\r", b"\t")


def _cause(stored: ByteRange) -> str:
    """What damaged it, where that shows: every line feed with a carriage return before it comes of copying it as text."""
    head = stored.slice(0, min(stored.length, 1 << 16)).read()
    feeds = head.count(b"\n")
    return ", since it was copied as text and every line end was changed" if feeds > 8 and head.count(b"\r\n") == feeds else ""


def _chosen(graphs: Sequence[MetaGraph], notes: list[Note]) -> MetaGraph:
    """The graph for serving, else the first."""
    if not graphs:
        raise WireError("holds no graph")
    chosen = next((item for item in graphs if SERVE in item.tags), graphs[0])
    if len(graphs) > 1:
        others = "; ".join(", ".join(item.tags) or "no tag" for item in graphs if item is not chosen)
        notes.append(
            Note("odd", f"holds {len(graphs)} graphs, of which that for {', '.join(chosen.tags) or 'no tag'} is shown, not {others}")
        )
    return chosen


def read_stated(parts: Parts) -> list[MetadataNode]:
    """What `keras_metadata.pb` states; nothing where it is not there, or is damaged, which is noted."""
    path = parts.path(METADATA)
    if not os.path.isfile(path):
        return []
    try:
        return read_metadata(MessageFile(ByteRange.of_file(path)))
    except WireError as error:
        parts.notes.append(Note("unread", f"{METADATA} is damaged ({error}): there is no architecture, and classes are not known"))
        return []


def graph_of(parts: Parts) -> Graph | None:
    """Signatures, tags, and where the graph is."""
    meta = parts.meta
    if meta is None or parts.messages is None or meta.graph is None:
        return None
    stored = ByteRange.of_file(parts.file)
    signatures = tuple(_signature(item) for item in meta.signatures if item.name != HIDDEN)
    ordered = sorted(signatures, key=lambda item: (item.name != "serving_default", item.name))
    return Graph(tuple(ordered), meta.tags, StoredGraph(stored, parts.is_text, meta.graph))


def _signature(item: SignatureDef) -> Signature:
    inputs = tuple(Argument(name, info.dtype, info.shape) for name, info in sorted(item.inputs.items()))
    outputs = tuple(Argument(name, info.dtype, info.shape) for name, info in sorted(item.outputs.items()))
    return Signature(item.name, item.method, inputs, outputs)


def assets_of(parts: Parts) -> tuple[Asset, ...]:
    """The files in `assets/` that the graph names; what is named and not there, or lies elsewhere, is noted."""
    if parts.meta is None:
        return ()
    found: list[Asset] = []
    missing: list[str] = []
    folder = os.path.realpath(parts.path(ASSETS))
    for name in parts.meta.assets:
        path = os.path.realpath(os.path.join(folder, name))
        if "\0" in name or not path.startswith(folder + os.sep):
            parts.notes.append(Note("odd", f"the graph names an asset outside of its own folder, which is not followed: {name}"))
        elif os.path.isfile(path):
            found.append(Asset(name, ByteRange.of_file(path)))
        else:
            missing.append(name)
    if missing:
        parts.notes.append(Note("odd", f"assets that the graph needs are not there: {', '.join(missing[:5])}"))
    return tuple(found)
