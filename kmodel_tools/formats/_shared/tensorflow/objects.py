"""Object-based checkpoints: layers and weights by the edges of the object graph.

Keys are not looked at: an object that is reachable by several names has one key only, the first that TensorFlow came
across. In a compiled Keras 3 model that is often the optimizer's, and the kernel of a layer lies under
`optimizer/_trainable_variables/0`; the edges still lead from the layer to it.

How models appear (checked with TensorFlow 1.15 to 2.21, Keras 2 and 3)::

    Keras 2 Functional, Sequential    layer-0 …  layer_with_weights-0 …        (the same layers twice)
    Keras 3 Functional                _operations/0 …      Sequential: _functional/_operations/0 …
    anything else                     the attributes that hold layers and variables

The graph knows no layer names; those of variables do (`dense_1/kernel`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from kmodel_tools.architecture.legacy_weights import known_roles, never_trained
from kmodel_tools.formats._shared.tensorflow.layer_names import GraphObject, name_layers, place_unreached
from kmodel_tools.formats._shared.tensorflow.optimizer_nodes import OptimizerReader, optimizer_nodes
from kmodel_tools.storage.object_graph import KEY, Node
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Note, Optimizer, Weight, join_path, make_from_below

SAVE_COUNTER = "save_counter"
ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"

_KERAS_2_LAYER = re.compile(r"layer(_with_weights)?-([0-9]{1,9})$")
_OPERATIONS = "_operations"
_FUNCTIONAL = "_functional"
_LAYERS = "_layers"
"""A list in which TensorFlow 1.15 to 2.2 repeats the sub-layers that are attributes, too."""
_OTHER_NAMES = {"adapt_mean": "mean", "adapt_variance": "variance"}
"""Attributes of Keras 3's Normalization that are called otherwise than their variables."""
_RANDOM_STATE = frozenset({"_random_generator", "_rng", "seed_generator", "_seed_generator", "_generator"})
_NOT_STRUCTURE = _RANDOM_STATE | {"keras_api", "signatures", "train_function", "train_tf_function", "_tracked"}
_SAVED_MODEL_LISTS = frozenset({"variables", "trainable_variables", "regularization_losses"})
"""What a SavedModel of Keras 2 adds to each layer beside `keras_api`: lists of what the layer and its sub-layers hold."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a file states of a node that is a layer: Keras's name of it, and its class."""

    name: str | None
    class_name: str | None


def read_objects(
    graph: Sequence[Node],
    tensors: Mapping[str, Tensor],
    described: Mapping[int, Described] | None = None,
    trainable: Mapping[int, bool] | None = None,
    optimizer_class: str | None = None,
    made: Mapping[int, bool] | None = None,
) -> Model:
    """Turn an object graph into a model.

    Args:
        graph: The nodes; node 0 is the root.
        tensors: Every tensor of the checkpoint by key.
        described: What else the file states of nodes that are layers.
        trainable: Whether the variable at a node is trained, where the file says so.
        optimizer_class: The class of the model's optimizer, where the file says it.
        made: Whether the variable at a node was made to be trained, where the file says so: Keras counts those first.
    """
    return _GraphReader(graph, tensors, described or {}, trainable or {}, optimizer_class, made or trainable or {}).model()


@dataclass(slots=True)
class _GraphReader:
    graph: Sequence[Node]
    tensors: Mapping[str, Tensor]
    described: Mapping[int, Described]
    trainable: Mapping[int, bool]
    optimizer_class: str | None = None
    made: Mapping[int, bool] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    edges: list[tuple[tuple[str, int], ...]] = field(init=False)
    optimizers: dict[int, str] = field(init=False)
    holding: set[int] = field(init=False)
    keras_3: bool = field(init=False)
    variables: dict[int, Weight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.edges = [structure(node) for node in self.graph]
        self.optimizers = optimizer_nodes(self.graph)
        self.holding = self._nodes_with_values()
        names = {name for node in self.graph for name, _ in node.children}
        self.keras_3 = bool(names & {_OPERATIONS, _FUNCTIONAL, "_trainable_variables_indices", "_kernel"})

    def model(self) -> Model:
        root, extras = self._model_node()
        top = self._objects(root)
        unnamed = name_layers(top, self._full_names(), self.keras_3)
        reader = OptimizerReader(self.graph, self.tensors, self.variables, self.optimizer_class)
        order = reader.find_unreached(self.optimizers)
        self.notes += place_unreached(top, reader.unreached, order, self._full_names())
        layers = make_from_below(top.children, attrgetter("children"), _layer)
        model = Model(layers=layers, own_weights=tuple(top.weights))
        optimizer, notes = reader.read(self.optimizers, [weight for _, weight in model.weights()])
        self.notes += notes
        used = {weight.key for weight in (*self.variables.values(), *extras)} | _keys(optimizer) | {KEY}
        extras += [Weight(last_name(key), tensor, key) for key, tensor in self.tensors.items() if key not in used]
        if unnamed:
            self.notes.append(Note("inferred", f"layers without a name in the file go by their place in the graph ({unnamed})"))
        if not self.described:
            self.notes.append(
                Note("inferred", "a checkpoint holds no classes, and its layers' names are taken from those of their variables")
            )
        return Model(
            layers=layers,
            own_weights=tuple(top.weights),
            optimizer=optimizer,
            extras=tuple(extras),
            metadata=self._metadata(root),
            notes=tuple(self.notes),
        )

    def _metadata(self, root: int) -> dict[str, str]:
        """Who wrote the graph, whether its root is the model, and what it calls its optimizer, where that is not `optimizer`."""
        found = {"root": "model" if root else "itself"}
        names = {name for name in self.optimizers.values() if name not in ("optimizer", "loss_scale")}
        if len(names) == 1 == len(self.optimizers):
            found["optimizer"] = names.pop()
        return found | ({"producer": "Keras 3"} if self.keras_3 else {})

    def _full_names(self) -> dict[int, str]:
        """The variable name of each weight, by the weight's identity."""
        return {id(weight): self.graph[number].full_name for number, weight in self.variables.items()}

    # What the nodes are.

    def _nodes_with_values(self) -> set[int]:
        """Nodes from which a variable can be reached without passing through an optimizer."""
        parents: dict[int, list[int]] = {}
        for number, edges in enumerate(self.edges):
            if number not in self.optimizers:
                for _, child in edges:
                    parents.setdefault(child, []).append(number)
        found = {number for number, node in enumerate(self.graph) if node.key is not None}
        stack = list(found)
        while stack:
            for parent in parents.get(stack.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return found

    def _model_node(self) -> tuple[int, list[Weight]]:
        """The node of the model: the root, or what a `tf.train.Checkpoint(model=…)` holds and nothing else beside it."""
        extras: list[Weight] = []
        others = []
        model = None
        for name, child in self.edges[0]:
            if child in self.optimizers or child == 0:
                continue
            key = self.graph[child].key
            if name == SAVE_COUNTER and key is not None:
                if key in self.tensors:
                    extras.append(Weight(SAVE_COUNTER, self.tensors[key], key))
                self.holding.discard(child)
            elif name == "model" and key is None and 0 not in self.described:
                model = child
            elif child in self.holding:
                others.append(child)
        if model is None or any(child != model for child in others):
            return 0, extras
        return model, extras

    # From the model down.

    def _objects(self, root: int) -> GraphObject:
        """Follow the edges depth first; one that leads back up is left out, since a tree has no cycles."""
        top = GraphObject(None, "")
        made: dict[int, GraphObject] = {root: top}
        active: set[int] = set()
        stack: list[tuple[int, Iterator[tuple[int, tuple[str | None, str]]]]] = []

        def enter(number: int) -> None:
            active.add(number)
            self._own_variables(made[number], number)
            edges: dict[int, tuple[str | None, str]] = {}
            for attr, component, child in self._sub_layers(number):
                edges.setdefault(child, (attr, component))  # a second name for the same sub-layer says nothing new
            stack.append((number, iter(edges.items())))

        enter(root)
        while stack:
            number, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                active.discard(number)
                stack.pop()
                continue
            child, (attr, component) = edge
            if child in active:
                continue
            known = made.get(child)
            if known is None:
                made[child] = self._object(child, attr, component)
                made[number].children.append(made[child])
                enter(child)
            elif known.attr == attr:
                made[number].children.append(known)
            else:
                again = GraphObject(attr, component, known.name, known.weights, known.children, known.given, known.class_name)
                made[number].children.append(again)
        return top

    def _object(self, number: int, attr: str | None, component: str) -> GraphObject:
        stated = self.described.get(number)
        if stated is None:
            return GraphObject(attr, component)
        return GraphObject(attr, component, given=stated.name, class_name=stated.class_name)

    def _own_variables(self, item: GraphObject, number: int) -> None:
        names: dict[int, list[str]] = {}
        below = self._variables_of_sub_layers(number)
        for name, child in self.edges[number]:
            if self.graph[child].key in self.tensors and child in self.holding and child not in below:
                names.setdefault(child, []).append(name)
        taken = {name for spellings in names.values() for name in spellings}
        roles = {child: _role(spellings, taken) for child, spellings in names.items()}
        counts = Counter(roles.values())
        # `_w` and `w` of one object would be called alike: then each goes by its own name.
        roles = {child: role if counts[role] == 1 else names[child][-1] for child, role in roles.items()}
        never = {child for child, role in roles.items() if not self.made.get(child, not never_trained(role, roles.values()))}
        for child, role in sorted(roles.items(), key=lambda item: item[0] in never):
            if child not in self.variables:
                key = self.graph[child].key or ""
                trainable = self.trainable.get(child, False if never_trained(role, roles.values()) else None)
                self.variables[child] = Weight(role, self.tensors[key], key, trainable)
            item.weights.append(self.variables[child])

    def _variables_of_sub_layers(self, number: int) -> set[int]:
        """The variables that sub-layers own; a wrapper such as SpectralNormalization refers to its layer's kernel."""
        found: set[int] = set()
        for _, child in self.edges[number]:
            if child != number and child in self.holding and self.graph[child].key is None and child not in self.optimizers:
                found.update(inner for _, inner in self.edges[child] if self.graph[inner].key is not None)
        return found

    def _sub_layers(self, number: int) -> Iterator[tuple[str | None, str, int]]:
        """Yield (attribute or None, component, node) for what a node holds, in Keras's order."""
        listed = self._layer_list(number)
        for component, child in listed:
            if child in self.holding and self.graph[child].key is None:
                yield None, component, child
        named = {child for name, child in self.edges[number] if name != _LAYERS}
        repeats = {
            child
            for name, child in self.edges[number]
            if name == _LAYERS and {inner for _, inner in self.edges[child] if inner in self.holding} <= named
        }
        seen = {child for _, child in listed} | repeats
        for name, child in self.edges[number]:
            if child in seen or (listed and name in (_OPERATIONS, _FUNCTIONAL)):
                continue
            yield from self._attributes((name.lstrip("_") or name,), child)

    def _attributes(self, path: tuple[str, ...], child: int) -> Iterator[tuple[str | None, str, int]]:
        """A sub-layer under an attribute; a list of them gives each element, one that holds variables is an object itself."""
        stack = [(path, child)]
        while stack:
            path, child = stack.pop()
            if child not in self.holding or self.graph[child].key is not None or child in self.optimizers:
                continue
            held = [(name, inner) for name, inner in self.edges[child] if inner in self.holding]
            if held and all(name.isdigit() and self.graph[inner].key is None for name, inner in held):
                stack.extend(((*path, name), inner) for name, inner in reversed(self.edges[child]))
            else:
                yield join_path(path), join_path(path), child

    def _layer_list(self, number: int) -> list[tuple[str, int]]:
        """The layers of a graph or list of layers, or nothing for any other node."""
        children = dict(self.edges[number])
        if _FUNCTIONAL in children:
            children = dict(self.edges[children[_FUNCTIONAL]])
        if _OPERATIONS in children:
            return [(f"operations/{index}", child) for index, child in self.edges[children[_OPERATIONS]]]
        found: dict[int, tuple[int, str]] = {}
        for name, child in self.edges[number]:
            match = _KERAS_2_LAYER.match(name)
            if match and (child not in found or match[1] is None):
                found[child] = (int(match[2]), found[child][1] if child in found else name)
        return [(component, child) for child, (_, component) in sorted(found.items(), key=lambda item: item[1][0])]


def structure(node: Node) -> tuple[tuple[str, int], ...]:
    """The edges that lead to what a node is made of."""
    left_out = _NOT_STRUCTURE
    if any(name == "keras_api" for name, _ in node.children):
        left_out |= _SAVED_MODEL_LISTS
    return tuple((name, child) for name, child in node.children if name not in left_out)


def _role(spellings: Sequence[str], siblings: set[str]) -> str:
    """The attribute that a variable goes by: a known role first, then the last one, without leading underscore."""
    plain = [name.lstrip("_") or name for name in spellings]
    plain = [_OTHER_NAMES.get(name, name) for name in plain]
    role = next((name for name in plain if name in known_roles()), plain[-1])
    return "kernel" if role == "depthwise_kernel" and "pointwise_kernel" not in siblings else role


def last_name(key: str) -> str:
    """The last name in a checkpoint key."""
    return key.removesuffix(ATTRIBUTE).rpartition("/")[2]


def _keys(optimizer: Optimizer | None) -> set[str]:
    if optimizer is None:
        return set()
    return {item.key for items in (optimizer.slots, optimizer.counters, optimizer.extras) for item in items}


def _layer(item: GraphObject, layers: tuple[Layer, ...]) -> Layer:
    return Layer(item.name or item.component, item.attr, item.class_name, tuple(item.weights), layers)
