"""From a model to a changed model: parts left out, weights chosen or cast, another file's layout put on. Nothing is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from kmodel_tools.architecture.legacy_weights import sub_layers_are_ordered
from kmodel_tools.derived import cast as cast_tensor
from kmodel_tools.errors import ConversionError
from kmodel_tools.matcher import check_patterns, match, selector
from kmodel_tools.matcher.result import ORDER, POSITION
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Layer, Model, Optimizer, Path, Slot, Weight, join_path, make_from_below

MODEL = "model"
"""What a checkpoint usually calls its model: `tf.train.Checkpoint(model=…, optimizer=…, step=…)`."""
AVERAGE = "average"
Change = Callable[[Path, Weight], Weight | None]


def replace_weights(model: Model, change: Change) -> Model:
    """A model with every weight changed or left out; a layer that is shared stays so, and slots follow their weights.

    Args:
        model: The model.
        change: Given a path and a weight, the new weight, or None to leave it out. Layers that hold nothing any more go too.
    """
    new = {id(weight): change(path, weight) for path, weight in model.weights()}
    own = tuple(changed for weight in model.own_weights if (changed := new[id(weight)]) is not None)

    def changed_layer(layer: Layer, made: tuple[Layer | None, ...]) -> Layer | None:
        weights = tuple(changed for weight in layer.weights if (changed := new[id(weight)]) is not None)
        below = tuple(kept for kept in made if kept is not None)
        emptied = (layer.weights or layer.layers) and not weights and not below
        return None if emptied else replace(layer, weights=weights, layers=below)

    made = make_from_below(model.layers, attrgetter("layers"), changed_layer)
    layers = tuple(kept for kept in made if kept is not None)
    return replace(model, layers=layers, own_weights=own, optimizer=_optimizer(model.optimizer, new), inventory=None)


def _optimizer(optimizer: Optimizer | None, new: Mapping[int, Weight | None]) -> Optimizer | None:
    if optimizer is None:
        return None
    slots = [(slot, new.get(id(slot.weight))) for slot in optimizer.slots]
    return replace(optimizer, slots=tuple(Slot(slot.name, weight, slot.tensor, slot.key) for slot, weight in slots if weight is not None))


def select(model: Model, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Model:
    """A model of the weights alone whose paths match; what is not a model any more loses its architecture.

    Raises:
        KmtError: A pattern is none or matches nothing, or nothing is left.
    """
    check_patterns((*include, *exclude), [path for path, _ in model.weights()])
    wanted = selector(include, exclude)
    chosen = replace_weights(model, lambda path, weight: weight if wanted(path) else None)
    if not any(True for _ in chosen.weights()):
        raise ConversionError("no weight is left by --select and --drop", cure="see the paths with: kmt inspect")
    # The inventory stays for the order of the source.
    return replace(chosen, architecture=None, training_config=None, optimizer=None, assets=(), extras=(), inventory=model.inventory)


def cast(model: Model, dtype: DType) -> Model:
    """A model whose floating-point weights are rounded to another precision; integers stay, and so does the optimizer's state."""
    rounded = replace_weights(model, lambda _, weight: replace(weight, tensor=cast_tensor(weight.tensor, dtype)))
    return replace(rounded, inventory=model.inventory)  # for the order of the source; its values are not taken from there


def take_averages(model: Model) -> tuple[Model, int]:
    """A model whose weights have the values of their moving averages, where they have one, and how many do.

    Averages are an optimizer's slots: of `ExponentialMovingAverage` in TensorFlow 1, of `use_ema` in Keras 3.

    Raises:
        ConversionError: No weight has an average, or one has several.
    """
    slots = [slot for slot in (model.optimizer.slots if model.optimizer else ()) if slot.name == AVERAGE]
    if not slots:
        raise ConversionError("the model holds no moving averages")
    if len({id(slot.weight) for slot in slots}) < len(slots):
        keys = [slot.key for slot in slots if sum(other.weight is slot.weight for other in slots) > 1]
        raise ConversionError(f"a weight has several moving averages: {listed(keys)}", cure="there is no way yet to choose one")
    by_weight = {id(slot.weight): slot for slot in slots}

    def averaged(_: Path, weight: Weight) -> Weight:
        slot = by_weight.get(id(weight))
        return weight if slot is None else replace(weight, tensor=slot.tensor, key=slot.key)

    taken = replace_weights(model, averaged)
    assert taken.optimizer is not None
    left = tuple(slot for slot in taken.optimizer.slots if slot.name != AVERAGE)
    return replace(taken, optimizer=replace(taken.optimizer, slots=left)), len(slots)


def graft(source: Model, onto: Model, by: str = "auto") -> tuple[Model, str, tuple[str, ...]]:
    """The weights of one model in the tree, layout and architecture of another.

    Args:
        source: Where the values come from.
        onto: Where everything else comes from; all of its weights must be found in `source`, with their shapes.
        by: How to pair the weights, as `matcher.match` has it.

    Returns:
        The model, how the weights were paired, and the paths of weights that a checkpoint has beside its model.

    Raises:
        ConversionError: The weights do not pair one to one.
    """
    source, beside = _model_in(source, onto)
    pairing = match(source, onto, by)
    unordered = next((model for model in (source, onto) if not sub_layers_are_ordered(model)), None)
    if (
        any(pair.how in (ORDER, POSITION) for pair in pairing.pairs)
        and unordered is not None
        and not (source.format == onto.format == "keras-h5")
    ):
        raise ConversionError(
            f"the weights cannot be paired by names ({pairing.why}), and a legacy file of weights does not tell the order of nested layers",
            cure="give a whole model as --like, or a map of names: --map",
        )
    if pairing.only_a or pairing.only_b:
        lacks = [f"{join_path(item.path)} is not in the source" for item in pairing.only_b]
        lacks += [f"{join_path(item.path)} has no place" for item in pairing.only_a]
        raise ConversionError(f"the two models do not have the same weights: {listed(lacks)}", tuple(lacks))
    differing = [
        f"{join_path(pair.path_b)} is {pair.b.tensor.shape}, and {pair.a.tensor.shape} in the source"
        for pair in pairing.pairs
        if pair.a.tensor.shape != pair.b.tensor.shape
    ]
    if differing:
        raise ConversionError(f"shapes differ: {listed(differing)}", tuple(differing))
    new = {id(pair.b): replace(pair.b, tensor=pair.a.tensor) for pair in pairing.pairs}
    grafted = replace_weights(onto, lambda _, weight: new[id(weight)])
    optimizer = _optimizer(source.optimizer, {id(pair.a): new[id(pair.b)] for pair in pairing.pairs})
    # The inventory of the other file stays for the order that it has; its values are not taken from there.
    grafted = replace(grafted, optimizer=optimizer, extras=(), inventory=onto.inventory)
    return grafted, f"by {pairing.by}: {pairing.why}", beside


def _model_in(source: Model, onto: Model) -> tuple[Model, tuple[str, ...]]:
    """What a checkpoint holds as `model`, where it holds other things beside it, and the paths of those."""
    held = next((layer for layer in source.layers if layer.attr == MODEL), None)
    if held is None or any(layer.components[0] == MODEL for layer in onto.layers):
        return source, ()
    inner = replace(source, layers=held.layers, own_weights=held.weights)
    kept = {id(weight) for _, weight in inner.weights()}
    left = [join_path(path) for path, weight in source.weights() if id(weight) not in kept]
    return inner, tuple(left)


def listed(items: Sequence[str]) -> str:
    """The first of some, and how many there are besides."""
    return "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")
