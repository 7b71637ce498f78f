"""A model as arrays by name and texts beside them, as containers hold it that know no more: safetensors, npz.

::

    dense/kernel                                a weight: its path in the tree
    @optimizer/momentum/dense/kernel            what the optimizer keeps for a weight: the slot's name, and the weight's
    @optimizer/iterations                       a counter of it, or an array that is tied to no weight

    format            keras
    keras_version     the release whose model it is          backend, producer: who else had a hand in it
    config            the architecture, as the source has it; it says which layer is of which class
    training_config   what the model was compiled with
    optimizer         the optimizer's class

Without `config`, layers are what stands before the last slash of a name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError
from kmodel_tools.architecture.spec import LayerSpec, model_spec
from kmodel_tools.errors import ConversionError
from kmodel_tools.format import parse_json
from kmodel_tools.formats._shared.repeated_layers import repeats, same_layer
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Note, Optimizer, Path, Slot, Weight, join_path, split_path

OPTIMIZER = "@optimizer"
FORMAT = "keras"
PRODUCER = "kmodel_tools"
KEPT = ("keras_version", "backend")
"""What is said of a model and is no configuration."""


def named_arrays(model: Model) -> list[tuple[str, Tensor]]:
    """Every weight by its path, then the optimizer's state.

    Raises:
        ConversionError: Two would have one name, or a layer is called as the optimizer's arrays are.
    """
    names = {id(weight): join_path(path) for path, weight in model.weights()}
    found = [(names[id(weight)], weight.tensor) for _, weight in model.weights()]
    if any(name.startswith(f"{OPTIMIZER}/") for name, _ in found):
        raise ConversionError(f"a layer is called {OPTIMIZER!r}, as the optimizer's arrays are")
    optimizer = model.optimizer
    if optimizer is not None:
        found += [(f"{OPTIMIZER}/{slot.name}/{names[id(slot.weight)]}", slot.tensor) for slot in optimizer.slots]
        found += [(f"{OPTIMIZER}/{item.role}", item.tensor) for item in (*optimizer.counters, *optimizer.extras)]
    twice = sorted(name for name, count in Counter(name for name, _ in found).items() if count > 1)
    if twice:
        raise ConversionError(f"several arrays would be called {', '.join(twice[:3])}", tuple(twice))
    return found


def texts(model: Model) -> dict[str, str]:
    """What is said of a model beside its arrays."""
    found = {"format": FORMAT, "producer": PRODUCER} | {key: model.metadata[key] for key in KEPT if key in model.metadata}
    if model.architecture is not None:
        found["config"] = json.dumps(model.architecture)
    if model.training_config:
        found["training_config"] = json.dumps(model.training_config)
    if model.optimizer is not None and model.optimizer.class_name:
        found["optimizer"] = model.optimizer.class_name
    return found


@dataclass(slots=True)
class _Branch:
    """A level of names: what lies at it and below it."""

    weights: dict[str, Weight] = field(default_factory=dict)
    below: dict[str, _Branch] = field(default_factory=dict)


def read_arrays(arrays: Mapping[str, Tensor], said: Mapping[str, str], path: str) -> Model:
    """The tree of arrays that lie under names, as `named_arrays` gives them; or of anybody's, whose names have dots or slashes.

    Args:
        arrays: The tensors by name, in the order of the file.
        said: The texts beside them.
        path: The file, for errors.

    Raises:
        CorruptFileError: A configuration among the texts is no JSON object.
    """
    config, training = (_document(said, key, path) for key in ("config", "training_config"))
    notes: list[Note] = []
    state = {name: tensor for name, tensor in arrays.items() if name.startswith(f"{OPTIMIZER}/")}
    spec = _spec(config, said, notes)
    separator = "/" if config is not None or any("/" in name for name in arrays) else "."
    root = _Branch()
    for name, tensor in arrays.items():
        if name not in state:
            _put(root, split_path(name) if separator == "/" else tuple(name.split(separator)), name, tensor)
    layers = _Announced(spec).layers(spec, root) if spec is not None else _unannounced(root)
    own = tuple(root.weights.values())
    by_name = {weight.key: weight for _, weight in Model(layers=layers, own_weights=own).weights()}
    if spec is None and by_name:
        notes.append(Note("inferred", "layers are what the names of the arrays say; the file does not say what they are"))
    return Model(
        name=spec.name if spec is not None else "",
        layers=layers,
        own_weights=own,
        architecture=config,
        training_config=training,
        optimizer=_optimizer(state, by_name, said.get("optimizer")),
        metadata={key: said[key] for key in KEPT if said.get("format") == FORMAT and said.get(key)},
        notes=tuple(notes),
        inventory=tuple(arrays.items()),
    )


def _document(said: Mapping[str, str], key: str, path: str) -> dict[str, Any] | None:
    if key not in said or said.get("format") != FORMAT:
        return None
    found = parse_json(said[key], path, key)
    return found if isinstance(found, dict) and found else None


def _spec(config: Config | None, said: Mapping[str, str], notes: list[Note]) -> LayerSpec | None:
    if config is None:
        return None
    try:
        spec = model_spec(config, said.get("keras_version"))
    except ConfigError as error:
        notes.append(Note("odd", f"the configuration cannot be followed: {error}"))
        return None
    notes += [Note("odd", text) for text in spec.odd]
    return spec.root


def _put(root: _Branch, steps: Path, name: str, tensor: Tensor) -> None:
    branch = root
    for step in steps[:-1]:
        branch = branch.below.setdefault(step, _Branch())
    branch.weights[steps[-1]] = Weight(steps[-1], tensor, name)


def _unannounced(root: _Branch) -> tuple[Layer, ...]:
    """The layers that names alone tell of, deepest first: names may nest as deep as their writer likes."""
    stack, order = [root], []
    while stack:
        branch = stack.pop()
        order.append(branch)
        stack.extend(branch.below.values())
    made: dict[int, tuple[Layer, ...]] = {}
    for branch in reversed(order):
        below = [(name, inner, made.pop(id(inner))) for name, inner in branch.below.items()]
        made[id(branch)] = tuple(
            Layer(name, None, None, tuple(inner.weights.values()), layers) for name, inner, layers in below if inner.weights or layers
        )
    return made[id(root)]


@dataclass(slots=True)
class _Announced:
    """The layers that a configuration tells of, with what lies under their names.

    A layer that the configuration describes again, and under whose second path nothing lies, is the one that was there before.
    `spec.MAX_DEPTH` bounds the nesting.
    """

    root: LayerSpec
    made: dict[str, list[tuple[LayerSpec, Layer]]] = field(default_factory=dict)
    repeated: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.repeated = repeats(self.root)

    def layers(self, spec: LayerSpec, branch: _Branch) -> tuple[Layer, ...]:
        """The layers below one, the announced first."""
        found = []
        for child in spec.children:
            steps = (child.name,) if child.attr is None else split_path(child.attr)
            found.append(self._layer(child, _taken(branch, steps)))
        return (*found, *_unannounced(branch))

    def _layer(self, spec: LayerSpec, branch: _Branch) -> Layer:
        if id(spec) in self.repeated and not branch.weights and not branch.below:
            before = next((layer for other, layer in self.made.get(spec.name, ()) if same_layer(spec, other)), None)
            if before is not None:
                return before
        order = {item.role: place for place, item in enumerate(spec.variables or ())}
        trained = {item.role: item.trained and spec.trainable for item in spec.variables or ()}
        weights = sorted(branch.weights.values(), key=lambda weight: order.get(weight.role, len(order)))
        layer = Layer(
            spec.name,
            spec.attr,
            spec.class_name,
            tuple(Weight(weight.role, weight.tensor, weight.key, trained.get(weight.role)) for weight in weights),
            self.layers(spec, branch),
        )
        self.made.setdefault(spec.name, []).append((spec, layer))
        return layer


def _taken(branch: _Branch, steps: Path) -> _Branch:
    """What lies at some steps below a level, which is left without it."""
    for step in steps[:-1]:
        inner = branch.below.get(step)
        if inner is None:
            return _Branch()
        branch = inner
    return branch.below.pop(steps[-1], _Branch())


def _optimizer(state: Mapping[str, Tensor], by_name: Mapping[str, Weight], class_name: str | None) -> Optimizer | None:
    if not state and class_name is None:
        return None
    slots, others = [], []
    for name, tensor in state.items():
        inner = name.removeprefix(f"{OPTIMIZER}/")
        slot, _, of = inner.partition("/")
        if of in by_name:
            slots.append(Slot(slot, by_name[of], tensor, name))
        else:
            others.append(Weight(inner, tensor, name, False))
    counters = tuple(item for item in others if not item.tensor.shape)
    return Optimizer(class_name, tuple(slots), counters, tuple(item for item in others if item.tensor.shape))
