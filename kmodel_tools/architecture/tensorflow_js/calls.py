"""How TensorFlow.js rebuilds a graph of layers, and the calls that it would make otherwise.

It makes the calls of all layers in turns, in the order of the configuration. A call whose inputs are not there yet waits for the next
turn, and the layer's later calls get its number: what refers to them gets another tensor. Source: TensorFlow.js 4.22
`tfjs-layers/src/engine/container.ts`, `fromConfig`. Of the arguments of a call, its layers take states to begin with alone, as inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.envelope import Config, class_of, is_model, layer_configs, settings_of
from kmodel_tools.architecture.tensorflow_js.values import stacked_cells
from kmodel_tools.architecture.topology import references


def of_calls(model: Config) -> Iterator[str]:
    """What of a model's calls TensorFlow.js makes otherwise, or cannot make; a sentence for each."""
    entries, settings = layer_configs(model), settings_of(model)
    name = f"model {settings.get('name', '')}"
    if class_of(model) == "Sequential":
        if not _says_its_input(model):
            yield f"{name} (Sequential): its first layer does not say what it takes"
        return
    if any(isinstance(settings.get(key), Mapping) for key in ("input_layers", "output_layers")):
        yield f"{name}: it takes and gives lists, and no dictionaries"
    for entry in entries:
        layer = f"layer {_name(entry)} ({class_of(entry)})"
        calls = entry.get("inbound_nodes")
        for call in calls if isinstance(calls, list) else []:
            taken = references(call)
            given = sorted(
                {
                    str(key)
                    for item in taken
                    if len(item) > 3 and isinstance(item[3], Mapping)
                    for key, value in item[3].items()
                    if value is not None and not (key == "training" and value is False)
                }
            )
            if given:
                yield f"{layer}: it does not know the arguments of a call, and here are {', '.join(given)}"[:200]
            if len(taken) > 1 and class_of(entry) == "RNN" and len(stacked_cells(settings_of(entry))) > 1:
                yield f"{layer}: it takes the states of several cells in the opposite order"
    for late in _out_of_order(entries):
        yield f"layer {late}: it would count the calls of this shared layer in another order"


def _name(entry: Config) -> str:
    return str(entry.get("name") or settings_of(entry).get("name"))


def _says_its_input(model: Config) -> bool:
    """Whether the first layer of a Sequential has a shape; the first of its first, where that is a Sequential again."""
    while class_of(model) == "Sequential":
        entries = layer_configs(model)
        if not entries:
            return False
        model = entries[0]
        if settings_of(model).get("batch_input_shape"):
            return True
    return class_of(model) == "InputLayer" or is_model(class_of(model), settings_of(model))


def _out_of_order(entries: Sequence[Config]) -> list[str]:
    """The layers whose calls get other numbers than they have."""
    waiting = {_name(entry): list(enumerate(_calls(entry))) for entry in entries}
    if all(len(calls) < 2 for calls in waiting.values()):
        return []
    made = {_name(entry): int(class_of(entry) == "InputLayer" or is_model(class_of(entry), settings_of(entry))) for entry in entries}
    start = dict(made)
    wrong: dict[str, None] = {}
    progress = True
    while progress:
        progress = False
        for name, calls in waiting.items():
            left = []
            for number, call in calls:
                if any(made.get(str(item[0]), 0) <= item[1] for item in call):
                    left.append((number, call))
                    continue
                if made[name] != start[name] + number:
                    wrong[name] = None
                made[name] += 1
                progress = True
            waiting[name] = left
    return [*wrong]


def _calls(entry: Config) -> list[list[Sequence[Any]]]:
    calls = entry.get("inbound_nodes")
    return [found for call in calls if (found := references(call))] if isinstance(calls, list) else []
