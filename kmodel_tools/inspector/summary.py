"""What `inspect` says of a model, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kmodel_tools.architecture.custom_objects import CustomObject
from kmodel_tools.tensor import Shape


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers about an array's values; `min`, `max`, `mean` and `std` are over the finite ones, and None without any.

    `zeros`, `nans` and `infinities` count elements.
    """

    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    zeros: int
    nans: int
    infinities: int


@dataclass(frozen=True, slots=True)
class WeightRow:
    """A weight: path, role, shape, dtype, number of elements, bytes, whether it is trained, its key in the file.

    `damage` is why it cannot be read, as far as that is known: without `stats`, nothing was tried.
    """

    path: str
    role: str
    shape: Shape
    dtype: str
    parameters: int
    nbytes: int
    trainable: bool | None
    key: str
    stats: Stats | None = None
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer: path, depth in the tree, name, class, its own weights, and what it and its sub-layers come to.

    `aliases` are the other paths of a layer that is shared.
    """

    path: str
    depth: int
    name: str
    attr: str | None
    class_name: str | None
    parameters: int
    nbytes: int
    trainable: bool | None
    weights: tuple[WeightRow, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizerRow:
    """An optimizer: class, its counters with their values, its slots by name with their number, and its size."""

    class_name: str | None
    counters: Mapping[str, float | int | str]
    slots: Mapping[str, int]
    parameters: int
    nbytes: int
    untied: int


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """A function that a file offers: name, what it is for, `(name, dtype, shape)` of inputs and outputs; None is any rank."""

    name: str
    method: str
    inputs: tuple[tuple[str, str, Shape | None], ...]
    outputs: tuple[tuple[str, str, Shape | None], ...]


@dataclass(frozen=True, slots=True)
class GraphRow:
    """A TensorFlow graph: signatures, tags, how often each operation occurs, the number of functions.

    `noteworthy` are operations that touch files, run code or are custom, with what they are; `problem` says why the
    operations could not be counted.
    """

    signatures: tuple[SignatureRow, ...]
    tags: tuple[str, ...]
    operations: Mapping[str, int]
    functions: int
    noteworthy: Mapping[str, str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a model comes to: numbers of elements by trainability, bytes, counts, and dtypes with their numbers of elements."""

    layers: int
    weights: int
    parameters: int
    trainable: int
    non_trainable: int
    unknown: int
    nbytes: int
    dtypes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that `kmt inspect` shows, as plain data."""

    name: str
    format: str
    metadata: Mapping[str, str]
    class_name: str | None
    totals: Totals
    layers: tuple[LayerRow, ...]
    own_weights: tuple[WeightRow, ...]
    optimizer: OptimizerRow | None
    training_config: Mapping[str, Any] | None
    assets: tuple[tuple[str, int], ...]
    custom_objects: tuple[CustomObject, ...]
    extras: tuple[WeightRow, ...]
    graph: GraphRow | None
    notes: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return asdict(self)
