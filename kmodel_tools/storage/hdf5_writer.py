"""Writing HDF5 files of any size without holding or copying their values.

h5py lays the file out in memory: groups, attributes, dataset headers, and room for the values, which is allocated and
never touched. Then the file is streamed from its start to its end: what h5py wrote, and in each dataset's room the
tensor's own bytes. The same objects give the same bytes: no times are recorded, and nothing depends on the machine.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.atomic import signals_held_back
from kmodel_tools.storage.hdf5_types import H5PY_ERRORS, OPAQUE_NAMES
from kmodel_tools.tensor import BLOCK, Buffer, DType, Tensor

ATTRIBUTE_LIMIT = 64512
"""Bytes of names in one attribute; Keras splits longer lists (`HDF5_OBJECT_HEADER_LIMIT`, legacy_h5_format.py)."""
BYTES_PER_OBJECT = 1024
"""About what the headers of a group or dataset take."""
PAGE = 4096

Attribute = str | bytes | Sequence[bytes]


@dataclass(frozen=True, slots=True)
class NewObject:
    """A group, or with a tensor a dataset, to be written; the groups above it come about by themselves."""

    path: str
    tensor: Tensor | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def list_of_names(attribute: str, names: Sequence[str]) -> dict[str, Attribute]:
    """A list of names as attributes: one, or `name0`, `name1`, … where it is over the limit of one attribute."""
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    longest = max((len(name) for name in encoded), default=0)
    in_one = max(1, ATTRIBUTE_LIMIT // max(1, longest))
    parts = -(-len(encoded) // in_one)
    if parts < 2:
        return {attribute: encoded}
    size, extra = divmod(len(encoded), parts)  # as numpy.array_split divides
    starts = [number * size + min(number, extra) for number in range(parts + 1)]
    return {f"{attribute}{number}": encoded[starts[number] : starts[number + 1]] for number in range(parts)}


class Hdf5Image:
    """An HDF5 file that is laid out and not yet written; `length` is its size in bytes."""

    def __init__(self, objects: Sequence[NewObject]) -> None:
        """Lay out a file with these objects, in their order.

        Raises:
            UnsupportedFeatureError: HDF5 has no type for a tensor's elements, or two objects have one path.
        """
        self._pages = _Pages()
        self._rooms: list[tuple[int, Tensor]] = []
        # Headers together in blocks, and not each between the values of its neighbours.
        block = min(1 << 20, max(2048, BYTES_PER_OBJECT * len(objects)))
        # libhdf5 calls our file object, and loses an exception that a signal's handler raises there.
        with signals_held_back(), h5py.File(self._pages, "w", meta_block_size=block) as file:
            for item in objects:
                self._place(file, item)
        self.length = self._pages.length
        self._rooms.sort(key=lambda room: room[0])

    def _place(self, file: h5py.File, item: NewObject) -> None:
        try:
            if item.tensor is None:
                _annotate(file.require_group(item.path or "/"), item.attributes)
            else:
                self._add(file, item.path, item.tensor, item.attributes)
        except H5PY_ERRORS as error:
            raise UnsupportedFeatureError(f"HDF5 cannot hold this: {error}", where=item.path) from error

    def _add(self, file: h5py.File, path: str, tensor: Tensor, attributes: Mapping[str, Attribute]) -> None:
        if tensor.dtype is DType.STRING:
            values = tensor.read()
            dataset = file.create_dataset(path, data=values, dtype=h5py.string_dtype(), shape=tensor.shape)
        else:
            folder, _, name = path.rpartition("/")
            group = file.require_group(folder or "/")
            created = h5d.create(group.id, name.encode(), _element_type(tensor.dtype), h5s.create_simple(tensor.shape), _creation())
            offset = created.get_offset()
            if offset is not None:
                self._rooms.append((offset, tensor))
            dataset = h5py.Dataset(created)
        _annotate(dataset, attributes)
        if tensor.dtype in OPAQUE_NAMES.values():
            _annotate(dataset, {"dtype": tensor.dtype.value})

    def blocks(self, limit: int = BLOCK) -> Iterator[Buffer]:
        """Yield the bytes of the file in order; a block is valid until the next one is asked for.

        Raises:
            CorruptFileError: A tensor's source delivers more or fewer bytes than its shape needs.
        """
        at = 0
        for offset, tensor in self._rooms:
            yield from self._pages.blocks(at, offset, limit)
            at = offset + tensor.nbytes
            delivered = 0
            for block in tensor.blocks(limit):
                delivered += len(block)
                yield block
            if delivered != tensor.nbytes:
                raise CorruptFileError(f"an array delivers {delivered} bytes instead of {tensor.nbytes}")
        yield from self._pages.blocks(at, self.length, limit)


def _creation() -> h5p.PropDCID:
    """Room at once, nothing written into it, no time of creation."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    return properties


def _element_type(dtype: DType) -> h5t.TypeID:
    if dtype in OPAQUE_NAMES.values():
        return h5t.py_create(np.dtype(f"V{dtype.itemsize}"))
    if dtype is DType.OPAQUE:
        raise UnsupportedFeatureError("elements of an opaque type cannot be written")
    return h5t.py_create(dtype.numpy().newbyteorder("<"), logical=True)


def _annotate(target: h5py.Group | h5py.Dataset, attributes: Mapping[str, Attribute]) -> None:
    for name, value in attributes.items():
        if isinstance(value, (str, bytes)):
            target.attrs[name] = value
        else:
            longest = max((len(item) for item in value), default=1)
            target.attrs.create(name, np.array(list(value), dtype=f"S{max(1, longest)}"))


class _Pages(io.RawIOBase):
    """A file in memory of which only those pages exist that were written: room for values costs nothing."""

    def __init__(self) -> None:
        self.length = 0
        self._pages: dict[int, bytearray] = {}
        self._at = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self.length = self._at if size is None else size
        return self.length

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            number, start = divmod(self._at + done, PAGE)
            page = self._pages.setdefault(number, bytearray(PAGE))
            count = min(len(view) - done, PAGE - start)
            page[start : start + count] = view[done : done + count]
            done += count
        self._at += done
        self.length = max(self.length, self._at)
        return done

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self.length - self._at)]
        self._copy(self._at, view)
        self._at += len(view)
        return len(view)

    def blocks(self, start: int, end: int, limit: int) -> Iterator[Buffer]:
        """Yield the bytes between two places."""
        for at in range(start, end, limit):
            block = bytearray(min(limit, end - at))
            self._copy(at, memoryview(block))
            yield block

    def _copy(self, at: int, target: memoryview) -> None:
        done = 0
        while done < len(target):
            number, start = divmod(at + done, PAGE)
            count = min(len(target) - done, PAGE - start)
            page = self._pages.get(number)
            target[done : done + count] = bytes(count) if page is None else page[start : start + count]
            done += count
