"""Reading a model's configuration, of whatever generation, as a tree of layer descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError, Era, class_of, era_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.layer_classes import canonical_class, is_builtin, sublayers_of, variables_of
from kmodel_tools.architecture.layer_table import SubLayer, Variable
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.topology import layer_order
from kmodel_tools.tree import Layer, Model, Path, split_path

FRAMEWORKS = frozenset({"keras", "tf_keras", "tensorflow"})
"""Top modules of built-in classes."""
MAX_DEPTH = 100
"""Models nested deeper than this are refused: no framework builds them, and a forged file must not exhaust the stack."""
MAX_LAYERS = 100_000
"""Layers beyond this are refused: each Bidirectional reads its one layer twice, so that sixty nested ones would never end."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What a configuration says of one layer.

    Attributes:
        name: Keras's name of the layer.
        class_name: Its class, as the configuration spells it.
        config: Its configuration.
        attr: The attribute path that holds it in its parent, or None under a graph or a list of layers.
        trainable: Whether it and everything around it was trainable.
        variables: The weights that it owns itself, in Keras 3's order; None where its class is not built in.
        children: Its sub-layers: of a model in `model.layers` order, of a built-in class in Keras's order.
        legacy_name: What legacy files put for it into the names of its weights.
        shared_id: Keras's identity of the object, the same wherever it occurs, or None.
    """

    name: str
    class_name: str
    config: Config
    attr: str | None = None
    trainable: bool = True
    variables: tuple[Variable, ...] | None = None
    children: tuple[LayerSpec, ...] = ()
    legacy_name: str | None = None
    shared_id: int | None = None

    @property
    def is_model(self) -> bool:
        """Whether it is a graph or a list of layers."""
        return is_model(self.class_name, self.config)

    @property
    def is_known(self) -> bool:
        """Whether the table tells everything about its weights."""
        return self.is_model or self.variables is not None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The outermost model, the era of its configuration, and what could not be made out in it (one sentence each)."""

    root: LayerSpec
    era: Era
    odd: tuple[str, ...]


def model_spec(config: Config, keras_version: str | None = None) -> ModelSpec:
    """Describe the model that a configuration stands for.

    Args:
        config: The whole configuration, as the file has it.
        keras_version: The version that wrote it, where the file says so.

    Raises:
        ConfigError: It is not a model's configuration.
    """
    builder = _Builder(era_of(config, keras_version))
    root = builder.layer(config, trainable=True, depth=0)
    return ModelSpec(root, builder.era, tuple(builder.odd))


def followed(model: Model) -> ModelSpec | None:
    """What a model's own configuration says, or None where it has none or one that cannot be followed."""
    if model.architecture is None:
        return None
    try:
        found = model_spec(model.architecture, model.metadata.get("keras_version"))
    except ConfigError:
        return None
    return replace(found, root=_named(found.root, model.layers))


def _named(spec: LayerSpec, layers: Sequence[Layer]) -> LayerSpec:
    """A model's description in which layers have a name that leave it out of their configuration, as somebody's own classes may.

    The file's tree has them, in the same order; those of nested models are not looked for.
    """
    known = {child.name for child in spec.children}
    others = [layer.name for layer in layers if layer.name not in known]
    unnamed = [child for child in spec.children if not child.name]
    if not unnamed or len(others) != len(unnamed):
        return spec
    names = iter(others)
    return replace(spec, children=tuple(child if child.name else replace(child, name=next(names)) for child in spec.children))


def _own_class(node: Mapping[str, Any]) -> str:
    """A layer's class; where somebody else's has the name of a built-in one, with its package: `my_models>BatchNormalization`."""
    kind = class_of(node)
    module, registered = node.get("module"), node.get("registered_name")
    if not isinstance(registered, str) or str(module or "").partition(".")[0] in FRAMEWORKS or not is_builtin(kind):
        return kind
    return registered if ">" in registered else f"{module or 'Custom'}>{kind}"


def find_layer(root: LayerSpec, path: Path) -> LayerSpec | None:
    """The layer at a path below a model, or None where the configuration has none."""
    stack = [(root, path)]
    while stack:
        item, left = stack.pop()
        if not left:
            return item
        for child in reversed(item.children):
            own = (child.name,) if child.attr is None else split_path(child.attr)
            if left[: len(own)] == own:
                stack.append((child, left[len(own) :]))
    return None


class _Builder:
    """Builds specs; holds what concerns the whole configuration."""

    def __init__(self, era: Era) -> None:
        self.era = era
        self.keras_1 = era in (Era.KERAS_0, Era.KERAS_1)
        self.odd: list[str] = []
        self.layers = 0

    def layer(
        self,
        node: Mapping[str, Any],
        *,
        trainable: bool,
        depth: int,
        attr: str | None = None,
        legacy_name: str | None = None,
        class_name: str | None = None,
        config: Config | None = None,
    ) -> LayerSpec:
        """Describe one layer and everything below it."""
        if depth > MAX_DEPTH:
            raise ConfigError(f"models nested more than {MAX_DEPTH} deep")
        self.layers += 1
        if self.layers > MAX_LAYERS:
            raise ConfigError(f"more than {MAX_LAYERS} layers")
        kind = class_name or _own_class(node)
        settings = config if config is not None else settings_of(node)
        flag = settings.get("trainable")
        name = str(settings.get("name") or node.get("name") or legacy_name or attr or "")
        # Keras 3 asks each variable, so that what was thawed inside of a frozen model is trained; before, its models are asked.
        alive = flag is not False and (trainable or (self.era is Era.KERAS_3 and flag is True))
        children = self._children(node, kind, settings, alive, depth)
        shared = node.get("shared_object_id")
        return LayerSpec(
            name,
            kind,
            settings,
            attr,
            alive,
            () if is_model(kind, settings) else self._variables(kind, settings),
            children,
            legacy_name,
            shared if isinstance(shared, int) else None,
        )

    def _variables(self, kind: str, settings: Config) -> tuple[Variable, ...] | None:
        variables = variables_of(kind, settings, self.keras_1)
        if variables and settings.get("lora_rank"):
            first = variables[0]
            return (Variable(first.role, first.dims, first.dtype, False, first.condition), *variables[1:])
        return variables

    def _children(self, node: Mapping[str, Any], kind: str, settings: Config, trainable: bool, depth: int) -> tuple[LayerSpec, ...]:
        if is_model(kind, settings):
            layers = layer_configs(node)
            functional = isinstance(settings, Mapping) and "input_layers" in settings
            order, problem = layer_order(settings, self.era) if functional else (range(len(layers)), None)
            if problem:
                self.odd.append(problem)
            kept = [layers[index] for index in order]
            if not functional:
                kept = [layer for layer in kept if class_of(layer) != "InputLayer"]
            return tuple(self.layer(layer, trainable=trainable, depth=depth + 1) for layer in kept)
        found: list[LayerSpec] = []
        for sub in sublayers_of(kind, settings, self.keras_1) or _guessed_wrapper(kind, settings):
            for index, (inner, own) in enumerate(_sub_configs(sub, settings)):
                attr = f"{sub.attr}/{index}" if sub.is_list else sub.attr
                legacy = _legacy_name(sub, inner, own)
                found.append(
                    self.layer(
                        inner,
                        trainable=trainable,
                        depth=depth + 1,
                        attr=attr,
                        legacy_name=legacy,
                        class_name=sub.class_name,
                        config=own,
                    )
                )
        if (applied := _applied_layer(kind, settings)) is not None:
            name = str(settings_of(applied).get("name") or "")
            found.append(self.layer(applied, trainable=trainable, depth=depth + 1, attr="activation", legacy_name=name))
        return tuple(found)


def _applied_layer(kind: str, settings: Config) -> Mapping[str, Any] | None:
    """The layer with weights that a layer has for its activation (PReLU), or None; recurrent layers leave it to their cell."""
    value = settings.get("activation")
    if not isinstance(value, Mapping) or not is_builtin(kind) or any(sub.attr == "cell" for sub in sublayers_of(kind, settings) or ()):
        return None
    inner = value.get("class_name")
    return value if isinstance(inner, str) and variables_of(inner, settings_of(value)) else None


def _guessed_wrapper(kind: str, settings: Config) -> tuple[SubLayer, ...]:
    """A class that is not built in and whose configuration holds a layer under "layer" is a wrapper of it."""
    if canonical_class(kind) is None and isinstance(settings.get("layer"), Mapping) and "class_name" in settings["layer"]:
        return sublayers_of("Wrapper", settings) or ()
    return ()


def _sub_configs(sub: SubLayer, settings: Config) -> Sequence[tuple[Mapping[str, Any], Config | None]]:
    """`(object, configuration to use instead of its own)` for what a `SubLayer` stands for."""
    if sub.config_key is None:
        own = {key: value for key, value in settings.items() if key not in ("name", "layer", "cell")}
        if sub.class_name == "EinsumDense":
            own["bias_axes"] = "e" if settings.get("use_bias", True) else None
        return [({}, own)]
    value = settings.get(sub.config_key)
    if sub.attr == "backward_layer" and not isinstance(value, Mapping):
        value = settings.get("layer")  # one layer is given, and Keras makes the backward one from it
    if sub.attr == "cell" and isinstance(value, list):
        return [({"class_name": "StackedRNNCells", "config": {"name": "stacked_rnn_cells", "cells": value}}, None)]
    items = value if sub.is_list and isinstance(value, list) else [value]
    return [(item, None) for item in items if isinstance(item, Mapping)]


def _legacy_name(sub: SubLayer, inner: Mapping[str, Any], own: Config | None) -> str | None:
    if sub.attr in ("forward_layer", "backward_layer"):
        name = str(settings_of(inner).get("name", ""))
        return name if name.startswith(("forward_", "backward_")) else f"{sub.legacy_name}_{name}"
    if own is not None and sub.legacy_name is None and sub.class_name is not None:
        return snake_case(sub.class_name)  # it is made without a name of its own: LSTM's lstm_cell
    if sub.legacy_name or own is None:
        return sub.legacy_name or str(settings_of(inner).get("name") or "") or None
    return None
