"""What `kmt diff --salvage` does not compare."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmodel_tools.tree import Model

Models = tuple["Model", "Model"]


@dataclass(frozen=True, slots=True)
class Aside:
    """What of two models is damaged.

    Attributes:
        models: The models without damaged arrays of no layer, or None if nothing was looked for.
        patterns: What excludes the damaged weights, as `--exclude` takes it.
        lines: One for each damage.
        optimizer: Whether the state of an optimizer is among it.
    """

    models: Models | None = None
    patterns: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    optimizer: bool = False

    @classmethod
    def of(cls, models: Models, files: tuple[str, str]) -> Aside:
        """Read both models to their ends."""
        from kmodel_tools import api

        left: list[Model] = []
        patterns: list[str] = []
        lines: list[str] = []
        optimizer = False
        for model, file in zip(models, files, strict=True):
            found = api.verify(model)
            broken = {damage.key for damage in found.damages}
            left.append(replace(model, extras=tuple(extra for extra in model.extras if extra.key not in broken)))
            patterns += [f"re:^{re.escape(damage.path)}$" for damage in found.damages if damage.part == "weight"]
            optimizer = optimizer or any(damage.part == "optimizer" for damage in found.damages)
            lines += [f"{file}: {damage.path or damage.key}: {damage.problem}" for damage in found.damages]
            lines += [f"{file}: {text}" for text in found.unread]
        return cls((left[0], left[1]), tuple(patterns), tuple(lines), optimizer)

    def aspects(self, wanted: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The aspects to compare: without the optimizer, if a part of its state is damaged."""
        from kmodel_tools.differ.result import ASPECTS

        return tuple(name for name in wanted or ASPECTS if name != "optimizer") if self.optimizer else wanted
