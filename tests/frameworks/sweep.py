"""Models of tf_keras in four containers, converted to Keras 3: which load there and predict the same, and which do not.

`python -m tests.frameworks.sweep SEED [SIZE] [CLASS …]` runs a zoo of its own (`zoo_layers`, `zoo_models`) and counts.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import kmodel_tools as kmt
from tests.frameworks import making
from tests.frameworks.zoo_forms import forms
from tests.frameworks.zoo_layers import DTYPES, SHAPES, Fresh, Single, singles
from tests.frameworks.zoo_wrapped import Whole, wrapped

Array = npt.NDArray[Any]
CONTAINERS = ("h5", "keras", "saved", "checkpoint")
BATCH = 4
BUNDLE = 12
EXACT = 1e-5
ROUGH = 6e-2
HALVES = ("float16", "bfloat16")
"""Precisions in which two frameworks only agree roughly."""


REFUSED = re.compile(
    "normalizes an Embedding|whose weights no recurrent layer of Keras 3 loads|applies a PReLU, which is not carried|said to differ"
)
"""What Keras 3 cannot do, and errors or the report say."""
DIFFERS = "get other values of attention in Keras 3"
LOST_STATE = re.compile(r"is not exactly carried|the optimizer's state \(")
"""State of optimizers that is not carried, and errors say: the rest of the model is."""


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


def saved(model: Any, folder: str, containers: Sequence[str], traces: bool = False) -> Iterator[tuple[str, str, str | None]]:
    """Save a model; gives each container's name, its path, and that of the architecture beside it."""
    for container in containers:
        path = os.path.join(folder, {"h5": "m.h5", "keras": "m.keras", "saved": "saved", "checkpoint": "w"}[container])
        like = None
        try:
            if container == "checkpoint":
                model.save_weights(path, save_format="tf")
                like = os.path.join(folder, "m.json")
                with open(like, "w", encoding="utf-8") as file:
                    file.write(model.to_json())
            else:
                options = {"save_format": "tf", "save_traces": traces} if container == "saved" else {}
                model.save(path, **options)
        except Exception:  # noqa: BLE001  # whatever it is, tf_keras does not save the model so: no case
            continue
        yield container, path, like


def reloads(K: Any, path: str, like: str | None, given: Any, wanted: Sequence[Array], tolerance: float) -> bool:
    """Whether tf_keras itself has the same predictions from what it saved."""
    try:
        if like is None:
            model = K.models.load_model(path, compile=False)
        else:
            with open(like, encoding="utf-8") as file:
                model = K.models.model_from_json(file.read())
            model.load_weights(path).assert_existing_objects_matched()
        return difference(wanted, flat(model(given, training=False)), tolerance) is None
    except Exception:  # noqa: BLE001  # whatever it is, tf_keras does not reload the model: no case
        return False


def converted(path: str, like: str | None, given: Any, wanted: Sequence[Array], tolerance: float) -> str | None:
    """Convert, load in Keras 3 and predict: what is wrong, or None."""
    destination = f"{path}.3.keras"
    try:
        done = kmt.convert(path, destination, like=like, overwrite=True)
    except kmt.KmtError as error:
        if not LOST_STATE.search(str(error)):
            return f"refused: {error}"
        done = kmt.convert(path, destination, like=like, overwrite=True, lossy=True)
    try:
        model = making.framework("keras").models.load_model(destination)
        why = difference(wanted, flat(model(given, training=False)), tolerance)
        return "said to differ" if why is not None and any(DIFFERS in line for line in done.changes) else why
    except Exception as error:  # noqa: BLE001  # whatever it is, the model does not load
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text[:300]} … {text[-200:]}"


def checked(K: Any, name: str, model: Any, given: Any, containers: Sequence[str], traces: bool = False) -> tuple[list[str], list[Failure]]:
    """The containers that tf_keras reloads a model from, and what failed of them."""
    wanted = flat(model(given, training=False))
    reset(model)
    halves = any(getattr(layer, "compute_dtype", None) in HALVES for layer in model._flatten_layers())
    tolerance = ROUGH if halves else EXACT
    good, bad = [], []
    with tempfile.TemporaryDirectory() as folder:
        for container, path, like in saved(model, folder, containers, traces):
            why = converted(path, like, given, wanted, tolerance)
            if why is not None and REFUSED.search(why):
                continue
            if why is not None and not reloads(K, path, like, given, wanted, tolerance):
                continue
            good.append(container)
            if why is not None:
                bad.append(Failure(name, container, why))
    return good, bad


def reset(model: Any) -> None:
    """Forget the states of recurrent layers."""
    model.reset_states()


def check_singles(K: Any, cases: Sequence[Single], containers: Sequence[str], counts: Counter[str], seed: int = 0) -> list[Failure]:
    """Check layers, several in one model; those of a model that fails are looked at one by one."""
    failures: list[Failure] = []
    valid = sorted((single for single in cases if is_built(K, single)), key=lambda single: "float16" in str(single.arguments.get("dtype")))
    for start in range(0, len(valid), BUNDLE):
        stack = [valid[start : start + BUNDLE]]
        while stack:
            part = stack.pop()
            K.backend.clear_session()
            model, kinds = bundle(K, part)
            randomized(model, seed)
            arrays = fed(kinds, seed)
            given = [arrays[kind] for kind in kinds] if len(kinds) > 1 else arrays[kinds[0]]
            good, bad = checked(K, part[0].name, model, given, containers)
            if len(part) > 1 and (bad or len(good) < len(containers)):
                half = len(part) // 2
                stack += [part[half:], part[:half]]
                continue
            counts.update(dict.fromkeys(good, len(part)))
            failures += bad
    return failures


def check_wholes(
    K: Any,
    cases: Iterable[Whole],
    containers: Sequence[str],
    counts: Counter[str],
    seed: int = 0,
    show: Callable[[list[Failure]], None] = lambda _: None,
    traces: bool = True,
) -> list[Failure]:
    """Check models, each by itself."""
    failures: list[Failure] = []
    for name, build, kinds in cases:
        K.backend.clear_session()
        K.utils.set_random_seed(seed)
        try:
            model = randomized(build(), seed)
            given = arranged(model, kinds, seed)
            model(given, training=False)
        except Exception as error:  # noqa: BLE001  # whatever it is, tf_keras does not take it: no case
            _tell(f"  no case: {name} {error}"[:240], "SHOW" in os.environ)
            continue
        good, bad = checked(K, name, model, given, containers, traces)
        counts.update(good)
        failures += bad
        show(bad)
    return failures


def arranged(model: Any, kinds: Sequence[str], seed: int) -> Any:
    """Arrays for the inputs of a model, as it takes them."""
    arrays = [fed([kind], seed + number)[kind] for number, kind in enumerate(kinds)]
    names = getattr(model, "_nested_inputs", None)
    if isinstance(names, dict):
        return dict(zip(names, arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]


def is_built(K: Any, single: Single) -> bool:
    """Whether tf_keras builds and runs a layer with such arguments."""
    try:
        K.backend.clear_session()
        model, kinds = bundle(K, [single])
        arrays = fed(kinds)
        model([arrays[kind] for kind in kinds] if len(kinds) > 1 else arrays[kinds[0]], training=False)
    except Exception as error:  # noqa: BLE001  # whatever it is, tf_keras does not take it: no case
        _tell(f"  no case: {single.name} {error}"[:240], "SHOW" in os.environ)
        return False
    return True


def main(seed: int, size: int, only: Sequence[str]) -> None:
    """Run a zoo and print what failed."""
    K = making.framework("tf_keras")
    K.utils.set_random_seed(seed)
    containers = os.environ.get("CONTAINERS", " ".join(CONTAINERS)).split()
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    by_class: dict[str, list[Single]] = {}
    if os.environ.get("ONLY") != "models":
        for single in singles(K, seed, size, only):
            by_class.setdefault(single.kind, []).append(single)
    for kind, cases in by_class.items():
        found = check_singles(K, cases, containers, counts, seed)
        _show(found)
        failures += found
        _tell(f"{kind}: {len(cases)} {'failed' if found else ''}")
    if os.environ.get("ONLY") != "layers":
        found = check_wholes(K, wrapped(K, seed, size), containers, counts, seed, _show)
        found += check_wholes(K, forms(K, seed, size), containers, counts, seed, _show)
        failures += found
    failed = Counter(failure.container for failure in failures)
    for container in containers:
        _tell(f"{container}: {counts[container] - failed[container]} of {counts[container]}")


def _tell(text: str, wanted: bool = True) -> None:
    if wanted:
        print(" ".join(text.split()), flush=True)  # noqa: T201  # this is a command


def _show(failures: Sequence[Failure]) -> None:
    for failure in failures:
        _tell(f"FAILED {failure.case} [{failure.container}] {failure.why}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 2, arguments[2:])
