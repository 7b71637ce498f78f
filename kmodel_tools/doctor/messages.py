"""With a message: which of the known causes of what Keras, h5py or TensorFlow said applies to this file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, evidence, literal, shape_text
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.doctor.safety import places
from kmodel_tools.format import Container
from kmodel_tools.tree import join_path

Answer = tuple[list[Evidence], str]
"""What in the file explains a message, and the cure."""
LONGEST_LINE = 160
ATTRIBUTE_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Message:
    """A message that users know.

    Attributes:
        identifier: The kind of finding.
        pattern: What is in the text.
        explain: What in the file explains it.
        others: Findings about the file that explain it too.
    """

    identifier: str
    pattern: re.Pattern[str]
    explain: Callable[[Case, re.Match[str]], Answer]
    others: tuple[str, ...] = ()


def explain(case: Case, text: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield a finding for each known message in a text.

    Args:
        case: The file that it was given for.
        text: The message, or a whole traceback.
        found: What is known about the file without it.
    """
    known = {item.identifier: item for item in found}
    any_known = False
    for message in MESSAGES:
        match = message.pattern.search(text)
        if match is None:
            continue
        any_known = True
        items, cure = message.explain(case, match)
        causes = [known[name] for name in message.others if name in known]
        items += [
            Evidence(piece.layer, f"{cause.identifier}: {piece.key}", piece.value) for cause in causes for piece in cause.evidence[:4]
        ]
        cure = causes[0].cure if causes else cure
        said = Evidence("", "message", _line(text, match))
        detail = "" if items else "This file shows no cause of it: it lies in the code, in the model, or in another file."
        sure = "certain" if items else "possible"
        yield finding(message.identifier, [said, *items], cure, sure, None if items else "note", detail)
    if not any_known:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        yield finding(
            "message-not-known", [Evidence("", "message", (lines or ["nothing"])[-1][:LONGEST_LINE])], f"kmt inspect {case.quoted}"
        )


def _line(text: str, match: re.Match[str]) -> str:
    """The line of a text in which a match starts, from the match on where it is long."""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    line = text[start : end if end >= 0 else len(text)].strip()
    return line if len(line) <= LONGEST_LINE else text[match.start() : match.start() + LONGEST_LINE].split("\n", maxsplit=1)[0]


# What files are.


def _content(case: Case, match: re.Match[str]) -> Answer:
    if case.probe is None or (case.probe.container is Container.HDF5 and case.model is not None and not case.path.endswith(".keras")):
        return [], "check the path: relative ones depend on the folder that Python was started in"
    return [Evidence("", "content", case.probe.container.value)], f"kmt inspect {case.quoted}"


def _without_architecture(case: Case, match: re.Match[str]) -> Answer:
    model = case.model
    if model is None or model.architecture is not None:
        return [], f"kmt inspect {case.quoted}"
    items = [
        Evidence("", "architecture", "none in the file"),
        Evidence("", "weights", f"{len(case.weights)}, {model.metadata.get('dialect', '')}"),
    ]
    return items, f"model.load_weights({literal(case.path)})  # of a model that is made by its code"


def _another_format(case: Case, match: re.Match[str]) -> Answer:
    model = case.model
    if model is None or model.format not in ("saved-model", "tf-checkpoint", "graph-def"):
        return [], "give it a name that ends in .keras or .h5, as its content is"
    items = [Evidence("", "format", model.format), Evidence("", "architecture", "recovered" if model.architecture else "none in it")]
    like = "" if model.architecture else " --like MODEL_OF_THE_SAME_LAYERS.keras"
    return items, f"kmt convert {case.quoted} {case.output('.keras')}{like}"


def _plain_object(case: Case, match: re.Match[str]) -> Answer:
    model = case.model
    if model is None or model.format != "saved-model":
        return [], f"kmt inspect {case.quoted}"
    if model.architecture is not None:
        return [Evidence("", "architecture", "recovered")], f"kmt convert {case.quoted} {case.output('.keras')}"
    names = [signature.name for signature in model.graph.signatures] if model.graph else []
    items = [Evidence("", "architecture", "none in it"), Evidence("", "signatures", ", ".join(names) or "none")]
    return items, f"f = tf.saved_model.load({literal(case.path)}).signatures[{literal(names[0] if names else 'serving_default')}]; f(INPUT)"


def _prefix(case: Case, match: re.Match[str]) -> Answer:
    from kmodel_tools.doctor.opening import checkpoint_prefix

    prefix = checkpoint_prefix(case)
    items = [] if prefix is None or prefix == case.path else [Evidence("", "prefix", prefix)]
    return items, f"model.load_weights({literal(prefix or 'PREFIX')})"


# What configurations say.


def _argument(case: Case, match: re.Match[str]) -> Answer:
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


def _name(case: Case, match: re.Match[str]) -> Answer:
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
    cure = f"kmt convert {case.quoted} {case.output('_converted.keras')}  # carries it, or prints the stub of your code"
    return list(evidence(items)), cure


def _lambdas(case: Case, match: re.Match[str]) -> Answer:
    return [], f"kmt convert {case.quoted} {case.output('_without_lambda.keras')} --replace-layer 'NAME=…'"


def _missing_argument(case: Case, match: re.Match[str]) -> Answer:
    kind = match["kind"]
    items = [
        (layer, "config", dict(item["config"]))
        for layer, _, item in places(_architecture(case))
        if str(item.get("class_name")).rpartition(">")[2] == kind and isinstance(item.get("config"), Mapping)
    ]
    return list(evidence(items)), "def get_config(self): return {**super().get_config(), 'ARGUMENT': self.ARGUMENT}  # and save again"


# What weights are.


def _layer_count(case: Case, match: re.Match[str]) -> Answer:
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


def _not_received(case: Case, match: re.Match[str]) -> Answer:
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


def _shape(case: Case, match: re.Match[str]) -> Answer:
    stated = {
        tuple(int(size) for size in re.findall(r"\d+", text)) for text in re.findall(r"\(([\d, ]+)\)", match.string[match.start() :][:2000])
    }
    items = [
        Evidence(join_path(path), weight.key, shape_text(weight.tensor.shape))
        for path, weight in case.weights
        if weight.tensor.shape in stated
    ]
    return items, f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}  # reports what does not fit"


def _optimizer(case: Case, match: re.Match[str]) -> Answer:
    optimizer = None if case.model is None else case.model.optimizer
    cure = f"kmt convert {case.quoted} {case.output('_no_optimizer.keras')} --no-optimizer"
    if optimizer is None:
        return [], cure
    count = len(optimizer.slots) + len(optimizer.counters) + len(optimizer.extras)
    return [Evidence("", "optimizer", f"{optimizer.class_name or 'class unknown'}, {count} variables")], cure


def _unrestored(case: Case, match: re.Match[str]) -> Answer:
    optimizer = None if case.model is None else case.model.optimizer
    items = [Evidence("", "slots of the optimizer", f"{len(optimizer.slots)}")] if optimizer is not None and optimizer.slots else []
    return items, "checkpoint.restore(PREFIX).expect_partial()"


def _too_long(case: Case, match: re.Match[str]) -> Answer:
    names = [] if case.model is None else [layer.name for layer in case.model.layers]
    lengths = {"layer_names": sum(len(name) for name in names)}
    for path, _ in case.weights:
        lengths[path[0]] = lengths.get(path[0], 0) + len(join_path(path))
    items = [Evidence(name, "names together", f"{size:,} bytes") for name, size in lengths.items() if size > ATTRIBUTE_LIMIT // 2]
    return items, 'model.save("model.keras")'


def _h5py(case: Case, match: re.Match[str]) -> Answer:
    version = "" if case.model is None else case.model.metadata.get("keras_version", "")
    items = [Evidence("", "keras_version", version)] if version else []
    return items, "pip install 'h5py<3'"


def _recurrent(case: Case, match: re.Match[str]) -> Answer:
    items = [
        Evidence(join_path(path), "reset_after", str(spec.config.get("reset_after", spec.class_name)))
        for path, spec in case.layers
        if "GRU" in spec.class_name and spec.attr != "cell"
    ]
    return items, f"kmt convert {case.quoted} {case.output('_keras3.keras')}"


def _nothing(case: Case, match: re.Match[str]) -> Answer:
    return [], f"kmt transfer {case.quoted} YOUR_MODEL.keras -o {case.output('_loaded.keras')}"


def _known(identifier: str, pattern: str, answer: Callable[[Case, re.Match[str]], Answer], *others: str) -> Message:
    return Message(identifier, re.compile(pattern, re.DOTALL), answer, others)


NOT_HDF5 = (
    "lfs-pointer",
    "web-page",
    "empty-file",
    "compressed-file",
    "pickle",
    "truncated",
    "zip-named-h5",
    "hdf5-named-keras",
    "missing-part",
)
MESSAGES: tuple[Message, ...] = (
    _known(
        "not-an-hdf5-file",
        r"file signature not found|truncated file: eof|bad superblock|bad byte number|Unable to (?:synchronously )?open file"
        r"|File not found: filepath=\S+ Please ensure the file is an accessible|is not a zip file|BadZipFile",
        _content,
        *NOT_HDF5,
        "damaged",
    ),
    _known(
        "weights-given-for-model",
        r"[Nn]o model config(?:uration)? found in the file|has no 'model_config' data|name 'model_config' doesn't exist",
        _without_architecture,
    ),
    _known(
        "layer-count",
        r"Layer count mismatch|trying to load a weight file containing \d+ layers",
        _layer_count,
        "new-weights-named-h5",
    ),
    _known(
        "argument-not-known",
        r"Unrecognized keyword arguments? passed to (?P<kind>\w+): \{[^}]*\}?|Unrecognized keyword arguments?: \[[^\]]*\]"
        r"|Keyword argument not understood:\D{0,5}'\w+'|Keyword argument not understood: (?P<key>\w+)|unexpected keyword argument '\w+'",
        _argument,
    ),
    _known(
        "name-not-known",
        r"Unknown (?:layer|object|initializer|regularizer|constraint|optimizer|metric function|loss function"
        r"|activation function|metric|loss|activation)[^:\n]{0,30}: '?\"?([\w>.<]+)"
        r"|Could not (?:locate|interpret|deserialize) (?:class|function|object) '([^']+)'",
        _name,
    ),
    _known(
        "variables-not-received",
        r"Layer '(?P<layer>[^']+)' expected \d+ variables?, but received \d+ variables? during loading|objects could not be loaded"
        r"|was never built and thus it doesn't have any variables",
        _not_received,
        "legacy-named-weights-h5",
        "weights-missing",
        "saving-broke-off",
    ),
    _known(
        "shape-mismatch",
        r"Shape mismatch|axes don't match array|[Ww]eight expects shape|must be equal, but are|shape of the target variable"
        r"|Cannot assign value"
        r"|has shape \([^)]*\), but the saved weight has shape|Shapes? \([^)]*\) and \([^)]*\) are incompatible|Weight count mismatch",
        _shape,
        "shape-contradicts-configuration",
    ),
    _known(
        "lambda-not-loaded",
        r"bad marshal data|Requested the deserialization of a `?Lambda`?|marshal data too short|unknown opcode",
        _lambdas,
        "lambda-bytecode",
    ),
    _known(
        "vocabulary-not-loaded", r"Table not initialized|[Tt]he layer has no vocabulary", _nothing, "vocabulary-missing", "vocabulary-path"
    ),
    _known("h5py-3-decode", r"'str' object has no attribute 'decode'", _h5py),
    _known("names-too-long", r"object header message is too large", _too_long),
    _known("name-clash", r"name already exists", _nothing, "duplicate-layer-names", "saving-broke-off"),
    _known(
        "checkpoint-not-found",
        r"not an sstable|bad magic number|Unsuccessful TensorSliceReader|Failed to find any matching files|Couldn't find 'checkpoint' file",
        _prefix,
        "missing-part",
        "checkpoint-moved",
        "checkpoint-file-named",
    ),
    _known("format-not-in-keras-3", r"File format not supported: filepath=", _another_format),
    _known("by-name-not-possible", r"`by_name` only supports|Invalid keyword arguments: \{'by_name'", _nothing),
    _known(
        "optimizer-not-loaded",
        r"Skipping variable loading for optimizer|loading the saved optimizer state|legacy Keras optimizer",
        _optimizer,
        "optimizer-step-0",
    ),
    _known("no-keras-object", r"'_UserObject' object has no attribute|'AutoTrackable' object has no attribute", _plain_object),
    _known(
        "objects-not-restored",
        r"had attributes which were not restored|Unresolved object in checkpoint|Value in checkpoint could not be found",
        _unrestored,
    ),
    _known("argument-missing", r"(?P<kind>\w+)\.__init__\(\) missing \d+ required", _missing_argument, "custom-layer-without-arguments"),
    _known("recurrent-kinds", r"CuDNN(?:GRU|LSTM) is not compatible|is not compatible with (?:GRU|LSTM|CuDNN)", _recurrent),
)
