"""How wide tensors are: the last size of what layers of Keras 2 put out, as far as the configuration tells.

It is all that one rule has to know (`channels`). What is not told, or differs between calls, is not in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.upgrade.graph import is_reference
from kmodel_tools.architecture.upgrade.inputs import SHAPES, as_shape
from kmodel_tools.tree import Path

PASSES = 20
"""How often a graph is gone through; files list layers nearly in the order in which they run."""
_SAME = """
    Activation ActivityRegularization Add AlphaDropout Average BatchNormalization Concatenate Dropout ELU GaussianDropout
    GaussianNoise LeakyReLU Maximum Minimum Multiply PReLU ReLU Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    Subtract ThresholdedReLU
"""
SAME = frozenset(_SAME.split())
"""Layers whose output is as wide as each of their inputs, if these are equally wide; of Concatenate, those along the channels."""
FIRST = "channels_first"


def widths(config: Config) -> dict[Path, int]:
    """The last size of the output of each layer, by the layer's path."""
    found: dict[Path, int] = {}
    stack: list[tuple[Path, Mapping[str, Any]]] = [((), config)]
    while stack:
        path, node = stack.pop()
        settings = settings_of(node)
        if not is_model(class_of(node), settings):
            continue
        entries = layer_configs(node)
        of = _of_list(entries) if class_of(node) == "Sequential" else _of_graph(entries)
        found |= {(*path, name): width for name, width in of.items()}
        stack += [((*path, _name(entry)), entry) for entry in entries if isinstance(settings_of(entry).get("layers"), list)]
    return found


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or settings_of(entry).get("name") or "")


def _of_list(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    width: int | None = None
    for entry in entries:
        width = _said(entry) or put_out(entry, [width])
        if width is not None:
            found[_name(entry)] = width
    return found


def _of_graph(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for _ in range(PASSES):
        before = len(found)
        for entry in entries:
            if _name(entry) in found:
                continue
            nodes = entry.get("inbound_nodes")
            calls = [[found.get(name) for name in _callers(call)] for call in (nodes if isinstance(nodes, list) else ())]
            made = {put_out(entry, inputs) for inputs in calls} if calls else {_said(entry)}
            width = made.pop()
            if width is not None and not made:
                found[_name(entry)] = width
        if len(found) == before:
            break
    return found


def _callers(call: Any) -> list[str]:
    """The layers that one call takes its tensors from."""
    items = [call] if is_reference(call) else call if isinstance(call, list) else []
    return [str(item[0]) if is_reference(item) else "" for item in items]


def _said(entry: Mapping[str, Any]) -> int | None:
    """The width of an input; any other layer that says its input's shape goes by `_put_out`."""
    settings = settings_of(entry)
    shape = next((as_shape(settings[key]) for key in SHAPES if settings.get(key) is not None), None)
    if not shape or not isinstance(shape[-1], int):
        return None
    return shape[-1] if class_of(entry) == "InputLayer" else put_out(entry, [shape[-1]])


def put_out(entry: Mapping[str, Any], inputs: Sequence[int | None]) -> int | None:
    """How wide the output of one call of a layer is that is called on tensors of some widths, or None where that is not told."""
    if not inputs or inputs[0] is None or len(set(inputs)) != 1:
        return None
    kind, settings = class_of(entry), settings_of(entry)
    if kind in SAME:
        return None if kind == "Concatenate" and settings.get("axis") not in (1, -3) else inputs[0]
    rule = next((rule for part, rule in RULES.items() if part in kind), None)
    if rule is None or not is_builtin(kind) or settings.get("data_format") != FIRST:
        return None
    try:
        width = rule(settings, inputs[0])
    except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):  # a forged argument: nothing is told
        return None
    return width if width > 0 else None


def _last(value: Any) -> int:
    return int(value[-1] if isinstance(value, list) else value)


def _window(settings: Config, width: int, size: int, step: int) -> int:
    return -(-width // step) if settings.get("padding") == "same" else (width - size) // step + 1


def _convolved(settings: Config, width: int) -> int:
    reach = (_last(settings["kernel_size"]) - 1) * _last(settings.get("dilation_rate", 1)) + 1
    return _window(settings, width, reach, _last(settings.get("strides", 1)))


def _transposed(settings: Config, width: int) -> int:
    size, step = _last(settings["kernel_size"]), _last(settings.get("strides", 1))
    if settings.get("output_padding") is not None or _last(settings.get("dilation_rate", 1)) != 1:
        raise ValueError
    return width * step if settings.get("padding") == "same" else width * step + max(size - step, 0)


def _pooled(settings: Config, width: int) -> int:
    size = _last(settings["pool_size"])
    return _window(settings, width, size, _last(settings.get("strides") or size))


def _sides(value: Any) -> int:
    last = value[-1] if isinstance(value, list) else value
    return sum(int(side) for side in last) if isinstance(last, list) else 2 * int(last)


RULES: Mapping[str, Callable[[Config, int], int]] = {
    "Transpose": _transposed,
    "GlobalMax": lambda settings, width: 0,
    "GlobalAverage": lambda settings, width: 0,
    "ConvLSTM": lambda settings, width: 0,
    "Conv": _convolved,
    "Pooling": _pooled,
    "ZeroPadding": lambda settings, width: width + _sides(settings["padding"]),
    "Cropping": lambda settings, width: width - _sides(settings["cropping"]),
    "UpSampling": lambda settings, width: width * _last(settings["size"]),
}
"""What layers do to the last size, by what their class is called; the first that fits."""
