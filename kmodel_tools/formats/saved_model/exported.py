"""What Keras's `model.export()` writes: the variables in a list, without the layers that held them.

::

    variables/i                 model.variables in their order
    trainable_variables/i       the same objects again, sorted by whether they are trained: no arrays of their own
    non_trainable_variables/i
    _all_variables/i            every array a second time, in no order

A variable's name is its path in Keras 3 (`sequential/d1/kernel`). Layers of a model that is made of a list carry the model's name
in front, those of a functional one do not; the operations of the serving function tell which name that is.
Checked with Keras 3.0.5 and 3.15.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.legacy_weights import place_weights
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.storage.bundle_sources import Checked
from kmodel_tools.storage.graph_def import Node as Operation
from kmodel_tools.storage.object_graph import KEY, Node
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Note, Weight

VARIABLES, TRAINED, AGAIN = "variables", "trainable_variables", "_all_variables"
_SEED = re.compile(r"(^|/)seed_generator(_\d+)?/[^/]+$")
_NUMBER = re.compile(r"_\d+$")


def is_exported(graph: Sequence[Node]) -> bool:
    """Whether a checkpoint's graph is that of an export: lists of variables at its root, and no layers."""
    names = {name for name, _ in graph[0].children}
    return {VARIABLES, TRAINED} <= names and not any(name.startswith("layer-") for name in names) and "keras_api" not in names


def read_exported(graph: Sequence[Node], tensors: Mapping[str, Tensor], scope: str | None) -> Model:
    """Build layers from the names of the variables.

    Args:
        graph: The checkpoint's graph.
        tensors: Every tensor by key.
        scope: The model's name as far as the operations tell it, or None.
    """
    root = dict(graph[0].children)
    listed = [child for _, child in graph[root[VARIABLES]].children if graph[child].key in tensors]
    trained = {child for _, child in graph[root[TRAINED]].children}
    weights: list[tuple[str, Weight]] = []
    extras: list[Weight] = []
    for child in dict.fromkeys(listed):
        node = graph[child]
        key = node.key or ""
        if _SEED.search(node.full_name):
            extras.append(Weight(node.full_name, tensors[key], key, False))
            continue
        name = node.full_name
        if scope is not None and name.startswith(f"{scope}/") and name.count("/") > 1:
            name = name[len(scope) + 1 :]
        weights.append((name, Weight(name.rpartition("/")[2], tensors[key], key, child in trained)))
    copies = _copies(graph, root.get(AGAIN), tensors, [graph[child] for child in listed])
    used = {weight.key for _, weight in weights} | {extra.key for extra in extras} | copies | {KEY}
    extras += [Weight(key, tensor, key) for key, tensor in tensors.items() if key not in used]
    layers, own = _layers(weights)
    notes = [Note("inferred", "an export holds a list of variables: layers and roles are taken from their names")]
    repeated = len(weights) - len({name for name, _ in weights})
    if repeated:
        notes.append(Note("odd", f"{repeated} variables have the name of another one: which layers they belong to is not in the file"))
    if copies:
        notes.append(Note("odd", f"{len(copies)} arrays are stored a second time under {AGAIN}, with the same checksums"))
    return Model(name=scope or "", layers=layers, own_weights=own, extras=tuple(extras), notes=tuple(notes))


def _copies(graph: Sequence[Node], again: int | None, tensors: Mapping[str, Tensor], listed: Sequence[Node]) -> set[str]:
    """Keys of arrays that repeat a variable of the same name: same type, shape and checksum."""
    keys = {node.key for node in listed}
    known = {_identity(node.full_name, tensors[node.key]) for node in listed if node.key is not None} - {None}
    found: set[str] = set()
    for _, child in graph[again].children if again is not None else ():
        key = graph[child].key
        if key is not None and key in tensors and key not in keys and _identity(graph[child].full_name, tensors[key]) in known:
            found.add(key)
    return found


def _identity(name: str, tensor: Tensor) -> tuple[object, ...] | None:
    """What two copies of one variable have in common, or None where the file has no checksum of it."""
    source = tensor.source
    return (name, tensor.dtype, tensor.shape, source.checksum) if isinstance(source, Checked) else None


def _layers(weights: Sequence[tuple[str, Weight]]) -> tuple[tuple[Layer, ...], tuple[Weight, ...]]:
    groups: dict[str, list[tuple[str, Weight]]] = {}
    own: list[Weight] = []
    for name, weight in weights:
        top, slash, _ = name.partition("/")
        if slash:
            groups.setdefault(top, []).append((name, weight))
        else:
            own.append(weight)
    layers = []
    for top, members in groups.items():
        places = place_weights(top, [name for name, _ in members], None, Era.KERAS_3).places
        placed = [
            (place.steps, Weight(place.role, weight.tensor, weight.key, weight.trainable))
            for place, (_, weight) in zip(places, members, strict=True)
        ]
        layers.append(assembled(top, None, None, placed))
    return tuple(layers), tuple(own)


def model_scope(operations: Iterable[Operation]) -> str | None:
    """The model's name: the scope that all operations lie in which read a variable for a layer, without the graph's number.

    A layer's operations are called MODEL_1/LAYER_1/…/ReadVariableOp, in functions; those that save and restore have no layer.
    """
    found = {
        node.name.partition("/")[0] for node in operations if node.function and node.op == "ReadVariableOp" and node.name.count("/") >= 2
    }
    names = {_NUMBER.sub("", name, count=1) for name in found}
    return names.pop() if len(names) == 1 else None
