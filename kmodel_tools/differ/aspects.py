"""One function for each aspect of two models: it notes what differs, and returns the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kmodel_tools.architecture.normal import is_too_deep
from kmodel_tools.architecture.optimizers import kind_of as optimizer_kind
from kmodel_tools.differ.arrays import Compared, array_changes, by_key, largest_first
from kmodel_tools.differ.exchanged import with_exchanged
from kmodel_tools.differ.partners import layer_changes, layer_partners
from kmodel_tools.differ.result import DIFFERENT, NEITHER, NOT_COMPARED, SAME, Aspect, SettingChange, WeightRecord
from kmodel_tools.differ.settings import config_changes, training_changes
from kmodel_tools.differ.values import Tolerance
from kmodel_tools.matcher import Leftover, Match
from kmodel_tools.tree import Asset, Model, Optimizer, Path, Slot, join_path


@dataclass(frozen=True)
class Task:
    """What is compared, and how; what follows from it is worked out once."""

    a: Model
    b: Model
    match: Match
    tolerance: Tolerance
    new_path: Callable[[Path], Path]
    wanted: Callable[..., bool]

    @cached_property
    def one_container(self) -> bool:
        """Whether both models are from the same kind of file of one generation, so that what one lacks it could hold."""
        kinds = [
            (model.format, model.metadata.get("dialect"), model.metadata.get("keras_version", "").partition(".")[0])
            for model in (self.a, self.b)
        ]
        return kinds[0] == kinds[1]

    @cached_property
    def names_are_sure(self) -> bool:
        """Whether names mean the same on both sides: both have an architecture, or one kind of file wrote both."""
        return self.one_container or (self.a.architecture is not None and self.b.architecture is not None)

    @cached_property
    def layer_b(self) -> dict[Path, Path]:
        """The layers that are paired, by their paths in `a`."""
        return layer_partners(self.a, self.b, self.match, self.new_path)


@dataclass
class Findings:
    """What the aspects have found, under the names that `Diff` has for it."""

    lists: dict[str, Any] = field(default_factory=dict)


def layers(task: Task, findings: Findings) -> Aspect:
    """Layers added, removed and renamed, and their classes."""
    changes, compared, aside = layer_changes(task.a, task.b, task.match, task.layer_b, task.names_are_sure, task.wanted)
    findings.lists["layers"] = changes
    if not compared and not changes:
        if not task.a.layers and not task.b.layers:
            return Aspect("layers", NEITHER, "")
        return Aspect("layers", NOT_COMPARED, "none is in both", tuple(aside))
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    words = [f"{count:,} {'of another class' if kind == 'class' else kind}" for kind, count in counts.items()]
    detail = f"{', '.join(words)}; {_counted(compared, 'layer')} in both" if changes else _counted(compared, "layer")
    return _verdict("layers", bool(changes), detail, aside)


def weights(task: Task, findings: Findings) -> Aspect:
    """Shapes, dtypes and values."""
    match = task.match
    if not match.pairs and not (match.only_a and match.only_b):
        if not match.only_a and not match.only_b:
            return Aspect("weights", NEITHER, "")
        return Aspect("weights", NOT_COMPARED, f"{'a' if match.only_b else 'b'} holds none")
    compared = [(join_path(pair.path_a), pair.a.tensor, join_path(pair.path_b), pair.b.tensor) for pair in match.pairs]
    found = array_changes(compared, task.tolerance)
    found = with_exchanged(found, match.pairs)
    findings.lists["weights"] = largest_first(found)
    for name, items in (("only_a", match.only_a), ("only_b", match.only_b)):
        findings.lists[name] = [_record(item) for item in items]
    changed = sum(change.differs for change in found)
    values = sum(pair.a.tensor.size for pair in match.pairs)
    rounded = sum(change.differs and change.values is not None and change.values.rounded_to is not None for change in found)
    parts = [f"{changed:,} of {_counted(len(match.pairs), 'weight')} changed"] if changed else []
    exchanged, arranged = sum(change.values_of is not None for change in found), sum(change.layout is not None for change in found)
    parts += [f"{exchanged:,} hold values of others"] if exchanged else []
    parts += [f"{arranged:,} hold the same values in another order"] if arranged else []
    parts += [f"{'all' if rounded == changed else f'{rounded:,}'} by rounding alone"] if rounded else []
    parts += [f"{len(items):,} in {side} alone" for side, items in (("a", match.only_a), ("b", match.only_b)) if items]
    parts = parts or [f"{_counted(len(match.pairs), 'weight')}, {_counted(values, 'value')}"]
    recast = sum(change.dtype_a != change.dtype_b for change in found)
    if recast:
        parts.append(f"{recast:,} of other dtypes, cast to compare")
    return _verdict("weights", bool(changed or match.only_a or match.only_b), ", ".join(parts))


def _record(item: Leftover) -> WeightRecord:
    tensor = item.weight.tensor
    reason = item.reason if item.candidates else ""
    return WeightRecord(join_path(item.path), tensor.shape, tensor.dtype.value, reason, tuple(map(join_path, item.candidates)))


def trainable(task: Task, findings: Findings) -> Aspect:
    """Which weights are trained, where both sides say so."""
    known = [pair for pair in task.match.pairs if pair.a.trainable is not None and pair.b.trainable is not None]
    found = [
        SettingChange(join_path(pair.path_a), join_path(pair.path_b), "trainable", pair.a.trainable, pair.b.trainable)
        for pair in known
        if pair.a.trainable is not pair.b.trainable
    ]
    findings.lists["trainable"] = found
    silent = len(task.match.pairs) - len(known)
    if not known:
        flags = [[weight.trainable for _, weight in model.weights()] for model in (task.a, task.b)]
        if not any(flag is not None for side in flags for flag in side):
            return Aspect("trainable", NEITHER, "")
        if not task.match.pairs:
            return Aspect("trainable", NOT_COMPARED, "no weight is in both")
        return Aspect("trainable", NOT_COMPARED, "one side does not say what is trained")
    aside = [f"{_counted(silent, 'weight')} of which one side does not say it"] if silent else []
    detail = f"{len(found):,} of {_counted(len(known), 'flag')} differ" if found else _counted(len(known), "flag")
    return _verdict("trainable", bool(found), detail, aside)


def config(task: Task, findings: Findings) -> Aspect:
    """The settings of every layer, and of the model."""
    absent = _absent("config", task.a.architecture, task.b.architecture)
    if absent:
        return absent
    result = config_changes(task.a, task.b, task.layer_b, task.wanted)
    findings.lists["config"] = result.changes
    places = {(change.path_a, change.path_b) for change in result.changes}
    of_layers = f"{_counted(result.layers, 'configuration')}" if result.layers else "the whole"
    detail = f"{_counted(len(result.changes), 'setting')} in {_counted(len(places), 'place')}" if result.changes else of_layers
    return _verdict("config", bool(result.changes), f"{detail}; {result.remark}" if result.remark else detail)


def training_config(task: Task, findings: Findings) -> Aspect:
    """What was compiled."""
    a, b = task.a.training_config, task.b.training_config
    absent = _absent("training_config", a, b)
    if absent or a is None or b is None:
        return absent or Aspect("training_config", NOT_COMPARED, "")
    found, aside = training_changes(a, b)
    findings.lists["training_config"] = found
    return _verdict("training_config", bool(found), _counted(len(found), "setting") if found else "by key", aside)


def optimizer(task: Task, findings: Findings) -> Aspect:
    """The optimizer's class, its counters, and its state for each weight."""
    a, b = task.a.optimizer, task.b.optimizer
    absent = _absent("optimizer", a, b)
    if absent or a is None or b is None:
        return absent or Aspect("optimizer", NOT_COMPARED, "")
    aside: list[str] = []
    alone: list[SettingChange] = []
    if a.class_name and b.class_name and optimizer_kind(a.class_name) != optimizer_kind(b.class_name):
        alone.append(SettingChange("", "", "class", a.class_name, b.class_name))
    tensors = [*_counters(task, a, b, alone, aside), *_slots(task, a, b, alone, aside)]
    found = largest_first(array_changes(tensors, task.tolerance))
    findings.lists["optimizer"], findings.lists["optimizer_only"] = found, alone
    aside += [
        f"{_counted(len(side.extras), 'array')} of {name}'s optimizer, not tied to weights"
        for name, side in (("a", a), ("b", b))
        if side.extras
    ]
    changed = sum(change.differs for change in found)
    if not tensors and not alone:
        return Aspect("optimizer", NOT_COMPARED, "no state is in both", tuple(aside))
    detail = f"{changed:,} of {_counted(len(tensors), 'array')} changed" if changed else _counted(len(tensors), "array")
    if alone:
        detail += f", {len(alone):,} {'difference' if len(alone) == 1 else 'differences'} of class or in what is there"
    return _verdict("optimizer", bool(changed or alone), detail, aside)


def _counters(task: Task, a: Optimizer, b: Optimizer, alone: list[SettingChange], aside: list[str]) -> list[Compared]:
    both, only_a, only_b = by_key(a.counters, b.counters, lambda counter: counter.role)
    if task.one_container:
        alone += [SettingChange("", "", name, True, missing_b=True) for name in only_a]
        alone += [SettingChange("", "", name, b=True, missing_a=True) for name in only_b]
    elif only_a or only_b:
        aside += [f"{', '.join(names)} of {side}'s optimizer" for side, names in (("a", only_a), ("b", only_b)) if names]
    return [(name, left, name, right) for name, left, right in both]


def _slots(task: Task, a: Optimizer, b: Optimizer, alone: list[SettingChange], aside: list[str]) -> list[Compared]:
    """The slots of weights that are paired; those of one side alone are differences only if the other side has such slots."""
    of_a = {(slot.name, id(slot.weight)): slot for slot in a.slots}
    of_b = {(slot.name, id(slot.weight)): slot for slot in b.slots}
    names_a, names_b = {slot.name for slot in a.slots}, {slot.name for slot in b.slots}
    found: list[Compared] = []
    elsewhere: dict[tuple[str, str], int] = {}
    for pair in task.match.pairs:
        path_a, path_b = join_path(pair.path_a), join_path(pair.path_b)
        for name in sorted(names_a | names_b):
            left, right = of_a.get((name, id(pair.a))), of_b.get((name, id(pair.b)))
            if left is not None and right is not None:
                found.append((f"{name}:{path_a}", left.tensor, f"{name}:{path_b}", right.tensor))
            elif left is not None or right is not None:
                side = "a" if left is not None else "b"
                if task.one_container or name in (names_b if side == "a" else names_a):
                    alone.append(_slot_alone(name, path_a, path_b, left))
                else:
                    elsewhere[name, side] = elsewhere.get((name, side), 0) + 1
    aside += [f"{name} of {_counted(count, 'weight')} in {side}'s optimizer alone" for (name, side), count in elsewhere.items()]
    return found


def _slot_alone(name: str, path_a: str, path_b: str, left: Slot | None) -> SettingChange:
    if left is None:
        return SettingChange(path_a, path_b, name, b=True, missing_a=True)
    return SettingChange(path_a, path_b, name, True, missing_b=True)


def assets(task: Task, findings: Findings) -> Aspect:
    """Files of layers, such as vocabularies, byte by byte."""
    left, right = {asset.name: asset for asset in task.a.assets}, {asset.name: asset for asset in task.b.assets}
    if not left and not right:
        return Aspect("assets", NEITHER, "")
    if not task.one_container and not (left and right):
        return Aspect("assets", NOT_COMPARED, f"{'b' if left else 'a'} holds none")
    found: list[SettingChange] = []
    for name in sorted({*left, *right}):
        one, other = left.get(name), right.get(name)
        if one is None or other is None or not _same_bytes(one, other):
            sizes = [None if item is None else item.data.length for item in (one, other)]
            found.append(SettingChange("", "", name, sizes[0], sizes[1], one is None, other is None))
    findings.lists["assets"] = found
    total = _counted(len({*left, *right}), "file")
    return _verdict("assets", bool(found), f"{len(found):,} of {total} differ" if found else total)


def _same_bytes(a: Asset, b: Asset) -> bool:
    if a.data.length != b.data.length:
        return False
    return all(left == right for left, right in zip(a.data.blocks(), b.data.blocks(), strict=True))


def extras(task: Task, findings: Findings) -> Aspect:
    """Arrays of no layer, by their address in the file, if both files have it; what one has alone may be called otherwise there."""
    a, b = task.a.extras, task.b.extras
    if not a and not b:
        return Aspect("extras", NEITHER, "")
    both, only_a, only_b = by_key(a, b, lambda item: item.key)
    found = largest_first(array_changes([(key, x, key, y) for key, x, y in both], task.tolerance))
    findings.lists["extras"] = found
    aside = [f"{_counted(len(names), 'array')} of no layer in {side} alone" for side, names in (("a", only_a), ("b", only_b)) if names]
    if not both:
        return Aspect("extras", NOT_COMPARED, "; ".join(aside))
    differ = sum(change.differs for change in found)
    total = _counted(len(both), "array")
    return _verdict("extras", differ > 0, f"{differ:,} of {total} differ" if differ else total, aside)


def _absent(name: str, a: object, b: object) -> Aspect | None:
    if a is None and b is None:
        return Aspect(name, NEITHER, "")
    if a is None or b is None:
        return Aspect(name, NOT_COMPARED, f"{'a' if a is None else 'b'} holds none")
    return Aspect(name, NOT_COMPARED, "one is nested too deeply") if is_too_deep(a) or is_too_deep(b) else None


def _verdict(name: str, differs: bool, detail: str, aside: list[str] | None = None) -> Aspect:
    return Aspect(name, DIFFERENT if differs else SAME, detail, tuple(aside or ()))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
