"""The layers of a tree by their paths."""

from __future__ import annotations

from kmodel_tools.tree import Layer, Model, Path


class LayersByPath:
    """The layers of a model by any path that reaches them, looked up step by step: shared models may have countless paths."""

    def __init__(self, model: Model) -> None:
        self._top = Layer("", layers=model.layers)
        self._below: dict[int, dict[Path, Layer]] = {}

    def get(self, path: Path) -> Layer | None:
        """The layer at a path, or None."""
        stack = [(self._top, path)]
        while stack:
            layer, left = stack.pop()
            if not left:
                return layer
            if id(layer) not in self._below:
                self._below[id(layer)] = {child.components: child for child in reversed(layer.layers)}
            below = self._below[id(layer)]
            stack += [(below[left[:count]], left[count:]) for count in range(1, len(left) + 1) if left[:count] in below]
        return None
