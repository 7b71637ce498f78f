"""The graph of a Functional model: which layer is called on which tensors, and how often.

::

    Keras 2    [["conv", 0, 0, {"training": false}]]                   a call: [layer, its call, output, keyword arguments] …
    Keras 3    {"args": [TENSOR], "kwargs": {"training": false}}
               TENSOR = {"class_name": "__keras_tensor__", "config": {"shape", "dtype", "keras_history": ["conv", 0, 0]}}

Keras 3 still reads the lists where no keyword argument is a tensor. It rejects what it counts otherwise:
`Invalid Functional model configuration. The graph of the Functional model either has loops or disconnected nodes`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import class_of, is_model, settings_of
from kmodel_tools.architecture.topology import TENSOR, references, tensors_of
from kmodel_tools.architecture.upgrade.draft import Draft, Json, UpgradeError
from kmodel_tools.architecture.upgrade.objects import LISTS

Ref = tuple[str, int, int]
"""A tensor: the layer, its call, and which output."""

CONSTANT = "_CONSTANT_VALUE"
STATES = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"})
MERGES = frozenset({"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"})
NORMALIZING = frozenset({"BatchNormalization", "SyncBatchNormalization"})
CHANGED_BY_TRAINING = NORMALIZING | {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"}
CHANGED_BY_TRAINING |= {"GaussianDropout", "GaussianNoise"}


@dataclass(slots=True)
class Graph:
    """How a Functional configuration's layers refer to each other.

    Attributes:
        names: New names of its layers by the old ones.
        from_one: Nested models whose calls are counted from 1: such have a call of their own inside.
        functional: Nested models that count so in Keras 3 too, among inputs and outputs.
        inputs: Its InputLayers, which are called once and no more.
        replaced: What tensors are taken from instead of those that a key says, because their layer was expressed in another way.
    """

    names: dict[str, str] = field(default_factory=dict)
    from_one: set[str] = field(default_factory=set)
    functional: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    replaced: dict[tuple[str, int, int], list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any], names: Mapping[str, str]) -> Graph:
        """Look at a whole model: `config` with `layers`, `input_layers`, `output_layers`, and what layers are renamed to."""
        graph = cls(dict(names))
        calls: dict[str, int] = {}
        for layer in settings["layers"]:
            name = name_of(layer)
            graph.names.setdefault(name, name)
            own = settings_of(layer)
            if class_of(layer) == "InputLayer":
                graph.inputs.add(name)
            elif is_model(class_of(layer), own):
                calls[name] = len(layer.get("inbound_nodes") or ())
                if class_of(layer) != "Sequential":
                    graph.functional.add(name)
        used = [*references(settings.get("input_layers")), *references(settings.get("output_layers"))]
        used += [item for layer in settings["layers"] for item in all_references(layer.get("inbound_nodes"), graph.names)]
        graph.from_one = {str(item[0]) for item in used if item[0] in calls and int(item[1]) >= calls[item[0]]}
        return graph

    def counted(self, reference: Sequence[Any]) -> tuple[str, int, int]:
        """A tensor's layer, call and output, calls counted from 0, whatever the reference counts from."""
        name, call, output = reference[0], int(reference[1]), int(reference[2])
        if name not in self.names:
            raise UpgradeError(f"a tensor of a layer {name!r} that the model does not have")
        if name in self.inputs:
            call = 0
        elif name in self.from_one:
            call -= 1
        return self.names[name], max(call, 0), output

    def tensor(self, reference: Sequence[Any], is_output: bool = False) -> list[Any]:
        """`[layer, call, output]` as Keras 3 counts calls: from 0, but those of a Functional among inputs and outputs from 1."""
        key = self.counted(reference)
        name, call, output = self.replaced.get(key, key)
        if is_output and name in {self.names[nested] for nested in self.functional}:
            call += 1
        return [name, call, output]

    def ends(self, value: Any) -> Any:
        """A model's `input_layers` or `output_layers`: a single tensor bare, several as they are structured.

        Keras 3.15 takes a list of one for a structure: a Functional with it that is first in a Sequential ends in
        `Cannot convert '((None, 4), 4)' to a shape`.
        """
        found = self._ends(value)
        return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list) else found

    def _ends(self, value: Any) -> Any:
        if is_reference(value):
            return self.tensor(value, is_output=True)
        if isinstance(value, Mapping) and value.get("class_name") in LISTS:
            value = value.get("items")
        if isinstance(value, Mapping):
            return {key: self._ends(item) for key, item in value.items()}
        return [self._ends(item) for item in value] if isinstance(value, list) else value

    # Calls.

    def call(self, node: Any, layer: Draft) -> Json:
        """One entry of `inbound_nodes`."""
        if isinstance(node, Mapping) and "args" in node:
            return {"args": node["args"], "kwargs": node.get("kwargs") or {}}
        kwargs: Json = {}
        given = self._structure(node, kwargs, layer)
        if isinstance(given, list) and len(given) == 1 and layer.class_name not in MERGES:
            given = given[0]
        kwargs = {key: self.argument(item, self._tensor) for key, item in kwargs.items() if item is not None} | layer.call_with
        if layer.takes_one and (isinstance(given, list) or kwargs.keys() - {"training"}):
            raise layer.refuse("has time_major=True and is called with more than a sequence, which is not carried")
        kwargs = {} if layer.takes_one else kwargs
        _told_to_train(layer, kwargs.get("training"))
        if layer.class_name in STATES and isinstance(given, list):
            kwargs["initial_state"] = given[1:]  # Keras 2 lists the states behind the sequence
            given = given[0]
        if kwargs.pop("constants", None):
            raise layer.refuse("is called with constants, which recurrent layers of Keras 3 do not take")
        return {"args": [given], "kwargs": kwargs}

    def _structure(self, node: Any, kwargs: Json, layer: Draft) -> Any:
        """What a layer is called on, and into `kwargs` what else it is called with."""
        if is_reference(node, constants=True):
            if len(node) > 3 and isinstance(node[3], Mapping):
                kwargs |= node[3]
            if node[0] == CONSTANT:
                return node[2]
            return tensor_at(self.tensor(node))
        if isinstance(node, Mapping) and node.get("class_name") in LISTS:
            node = node.get("items")
        if isinstance(node, Mapping):
            return {key: self._structure(item, kwargs, layer) for key, item in node.items()}
        if isinstance(node, list):
            return [self._structure(item, kwargs, layer) for item in node]
        raise layer.refuse(f"is called on {node!r}, which is no tensor")

    def _tensor(self, reference: Sequence[Any]) -> Json:
        return tensor_at(self.tensor(reference))

    def argument(self, value: Any, tensor: Callable[[Sequence[Any]], Any]) -> Any:
        """A keyword argument, in which `[layer, call, output]` of a layer of the model becomes a tensor."""
        if is_reference(value) and len(value) == 3 and value[0] in self.names:
            return tensor(value)
        if isinstance(value, Mapping):
            items = value.get("items")
            if value.get("class_name") in LISTS and isinstance(items, list):
                return [self.argument(item, tensor) for item in items]
            return {key: self.argument(item, tensor) for key, item in value.items()}
        return [self.argument(item, tensor) for item in value] if isinstance(value, list) else value


def _told_to_train(layer: Draft, training: Any) -> None:
    """A call with `training`: Keras 3 takes what the model is called with in its place, which of `predict` is False.

    Source: Keras 3.15.1 `models/functional.py`, `operation_fn`; tf_keras 2.21 `engine/base_layer.py`, where the call's own goes first.

    Raises:
        UpgradeError: It normalizes by the batch when it predicts.
    """
    if training in (None, False, 0):
        if training is not None and _holds(layer, CHANGED_BY_TRAINING):
            layer.say("is called with training=False, which Keras 3 minds when it predicts, and not in training")
        return
    normalizing = _holds(layer, NORMALIZING)
    if normalizing:
        raise layer.refuse("is called with training=True and normalizes by the batch, which Keras 3 does not when it predicts")
    if _holds(layer, CHANGED_BY_TRAINING):
        layer.say("is called with training=True, and in Keras 3 what it does at random it does in training alone")


def _holds(layer: Draft, classes: Collection[str]) -> bool:
    """Whether a layer, or one inside of it that is not frozen, is of some classes."""
    stack: list[Any] = [{"class_name": layer.class_name, "config": layer.config}]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, Mapping) and isinstance(item.get("config"), Mapping):
            if item["config"].get("trainable") is False and classes is NORMALIZING:
                continue
            if item.get("class_name") in classes:
                return True
            stack.extend(value for value in item["config"].values() if isinstance(value, list | Mapping))
    return False


def tensor_at(history: Sequence[Any]) -> Json:
    """A tensor by where it comes from; its shape and dtype are looked at by nobody."""
    return {"class_name": TENSOR, "config": {"shape": [None], "dtype": "float32", "keras_history": list(history)}}


def refs(value: Any) -> Iterator[Ref]:
    """Where every tensor of a structure comes from, in order."""
    for tensor in tensors_of(value):
        name, call, output = tensor["config"]["keras_history"]
        yield (name, call, output)


def with_refs(value: Any, change: Callable[[Ref], Ref]) -> Any:
    """A structure with other tensors in the place of its own."""
    if isinstance(value, Mapping):
        if value.get("class_name") == TENSOR:
            return tensor_at(change(tuple(value["config"]["keras_history"])))
        return {key: with_refs(item, change) for key, item in value.items()}
    return [with_refs(item, change) for item in value] if isinstance(value, list) else value


def calls_in_order(layers: Sequence[Json]) -> Iterator[tuple[Json, int, Json]]:
    """Every call of the layers of a graph as Keras 3 spells it, each after those that it depends on, and else in their order.

    Calls in a loop are left out: a graph with one is refused elsewhere. Gives the layer, the number of the call, and the call.
    """
    calls = [(layer, index) for layer in layers for index in range(len(layer["inbound_nodes"]))]
    done = {(str(layer["name"]), 0) for layer in layers if not layer["inbound_nodes"]}
    after: dict[tuple[str, int], list[int]] = {}
    missing: list[int] = []
    for number, (layer, index) in enumerate(calls):
        node = layer["inbound_nodes"][index]
        before = {ref[:2] for ref in refs([node["args"], node["kwargs"]])} - done
        missing.append(len(before))
        for one in before:
            after.setdefault(one, []).append(number)
    ready = [number for number, count in enumerate(missing) if not count]
    while ready:
        layer, index = calls[heapq.heappop(ready)]
        yield layer, index, layer["inbound_nodes"][index]
        for later in after.pop((str(layer["name"]), index), ()):
            missing[later] -= 1
            if not missing[later]:
                heapq.heappush(ready, later)


def free_name(name: str, taken: set[str]) -> str:
    """A name that no layer has, which is taken from now on."""
    found, count = name, 0
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    taken.add(found)
    return found


def is_reference(item: Any, constants: bool = False) -> bool:
    """Whether it is `[layer, call, output, …]`."""
    if not isinstance(item, list) or len(item) < 3 or not isinstance(item[0], str) or not isinstance(item[1], int):
        return False
    return isinstance(item[2], int) or (constants and item[0] == CONSTANT)


def all_references(node: Any, names: Collection[str]) -> list[Sequence[Any]]:
    """Every reference below a value, those in keyword arguments included."""
    found: list[Sequence[Any]] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if is_reference(item, constants=True):
            if item[0] in names:
                found.append(item)
            stack.extend(item[3:])
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found


def calls_of(layer: Mapping[str, Any]) -> Sequence[Any]:
    """The calls of a layer of a model.

    Raises:
        UpgradeError: They are no list.
    """
    calls = layer.get("inbound_nodes") or ()
    if not isinstance(calls, list | tuple):
        raise UpgradeError(f"the calls of the layer {name_of(layer)!r} are no list")
    return calls


def name_of(layer: Mapping[str, Any]) -> str:
    """The name of a layer of a model.

    Raises:
        UpgradeError: It has none.
    """
    name = layer.get("name") or settings_of(layer).get("name")
    if not isinstance(name, str):
        raise UpgradeError("a layer without a name")
    return name
