"""From several models to one: disjoint layers side by side, or the mean of the weights of one model at several times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from kmodel_tools.architecture.normal import is_too_deep, normal
from kmodel_tools.derived import mean
from kmodel_tools.editor import listed, replace_weights
from kmodel_tools.elements import chunks
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path
from kmodel_tools.upgrader.generation import GENERATIONS, generation

LEGACY = "keras-h5"
_COUNT = re.compile(r"_[0-9]+$")
BLOCK = 1 << 20
"""Bytes that are compared at a time."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A model made of several.

    Attributes:
        model: The model.
        said: What it is made of, and what to know of that, a sentence each.
        left_out: What those that it is made of have and it does not.
    """

    model: Model
    said: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def merged(models: Mapping[str, Model]) -> Joined:
    """The layers of several models side by side, as weights alone.

    Args:
        models: At least two models, by what messages call them.

    Raises:
        ConversionError: A layer or a weight of one name has weights in several of them (`losses` lists them), one has no names
            of layers, or they are of several generations.
        KmtError: There are fewer than two.
    """
    _check_alike(models)
    nameless = [name for name, model in models.items() if model.metadata.get("names") == "groups"]
    if nameless:
        raise ConversionError(
            f"{nameless[0]} holds no names of layers: `dense_1` is only the second Dense in it, whatever that was called",
            cure="name its layers first: kmt convert --map FILE",
        )
    holders: dict[Path, list[str]] = {}
    layers: dict[Path, Layer] = {}
    for name, model in models.items():
        for weight in model.own_weights:
            holders.setdefault((weight.role,), []).append(name)
        for layer in dict.fromkeys(model.layers):
            if _holds(layer):
                holders.setdefault(layer.components, []).append(name)
                layers[layer.components] = layer
            else:
                layers.setdefault(layer.components, layer)
    clashes = tuple(f"{join_path(path)} is in {' and '.join(names)}" for path, names in holders.items() if len(names) > 1)
    if clashes:
        raise ConversionError(
            f"several models have weights of one name: {listed(clashes)}",
            clashes,
            cure="give them names apart: kmt convert --rename OLD=NEW",
        )
    several = list(models.values())
    of_legacy = all(model.format == LEGACY and model.inventory is not None for model in several)
    found = Model(
        format=LEGACY if of_legacy else "",
        layers=tuple(layers.values()),
        own_weights=tuple(weight for model in several for weight in model.own_weights),
        metadata=_common(several),
        inventory=tuple(entry for model in several for entry in model.inventory or ()) if of_legacy else None,
    )
    said = tuple(f"{sum(1 for _ in model.weights())} weights of {name}" for name, model in models.items())
    return Joined(found, said, _beside_weights(several))


def averaged(models: Mapping[str, Model]) -> Joined:
    """One model whose weights are the means of those of several, which are that model at several times.

    Floats are added up in double precision and rounded once; other weights must be equal. Everything but the weights is the
    first one's; the optimizer's state, of which there is no mean, is left out.

    Args:
        models: At least two models, by what messages call them.

    Raises:
        ConversionError: They do not have the same weights, of the same shapes and precisions (`losses` lists what differs), or those
            of other kinds differ; or they are of several generations, or have other files of layers.
        KmtError: There are fewer than two.
    """
    _check_alike(models)
    (first_name, first), *others = models.items()
    own = dict(first.weights())
    paths: list[dict[Path, Weight]] = [own]
    said = []
    for name, model in others:
        theirs = dict(model.weights())
        paths.append(theirs)
        _check_same(first_name, own, name, theirs)
        if _other_architecture(first, model):
            said.append(f"{name} is configured otherwise than {first_name}, whose architecture it is: see kmt diff")
        if [(asset.name, asset.data.read()) for asset in model.assets] != [(asset.name, asset.data.read()) for asset in first.assets]:
            raise ConversionError(f"{name} has other files of layers than {first_name}")
    tensors = {path: [weights[path].tensor for weights in paths] for path in own}
    unequal = tuple(
        f"{join_path(path)} ({own[path].tensor.dtype.value})"
        for path, items in tensors.items()
        if not items[0].dtype.is_float and not all(_equal(items[0], item) for item in items[1:])
    )
    if unequal:
        raise ConversionError(
            f"there is no mean of what is no number with fractions, and these differ: {listed(unequal)}",
            unequal,
            cure="leave them out: --drop",
        )
    floats = {path: mean(items) for path, items in tensors.items() if items[0].dtype.is_float}
    found = replace_weights(first, lambda path, weight: replace(weight, tensor=floats[path]) if path in floats else weight)
    left_out = (
        ("optimizer state: there is no mean of it, and training starts with a new one",)
        if any(model.optimizer for model in models.values())
        else ()
    )
    said.insert(0, f"the mean of {len(models)} models in {len(floats)} of {len(own)} weights; all else is that of {first_name}")
    return Joined(replace(found, optimizer=None, inventory=first.inventory), tuple(said), left_out)


def _check_alike(models: Mapping[str, Model]) -> None:
    """Make sure that there are several models, and that their arrays mean the same.

    Raises:
        KmtError: There are fewer than two.
        ConversionError: They are of several generations.
    """
    if len(models) < 2:
        raise KmtError("it takes two models at least")
    eras = {name: GENERATIONS[era] for name, model in models.items() if (era := generation(model)) is not None}
    if len(set(eras.values())) > 1:
        told = ", ".join(f"{name} of {era}" for name, era in eras.items())
        raise ConversionError(
            f"the models are of several generations, which keep other arrays: {told}",
            cure="carry them to one first: kmt convert --target keras3",
        )


def _check_same(first: str, own: Mapping[Path, Weight], name: str, theirs: Mapping[Path, Weight]) -> None:
    """Make sure that two models have weights of the same paths and kinds.

    Raises:
        ConversionError: They do not; `losses` lists how.
    """
    differing = [f"{join_path(path)} is not in {name}" for path in own if path not in theirs]
    differing += [f"{join_path(path)} is not in {first}" for path in theirs if path not in own]
    for path, weight in own.items():
        kinds = [(item.tensor.dtype.value, item.tensor.shape) for item in (weight, theirs.get(path, weight))]
        if kinds[0] != kinds[1]:
            differing.append(f"{join_path(path)} is {kinds[0][0]} {kinds[0][1]} in {first} and {kinds[1][0]} {kinds[1][1]} in {name}")
    if differing:
        raise ConversionError(f"the models do not have the same weights: {listed(differing)}", tuple(differing))


def _other_architecture(a: Model, b: Model) -> bool:
    """Whether two models are configured otherwise, whatever Keras counted in their names; one without an architecture does not say."""
    if a.architecture is None or b.architecture is None or is_too_deep(a.architecture) or is_too_deep(b.architecture):
        return False
    return bool(_recounted(normal(a.architecture)) != _recounted(normal(b.architecture)))


def _recounted(architecture: Any) -> Any:
    """A configuration whose counted names are counted anew, so that it does not tell how many models a program had built before.

    Keras calls a layer `dropout_2` and a model `functional_4` for being the third and the fifth of the program. Of layers with weights,
    and of models around them, the names are in the paths of weights.
    """
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for item in _objects(architecture):
        settings = item.get("config")
        name = settings.get("name") if isinstance(settings, Mapping) else None
        if isinstance(name, str) and name not in names:
            plain = _COUNT.sub("", name)
            names[name] = f"{plain}_{counts[plain]}"
            counts[plain] += 1
    return _renamed(architecture, names)


def _objects(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping of a configuration, in the order of the file."""
    if isinstance(node, Mapping):
        yield node
    if isinstance(node, (Mapping, list)):
        for item in node.values() if isinstance(node, Mapping) else node:
            yield from _objects(item)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A configuration with other names of layers: under `name`, and where a tensor `[layer, call, output]` is meant."""
    if isinstance(node, Mapping):
        return {
            key: names.get(value, value) if key == "name" and isinstance(value, str) else _renamed(value, names)
            for key, value in node.items()
        }
    if not isinstance(node, list):
        return node
    if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int) and isinstance(node[2], int):
        return [names.get(node[0], node[0]), *(_renamed(item, names) for item in node[1:])]
    return [_renamed(item, names) for item in node]


def _equal(a: Tensor, b: Tensor) -> bool:
    return all(one == other for one, other in zip_longest(chunks(a, BLOCK), chunks(b, BLOCK)))


def _holds(layer: Layer) -> bool:
    return any(True for _ in Model(layers=(layer,)).weights())


def _common(models: Sequence[Model]) -> dict[str, str]:
    """What all models say alike of who wrote them."""
    return {key: value for key, value in models[0].metadata.items() if all(model.metadata.get(key) == value for model in models)}


def _beside_weights(models: Sequence[Model]) -> tuple[str, ...]:
    """What models have that weights side by side do not."""
    found = {
        "architecture and training configuration": any(model.architecture for model in models),
        "optimizer state": any(model.optimizer for model in models),
        "files of layers": any(model.assets for model in models),
        "arrays of no layer": any(model.extras for model in models),
    }
    return tuple(f"{what}: what is merged is weights" for what, is_there in found.items() if is_there)
