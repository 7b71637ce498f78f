"""What in a file explains a message: an answer for each kind of message, evidence and cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, evidence, literal, shape_text
from kmodel_tools.doctor.safety import places
from kmodel_tools.format import Container
from kmodel_tools.tree import join_path

Answer = tuple[list[Evidence], str]
"""What in the file explains a message, and the cure."""
ATTRIBUTE_LIMIT = 64 << 10
"""Bytes of an attribute of HDF5."""


# What files are.


def content(case: Case, match: re.Match[str]) -> Answer:
    """What the file is instead of HDF5."""
    if case.probe is None or (case.probe.container is Container.HDF5 and case.model is not None and not case.path.endswith(".keras")):
        return [], "check the path: relative ones depend on the folder that Python was started in"
    return [Evidence("", "content", case.probe.container.value)], f"kmt inspect {case.quoted}"


def without_architecture(case: Case, match: re.Match[str]) -> Answer:
    """That the file holds no architecture."""
    model = case.model
    if model is None or model.architecture is not None:
        return [], f"kmt inspect {case.quoted}"
    items = [
        Evidence("", "architecture", "none in the file"),
        Evidence("", "weights", f"{len(case.weights)}, {model.metadata.get('dialect', '')}"),
    ]
    return items, f"model.load_weights({literal(case.path)})  # of a model that is made by its code"


def another_format(case: Case, match: re.Match[str]) -> Answer:
    """Which format it is, and whether an architecture is in it."""
    model = case.model
    if model is None or model.format not in ("saved-model", "tf-checkpoint", "graph-def"):
        return [], "give it a name that ends in .keras or .h5, as its content is"
    items = [Evidence("", "format", model.format), Evidence("", "architecture", "recovered" if model.architecture else "none in it")]
    like = "" if model.architecture else " --like MODEL_OF_THE_SAME_LAYERS.keras"
    return items, f"kmt convert {case.quoted} {case.output('.keras')}{like}"


def plain_object(case: Case, match: re.Match[str]) -> Answer:
    """Whether the folder holds a Keras model, and what it offers otherwise."""
    model = case.model
    if model is None or model.format != "saved-model":
        return [], f"kmt inspect {case.quoted}"
    if model.architecture is not None:
        return [Evidence("", "architecture", "recovered")], f"kmt convert {case.quoted} {case.output('.keras')}"
    names = [signature.name for signature in model.graph.signatures] if model.graph else []
    items = [Evidence("", "architecture", "none in it"), Evidence("", "signatures", ", ".join(names) or "none")]
    return items, f"f = tf.saved_model.load({literal(case.path)}).signatures[{literal(names[0] if names else 'serving_default')}]; f(INPUT)"


def prefix(case: Case, match: re.Match[str]) -> Answer:
    """The prefix of the checkpoint."""
    from kmodel_tools.doctor.opening import checkpoint_prefix

    prefix = checkpoint_prefix(case)
    items = [] if prefix is None or prefix == case.path else [Evidence("", "prefix", prefix)]
    return items, f"model.load_weights({literal(prefix or 'PREFIX')})"


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
    plain = name.rpartition(">")[2]
    configs = [_architecture(case), None if case.model is None else case.model.training_config]
    items: list[tuple[str, str, Any]] = []
    for config in configs:
        for layer, _, item in places(config):
            own = [item.get("class_name"), item.get("registered_name")]
            items += [(layer, "class_name", value) for value in own[:1] if str(value).rpartition(">")[2] == plain]
            named = [
                (each, value) for each, value in item.items() if isinstance(value, str) and each not in ("class_name", "registered_name")
            ]
            items += [(layer, each, value) for each, value in named if value in (name, plain) and each != "name"]
    cure = f"{case.carried('_converted')}  # carries it, or prints the stub of your code"
    return list(evidence(items)), cure


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
    name = match.groupdict().get("layer") or ""
    own = [(path, weight) for path, weight in case.weights if name and name in path]
    items = [Evidence(join_path(path), weight.key, shape_text(weight.tensor.shape)) for path, weight in own]
    if not items and case.weights:
        first = case.weights[0]
        items = [Evidence("", "layers of the file", _names(case)), Evidence(join_path(first[0]), "first weight", first[1].key)]
    return items, f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}"


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
        Evidence(join_path(path), "reset_after", str(spec.config.get("reset_after", spec.class_name)))
        for path, spec in case.layers
        if "GRU" in spec.class_name and spec.attr != "cell"
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
    package, *rest = match["name"].split(".")
    return [], f"change the import in the code: there is no {match['name']} in what is installed" if rest else f"pip install {package}"
