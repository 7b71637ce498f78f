"""Laying layers that were read from a graph of objects beside what a configuration says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.formats._shared.tensorflow.objects import Described
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.tree import Layer

_LAYER = re.compile(r"layer-([0-9]{1,9})$")


def in_configured_order(layers: Sequence[Layer], spec: LayerSpec) -> tuple[Layer, ...]:
    """Bring layers into the order of a configuration, with the classes that it states and the layers that hold no weights.

    Args:
        layers: The layers of a model, or the sub-layers of a layer.
        spec: What the configuration says of the model or layer that holds them.
    """
    return _Order().below(tuple(layers), spec)


class _Order:
    """Remembers what each layer became, so that a shared one stays one."""

    def __init__(self) -> None:
        self.done: dict[int, Layer] = {}

    def below(self, layers: tuple[Layer, ...], spec: LayerSpec) -> tuple[Layer, ...]:
        left = {(layer.attr, "" if layer.attr is not None else layer.name): layer for layer in layers}
        found: list[Layer] = []
        for child in spec.children:
            layer = left.pop((child.attr, "" if child.attr is not None else child.name), None)
            if layer is not None:
                found.append(self._layer(layer, child))
            elif spec.is_model:
                found.append(assembled(child.name, child.class_name, child, ()))
        return (*found, *(layer for layer in layers if any(layer is other for other in left.values())))

    def _layer(self, layer: Layer, spec: LayerSpec) -> Layer:
        known = self.done.get(id(layer))
        if known is None:
            order = {variable.role: index for index, variable in enumerate(spec.variables or ())}
            weights = tuple(sorted(layer.weights, key=lambda weight: order.get(weight.role, len(order))))
            known = replace(layer, class_name=layer.class_name or spec.class_name, weights=weights, layers=self.below(layer.layers, spec))
            self.done[id(layer)] = known
        return known


def described_by(graph: Sequence[Node], spec: LayerSpec) -> tuple[dict[int, Described], dict[int, bool]]:
    """What a configuration says of the nodes, by the numbers of layers: `layer-2` is its third.

    A Sequential of TensorFlow 1.15 counts its InputLayer, one of 2.2 and later does not; where the numbers fit neither the
    layers of the configuration nor those of them that are no inputs, nothing is concluded.

    Returns:
        Names and classes of the nodes that are layers, and whether the variables at others are trained.
    """
    found: dict[int, Described] = {0: Described(spec.name, spec.class_name)}
    trained: dict[int, bool] = {}
    stack: list[tuple[int, LayerSpec]] = [(0, spec)]
    while stack:  # ends with the configuration, which has no cycles
        number, item = stack.pop()
        if item.is_model:
            for below, inner in _numbered(graph[number], item):
                found[below] = Described(inner.name, inner.class_name)
                stack.append((below, inner))
            continue
        held: Mapping[str, int] = {name.lstrip("_"): child for name, child in graph[number].children}
        for variable in item.variables or ():
            if variable.role in held:
                trained[held[variable.role]] = variable.trained and item.trainable
        for inner in item.children:
            child = held.get(inner.attr or "")
            if child is not None:
                found[child] = Described(inner.name, inner.class_name)
                stack.append((child, inner))
    return found, trained


def _numbered(node: Node, spec: LayerSpec) -> list[tuple[int, LayerSpec]]:
    nodes = sorted((int(match[1]), child) for name, child in node.children if (match := _LAYER.match(name)))
    if [index for index, _ in nodes] != list(range(len(nodes))):
        return []
    inner = [child for child in spec.children if child.class_name != "InputLayer"]
    if len(nodes) == len(inner) + 1 and spec.class_name == "Sequential":
        nodes = nodes[1:]
    expected = spec.children if len(nodes) == len(spec.children) else inner
    if len(nodes) != len(expected):
        return []
    return [(child, item) for (_, child), item in zip(nodes, expected, strict=True)]
