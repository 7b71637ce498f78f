"""What stands beside the variables of a TensorFlow 1 graph: slots, averages, counters, told by their names and shapes.

Names as TensorFlow 1.15.5 and 2.21 (`compat.v1`) write them::

    conv1/kernel/Adam   conv1/kernel/Adam_1        slots of variable conv1/kernel   python/training/slot_creator.py
    train/conv1/kernel/Adam                        … of an optimizer made in a scope
    conv1/kernel/ExponentialMovingAverage          its average                      python/training/moving_averages.py
    bn/bn/moving_mean/biased  …/local_step         what corrects an average         … `_zero_debias`
    global_step  beta1_power  beta2_power          counters                         python/training/adam.py
    training/Adam/dense/kernel/m                   tf.keras                         python/keras/optimizer_v2/*.py
    training/Adam/iter  SGD/lr                     its counters                     python/keras/optimizers.py
    training/SGD/Variable_1                        its slots before 1.13            … which do not say whose they are
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kmodel_tools.architecture.legacy_weights import known_roles
from kmodel_tools.architecture.names import plain_name
from kmodel_tools.architecture.optimizers import counter_name, slot_name
from kmodel_tools.tensor import Tensor

AVERAGE = "average"
SLOTS: dict[str, tuple[str, ...]] = {
    "Adam": ("momentum", "velocity"),
    "AdamW": ("momentum", "velocity"),
    "AdaMax": ("momentum", "norm"),
    "Momentum": ("momentum",),
    "LARSOptimizer": ("momentum",),
    "RMSProp": ("velocity", "momentum"),
    "Adagrad": ("accumulator",),
    "ProximalAdagrad": ("accumulator",),
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "Ftrl": ("accumulator", "linear"),
    "ExponentialMovingAverage": (AVERAGE,),
    "ema": (AVERAGE,),
    "EMA": (AVERAGE,),
    "adam_m": ("momentum",),
    "adam_v": ("velocity",),
}
"""By the default name of an optimizer its slots, numbered in the order of `_create_slots` (python/training/*.py, contrib/opt;
`adam_m` and `adam_v` are those of BERT's optimizer), under Keras 3's names."""

CENTERED = ("velocity", "average_gradient", "momentum")
"""RMSProp's slots with `centered`: one more, in the middle (python/training/rmsprop.py)."""

_KERAS_SLOTS = frozenset({"m", "v", "vhat", "momentum", "rms", "mg", "accumulator", "accum_grad", "accum_var", "linear"})
_KERAS_SETTINGS = frozenset(
    {"iter", "iterations", "lr", "learning_rate", "decay", "momentum", "rho", "beta_1", "beta_2", "m_schedule", "momentum_cache"}
)
_KERAS_SCOPE = re.compile(r"(training(?:_\d+)?/)?(SGD|RMSprop|Adagrad|Adadelta|Adam|Adamax|Nadam|Ftrl|TFOptimizer)(?:_\d+)?/(.+)$")
"""`training` is the name scope of `Model._make_train_function`, the class that of the optimizer in it."""

_COUNTER = re.compile(r"(?:^|/)(?:global_step|beta([12])_power(?:_\d+)?)$")
_LEARNING_RATE = re.compile(r"(?:^|/)OptimizeLoss(?:_\d+)?/learning_rate$")
"""The scope of `tf.contrib.layers.optimize_loss`."""

_CORRECTIONS = frozenset({"biased", "local_step"})
_MAX_SCOPES = 4
"""Scopes before a variable's own name that an optimizer is looked for in; real ones have up to two."""

_MIN_WITNESSES = 2
"""Variables that must have a companion of a name before an unknown name is taken for that of an optimizer."""


@dataclass(slots=True)
class Companions:
    """Names of a checkpoint that are none of a layer's.

    Attributes:
        slots: `(slot, variable)` of each slot, by its name.
        counters: Role of each counter, by its name.
        untied: Arrays of optimizers that do not say which variable they belong to.
        corrections: Arrays that correct an average.
        unknown: Names of slots whose optimizer is not known.
        class_names: Classes of Keras's optimizers that the names tell of.
    """

    slots: dict[str, tuple[str, str]] = field(default_factory=dict)
    counters: dict[str, str] = field(default_factory=dict)
    untied: set[str] = field(default_factory=set)
    corrections: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    class_names: set[str] = field(default_factory=set)

    def __contains__(self, name: object) -> bool:
        """Whether a name is that of a companion."""
        return name in self.slots or name in self.counters or name in self.untied or name in self.corrections


def find_companions(tensors: Mapping[str, Tensor]) -> Companions:
    """Tell the companions among all variables of a checkpoint."""
    return _Finder(tensors).find()


@dataclass(slots=True)
class _Finder:
    """Finds them.

    Attributes:
        tensors: All variables by name.
        plain: The name of each by its plain name, without `:0`.
        held: Scopes, as far as they are looked at, that hold variables which are no slots by their names.
    """

    tensors: Mapping[str, Tensor]
    plain: dict[str, str] = field(init=False)
    held: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.plain = {plain_name(name): name for name in self.tensors}
        self.held = {
            prefix
            for plain, name in self.plain.items()
            if self.tensors[name].shape and _optimizer(plain.rpartition("/")[2]) is None and not _KERAS_SCOPE.match(plain)
            for prefix, _ in _splits(plain)
        }

    def find(self) -> Companions:
        found = Companions()
        unknown: dict[str, dict[str, str]] = {}
        for plain, name in self.plain.items():
            variable, _, last = plain.rpartition("/")
            keras = _KERAS_SCOPE.match(plain)
            if keras is not None and not keras[1] and variable in self.plain and _optimizer(last) is not None:
                keras = None  # a layer that is called as an optimizer, and the slot of its variable
            owner = self._owner(variable, name)
            slot = None if owner is None else self._slot(variable, last, keras)
            if not self.tensors[name].shape and (role := _counter(plain, keras)) is not None:
                found.counters[name] = role
            elif last in _CORRECTIONS and self._is_averaged(variable):
                found.corrections.add(name)
            elif owner is not None and slot is not None:
                found.slots[name] = (slot, owner)
            elif keras is not None and keras[1]:
                found.untied.add(name)
            elif self.plain.get(variable, name) == owner and self.tensors[name].shape and last not in known_roles():
                unknown.setdefault(last, {})[name] = self.plain[variable]
            if keras is not None and name in found:
                found.class_names.add(keras[2])
        for slot, owners in unknown.items():
            if len(owners) >= _MIN_WITNESSES:
                found.unknown.add(slot)
                found.slots |= {name: (slot, owner) for name, owner in owners.items()}
        repeated = Counter(found.counters.values())
        found.counters = {name: role if repeated[role] == 1 else name for name, role in found.counters.items()}
        return found

    def _owner(self, variable: str, name: str) -> str | None:
        """The variable of the same shape under a name, or under its end where what stands before holds optimizers alone."""
        for prefix, rest in _splits(variable):
            owner = self.plain.get(rest)
            if owner is not None and owner != name and self.tensors[owner].shape == self.tensors[name].shape:
                return owner if not prefix or prefix not in self.held or rest.startswith(f"{prefix}/") else None
        return None

    def _slot(self, variable: str, last: str, keras: re.Match[str] | None) -> str | None:
        """Keras 3's name of the slot that the last part of a name tells of; its own for those of a second optimizer."""
        if keras is not None:
            return slot_name(last, keras[2]) if last in _KERAS_SLOTS else None
        known = _optimizer(last)
        if known is None:
            return None
        optimizer, number = known
        slots = SLOTS[optimizer]
        if optimizer == "RMSProp":
            count = sum(f"{variable}/RMSProp{suffix}" in self.plain for suffix in ("", "_1", "_2", "_3"))
            slots = CENTERED if count == len(CENTERED) else slots if count == len(slots) else ()
        return slots[number] if number < len(slots) else last

    def _is_averaged(self, variable: str) -> bool:
        """Whether a name is that of a variable, or of one that stands twice: `bn/bn/moving_mean` (python/training/moving_averages.py)."""
        parts = variable.split("/")
        half = (len(parts) - 1) // 2
        twice = parts[:half] == parts[half:-1] and "/".join(parts[half:]) in self.plain
        return twice or any(rest in self.plain for _, rest in _splits(variable))


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield (scopes, rest) of a name, with no scope first and a few at most."""
    yield "", name
    at = -1
    for _ in range(_MAX_SCOPES):
        at = name.find("/", at + 1)
        if at < 0:
            return
        yield name[:at], name[at + 1 :]


def _optimizer(last: str) -> tuple[str, int] | None:
    """The optimizer that a slot's name tells of, and the slot's number: `Adam_1` → (Adam, 1)."""
    if last in SLOTS:
        return last, 0
    name, _, number = last.rpartition("_")
    return (name, int(number)) if name in SLOTS and number.isascii() and number.isdigit() and len(number) < 4 else None


def _counter(plain: str, keras: re.Match[str] | None) -> str | None:
    """The role of a scalar that an optimizer counts with, or None."""
    if keras is not None and keras[3] in _KERAS_SETTINGS:
        return "learning_rate" if keras[3] == "lr" else counter_name(keras[3])
    known = _COUNTER.search(plain)
    if known is not None:
        return f"beta_{known[1]}_power" if known[1] else "iterations"
    return "learning_rate" if _LEARNING_RATE.search(plain) else None
