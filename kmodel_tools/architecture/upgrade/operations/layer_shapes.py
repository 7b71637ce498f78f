"""What layers of Keras 3 make of shapes, as far as operations of TensorFlow ask for them: sizes, not how they come about.

What is not known is None: nothing is concluded from it but that a size is known only at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.topology import references
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.graph import refs
from kmodel_tools.architecture.upgrade.inputs import dtype_name
from kmodel_tools.architecture.upgrade.operations.values import Dim, Shape, broadcast, product, quotient

Sizes = Sequence[Dim | None]
Spec = tuple[Shape | None, str | None]
"""Shape and dtype of a tensor."""
Result = tuple[Sizes | None, str | None]

_SAME = """
    Activation ActivityRegularization AlphaDropout BatchNormalization Dropout ELU GaussianDropout GaussianNoise
    GroupNormalization Identity LayerNormalization LeakyReLU Masking Normalization PReLU ReLU Rescaling Softmax
    SpatialDropout1D SpatialDropout2D SpatialDropout3D UnitNormalization RandomFlip RandomRotation RandomTranslation
    RandomZoom RandomContrast RandomBrightness LayerScale StochasticDepth
"""
SAME = frozenset(_SAME.split())
_ANY_DTYPE = """
    Identity Reshape Flatten Permute RepeatVector Concatenate Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D UpSampling1D UpSampling2D UpSampling3D Add Subtract Multiply Maximum Minimum
"""
KEEPS_INTEGERS = frozenset(_ANY_DTYPE.split())
"""Layers that give integers for integers."""


def results_of(entry: Mapping[str, Any], inputs: Sequence[Spec]) -> list[Result]:
    """Shape and dtype of each output of a layer, called on tensors; one output that nothing is known of, where it is of somebody's own.

    Args:
        entry: The layer, as Keras 3 spells it.
        inputs: What it is called on.
    """
    kind, config = str(entry.get("class_name")), entry.get("config")
    config = config if isinstance(config, Mapping) else {}
    dtype = compute_dtype(config.get("dtype"))
    if kind == "Sequential":
        return _of_a_list(config, inputs)
    if kind == "Functional" and isinstance(config.get("layers"), list):
        return _of_a_graph(config, inputs)
    if not inputs:
        return [(None, dtype)]
    first = inputs[0]
    if kind in KEEPS_INTEGERS and first[1] is not None and "int" in first[1]:
        dtype = first[1]
    if kind in ("LSTM", "GRU", "SimpleRNN"):
        return [(shape, dtype) for shape in _recurrent(kind, config, first[0])]
    rule = _RULES.get(kind) if entry.get("module") else None
    if kind in SAME:
        return [(first[0], dtype)]
    try:
        if kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
            return [(broadcast(*(shape for shape, _ in inputs)), dtype)]
        if kind == "Concatenate":
            return [(_joined([shape for shape, _ in inputs], int(config.get("axis", -1))), dtype)]
        return [(None if rule is None or first[0] is None else rule(config, first[0]), dtype)]
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return [(None, dtype)]  # a configuration that no layer has; Keras will say so


def compute_dtype(value: Any) -> str | None:
    """The dtype that a layer computes in, by its policy."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config.get("name") if isinstance(config, Mapping) else None
    if isinstance(value, str) and value.startswith("mixed_"):
        return value.removeprefix("mixed_")
    return dtype_name(value)


def _of_a_list(config: Mapping[str, Any], inputs: Sequence[Spec]) -> list[Result]:
    found: list[Result] = list(inputs)
    layers = config.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, Mapping) and layer.get("class_name") != "InputLayer":
            found = results_of(layer, [_spec(item) for item in found])
    return found


def _of_a_graph(config: Mapping[str, Any], inputs: Sequence[Spec]) -> list[Result]:
    """What a Functional model without operations makes of shapes, whose layers stand in any order."""
    known: dict[tuple[str, int, int], Result] = {}
    ends = [references(config.get(key)) for key in ("input_layers", "output_layers")]
    for reference, spec in zip(ends[0], inputs, strict=False):
        known[reference[0], 0, int(reference[2])] = spec
    calls = [(layer, number) for layer in config["layers"] for number in range(len(layer.get("inbound_nodes") or ()))]
    waiting = [(layer, number, list(refs(layer["inbound_nodes"][number].get("args")))) for layer, number in calls]
    while waiting:
        later = []
        for layer, number, keys in waiting:
            if all(key in known for key in keys):
                for output, result in enumerate(results_of(layer, [_spec(known[key]) for key in keys])):
                    known[str(layer.get("name")), number, output] = result
            else:
                later.append((layer, number, keys))
        if len(later) == len(waiting):
            break
        waiting = later
    functional = {layer.get("name") for layer in config["layers"] if layer.get("class_name") == "Functional"}
    keys = [(str(name), int(call) - (name in functional), int(output)) for name, call, output, *_ in ends[1]]
    return [known.get(key, (None, None)) for key in keys]


def _spec(item: Result) -> Spec:
    """A result as what the next layer is called on; a shape of which a size is not known counts as not known."""
    shape = item[0]
    return (None if shape is None or any(size is None for size in shape) else tuple(size for size in shape if size is not None), item[1])


def _first(config: Mapping[str, Any]) -> bool:
    return config.get("data_format") == "channels_first"


def _row(value: Any, axes: int) -> list[int]:
    return [int(value)] * axes if isinstance(value, int) else [int(item) for item in value]


def _windows(axes: int, channels: str | None, pool: bool = False) -> Callable[[Mapping[str, Any], Shape], Sizes]:
    """Convolutions and pools over so many axes; `channels` is the argument that says how many come out."""

    def rule(config: Mapping[str, Any], shape: Shape) -> Sizes:
        first = _first(config)
        kernel = _row(config["pool_size" if pool else "kernel_size"], axes)
        strides = _row(config.get("strides") or (kernel if pool else 1), axes)
        spread = _row(config.get("dilation_rate") or 1, axes)
        found: list[Dim | None] = list(shape)
        for axis, (window, step, gap) in enumerate(zip(kernel, strides, spread, strict=True), 2 if first else 1):
            size, span = shape[axis], (window - 1) * gap + 1
            valid = config.get("padding", "valid") == "valid"
            found[axis] = (
                -(-(size - span + 1 if valid else size) // step) if isinstance(size, int) else (size if step == 1 and not valid else None)
            )
        place = 1 if first else -1
        if channels == "depth_multiplier":
            found[place] = product([shape[place], int(config.get("depth_multiplier") or 1)])
        elif channels:
            found[place] = int(config[channels])
        return found

    return rule


def _transposed(axes: int) -> Callable[[Mapping[str, Any], Shape], Sizes]:
    def rule(config: Mapping[str, Any], shape: Shape) -> Sizes:
        first = _first(config)
        kernel, strides = _row(config["kernel_size"], axes), _row(config.get("strides") or 1, axes)
        found: list[Dim | None] = list(shape)
        for axis, (window, step) in enumerate(zip(kernel, strides, strict=True), 2 if first else 1):
            size = shape[axis]
            plain = (
                isinstance(size, int) and not config.get("output_padding") and _row(config.get("dilation_rate") or 1, axes) == [1] * axes
            )
            more = max(window - step, 0) if config.get("padding", "valid") == "valid" else 0
            found[axis] = size * step + more if plain and isinstance(size, int) else None
        found[1 if first else -1] = int(config["filters"])
        return found

    return rule


def _whole(config: Mapping[str, Any], shape: Shape) -> Sizes:
    """A global pool."""
    first = _first(config)
    channels = shape[1] if first else shape[-1]
    if not config.get("keepdims"):
        return [shape[0], channels]
    return [size if axis in (0, 1 if first else len(shape) - 1) else 1 for axis, size in enumerate(shape)]


def _around(key: str, axes: int, sign: int) -> Callable[[Mapping[str, Any], Shape], Sizes]:
    """Padding and cropping."""

    def rule(config: Mapping[str, Any], shape: Shape) -> Sizes:
        pairs = config[key]
        if isinstance(pairs, int):
            pairs = [pairs] * axes
        if axes == 1 and all(isinstance(item, int) for item in pairs) and len(pairs) == 2:
            pairs = [pairs]
        found: list[Dim | None] = list(shape)
        for axis, pair in enumerate(pairs, 2 if _first(config) else 1):
            size, more = shape[axis], 2 * pair if isinstance(pair, int) else sum(pair)
            found[axis] = size + sign * more if isinstance(size, int) else (size if more == 0 else None)
        return found

    return rule


def _grown(axes: int) -> Callable[[Mapping[str, Any], Shape], Sizes]:
    def rule(config: Mapping[str, Any], shape: Shape) -> Sizes:
        found: list[Dim | None] = list(shape)
        for axis, factor in enumerate(_row(config.get("size", 2), axes), 2 if _first(config) else 1):
            found[axis] = product([shape[axis], factor])
        return found

    return rule


def _joined(shapes: Sequence[Shape | None], axis: int) -> Sizes | None:
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or not known:
        return None
    found: list[Dim | None] = list(known[0])
    total = [shape[axis] for shape in known]
    found[axis] = sum(size for size in total if isinstance(size, int)) if all(isinstance(size, int) for size in total) else None
    return found


def _reshape(config: Mapping[str, Any], shape: Shape) -> Sizes:
    target: list[Dim | None] = [int(size) for size in config["target_shape"]]
    if -1 in target:
        target[target.index(-1)] = quotient(shape[1:], [size for size in target if size is not None and size != -1])
    return [shape[0], *target]


def _recurrent(kind: str, config: Mapping[str, Any], shape: Shape | None) -> list[Sizes | None]:
    units = config.get("units")
    if shape is None or len(shape) != 3 or not isinstance(units, int):
        return [None]
    state = [shape[0], units]
    out: Sizes = [shape[0], shape[1], units] if config.get("return_sequences") else state
    return [out, *([state] * (2 if kind == "LSTM" else 1) if config.get("return_state") else [])]


def _both_ways(config: Mapping[str, Any], shape: Shape) -> Sizes | None:
    inner = config.get("layer")
    if not isinstance(inner, Mapping) or config.get("merge_mode") is None or inner.get("config", {}).get("return_state"):
        return None
    found = results_of(inner, [(shape, None)])[0][0]
    if found is None or config["merge_mode"] != "concat":
        return found
    size = found[-1]
    return [*found[:-1], 2 * size if isinstance(size, int) else None]


def _each_time(config: Mapping[str, Any], shape: Shape) -> Sizes | None:
    inner = config.get("layer")
    found = results_of(inner, [((shape[0], *shape[2:]), None)])[0][0] if isinstance(inner, Mapping) else None
    return None if found is None else [found[0], shape[1], *found[1:]]


def _attention(config: Mapping[str, Any], shape: Shape) -> Sizes | None:
    """MultiHeadAttention: as long as the query."""
    value = config.get("output_shape")
    if not value:
        return shape
    return [*shape[:-1], *_row(value, 1)]


def _resizing(config: Mapping[str, Any], shape: Shape) -> Sizes:
    found: list[Dim | None] = list(shape)
    place = -2 if _first(config) else -3
    found[place], found[place + 1] = int(config["height"]), int(config["width"])
    return found


_RULES: dict[str, Callable[[Json | Mapping[str, Any], Shape], Sizes | None]] = {
    "Dense": lambda config, shape: [*shape[:-1], int(config["units"])],
    "Embedding": lambda config, shape: [*shape, int(config["output_dim"])],
    "Flatten": lambda config, shape: [shape[0], product(shape[1:])],
    "Reshape": _reshape,
    "Permute": lambda config, shape: [shape[0], *(shape[axis] for axis in config["dims"])],
    "RepeatVector": lambda config, shape: [shape[0], int(config["n"]), *shape[1:]],
    "TimeDistributed": _each_time,
    "Bidirectional": _both_ways,
    "MultiHeadAttention": _attention,
    "Resizing": _resizing,
    "CenterCrop": _resizing,
    "RandomCrop": _resizing,
    **{f"{name}Pooling{axes}D": _windows(axes, None, pool=True) for axes in (1, 2, 3) for name in ("Max", "Average")},
    **{f"Global{name}Pooling{axes}D": _whole for axes in (1, 2, 3) for name in ("Max", "Average")},
    **{f"{name}{axes}D": _windows(axes, "filters") for axes in (1, 2, 3) for name in ("Conv", "SeparableConv")},
    **{f"DepthwiseConv{axes}D": _windows(axes, "depth_multiplier") for axes in (1, 2)},
    **{f"Conv{axes}DTranspose": _transposed(axes) for axes in (1, 2, 3)},
    **{f"ZeroPadding{axes}D": _around("padding", axes, 1) for axes in (1, 2, 3)},
    **{f"Cropping{axes}D": _around("cropping", axes, -1) for axes in (1, 2, 3)},
    **{f"UpSampling{axes}D": _grown(axes) for axes in (1, 2, 3)},
}
