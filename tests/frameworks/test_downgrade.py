"""Models of Keras 3 carried back to Keras 2: tf_keras loads them and predicts the same, and so does Keras 3 what comes back from there.

What stands here is a part of what `python -m tests.frameworks.sweep_back` runs.
"""

from __future__ import annotations

import inspect
import os
from itertools import islice

import pytest

from kmodel_tools.architecture.downgrade.accepted import DEFAULTS, NEEDED, only_in_keras_3, taken
from kmodel_tools.architecture.upgrade.accepted import accepted
from tests.frameworks import making, sweep_back
from tests.frameworks.zoo_forms import forms
from tests.frameworks.zoo_layers import singles
from tests.frameworks.zoo_wrapped import wrapped

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the SpectralNormalization of tf_keras takes parts of tf.keras for its own

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

SEED = 5
PARTS = 3
STEP = 12
"""Of how many models one is looked at."""
HIDDEN = frozenset({"zero_output_for_mask"})
"""Arguments that recurrent layers of tf_keras take among others that they do not list (2.21 `layers/rnn/base_rnn.py`)."""


@pytest.mark.parametrize("part", range(PARTS))
def test_layers(part: int) -> None:
    """Each class as it is by default, from one of the containers."""
    keras = making.framework("keras")
    container = sweep_back.CONTAINERS[part]
    cases = list(islice(singles(keras, SEED, 0, together=True), part, None, PARTS))
    results = sweep_back.Results()
    sweep_back.check_singles(cases, [container], results, SEED)
    assert results.failures == []
    assert results.good[container] > 0.7 * len(cases)


@pytest.mark.parametrize("part", range(PARTS))
def test_models(part: int) -> None:
    keras = making.framework("keras")
    container = sweep_back.CONTAINERS[part]
    every = [*wrapped(keras, SEED, 1), *forms(keras, SEED, 1)]
    results = sweep_back.Results()
    sweep_back.check_wholes(islice(every, part, None, STEP), [container], results, SEED)
    assert results.failures == []
    assert results.good[container] > len(every) / STEP / 2


def test_arguments_are_those_of_the_installed_release() -> None:
    layers = making.framework("tf_keras").layers
    wrong = {}
    for name in accepted():
        known = getattr(layers, name, None)
        if known is None:
            wrong[name] = ["is not there"]
            continue
        listed = {
            argument
            for kind in known.__mro__
            if kind.__module__.startswith("tf_keras")
            for argument in inspect.signature(kind.__init__).parameters
        }
        ours = (taken(name) or frozenset()) - {"name", "dtype", "trainable", "activity_regularizer", "negative_slope"} - HIDDEN
        found = [f"+{argument}" for argument in ours - listed]
        listed -= {"autocast"}  # `Layer` lists it for classes that do not pass it on
        found += [f"-{argument}" for argument in only_in_keras_3(name) if argument in listed]
        if found:
            wrong[name] = sorted(found)
    assert wrong == {}


def test_what_is_left_out_is_the_default_of_the_installed_release() -> None:
    layers = making.framework("tf_keras").layers
    wrong = []
    for name in accepted():
        for kind in getattr(layers, name).__mro__:
            parameters = inspect.signature(kind.__init__).parameters if kind.__module__.startswith("tf_keras") else {}
            for key in DEFAULTS.keys() & parameters.keys() - {key for owner, key in NEEDED if owner == name}:
                default = parameters[key].default
                if default is not inspect.Parameter.empty and default != DEFAULTS[key]:
                    wrong.append(f"{name}: {key}={default!r}")
    assert wrong == []
