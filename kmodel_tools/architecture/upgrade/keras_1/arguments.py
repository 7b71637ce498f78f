"""Arguments of Keras 0.3 and 1 under the names and in the form that Keras 2 has.

Sources: Keras 2.2.4 `keras/legacy/interfaces.py`; Keras 1.2.2 `keras/layers/*.py`, `initializations.py`, `regularizers.py`,
`constraints.py`; Keras 0.3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.keras_1.draft import Draft1

RENAMED = {
    "output_dim": "units",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "bias": "use_bias",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "p": "rate",
    "sigma": "stddev",
    "pool_length": "pool_size",
    "length": "size",
    "atrous_rate": "dilation_rate",
}
OF_EMBEDDING = {
    "init": "embeddings_initializer",
    "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}
OF_PRELU = {"init": "alpha_initializer"}
EMBEDDING = ("Embedding",)
IMAGES = frozenset(
    f"{kind}{rank}D"
    for kind in (
        "ZeroPadding",
        "Cropping",
        "UpSampling",
        "MaxPooling",
        "AveragePooling",
        "GlobalMaxPooling",
        "GlobalAveragePooling",
        "SpatialDropout",
    )
    for rank in (2, 3)
)
"""Layers that have an ordering, which not all of them write down."""
INITIALIZERS: Mapping[str, Any] = {
    "uniform": "random_uniform",
    "normal": "random_normal",
    "zero": "zeros",
    "one": "ones",
    "orthogonal": {"class_name": "Orthogonal", "config": {"gain": 1.1, "seed": None}},
}
FORMATS = {"tf": "channels_last", "th": "channels_first"}
KERNELS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
RECURRENT = frozenset({"SimpleRNN", "LSTM", "GRU"})
SEQUENCES = frozenset({*RECURRENT, "Convolution1D", "AtrousConvolution1D", "LocallyConnected1D", "TimeDistributedDense"})
"""Layers whose `input_dim` is that of each step."""
GONE = ("input_dim", "cache_enabled", "custom_name", "input_length", "input_shape", "weights")


def rename_arguments(draft: Draft1) -> None:
    """Cures `Dense.__init__() missing 1 required positional argument: 'units'` and its like."""
    own = OF_EMBEDDING if draft.class_name in EMBEDDING else OF_PRELU if draft.class_name == "PReLU" else {}
    for old, new in {**RENAMED, **own}.items():
        if old in draft.config and not (old == "output_dim" and draft.class_name in EMBEDDING):
            draft.config[new] = draft.config.pop(old)
    if draft.class_name == "Reshape" and "dims" in draft.config:  # of Keras 0.3
        draft.config["target_shape"] = draft.config.pop("dims")


def join_kernel_size(draft: Draft1) -> None:
    """Cures `Conv2D.__init__() missing 1 required positional argument: 'kernel_size'`."""
    for keys in KERNELS:
        if all(key in draft.config for key in keys):
            draft.config["kernel_size"] = [draft.config.pop(key) for key in keys]


def spell_data_format(draft: Draft1) -> None:
    """Cures `Keyword argument not understood: dim_ordering`.

    Padding, cropping and upsampling do not write which one it is, but took that of the whole program: that of the other layers.
    """
    ordering = draft.config.pop("dim_ordering", None)
    if ordering is None and draft.class_name in IMAGES:
        ordering = draft.source.ordering
        if ordering is None:
            ordering = "tf" if draft.source.version >= (1, 1) else "th"
            draft.say(f"nothing says where the channels are; taken for {FORMATS[ordering]}, as that release has it, in")
    if ordering in FORMATS:
        draft.config["data_format"] = FORMATS[ordering]


def say_input(draft: Draft1) -> None:
    """Say the shape of what comes in as Keras 2 does; Keras 0.3 says it in four ways.

    Cures `Keyword argument not understood: input_dtype`.
    """
    config = draft.config
    shape = config.get("batch_input_shape")
    if shape is None and config.get("input_shape") is not None and draft.class_name not in EMBEDDING:
        shape = [None, *config["input_shape"]]
    if shape is None and draft.cursor is not None and config.get("input_dim") and draft.class_name not in EMBEDDING:
        steps = [config.get("input_length")] if draft.class_name in SEQUENCES else []
        shape = [None, *steps, config["input_dim"]]
    dtype = config.pop("input_dtype", None)
    if draft.class_name in EMBEDDING:
        length = config.get("input_length")
        shape = shape or ([None, length] if draft.cursor is not None else None)
        dtype = "float32"  # Keras 2 would make its weights of the integers that it takes
    kept: Json = {key: config[key] for key in ("input_dim", "input_length") if draft.class_name in EMBEDDING and key in config}
    for key in (*GONE, "batch_input_shape"):
        config.pop(key, None)
    config.update(kept)
    if shape is not None:
        config["batch_input_shape"] = list(shape)
        if dtype is not None:
            config["dtype"] = dtype


def spell_objects(draft: Draft1) -> None:
    """Initializers, regularizers and constraints as objects of Keras 2.

    Cures `Unknown initializer: zero` and `Unknown regularizer: WeightRegularizer`.
    """
    for key, value in draft.config.items():
        if key.endswith("initializer") and isinstance(value, str):
            draft.config[key] = INITIALIZERS.get(value, value)
        elif key.endswith("regularizer") and isinstance(value, Mapping):
            draft.config[key] = _regularizer(draft, value)
        elif key.endswith("constraint") and isinstance(value, Mapping):
            draft.config[key] = _constraint(value)


def _regularizer(draft: Draft1, value: Mapping[str, Any]) -> Json | None:
    if "l1" in value or "l2" in value:
        return {"class_name": "L1L2", "config": {"l1": float(value.get("l1") or 0.0), "l2": float(value.get("l2") or 0.0)}}
    draft.say(f"Keras 2 has no {value.get('name')}; training goes without it in")
    return None


def _constraint(value: Mapping[str, Any]) -> Json:
    renamed = {"m": "max_value", "low": "min_value", "high": "max_value"}
    config = {renamed.get(key, key): item for key, item in value.items() if key != "name"}
    return {"class_name": value.get("name"), "config": config}


def fill_old_defaults(draft: Draft1) -> None:
    """Say what later releases would take otherwise.

    Keras 3 takes a GRU for one with `reset_after`; its `expects 3 weights`, or its bias of another shape, are the consequence.
    """
    config = draft.config
    if draft.class_name in RECURRENT or draft.class_name == "ConvLSTM2D":
        config.setdefault("dropout", 0.0)
        config.setdefault("recurrent_dropout", 0.0)
    if draft.class_name in RECURRENT:
        config["implementation"] = 1
    if draft.class_name in ("LSTM", "GRU", "ConvLSTM2D"):
        config.setdefault("recurrent_activation", "hard_sigmoid")
    if draft.class_name == "GRU":
        config["reset_after"] = False
    if draft.class_name in ("LSTM", "ConvLSTM2D"):
        config["unit_forget_bias"] = config.pop("forget_bias_init", "one") == "one"
    if config.get("activation") == "time_distributed_softmax":
        config["activation"] = "softmax"


def pad_on_all_sides(draft: Draft1) -> None:
    """Padding and cropping by pairs.

    Cures ``` `padding` should have two elements. Found: {'top_pad': 1 …``` and `Found: [1, 1, 1, 1]`.
    """
    if draft.class_name not in ("ZeroPadding1D", "ZeroPadding2D"):
        return
    padding = draft.config.get("padding")
    if isinstance(padding, Mapping):
        sides = ("left", "right") if draft.class_name == "ZeroPadding1D" else ("top", "bottom", "left", "right")
        padding = [padding.get(f"{side}_pad", 0) for side in sides]
    if isinstance(padding, list) and len(padding) == 4:
        padding = [padding[:2], padding[2:]]
    draft.config["padding"] = padding


RULES = (say_input, join_kernel_size, rename_arguments, spell_data_format, spell_objects, fill_old_defaults, pad_on_all_sides)
