"""What the sweeps share: models of the zoo with inputs for them, what is not the same of two predictions, and the command itself."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.frameworks import making
from tests.frameworks.zoo_forms import forms
from tests.frameworks.zoo_layers import DTYPES, SHAPES, Fresh, Single, singles
from tests.frameworks.zoo_wrapped import Whole, wrapped

Array = npt.NDArray[Any]
BATCH = 4
BUNDLE = 12
EXACT = 1e-5
ROUGH = 6e-2
HALVES = ("float16", "bfloat16")
"""Precisions in which two frameworks only agree roughly."""


@dataclass(frozen=True)
class Failure:
    """What did not work: which case, from which container, and what happened."""

    case: str
    container: str
    why: str


def fed(kinds: Sequence[str], seed: int = 0) -> dict[str, Array]:
    """An array for each kind of input."""
    draw = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for kind in kinds:
        shape = (BATCH, *SHAPES[kind.rstrip("!")])
        if kind.startswith("integers"):
            found[kind] = draw.integers(0, 9, shape).astype("int64")
        elif kind == "mask":
            found[kind] = np.arange(6)[None] < np.array([[3], [6], [1], [5]])
        elif kind.startswith("strings"):
            found[kind] = np.array([["a B"], ["c d c d, e"], ["Zz!"], ["b"]])
        else:
            found[kind] = draw.standard_normal(shape).astype("float32")
            if len(shape) > 2:
                found[kind][1, -1] = 0  # a step that masks leave out
    return found


def flat(found: Any) -> list[Array]:
    """Every array of a structure."""
    if isinstance(found, dict):
        return [item for key in sorted(found) for item in flat(found[key])]
    if isinstance(found, (list, tuple)):
        return [item for part in found for item in flat(part)]
    return [found.to_tensor().numpy() if hasattr(found, "to_tensor") else np.asarray(found)]


def difference(wanted: Sequence[Array], found: Sequence[Array], tolerance: float = EXACT) -> str | None:
    """What is not the same, or None."""
    if len(wanted) != len(found):
        return f"{len(found)} outputs instead of {len(wanted)}"
    for number, (want, got) in enumerate(zip(wanted, found, strict=True)):
        if want.shape != got.shape:
            return f"output {number} is {got.shape} and was {want.shape}"
        if want.dtype.kind in "OSU":
            if want.tolist() != got.tolist():
                return f"output {number} has other strings"
            continue
        one, other = np.asarray(want, "float64"), np.asarray(got, "float64")
        if not np.array_equal(np.isnan(one), np.isnan(other)):
            return f"output {number} is not a number elsewhere"
        one, other = np.nan_to_num(one), np.nan_to_num(other)
        worst = np.abs(one - other).max() if one.size else 0.0
        if worst > tolerance * np.abs(one).max() + 1e-6:
            return f"output {number} is off by {worst:.2g} of {np.abs(one).max():.2g}"
    return None


def randomized(model: Any, seed: int = 0) -> Any:
    """A model whose weights tell apart what initial ones do not: no zeros, no ones."""
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.name.rpartition("/")[2]
        dtype = weight.dtype.name if hasattr(weight.dtype, "name") else str(weight.dtype)
        if not dtype.startswith(("float", "bfloat")) or name.startswith("count"):
            continue
        value = weight.numpy().astype("float32") + 0.3 * draw.standard_normal(weight.shape)
        if "variance" in name or "stddev" in name:
            value = np.abs(value) + 0.1
        weight.assign(value.astype(dtype))
    return model


def layer_of(K: Any, single: Single, name: str | None = None) -> Any:
    kind: Any = K.layers
    for part in single.kind.split("."):
        kind = getattr(kind, part)
    made = {key: value.kind(*value.arguments) if isinstance(value, Fresh) else value for key, value in single.arguments.items()}
    return kind(**made, **({"name": name} if name else {}))


def bundle(K: Any, cases: Sequence[Single]) -> tuple[Any, list[str]]:
    """One model of several layers, and the kinds of its inputs."""
    inputs: dict[str, Any] = {}
    outputs = []
    for number, single in enumerate(cases):
        stateful = bool(single.arguments.get("stateful"))
        listed = single.given[0].startswith("[")
        kinds = [f"{kind}!" if stateful else kind for item in single.given for kind in item.strip("[]").split()]
        for kind in kinds:
            if kind not in inputs:
                plain = kind.rstrip("!")
                size = BATCH if stateful else None
                inputs[kind] = K.Input(SHAPES[plain], batch_size=size, name=f"in_{plain}{number}", dtype=DTYPES.get(plain, "float32"))
        tensors = [inputs[kind] for kind in kinds]
        layer = layer_of(K, single, f"x{number}")
        outputs.append(layer(tensors, **single.calls) if listed else layer(*tensors, **single.calls))
    found = [item for output in outputs for item in (output if isinstance(output, (list, tuple)) else [output])]
    values = list(inputs.values())
    return K.Model(values if len(values) > 1 else values[0], found, name="bundle"), list(inputs)


def arranged(model: Any, kinds: Sequence[str], seed: int) -> Any:
    """Arrays for the inputs of a model, as it takes them."""
    arrays = [fed([kind], seed + number)[kind] for number, kind in enumerate(kinds)]
    names = getattr(model, "_nested_inputs", None)
    if isinstance(names, dict):
        return dict(zip(names, arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]


def is_built(K: Any, single: Single) -> bool:
    """Whether a framework builds and runs a layer with such arguments."""
    try:
        K.backend.clear_session()
        model, kinds = bundle(K, [single])
        arrays = fed(kinds)
        model([arrays[kind] for kind in kinds] if len(kinds) > 1 else arrays[kinds[0]], training=False)
    except Exception as error:  # noqa: BLE001  # whatever it is, the framework does not take it: no case
        no_case(single.name, error)
        return False
    return True


def run(
    framework: str,
    containers: Sequence[str],
    layers: Callable[[list[Single], Sequence[str], int], list[Failure]],
    models: Callable[[Iterator[Whole], Sequence[str], int], list[Failure]],
) -> tuple[list[str], Counter[str]]:
    """Run the zoo that the command line asks for, `SEED [SIZE] [CLASS …]`, and print what fails.

    The environment narrows it: CONTAINERS, and ONLY, which is `layers` or `models`.

    Args:
        framework: What the zoo is built with.
        containers: All there are.
        layers: Gives what fails of layers of one class, in some containers, with a seed.
        models: Gives what fails of models.

    Returns:
        The containers that were asked for, and how many failures there were in each.
    """
    arguments = sys.argv[1:]
    seed, size, only = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 2, arguments[2:]
    K = making.framework(framework)
    K.utils.set_random_seed(seed)
    chosen = os.environ.get("CONTAINERS", " ".join(containers)).split()
    failed: Counter[str] = Counter()
    by_class: dict[str, list[Single]] = {}
    if os.environ.get("ONLY") != "models":
        for single in singles(K, seed, size, only):
            by_class.setdefault(single.kind, []).append(single)
    for kind, cases in by_class.items():
        found = layers(cases, chosen, seed)
        failed.update(failure.container for failure in found)
        show(found)
        tell(f"{kind}: {len(cases)} {'failed' if found else ''}")
    for make in (wrapped, forms) if os.environ.get("ONLY") != "layers" else ():
        failed.update(failure.container for failure in models(make(K, seed, size), chosen, seed))
    return chosen, failed


def no_case(name: str, why: object) -> None:
    """Tell that something is no case, to whom it may concern: where SHOW is set."""
    tell(f"  no case: {name} {why}"[:240], "SHOW" in os.environ)


def tell(text: str, wanted: bool = True) -> None:
    """Print a line."""
    if wanted:
        print(" ".join(text.split()), flush=True)  # noqa: T201  # the sweeps are commands


def show(failures: Sequence[Failure]) -> None:
    """Print what failed."""
    for failure in failures:
        tell(f"FAILED {failure.case} [{failure.container}] {failure.why}")
