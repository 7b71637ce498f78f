"""With a second file: what in the two can change a prediction, most likely first. Built on `differ.diff`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kmodel_tools.damaged import damage_of
from kmodel_tools.differ import diff
from kmodel_tools.differ.result import NOT_COMPARED, Diff, SettingChange, WeightChange
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding, number, shape_text, shown
from kmodel_tools.doctor.kinds import finding
from kmodel_tools.doctor.weights import states
from kmodel_tools.format import JSON_LIMIT
from kmodel_tools.tree import join_path, split_path

OF_TRAINING = frozenset(
    {"rate", "seed", "momentum", "trainable", "noise_shape", "stddev", "dropout", "recurrent_dropout", "loss", "renorm_momentum", "count"}
)
"""Settings that do nothing at inference, besides those that end as `ENDINGS`."""
ENDINGS = ("_initializer", "_regularizer", "_constraint", "_dropout")
NAMES = frozenset({"name", "build_config", "registered_name", "module"})
STATISTICS = frozenset({"moving_mean", "moving_variance"})
SPECIAL = frozenset({"", "[UNK]", "[MASK]", "-1", "0"})
"""Words before the others in an asset, which a configuration leaves out."""
ROUNDING = 1e-5
FEW = 2
"""Elements up to which equal values say nothing: biases of zero are everywhere."""


def compare(case: Case, other: Case) -> Iterator[Finding]:
    """What differs between two files that both open, as far as it can change a prediction.

    Raises:
        FormatError: A value that is needed cannot be read.
    """
    if case.model is None or other.model is None:
        return
    result = diff(case.model, other.model)
    cure = f"kmt diff {case.quoted} {other.quoted}"
    yield from _layers(result, cure)
    yield from _unmatched(result, case, other)
    yield from _weights(result, case, other, cure)
    yield from _settings(result, case, other, cure)
    left = [
        Evidence("", aspect.name, _plainly(aspect.detail))
        for aspect in result.aspects
        if aspect.status == NOT_COMPARED and aspect.name in TOLD
    ]
    if left:
        yield finding("not-compared", left, "model.save('model.keras')  # of both, and compare those")


TOLD = ("weights", "config")
"""Aspects without which nobody can say that two files predict the same."""


def _plainly(detail: str) -> str:
    """A remark of `diff`, with its letters for the two files written out."""
    return re.sub(r"\b([ab]) holds", lambda found: f"the {'first' if found[1] == 'a' else 'second'} file holds", detail)


def _layers(result: Diff, cure: str) -> Iterator[Finding]:
    found = [
        Evidence(change.path_a or change.path_b, change.kind, f"{change.class_a or 'nothing'} → {change.class_b or 'nothing'}")
        for change in result.layers
        if change.kind != "renamed"
    ]
    if found:
        yield finding("layers-differ", found, cure)


def _unmatched(result: Diff, case: Case, other: Case) -> Iterator[Finding]:
    alone = [(item, "in the first file alone") for item in result.only_a] + [(item, "in the second file alone") for item in result.only_b]
    found = [Evidence(item.path, shape_text(item.shape), where) for item, where in alone]
    if found:
        proposed = f"kmt convert {case.quoted} --like {other.quoted} --propose-map names.yaml"
        cure = f"{proposed} && kmt transfer {case.quoted} {other.quoted} --map names.yaml -o {other.converted('_loaded')}"
        yield finding("weights-unmatched", found, cure)


# Weights.


def _weights(result: Diff, case: Case, other: Case, cure: str) -> Iterator[Finding]:
    changed = [change for change in result.weights if change.differs]
    rounded = [change for change in result.weights if not change.differs or _is_rounding(change)]
    left = [change for change in changed if not _is_rounding(change)]
    load = f"kmt transfer {case.quoted} {other.quoted} -o {other.converted('_loaded')}"
    shapes = [change for change in left if change.shape_a != change.shape_b and change.layout is None]
    if shapes:
        yield finding("shapes-differ", [_of_shapes(change) for change in shapes], load)
    turned = [change for change in left if change.layout is not None]
    if turned:
        items = [Evidence(change.path_b, change.layout or "", f"of {change.path_a}") for change in turned]
        yield finding("weights-laid-out-otherwise", items, load)
    left = [change for change in left if change not in shapes and change not in turned]
    moved = _moved(left, case, other)
    if moved:
        yield finding("weights-of-another-layer", [Evidence(path, "has the values of", source) for path, source in moved.items()], load)
        left = [change for change in left if change.path_b not in moved]
    lost, left = _lost(left, case, other)
    if lost:
        yield finding("one-is-untrained", lost, load)
    if left:
        yield from _changed(left, result, other, cure)
    elif (rounded and not changed) or (rounded and len(rounded) == len(result.weights)):
        yield from _rounded(rounded, cure)


def _is_rounding(change: WeightChange) -> bool:
    values = change.values
    if values is None or change.shape_a != change.shape_b or values.nans:
        return False
    return values.rounded_to is not None or (values.max_rel is not None and values.max_rel <= ROUNDING)


def _of_shapes(change: WeightChange) -> Evidence:
    return Evidence(change.path_a, "shape", f"{shape_text(change.shape_a)} → {shape_text(change.shape_b)}")


def _rounded(changes: Iterable[WeightChange], cure: str) -> Iterator[Finding]:
    items = [Evidence(change.path_a, "dtype", f"{change.dtype_a} → {change.dtype_b}") for change in changes]
    yield finding("only-rounding-differs", items, f"{cure} --rtol {ROUNDING:g}")


def _moved(changes: list[WeightChange], case: Case, other: Case) -> dict[str, str]:
    """Weights of the second file that have the values of another weight of the first one, and whose they are."""
    first, second = _digests(case), _digests(other)
    sources: dict[bytes, list[str]] = {}
    for path, digest in first.items():
        sources.setdefault(digest, []).append(path)
    found: dict[str, str] = {}
    for change in changes:
        owners = sources.get(second.get(change.path_b, b""), [])
        if len(owners) == 1 and owners[0] != change.path_a:
            found[change.path_b] = owners[0]
    return found


def _digests(case: Case) -> dict[str, bytes]:
    """A digest of the values of each weight that is not constant, by its path."""
    found: dict[str, bytes] = {}
    for path, weight in case.weights:
        facts = case.facts.get(id(weight))
        if facts is None or facts.count <= FEW or facts.low == facts.high or damage_of(weight.tensor) is not None:
            continue
        digest = hashlib.blake2b(f"{weight.tensor.shape}{weight.tensor.dtype.value}".encode(), digest_size=16)
        for block in weight.tensor.blocks():
            digest.update(block)
        found[join_path(path)] = digest.digest()
    return found


def _lost(changes: list[WeightChange], case: Case, other: Case) -> tuple[list[Evidence], list[WeightChange]]:
    """Changes of layers that are as they were made in one of the files alone, and the others."""
    made = [_made(each) for each in (case, other)]
    found: list[Evidence] = []
    left: list[WeightChange] = []
    for change in changes:
        first, second = (path.rpartition("/")[0] in layers for path, layers in zip((change.path_a, change.path_b), made, strict=True))
        if first != second:
            where = "first" if first else "second"
            found.append(Evidence(change.path_a, "as it was made", f"in the {where} file"))
        else:
            left.append(change)
    return found, left


def _made(case: Case) -> set[str]:
    """Paths of the layers that are as they were made: all of them where none that tells has moved."""
    initial, moved = states(case)
    layers = initial if moved or not initial else {path[:-1]: None for path, _ in case.weights}
    return {join_path(path) for path in layers}


def _changed(changes: list[WeightChange], result: Diff, other: Case, cure: str) -> Iterator[Finding]:
    order = {join_path(path): index for index, (path, _) in enumerate(other.weights)}
    changes = sorted(changes, key=lambda change: order.get(change.path_b, len(order)))
    items = [Evidence(change.path_b, "largest difference", _distance(change)) for change in changes]
    only = all(change.path_b.rpartition("/")[2] in STATISTICS for change in changes)
    same = result.pairing.pairs - len(changes)
    detail = f"They part first in {changes[0].path_b}; {same} of {result.pairing.pairs} weights are equal."
    yield finding("only-statistics-differ" if only and same else "weights-differ", items, cure, detail=detail)


def _distance(change: WeightChange) -> str:
    values = change.values
    if values is None:
        return "not comparable"
    if values.nans:
        return f"{values.nans:,} of {values.size:,} values are NaN in one of the files"
    return f"{number(values.max_abs or 0.0)}, {values.changed:,} of {values.size:,} values"


# Settings.


def _settings(result: Diff, case: Case, other: Case, cure: str) -> Iterator[Finding]:
    told = [change for change in result.config if change.key.partition(".")[0] == "vocabulary"]
    words = [change for change in told if not _same_words(change, case, other)]
    if words or result.assets:
        items = [_of_words(change) for change in words] + [Evidence("", change.key or change.path_a, "differs") for change in result.assets]
        path = next((split_path(change.path_b) for change in words if change.path_b), ())
        yield finding("vocabulary-differs", items, other.line_of_words(path) if path else cure)
    others = [change for change in result.config if change not in told and _last(change) not in NAMES]
    training = [change for change in others if _is_of_training(change)]
    inference = [change for change in others if change not in training]
    if inference:
        yield finding("inference-settings-differ", [_of_setting(change) for change in inference], f"{cure} --only config")
    training += result.training_config
    if training:
        yield finding("training-settings-differ", [_of_setting(change) for change in training], f"{cure} --only config,training_config")


def _same_words(change: SettingChange, case: Case, other: Case) -> bool:
    """Whether the words that one file has in its configuration are those that the other one has in an asset."""
    given, lacking = (change.a, other) if change.a else (change.b, case)
    if (change.a and change.b) or not isinstance(given, (list, tuple)):
        return False
    words = [str(word) for word in given]
    return any(found[-len(words) :] == words and SPECIAL.issuperset(found[: -len(words)]) for found in _words_of_assets(lacking))


def _words_of_assets(case: Case) -> Iterator[list[str]]:
    for asset in () if case.model is None else case.model.assets:
        if asset.name.endswith("vocabulary.txt") and asset.data.length <= JSON_LIMIT:
            yield asset.data.read().decode("utf-8", "replace").split("\n")


def _last(change: SettingChange) -> str:
    return change.key.rpartition(".")[2]


def _is_of_training(change: SettingChange) -> bool:
    keys = change.key.split(".")
    return any(key in OF_TRAINING or key.endswith(ENDINGS) for key in keys)


def _of_words(change: SettingChange) -> Evidence:
    a, b = change.a, change.b
    same = isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and sorted(map(str, a)) == sorted(map(str, b))
    return Evidence(change.path_a, change.key, "the same words in another order" if same else f"{shown(a)} → {shown(b)}")


def _of_setting(change: SettingChange) -> Evidence:
    a, b = _side(change.a, change.missing_a), _side(change.b, change.missing_b)
    return Evidence(change.path_a or change.path_b, change.key, f"{a} → {b}")


def _side(value: Any, missing: bool) -> str:
    return "not set" if missing else shown(value)
