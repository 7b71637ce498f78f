"""What verbs are given: models by path, live or as they are; maps, layers and precisions in any form that people write."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from kmodel_tools.errors import KmtError
from kmodel_tools.formats import read_model
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Model

if TYPE_CHECKING:
    from kmodel_tools.live.frameworks import LiveModel

Readable: TypeAlias = "str | os.PathLike[str] | Model | LiveModel"
Names = str | os.PathLike[str] | Mapping[str, str | None]


def patterns_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Patterns or rules; a string is one of them, and no sequence of letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def model_of(model: Readable, salvage: bool = False, like: Model | None = None) -> Model:
    """The model that is meant; a live one in the spelling of another, where there is one.

    Raises:
        KmtError: There is nothing at the path, or it is no live model.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return read_model(model, None, salvage)
    from kmodel_tools.live import described

    return described(model, like=like).model


def both(a: Readable, b: Readable) -> tuple[Model, Model]:
    """Two models as trees; a live one spells what somebody's own classes leave open as the other does."""
    if isinstance(a, (str, os.PathLike, Model)):
        first = model_of(a)
        return first, model_of(b, like=first)
    second = model_of(b)
    return model_of(a, like=second), second


def by_name(models: Sequence[Readable], names: Sequence[str]) -> dict[str, Model]:
    """Models by what messages call them.

    Raises:
        KmtError: One file is named twice.
    """
    labels = list(names) or [
        os.fspath(model) if isinstance(model, (str, os.PathLike)) else f"model {number}" for number, model in enumerate(models, 1)
    ]
    if len(set(labels)) < len(models):
        raise KmtError("one file is named twice")
    return {label: model_of(model) for label, model in zip(labels, models, strict=True)}


def mapping_of(mapping: Names | None) -> Mapping[str, str | None] | None:
    """A map of names, which may lie in a file."""
    if mapping is None or isinstance(mapping, Mapping):
        return mapping
    from kmodel_tools.map_file import read_map

    return read_map(mapping)


def replacements_of(layers: Mapping[str, str | Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Layers of Keras 3 by the names of those whose place they take."""
    return {name: _replacement(name, new) for name, new in layers.items()}


def _replacement(name: str, new: str | Mapping[str, Any]) -> dict[str, Any]:
    """The layer of Keras 3 that a mapping or a text describes.

    It is a configuration `{"class_name": "Rescaling", "config": {"scale": 0.5}}`, as a mapping or in JSON, or
    `Rescaling(scale=0.5)`, or `@FILE`, which holds one of these.
    """
    from kmodel_tools.architecture.envelope import ConfigError
    from kmodel_tools.architecture.layer_text import LONGEST, checked_layer, layer_from_text

    try:
        if not isinstance(new, str):
            return checked_layer(new)
        if not new.startswith("@"):
            return layer_from_text(new)
        with open(new[1:], encoding="utf-8") as file:
            return layer_from_text(file.read(LONGEST + 1))
    except ConfigError as error:
        raise KmtError(f"the replacement of {name}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise KmtError(f"the replacement of {name} cannot be read: {error}", path=str(new)[1:]) from error


def dtype_of(name: str | None) -> DType | None:
    """The precision of a name, where there is one.

    Raises:
        KmtError: It is none that weights are rounded to.
    """
    if name is None:
        return None
    floats = {dtype.value: dtype for dtype in DType if dtype.is_float}
    if name not in floats:
        raise KmtError(f"weights are not rounded to {name!r}", cure=f"choose one of {', '.join(floats)}")
    return floats[name]
