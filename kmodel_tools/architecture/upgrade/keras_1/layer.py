"""One layer of Keras 0.3 or 1 with everything inside of it, as one or several layers of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmodel_tools.architecture.envelope import class_of, settings_of
from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.architecture.upgrade.draft import Json, reading
from kmodel_tools.architecture.upgrade.keras_1 import arguments, layers
from kmodel_tools.architecture.upgrade.keras_1.draft import Cursor, Draft1, Source
from kmodel_tools.architecture.upgrade.keras_1.weights import CARRIERS
from kmodel_tools.tree import Path, join_path

WRAPPERS = ("TimeDistributed", "Bidirectional")


def upgraded_layer(
    node: Mapping[str, Any], old: Path, new: Path, source: Source, cursor: Cursor | None = None, depth: int = 0
) -> tuple[list[Json], int]:
    """Upgrade a layer that is no model.

    Args:
        node: The object, as the file has it.
        old: Where its weights lie.
        new: Where they shall lie; the last component is the layer's name.
        source: The model that it is of.
        cursor: Where its arrays stand in a file of Keras 0.3, or None.
        depth: How deep it is nested.

    Returns:
        The layers to be called one after another, and which of them has the layer's name.

    Raises:
        UpgradeError: Keras 2 has no equivalent of it.
        ConfigError: It is not as any release writes it.
    """
    with reading(f"the layer {join_path(new)}"):
        return _upgraded_layer(node, old, new, source, cursor, depth)


def _upgraded_layer(
    node: Mapping[str, Any], old: Path, new: Path, source: Source, cursor: Cursor | None, depth: int
) -> tuple[list[Json], int]:
    source.notes.enter(depth)
    kind = class_of(node)
    kind = layers.NAMED_TWICE.get(kind, kind)
    config = dict(settings_of(node)) | {"name": new[-1]}
    draft = Draft1(kind, config, old, new, source, cursor)
    if kind == "InputLayer":
        draft.config["dtype"] = draft.config.pop("input_dtype", None) or draft.config.get("dtype") or "float32"
        return [_spelled(draft)], 0
    if kind in WRAPPERS:
        return _wrapped(draft, depth)
    if not is_builtin(kind):
        return [_spelled(draft)], 0
    layers.spell_merge(draft)
    for rule in (*layers.BEFORE_RENAMING, *arguments.RULES, *layers.AFTER_RENAMING):
        rule(draft)
    if (carry := CARRIERS.get(draft.class_name)) is not None:
        carry(draft)
    draft.config.pop("consume_less", None)
    for rule in layers.LAST:
        rule(draft)
    if draft.before and "batch_input_shape" in draft.config:
        draft.before[0]["config"]["batch_input_shape"] = draft.config.pop("batch_input_shape")
    return [*draft.before, _spelled(draft), *draft.after], len(draft.before)


def _wrapped(draft: Draft1, depth: int) -> tuple[list[Json], int]:
    """A wrapper around one layer; where that becomes several, one wrapper around each."""
    inner = draft.config.pop("layer", None)
    if not isinstance(inner, Mapping):
        raise draft.refuse("holds no layer")
    arguments.say_input(draft)
    own_name = str(settings_of(inner).get("name") or class_of(inner).lower())
    attrs = ("forward_layer", "backward_layer") if draft.class_name == "Bidirectional" else ("layer",)
    made: list[Json] = []
    main = 0
    for attr in attrs:
        inside = Draft1("", {}, (*draft.old, attr), (*draft.new, attr), draft.source)
        made, main = _inner(inner, inside, own_name, draft.cursor, depth)
    found: list[Json] = []
    for index, item in enumerate(made):
        config: Json = dict(draft.config) if index == main else {"name": f"{draft.name}_{item['config']['name']}"}
        if index and "batch_input_shape" in config:
            found[0]["config"]["batch_input_shape"] = config.pop("batch_input_shape")
        found.append({"class_name": draft.class_name, "config": config | {"layer": item}})
    return found, main


def _inner(inner: Mapping[str, Any], place: Draft1, name: str, cursor: Cursor | None, depth: int) -> tuple[list[Json], int]:
    """The layers inside of a wrapper; their weights lie under the wrapper's attribute, whatever they are called."""
    from kmodel_tools.architecture.upgrade.keras_1.models import is_model_node, upgraded_model

    if is_model_node(inner):
        return [upgraded_model(inner, place.old, place.new, place.source, cursor, depth + 1)], 0
    made, main = upgraded_layer(inner, place.old, place.new, place.source, cursor, depth + 1)
    for index, item in enumerate(made):
        if index == main:
            item["config"]["name"] = name
    return made, main


def _spelled(draft: Draft1) -> Json:
    return {"class_name": draft.class_name, "config": draft.config}
