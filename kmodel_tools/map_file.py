"""Map files: which weight or layer of one model is called what in another, in YAML or JSON, written for people to edit.

::

    conv1/weights: block1_conv1/kernel        # source: target, as `kmt inspect` shows them
    fc8: null                                 # left out

    {"conv1/weights": "block1_conv1/kernel", "fc8": null}

YAML is composed into a graph of nodes and never constructed: a tag that asks for an object means nothing here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kmodel_tools.errors import CorruptFileError, KmtError, MissingDependencyError, UnsupportedFeatureError

if TYPE_CHECKING:
    from types import ModuleType

REMARKS = ("_doubtful", "_without_candidate", "_left_over")
"""Keys of a JSON map that hold remarks and no names; in YAML these are comments."""

LIMIT = 16 << 20
_NULL = "tag:yaml.org,2002:null"
_KIND = "a map is a list of lines `source: target`, both of them names"


def read_map(path: str | os.PathLike[str]) -> dict[str, str | None]:
    """Read a map; the suffix `.json`, or a brace that it begins with, makes it JSON, else it is YAML.

    Raises:
        CorruptFileError: It is neither, or no map: something is nested, a source stands twice, a target is missing.
        UnsupportedFeatureError: It is larger than any map.
        MissingDependencyError: It is YAML, and pyyaml is not installed.
        KmtError: It cannot be opened.
    """
    name = os.fspath(path)
    try:
        with open(name, encoding="utf-8") as file:
            text = file.read(LIMIT + 1)
    except OSError as error:
        raise KmtError(f"cannot be opened: {error.strerror}", path=name) from error
    except UnicodeDecodeError as error:
        raise CorruptFileError("is no text in UTF-8", path=name, cure=_KIND) from error
    if len(text) > LIMIT:
        raise UnsupportedFeatureError(f"is larger than {LIMIT >> 20} MiB, which no map is", path=name)
    entries = _json(text, name) if name.endswith(".json") or text.lstrip().startswith("{") else _yaml(text, name)
    found: dict[str, str | None] = {}
    for source, target in entries:
        if source in found:
            raise CorruptFileError("names a source twice", path=name, where=source, cure="keep one of the two lines")
        found[source] = target
    return found


def _json(text: str, path: str) -> Iterator[tuple[str, str | None]]:
    try:
        # Duplicate keys are kept, to be refused; of a nested object nothing is needed.
        top: Any = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"is no JSON: {error}", path=path) from error
    if not isinstance(top, list) or not text.lstrip().startswith("{"):
        raise CorruptFileError("is no map", path=path, cure=_KIND)
    for source, target in top:
        if source in REMARKS:
            continue
        if target is not None and not isinstance(target, str):
            raise CorruptFileError("a target is neither a name nor null", path=path, where=source, cure=_KIND)
        yield source, target


def _yaml(text: str, path: str) -> Iterator[tuple[str, str | None]]:
    yaml = _module()
    try:
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CorruptFileError(f"is no YAML: {' '.join(str(error).split())}", path=path) from error
    if top is None:
        return
    if not isinstance(top, yaml.MappingNode):
        raise CorruptFileError("is no map", path=path, cure=_KIND)
    for key, value in top.value:
        where = f"line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise CorruptFileError("something is nested", path=path, where=where, cure=_KIND)
        if value.value == "" and value.style is None:
            raise CorruptFileError("a target is missing", path=path, where=f"{where}, {key.value}", cure="write null to leave it out")
        # Names stay text, whatever else YAML takes `1` or `on` for.
        yield key.value, None if value.tag == _NULL else value.value


def _module() -> ModuleType:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("pyyaml", "yaml", "a map in YAML") from error
    return yaml
