"""Where the layers of a configuration are: every model in it by its path, with the layers that it lists.

Paths are those of the tree. A layer of a model goes by its name; what a wrapper holds by the attribute `layer`. What
somebody's own layer holds is not looked into: nobody but its code knows what of it is a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError, class_of, is_model, layer_configs, settings_of
from kmodel_tools.tree import Path

INSIDE = "layer"
"""The argument by which wrappers hold a layer; the attribute has the same name."""
MAX_DEPTH = 100
"""Layers nested deeper than this are refused: no framework builds them."""


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """A graph or list of layers in a configuration.

    Attributes:
        path: Its path; () for the outermost one.
        node: The object.
        layers: The objects of its layers, in the order of the file.
    """

    path: Path
    node: Config
    layers: tuple[Config, ...]

    @property
    def names(self) -> list[str]:
        """What its layers are called."""
        return [name_of(layer) for layer in self.layers]


def models_in(root: Config) -> Iterator[ModelPlace]:
    """Every model of a configuration, those around others first.

    Raises:
        ConfigError: It is no configuration of a model, or nested deeper than any.
    """
    stack: list[tuple[Path, Config, int]] = [((), root, 0)]
    while stack:
        path, node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ConfigError(f"layers nested more than {MAX_DEPTH} deep")
        settings = settings_of(node)
        if is_model(class_of(node), settings):
            place = ModelPlace(path, node, tuple(layer_configs(node)))
            yield place
            below = list(zip(place.names, place.layers, strict=True))
            stack.extend(((*path, name), layer, depth + 1) for name, layer in reversed(below))
            continue
        inner = settings.get(INSIDE)
        if isinstance(inner, Mapping) and "class_name" in inner:
            stack.append(((*path, INSIDE), inner, depth + 1))


def layers_in(root: Config) -> dict[Path, Config]:
    """Every layer of every model of a configuration, by its path; those around others first."""
    return {(*place.path, name): layer for place in models_in(root) for name, layer in zip(place.names, place.layers, strict=True)}


def name_of(layer: Mapping[str, Any]) -> str:
    """The name of a layer of a model, or "" where somebody's own class leaves it out."""
    return str(settings_of(layer).get("name") or layer.get("name") or "")
