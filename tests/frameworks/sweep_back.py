"""Models of Keras 3 in three containers, carried back to Keras 2: which load in tf_keras and predict the same, which are refused.

`python -m tests.frameworks.sweep_back SEED [SIZE] [CLASS …]` runs the zoo of `sweep` as Keras 3 has it, and counts.

Each model goes `.keras`, `.h5` or JSON and weights → `.h5` of Keras 2 → tf_keras, which predicts the same → `.keras` → Keras 3, which
predicts the same, with the same values of weights and the same configuration of every layer.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kmodel_tools as kmt
from kmodel_tools.architecture.downgrade.arguments import OF_TEXT
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
from tests.frameworks.zoo_forms import batch_for
from tests.frameworks.zoo_layers import Single
from tests.frameworks.zoo_wrapped import Whole

CONTAINERS = ("keras", "h5", "json")
LOST_TRAINING = re.compile(r"the training configuration|the optimizer's|optimizer state")
DIFFERS = re.compile("get other values of attention in Keras 2|predictions differ if it is")
SCALED = 2e-7
"""How far weights that were divided by 1.2 and multiplied again may be off, of their size."""
SEEDS = frozenset({"seed", "name"})
OF_KERAS_3_ALONE: Mapping[str, Any] = {
    "use_cudnn": "auto",
    "flash_attention": None,
    "lora_alpha": None,
    "lora_rank": None,
    "fill_value": 0.0,
}


@dataclass(slots=True)
class Results:
    """What a sweep found.

    Attributes:
        good: How many models each container was carried back from.
        refused: How many were refused, by reason and container.
        failures: What went wrong.
    """

    good: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def saved(model: Any, folder: str, containers: Sequence[str]) -> Iterator[tuple[str, str, str | None]]:
    """Save a model of Keras 3; gives each container's name, its path, and that of the architecture beside it."""
    for container in containers:
        path = os.path.join(folder, {"keras": "m.keras", "h5": "m.h5", "json": "m.weights.h5"}[container])
        like = None
        try:
            if container == "json":
                model.save_weights(path)
                like = os.path.join(folder, "m.json")
                with open(like, "w", encoding="utf-8") as file:
                    file.write(model.to_json())
            else:
                model.save(path)
        except Exception:  # noqa: BLE001  # whatever it is, Keras 3 does not save the model so: no case
            continue
        yield container, path, like


def reloads(path: str, like: str | None, given: Any, wanted: Sequence[Array], tolerance: float) -> bool:
    """Whether Keras 3 itself has the same predictions from what it saved."""
    K = making.framework("keras")
    try:
        if like is None:
            model = K.models.load_model(path, compile=False, safe_mode=False)
        else:
            with open(like, encoding="utf-8") as file:
                model = K.models.model_from_json(file.read())
            model.load_weights(path)
        return difference(wanted, flat(model(given, training=False)), tolerance) is None
    except Exception:  # noqa: BLE001  # whatever it is, Keras 3 does not reload the model: no case
        return False


def carried_back(path: str, like: str | None, model: Any, given: Any, wanted: Sequence[Array], tolerance: float) -> str | None:
    """Carry a model to Keras 2 and back again: what is wrong, or None."""
    old, again = f"{path}.2.h5", f"{path}.3.keras"
    report, lost = _converted(path, old, like=like, target="keras2")
    if report is None:
        return lost
    try:
        L = making.framework("tf_keras").layers
        found = making.framework("tf_keras").models.load_model(old, custom_objects={"SpectralNormalization": L.SpectralNormalization})
        why = difference(wanted, flat(found(given, training=False)), tolerance)
        if why is not None:
            return "refused: said to differ" if DIFFERS.search(" ".join(report.changes)) else f"tf_keras: {why}"
    except Exception as error:  # noqa: BLE001  # whatever it is, the model does not load
        return f"tf_keras: {_short(error)}"
    report, why = _converted(old, again)
    if report is None:
        return f"up again: {why}"
    try:
        last = making.framework("keras").models.load_model(again)
        why = difference(wanted, flat(last(given, training=False)), tolerance)
    except Exception as error:  # noqa: BLE001  # whatever it is, the model does not load
        return f"Keras 3: {_short(error)}"
    if why is not None:
        return f"Keras 3: {why}"
    why = other_training(path, old, again, lost or "") if getattr(model, "optimizer", None) is not None and like is None else None
    if why is not None:
        return why
    merged = any(getattr(layer, "lora_rank", None) for layer in model._flatten_layers())  # the factors are in the kernel now
    return (None if merged else other_weights(model, last)) or other_settings(model, last)


def other_training(path: str, old: str, again: str, lost: str) -> str | None:
    """What is not the same when models go on being trained; nothing where what they were trained with is said to be lost."""
    if "training configuration" in lost:
        return None
    try:
        first = making.framework("keras").models.load_model(path)
    except Exception:  # noqa: BLE001  # whatever it is, Keras 3 does not load what it saved: no case
        return None
    second, third = (making.framework(name).models.load_model(each) for name, each in (("tf_keras", old), ("keras", again)))
    if second.optimizer is None or third.optimizer is None:
        return "tf_keras: it is not compiled" if second.optimizer is None else "Keras 3: it is not compiled"
    settings = [json.loads(json.dumps(each.optimizer.get_config(), default=str)) for each in (first, third)]
    if settings[0] != settings[1]:
        return f"the optimizer has {settings[1]} and had {settings[0]}"
    given, targets = batch_for(first)
    for each in (first, second):
        for _ in range(2 if "optimizer" not in lost else 0):
            each.train_on_batch(given, targets)
    for layer in first.layers if "hard_sigmoid" not in first.to_json() else ():  # whose gradients are scaled with the weights
        pairs = zip(layer.get_weights(), second.get_layer(layer.name.replace(" ", "_")).get_weights(), strict=True)
        for number, (want, got) in enumerate(pairs):
            off, size = np.abs(want - got).max(), np.abs(want).max()
            if off > 2e-4 * size + 1e-6:
                return f"tf_keras trains it otherwise: {layer.name} {number} is off by {off:.2g} of {size:.2g}"
    return None


def _converted(path: str, destination: str, **options: Any) -> tuple[kmt.Conversion | None, str | None]:
    """The report of a conversion, or why there is none; a training configuration may be lost."""
    try:
        return kmt.convert(path, destination, overwrite=True, **options), None
    except kmt.KmtError as error:
        if not LOST_TRAINING.search(str(error)):
            return None, f"refused: {error}"
        return kmt.convert(path, destination, overwrite=True, lossy=True, **options), str(error)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]} … {text[-200:]}"


def other_weights(model: Any, last: Any) -> str | None:
    """What is not the same of two models' weights, bit by bit but for the scaled ones."""
    one, other = ([weight for weight in each.weights if weight.name != "seed_generator_state"] for each in (model, last))
    if len(one) != len(other):
        return f"{len(other)} weights instead of {len(one)}"
    names = [[weight.path.replace(" ", "_") for weight in each] for each in (one, other)]
    if sorted(names[0]) == sorted(names[1]):  # operations between layers may change their order
        one, other = (sorted(each, key=lambda weight: weight.path.replace(" ", "_")) for each in (one, other))
    is_scaled = "hard_sigmoid" in model.to_json()
    for want, got in zip(one, other, strict=True):
        a, b = (np.asarray(each.numpy()) for each in (want, got))
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{want.path} is {b.dtype} {b.shape} and was {a.dtype} {a.shape}"
        if a.tobytes() != b.tobytes() and not (
            is_scaled and np.allclose(a.astype("float64"), b.astype("float64"), rtol=_rounding(a), atol=0)
        ):
            return f"{want.path} has other values"
    return None


def _rounding(array: Array) -> float:
    return {"float32": SCALED, "float64": 1e-15}.get(array.dtype.name, 1e-2)


def layers_of(model: Any) -> Iterator[Any]:
    """The layers of a model and of the models inside of it."""
    stack = [model]
    while stack:
        for layer in stack.pop().layers:
            yield layer
            if hasattr(layer, "layers"):
                stack.append(layer)


def other_settings(model: Any, last: Any) -> str | None:
    """What is not the same of the configurations of two models' layers."""
    one, other = ({layer.name: layer for layer in layers_of(each)} for each in (model, last))
    for name, layer in one.items():
        found = other.get(re.sub(r"[^A-Za-z0-9_.>-]", "_", name), other.get(name))
        if found is None:
            return f"there is no layer {name}"
        if type(layer) is not type(found):
            if type(layer).__name__ == "Activation" and type(found).__name__ == "Sequential":
                continue
            if type(found).__name__ == "Sequential" and getattr(layer, "data_format", None) == "channels_first":
                continue  # `upgrade.channels` puts it between two layers that turn the image
            if type(layer).__name__ == "Identity" and type(found).__name__ == "Activation":
                continue
            return f"{name} is a {type(found).__name__} and was a {type(layer).__name__}"
        if hasattr(layer, "layers"):
            continue
        a, b = layer.get_config(), found.get_config()
        if "'hard_sigmoid'" in str(a) and "'Activation'" in str(a):  # two layers stand for it
            continue
        if type(layer).__name__ in OF_TEXT:  # their dtype is that of what they put out
            a.pop("dtype"), b.pop("dtype")
        if (key := _other_key(a, b)) is not None:
            return f"{type(layer).__name__} has {key}={b.get(key)!r} and had {a.get(key)!r}"
    return None


def _other_key(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    for key in {**one, **other}:
        if key in SEEDS or (key in OF_KERAS_3_ALONE and other.get(key) == OF_KERAS_3_ALONE[key]):
            continue
        if _plain(one.get(key)) != _plain(other.get(key)):
            return key
    return None


def _plain(value: Any) -> Any:
    """A value without the objects around it, and without seeds that were drawn; functions that tf_keras lacks as what stands for them."""
    if isinstance(value, Mapping) and value.get("class_name") in ("LeakyReLU", "ReLU") and value["config"]["name"] != value["class_name"]:
        settings = value["config"]
        if settings.get("negative_slope") == 0.2 or settings.get("max_value") == 6.0:
            return "leaky_relu" if value["class_name"] == "LeakyReLU" else "relu6"
    if isinstance(value, str):  # names of layers inside, whose spaces are no signs of TensorFlow's
        return value.replace("celu", "elu").replace(" ", "_")
    if isinstance(value, Mapping):
        if value.get("class_name") == "SeedGenerator":
            return None
        return {
            key: _plain(item)
            for key, item in value.items()
            if key not in ("input_axes", "output_axes", "build_config", "name", "shared_object_id")
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def checked(name: str, model: Any, given: Any, containers: Sequence[str], results: Results, give_up: bool = False) -> bool:
    """Check one model from every container; whether all went well. Refusals and failures are only noted unless it is to give up."""
    wanted = flat(model(given, training=False))
    reset(model)
    halves = any(getattr(layer, "compute_dtype", None) in HALVES for layer in model._flatten_layers())
    tolerance = ROUGH if halves else EXACT
    good: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for container, path, like in saved(model, folder, containers):
            why = carried_back(path, like, model, given, wanted, tolerance)
            if why is None:
                good.append(container)
                continue
            if give_up:
                return False
            if why.startswith("refused:"):
                results.refused[f"[{container}] {reason(why)}"] += 1
                tell(f"  refused: {name} {why}", "REFUSED" in os.environ)
            elif reloads(path, like, given, wanted, tolerance):
                results.failures.append(Failure(name, container, why))
            else:
                no_case(f"{name} [{container}]", why)
    if give_up and len(good) < len(containers):
        return False
    results.good.update(good)
    return True


def reason(why: str) -> str:
    """A refusal without the names of layers."""
    text = re.sub(r"^.*?: the layer \S+ \(", "(", why.replace("refused: ", ""))
    return text.partition(";")[0][:160]


def reset(model: Any) -> None:
    """Forget the states of recurrent layers."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def check_singles(cases: Sequence[Single], containers: Sequence[str], results: Results, seed: int = 0) -> None:
    """Check layers, several in one model; those of a model that fails are looked at one by one."""
    K = making.framework("keras")
    valid = [single for single in cases if is_built(K, single)]
    for start in range(0, len(valid), BUNDLE):
        stack = [valid[start : start + BUNDLE]]
        while stack:
            part = stack.pop()
            clear()
            model, kinds = bundle(K, part)
            finalized(randomized(model, seed))
            arrays = fed(kinds, seed)
            given = [arrays[kind] for kind in kinds] if len(kinds) > 1 else arrays[kinds[0]]
            if len(part) == 1:
                checked(part[0].name, model, given, containers, results)
            elif checked(part[0].name, model, given, containers, results, give_up=True):
                results.good.update({container: len(part) - 1 for container in containers})
            else:
                half = len(part) // 2
                stack += [part[half:], part[:half]]


def check_wholes(cases: Iterable[Whole], containers: Sequence[str], results: Results, seed: int = 0) -> None:
    """Check models, each by itself."""
    K = making.framework("keras")
    for name, build, kinds in cases:
        clear()
        K.utils.set_random_seed(seed)
        try:
            model = finalized(randomized(build(), seed))
            given = arranged(model, kinds, seed)
            model(given, training=False)
        except Exception as error:  # noqa: BLE001  # whatever it is, Keras 3 does not take it: no case
            no_case(name, error)
            continue
        before = len(results.failures)
        checked(name, model, given, containers, results)
        show(results.failures[before:])


def finalized(model: Any) -> Any:
    """A model whose normalizing layers know of their new statistics."""
    for layer in model._flatten_layers():
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()
    return model


def clear() -> None:
    """Let both frameworks forget what they have built."""
    for name in making.FRAMEWORKS:
        making.framework(name).backend.clear_session()


def main() -> None:
    """Run a zoo, print what failed and what was refused, and count."""
    results = Results()

    def layers(cases: list[Single], containers: Sequence[str], seed: int) -> list[Failure]:
        before = len(results.failures)
        check_singles(cases, containers, results, seed)
        return results.failures[before:]

    def models(cases: Iterator[Whole], containers: Sequence[str], seed: int) -> list[Failure]:
        before = len(results.failures)
        check_wholes(cases, containers, results, seed)
        return results.failures[before:]

    containers, failed = sweeping.run("keras", CONTAINERS, layers, models)
    for text, count in results.refused.most_common():
        tell(f"refused {count}: {text}")
    for container in containers:
        tell(f"{container}: {results.good[container]} of {results.good[container] + failed[container]}")


if __name__ == "__main__":
    main()
