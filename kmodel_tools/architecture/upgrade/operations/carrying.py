"""Through a Functional model call by call: layers as they are, operations of TensorFlow as operations of Keras 3.

A call is looked at when everything that it takes has been, so that shapes and dtypes are known as far as the model says
them. An operation may become several, or none: a size, a constant.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import class_of, settings_of
from kmodel_tools.architecture.topology import references
from kmodel_tools.architecture.upgrade.draft import Draft, Json, UpgradeError
from kmodel_tools.architecture.upgrade.graph import Graph, all_references, is_reference, name_of, refs
from kmodel_tools.architecture.upgrade.layers import OPERATIONS
from kmodel_tools.architecture.upgrade.objects import LISTS
from kmodel_tools.architecture.upgrade.operations import (
    adjusting,
    creation,
    elementwise,
    images,
    indexing,
    linear,
    losses,
    neural,
    reductions,
    repeating,
    scattering,
    shaping,
    sizes,
    windows,
)
from kmodel_tools.architecture.upgrade.operations.building import Builder
from kmodel_tools.architecture.upgrade.operations.calls import HANDLERS, Call
from kmodel_tools.architecture.upgrade.operations.layer_shapes import Result, Spec, compute_dtype, results_of
from kmodel_tools.architecture.upgrade.operations.tensorflow_op import call_of_node
from kmodel_tools.architecture.upgrade.operations.values import BATCH, Dim, Tensor, Value, tensors_in

THEMES = (
    *(adjusting, creation, elementwise, images, indexing, linear, losses),
    *(neural, reductions, repeating, scattering, shaping, sizes, windows),
)
"""Where operations are said; to import them is to know them."""
CONSTANT = "_CONSTANT_VALUE"

Key = tuple[str, int, int]


@dataclass(slots=True)
class Carrying:
    """A Functional model on its way.

    Attributes:
        graph: How its layers refer to each other; learns what takes the place of operations.
        made: The layers that are none, by their new name, as Keras 3 spells them.
        drafts: The same on their way.
        taken: Names of layers.
        values: What each output of a call is.
        sources: Tensors that sizes can be read from.
        entries: The entries that each layer's place is filled with.
    """

    graph: Graph
    made: dict[str, Json]
    drafts: dict[str, Draft]
    taken: set[str]
    values: dict[Key, Value] = field(default_factory=dict)
    near: dict[Key, Tensor] = field(default_factory=dict)
    sources: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    entries: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))

    def carry(self, draft: Draft, layers: Sequence[Mapping[str, Any]]) -> list[Json]:
        """The layers of a model as Keras 3 has them, its operations where their layers stood.

        Cures `Unknown layer: 'TFOpLambda'`.

        Args:
            draft: The model; learns what it gives.
            layers: Its layers, as the file has them.

        Raises:
            UpgradeError: An operation has no equivalent, or the graph goes round.
        """
        self.run(layers)
        outputs = draft.config.get("output_layers")
        for reference in all_references(outputs, self.graph.names):
            self._as_tensor(reference)
        draft.results = self.results(outputs)
        places = [self.graph.names[name_of(layer)] for layer in layers]
        return [item for name in places for item in ([self.made[name]] if name in self.made else self.entries.get(name, []))]

    # The order.

    def run(self, layers: Sequence[Mapping[str, Any]]) -> None:
        """Look at every call of every layer.

        Args:
            layers: The layers, as the file has them.

        Raises:
            UpgradeError: An operation has no equivalent, or the graph goes round.
        """
        calls = [(number, call) for number, layer in enumerate(layers) for call in range(len(layer.get("inbound_nodes") or ()))]
        waits: dict[tuple[int, int], int] = {}
        feeds: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        for place in calls:
            used = all_references(layers[place[0]]["inbound_nodes"][place[1]], self.graph.names)
            needed = {self.graph.counted(reference)[:2] for reference in used}
            needed = {source for source in needed if source[0] not in self.inputs}
            waits[place] = len(needed)
            for source in needed:
                feeds[source].append(place)
        for layer in layers:
            if class_of(layer) == "InputLayer":
                self._input(self.graph.names[name_of(layer)])
        ready = deque(place for place in calls if not waits[place])
        done = 0
        while ready:
            number, call = ready.popleft()
            done += 1
            name = name_of(layers[number])
            self._look_at(layers[number], name, call)
            for place in feeds[self.graph.names[name], call]:
                waits[place] -= 1
                if not waits[place]:
                    ready.append(place)
        if done < len(calls):
            number = next(number for number, call in calls if waits[number, call])
            raise UpgradeError(f"the layer {layers[number].get('name')} is called on what the model does not have, or on itself")

    @property
    def inputs(self) -> set[str]:
        """The new names of the InputLayers."""
        return {self.graph.names[name] for name in self.graph.inputs}

    def _input(self, name: str) -> None:
        config = self.made[name]["config"]
        dims: list[Dim | None] = list(config["batch_shape"])
        if dims and dims[0] is None:
            dims[0] = BATCH
        self._keep((name, 0, 0), dims, config.get("dtype"))

    def _keep(self, key: Key, shape: Sequence[Dim | None] | None, dtype: str | None) -> None:
        tensor = Tensor(key, None, dtype)
        tensor = tensor if shape is None else tensor.with_symbols(shape)
        self.values[key] = tensor
        _builder(self, key[0], "", "float32").remember(tensor)

    # One call.

    def _look_at(self, layer: Mapping[str, Any], old: str, number: int) -> None:
        name = self.graph.names[old]
        node = layer["inbound_nodes"][number]
        if class_of(layer) in OPERATIONS:
            self._operation(layer, name, number, node)
            return
        for reference in all_references(node, self.graph.names):
            self._as_tensor(reference)
        call = self.graph.call(node, self.drafts[name])
        self.made[name]["inbound_nodes"].append(call)
        given = [self.values.get(history) for history in refs(call["args"])]
        specs = [(item.shape, item.dtype) for item in given if isinstance(item, Tensor)]
        results = self._results(name, specs) if len(specs) == len(given) else [(None, None)]
        for output, (shape, dtype) in enumerate(results):
            self._keep((name, number, output), shape, dtype)

    def _results(self, name: str, specs: Sequence[Spec]) -> Sequence[Result]:
        """Shapes and dtypes of what a layer gives; of a model with operations, what it has found of itself."""
        found = self.drafts[name].results
        if found is None:
            return results_of(self.made[name], specs)
        batch = specs[0][0][0] if specs and specs[0][0] else None
        return [(None if shape is None else [_outside(size, batch) for size in shape], dtype) for shape, dtype in found]

    def results(self, structure: Any) -> list[Spec]:
        """Shapes and dtypes of the model's own outputs."""
        values = [self.values.get(self.graph.counted(reference)) for reference in references(structure)]
        return [(value.shape, value.dtype) if isinstance(value, Tensor) else (None, None) for value in values]

    def _as_tensor(self, reference: Sequence[Any]) -> None:
        """Let a layer be called on, or a model end in, what an operation has become."""
        key = self.graph.counted(reference)
        value = self.values.get(key)
        if value is None:
            return
        if not isinstance(value, Tensor):
            b = _builder(self, key[0], f"the operation {key[0]}", "float32")
            value = b.as_tensor(value, self.near[key])
            self.entries[key[0]] += b.made
            self.values[key] = value
        if value.history != key:
            self.graph.replaced[key] = list(value.history)

    def _operation(self, layer: Mapping[str, Any], name: str, number: int, node: Any) -> None:
        settings = settings_of(layer)
        kind, function = class_of(layer), operation_name(layer)
        label = f"the layer {name} ({kind}) is the operation {function} of TensorFlow, which"
        dtype = compute_dtype(settings.get("dtype")) or "float32"
        b = _builder(self, name if number == 0 else f"{name}_{number}", label, dtype)
        try:
            call = self._call_of(layer, node, function, b)
            result = b.finish(carried(call))
        except UpgradeError:
            raise
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise b.refuse(f"is called in a way that is not understood ({error})") from error
        self.entries[name] += b.made
        for output, value in enumerate(result if isinstance(result, list) else [result]):
            self.values[name, number, output] = value
            if call.near is not None:
                self.near[name, number, output] = call.near
            if isinstance(value, Tensor):
                b.remember(value)

    def _call_of(self, layer: Mapping[str, Any], node: Any, function: str, b: Builder) -> Call:
        settings = settings_of(layer)
        if class_of(layer) == "TensorFlowOpLayer":
            call = call_of_node(settings.get("node_def") or {}, self._inputs_of_node(settings, node), b)
        else:
            rest: Json = {}
            first = self._structure(node, rest)
            plain = function.removeprefix("compat.v1.")
            call = Call(plain, plain != function, first, {key: self._value(value) for key, value in rest.items()}, b)
        call.near = self._near(node)
        return call

    def _near(self, node: Any) -> Tensor | None:
        """A tensor that a call depends on."""
        for reference in all_references(node, self.graph.names):
            key = self.graph.counted(reference)
            found = next(iter(tensors_in(self.values.get(key))), self.near.get(key))
            if found is not None:
                return found
        return None

    # Arguments.

    def _structure(self, node: Any, rest: Json) -> Value:
        """The first argument of a call, and into `rest` what stands beside each tensor of it."""
        if is_reference(node, constants=True):
            if len(node) > 3 and isinstance(node[3], Mapping):
                rest |= node[3]
            return node[2] if node[0] == CONSTANT else self._tensor(node)
        if isinstance(node, Mapping):
            node = node.get("items") if node.get("class_name") in LISTS else list(node.values())
        return [self._structure(item, rest) for item in node] if isinstance(node, list) else node

    def _tensor(self, reference: Sequence[Any]) -> Value:
        key = self.graph.counted(reference)
        if key not in self.values:
            self._keep(key, None, None)
        return self.values[key]

    def _value(self, value: Any) -> Value:
        return self.graph.argument(value, self._tensor)

    def _inputs_of_node(self, settings: Mapping[str, Any], node: Any) -> list[Value]:
        rest: Json = {}
        first = self._structure(node, rest)
        found = first if isinstance(first, list) else [first]
        constants = settings.get("constants") or {}
        for place in sorted(int(key) for key in constants):
            found.insert(place, constants[str(place)])
        return found


def _outside(size: Dim, batch: Dim | None) -> Dim | None:
    """A size that a model gives, where it is called on so many samples."""
    return batch if size == BATCH else size if isinstance(size, int) else None


def _builder(carrying: Carrying, name: str, label: str, dtype: str) -> Builder:
    return Builder(name, label, dtype, carrying.taken, carrying.sources)


def operation_name(layer: Mapping[str, Any]) -> str:
    """What operation of TensorFlow a layer is."""
    settings = settings_of(layer)
    node = settings.get("node_def")
    if isinstance(node, Mapping):
        return str(node.get("op"))
    method = settings.get("method_name")
    return str(
        settings.get("function") or (f"{settings.get('cls_symbol')}.{method}" if method else None) or settings.get("attr_name") or "?"
    )


def carried(call: Call) -> Value:
    """What a call becomes: operations, a size or a constant.

    Raises:
        UpgradeError: Nothing in Keras 3 does what it does.
    """
    found = sizes.folded(call)
    if found is NotImplemented:
        handler = HANDLERS.get(call.function)
        if handler is None:
            raise call.refuse("no operation of Keras 3 does")
        found = handler(call)
    call.done()
    return found
