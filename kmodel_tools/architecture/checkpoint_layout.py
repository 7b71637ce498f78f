"""What layers and variables are called in TensorFlow's object graph: by the attributes of the Python objects.

Every object can have several names there, and whoever restores it looks for the one that it knows. The first one is what
the framework itself writes, and gives the checkpoint's key. Sources: tf_keras 2.21 and Keras 3.15.1, by saving every
built-in layer.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from kmodel_tools.architecture.layer_classes import canonical_class


class GraphLayout(enum.Enum):
    """Whose models shall find their weights: the objects of Keras 2 (tf_keras), or those of Keras 3."""

    KERAS_2 = "keras2"
    KERAS_3 = "keras3"


NAMES = "names"
"""The layout without objects: variables by name."""


def is_name_based(metadata: Mapping[str, str]) -> bool:
    """Whether what was read with this metadata is a checkpoint without objects."""
    return metadata.get("dialect", "").endswith("name-based")


def producer_of(metadata: Mapping[str, str]) -> str:
    """Whose models find their weights in the checkpoint that was read with this metadata: Keras 3's, else those of Keras 2."""
    layout = GraphLayout.KERAS_3 if metadata.get("producer") == "Keras 3" else GraphLayout.KERAS_2
    return str(layout.value)


LISTED = re.compile(r"(layer|layer_with_weights)-[0-9]{1,9}$|operations/[0-9]{1,9}$")
"""Attributes by which the reader calls a layer of a graph or a list whose name it does not know."""

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
