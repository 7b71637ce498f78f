"""The order of `model.layers` in a Functional model, from its configuration alone.

Keras does not keep the order of the configuration: it rebuilds the graph and sorts its layers by depth
(Keras 3.15.1 `keras/src/ops/function.py`, `map_graph`; tf_keras `engine/functional.py`, `_map_graph_network`):

1. From each output in turn, go down depth first. A layer gets the next index when it is first seen; a node (one call of
   a layer) is listed when all that it takes its inputs from has been.
2. Through that list backwards: a node lies at least as deep as its layer has been found to; what feeds it, one deeper.
3. Layers stand in order of falling depth, then of index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era, class_of, is_model, settings_of

TENSOR = "__keras_tensor__"
"""The class of a tensor in a call."""
Call = tuple[int, int]
"""A node of the graph: number of the layer in the configuration, number of the call."""


def layer_order(settings: Mapping[str, Any], era: Era, operations: bool = False) -> tuple[Sequence[int], str | None]:
    """The positions of a Functional configuration's layers in `model.layers` order.

    Args:
        settings: The `config` of the model: `layers`, `input_layers`, `output_layers`.
        era: The era of the configuration; it decides how calls of nested models are counted.
        operations: Whether operations that are no layers stand among them, as they do in Keras 3's `model._operations`.

    Returns:
        The positions, and a sentence if the graph could not be followed and the order is the configuration's own.
    """
    layers = settings["layers"]
    kept = [index for index, layer in enumerate(layers) if operations or not is_operation(layer)]
    try:
        graph = CallGraph(layers, era)
        outputs = [graph.call(reference, is_output=True) for reference in references(settings.get("output_layers"))]
        inputs = [graph.call(reference, is_output=True)[0] for reference in references(settings.get("input_layers"))]
        rank = _ranks(graph, outputs, inputs)
    except (ConfigError, IndexError, KeyError, TypeError, ValueError) as error:
        return kept, f"the graph of layers cannot be followed ({error}); they stand in the configuration's order"
    missing = [index for index in kept if index not in rank]
    return [*sorted((index for index in kept if index in rank), key=rank.__getitem__), *missing], None


class CallGraph:
    """The calls of a configuration's layers and what feeds each."""

    def __init__(self, layers: Sequence[Mapping[str, Any]], era: Era) -> None:
        self.numbers = {_name(layer): index for index, layer in enumerate(layers)}
        self.models = [is_model(class_of(layer), settings_of(layer)) for layer in layers]
        self.functional = [nested and class_of(layer) != "Sequential" for nested, layer in zip(self.models, layers, strict=True)]
        self.calls = [layer.get("inbound_nodes") or [] for layer in layers]
        self.era = era

    def call(self, reference: Sequence[Any], is_output: bool = False) -> Call:
        """The call that a reference `[layer name, node, tensor]` means.

        The first outer call of a nested model is number 1 for Keras 2, whose models have a call of their own inside.
        Keras 3 counts it so only for a Functional among a model's inputs and outputs.
        """
        number, node = self.numbers[reference[0]], int(reference[1])
        if self.models[number]:
            if self.era is Era.KERAS_3:
                node -= int(is_output and self.functional[number])
            else:
                node -= 1
        return number, max(node, 0)

    def sources(self, call: Call) -> list[Call]:
        """The calls that feed a call, in the order of its arguments."""
        return [self.call(reference) for reference in self.taken(call)]

    def taken(self, call: Call) -> list[Sequence[Any]]:
        """The references to the tensors that a call is made on, as the configuration has them."""
        number, node = call
        calls = self.calls[number]
        return _inputs(calls[node], self.numbers) if node < len(calls) else []

    def as_end(self, reference: Sequence[Any]) -> list[Any]:
        """A reference of a call as it stands among a model's inputs and outputs."""
        name, node, tensor = reference[:3]
        counted_apart = self.era is Era.KERAS_3 and self.functional[self.numbers[name]]
        return [name, node + int(counted_apart), tensor]


def _ranks(graph: CallGraph, outputs: Sequence[Call], inputs: Sequence[int]) -> dict[int, tuple[int, int]]:
    """`(-depth, index)` of every layer that the outputs reach."""
    index: dict[int, int] = {}
    done: dict[Call, None] = {}
    for output in outputs:
        _visit(graph, output, index, done)
    depth: dict[Call, int] = {}
    layer_depth: dict[int, int] = {}
    for call in reversed(done):
        deepest = max(depth.get(call, 0), layer_depth.get(call[0], 0))
        depth[call] = layer_depth[call[0]] = deepest
        for source in graph.sources(call):
            depth[source] = max(depth.get(source, 0), deepest + 1)
    for number in inputs:
        if number not in layer_depth:
            layer_depth[number], index[number] = 0, -1
    return {number: (-deepest, index[number]) for number, deepest in layer_depth.items()}


def _visit(graph: CallGraph, start: Call, index: dict[int, int], done: dict[Call, None]) -> None:
    """Depth first from one output, without recursion: `index` in pre-order, `done` in post-order."""
    active: set[Call] = set()
    stack: list[tuple[Call, Iterator[Call]]] = []

    def enter(call: Call) -> None:
        if call in done:
            return
        if call in active:
            raise ConfigError("it has a cycle")
        active.add(call)
        index.setdefault(call[0], len(index))
        stack.append((call, iter(graph.sources(call))))

    enter(start)
    while stack:
        call, sources = stack[-1]
        source = next(sources, None)
        if source is not None:
            enter(source)
        else:
            stack.pop()
            active.discard(call)
            done[call] = None


def references(value: Any) -> list[Sequence[Any]]:
    """The references in a structure such as a model's `input_layers`: one triple, a list or a dictionary of them.

    Both generations flatten a dictionary in the order of its sorted keys (Keras 3 `keras/src/tree`, tf_keras `tf.nest`).
    """
    found: list[Sequence[Any]] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if _is_reference(item):
            found.append(item)
        elif isinstance(item, Mapping):
            stack.extend(item[key] for key in sorted(item, reverse=True))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return found


def _is_reference(item: Any) -> bool:
    return isinstance(item, list) and len(item) >= 3 and isinstance(item[0], str) and isinstance(item[1], int) and isinstance(item[2], int)


def _inputs(node: Any, names: Mapping[str, int]) -> list[Sequence[Any]]:
    """The references in one inbound node: arguments first, then keyword arguments by sorted key."""
    if isinstance(node, Mapping) and "args" in node:
        kwargs = node.get("kwargs") or {}
        return _histories([node.get("args") or [], [kwargs[key] for key in sorted(kwargs)]])
    found: list[Sequence[Any]] = []
    for triple in references(node):  # lists and dictionaries of them, as the layer was called with
        if triple[0] in names:
            found.append(triple)
        if len(triple) > 3 and isinstance(triple[3], Mapping):
            found.extend(item for key in sorted(triple[3]) for item in references(triple[3][key]) if item[0] in names)
    return found


def _histories(value: Any) -> list[Sequence[Any]]:
    """The `keras_history` of every Keras tensor below a value, in order."""
    found: list[Sequence[Any]] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if item.get("class_name") == TENSOR:
                found.append(item["config"]["keras_history"])
            else:
                stack.extend(item[key] for key in sorted(item, reverse=True))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return found


def tensors_of(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every tensor of a structure, in order, as the file has it."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if item.get("class_name") == TENSOR:
                yield item
            else:
                stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _name(layer: Mapping[str, Any]) -> str:
    name = layer.get("name") or settings_of(layer).get("name")
    if not isinstance(name, str):
        raise ConfigError("a layer without a name")
    return name


def is_operation(layer: Mapping[str, Any]) -> bool:
    """Whether an entry is an operation of `keras.ops` and not a layer: such do not take part in `model.layers`."""
    return str(layer.get("module") or "").startswith(("keras.src.ops", "keras.ops"))
