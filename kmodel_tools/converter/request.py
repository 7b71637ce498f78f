"""What a conversion is asked to do, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kmodel_tools.architecture.custom_objects import CustomObject
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Model


@dataclass(frozen=True, slots=True)
class Request:
    """What a conversion shall do.

    Attributes:
        to: Name of the target format, or None to go by the destination's suffix.
        like: A model whose architecture and layout the weights take on, or None.
        target: The generation to write for, "keras2" or "keras3", or None for that of the source or of the format.
        weights_only: Leave out architecture, training configuration, optimizer and assets.
        optimizer: Whether to carry the optimizer's state.
        select: Patterns; with any, only weights whose path matches one are carried.
        drop: Patterns; weights whose path matches one are not carried. The rest is a whole model if these are its last layers.
        dtype: Precision that floating-point weights are rounded to, or None.
        lossy: Whether what the target cannot hold may go.
        overwrite: Whether a file at the destination may be replaced.
        options: Options of the target format, by name.
        salvage: Whether what cannot be read of the source may go, each as a loss.
        mapping: New paths of layers and weights by their old ones or keys, None for what is left out; or None for no map.
        averages: Whether the moving averages of weights take their place.
        rename: Rules `OLD=NEW` for the names of layers, and of weights where these go alone.
        extract: The path of a nested model or layer that is carried alone, or None.
        verify: Whether every array of the new file is read back and compared before the file takes its place.
        replace_layers: Layers of Keras 3, as archives hold them, by the names or patterns of those whose place they take.
    """

    to: str | None = None
    like: Model | None = None
    target: str | None = None
    weights_only: bool = False
    optimizer: bool = True
    select: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    dtype: DType | None = None
    lossy: bool = False
    overwrite: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    salvage: bool = False
    mapping: Mapping[str, str | None] | None = None
    averages: bool = False
    rename: tuple[str, ...] = ()
    extract: str | None = None
    replace_layers: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes:
        destination: The path that was written.
        source_format: Name of the format that was read.
        target_format: Name of the format that was written.
        weights: Number of weights carried.
        nbytes: Bytes of their values.
        carried: What else was carried, one line each.
        left_out: What was left out as asked for, or since the target is a file of weights.
        inferred: What was concluded and not stated by the source.
        lost: What the target could not hold, and `lossy` let go.
        changes: What is expressed in another way than in the source, and why: a sentence each.
        custom: The classes, functions and Lambda layers in it that Keras does not have.
        stub: The Python that loads it with them, to be filled with their code; "" where nothing is needed, or it is not for Keras 3.
    """

    destination: str
    source_format: str
    target_format: str
    weights: int
    nbytes: int
    carried: tuple[str, ...]
    left_out: tuple[str, ...]
    inferred: tuple[str, ...]
    lost: tuple[str, ...]
    changes: tuple[str, ...] = ()
    custom: tuple[CustomObject, ...] = ()
    stub: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return asdict(self)
