"""From the configuration of a model of Keras 3 to that of Keras 2, object by object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.downgrade import arguments, layers, semantics
from kmodel_tools.architecture.downgrade.graph import Graph
from kmodel_tools.architecture.downgrade.inputs import downgraded_input
from kmodel_tools.architecture.downgrade.masks import passed_on_in_row, without_told_masks
from kmodel_tools.architecture.downgrade.objects import downgraded_value
from kmodel_tools.architecture.envelope import class_of, is_model, layer_configs, registered_as, settings_of
from kmodel_tools.architecture.layer_table import MODEL_CLASSES
from kmodel_tools.architecture.topology import is_operation
from kmodel_tools.architecture.upgrade.draft import Draft, Json, Notes, reading
from kmodel_tools.architecture.upgrade.graph import calls_of, name_of
from kmodel_tools.architecture.upgrade.inputs import as_shape
from kmodel_tools.architecture.upgrade.objects import plain_class
from kmodel_tools.architecture.upgrade.walk import each_argument, inner_paths, is_foreign, new_names, note_input, paths_below
from kmodel_tools.tree import Path, join_path

RULES = (*layers.RULES, *semantics.RULES, *arguments.RULES)
"""What is done to a built-in layer, in this order: its class, its meaning, then its arguments."""
GRAPH = "Model"
"""The class of a graph that every Keras 2 knows; TensorFlow 2.3 and later write `Functional`, which the earlier do not know."""
NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*")
"""Names that TensorFlow takes for a scope, which layers of Keras 2 open (`framework/ops.py`, `_VALID_SCOPE_NAME_REGEX`)."""
RENAMED = "TensorFlow takes other signs in a name; underscores stand for them in"


def downgraded_layer(
    node: Mapping[str, Any], paths: tuple[Path, ...], notes: Notes, depth: int = 0, name: str | None = None
) -> tuple[Json, Draft]:
    """Downgrade a layer or a model and everything inside of it.

    Args:
        node: The object, as the file has it.
        paths: Where its weights lie.
        notes: What is found and done.
        depth: How deep it is nested.
        name: Its new name, where it gets one.

    Raises:
        UpgradeError: Keras 2 has no equivalent of it.
        ConfigError: It is no configuration, or not as any release writes it.
    """
    with reading(f"the layer {join_path(paths[0]) or 'around all others'}"):
        notes.enter(depth)
        settings = dict(settings_of(node))
        if name is not None:
            settings["name"] = name
        draft = Draft(plain_class(class_of(node)), settings, paths, notes, module=node.get("module"))
        if is_model(draft.class_name, settings):
            return _model(node, draft, depth), draft
        if draft.class_name == "InputLayer":
            return _object("InputLayer", downgraded_input(draft)), draft
        if is_operation(node):
            raise draft.refuse("is an operation, which Keras 2 has as a layer only where it stands in a graph")
        if is_foreign(node, draft.class_name):
            kind = class_of(node)
            return _object(registered_as(node) or kind, _arguments(draft, depth)), draft
        note_input(node, draft)
        for rule in RULES:
            rule(draft)
        if draft.class_name == "Sequential":  # a rule has put several layers in the place of one
            row = [_row_part(item, draft, depth) for item in draft.config["layers"]]
            return _object("Sequential", {**draft.config, "layers": row}), draft
        return _object(draft.class_name, _arguments(draft, depth)), draft


def _row_part(item: Json, around: Draft, depth: int) -> Json:
    """A layer that a rule made: there is nothing left to be done but for what its arguments hold."""
    draft = Draft(item["class_name"], dict(item["config"]), paths_below(around, str(item["config"]["name"])), around.notes)
    return _object(draft.class_name, _arguments(draft, depth))


def _object(kind: str, config: Any) -> Json:
    return {"class_name": kind, "config": config}


def _arguments(draft: Draft, depth: int) -> Json:
    """A layer's arguments, with the layers and other objects inside of them."""

    def inner(owner: str) -> Any:
        def layer(value: Mapping[str, Any], key: str) -> Json:
            name = settings_of(value).get("name") if isinstance(value.get("config"), Mapping) else None
            scope = _scope_name(name, class_of(value)) if isinstance(name, str) else None
            if scope != name:
                draft.notes.say(RENAMED, str(name))
            return downgraded_layer(value, inner_paths(draft, owner or key), draft.notes, depth + 1, scope)[0]

        return layer

    return each_argument(draft.config, lambda key, value, owner: downgraded_value(draft, key, value, inner(owner)))


# Models.


def _model(node: Mapping[str, Any], draft: Draft, depth: int) -> Json:
    if draft.class_name == "Sequential":
        return _object("Sequential", _sequential(node, draft, depth))
    config = _functional(node, draft, depth)
    if draft.class_name in MODEL_CLASSES:
        return _object(GRAPH, config)
    return _object(registered_as(node) or class_of(node), config)


def _sequential(node: Mapping[str, Any], draft: Draft, depth: int) -> Json:
    """A list of layers; one that was built by a call says the shape of that."""
    entries = passed_on_in_row(layer_configs(node), draft.notes)
    names = new_names(draft, entries, _scope_name, RENAMED)
    named = zip(entries, names, strict=True)
    found = [downgraded_layer(entry, paths_below(draft, new), draft.notes, depth + 1, new)[0] for entry, new in named]
    config: Json = {"name": draft.config.get("name") or "sequential", "layers": found}
    shape = as_shape(draft.config.get("build_input_shape"))
    if shape is not None and (not found or found[0]["class_name"] != "InputLayer"):
        config["build_input_shape"] = shape
    return config


def _functional(node: Mapping[str, Any], draft: Draft, depth: int) -> Json:
    """A graph of layers."""
    # These load NumPy, which looking at a model does not need.
    from kmodel_tools.architecture.downgrade.operations.activations import as_operations
    from kmodel_tools.architecture.downgrade.operations.carrying import Carrying

    ends = {key: draft.config.get(key) for key in ("input_layers", "output_layers")}
    entries = without_told_masks(json.loads(json.dumps(layer_configs(node))), list(ends.values()), draft.notes)
    entries = as_operations(entries, depth > 0)
    names = new_names(draft, entries, _scope_name, RENAMED)
    graph = Graph.of(entries, dict(zip(map(name_of, entries), names, strict=True)))
    carrying = Carrying(graph.names, graph.tensor, set(names))
    carrying.run(entries)
    graph.replaced = {key: tensor.ref for key, tensor in carrying.replaced.items()}
    found: list[Json] = []
    for entry, new in zip(entries, names, strict=True):
        if is_operation(entry):
            found += carrying.entries[name_of(entry)]
            continue
        made, layer = downgraded_layer(entry, paths_below(draft, new), draft.notes, depth + 1, new)
        calls = [graph.call(call, layer) for call in calls_of(entry)]
        found.append({**made, "name": new, "inbound_nodes": calls})
    kept = {key: value for key, value in draft.config.items() if key not in ("layers", "input_layers", "output_layers")}
    if draft.class_name in MODEL_CLASSES:
        kept = {"name": kept.get("name")}
    counted = {key: graph.ends(value) for key, value in ends.items()}
    return kept | {"trainable": draft.config.get("trainable", True), "layers": found} | counted


def _scope_name(name: str, kind: str) -> str:
    """A name that TensorFlow takes for a scope.

    Cures `'my layer/' is not a valid root scope name`.
    """
    plain = re.sub(r"[^A-Za-z0-9_.>-]", "_", name) or kind.lower()
    return plain if NAME.fullmatch(plain) else f"layer{plain}"
