"""What the steps of a conversion read of its plan, and the lists that they fill."""

from __future__ import annotations

from typing import Protocol

from kmodel_tools.converter.request import Request
from kmodel_tools.format import Format
from kmodel_tools.tree import Model


class Planned(Protocol):
    """A conversion's plan, as the functions see it that it hands itself to."""

    source: Model
    target: Format
    request: Request
    carried: list[str]
    left_out: list[str]
    inferred: list[str]
    lost: list[str]
    changes: list[str]
    holes: bool
    part: bool
    cut: bool

    @property
    def weights_only(self) -> bool:
        """Whether the result is no whole model."""
        ...

    def counts_layers(self) -> bool:
        """Whether the target is a checkpoint of objects, in which layers have a number and no name."""
        ...
