"""Which settings of two configurations differ, by layer and key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmodel_tools.architecture.normal import connections, layer_settings, normal, normal_training, plain_class, walk_specs
from kmodel_tools.architecture.spec import LayerSpec, followed
from kmodel_tools.differ.result import SettingChange
from kmodel_tools.tree import Model, Path, join_path

ORDER = "order of layers"
MISSING = object()


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """Settings that differ, the number of layers whose settings were compared, and a remark on the two generations, or ""."""

    changes: tuple[SettingChange, ...]
    layers: int
    remark: str = ""


def config_changes(a: Model, b: Model, layer_b: Mapping[Path, Path], wanted: Callable[..., bool]) -> ConfigDiff:
    """Compare two architectures.

    Args:
        a: A model with an architecture.
        b: Another.
        layer_b: Paths of layers of `a` that are called otherwise in `b`.
        wanted: Whether a layer with these paths is to be looked at.
    """
    spec_a, spec_b = followed(a), followed(b)
    if spec_a is None or spec_b is None:
        changes = compared("", "", normal(a.architecture), normal(b.architecture))
        return ConfigDiff(tuple(changes), 0, "the configurations cannot be followed, and are compared as they are")
    with_calls = spec_a.era is spec_b.era
    names = {path: other[-1] for path, other in layer_b.items()}
    settings_a, settings_b = _all_settings(spec_a.root, names, with_calls), _all_settings(spec_b.root, {}, with_calls)
    found: list[SettingChange] = []
    count = 0
    for path_a, own_a in settings_a.items():
        path_b = layer_b.get(path_a, path_a)
        if path_b not in settings_b or not wanted(path_a, path_b):
            continue
        count += 1
        found += compared(join_path(path_a), join_path(path_b), *_same_layers(path_a, own_a, settings_b[path_b], names))
    root_a, root_b = spec_a.root.name, spec_b.root.name
    if root_a != root_b and wanted((), ()):
        found.insert(0, SettingChange("", "", "name", root_a, root_b))
    eras = f"{spec_a.era.value} and {spec_b.era.value}"
    return ConfigDiff(tuple(found), count, "" if with_calls else f"configurations of two generations, {eras}")


def _all_settings(root: LayerSpec, names: Mapping[Path, str], with_calls: bool) -> dict[Path, dict[str, Any]]:
    found: dict[Path, dict[str, Any]] = {}
    calls: dict[Path, list[Any]] = {}
    for path, spec in walk_specs(root):
        found[path] = layer_settings(path, spec, names, with_calls)
        if spec.is_model:
            calls |= connections(path, spec, names, with_calls)
    for path, called in calls.items():
        if path in found:
            found[path]["inbound_nodes"] = called
    return found


def _same_layers(path: Path, a: dict[str, Any], b: dict[str, Any], names: Mapping[Path, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two models' settings with the order of the layers that both have; those of one alone are told as layers."""
    if ORDER not in a or ORDER not in b:
        return a, b
    order_a = [names.get((*path, name), name) for name in a[ORDER]]
    common = set(order_a) & set(b[ORDER])
    kept = [[name for name in order if name in common] for order in (order_a, b[ORDER])]
    return {**a, ORDER: kept[0]}, {**b, ORDER: kept[1]}


def training_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[tuple[SettingChange, ...], list[str]]:
    """Compare what two models were compiled with.

    A compiled model has an optimizer: where one side has none, or its name alone, the other's settings are not compared.

    Returns:
        What differs, and what was not compared.
    """
    left, right = normal_training(a), normal_training(b)
    aside: list[str] = []
    one, other = left.get("optimizer"), right.get("optimizer")
    if (one is None) is not (other is None):
        left.pop("optimizer", None)
        right.pop("optimizer", None)
        aside.append(f"the optimizer, which {'a' if one is None else 'b'} does not name")
    elif isinstance(one, dict) and isinstance(other, dict) and ("config" in one) is not ("config" in other):
        left["optimizer"], right["optimizer"] = one.get("class_name"), other.get("class_name")
        aside.append(f"the optimizer's settings, which {'b' if 'config' in one else 'a'} does not hold")
    return tuple(compared("", "", left, right)), aside


def compared(path_a: str, path_b: str, a: Any, b: Any, key: str = "") -> Iterator[SettingChange]:
    """Yield what differs in two values in normal form: of dictionaries and of objects of one class by key, of others as a whole."""
    stack = [(key, a, b)]
    while stack:
        where, left, right = stack.pop()
        if left is not MISSING and right is not MISSING and _equal(left, right):
            continue
        if isinstance(left, dict) and isinstance(right, dict) and _class(left) == _class(right):
            keys = [*left, *(name for name in right if name not in left)]
            stack += [(_dotted(where, name), left.get(name, MISSING), right.get(name, MISSING)) for name in reversed(keys)]
        elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right) and all(isinstance(x, dict) for x in left):
            stack += [(f"{where}[{index}]", left[index], right[index]) for index in reversed(range(len(left)))]
        else:
            gone_a, gone_b = left is MISSING, right is MISSING
            yield SettingChange(path_a, path_b, where, None if gone_a else left, None if gone_b else right, gone_a, gone_b)


def _equal(left: Any, right: Any) -> bool:
    """Equal as JSON data: true is not 1, and NaN is NaN."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    return bool(left == right) or (isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right))


def _class(value: dict[str, Any]) -> Any:
    kind = value.get("class_name")
    return plain_class(kind) if isinstance(kind, str) else None


def _dotted(where: str, name: str) -> str:
    if name == "config":
        return where
    return f"{where}.{name}" if where else name
