"""Whether `variables/` is of the model that `saved_model.pb` describes: its variables are announced there with shape and elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kmodel_tools.damaged import damage_of, offering_salvage
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.formats.saved_model.parts import Parts
from kmodel_tools.storage.object_graph import Node
from kmodel_tools.storage.saved_model import SavedObject
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Note


def check_variables(parts: Parts, joined: Mapping[int, int], graph: Sequence[Node], tensors: Mapping[str, Tensor]) -> None:
    """Hold the variables of the object graph against the tensors.

    Args:
        parts: The files; with `salvage`, what differs is noted and no error.
        joined: The node of the checkpoint's graph that each object is.
        graph: The checkpoint's graph.
        tensors: Every tensor by key.

    Raises:
        CorruptFileError: One has another shape, other elements, or no place in the checkpoint.
    """
    objects = parts.meta.objects if parts.meta is not None else ()
    for number, path in _paths(objects).items():
        if objects[number].variable is None:
            continue
        key = graph[joined[number]].key if number in joined else None
        tensor = tensors.get(key) if key is not None else None
        if key is None:
            there = "not there"
        elif tensor is None or damage_of(tensor) is not None or matches(objects[number], tensor):
            continue
        else:
            there = f"{tensor.shape} {tensor.dtype.value}"
        what = f"is {_made(objects[number])} in the graph, and {there} in variables/, which is of another model"
        if parts.salvage:
            parts.notes.append(Note("odd", f"{path} {what}"))
            return
        cure = "copy the folder variables/ that was saved with it"
        raise offering_salvage(CorruptFileError(f"a variable {what}", path=parts.file, where=path, cure=cure))


def _paths(objects: Sequence[SavedObject]) -> dict[int, str]:
    """The shortest path of local names to each object; slots of optimizers up to Keras 2.10 have none."""
    found = {0: ""} if objects else {}
    queue = [0] if objects else []
    for number in queue:  # grows while it is walked
        for name, child in objects[number].children:
            if child not in found:
                found[child] = f"{found[number]}/{name}" if number else name
                queue.append(child)
    return found


def _made(item: SavedObject) -> str:
    shape, dtype = item.shape, item.dtype
    return " ".join(("of any shape" if shape is None else str(shape), *([dtype.value] if dtype is not None else [])))


def matches(item: SavedObject, tensor: Tensor) -> bool:
    """Whether a tensor can be the value of a variable; sizes that the graph leaves open fit any."""
    if item.variable is None:
        return True
    if item.dtype is not None and item.dtype is not tensor.dtype:
        return False
    shape = item.shape
    return shape is None or (
        len(shape) == len(tensor.shape) and all(made in (-1, size) for made, size in zip(shape, tensor.shape, strict=True))
    )
