"""A checkpoint of objects whose graph cannot be read: what its keys alone tell.

::

    model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE                        a weight, or an optimizer's or metric's array
    model/…/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE               a slot of it
    optimizer/iter  optimizer/_iterations  save_counter  keras_api/metrics/0/total      no weights
    …/.ATTRIBUTES/OBJECT_CONFIG_JSON  …/.ATTRIBUTES/table-keys                          no variables

Keras 3 stores trained weights under the first object that TensorFlow came across, often the optimizer's list: the graph alone
says to which layer `optimizer/_trainable_variables/0` belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kmodel_tools.formats._shared.tensorflow.objects import ATTRIBUTE, SAVE_COUNTER, last_name
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.storage.object_graph import KEY
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Note, Weight, make_from_below

SLOT = "/.OPTIMIZER_SLOT/"
_STEPS = ("iter", "_iterations")
_NO_WEIGHTS = ("optimizer", "keras_api", SAVE_COUNTER)
_TRAINED = "/_trainable_variables/"


def read_keys(tensors: Mapping[str, Tensor]) -> Model:
    """Arrange variables by their keys; what is no weight, and what may be none, is an extra.

    Args:
        tensors: Every array by its key.
    """
    beside = _beside(tensors)
    keys = {
        name: key
        for key in tensors
        if key.endswith(ATTRIBUTE) and SLOT not in key
        for name in (key.removesuffix(ATTRIBUTE),)
        if not any(name == path or name.startswith(f"{path}/") for path in beside)
    }
    model = read_variables({name: tensors[key] for name, key in keys.items()})
    layers = make_from_below(model.layers, lambda layer: layer.layers, lambda layer, below: _keyed(layer, below, keys))
    own = tuple(replace(weight, key=keys[weight.key]) for weight in model.own_weights)
    shown = {weight.key for _, weight in Model(layers=layers, own_weights=own).weights()}
    extras = tuple(Weight(last_name(key), tensor, key) for key, tensor in tensors.items() if key not in shown)
    notes = [Note("inferred", "layers are the objects in the keys; which arrays are weights is told by the keys alone")]
    trained = sum(_TRAINED in key for key in tensors if key not in shown)
    if trained:
        notes.append(Note("odd", f"{trained} extras are weights, and only the graph tells of which layers (see _trainable_variables)"))
    return Model(layers=layers, own_weights=own, extras=extras, notes=tuple(notes))


def _beside(keys: Iterable[str]) -> set[str]:
    """The paths of what is beside the model: optimizers by their step counters and slots, metrics, the save counter."""
    found = set(_NO_WEIGHTS) | {KEY}
    for key in keys:
        name = key.removesuffix(ATTRIBUTE)
        owner, _, last = name.rpartition("/")
        if SLOT in name:
            found.add(name.partition(SLOT)[2].rpartition("/")[0])
        elif owner and last in _STEPS:
            found.add(owner)
    return found - {""}


def _keyed(layer: Layer, below: tuple[Layer, ...], keys: Mapping[str, str]) -> Layer:
    return replace(layer, weights=tuple(replace(weight, key=keys[weight.key]) for weight in layer.weights), layers=below)
