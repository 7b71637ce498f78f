"""What a map *source → target* says of the weights of a model: a source is a path of a weight or a layer, or a weight's key in the
file; a target is a path, or None for none. All entries hold at once; what lies below a layer goes along, unless a longer source
names it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from kmodel_tools.errors import KmtError
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path

Mapped = Mapping[str, str | None]
_SHOWN = 3


def targets(model: Model, mapping: Mapped) -> dict[int, Path | None]:
    """For each weight that a map names, by its identity: its new path, or None.

    Raises:
        KmtError: A source is not in the model, is named twice or means two things; or a target is empty.
    """
    tree = Tree.of(model)
    moves = moves_of(tree, mapping)
    paths = new_paths(tree, moves)
    found: dict[int, Path | None] = {}
    for path, weight in model.weights():
        if id(weight) in moves:
            found[id(weight)] = moves[id(weight)]
        elif is_named(path, weight, tree, moves):
            above = paths[path[:-1]]
            found[id(weight)] = None if above is None else (*above, weight.role)
    return found


@dataclass(frozen=True, slots=True)
class Tree:
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
    def of(cls, model: Model) -> Tree:
        """A model by its paths.

        Raises:
            KmtError: Two layers or weights have one path.
        """
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


def moves_of(tree: Tree, mapping: Mapped) -> Moves:
    """What the entries of a map name, and their targets.

    Raises:
        KmtError: As `targets`.
    """
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


def new_paths(tree: Tree, moves: Moves) -> dict[Path, Path | None]:
    """The new path of every layer, by each of its old ones: its entry's, else that of the layer above and its own name."""
    paths: dict[Path, Path | None] = {(): ()}
    for path, layer in sorted(tree.layers.items(), key=lambda item: len(item[0])):
        above = paths[path[: len(path) - len(layer.components)]]
        paths[path] = moves[id(layer)] if id(layer) in moves else None if above is None else above + layer.components
    return paths


def is_named(path: Path, weight: Weight, tree: Tree, moves: Moves) -> bool:
    """Whether an entry names a weight or a layer that it lies in."""
    return id(weight) in moves or any(
        path[:end] in tree.layers and id(tree.layers[path[:end]]) in moves for end in range(len(path) - 1, 0, -1)
    )
