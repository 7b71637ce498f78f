"""The state that each optimizer keeps for a weight, under Keras 3's names, and the order in which files list it.

Optimizers list their variables in *rounds*: a round goes through the trainable weights and gives each of its slots in
turn, so that Adam's one round of (momentum, velocity) reads m0 v0 m1 v1 …, and the two rounds of Keras 2's Adam read
m0 m1 … v0 v1 …. Sources: Keras 3.15.1 `keras/src/optimizers/*.py` (`build`), tf_keras 2.21 `src/optimizers/*.py` and
`legacy/*.py`, Keras 2.2.4 and 1.2.2 `keras/optimizers.py`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from kmodel_tools.architecture.envelope import Config
from kmodel_tools.architecture.names import plain_name
from kmodel_tools.tensor import Shape

Rounds = tuple[tuple[str, ...], ...]

_SLOTS: dict[str, tuple[str, ...]] = {
    "adam": ("momentum", "velocity"),
    "adamw": ("momentum", "velocity"),
    "lamb": ("momentum", "velocity"),
    "nadam": ("momentum", "velocity"),
    "schedulefreeadamw": ("momentum", "velocity"),
    "adamax": ("momentum", "norm"),
    "sgd": ("momentum",),
    "lion": ("momentum",),
    "rmsprop": ("velocity",),
    "adagrad": ("accumulator",),
    "adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "ftrl": ("accumulator", "linear"),
}
_MORE_ROUNDS: dict[str, tuple[str, ...]] = {
    "adam": ("velocity_hat",),
    "adamw": ("velocity_hat",),
    "rmsprop": ("momentum", "average_gradient"),
}
_FIRST_ROUNDS = ("average", "gradient_accumulator")

_SPELLINGS: dict[str, str] = {
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
    "u": "norm",
    "rms": "velocity",
    "mg": "average_gradient",
    "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
}
_SLOT_NAMES = frozenset(
    itertools.chain(
        *_SLOTS.values(), *_MORE_ROUNDS.values(), _FIRST_ROUNDS, _SPELLINGS, ("r", "c", "Momentum", "Adam", "Adam_1", "RMSProp")
    )
)

ITERATIONS = "iterations"
LEARNING_RATE = "learning_rate"
DEFAULT_RATES: dict[str, float] = {
    "sgd": 0.01,
    **dict.fromkeys(("adam", "adamw", "rmsprop", "nadam", "adamax", "adagrad", "adadelta", "ftrl", "adafactor"), 0.001),
}
"""The learning rate of an optimizer that is given by its name alone, where Keras 2.11 to 3.15 agree on it."""
HYPERPARAMETERS = frozenset(
    {
        "decay",
        "beta_1",
        "beta_2",
        "rho",
        "momentum",
        "beta",
        "learning_rate_power",
        "l1_regularization_strength",
        "l2_regularization_strength",
    }
)
"""Settings that the optimizers of Keras up to 2.10 keep as variables (tf_keras 2.21 `optimizers/legacy/*.py`)."""
_COUNTERS = {"iteration": ITERATIONS, "iterations": ITERATIONS, "iter": ITERATIONS, "_iterations": ITERATIONS}


def kind_of(class_name: str | None) -> str:
    """The key of an optimizer's class: `Custom>Adam`, `Adam`, `adam_1` → `adam`."""
    return re.sub(r"(_\d+)?$", "", (class_name or "").rpartition(">")[2]).replace("_", "").lower()


def slot_name(spelling: str, class_name: str | None) -> str:
    """Keras 3's name of a slot that a file spells in its own way."""
    if kind_of(class_name) == "adamax" and spelling in ("v", "u"):
        return "norm"
    return _SPELLINGS.get(spelling, spelling)


def is_slot(name: str) -> bool:
    """Whether a name is what Keras calls a slot, in any generation, and so no optimizer's class."""
    return name in _SLOT_NAMES and name[:1].islower()


def keras_2_slot(slot: str) -> str:
    """What Keras 2 calls a slot in the names of variables."""
    return {"momentum": "m", "velocity": "v"}.get(slot, slot)


def legacy_slot(slot: str, class_name: str | None) -> str:
    """What the optimizers of Keras up to 2.10 call a slot (tf_keras 2.21 `optimizers/legacy/*.py`)."""
    kind = kind_of(class_name)
    if kind == "rmsprop":
        return {"velocity": "rms", "average_gradient": "mg"}.get(slot, slot)
    if kind == "adadelta":
        return {"accumulated_grad": "accum_grad", "accumulated_delta_var": "accum_var"}.get(slot, slot)
    if kind in ("sgd", ""):
        return slot
    return {"momentum": "m", "velocity": "v", "norm": "v", "velocity_hat": "vhat"}.get(slot, slot)


def counter_name(variable: str) -> str:
    """The name of an optimizer's scalar: the last part of its variable name, the step counter always `iterations`."""
    last = plain_name(variable).rpartition("/")[2]
    return _COUNTERS.get(last, last.lstrip("_"))


_SETTINGS = {
    "velocity_hat": lambda config: bool(config.get("amsgrad")),
    "momentum": lambda config: bool(config.get("momentum")),
    "average_gradient": lambda config: bool(config.get("centered")),
    "average": lambda config: bool(config.get("use_ema")),
    "gradient_accumulator": lambda config: bool(config.get("gradient_accumulation_steps")),
}
"""What of an optimizer's configuration makes it keep a slot that it need not have."""


def rounds_of(class_name: str | None, config: Config | None = None, interleaved: bool | None = None) -> Iterator[Rounds]:
    """Every way in which an optimizer may list its slots; nothing for a class that is not known.

    Args:
        class_name: Its class.
        config: Its configuration, or None: then every choice of optional slots is possible.
        interleaved: Whether its slots stand in turn for each weight (Keras 2.11 and later), or slot by slot (before),
            or None where nothing says.
    """
    kind = kind_of(class_name)
    slots = _SLOTS.get(kind)
    if slots is None:
        return
    before, after = _FIRST_ROUNDS, _MORE_ROUNDS.get(kind, ())
    for kept in _choices((*before, *after), config):
        for together in (True, False) if len(slots) > 1 and interleaved is None else (interleaved is not False,):
            own = (slots,) if together else tuple((name,) for name in slots)
            yield (*((name,) for name in before if name in kept), *own, *((name,) for name in after if name in kept))


def _choices(optional: Sequence[str], config: Config | None) -> Iterator[frozenset[str]]:
    if config is not None:
        yield frozenset(name for name in optional if _SETTINGS[name](config))
    for count in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, count):
            if config is None:
                yield frozenset(chosen)


def expected_order(rounds: Rounds, weights: int) -> list[tuple[str, int]]:
    """`(slot, number of the weight)` in the order that `rounds` list them for so many weights."""
    return [(slot, index) for slots in rounds for index in range(weights) for slot in slots]


def canonical_order(class_name: str | None, slots: frozenset[str], weights: int, interleaved: bool = True) -> list[tuple[str, int]] | None:
    """`(slot, number of the weight)` as an optimizer lists them, or None where that has no one answer.

    Args:
        class_name: The optimizer's class, or None: then that of any class that keeps just these slots.
        slots: The slots that it keeps for every weight.
        weights: How many weights it trains.
        interleaved: Whether its slots stand in turn for each weight, as in Keras 2.11 and later, or slot by slot, as before.
    """
    kinds = [kind_of(class_name)] if kind_of(class_name) in _SLOTS else list(_SLOTS) if class_name is None else []
    answers: list[list[tuple[str, int]]] = []
    for kind in kinds:
        for rounds in rounds_of(kind, None, interleaved):
            order = expected_order(rounds, weights)
            if frozenset(itertools.chain(*rounds)) == slots and order not in answers:
                answers.append(order)
    return answers[0] if len(answers) == 1 else None


def by_structure(
    class_name: str | None,
    config: Config | None,
    interleaved: bool | None,
    state: Sequence[tuple[Shape, str]],
    weights: Sequence[Shape],
) -> list[tuple[str, int]] | None:
    """Tell by order and shapes which slot of which weight each array of an optimizer is.

    Args:
        class_name: The optimizer's class.
        config: Its configuration, or None.
        interleaved: Whether its slots stand in turn for each weight, or None where nothing says.
        state: Shape and name of its arrays in the file's order, leading counters left out. A Keras 3 name ends in the
            slot's; "" where the file has none.
        weights: Shapes of the trainable weights in the model's order.

    Returns:
        `(slot, number of the weight)` for each array; None where no order fits or the fitting ones disagree.
    """
    answers: list[list[tuple[str, int]]] = []
    for rounds in rounds_of(class_name, config, interleaved):
        order = expected_order(rounds, len(weights))
        fits = len(order) == len(state) and all(
            weights[index] == shape and (not name or name.endswith(f"_{slot}"))
            for (slot, index), (shape, name) in zip(order, state, strict=True)
        )
        if fits and order not in answers:
            answers.append(order)
    return answers[0] if len(answers) == 1 else None


def subsequences(wanted: Sequence[Shape], given: Sequence[Shape]) -> list[list[int]]:
    """Positions in `given` at which `wanted` stands as a subsequence: no way, the only way, or two of several ways."""
    first = _leftmost(wanted, given)
    if first is None:
        return []
    mirrored = _leftmost(wanted[::-1], given[::-1]) or []
    last = [len(given) - 1 - index for index in mirrored[::-1]]
    return [first] if first == last else [first, last]


def _leftmost(wanted: Sequence[Shape], given: Sequence[Shape]) -> list[int] | None:
    found: list[int] = []
    at = 0
    for shape in wanted:
        while at < len(given) and given[at] != shape:
            at += 1
        if at == len(given):
            return None
        found.append(at)
        at += 1
    return found


def split_slot_name(variable: str) -> list[tuple[str, str]]:
    """The ways to read an optimizer variable's name as (slot's spelling, variable that it belongs to).

    ::

        Adam/dense/kernel/m:0        tf.keras up to 2.10: slot last
        Adam/m/dense/kernel:0        Keras 2.11 and later: slot second
        adam/dense_kernel_momentum   Keras 3: slot behind the variable's path, whose slashes became underscores
    """
    name = plain_name(variable)
    parts = name.split("/")
    found: list[tuple[str, str]] = []
    for start in (0, 1, 2):
        rest = parts[start:]
        if len(rest) < 2:
            break
        if rest[-1] in _SLOT_NAMES and len(rest) > 2:
            found.append((rest[-1], "/".join(rest[:-1])))
        if rest[0] in _SLOT_NAMES:
            found.append((rest[0], "/".join(rest[1:])))
    if len(parts) == 2:
        for slot in sorted(_SLOT_NAMES, key=len, reverse=True):
            if parts[1].endswith(f"_{slot}"):
                found.append((slot, parts[1][: -len(slot) - 1]))
                break
    return found
