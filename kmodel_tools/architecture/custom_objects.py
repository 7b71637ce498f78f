"""Which classes and functions a configuration names that Keras does not have itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.envelope import registered_as
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.names import snake_case

_LISTED_NAMES = """
    Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal OrthogonalInitializer Identity
    IdentityInitializer STFTInitializer GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal
    L1 L2 L1L2 OrthogonalRegularizer WeightRegularizer L1L2Regularizer ActivityRegularizer EigenvalueRegularizer
    MaxNorm NonNeg UnitNorm MinMaxNorm RadialConstraint
    SGD RMSprop Adam AdamW Adamax Nadam Adagrad Adadelta Adafactor Ftrl Lion Lamb Muon LossScaleOptimizer
    ScheduleFreeAdamW MultiOptimizer TFOptimizer
    ExponentialDecay PiecewiseConstantDecay PolynomialDecay InverseTimeDecay CosineDecay CosineDecayRestarts
    DTypePolicy DTypePolicyMap QuantizedDTypePolicy QuantizedFloat8DTypePolicy Int4DTypePolicy GPTQDTypePolicy
    AWQDTypePolicy FloatDTypePolicy Policy PolicyV1
    Int4QuantizationConfig Int8QuantizationConfig Float8QuantizationConfig GPTQConfig AWQConfig AbsMaxQuantizer
    MeanMetricWrapper LossFunctionWrapper Mean Sum MeanTensor SumMetric
    TensorShape TypeSpec CollectiveReduceScatter function __tensor__ __numpy__ __keras_tensor__ __tuple__ __slice__
    __ellipsis__ __bytes__ __lambda__ __symbol_tensor__ __typespec__ __dtype__ Ellipsis slice
"""
_ACTIVATION_NAMES = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
"""
BUILTIN_NAMES = frozenset(_LISTED_NAMES.split())
"""What Keras itself has under other kinds than layers: initializers, optimizers, metrics, policies …"""
ACTIVATIONS = frozenset(_ACTIVATION_NAMES.split())
"""The functions of `keras.activations` in Keras 3.15.1."""
_TRAINING_CLASS_NAMES = """
    AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy BinaryIoU CTC CategoricalAccuracy CategoricalCrossentropy
    CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle ConcordanceCorrelation CosineProximity
    CosineSimilarity Crossentropy Dice F1Score FBetaScore FalseNegatives FalsePositives Hinge Huber HuberLoss IoU KLDivergence
    KullbackLeiblerDivergence LogCosh LogCoshError Logcosh Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanRelativeError
    MeanSquaredError MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score
    Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy SparseCategoricalCrossentropy
    SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives Tversky
"""
_TRAINING_CLASSES = frozenset(_TRAINING_CLASS_NAMES.split())
_TRAINING_NAMES = frozenset(snake_case(name) for name in _TRAINING_CLASSES) | frozenset(
    [
        "acc",
        "bce",
        "ce",
        "cosine",
        "crossentropy",
        "kld",
        "logcosh",
        "loss",
        "mae",
        "mape",
        "mse",
        "msle",
        "auc",
        "iou",
        "binary_io_u",
        "io_u",
        "kl_divergence",
        "f1_score",
        "r2_score",
    ]
)
"""Losses and metrics that some Keras has, by name: `keras.losses` and `keras.metrics` of 1.2.2, 2.3.1, 2.15 and 3.15.1."""
_OTHER_FUNCTIONS = frozenset(snake_case(name) for name in BUILTIN_NAMES)
_NAME = re.compile(r"([^<>]+>)?[^\W\d]\w*")
"""What can be the name of a function, with its package; a class of somebody's own may mean something else by an activation."""
_OF_LAMBDA = ("function", "output_shape", "mask")
_HOLD_LAYERS = frozenset({"layers", "layer", "backward_layer", "cell", "cells"})
_KERAS_MODULES = ("keras.", "tf_keras.", "tensorflow.keras.", "tensorflow.python.keras.", "builtins")


@dataclass(frozen=True, slots=True)
class CustomObject:
    """A class or function that a model needs and Keras does not have.

    Attributes:
        kind: "layer", "object" (an initializer, loss, optimizer …), "function", or "lambda" (marshalled bytecode).
        name: As the configuration names it, with its package where it has one (`pkg>MyLayer`).
        used_by: Names of the layers that use it, in order; empty for one that the training configuration names.
    """

    kind: str
    name: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place of a configuration that names something that is not built in.

    Attributes:
        kind: As in `CustomObject`.
        name: As in `CustomObject`.
        layer: The layer that it stands in, or "" for none.
        key: The argument that it is, or "" for a layer of a model and the model itself.
        config: The arguments that it is made with; none for a function.
    """

    kind: str
    name: str
    layer: str
    key: str
    config: Mapping[str, Any]


def custom_objects(architecture: Mapping[str, Any] | None, training: Mapping[str, Any] | None = None) -> tuple[CustomObject, ...]:
    """List what configurations name that is not built in, in the order of first use.

    Nothing is imported: a name is only compared with the names that Keras of any generation has.

    Args:
        architecture: The configuration of a model, or None.
        training: What it was compiled with, or None.
    """
    used: dict[tuple[str, str], list[str]] = {}
    for item in occurrences(architecture, training):
        layers = used.setdefault((item.kind, item.name), [])
        if item.layer and item.layer not in layers:
            layers.append(item.layer)
    return tuple(CustomObject(kind, name, tuple(layers)) for (kind, name), layers in used.items())


def occurrences(architecture: Mapping[str, Any] | None, training: Mapping[str, Any] | None = None) -> Iterator[Occurrence]:
    """Yield every place at which a model's configurations name something that is not built in."""
    yield from _named(architecture)
    yield from _named(training)
    for key in ("loss", "metrics", "weighted_metrics"):
        yield from _function_names((training or {}).get(key), key)


def _named(config: Any) -> Iterator[Occurrence]:
    stack: list[tuple[Any, str, bool, str]] = [(config, "", True, "")] if config and "class_name" in config else [(config, "", False, "")]
    while stack:
        item, layer, in_layers, key = stack.pop()
        if isinstance(item, list):
            stack.extend((element, layer, in_layers, key) for element in reversed(item))
        elif isinstance(item, Mapping):
            here = _layer_name(item) or layer if in_layers and item is not config else layer
            settings = item.get("config")
            for kind, name in _own(item, in_layers):
                yield Occurrence(kind, name, here, key, settings if isinstance(settings, Mapping) else {})
            for below, value in reversed(list(item.items())):
                is_list = below == "config" and isinstance(value, list)  # a Sequential of Keras 1 and 2.0
                is_row = below == "layers" or (is_list and item.get("class_name") == "Sequential")
                stack.append((value, here, is_row or below in _HOLD_LAYERS, "" if is_row else key if below == "config" else below))


def _function_names(value: Any, key: str) -> Iterator[Occurrence]:
    """The functions that a training configuration knows by name alone, for one output or several."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, Mapping) and "class_name" not in item:
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, str) and item.lower() not in _TRAINING_NAMES and item not in _TRAINING_CLASSES:
            yield Occurrence("function", item, "", key, {})


def _layer_name(item: Mapping[str, Any]) -> str | None:
    inner = item.get("config")
    name = item.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return name if isinstance(name, str) else None


def _own(item: Mapping[str, Any], in_layers: bool) -> Iterator[tuple[str, str]]:
    class_name = item.get("class_name")
    inner = item.get("config")
    if isinstance(class_name, str) and ("config" in item or in_layers):
        if class_name == "Lambda" and isinstance(inner, Mapping) and any(_is_bytecode(inner, key) for key in _OF_LAMBDA):
            yield "lambda", "Lambda"
        elif class_name == "function":
            yield from _function(item)
        elif not _is_known(item, class_name):
            yield "layer" if in_layers else "object", registered_as(item) or class_name
    for key in ("activation", "recurrent_activation", "inner_activation"):
        value = item.get(key)
        if isinstance(value, str) and "class_name" not in item and _NAME.fullmatch(value) and value.lower() not in ACTIVATIONS:
            yield "function", value


def _is_bytecode(config: Mapping[str, Any], key: str) -> bool:
    function = config.get(key)
    if isinstance(function, Mapping):
        return function.get("class_name") == "__lambda__"
    if isinstance(function, str):
        return config.get(f"{key}_type") == "lambda"  # as Keras 1.0 has it, as bytes in a string
    return isinstance(function, list) and bool(function) and isinstance(function[0], str) and config.get(f"{key}_type") != "raw"


def _function(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    module = item.get("module")
    name = item.get("config")
    if not isinstance(name, str):
        return
    if module in (None, "builtins"):  # of anybody: Keras looks among its own functions, and then among custom objects
        if name not in ACTIVATIONS and name.lower() not in _TRAINING_NAMES and name not in _OTHER_FUNCTIONS:
            yield "function", name
    elif not str(module).startswith(_KERAS_MODULES):
        yield "function", name


def _is_known(item: Mapping[str, Any], class_name: str) -> bool:
    registered = registered_as(item)
    if registered is not None and not registered.startswith(("keras>", "Keras>")):
        return False
    module = item.get("module")
    if isinstance(module, str):
        return module == "keras" or module.startswith(_KERAS_MODULES)
    plain = class_name.removeprefix("Custom>")
    return is_builtin(class_name) or plain in BUILTIN_NAMES or plain in _TRAINING_CLASSES
