"""What the rules from Keras 0.3 and 1 to Keras 2 work on: one layer, where its weights lie, and what was found and done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.envelope import Config, Era, iter_mappings
from kmodel_tools.architecture.upgrade.draft import Json, Notes, UpgradeError
from kmodel_tools.architecture.weight_rules import Piece, Step, WeightRule
from kmodel_tools.tensor import Shape
from kmodel_tools.tree import Layer, Model, Path, join_path

THEANO, TENSORFLOW = "theano", "tensorflow"
ALIASES = {"embeddings": ("W",), "kernel": ("W",)}
"""What a tree calls a weight whose layer the configuration does not describe."""


@dataclass(slots=True)
class Source:
    """The model that an upgrade starts from.

    Attributes:
        backend: What its kernels were trained by.
        era: Its generation.
        version: The release, as numbers; empty where nothing says.
        names: Names of its layers in order, where a tree is at hand.
        shapes: Shapes of its weights by path, where a tree is at hand.
        ordering: Where images have their channels ("tf": last, "th": first), or None where its layers do not say or agree.
        notes: What was found and done.
        is_told: Whether the file or the caller says the backend, and it is not the usual one that is assumed.
    """

    backend: str
    era: Era
    version: tuple[int, ...]
    notes: Notes
    ordering: str | None = None
    names: tuple[str, ...] = ()
    shapes: dict[Path, Shape] = field(default_factory=dict)
    is_told: bool = True

    @property
    def is_theano(self) -> bool:
        """Whether Theano ran the model: it flips kernels and pads on the other side."""
        return self.backend == THEANO

    @classmethod
    def of(cls, config: Config, backend: str, era: Era, version: tuple[int, ...], held: Model | None) -> Source:
        """Look at the whole of a configuration, and at what a tree holds."""
        found = {str(item["dim_ordering"]) for item in iter_mappings(config) if item.get("dim_ordering") in ("tf", "th")}
        source = cls(backend, era, version, Notes(era), found.pop() if len(found) == 1 else None)
        if held is not None:
            source.names = tuple(layer.name for layer in held.layers)
            source.shapes = dict(_shapes(held.layers))
        return source


def _shapes(layers: Sequence[Layer]) -> Iterator[tuple[Path, Shape]]:
    for path, weight in Model(layers=tuple(layers)).weights():
        yield path, weight.tensor.shape


@dataclass(slots=True)
class Cursor:
    """The place in a numbered list of arrays, which is all that files of Keras 0.3 have."""

    group: Path
    next: int = 0


@dataclass(slots=True)
class Draft1:
    """A layer of Keras 0.3 or 1 on its way to Keras 2.

    Attributes:
        class_name: Its class; rules may change it.
        config: Its arguments, a copy that rules change in place.
        old: Where its weights lie.
        new: Where they shall lie.
        source: The model that it is of.
        cursor: Where its arrays stand in a file of Keras 0.3, or None.
        before: Layers to be called before it.
        after: Layers to be called after it.
    """

    class_name: str
    config: Json
    old: Path
    new: Path
    source: Source
    cursor: Cursor | None = None
    before: list[Json] = field(default_factory=list)
    after: list[Json] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.new[-1] if self.new else str(self.config.get("name") or "")

    @property
    def label(self) -> str:
        """What sentences call it."""
        return join_path(self.new) or self.class_name

    def say(self, sentence: str) -> None:
        """Note a sentence for the report."""
        self.source.notes.say(sentence, self.label)

    def is_by_theano(self) -> bool:
        """Whether Theano ran the layer, asked where that counts: what is only assumed is said."""
        if not self.source.is_told:
            name = "Theano" if self.source.is_theano else "TensorFlow"
            self.say(f"Theano and TensorFlow run it otherwise, and nothing says which did; taken for {name}'s")
        return self.source.is_theano

    def refuse(self, why: str) -> UpgradeError:
        """The error that nothing in Keras 2 does what this layer did."""
        return UpgradeError(f"the layer {self.label} ({self.class_name}) {why}")

    def number(self, roles: Sequence[str]) -> None:
        """Say in which order a file of Keras 0.3 lists the layer's arrays."""
        if self.cursor is not None:
            for role in roles:
                self.numbers[role] = self.cursor.next
                self.cursor.next += 1

    def shape(self, role: str) -> Shape | None:
        """The shape of an array, where a tree is at hand."""
        piece = self.piece(role)
        return self.source.shapes.get((*piece.layer, piece.role))

    def piece(self, role: str, *steps: Step, attr: str = "") -> Piece:
        """An array of the layer as the old model has it."""
        if self.cursor is not None:
            return Piece(self.cursor.group, str(self.numbers[role]), steps)
        layer = (*self.old, *attr.split("/")) if attr else self.old
        shapes = self.source.shapes
        known = [name for name in (role, *ALIASES.get(role, ())) if (*layer, name) in shapes]
        return Piece(layer, known[0] if known else role, steps)

    def make(self, role: str, pieces: Sequence[Piece], axis: int | None = 0, attr: str = "", why: str = "") -> None:
        """Say what one array of the new layer is made of, unless it is what it was."""
        layer = (*self.new, *attr.split("/")) if attr else self.new
        if list(pieces) != [Piece(layer, role)]:
            self.source.notes.rules.append(WeightRule(layer, role, tuple(pieces), axis, why))
