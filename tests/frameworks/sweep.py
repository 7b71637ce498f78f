"""Models of tf_keras in four containers, converted to Keras 3: which load there and predict the same, and which do not.

`python -m tests.frameworks.sweep SEED [SIZE] [CLASS …]` runs a zoo of its own (`zoo_layers`, `zoo_models`) and counts.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import kmodel_tools as kmt
from tests.frameworks import making, sweeping
from tests.frameworks.sweeping import (
    BUNDLE,
    EXACT,
    HALVES,
    ROUGH,
    Array,
    Failure,
    arranged,
    bundle,
    difference,
    fed,
    flat,
    is_built,
    no_case,
    randomized,
    show,
    tell,
)
from tests.frameworks.zoo_layers import Single
from tests.frameworks.zoo_wrapped import Whole

CONTAINERS = ("h5", "keras", "saved", "checkpoint")
REFUSED = re.compile(
    "normalizes an Embedding|whose weights no recurrent layer of Keras 3 loads|applies a PReLU, which is not carried|said to differ"
)
"""What Keras 3 cannot do, and errors or the report say."""
DIFFERS = "get other values of attention in Keras 3"
LOST_STATE = re.compile(r"is not exactly carried|the optimizer's state \(")
"""State of optimizers that is not carried, and errors say: the rest of the model is."""


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
    shown: Callable[[list[Failure]], None] = lambda _: None,
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
            no_case(name, error)
            continue
        good, bad = checked(K, name, model, given, containers, traces)
        counts.update(good)
        failures += bad
        shown(bad)
    return failures


def main() -> None:
    """Run a zoo, print what failed, and count."""
    K = making.framework("tf_keras")
    counts: Counter[str] = Counter()
    containers, failed = sweeping.run(
        "tf_keras",
        CONTAINERS,
        lambda cases, containers, seed: check_singles(K, cases, containers, counts, seed),
        lambda cases, containers, seed: check_wholes(K, cases, containers, counts, seed, show),
    )
    for container in containers:
        tell(f"{container}: {counts[container] - failed[container]} of {counts[container]}")


if __name__ == "__main__":
    main()
