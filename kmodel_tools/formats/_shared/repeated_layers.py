"""Layers that a configuration describes more than once: the writer stores the one object at its first place only."""

from __future__ import annotations

from kmodel_tools.architecture.envelope import without_ids
from kmodel_tools.architecture.spec import LayerSpec


def repeats(root: LayerSpec) -> set[int]:
    """Descriptions of layers that stood in the configuration before, under the same name and with the same settings."""
    found: set[int] = set()
    by_name: dict[str, list[LayerSpec]] = {}
    stack = [root]
    while stack:
        spec = stack.pop()
        same = by_name.setdefault(spec.name, [])
        if any(same_layer(spec, other) for other in same):
            found.add(id(spec))
        same.append(spec)
        if spec.is_model:
            stack.extend(reversed(spec.children))
    return found


def same_layer(a: LayerSpec, b: LayerSpec) -> bool:
    """Whether two descriptions can be of one object; Keras marks only the later ones of a shared object with its identity."""
    apart = a.shared_id is not None and b.shared_id is not None and a.shared_id != b.shared_id
    return not apart and (a.name, a.class_name) == (b.name, b.class_name) and without_ids(a.config) == without_ids(b.config)


def expects_weights(spec: LayerSpec) -> bool:
    """Whether a layer or one below it owns weights, as far as its class says."""
    stack = [spec]
    while stack:
        item = stack.pop()
        if item.variables:
            return True
        stack.extend(item.children)
    return False
