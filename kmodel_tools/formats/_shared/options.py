"""Reading the values of a writer's options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kmodel_tools.errors import KmtError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:([KMGTkmgt])?[Bb])?")


def chosen(name: str, options: Mapping[str, str], values: Sequence[str]) -> str:
    """The value of an option that has a few; the first of them where it is not given.

    Raises:
        KmtError: It is given another one.
    """
    value = options.get(name, values[0])
    if value not in values:
        raise KmtError(f"{name} cannot be {value!r}", cure=f"it is one of {', '.join(values)}")
    return value


def size_in_bytes(size: str) -> int:
    """A size such as 500MB or 1.5GB, in powers of 1000, as bytes.

    Raises:
        KmtError: It is none.
    """
    match = _SIZE.fullmatch(size.strip())
    if match is None or not float(match[1]):
        raise KmtError(f"{size!r} is not a size", cure="write a number and a unit: 500MB, 5GB")
    power = "KMGT".find(match[2].upper()) + 1 if match[2] else 0
    return max(1, int(float(match[1]) * 1000**power))
