"""The public verbs: each takes a path, a Model or a live model, and calls one function below.

They are resolved when they are first used: a command that reads a model loads nothing that compares or writes one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmodel_tools.api.comparing import diff as diff
    from kmodel_tools.api.comparing import match as match
    from kmodel_tools.api.comparing import propose_map as propose_map
    from kmodel_tools.api.live import from_keras as from_keras
    from kmodel_tools.api.live import load_into as load_into
    from kmodel_tools.api.reading import detect as detect
    from kmodel_tools.api.reading import diagnose as diagnose
    from kmodel_tools.api.reading import digest as digest
    from kmodel_tools.api.reading import format_named as format_named
    from kmodel_tools.api.reading import formats as formats
    from kmodel_tools.api.reading import inspect as inspect
    from kmodel_tools.api.reading import read as read
    from kmodel_tools.api.reading import readers as readers
    from kmodel_tools.api.reading import verify as verify
    from kmodel_tools.api.writing import average as average
    from kmodel_tools.api.writing import convert as convert
    from kmodel_tools.api.writing import format_for as format_for
    from kmodel_tools.api.writing import merge as merge
    from kmodel_tools.api.writing import transfer as transfer
    from kmodel_tools.api.writing import write as write

_VERBS = {
    "comparing": ("diff", "match", "propose_map"),
    "live": ("from_keras", "load_into"),
    "reading": ("detect", "diagnose", "digest", "format_named", "formats", "inspect", "read", "readers", "verify"),
    "writing": ("average", "convert", "format_for", "merge", "transfer", "write"),
}
_MODULE_OF = {verb: module for module, verbs in _VERBS.items() for verb in verbs}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
