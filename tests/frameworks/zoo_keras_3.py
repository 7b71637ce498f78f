"""What Keras 3 alone has: layers, arguments and functions, for the zoo of `zoo_layers`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

Framework = Any
Row = tuple[str, dict[str, Any], Mapping[str, Sequence[Any]]]
"""What a class is called on, the arguments that it needs, and values of the others."""

_FUNCTIONS = """
    celu glu hard_shrink hard_silu hard_swish hard_tanh log_sigmoid soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink
    threshold
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Activations that tf_keras does not have."""
OF_EVERY_LAYER = frozenset({"name", "dtype", "trainable", "activity_regularizer", "autocast"})
RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}


def of_keras_3(K: Framework, found: Mapping[str, Row]) -> dict[str, Row]:
    """The table of tf_keras's classes as that of Keras 3: without what it does not take, and with what it alone takes."""
    made: dict[str, Row] = {}
    more = _arguments()
    for kind, (given, needed, varied) in found.items():
        known = getattr(K.layers, kind, None)
        if known is None:
            continue
        taken = OF_EVERY_LAYER | set(inspect.signature(known.__init__).parameters)
        every = {RENAMED.get((kind, key), key): values for key, values in varied.items()} | more.get(kind, {}) | {"autocast": [False]}
        made[kind] = (given, needed, {key: values for key, values in every.items() if key in taken})
    return made | {kind: row for kind, row in _layers().items() if hasattr(K.layers, kind)}


def _arguments() -> dict[str, dict[str, Sequence[Any]]]:
    """Values of arguments that tf_keras does not have."""
    factors: dict[str, Sequence[Any]] = {"lora_rank": [2], "lora_alpha": [4]}
    first: dict[str, Sequence[Any]] = {"data_format": ["channels_first", "channels_last"]}
    seed: dict[str, Sequence[Any]] = {"seed": [7]}
    recurrent = {**seed, "zero_output_for_mask": [True]}
    found: dict[str, dict[str, Sequence[Any]]] = {
        "AdditiveAttention": {"seed": [3]},
        "Attention": {"seed": [3]},
        "BatchNormalization": {"renorm": [True]},
        "CenterCrop": first,
        "Dense": factors,
        "EinsumDense": factors,
        "Embedding": factors,
        "Flatten": first,
        "GRU": {**recurrent, "use_cudnn": [False]},
        "IntegerLookup": {"oov_method": ["floormod", "farmhash"], "salt": [3]},
        "LSTM": {**recurrent, "use_cudnn": [False]},
        "LayerNormalization": {"rms_scaling": [True]},
        "MultiHeadAttention": {**seed, "use_gate": [True], "flash_attention": [False], "sliding_window": [2]},
        "RandomCrop": first,
        "RandomFlip": first,
        "Resizing": {
            **first,
            "pad_to_aspect_ratio": [True],
            "fill_mode": ["constant"],
            "fill_value": [0.5],
            "antialias": [True],
            "interpolation": ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"],
        },
        "SimpleRNN": recurrent,
        "StringLookup": {"oov_method": ["floormod", "farmhash"], "salt": [3]},
        "ZeroPadding1D": first,
    }
    for rank in (1, 2, 3):
        found[f"Conv{rank}D"] = factors
        found[f"ConvLSTM{rank}D"] = recurrent
    return found


def _layers() -> dict[str, Row]:
    """Layers that tf_keras does not have."""
    return {
        "AdaptiveAveragePooling2D": ("image", {"output_size": 3}, {}),
        "AdaptiveMaxPooling1D": ("sequence", {"output_size": 2}, {}),
        "GroupQueryAttention": ("sequence sequence", {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1}, {}),
        "RMSNormalization": ("sequence", {}, {}),
        "RandomShear": ("image", {"x_factor": 0.1}, {}),
        "RandomInvert": ("image", {}, {}),
        "ReversibleEmbedding": ("integers", {"input_dim": 9, "output_dim": 3}, {}),
        "Solarization": ("image", {}, {}),
    }
