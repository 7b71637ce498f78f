"""The graph of a Functional model: the calls of its layers, as Keras 2 lists them.

::

    Keras 3    {"args": [TENSOR, TENSOR], "kwargs": {"training": false}}
               TENSOR = {"class_name": "__keras_tensor__", "config": {"shape", "dtype", "keras_history": ["conv", 0, 0]}}
    Keras 2    [["conv", 0, 0, {"value": ["other", 0, 0], "training": false}]]

What a layer is called on stands in a list of `[layer, its call, output, keyword arguments]`, or in a structure of them; every other
argument is a keyword. Source: tf_keras 2.21 `engine/node.py`, `Node.serialize`; `engine/functional.py`, `reconstruct_from_config`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import class_of, layer_configs, settings_of
from kmodel_tools.architecture.topology import TENSOR
from kmodel_tools.architecture.upgrade.draft import Draft, Json, UpgradeError
from kmodel_tools.architecture.upgrade.graph import CONSTANT, STATES, is_reference, name_of

_MULTI_HEAD = "value key query_mask value_mask key_mask attention_mask return_attention_scores training use_causal_mask"
ARGUMENTS: Mapping[str, Sequence[str]] = {
    "MultiHeadAttention": _MULTI_HEAD.split(),
    "Attention": ("mask", "training", "return_attention_scores", "use_causal_mask"),
    "AdditiveAttention": ("mask", "training", "return_attention_scores", "use_causal_mask"),
    "Bidirectional": ("initial_state", "mask", "training"),
    "TimeDistributed": ("training", "mask"),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "SimpleRNN"), ("initial_state", "mask", "training")),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), ("initial_state", "mask", "training")),
    **dict.fromkeys(("Sequential", "Functional", "Model", "BatchNormalization"), ("training", "mask")),
    **dict.fromkeys(("Softmax", "GlobalAveragePooling1D"), ("mask",)),
    "Dropout": ("training",),
}
"""The arguments of calls behind the first, in the order of Keras 3 (3.15.1, the signatures of `call`)."""
NOT_IN_KERAS_2 = frozenset({"query_mask", "value_mask", "key_mask"})
"""Masks of MultiHeadAttention, which Keras 2 takes from its tensors."""


@dataclass(slots=True)
class Graph:
    """How a Functional configuration's layers refer to each other.

    Attributes:
        names: New names of its layers by the old ones.
        functional: Nested models that are graphs: Keras 3 counts their calls from 0 in calls and from 1 among ends, Keras 2 from 1.
        listed: Nested Sequentials that say their input: Keras 3 counts their calls from 0, Keras 2 from 1.
        replaced: What outputs of operations have become, as Keras 2 counts it.
    """

    names: dict[str, str]
    functional: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    replaced: dict[tuple[str, int, int], tuple[str, int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Graph:
        """Look at a whole model's layers."""
        graph = cls(dict(names))
        for layer in layers:
            settings = settings_of(layer)
            if class_of(layer) == "Sequential":
                inner = layer_configs(layer)
                graph.listed |= {name_of(layer)} if inner and class_of(inner[0]) == "InputLayer" else set()
            elif isinstance(settings.get("layers"), list) and "input_layers" in settings:
                graph.functional.add(name_of(layer))
        return graph

    def tensor(self, reference: Sequence[Any], is_end: bool = False) -> list[Any]:
        """`[layer, call, output]` as Keras 2 counts calls."""
        name, call, output = reference[0], int(reference[1]), int(reference[2])
        if name not in self.names:
            raise UpgradeError(f"a tensor of a layer {name!r} that the model does not have")
        if (name, call, output) in self.replaced:
            return list(self.replaced[name, call, output])
        if name in self.listed or (name in self.functional and not is_end):
            call += 1
        return [self.names[name], call, output]

    def ends(self, value: Any) -> Any:
        """A model's `input_layers` or `output_layers`: always a list, of one where there is one, but for a dictionary."""
        found = self._ends(value)
        return [found] if is_reference(found) else found

    def _ends(self, value: Any) -> Any:
        if is_reference(value):
            return self.tensor(value, is_end=True)
        if isinstance(value, Mapping):
            return {key: self._ends(item) for key, item in value.items()}
        return [self._ends(item) for item in value] if isinstance(value, list) else value

    # Calls.

    def call(self, node: Any, layer: Draft) -> Any:
        """One entry of `inbound_nodes`.

        Raises:
            UpgradeError: The layer is called in a way that Keras 2 has no word for.
        """
        if not (isinstance(node, Mapping) and isinstance(node.get("args"), list)):
            return self._as_listed(node)
        args, kwargs = list(node["args"]), dict(node.get("kwargs") or {})
        if not args:
            named = next(iter(kwargs), None)
            if named is None:
                raise layer.refuse("is called on nothing")
            args = [kwargs.pop(named)]
        names = ARGUMENTS.get(layer.class_name, ())
        if len(args) - 1 > len(names):
            raise layer.refuse(f"is called with {len(args)} arguments, which Keras 2 keeps by names that only the layer's code tells")
        kwargs |= dict(zip(names, args[1:], strict=False))
        kwargs = {key: self._argument(value, layer) for key, value in kwargs.items() if value is not None}
        # Keras 3 takes what the model is called with in its place, of whatever is written here (3.15.1 `models/functional.py`,
        # `operation_fn`), and writes False with every call; Keras 2 would never train a Dropout that is called so.
        if kwargs.pop("training", None):
            layer.say("is called with training=True, which Keras 3 does not mind when it predicts, and Keras 2 would: left out")
        for key in NOT_IN_KERAS_2 & kwargs.keys():
            raise layer.refuse(f"is called with {key}, which Keras 2 does not take")
        given = self._structure(args[0], layer)
        states = kwargs.pop("initial_state", None) if layer.class_name in STATES else None
        if states:
            given = [given, *(item for item in (states if isinstance(states[0], list) else [states]))]
        return self._told(given, kwargs)

    def _structure(self, value: Any, layer: Draft) -> Any:
        """What a layer is called on: references in the structure that they have."""
        if isinstance(value, Mapping) and value.get("class_name") == TENSOR:
            return self.tensor(value["config"]["keras_history"])
        if isinstance(value, Mapping):
            return {key: self._structure(item, layer) for key, item in value.items()}
        if isinstance(value, list):
            return [self._structure(item, layer) for item in value]
        if isinstance(value, int | float):
            return [CONSTANT, -1, value]
        raise layer.refuse(f"is called on {value!r}, which is no tensor")

    def _told(self, given: Any, kwargs: Json) -> Any:
        """The keyword arguments, beside each tensor; a single one is a list of one."""
        found = self._beside(given, kwargs)
        return [found] if is_reference(given, constants=True) else found

    def _beside(self, given: Any, kwargs: Json) -> Any:
        if is_reference(given, constants=True):
            return [*given, kwargs]
        if isinstance(given, Mapping):
            return {key: self._beside(item, kwargs) for key, item in given.items()}
        return [self._beside(item, kwargs) for item in given]

    def _argument(self, value: Any, layer: Draft) -> Any:
        """A keyword argument, in which a tensor becomes `[layer, call, output]`."""
        if isinstance(value, Mapping) and value.get("class_name") == TENSOR:
            return self.tensor(value["config"]["keras_history"])
        if isinstance(value, Mapping):
            return {key: self._argument(item, layer) for key, item in value.items()}
        return [self._argument(item, layer) for item in value] if isinstance(value, list) else value

    def _as_listed(self, node: Any) -> Any:
        """A call as Keras 2 lists it, which Keras 3 reads too: the calls are counted as Keras 3 counts them."""
        if is_reference(node):
            return [*self.tensor(node), *node[3:]]
        return [self._as_listed(item) for item in node] if isinstance(node, list) else node
