"""LocallyConnected1D and 2D: a convolution whose kernel is another one at every position, which Keras 3 does not have.

It is written as a list of two layers, which compute the same::

    Conv2D        with a constant kernel, a unit matrix: takes the window around every position, its values in a row
    EinsumDense   "bhwk,hwkf->bhwf": a product with the kernel of each position

The three ways in which tf_keras keeps the kernel (`implementation`) become one: 1 has `(positions, window · channels,
filters)`; 2 a matrix of all inputs with all outputs; 3 a row of what is connected. Where windows reach beyond the borders,
a ZeroPadding stands before. Source: tf_keras 2.21 `layers/locally_connected/`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import sizes
from kmodel_tools.architecture.weight_rules import Reshape, Step, Transpose, UnitMatrix, Unshared
from kmodel_tools.tensor import Shape
from kmodel_tools.unshared import Windows

RANKS = {"LocallyConnected1D": 1, "LocallyConnected2D": 2}
OF_THE_PRODUCT = (
    "activation",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "bias_constraint",
)
WHY = "Keras 3 has no layer with a kernel for every position"


def locally_connected(draft: Draft) -> None:
    """LocallyConnected as a convolution that takes windows, and EinsumDense.

    Cures `Unknown layer: 'LocallyConnected2D'`.

    Raises:
        UpgradeError: Nothing tells the sizes of its input or output.
    """
    rank = RANKS.get(draft.class_name)
    if rank is None:
        return
    config = draft.config
    first = config.get("data_format") == "channels_first"
    windows, channels = _windows(draft, rank, first)
    filters, inner = int(config["filters"]), math.prod(windows.window) * channels
    use_bias = bool(config.get("use_bias", True))
    axes = "hw"[:rank]
    output = (filters, *windows.outputs) if first else (*windows.outputs, filters)
    window = {"kernel_size": list(windows.window), "strides": list(windows.strides), "data_format": config.get("data_format")}
    taken = {"filters": inner, **window, "padding": "valid", "use_bias": False, "activation": None, "trainable": False}
    product = {
        "equation": f"bk{axes},{axes}kf->bf{axes}" if first else f"b{axes}k,{axes}kf->b{axes}f",
        "output_shape": list(output),
        "bias_axes": (f"f{axes}" if first else f"{axes}f") if use_bias else None,
        **{key: config[key] for key in OF_THE_PRODUCT if key in config},
    }
    if config.get("kernel_constraint"):
        draft.say("the constraint of a kernel for every position has no equivalent in Keras 3 and is left out, which concerns training")
    layers = [(f"Conv{rank}D", taken), ("EinsumDense", product)]
    if windows.same:
        padding = _padding(windows)
        pads = {"padding": padding[0] if rank == 1 else padding, "data_format": config.get("data_format")}
        layers.insert(0, (f"ZeroPadding{rank}D", pads))
    implementation = int(config.get("implementation") or 1)
    draft.become_a_row(*layers)
    count = len(layers)
    draft.move_weights(count, ["kernel", "bias"] if use_bias else ["kernel"], WHY)
    draft.extend_steps(count, "kernel", _kernel_steps(windows, channels, filters, first, implementation))
    if use_bias and first:
        draft.extend_steps(count, "bias", (Reshape(output),))  # tf_keras reshapes it too (`backend.bias_add`): nothing is transposed
    taking = f"{draft.config['name']}_{count - 1}"
    draft.make_weight(taking, "kernel", "kernel", _taking_steps(windows, channels, first, implementation), WHY)
    draft.say("LocallyConnected is not in Keras 3: written as a convolution that takes windows, and EinsumDense")


def _kernel_steps(windows: Windows, channels: int, filters: int, first: bool, implementation: int) -> tuple[Step, ...]:
    if implementation == 1:
        return (Reshape((*windows.outputs, math.prod(windows.window) * channels, filters)),)
    return (Unshared(windows, channels, filters, first),)


def _taking_steps(windows: Windows, channels: int, first: bool, implementation: int) -> tuple[Step, ...]:
    """A kernel that puts a window's values in a row; with channels first, implementation 1 has those of a channel together."""
    rank = len(windows.window)
    inner = math.prod(windows.window) * channels
    if first and implementation == 1:
        return UnitMatrix(inner), Reshape((channels, *windows.window, inner)), Transpose((*range(1, rank + 1), 0, rank + 1))
    return UnitMatrix(inner), Reshape((*windows.window, channels, inner))


def _padding(windows: Windows) -> list[list[int]]:
    """How many zeros stand before and behind the input, so that a convolution without padding has as many positions."""
    found = []
    for size, count, length, step in zip(windows.inputs, windows.outputs, windows.window, windows.strides, strict=True):
        before = length // 2
        found.append([before, max(0, (count - 1) * step + length - size - before)])
    return found


def _windows(draft: Draft, rank: int, first: bool) -> tuple[Windows, int]:
    """Where it looks, and how many channels there are: as its weights and its input tell.

    Raises:
        UpgradeError: They do not.
    """
    config = draft.config
    kernel, bias = draft.shape("kernel"), draft.shape("bias")
    if kernel is None:
        raise draft.refuse("has a kernel of its own for every position, and is written anew with its weights, of which there are none")
    window, strides = sizes(config.get("kernel_size"), rank), sizes(config.get("strides") or 1, rank)
    (filters,) = sizes(config.get("filters"), 1)
    same = config.get("padding") == "same"
    given = draft.notes.given.get(draft.paths[0])
    known = (given[2:] if first else given[1:-1]) if given is not None else None
    inputs = tuple(known) if known is not None and len(known) == rank and all(known) else None
    if len(kernel) == 2 * rank + 2:
        place = 1 if first else 0
        return Windows(kernel[place : place + rank], window, strides, same), kernel[0 if first else rank]
    outputs = tuple(bias[:rank]) if bias is not None else kernel[:1] if rank == 1 and len(kernel) > 1 else None
    fitting = _fitting(
        kernel, (window, strides, same), filters, [inputs] if inputs is not None else _inputs(outputs, window, strides, same)
    )
    if not fitting:
        raise draft.refuse("does not tell the sizes of what it is called on")
    if len({(item.outputs, channels, item.connections) for item, channels in fitting}) > 1:
        raise draft.refuse("does not tell which of several sizes it is called on")
    return fitting[0]


def _inputs(outputs: Sequence[int] | None, window: Shape, strides: Shape, same: bool) -> list[Shape]:
    """The shapes of inputs that lead to those of an output."""
    if outputs is None:
        return []
    ranges = []
    for count, length, step in zip(outputs, window, strides, strict=True):
        least = (count - 1) * step + (1 if same else length)
        ranges.append(range(least, least + step))
    return list(itertools.product(*ranges))


def _fitting(kernel: Shape, how: tuple[Shape, Shape, bool], filters: int, inputs: Sequence[Shape]) -> list[tuple[Windows, int]]:
    """Which inputs a kernel can be of, with the number of channels; those that mean the same stand once."""
    found: list[tuple[Windows, int]] = []
    for shape in inputs:
        windows = Windows(shape, *how)
        if any(count < 1 for count in windows.outputs):
            continue
        if len(kernel) == 1:
            channels, rest = divmod(kernel[0], windows.connections * filters)
        else:
            channels, rest = divmod(kernel[1], math.prod(windows.window))
            rest += math.prod(windows.outputs) != kernel[0]
        if rest or not channels:
            continue
        if not any(other.ticks() == windows.ticks() and not windows.same for other, _ in found):
            found.append((windows, channels))
    return found
