"""The arguments that Keras 3 takes and Keras 2 does not, and which of their values say nothing.

Compared with the signatures of the installed releases by the tests. Source: tf_keras 2.21 and Keras 3.15.1, `keras.layers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.upgrade.accepted import accepted as accepted_by_keras_3

ANY: tuple[Any, ...] = ()
"""Every value: the argument has no influence on what the layer predicts."""

_OF_EACH: Mapping[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "bounding_box_format": ANY,
    "data_format": (None, "channels_last"),
    "flash_attention": ANY,
    "gptq_unpacked_column_size": (None,),
    "lora_alpha": ANY,
    "lora_rank": (None,),
    "oov_method": (None, "floormod"),
    "quantization_config": (None,),
    "rms_scaling": (False,),
    "salt": (None,),
    "seed": ANY,
    "sliding_window": (None,),
    "use_cudnn": ANY,
    "use_gate": (False,),
    "value_range": ANY,
    "pad_to_aspect_ratio": (False,),
    "antialias": (False,),
    "fill_mode": ANY,
    "fill_value": ANY,
    "factor": (None,),
    "score_mode": ("concat", "dot"),
    "zero_output_for_mask": (False,),
}
"""Arguments that some class of Keras 2 lacks, and the values at which that makes no difference.

`fill_mode` and `fill_value` are for padding, `value_range` is for training, `score_mode` of AdditiveAttention is not looked at.
"""

_TABLE = """
AdditiveAttention: score_mode
Attention MultiHeadAttention: flash_attention
CenterCrop: bounding_box_format data_format factor
Conv1D Conv2D Conv3D: lora_alpha lora_rank
ConvLSTM1D ConvLSTM2D ConvLSTM3D: seed zero_output_for_mask
Dense EinsumDense Embedding: gptq_unpacked_column_size lora_alpha lora_rank quantization_config
GRU LSTM: use_cudnn
IntegerLookup StringLookup: oov_method salt
LayerNormalization: rms_scaling
MultiHeadAttention: seed sliding_window use_gate
RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom: bounding_box_format data_format
RandomContrast: value_range
RandomCrop RandomFlip RandomTranslation RandomZoom: factor
Resizing: antialias bounding_box_format data_format factor fill_mode fill_value pad_to_aspect_ratio
SimpleRNN: seed
ZeroPadding1D: data_format
"""

DEFAULTS: Mapping[str, Any] = {
    "crop_to_aspect_ratio": False,
    "fill_value": 0.0,
    "groups": 1,
    "invert": False,
    "keepdims": False,
    "offset": 0.0,
    "renorm": False,
    "score_mode": "dot",
    "seed": None,
    "synchronized": False,
    "zero_output_for_mask": False,
}
"""Arguments that Keras 2 came to know late, and what every release does without them."""


def only_in_keras_3(class_name: str) -> Mapping[str, tuple[Any, ...]]:
    """The arguments of a class that Keras 2 does not take, with the values at which it does the same without them."""
    found = {"autocast": _OF_EACH["autocast"]}
    for line in _TABLE.strip().splitlines():
        classes, _, names = line.partition(":")
        if class_name in classes.split():
            found |= {name: _OF_EACH[name] for name in names.split()}
    return found


def taken(class_name: str) -> frozenset[str] | None:
    """The arguments that both generations take, under the names of Keras 3; None for a class that one of them does not have."""
    known = accepted_by_keras_3().get(class_name)
    return known - only_in_keras_3(class_name).keys() if known is not None else None
