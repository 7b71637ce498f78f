"""From the configuration of one model to that of the next generation, object by object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import class_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.layer_table import MODEL_CLASSES
from kmodel_tools.architecture.spec import FRAMEWORKS
from kmodel_tools.architecture.topology import references
from kmodel_tools.architecture.upgrade import arguments, channels, layers, semantics, subgraphs, theano
from kmodel_tools.architecture.upgrade.accepted import COMMON
from kmodel_tools.architecture.upgrade.draft import Draft, Json, Notes, reading
from kmodel_tools.architecture.upgrade.graph import Graph, all_references, calls_of, name_of
from kmodel_tools.architecture.upgrade.inputs import SHAPES, as_shape, said_input, upgraded_input
from kmodel_tools.architecture.upgrade.layers import OPERATIONS
from kmodel_tools.architecture.upgrade.mask_flow import stopped_in_row
from kmodel_tools.architecture.upgrade.masks import with_masks
from kmodel_tools.architecture.upgrade.objects import plain_class, spelled, upgraded_value
from kmodel_tools.tree import Path, join_path

RULES = (*layers.RULES, *semantics.RULES, *subgraphs.RULES, *arguments.RULES, *theano.RULES, *channels.RULES)
"""What is done to a built-in layer, in this order: its class, its meaning, then its arguments."""
MODELS = frozenset({*MODEL_CLASSES, "Network"})
FUNCTIONAL = ("keras.src.models.functional", "Functional")


OF_APPLICATIONS = {
    "CustomScaleLayer": ("inception_resnet_v2", {"scale"}),
    "LayerScale": ("convnext", {"init_values", "projection_dim"}),
    "StochasticDepth": ("convnext", {"drop_path_rate"}),
}
"""Layers that `keras.applications` defines for itself: their module, and the arguments by which they are told from others' of that name."""

RENAMED = "Keras 3 takes no slash in a name; it became an underscore in"
REGISTERED = frozenset(f"Custom>{name}" for name in OF_APPLICATIONS)
"""What legacy files call them, for Keras registers them as anybody's."""


def upgraded_layer(
    node: Mapping[str, Any], paths: tuple[Path, ...], notes: Notes, depth: int = 0, frozen: bool = False, name: str | None = None
) -> tuple[Json, Draft]:
    """Upgrade a layer or a model and everything inside of it.

    Args:
        node: The object, as the file has it.
        paths: Where its weights lie.
        notes: What is found and done.
        depth: How deep it is nested.
        frozen: Whether a model around it is not trained, which Keras 3 forgets of a Sequential.
        name: Its new name, where it gets one.

    Raises:
        UpgradeError: Keras 3 has no equivalent of it.
        ConfigError: It is no configuration, or not as any release writes it.
    """
    with reading(f"the layer {join_path(paths[0]) or 'around all others'}"):
        notes.enter(depth)
        kind = plain_class(class_of(node))
        settings = dict(settings_of(node))
        own_name = name or clean_name(settings.get("name") or node.get("name") or "")
        if own_name:
            settings["name"] = own_name
        if settings.get("trainable", True) is None:
            del settings["trainable"]  # Keras 3 has: Expected `trainable` to be a boolean
        draft = Draft(kind, settings, paths, notes, module=node.get("module"))
        note_input(node, draft)
        if is_model(kind, settings):
            return _upgraded_model(node, draft, depth, frozen), draft
        if kind == "InputLayer":
            return upgraded_input(draft), draft
        module = _module_of_application(node, draft)
        if module is not None:
            return spelled(module, draft.class_name, _upgraded_arguments(draft, depth, frozen), draft.class_name), draft
        if is_foreign(node, kind):
            return _upgraded_custom(node, draft, depth, frozen), draft
        if frozen and draft.config.get("trainable") is not False:
            draft.config["trainable"] = False
        for rule in RULES:
            rule(draft)
        if draft.class_name == "Sequential":  # a rule has put several layers in the place of one
            row = [_spelled_row(item, draft, depth, frozen) for item in draft.config["layers"]]
            return spelled("keras", "Sequential", {**draft.config, "layers": row}), draft
        if draft.takes_one:
            inner = [_spelled_part(item, draft, depth, frozen) for item in draft.config["layers"]]
            return spelled(FUNCTIONAL[0], "Functional", {**draft.config, "layers": inner}, FUNCTIONAL[1]), draft
        return spelled("keras.layers", draft.class_name, _upgraded_arguments(draft, depth, frozen)), draft


def _spelled_part(item: Json, around: Draft, depth: int, frozen: bool) -> Json:
    """A part of a graph that a rule made: a layer of it, or an operation, which is spelled already."""
    if item["module"] != "keras.layers" or item["class_name"] == "InputLayer":
        return item
    return item | _spelled_row(item, around, depth, frozen)


def note_input(node: Mapping[str, Any], draft: Draft) -> None:
    """Note the shape that a layer is called on, where it says that itself."""
    built = node.get("build_config")
    own = built.get("input_shape") if isinstance(built, Mapping) else None
    shape = next((shape for value in (draft.config.get("batch_input_shape"), own) if (shape := as_shape(value)) is not None), None)
    if shape is not None:
        draft.notes.given[draft.paths[0]] = shape


def _module_of_application(node: Mapping[str, Any], draft: Draft) -> str | None:
    """The module of a layer that an application of Keras defines.

    Cures `Could not locate class 'CustomScaleLayer'`.
    """
    draft.class_name = draft.class_name.removeprefix("Custom>") if draft.class_name in REGISTERED else draft.class_name
    file, arguments = OF_APPLICATIONS.get(draft.class_name, ("", {""}))
    module = node.get("module")
    own = set(draft.config) - COMMON - {*SHAPES}
    if own != arguments or (isinstance(module, str) and ".applications." not in module):
        return None
    draft.drop(*SHAPES)
    return f"keras.src.applications.{file}"


def _spelled_row(item: Mapping[str, Any], around: Draft, depth: int, frozen: bool) -> Json:
    """A layer that a rule made: there is nothing left to be done but for what its arguments hold."""
    draft = Draft(item["class_name"], dict(item["config"]), paths_below(around, str(item["config"]["name"])), around.notes)
    arguments.drop_what_is_not_known(draft)
    return spelled("keras.layers", draft.class_name, _upgraded_arguments(draft, depth, frozen))


def clean_name(name: Any) -> str:
    """A name without slashes.

    Keras 3 has: Argument `name` must be a string and cannot contain character `/`.
    """
    return str(name).replace("/", "_")


def _plain_name(name: str, kind: str) -> str:
    """A name without slashes, and some name for a Sequential that has none."""
    return clean_name(name) or kind.lower()


def is_foreign(node: Mapping[str, Any], kind: str) -> bool:
    """Whether a class is somebody's own, even if it has the name of a built-in one."""
    registered = node.get("registered_name")
    if not is_builtin(kind) or kind in OF_APPLICATIONS:
        return True
    return isinstance(registered, str) and str(node.get("module") or "").partition(".")[0] not in FRAMEWORKS


def _upgraded_custom(node: Mapping[str, Any], draft: Draft, depth: int, frozen: bool) -> Json:
    """Somebody's own layer: its class and arguments stay, what they hold of Keras's own is upgraded."""
    draft.drop(*SHAPES)
    if frozen and "trainable" in draft.config:
        draft.config["trainable"] = False
    registered = node.get("registered_name")
    kind = class_of(node)
    found = spelled(None, kind.rpartition(">")[2], _upgraded_arguments(draft, depth, frozen), registered or kind)
    if isinstance(node.get("build_config"), Mapping):
        found["build_config"] = node["build_config"]
    return found


def _upgraded_arguments(draft: Draft, depth: int, frozen: bool) -> Json:
    """A layer's arguments, with the layers and other objects inside of them."""
    config = draft.config
    if draft.is_a("RNN") and isinstance(config.get("cell"), list):
        config["cell"] = {"class_name": "StackedRNNCells", "config": {"name": "stacked_rnn_cells", "cells": config["cell"]}}

    def inner(owner: str) -> Any:
        def layer(value: Mapping[str, Any], key: str) -> Json:
            return upgraded_layer(value, inner_paths(draft, owner or key), draft.notes, depth + 1, frozen)[0]

        return layer

    return each_argument(config, lambda key, value, owner: upgraded_value(key, value, inner(owner)))


def each_argument(config: Mapping[str, Any], carried: Callable[[str, Any, str], Any]) -> Json:
    """A layer's arguments, each carried by a function.

    Args:
        config: The arguments.
        carried: Given a name, a value, and the attribute that owns what is inside of it, or "" for the one of that name.
    """
    found: Json = {}
    for key, value in config.items():
        if key == "cells" and isinstance(value, list):
            found[key] = [carried(key, item, f"cells/{index}") for index, item in enumerate(value)]
        else:
            found[key] = carried(key, value, "")
    return found


def inner_paths(draft: Draft, attr: str) -> tuple[Path, ...]:
    """Where the weights of a layer inside of an argument lie."""
    attrs: Sequence[str] = (attr,)
    if draft.is_a("Bidirectional") and attr == "layer":
        attrs = ("forward_layer",) if draft.config.get("backward_layer") else ("forward_layer", "backward_layer")
    return tuple((*path, *item.split("/")) for path in draft.paths for item in attrs)


# Models.


def _upgraded_model(node: Mapping[str, Any], draft: Draft, depth: int, frozen: bool) -> Json:
    if draft.config.get("trainable") is False:
        frozen = True
    kind = draft.class_name
    if kind == "Sequential":
        return spelled("keras", "Sequential", _sequential(node, draft, depth, frozen))
    if kind == "Graph":
        raise draft.refuse("is of Keras 0")
    config = _functional(node, draft, depth, frozen)
    if kind in MODELS:
        return spelled(FUNCTIONAL[0], "Functional", config, FUNCTIONAL[1])
    registered = node.get("registered_name")
    return spelled(None, kind.rpartition(">")[2], config, registered or kind)


def _sequential(node: Mapping[str, Any], draft: Draft, depth: int, frozen: bool) -> Json:
    """A list of layers, the first of which says the input.

    Cures `pop expected at most 1 argument, got 2` (Keras 2.0 to 2.2.2 write the list alone).
    """
    name = draft.config.get("name") or "sequential"
    entries = layer_configs(node)
    kept = [entry for index, entry in enumerate(entries) if index == 0 or class_of(entry) != "InputLayer"]
    names = new_names(draft, kept, _plain_name, RENAMED)
    if len(kept) > 1 and class_of(kept[0]) == "InputLayer":
        shape = next((found for key in SHAPES if (found := as_shape(settings_of(kept[0]).get(key))) is not None), None)
        draft.notes.given |= {(*draft.paths[0], names[1]): shape} if shape is not None else {}
    named = zip(kept, names, strict=True)
    found = [upgraded_layer(entry, paths_below(draft, new), draft.notes, depth + 1, frozen, new)[0] for entry, new in named]
    if (first := said_input(node, is_root=depth == 0)) is not None:
        first["config"]["name"] = clean_name(first["config"]["name"])
        found.insert(0, first)
    return {"name": name, "trainable": not frozen, "layers": stopped_in_row(found, draft.notes)}


def _functional(node: Mapping[str, Any], draft: Draft, depth: int, frozen: bool) -> Json:
    """A graph of layers."""
    entries = _called(draft, layer_configs(node))
    names = new_names(draft, entries, _plain_name, RENAMED)
    graph = Graph.of(draft.config, {name_of(entry): new for entry, new in zip(entries, names, strict=True)})
    _note_inputs(draft, entries, dict(zip(map(name_of, entries), names, strict=True)))
    made: dict[str, Json] = {}
    drafts: dict[str, Draft] = {}
    for entry, new in zip(entries, names, strict=True):
        if class_of(entry) in OPERATIONS:
            draft.notes.enter(depth + 1)
            continue
        made[new], drafts[new] = upgraded_layer(entry, paths_below(draft, new), draft.notes, depth + 1, frozen, new)
        made[new] |= {"name": new, "inbound_nodes": []}
        if drafts[new].takes_one:
            graph.functional.add(name_of(entry))
    if len(made) < len(entries):
        from kmodel_tools.architecture.upgrade.operations.carrying import Carrying  # which needs NumPy, and few models need it

        found = Carrying(graph, made, drafts, set(names)).carry(draft, entries)
    else:
        found = list(made.values())
        for entry, new in zip(entries, names, strict=True):
            made[new]["inbound_nodes"] = [graph.call(call, drafts[new]) for call in calls_of(entry)]
    kept = {key: value for key, value in draft.config.items() if key not in ("layers", "input_layers", "output_layers", "trainable")}
    if draft.class_name in MODELS:
        kept = {"name": kept.get("name")}
    ends = {key: graph.ends(draft.config.get(key)) for key in ("input_layers", "output_layers")}
    ends = with_masks(found, ends, draft.notes)
    return kept | {"trainable": not frozen, "layers": found} | ends


def _note_inputs(draft: Draft, entries: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    """Note the shapes of layers that are called on an input of the model."""
    shapes = {}
    for entry in entries:
        settings = settings_of(entry)
        shape = next((found for key in SHAPES if (found := as_shape(settings.get(key))) is not None), None)
        if class_of(entry) == "InputLayer" and shape is not None:
            shapes[name_of(entry)] = shape
    for entry in entries:
        for name, *_ in references(entry.get("inbound_nodes")):
            if name in shapes:
                draft.notes.given.setdefault((*draft.paths[0], names[name_of(entry)]), shapes[name])


def _called(draft: Draft, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The layers that a graph calls.

    Keras 2 lists every layer that is an attribute of a model, called or not (TFX keeps its preprocessing so); Keras 3 makes
    each of them: `Could not locate class 'TransformFeaturesLayer'`. Source: tf_keras 2.21 `functional.py`, `get_network_config`.
    """
    used = {str(item[0]) for key in ("input_layers", "output_layers") for item in references(draft.config.get(key))}
    names = {name_of(entry) for entry in entries}
    used |= {str(item[0]) for entry in entries for item in all_references(entry.get("inbound_nodes"), names)}
    found = []
    for entry in entries:
        if entry.get("inbound_nodes") or class_of(entry) == "InputLayer" or name_of(entry) in used:
            found.append(entry)
        else:
            draft.notes.uncalled += [(*path, name_of(entry)) for path in draft.paths]
            draft.notes.say("left out, for the model holds it and does not call it", name_of(entry))
    return found


def new_names(draft: Draft, entries: Sequence[Mapping[str, Any]], plain: Callable[[str, str], str], why: str) -> list[str]:
    """The names of a model's layers as a generation takes them, each once.

    Args:
        draft: The model.
        entries: Its layers.
        plain: Makes a name out of one and the layer's class.
        why: What to say of a layer whose name is another one.
    """
    old = [str(entry.get("name") or settings_of(entry).get("name") or "") for entry in entries]
    taken = set(old)
    found = []
    for name, entry in zip(old, entries, strict=True):
        made = plain(name, class_of(entry))
        new, count = made, 0
        while new != name and new in taken:
            count += 1
            new = f"{made}_{count}"
        taken.add(new)
        found.append(new)
        if new != name:
            for path in draft.paths:
                draft.notes.rename(path, name, new)
            if name:
                draft.notes.say(why, name)
    return found


def paths_below(draft: Draft, name: str) -> tuple[Path, ...]:
    """Where the weights of a layer of a model lie."""
    return tuple((*path, name) for path in draft.paths)
