"""Building a layer from weights whose places below it are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kmodel_tools.architecture.legacy_weights import Step
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.tree import Layer, Weight, make_from_below, split_path


@dataclass(slots=True)
class _Branch:
    name: str
    attr: str | None = None
    class_name: str | None = None
    kept: bool = True
    weights: list[Weight] = field(default_factory=list)
    branches: dict[Step, _Branch] = field(default_factory=dict)


def assembled(name: str, class_name: str | None, spec: LayerSpec | None, placed: Iterable[tuple[tuple[Step, ...], Weight]]) -> Layer:
    """Build a layer.

    Args:
        name: Its name.
        class_name: Its class, or None.
        spec: What the configuration says of it; decides the order of the layers below, and adds those without weights.
        placed: The levels that lead to each weight, and the weight.
    """
    root = _Branch(name, None, class_name)
    if spec is not None:
        _seed(root, spec)
    for steps, weight in placed:
        branch = root
        for step in steps:
            branch = branch.branches.setdefault(_key(step), _new(step))
        branch.weights.append(weight)
    (layer,) = make_from_below([root], lambda branch: tuple(branch.branches.values()), _layer)
    assert layer is not None, "the root is kept"
    return layer


def _key(step: Step) -> Step:
    return Step(step.component, step.is_attr)


def _new(step: Step) -> _Branch:
    if step.is_attr:
        return _Branch(step.name or split_path(step.component)[-1], step.component, step.class_name)
    return _Branch(step.component, None, step.class_name)


def _seed(branch: _Branch, spec: LayerSpec) -> None:
    for child in spec.children:
        step = Step(child.attr if child.attr is not None else child.name, child.attr is not None, child.class_name, child.name)
        below = branch.branches.setdefault(_key(step), _new(step))
        below.kept = spec.is_model
        _seed(below, child)


def _layer(branch: _Branch, made: tuple[Layer | None, ...]) -> Layer | None:
    """The finished layer, or None where nothing below it holds weights and it is not to be kept without."""
    layers = tuple(layer for layer in made if layer is not None)
    if not branch.kept and not branch.weights and not any(_holds_weights(layer) for layer in layers):
        return None
    return Layer(branch.name, branch.attr, branch.class_name, tuple(branch.weights), layers)


def _holds_weights(layer: Layer) -> bool:
    return bool(layer.weights) or any(_holds_weights(below) for below in layer.layers)
