"""New files that are whole or not there: written beside their destination, synced, renamed.

A set of files (an index and what it lists) cannot be renamed in one step. Its index goes last, and an old one is taken
away first: between the two, there is no index, and nobody can take a mix of old and new files for a model.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO

from kmodel_tools.errors import KmtError


def check_destination(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Make sure that a file may be written, before any work is done for it.

    Raises:
        KmtError: It is there already and may not be replaced, is no regular file, or its folder is missing.
    """
    target = os.path.realpath(path)
    if os.path.lexists(target):
        if not os.path.isfile(target):
            raise KmtError("is there already and no regular file", path=path, cure="choose another name")
        if not overwrite:
            raise KmtError("is there already", path=path, cure="--force replaces it")
    if not os.path.isdir(os.path.dirname(target)):
        raise KmtError("its folder does not exist", path=path, cure="make the folder first")


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its place when the `with` block ends, and is gone without a trace when it raises.

    What was at `path` stays as it is until then; a symbolic link is followed, and permissions are kept.

    Raises:
        KmtError: As `check_destination`, or the disk is full or not writable.
    """
    check_destination(path, overwrite)
    target = os.path.realpath(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", suffix=".tmp", dir=os.path.dirname(target))
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
        temporary = None
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise KmtError(f"cannot be written: {error.strerror or error}", path=path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _mode(target: str) -> int:
    """The permissions of the file that is replaced, or those that a new one gets."""
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: str) -> None:
    """Make the renaming last through a power cut, where folders can be opened for that (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
