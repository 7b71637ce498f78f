"""What the rules of an upgrade work on: the draft of a layer, and the notes of what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era
from kmodel_tools.architecture.weight_rules import Piece, WeightRule
from kmodel_tools.tree import Path, join_path

MAX_DEPTH = 100
"""Layers nested deeper than this are refused: no framework builds them, and a forged file must not exhaust the stack."""
MAX_LAYERS = 100_000

Json = dict[str, Any]


class UpgradeError(ConfigError):
    """Something that the next generation has no equivalent of; says in which layer."""


@dataclass(slots=True)
class Notes:
    """What an upgrade has found and done so far.

    Attributes:
        era: The generation that it starts from.
        rules: What becomes of weights.
        said: Sentences for the report, with the layers that each is about.
        renamed: New names of layers, by the new path of their model and their old name.
        layers: How many layers have been seen.
    """

    era: Era
    rules: list[WeightRule] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)
    renamed: dict[Path, str] = field(default_factory=dict)
    layers: int = 0

    def say(self, sentence: str, layer: str) -> None:
        """Note a sentence for the report; layers that it is true of are listed together."""
        layers = self.said.setdefault(sentence, [])
        if layer not in layers:
            layers.append(layer)

    def sentences(self) -> tuple[str, ...]:
        """The report."""
        return tuple(f"{sentence}: {_listed(layers)}" for sentence, layers in self.said.items())

    def enter(self, depth: int) -> None:
        """Count a layer.

        Raises:
            UpgradeError: There are more, or deeper ones, than any framework builds.
        """
        self.layers += 1
        if depth > MAX_DEPTH:
            raise UpgradeError(f"layers nested more than {MAX_DEPTH} deep")
        if self.layers > MAX_LAYERS:
            raise UpgradeError(f"more than {MAX_LAYERS} layers")


def _listed(layers: Sequence[str]) -> str:
    return ", ".join(layers[:5]) + (f" and {len(layers) - 5} more" if len(layers) > 5 else "")


@dataclass(slots=True)
class Draft:
    """A layer on its way to the next generation.

    Attributes:
        class_name: Its class; rules may change it.
        config: Its arguments, a copy that rules change in place; layers inside of it are upgraded after the rules.
        paths: Where its weights lie: one path, or those of both directions of a Bidirectional that describes one layer.
        notes: What was found and done.
        call_with: Keyword arguments that calls of the layer get from now on.
        module: The module that the file gives its class, or None.
        results: Shape and dtype of each output of a model with operations of TensorFlow in it.
    """

    class_name: str
    config: Json
    paths: tuple[Path, ...]
    notes: Notes
    call_with: Json = field(default_factory=dict)
    module: str | None = None
    results: Sequence[tuple[tuple[Any, ...] | None, str | None]] | None = None

    @property
    def label(self) -> str:
        """What sentences call it."""
        return join_path(self.paths[0]) or str(self.config.get("name") or "the model")

    def is_a(self, *classes: str) -> bool:
        """Whether it is of one of some classes."""
        return self.class_name in classes

    def say(self, sentence: str) -> None:
        """Note a sentence for the report."""
        self.notes.say(sentence, self.label)

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 3 does what this layer did."""
        return UpgradeError(f"the layer {self.label} ({self.class_name}) {why}")

    def drop(self, *keys: str) -> None:
        """Leave arguments out, whatever they are."""
        for key in keys:
            self.config.pop(key, None)

    def become_a_row(self, *layers: tuple[str, Mapping[str, Any]]) -> None:
        """Put a list of layers in the place of this one, under its name; each is a class and its arguments.

        A list stands wherever a layer can: in a graph, in a list, in a wrapper.
        """
        shared = {key: self.config[key] for key in ("dtype", "trainable") if key in self.config}
        name = str(self.config.get("name") or self.class_name.lower())
        self.config = {
            "name": name,
            "layers": [
                {"class_name": kind, "config": {"name": f"{name}_{number}", **shared, **arguments}}
                for number, (kind, arguments) in enumerate(layers, 1)
            ],
        }
        self.class_name = "Sequential"

    def change_weight(self, attr: str, role: str, pieces: Sequence[Mapping[str, Any]], axis: int | None, why: str) -> None:
        """Add a rule for one weight, made of parts of weights of the same object.

        Args:
            attr: The attribute of the sub-layer that owns it, or "" for the layer itself.
            role: Its role.
            pieces: For each part: `role`, by default the same, and `steps`.
            axis: The axis along which they are joined, or None to add them up.
            why: What changed, in a clause.
        """
        for path in self.paths:
            owner = (*path, attr) if attr else path
            made = tuple(Piece(owner, piece.get("role", role), tuple(piece.get("steps", ()))) for piece in pieces)
            self.notes.rules.append(WeightRule(owner, role, made, axis, why))
