"""Keras's own weights layout, as `.weights.h5` files and `.keras` archives hold it.

Every saveable object has a group; its variables are the datasets "0", "1", … of the child group `vars`, which since
Keras 3.6 carries the object's name as an attribute (Keras 3 `keras/src/saving/saving_lib.py`)::

    layers/dense/vars/0                        a layer of a Functional or Sequential, by class and number
    layers/bidirectional/forward_layer/cell/vars/0
    lst/dense_1/vars/0                         an element of a list: a group without `vars` is a container
    optimizer/vars/0

An object is stored once, under the first path on which the writer reaches it. Keras 2.12 to 2.14 call the container of
a model's layers `_layer_checkpoint_dependencies`, and 2.12 and 2.13 count a layer that has weights twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kmodel_tools.architecture.store_layout import LAYERS
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import ByteRange, Tensor
from kmodel_tools.tree import Weight

if TYPE_CHECKING:
    from kmodel_tools.storage.hdf5 import Hdf5File

DEPENDENCIES = "_layer_checkpoint_dependencies"
CONTAINERS_OF_LAYERS = (LAYERS, DEPENDENCIES)
VARS = "vars"
OPTIMIZER = "optimizer"


@dataclass(slots=True)
class StoredGroup:
    """A group of the store.

    Attributes:
        children: Names of the groups in it, in write order, `vars` left out.
        arrays: Its own variables: name of the dataset, key in the file, array.
        is_object: Whether it has a `vars` group; one without is a list, tuple or dictionary.
        written: Grows in write order among the groups of one parent.
        name: The object's name, where the file has it.
    """

    children: list[str] = field(default_factory=list)
    arrays: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    is_object: bool = False
    written: tuple[int, int] = (0, 0)
    name: str | None = None


@dataclass(slots=True)
class Store:
    """The groups of one or several HDF5 files in Keras's layout, by path ("" is the root); `strays` lie outside of it."""

    groups: dict[str, StoredGroup] = field(default_factory=lambda: {"": StoredGroup()})
    strays: list[Weight] = field(default_factory=list)
    files: int = 0

    def add(self, container: ByteRange, key_prefix: str = "", salvage: bool = False) -> list[tuple[str, Tensor]]:
        """Add the content of one HDF5 file.

        Args:
            container: Where the file lies.
            key_prefix: What goes before a dataset's path to make its key.
            salvage: Whether to describe what libhdf5 cannot read as damaged, instead of raising.

        Returns:
            The file's inventory: every array with its key.

        Raises:
            CorruptFileError: libhdf5 cannot read it.
            UnsupportedFeatureError: It links or stores outside of itself.
        """
        from kmodel_tools.storage.hdf5 import open_hdf5  # loads h5py, which looking at a directory does not need

        with open_hdf5(container, salvage) as file:
            listing = file.listing()
            for path, address in listing.groups.items():
                owner, _, last = _slashed(path).rpartition("/")
                group = self._group(owner if last == VARS else _slashed(path))
                group.written = max(group.written, (self.files, address))
                if last == VARS:
                    group.is_object = True
                    name = _name_of(file, path)
                    group.name = name if isinstance(name, str) and name else group.name
        self.files += 1
        for path, group in self.groups.items():
            self._sort(path, group)
        for path in listing.objects:
            self.put(path, listing.datasets[path], key_prefix + path)
        return [(key_prefix + path, listing.datasets[path]) for path in listing.objects]

    def _sort(self, path: str, group: StoredGroup) -> None:
        group.children.sort(key=lambda name: self.groups[f"{path}/{name}" if path else name].written)

    def put(self, path: str, tensor: Tensor, key: str) -> None:
        """Add one array at a path of this layout; one that lies elsewhere is a stray."""
        parent, _, array = _slashed(path).rpartition("/")
        owner, _, last = parent.rpartition("/")
        if last == VARS:
            group = self._group(owner)
            group.is_object = True
            group.arrays[array] = (key, tensor)
        else:
            self.strays.append(Weight(array, tensor, key))

    def _group(self, path: str) -> StoredGroup:
        missing = []
        while path not in self.groups:
            missing.append(path)
            path = path.rpartition("/")[0]
        found = self.groups[path]
        for below in reversed(missing):
            found.children.append(below.rpartition("/")[2])
            found = self.groups[below] = StoredGroup()
        return found


def _name_of(file: Hdf5File, path: str) -> object:
    try:
        return file.attribute(path, "name")
    except CorruptFileError:
        if not file.salvage:
            raise
        return None


def _slashed(path: str) -> str:
    """A path as Keras means it: on Windows, Keras 3.0 joined paths with backslashes."""
    return path.replace("\\", "/")
