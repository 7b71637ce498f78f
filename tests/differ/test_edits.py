"""Random trees, edited layer by layer: `diff` reports those edits and no others, and the report applied to `a` gives `b`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

import kmodel_tools as kmt
from kmodel_tools.tree import Layer, Model, Weight, join_path, split_path

Array = npt.NDArray[Any]
KINDS = ("Dense", "Conv2D", "BatchNormalization", "Bidirectional")
WHOLE = ("delete", "rename", "move")
"""What happens to a layer as a whole; the others happen to one of its arrays."""
EDITS = (*WHOLE, "transpose", "roll", "flip", "widen", "round", "perturb", "swap", "shape")


@dataclass
class Expected:
    """What has to be reported: `(edit, path in a, path in b)`; of arrays their paths, of layers theirs."""

    edits: set[tuple[str, str, str]] = field(default_factory=set)

    def add(self, edit: str, path_a: str, path_b: str) -> None:
        self.edits.add((edit, path_a, path_b))


def layer(random: np.random.Generator, name: str, kind: str) -> Layer:
    sizes = [int(size) for size in random.integers(2, 5, 4)]

    def weight(role: str, *shape: int) -> Weight:
        values = random.standard_normal(shape).astype(np.float32)
        return Weight(role, kmt.Tensor.of(values), f"{name}:{role}", True)

    if kind == "Dense":
        return Layer(name, None, kind, (weight("kernel", *sizes[:2]), weight("bias", sizes[1] + 3)))
    if kind == "Conv2D":
        return Layer(name, None, kind, (weight("kernel", 3, 3, *sizes[:2]),))
    if kind == "BatchNormalization":
        return Layer(name, None, kind, tuple(weight(role, sizes[0] + 4) for role in ("gamma", "beta", "moving_mean", "moving_variance")))
    cells = [Layer("dense", attr, "Dense", (weight("kernel", *sizes[:2]),)) for attr in ("forward_layer", "backward_layer")]
    return Layer(name, None, kind, (), tuple(cells))


def model(layers: Sequence[Layer]) -> Model:
    configs = [{"class_name": item.class_name, "config": {"name": item.name}} for item in layers]
    return Model(layers=tuple(layers), architecture={"class_name": "Sequential", "config": {"name": "m", "layers": configs}})


def changed(item: Layer, role: str, change: Callable[[Array], Array]) -> Layer:
    """A layer with one array changed, of its first sub-layer where it has none itself."""
    if not item.weights:
        return replace(item, layers=(changed(item.layers[0], role, change), *item.layers[1:]))
    weights = [replace(one, tensor=kmt.Tensor.of(np.ascontiguousarray(change(one.tensor.read())))) for one in item.weights[:1]]
    return replace(item, weights=(*weights, *item.weights[1:]))


def first_path(item: Layer) -> str:
    inner = item if item.weights else item.layers[0]
    above = () if inner is item else (str(inner.attr),)
    return join_path((item.name, *above, inner.weights[0].role))


def first_array(item: Layer) -> Array:
    inner = item if item.weights else item.layers[0]
    return inner.weights[0].tensor.read()


def edited(random: np.random.Generator, layers: list[Layer], wanted: Sequence[str], expected: Expected) -> list[Layer]:
    """Edit a layer each, but for the last one, which stays; then insert."""
    left = [int(place) for place in random.permutation(len(layers) - 1)]
    result: dict[int, Layer | None] = dict(enumerate(layers))
    moved: list[int] = []
    for edit in wanted:
        if not left or edit == "insert":
            continue
        place = left.pop()
        item = layers[place]
        path = first_path(item)
        values = first_array(item)
        if edit == "delete":
            result[place] = None
            expected.add("removed", item.name, "")
        elif edit == "rename":
            result[place] = replace(item, name=f"other_name_of_{item.name}")
            expected.add("renamed", item.name, f"other_name_of_{item.name}")
        elif edit == "move":
            moved.append(place)
        elif edit == "swap":
            twin = next((one for one in left if first_array(layers[one]).shape == values.shape and _alike(layers[one], item)), None)
            if twin is None:
                continue
            left.remove(twin)
            result[place], result[twin] = replace(layers[twin], name=item.name), replace(item, name=layers[twin].name)
            for one, other in ((item, layers[twin]), (layers[twin], item)):
                for path_a, path_b in zip(_paths(other), _paths(one), strict=True):
                    expected.add("exchanged", path_a, path_b)
        else:
            result[place] = _array_edited(random, item, edit, values, path, expected)
    order = [place for place in range(len(layers)) if place not in moved]
    for place in moved:
        order.insert(int(random.integers(0, len(order) + 1)), place)
    kept = [place for place in order if result[place] is not None]
    layers_b = [made for place in kept if (made := result[place]) is not None]
    for number in range(wanted.count("insert")):
        new = layer(random, f"inserted_{number}", KINDS[int(random.integers(len(KINDS)))])
        layers_b.insert(int(random.integers(0, len(layers_b) + 1)), new)
        expected.add("added", "", new.name)
    return layers_b


def _array_edited(random: np.random.Generator, item: Layer, edit: str, values: Array, path: str, expected: Expected) -> Layer:
    axis = int(random.integers(values.ndim))
    if edit == "transpose":
        if values.ndim != 2:
            return item
        expected.add("transposed", path, path)
        return changed(item, "", np.transpose)
    if edit == "roll":
        steps = int(random.integers(1, values.shape[axis]))
        expected.add("flipped or rolled", path, path)
        return changed(item, "", lambda array: np.roll(array, steps, axis))
    if edit == "flip":
        expected.add("flipped or rolled", path, path)
        return changed(item, "", lambda array: np.flip(array, axis))
    if edit in ("widen", "round"):
        expected.add("cast" if edit == "widen" else "rounded", path, path)
        return changed(item, "", lambda array: array.astype(np.float64 if edit == "widen" else np.float16))
    if edit == "shape":
        expected.add("reshaped", path, path)
        # A shape that no other layer has: a deleted one of just that shape would be the likelier partner.
        return changed(item, "", lambda array: random.standard_normal((*array.shape[:-1], array.shape[-1] + 100)).astype(np.float32))
    count = int(random.integers(1, values.size + 1))
    expected.add(f"changed {count}", path, path)

    def perturbed(array: Array) -> Array:
        flat = array.ravel().copy()
        flat[:count] += 1 + random.random(count).astype(np.float32)
        return flat.reshape(array.shape)

    return changed(item, "", perturbed)


def _paths(item: Layer) -> list[str]:
    return [join_path(path) for path, _ in model([item]).weights()]


def _alike(one: Layer, other: Layer) -> bool:
    return [weight.tensor.shape for _, weight in model([one]).weights()] == [weight.tensor.shape for _, weight in model([other]).weights()]


def reported(diff: kmt.Diff) -> set[tuple[str, str, str]]:
    found = {(change.kind, change.path_a, change.path_b) for change in diff.layers if change.kind != "moved"}
    for change in diff.weights:
        kind = f"changed {change.values.changed}" if change.values is not None else "reshaped"
        if change.layout is not None:
            kind = "transposed" if change.layout == "transposed" else "flipped or rolled"
        elif change.values_of is not None:
            found.add(("exchanged", change.values_of, change.path_b))
            continue
        elif change.dtype_a != change.dtype_b and change.values is not None:
            kind = "rounded" if change.differs and change.values.rounded_to == "float16" else "cast"
        found.add((kind, change.path_a, change.path_b))
    return found


def applied(diff: kmt.Diff, a: Model, b: Model) -> Model:
    """`a` with every reported edit made: values of `b` are used for what was added or changed, and for nothing else."""
    gone = {change.path_a for change in diff.layers if change.kind == "removed"}
    names = {change.path_a: change.path_b for change in diff.layers if change.kind == "renamed"}
    values_b = {join_path(path): weight for path, weight in b.weights()}
    values_a = {join_path(path): weight for path, weight in a.weights()}
    changes = {change.path_a: change for change in diff.weights}

    def new_weight(path: str, weight: Weight) -> Weight:
        change = changes.get(path)
        if change is None:
            return weight
        if change.values_of is not None:
            return replace(weight, tensor=values_a[change.values_of].tensor)
        values = weight.tensor.read()
        if change.layout is not None:
            return replace(weight, tensor=kmt.Tensor.of(_arranged(values, change.layout)))
        if change.values is not None and change.dtype_a != change.dtype_b:
            return replace(weight, tensor=kmt.Tensor.of(values.astype(change.dtype_b)))
        return replace(weight, tensor=values_b[change.path_b].tensor)

    def new_layer(path: tuple[str, ...], item: Layer) -> Layer:
        weights = tuple(new_weight(join_path((*path, weight.role)), weight) for weight in item.weights)
        below = tuple(new_layer((*path, *inner.components), inner) for inner in item.layers)
        return replace(item, weights=weights, layers=below)

    layers = [new_layer((item.name,), item) for item in a.layers if item.name not in gone]
    layers = [replace(item, name=names.get(item.name, item.name)) for item in layers]
    placed = {change.path_b: change.after for change in diff.layers if change.kind in ("moved", "added")}
    loose = {item.name: item for item in (*layers, *b.layers) if item.name in placed and (item in layers or item.name not in names)}
    by_name = {item.name: item for item in layers if item.name in placed}
    loose |= by_name
    order = [item for item in layers if item.name not in placed]
    while placed:
        for name, after in list(placed.items()):
            known = [item.name for item in order]
            if not after or after in known:
                order.insert(known.index(after) + 1 if after else 0, loose[name])
                del placed[name]
    return Model(layers=tuple(order))


def _arranged(values: Array, layout: str) -> Array:
    words = layout.split(maxsplit=1)
    if words[0] == "transposed":
        return np.ascontiguousarray(values.T)
    if words[0] == "flipped":
        axes = layout.removeprefix("flipped along axis ").removeprefix("flipped along axes ").strip("()")
        return np.ascontiguousarray(np.flip(values, tuple(int(axis) for axis in axes.split(","))))
    assert words[0] == "rolled", layout
    numbers = layout.removeprefix("rolled by ").split(" along axis ")
    return np.roll(values, int(numbers[0]), int(numbers[1]))


def contents(one: Model) -> list[tuple[str, str, bytes]]:
    found = ((path, weight.tensor.read()) for path, weight in one.weights())
    return [(join_path(path), str(values.dtype) + str(values.shape), values.tobytes()) for path, values in found]


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(KINDS), min_size=2, max_size=9),
    st.lists(st.sampled_from([*EDITS, "insert"]), max_size=7),
)
def test_a_diff_reports_the_edits_and_no_others_and_applied_gives_the_other(seed: int, kinds: list[str], wanted: list[str]) -> None:
    random = np.random.default_rng(seed)
    words = random.permutation(["a", "b", "c", "d", "e", "f", "g", "h", "i"])
    names = [f"{kind.lower()}_{number + 1}" if seed % 2 else f"{words[number]}_of_{number}" for number, kind in enumerate(kinds)]
    if seed % 2:  # names that are counted anew in each session do not tell a layer of another shape from one of those that are gone
        wanted = [edit for edit in wanted if edit != "shape"]
    layers = [layer(random, name, kind) for name, kind in zip(names, kinds, strict=True)]
    expected = Expected()
    a = model(layers)
    b = model(edited(random, layers, wanted, expected))
    diff = kmt.diff(a, b)
    assert reported(diff) == expected.edits
    assert contents(applied(diff, a, b)) == contents(b)
    moved = [change for change in diff.layers if change.kind == "moved"]
    assert len(moved) <= wanted.count("move")
    assert {split_path(item.path)[0] for item in diff.only_a} == {name for kind, name, _ in expected.edits if kind == "removed"}
    assert {split_path(item.path)[0] for item in diff.only_b} == {name for kind, _, name in expected.edits if kind == "added"}
    assert all(change.key == "order of layers" for change in diff.config)
    assert bool(diff.config) <= bool(moved)
