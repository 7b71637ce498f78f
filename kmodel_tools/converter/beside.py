"""Arrays of a file that belong to no layer: what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from kmodel_tools.tree import Model, Weight

METRICS = re.compile(r"(^|/|::)metrics/")
OF_NESTED = re.compile(r"(^|::)layers/.*/optimizer/")
"""What the optimizer of a nested model keeps, where somebody has compiled that for itself: a GAN's discriminator."""
STATES = re.compile(r"/keras_api/states/[0-9]+/")
RANDOM = re.compile(r"/_random_generator/")


def beside(source: Model, carries: Callable[[Weight], bool], weights_only: bool) -> tuple[list[str], list[str]]:
    """What is left out and what is lost of the arrays that fit nowhere in the tree.

    Args:
        source: The model as it was read.
        carries: Whether the target has a place for such an array.
        weights_only: Whether nothing but weights was asked for.
    """
    left_out, lost = [], []
    extras = [extra for extra in source.extras if not _redundant(source, extra.role) and not carries(extra)]
    metrics = [extra.key for extra in extras if METRICS.search(extra.key)]
    random = [extra.key for extra in extras if RANDOM.search(extra.key)]
    nested = [extra for extra in extras if OF_NESTED.search(extra.key)]
    steps = [extra.key for extra in nested] if all(extra.tensor.shape == () for extra in nested) else []
    states = [extra.key for extra in extras if STATES.search(extra.key)]
    kept = [extra.key for extra in extras if extra.key not in (*metrics, *random, *steps, *states)]
    if states:
        lost.append(f"the states that stateful layers were left in ({len(states)} arrays): they start from zero")
    if random:
        left_out.append(f"{len(random)} states of random generators, which draw anew when a model is loaded")
    if metrics:
        left_out.append(f"{len(metrics)} running values of metrics: no later release reads them")
    if steps:
        left_out.append(f"counters of the optimizers of nested models, which keep nothing else ({len(steps)})")
    if kept and weights_only:
        left_out.append(f"{len(kept)} arrays that belong to no layer: as asked for")
    elif kept:
        listed = ", ".join(kept[:3]) + (" …" if len(kept) > 3 else "")
        lost.append(f"{len(kept)} arrays that belong to no layer ({listed})")
    return left_out, lost


def _redundant(model: Model, role: str) -> bool:
    """Whether an array beside the tree is no loss: a kernel that is stored twice."""
    return any(weight.role == role == "kernel" for _, weight in model.weights())
