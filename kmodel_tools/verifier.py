"""Whether every array of a file can be read: all of them are, to their ends, and compared with their checksums where they have any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from kmodel_tools.damaged import DAMAGE, damage_of
from kmodel_tools.elements import chunks
from kmodel_tools.errors import FormatError
from kmodel_tools.storage.sliced import Sliced
from kmodel_tools.tensor import BLOCK, Source, Tensor
from kmodel_tools.tree import Model, damage_notes, damage_text, join_path


@dataclass(frozen=True, slots=True)
class Damage:
    """An array that cannot be read.

    Attributes:
        key: Its address in the file.
        path: Its path in the tree, or "" for one that is no weight.
        part: What it is: `weight`, `optimizer` or `extra`.
        problem: What is wrong, with the name of the file.
    """

    key: str
    path: str
    part: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading every array of a file has shown.

    Attributes:
        arrays: Number of arrays.
        nbytes: Bytes of those that could be read.
        checksummed: Number of arrays over which the file has a checksum, or that are not there at all; of the others, a value that
            changed does not show.
        damages: Arrays that cannot be read.
        unread: What else of the file cannot be read, one sentence each.
    """

    arrays: int
    nbytes: int
    checksummed: int
    damages: tuple[Damage, ...]
    unread: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything could be read, and every checksum was right."""
        return not self.damages and not self.unread

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return {"whole": self.whole, **asdict(self)}


def verify(model: Model) -> Verification:
    """Read every array of a model's file once, in blocks.

    Args:
        model: The model, read with `salvage`, so that arrays that cannot even be described are in it.

    Raises:
        FileChangedError: The file was changed meanwhile.
    """
    paths = {id(weight.tensor): join_path(path) for path, weight in reversed(list(model.weights()))}
    state = {id(tensor) for tensor in _state(model)}
    nbytes = checked = 0
    damages: list[Damage] = []
    arrays = list(model.inventory if model.inventory is not None else ((w.key, w.tensor) for _, w in model.weights()))
    for key, tensor in arrays:
        count, error = _read(tensor)
        nbytes += count
        checked += _in_archive(model) or damage_of(tensor) is not None or _is_checksummed(tensor.source)
        if error is not None:
            part = "weight" if id(tensor) in paths else "optimizer" if id(tensor) in state else "extra"
            damages.append(Damage(key, paths.get(id(tensor), ""), part, damage_text(error)))
    return Verification(len(arrays), nbytes, checked, tuple(damages), unread_parts(model))


def damage_found(tensor: Tensor) -> FormatError | None:
    """Read a tensor to its end, in blocks; what is wrong with it, or None.

    Raises:
        FileChangedError: The file was changed meanwhile.
    """
    return _read(tensor)[1]


def unread_parts(model: Model) -> tuple[str, ...]:
    """What a reader could not read of a file, apart from arrays that are in the tree."""
    of_arrays = set(damage_notes(model))
    return tuple(note.text for note in model.notes if note.kind == "unread" and note not in of_arrays)


def _read(tensor: Tensor) -> tuple[int, FormatError | None]:
    count = 0
    try:
        for block in chunks(tensor, BLOCK):
            count += len(block)
    except DAMAGE as error:
        return 0, error
    return count, None


def _state(model: Model) -> Iterator[Tensor]:
    optimizer = model.optimizer
    if optimizer is not None:
        yield from (item.tensor for items in (optimizer.slots, optimizer.counters, optimizer.extras) for item in items)


def _in_archive(model: Model) -> bool:
    """Whether the arrays lie in a zip archive, whose reader compares the CRC-32 of every member when it salvages."""
    return model.format == "keras-archive" and model.metadata.get("dialect") != "directory"


def _is_checksummed(source: Source) -> bool:
    if isinstance(source, Sliced):
        return all(_is_checksummed(piece.source) for piece in source.pieces)
    return getattr(source, "checksummed", False) is True
