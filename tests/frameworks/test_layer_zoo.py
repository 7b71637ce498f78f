"""Layers of tf_keras in many configurations, and models of many forms, from four containers: Keras 3 loads them and predicts the same.

What stands here is a part of what `python -m tests.frameworks.sweep` runs.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from tests.frameworks import making, sweep
from tests.frameworks.zoo_forms import forms
from tests.frameworks.zoo_layers import Single, singles
from tests.frameworks.zoo_wrapped import wrapped

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

SEED = 5
PARTS = 6
TIMES = 2
"""Cases of each class: as it is by default, and this many at random."""


@pytest.mark.parametrize("part", range(PARTS))
def test_layers(part: int) -> None:
    keras = making.framework("tf_keras")
    by_class: dict[str, list[Single]] = {}
    for single in singles(keras, SEED, TIMES, together=True):
        by_class.setdefault(single.kind, []).append(single)
    cases = [single for kind in sorted(by_class)[part::PARTS] for single in by_class[kind]]
    counts: Counter[str] = Counter()
    assert sweep.check_singles(keras, cases, sweep.CONTAINERS, counts, SEED) == []
    assert all(counts[container] > len(cases) / 2 for container in sweep.CONTAINERS)


@pytest.mark.parametrize("part", range(PARTS))
def test_models(part: int) -> None:
    """Each model is saved in one of the containers."""
    keras = making.framework("tf_keras")
    container = sweep.CONTAINERS[part % len(sweep.CONTAINERS)]
    counts: Counter[str] = Counter()
    every = [*wrapped(keras, SEED, 1), *forms(keras, SEED, 1)]
    assert sweep.check_wholes(keras, islice(every, part, None, PARTS), [container], counts, SEED, traces=False) == []
    assert counts[container] > len(every) / PARTS / 2
