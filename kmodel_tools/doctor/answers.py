"""What in a file explains a message: an answer for each kind of message, evidence and cure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.envelope import version_numbers
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, evidence, literal, shape_text
from kmodel_tools.doctor.safety import places
from kmodel_tools.tree import join_path

Answer = tuple[list[Evidence], str]
"""What in the file explains a message, and the cure."""
ATTRIBUTE_LIMIT = 64 << 10
"""Bytes of an attribute of HDF5."""


# What configurations say.


def argument(case: Case, match: re.Match[str]) -> Answer:
    """The layers with the arguments that were named."""
    keys = set(re.findall(r"'(\w+)'", match[0])) | {group for name, group in match.groupdict().items() if name == "key" and group}
    items: list[tuple[str, str, Any]] = []
    for layer, _, item in places(_architecture(case)):
        inner = item.get("config")
        if "class_name" not in item or not isinstance(inner, Mapping):
            continue
        wanted = match.groupdict().get("kind")
        if wanted is None or str(item["class_name"]).rpartition(">")[2] == wanted:
            items += [(layer, key, inner[key]) for key in inner if key in keys]
    newer = case.era is not None and case.era.value.startswith("Keras 3")
    target = " --target keras2" if newer else ""
    return list(evidence(items)), f"kmt convert {case.quoted} {case.output('_converted' + ('.h5' if newer else '.keras'))}{target}"


def _architecture(case: Case) -> Any:
    return case.model.architecture if case.model is not None else [config for _, config in case.remains]


def name(case: Case, match: re.Match[str]) -> Answer:
    """The places that name the class or function."""
    name = next(group for group in match.groups() if group)
    configs = [_architecture(case), None if case.model is None else case.model.training_config]
    items = [item for config in configs for item in _named(config, name)]
    if items and not list(_named(_architecture(case), name)):
        cure = f"keras.models.load_model({literal(case.path)}, compile=False)  # only the loss, metric or optimizer needs it"
    else:
        cure = f"{case.carried('_converted')}  # carries it, or prints the stub of your code"
    return list(evidence(items)), cure


def _named(config: Any, name: str) -> Iterator[tuple[str, str, Any]]:
    """`(layer, key, value)` of the places in a configuration that name a class or function."""
    plain = name.rpartition(">")[2]
    for layer, _, item in places(config):
        kind = item.get("class_name")
        if str(kind).rpartition(">")[2] == plain:
            yield layer, "class_name", kind
        for key, value in item.items():
            if isinstance(value, str) and key not in ("class_name", "registered_name", "name") and value in (name, plain):
                yield layer, key, value


def lambdas(case: Case, match: re.Match[str]) -> Answer:
    """The bytecode is among the findings of the file."""
    return [], f"kmt convert {case.quoted} {case.output('_without_lambda.keras')} --replace-layer 'NAME=…'"


def refused(case: Case, match: re.Match[str]) -> Answer:
    """What Keras 3 refuses is among the findings of the file."""
    return [], case.carried("_converted")


def missing_argument(case: Case, match: re.Match[str]) -> Answer:
    """What the configuration of the class holds."""
    kind = match["kind"]
    items = [
        (layer, "config", dict(item["config"]))
        for layer, _, item in places(_architecture(case))
        if str(item.get("class_name")).rpartition(">")[2] == kind and isinstance(item.get("config"), Mapping)
    ]
    return list(evidence(items)), "def get_config(self): return {**super().get_config(), 'ARGUMENT': self.ARGUMENT}  # and save again"


# What weights are.


def layer_count(case: Case, match: re.Match[str]) -> Answer:
    """The layers that own weights in the file."""
    layers = [] if case.model is None else [layer.name for layer in case.model.layers if _owns(layer)]
    shown = ", ".join(layers[:8]) + (" …" if len(layers) > 8 else "")
    items = [Evidence("", "layers with weights in the file", f"{len(layers)}: {shown}")] if layers else []
    return items, f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}"


def _owns(layer: Any) -> bool:
    stack = [layer]
    while stack:
        item = stack.pop()
        if item.weights:
            return True
        stack.extend(item.layers)
    return False


def not_received(case: Case, match: re.Match[str]) -> Answer:
    """What the file holds of the layer, or what it holds at all."""
    if (counted := _counted_otherwise(case)) is not None:
        return counted
    groups = match.groupdict()
    name = groups.get("layer") or groups.get("object") or groups.get("given") or ""
    own = [(path, weight) for path, weight in case.weights if name and name in path]
    items = [Evidence(join_path(path), weight.key, shape_text(weight.tensor.shape)) for path, weight in own]
    if not items and case.weights:
        first = case.weights[0]
        items = [Evidence("", "layers of the file", _names(case)), Evidence(join_path(first[0]), "first weight", first[1].key)]
    return items, f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}"


def _counted_otherwise(case: Case) -> Answer | None:
    """That Keras 2.12 to 2.14 wrote it, whose names of weights later releases do not find."""
    model = case.model
    version = "" if model is None else model.metadata.get("keras_version", "")
    if model is None or model.format not in ("keras-archive", "keras-weights"):
        return None
    if not ((2, 12) <= version_numbers(version) < (2, 15) or model.metadata.get("dialect") == "Keras 2.12-2.14"):
        return None
    items = [Evidence("", "written by", f"Keras {version or '2.12 to 2.14'}, which counts layers of a class in its own way")]
    if model.architecture is not None:
        return items, case.carried("_keras3")
    return items, f"kmt convert {case.quoted} {case.output('_keras3.weights.h5')} --like MODEL_OF_THE_SAME_LAYERS.keras"


def _names(case: Case) -> str:
    names = [layer.name for layer in case.model.layers] if case.model is not None else []
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def shape(case: Case, match: re.Match[str]) -> Answer:
    """The weights of a shape that the message names."""
    stated = {
        tuple(int(size) for size in re.findall(r"\d+", text)) for text in re.findall(r"\(([\d, ]+)\)", match.string[match.start() :][:2000])
    }
    items = [
        Evidence(join_path(path), weight.key, shape_text(weight.tensor.shape))
        for path, weight in case.weights
        if weight.tensor.shape in stated
    ]
    return items, f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}  # reports what does not fit"


def optimizer(case: Case, match: re.Match[str]) -> Answer:
    """The optimizer in the file."""
    optimizer = None if case.model is None else case.model.optimizer
    cure = f"kmt convert {case.quoted} {case.output('_no_optimizer.keras')} --no-optimizer"
    if optimizer is None:
        return [], cure
    count = len(optimizer.slots) + len(optimizer.counters) + len(optimizer.extras)
    return [Evidence("", "optimizer", f"{optimizer.class_name or 'class unknown'}, {count} variables")], cure


def unrestored(case: Case, match: re.Match[str]) -> Answer:
    """How many slots of an optimizer there are."""
    optimizer = None if case.model is None else case.model.optimizer
    items = [Evidence("", "slots of the optimizer", f"{len(optimizer.slots)}")] if optimizer is not None and optimizer.slots else []
    return items, "checkpoint.restore(PREFIX).expect_partial()"


def too_long(case: Case, match: re.Match[str]) -> Answer:
    """Names that do not fit into an attribute together."""
    names = [] if case.model is None else [layer.name for layer in case.model.layers]
    lengths = {"layer_names": sum(len(name) for name in names)}
    for path, _ in case.weights:
        lengths[path[0]] = lengths.get(path[0], 0) + len(join_path(path))
    items = [Evidence(name, "names together", f"{size:,} bytes") for name, size in lengths.items() if size > ATTRIBUTE_LIMIT // 2]
    return items, 'model.save("model.keras")'


def h5py(case: Case, match: re.Match[str]) -> Answer:
    """The release that wrote the file."""
    version = "" if case.model is None else case.model.metadata.get("keras_version", "")
    items = [Evidence("", "keras_version", version)] if version else []
    return items, "pip install 'h5py<3'"


def recurrent(case: Case, match: re.Match[str]) -> Answer:
    """What the GRU layers say of their biases."""
    items = [
        Evidence(join_path(path), "reset_after", str(spec.config.get("reset_after", "not said")))
        for path, spec in case.layers
        if spec.class_name == "GRU" and spec.attr != "cell"
    ]
    items += [
        Evidence(join_path(path), "class_name", spec.class_name)
        for path, spec in case.layers
        if spec.class_name in ("CuDNNGRU", "CuDNNLSTM")
    ]
    return items, case.carried("_keras3")


def nothing(case: Case, match: re.Match[str]) -> Answer:
    """Nothing: what explains it are other findings."""
    return [], f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}"


def compiled(case: Case, match: re.Match[str]) -> Answer:
    """Nothing: what is refused of the loss and the optimizer is another finding."""
    return [], f"keras.models.load_model({literal(case.path)}, compile=False)"


def unsafe(case: Case, match: re.Match[str]) -> Answer:
    """Nothing: what is unsafe is another finding."""
    return [], f"kmt doctor {case.quoted} --only safety"


def package(case: Case, match: re.Match[str]) -> Answer:
    """Nothing: what the file needs a package for is another finding."""
    name = next(group for group in match.groups() if group)
    package, *rest = name.split(".")
    return [], f"change the import in the code: there is no {name} in what is installed" if rest else f"pip install {package}"


# What models take.


def unbuilt(case: Case, match: re.Match[str]) -> Answer:
    """What the configuration says of the shape that the model was built with."""
    shapes = [(name, shape) for name, _, shape in inputs_of(case)]
    if shapes or case.model is None or case.model.architecture is None:
        known = shapes[0][1] if len(shapes) == 1 else "SHAPE_WITH_NONE_FOR_THE_BATCH"
        return [], f"model.build({known})  # or call it once on data, before load_weights"
    return [Evidence("", "shape of the input", "not in the configuration")], "model(ONE_BATCH)  # before load_weights, and before save"


def uncompiled(case: Case, match: re.Match[str]) -> Answer:
    """What the file holds of how the model was compiled."""
    if case.model is None or case.model.architecture is None:
        return [], f"kmt inspect {case.quoted}"
    if case.model.training_config:
        return [], "nothing for predictions; model.evaluate(…) builds the metrics"
    stands = [Evidence("", "training configuration", "none in the file")]
    return stands, 'model.compile(optimizer="adam", loss=LOSS)  # to train or evaluate; predictions need none'


def inputs(case: Case, match: re.Match[str]) -> Answer:
    """The inputs that the model takes."""
    items = [Evidence(name, key, shape) for name, key, shape in inputs_of(case)]
    return items, "feed arrays of this shape, the batch first: inputs[None, ...] makes a batch of one, inputs[..., None] adds a channel"


def tensorflow_js(case: Case, match: re.Match[str]) -> Answer:
    """The key for the shape, which TensorFlow.js knows by another name."""
    items = [Evidence(name, key, shape) for name, key, shape in inputs_of(case) if key == "batch_shape"]
    return items, f"kmt convert {case.quoted} {case.output('_keras2.h5')} --target keras2  # and this one with tensorflowjs_converter"


def inputs_of(case: Case) -> list[tuple[str, str, str]]:
    """`(layer, key, shape)` of what the configuration says of the inputs of the model."""
    found: list[tuple[str, str, str]] = []
    for path, spec in case.layers:
        if len(path) != 1:
            continue
        keys = [key for key in ("batch_shape", "batch_input_shape") if isinstance(spec.config.get(key), list)]
        found += [(join_path(path), key, _shape(spec.config[key])) for key in keys]
    return found


def _shape(sizes: list[Any]) -> str:
    return f"({', '.join(str(size) for size in sizes)}{',' if len(sizes) == 1 else ''})"
