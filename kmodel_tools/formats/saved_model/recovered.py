"""The graph of `variables/` where it is damaged: the objects of `saved_model.pb` are the same, and the keys say where values lie.

A key is made of local names (see `storage.object_graph`), so that following it from the root finds its variable::

    layer-0/kernel/.ATTRIBUTES/VARIABLE_VALUE                              the variable at root, layer-0, kernel
    layer-0/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE  slot m, of the optimizer at root, optimizer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kmodel_tools.formats._shared.tensorflow.keyed import SLOT
from kmodel_tools.formats._shared.tensorflow.objects import ATTRIBUTE
from kmodel_tools.storage.object_graph import Node, SlotVariable
from kmodel_tools.storage.saved_model import SavedObject

_ESCAPE = re.compile(r"\.([.S])")


def recovered_graph(objects: Sequence[SavedObject], keys: Iterable[str]) -> tuple[Node, ...]:
    """The nodes of the checkpoint's graph, numbered as the objects are, then slots; a key that leads nowhere has no node.

    Args:
        objects: The objects of `saved_model.pb`; not empty.
        keys: The keys of every tensor.
    """
    nodes = [Node(item.children, None, item.full_name, (), "") for item in objects]
    for key in keys:
        if not key.endswith(ATTRIBUTE):
            continue
        place, _, slot = key.removesuffix(ATTRIBUTE).partition(SLOT)
        found = _follow(objects, place)
        if found is None or objects[found].variable is None:
            continue
        if not slot:
            nodes[found] = replace(nodes[found], key=key)
            continue
        owner, _, name = slot.rpartition("/")
        optimizer = _follow(objects, owner)
        if optimizer is not None:
            held = SlotVariable(found, _plain(name), len(nodes))
            nodes[optimizer] = replace(nodes[optimizer], slots=(*nodes[optimizer].slots, held))
            nodes.append(Node((), key, "", (), ""))
    return tuple(nodes)


def _follow(objects: Sequence[SavedObject], place: str) -> int | None:
    number = 0
    for name in place.split("/"):
        child = dict(objects[number].children).get(_plain(name))
        if child is None:
            return None
        number = child
    return number


def _plain(name: str) -> str:
    """A local name as it is: in keys a dot is doubled, and a slash is `.S`."""
    return _ESCAPE.sub(lambda found: "/" if found[1] == "S" else ".", name)
