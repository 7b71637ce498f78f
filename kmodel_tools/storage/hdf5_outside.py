"""What in an HDF5 file leads out of it, or claims more than is stored: looked for with h5py, and never followed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from h5py import h5d, h5g, h5l, h5o

from kmodel_tools.storage.hdf5 import EXPANSION_FLOOR, EXPANSION_LIMIT, open_hdf5
from kmodel_tools.storage.hdf5_types import H5PY_ERRORS, text_of
from kmodel_tools.tensor import ByteRange

OUTSIDE, BOMB = "outside", "bomb"
MOST = 100
"""Places that are listed; a file that was made to have more says nothing new with them."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """A place of an HDF5 file that no model needs: `OUTSIDE` or `BOMB`, the path in the file, and what it is."""

    kind: str
    where: str
    what: str


def oddities(container: ByteRange) -> list[Oddity]:
    """Links, external storage, virtual datasets, and datasets that claim far more than is stored.

    Raises:
        CorruptFileError: libhdf5 cannot open it at all.
    """
    found: list[Oddity] = []
    with open_hdf5(container, salvage=True) as file:
        seen: set[int] = set()
        root = h5g.open(file._file.id, b"/")
        stack = [(root, b".", b"")]
        while stack and len(found) < MOST:
            group, name, path = stack.pop()
            try:
                stack.extend(_looked_at(group, name, path, seen, found))
            except H5PY_ERRORS:
                continue  # damage is somebody else's to tell
    return found


Place = tuple[h5g.GroupID, bytes, bytes]
"""A group, a name in it, and the path of what has that name: libhdf5 opens deep objects from their group, not from the root each time."""


def _looked_at(group: h5g.GroupID, name: bytes, path: bytes, seen: set[int], found: list[Oddity]) -> list[Place]:
    """Look at one object; the places of what it holds."""
    opened = h5o.open(group, name)
    address = h5o.get_info(opened).addr
    if address in seen:
        return []
    seen.add(address)
    if isinstance(opened, h5d.DatasetID):
        found += _of_dataset(opened, text_of(path))
    if not isinstance(opened, h5g.GroupID):
        return []
    below: list[Place] = []
    for held in opened:
        full = path + b"/" + held if path else held
        kind = opened.links.get_info(held).type
        if kind == h5l.TYPE_HARD:
            below.append((opened, held, full))
        elif kind == h5l.TYPE_EXTERNAL:
            target = opened.links.get_val(held)
            found.append(Oddity(OUTSIDE, text_of(full), f"external link to {text_of(target[0])}, {text_of(target[1])}"))
        elif kind == h5l.TYPE_SOFT:
            found.append(Oddity(OUTSIDE, text_of(full), f"soft link to {text_of(opened.links.get_val(held))}"))
        else:
            found.append(Oddity(OUTSIDE, text_of(full), "link of a kind of somebody's own"))
    return below


def _of_dataset(dataset: h5d.DatasetID, path: str) -> list[Oddity]:
    created = dataset.get_create_plist()
    if created.get_layout() == h5d.VIRTUAL:
        names = {created.get_virtual_filename(index) for index in range(min(created.get_virtual_count(), MOST))}
        return [Oddity(OUTSIDE, path, f"virtual dataset, of values in {', '.join(sorted(names))}")]
    if created.get_external_count():
        return [Oddity(OUTSIDE, path, f"values stored in {text_of(created.get_external(0)[0])}")]
    nbytes = math.prod(dataset.shape or (0,)) * dataset.get_type().get_size()
    stored = dataset.get_storage_size()
    if nbytes > EXPANSION_FLOOR and nbytes > EXPANSION_LIMIT * stored:
        return [Oddity(BOMB, path, f"{nbytes:,} bytes claimed, {stored:,} stored")]
    return []
