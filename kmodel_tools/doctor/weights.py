"""Weights that are not there, were never trained, or cannot be right."""

from __future__ import annotations

from collections.abc import Iterator

from kmodel_tools.architecture.envelope import Config
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, number, shape_text
from kmodel_tools.doctor.initial import EXACT, MOVED, state_of
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.format import Part
from kmodel_tools.formats import load_format
from kmodel_tools.tree import Layer, Path, Weight, join_path

SIZES = {
    "Dense": ("kernel", -1, "units", 1),
    "Conv1D": ("kernel", -1, "filters", 1),
    "Conv2D": ("kernel", -1, "filters", 1),
    "Conv3D": ("kernel", -1, "filters", 1),
    "Conv1DTranspose": ("kernel", -2, "filters", 1),
    "Conv2DTranspose": ("kernel", -2, "filters", 1),
    "Conv3DTranspose": ("kernel", -2, "filters", 1),
    "SeparableConv1D": ("pointwise_kernel", -1, "filters", 1),
    "SeparableConv2D": ("pointwise_kernel", -1, "filters", 1),
    "Embedding": ("embeddings", 0, "input_dim", 1),
    "LSTMCell": ("recurrent_kernel", 0, "units", 1),
    "GRUCell": ("recurrent_kernel", 0, "units", 1),
    "SimpleRNNCell": ("recurrent_kernel", 0, "units", 1),
}
"""For some classes: a weight, one of its axes, and the setting that says how long it is."""
USUAL: Config = {
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "recurrent_initializer": "orthogonal",
    "embeddings_initializer": "uniform",
    "depthwise_initializer": "glorot_uniform",
    "pointwise_initializer": "glorot_uniform",
}
"""What Keras takes where nothing is said: for files of weights alone."""
OF_WEIGHTS = ("keras-h5", "keras-weights", "tf-checkpoint")
NORMS = frozenset({"BatchNormalization", "LayerNormalization", "GroupNormalization"})


def holds_weights(case: Case) -> bool:
    """Whether the file is of a format that holds weights."""
    model = case.model
    return model is not None and bool(model.format) and Part.WEIGHTS in load_format(model.format).holds


def tree_of(case: Case) -> dict[Path, Layer]:
    """Every layer of the file's tree by each of its paths."""
    if case.model is None:
        return {}
    found = dict(case.model.walk())
    for first, others in case.model.aliases().items():
        found |= dict.fromkeys(others, found[first])
    return found


def missing(case: Case) -> Iterator[Finding]:
    """Weights that the configuration of a built-in layer implies, and the file lacks."""
    if not holds_weights(case) or case.spec is None:
        return
    tree = tree_of(case)
    found: list[Evidence] = []
    for path, spec in case.layers:
        if spec.is_model or not spec.variables:
            continue
        layer = tree.get(path)
        stored = [weight.role for weight in layer.weights] if layer is not None else []
        if len(stored) < len(spec.variables):
            lacking = [item.role for item in spec.variables if item.role not in stored]
            found.append(Evidence(join_path(path).strip("/") or spec.class_name, ", ".join(lacking), "not in the file"))
    if found:
        architecture = case.output("_architecture.json")
        cure = f"kmt convert {case.quoted} {architecture} && kmt convert OTHER_FILE {case.output('_filled.keras')} --like {architecture}"
        yield finding("weights-missing", found, cure, detail="OTHER_FILE is one that has all weights of this model.")


def shapes(case: Case) -> Iterator[Finding]:
    """Weights that are not as large as the layer says."""
    tree = tree_of(case)
    found: list[Evidence] = []
    for path, spec in case.layers:
        rule = SIZES.get(canonical_class(spec.class_name) or "")
        layer = tree.get(path)
        if rule is None or layer is None or spec.config.get("data_format") == "channels_first":
            continue
        role, axis, key, factor = rule
        wanted = spec.config.get(key)
        weight = next((weight for weight in layer.weights if weight.role == role), None)
        if weight is None or not isinstance(wanted, int) or not -len(weight.tensor.shape) <= axis < len(weight.tensor.shape):
            continue
        if weight.tensor.shape[axis] != wanted * factor:
            found.append(Evidence(join_path(path), f"{key} = {wanted}", f"{role} {shape_text(weight.tensor.shape)}"))
    if found:
        cure = f"kmt transfer {case.quoted} MODEL_WITH_THE_RIGHT_SIZE -o {case.converted('_resized')}"
        yield finding("shape-contradicts-configuration", found, cure)


def untrained(case: Case) -> Iterator[Finding]:
    """Layers with the values that they were made with: all of them, or some."""
    initial, moved = states(case)
    if initial and not moved:
        items = [item for items in initial.values() for item in items]
        yield finding("weights-initial", items, _fill(case), "likely" if case.spec is not None else "possible")
    elif initial and case.spec is not None:
        items = [item for items in initial.values() for item in items]
        yield finding("layers-initial", items, _fill(case), sure="likely")


def _fill(case: Case) -> str:
    return f"kmt transfer TRAINED_FILE {case.quoted} -o {case.converted('_filled')}"


def states(case: Case) -> tuple[dict[Path, list[Evidence]], list[Path]]:
    """Layers that can be trained and look as they were made, with what shows it, and those that have moved.

    A layer counts as made if nothing of it has moved, and more speaks for it than one weight that may be so by chance.
    """
    initial: dict[Path, list[Evidence]] = {}
    moved: list[Path] = []
    if not holds_weights(case):
        return initial, moved
    tree = tree_of(case)
    seen: set[int] = set()
    described = [(path, spec) for path, spec in case.layers if not spec.is_model and spec.trainable]
    known: list[tuple[Path, Layer | None, str, Config]] = [(path, tree.get(path), spec.class_name, spec.config) for path, spec in described]
    if case.spec is None and case.model is not None and case.model.format in OF_WEIGHTS:
        known = [(path, layer, layer.class_name or "", USUAL) for path, layer in tree.items()]
    for path, layer, class_name, config in known:
        if layer is None or not layer.weights or id(layer) in seen:
            continue
        seen.add(id(layer))
        verdict = _state(case, path, class_name, config, layer)
        if verdict is None:
            moved.append(path)
        elif verdict:
            initial[path] = verdict
    return initial, moved


def _state(case: Case, path: Path, class_name: str, config: Config, layer: Layer) -> list[Evidence] | None:
    """What shows that a layer is as it was made; nothing where that cannot be told, None if it has moved."""
    items: list[Evidence] = []
    exact, random = 0, 0
    for weight in layer.weights:
        facts = case.facts.get(id(weight))
        state = None if facts is None or weight.trainable is False else state_of(weight.role, config, weight.tensor.shape, facts)
        if facts is None or state is None:
            continue
        if state[0] == MOVED:
            return None
        exact += state[0] == EXACT and facts.count > 1
        random += state[0] != EXACT or state[1] in ("orthogonal", "identity")
        text = (
            f"all {number(facts.low)}"
            if facts.low == facts.high
            else f"{number(facts.low)} … {number(facts.high)}, std {number(facts.std)}"
        )
        items.append(Evidence(join_path((*path, weight.role)), state[1], text))
    if canonical_class(class_name) in NORMS or weights_of_norm(layer):
        return []  # ones and zeros may be what training leaves: of normalisation, the statistics tell
    return items if random and (exact or random > 1) else []


def weights_of_norm(layer: Layer) -> bool:
    """Whether a layer of which nothing says the class normalises."""
    return bool({"gamma", "beta"} & {weight.role for weight in layer.weights})


def batch_normalization(case: Case) -> Iterator[Finding]:
    """Statistics that were never updated, in a model of which other layers are trained."""
    _, moved = states(case)
    found: list[Evidence] = []
    for path, layer in [] if case.model is None else case.model.walk():
        stored = {weight.role: weight for weight in layer.weights}
        if "moving_mean" not in stored or "moving_variance" not in stored:
            continue
        mean, variance = (case.facts.get(id(stored[role])) for role in ("moving_mean", "moving_variance"))
        if mean is not None and variance is not None and mean.is_all(0.0) and variance.is_all(1.0):
            found.append(Evidence(join_path(path), "moving_mean, moving_variance", "all 0, all 1"))
    if found and moved:
        yield finding("batchnorm-statistics-initial", found, CURE_OF_STATISTICS)


CURE_OF_STATISTICS = "for x in inputs_of_training: model(x, training=True)  # updates the statistics alone, as nothing is trained"


def optimizer(case: Case) -> Iterator[Finding]:
    """An optimizer that has made no step."""
    if case.model is None or case.model.optimizer is None:
        return
    for counter in case.model.optimizer.counters:
        if counter.role == "iterations" and (value := _scalar(counter)) == 0:
            items = [Evidence("", counter.key, f"{value}")]
            initial, moved = states(case)
            detail = "Its weights are trained: they came from elsewhere." if moved else ""
            cure = f"kmt convert {case.quoted} {case.converted('_no_optimizer')} --no-optimizer"
            cure = cure if moved or not initial else "model.fit(INPUTS_OF_TRAINING, TARGETS)  # and save it after that"
            yield finding("optimizer-step-0", items, cure, detail=detail)


def _scalar(weight: Weight) -> int | None:
    from kmodel_tools.damaged import DAMAGE, damage_of

    if damage_of(weight.tensor) is not None or weight.tensor.size != 1:
        return None
    try:
        return int(weight.tensor.read().ravel()[0])
    except (*DAMAGE, ValueError, OverflowError):
        return None


CHECKS = (missing, shapes, untrained, batch_normalization, optimizer)
