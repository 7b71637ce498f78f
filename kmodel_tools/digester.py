"""Digests of a model's weights that do not depend on the container.

For every weight ``d = blake3(dtype, shape, canonical bytes)``. Then, under naming scheme `kmt1`:

* `weights` = blake3 over ``(path, d)`` in path order: equal when names and values are equal;
* `values`  = blake3 over the sorted ``d``: equal when the values are, whatever they are called.

Every field is preceded by its length, so that no two models can run together into the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from blake3 import blake3

from kmodel_tools.errors import CorruptFileError
from kmodel_tools.parallel import in_parallel
from kmodel_tools.tensor import LENGTH, Tensor
from kmodel_tools.tree import SCHEME, Model, join_path

ALGORITHM = "blake3"


@dataclass(frozen=True, slots=True)
class Digest:
    """The digests of one model, as lower-case hexadecimal text, with the rules they were made by.

    Attributes:
        weights: Over paths and values.
        values: Over values alone.
        layers: `(layer path, digest)` for every layer that owns weights, over its own roles and values.
        all: Over weights, architecture, training configuration and optimizer state, when that was asked for.
        scheme: The naming scheme of the paths.
        algorithm: The hash function.
    """

    weights: str
    values: str
    layers: tuple[tuple[str, str], ...]
    all: str | None = None
    scheme: str = SCHEME
    algorithm: str = ALGORITHM

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return asdict(self)


def digest(model: Model, everything: bool = False) -> Digest:
    """Digest a model's weights, reading each of them once, in blocks, several at a time.

    Args:
        model: The model.
        everything: Also digest the configurations and the optimizer's state, into `Digest.all`.

    Raises:
        FormatError: A weight's bytes cannot be read.
    """
    found = dict(model.weights())
    digests = digests_of([weight.tensor for weight in found.values()])
    weights = dict(zip(found, digests, strict=True))
    layers: dict[tuple[str, ...], list[bytes]] = {}
    for path in sorted(weights):
        layers.setdefault(path[:-1], []).extend((_text(path[-1]), weights[path]))
    named = _fields(part for path in sorted(weights) for part in (_text(join_path(path)), weights[path]))
    return Digest(
        weights=named.hex(),
        values=_fields(sorted(weights.values())).hex(),
        layers=tuple((join_path(path), _fields(parts).hex()) for path, parts in layers.items()),
        all=_everything(model, named).hex() if everything else None,
    )


def _everything(model: Model, named: bytes) -> bytes:
    parts = [named]
    parts += [json.dumps(config, sort_keys=True).encode() for config in (model.architecture, model.training_config)]
    if model.optimizer is not None:
        paths = {id(weight): path for path, weight in model.weights()}
        slots = sorted(((slot.name, paths.get(id(slot.weight), ())), slot.tensor) for slot in model.optimizer.slots)
        for (name, path), tensor in slots:
            parts += [_text(name), _text(join_path(path)), _of_tensor(tensor)]
        for counter in sorted(model.optimizer.counters, key=lambda item: item.role):
            parts += [_text(counter.role), _of_tensor(counter.tensor)]
    return _fields(parts)


def digests_of(tensors: Sequence[Tensor]) -> list[bytes]:
    """The digest of each array: of its dtype, its shape and its bytes.

    Raises:
        FormatError: One of them cannot be read.
    """
    return in_parallel(_of_tensor, tensors, lambda tensor: tensor.nbytes)


def _text(name: str) -> bytes:
    """A name as bytes; one that a file does not have in UTF-8, as its own bytes, and half a pair of JSON's as that half."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def _of_tensor(tensor: Tensor) -> bytes:
    hasher = blake3(_framed(tensor.dtype.value.encode()) + _framed(repr(tensor.shape).encode()))
    done = 0
    for block in tensor.blocks():
        done += memoryview(block).nbytes
        hasher.update(block)
    if tensor.dtype.itemsize is not None and done != tensor.nbytes:
        raise CorruptFileError(f"holds {done} bytes where its shape {tensor.shape} needs {tensor.nbytes}")
    return hasher.digest()


def _fields(parts: Iterable[bytes]) -> bytes:
    hasher = blake3()
    for part in parts:
        hasher.update(_framed(part))
    return hasher.digest()


def _framed(part: bytes) -> bytes:
    return LENGTH.pack(len(part)) + part
