"""What the rules of an upgrade work on: the draft of a layer, and the notes of what was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era
from kmodel_tools.architecture.layers_by_path import LayersByPath
from kmodel_tools.architecture.weight_rules import Piece, Step, WeightRule
from kmodel_tools.tensor import Shape
from kmodel_tools.tree import Layer, Path, join_path

MAX_DEPTH = 100
"""Layers nested deeper than this are refused: no framework builds them, and a forged file must not exhaust the stack."""
MAX_LAYERS = 100_000

Json = dict[str, Any]


class UpgradeError(ConfigError):
    """Something that the next generation has no equivalent of; says in which layer."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Rules take arguments for what every release writes; in a damaged or forged configuration they may be anything.

    Raises:
        ConfigError: Something is missing, or is of another kind.
    """
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise ConfigError(f"{what} is not as any release writes it ({type(error).__name__}: {error})") from error


@dataclass(slots=True)
class Notes:
    """What an upgrade has found and done so far.

    Attributes:
        era: The generation that it starts from.
        rules: What becomes of weights.
        said: Sentences for the report, with the layers that each is about.
        renamed: New names of layers, by the new path of their model and their old name.
        former: Their old names, by their new paths.
        uncalled: Paths of layers that their model holds and does not call.
        layers: How many layers have been seen.
        widths: How wide the outputs of layers are, by their path in the configuration, as far as it tells.
        backend: What ran the model, where the file says so and it is of a Keras that had several.
        version: The release, as numbers; empty where nothing says.
        held: The tree of the old model, where it is at hand: it tells the shapes of weights.
        given: The shape of what a layer is called on, where that is known and it is one tensor, by the layer's new path.
    """

    era: Era
    rules: list[WeightRule] = field(default_factory=list)
    said: dict[str, dict[str, None]] = field(default_factory=dict)
    renamed: dict[Path, str] = field(default_factory=dict)
    former: dict[Path, str] = field(default_factory=dict)
    uncalled: list[Path] = field(default_factory=list)
    layers: int = 0
    widths: Mapping[Path, int] = field(default_factory=dict)
    backend: str = ""
    version: tuple[int, ...] = ()
    held: LayersByPath | None = None
    given: dict[Path, list[Any]] = field(default_factory=dict)

    def layer_at(self, path: Path) -> Layer | None:
        """The old layer that has a new path, or None where none is at hand."""
        if self.held is None:
            return None
        return self.held.get(tuple(self.former.get(path[: index + 1], name) for index, name in enumerate(path)))

    def rename(self, model: Path, old: str, new: str) -> None:
        """Note the new name of a layer of a model, by the model's new path."""
        self.renamed[(*model, old)] = new
        self.former[(*model, new)] = old

    def say(self, sentence: str, layer: str) -> None:
        """Note a sentence for the report; layers that it is true of are listed together."""
        self.said.setdefault(sentence, {})[layer] = None

    def sentences(self) -> tuple[str, ...]:
        """The report."""
        return tuple(f"{sentence}: {_listed(list(layers))}" for sentence, layers in self.said.items())

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
        before: Layers to be called before it: classes and arguments.
        after: Layers to be called after it.
        takes_one: Whether it is called on one tensor and nothing else: a rule has put a graph in its place.
    """

    class_name: str
    config: Json
    paths: tuple[Path, ...]
    notes: Notes
    call_with: Json = field(default_factory=dict)
    module: str | None = None
    results: Sequence[tuple[tuple[Any, ...] | None, str | None]] | None = None
    before: list[tuple[str, Json]] = field(default_factory=list)
    after: list[tuple[str, Json]] = field(default_factory=list)
    takes_one: bool = False

    @property
    def label(self) -> str:
        """What sentences call it."""
        first, *others = self.paths
        both = bool(others) and all(path[:-1] == first[:-1] for path in others)  # the two directions of a Bidirectional
        return join_path(first[:-1] if both else first) or str(self.config.get("name") or "the model")

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

    def shape(self, role: str) -> Shape | None:
        """The shape of one of its weights, where the old model is at hand."""
        layer = self.notes.layer_at(self.paths[0])
        return next((weight.tensor.shape for weight in layer.weights if weight.role == role), None) if layer is not None else None

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

    def surround(self, roles: Sequence[str], is_apart: bool) -> None:
        """Make a row of the layer and those before and after it, into which its weights go, as rules so far make them.

        Args:
            roles: Its weights.
            is_apart: Whether the last layer of the row applies its activation function.
        """
        own = {key: value for key, value in self.config.items() if key not in ("name", "trainable", "dtype")}
        kind, number = self.class_name, len(self.before) + 1
        self.become_a_row(*self.before, (kind, own), *self.after)
        self.move_weights(number, roles, f"{kind} is one of several layers now")
        inner, last = (str(self.config["layers"][index]["config"]["name"]) for index in (number - 1, -1))
        if is_apart:
            moved = {(*path, inner, "activation"): (*path, last, "activation") for path in self.paths}
            self.notes.rules = [replace(rule, layer=moved.get(rule.layer, rule.layer)) for rule in self.notes.rules]

    def move_weights(self, number: int, roles: Sequence[str], why: str, applied: bool = True) -> None:
        """Give weights to one of the layers of a row, with what rules make of them and those of a layer that is its activation."""
        name = f"{self.config['name']}_{number}"
        for path in self.paths:
            owner = (*path, name)
            mine = [rule for rule in self.notes.rules if rule.layer == path and rule.role in roles]
            self.notes.rules = [rule for rule in self.notes.rules if rule not in mine]
            self.notes.rules += [replace(rule, layer=owner) for rule in mine]
            ruled = {rule.role for rule in mine}
            self.notes.rules += [WeightRule(owner, role, (Piece(path, role),), 0, why) for role in roles if role not in ruled]
            inside = self.notes.layer_at((*path, "activation")) if applied else None
            for weight in inside.weights if inside is not None else ():
                piece = Piece((*path, "activation"), weight.role)
                self.notes.rules.append(WeightRule((*owner, "activation"), weight.role, (piece,), 0, why))

    def extend_steps(self, number: int, role: str, steps: Sequence[Step]) -> None:
        """Do more with the one piece that a weight of a layer of a row is made of, before anything else."""
        owners = {(*path, f"{self.config['name']}_{number}") for path in self.paths}
        self.notes.rules = [
            replace(rule, pieces=tuple(replace(piece, steps=(*steps, *piece.steps)) for piece in rule.pieces))
            if rule.layer in owners and rule.role == role
            else rule
            for rule in self.notes.rules
        ]

    def make_weight(self, name: str, role: str, of: str, steps: Sequence[Step], why: str) -> None:
        """Make a weight of a layer inside of what stands in the place of this one, out of one of its own."""
        for path in self.paths:
            self.notes.rules.append(WeightRule((*path, name), role, (Piece(path, of, tuple(steps)),), 0, why))

    def move_all(self, name: str, why: str) -> None:
        """Give all weights, those of layers inside included, to a layer inside of what stands in the place of this one."""
        for path in self.paths:
            mine = [rule for rule in self.notes.rules if rule.layer[: len(path)] == path]
            self.notes.rules = [rule for rule in self.notes.rules if rule not in mine]
            self.notes.rules += [replace(rule, layer=(*path, name, *rule.layer[len(path) :])) for rule in mine]
            ruled = {(*rule.layer, rule.role) for rule in mine}
            held = self.notes.layer_at(path)
            stack = [(path, held)] if held is not None else []
            while stack:
                place, layer = stack.pop()
                for weight in layer.weights:
                    if (*place, weight.role) not in ruled:
                        owner = (*path, name, *place[len(path) :])
                        self.notes.rules.append(WeightRule(owner, weight.role, (Piece(place, weight.role),), 0, why))
                stack += [((*place, *child.components), child) for child in layer.layers]

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
