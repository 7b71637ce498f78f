"""Axes that TensorFlow.js does not go along, and numbers of dimensions that it does not take, as far as a configuration tells them.

BatchNormalization takes the values of another axis for those of the last, and works on up to four dimensions; Softmax goes along the last
axis; Flatten takes no flat input; Dot takes up to three dimensions. Source: TensorFlow.js 4.22 `tfjs-layers/src/layers/normalization.ts`,
`advanced_activations.ts`, `core.ts`, `merge.ts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, layer_configs, settings_of
from kmodel_tools.architecture.topology import references

Entries = Mapping[str, tuple[Mapping[str, Any], int]]
"""The layers of a model by name, each with its position."""
_RANKS = """
2: Flatten GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
3: AveragePooling1D Conv1D MaxPooling1D RepeatVector SeparableConv1D SpatialDropout1D UpSampling1D ZeroPadding1D
4: AveragePooling2D Conv2D Conv2DTranspose Cropping2D DepthwiseConv2D MaxPooling2D SeparableConv2D UpSampling2D ZeroPadding2D
5: AveragePooling3D Conv3D Conv3DTranspose MaxPooling3D
0: Activation Add AlphaDropout Average BatchNormalization Concatenate Dense Dropout ELU GaussianDropout GaussianNoise InputLayer
    LayerNormalization LeakyReLU Masking Maximum Minimum Multiply PReLU Permute ReLU Rescaling Softmax Subtract ThresholdedReLU
"""
"""The dimensions of what layers put out, the batch among them; 0 for as many as they are given."""
_RECURRENT = {"LSTM": 2, "GRU": 2, "SimpleRNN": 2, "RNN": 2, "ConvLSTM2D": 4}
"""Those of a single step."""
_FLAT = 2
_MOST = {"BatchNormalization": 4, "Dot": 3}


def _listed(table: str) -> Iterator[tuple[str, list[str]]]:
    for line in table.strip().splitlines():
        head, _, rest = line.partition(":")
        yield head, rest.split()


RANKS = {kind: int(rank) for rank, kinds in _listed(_RANKS) for kind in kinds}


def of_axes(model: Config) -> Iterator[str]:
    """What of a model's own layers lies along axes that TensorFlow.js does not take; a sentence for each."""
    entries = {_name(entry): (entry, number) for number, entry in enumerate(layer_configs(model))}
    for name, (entry, _) in entries.items():
        kind, before, inner = class_of(entry), _rank(_before(name, entries), entries), entry
        if kind == "TimeDistributed" and isinstance(settings_of(entry).get("layer"), Mapping):
            inner = settings_of(entry)["layer"]
            kind, before = class_of(inner), max(before - 1, 0)
        layer = f"layer {settings_of(inner).get('name', name)} ({kind})"
        axis = settings_of(inner).get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        rank = before or (_rank(name, entries) if inner is entry else 0)
        if kind in ("BatchNormalization", "Softmax") and axis != -1 and (not rank or axis != rank - 1):
            yield f"{layer}: nothing says that axis {axis} is the last one, and it knows no other"
        if before > _MOST.get(kind, before):
            yield f"{layer}: it takes {_MOST[kind]} dimensions, and here are {before}"
        if kind == "Flatten" and before == _FLAT:
            yield f"{layer}: it does not take what is flat already"


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or settings_of(entry).get("name"))


def _before(name: str, entries: Entries) -> str:
    """The layer that feeds another one first; "" where that is not told."""
    entry, number = entries[name]
    if "inbound_nodes" not in entry:
        return list(entries)[number - 1] if number else ""
    calls = references(entry["inbound_nodes"])
    return str(calls[0][0]) if calls else ""


def _rank(name: str, entries: Entries) -> int:
    """The dimensions of what a layer puts out; 0 where that is not told."""
    more = 0
    for _ in range(len(entries)):
        if name not in entries:
            return 0
        entry, _ = entries[name]
        if known := RANKS.get(class_of(entry), 0) or _told(entry):
            return known + more
        shape = settings_of(entry).get("batch_input_shape") or settings_of(entry).get("batch_shape")
        more += class_of(entry) == "Embedding"
        if class_of(entry) not in RANKS and class_of(entry) != "Embedding":
            return 0
        if isinstance(shape, list):
            return len(shape) + more
        name = _before(name, entries)
    return 0


def _told(entry: Config) -> int:
    """The dimensions of what a layer puts out that its arguments tell of; 0 for others."""
    settings = settings_of(entry)
    if class_of(entry) == "Bidirectional" and isinstance(settings.get("layer"), Mapping):
        entry, settings = settings["layer"], settings_of(settings["layer"])
    if class_of(entry) == "Reshape" and isinstance(settings.get("target_shape"), list):
        return len(settings["target_shape"]) + 1
    if class_of(entry) in _RECURRENT and not settings.get("return_state"):
        return _RECURRENT[class_of(entry)] + bool(settings.get("return_sequences"))
    return 0
