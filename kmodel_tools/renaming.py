"""From a model to one whose layers and weights go by other names, as a map says. Nothing is read.

A map is a mapping *source → target*: a source is a path of the tree, of a weight or a layer, or a weight's key in the file; a
target is a path, or None to leave out what the source names. All entries hold at once, so that two layers may change names; what
lies below a layer goes along, unless a longer source names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from kmodel_tools.architecture.scope_names import ROLE_ORDER
from kmodel_tools.errors import KmtError
from kmodel_tools.matcher.maps import Mapped, Moves, Tree, is_named, moves_of, new_paths
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Slot, Weight, join_path, make_from_below


def rename(model: Model, mapping: Mapped) -> tuple[Model, tuple[Path, ...]]:
    """Give layers and weights the paths that a map names.

    Order stays as far as places do; slots follow their weights; a layer that is shared stays so, and keeps its class where it moves
    as a whole. The architecture, what was compiled and files of layers know the old names and go, unless nothing changes.

    Returns:
        The model, and the paths of the weights that no entry names: they keep them.

    Raises:
        KmtError: A source is not in the model, is named twice or means two things; a target is empty; two weights get one path.
    """
    tree = Tree.of(model)
    moves = moves_of(tree, mapping)
    paths = new_paths(tree, moves)
    builder = _Builder(tree, moves, paths)
    own, layers = builder.build()
    unnamed = tuple(path for path, weight in model.weights() if not is_named(path, weight, tree, moves))
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

    tree: Tree
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


def path_changer(model: Model, mapping: Mapped) -> Callable[[Path], Path] | None:
    """What a map makes of the path of a layer or weight; None where it leaves something out.

    Raises:
        KmtError: As `rename`.
    """
    tree = Tree.of(model)
    moves = moves_of(tree, mapping)
    if None in moves.values():
        return None
    layers = {path: new for path, new in new_paths(tree, moves).items() if new is not None}

    def new_path(path: Path) -> Path:
        if path in tree.weights:
            weight = tree.weights[path]
            return moves.get(id(weight)) or (*layers[path[:-1]], path[-1])
        known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in layers), ())
        return layers[known] + path[len(known) :]

    return new_path
