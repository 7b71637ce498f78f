"""Open, inspect, compare and convert every model that Keras or TensorFlow ever saved, without importing either.

The public names are resolved when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmodel_tools.api import average as average
    from kmodel_tools.api import convert as convert
    from kmodel_tools.api import detect as detect
    from kmodel_tools.api import diagnose as diagnose
    from kmodel_tools.api import diff as diff
    from kmodel_tools.api import digest as digest
    from kmodel_tools.api import formats as formats
    from kmodel_tools.api import from_keras as from_keras
    from kmodel_tools.api import inspect as inspect
    from kmodel_tools.api import load_into as load_into
    from kmodel_tools.api import match as match
    from kmodel_tools.api import merge as merge
    from kmodel_tools.api import propose_map as propose_map
    from kmodel_tools.api import read as read
    from kmodel_tools.api import readers as readers
    from kmodel_tools.api import transfer as transfer
    from kmodel_tools.api import verify as verify
    from kmodel_tools.api import write as write
    from kmodel_tools.converter import Conversion as Conversion
    from kmodel_tools.differ.result import Diff as Diff
    from kmodel_tools.digester import Digest as Digest
    from kmodel_tools.doctor.finding import Evidence as Evidence
    from kmodel_tools.doctor.finding import Finding as Finding
    from kmodel_tools.doctor.readers import Readers as Readers
    from kmodel_tools.editor.joining import Joined as Joined
    from kmodel_tools.errors import AmbiguousFormatError as AmbiguousFormatError
    from kmodel_tools.errors import ConversionError as ConversionError
    from kmodel_tools.errors import CorruptFileError as CorruptFileError
    from kmodel_tools.errors import FileChangedError as FileChangedError
    from kmodel_tools.errors import FormatError as FormatError
    from kmodel_tools.errors import KmtError as KmtError
    from kmodel_tools.errors import MatchError as MatchError
    from kmodel_tools.errors import MissingDependencyError as MissingDependencyError
    from kmodel_tools.errors import UnknownFormatError as UnknownFormatError
    from kmodel_tools.errors import UnsupportedFeatureError as UnsupportedFeatureError
    from kmodel_tools.format import Format as Format
    from kmodel_tools.inspector.summary import Summary as Summary
    from kmodel_tools.matcher import Match as Match
    from kmodel_tools.proposer import Proposal as Proposal
    from kmodel_tools.tensor import ByteRange as ByteRange
    from kmodel_tools.tensor import DType as DType
    from kmodel_tools.tensor import Tensor as Tensor
    from kmodel_tools.tree import Layer as Layer
    from kmodel_tools.tree import Model as Model
    from kmodel_tools.tree import Optimizer as Optimizer
    from kmodel_tools.tree import Slot as Slot
    from kmodel_tools.tree import Weight as Weight
    from kmodel_tools.verifier import Damage as Damage
    from kmodel_tools.verifier import Verification as Verification

__version__ = "0.1.0"

_HOMES = {
    "kmodel_tools.api": (
        "average",
        "convert",
        "detect",
        "diagnose",
        "diff",
        "digest",
        "formats",
        "from_keras",
        "inspect",
        "load_into",
        "match",
        "merge",
        "propose_map",
        "read",
        "readers",
        "transfer",
        "verify",
        "write",
    ),
    "kmodel_tools.converter": ("Conversion",),
    "kmodel_tools.differ.result": ("Diff",),
    "kmodel_tools.digester": ("Digest",),
    "kmodel_tools.doctor.finding": ("Evidence", "Finding"),
    "kmodel_tools.doctor.readers": ("Readers",),
    "kmodel_tools.editor.joining": ("Joined",),
    "kmodel_tools.errors": (
        "AmbiguousFormatError",
        "ConversionError",
        "CorruptFileError",
        "FileChangedError",
        "FormatError",
        "KmtError",
        "MatchError",
        "MissingDependencyError",
        "UnknownFormatError",
        "UnsupportedFeatureError",
    ),
    "kmodel_tools.format": ("Format",),
    "kmodel_tools.inspector.summary": ("Summary",),
    "kmodel_tools.matcher": ("Match",),
    "kmodel_tools.proposer": ("Proposal",),
    "kmodel_tools.tensor": ("ByteRange", "DType", "Tensor"),
    "kmodel_tools.tree": ("Layer", "Model", "Optimizer", "Slot", "Weight"),
    "kmodel_tools.verifier": ("Damage", "Verification"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])  # noqa: PLE0605  # a list all right; the names stand above, once


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


class _Package(types.ModuleType):
    """This package, in which the verb `formats` wins over the sub-package of the same name.

    Importing a sub-package sets it as an attribute of its parent; a property is found first and lets that pass.
    """

    @property
    def formats(self) -> Any:
        return __getattr__("formats")

    @formats.setter
    def formats(self, module: types.ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
