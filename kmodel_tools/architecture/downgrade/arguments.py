"""Arguments that Keras 2 does not take, or takes under another name.

Every release of Keras 2 rejects what a class does not know, whatever its value:
`Keyword argument not understood: use_cudnn`, `Unrecognized keyword arguments passed to Dense: {'quantization_config': None}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.downgrade.accepted import ANY, DEFAULTS, NEEDED, only_in_keras_3, taken
from kmodel_tools.architecture.upgrade.arguments import UNUSED
from kmodel_tools.architecture.upgrade.draft import Draft

SHARED = frozenset({"dtype", "name", "trainable"})


def drop_what_is_new(draft: Draft) -> None:
    """Leave out arguments that Keras 2 does not take; one that means something is an error, and never dropped in silence.

    Raises:
        UpgradeError: The argument asks for what Keras 2 does not do.
    """
    known = taken(draft.class_name)
    if known is None:
        return
    new = only_in_keras_3(draft.class_name)
    for key in list(draft.config):
        value = draft.config[key]
        is_default = key in DEFAULTS and value == DEFAULTS[key] and (draft.class_name, key) not in NEEDED
        is_empty = key in new and (new[key] is ANY or value in new[key])
        if is_default or is_empty or (key in UNUSED and key not in known):
            del draft.config[key]
        elif key not in known | SHARED:
            raise draft.refuse(f"has {key}={_shown(value)}, which no layer of Keras 2 does")


def _shown(value: Any) -> str:
    """A value as an error shows it: an object, such as that of a quantization, by its class."""
    kind = value.get("class_name") if isinstance(value, Mapping) else None
    return kind if isinstance(kind, str) else repr(value)


def lora_is_merged(draft: Draft) -> None:
    """A layer with LoRA: its kernel is stored with the factors merged into it, and Keras 2 has no others.

    Raises:
        UpgradeError: The factors are beside the kernel, as legacy files of Keras 3 have them.
    """
    if not draft.config.get("lora_rank"):
        return
    if any(draft.shape(role) is not None for role in ("lora_kernel_a", "lora_embeddings_a")):
        raise draft.refuse("keeps factors of LoRA beside its kernel; convert it to .keras first, which merges them")
    draft.drop("lora_rank", "lora_alpha")
    draft.say("LoRA is not in Keras 2: the layer has the kernel that its factors are merged into")


def renorm(draft: Draft) -> None:
    """BatchNormalization that does not renormalize: what it would do so with, which Keras 2 does not list among its arguments."""
    if draft.is_a("BatchNormalization") and not draft.config.get("renorm"):
        draft.drop("renorm", "renorm_clipping", "renorm_momentum")


def shapes_of_attention(draft: Draft) -> None:
    """MultiHeadAttention: the shapes that it is called on, which Keras 2 keeps in its configuration.

    Cures `KeyError: 'query_shape'`. Source: tf_keras 2.21 `layers/attention/multi_head_attention.py`, `from_config`, which builds
    the layer from them, and when it is called where one is None.
    """
    if draft.is_a("MultiHeadAttention"):
        draft.config |= {f"{name}_shape": None for name in ("query", "key", "value")}


OF_TEXT = frozenset(
    {"CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
)


def dtype_of_its_own(draft: Draft) -> None:
    """Layers that put out integers: their dtype is that of what they put out in Keras 2, and a policy that they do not mind in Keras 3.

    Cures ``TextVectorization` may only have a dtype of string. Received dtype: float32`.
    """
    if draft.class_name in OF_TEXT:
        draft.drop("dtype")


def encoded_rank(draft: Draft) -> None:
    """Layers that encode categories: those of Keras 2 put out no more than two axes.

    Cures `When output_mode is not 'int', maximum supported output rank is 2` (tf_keras 2.21 `layers/preprocessing/preprocessing_utils.py`,
    `encode_categorical_inputs`), which the new file would end in.

    Raises:
        UpgradeError: It is called on more.
    """
    mode = draft.config.get("output_mode", "multi_hot" if draft.is_a("CategoryEncoding") else "int")
    if draft.class_name not in OF_TEXT - {"TextVectorization"} or mode == "int":
        return
    shape = draft.notes.given.get(draft.paths[0])
    if shape is not None and (len(shape) > 2 or (mode == "one_hot" and shape[1:] not in ([], [1]))):
        raise draft.refuse(f"encodes more than one axis ({mode}), which layers of Keras 2 do not")


def alpha(draft: Draft) -> None:
    """LeakyReLU: `negative_slope` as `alpha`, which Keras 2 calls it."""
    if draft.is_a("LeakyReLU") and "negative_slope" in draft.config:
        draft.config["alpha"] = draft.config.pop("negative_slope")


def lambda_function(draft: Draft) -> None:
    """Lambda: `[code, defaults, closure]` and what kind it is, as Keras 2 has it; the code stays bytes of text that nobody looks into."""
    if not draft.is_a("Lambda"):
        return
    config = draft.config
    for key in ("function", "mask", "output_shape"):
        value = config.get(key)
        kind = value.get("class_name") if isinstance(value, dict) else None
        if isinstance(value, dict) and kind == "__lambda__" and isinstance(inner := value.get("config"), dict):
            config |= {key: [inner.get("code"), inner.get("defaults"), inner.get("closure")], f"{key}_type": "lambda"}
        elif isinstance(value, dict) and kind == "function":
            config |= {key: value.get("config"), f"{key}_type": "function"}
        elif key != "mask" or value is not None:
            config |= {key: value, f"{key}_type": "raw"}
    config.setdefault("arguments", {})


RULES = (
    lora_is_merged,
    drop_what_is_new,
    renorm,
    shapes_of_attention,
    dtype_of_its_own,
    encoded_rank,
    alpha,
    lambda_function,
)
