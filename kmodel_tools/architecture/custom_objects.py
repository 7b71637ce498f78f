"""Which classes and functions a configuration names that Keras does not have itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.layer_classes import is_builtin

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
_ACTIVATIONS = frozenset(_ACTIVATION_NAMES.split())
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


def custom_objects(*configs: Mapping[str, Any] | None) -> tuple[CustomObject, ...]:
    """List what configurations name that is not built in, in the order of first use.

    Nothing is imported: a name is only compared with the names that Keras of any generation has.
    """
    used: dict[tuple[str, str], list[str]] = {}
    for config in configs:
        for kind, name, layer in _named(config):
            layers = used.setdefault((kind, name), [])
            if layer and layer not in layers:
                layers.append(layer)
    return tuple(CustomObject(kind, name, tuple(layers)) for (kind, name), layers in used.items())


def _named(config: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, name, layer it stands in) for everything that is not built in, iteratively."""
    stack: list[tuple[Any, str, bool]] = [(config, "", False)]
    while stack:
        item, layer, in_layers = stack.pop()
        if isinstance(item, list):
            stack.extend((element, layer, in_layers) for element in reversed(item))
        elif isinstance(item, Mapping):
            here = _layer_name(item) or layer if in_layers else layer
            yield from ((kind, name, here) for kind, name in _own(item, in_layers))
            stack.extend(
                (value, here, key in ("layers", "layer", "backward_layer", "cell", "cells")) for key, value in reversed(list(item.items()))
            )


def _layer_name(item: Mapping[str, Any]) -> str | None:
    inner = item.get("config")
    name = item.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return name if isinstance(name, str) else None


def _own(item: Mapping[str, Any], in_layers: bool) -> Iterator[tuple[str, str]]:
    class_name = item.get("class_name")
    inner = item.get("config")
    if isinstance(class_name, str) and ("config" in item or in_layers):
        if class_name == "Lambda" and isinstance(inner, Mapping) and _is_bytecode(inner.get("function")):
            yield "lambda", "Lambda"
        elif class_name == "function":
            yield from _function(item)
        elif not _is_known(item, class_name):
            registered = item.get("registered_name")
            yield "layer" if in_layers else "object", registered if isinstance(registered, str) and ">" in registered else class_name
    for key in ("activation", "recurrent_activation", "inner_activation"):
        value = item.get(key)
        if isinstance(value, str) and "class_name" not in item and value.lower() not in _ACTIVATIONS:
            yield "function", value


def _is_bytecode(function: Any) -> bool:
    if isinstance(function, Mapping):
        return function.get("class_name") == "__lambda__"
    return isinstance(function, list) and bool(function) and isinstance(function[0], str)


def _function(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    module = item.get("module")
    name = item.get("config")
    if isinstance(name, str) and not (module is None and name in _ACTIVATIONS) and not str(module or "").startswith(_KERAS_MODULES):
        yield "function", name


def _is_known(item: Mapping[str, Any], class_name: str) -> bool:
    registered = item.get("registered_name")
    if isinstance(registered, str) and ">" in registered and not registered.startswith(("keras>", "Keras>")):
        return False
    module = item.get("module")
    if isinstance(module, str):
        return module == "keras" or module.startswith(_KERAS_MODULES)
    plain = class_name.removeprefix("Custom>")
    return is_builtin(class_name) or plain in BUILTIN_NAMES
