"""The order of the weights of layers whose class nobody here knows.

Files of Keras number the weights of a layer: first those that are trained, then the others, each in the order in which they
were made (Keras 3.15.1 `layers/layer.py`, `save_own_variables`). A checkpoint has the order in which they were made, and
does not say which are trained; but an optimizer that has taken a step keeps state for just those.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.legacy_weights import known_roles
from kmodel_tools.tree import Layer, Model, Weight, join_path, make_from_below

CHECKPOINT = "tf-checkpoint"
SAVED_MODEL = "saved-model"
BY_NAMES = "name-based"


@dataclass(slots=True)
class Numbered:
    """A model whose layers have their weights in Keras's order, what was concluded for that, and where nobody knows it."""

    model: Model
    inferred: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def numbered(model: Model, source: Model) -> Numbered:
    """Bring the weights of layers that are not built in into the order by which Keras numbers them.

    Args:
        model: The model, with the classes of its layers where something says them.
        source: What was read; files of Keras have the order themselves, and a SavedModel says what is trained.
    """
    if source.format != CHECKPOINT:
        return Numbered(model, _attributes(model) if source.format == SAVED_MODEL else [])
    found = Numbered(model)
    trained = {id(slot.weight) for slot in model.optimizer.slots} if model.optimizer is not None else set()
    by_names = source.metadata.get("dialect", "").endswith(BY_NAMES)
    orders: dict[int, tuple[Weight, ...]] = {}
    for path, layer in model.walk():
        if len(layer.weights) > 1 and id(layer) not in orders and canonical_class(layer.class_name) is None:
            orders[id(layer)] = _ordered(layer, join_path(path), trained, by_names, found)
    layers = make_from_below(
        model.layers, attrgetter("layers"), lambda layer, below: replace(layer, weights=orders.get(id(layer), layer.weights), layers=below)
    )
    if orders:
        found.model = replace(model, layers=layers)
    return found


def _ordered(layer: Layer, name: str, trained: Collection[int], by_names: bool, found: Numbered) -> tuple[Weight, ...]:
    weights = sorted(layer.weights, key=lambda weight: weight.trainable is False)
    open_ones = [weight for weight in weights if weight.trainable is None]
    told = [weight for weight in open_ones if id(weight) in trained]
    if told and not by_names:
        if len(told) < len(open_ones):
            others = ", ".join(weight.role for weight in open_ones if id(weight) not in trained)
            found.inferred.append(
                f"{others} of {name}: not trained, since the optimizer keeps no state for it; Keras counts such weights last"
            )
        return tuple(sorted(weights, key=lambda weight: id(weight) not in trained))
    usual = all(weight.role in known_roles() for weight in weights)
    listed = ", ".join(weight.role for weight in weights)
    kind = layer.class_name or "somebody's own class"
    if not open_ones or (usual and not by_names and not _alike(weights)):
        return tuple(weights)
    if _alike(weights) and (by_names or not usual):
        found.lost.append(
            f"the order of {listed} of {name} ({kind}): they are of one shape, and the checkpoint does not say which are trained, "
            "which Keras counts first; with --lossy it is the one in which they were made"
        )
    elif _alike(weights):
        found.inferred.append(f"{listed} of {name} ({kind}) are trained, as their names are those of weights that are")
    else:
        found.inferred.append(
            f"the order of {listed} of {name} ({kind}), which the checkpoint does not say; Keras does not load the file if it is another"
        )
    return tuple(weights)


def _attributes(model: Model) -> list[str]:
    """What is concluded of the attributes that hold layers inside of somebody's own: their keys do not have the underscores."""
    holding = [
        f"{join_path(path)} ({layer.class_name})"
        for path, layer in model.walk()
        if layer.class_name is not None
        and canonical_class(layer.class_name) is None
        and any(inner.attr not in (None, "layer") for inner in layer.layers)
    ]
    if not holding:
        return []
    listed = ", ".join(holding[:5]) + (" …" if len(holding) > 5 else "")
    return [
        f"layers inside of {listed} are written under their attributes as if none began with an underscore; Keras refuses the file if "
        "one does: then convert to NAME.h5 with --target keras3"
    ]


def _alike(weights: Sequence[Weight]) -> bool:
    """Whether two weights can take each other's place unnoticed."""
    kinds = [(weight.tensor.shape, weight.tensor.dtype) for weight in weights]
    return len(set(kinds)) < len(kinds)


def order_depends_on_flags(model: Model) -> bool:
    """Whether a layer with several sub-layers has weights of which nobody says if they are trained: they are counted first."""
    never = ("moving_mean", "moving_variance")
    return any(
        layer.layers and any(weight.trainable is None and weight.role not in never for item in layer.layers for weight in item.weights)
        for _, layer in model.walk()
    )
