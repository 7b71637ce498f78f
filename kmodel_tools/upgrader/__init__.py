"""A model in an architecture of another generation: weights are carried by path, but for those that rules make. Nothing is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kmodel_tools.architecture.envelope import Config, ConfigError
from kmodel_tools.architecture.layer_classes import fits
from kmodel_tools.architecture.layers_by_path import LayersByPath
from kmodel_tools.architecture.spec import LayerSpec, model_spec
from kmodel_tools.architecture.weight_rules import Piece, WeightRule
from kmodel_tools.damaged import damage_of
from kmodel_tools.errors import ConversionError, CorruptFileError, UnsupportedFeatureError
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, split_path
from kmodel_tools.upgrader.origin import Origin, made_of
from kmodel_tools.upgrader.slots import carried_slots

DOCUMENT = "keras-json"
"""The format of an architecture alone."""
OF_THE_FILE = frozenset({"backend", "dialect"})
"""Metadata that tells of the file that a model was read from, and nothing of an upgraded one."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What came of an upgrade.

    Attributes:
        model: The model, in memory.
        lost: One line for each array that it does not hold any more, with the reason.
    """

    model: Model
    lost: tuple[str, ...]


def apply_rules(
    model: Model,
    architecture: Config,
    rules: Sequence[WeightRule],
    keras_version: str = "",
    dropped: Mapping[Path, str] | None = None,
) -> Upgraded:
    """Put a model into an architecture of another generation.

    Args:
        model: The model; layers and roles that rules name are those of its tree.
        architecture: The new configuration.
        rules: How weights are made whose values or paths changed. A weight that no rule makes has its old path and values.
        keras_version: The release that the new configuration is for; the metadata of the result say so.
        dropped: Paths of old weights that the new model has no use for, with the reason in a clause.

    A document of an architecture alone, which has no weights to be made, stays one.

    Returns:
        The model and what it lost. Layers without weights are there, and a layer that was shared is shared. An optimizer's
        state stays with the weights that are carried, and is made as they are where that is exact (`carried_slots`).

    Raises:
        ConversionError: The configuration cannot be followed, a rule does not fit the two trees, an old weight is neither
            used nor dropped, or a new one has no values. The losses list them all.
    """
    try:
        root = model_spec(architecture, keras_version or None).root
    except ConfigError as error:
        raise ConversionError(f"the upgraded architecture cannot be followed: {error}") from error
    planter = _Planter(model, rules)
    layers = tuple(planter.layer(child, (child.name,)) for child in root.children)
    lost = planter.leftovers(dropped or {})
    alone = model.format == DOCUMENT
    if planter.problems and not alone:
        raise ConversionError(f"the weights do not fit the upgraded architecture: {_listed(planter.problems)}", tuple(planter.problems))
    names = {id(weight): join_path(path) for path, weight in model.weights()}
    kept = [(weight, Origin(((weight, ()),))) for weight in model.own_weights]
    optimizer, lost_slots = carried_slots(model.optimizer, [*kept, *planter.origins], names)
    metadata = {key: value for key, value in model.metadata.items() if key not in OF_THE_FILE}
    if keras_version:
        metadata["keras_version"] = keras_version
    upgraded = replace(
        model,
        name=root.name,
        format=DOCUMENT if alone else "",
        layers=layers,
        architecture=architecture,
        optimizer=optimizer,
        metadata=metadata,
        inventory=() if alone else None,
    )
    return Upgraded(upgraded, (*lost, *lost_slots))


class _Planter:
    """Builds the new tree; holds what was used of the old one."""

    def __init__(self, model: Model, rules: Iterable[WeightRule]) -> None:
        self.model = model
        self.old = LayersByPath(model)
        self.rules = {(*rule.layer, rule.role): rule for rule in rules}
        self.origins: list[tuple[Weight, Origin]] = []
        self.problems: list[str] = []
        self._used: set[int] = {id(weight) for weight in model.own_weights}
        self._applied: set[Path] = set()
        self._made: dict[object, Weight] = {}
        self._shared: dict[object, Layer] = {}

    def layer(self, spec: LayerSpec, path: Path) -> Layer:
        """Build the layer that a specification announces, with all below it; `spec.MAX_DEPTH` bounds the nesting."""
        held = self.old.get(path)
        known = spec.is_model or spec.variables is not None
        below = [self.layer(child, (*path, *_components(child))) for child in spec.children]
        weights = self._announced(spec, path, held) if known else self._as_they_were(spec, path, held)
        if not known and held is not None:
            announced = {layer.components for layer in below}
            below += [self._kept(layer) for layer in held.layers if layer.components not in announced]
        made = Layer(spec.name, spec.attr, spec.class_name, tuple(weights), tuple(below))
        # One object before, and the same parts now: one object again.
        key = (id(held), spec.name, spec.attr, spec.class_name, *map(id, (*weights, *below)))
        return self._shared.setdefault(key, made) if held is not None else made

    def _announced(self, spec: LayerSpec, path: Path, held: Layer | None) -> list[Weight]:
        """The weights of a layer whose class tells which it has."""
        old = {weight.role: weight for weight in held.weights} if held is not None else {}
        found = []
        ruled = False
        for variable in spec.variables or ():
            place = (*path, variable.role)
            origin = self._origin(place, old.get(variable.role))
            if origin is not None:
                ruled = ruled or place in self.rules
                found.append(self._weight(spec, variable.role, variable.trained and spec.trainable, place, origin))
        described = [(weight.tensor.shape, weight.tensor.dtype) for weight in found]
        complete = len(found) == len(spec.variables or ()) and all(damage_of(weight.tensor) is None for weight in found)
        if ruled and complete and not fits(spec.variables or (), described):
            shapes = ", ".join(f"{weight.role} {weight.tensor.dtype.value} {weight.tensor.shape}" for weight in found)
            self.problems.append(f"{join_path(path)}: a {spec.class_name} has no such arrays: {shapes}")
        return found

    def _as_they_were(self, spec: LayerSpec, path: Path, held: Layer | None) -> list[Weight]:
        """The weights of a layer whose class nobody here knows: those that it had, and those that rules make for it."""
        roles = [weight.role for weight in held.weights] if held is not None else []
        roles += [place[-1] for place in self.rules if place[:-1] == path and place[-1] not in roles]
        old = {weight.role: weight for weight in held.weights} if held is not None else {}
        found = []
        for role in roles:
            origin = self._origin((*path, role), old.get(role))
            if origin is not None:
                trainable = old[role].trainable if role in old else None
                found.append(self._weight(spec, role, trainable if spec.trainable else False, (*path, role), origin))
        return found

    def _kept(self, layer: Layer) -> Layer:
        """A layer that only a layer of somebody else's class knows of, as it is."""
        for _, weight in Model(layers=(layer,)).weights():
            if id(weight) not in self._used:
                self._used.add(id(weight))
                self.origins.append((weight, Origin(((weight, ()),))))
        return layer

    def _origin(self, place: Path, old: Weight | None) -> Origin | None:
        rule = self.rules.get(place)
        if rule is None:
            if old is None:
                self.problems.append(f"{join_path(place)} gets no values")
                return None
            return Origin(((old, ()),))
        self._applied.add(place)
        pieces = []
        for piece in rule.pieces:
            weight = self._piece(piece)
            if weight is None:
                self.problems.append(f"{join_path(place)} is made of {join_path((*piece.layer, piece.role))}, which is not there")
                return None
            pieces.append((weight, piece.steps))
        return Origin(tuple(pieces), rule.axis if len(pieces) > 1 else None)

    def _piece(self, piece: Piece) -> Weight | None:
        held = self.old.get(piece.layer)
        return next((weight for weight in held.weights if weight.role == piece.role), None) if held is not None else None

    def _weight(self, spec: LayerSpec, role: str, trainable: bool | None, place: Path, origin: Origin) -> Weight:
        """The new weight; the same object where a shared layer is reached again."""
        self._used.update(id(weight) for weight, _ in origin.pieces)
        pieces = tuple((id(weight), steps) for weight, steps in origin.pieces)
        key = (spec.name, spec.attr, role, trainable, pieces, origin.axis)
        if key not in self._made:
            same = origin.unchanged
            try:
                tensor = same.tensor if same is not None else _tensor(origin)
            except (CorruptFileError, UnsupportedFeatureError) as error:
                tensor = origin.pieces[0][0].tensor
                self.problems.append(f"{join_path(place)}: {error.problem}")
            weight = Weight(role, tensor, same.key if same is not None else "", trainable)
            self._made[key] = weight
            self.origins.append((weight, origin))
        return self._made[key]

    def leftovers(self, dropped: Mapping[Path, str]) -> list[str]:
        """What was dropped on purpose, one line each; what else is left, on either side, is a problem."""
        self.problems += [f"{join_path(place)} is made by a rule and has no place" for place in self.rules if place not in self._applied]
        lost = []
        for path, weight in self.model.weights():
            if id(weight) in self._used:
                continue
            if path in dropped:
                lost.append(f"{join_path(path)} ({dropped[path]})")
            else:
                self.problems.append(f"{join_path(path)} has no place")
        return lost


def _tensor(origin: Origin) -> Tensor:
    return made_of([weight.tensor for weight, _ in origin.pieces], [steps for _, steps in origin.pieces], origin.axis)


def _components(spec: LayerSpec) -> Path:
    return (spec.name,) if spec.attr is None else split_path(spec.attr)


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")
