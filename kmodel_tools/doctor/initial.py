"""Whether weights have the values that they were made with: what each initializer makes, and how to tell it by moments and bounds.

Sources: Keras 3.15.1 `initializers/random_initializers.py` and `constant_initializers.py`; Keras 1 and 2 make the same, `glorot_normal` and
its like of Keras 1 and 2.0 as normals that are not truncated.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.envelope import Config
from kmodel_tools.doctor.facts import Facts
from kmodel_tools.tensor import Shape

MOVED, CONSISTENT, EXACT = "moved", "consistent", "exact"
"""It is not what the initializer makes; it has its bounds and moments; it has exactly its values."""
ENOUGH = 64
"""Elements from which moments tell something."""
SIGMAS = 4.0
TRUNCATION = 0.87962566103423978
"""Standard deviation of a normal that is truncated at two of its own."""
SLACK = 1e-5
EINSUM = frozenset({"equation", "num_heads", "num_query_heads"})
"""Settings of layers whose kernels are those of an equation."""

KEYS = {
    "kernel": "kernel_initializer",
    "bias": "bias_initializer",
    "recurrent_kernel": "recurrent_initializer",
    "embeddings": "embeddings_initializer",
    "depthwise_kernel": "depthwise_initializer",
    "pointwise_kernel": "pointwise_initializer",
    "gamma": "gamma_initializer",
    "beta": "beta_initializer",
    "alpha": "alpha_initializer",
}
KEYS_OF_KERAS_1 = {"kernel": "init", "recurrent_kernel": "inner_init", "embeddings": "init"}
SCALINGS: Mapping[str, tuple[float, str, str]] = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}
NAMES = {"zero": "zeros", "one": "ones", "normal": "random_normal", "uniform": "random_uniform", "orthogonal_initializer": "orthogonal"}


@dataclass(frozen=True, slots=True)
class Made:
    """A distribution that an initializer draws from.

    Attributes:
        name: What to call it.
        std: Its standard deviation.
        bound: The largest magnitude that it gives, or None where there is none.
        mean: Its mean.
        spread: Standard error of the measured deviation of n values, times the root of n, by the deviation.
    """

    name: str
    std: float
    bound: float | None
    mean: float = 0.0
    spread: float = 0.75


def state_of(role: str, config: Config, shape: Shape, facts: Facts) -> tuple[str, str] | None:
    """How a weight compares to what its initializer makes: `MOVED`, `CONSISTENT` or `EXACT`, and the initializer's name.

    None where the initializer is not known, or the weight is too small to tell.
    """
    if not facts.is_finite:
        return MOVED, ""
    name, settings = _initializer(role, config)
    if role == "bias" and config.get("unit_forget_bias") and name == "zeros" and len(shape) == 1 and shape[0] % 4 == 0:
        forget = {facts.low, facts.high} <= {0.0, 1.0} and abs(facts.mean - 0.25) < SLACK
        return (EXACT if forget else MOVED), "zeros, ones of the forget gate"
    constant = _constant(name, settings)
    if constant is not None:
        return (EXACT if facts.is_all(constant) else MOVED), name
    if name in ("orthogonal", "identity"):
        fits = facts.orthogonal if name == "orthogonal" else facts.identity
        return (EXACT if fits and facts.count >= 4 else MOVED), name
    found = [_compared(made, facts) for made in _distributions(name, settings, shape, EINSUM & config.keys())]
    if not found or all(item is not None and item[0] == MOVED for item in found):
        return found[0] if found else None
    return next((item for item in found if item is not None and item[0] == CONSISTENT), None)


def _compared(made: Made, facts: Facts) -> tuple[str, str] | None:
    highest = max(abs(facts.low - made.mean), abs(facts.high - made.mean))
    if highest > (made.bound if made.bound is not None else 6 * made.std) * (1 + SLACK):
        return MOVED, made.name
    if facts.count < ENOUGH:
        return None
    root = math.sqrt(facts.count)
    fits = abs(facts.std - made.std) <= SIGMAS * made.spread * made.std / root
    centred = abs(facts.mean - made.mean) <= SIGMAS * made.std / root
    return (CONSISTENT if fits and centred else MOVED), made.name


def _initializer(role: str, config: Config) -> tuple[str, Mapping[str, Any]]:
    value = config.get(KEYS.get(role, ""))
    if value is None:
        value = config.get(KEYS_OF_KERAS_1.get(role, ""), "zeros" if role == "bias" and "init" in config else None)
    settings: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        inner = value.get("config")
        settings = inner if isinstance(inner, Mapping) else {}
        value = value.get("class_name")
    if not isinstance(value, str):
        return "", {}
    name = _snake(value.rpartition(">")[2])
    return NAMES.get(name, name), settings


def _snake(name: str) -> str:
    from kmodel_tools.architecture.names import snake_case

    return snake_case(name) if name != name.lower() else name


def _constant(name: str, settings: Mapping[str, Any]) -> float | None:
    value = settings.get("value", 0.0) if name == "constant" else {"zeros": 0.0, "ones": 1.0}.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _distributions(name: str, settings: Mapping[str, Any], shape: Shape, einsum: Collection[str]) -> list[Made]:
    """What an initializer may draw from for a shape; of a layer with an equation, it depends on the release what goes in and out."""
    numbers = {key: float(value) for key, value in settings.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    if name == "random_uniform":
        low, high = numbers.get("minval", -0.05), numbers.get("maxval", 0.05)
        return [Made(name, (high - low) / math.sqrt(12), (high - low) / 2, (high + low) / 2, 0.45)] if high > low else []
    if name in ("random_normal", "truncated_normal"):
        std, mean = numbers.get("stddev", 0.05), numbers.get("mean", 0.0)
        cut = name == "truncated_normal"
        return [Made(name, std * (TRUNCATION if cut else 1), 2 * std if cut else None, mean)] if std > 0 else []
    kind = settings.get("mode"), settings.get("distribution")
    scale, mode, distribution = SCALINGS.get(name, (numbers.get("scale", 1.0), str(kind[0]), str(kind[1])))
    if (name not in SCALINGS and name != "variance_scaling") or len(shape) < 2 or 0 in shape or scale <= 0:
        return []
    receptive = math.prod(shape[:-2])
    fans = [(shape[-2] * receptive, shape[-1] * receptive)]
    if einsum:
        fans += [(math.prod(shape[:at]), math.prod(shape[at:])) for at in range(1, len(shape))]
    return [_scaled(name, scale / {"fan_in": into, "fan_out": out}.get(mode, (into + out) / 2), distribution) for into, out in fans]


def _scaled(name: str, variance: float, distribution: str) -> Made:
    std = math.sqrt(variance)
    if distribution == "uniform":
        return Made(name, std, std * math.sqrt(3), spread=0.45)
    return Made(name, std, None if distribution == "untruncated_normal" else 2 * std / TRUNCATION)
