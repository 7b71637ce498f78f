"""Values that are no numbers, or too small; layers that compute in 16 bits; and what `keras.json` of this machine says instead."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.tensor import DType
from kmodel_tools.tree import join_path

HALVES = (DType.FLOAT16, DType.BFLOAT16)
SHARE = 0.01
"""Part of a weight's elements from which denormal ones are told."""
KERAS_JSON_LIMIT = 1 << 16
DEFAULTS = {"image_data_format": "channels_last", "floatx": "float32"}
OTHERS = frozenset({"theano", "cntk", "mxnet", "plaidml.keras.backend"})


def numbers(case: Case) -> Iterator[Finding]:
    """NaN, infinities and denormal numbers among the weights."""
    broken: list[Evidence] = []
    tiny: list[Evidence] = []
    for path, weight in case.weights:
        facts = case.facts.get(id(weight))
        if facts is None:
            continue
        counts = [f"{count:,} {word}" for count, word in ((facts.nans, "NaN"), (facts.infinities, "infinite")) if count]
        if counts:
            broken.append(Evidence(join_path(path), weight.key, f"{', '.join(counts)} of {facts.count:,}"))
        if facts.denormals > SHARE * facts.count:
            tiny.append(Evidence(join_path(path), weight.key, f"{facts.denormals:,} of {facts.count:,}"))
    if broken:
        yield finding("not-a-number", broken, "keras.callbacks.TerminateOnNaN()  # and go back to a checkpoint from before")
    if tiny:
        yield finding("denormals", tiny, CURE_OF_DENORMALS)


CURE_OF_DENORMALS = "for w in model.weights: w.assign(keras.ops.where(abs(w) < 1.2e-38, 0.0, w)) if 'float' in w.dtype else None"


def halves(case: Case) -> Iterator[Finding]:
    """Weights that are stored, and layers that compute, in 16 bits."""
    stored = [(path, weight) for path, weight in case.weights if weight.tensor.dtype in HALVES]
    if stored:
        items = [Evidence(join_path(path), weight.key, weight.tensor.dtype.value) for path, weight in stored]
        yield finding("half-precision", items, f"kmt convert {case.quoted} {case.converted('_float32')} --dtype float32")
    mixed = [
        Evidence(join_path(path), "dtype", policy)
        for path, spec in case.layers
        if not spec.is_model and spec.attr is None and (policy := policy_of(spec.config.get("dtype"))).startswith("mixed_")
    ]
    if mixed:
        yield finding("mixed-policy", mixed, 'for layer in model.layers: layer.dtype_policy = "float32"  # after loading')


def policy_of(value: Any) -> str:
    """The name of a dtype policy, however the configuration writes it."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, Mapping) else ""
    return value if isinstance(value, str) else ""


def settings(case: Case) -> Iterator[Finding]:
    """What the file records of Keras's settings that are others here."""
    if case.model is None or case.spec is None:
        return
    here = keras_json()
    first = [
        path for path, spec in case.layers if spec.config.get("data_format") == "channels_first" or spec.config.get("dim_ordering") == "th"
    ]
    if first and here["image_data_format"] != "channels_first":
        items = [Evidence(join_path(path), "data_format", "channels_first") for path in first]
        items.append(Evidence("", "image_data_format here", here["image_data_format"]))
        yield finding("channels-first", items, 'keras.config.set_image_data_format("channels_first")')
    backend = case.model.metadata.get("backend", "")
    convolves = any("Conv" in spec.class_name for _, spec in case.layers)
    if backend in OTHERS and convolves:
        cure = case.carried("_keras3")
        yield finding("other-backend", [Evidence("", "backend", backend)], cure)
    types = {policy_of(spec.config.get("dtype")) for path, spec in case.layers if path and not spec.is_model and spec.attr is None} - {""}
    plain = {name for name in types if name in ("float16", "bfloat16", "float32", "float64")}
    if len(plain) == 1 and plain != {here["floatx"]} and types == plain:
        items = [Evidence("", "dtype of layers", *plain), Evidence("", "floatx here", here["floatx"])]
        yield finding("floatx-differs", items, f'keras.config.set_floatx("{next(iter(plain))}")')


def keras_json() -> dict[str, str]:
    """The settings of Keras on this machine: those of `keras.json` in KERAS_HOME or `~/.keras`, else what Keras takes without it."""
    folder = os.environ.get("KERAS_HOME") or str(Path("~/.keras").expanduser())
    path = Path(folder) / "keras.json"
    found: Any = None
    try:
        if path.stat().st_size <= KERAS_JSON_LIMIT:
            found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        pass  # Keras too goes on with its defaults
    given = {key: found[key] for key in DEFAULTS if isinstance(found.get(key), str)} if isinstance(found, dict) else {}
    return {**DEFAULTS, **given}


CHECKS = (numbers, halves, settings)
