"""From a tree to the groups, datasets and attributes of a legacy HDF5 file, as Keras 2 and Keras 3 lay it out.

A layer's weights are listed in the order in which the loading Keras counts them: first what is trained, then the rest,
over all sub-layers; of a layer that is frozen as a whole in the plain order of its sub-layers. Names only have to be
unique in the layer; here they are the variables' own names.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.envelope import ConfigError, Era, era_of_version
from kmodel_tools.architecture.legacy_weights import never_trained
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.optimizers import ITERATIONS
from kmodel_tools.architecture.spec import model_spec
from kmodel_tools.architecture.spelling import legacy_config, legacy_training_config
from kmodel_tools.formats._shared.store_writer import LEARNING_RATE
from kmodel_tools.storage.hdf5_writer import Attribute, NewObject, list_of_names
from kmodel_tools.tree import Layer, Model, Slot, Weight

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"
TOP_LEVEL = "top_level_model_weights"
SHORT = {"momentum": "m", "velocity": "v"}
"""Slots that Keras 2 spells otherwise than Keras 3."""


class Layout(enum.Enum):
    """Who the file is for; the value is the version that it claims where the source claims none."""

    KERAS_2 = "2.15.0"
    KERAS_3 = "3.15.1"


def layout_of(model: Model) -> Layout:
    """The layout that a model's own generation has in legacy HDF5 files; Keras 3's where nothing says which it is."""
    version = model.metadata.get("keras_version", "")
    return Layout.KERAS_2 if version and era_of_version(version) is not Era.KERAS_3 else Layout.KERAS_3


def legacy_objects(model: Model, layout: Layout) -> list[NewObject]:
    """Everything that a legacy HDF5 file of a model holds; a model without an architecture gives a file of weights alone."""
    return list(_Writer(model, layout, _frozen_layers(model)).objects())


@dataclass(slots=True)
class _Writer:
    model: Model
    layout: Layout
    frozen: frozenset[str] = frozenset()
    names: dict[int, str] = field(default_factory=dict)

    def objects(self) -> Iterator[NewObject]:
        model = self.model
        version = model.metadata.get("keras_version") or self.layout.value
        producer: dict[str, Attribute] = {"backend": model.metadata.get("backend", "tensorflow"), "keras_version": version}
        top = ""
        if model.architecture is not None:
            top = f"{MODEL_WEIGHTS}/"
            yield NewObject("", attributes=producer | self._documents())
        layers = self._unique_layers()
        yield NewObject(top.rstrip("/"), attributes=producer | list_of_names("layer_names", [layer.name for layer in layers]))
        for layer in layers:
            yield from self._group(f"{top}{layer.name}", self._layer_weights(layer))
        own = [(self._suffixed(weight.role), weight) for weight in model.own_weights]
        yield from self._group(f"{top}{TOP_LEVEL}", own)
        yield from self._optimizer()

    def _documents(self) -> dict[str, Attribute]:
        assert self.model.architecture is not None
        found: dict[str, Attribute] = {"model_config": json.dumps(legacy_config(self.model.architecture)).encode()}
        if self.model.training_config:
            found["training_config"] = json.dumps(legacy_training_config(self.model.training_config)).encode()
        return found

    def _unique_layers(self) -> list[Layer]:
        return list({id(layer): layer for layer in self.model.layers}.values())

    def _group(self, path: str, weights: Sequence[tuple[str, Weight]]) -> Iterator[NewObject]:
        yield NewObject(path, attributes=list_of_names("weight_names", [name for name, _ in weights]))
        for name, weight in weights:
            yield NewObject(f"{path}/{name}", weight.tensor)

    # The weights of one layer: their order and their names.

    def _layer_weights(self, layer: Layer) -> list[tuple[str, Weight]]:
        natural = list(_with_names(layer))
        order = natural if layer.name in self.frozen else sorted(natural, key=lambda item: not _is_trained(item[2], item[3]))
        found: dict[str, Weight] = {}
        for short, full, weight, _ in order:
            name = self._suffixed(short)
            if name in found:
                name = self._suffixed(full)
            number = 1
            while name in found:
                name = self._suffixed(f"{full}_{number}")
                number += 1
            found[name] = weight
            self.names[id(weight)] = name
        return list(found.items())

    def _suffixed(self, name: str) -> str:
        return f"{name}:0" if self.layout is Layout.KERAS_2 else name

    # The optimizer.

    def _optimizer(self) -> Iterator[NewObject]:
        optimizer = self.model.optimizer
        if optimizer is None or self.model.architecture is None:
            return
        arrays = self._stored_state() if self.model.format == "keras-h5" else self._named_state()
        if arrays:
            yield NewObject(OPTIMIZER_WEIGHTS, attributes=list_of_names("weight_names", [name for name, _ in arrays]))
            for name, item in arrays:
                yield NewObject(f"{OPTIMIZER_WEIGHTS}/{name}", item.tensor)

    def _stored_state(self) -> list[tuple[str, Weight | Slot]]:
        """The optimizer's arrays under the names and in the order that the source has."""
        optimizer = self.model.optimizer
        assert optimizer is not None
        order = {key: number for number, (key, _) in enumerate(self.model.inventory or ())}
        arrays: list[Weight | Slot] = [*optimizer.counters, *optimizer.slots, *optimizer.extras]
        arrays.sort(key=lambda item: order.get(item.key, len(order)))
        return [(item.key.partition("/")[2], item) for item in arrays]

    def _named_state(self) -> list[tuple[str, Weight | Slot]]:
        optimizer = self.model.optimizer
        assert optimizer is not None
        kind = optimizer.class_name or "optimizer"
        counters = {item.role: item for item in optimizer.counters}
        first = [(role, counters.pop(role)) for role in (ITERATIONS, LEARNING_RATE) if role in counters]
        named: list[tuple[str, Weight | Slot]] = []
        prefix = f"{snake_case(kind)}/" if self.layout is Layout.KERAS_3 else ""
        for role, item in first:
            named.append((self._suffixed(f"{prefix}{'iteration' if role == ITERATIONS else role}"), item))
        for slot in optimizer.slots:
            variable = self.names.get(id(slot.weight), slot.weight.role).removesuffix(":0")
            if self.layout is Layout.KERAS_3:
                name = f"{prefix}{variable.replace('/', '_')}_{slot.name}"
            else:
                name = f"{kind}/{SHORT.get(slot.name, slot.name)}/{variable}"
            named.append((self._suffixed(name), slot))
        named += [(self._suffixed(f"{prefix}{role}"), item) for role, item in counters.items()]
        named += [(self._suffixed(f"{prefix}{number}"), item) for number, item in enumerate(optimizer.extras)]
        return named


def _with_names(layer: Layer) -> Iterator[tuple[str, str, Weight, set[str]]]:
    """Yield `(name, full name, weight, roles beside it)` for all weights of a layer, its own first, each once.

    A layer of a nested model has a name of its own; what a wrapper or a recurrent layer holds stands behind its name.
    """
    seen: set[int] = set()
    stack: list[tuple[str, str, Layer]] = [(layer.name, layer.name, layer)]
    while stack:
        short, full, item = stack.pop()
        roles = {weight.role for weight in item.weights}
        for weight in item.weights:
            if id(weight) not in seen:
                seen.add(id(weight))
                yield f"{short}/{weight.role}", f"{full}/{weight.role}", weight, roles
        for child in reversed(item.layers):
            inner = child.name if child.attr is None else f"{short}/{child.name}"
            stack.append((inner, f"{full}/{child.name}", child))


def _is_trained(weight: Weight, siblings: set[str]) -> bool:
    return not never_trained(weight.role, siblings) if weight.trainable is None else weight.trainable


def _frozen_layers(model: Model) -> frozenset[str]:
    """Top-level layers that the configuration freezes as a whole: Keras then asks none of their sub-layers."""
    if model.architecture is None:
        return frozenset()
    try:
        spec = model_spec(model.architecture, model.metadata.get("keras_version"))
    except ConfigError:
        return frozenset()
    return frozenset(child.name for child in spec.root.children if child.config.get("trainable") is False)
