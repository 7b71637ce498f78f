"""Values of arguments that TensorFlow.js takes, and with which it fails later or gives other results than Keras.

Source: TensorFlow.js 4.22 `tfjs-layers/src/layers/`; what is said of a value was seen on Node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, settings_of

_SEVERAL = ("Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv2D")
_BOTH_WAYS = frozenset({"LSTM", "GRU", "SimpleRNN", "ConvLSTM2D"})
_DTYPES_OF_INPUTS = frozenset({"float32", "int32", "int64", "bool", "string", "complex64"})


def of_values(kind: str, settings: Config) -> Iterator[str]:
    """What of a layer's arguments TensorFlow.js does otherwise; a sentence for each."""
    for kinds, key, is_so in _RULES:
        value = settings.get(key)
        if kind in kinds and value is not None and is_so(value):
            yield f"it does not do {key}={_short(value)} as Keras does"
    if kind == "SeparableConv2D" and _is_not_one(settings.get("strides")) and _is_not_one(settings.get("dilation_rate")):
        yield "it does not do strides and dilation_rate at once"
    if kind == "CategoryEncoding":
        yield "it changes the shape of its own input, and is not loaded"
    if kind == "RNN" and settings.get("return_state") and len(stacked_cells(settings)) > 1:
        yield "it returns the states of several cells in the opposite order"
    dtype = _dtype(settings.get("dtype"))
    if "float16" in dtype or (kind == "InputLayer" and dtype and dtype not in _DTYPES_OF_INPUTS):
        yield f"it does not work with dtype={dtype!r}"


def stacked_cells(settings: Config) -> list[Any]:
    """The cells of an RNN; none where it has a single one."""
    cell = settings.get("cell")
    if isinstance(cell, list):
        return cell
    inner = settings_of(cell) if isinstance(cell, Mapping) else {}
    cells = inner.get("cells")
    return cells if isinstance(cells, list) else []


def _short(value: Any) -> str:
    return class_of(value) if isinstance(value, Mapping) else repr(value)[:60]


def _is_not_one(value: Any) -> bool:
    return value is not None and any(item != 1 for item in (value if isinstance(value, list) else [value]))


def _dtype(value: Any) -> str:
    """The name of an element type, or of a policy."""
    if isinstance(value, Mapping):
        value = settings_of(value).get("name")
    return value if isinstance(value, str) else ""


_RULES: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
    (("Conv1D",), "padding", lambda value: value == "causal"),
    (("Conv1D", "SeparableConv2D"), "data_format", lambda value: value == "channels_first"),
    (_SEVERAL, "dilation_rate", _is_not_one),
    (("UpSampling2D",), "interpolation", lambda value: value == "bilinear"),
    (("ELU",), "alpha", lambda value: value != 1),
    (("Concatenate",), "axis", lambda value: isinstance(value, int) and value < -1),  # it takes every negative axis for the last one
    (("Bidirectional",), "layer", lambda value: not isinstance(value, Mapping) or class_of(value) not in _BOTH_WAYS),
)
