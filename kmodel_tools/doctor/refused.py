"""What of an earlier configuration Keras 3 refuses to load.

Sources: Keras 3.15.1 `legacy/saving/saving_utils.py` (`model_from_config`, by which `.h5` is loaded), `saving/serialization_lib.py`
(archives, and what wrappers hold), `layers/layer.py`, `layers/activations/leaky_relu.py`, `layers/core/embedding.py`,
`layers/rnn/lstm.py`; compared with what it does with the models of every release.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.architecture.upgrade.accepted import accepted
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, evidence
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.doctor.safety import places
from kmodel_tools.tree import Path, join_path

OF_LAYER = frozenset({"input_shape", "input_dim"})
"""What `Layer` takes for the shape of its input."""
OF_LEGACY_LOADER = frozenset({"batch_input_shape", "batch_shape"})
OF_LAMBDA = frozenset({"module", "function_type", "output_shape_type", "output_shape_module"})
TAKEN = {
    "LSTM": frozenset({"implementation"}),
    "GRU": frozenset({"implementation"}),
    "LeakyReLU": frozenset({"alpha"}),
    "Embedding": frozenset({"input_length"}),
    "LayerNormalization": frozenset({"rms_scaling"}),
    "TextVectorization": frozenset({"vocabulary_size", "has_input_vocabulary"}),
    "StringLookup": frozenset({"vocabulary_size", "has_input_vocabulary", "trainable"}),
    "IntegerLookup": frozenset({"vocabulary_size", "has_input_vocabulary", "trainable"}),
}
"""What classes take besides the arguments of their signature."""
_GONE = """
    CuDNNLSTM CuDNNGRU LocallyConnected1D LocallyConnected2D ThresholdedReLU TFOpLambda SlicingOpLambda TensorFlowOpLayer
    DenseFeatures RandomFourierFeatures ClassMethod BatchNormalizationV1 BatchNormalizationV2 LSTMV2 GRUV2 SyncBatchNormalization
    Merge MaxoutDense Highway RandomHeight RandomWidth AddLoss AddMetric
"""
GONE = frozenset(_GONE.split())
ENGINES = ("keras.engine.", "keras.src.engine.", "tf_keras.src.engine.", "tf_keras.engine.")
"""Modules of models in archives of Keras 2, which Keras 3 does not have."""
WRAPPERS = frozenset({"Bidirectional", "TimeDistributed"})
MODELS = frozenset({"Sequential", "Functional", "Model"})
_FUNCTIONS = "Input add average concatenate deserialize dot maximum minimum multiply serialize subtract"
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Functions in `keras.src.layers`, where the loader of `.h5` looks for every setting of a layer that is a string."""


def refused(case: Case) -> Iterator[Finding]:
    """What of an earlier configuration Keras 3 does not take; an earlier Keras 3 too wrote what the last one has not."""
    model = case.model
    if model is None or model.architecture is None or case.era is None:
        return
    cure = case.carried("_keras3")
    if model.format == "saved-model" and case.era is not Era.KERAS_3:
        items = [Evidence("", "format", "SavedModel, which Keras 3 loads as a TFSMLayer only")]
        yield finding("rejected-by-keras-3", items, cure, severity="warning")
        return
    version = model.metadata.get("keras_version")
    written = Evidence("", "written by", f"Keras {version}" if version else case.era.value)
    items = list(_arguments(case)) if case.era is Era.KERAS_3 else [*_of_models(case), *_arguments(case)]
    if items or case.era in (Era.KERAS_0, Era.KERAS_1):
        yield finding("rejected-by-keras-3", [written, *items], cure)


def _of_models(case: Case) -> Iterator[Evidence]:
    """How models are written down, which Keras 3 reads otherwise."""
    model = case.model
    architecture: Mapping[str, Any] = {} if model is None else model.architecture or {}
    archived = model is not None and model.format == "keras-archive"
    in_hdf5 = model is not None and model.format == "keras-h5"
    if isinstance(architecture.get("config"), list):
        yield Evidence("", "config", "a list of layers, as Keras before 2.2 writes a Sequential")
    if model is not None and model.format == "keras-json" and "module" not in architecture and architecture.get("class_name") in MODELS:
        yield Evidence("", "class_name", f"{architecture['class_name']} without its module, which Keras 3 does not find")
    for layer, _, item in places(architecture):
        module, inner = item.get("module"), item.get("config")
        if archived and isinstance(module, str) and module.startswith(ENGINES):
            yield Evidence(layer, "module", module)
        if str(item.get("class_name")) in WRAPPERS and isinstance(inner, Mapping):
            yield from _wrapped(layer, inner)
        if isinstance(inner, Mapping) and isinstance(inner.get("layers"), list):
            yield from _calls(inner["layers"])
            if item.get("class_name") == "Sequential" and in_hdf5:
                yield from _inputs(inner["layers"])
        elif isinstance(inner, list) and in_hdf5:
            yield from _inputs(inner)
        yield from _initializers(layer, inner)


def _wrapped(layer: str, config: Mapping[str, Any]) -> Iterator[Evidence]:
    held = config.get("layer")
    if isinstance(held, Mapping) and "module" not in held and "registered_name" not in held and "class_name" in held:
        yield Evidence(layer, "layer", f"{held['class_name']} without its module, which Keras 3 does not find in a wrapper")


def _inputs(layers: list[Any]) -> Iterator[Evidence]:
    """The shape of the input at the first layer of a Sequential, whose batch size Keras 3 takes for a size of the input.

    `expected ndim=3, found ndim=4`, `Shapes used to initialize variables must be fully-defined`, or a model that loads and takes inputs
    of one more dimension. Keras up to 2.3 and TensorFlow up to 2.2 leave the InputLayer out. Source: Keras 3.15.1
    `legacy/saving/saving_utils.py` (`model_from_config`), which passes `batch_input_shape` on as `input_shape`.
    """
    first = layers[0] if layers and isinstance(layers[0], Mapping) else {}
    inner = first.get("config")
    if first.get("class_name") != "InputLayer" and isinstance(inner, Mapping) and isinstance(shape := inner.get("batch_input_shape"), list):
        text = f"{json.dumps(shape)}, of which Keras 3 takes the batch size for a size of the input"
        yield Evidence(str(inner.get("name")), "batch_input_shape", text)


def _calls(layers: list[Any]) -> Iterator[Evidence]:
    """Calls of nested models that are counted from 1: their first node is that of their own making (Keras 2 up to 2.3)."""
    nodes = {item.get("name"): item.get("inbound_nodes") for item in layers if isinstance(item, Mapping)}
    models = {item.get("name") for item in layers if isinstance(item, Mapping) and _is_model(item.get("config"))}
    calls = [call for item in layers if isinstance(item, Mapping) for call in item.get("inbound_nodes") or ()]
    every = [reference for call in calls for reference in _references(call)]
    from_1 = {name for name, _ in every if name in models} - {name for name, index in every if index == 0}
    for item in layers:
        for call in item.get("inbound_nodes") or () if isinstance(item, Mapping) else ():
            for name, index in _references(call):
                made = nodes.get(name)
                if isinstance(made, list) and (index >= max(1, len(made)) or name in from_1):
                    yield Evidence(str(item.get("name")), "inbound_nodes", f"call {index} of {name}, which has {len(made)}")


def _is_model(config: Any) -> bool:
    return isinstance(config, Mapping) and isinstance(config.get("layers"), list)


def _references(call: Any) -> Iterator[tuple[str, int]]:
    for item in call if isinstance(call, list) else ():
        if isinstance(item, list) and len(item) >= 3 and isinstance(item[0], str) and isinstance(item[1], int):
            yield item[0], item[1]


def _initializers(layer: str, config: Any) -> Iterator[Evidence]:
    """Initializers with a dtype, as TensorFlow 2.0 to 2.2 writes them."""
    for key, value in config.items() if isinstance(config, Mapping) else ():
        inner = value.get("config") if isinstance(value, Mapping) and str(key).endswith("initializer") else None
        if isinstance(inner, Mapping) and "dtype" in inner and "module" not in value:
            yield Evidence(layer, f"{key}.dtype", str(inner["dtype"]))


def _arguments(case: Case) -> Iterator[Evidence]:
    """The arguments of built-in layers that their classes of Keras 3 do not know, and classes that it does not have."""
    known = accepted()
    archived = case.model is not None and case.model.format == "keras-archive"
    for path, spec in case.layers:
        if spec.class_name in GONE:
            yield Evidence(join_path(path), "class_name", spec.class_name)
        if spec.is_model or not path or canonical_class(spec.class_name) is None:
            continue
        plain = spec.class_name.rpartition(">")[2]
        if plain not in known or (spec.attr is not None and "name" not in spec.config):
            continue  # the latter is a part that the class makes itself, with the arguments of its owner
        if "/" in spec.name:
            yield Evidence(join_path(path), "name", f"{spec.name}, with a slash")
        if "trainable" in spec.config and spec.config["trainable"] is None:
            yield Evidence(join_path(path), "trainable", "null")
        if plain == "GRU" and "reset_after" not in spec.config:
            yield Evidence(join_path(path), "reset_after", "not said, and true by default in Keras 3: weights of another shape")
        if not archived:
            yield from _functions(path, spec)
        taken = known[plain] | OF_LAYER | TAKEN.get(plain, frozenset())
        taken |= frozenset() if archived else OF_LEGACY_LOADER | (OF_LAMBDA if plain == "Lambda" else frozenset())
        yield from evidence((join_path(path), key, value) for key, value in spec.config.items() if key not in taken)


def _functions(path: Path, spec: LayerSpec) -> Iterator[Evidence]:
    """Settings that are the name of a function: `Invalid value for argument score_mode. Received: <function dot>`, of every Attention.

    Source: Keras 3.15.1 `legacy/saving/serialization.py` (`class_and_config_for_serialized_keras_object`).
    """
    for key, value in spec.config.items():
        if key != "name" and isinstance(value, str) and value in FUNCTIONS:
            yield Evidence(join_path(path), key, f"{value}, which Keras 3 takes for the function keras.layers.{value}")


CHECKS = (refused,)
