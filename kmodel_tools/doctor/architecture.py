"""What a configuration says, or leaves open, that changes what a model predicts or who can open it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kmodel_tools.architecture.custom_objects import custom_objects, occurrences
from kmodel_tools.architecture.envelope import Era
from kmodel_tools.doctor.case import ADDED, Case
from kmodel_tools.doctor.finding import Evidence, Finding, evidence
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.doctor.safety import GADGETS, LOOKUPS, places
from kmodel_tools.doctor.weights import holds_weights, tree_of
from kmodel_tools.tree import Layer, join_path, split_path

RANDOM = frozenset(
    [
        "Dropout",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomCrop",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "Solarization",
        "MixUp",
        "CutMix",
        "AugMix",
        "RandAugment",
    ]
)
BATCH = frozenset({"BatchNormalization"})
BASE_KEYS = frozenset({"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "dynamic"})


def custom(case: Case) -> Iterator[Finding]:
    """Classes and functions of somebody's own."""
    if case.model is None:
        return
    model = case.model
    architecture = {key: value for key, value in (model.architecture or {}).items() if key != "compile_config"}
    used = [item for item in custom_objects(architecture) if item.kind != "lambda" and item.name not in GADGETS | ADDED]
    named = [Evidence(", ".join(item.used_by[:3]), item.kind, item.name) for item in used]
    named += [Evidence(layer, "function", name) for layer, name in _named_lambdas(architecture) if name not in {item.name for item in used}]
    if named:
        yield finding("custom-objects", named, f"{case.carried('_converted')}  # prints the stub of your code")
    known = {item.name for item in used}
    training = [Evidence("", item.kind, item.name) for item in custom_objects(None, model.training_config) if item.name not in known]
    if training:
        yield finding("custom-training-objects", training, case.uncompiled)
    bare = [(item.layer, "config", dict(item.config)) for item in occurrences(architecture) if item.kind == "layer" and item.layer]
    lost = [place for place in bare if place[2].keys() <= BASE_KEYS]
    if lost:
        cure = "def get_config(self): return {**super().get_config(), 'ARGUMENT': self.ARGUMENT}  # and save again"
        yield finding("custom-layer-without-arguments", evidence(lost), cure, sure="possible")


def _named_lambdas(architecture: Any) -> Iterator[tuple[str, str]]:
    """Layers Lambda that call a function by its name, as Keras 2 saves them."""
    for layer, _, item in places(architecture):
        inner = item.get("config")
        if item.get("class_name") == "Lambda" and isinstance(inner, Mapping) and inner.get("function_type") == "function":
            yield layer, str(inner.get("function"))


def twins(case: Case) -> Iterator[Finding]:
    """Layers of one name in one model; Keras 0.x calls layers by their class."""
    if case.era is Era.KERAS_0:
        return
    found: list[Evidence] = []
    for path, spec in case.layers:
        if spec.is_model:
            names = Counter(child.name for child in spec.children if child.name)
            found += [Evidence(join_path((*path, name)), "name", f"of {count} layers") for name, count in names.items() if count > 1]
    if found:
        yield finding(
            "duplicate-layer-names",
            found,
            'layer.name = "another_name"  # before the model is built, and save again; layer._name in Keras 2',
        )


def vocabularies(case: Case) -> Iterator[Finding]:
    """Lookup layers whose words are nowhere in the file."""
    model = case.model
    if model is None or model.format not in ("keras-h5", "keras-archive", "keras-json"):
        return
    lacking = [
        (path, spec)
        for path, spec in case.layers
        if spec.class_name.rpartition(">")[2] in LOOKUPS and spec.attr is None and not spec.config.get("vocabulary")
    ]
    files = sum(asset.name.endswith(("vocabulary.txt", "vocabulary")) and "_lookup_layer" not in asset.name for asset in model.assets)
    if not lacking or files >= len(lacking):
        return
    items = [Evidence(join_path(path), "vocabulary", "neither in the configuration nor an asset") for path, _ in lacking]
    yield finding("vocabulary-missing", items, case.line_of_words(lacking[0][0]), "certain" if not files else "possible")


def preprocessing(case: Case) -> Iterator[Finding]:
    """Preprocessing that was never adapted, and hashing without salt."""
    tree = tree_of(case)
    bare: list[Evidence] = []
    unsalted: list[Evidence] = []
    for path, spec in case.layers:
        kind, config = spec.class_name.rpartition(">")[2], spec.config
        name = join_path(path)
        if kind == "Normalization" and config.get("mean") is None and holds_weights(case) and (text := _not_adapted(case, tree.get(path))):
            bare.append(Evidence(name, "mean, variance", text))
        elif kind == "Discretization" and not config.get("bin_boundaries"):
            bare.append(Evidence(name, "bin_boundaries", json.dumps(config.get("bin_boundaries"))))
        elif kind == "Hashing" and config.get("salt") is None:
            unsalted.append(Evidence(name, "salt", "null"))
    if bare:
        cure = f"{case.line_to(split_path(bare[0].layer))}.adapt(INPUTS_OF_TRAINING)  # before the layers behind it are trained"
        yield finding("not-adapted", bare, cure)
    if unsalted:
        yield finding(
            "hashing-without-salt", unsalted, "keras.layers.Hashing(num_bins, salt=NUMBER)  # of a model that is yet to be trained"
        )


def _not_adapted(case: Case, layer: Layer | None) -> str:
    stored = {} if layer is None else {weight.role: case.facts.get(id(weight)) for weight in layer.weights}
    mean, variance = stored.get("mean"), stored.get("variance")
    return "all 0, all 1" if mean and variance and mean.is_all(0.0) and variance.is_all(1.0) else ""


def stateful(case: Case) -> Iterator[Finding]:
    """Recurrent layers that keep their state from batch to batch."""
    found = [
        Evidence(join_path(path), "stateful", "true")
        for path, spec in case.layers
        if spec.config.get("stateful") is True and spec.attr != "cell"
    ]
    if found:
        yield finding("stateful-layer", found, f"{case.line_to(split_path(found[0].layer))}.reset_state()  # before each sequence")


def called_in_training(case: Case) -> Iterator[Finding]:
    """Calls with `training=True` in the graph of layers."""
    if case.model is None:
        return
    found: list[Evidence] = []
    for layer, _, item in places(case.model.architecture):
        kind = str(item.get("class_name")).rpartition(">")[2]
        if kind in RANDOM | BATCH and "inbound_nodes" in item and _trains(item["inbound_nodes"]):
            found.append(Evidence(layer, "inbound_nodes", f"{kind}(…, training=True)"))
    if found:
        cure = "NEW_MODEL.set_weights(model.get_weights())  # of a model that is built without training=True"
        newer = case.era is Era.KERAS_3
        detail = "In Keras 3, model(x) is so, and predict is not: it passes training=False to every layer." if newer else ""
        yield finding("random-at-inference", found, cure, severity="note" if newer else None, detail=detail)


def _trains(nodes: Any) -> bool:
    stack = [nodes]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if item.get("training") is True or item.get("training") == 1:
                return True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def added_losses(case: Case) -> Iterator[Finding]:
    """Losses and metrics in the graph of layers."""
    items = [Evidence(join_path(path), "class_name", spec.class_name) for path, spec in case.layers if path in case.added]
    if items:
        yield finding("added-loss", items, case.carried("_keras3"), detail=f"To train on: {COMPUTED}, in a class of your own.")


COMPUTED = "def compute_loss(self, *args, **kwargs): return super().compute_loss(*args, **kwargs) + ADDED_LOSS"


def unseeded(case: Case) -> Iterator[Finding]:
    """Random parts without a seed, of a model whose weights are still to be made."""
    model = case.model
    if model is None or model.architecture is None or model.graph is not None or case.weights:
        return
    found: list[tuple[str, str, Any]] = []
    for layer, key, item in places(model.architecture):
        inner, kind = item.get("config"), str(item.get("class_name")).rpartition(">")[2]
        if isinstance(inner, Mapping) and "seed" in inner and inner["seed"] is None and (kind in RANDOM or key.endswith("initializer")):
            found.append((layer, f"{key}.seed" if key.endswith("initializer") else "seed", f"null ({kind})"))
    if found:
        yield finding("unseeded", evidence(found), "keras.utils.set_random_seed(1)  # before the model is built")


CHECKS = (twins, custom, vocabularies, preprocessing, stateful, called_in_training, added_losses, unseeded)
