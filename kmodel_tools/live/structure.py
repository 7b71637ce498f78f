"""The tree of a live model: which attribute holds which layer, and the variable behind each weight.

Under a graph or a list of layers a component of a path is a layer's name, under anything else the attribute that holds it
(`docs/data-model.md`). Layers and variables stand in the framework's own order, in which it also stores them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from kmodel_tools.architecture.layer_classes import is_builtin
from kmodel_tools.errors import KmtError, UnsupportedFeatureError
from kmodel_tools.live.attributes import own_variables, plain, sub_layers
from kmodel_tools.live.frameworks import is_builtin_class, is_graph
from kmodel_tools.live.roles import ordered, roles_of
from kmodel_tools.live.variables import Computed, address_of, name_of, tensor_of
from kmodel_tools.tree import Layer, Model, Note, Path, Weight, join_path, make_from_below, split_path

LORA = "lora_"
"""What the names of the two factors start with that LoRA adds to a layer's first weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A weight of the tree and the variable behind it; `factors` are to be zero once it has new values, since it shows their sum."""

    weight: Weight
    variable: Any
    factors: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """The tree of a live model.

    Attributes:
        layers: The layers.
        own_weights: What the model itself owns.
        held: Every weight with the variable behind it, in the order of the tree.
        unbuilt: Names of layers that have no variables yet; Keras makes them at a layer's first call.
        notes: What a careful reader should know of it.
    """

    layers: tuple[Layer, ...]
    own_weights: tuple[Weight, ...]
    held: tuple[Held, ...]
    unbuilt: frozenset[str]
    notes: tuple[Note, ...]


def structure_of(model: Any, like: Model | None = None) -> Structure:
    """Look through a live model.

    Args:
        model: The model.
        like: Another model, whose spelling is taken on where somebody's own classes can be spelled in several ways: layers by
            attributes or by names, variables by attributes, by names or by their numbers.

    Raises:
        KmtError: The model is not built, or nothing tells where one of its variables is held.
        UnsupportedFeatureError: A variable is of a type that is not known, or its layer stores something else.
    """
    if not getattr(model, "built", True):
        raise KmtError(
            f"the model {model.name} is not built: its layers have no weights yet",
            cure="call it on some data, or build it for a shape of inputs, beforehand",
        )
    pattern = Layer("", None, None, like.own_weights, like.layers) if like is not None else None
    return _Walk(model).structure(() if pattern is None else (pattern,))


@dataclass(slots=True, eq=False)
class _Node:
    """A live layer, as an attribute holds it or under its name.

    Attributes:
        address: Names and attributes that lead to it, as they are spelled in the code.
        like: The layers of the other model at the same path.
    """

    layer: Any
    attr: str | None
    address: Path = ()
    like: Sequence[Layer] = ()
    weights: tuple[Weight, ...] = ()
    children: list[_Node] = field(default_factory=list)


class _Walk:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.trained = {id(variable) for variable in model.trainable_variables}
        self.held: dict[int, Held] = {}
        self.nodes: dict[tuple[int, str | None], _Node] = {}
        self.below: dict[int, frozenset[int]] = {}

    def structure(self, like: Sequence[Layer]) -> Structure:
        root = _Node(self.model, None, (), like)
        order = self._opened(root)
        for node in order:
            self._own_weights(node)
            if not is_graph(node.layer):  # as in files: of what an attribute holds only what has weights
                node.children = [child for child in node.children if self.below[id(child.layer)]]
        layers = make_from_below(root.children, attrgetter("children"), _made)
        unbuilt = list(dict.fromkeys(node.layer.name for node in order if not getattr(node.layer, "built", True)))
        notes: tuple[Note, ...] = ()
        if unbuilt:
            listed = ", ".join(unbuilt[:5]) + (" …" if len(unbuilt) > 5 else "")
            notes = (Note("odd", f"layers that were never called, and have no weights yet: {listed}"),)
        by_weight = {id(item.weight): item for item in self.held.values()}
        tree = Model(layers=layers, own_weights=root.weights)
        held = tuple(by_weight[id(weight)] for _, weight in tree.weights())
        self._refuse_missing(held)
        return Structure(layers, root.weights, held, frozenset(unbuilt), notes)

    def _opened(self, root: _Node) -> list[_Node]:
        """Every node once, what a layer holds before it; an edge that leads back up is left out, since a tree has no cycles."""
        order: list[_Node] = []
        above: set[int] = set()
        stack: list[tuple[_Node, Iterator[_Node]]] = []

        def enter(node: _Node) -> None:
            above.add(id(node.layer))
            stack.append((node, iter(list(_children(node)))))

        enter(root)
        while stack:
            node, children = stack[-1]
            child = next(children, None)
            if child is None:
                above.discard(id(node.layer))
                order.append(node)
                stack.pop()
                continue
            if id(child.layer) in above:
                continue
            known = self.nodes.get((id(child.layer), child.attr))
            node.children.append(known or child)
            if known is None:
                self.nodes[id(child.layer), child.attr] = child
                enter(child)
        return order

    def _own_weights(self, node: _Node) -> None:
        """Describe a layer's own variables; those of the layers in it are theirs, though a wrapper may refer to them."""
        below: frozenset[int] = frozenset().union(*(self.below[id(child.layer)] for child in node.children))
        own = [variable for variable in own_variables(node.layer) if id(variable) not in below]
        self.below[id(node.layer)] = below.union(map(id, own))
        node.weights = tuple(self._described(node, own, [weight.role for other in node.like for weight in other.weights]))

    def _described(self, node: _Node, own: Sequence[Any], like: Sequence[str]) -> Iterator[Weight]:
        layer = node.layer
        factors = _factors(layer, own, like)
        own = ordered(layer, [variable for variable in own if not any(variable is factor for factor in factors)])
        summed = name_of(factors[0]).removeprefix(LORA).removesuffix("_a") if factors else ""
        for variable, role in zip(own, roles_of(layer, own, like), strict=True):
            if id(variable) not in self.held:
                is_sum = role == summed
                tensor = tensor_of(variable, address_of(variable), Computed(layer, summed) if is_sum else None)
                weight = Weight(role, tensor, join_path((*node.address, role)), id(variable) in self.trained)
                self.held[id(variable)] = Held(weight, variable, factors if is_sum else ())
            yield self.held[id(variable)].weight

    def _refuse_missing(self, held: Sequence[Held]) -> None:
        """Make sure that nothing was overlooked: a weight that no layer of the tree owns would be left as it is without a word."""
        found = {id(variable) for item in held for variable in (item.variable, *item.factors)}
        missing = [address_of(variable) for variable in self.model.weights if id(variable) not in found]
        if missing:
            raise KmtError(
                f"{len(missing)} weights of the model are held where nobody looks for them: {', '.join(missing[:3])}",
                cure="hold layers and variables as attributes, or in lists and dictionaries of them",
            )


def _children(node: _Node) -> Iterator[_Node]:
    candidates = [child for other in node.like for child in other.layers]
    if is_graph(node.layer):
        for layer in node.layer.layers:
            yield _Node(layer, None, (*node.address, layer.name), [other for other in candidates if other.components == (layer.name,)])
        return
    spelled = {other.components for other in candidates}
    for spellings, layer in sub_layers(node.layer):
        spelling = next((other for other in spellings if split_path(plain(other)) in spelled), spellings[0] if spellings else None)
        attr = None if spelling is None else plain(spelling)
        if attr is not None and split_path(attr) not in spelled and (layer.name,) in spelled and not is_builtin_class(node.layer):
            attr = None
        components = (layer.name,) if attr is None else split_path(attr)
        address = (*node.address, *((layer.name,) if spelling is None else split_path(spelling)))
        yield _Node(layer, attr, address, [other for other in candidates if other.components == components])


def _factors(layer: Any, own: Sequence[Any], like: Sequence[str]) -> tuple[Any, ...]:
    """The two factors of a layer with LoRA, which Keras stores as part of the weight that they change, unless `like` has them apart.

    Source: Keras 3.15.1 `layers/core/dense.py`, `save_own_variables`; a legacy file has them apart.
    """
    if not getattr(layer, "lora_enabled", False) or any(role.startswith(LORA) for role in like):
        return ()
    if getattr(layer, "quantization_mode", None) is not None:
        raise UnsupportedFeatureError(
            f"{layer.name} has LoRA on quantised weights, which Keras stores as one that is quantised anew",
            cure="save the model with Keras, and use the file",
        )
    found = tuple(variable for variable in own if name_of(variable).startswith(LORA))
    return found if len(found) == 2 else ()


def _made(node: _Node, layers: tuple[Layer, ...]) -> Layer:
    return Layer(str(node.layer.name), node.attr, _class_of(node.layer), node.weights, layers)


def _class_of(layer: Any) -> str:
    """A layer's class; where somebody else's has the name of a built-in one, with its module: `my_models>BatchNormalization`."""
    kind = type(layer)
    return f"{kind.__module__}>{kind.__name__}" if is_builtin(kind.__name__) and not is_builtin_class(layer) else kind.__name__
