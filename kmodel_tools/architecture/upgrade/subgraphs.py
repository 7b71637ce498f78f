"""Layers that are written as small graphs, in which operations stand that no layer of Keras 3 has: a nested model in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.upgrade.draft import Draft, Json
from kmodel_tools.architecture.upgrade.graph import tensor_at
from kmodel_tools.architecture.upgrade.inputs import dtype_name, input_layer
from kmodel_tools.architecture.upgrade.objects import spelled
from kmodel_tools.architecture.weight_rules import Reshape
from kmodel_tools.tree import Layer

OPERATIONS = "keras.src.ops.numpy"
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"})
TURNED = "time_major is not in Keras 3: the axes are exchanged before the layer, and back behind it"


@dataclass(slots=True)
class Subgraph:
    """A model that comes to stand in the place of a layer; its parts are called after it, and numbered."""

    draft: Draft
    shape: Sequence[int | None]
    layers: list[Json] = field(default_factory=list)

    @property
    def entry(self) -> Json:
        """What the layer is called on."""
        return tensor_at([self._name(0), 0, 0])

    def _name(self, number: int) -> str:
        return f"{self.draft.config.get('name') or self.draft.class_name.lower()}_{number}"

    def add(self, module: str, kind: str, config: Json, *given: Any) -> Json:
        """Call a layer or an operation of a class; gives its first output."""
        name = self._name(len(self.layers) + 1)
        registered = kind if module == OPERATIONS else None
        made = spelled(module, kind, {"name": name, **config}, registered)
        self.layers.append({**made, "name": name, "inbound_nodes": [{"args": list(given), "kwargs": {}}]})
        return tensor_at([name, 0, 0])

    def become(self, *outputs: Json) -> None:
        """Take the place of the layer."""
        draft = self.draft
        ends = [list(item["config"]["keras_history"]) for item in outputs]
        entry = input_layer(self._name(0), self.shape, dtype_name(draft.config.get("dtype")))
        first = {**entry, "name": self._name(0), "inbound_nodes": []}
        draft.config = {
            "name": draft.config.get("name"),
            "trainable": draft.config.get("trainable", True),
            "layers": [first, *self.layers],
            "input_layers": [self._name(0), 0, 0],
            "output_layers": ends if len(ends) > 1 else ends[0],
        }
        draft.class_name = "Functional"
        draft.takes_one = True


def time_major(draft: Draft) -> None:
    """A recurrent layer on sequences whose first axis is time, between two exchanges of the axes.

    Cures `Unrecognized keyword arguments passed to LSTM: {'time_major': True}`.

    Raises:
        UpgradeError: Nothing tells the size of its input.
    """
    if draft.class_name not in RECURRENT or not draft.config.pop("time_major", False):
        return
    held = draft.notes.layer_at(draft.paths[0])
    kernel = _first_kernel(held) if held is not None else None
    if held is None or kernel is None:
        raise draft.refuse("has time_major=True, and nothing tells the size of its input")
    graph = Subgraph(draft, (None, None, kernel))
    turn = {"axes": [1, 0, 2]}
    entry = graph.add(OPERATIONS, "Transpose", turn, graph.entry)
    own = {key: value for key, value in draft.config.items() if key != "name"}
    found = graph.add("keras.layers", draft.class_name, own, entry)
    name = found["config"]["keras_history"][0]
    states = _count_of_states(draft.class_name, draft.config, held) if draft.config.get("return_state") else 0
    outputs = [tensor_at([name, 0, number]) for number in range(1 + states)]
    if draft.config.get("return_sequences"):
        outputs[0] = graph.add(OPERATIONS, "Transpose", turn, found)
    draft.move_all(name, "it stands between exchanges of the axes")
    graph.become(*outputs)
    draft.say(TURNED)


def _first_kernel(layer: Layer) -> int | None:
    """The size of what a recurrent layer is called on."""
    stack = [layer]
    while stack:
        item = stack.pop()
        found = next((weight.tensor.shape[0] for weight in item.weights if weight.role == "kernel"), None)
        if found is not None:
            return found
        stack.extend(reversed(item.layers))
    return None


def _count_of_states(kind: str, config: Json, held: Layer) -> int:
    if kind != "RNN":
        return 2 if kind == "LSTM" else 1
    cell = config.get("cell")
    cells = cell if isinstance(cell, list) else cell["config"].get("cells", [cell]) if isinstance(cell, dict) else []
    return sum(2 if item.get("class_name") == "LSTMCell" else 1 for item in cells) or len(held.layers)


def random_fourier_features(draft: Draft) -> None:
    """RandomFourierFeatures, `cos(x K / s + b)`, as a graph of layers without bias, a division and a cosine.

    The scale and the shift, which are weights, are kernels of layers that are called on a one. Cures
    `Unknown layer: 'RandomFourierFeatures'`. Source: tf_keras 2.21 `layers/kernelized.py`.

    Raises:
        UpgradeError: Nothing tells the size of its input.
    """
    if not draft.is_a("RandomFourierFeatures"):
        return
    shape = draft.shape("unscaled_kernel")
    if shape is None:
        raise draft.refuse("is written with the sizes of its weights, and there are none")
    size, units = shape
    draft.config["dtype"] = "float32"  # whatever its policy is, it computes so
    alive = bool(draft.config.get("trainable", False))
    graph = Subgraph(draft, (None, size))
    plain = {"use_bias": False, "activation": None, "dtype": "float32"}
    any_value = graph.add(OPERATIONS, "Max", {"axis": -1, "keepdims": True}, graph.entry)
    one = graph.add(OPERATIONS, "OnesLike", {}, any_value)
    scale = graph.add("keras.layers", "Dense", {"units": 1, **plain, "trainable": alive, "kernel_constraint": "non_neg"}, one)
    shift = graph.add("keras.layers", "Dense", {"units": units, **plain, "trainable": False}, one)
    scaled = graph.add(OPERATIONS, "Divide", {}, graph.entry, scale)
    product = graph.add("keras.layers", "Dense", {"units": units, **plain, "trainable": False}, scaled)
    total = graph.add(OPERATIONS, "Add", {}, product, shift)
    why = "Keras 3 has no RandomFourierFeatures"
    for tensor, role, steps in (
        (scale, "kernel_scale", (Reshape((1, 1)),)),
        (shift, "bias", (Reshape((1, units)),)),
        (product, "unscaled_kernel", ()),
    ):
        draft.make_weight(tensor["config"]["keras_history"][0], "kernel", role, steps, why)
    graph.become(graph.add(OPERATIONS, "Cos", {}, total))
    draft.config["trainable"] = alive
    draft.say("RandomFourierFeatures is not in Keras 3: written as a graph of layers and operations that computes the same")


RULES = (time_major, random_fourier_features)
