"""What TensorFlow.js takes of a configuration of Keras 2: classes, arguments and names; and a configuration as it has to be for it.

TensorFlow.js leaves out arguments that it does not know, without a word: one that is set to something else than what happens without it
is refused here. So is what it does otherwise: values (`values`), axes (`…_axes`), calls (`…_calls`), masks (`…_masks`).
Initializers and regularizers do not matter for a model that has its weights; those that it does not know are left out, since it would
not load the model. So are constraints, which it applies to weights as it loads them (`variables.ts`, `write`), and regularizers of
activities, with which it does not call a layer. Source: TensorFlow.js 4.22, `tfjs-layers/src/layers/`, `initializers.ts`,
`regularizers.ts`, `activations.ts`, `layers/wrappers.ts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.tensorflow_js.axes import of_axes
from kmodel_tools.architecture.tensorflow_js.calls import of_calls
from kmodel_tools.architecture.tensorflow_js.masks import of_masks
from kmodel_tools.architecture.tensorflow_js.values import of_values

_DENSE = (
    "activation activity_regularizer bias_constraint bias_initializer bias_regularizer "
    "kernel_constraint kernel_initializer kernel_regularizer use_bias"
)
_CONVOLUTION = f"{_DENSE} data_format dilation_rate filters kernel_size padding strides"
_SEPARABLE = (
    "depth_multiplier depthwise_constraint depthwise_initializer depthwise_regularizer "
    "pointwise_constraint pointwise_initializer pointwise_regularizer"
)
_CELL = f"{_DENSE} dropout implementation recurrent_constraint recurrent_dropout recurrent_initializer recurrent_regularizer units"
_SEQUENCE = "go_backwards input_dim input_length return_sequences return_state stateful unroll"
_GATED = "recurrent_activation"
_TABLE = f"""
Activation: activation
Add Average Maximum Minimum Multiply GlobalAveragePooling1D GlobalMaxPooling1D InputLayer:
AlphaDropout Dropout: noise_shape rate
AveragePooling1D MaxPooling1D: padding pool_size strides
AveragePooling2D AveragePooling3D MaxPooling2D MaxPooling3D: data_format padding pool_size strides
BatchNormalization: axis beta_constraint beta_initializer beta_regularizer center epsilon gamma_constraint gamma_initializer
    gamma_regularizer momentum moving_mean_initializer moving_variance_initializer scale
Bidirectional: layer merge_mode
CategoryEncoding: num_tokens output_mode
Concatenate: axis
Conv1D Conv2D Conv2DTranspose Conv3D Conv3DTranspose: {_CONVOLUTION}
ConvLSTM2D: {_CONVOLUTION} {_CELL} {_SEQUENCE} {_GATED} unit_forget_bias
Cropping2D: cropping data_format
Dense: {_DENSE} input_dim units
DepthwiseConv2D: {_CONVOLUTION} {_SEPARABLE}
Dot: axes normalize
ELU LeakyReLU: alpha
Embedding: activity_regularizer embeddings_constraint embeddings_initializer embeddings_regularizer
    input_dim input_length mask_zero output_dim
Flatten GlobalAveragePooling2D GlobalMaxPooling2D: data_format
GaussianDropout SpatialDropout1D: rate
GaussianNoise: stddev
GRU: {_CELL} {_SEQUENCE} {_GATED}
GRUCell: {_CELL} {_GATED}
LSTM: {_CELL} {_SEQUENCE} {_GATED} unit_forget_bias
LSTMCell: {_CELL} {_GATED} unit_forget_bias
LayerNormalization: axis beta_initializer beta_regularizer center epsilon gamma_initializer gamma_regularizer scale
Masking: mask_value
PReLU: alpha_constraint alpha_initializer alpha_regularizer shared_axes
Permute: dims
RNN: cell {_SEQUENCE}
ReLU: max_value
RepeatVector: n
Rescaling: offset scale
Reshape: target_shape
SeparableConv2D: {_CONVOLUTION} {_SEPARABLE}
SimpleRNN: {_CELL} {_SEQUENCE}
SimpleRNNCell: {_CELL}
Softmax: axis
StackedRNNCells: cells
ThresholdedReLU: theta
TimeDistributed: layer
UpSampling2D: data_format interpolation size
ZeroPadding2D: data_format padding
"""

_OF_ALL = frozenset({"batch_input_shape", "batch_size", "dtype", "input_dtype", "input_shape", "name", "trainable"})
_WITHOUT_INFLUENCE = frozenset(
    {
        "activity_regularizer", "beta_constraint", "build_config", "dynamic", "fused", "gamma_constraint", "implementation", "input_dim",
        "input_length", "name", "optional", "pad_to_aspect_ratio", "ragged", "seed", "shared_object_id", "sparse", "supports_masking",
        "type_spec", "use_cudnn",
    }
)  # fmt: skip
"""Arguments that change nothing of what a layer predicts, or that other refusals tell of."""
_LEFT_OUT = frozenset({"backward_layer", "build_config", "shared_object_id"})
_SAYS_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "beta_constraint": (None,),
    "data_format": (None, "channels_last"),
    "groups": (1,),
    "keepdims": (False, None),
    "negative_slope": (0, None),
    "noise_shape": (None,),
    "output_padding": (None,),
    "renorm": (False,),
    "reset_after": (False,),
    "sparse": (False,),
    "synchronized": (False,),
    "threshold": (0, None),
    "time_major": (False,),
    "virtual_batch_size": (None,),
    "zero_output_for_mask": (False,),
}
"""Arguments that TensorFlow.js leaves out, and the values at which that makes no difference."""
_BLIND_TO_MASKS = frozenset({"GlobalAveragePooling1D", "Softmax"})
"""Layers that give another result for a masked input in Keras, and do not in TensorFlow.js."""
_ACTIVATIONS = frozenset(
    [
        "elu",
        "gelu",
        "hard_sigmoid",
        "linear",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "softmax",
        "softplus",
        "softsign",
        "swish",
        "tanh",
    ]
)
_OTHER_NAMES = {"silu": "swish"}
_SIX = 6
_INITIALIZERS = frozenset(
    [
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "Identity",
        "LeCunNormal",
        "LeCunUniform",
        "Ones",
        "Orthogonal",
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "VarianceScaling",
        "Zeros",
    ]
)
_INITIALIZERS_OTHERWISE = {"LecunNormal": "LeCunNormal", "LecunUniform": "LeCunUniform"}
_INITIALIZERS_IN_KERAS = {other: name for name, other in _INITIALIZERS_OTHERWISE.items()}


def _listed(table: str) -> Iterator[tuple[str, list[str]]]:
    for line in table.replace("\n    ", " ").strip().splitlines():
        head, _, rest = line.partition(":")
        yield head, rest.split()


def _taken() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for classes, arguments in _listed(_TABLE):
        found |= dict.fromkeys(classes.split(), frozenset(arguments) | _OF_ALL)
    return found


TAKEN = _taken()
"""The arguments of each class of layers that TensorFlow.js has and that means the same there."""


def untaken(architecture: Config) -> list[str]:
    """What of a model of Keras 2 TensorFlow.js does not have, or would leave out without a word; a sentence for each."""
    masked = any(class_of(node) == "Masking" or settings_of(node).get("mask_zero") for node in _layers(architecture))
    found = [sentence for node in _layers(architecture) for sentence in _of_layer(node, masked)]
    for node in _layers(architecture):
        if is_model(class_of(node), settings_of(node)):
            found += [*of_axes(node), *of_calls(node)]
    found += of_masks(architecture)
    return list(dict.fromkeys(found))


def _layers(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every layer of a model, and those that layers hold; models too."""
    stack: list[Any] = [node]
    while stack:
        item = stack.pop()
        if not isinstance(item, Mapping) or "class_name" not in item:
            continue
        yield item
        settings = settings_of(item)
        inner = layer_configs(item) if is_model(class_of(item), settings) else []
        cells = settings.get("cells") if isinstance(settings.get("cells"), list) else []
        stack += [*inner, *(cells or []), settings.get("layer"), settings.get("cell"), settings.get("backward_layer")]


def _of_layer(node: Mapping[str, Any], masked: bool) -> Iterator[str]:
    kind, settings = class_of(node), settings_of(node)
    if is_model(kind, settings):
        return
    layer = f"layer {settings.get('name', '')} ({kind})"
    if kind not in TAKEN:
        yield f"{layer}: it has no such class"
        return
    for key, value in settings.items():
        if key in TAKEN[kind] or key in _WITHOUT_INFLUENCE or (key == "zero_output_for_mask" and not masked):
            continue
        if key == "backward_layer" and isinstance(value, Mapping):
            if _is_mirrored(settings.get("layer"), value):
                continue
            yield f"{layer}: it makes the backward layer of the forward one, and here it has a configuration of its own"
        elif value not in _SAYS_NOTHING.get(key, (None,)):
            yield f"{layer}: it does not know {key}={value!r}"[:200]
    for key in ("activation", "recurrent_activation"):
        value = _activation(settings.get(key))
        if key in TAKEN[kind] and value is not None and (isinstance(value, Mapping) or value not in _ACTIVATIONS):
            yield f"{layer}: it does not know the {key} {class_of(value) if isinstance(value, Mapping) else value!r}"
    if masked and kind in _BLIND_TO_MASKS:
        yield f"{layer}: it takes no masks, and there is one in the model"
    for sentence in of_values(kind, settings):
        yield f"{layer}: {sentence}"


def _activation(value: Any) -> Any:
    """An activation under the name that it has in TensorFlow.js, as far as it has one; else as it is."""
    if isinstance(value, str):
        return _OTHER_NAMES.get(value, value)
    kind, settings = (value.get("class_name"), settings_of(value)) if isinstance(value, Mapping) else ("", {})
    if kind == "ReLU" and settings.get("max_value") == _SIX and not settings.get("negative_slope") and not settings.get("threshold"):
        return "relu6"
    return value if value is None or isinstance(value, Mapping) else str(value)


def _is_mirrored(forward: Any, backward: Mapping[str, Any]) -> bool:
    """Whether a layer is what Bidirectional makes of another one for the other direction, but for how it begins."""
    if not isinstance(forward, Mapping) or forward.get("class_name") != backward.get("class_name"):
        return False
    sides = [
        {key: value for key, value in settings_of(item).items() if key not in ("name", "seed") and not key.endswith("_initializer")}
        for item in (forward, backward)
    ]
    ways = [bool(side.pop("go_backwards", False)) for side in sides]
    return ways[0] is not ways[1] and sides[0] == sides[1]


def spelled(node: Any) -> Any:
    """A configuration of Keras 2 as TensorFlow.js loads it: without policies of dtypes, and with the names that it has for objects."""
    if isinstance(node, list):
        return [spelled(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: spelled(value) for key, value in node.items() if key not in _LEFT_OUT}
    for key in list(found):
        _respell(found, key)
    kind, config = node.get("class_name"), found.get("config")
    if not isinstance(config, dict):
        return found
    if kind in ("SeparableConv2D", "DepthwiseConv2D"):
        found["config"] = {key: value for key, value in config.items() if not key.startswith("kernel_") or key == "kernel_size"}
    elif kind == "Bidirectional" and isinstance(config.get("layer"), dict) and isinstance(settings := config["layer"].get("config"), dict):
        settings["name"] = str(settings.get("name", "")).removeprefix("forward_")  # which it puts before the name
    return found


def _respell(config: dict[str, Any], key: str) -> None:
    value = config[key]
    kind = value.get("class_name") if isinstance(value, Mapping) else value
    if key.endswith("_constraint") or key == "activity_regularizer":
        config[key] = None
    elif key.endswith("activation"):
        config[key] = _activation(value)
    elif key.endswith("_initializer") and kind is not None:
        kind = _INITIALIZERS_OTHERWISE.get(str(kind), kind)
        config[key] = {**value, "class_name": kind} if isinstance(value, Mapping) else kind
        if kind not in _INITIALIZERS:
            del config[key]
    elif key.endswith("_regularizer") and kind is not None:
        inner = value.get("config", {}) if isinstance(value, Mapping) else {}
        amounts = {name: inner.get(name, 0.0) for name in ("l1", "l2")}
        config[key] = {"class_name": "L1L2", "config": amounts} if kind in ("L1", "L2", "L1L2") else None
    elif key == "dtype" and not isinstance(value, str):
        del config[key]
    elif key == "dtype" and value == "int64":
        config[key] = "int32"


def spelled_by_keras(node: Any) -> Any:
    """A configuration of TensorFlow.js with the names that Keras has for objects, and without keys that JS does not set.

    JS writes null for them, and Keras's own default is what they mean; only of a GRU JS takes something else for granted.
    """
    if isinstance(node, list):
        return [spelled_by_keras(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: spelled_by_keras(value) for key, value in node.items() if value is not None}
    kind = found.get("class_name")
    if kind in ("GRU", "GRUCell") and isinstance(found.get("config"), dict):
        found["config"].setdefault("reset_after", False)
    if kind in _INITIALIZERS_IN_KERAS:
        found["class_name"] = _INITIALIZERS_IN_KERAS[kind]
    return found
