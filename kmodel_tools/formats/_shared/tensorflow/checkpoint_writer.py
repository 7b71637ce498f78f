"""The two kinds of checkpoint that a model can be written as: objects by their edges, or variables by their names."""

from __future__ import annotations

from kmodel_tools.architecture.checkpoint_layout import GraphLayout
from kmodel_tools.errors import ConversionError
from kmodel_tools.formats._shared.tensorflow.graph_writer import model_nodes
from kmodel_tools.formats._shared.tensorflow.objects import SAVE_COUNTER
from kmodel_tools.formats._shared.tensorflow.optimizer_writer import optimizer_node
from kmodel_tools.formats._shared.variable_names import variable_names
from kmodel_tools.storage.object_graph import NewNode
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.tree import Model

MODEL, OPTIMIZER = "model", "optimizer"
FIRST_SAVE = Tensor(DType.INT64, (), InMemory((1).to_bytes(8, "little")))
"""What `tf.train.Checkpoint.save` counts when it saves for the first time."""


def checkpoint_root(model: Model, layout: GraphLayout, wrapped: bool) -> NewNode:
    """The object graph of a model.

    Args:
        model: The model.
        layout: Whose models shall find their weights.
        wrapped: Whether the root is a `tf.train.Checkpoint(model=…, optimizer=…)`, which also counts how often it was
            saved, or the model itself, as `model.save_weights` of Keras 2 has it.

    Raises:
        ConversionError: The layout cannot be told from the source.
    """
    names = variable_names(model) if layout is GraphLayout.KERAS_2 else _paths(model)
    nodes = model_nodes(model, layout, names)
    optimizer = optimizer_node(model, layout, nodes.variables, names)
    held_as = model.metadata.get("optimizer", OPTIMIZER)
    if optimizer is not None:
        nodes.root.children[held_as] = optimizer
    if nodes.out_of_reach and optimizer is None:
        raise ConversionError(
            f"a Keras 3 model that is not compiled does not look for what it holds in lists: {nodes.out_of_reach[0]}",
            cure="convert to .weights.h5, or keep the optimizer's state",
        )
    if not wrapped:
        return nodes.root
    counter = next((extra.tensor for extra in model.extras if extra.role == SAVE_COUNTER), FIRST_SAVE)
    counted = any(extra.role == SAVE_COUNTER for extra in model.extras)
    if counted and model.metadata.get("root") == "itself":
        nodes.root.children[SAVE_COUNTER] = NewNode(counter, SAVE_COUNTER)
        return nodes.root  # a root of somebody's own, such as tf.train.Checkpoint(net=…): its names are those of the tree
    root = NewNode(children={MODEL: nodes.root})
    if optimizer is not None:
        root.children[held_as] = optimizer
    root.children[SAVE_COUNTER] = NewNode(counter, SAVE_COUNTER)
    return root


def _paths(model: Model) -> dict[int, str]:
    """The variable name of each weight in Keras 3, which is its path."""
    return {id(weight): "/".join(path) for path, weight in model.weights()}


def named_tensors(model: Model) -> list[tuple[str, Tensor]]:
    """`(variable name, tensor)` for every weight, and for an optimizer's state that has such names in the source.

    Raises:
        ConversionError: There is state that has none.
    """
    if not _is_named(model):
        names = variable_names(model, whole=model.architecture is None)
        if model.optimizer is not None:
            raise ConversionError("the optimizers of TensorFlow 1 keep another state", cure="leave it out: --no-optimizer")
        return [(names[id(weight)], weight.tensor) for _, weight in model.weights()]
    optimizer = model.optimizer
    found = [(weight.key, weight.tensor) for _, weight in model.weights()]
    if optimizer is not None:
        found += [(slot.key, slot.tensor) for slot in optimizer.slots]
        found += [(item.key, item.tensor) for item in (*optimizer.counters, *optimizer.extras)]
    return found + [(extra.key, extra.tensor) for extra in model.extras]


def _is_named(model: Model) -> bool:
    return model.metadata.get("dialect", "").endswith("name-based")
