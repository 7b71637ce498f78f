"""A model without its last layers, as a configuration.

Of a Sequential these stand at the end of its list. Of a graph they are layers that no other one takes anything from; in
the place of their outputs come the tensors that they were called on, if nothing else takes these. An input that only they
took is an input no more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.editing.names import COMPILED, METRICS, OF_OUTPUTS, is_by_output
from kmodel_tools.architecture.editing.places import name_of
from kmodel_tools.architecture.envelope import Config, ConfigError, Era, class_of, copied, is_model, layer_configs, settings_of
from kmodel_tools.architecture.topology import Call, CallGraph, references

Json = dict[str, Any]
Tensor = tuple[Call, int]
"""One of the outputs of a call."""
NOTHING = "nothing of the model would be left"


class CutError(ValueError):
    """Why layers are not the last ones of a model, or what is left would be none; the text ends a sentence."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A model without its last layers.

    Attributes:
        architecture: The configuration.
        dropped: The names of the layers that are gone, inputs that nothing takes any more among them.
        kept_outputs: For each output that the model had, whether it still is one.
        new_outputs: The layers whose tensors are outputs, and were none.
    """

    architecture: Config
    dropped: frozenset[str]
    kept_outputs: tuple[bool, ...]
    new_outputs: tuple[str, ...]


def without_layers(architecture: Config, era: Era, names: Collection[str]) -> Cut:
    """A configuration without some of the outermost layers.

    Raises:
        CutError: Other layers take what these make, or nothing would be left.
        ConfigError: It is no configuration of a model, or its graph cannot be followed.
    """
    found = copied(architecture)
    found.pop(COMPILED, None)  # for other outputs; what is left of it is for the caller to say
    settings = settings_of(found)
    if not is_model(class_of(found), settings) or class_of(found) == "Graph":
        raise CutError(f"a {class_of(found)} is neither a graph nor a list of layers")
    if "input_layers" not in settings:
        return _shortened(found, set(names))
    try:
        return _pruned(found, era, set(names))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"the graph of layers cannot be followed ({error})") from error


def _shortened(model: Json, names: set[str]) -> Cut:
    """A list of layers without its end."""
    layers = layer_configs(model)
    own = [name_of(layer) for layer in layers]
    kept = [layer for layer in layers if name_of(layer) not in names]
    after = next((name for name in own[len(kept) :] if name not in names), None)
    if after is not None:
        raise CutError(f"{after} stands behind them")
    if all(class_of(layer) == "InputLayer" for layer in kept):
        raise CutError(NOTHING)
    if isinstance(model["config"], list):
        model["config"] = kept
    else:
        model["config"]["layers"] = kept
    return Cut(model, frozenset(names), (False,), (name_of(kept[-1]),))


def _pruned(model: Json, era: Era, names: set[str]) -> Cut:
    """A graph without some of the layers that nothing follows."""
    settings = model["config"]
    layers = layer_configs(model)
    pruning = _Pruning(CallGraph(layers, era), [name_of(layer) for layer in layers], names)
    pruning.look(layers)
    outputs, kept, new = pruning.outputs(settings["output_layers"])
    used = {call[0] for call, _ in pruning.taken} | {pruning.graph.numbers[item[0]] for item in references(outputs)}
    idle = {name_of(layer) for index, layer in enumerate(layers) if class_of(layer) == "InputLayer" and index not in used}
    idle -= pruning.idle
    gone = names | idle
    if not references(outputs) or all(class_of(layer) == "InputLayer" for layer in layers if name_of(layer) not in gone):
        raise CutError(NOTHING)
    if any(name in gone for name, *_ in references(settings["input_layers"])):
        settings["input_layers"] = _without_inputs(settings["input_layers"], gone)
    settings["output_layers"] = outputs
    settings["layers"] = [layer for layer in layers if name_of(layer) not in gone]
    return Cut(model, frozenset(gone), tuple(kept), tuple(new))


class _Pruning:
    """The calls of a graph from which layers are taken away.

    Attributes:
        graph: The calls.
        own: The names of the layers, in the order of the file.
        names: Those of the layers that go.
        taken: The tensors that layers take which stay.
        idle: Inputs that nothing took before.
    """

    def __init__(self, graph: CallGraph, own: Sequence[str], names: Collection[str]) -> None:
        self.graph, self.own, self.names = graph, own, names
        self.taken: set[Tensor] = set()
        self.idle: set[str] = set()

    def look(self, layers: Sequence[Config]) -> None:
        """Note what is taken by layers that stay.

        Raises:
            CutError: One of them takes what a layer makes that goes.
        """
        before: set[int] = set()
        for number, name in enumerate(self.own):
            for call in range(len(self.graph.calls[number])):
                for reference in self.graph.taken((number, call)):
                    before.add(self.graph.numbers[reference[0]])
                    if name not in self.names:
                        if reference[0] in self.names:
                            raise CutError(f"{name} takes what {reference[0]} makes")
                        self.taken.add(self._tensor(reference))
        self.idle = {
            self.own[index] for index, layer in enumerate(layers) if class_of(layer) == "InputLayer" and index not in before
        } - set(self.names)

    def outputs(self, ends: Any) -> tuple[Any, list[bool], list[str]]:
        """What a model's `output_layers` become; for each that was, whether it is kept; and the layers of new ones."""
        single = len(references(ends)) == 1 and not isinstance(ends, Mapping) and isinstance(ends[0], str)
        listed = [ends] if single else ends
        flat = list(listed.values()) if isinstance(listed, Mapping) else listed
        if not all(len(references(item)) == 1 and isinstance(item[0], str) for item in flat):
            raise CutError("its outputs are not simply a list or a dictionary")
        kept = [item[0] not in self.names for item in flat]
        known = {self._tensor(item, is_end=True) for item, stays in zip(flat, kept, strict=True) if stays}
        made: list[list[list[Any]]] = []
        for item, stays in zip(flat, kept, strict=True):
            made.append([item] if stays else self._in_place_of(item, known))
        new = list(dict.fromkeys(item[0] for items, stays in zip(made, kept, strict=True) for item in items if not stays))
        if isinstance(listed, Mapping):
            if any(len(items) > 1 for items in made):
                raise CutError("an output of a dictionary would become several")
            return {key: items[0] for key, items in zip(listed, made, strict=True) if items}, kept, new
        found = [item for items in made for item in items]
        return (found[0] if single and len(found) == 1 else found), kept, new

    def _in_place_of(self, end: Sequence[Any], known: set[Tensor]) -> list[list[Any]]:
        """What comes in the place of an output that goes: the tensors behind it that nothing takes any more."""
        found = []
        stack = [self.graph.call(end, is_output=True)]
        seen = set(stack)
        while stack:
            for reference in reversed(self.graph.taken(stack.pop())):
                call = self.graph.call(reference)
                if reference[0] in self.names:
                    stack += [] if call in seen else [call]
                    seen.add(call)
                    continue
                tensor = self._tensor(reference)
                if tensor not in known and tensor not in self.taken and self.graph.calls[call[0]]:
                    known.add(tensor)
                    found.append(self.graph.as_end(reference))
        return found[::-1]

    def _tensor(self, reference: Sequence[Any], is_end: bool = False) -> Tensor:
        return self.graph.call(reference, is_end), reference[2]


def _without_inputs(ends: Any, gone: Collection[str]) -> Any:
    """A model's `input_layers` without some."""
    if isinstance(ends, Mapping):
        return {key: item for key, item in ends.items() if item[0] not in gone}
    if not ends or not all(isinstance(item, list) for item in ends):
        raise CutError("an input of it would go, and the others are not simply a list")
    return [item for item in ends if item[0] not in gone]


# What was compiled.


def training_of_outputs(training: Config, kept: Sequence[bool], names: Sequence[str], era: Era) -> Config:
    """A training configuration without what concerns outputs that are gone.

    Args:
        training: The configuration.
        kept: For each output that there was, whether it is kept; one of them is.
        names: What each of them goes by: the keys of a dictionary, else the names of layers.
        era: The generation; in Keras 3 a list of metrics is one for each output, in Keras 2 all of it is for every one.
    """
    found = dict(training)
    for key in OF_OUTPUTS:
        value = found.get(key)
        gone = {name for name, stays in zip(names, kept, strict=True) if not stays}
        if isinstance(value, Mapping) and is_by_output(value):
            found[key] = {name: item for name, item in value.items() if name not in gone}
        elif isinstance(value, list) and len(value) == len(kept) and _is_listed_by_output(key, value, era):
            left = [item for item, stays in zip(value, kept, strict=True) if stays]
            bare = len(left) == 1 and (key not in METRICS or left[0] is None or isinstance(left[0], list))
            found[key] = left[0] if bare else left
    return found


def _is_listed_by_output(key: str, value: Sequence[Any], era: Era) -> bool:
    return key not in METRICS or era is Era.KERAS_3 or all(item is None or isinstance(item, list) for item in value)


def optimizer_alone(training: Config, era: Era) -> Config | None:
    """A training configuration without losses and metrics; None where a model is not compiled without a loss.

    Keras up to 2.3 has: `The model cannot be compiled because it has no loss to optimize` (2.3.1 `engine/training.py`).
    """
    if era not in (Era.TF_KERAS, Era.KERAS_3) or not (training.get("optimizer") or training.get("optimizer_config")):
        return None
    return {key: None if key in OF_OUTPUTS else value for key, value in training.items()}
