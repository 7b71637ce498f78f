"""From a tree to an object graph: the objects that a restoring model looks for, and what they hold.

Only what leads to a value is written: layers without weights, and the second names that TensorFlow gives a layer
(`layer-1` beside `layer_with_weights-0`, counted otherwise by every generation), are not needed to restore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.checkpoint_layout import LISTED, GraphLayout, attribute_names, variable_names
from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.legacy_weights import sub_layers_are_ordered
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec, followed
from kmodel_tools.architecture.store_layout import places
from kmodel_tools.architecture.topology import layer_order
from kmodel_tools.errors import ConversionError
from kmodel_tools.formats._shared.tensorflow.objects import last_name
from kmodel_tools.storage.object_graph import NewNode
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, make_from_below, split_path

LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
OPERATIONS, FUNCTIONAL = "_operations", "_functional"


@dataclass(slots=True)
class ModelNodes:
    """The graph of a model without its optimizer.

    Attributes:
        root: The model's own node.
        variables: The node of each weight, by the weight's identity.
        out_of_reach: Paths of weights that this layout has no attribute for: Keras 3 does not track lists of layers.
    """

    root: NewNode
    variables: dict[int, NewNode]
    out_of_reach: list[str]


def model_nodes(model: Model, layout: GraphLayout, full_names: Mapping[int, str]) -> ModelNodes:
    """Make the nodes of a model's layers and weights.

    Args:
        model: The model.
        layout: Whose models shall find their weights.
        full_names: The variable name of each weight, by the weight's identity.

    Raises:
        ConversionError: The layout counts something that is not in the source.
    """
    spec = followed(model)
    if not sub_layers_are_ordered(model):
        raise ConversionError(
            "a checkpoint counts layers in the model's order, and a legacy file of weights does not tell that of nested layers",
            cure="give the whole model: --like model.h5, or write names: --option layout=names",
        )
    for path, weight in model.weights():
        if weight.role.isdecimal():
            raise ConversionError(
                f"which attribute holds {join_path(path)} is not in the source", cure="convert from a checkpoint of the same model"
            )
    if layout is GraphLayout.KERAS_2:
        _refuse_tables(model, spec)
    if layout is GraphLayout.KERAS_3 and spec is None and any(layer.attr is None for layer in model.layers):
        raise ConversionError(
            "Keras 3 counts all operations of a model, and the source has layers with weights alone",
            cure="give a file with the architecture: --like model.keras",
        )
    specs = {place.path: place.spec for place in places(spec.root)} if spec is not None else {}
    era = spec.era if spec is not None else Era.KERAS_3
    by_layer = {id(layer): specs.get(path) for path, layer in model.walk()}
    return _Writer(layout, full_names, by_layer, era, _spelled(model)).model(model, spec.root if spec is not None else None)


@dataclass(slots=True)
class _Writer:
    layout: GraphLayout
    full_names: Mapping[int, str]
    specs: Mapping[int, LayerSpec | None]
    era: Era
    spelled: frozenset[str]
    variables: dict[int, NewNode] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)
    out_of_reach: list[str] = field(default_factory=list)

    def model(self, model: Model, spec: LayerSpec | None) -> ModelNodes:
        made = make_from_below(model.layers, lambda layer: layer.layers, self._layer)
        root = self._node(None, spec, model.own_weights, model.layers, made)
        if self.layout is GraphLayout.KERAS_3:
            self._note_lists(model)
        return ModelNodes(root, self.variables, self.out_of_reach)

    def _layer(self, layer: Layer, made: tuple[NewNode, ...]) -> NewNode:
        spec = self.specs.get(id(layer))
        kind = layer.class_name or (spec.class_name if spec is not None else None)
        node = self._node(kind, spec, layer.weights, layer.layers, made)
        if canonical_class(kind) == "SpectralNormalization" and made and layer.layers[0].weights:
            node.children["kernel"] = self.variables[id(layer.layers[0].weights[0])]  # the wrapper refers to its layer's kernel
        return node

    def _node(
        self, kind: str | None, spec: LayerSpec | None, weights: Sequence[Weight], layers: Sequence[Layer], made: Sequence[NewNode]
    ) -> NewNode:
        node = NewNode()
        listed = [(layer, child) for layer, child in zip(layers, made, strict=True) if _is_listed(layer) and id(child) in self.holding]
        if listed and spec is not None and not spec.is_model:
            raise ConversionError(
                f"which attribute of {spec.name or spec.class_name} holds the layer {listed[0][0].name} is not in the source",
                cure="convert from a checkpoint of the same model",
            )
        if listed and self.layout is GraphLayout.KERAS_2:
            node.children |= {f"layer_with_weights-{number}": child for number, (_, child) in enumerate(listed)}
        elif listed:
            self._add_operations(node, spec, listed)
        taken = {weight.role for weight in weights}
        for weight in weights:
            variable = self._variable(weight)
            own, *others = _first(variable_names(weight.role, kind, self.layout), last_name(weight.key) if self.spelled else "")
            node.children[own] = variable
            node.children |= {name: variable for name in others if name not in taken}
        attributes = [
            (split_path(layer.attr or layer.name), child)
            for layer, child in zip(layers, made, strict=True)
            if not _is_listed(layer) and id(child) in self.holding
        ]
        for path, child in attributes:
            self._attach(node, path, child, {other[0] for other, _ in attributes})
        if weights or any(id(child) in self.holding for child in made):
            self.holding.add(id(node))
        return node

    def _attach(self, node: NewNode, path: Path, child: NewNode, taken: set[str]) -> None:
        """Hang a sub-layer under the attribute that holds it; an element of a list under the list. Others' names are `taken`."""
        *containers, last = path
        for name in containers:
            node = node.children.setdefault(name, NewNode())
        if containers:
            node.children.setdefault(last, child)
            return
        own, *others = self._as_spelled(attribute_names(last))
        node.children.setdefault(own, child)
        for name in others:
            if name not in taken or name == last:
                node.children.setdefault(name, child)

    def _as_spelled(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of an attribute, first the one that the source's own keys have."""
        found = [name for name in names if name in self.spelled]
        return _first(names, found[0]) if len(found) == 1 else names

    def _variable(self, weight: Weight) -> NewNode:
        if id(weight) not in self.variables:
            self.variables[id(weight)] = NewNode(weight.tensor, self.full_names.get(id(weight), weight.role))
        return self.variables[id(weight)]

    def _add_operations(self, node: NewNode, spec: LayerSpec | None, listed: Sequence[tuple[Layer, NewNode]]) -> None:
        """Put layers where Keras 3 counts them: among all operations of a Functional, and of the one inside of a Sequential."""
        if spec is None:
            raise ConversionError(f"Keras 3 counts the operations around {listed[0][0].name}, and the source does not have them")
        names = _operation_names(spec, self.era)
        operations = NewNode()
        unknown = [layer.name for layer, _ in listed if layer.name not in names]
        if unknown:
            raise ConversionError(f"the configuration does not name the layer {unknown[0]}, and Keras 3 counts its operations")
        for layer, child in listed:
            operations.children[str(names[layer.name])] = child
        node.children[OPERATIONS] = operations
        if "input_layers" not in spec.config:
            node.children = {FUNCTIONAL: NewNode(children={OPERATIONS: operations})}

    def _note_lists(self, model: Model) -> None:
        lists: list[Path] = []
        for path, layer in model.walk():
            if layer.attr is not None and len(split_path(layer.attr)) > 1:
                lists.append(path)
            if lists and path[: len(lists[-1])] == lists[-1]:
                self.out_of_reach += [join_path((*path, weight.role)) for weight in layer.weights]


def _first(names: tuple[str, ...], wanted: str) -> tuple[str, ...]:
    return (wanted, *(name for name in names if name != wanted)) if wanted in names else names


def _spelled(model: Model) -> frozenset[str]:
    """Every attribute in the keys of the checkpoint that a model comes from."""
    if model.format not in ("tf-checkpoint", "saved-model"):
        return frozenset()
    return frozenset(part for key, _ in model.inventory or () for part in key.split("/"))


def _refuse_tables(model: Model, spec: ModelSpec | None) -> None:
    """Refuse what Keras 2 counts among the layers with weights though it holds none that can be carried: adapted vocabularies."""
    adapted = [place.spec.name for place in places(spec.root) if _has_table(place.spec)] if spec is not None else []
    if spec is None:
        adapted = [layer.name for _, layer in model.walk() if canonical_class(layer.class_name) in LOOKUPS]
        adapted += [key.partition("/")[0] for key, _ in model.inventory or () if key.endswith("/table-keys")]
    if adapted:
        raise ConversionError(
            f"Keras 2 counts {adapted[0]} among the layers with weights, and a vocabulary is not written into checkpoints",
            cure="write names: --option layout=names",
        )


def _has_table(spec: LayerSpec) -> bool:
    return canonical_class(spec.class_name) in LOOKUPS and not spec.config.get("vocabulary")


def _is_listed(layer: Layer) -> bool:
    return layer.attr is None or LISTED.match(layer.attr) is not None


def _operation_names(spec: LayerSpec, era: Era) -> dict[str, int]:
    """The number of each operation of a graph or a list of layers, by name."""
    if "input_layers" not in spec.config:
        return {child.name: number for number, child in enumerate(spec.children, 1)}
    order, _ = layer_order(spec.config, era, operations=True)
    names = [str(entry.get("name") or entry.get("config", {}).get("name")) for entry in spec.config["layers"]]
    return {names[position]: number for number, position in enumerate(order)}
