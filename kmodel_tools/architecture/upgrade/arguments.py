"""Arguments that Keras 3 does not take any more, or takes under another name.

Keras 3 rejects every argument that a class does not know, whatever its value:
`Unrecognized keyword arguments passed to LSTM: {'time_major': False}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.custom_objects import ACTIVATIONS
from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.upgrade.accepted import accepted
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import ACTIVATION_KEYS, activation_of, plain_value

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "time_major": (False, None),
    "groups": (1, None),
    "noise_shape": (None,),
    "dynamic": (False, None),
    "unroll": (False, None),
    "type_spec": (None,),
    "num_constants": (None, 0),
    "constants": (None,),
    "causal": (False, None),
    "sparse": (False, None),
    "ragged": (False, None),
    "split": (None,),
    "weights": (None,),
    "stateful": (False, None),
    "idf_weights": (None,),
    "antialias": (False, None),
    "adjustment": (None,),
    "lora_rank": (None,),
    "mask": (None,),
    "expects_training_arg": (None, True, False),
    "expects_mask_arg": (None, True, False),
}
"""Arguments that Keras 3 does not know, and their values that say no more than that there is none."""

_UNUSED_NAMES = """
    implementation input_length input_dim input_shape batch_input_shape batch_shape batch_size input_dtype
    rng_type force_generator fused virtual_batch_size query_shape key_shape value_shape softmax_robust_masking
    robust_masking filters kernel_initializer kernel_regularizer kernel_constraint trainable activity_regularizer
    function_type module output_shape_type output_shape_module mask_type mask_module vocabulary_size vocab_size
    has_input_vocabulary zero_output_for_mask
"""
UNUSED = frozenset(_UNUSED_NAMES.split())
"""Arguments that have no influence on what the classes that write them compute, or that the rest of the configuration repeats.

`filters` and `kernel_…` are written by depthwise and separable convolutions, whose weights have other names;
`virtual_batch_size` and `fused` concern training and the choice of a kernel; the shapes of MultiHeadAttention are those
of the tensors that it is called on.
"""


def drop_what_is_not_known(draft: Draft) -> None:
    """Leave out arguments that Keras 3 does not take; one that means something is an error, and never dropped in silence.

    Cures `Unrecognized keyword arguments passed to Conv2DTranspose: {'groups': 1}`, and so with `time_major` of recurrent
    layers, `noise_shape` and `trainable` of SpatialDropout, `rng_type` of random layers, `query_shape` of
    MultiHeadAttention, `input_length` of Embedding, `batch_input_shape` of any.

    Raises:
        UpgradeError: The argument is not known, or asks for what Keras 3 does not do.
    """
    known = accepted().get(draft.class_name)
    if known is None:
        return
    for key in [key for key in draft.config if key not in known]:
        value = draft.config.pop(key)
        if key in UNUSED or (key in HARMLESS and value in HARMLESS[key]):
            continue
        raise draft.refuse(f"has {key}={value!r}, which no layer of Keras 3 does")


def dtype_of_the_input(draft: Draft) -> None:
    """A layer of Keras 2 itself says the dtype of what it is called on, `int32` of an Embedding; in Keras 3 it is that of its weights.

    Cures `Need minval < maxval, got 0 >= 0`, from the initializer of a table of integers.
    Source: Keras 2.0.5 `layers/embeddings.py`, `__init__`; `engine/topology.py`, `Layer.get_config`.
    """
    dtype = draft.config.get("dtype")
    if draft.notes.era is Era.KERAS_2 and isinstance(dtype, str) and dtype.startswith(("int", "uint", "bool")):
        del draft.config["dtype"]


def one_axis(draft: Draft) -> None:
    """BatchNormalization: `axis: [3]`, which tf.keras writes, as 3.

    Cures `TypeError: '<' not supported between instances of 'list' and 'int'` (Keras 3 takes one axis).
    """
    axis = draft.config.get("axis")
    if draft.is_a("BatchNormalization") and isinstance(axis, list):
        if len(axis) != 1:
            raise draft.refuse(f"normalizes over the axes {axis}; Keras 3 has one of them")
        draft.config["axis"] = axis[0]


def negative_slope(draft: Draft) -> None:
    """LeakyReLU: `alpha` as `negative_slope`, which Keras 3 calls it."""
    if draft.is_a("LeakyReLU") and "alpha" in draft.config:
        alpha = draft.config.pop("alpha")
        draft.config.setdefault("negative_slope", alpha.get("value") if isinstance(alpha, Mapping) else alpha)


def offset(draft: Draft) -> None:
    """Rescaling without an offset, as TensorFlow 2.2 has it; Keras 3 wants it to be said.

    Cures `KeyError: 'offset'` (Keras 3.15.1 `layers/preprocessing/rescaling.py`, `from_config`).
    """
    if draft.is_a("Rescaling"):
        draft.config.setdefault("offset", 0.0)


def lambda_function(draft: Draft) -> None:
    """Lambda: `[code, defaults, closure]` as the object that Keras 3 has; the code stays bytes of text that nobody looks into.

    Cures `TypeError: Could not interpret function` and `Unrecognized keyword arguments passed to Lambda: {'function_type': …}`.
    """
    if not draft.is_a("Lambda"):
        return
    config = draft.config
    for key in ("function", "mask", "output_shape"):
        value = config.get(key)
        kind = config.get(f"{key}_type")
        if value is None:
            config.pop(key, None)
        elif isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and kind != "raw":
            code, defaults, closure = value
            config[key] = {"class_name": "__lambda__", "config": {"code": code, "defaults": defaults, "closure": closure}}
        elif isinstance(value, str) and kind == "lambda":  # Keras 1.0, which keeps the code alone
            config[key] = {"class_name": "__lambda__", "config": {"code": value, "defaults": None, "closure": None}}
        elif isinstance(value, str) and kind != "raw":
            config[key] = {"class_name": "function", "config": value, "module": "builtins", "registered_name": "function"}
    config["arguments"] = config.get("arguments") or {}


def lambda_mask(draft: Draft) -> None:
    """Refuse a Lambda with a function for its mask: Keras 3 takes the description of the function for the mask itself.

    Source: Keras 3.15.1 `layers/core/lambda_layer.py`, whose `from_config` looks at `function`, `output_shape` and `arguments`.

    Raises:
        UpgradeError: It has one.
    """
    if draft.is_a("Lambda") and isinstance(draft.config.get("mask"), Mapping):
        raise draft.refuse("has a function for its mask, which Keras 3 saves and does not load; put another in its place: --replace-layer")


def lambda_arrays(draft: Draft) -> None:
    """Arrays among the arguments of a Lambda's function, as Keras 3 writes them; else it would be called with a list.

    Source: tf_keras 2.21 `layers/core/lambda_layer.py`, `from_config`: `np.array(arg_dict["value"])`.
    """
    arguments = draft.config.get("arguments")
    if draft.is_a("Lambda") and isinstance(arguments, Mapping):
        draft.config["arguments"] = {key: _array(value) for key, value in arguments.items()}


def _array(value: Any) -> Any:
    if not (isinstance(value, Mapping) and value.get("type") == "ndarray" and isinstance(value.get("value"), list)):
        return value
    flat = [value["value"]]
    kinds = set()
    while flat:
        item = flat.pop()
        if isinstance(item, list):
            flat.extend(item)
        else:
            kinds.add(type(item))
    dtype = "bool" if kinds == {bool} else "int64" if kinds <= {int, bool} else "float64"
    return {"class_name": "__numpy__", "config": {"value": value["value"], "dtype": dtype}}


def function_of_somebody(draft: Draft) -> None:
    """An activation that is not one of Keras's, as a function: by its name alone, Keras 3 does not look among custom objects.

    Cures `Could not interpret activation function identifier: swish6`. Source: Keras 3.15.1 `activations/__init__.py`, `get`.
    """
    for key in ACTIVATION_KEYS:
        value = draft.config.get(key)
        if isinstance(value, str) and activation_of(draft, key) not in ACTIVATIONS:
            registered = value if ">" in value else "function"
            draft.config[key] = {"module": "builtins", "class_name": "function", "config": value, "registered_name": registered}


def causal_at_the_call(draft: Draft) -> None:
    """Attention: `causal: true` of tf.keras 2.0 to 2.10 as `use_causal_mask=True` of its calls.

    Cures `Unrecognized keyword arguments passed to Attention: {'causal': …}`.
    """
    if draft.is_a("Attention", "AdditiveAttention") and draft.config.pop("causal", False):
        draft.call_with["use_causal_mask"] = True


def category_names(draft: Draft) -> None:
    """CategoryEncoding of tf.keras 2.3 to 2.5: `max_tokens` as `num_tokens`, `output_mode: binary` as `multi_hot`.

    Cures `Unrecognized keyword arguments passed to CategoryEncoding: {'max_tokens': …}`.
    """
    if draft.is_a("CategoryEncoding") and "max_tokens" in draft.config:
        draft.config["num_tokens"] = draft.config.pop("max_tokens")
    if draft.is_a("CategoryEncoding", "TextVectorization", "StringLookup", "IntegerLookup") and draft.config.get("output_mode") in (
        "binary",
        "tf-idf",
    ):
        draft.config["output_mode"] = {"binary": "multi_hot", "tf-idf": "tf_idf"}[draft.config["output_mode"]]


def mean_and_variance(draft: Draft) -> None:
    """Normalization: a number beside a list, as two lists.

    Cures ``When setting values directly, `mean` and `variance` must have the same shape``.
    """
    if not draft.is_a("Normalization"):
        return
    given = {key: plain_value(draft.config[key]) for key in ("mean", "variance") if draft.config.get(key) is not None}
    rows = [value for value in given.values() if isinstance(value, list)]
    if len(given) == 2 and len(rows) == 1:
        given = {key: value if isinstance(value, list) else _filled(rows[0], value) for key, value in given.items()}
    draft.config |= given


def _filled(like: list[Any], value: Any) -> list[Any]:
    """Lists of the same shape, of one value."""
    return [_filled(item, value) if isinstance(item, list) else value for item in like]


RULES = (
    dtype_of_the_input,
    mean_and_variance,
    one_axis,
    negative_slope,
    offset,
    lambda_function,
    lambda_mask,
    lambda_arrays,
    function_of_somebody,
    causal_at_the_call,
    category_names,
    drop_what_is_not_known,
)
