"""The layer/weight tree: one frozen value for a model, whatever file it came from.

Paths (naming scheme `kmt1`) are tuples of components, layer … sub-layer … role. Under a model that is a graph or a list
of layers a component is the layer's name; under anything else it is the attribute that holds the sub-layer. As text the
components are joined by ``/``; a slash or a backslash inside a component is escaped by a backslash.

Layers may be shared (reached by several paths, then they are one object) and thousands deep: every walk is iterative
and visits an object once.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kmodel_tools.damaged import damage_of
from kmodel_tools.errors import FormatError, KmtError
from kmodel_tools.tensor import ByteRange, Shape, Tensor

Path = tuple[str, ...]
Node = TypeVar("Node")
Made = TypeVar("Made")

SCHEME = "kmt1"


def join_path(path: Path) -> str:
    r"""Write a path as text: ``("a/b", "kernel")`` becomes ``a\/b/kernel``."""
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in path)


def split_path(text: str) -> Path:
    """Read what `join_path` wrote; empty components are dropped, so a leading or trailing slash does no harm."""
    parts: list[str] = []
    current: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            current.append(next(characters, "\\"))
        elif character == "/":
            parts.append("".join(current))
            current = []
        else:
            current.append(character)
    parts.append("".join(current))
    return tuple(part for part in parts if part)


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """One stored array of a layer.

    Attributes:
        role: Keras's attribute name ("kernel", "moving_mean"), or "0", "1" where the file does not say.
        tensor: The array, described.
        key: Its address in the file, kept exactly.
        trainable: True, False, or None where the file does not say.
    """

    role: str
    tensor: Tensor
    key: str
    trainable: bool | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """A layer with its own weights and its sub-layers, both in Keras's order.

    Attributes:
        name: Keras's name of the layer, or what the file calls it.
        attr: The attribute that holds it in its parent ("cell", "forward_layer"; "cells/0" for an element of a list),
            or None under a graph or a list of layers, where the name counts.
        class_name: The Python class, as the file spells it, or None where nothing says.
    """

    name: str
    attr: str | None = None
    class_name: str | None = None
    weights: tuple[Weight, ...] = ()
    layers: tuple[Layer, ...] = ()

    @property
    def components(self) -> Path:
        """What this layer adds to the path of everything below it."""
        return (self.name,) if self.attr is None else split_path(self.attr)

    def __repr__(self) -> str:
        """Name, class and counts; never the whole sub-tree."""
        return f"Layer({self.name!r}, {self.class_name}, {len(self.weights)} weights, {len(self.layers)} layers)"


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """An optimizer's state for one weight.

    Attributes:
        name: Keras 3's name of the slot ("momentum", "velocity"), or the optimizer's own for an unknown one.
        weight: The weight that it belongs to: the same object as in the tree.
        tensor: The array, described.
        key: Its address in the file.
    """

    name: str
    weight: Weight
    tensor: Tensor
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Optimizer:
    """What a file holds of an optimizer.

    Attributes:
        class_name: As the file spells it, or None.
        slots: State tied to a weight, in the file's order.
        counters: Scalars with a name: `iterations`, `learning_rate`, `beta_1`.
        extras: Arrays of the optimizer that cannot be tied to a weight.
    """

    class_name: str | None = None
    slots: tuple[Slot, ...] = ()
    counters: tuple[Weight, ...] = ()
    extras: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that belongs to the model, such as a vocabulary: its name and its bytes, unread."""

    name: str
    data: ByteRange


@dataclass(frozen=True, slots=True)
class Argument:
    """An input or output of a signature: name, element type, shape with -1 for any size (None: of any rank)."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Signature:
    """A function that a file offers to callers: its name, what it is for, what it takes and gives."""

    name: str
    method: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Operations:
    """What a graph consists of: how often each operation occurs in it and in its functions, and the number of functions."""

    counts: Mapping[str, int]
    functions: int


class GraphSource(Protocol):
    """Where a graph is."""

    def operations(self) -> Operations:
        """Count the operations of the graph; reads all of it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A computation that a file holds beside its weights: described, never run.

    Attributes:
        signatures: What it offers to callers.
        tags: What it is for ("serve").
        source: Where it is; read when somebody asks for its operations.
    """

    signatures: tuple[Signature, ...]
    tags: tuple[str, ...]
    source: GraphSource


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a file that a careful reader should know.

    Attributes:
        kind: `inferred` (concluded, not stated by the file), `odd` (unusual, and harmless for reading), or `unread`.
        text: One sentence without a full stop.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """A model as a value: everything this package does is a function of it.

    Attributes:
        name: The model's name, or "" where the file has none.
        format: Name of the format it was read from, or "" for one made in memory.
        layers: The top-level layers in `model.layers` order.
        own_weights: Variables that the model itself owns, outside of any layer.
        architecture: The configuration as the file has it (the one copy of it), or None.
        optimizer: The optimizer's state, or None.
        training_config: What was compiled (loss, metrics, optimizer), as the file has it, or None.
        assets: Files that belong to layers.
        extras: Arrays that fit nowhere else; kept and counted.
        metadata: Who wrote the file: `keras_version`, `backend`, `dialect` and the like; `names` is `groups` if layers are
            called as the container's groups are, for the file holds no names.
        graph: The TensorFlow graph beside the weights, or None.
        notes: What was inferred, is odd, or could not be read.
        inventory: `(key, tensor)` for every array of the file, or None for a model that is no file's image.
    """

    name: str = ""
    format: str = ""
    layers: tuple[Layer, ...] = ()
    own_weights: tuple[Weight, ...] = ()
    architecture: Mapping[str, Any] | None = None
    optimizer: Optimizer | None = None
    training_config: Mapping[str, Any] | None = None
    assets: tuple[Asset, ...] = ()
    extras: tuple[Weight, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    graph: Graph | None = None
    notes: tuple[Note, ...] = ()
    inventory: tuple[tuple[str, Tensor], ...] | None = None

    def __repr__(self) -> str:
        """Name, format and counts; never the whole tree."""
        return f"Model({self.name!r}, {self.format or 'in memory'}, {len(self.layers)} layers)"

    def walk(self) -> Iterator[tuple[Path, Layer]]:
        """Yield `(path, layer)` for every layer, parents first, each object once, under its first path."""
        for path, layer, first in self._edges():
            if first:
                yield path, layer

    def aliases(self) -> dict[Path, tuple[Path, ...]]:
        """For every layer that is reached by several paths: its first path, and the others."""
        first_path: dict[int, Path] = {}
        others: dict[Path, list[Path]] = {}
        for path, layer, first in self._edges():
            if first:
                first_path[id(layer)] = path
            else:
                others.setdefault(first_path[id(layer)], []).append(path)
        return {path: tuple(found) for path, found in others.items()}

    def weights(self) -> Iterator[tuple[Path, Weight]]:
        """Yield `(path, weight)` for every weight of the tree once: the model's own, then layer by layer."""
        seen: set[int] = set()
        for weight in self.own_weights:
            seen.add(id(weight))
            yield (weight.role,), weight
        for path, layer in self.walk():
            for weight in layer.weights:
                if id(weight) not in seen:
                    seen.add(id(weight))
                    yield (*path, weight.role), weight

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield `(key, tensor)` for every array that the file stores, whatever it is for.

        Raises:
            KmtError: The model is not the image of one file (it was edited, merged or made in memory).
        """
        if self.inventory is None:
            raise KmtError("this model is not the image of one file, so it has no inventory", cure="use Model.weights()")
        yield from self.inventory

    def find(self, path: str | Path) -> Layer | Weight:
        """The layer or weight at a path, through any of a shared layer's paths.

        Raises:
            KmtError: There is none; the message names the nearest paths.
        """
        wanted = split_path(path) if isinstance(path, str) else path
        known: list[Path] = []
        for weight in self.own_weights:
            if (weight.role,) == wanted:
                return weight
        for layer_path, layer, _ in self._edges():
            if layer_path == wanted:
                return layer
            for weight in layer.weights:
                if (*layer_path, weight.role) == wanted:
                    return weight
            known.append(layer_path)
        names = [join_path(item) for item in known] + [join_path(item) for item, _ in self.weights()]
        near = difflib.get_close_matches(join_path(wanted), names, n=3, cutoff=0.5)
        raise KmtError(
            f"there is no layer or weight {join_path(wanted)!r}",
            cure=f"nearest: {', '.join(near)}" if near else "list them with: kmt inspect",
        )

    def _edges(self) -> Iterator[tuple[Path, Layer, bool]]:
        """Yield `(path, layer, whether it is seen for the first time)` in pre-order; what was seen is not entered again."""
        seen: set[int] = set()
        stack: list[tuple[Path, Layer]] = [((), layer) for layer in reversed(self.layers)]
        while stack:
            parent, layer = stack.pop()
            path = parent + layer.components
            first = id(layer) not in seen
            yield path, layer, first
            if first:
                seen.add(id(layer))
                stack.extend((path, child) for child in reversed(layer.layers))


def damage_notes(model: Model) -> tuple[Note, ...]:
    """A note of kind `unread` for every array of the file that was described and cannot be read."""
    found = [(key, error) for key, tensor in model.inventory or () if (error := damage_of(tensor)) is not None]
    return tuple(Note("unread", f"{key} is damaged: {damage_text(error)}") for key, error in found)


def damage_text(error: FormatError) -> str:
    """What is wrong with an array, for a sentence that names the array: the problem, and the file's own name."""
    return f"{error.problem}{f' ({os.path.basename(error.path)})' if error.path else ''}"


def make_from_below(
    tops: Iterable[Node], below: Callable[[Node], Sequence[Node]], make: Callable[[Node, tuple[Made, ...]], Made]
) -> tuple[Made, ...]:
    """Turn a graph of mutable nodes into one of finished values, innermost first, each node once, however deep it is.

    Args:
        tops: The nodes to start from.
        below: The nodes that a node holds; they form no cycle.
        make: Given a node and what its lower nodes became, what it becomes.
    """
    done: dict[int, Made] = {}
    starts = list(tops)
    stack = [(node, False) for node in starts]
    while stack:
        node, entered = stack.pop()
        if id(node) in done:
            continue
        if not entered:
            stack.append((node, True))
            stack.extend((child, False) for child in below(node))
            continue
        done[id(node)] = make(node, tuple(done[id(child)] for child in below(node)))
    return tuple(done[id(node)] for node in starts)
