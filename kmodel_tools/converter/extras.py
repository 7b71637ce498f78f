"""Arrays that stand beside a model's tree: what they are, and whether anybody misses them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kmodel_tools.tree import Weight

METRICS = re.compile(r"(^|/|::)metrics/")
RANDOM = re.compile(r"/(_random_generator|_rng)/")
STATES = re.compile(r"/keras_api/states/[0-9]+/")
"""What a SavedModel keeps of stateful layers; tf_keras starts from it when it loads one."""
OF_NESTED = re.compile(r"(^|::)layers/.*/optimizer/")
"""What the optimizer of a nested model keeps, where somebody has compiled that for itself: a GAN's discriminator."""
SAVE_COUNTER = "save_counter"
"""How often a `tf.train.Checkpoint` has saved: it numbers its next file by that."""
SHOWN = 3


def arrays_beside(extras: Sequence[Weight]) -> tuple[list[str], list[str]]:
    """What a file cannot hold of the arrays that belong to no layer: lines for what is left out without harm, and for what is lost."""
    left_out, lost = [], []
    metrics = [extra.key for extra in extras if METRICS.search(extra.key)]
    random = [extra.key for extra in extras if RANDOM.search(extra.key)]
    states = [extra.key for extra in extras if STATES.search(extra.key)]
    nested = [extra for extra in extras if OF_NESTED.search(extra.key)]
    steps = [extra.key for extra in nested] if all(extra.tensor.shape == () for extra in nested) else []
    saves = [extra.key for extra in extras if extra.role == SAVE_COUNTER]
    rest = [extra.key for extra in extras if extra.key not in {*metrics, *random, *states, *steps, *saves}]
    if random:
        left_out.append(f"states of random generators, which draw anew when a model is loaded ({len(random)})")
    if metrics:
        left_out.append(f"{len(metrics)} running values of metrics: no later release reads them")
    if saves:
        left_out.append("how often tf.train.Checkpoint has saved, which is no part of the model")
    if steps:
        left_out.append(f"counters of the optimizers of nested models, which keep nothing else ({len(steps)})")
    if states:
        lost.append(f"the states that stateful layers were left in ({len(states)} arrays): they start from zero")
    if rest:
        lost.append(f"{len(rest)} arrays that belong to no layer ({_listed(rest)})")
    return left_out, lost


def line_beside(arrays: Sequence[str]) -> list[str]:
    """What a file cannot hold of the arrays of a checkpoint in which the model is one of several things: a line, or none."""
    return [f"{len(arrays)} arrays that stand beside the model ({_listed(arrays)})"] if arrays else []


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (" …" if len(keys) > SHOWN else "")
