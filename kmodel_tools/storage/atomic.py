"""New files that are whole or not there: written beside their destination, synced, renamed.

A set of files (an index and what it lists) cannot be renamed in one step. Its index goes last, and an old one is taken
away first: between the two, there is no index, and nobody can take a mix of old and new files for a model.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
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
    with new_files([path], overwrite) as files:
        yield files[0]


@contextlib.contextmanager
def new_files(paths: Sequence[str | os.PathLike[str]], overwrite: bool = False) -> Iterator[list[IO[bytes]]]:
    """Open a set of files that take their places when the `with` block ends; the last one is the index of the others.

    Raises:
        KmtError: As `check_destination`, or the disk is full or not writable.
    """
    for path in paths:
        check_destination(path, overwrite)
    targets = [os.path.realpath(path) for path in paths]
    # Known before they are made: a signal may come at any line.
    temporaries = [os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.{os.urandom(4).hex()}.tmp") for target in targets]
    try:
        with contextlib.ExitStack() as stack:
            files: list[IO[bytes]] = [stack.enter_context(open(temporary, "xb")) for temporary in temporaries]
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for temporary, target in zip(temporaries, targets, strict=True):
            if os.path.exists(target):
                os.chmod(temporary, _mode(target))
        if len(targets) > 1:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(targets[-1])
        for temporary, target in zip(temporaries, targets, strict=True):
            os.replace(temporary, target)
        _sync_folder(os.path.dirname(targets[-1]))
    except OSError as error:
        raise KmtError(f"cannot be written: {error.strerror or error}", path=paths[-1]) from error
    finally:
        for temporary in temporaries:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def draft(path: str | os.PathLike[str]) -> Iterator[str]:
    """A name beside a destination for a new file that is looked at before it takes its place, when the `with` block ends.

    Raises:
        KmtError: It cannot take its place.
    """
    target = os.path.realpath(path)
    name = os.path.join(os.path.dirname(target), f".{os.urandom(4).hex()}.{os.path.basename(target)}")
    try:
        yield name
        if os.path.exists(target):
            os.chmod(name, _mode(target))
        os.replace(name, target)
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise KmtError(f"cannot be written: {error.strerror or error}", path=path) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


@contextlib.contextmanager
def draft_set(path: str | os.PathLike[str], index: str, shards: str) -> Iterator[str]:
    """A path in a folder of its own for a new set of files, which are looked at before they take their places.

    They do when the `with` block ends: an old index goes first and the new one comes last, so that nobody reads a mix. What
    is neither index nor shard takes its place only where there is nothing yet.

    Args:
        path: What the set is called: a prefix, or the index.
        index: Path of the index.
        shards: Pattern of the other files' names; older ones that are not replaced are taken away.

    Raises:
        KmtError: They cannot take their places.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        os.mkdir(temporary)
        yield os.path.join(temporary, name)
        with signals_held_back():
            _take_places(temporary, folder, os.path.basename(index), shards)
    except OSError as error:
        raise KmtError(f"cannot be written: {error.strerror or error}", path=path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_places(temporary: str, folder: str, index: str, shards: str) -> None:
    new = sorted(os.listdir(temporary))
    companions = [name for name in new if name != index and not fnmatch.fnmatchcase(name, shards)]
    with contextlib.suppress(FileNotFoundError):
        mode = _mode(os.path.join(folder, index))
        for name in (item for item in new if item not in companions):
            os.chmod(os.path.join(temporary, name), mode)
        os.unlink(os.path.join(folder, index))
    for old in set(fnmatch.filter(os.listdir(folder), shards)) - set(new):
        os.unlink(os.path.join(folder, old))
    moved = [name for name in new if name not in (index, *companions)]
    for name in (*moved, index, *(name for name in companions if not os.path.lexists(os.path.join(folder, name)))):
        os.replace(os.path.join(temporary, name), os.path.join(folder, name))
    _sync_folder(folder)


def _mode(target: str) -> int:
    """The permissions of the file that is replaced."""
    return os.stat(target).st_mode & 0o777


def _sync_folder(folder: str) -> None:
    """Make the renaming last through a power cut, where folders can be opened for that (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Let the signals that ask us to end wait until the `with` block does."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
