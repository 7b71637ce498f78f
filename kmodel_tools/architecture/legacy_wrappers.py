"""Where the weights of a legacy file belong of a wrapper around somebody's own layer, or of somebody's own wrapper.

::

    TimeDistributed(Mine())       time_distributed/scale              all below the layer that it wraps
    Mine(Dense(4))                mine/gain  mine/kernel  mine/bias   its own first, then those of the layer, in both halves of the list

The list has the weights that are trained before those that are not; how many of the wrapper's own there are of each is
told by the names of the wrapped layer's, if there is one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.legacy_weights import (
    Place,
    Placement,
    Step,
    agrees,
    by_names,
    distinct,
    is_fully_known,
    place_weights,
    slots_of,
)
from kmodel_tools.architecture.spec import LayerSpec


def place_all_weights(layer: str, names: Sequence[str], spec: LayerSpec | None, era: Era) -> Placement:
    """As `place_weights`, with what is told of wrappers by what they wrap."""
    if spec is not None and len(spec.children) == 1 and era not in (Era.KERAS_0, Era.KERAS_1):
        (child,) = spec.children
        found = None
        if spec.variables == () and child.variables is None and not child.is_model and not child.children:
            found = _wrapped(layer, names, child, era)
        elif spec.variables is None and not spec.is_model and is_fully_known(child):
            found = _own_and_wrapped(layer, names, spec, child, era)
        if found is not None:
            return Placement(distinct(found), "names")
    return place_weights(layer, names, spec, era)


def _wrapped(layer: str, names: Sequence[str], child: LayerSpec, era: Era) -> list[Place]:
    """All weights as those of somebody's own layer inside of a wrapper that has none."""
    step = Step(child.attr or child.name, child.attr is not None, child.class_name, child.name)
    found = []
    for place in by_names(layer, names, child, era):
        steps = place.steps
        if steps and steps[0].component in (child.name, child.legacy_name):
            steps = steps[1:]
        found.append(replace(place, steps=(step, *steps)))
    return found


def _own_and_wrapped(layer: str, names: Sequence[str], spec: LayerSpec, child: LayerSpec, era: Era) -> list[Place] | None:
    """The weights of the layer that somebody's own wrapper holds, and its own; None where there is no one answer."""
    slots = [*slots_of(child, (child,))]
    slots.sort(key=lambda slot: not slot.trainable)
    trained = sum(slot.trainable for slot in slots)
    own = len(names) - len(slots)
    answers = []
    for first in range(own + 1):
        at = [*range(first, first + trained), *range(len(names) - len(slots) + trained, len(names))]
        if all(agrees(slot, names[index], era) for slot, index in zip(slots, at, strict=True)):
            answers.append(at)
    if len(answers) != 1 or not slots:
        return None
    places: dict[int, Place] = {index: slot.place for index, slot in zip(answers[0], slots, strict=True)}
    others = [index for index in range(len(names)) if index not in places]
    places |= dict(zip(others, by_names(layer, [names[index] for index in others], spec, era), strict=True))
    return [places[index] for index in range(len(names))]
