"""Parts of a model that are models themselves: it without its last layers, a nested one, one layer. Nothing is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kmodel_tools.architecture.editing.cutting import CutError, optimizer_alone, training_of_outputs, without_layers
from kmodel_tools.architecture.editing.places import layers_in, models_in, name_of
from kmodel_tools.architecture.envelope import Config, ConfigError, Era, class_of, is_model, settings_of
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.layer_table import MODEL_CLASSES
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.topology import references
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.matcher import selector
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path
from kmodel_tools.upgrader.generation import generation

STORES = ("keras-archive", "keras-weights")
"""Formats whose keys are paths in the file, which those of a part are not."""
OF_PLACES = frozenset({"name", "inbound_nodes"})
"""What a configuration says of a layer beside the layer itself: how a graph refers to it and calls it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a model.

    Attributes:
        model: The part.
        is_whole: Whether it is a model with an architecture of its own.
        said: What it is, a sentence each.
        left_out: What the model has and the part does not.
        lost: What the part needs and does not have.
    """

    model: Model
    is_whole: bool
    said: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def without_last_layers(model: Model, patterns: Collection[str]) -> Part:
    """A whole model without its last layers: those of its outermost layers that patterns match.

    Raises:
        ConversionError: They are not its last ones, or something else matches: the rest is no whole model; the error says why.
    """
    if model.architecture is None:
        raise ConversionError("there is no architecture")
    era = generation(model)
    try:
        names = _matched(model, model.architecture, patterns)
        if era is None or era is Era.KERAS_0:
            raise CutError("its generation numbers layers, or is not known")
        cut = without_layers(model.architecture, era, names)
    except CutError as error:
        raise ConversionError(str(error)) from error
    except ConfigError as error:
        raise ConversionError(f"the architecture cannot be followed: {error}") from error
    kept = replace(model, layers=tuple(layer for layer in model.layers if layer.attr is not None or layer.name not in cut.dropped))
    _refuse_files(model, cut.dropped)
    training, left_out = _training(model, cut.kept_outputs, bool(cut.new_outputs), era)
    said = [f"without the layers {', '.join(_in_order(model.architecture, cut.dropped))}, as asked for"]
    if cut.new_outputs:
        said.append(f"the model ends in {', '.join(cut.new_outputs)} now")
    if idle := sorted(cut.dropped - names):
        said.append(f"nothing takes the input {', '.join(idle)} any more: it is left out too")
    found = replace(_with_state_of_its_own(kept), architecture=cut.architecture, training_config=training)
    return Part(found, True, tuple(said), tuple(left_out))


def _matched(model: Model, architecture: Config, patterns: Collection[str]) -> set[str]:
    """The outermost layers that patterns match.

    Raises:
        CutError: A pattern matches none of them, or something inside of another layer.
    """
    outermost = {name_of(layer): layer for layer in next(models_in(architecture)).layers}
    wanted = [(text, selector((text,))) for text in patterns]
    names = {name for name in outermost if any(keeps((name,)) for _, keeps in wanted)}
    for text, keeps in wanted:
        if not any(keeps((name,)) for name in outermost):
            raise CutError(f"{text!r} is none of its outermost layers")
    for path, _ in model.weights():
        if path[0] not in names and any(keeps(path) for _, keeps in wanted):
            raise CutError(f"{join_path(path)} is a part of a layer")
    return names


def _refuse_files(model: Model, names: Collection[str]) -> None:
    """Make sure that no layer that goes has files, which go by classes and numbers: those of others would go by other ones.

    Raises:
        ConversionError: One may have.
    """
    for path, layer in model.walk():
        kind = snake_case((layer.class_name or "").rpartition(">")[2])
        if path[0] in names and kind and any(kind in asset.name for asset in model.assets):
            raise ConversionError(f"{join_path(path)} has files, which are not sorted out")


def _in_order(architecture: Config, names: Collection[str]) -> list[str]:
    return [path[0] for path in layers_in(architecture) if len(path) == 1 and path[0] in names]


def _training(model: Model, kept: Collection[bool], are_new: bool, era: Era) -> tuple[Config | None, list[str]]:
    """What is left of a training configuration, and what is left out of it."""
    training = model.training_config
    if not training or (all(kept) and not are_new):
        return training, []
    if are_new or not any(kept):
        alone = optimizer_alone(training, era)
        what = "training configuration" if alone is None else "loss and metrics"
        return alone, [f"{what}: the outputs that it was compiled for are no more"]
    names = _outputs(model.architecture or {})
    gone = [name for name, stays in zip(names, kept, strict=True) if not stays]
    return training_of_outputs(training, list(kept), names, era), [f"loss and metrics of {', '.join(gone)}"]


def _outputs(architecture: Config) -> list[str]:
    ends = settings_of(architecture).get("output_layers")
    return list(ends) if isinstance(ends, Mapping) else [str(item[0]) for item in references(ends)]


def _with_state_of_its_own(model: Model) -> Model:
    """A model with the slots of its own weights alone."""
    if model.optimizer is None:
        return model
    held = {id(weight) for _, weight in model.weights()}
    slots = tuple(slot for slot in model.optimizer.slots if id(slot.weight) in held)
    return replace(model, optimizer=replace(model.optimizer, slots=slots))


# One layer.


def extract(model: Model, path: str) -> Part:
    """The nested model at a path as a model of its own, with the slots of its weights; or the weights of the layer at a path.

    Raises:
        KmtError: There is no layer at the path, or it has no weights and no architecture.
    """
    wanted = split_path(path)
    found = model.find(wanted)
    if isinstance(found, Weight):
        raise KmtError(f"{path} is a weight, and no layer", cure=f"--select {path}")
    node = _node_at(model, wanted)
    if node is not None and is_model(class_of(node), settings_of(node)):
        return _nested(model, found, path, node)
    kind = canonical_class(found.class_name)
    held = found if found.class_name in MODEL_CLASSES or (kind is None and found.layers and not found.weights) else None
    layers = found.layers if held is not None else (replace(found, name=found.components[-1], attr=None),)
    bare = replace(model, name=found.name, layers=layers, own_weights=(), architecture=None, training_config=None)
    part = _with_state_of_its_own(_taken_out(bare))
    if not any(True for _ in part.weights()):
        raise KmtError(f"the layer {path} has no weights")
    said = f"the weights of the {'model' if held is not None else 'layer'} {path}, as asked for"
    if node is not None:
        part = replace(part, architecture=_row_of(model, node))  # tells the layout; it is not written
    return Part(part, False, (said,), ("architecture, training configuration and optimizer: a layer is no whole model",))


def _nested(model: Model, found: Layer, path: str, node: Config) -> Part:
    era = generation(model)
    kept = replace(model, name=found.name, layers=found.layers, own_weights=found.weights, assets=())
    training = model.training_config and optimizer_alone(model.training_config, era or Era.KERAS_3)
    architecture = {key: value for key, value in node.items() if key not in OF_PLACES}
    part = replace(_with_state_of_its_own(_taken_out(kept)), architecture=architecture, training_config=training or None)
    left_out = ["loss and metrics: they are those of the model around it"] if model.training_config else []
    lost = [f"the file {asset.name} (which files are those of {path} is not looked into)" for asset in model.assets]
    said = f"the model {path} out of {model.name or 'the one around it'}, as asked for"
    return Part(part, True, (said,), tuple(left_out), tuple(lost))


def _taken_out(model: Model) -> Model:
    """A part whose arrays are not where its paths say; what lies beside layers is the whole model's."""
    return replace(model, format="" if model.format in STORES else model.format, extras=(), inventory=None, graph=None)


def _node_at(model: Model, path: Path) -> Config | None:
    """The object of a layer in the architecture, or None where that has none; wrappers lead to what they hold."""
    if model.architecture is None:
        return None
    try:
        places = layers_in(model.architecture)
        nested = {place.path: place.node for place in models_in(model.architecture)}
    except ConfigError:
        return None
    return places.get(path) or nested.get(path)


def _row_of(model: Model, node: Config) -> dict[str, Any]:
    """The architecture of a model of one layer."""
    layer = {key: value for key, value in node.items() if key not in OF_PLACES}
    row: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "sequential", "layers": [layer]}}
    if generation(model) is Era.KERAS_3:
        row |= {"module": "keras", "registered_name": None}
    return row
