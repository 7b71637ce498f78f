"""Looking at a model: what is in it, in numbers and in plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from kmodel_tools.architecture.custom_objects import CustomObject, custom_objects
from kmodel_tools.architecture.envelope import ConfigError
from kmodel_tools.architecture.operations import GraphRow, graph_row
from kmodel_tools.architecture.spec import find_layer, model_spec
from kmodel_tools.elements import arrays
from kmodel_tools.errors import KmtError
from kmodel_tools.tensor import DType, Shape, Tensor
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
    """A weight: path, role, shape, dtype, number of elements, bytes, whether it is trained, its key in the file."""

    path: str
    role: str
    shape: Shape
    dtype: str
    parameters: int
    nbytes: int
    trainable: bool | None
    key: str
    stats: Stats | None = None


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


def inspect(model: Model, stats: bool = False) -> Summary:
    """Summarise a model.

    Args:
        model: The model.
        stats: Also read every weight and count, bound and average its values.

    Raises:
        FormatError: A value that is needed cannot be read.
    """
    aliases = model.aliases()
    rows = tuple(_layer_row(path, layer, aliases.get(path, ()), stats) for path, layer in model.walk())
    own = tuple(_weight_row((), weight, stats) for weight in model.own_weights)
    weights = [weight for _, weight in model.weights()]
    return Summary(
        name=model.name,
        format=model.format,
        metadata=dict(model.metadata),
        class_name=_class_name(model.architecture),
        totals=_totals(weights, len(rows)),
        layers=rows,
        own_weights=own,
        optimizer=_optimizer_row(model),
        training_config=model.training_config,
        assets=tuple((asset.name, asset.data.length) for asset in model.assets),
        custom_objects=custom_objects(model.architecture, model.training_config),
        extras=tuple(_weight_row((), extra, stats, path=extra.key) for extra in model.extras),
        graph=graph_row(model.graph) if model.graph is not None else None,
        notes=tuple((note.kind, note.text) for note in model.notes),
    )


def one_layer(model: Model, path: str) -> Model:
    """A model that consists of one layer of another, under the path that it has there; for looking at, not for writing.

    Raises:
        KmtError: There is no layer of that path.
    """
    found = model.find(path)
    if isinstance(found, Weight):
        raise KmtError(f"{path} is a weight, not a layer")
    return Model(name=model.name, format=model.format, layers=(replace(found, attr=path),), metadata=model.metadata)


def layer_settings(model: Model, path: str) -> Mapping[str, Any] | None:
    """The configuration of one layer, as the file has it, or None where the file holds no architecture that can be followed."""
    if model.architecture is None:
        return None
    try:
        spec = model_spec(model.architecture, model.metadata.get("keras_version"))
    except ConfigError:
        return None
    found = find_layer(spec.root, split_path(path))
    return None if found is None else found.config


def weight_row(model: Model, weight: Weight, stats: bool = False) -> WeightRow:
    """The row of one weight of a model."""
    path = next(path for path, item in model.weights() if item is weight)
    return _weight_row(path[:-1], weight, stats)


def _class_name(architecture: Mapping[str, Any] | None) -> str | None:
    name = (architecture or {}).get("class_name")
    return name if isinstance(name, str) else None


def _layer_row(path: Path, layer: Layer, aliases: tuple[Path, ...], stats: bool) -> LayerRow:
    below = list(_weights_below(layer))
    return LayerRow(
        path=join_path(path),
        depth=len(path) - len(layer.components),
        name=layer.name,
        attr=layer.attr,
        class_name=layer.class_name,
        parameters=sum(weight.tensor.size for weight in below),
        nbytes=sum(weight.tensor.nbytes for weight in below),
        trainable=_together([weight.trainable for weight in below]),
        weights=tuple(_weight_row(path, weight, stats) for weight in layer.weights),
        aliases=tuple(join_path(alias) for alias in aliases),
    )


def _weights_below(layer: Layer) -> Iterator[Weight]:
    seen: set[int] = set()
    stack = [layer]
    while stack:
        item = stack.pop()
        if id(item) not in seen:
            seen.add(id(item))
            for weight in item.weights:
                if id(weight) not in seen:
                    seen.add(id(weight))
                    yield weight
            stack.extend(item.layers)


def _together(flags: list[bool | None]) -> bool | None:
    """True if anything is trained, False if nothing is, None if nobody knows."""
    if True in flags:
        return True
    return None if None in flags or not flags else False


def _weight_row(parent: Path, weight: Weight, stats: bool, path: str | None = None) -> WeightRow:
    tensor = weight.tensor
    return WeightRow(
        path=join_path((*parent, weight.role)) if path is None else path,
        role=weight.role,
        shape=tensor.shape,
        dtype=tensor.dtype.value,
        parameters=tensor.size,
        nbytes=tensor.nbytes,
        trainable=weight.trainable,
        key=weight.key,
        stats=statistics(tensor) if stats else None,
    )


def _totals(weights: list[Weight], layers: int) -> Totals:
    sizes: dict[bool | None, int] = {True: 0, False: 0, None: 0}
    dtypes: dict[str, int] = {}
    for weight in weights:
        sizes[weight.trainable] += weight.tensor.size
        name = weight.tensor.dtype.value
        dtypes[name] = dtypes.get(name, 0) + weight.tensor.size
    return Totals(
        layers=layers,
        weights=len(weights),
        parameters=sum(sizes.values()),
        trainable=sizes[True],
        non_trainable=sizes[False],
        unknown=sizes[None],
        nbytes=sum(weight.tensor.nbytes for weight in weights),
        dtypes=dtypes,
    )


def _optimizer_row(model: Model) -> OptimizerRow | None:
    optimizer = model.optimizer
    if optimizer is None:
        return None
    slots: dict[str, int] = {}
    for slot in optimizer.slots:
        slots[slot.name] = slots.get(slot.name, 0) + 1
    tensors = [item.tensor for items in (optimizer.slots, optimizer.counters, optimizer.extras) for item in items]
    return OptimizerRow(
        class_name=optimizer.class_name,
        counters={counter.role: _scalar(counter.tensor) for counter in optimizer.counters},
        slots=slots,
        parameters=sum(tensor.size for tensor in tensors),
        nbytes=sum(tensor.nbytes for tensor in tensors),
        untied=len(optimizer.extras),
    )


def _scalar(tensor: Tensor) -> float | int | str:
    """The value of a scalar, decoded without numpy for the types that counters have."""
    data = b"".join(bytes(block) for block in tensor.blocks())
    if tensor.dtype in (DType.INT64, DType.INT32, DType.INT16, DType.INT8):
        return int.from_bytes(data, "little", signed=True)
    if tensor.dtype in (DType.UINT64, DType.UINT32, DType.UINT16, DType.UINT8, DType.BOOL):
        return int.from_bytes(data, "little")
    if tensor.dtype in (DType.FLOAT32, DType.FLOAT64):
        import struct

        value: float = struct.unpack("<f" if tensor.dtype is DType.FLOAT32 else "<d", data)[0]
        return float(f"{value:.7g}") if math.isfinite(value) else str(value)
    return str(tensor.read())


def statistics(tensor: Tensor) -> Stats | None:
    """Bound, average and count an array's values in one pass, in blocks; None for strings, complex and opaque elements.

    Raises:
        FormatError: The values cannot be read.
    """
    if tensor.dtype in (DType.STRING, DType.OPAQUE, DType.COMPLEX64, DType.COMPLEX128):
        return None
    import numpy as np

    count = zeros = nans = infinities = 0
    low, high = math.inf, -math.inf
    mean = squares = 0.0  # Welford's running mean and sum of squared distances, block by block (Chan et al., 1979)
    for part in arrays(tensor):
        values = part.astype(np.float64)
        zeros += int(np.count_nonzero(values == 0))
        finite = values
        if not np.isfinite(values).all():
            nans += int(np.isnan(values).sum())
            infinities += int(np.isinf(values).sum())
            finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            mean, squares, count = _merged(mean, squares, count, finite)
    if not count:
        return Stats(None, None, None, None, zeros, nans, infinities)
    return Stats(low, high, mean, math.sqrt(squares / count), zeros, nans, infinities)


def _merged(mean: float, squares: float, count: int, block: npt.NDArray[np.float64]) -> tuple[float, float, int]:
    size = int(block.size)
    block_mean = float(block.mean())
    distance = block_mean - mean
    total = count + size
    block_squares = float(((block - block_mean) ** 2).sum())
    return mean + distance * size / total, squares + block_squares + distance**2 * count * size / total, total
