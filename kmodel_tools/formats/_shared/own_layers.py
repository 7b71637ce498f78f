"""Where the layers lie that somebody's own layer holds: nobody announces them, so their groups are told by where they came from.

Keras walks the attributes of such a layer by their names in its code::

    layers/block/first/vars/0        self.first
    layers/block/_norm/vars/0        self._norm
    layers/block/rest/dense_1/vars/0 self.rest[1], by class and number

An archive of tf_keras has these names already. A checkpoint has them in its keys, and elements of lists by their index. The
paths of the tree have no leading underscores; where nothing tells whether there was one, there was none: Keras refuses to
load a file in which a layer that it looks for is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kmodel_tools.architecture.names import file_class, is_index, numbered
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.architecture.store_layout import LAYERS, places
from kmodel_tools.formats._shared.keras_store import DEPENDENCIES, VARS
from kmodel_tools.tree import Layer, Model, Path, split_path

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def stored_path(key: str) -> str:
    """The path of a dataset in Keras's layout, without the member or shard that its key starts with."""
    return key.rpartition("::")[2].replace("\\", "/")


def stored_groups(model: Model) -> dict[int, str]:
    """The group of each layer, by the layer's identity: from its weights, from what it holds, or counted as Keras counts."""
    found: dict[int, str] = {}
    for _, layer in reversed(list(model.walk())):  # what a layer holds comes before it
        if layer.weights:
            found[id(layer)] = stored_path(layer.weights[0].key).rpartition(f"/{VARS}/")[0]
        else:
            held = next((child for child in layer.layers if id(child) in found), None)
            if held is not None:
                levels = 2 if held.attr is None or "/" in held.attr else 1
                found[id(layer)] = found[id(held)].rsplit("/", levels)[0]
    lists = [("", model.layers), *((f"{found[id(layer)]}/", layer.layers) for _, layer in model.walk() if id(layer) in found)]
    for prefix, layers in lists:
        if all(layer.attr is None and layer.class_name is not None for layer in layers):
            for layer, group in zip(layers, numbered(file_class(layer.class_name or "") for layer in layers), strict=True):
                found.setdefault(id(layer), f"{prefix}{LAYERS}/{group}")
    return found


def layers_by_path(model: Model) -> dict[Path, Layer]:
    """Every layer of a model, by each of its paths."""
    found = dict(model.walk())
    for first, others in model.aliases().items():
        found |= dict.fromkeys(others, found[first])
    return found


def inner_groups(model: Model, root: LayerSpec) -> dict[Path, dict[Path, str | None]]:
    """The groups of layers that own layers hold.

    Returns:
        By the path of the layer that the configuration announces, and the path of the layer below it: the group relative to
        the announced one's, or None where nothing tells it. Only layers with weights are there, in the order of the tree.
    """
    tree = layers_by_path(model)
    announced = {place.path for place in places(root)}
    groups = stored_groups(model)
    found: dict[Path, dict[Path, str | None]] = {}
    for path, layer in tree.items():
        if not layer.weights or path in announced:
            continue
        owner = path[:-1]
        while owner and owner not in announced:
            owner = owner[:-1]
        below = found.setdefault(owner, {})
        below[path] = _of_archive(layer, tree.get(owner), groups) or _of_graph(layer, tree, owner, path)
    return found


def _of_archive(layer: Layer, owner: Layer | None, groups: Mapping[int, str]) -> str | None:
    """As the archive that it was read from has it, if it is of the layout of Keras 2.15 and later."""
    if owner is None or not stored_path(layer.weights[0].key).partition(f"/{VARS}/")[1]:
        return None
    outer, inner = groups.get(id(owner), ""), groups[id(layer)]
    if not inner.startswith(f"{outer}/") or DEPENDENCIES in inner:
        return None
    return inner.removeprefix(f"{outer}/")


def _of_graph(layer: Layer, tree: Mapping[Path, Layer], owner: Path, path: Path) -> str | None:
    """By the attributes that lead to it, and by the class where one holds a list."""
    chain = []
    while path != owner and path in tree:
        chain.append((path, tree[path]))
        path = path[: -len(tree[path].components)]
    if path != owner or any(item.attr is None for _, item in chain):
        return None
    key = layer.weights[0].key.removesuffix(_VALUE).split("/")[:-1]
    parts: list[str] = []
    for item_path, item in reversed(chain):
        made = _with_classes(item, item_path, tree)
        if made is None:
            return None
        parts += made
    plain = [part for _, item in reversed(chain) for part in split_path(item.attr or "")]
    raw = key[len(key) - len(plain) :] if len(key) >= len(plain) else []
    if [part.lstrip("_") or part for part in raw] == plain:
        parts = [
            spelled if not is_index(spelled) and spelled.lstrip("_") == part else part for spelled, part in zip(raw, parts, strict=True)
        ]
    return "/".join(parts)


def _with_classes(layer: Layer, path: Path, tree: Mapping[Path, Layer]) -> Sequence[str] | None:
    """The components of an attribute, an index in a list replaced by class and number among the list's elements."""
    parts = split_path(layer.attr or "")
    if not any(is_index(part) for part in parts):
        return parts
    if len(parts) != 2 or is_index(parts[0]):
        return None
    above = path[: -len(parts)]
    held = tree[above].layers if above in tree else ()
    elements = sorted((int(split_path(item.attr)[1]), item) for item in held if item.attr and split_path(item.attr)[0] == parts[0])
    if [index for index, _ in elements] != list(range(len(elements))) or any(item.class_name is None for _, item in elements):
        return None
    names = list(numbered(file_class(item.class_name or "") for _, item in elements))
    return parts[0], names[int(parts[1])]
