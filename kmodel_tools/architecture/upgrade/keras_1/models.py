"""Models of Keras 0.3 and 1 in the form of Keras 2: lists of layers, graphs, and lists that begin with a Merge of models.

::

    Keras 0.3   {"name": "Sequential", "layers": [{"name": "Dense", …}]}        {"name": "Graph", "node_config": …, "nodes": …}
    Keras 1     {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": …}]}
                {"class_name": "Sequential", "config": [{"class_name": "Merge", "config": {…, "layers": [models]}}, …]}
    Keras 2     {"class_name": "Sequential", "config": {"name": …, "layers": […]}}
                {"class_name": "Model", "config": {"name", "layers", "input_layers", "output_layers"}}

The first call of a nested model is number 1 in both generations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era, class_of, layer_configs, settings_of
from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError
from kmodel_tools.architecture.upgrade.keras_1.draft import Cursor, Source
from kmodel_tools.architecture.upgrade.keras_1.layer import upgraded_layer
from kmodel_tools.tree import Path

Reference = list[Any]


def is_model_node(node: Mapping[str, Any]) -> bool:
    """Whether an object is a model."""
    return class_of(node) in ("Sequential", "Model", "Graph", "Container")


def upgraded_model(node: Mapping[str, Any], old: Path, new: Path, source: Source, cursor: Cursor | None = None, depth: int = 0) -> Json:
    """Upgrade a model and everything inside of it.

    Args:
        node: The object, as the file has it.
        old: Where its weights lie.
        new: Where they shall lie.
        source: The outermost model.
        cursor: Where its arrays stand in a file of Keras 0.3, or None for the outermost model.
        depth: How deep it is nested.

    Raises:
        UpgradeError: Keras 2 has no equivalent of a layer.
        ConfigError: It is no configuration.
    """
    source.notes.enter(depth)
    kind = class_of(node)
    name = new[-1] if new else str(_own_name(node) or kind.lower())
    if kind == "Graph":
        return _upgraded_graph(node, name, new, source, cursor, depth)
    if kind != "Sequential":
        return _upgraded_functional(node, name, old, new, source, depth)
    entries = layer_configs(node)
    if entries and class_of(entries[0]) == "Merge" and "layers" in settings_of(entries[0]):
        return _upgraded_merge(entries, name, old, new, source, cursor, depth)
    found: list[Json] = []
    names = _names(entries, source, depth)
    for index, (entry, own) in enumerate(zip(entries, names, strict=True)):
        at = Cursor((f"layer_{index}",)) if source.era is Era.KERAS_0 and cursor is None else cursor
        made, _ = _upgraded(entry, (*old, own), (*new, own), source, at, depth)
        found += made
    return {"class_name": "Sequential", "config": {"name": name, "layers": found}}


def _upgraded(entry: Mapping[str, Any], old: Path, new: Path, source: Source, cursor: Cursor | None, depth: int) -> tuple[list[Json], int]:
    if is_model_node(entry):
        return [upgraded_model(entry, old, new, source, cursor, depth + 1)], 0
    return upgraded_layer(entry, old, new, source, cursor, depth + 1)


def _own_name(node: Mapping[str, Any]) -> str | None:
    """A layer's name; what Keras 0.3 calls `name` is the class."""
    settings = settings_of(node)
    if "class_name" not in node:
        custom = settings.get("custom_name")
        return str(custom) if custom else None
    name = settings.get("name") or node.get("name")
    return str(name) if name else None


def _names(entries: Sequence[Mapping[str, Any]], source: Source, depth: int) -> list[str]:
    """Names of the layers of a list, each once. A nested Sequential has none; the file's list of layers may tell it."""
    told = source.names if depth == 0 and len(source.names) == len(entries) and source.era is not Era.KERAS_0 else ()
    taken = {name for entry in entries if (name := _own_name(entry)) is not None}
    used: set[str] = set()
    found = []
    for index, entry in enumerate(entries):
        name = _own_name(entry) or (told[index] if told else None)
        if name is None or name in used:
            name = _free_name(entry, taken | used)
        used.add(name)
        found.append(name)
    return found


@dataclass(slots=True)
class _Graph:
    """A graph of layers under construction."""

    layers: dict[str, Json] = field(default_factory=dict)
    outputs: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, name: str, made: Sequence[Json], calls: Sequence[Sequence[Reference]], was_model: bool = False) -> None:
        """Add a layer, or the layers that came of it, called one after another for every call that it had."""
        inputs = [list(call) for call in calls]
        for item in made:
            own = str(item["config"]["name"])
            item["name"] = own
            item["inbound_nodes"] = inputs
            self.layers[own] = item
            first = int(is_model_node(item))
            inputs = [[[own, index + first, 0]] for index in range(len(inputs))]
        last = made[-1]
        self.outputs[name] = (str(last["config"]["name"]), int(is_model_node(last)) - int(was_model))

    def reference(self, old: Sequence[Any]) -> Reference:
        """What a reference of the old graph is in the new one."""
        if not isinstance(old, Sequence) or len(old) < 3 or old[0] not in self.outputs:
            raise ConfigError(f"a layer is called on {old!r}, which is not there")
        name, shift = self.outputs[old[0]]
        return [name, int(old[1]) + shift, int(old[2])]

    def model(self, name: str, inputs: Sequence[Reference], outputs: Sequence[Reference]) -> Json:
        """The finished model."""
        layers = list(self.layers.values())
        return {
            "class_name": "Model",
            "config": {"name": name, "layers": layers, "input_layers": list(inputs), "output_layers": list(outputs)},
        }

    def add_input(self, name: str, shape: Sequence[Any], dtype: str = "float32") -> Reference:
        """Add an input."""
        config = {"name": name, "batch_input_shape": list(shape), "dtype": dtype, "sparse": False}
        self.add(name, [{"class_name": "InputLayer", "config": config}], ())
        return [name, 0, 0]

    def chain(self, made: Sequence[Json], name: str, inputs: Sequence[Reference]) -> list[Reference]:
        """Call a layer once, on some outputs; the reference to what comes out."""
        known = self.layers.get(str(made[0]["config"]["name"]))
        if known is not None:  # one object, called again
            calls = len(known["inbound_nodes"])
            for item in made:
                own = self.layers[str(item["config"]["name"])]
                own["inbound_nodes"].append([list(reference) for reference in inputs])
                inputs = [[own["name"], calls + int(is_model_node(own)), 0]]
            return [*inputs]
        self.add(name, made, [inputs])
        last, shift = self.outputs[name]
        return [[last, shift, 0]]


# Graphs of layers.


def _upgraded_functional(node: Mapping[str, Any], name: str, old: Path, new: Path, source: Source, depth: int) -> Json:
    graph = _Graph()
    settings = settings_of(node)
    entries = layer_configs(node)
    upgraded: list[tuple[str, list[Json], Mapping[str, Any]]] = []
    for entry in entries:
        own = str(entry.get("name") or _own_name(entry))
        made, _ = _upgraded(entry, (*old, own), (*new, own), source, None, depth)
        last = made[-1]
        graph.outputs[own] = (str(last["config"]["name"]), int(is_model_node(last)) - int(is_model_node(entry)))
        upgraded.append((own, made, entry))
    for own, made, entry in upgraded:
        calls = [[graph.reference(item) for item in call] for call in entry.get("inbound_nodes") or ()]
        graph.add(own, made, calls, is_model_node(entry))
    ends = [[graph.reference(item) for item in settings.get(key) or ()] for key in ("input_layers", "output_layers")]
    return graph.model(name, *ends)


# A list that begins with a Merge of models.


def _upgraded_merge(
    entries: Sequence[Mapping[str, Any]], name: str, old: Path, new: Path, source: Source, cursor: Cursor | None, depth: int
) -> Json:
    """Build the graph that `Sequential([Merge([…]), …])` stands for. Cures `Unknown layer: Merge`.

    The weights of all layers lie side by side, whatever model they are in.
    """
    graph = _Graph()
    inputs: list[Reference] = []
    ends = _merged(graph, entries, inputs, (old, new), source, cursor, depth)
    source.notes.say("Keras 2 has no Merge of models; it became a graph", name)
    return graph.model(name, inputs, ends)


def _merged(
    graph: _Graph,
    entries: Sequence[Mapping[str, Any]],
    inputs: list[Reference],
    place: tuple[Path, Path],
    source: Source,
    cursor: Cursor | None,
    depth: int,
) -> list[Reference]:
    """Put a list of layers into a graph; what comes out of it."""
    source.notes.enter(depth)
    old, new = place
    flow: list[Reference] = []
    for index, entry in enumerate(entries):
        settings = settings_of(entry)
        at = Cursor((f"layer_{index}",)) if source.era is Era.KERAS_0 and cursor is None else cursor
        if index == 0 and class_of(entry) == "Merge" and "layers" in settings:
            for branch in settings["layers"]:
                flow += _branch(graph, branch, inputs, place, source, at, depth + 1)
        own = _unused(graph, entry, source)
        made, _ = _upgraded(entry, (*old, own), (*new, own), source, at, depth)
        if not flow:
            flow = [_start(graph, made[0], inputs)]
        for item in made:
            item["config"].pop("batch_input_shape", None)
        flow = graph.chain(made, own, flow)
    return flow


def _branch(
    graph: _Graph,
    branch: Mapping[str, Any],
    inputs: list[Reference],
    place: tuple[Path, Path],
    source: Source,
    cursor: Cursor | None,
    depth: int,
) -> list[Reference]:
    """One of the models that are merged."""
    old, new = place
    kind = class_of(branch)
    if kind == "Sequential":
        return _merged(graph, layer_configs(branch), inputs, place, source, cursor or _no_cursor(source), depth)
    if kind in ("Model", "Container", "Graph"):
        own = _unused(graph, branch, source)
        made = upgraded_model(branch, old, (*new, own), source, cursor, depth)
        starts = []
        for layer, *_ in made["config"]["input_layers"]:
            shape = next(item["config"]["batch_input_shape"] for item in made["config"]["layers"] if item["name"] == layer)
            starts.append(graph.add_input(f"{own}_{layer}", shape))
        inputs += starts
        return graph.chain([made], own, starts)
    raise UpgradeError(f"a Merge of a {kind}, which is no model")


def _no_cursor(source: Source) -> Cursor | None:
    if source.era is Era.KERAS_0:
        raise ConfigError("a Merge of models without a place among the arrays")
    return None


def _start(graph: _Graph, first: Json, inputs: list[Reference]) -> Reference:
    """The input of a branch, from what its first layer says."""
    shape = first["config"].get("batch_input_shape")
    if shape is None and is_model_node(first):
        shape = next((item["config"].get("batch_input_shape") for item in first["config"]["layers"]), None)
    if shape is None:
        raise UpgradeError(f"the input of {first['config'].get('name')}, which nothing says the shape of")
    name = f"{first['config']['name']}_input"
    if name in graph.layers:
        return [name, 0, 0]
    inputs.append(graph.add_input(name, shape, str(first["config"].get("dtype") or "float32")))
    return inputs[-1]


def _unused(graph: _Graph, entry: Mapping[str, Any], source: Source) -> str:
    """A layer's name. Where it was met before, it is the same layer; but for Keras 0.3, which calls all of a class alike."""
    name = _own_name(entry)
    if name is not None and (source.era is not Era.KERAS_0 or name not in graph.layers):
        return name
    return _free_name(entry, graph.layers.keys())


def _free_name(entry: Mapping[str, Any], taken: Set[str]) -> str:
    base, count = class_of(entry).lower(), 1
    while f"{base}_{count}" in taken:
        count += 1
    return f"{base}_{count}"


# Keras 0.3's Graph.


def _upgraded_graph(node: Mapping[str, Any], name: str, new: Path, source: Source, cursor: Cursor | None, depth: int) -> Json:
    """Build the graph that a `Graph` of named nodes stands for; its arrays are counted over all nodes in their order."""
    settings = settings_of(node)
    graph = _Graph()
    at = cursor or Cursor(("graph",))
    known: dict[str, Reference] = {}
    inputs = []
    for item in settings.get("input_config") or ():
        shape = item.get("batch_input_shape") or [None, *item.get("input_shape", ())]
        known[item["name"]] = graph.add_input(item["name"], shape, "float32")
        inputs.append(known[item["name"]])
    nodes = settings.get("nodes") or {}
    for item in settings.get("node_config") or ():
        own = str(item["name"])
        if "merge_mode" not in item or item.get("outputs") or own not in nodes:
            raise UpgradeError(f"the shared node {own} of a Graph, which Keras 0.3 alone calls so")
        flow = _gathered(graph, item, known, source, (*new, own))
        made, _ = _upgraded(nodes[own], (own,), (*new, own), source, at, depth)
        for part in made:
            part["config"].pop("batch_input_shape", None)
        (known[own],) = graph.chain(made, own, flow)
    outputs = []
    for item in settings.get("output_config") or ():
        (end,) = _gathered(graph, item, known, source, (*new, f"{item['name']}_output"))
        outputs.append(end)
    return graph.model(name, inputs, outputs)


def _gathered(graph: _Graph, item: Mapping[str, Any], known: Mapping[str, Reference], source: Source, place: Path) -> list[Reference]:
    """What a node of a Graph takes: one output, or several that are merged before."""
    names = [item["input"]] if item.get("input") else list(item.get("inputs") or ())
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise ConfigError(f"a node of a Graph that takes {', '.join(map(str, missing)) or 'nothing'}")
    flow = [known[name] for name in names]
    if len(flow) == 1:
        return flow
    merge = {
        "class_name": "Merge",
        "config": {"mode": item.get("merge_mode"), "concat_axis": item.get("concat_axis", -1), "dot_axes": item.get("dot_axes", -1)},
    }
    own = f"{place[-1]}_merge"
    made, _ = upgraded_layer(merge, (), (*place[:-1], own), source)
    return graph.chain(made, own, flow)
