"""From a tree to the groups and datasets of Keras's weights layout, as `.weights.h5` files and `.keras` archives hold them.

With a configuration of built-in classes every group is computed, as Keras 3 would. Layers that somebody's own class holds
lie where the source tells (`own_layers`). A model without a configuration is copied group by group from a file that has
this layout already; from any other, nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.names import snake_case
from kmodel_tools.architecture.optimizers import ITERATIONS, LEARNING_RATE
from kmodel_tools.architecture.spec import LayerSpec, followed
from kmodel_tools.architecture.store_layout import Place, places
from kmodel_tools.errors import ConversionError
from kmodel_tools.formats._shared.keras_store import DEPENDENCIES, OPTIMIZER, VARS
from kmodel_tools.formats._shared.own_layers import inner_groups, layers_by_path, stored_groups, stored_path
from kmodel_tools.storage.hdf5_writer import NewObject
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Slot, Weight, join_path

NAMED_VARIABLES = frozenset({"idf_weights"})
"""Variables that Keras stores under their own name and not under a number (`IndexLookup.save_own_variables`)."""
_STORED_STATE = re.compile(rf"{OPTIMIZER}/(.*/)?{VARS}/\w+$")


def store_objects(model: Model) -> list[NewObject]:
    """The groups and datasets of a model's weights and optimizer, in the order in which Keras 3 writes them.

    Raises:
        ConversionError: The layout cannot be told: there is no configuration, it has layers without weights in the
            tree, or custom layers whose attributes the source does not have.
    """
    spec = followed(model)
    inner = inner_groups(model, spec.root) if spec is not None and spec.root.is_model else {}
    opaque = {owner: [path for path, group in below.items() if group is None] for owner, below in inner.items()}
    opaque = {owner: below for owner, below in opaque.items() if below or not owner}
    if spec is not None and spec.root.is_model and not opaque:
        objects = list(_Computed(model, spec.root, inner).objects())
    elif _has_this_layout(model):
        objects = list(_copied(model))
    elif spec is None:
        raise ConversionError(
            "this layout goes by the classes of layers, and the source does not have them",
            cure="give a file with the architecture: --like model.keras",
        )
    else:
        names = ", ".join(map(join_path, filter(None, list(opaque)[:3]))) or spec.root.class_name
        raise ConversionError(
            "Keras 3 finds layers inside of somebody's own class by the attributes that hold them, and the source does not have "
            f"those of: {names}",
            cure="a .h5 goes by their order instead: write NAME.h5 with --target keras3; or give a .keras of the same model",
        )
    return [*objects, *_optimizer(model)]


def _has_this_layout(model: Model) -> bool:
    """Whether the tree was read from Keras's layout as Keras 2.15 and later write it."""
    keys = [weight.key for _, weight in model.weights()]
    return model.format in ("keras-archive", "keras-weights") and not any(DEPENDENCIES in key for key in keys)


@dataclass(slots=True)
class _Computed:
    model: Model
    root: LayerSpec
    inner: Mapping[Path, Mapping[Path, str | None]]
    missing: list[str] = field(default_factory=list)
    written: set[int] = field(default_factory=set)

    def objects(self) -> Iterator[NewObject]:
        tree = layers_by_path(self.model)
        seen: set[int] = set()
        for place in places(self.root):
            layer = tree.get(place.path)
            if layer is not None and id(layer) in seen:
                continue
            seen.add(id(layer))
            weights = self.model.own_weights if not place.path else self._weights(place, layer)
            name = self.model.name or place.spec.name if not place.path else place.spec.name if layer is None else layer.name
            yield from self._object(place.group, name, weights)
            for path, group in self.inner.get(place.path, {}).items():
                yield from self._object(f"{place.group}/{group}", tree[path].name, tree[path].weights)
        self._refuse_leftovers()
        if self.missing:
            listed = ", ".join(self.missing[:5]) + (" …" if len(self.missing) > 5 else "")
            raise ConversionError(f"{len(self.missing)} weights of the architecture are not in the source: {listed}")

    def _weights(self, place: Place, layer: Layer | None) -> Sequence[Weight]:
        """A layer's own weights in Keras's order."""
        wanted = place.spec.variables
        held = {weight.role: weight for weight in layer.weights} if layer is not None else {}
        if wanted is None or layer is None:
            self.missing += [join_path((*place.path, variable.role)) for variable in wanted or ()]
            return layer.weights if layer is not None else ()
        self.missing += [join_path((*place.path, variable.role)) for variable in wanted if variable.role not in held]
        own = [held.pop(variable.role) for variable in wanted if variable.role in held]
        if canonical_class(place.spec.class_name) == "SpectralNormalization" and layer.layers and layer.layers[0].weights:
            own.insert(0, layer.layers[0].weights[0])  # the wrapper writes the kernel of its layer once more
        return (*own, *held.values())

    def _object(self, group: str, name: str, weights: Sequence[Weight]) -> Iterator[NewObject]:
        folder = f"{group}/{VARS}" if group else VARS
        yield NewObject(folder, attributes={"name": name})
        for number, weight in enumerate(weights):
            self.written.add(id(weight))
            variable = weight.role if weight.role in NAMED_VARIABLES else str(number)
            yield NewObject(f"{folder}/{variable}", weight.tensor)

    def _refuse_leftovers(self) -> None:
        left = [join_path(path) for path, weight in self.model.weights() if id(weight) not in self.written]
        if left:
            listed = ", ".join(left[:5]) + (" …" if len(left) > 5 else "")
            raise ConversionError(f"{len(left)} weights have no place in the architecture: {listed}")


def _copied(model: Model) -> Iterator[NewObject]:
    """Every weight under the path that it has, and every layer in the group that it has."""
    beside: dict[str, list[Weight]] = {}  # arrays that are no weights, such as a kernel that is stored twice
    for extra in model.extras:
        beside.setdefault(stored_path(extra.key).rpartition("/")[0], []).append(extra)
    yield NewObject(VARS, attributes={"name": model.name})
    for weight in model.own_weights:
        yield NewObject(stored_path(weight.key), weight.tensor)
    groups = stored_groups(model)
    for _, layer in model.walk():
        folder = f"{groups[id(layer)]}/{VARS}" if id(layer) in groups else ""
        if folder:
            yield NewObject(folder, attributes={"name": layer.name})
        arrays = sorted((*layer.weights, *beside.pop(folder, ())), key=lambda item: _numeric(stored_path(item.key)))
        yield from (NewObject(stored_path(item.key), item.tensor) for item in arrays)
    for items in beside.values():
        yield from (NewObject(stored_path(item.key), item.tensor) for item in items)


def _optimizer(model: Model) -> Iterator[NewObject]:
    """The optimizer's arrays: where they lay in this layout, or numbered as Keras 3 does."""
    optimizer = model.optimizer
    if optimizer is None:
        return
    described = (model.training_config or {}).get("optimizer", (model.training_config or {}).get("optimizer_config"))
    config = described.get("config") if isinstance(described, dict) else None
    name = str(config["name"]) if isinstance(config, dict) and "name" in config else snake_case(optimizer.class_name or OPTIMIZER)
    yield NewObject(f"{OPTIMIZER}/{VARS}", attributes={"name": name})
    arrays = _in_keras_order(optimizer)
    if all(_STORED_STATE.match(stored_path(item.key)) for item in arrays):
        for item in sorted(arrays, key=lambda item: _numeric(stored_path(item.key))):
            yield NewObject(stored_path(item.key), item.tensor)
    else:
        for number, item in enumerate(state_in_order(model)):
            yield NewObject(f"{OPTIMIZER}/{VARS}/{number}", item.tensor)


def state_in_order(model: Model) -> list[Weight | Slot]:
    """The arrays of a model's optimizer in the order of Keras's `optimizer.variables`.

    That is the order of the numbers in Keras's weights layout, where a LossScaleOptimizer has its inner state once more
    beside it, and the order of the list in a legacy file. Elsewhere it is concluded from what the arrays are.
    """
    if model.optimizer is None:
        return []
    arrays = _in_keras_order(model.optimizer)
    if all(_STORED_STATE.match(stored_path(item.key)) for item in arrays):
        own = [item for item in arrays if stored_path(item.key).startswith(f"{OPTIMIZER}/{VARS}/")]
        return sorted(own, key=lambda item: _numeric(stored_path(item.key)))
    if model.format == "keras-h5":
        listed = {key: number for number, (key, _) in enumerate(model.inventory or ())}
        arrays.sort(key=lambda item: listed.get(item.key, len(listed)))
    return arrays


def _in_keras_order(optimizer: Optimizer) -> list[Weight | Slot]:
    """Step counter, learning rate, slots, other counters, the rest: as all optimizers of Keras 3 but the wrapping ones have it."""
    counters = {item.role: item for item in optimizer.counters}
    first = [counters.pop(role) for role in (ITERATIONS, LEARNING_RATE) if role in counters]
    return [*first, *optimizer.slots, *counters.values(), *optimizer.extras]


def _numeric(path: str) -> tuple[str, int, str]:
    folder, _, name = path.rpartition("/")
    return folder, int(name) if name.isdecimal() else -1, name
