"""It does not open: what the file is instead, what is missing of it, and under which name Keras would read it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from kmodel_tools.doctor.case import Case, argument, beside
from kmodel_tools.doctor.containers import CONFIG, PICKLED, WEIGHTS, infos, leads_outside, shard_names, shards
from kmodel_tools.doctor.finding import Evidence, Finding, literal
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.errors import CorruptFileError, FormatError, KmtError, UnsupportedFeatureError
from kmodel_tools.format import Container, Probe
from kmodel_tools.storage.zip import stated_length as zip_length
from kmodel_tools.tensor import ByteRange

LFS = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")
ERRORS = re.compile(
    rb"""^\s*(\{\s*"(error|message|detail|errors)"|(404|403|401|429)\b"""
    rb"|(Not Found|Access Denied|Access to model|Forbidden|Entry not found|Repository not found|Invalid username))",
    re.I,
)
PACKED = (
    (b"\x1f\x8b", "gzip", "gunzip -c"),
    (b"BZh", "bzip2", "bunzip2 -c"),
    (b"\xfd7zXZ", "xz", "unxz -c"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd -c"),
)
HDF5, SUPERBLOCK = b"\x89HDF\r\n\x1a\n", 48
"""How HDF5 starts, and bytes of the shortest superblock, which says how long the file is."""
POINTER_LIMIT, MOST_PARTS = 1024, 10_000
"""Bytes of a file that may be a pointer, and files of a model that are looked at."""
MODELS = (".keras", ".h5", ".hdf5", ".index", ".pb")
GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
ATTRIBUTE_LIMIT = 64 << 10
"""Bytes of an attribute of HDF5."""
SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")


DAMAGED = ("is damaged", "is not a whole", "it is to hold")
"""Words of notes about what cannot be read though it should; the others say what a format never holds."""


def not_a_model(case: Case) -> Iterator[Finding]:
    """What is in the place of the model: a pointer, a page, nothing."""
    probe = case.probe
    if probe is None or probe.container not in (Container.OTHER, Container.JSON):
        return
    head = probe.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    size = Evidence("", "size", f"{probe.range.length:,} bytes")
    if probe.head.startswith(LFS):
        yield from _pointer(probe, size)
    elif not probe.head:
        yield finding("empty-file", [size], "fetch or save it again")
    elif head.lower().startswith(PAGES) or (ERRORS.match(head) and case.error is not None):
        first = head.splitlines()[0][:80].decode("utf-8", "replace")
        yield finding("web-page", [Evidence("", "first line", first), size], f"curl -L -o {case.quoted} ADDRESS_OF_THE_FILE_ITSELF")
    elif probe.head[257:262] == b"ustar":
        yield finding("compressed-file", [Evidence("", "content", "a tar archive"), size], f"tar -xf {case.quoted}")
    for start, name, command in PACKED:
        if probe.head.startswith(start):
            yield finding("compressed-file", [Evidence("", "first bytes", f"of {name}"), size], f"{command} {case.quoted} > UNPACKED")


def pointers(case: Case) -> Iterator[Finding]:
    """Parts of a model that are pointers of Git LFS: members of a folder, shards of a checkpoint or of an index."""
    probe = case.probe
    if probe is None:
        return
    found = [(path, _stated(head)) for path in _parts(case, probe) if (head := _head(path)).startswith(LFS)]
    if found:
        folder = case.path if probe.container is Container.DIRECTORY else os.path.dirname(case.path)
        items = [Evidence("", os.path.relpath(path, folder or "."), f"a pointer to {expected}") for path, expected in found]
        cure = f"git -C {argument(folder or '.')} lfs pull"
        yield finding("lfs-pointer", items, cure, detail="git lfs install, once on a machine, makes clones fetch the files themselves.")


def _parts(case: Case, probe: Probe) -> list[str]:
    """The files besides the one that is named which a model is made of."""
    if probe.container is Container.DIRECTORY:
        inner = (os.path.join(case.path, name) for name in ("", "variables", "assets"))
        return [item.path for folder in inner if os.path.isdir(folder) for item in sorted(os.scandir(folder), key=_name)][:MOST_PARTS]
    paths = shards(probe)
    if probe.container is Container.OTHER and os.path.basename(case.path) not in GRAPHS:
        return paths
    prefix = checkpoint_prefix(case) or os.path.join(os.path.dirname(case.path), "variables", "variables")
    return [*paths, *(os.path.join(os.path.dirname(prefix), name) for name in beside(prefix))][:MOST_PARTS]


def _name(item: os.DirEntry[str]) -> str:
    return item.name


def _head(path: str) -> bytes:
    """The text of a file that is as small as a pointer."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > POINTER_LIMIT:
            return b""
        return ByteRange.of_file(path).read()
    except (OSError, KmtError):
        return b""


def _stated(head: bytes) -> str:
    """The size that a pointer says."""
    lines = dict(line.partition(" ")[::2] for line in head.decode("utf-8", "replace").splitlines())
    wanted = lines.get("size", "")
    return f"{int(wanted):,} bytes" if wanted.isdigit() and len(wanted) < 20 else "not said"


def packed(case: Case) -> Iterator[Finding]:
    """A zip archive around a model, as downloads of folders are: of files of models, or of the members of one in a folder."""
    names = [] if case.probe is None or case.error is None else [info.filename for info in infos(case.probe)]
    if CONFIG in names or WEIGHTS in names:
        return
    inner = [name for name in names if name.endswith(MODELS) or name.rpartition("/")[2] in (*GRAPHS, CONFIG)]
    if inner and not any(leads_outside(name) for name in names):
        items = [Evidence("", name, "in the archive") for name in inner]
        yield finding("compressed-file", items, f"unzip {case.quoted} -d {case.output('_unpacked')}")


def _pointer(probe: Probe, size: Evidence) -> Iterator[Finding]:
    lines = dict(line.partition(" ")[::2] for line in probe.head.decode("utf-8", "replace").splitlines())
    items = [Evidence("", "expected size", _stated(probe.head)), size, Evidence("", "oid", lines.get("oid", "not said"))]
    folder, name = os.path.split(probe.path)
    cure = f"git -C {shlex.quote(folder or '.')} lfs pull --include {shlex.quote(name)}"
    yield finding("lfs-pointer", items, cure, detail="git lfs install, once on a machine, makes clones fetch the files themselves.")


def truncated(case: Case) -> Iterator[Finding]:
    """Files that say how long they should be, and are shorter."""
    if case.probe is None:
        return
    for key, expected, actual, least in _lengths(case, case.probe):
        items = [Evidence("", key, f"{'at least ' if least else ''}{expected:,} bytes"), Evidence("", "actual size", f"{actual:,} bytes")]
        count = f"{expected - actual:,} byte{'' if expected - actual == 1 else 's'}"
        detail = f"{count} {'is' if expected - actual == 1 else 'are'} missing{', at least' if least else ''}."
        yield finding("truncated", items, "fetch it again, or copy it from where it was saved", detail=detail)


def _lengths(case: Case, probe: Probe) -> Iterator[tuple[str, int, int, bool]]:
    """`(what, expected size, actual size, whether it is more)` of the parts that are too short."""
    if probe.container is Container.HDF5:
        from kmodel_tools.storage.hdf5_remains import stated_length

        stated = stated_length(probe.range)
        if probe.range.length < SUPERBLOCK:
            yield "expected size", SUPERBLOCK, probe.range.length, True
        elif stated > probe.range.length:
            yield "expected size", stated, probe.range.length, False
    elif probe.container is Container.OTHER and len(probe.head) >= 4 and HDF5.startswith(probe.head):
        yield "expected size", SUPERBLOCK, probe.range.length, True
    elif probe.container is Container.ZIP and not infos(probe):
        yield "expected size", max(zip_length(probe.range), probe.range.length + 1), probe.range.length, True
    elif (prefix := checkpoint_prefix(case)) is not None:
        for path, expected, actual in _shard_lengths(prefix):
            if actual is not None and actual < expected:
                yield f"expected size of {os.path.basename(path)}", expected, actual, False


def checkpoint_prefix(case: Case) -> str | None:
    """The prefix of the checkpoint that a path is, or holds, or None."""
    probe = case.probe
    if probe is None:
        return None
    if probe.container is Container.CHECKPOINT_PREFIX:
        return case.path
    if probe.container is Container.TABLE and case.path.endswith(".index"):
        return case.path.removesuffix(".index")
    if probe.container is Container.CHECKPOINT_SHARD:
        return SHARD.sub("", case.path)
    if probe.container is Container.DIRECTORY:
        variables = os.path.join(case.path, "variables", "variables")
        if os.path.isfile(variables + ".index"):
            return variables
        found = [name for name in probe.names if name.endswith(".index")]
        return os.path.join(case.path, found[0].removesuffix(".index")) if len(found) == 1 else None
    return None


def _shard_lengths(prefix: str) -> list[tuple[str, int, int | None]]:
    from kmodel_tools.storage.tensor_bundle import shard_lengths

    try:
        return shard_lengths(prefix) if os.path.isfile(prefix + ".index") else []
    except FormatError:
        return []


def missing_parts(case: Case) -> Iterator[Finding]:
    """Shards and members that are named, or always there, and are not."""
    probe, folder = case.probe, os.path.dirname(case.path)
    missing: list[Evidence] = []
    if probe is None:
        if os.path.islink(case.path) and not os.path.exists(case.path):
            missing.append(Evidence("", "symbolic link", f"→ {os.readlink(case.path)}, which is not there"))
        elif shards := beside(case.path):
            missing.append(Evidence("", f"{os.path.basename(case.path)}.index", f"not there; {len(shards)} data files are"))
    else:
        missing += [
            Evidence("", name, "named in weight_map, and not there")
            for name in shard_names(probe)
            if not leads_outside(name) and not os.path.isfile(os.path.join(folder, name))
        ]
        prefix = checkpoint_prefix(case)
        if prefix is not None:
            missing += [Evidence("", os.path.basename(path), "not there") for path, _, actual in _shard_lengths(prefix) if actual is None]
            if not os.path.isfile(prefix + ".index"):
                missing.append(Evidence("", f"{os.path.basename(prefix)}.index", "not there"))
        missing += _missing_members(probe)
    if missing:
        yield finding("missing-part", missing, "copy all files of the model together, from where it was saved")


def _missing_members(probe: Probe) -> Iterator[Evidence]:
    if probe.container is Container.ZIP:
        names = {info.filename for info in infos(probe)}
    elif probe.container is Container.DIRECTORY:
        names = set(probe.names)
        if names.isdisjoint(GRAPHS) and "fingerprint.pb" in names:
            yield Evidence("", "saved_model.pb", "not there")
    else:
        return
    if WEIGHTS in names and CONFIG not in names:
        yield Evidence("", CONFIG, "not there")
    if CONFIG in names and "metadata.json" in names and not {WEIGHTS, PICKLED} & names:
        yield Evidence("", WEIGHTS, "not there")


def damage(case: Case) -> Iterator[Finding]:
    """Why it does not open where nothing else explains it, and what in it cannot be read."""
    model = case.model
    if model is not None:
        unread = [note.text for note in model.notes if note.kind == "unread"]
        broken = [text for text in unread if text.startswith("saving broke off") or "are listed and" in text]
        if broken:
            yield finding("saving-broke-off", [Evidence("", "listed", text) for text in broken], "save the model again")
        others = [text for text in unread if text not in broken and any(words in text for words in DAMAGED)]
        if others:
            yield finding("damaged", [Evidence("", "", text) for text in others], f"kmt inspect --verify {case.quoted}")
        lost = [note.text for note in model.notes if note.kind == "odd" and note.text.startswith("the configuration cannot be followed")]
        if lost:
            kept = f"kmt convert {case.quoted} {case.output('_kept.weights.h5')} --weights-only  # for the model that your code makes"
            yield finding("damaged", [Evidence("", "", text) for text in lost], kept if case.weights else "fetch or save it again")
        return
    error = case.error
    if error is None:
        return
    if (size := _size_of_names(case)) > ATTRIBUTE_LIMIT:
        items = [Evidence("", error.where or "", error.problem), Evidence("", "names of the layers", f"{size:,} bytes")]
        detail = f"An attribute of HDF5 holds {ATTRIBUTE_LIMIT:,} bytes. Later releases split the list; shorter names need not be split."
        yield finding("saving-broke-off", items, "save the model again", detail=detail)
    elif isinstance(error, (CorruptFileError, UnsupportedFeatureError)):
        where = error.where or ""
        yield finding("damaged", [Evidence("", where, error.problem)], error.cure or "fetch or save it again")
    else:
        yield finding("not-a-model", [Evidence("", "", error.problem)], error.cure or "kmt formats")


def _size_of_names(case: Case) -> int:
    """Bytes of the list of layers' names as an early Keras writes it, each as long as the longest, in HDF5 that does not open."""
    if case.probe is None or case.probe.container is not Container.HDF5:
        return 0
    config = next((config for where, config in case.remains if where == "model_config" and isinstance(config, dict)), {})
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    settings = [item.get("config") for item in layers if isinstance(item, dict)] if isinstance(layers, list) else []
    lengths = [len(str(item.get("name", "")).encode("utf-8", "replace")) for item in settings if isinstance(item, dict)]
    return len(lengths) * max(lengths, default=0)


def names(case: Case) -> Iterator[Finding]:
    """Names under which Keras takes a file for something else."""
    probe, path = case.probe, case.path
    if probe is None:
        return
    kind = Evidence("", "content", probe.container.value)
    if probe.container is Container.ZIP and path.endswith((".h5", ".hdf5")):
        yield finding("zip-named-h5", [kind], f"mv {case.quoted} {case.output('.keras')}")
    if probe.container is not Container.HDF5 or case.model is None:
        return
    layout = [kind, Evidence("", "layout", case.model.metadata.get("dialect", case.model.format))]
    new = case.model.format == "keras-weights"
    if path.endswith(".keras"):
        yield finding("hdf5-named-keras", layout, f"mv {case.quoted} {case.output('.weights.h5' if new else '.h5')}")
    elif new and not path.endswith(".weights.h5"):
        yield finding("new-weights-named-h5", layout, f"mv {case.quoted} {case.output('.weights.h5')}")
    elif case.model.format == "keras-h5" and path.endswith(".weights.h5"):
        yield finding("legacy-named-weights-h5", layout, f"mv {case.quoted} {case.output('.h5')}")


def checkpoints(case: Case) -> Iterator[Finding]:
    """A file of a checkpoint in the place of its prefix, and state files that lead nowhere."""
    probe = case.probe
    if probe is None:
        return
    single = probe.container is Container.CHECKPOINT_SHARD or (probe.container is Container.TABLE and case.path.endswith(".index"))
    if single and (prefix := checkpoint_prefix(case)) is not None and os.path.isfile(prefix + ".index"):
        yield finding("checkpoint-file-named", [Evidence("", "prefix", prefix)], f"tf.train.load_checkpoint({literal(prefix)})")
    state = os.path.join(case.path, "checkpoint") if probe.container is Container.DIRECTORY else case.path
    if probe.container is not Container.CHECKPOINT_STATE and not (probe.container is Container.DIRECTORY and "checkpoint" in probe.names):
        return
    if os.path.isfile(state):
        yield from _state(state)


def variables(case: Case) -> Iterator[Finding]:
    """The variables of a SavedModel in the place of the whole, which has the names and the configuration of its layers."""
    prefix = checkpoint_prefix(case)
    if prefix is None or case.model is None or case.model.format != "tf-checkpoint":
        return
    folder = os.path.dirname(prefix)
    above = os.path.dirname(os.path.abspath(folder))
    graphs = [name for name in GRAPHS if os.path.isfile(os.path.join(above, name))]
    if os.path.basename(prefix) == "variables" and os.path.basename(os.path.abspath(folder)) == "variables" and graphs:
        there = os.path.dirname(folder) if os.path.basename(folder) else ""
        shown = there or os.path.normpath(os.path.join(folder, ".."))
        yield finding("part-of-saved-model", [Evidence("", "the folder above", f"has {graphs[0]}")], f"kmt doctor {argument(shown)}")


def _state(state: str) -> Iterator[Finding]:
    text = Probe(state).head.decode("utf-8", "replace")
    named = re.search(r'^model_checkpoint_path\s*:\s*"([^"]*)"', text, re.MULTILINE)
    if named is None:
        return
    folder = os.path.dirname(state)
    prefix = named[1] if os.path.isabs(named[1]) else os.path.join(folder, named[1])
    if os.path.exists(prefix + ".index") or os.path.exists(prefix):
        return
    others = sorted(name.removesuffix(".index") for name in os.listdir(folder or ".") if name.endswith(".index"))
    items = [Evidence("", "model_checkpoint_path", named[1]), Evidence("", "beside it", ", ".join(others[:5]) or "no checkpoint")]
    there = os.path.join(folder, others[-1] if others else "PREFIX")
    yield finding("checkpoint-moved", items, f"checkpoint.restore({literal(there)})  # by its own path")


CHECKS = (not_a_model, packed, pointers, truncated, missing_parts, names, checkpoints, variables, damage)
EXPLAINED = frozenset(
    {"lfs-pointer", "web-page", "empty-file", "compressed-file", "truncated", "missing-part", "pickle", "path-traversal", "symbolic-link",
     "duplicate-members", "encrypted-members", "outside-hdf5", "bomb", "checkpoint-moved"}
)  # fmt: skip
"""Findings that say better than `damaged` and `not-a-model` why a file does not open."""
