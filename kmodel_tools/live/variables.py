"""Variables of live models as tensors, and the giving of new values to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmodel_tools.errors import KmtError, UnsupportedFeatureError
from kmodel_tools.tensor import Buffer, DType, InMemory, Tensor, canonical_strings

if TYPE_CHECKING:
    import numpy.typing as npt

REFUSALS = (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError, KeyError)
"""What the frameworks raise where they are asked for what they cannot do."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveValues:
    """The values of a live variable, as they are when they are asked for.

    Attributes:
        held: The variable, or a layer and the name of an attribute that computes the values (`Computed`).
        name: What to call it in an error.
    """

    held: Any
    name: str

    def blocks(self, limit: int) -> Iterator[Buffer]:
        """Yield the canonical bytes; one array is held, or none where the framework shows its own memory.

        Raises:
            KmtError: The framework does not give them: it builds graphs, or the values lie on other machines.
        """
        import numpy as np

        array = values_of(self.held, self.name)
        if array.dtype.kind in "OSU":
            encoded = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
            yield from InMemory(canonical_strings(encoded)).blocks(limit)
            return
        little = array.dtype.newbyteorder("<") if array.dtype.isbuiltin == 1 else array.dtype
        flat = np.ascontiguousarray(array, little).reshape(-1).view(np.uint8)
        yield from InMemory(flat.data).blocks(limit)


@dataclass(frozen=True, slots=True)
class Computed:
    """What a layer computes from several variables, as Keras stores it."""

    layer: Any
    attribute: str


def values_of(held: Any, name: str) -> npt.NDArray[Any]:
    """The values of a live variable as an array.

    Raises:
        KmtError: The framework does not give them.
    """
    import numpy as np

    try:
        value = getattr(held.layer, held.attribute) if isinstance(held, Computed) else held
        array: npt.NDArray[Any] = np.asarray(value if hasattr(value, "__array__") else value.numpy())
    except REFUSALS as error:
        raise KmtError(f"the values of {name} cannot be had: {error}") from error
    return array


def tensor_of(variable: Any, name: str, computed: Computed | None = None) -> Tensor:
    """A live variable, described.

    Args:
        variable: The variable.
        name: What to call it in an error.
        computed: Where its values are to be taken from instead.

    Raises:
        UnsupportedFeatureError: Its elements are of no known type, or its shape is not fixed.
    """
    dtype = getattr(variable, "_dtype", None) or variable.dtype  # that of Keras 3 changes within a scope of mixed precision
    spelled = dtype if isinstance(dtype, str) else str(getattr(dtype, "name", dtype))
    try:
        element = DType(spelled.removesuffix("_ref"))
        shape = tuple(int(size) for size in variable.shape)
    except (ValueError, TypeError) as error:
        raise UnsupportedFeatureError(f"the variable {name} has a type or shape that is not known: {spelled}, {variable.shape}") from error
    return Tensor(element, shape, LiveValues(computed or variable, name))


def name_of(variable: Any) -> str:
    """The last part of a variable's own name: `dense/kernel:0` → `kernel`."""
    return str(variable.name).split(":", 1)[0].rpartition("/")[2]


def address_of(variable: Any) -> str:
    """The whole name of a variable: its path in Keras 3, `dense/kernel:0` in Keras 2."""
    return str(getattr(variable, "path", variable.name))


def assign(variable: Any, values: npt.NDArray[Any], name: str) -> None:
    """Give a variable new values of its own shape, in place.

    Raises:
        KmtError: The framework refuses.
    """
    try:
        variable.assign(values)
    except REFUSALS as error:
        raise KmtError(f"{name} does not take its new values: {error}") from error
