"""Through a Functional model of Keras 3 call by call: what its operations become among the layers of Keras 2.

Each call is looked at when everything that it takes has been. Shapes and dtypes are those that the file states beside each
tensor, and else what the layers before it make of theirs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmodel_tools.architecture.downgrade.operations import (
    activations,
    elementwise,
    images,
    indexing,
    joining,
    neural,
    products,
    reductions,
    scattering,
    shaping,
    windows,
)
from kmodel_tools.architecture.downgrade.operations.building import MAX_LAYERS, Builder, Ref, Sizes, Tensor
from kmodel_tools.architecture.downgrade.operations.calls import HANDLERS, Call
from kmodel_tools.architecture.downgrade.operations.dtypes import KNOWN
from kmodel_tools.architecture.envelope import class_of, settings_of
from kmodel_tools.architecture.topology import TENSOR, is_operation, tensors_of
from kmodel_tools.architecture.upgrade.draft import Json, UpgradeError
from kmodel_tools.architecture.upgrade.graph import calls_in_order, free_name
from kmodel_tools.architecture.upgrade.objects import LISTS
from kmodel_tools.architecture.upgrade.operations.layer_shapes import Spec, results_of
from kmodel_tools.architecture.upgrade.operations.values import Tensor as Known

THEMES = (activations, elementwise, images, indexing, joining, neural, products, reductions, scattering, shaping, windows)
"""Where operations are said; to import them is to know them."""


@dataclass(slots=True)
class Carrying:
    """The operations of a graph on their way.

    Attributes:
        names: New names of layers by the old ones.
        counted: Says a tensor of a layer as Keras 2 counts calls.
        taken: Names of layers.
        replaced: What each output of an operation has become.
        entries: The layers that take the place of each operation, by its old name.
        known: Shape and dtype of each tensor that is known of, by where it comes from in Keras 3.
    """

    names: Mapping[str, str]
    counted: Callable[[Sequence[Any]], Sequence[Any]]
    taken: set[str]
    replaced: dict[Ref, Tensor] = field(default_factory=dict)
    entries: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    known: dict[Ref, tuple[Sizes | None, str | None]] = field(default_factory=dict)

    def run(self, layers: Sequence[Json]) -> None:
        """Look at every call of a graph.

        Raises:
            UpgradeError: An operation has no equivalent.
        """
        if not any(map(is_operation, layers)):
            return
        for layer in layers:
            if class_of(layer) == "InputLayer":
                self._note_input(layer)
        count = 0
        for layer, index, node in calls_in_order(layers):
            if is_operation(layer):
                self._operation(layer, index, node)
                count += len(self.entries[str(layer["name"])])
                if count > MAX_LAYERS:
                    raise UpgradeError(f"operations that become more than {MAX_LAYERS} layers")
            else:
                self._note_layer(layer, index, node)
        for layer in layers:
            if is_operation(layer) and str(layer["name"]) not in self.entries:
                raise UpgradeError(f"the operation {layer['name']} is called on itself, or on what the model does not have")

    # What is known of tensors.

    def _note_input(self, layer: Json) -> None:
        settings = settings_of(layer)
        shape, dtype = settings.get("batch_shape"), settings.get("dtype")
        sizes = _sizes(shape) if isinstance(shape, list) else None
        self.known[str(layer["name"]), 0, 0] = (sizes, dtype if isinstance(dtype, str) else None)

    def _note_layer(self, layer: Json, index: int, node: Json) -> None:
        given = [_as_spec(item["config"]["keras_history"], *self._spec(item["config"])) for item in tensors_of(node["args"])]
        try:
            results = results_of(layer, given)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return  # the layer itself says what is wrong with it
        for output, (shape, dtype) in enumerate(results):
            self.known[str(layer["name"]), index, output] = (None if shape is None else _sizes(list(shape)), dtype)

    def _spec(self, config: Json) -> tuple[Sizes | None, str | None]:
        """Shape and dtype of a tensor: what the file says, unless it says that they are looked at by nobody.

        The dtype of an operation is what it becomes here: Keras says integers of some that give floating point numbers.
        """
        name, call, output = config["keras_history"]
        shape, dtype = config.get("shape"), config.get("dtype")
        made = self.replaced.get((name, call, output))
        if isinstance(shape, list) and shape != [None]:
            return _sizes(shape), dtype if made is None else made.dtype
        if made is not None:
            return made.shape, made.dtype
        sizes, found = self.known.get((name, call, output), (None, None))
        return sizes, found or dtype

    # One call.

    def _operation(self, layer: Json, index: int, node: Json) -> None:
        old, kind = str(layer["name"]), str(layer["class_name"])
        name = self.names[old] if index == 0 else free_name(f"{self.names[old]}_{index}", self.taken)
        b = Builder(name, f"the layer {old} ({kind}) is an operation of Keras 3", self.taken)
        settings = {key: self._value(value) for key, value in settings_of(layer).items() if key != "name"}
        handler = HANDLERS.get(kind)
        if handler is None:
            raise b.refuse("no operation of TensorFlow does that Keras 2 has as a layer")
        try:
            call = Call(kind, settings, [self._value(item) for item in node["args"]], self._named(node["kwargs"]), b)
            results = b.finish(handler(call))
        except UpgradeError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise b.refuse(f"is called in a way that is not understood ({type(error).__name__}: {error})") from error
        self.entries[old] += b.made
        for output, result in enumerate(results):
            self.replaced[old, index, output] = result

    def _named(self, kwargs: Json) -> Json:
        return {key: self._value(value) for key, value in kwargs.items()}

    def _value(self, value: Any) -> Any:
        """An argument: tensors, arrays, slices; lists and what else JSON has as they are."""
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        kind, inner = value.get("class_name"), value.get("config")
        if kind == TENSOR and isinstance(inner, Mapping):
            return self._tensor(dict(inner))
        if kind in ("__numpy__", "__tensor__") and isinstance(inner, Mapping):
            return _array(inner)
        if kind == "__slice__" and isinstance(inner, Mapping):
            return slice(*(self._value(inner.get(end)) for end in ("start", "stop", "step")))
        if kind == "__ellipsis__":
            return Ellipsis
        if kind in LISTS and isinstance(value.get("items"), list):
            return [self._value(item) for item in value["items"]]
        return dict(value)

    def _tensor(self, config: Json) -> Tensor:
        shape, dtype = self._spec(config)
        name, call, output = config["keras_history"]
        made = self.replaced.get((name, call, output))
        if dtype not in KNOWN:
            raise UpgradeError(f"an operation is called on the output of {name}, whose dtype {dtype} is none of numbers")
        if made is not None:
            return Tensor(made.ref, dtype, shape)
        layer, number, place = self.counted([name, call, output])
        return Tensor((layer, number, place), dtype, shape)


def _sizes(shape: Sequence[Any]) -> Sizes:
    return tuple(size if isinstance(size, int) else None for size in shape)


def _as_spec(history: Sequence[Any], shape: Sizes | None, dtype: str | None) -> Spec:
    """A tensor as the rules for shapes take it, in which sizes that are not known have names."""
    found = Known(tuple(history), None, dtype)
    return (None if shape is None else found.with_symbols(shape).shape), dtype


def _array(config: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    dtype = str(config.get("dtype"))
    if dtype not in KNOWN or dtype == "bfloat16":
        raise UpgradeError(f"an operation is called on a constant of the dtype {dtype}, which is not carried back")
    return np.array(config.get("value"), dtype)
