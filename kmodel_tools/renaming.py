"""From a model to one whose layers and weights go by other names, as a map says. Nothing is read.

A map is a mapping *source → target*: a source is a path of the tree, of a weight or a layer, or a weight's key in the file; a
target is a path, or None to leave out what the source names. All entries hold at once, so that two layers may change names; what
lies below a layer goes along, unless a longer source names it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from kmodel_tools.architecture.scope_names import ROLE_ORDER
from kmodel_tools.errors import KmtError
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Slot, Weight, join_path, make_from_below, split_path

Mapped = Mapping[str, str | None]
_SHOWN = 3


def rename(model: Model, mapping: Mapped) -> tuple[Model, tuple[Path, ...]]:
    """Give layers and weights the paths that a map names.

    Order stays as far as places do; slots follow their weights; a layer that is shared stays so, and keeps its class where it moves
    as a whole. The architecture, what was compiled and files of layers know the old names and go, unless nothing changes.

    Returns:
        The model, and the paths of the weights that no entry names: they keep them.

    Raises:
        KmtError: A source is not in the model, is named twice or means two things; a target is empty; two weights get one path.
    """
    tree = _Tree.of(model)
    moves = _moves(tree, mapping)
    paths = _new_paths(tree, moves)
    builder = _Builder(tree, moves, paths)
    own, layers = builder.build()
    unnamed = tuple(path for path, weight in model.weights() if not _is_named(path, weight, tree, moves))
    if builder.placed == dict(model.weights()) and all(new == old for old, new in paths.items()):
        return model, unnamed
    new = {id(old): made for old, made in builder.made.values()}
    return (
        replace(
            model,
            layers=layers,
            own_weights=own,
            architecture=None,
            training_config=None,
            assets=(),
            optimizer=_optimizer(model.optimizer, new),
        ),
        unnamed,
    )


def _optimizer(optimizer: Optimizer | None, new: Mapping[int, Weight]) -> Optimizer | None:
    """The state of the weights that are left, tied to what they became."""
    if optimizer is None:
        return None
    slots = (Slot(slot.name, new[id(slot.weight)], slot.tensor, slot.key) for slot in optimizer.slots if id(slot.weight) in new)
    return replace(optimizer, slots=tuple(slots))


@dataclass(frozen=True, slots=True)
class _Tree:
    """A model by its paths; those of a shared layer are all there.

    Attributes:
        model: The model.
        layers: Every layer under each of its paths, parents first.
        weights: Every weight under each of its paths.
        keys: The weights under each key.
    """

    model: Model
    layers: dict[Path, Layer]
    weights: dict[Path, Weight]
    keys: dict[str, list[Weight]]

    @classmethod
    def of(cls, model: Model) -> _Tree:
        walked = list(model.walk())
        layers = dict(walked)
        if len(layers) < len(walked) or len(dict(model.weights())) < len(list(model.weights())):
            raise KmtError("several layers or weights of the model go by one name, which a map cannot tell apart")
        layers |= {path: layers[first] for first, others in model.aliases().items() for path in others}
        weights: dict[Path, Weight] = {(weight.role,): weight for weight in model.own_weights}
        weights |= {(*path, weight.role): weight for path, layer in layers.items() for weight in layer.weights}
        keys: dict[str, list[Weight]] = {}
        for _, weight in model.weights():
            keys.setdefault(weight.key, []).append(weight)
        return cls(model, layers, weights, keys)

    def find(self, source: str) -> Weight | Layer:
        """What a source names: a weight by path, else by key, else a layer.

        Raises:
            KmtError: Nothing, or two things.
        """
        path = split_path(source)
        by_path, by_key = self.weights.get(path), self.keys.get(source, [])
        found = {id(item): item for item in (*by_key, *([by_path] if by_path else []))}
        if len(found) > 1:
            raise KmtError(f"the map's source {source!r} is the path of one weight and the key of another")
        for item in found.values():
            return item
        if path in self.layers:
            return self.layers[path]
        names = {join_path(known): None for known in (*self.weights, *self.layers)} | dict.fromkeys(self.keys)
        near = difflib.get_close_matches(source, names, n=_SHOWN, cutoff=0.5)
        raise KmtError(
            f"the map's source {source!r} is not in the model",
            cure=f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect",
        )


Moves = dict[int, Path | None]
"""New path, or None, by the identity of the layer or weight that an entry names."""


def _moves(tree: _Tree, mapping: Mapped) -> Moves:
    moves: Moves = {}
    sources: dict[int, str] = {}
    for source, target in mapping.items():
        item = tree.find(source)
        if id(item) in moves:
            raise KmtError(f"the map names one thing twice, as {sources[id(item)]!r} and as {source!r}", cure="keep one of the two")
        path = None if target is None else split_path(target)
        if path == ():
            raise KmtError(f"the map's source {source!r} has an empty target", cure="write null to leave it out")
        moves[id(item)], sources[id(item)] = path, source
    return moves


def _new_paths(tree: _Tree, moves: Moves) -> dict[Path, Path | None]:
    """The new path of every layer, by each of its old ones: its entry's, else that of the layer above and its own name."""
    paths: dict[Path, Path | None] = {(): ()}
    for path, layer in sorted(tree.layers.items(), key=lambda item: len(item[0])):
        above = paths[path[: len(path) - len(layer.components)]]
        paths[path] = moves[id(layer)] if id(layer) in moves else None if above is None else above + layer.components
    return paths


def _is_named(path: Path, weight: Weight, tree: _Tree, moves: Moves) -> bool:
    return id(weight) in moves or any(
        path[:end] in tree.layers and id(tree.layers[path[:end]]) in moves for end in range(len(path) - 1, 0, -1)
    )


@dataclass(slots=True, eq=False)
class _Node:
    name: str
    attr: str | None
    class_name: str | None = None
    weights: list[Weight] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Builder:
    """Puts the tree together anew, in the old order.

    Attributes:
        tree: The old tree.
        moves: What the map says.
        paths: New paths of layers by their old ones.
        whole: The layer that becomes one under each new path.
        nodes: What is built, by its new path.
        placed: The old weight under each new path.
        made: Old and new weight, by the identity of the old one.
    """

    tree: _Tree
    moves: Moves
    paths: dict[Path, Path | None]
    whole: dict[Path, Layer] = field(default_factory=dict)
    nodes: dict[Path, _Node] = field(default_factory=dict)
    placed: dict[Path, Weight] = field(default_factory=dict)
    made: dict[int, tuple[Weight, Weight]] = field(default_factory=dict)

    def build(self) -> tuple[tuple[Weight, ...], tuple[Layer, ...]]:
        model, root = self.tree.model, _Node("", None)
        self.nodes[()] = root
        for path, layer in self._layers():
            alike = self.whole.setdefault(path, layer).class_name == layer.class_name
            self.whole[path] = self.whole[path] if alike else replace(self.whole[path], class_name=None)
        for weight in model.own_weights:
            self._put(weight, (weight.role,))
        firsts = {id(layer): path for path, layer in model.walk()}
        for path, layer in self.tree.layers.items():
            if firsts[id(layer)] == path:
                self._add(path, layer)
        for path, layer in self.tree.layers.items():
            if firsts[id(layer)] != path:
                self._share(path, firsts[id(layer)], layer)
        for path, node in self.nodes.items():
            if path and path not in self.whole and all(weight.role in ROLE_ORDER for weight in node.weights):
                node.weights.sort(key=lambda weight: ROLE_ORDER.index(weight.role))  # brought together: only the roles tell the order
        return tuple(root.weights), make_from_below(root.children, attrgetter("children"), _finished)

    def _layers(self) -> Iterator[tuple[Path, Layer]]:
        """New path and layer, for every layer that moves as a whole: by an entry, or together with all of its own weights."""
        for path, layer in self.tree.layers.items():
            targets = {target[:-1] if target else None for weight in layer.weights for target in (self._target(weight, path),)}
            target = targets.pop() if len(targets) == 1 else self.paths[path]
            if target:
                yield target, layer

    def _target(self, weight: Weight, parent: Path) -> Path | None:
        if id(weight) in self.moves:
            return self.moves[id(weight)]
        above = self.paths[parent]
        return None if above is None else (*above, weight.role)

    def _add(self, path: Path, layer: Layer) -> None:
        new = self.paths[path]
        if new and not layer.weights and not layer.layers:
            self._node(new)
        for weight in layer.weights:
            target = self._target(weight, path)
            if target is not None and id(weight) in self.made:  # held by several layers
                if id(weight) not in self.moves:
                    self._node(target[:-1]).weights.append(self.made[id(weight)][1])
            elif target is not None:
                self._put(weight, target)

    def _put(self, weight: Weight, target: Path) -> None:
        target = self.moves.get(id(weight), target) or ()
        if not target:
            return
        if target in self.placed:
            both = [join_path(path) for path, item in self.tree.weights.items() if item in (weight, self.placed[target])]
            raise KmtError(f"several weights would be called {join_path(target)!r}: {', '.join(both)}", cure="give each a name of its own")
        made = weight if weight.role == target[-1] else replace(weight, role=target[-1])
        self.placed[target] = weight
        self.made[id(weight)] = weight, made
        self._node(target[:-1]).weights.append(made)

    def _share(self, path: Path, first: Path, layer: Layer) -> None:
        """Let a layer be reached by another of its paths too."""
        new, node = self.paths[path], self.nodes.get(self.paths[first] or ())
        if node is None or not new or not self.paths[first]:
            return
        above = self.paths[path[: len(path) - len(layer.components)]]
        if above is None or above[: len(self.paths[first] or ())] == self.paths[first]:
            return
        parent = self._node(above)
        if node not in parent.children:
            parent.children.append(node)

    def _node(self, path: Path) -> _Node:
        """The layer at a new path; it and what it lies in are made when they are missing."""
        missing: list[tuple[Path, _Node]] = []
        while path not in self.nodes:
            node, length = self._new(path)
            missing.append((path, node))
            path = path[: len(path) - length]
        found = self.nodes[path]
        for path, node in reversed(missing):
            found.children.append(node)
            self.nodes[path] = found = node
        return found

    def _new(self, path: Path) -> tuple[_Node, int]:
        """A layer without its weights, and how many components of the path are its own."""
        layer = self.whole.get(path)
        if layer is None:
            return _Node(path[-1], None), 1
        length = len(layer.components)
        if layer.components == path[-length:]:
            return _Node(layer.name, layer.attr, layer.class_name), length
        return _Node(path[-1], None if layer.attr is None else join_path(path[-1:]), layer.class_name), 1


def _finished(node: _Node, layers: tuple[Layer, ...]) -> Layer:
    return Layer(node.name, node.attr, node.class_name, tuple(node.weights), layers)


def new_paths(model: Model, mapping: Mapped) -> Callable[[Path], Path] | None:
    """What a map makes of the path of a layer or weight; None where it leaves something out.

    Raises:
        KmtError: As `rename`.
    """
    tree = _Tree.of(model)
    moves = _moves(tree, mapping)
    if None in moves.values():
        return None
    layers = {path: new for path, new in _new_paths(tree, moves).items() if new is not None}

    def new_path(path: Path) -> Path:
        if path in tree.weights:
            weight = tree.weights[path]
            return moves.get(id(weight)) or (*layers[path[:-1]], path[-1])
        known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in layers), ())
        return layers[known] + path[len(known) :]

    return new_path
