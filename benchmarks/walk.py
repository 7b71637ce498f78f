"""The plain way to list an HDF5 file, which inspecting many layers is held against: `python walk.py FILE`."""

from __future__ import annotations

import sys
from typing import Any

import h5py


def main(path: str) -> None:
    """Print every object: its attributes, and of a dataset shape and dtype."""

    def show(name: str, item: Any) -> None:
        facts = (item.shape, item.dtype) if isinstance(item, h5py.Dataset) else ()
        print(name, dict(item.attrs), *facts)  # noqa: T201  # this is a command

    with h5py.File(path, "r") as file:
        print(dict(file.attrs))  # noqa: T201
        file.visititems(show)


if __name__ == "__main__":
    main(sys.argv[1])
