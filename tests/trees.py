"""Trees for tests: what a tree holds, and a zoo of small named ones made in memory."""

from __future__ import annotations

from collections.abc import Iterator

from kmodel_tools import Model


def keys_of_the_file(model: Model) -> list[str]:
    """The key of every array that a tree has to hold: all but the graph of a checkpoint, and the second copies in an export."""
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    again = "_all_variables/" if any("second time" in note.text for note in model.notes) else graph
    return sorted(key for key, _ in model.tensors() if key != graph and not key.startswith(again))


def keys_in_tree(model: Model) -> Iterator[str]:
    """The key of every array that a tree holds anywhere."""
    for _, weight in model.weights():
        yield weight.key
    for extra in model.extras:
        yield extra.key
    if model.optimizer is not None:
        for items in (model.optimizer.slots, model.optimizer.counters, model.optimizer.extras):
            yield from (item.key for item in items)
