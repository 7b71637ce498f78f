"""The dtype that operands become in Keras 3, where TensorFlow raises.

Source: Keras 3.15.1 `backend/common/dtypes.py`: the lattice of JAX, in which Python's numbers are weak: they have a kind and no size.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

WEAK_INT, WEAK_FLOAT = "int", "float"
FLOATS = frozenset({"bfloat16", "float16", "float32", "float64"})
SIGNED = frozenset({"int8", "int16", "int32", "int64"})
UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint64"})
INTEGERS = SIGNED | UNSIGNED
KNOWN = FLOATS | INTEGERS | {"bool"}

_ABOVE: Mapping[str, tuple[str, ...]] = {
    "bool": (WEAK_INT,),
    WEAK_INT: ("uint8", "int8"),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": (WEAK_FLOAT,),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": (WEAK_FLOAT,),
    WEAK_FLOAT: ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
}
_RESOLVED = {WEAK_INT: "int32", WEAK_FLOAT: "float32", "uint64": "uint32"}
"""What a weak kind is in the end, and the one dtype that Keras makes smaller."""


def result_type(*dtypes: str) -> str:
    """The dtype that operands of some dtypes become together; `int` and `float` stand for Python's numbers.

    Raises:
        KeyError: One of them is no dtype of numbers.
    """
    given = set(dtypes)
    if len(given) == 1:
        found = dtypes[0]
    else:
        common = frozenset.intersection(*(_upper(dtype) for dtype in given))
        found = next(dtype for dtype in common if common <= _upper(dtype))
    return _RESOLVED.get(found, found)


@functools.cache
def _upper(dtype: str) -> frozenset[str]:
    """A dtype and all that it can become."""
    return frozenset({dtype}).union(*(_upper(above) for above in _ABOVE[dtype]))


def floating(dtype: str) -> str:
    """The dtype of a function of real numbers: integers become `float32`."""
    return dtype if dtype in FLOATS else "float32"
