"""What Keras 2 states of the objects of a SavedModel: classes, names and configurations, as JSON beside them.

::

    tf.keras 2.0-2.4     metadata of each user object in the object graph
    tf.keras 2.5-2.15    keras_metadata.pb, by the numbers of the objects
    tf.keras 1.13-1.15   assets/saved_model.json, of the whole model alone

The JSON of a layer: name, class_name, trainable, config, …; of the model also training_config, keras_version, backend.
The object graph and that of the checkpoint number their nodes differently; they are joined by the paths of local names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import is_model
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.format import Probe, parse_json
from kmodel_tools.formats._shared.optimizer_state import described_optimizer
from kmodel_tools.formats._shared.tensorflow.objects import Described, structure
from kmodel_tools.formats.saved_model.parts import open_parts, read_stated
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.storage.saved_model import MetadataNode, SavedObject

KERAS = "_tf_keras_"
METRIC = "_tf_keras_metric"


@dataclass(slots=True)
class KerasNodes:
    """Keras's JSON about the nodes of the checkpoint's graph.

    Attributes:
        data: By node of the checkpoint's graph.
        root: That of the model, or None.
        damaged: How many could not be read.
    """

    data: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    root: Mapping[str, Any] | None = None
    damaged: int = 0

    def described(self) -> dict[int, Described]:
        """Names and classes of the layers."""
        return {number: Described(_text(item, "name"), _text(item, "class_name")) for number, item in self.data.items()}

    def architecture(self) -> Mapping[str, Any] | None:
        """The configuration of the model, as a legacy file holds it, if it is a graph or a list of layers."""
        if self.root is None:
            return None
        kind, config = self.root.get("class_name"), self.root.get("config")
        if not isinstance(kind, str) or not isinstance(config, (Mapping, list)) or not config:
            return None
        if not is_model(kind, config) or (isinstance(config, Mapping) and not isinstance(config.get("layers"), list)):
            return None
        return {"class_name": kind, "config": config}

    def metadata(self) -> dict[str, str]:
        """Who wrote it."""
        return {key: text for key in ("keras_version", "backend") if (text := _text(self.root or {}, key))}

    def training_config(self) -> Mapping[str, Any] | None:
        """What was compiled, as a legacy file holds it."""
        found = (self.root or {}).get("training_config")
        return found if isinstance(found, Mapping) else None

    def optimizer_class(self) -> str | None:
        """The class of what the model was compiled with; inside of a LossScaleOptimizer, that which keeps the slots."""
        config = self.training_config()
        name = described_optimizer(config).class_name
        return described_optimizer(config, inner=True).class_name if name is not None and "LossScale" in name else name


def read_keras_nodes(objects: Sequence[SavedObject], stated: Sequence[MetadataNode], graph: Sequence[Node], path: str) -> KerasNodes:
    """Parse Keras's JSON, and find the nodes of the checkpoint's graph that it is about.

    Args:
        objects: The objects of the SavedModel, or () where they could not be read.
        stated: What `keras_metadata.pb` holds.
        graph: The checkpoint's graph, or () where there is none.
        path: The file, for errors.
    """
    nodes = KerasNodes()
    joined = join(objects, graph)
    texts = {number: (item.identifier, item.metadata, "") for number, item in enumerate(objects) if item.metadata}
    texts |= {item.number: (item.identifier, item.metadata, item.path) for item in stated}
    for number, (identifier, text, place) in texts.items():
        if not identifier.startswith(KERAS) or identifier == METRIC:
            continue
        try:
            data = parse_json(text, path, identifier, plain)
        except CorruptFileError:
            nodes.damaged += 1
            continue
        if not isinstance(data, Mapping):
            nodes.damaged += 1
            continue
        if number == 0:
            nodes.root = data
        target = joined.get(number) if objects else _follow(place, graph)
        if target is not None:
            nodes.data.setdefault(target, data)
    return nodes


def descriptions(probe: Probe) -> Iterator[Mapping[str, Any]]:
    """Keras's JSON about every object of a SavedModel, whether or not it belongs to a graph of layers: loading makes each of them again.

    Raises:
        KmtError: It does not open.
    """
    parts = open_parts(probe)
    objects = parts.meta.objects if parts.meta is not None else ()
    for text in [*(item.metadata for item in objects), *(item.metadata for item in read_stated(parts))]:
        try:
            data = parse_json(text, parts.file, None, plain) if text else None
        except CorruptFileError:
            continue
        if isinstance(data, Mapping):
            yield data


def plain(node: dict[str, Any]) -> Any:
    """An object of Keras's metadata as a legacy configuration has it: tuples and shapes as lists, no identities.

    Source: tf.keras `saving/saved_model/json_utils.py`; objects are numbered only in what goes into a SavedModel.
    """
    if node.get("class_name") in ("__tuple__", "TensorShape") and "items" in node:
        return node["items"]
    node.pop("shared_object_id", None)
    return node


def join(objects: Sequence[SavedObject], graph: Sequence[Node]) -> dict[int, int]:
    """The node of the checkpoint's graph that each object is, where some path of local names leads to both."""
    if not objects or not graph:
        return {}
    joined = {0: 0}
    queue = [0]
    for number in queue:  # grows while it is walked: breadth first, since short paths are the surest
        there = dict(graph[joined[number]].children)
        for name, child in objects[number].children:
            if child not in joined and name in there:
                joined[child] = there[name]
                queue.append(child)
    return joined


def _follow(place: str, graph: Sequence[Node]) -> int | None:
    """The node at a path such as `root.layer-0.cell`; local names may hold dots themselves."""
    if not graph or place.partition(".")[0] != "root":
        return None
    number, rest = 0, place[len("root.") :]
    while rest:
        children = dict(graph[number].children)
        fitting = [name for name in children if rest == name or rest.startswith(f"{name}.")]
        if not fitting:
            return None
        name = max(fitting, key=len)
        number, rest = children[name], rest[len(name) + 1 :]
    return number


def trained(graph: Sequence[Node], nodes: KerasNodes, made: Mapping[int, bool]) -> dict[int, bool]:
    """Whether the variable at each node is trained: made to be, and no layer around it frozen.

    Args:
        graph: The checkpoint's graph.
        nodes: What Keras states of its nodes.
        made: Whether each variable was made to be trained.
    """
    alive: set[int] = set()
    seen: set[tuple[int, bool]] = set()
    stack = [(0, True)]
    while stack:
        number, thawed = stack.pop()
        thawed = thawed and nodes.data.get(number, {}).get("trainable") is not False
        if (number, thawed) in seen:
            continue
        seen.add((number, thawed))
        if thawed and graph[number].key is not None:
            alive.add(number)
        stack.extend((child, thawed) for _, child in structure(graph[number]))
    return {number: flag and number in alive for number, flag in made.items()}


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None
