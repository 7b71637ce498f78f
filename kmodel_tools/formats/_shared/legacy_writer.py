"""From a tree to the groups, datasets and attributes of a legacy HDF5 file, as Keras 2 and Keras 3 lay it out.

A layer's weights are listed in the order in which the loading Keras counts them: first what is trained, then the rest,
over all sub-layers; of a layer that is frozen as a whole in the plain order of its sub-layers. Names only have to be
unique in the layer; here they are the variables' own names.
"""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from kmodel_tools.architecture.envelope import Era, era_of, era_of_version
from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.legacy_weights import Place, never_trained
from kmodel_tools.architecture.legacy_wrappers import place_all_weights
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.optimizers import ITERATIONS, keras_2_slot
from kmodel_tools.architecture.spec import followed
from kmodel_tools.architecture.spelling import legacy_config, legacy_training_config
from kmodel_tools.errors import ConversionError
from kmodel_tools.formats._shared.keras_store import VARS
from kmodel_tools.formats._shared.store_writer import state_in_order
from kmodel_tools.formats._shared.variable_names import names_below
from kmodel_tools.storage.hdf5_writer import Attribute, NewObject, list_of_names
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Slot, Weight, split_path

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"
TOP_LEVEL = "top_level_model_weights"


class Layout(enum.Enum):
    """Who the file is for; the value is the version that it claims where the source claims none."""

    KERAS_2 = "2.15.0"
    KERAS_3 = "3.15.1"


def layout_of(model: Model) -> Layout:
    """The layout that a model's own generation has in legacy HDF5 files; Keras 3's where nothing says which it is.

    One of TensorFlow.js has no version of Keras, and an architecture that is one of Keras 2.
    """
    version = model.metadata.get("keras_version", "")
    era = era_of_version(version) if version else era_of(model.architecture) if model.architecture is not None else Era.KERAS_3
    return Layout.KERAS_3 if era is Era.KERAS_3 else Layout.KERAS_2


def legacy_objects(model: Model, layout: Layout, whole: bool) -> list[NewObject]:
    """Everything that a legacy HDF5 file of a model holds.

    Without `whole` that is weights alone; the architecture still says which layers are frozen, and so in which order they stand.

    Raises:
        ConversionError: The order in which Keras counts the weights is not in the source.
    """
    unordered = _unordered_layers(model)
    if unordered:
        listed = ", ".join(unordered[:3]) + (" …" if len(unordered) > 3 else "")
        raise ConversionError(
            f"a legacy file goes by the order of weights, and the source does not have that of the sub-layers of {listed}",
            cure="convert from a legacy file or a checkpoint of the same model",
        )
    whole = whole and model.architecture is not None
    return list(_Writer(model, layout, whole, _frozen_layers(model), _listed(model), _named(model)).objects())


@dataclass(slots=True)
class _Writer:
    model: Model
    layout: Layout
    whole: bool
    frozen: frozenset[str]
    listed: dict[str, int]
    named: frozenset[str]
    names: dict[int, str] = field(default_factory=dict)

    def objects(self) -> Iterator[NewObject]:
        model = self.model
        version = model.metadata.get("keras_version") or self.layout.value
        backend = model.metadata.get("backend") or ("" if self._is_keras_1() else "tensorflow")
        producer: dict[str, Attribute] = {"backend": backend} if backend else {}
        producer["keras_version"] = version
        top = ""
        if self.whole:
            top = f"{MODEL_WEIGHTS}/"
            yield NewObject("", attributes=producer | self._documents())
        layers = self._named_layers()
        # Here as bytes: releases up to TensorFlow 2.3 decode what they find.
        encoded: dict[str, Attribute] = {name: str(value).encode() for name, value in producer.items()}
        yield NewObject(top.rstrip("/"), attributes=encoded | list_of_names("layer_names", list(layers)))
        for name, layer in layers.items():
            yield from self._group(f"{top}{name}", self._layer_weights(layer))
        own = [(self._suffixed(weight.role), weight) for weight in model.own_weights]
        yield from self._group(f"{top}{TOP_LEVEL}", own)
        yield from self._optimizer()

    def _documents(self) -> dict[str, Attribute]:
        assert self.model.architecture is not None
        found: dict[str, Attribute] = {"model_config": json.dumps(legacy_config(self.model.architecture)).encode()}
        if self.model.training_config:
            found["training_config"] = json.dumps(legacy_training_config(self.model.training_config)).encode()
        return found

    def _named_layers(self) -> dict[str, Layer]:
        """The outermost layers, each once, by name; of a subclassed model, in which names may repeat, by their path."""
        layers = list({id(layer): layer for layer in self.model.layers}.values())
        counts = Counter(layer.name for layer in layers)
        paths = {"/".join(layer.components): layer for layer in layers}
        if self.model.architecture is None and any(paths.get(layer.name, layer) is not layer for layer in layers):
            return paths  # one layer's name is what another one is found by
        return {layer.name if counts[layer.name] == 1 else "/".join(layer.components): layer for layer in layers}

    def _group(self, path: str, weights: Sequence[tuple[str, Weight]]) -> Iterator[NewObject]:
        yield NewObject(path, attributes=list_of_names("weight_names", [name for name, _ in weights]))
        for name, weight in weights:
            yield NewObject(f"{path}/{name}", weight.tensor)

    # The weights of one layer: their order and their names.

    def _layer_weights(self, layer: Layer) -> list[tuple[str, Weight]]:
        natural = list(names_below(layer))
        if all(item[2].key in self.listed for item in natural):
            order = sorted(natural, key=lambda item: self.listed[item[2].key])
        elif layer.name in self.frozen:
            order = natural
        else:
            order = sorted(natural, key=lambda item: not _is_trained(item[2], item[3]))
        found: dict[str, Weight] = {}
        if self.model.architecture is None:
            found = self._names_of_paths(layer, [weight for _, _, weight, _ in order], {id(item[2]): item[1] for item in natural})
        else:
            for short, full, weight, _ in order:
                _put(found, self._own_name(layer, weight) or self._suffixed(short), self._suffixed(full), weight)
        self.names |= {id(weight): name for name, weight in found.items()}
        return list(found.items())

    def _names_of_paths(self, layer: Layer, order: Sequence[Weight], full_names: Mapping[int, str]) -> dict[str, Weight]:
        """Names that are read back as the paths: without an architecture nothing says that a level is a nested model, which has none.

        Those of the source are the first choice, then those that the layers have, then the paths themselves.
        """
        paths = {id(weight): path[len(layer.components) :] for path, weight in Model(layers=(layer,)).weights()}
        choices: list[list[str | None]] = [
            [self._own_name(layer, weight) for weight in order],
            [self._suffixed(full_names[id(weight)]) for weight in order],
            [self._suffixed("/".join((layer.name, *paths[id(weight)]))) for weight in order],
        ]
        era = era_of_version(self.model.metadata.get("keras_version") or self.layout.value)
        for names in choices:
            given = [name for name in names if name is not None]
            if len(set(given)) < len(order):
                continue
            places = place_all_weights(layer.name, given, None, era).places
            if all(_path(place) == paths[id(weight)] for place, weight in zip(places, order, strict=True)):
                return dict(zip(given, order, strict=True))
        found: dict[str, Weight] = {}
        for weight in order:
            name = self._suffixed(full_names[id(weight)])
            _put(found, name, name, weight)
        return found

    def _own_name(self, layer: Layer, weight: Weight) -> str | None:
        """The name that a weight has in its layer in a legacy file of the same generation, so that its state keeps finding it."""
        if self.layout is not layout_of(self.model) or weight.key not in self.named:
            return None
        prefix, _, name = weight.key.removeprefix(f"{MODEL_WEIGHTS}/").partition(f"{layer.name}/")
        if self._is_keras_1():
            return weight.key.rpartition("/")[2]  # has no slash there; and tells Theano, whose names do not end in `:0`
        return name if not prefix and name else None

    def _is_keras_1(self) -> bool:
        version = self.model.metadata.get("keras_version", "")
        return bool(version) and era_of_version(version) is Era.KERAS_1

    def _suffixed(self, name: str) -> str:
        return f"{name}:0" if self.layout is Layout.KERAS_2 else name

    # The optimizer.

    def _optimizer(self) -> Iterator[NewObject]:
        optimizer = self.model.optimizer
        if optimizer is None or not self.whole:
            return
        state = state_in_order(self.model)
        stored = all(item.key.startswith(f"{OPTIMIZER_WEIGHTS}/") for item in state)
        arrays = [(item.key.partition("/")[2], item) for item in state] if stored else self._named(state, optimizer)
        if arrays:
            yield NewObject(OPTIMIZER_WEIGHTS, attributes=list_of_names("weight_names", [name for name, _ in arrays]))
            for name, item in arrays:
                yield NewObject(f"{OPTIMIZER_WEIGHTS}/{name}", item.tensor)

    def _named(self, state: Sequence[Weight | Slot], optimizer: Optimizer) -> list[tuple[str, Weight | Slot]]:
        kind = optimizer.class_name or "optimizer"
        prefix = f"{snake_case(kind)}/" if self.layout is Layout.KERAS_3 else ""
        named: dict[str, Weight | Slot] = {}
        for item in state:
            if isinstance(item, Weight):
                name = prefix + ("iteration" if item.role == ITERATIONS else item.role)
            elif self.layout is Layout.KERAS_3:
                name = f"{prefix}{self._variable(item).replace('/', '_')}_{item.name}"
            else:
                name = f"{kind}/{keras_2_slot(item.name)}/{self._variable(item)}"
            while self._suffixed(name) in named:
                name += "_"
            named[self._suffixed(name)] = item
        return list(named.items())

    def _variable(self, slot: Slot) -> str:
        return self.names.get(id(slot.weight), slot.weight.role).removesuffix(":0")


def _put(found: dict[str, Weight], name: str, full: str, weight: Weight) -> None:
    """Add a weight under a name, or where that is taken under its full one, numbered if need be."""
    plain, colon, end = full.partition(":0")
    number = 0
    while name in found:
        name = f"{plain}_{number}{colon}{end}" if number else full
        number += 1
    found[name] = weight


def _path(place: Place) -> Path:
    """A place below a layer as the end of a path."""
    components = chain.from_iterable(split_path(step.component) if step.is_attr else (step.component,) for step in place.steps)
    return (*components, place.role)


def _is_trained(weight: Weight, siblings: set[str]) -> bool:
    return not never_trained(weight.role, siblings) if weight.trainable is None else weight.trainable


def _unordered_layers(model: Model) -> list[str]:
    """Layers whose sub-layers the source has by the alphabet, where Keras counts them as their attributes were set.

    Keras's weights layout is written that way; a built-in class tells the order all the same, and so does a list.
    """
    in_store = model.format in ("keras-archive", "keras-weights")
    if not in_store and (model.format or not any(f"/{VARS}/" in weight.key for _, weight in model.weights())):
        return []  # a model that was changed, such as an upgraded one, is of no format; its keys tell where it comes from
    holders: list[tuple[str, str | None, tuple[Layer, ...]]] = [("the model", None, model.layers)]
    holders += [(layer.name, layer.class_name, layer.layers) for _, layer in model.walk()]
    return [name for name, class_name, layers in holders if canonical_class(class_name) is None and _is_unordered(layers)]


def _is_unordered(layers: Sequence[Layer]) -> bool:
    holding = [layer for layer in layers if any(item.weights for item in _below(layer))]
    attributes = {layer.attr.partition("/")[0] for layer in holding if layer.attr is not None}
    return len(attributes) > 1 or (len(attributes) == 1 and any(layer.attr is None for layer in holding))


def _below(layer: Layer) -> Iterator[Layer]:
    """A layer and all layers in it."""
    stack = [layer]
    while stack:
        item = stack.pop()
        yield item
        stack.extend(item.layers)


def _listed(model: Model) -> dict[str, int]:
    """The place of each array in a legacy file that the model comes from: it may know of frozen layers what the tree does not."""
    return {key: number for number, (key, _) in enumerate(model.inventory or ())} if model.format == "keras-h5" else {}


def _named(model: Model) -> frozenset[str]:
    """The keys that hold names of a legacy file: of one that was read, or of weights of one in an architecture that was apart from them."""
    return frozenset(key for key, _ in model.inventory or ()) if model.format in ("keras-h5", "") else frozenset()


def _frozen_layers(model: Model) -> frozenset[str]:
    """Top-level layers that the configuration freezes as a whole: Keras then asks none of their sub-layers."""
    spec = followed(model)
    children = spec.root.children if spec is not None else ()
    return frozenset(child.name for child in children if child.config.get("trainable") is False)
