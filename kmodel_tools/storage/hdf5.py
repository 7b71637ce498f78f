"""HDF5 files: what is in them, and where its bytes lie. On h5py's low-level interface.

A contiguous little-endian dataset becomes a `ByteRange`; everything else (chunks, filters, big-endian numbers, compact
or unwritten data, strings) becomes an `Hdf5Values` source that opens the file again when its values are wanted.

What leads outside of the file (external links, external storage, virtual datasets) is refused, soft links too: a model
has no need of them, and following them would let a file read its neighbours.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o

from kmodel_tools.damaged import DAMAGE, OFFER, damaged_tensor, offering_salvage
from kmodel_tools.errors import CorruptFileError, FormatError, UnsupportedFeatureError
from kmodel_tools.storage.hdf5_remains import RangeFile, reachable, stated_length
from kmodel_tools.storage.hdf5_types import H5PY_ERRORS, decoded, dtype_of, text_of
from kmodel_tools.tensor import Buffer, ByteRange, DType, InMemory, Shape, Tensor, canonical_strings

# And what it adds for values and attributes of a type that NumPy has no equivalent for.
VALUE_ERRORS = (*H5PY_ERRORS, TypeError)

EXPANSION_LIMIT = 1100
"""A dataset may not be larger than its stored bytes by more than this, once it is over `EXPANSION_FLOOR` bytes; deflate reaches 1032."""
EXPANSION_FLOOR = 256 << 20

NOTHING: Mapping[bytes, FormatError] = MappingProxyType({})

HEAD_GROUPS = 64
"""How many groups of the root are looked into for telling formats apart."""


@dataclass(frozen=True, slots=True)
class Hdf5Listing:
    """Everything that one walk over a file sees.

    Attributes:
        groups: Path of each group (no leading slash) and the highest address of an object header in it. Addresses grow
            in write order, but for small headers that fill a hole further down: the highest one below a group tells
            best when it was written.
        datasets: Path of each dataset, hard links to one object under each of their names.
        objects: Paths of the datasets, each object once, under the first of its names.
    """

    groups: dict[str, int]
    datasets: dict[str, Tensor]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hdf5Head:
    """What the root of a file shows, for telling formats apart.

    Attributes:
        attributes: Names of the root's attributes.
        members: Name and kind ("group", "dataset", "other") of what the root holds.
        groups_within: For each group of the root, the names of the groups in it.
    """

    attributes: frozenset[str]
    members: dict[str, str]
    groups_within: dict[str, frozenset[str]]


def hdf5_head(container: ByteRange, salvage: bool = False) -> Hdf5Head:
    """Look at the root of an HDF5 file; with `salvage`, of one that may be damaged.

    Raises:
        CorruptFileError: libhdf5 cannot open it.
    """
    with open_hdf5(container, salvage) as file:
        members = file.kinds()
        within = {
            name: frozenset(inner for inner, kind in file.kinds(name).items() if kind == "group")
            for name in list(members)[:HEAD_GROUPS]
            if members[name] == "group"
        }
        return Hdf5Head(frozenset(file.attribute_names()), members, within)


class Hdf5File:
    """An open HDF5 file, inside a `with open_hdf5(...)` block."""

    def __init__(self, file: h5py.File, container: ByteRange, salvage: bool = False) -> None:
        """Wrap an open file; `container` is where its bytes lie on disk; with `salvage`, what is damaged is passed over."""
        self._file = file
        self.container = container
        self.salvage = salvage

    def kinds(self, group: str = "/") -> dict[str, str]:
        """The members of a group and what they are: "group", "dataset" or "other"; nothing for a group that is not there."""
        try:
            if group != "/" and group not in self._file:
                return {}
            opened = h5o.open(self._file.id, group.encode())
            if not isinstance(opened, h5g.GroupID):
                return {}
            found: dict[str, str] = {}
            for name in opened:
                if opened.links.get_info(name).type != h5l.TYPE_HARD:
                    found[text_of(name)] = "other"
                else:
                    found[text_of(name)] = self._kind(opened, name)
            return found
        except H5PY_ERRORS as error:
            if self.salvage and group != "/":
                return {}
            raise self._corrupt(error, group) from error

    def _kind(self, group: h5g.GroupID, name: bytes) -> str:
        try:
            kind = h5o.get_info(group, name).type
        except H5PY_ERRORS:
            if not self.salvage:
                raise
            return "other"
        return {h5o.TYPE_GROUP: "group", h5o.TYPE_DATASET: "dataset"}.get(kind, "other")

    def attributes(self, path: str = "/") -> dict[str, Any]:
        """The attributes of an object; strings decoded, arrays as numpy arrays."""
        try:
            return {name: decoded(value) for name, value in self._file[path].attrs.items()}
        except VALUE_ERRORS as error:
            raise self._corrupt(error, path) from error

    def attribute_names(self, path: str = "/") -> list[str]:
        """The names of an object's attributes."""
        try:
            return list(self._file[path].attrs)
        except VALUE_ERRORS as error:
            raise self._corrupt(error, path) from error

    def attribute(self, path: str, name: str) -> Any:
        """One attribute of an object, or None when it has none of that name."""
        try:
            attrs = self._file[path].attrs
            return decoded(attrs[name]) if name in attrs else None
        except VALUE_ERRORS as error:
            raise self._corrupt(error, f"{path}@{name}") from error

    def names(self, path: str, name: str) -> list[str] | None:
        """A list of names in an attribute, or in several where it is over HDF5's 64 KiB limit.

        Keras splits a long list `x` into `x0`, `x1`, … (legacy_h5_format.py, `save_attributes_to_hdf5_group`).
        """
        whole = self.attribute(path, name)
        if whole is not None:
            return self._name_list(whole, path, name)
        found: list[str] = []
        part = 0
        while (chunk := self.attribute(path, f"{name}{part}")) is not None:
            found.extend(self._name_list(chunk, path, f"{name}{part}"))
            part += 1
        return found if part else None

    def _name_list(self, value: Any, path: str, name: str) -> list[str]:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        if isinstance(items, list) and not items:
            return []  # an empty list is stored as a float64 array of shape (0,)
        if isinstance(items, str):
            items = [items]
        if not isinstance(items, list) or not all(isinstance(item, (str, bytes)) for item in items):
            raise CorruptFileError("is not a list of names", path=self.container.path, where=f"{path}@{name}")
        return [item if isinstance(item, str) else text_of(item) for item in items]

    def listing(self) -> Hdf5Listing:
        """Walk the whole file once; describe every dataset, read none.

        To salvage, what libhdf5 cannot open is listed as a damaged dataset, be it one or a group, and so is one whose values
        do not lie in the file.

        Raises:
            UnsupportedFeatureError: The file links outside of itself; or, unless it is salvaged, stores there.
            CorruptFileError: libhdf5 cannot follow its structure, unless it is salvaged.
        """
        if self.salvage:
            found, broken = reachable(self._file.id)
            if b"" in broken:
                raise self._corrupt(broken[b""], None)
            return self._described(found, {path: self._corrupt(error, text_of(path)) for path, error in broken.items()})
        links: list[tuple[bytes, int, int]] = []
        try:
            root = h5g.open(self._file.id, b"/")
            root.links.visit(lambda name, info: links.append((name, info.type, info.u)), info=True)
            return self._described(links)
        except H5PY_ERRORS as error:
            raise self._corrupt(error, None) from error

    def _described(self, links: list[tuple[bytes, int, int]], broken: Mapping[bytes, FormatError] = NOTHING) -> Hdf5Listing:
        parents = {name.rpartition(b"/")[0] for name, _, _ in links}
        groups: dict[str, int] = {}
        datasets: dict[str, Tensor] = {}
        by_address: dict[int, Tensor] = {}
        objects: list[str] = []
        for name, link_type, address in links:
            path = text_of(name)
            if link_type != h5l.TYPE_HARD:
                raise UnsupportedFeatureError(
                    "holds a soft or external link, which is not followed",
                    path=self.container.path,
                    where=path,
                    cure="Keras never writes one: have a look where the file comes from",
                )
            if name in parents:
                groups[path] = address
                continue
            if address in by_address:
                datasets[path] = by_address[address]
                continue
            if name in broken:
                datasets[path] = by_address[address] = damaged_tensor(DType.OPAQUE, (0,), broken[name])
                objects.append(path)
                continue
            opened = h5o.open(self._file.id, name)
            if isinstance(opened, h5d.DatasetID):
                datasets[path] = by_address[address] = self._tensor(opened, path)
                objects.append(path)
            elif isinstance(opened, h5g.GroupID):
                groups[path] = address
        for name, _, address in reversed(links):  # what lies in a group is visited after it
            above = text_of(name.rpartition(b"/")[0])
            if above in groups:
                groups[above] = max(groups[above], groups.get(text_of(name), address))
        return Hdf5Listing(groups, datasets, tuple(objects))

    def _tensor(self, dataset: h5d.DatasetID, path: str) -> Tensor:
        datatype = dataset.get_type()
        shape = dataset.shape if dataset.shape is not None else (0,)
        dtype, native = dtype_of(datatype, dataset)
        try:
            return self._placed(dataset, path, dtype, shape, native)
        except DAMAGE as error:
            if not self.salvage:
                raise offering_salvage(error) from error
            return damaged_tensor(dtype, shape, error)

    def _placed(self, dataset: h5d.DatasetID, path: str, dtype: DType, shape: Shape, native: bool) -> Tensor:
        offset = dataset.get_offset()
        if offset is not None and native and dtype.itemsize:
            return Tensor(dtype, shape, self.container.slice(offset, math.prod(shape) * dtype.itemsize, where=path))
        if offset is None:
            self._refuse_outside(dataset, path)
            self._refuse_bomb(dataset, path, math.prod(shape) * (dtype.itemsize or 1))
        return Tensor(dtype, shape, Hdf5Values(self.container, path, dtype, shape, self.salvage))

    def _refuse_outside(self, dataset: h5d.DatasetID, path: str) -> None:
        created = dataset.get_create_plist()
        if created.get_layout() == h5d.VIRTUAL:
            problem = "is a virtual dataset, which takes its values from other files"
        elif created.get_external_count():
            problem = "keeps its values in another file"
        else:
            return
        raise UnsupportedFeatureError(f"a dataset {problem}; it is not followed", path=self.container.path, where=path)

    def _refuse_bomb(self, dataset: h5d.DatasetID, path: str, nbytes: int) -> None:
        stored = dataset.get_storage_size()
        if nbytes > EXPANSION_FLOOR and nbytes > EXPANSION_LIMIT * stored:
            raise UnsupportedFeatureError(f"a dataset stores {stored} bytes and claims {nbytes}", path=self.container.path, where=path)

    def _corrupt(self, error: Exception, where: str | None) -> CorruptFileError:
        text = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        return CorruptFileError(f"is damaged as an HDF5 file: {text}", path=self.container.path, where=where, cure="fetch or save it again")


@contextlib.contextmanager
def open_hdf5(container: ByteRange, salvage: bool = False) -> Iterator[Hdf5File]:
    """Open the HDF5 file that lies in `container`: a whole file, or a stored member of an archive.

    With `salvage`, a file that was cut short is opened too, as long as its root can be read.

    Raises:
        CorruptFileError: libhdf5 cannot open it.
        FileChangedError: It is not the file any more that `container` was made for.
    """
    length = stated_length(container) if salvage else container.length
    whole = container.offset == 0 and container.length == container.stamp.size and length == container.length
    with container.opened():
        raw = None if whole else RangeFile(container, length)
        try:
            # No lock: we only read, and locks fail on read-only and on network file systems.
            file = h5py.File(container.path if raw is None else raw, "r", locking=False)
        except H5PY_ERRORS as error:
            raise CorruptFileError(
                f"is not a whole HDF5 file: {str(error).splitlines()[0]}",
                path=container.path,
                cure="fetch or save it again" if salvage else f"fetch or save it again, or {OFFER}",
            ) from error
        try:
            yield Hdf5File(file, container, salvage)
        finally:
            file.close()


@dataclass(frozen=True, slots=True)
class Hdf5Values:
    """A dataset that only libhdf5 can deliver: chunked, filtered, big endian, compact, strings."""

    container: ByteRange
    path: str
    dtype: DType
    shape: Shape
    salvage: bool = False
    byte_range: None = field(default=None, init=False)

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes, some rows at a time.

        Raises:
            CorruptFileError: libhdf5 cannot decode them.
        """
        with open_hdf5(self.container, self.salvage) as file:
            dataset = file._file[self.path]
            for rows in _row_bands(self.shape, dataset.chunks, dataset.dtype.itemsize, limit):
                try:
                    values = dataset[rows]
                except VALUE_ERRORS as error:
                    raise file._corrupt(error, self.path) from error
                yield from InMemory(self._canonical(np.asarray(values))).blocks(limit)

    def _canonical(self, values: np.ndarray[Any, Any]) -> bytes:
        if self.dtype is DType.STRING:
            items = [item if isinstance(item, bytes) else str(item).encode() for item in values.ravel().tolist()]
            return canonical_strings(items)
        if values.dtype.byteorder == ">" or (values.dtype.names and values.dtype[0].byteorder == ">"):
            values = values.astype(values.dtype.newbyteorder("<"))
        return values.tobytes()


def _row_bands(shape: Shape, chunks: Shape | None, itemsize: int, limit: int) -> Iterator[Any]:
    """Yield selections along the first axis, whole chunks each, of about `limit` bytes."""
    if not shape or 0 in shape:
        yield ()
        return
    row = math.prod(shape[1:]) * itemsize
    unit = chunks[0] if chunks else 1
    step = max(1, limit // (row * unit)) * unit
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))
