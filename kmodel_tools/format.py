"""What a format is, and what a path is.

A format is a `Format` record in a module of `kmodel_tools.formats`: functions and facts, nothing to inherit from. A
`Probe` looks at a path once (its kind, its first bytes, its parsed head) and is handed to every format that might
claim it, and then to the reader.
"""

from __future__ import annotations

import enum
import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmodel_tools.errors import CorruptFileError, KmtError
from kmodel_tools.tensor import ByteRange
from kmodel_tools.tree import Model

if TYPE_CHECKING:
    from kmodel_tools.storage.hdf5 import Hdf5Head
    from kmodel_tools.storage.zip import Member

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of a LevelDB-style table: 0xdb4775248b80fb57, little endian (TensorFlow, `table/format.h`)."""

HEAD = 4096
_SECTION = re.compile(rb"\[+[A-Za-z_][^\]\"\n]*\]+[ \t\r]*\n")
"""How settings of other programs begin (`[metadata]`), which are no list in JSON."""
JSON_LIMIT = 256 << 20
STATE_KEY = b"model_checkpoint_path"


class Container(enum.Enum):
    """What kind of thing a path is, told by its content; a format states which kinds it can come in."""

    HDF5 = "HDF5 file"
    ZIP = "zip archive"
    TABLE = "TensorFlow table"
    CHECKPOINT_PREFIX = "checkpoint prefix"
    CHECKPOINT_STATE = "checkpoint state file"
    CHECKPOINT_SHARD = "checkpoint data shard"
    JSON = "JSON document"
    DIRECTORY = "directory"
    OTHER = "file"


class Part(enum.Flag):
    """What a format can hold of a model."""

    NOTHING = 0
    WEIGHTS = enum.auto()
    NAMES = enum.auto()
    CLASSES = enum.auto()
    ARCHITECTURE = enum.auto()
    TRAINING_CONFIG = enum.auto()
    OPTIMIZER = enum.auto()
    ASSETS = enum.auto()


@dataclass(frozen=True, slots=True)
class Option:
    """A choice that a format's writer offers: `--option NAME=VALUE`."""

    name: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class FileSet:
    """The files of a model that is written as several: without the index, nobody takes the rest for a model.

    Attributes:
        index: Path of the index.
        shards: Pattern (`fnmatch`) of the names of the others; those of an older set that are not replaced are taken away.
        companions: Names of files beside them that may belong to other models too; they are left as they are.
    """

    index: str
    shards: str
    companions: tuple[str, ...] = ()


def single_file(path: str) -> None:
    """Say that a path is written as one file: no `FileSet`."""


Writer = Callable[[Model, str, bool, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A format as a record.

    Attributes:
        name: What `--from` and `--to` call it.
        title: What a sentence calls it.
        suffixes: File name endings it is usually found under; never evidence.
        containers: The kinds of path it can come in.
        holds: What it can hold of a model.
        detect: Says which dialect of this format a probe is, or None; reads heads, never tensors.
        read: Describes the model at a probe that `detect` has claimed.
        write: Writes a model to a path, or None where nothing is written yet. It is given the model, the path, whether
            it may replace what is there, and the options; it refuses what it cannot lay out and never drops anything
            that `holds` says the format can hold.
        options: What its writer can be told.
        files: The set of files that a path is written as, or None where it is one file.
        salvages: Whether its reader can describe a file of which arrays are damaged (`Probe.salvage`).
        generation: The one generation of Keras whose architectures it holds, "Keras 2" or "Keras 3"; "" where it holds any.
        needs: What a model must have to be written in it.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    containers: frozenset[Container]
    holds: Part
    detect: Callable[[Probe], str | None]
    read: Callable[[Probe], Model]
    write: Writer | None = None
    options: tuple[Option, ...] = ()
    files: Callable[[str], FileSet | None] = single_file
    salvages: bool = False
    generation: str = ""
    needs: Part = Part.NOTHING


def carries(source: Format, target: Format) -> Part:
    """What of a model goes from one format to another, as far as the two can hold it; no part where `--like` has to help."""
    both = source.holds & target.holds
    can = target.write is not None and target.needs in source.holds
    return both if can and (Part.WEIGHTS in both or Part.WEIGHTS not in target.holds) else Part.NOTHING


class Probe:
    """A path, looked at once.

    Attributes:
        path: The path as the user gave it.
        container: What kind of thing it is.
        head: The first bytes of a file (at most 4096), empty for anything else.
        salvage: Whether a reader shall describe arrays that it cannot read as damaged ones (`damaged.Damaged`), so that the others
            stay readable, instead of raising.
    """

    def __init__(self, path: str | os.PathLike[str], salvage: bool = False) -> None:
        """Look at the path.

        Raises:
            KmtError: There is nothing at the path, or it cannot be opened.
        """
        self.path = os.fspath(path)
        self.salvage = salvage
        self.head = b""
        self.container = self._look()

    def _look(self) -> Container:
        if os.path.isdir(self.path):
            return Container.DIRECTORY
        if not os.path.exists(self.path):
            if os.path.exists(self.path + ".index"):
                return Container.CHECKPOINT_PREFIX
            raise KmtError("no such file or directory", path=self.path, cure=_spelling(self.path))
        if not os.path.isfile(self.path):
            raise KmtError("is neither a file nor a directory", path=self.path)
        whole = self.range
        self.head = whole.slice(0, min(HEAD, whole.length)).read()
        if self.head.startswith(HDF5_MAGIC):
            return Container.HDF5
        if self.head.startswith(ZIP_MAGICS):
            return Container.ZIP  # before looking for a user block: weights in a .keras may happen to start at byte 4096
        if whole.length >= 48 and whole.slice(whole.length - 8, 8).read() == TABLE_MAGIC:
            return Container.TABLE
        if STATE_KEY in self.head and self.head.lstrip().startswith((b"model_checkpoint_path", b"all_model_checkpoint_paths")):
            return Container.CHECKPOINT_STATE
        name = os.path.basename(self.path)
        if ".data-" in name and "-of-" in name:
            return Container.CHECKPOINT_SHARD
        if self.head[8:9] == b"{" and b"\0\0\0" in self.head[:8]:
            return Container.OTHER  # of safetensors: its first byte is a length, which may happen to be a brace
        text = self.head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith((b"{", b"[", b'"')) and not _SECTION.match(text):
            return Container.JSON
        return Container.HDF5 if _hdf5_behind_user_block(whole) else Container.OTHER

    @functools.cached_property
    def range(self) -> ByteRange:
        """The whole file as a byte range."""
        return ByteRange.of_file(self.path)

    @functools.cached_property
    def json(self) -> Any:
        """The file's JSON document, parsed once.

        Raises:
            CorruptFileError: It is not JSON, or larger than any architecture is.
        """
        if self.range.length > JSON_LIMIT:
            raise CorruptFileError(f"a JSON document of {self.range.length} bytes is larger than any model's", path=self.path)
        return parse_json(self.range.read(), self.path)

    @functools.cached_property
    def yaml(self) -> Any:
        """The file's YAML document, parsed once.

        Raises:
            CorruptFileError: It is not YAML, or larger than any architecture is.
            UnsupportedFeatureError: It asks for a Python object.
            MissingDependencyError: pyyaml is not installed.
        """
        from kmodel_tools.storage.yaml_data import LIMIT, parse_yaml

        if self.range.length > LIMIT:
            raise CorruptFileError(f"a YAML document of {self.range.length} bytes is larger than any model's", path=self.path)
        try:
            text = self.range.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorruptFileError("is no text in UTF-8", path=self.path) from error
        return parse_yaml(text, self.path)

    @functools.cached_property
    def hdf5(self) -> Hdf5Head:
        """What the root of the HDF5 file shows.

        Raises:
            CorruptFileError: libhdf5 cannot open it.
        """
        from kmodel_tools.storage.hdf5 import hdf5_head

        return hdf5_head(self.range, self.salvage)

    @functools.cached_property
    def members(self) -> dict[str, Member]:
        """The files of the zip archive.

        Raises:
            CorruptFileError: It has no readable directory.
            UnsupportedFeatureError: A member is encrypted, a link, or named so as to lead out of the archive.
        """
        from kmodel_tools.storage.zip import members

        return members(self.range)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names in a directory.

        Raises:
            KmtError: The directory cannot be listed.
        """
        try:
            return frozenset(os.listdir(self.path))
        except OSError as error:
            raise KmtError(f"cannot be listed: {error.strerror}", path=self.path) from error


def parse_json(data: bytes | str, path: str, where: str | None = None, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse a JSON text (Python's `NaN` and `Infinity` included).

    Args:
        data: The text.
        path: The file that it stands in, for errors.
        where: Its place there.
        object_hook: What an object becomes, innermost first; None leaves it.

    Raises:
        CorruptFileError: It is not JSON, not UTF-8, or nested deeper than the parser can follow.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        return json.loads(text, object_hook=object_hook)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"is not a JSON document: {error}", path=path, where=where) from error


def _hdf5_behind_user_block(whole: ByteRange) -> bool:
    """Whether an HDF5 signature stands behind a user block: at 512, 1024, 2048 … bytes (HDF5 specification, II.A)."""
    at = 512
    while at + len(HDF5_MAGIC) <= min(whole.length, 1 << 20):
        if whole.slice(at, len(HDF5_MAGIC)).read() == HDF5_MAGIC:
            return True
        at *= 2
    return False


def _spelling(path: str) -> str:
    import difflib

    parent = Path(path).parent
    if not parent.is_dir():
        return f"there is no directory {parent}"
    near = difflib.get_close_matches(Path(path).name, sorted(os.listdir(parent)), n=1)
    return f"did you mean {parent / near[0]}?" if near else "check the spelling"
