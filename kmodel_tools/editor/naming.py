"""From a whole model to the same one with other names of layers: in the tree, in the architecture and in what was compiled.

Weights keep their roles and layers their places: what moves is no whole model any more, and `renaming` is for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from operator import attrgetter

from kmodel_tools.architecture.downgrade.walk import NAME
from kmodel_tools.architecture.editing.names import training_with_names, with_names
from kmodel_tools.architecture.editing.places import layers_in, models_in
from kmodel_tools.architecture.envelope import Config, ConfigError, Era, iter_mappings
from kmodel_tools.architecture.layers_by_path import LayersByPath
from kmodel_tools.architecture.names import plain_name, same_name
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.matcher import renamer
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Weight, join_path, make_from_below
from kmodel_tools.upgrader.generation import FIRST, generation

LEGACY = "keras-h5"
MODEL_WEIGHTS = "model_weights/"
RESERVED = frozenset({".", "top_level_model_weights"})
"""Names that mean something else in a legacy HDF5 file."""
WEIGHTS_ALONE = "for weights alone, add --weights-only"
NewPath = Callable[[Path], Path]


def rename_layers(model: Model, new_path: NewPath) -> tuple[Model, int]:
    """Give layers of a whole model other names, at any depth; a layer that is shared has one name wherever it occurs.

    Args:
        model: A model with an architecture.
        new_path: The new path of a layer or a weight, by the one that it has.

    Returns:
        The model, and the number of layers whose name changed. Slots stay with their weights.

    Raises:
        ConversionError: More than names of layers would change, or the architecture does not have them.
        KmtError: A name is none that the generation takes, two layers would have one, or one layer two.
    """
    if model.architecture is None:
        raise ConversionError("there is no architecture, of which layers would be renamed")
    if generation(model) is Era.KERAS_0:
        raise ConversionError("layers of Keras 0 are numbered", cure="convert the model to Keras 3 first: NAME.keras")
    try:
        names = _new_names(model, model.architecture, new_path)
        if not names:
            return model, 0
        _check_names(model, model.architecture, names)
        architecture = with_names(model.architecture, names)
    except ConfigError as error:
        raise ConversionError(f"the architecture cannot be followed: {error}") from error
    training = model.training_config
    if training is not None:
        outermost = {path[0]: name for path, name in names.items() if len(path) == 1}
        training = training_with_names(training, model.architecture, outermost)
    if model.format == LEGACY:
        model = _rekeyed(model, names)
    by_layer = {id(layer): names[path] for path, layer in _named_layers(model, names)}
    layers = make_from_below(
        model.layers, attrgetter("layers"), lambda layer, below: replace(layer, name=by_layer.get(id(layer), layer.name), layers=below)
    )
    return replace(model, layers=layers, architecture=architecture, training_config=training), len(names)


def new_paths(model: Model, rules: Sequence[str]) -> NewPath:
    """What `OLD=NEW` rules make of a model's paths, as `kmt diff --rename` has them: in turn, each on what the ones before made.

    Raises:
        KmtError: A rule is none, or changes nothing.
    """
    paths = [path for path, _ in model.weights()] + [path for path, _ in model.walk()]
    if model.architecture is not None:
        try:
            paths += layers_in(model.architecture)
        except ConfigError as error:
            raise ConversionError(f"the architecture cannot be followed: {error}") from error
    current = list(dict.fromkeys(paths))
    for rule in rules:
        changed = list(map(renamer((rule,)), current))
        if changed == current:
            near = get_close_matches(rule.partition("=")[0], [join_path(path) for path in current], n=3, cutoff=0.5)
            cure = f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect"
            raise KmtError(f"--rename {rule!r} changes the name of no layer and no weight", cure=cure)
        current = changed
    return renamer(rules)


# Which names change.


def _new_names(model: Model, architecture: Config, new_path: NewPath) -> dict[Path, str]:
    """The new names, by the paths of the layers in the architecture; those of a shared layer are all there.

    Raises:
        ConversionError: A path changes in other ways too.
        KmtError: One layer would have two names.
    """
    places = layers_in(architecture)
    names: dict[Path, str] = {}
    unnamed = {path[:-1] for path in places if not path[-1]}
    for path, _ in model.walk():
        if path[:-1] in unnamed and path not in places and new_path(path) != path:
            raise ConversionError(f"{join_path(path)} has no name in the architecture: its class leaves that out", cure=WEIGHTS_ALONE)
    for path in places:
        if not path[-1]:
            continue
        new = new_path(path)
        if len(new) != len(path):
            raise _moved(path, new)
        if new[-1] != path[-1]:
            names[path] = new[-1]
    tree = LayersByPath(model)
    shared: dict[int, list[Path]] = {}
    for path, node in places.items():
        layer, number = tree.get(path), node.get("shared_object_id")
        if layer is not None:
            shared.setdefault(id(layer), []).append(path)
        elif isinstance(number, int):
            shared.setdefault(-1 - number, []).append(path)
    for same in shared.values():
        wanted = {names[path]: path for path in same if path in names}
        if len(wanted) > 1:
            raise KmtError(f"one layer would have several names: {', '.join(sorted(wanted))}", cure="give it one name wherever it occurs")
        names |= {path: name for name in wanted for path in same}
    for path, role in _all_paths(model, places):
        _check_path(path, role, new_path(path), names)
    return names


def _all_paths(model: Model, places: Mapping[Path, Config]) -> Iterator[tuple[Path, bool]]:
    """Every path of a model, and whether it is that of a weight."""
    yield from ((path, False) for path in places)
    yield from ((path, False) for path, _ in model.walk())
    yield from ((path, True) for path, _ in model.weights())


def _check_path(path: Path, is_weight: bool, new: Path, names: Mapping[Path, str]) -> None:
    """Make sure that nothing but names of layers changes in a path.

    Raises:
        ConversionError: Something does.
    """
    if not all(path):
        return  # a layer whose own class leaves out its name has none that could change
    if len(new) != len(path):
        raise _moved(path, new)
    if is_weight and new[-1] != path[-1]:
        raise ConversionError(
            f"{join_path(path)} would become {join_path(new)}: what a weight is to its layer is not a name that can be changed",
            cure=WEIGHTS_ALONE,
        )
    for index, (old, part) in enumerate(zip(path, new, strict=True)):
        if part not in (old, names.get(path[: index + 1])):
            what = join_path(path[: index + 1])
            raise ConversionError(
                f"{join_path(path)} would become {join_path(new)}: {what} is no name of a layer that the architecture gives",
                cure=f"name the layer alone, as in OLD=NEW; {WEIGHTS_ALONE}",
            )


def _moved(path: Path, new: Path) -> ConversionError:
    return ConversionError(
        f"{join_path(path)} would become {join_path(new)}: layers of a whole model keep their places",
        cure=f"give both as whole paths, as in encoder/conv1=encoder/stem; {WEIGHTS_ALONE}",
    )


def _check_names(model: Model, architecture: Config, names: Mapping[Path, str]) -> None:
    """Make sure that names can be given.

    Raises:
        KmtError: The generation does not take one, or two layers of a model would have one.
        ConversionError: The architecture goes by paths elsewhere too.
    """
    keras_3 = generation(model) is Era.KERAS_3
    for path, name in names.items():
        if not name or name in RESERVED or "/" in name or not name.isprintable():
            raise KmtError(f"{join_path(path)} cannot be called {name!r}, which is no name of a layer")
        if not keras_3 and not NAME.fullmatch(name):
            cure = "use letters, digits, and _ . - inside of a name"
            raise KmtError(f"{join_path(path)} cannot be called {name!r}: TensorFlow takes it for no scope", cure=cure)
    for place in models_in(architecture):
        found: dict[str, str] = {}
        for old in place.names:
            new = names.get((*place.path, old), old)
            other = found.setdefault(new, old)
            if other != old:
                both = f"{join_path((*place.path, other))} and {join_path((*place.path, old))}"
                raise KmtError(f"two layers would be called {new!r}: {both}", cure="give each a name of its own")
    if generation(model) not in FIRST and any(node.get("class_name") == "DTypePolicyMap" for node in iter_mappings(architecture)):
        raise ConversionError("the architecture has a map of precisions by the paths of layers, which is not followed")


def _named_layers(model: Model, names: Mapping[Path, str]) -> Iterator[tuple[Path, Layer]]:
    tree = LayersByPath(model)
    for path in names:
        layer = tree.get(path)
        if layer is not None and layer.attr is None:
            yield path, layer


# Legacy HDF5 files go by names: their addresses change with these.


@dataclass(frozen=True, slots=True)
class _Rekeying:
    """New keys of a legacy file: of weights by their names, and of the optimizer's arrays, which have these in theirs."""

    keys: dict[str, str]
    variables: dict[int, tuple[str, str]]

    @classmethod
    def of(cls, model: Model, names: Mapping[Path, str]) -> _Rekeying:
        found = cls({}, {})
        for path, weight in model.weights():
            levels = [(path[end - 1], names[path[:end]]) for end in range(1, len(path)) if path[:end] in names]
            prefix = MODEL_WEIGHTS if weight.key.startswith(MODEL_WEIGHTS) else ""
            group, slash, variable = weight.key.removeprefix(prefix).partition(f"{path[0]}/")
            if levels and slash and not group:
                new = _renamed_variable(variable, levels)
                found.keys[weight.key] = f"{prefix}{names.get(path[:1], path[0])}/{new}"
                found.variables[id(weight)] = plain_name(variable), plain_name(new)
        return found

    def state(self, optimizer: Optimizer) -> dict[str, str]:
        """The new keys of slots."""
        found: dict[str, str] = {}
        taken = {slot.key for slot in optimizer.slots}
        for slot in optimizer.slots:
            old, new = self.variables.get(id(slot.weight), ("", ""))
            old, new = (old, new) if old in slot.key else (old.replace("/", "_"), new.replace("/", "_"))
            key = slot.key.replace(old, new, 1) if old and old in slot.key else slot.key
            while key in taken and key != slot.key:
                key += "_"
            taken.add(key)
            found[slot.key] = key
        return found


def _rekeyed(model: Model, names: Mapping[Path, str]) -> Model:
    """A model under the addresses that its arrays have in a legacy file with the new names, in the order that it has."""
    new = _Rekeying.of(model, names)
    optimizer = model.optimizer
    keys = dict(new.keys)
    if optimizer is not None:
        state = new.state(optimizer)
        keys |= state
        optimizer = replace(optimizer, slots=tuple(replace(slot, key=state[slot.key]) for slot in optimizer.slots))
        model = replace(model, optimizer=optimizer)

    def changed(_: Path, weight: Weight) -> Weight:
        return replace(weight, key=keys.get(weight.key, weight.key))

    inventory = None if model.inventory is None else tuple((keys.get(key, key), tensor) for key, tensor in model.inventory)
    return replace(replace_weights(model, changed), inventory=inventory)


def _renamed_variable(variable: str, levels: Sequence[tuple[str, str]]) -> str:
    """A variable's name, in which layers have other names: `nested/conv/kernel:0`, in Keras 1 `conv_W`."""
    parts = variable.split("/")
    start = 0
    for old, new in levels:
        places = [index for index in range(start, len(parts)) if parts[index] == old]
        places = places or [index for index in range(start, len(parts) - 1) if same_name(parts[index], old)]
        if places:
            parts[places[0]], start = new, places[0] + 1
        elif len(parts) == 1 and variable.startswith(f"{old}_"):
            return new + variable.removeprefix(old)
    return "/".join(parts)
