"""What layers and variables are called in TensorFlow's object graph: by the attributes of the Python objects.

Every object can have several names there, and whoever restores it looks for the one that it knows. The first one is what
the framework itself writes, and gives the checkpoint's key. Sources: tf_keras 2.21 and Keras 3.15.1, by saving every
built-in layer.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.tree import Layer, split_path


class GraphLayout(enum.Enum):
    """Whose models shall find their weights: the objects of Keras 2 (tf_keras), or those of Keras 3."""

    KERAS_2 = "keras2"
    KERAS_3 = "keras3"


NAMES = "names"
"""The layout without objects: variables by name."""


def layout_like(metadata: Mapping[str, str]) -> str:
    """The layout of a checkpoint for what was read with this metadata: that of the checkpoint it comes from, else that of Keras 2."""
    if metadata.get("producer") == "Keras 3":
        return GraphLayout.KERAS_3.value
    return NAMES if metadata.get("dialect", "").endswith("name-based") else GraphLayout.KERAS_2.value


LISTED = re.compile(r"(layer|layer_with_weights)-[0-9]{1,9}$|operations/[0-9]{1,9}$")
"""Attributes by which the reader calls a layer of a graph or a list whose name it does not know."""

NUMBERED = re.compile(r"(layer|layer_with_weights)-([0-9]{1,9})$")


def named_by_number(layers: Sequence[Layer], spec: LayerSpec) -> tuple[Layer, ...]:
    """Layers that a checkpoint knows by their numbers alone, under the names that an architecture has for them.

    `layer-2` is the third of `model.layers`, `layer_with_weights-2` the third of those that have weights.
    Source: tf_keras 2.21 `functional.py`, `_layer_checkpoint_dependencies`. `spec.MAX_DEPTH` bounds the nesting.
    """
    listed = {"layer": spec.children, "layer_with_weights": tuple(child for child in spec.children if _has_weights(child))}
    named = {(child.name,) if child.attr is None else split_path(child.attr): child for child in spec.children}
    found = []
    for layer in layers:
        child, own = named.get(layer.components), layer
        number = NUMBERED.match(layer.name) if child is None and spec.is_model else None
        if number is not None and int(number[2]) < len(listed[number[1]]):
            child = listed[number[1]][int(number[2])]
            own = replace(layer, name=child.name, attr=None)
        found.append(own if child is None else replace(own, layers=named_by_number(own.layers, child)))
    return tuple(found)


def _has_weights(spec: LayerSpec) -> bool:
    """Whether a layer has weights, as far as its class tells."""
    return not spec.is_known or bool(spec.variables) or any(_has_weights(child) for child in spec.children)


_PRIVATE = frozenset({"query_dense", "key_dense", "gate_dense", "value_dense", "output_dense"})
"""The sub-layers of the attention layers, in either Keras."""
_OWN_PROPERTY = {
    **dict.fromkeys(("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D"), "kernel"),
    **dict.fromkeys(("Embedding", "ReversibleEmbedding"), "embeddings"),
}
"""Classes of Keras 3 that keep a variable under a private name, since a property of the public one adds LoRA or unpacks it."""


def attribute_names(attr: str) -> tuple[str, ...]:
    """The names of a sub-layer's attribute, the framework's own first."""
    private = f"_{attr}"
    return (private, attr) if attr in _PRIVATE else (attr, private)


def variable_names(role: str, class_name: str | None, layout: GraphLayout) -> tuple[str, ...]:
    """The names of a layer's variable, the framework's own first."""
    kind = canonical_class(class_name)
    if layout is GraphLayout.KERAS_2:
        depthwise = role == "kernel" and (kind is None or kind.startswith("DepthwiseConv"))
        return ("depthwise_kernel", role) if depthwise and kind else (role, "depthwise_kernel") if depthwise else (role,)
    if _OWN_PROPERTY.get(kind or "") == role:
        return (f"_{role}", role)
    if kind == "Normalization" and role in ("mean", "variance"):
        return (f"adapt_{role}", role)
    return (role, f"_{role}")
