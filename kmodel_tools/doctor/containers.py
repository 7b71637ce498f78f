"""What the containers of a file are and hold, beneath any model: members of archives, links, pickles, claims of size."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.errors import KmtError
from kmodel_tools.format import JSON_LIMIT, Container, Probe, parse_json
from kmodel_tools.storage.zip import ENCRYPTED, INFLATION_FLOOR, INFLATION_LIMIT, Member, member_range
from kmodel_tools.tensor import ByteRange

DISTRUST = "do not load it; have a look where the file comes from"
PICKLE_HEADS = tuple(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5))
OLD_PICKLE = re.compile(
    rb"\(?c(?:os|posix|nt|sys|builtins|__builtin__|subprocess|copyreg|copy_reg|numpy|sklearn|torch|keras|joblib|pandas|collections|__main__)"
    rb"[\w.]*\n\w+\n|\([dl]p\d+\n"
)
"""The start of a pickle of protocol 0: a function by its module and name, a line each, or a dictionary or list."""
WHOLE_PICKLE = re.compile(rb"[}\]]q\x00|[}\]]\.|\((?:I-?\d+|V[^\n]*|S'[^\n]*'|F[-\d.e]+)\n|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n")
"""The start of a pickle of protocol 0 or 1, of whatever objects, if the last byte is the full stop that ends every pickle."""
PICKLED_NAMES = (".pkl", ".pickle", ".joblib", ".dill")
CONFIG, WEIGHTS, PICKLED = "config.json", "model.weights.h5", "model.weights.npz"
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, struct.error, ValueError, EOFError, RuntimeError, OSError)


def infos(probe: Probe) -> list[zipfile.ZipInfo]:
    """The directory of a zip archive as it stands there, unsafe members included; nothing where there is none."""
    if probe.container is not Container.ZIP:
        return []
    try:
        with zipfile.ZipFile(probe.path) as file:
            return file.infolist()
    except ZIP_ERRORS:
        return []


def configurations(probe: Probe) -> Iterator[tuple[str, Any]]:
    """The JSON configurations of an archive, a directory or an HDF5 file that does not open as a model."""
    for where, data in _texts(probe):
        document = _parsed(data, probe.path, where)
        if document is not None:
            yield where, document


def _parsed(data: bytes | str, path: str, where: str) -> Any:
    try:
        return parse_json(data, path, where)
    except KmtError:
        return None


def _texts(probe: Probe) -> Iterator[tuple[str, bytes | str]]:
    if probe.container is Container.ZIP:
        yield from _members(probe)
    elif probe.container is Container.JSON and probe.range.length <= JSON_LIMIT:
        yield "", probe.range.read()
    elif probe.container is Container.DIRECTORY:
        path = os.path.join(probe.path, CONFIG)
        if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= JSON_LIMIT:
            yield CONFIG, ByteRange.of_file(path).read()
    elif probe.container is Container.HDF5:
        yield from _attributes(probe)


def _members(probe: Probe) -> Iterator[tuple[str, bytes]]:
    for info in infos(probe):
        if info.filename.rpartition("/")[2] != CONFIG or info.file_size > JSON_LIMIT or info.flag_bits & ENCRYPTED:
            continue
        try:
            with zipfile.ZipFile(probe.path) as file, file.open(info) as member:
                yield info.filename, member.read(min(info.file_size, JSON_LIMIT))
        except ZIP_ERRORS:
            continue


def _attributes(probe: Probe) -> Iterator[tuple[str, str]]:
    from kmodel_tools.storage.hdf5 import open_hdf5

    try:
        with open_hdf5(probe.range, salvage=True) as file:
            names = [name for name in file.attribute_names() if name in ("model_config", "training_config")]
            texts = [(name, file.attribute("/", name)) for name in names]
    except KmtError:
        return
    yield from ((name, text) for name, text in texts if isinstance(text, str))


def pickles(case: Case) -> Iterator[Finding]:
    """The file itself, or a member of an archive, is a pickle."""
    probe = case.probe
    if probe is None:
        return
    found: list[Evidence] = []
    if _is_pickle(probe.head) or _is_whole_pickle(probe):
        found.append(Evidence("", "first bytes", probe.head[:16].hex(" ")))
    elif _holds_objects(probe.head):
        found.append(Evidence("", "NumPy array", "of Python objects, which are pickled"))
    for info in infos(probe):
        name = info.filename
        if name.rpartition("/")[2] == PICKLED or name.endswith(PICKLED_NAMES):
            found.append(Evidence("", name, f"{info.file_size:,} bytes"))
        elif name != WEIGHTS and not name.endswith(".json"):
            head = _head(probe, info)
            if _is_pickle(head) or _holds_objects(head):
                found.append(Evidence("", name, f"{info.file_size:,} bytes, starting {head[:4].hex(' ')}"))
    if found:
        yield finding("pickle", found, DISTRUST)


def _is_pickle(head: bytes) -> bool:
    return (head.startswith(PICKLE_HEADS) and len(head) > 2) or OLD_PICKLE.match(head) is not None


def _is_whole_pickle(probe: Probe) -> bool:
    if probe.container is not Container.OTHER or WHOLE_PICKLE.match(probe.head) is None:
        return False
    return probe.range.slice(probe.range.length - 1, 1).read() == b"."


def _holds_objects(head: bytes) -> bool:
    return head.startswith(b"\x93NUMPY") and b"'descr': '|O'" in head[:256]


def _head(probe: Probe, info: zipfile.ZipInfo) -> bytes:
    try:
        with zipfile.ZipFile(probe.path) as file, file.open(info) as member:
            return member.read(256)
    except ZIP_ERRORS:
        return b""


def archives(case: Case) -> Iterator[Finding]:
    """Members of an archive with names that lead out of it, links, twins, encrypted ones, and archives that inflate beyond measure."""
    probe = case.probe
    listed = [] if probe is None else infos(probe)
    if probe is None or not listed:
        return
    names = [info.filename for info in listed]
    outside = [name for name in names if leads_outside(name)]
    if outside:
        yield finding("path-traversal", [Evidence("", "member", name) for name in dict.fromkeys(outside)], DISTRUST)
    links = [info.filename for info in listed if (info.external_attr >> 16) & 0o170000 == 0o120000]
    if links:
        yield finding("symbolic-link", [Evidence("", "member", name) for name in links], DISTRUST)
    twins = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twins:
        cure = "save the model again; zip -FF keeps one of each, and nobody knows which was meant"
        yield finding("duplicate-members", [Evidence("", name, f"{names.count(name)} members") for name in twins], cure)
    locked = [info.filename for info in listed if info.flag_bits & ENCRYPTED]
    if locked:
        items = [Evidence("", name, "encrypted") for name in locked]
        yield finding("encrypted-members", items, f"unzip {case.quoted} -d {case.output('_unpacked')}  # asks for the password")
    grown = sum(info.file_size for info in listed if info.compress_type != zipfile.ZIP_STORED)
    if grown > INFLATION_FLOOR and grown > INFLATION_LIMIT * max(1, probe.range.length):
        yield finding("bomb", [Evidence("", "archive", f"{probe.range.length:,} bytes that inflate to {grown:,}")], DISTRUST)


def leads_outside(name: str) -> bool:
    """Whether the name of a member or shard leads out of its folder."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or ":" in parts[0]


def directories(case: Case) -> Iterator[Finding]:
    """Symbolic links in a model that is a directory."""
    if case.probe is None or case.probe.container is not Container.DIRECTORY:
        return
    found: list[Evidence] = []
    root = os.path.realpath(case.path)
    for folder, folders, files in os.walk(case.path):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            if os.path.islink(path) and not os.path.realpath(path).startswith(root + os.sep):
                found.append(Evidence("", os.path.relpath(path, case.path), f"→ {os.readlink(path)}"))
    if found:
        detail = "The cache of Hugging Face's hub is made of such links, into its own folder of blobs."
        yield finding(
            "symbolic-link", found, f"cp -rL {case.quoted} COPY  # if you trust where they lead", severity="warning", detail=detail
        )


def hdf5(case: Case) -> Iterator[Finding]:
    """What in an HDF5 part leads out of the file, or claims more than is stored."""
    from kmodel_tools.storage.hdf5_outside import BOMB, OUTSIDE, oddities

    found: dict[str, list[Evidence]] = {OUTSIDE: [], BOMB: []}
    for prefix, part in _hdf5_parts(case.probe):
        try:
            items = oddities(part)
        except KmtError:
            continue  # that it does not open is told elsewhere
        for item in items:
            found[item.kind].append(Evidence("", f"{prefix}{item.where}", item.what))
    if found[OUTSIDE]:
        yield finding("outside-hdf5", found[OUTSIDE], DISTRUST)
    if found[BOMB]:
        yield finding("bomb", found[BOMB], DISTRUST)


def _hdf5_parts(probe: Probe | None) -> Iterator[tuple[str, ByteRange]]:
    if probe is None:
        return
    if probe.container is Container.HDF5:
        yield "", probe.range
    elif probe.container is Container.DIRECTORY and os.path.isfile(os.path.join(probe.path, WEIGHTS)):
        yield f"{WEIGHTS}::", ByteRange.of_file(os.path.join(probe.path, WEIGHTS))
    elif probe.container is Container.JSON:
        yield from ((f"{os.path.basename(path)}::", ByteRange.of_file(path)) for path in shards(probe) if os.path.isfile(path))
    for info in infos(probe):
        if info.filename == WEIGHTS and info.file_size <= INFLATION_LIMIT * max(1, info.compress_size):
            try:
                yield f"{WEIGHTS}::", member_range(probe.range, Member(info.filename, info.file_size, info))
            except KmtError:
                continue


def shards(probe: Probe) -> list[str]:
    """The paths of the shards that an index in JSON names in its own folder."""
    return [os.path.join(os.path.dirname(probe.path), name) for name in shard_names(probe) if not leads_outside(name)]


def shard_names(probe: Probe) -> list[str]:
    """The names of shards in an index in JSON, each once, in order."""
    try:
        document = probe.json if probe.container is Container.JSON else None
    except KmtError:
        return []
    places = document.get("weight_map") if isinstance(document, dict) else None
    named = (
        [name for files in places.values() for name in (files if isinstance(files, list) else [files])] if isinstance(places, dict) else []
    )
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def indexes(case: Case) -> Iterator[Finding]:
    """Shards that an index names outside of its folder."""
    outside = [] if case.probe is None else [name for name in shard_names(case.probe) if leads_outside(name) or "/" in name]
    if outside:
        yield finding("path-traversal", [Evidence("", "weight_map", name) for name in outside], DISTRUST)


CHECKS = (pickles, archives, directories, hdf5, indexes)
