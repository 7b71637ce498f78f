"""From a configuration to the groups of Keras's weights layout: which object's variables lie where.

The writer of Keras 3 (3.15.1 `keras/src/saving/saving_lib.py`, `_save_state` and `_save_container_state`) walks the
objects and writes each one once, at the first path that it reaches. The layers of a model lie in `layers/` under their
class in snake case, numbered within the model whether or not they were reached before; what a layer holds lies under
the attribute, elements of a list under the attribute and their numbered class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.architecture.layer_classes import canonical_class, sublayers_of
from kmodel_tools.architecture.names import file_class, numbered
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.tree import Path, split_path

LAYERS = "layers"


@dataclass(frozen=True, slots=True)
class Place:
    """One object of a configuration: its group in the layout ("" for the model) and its path in the tree."""

    group: str
    path: Path
    spec: LayerSpec


def places(root: LayerSpec) -> Iterator[Place]:
    """Yield every object below a model, and the model first, in the order in which Keras writes them.

    A layer that the configuration describes several times comes several times; whoever knows the objects keeps the first.
    """
    stack = [Place("", (), root)]
    while stack:
        place = stack.pop()
        yield place
        stack.extend(reversed(list(children_of(place))))


def children_of(place: Place) -> Iterator[Place]:
    """Yield the objects that one holds itself."""
    spec = place.spec
    if spec.is_model:
        groups = numbered(file_class(child.class_name) for child in spec.children)
        for child, group in zip(spec.children, groups, strict=True):
            yield Place(_join(place.group, f"{LAYERS}/{group}"), (*place.path, child.name), child)
        return
    lists = {sub.attr: sub.config_key or sub.attr for sub in sublayers_of(spec.class_name, spec.config) or () if sub.is_list}
    elements = {attr: numbered(file_class(child.class_name) for child in _elements(spec, attr)) for attr in lists}
    for child in sorted(spec.children, key=lambda item: (item.attr or "").partition("/")[0]):
        attr, _, index = (child.attr or child.name).partition("/")
        group = f"{lists.get(attr, attr)}/{next(elements[attr])}" if index else _attribute(spec.class_name, attr)
        yield Place(_join(place.group, group), (*place.path, *split_path(child.attr or child.name)), child)


def _attribute(class_name: str, attr: str) -> str:
    """The name of an attribute in the file: MultiHeadAttention has public names for all of its layers but the gate."""
    kind = canonical_class(class_name)
    private = kind == "GroupedQueryAttention" or (kind == "MultiHeadAttention" and attr == "gate_dense")
    return f"_{attr}" if private else attr


def _elements(spec: LayerSpec, attr: str) -> Iterator[LayerSpec]:
    return (child for child in spec.children if (child.attr or "").partition("/")[0] == attr)


def _join(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name
