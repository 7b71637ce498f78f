"""Turning a store of Keras's weights layout into layers: which group is which layer, which dataset which weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from kmodel_tools.architecture.envelope import Config
from kmodel_tools.architecture.layer_classes import assign, canonical_class, class_with_parts, sublayers_of
from kmodel_tools.architecture.layer_table import CELLS, Variable
from kmodel_tools.architecture.names import class_of_group, file_class, is_index, snake_case
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec
from kmodel_tools.architecture.store_layout import LAYERS
from kmodel_tools.formats._shared.keras_store import CONTAINERS_OF_LAYERS, OPTIMIZER, Store, StoredGroup
from kmodel_tools.formats._shared.repeated_layers import expects_weights, repeats, same_layer
from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Note, Weight, make_from_below

NOT_LAYERS = frozenset({OPTIMIZER, "metrics"})
ABSENT = ""

COUNTED_TWICE = ("2.12.", "2.13.")
"""Keras versions whose containers list a layer that has weights twice, and count it each time."""
COUNTED_ONCE = ("2.",)
"""Keras versions (the others before 3.0) that give no number to an object that was stored on an earlier path."""


@dataclass(frozen=True, slots=True)
class StoreContents:
    """A store, interpreted.

    Attributes:
        unordered: Objects of an unknown class that hold several sub-layers: the file has them by the alphabet, and
            Keras counts their weights in the order in which the attributes were set.
    """

    name: str
    layers: tuple[Layer, ...]
    own_weights: tuple[Weight, ...]
    optimizer_name: str | None
    optimizer: tuple[Weight, ...]
    extras: tuple[Weight, ...]
    notes: tuple[Note, ...]
    unordered: tuple[str, ...]


def interpret(store: Store, spec: ModelSpec | None, keras_version: str | None = None) -> StoreContents:
    """Turn a store into layers.

    Args:
        store: The groups of the file.
        spec: What the model's configuration says, or None for a bare weights file; then classes are taken from the
            names of groups, and roles from the shapes, as far as only one built-in answer is possible.
        keras_version: The version that wrote the file, where it says so.
    """
    return _Interpreter(store, spec, keras_version or "").run()


@dataclass(slots=True, eq=False)
class _Object:
    """A saveable object on its way to becoming a Layer; without a path, it is not in the file.

    `is_foreign` means that its group is named for a class that is not built in; an object that is not `announced` was
    found under an attribute, and neither a configuration nor a known class speaks of it.
    """

    path: str | None
    name: str
    attr: str | None = None
    class_name: str | None = None
    spec: LayerSpec | None = None
    weights: tuple[Weight, ...] = ()
    children: list[_Object] = field(default_factory=list)
    is_foreign: bool = False
    announced: bool = True


class _Interpreter:
    def __init__(self, store: Store, spec: ModelSpec | None, keras_version: str) -> None:
        self.store = store
        self.root_spec = spec.root if spec else None
        self.twice = keras_version.startswith(COUNTED_TWICE)
        self.once = keras_version.startswith(COUNTED_ONCE) and not self.twice
        self.repeats = repeats(self.root_spec) if self.root_spec and self.once else set()
        self.used: set[str] = set()
        self.extras: list[Weight] = []
        self.notes: list[Note] = []
        self.guessed_classes = 0
        self.guessed_roles = 0
        self.unknown_roles = 0
        self.unordered: list[str] = []
        self.filled = self._groups_with_arrays()

    def run(self) -> StoreContents:
        root_group = self.store.groups[""]
        spec = self.root_spec
        root = _Object("", root_group.name or (spec.name if spec else ""), None, spec.class_name if spec else "Model", spec)
        objects = self._resolve(root)
        self._reuse_shared(objects)
        layers = make_from_below(root.children, attrgetter("children"), _layer)
        optimizer = self._below(OPTIMIZER)
        self.extras.extend(self._unused())
        return StoreContents(
            root.name,
            layers,
            root.weights,
            self.store.groups[OPTIMIZER].name if OPTIMIZER in self.store.groups else None,
            tuple(optimizer),
            tuple(self.extras),
            tuple(self._final_notes()),
            tuple(self.unordered),
        )

    # Which groups are which objects: from the root down.

    def _resolve(self, root: _Object) -> list[_Object]:
        found: list[_Object] = []
        stack = [root]
        while stack:
            item = stack.pop()
            found.append(item)
            if item.path is None:
                continue
            item.weights = self._own_weights(item)
            item.children = list(self._children(item))
            if _is_unordered(item):
                self.unordered.append(item.name or "the model")
            stack.extend(reversed(item.children))
        return found

    def _children(self, item: _Object) -> Iterator[_Object]:
        spec = item.spec
        taken: set[str] = set()
        if spec is not None and spec.is_model:
            yield from self._model_children(item, spec, taken)
        elif spec is not None:
            yield from self._attribute_children(item, spec, taken)
        elif item.class_name is not None or self._concluded(item):
            assert item.class_name is not None
            yield from self._known_children(item, item.class_name, taken)
        yield from self._found_children(item, taken)

    def _concluded(self, item: _Object) -> bool:
        """Conclude an object's class from the sub-layers that it holds, where only one built-in class holds those."""
        if item.path and not item.is_foreign:
            held = {name.lstrip("_") for name in self.store.groups[item.path].children if self._at(item, name) in self.filled}
            item.class_name = class_with_parts(frozenset(held))
            self.guessed_classes += item.class_name is not None
        return item.class_name is not None

    def _model_children(self, item: _Object, spec: LayerSpec, taken: set[str]) -> Iterator[_Object]:
        """The layers of a graph or list of layers, by name, or by the numbers that the writer gave their classes."""
        container = next((name for name in CONTAINERS_OF_LAYERS if self._at(item, name) in self.store.groups), LAYERS)
        inside = self.store.groups.get(self._at(item, container), StoredGroup()).children
        names = {self.store.groups[self._at(item, f"{container}/{group}")].name: group for group in inside}
        for child, number in zip(spec.children, self._numbered(item, container, spec.children), strict=True):
            group = names.get(child.name, number)  # where the writer left names, they are better than our counting
            path = self._at(item, f"{container}/{group}")
            stored = self.store.groups.get(path) if group is not ABSENT else None
            present = stored is not None and (not child.name or stored.name in (None, child.name))
            if present:
                taken.add(path)
            # A layer of somebody's own may leave its name out of its configuration.
            name = child.name or (stored.name if stored is not None else None) or ""
            yield _Object(path if present else None, name, None, child.class_name, child)

    def _numbered(self, item: _Object, container: str, children: Sequence[LayerSpec]) -> Iterator[str]:
        """The group of each layer: class in snake case, and how many of that class the writer has counted before."""
        skipped = self._skipped(item, container, children)
        used: dict[str, int] = {}
        for child in children:
            name = snake_case(file_class(child.class_name))
            count = used.get(name, 0)
            group = f"{name}_{count}" if count else name
            counted_again = self.twice and self._at(item, f"{container}/{group}") in self.filled
            used[name] = count + (0 if id(child) in skipped else 1 + counted_again)
            yield ABSENT if id(child) in skipped else group

    def _skipped(self, item: _Object, container: str, children: Sequence[LayerSpec]) -> set[int]:
        """The layers that were not counted since they were stored before: those that repeat, if so many are missing."""
        groups = self.store.groups.get(self._at(item, container))
        repeated = [child for child in children if id(child) in self.repeats]
        if groups is None or len(groups.children) + len(repeated) != len(children):
            return set()
        return {id(child) for child in repeated}

    def _attribute_children(self, item: _Object, spec: LayerSpec, taken: set[str]) -> Iterator[_Object]:
        """The sub-layers that a class is known to hold, or that a wrapper's configuration shows."""
        list_groups = {sub.attr: sub.config_key or sub.attr for sub in sublayers_of(spec.class_name, spec.config) or () if sub.is_list}
        lists: dict[str, dict[str, int]] = {}
        for child in spec.children:
            attr, _, index = (child.attr or "").partition("/")
            group = attr
            if index:
                used = lists.setdefault(attr, {})
                name = snake_case(file_class(child.class_name))
                count = used.get(name, 0)
                used[name] = count + 1
                element = f"{name}_{count}" if count else name
                group = f"{list_groups.get(attr, attr)}/{element}"
            path = next((path for path in (self._at(item, group), self._at(item, f"_{group}")) if path in self.store.groups), None)
            if path is not None:
                taken.add(path)
                yield _Object(path, self.store.groups[path].name or child.name, child.attr, child.class_name, child)
            elif child.variables:
                yield _Object(None, child.name, child.attr, child.class_name, child)

    def _known_children(self, item: _Object, class_name: str, taken: set[str]) -> Iterator[_Object]:
        """The sub-layers that a class, concluded from a group's name, is known to hold."""
        every = {"use_gate": True}
        for sub in sublayers_of(class_name, every) or ():
            if sub.is_list:
                yield from self._known_list(item, sub.attr, sub.config_key or sub.attr, taken)
                continue
            for path in (self._at(item, sub.attr), self._at(item, f"_{sub.attr}")):
                if path in self.filled:
                    taken.add(path)
                    kind = sub.class_name
                    if sub.attr == "cell" and f"{path}/cells" in self.filled:
                        kind = "StackedRNNCells"
                    yield _Object(path, self.store.groups[path].name or sub.attr, sub.attr, kind)

    def _known_list(self, item: _Object, attr: str, group: str, taken: set[str]) -> Iterator[_Object]:
        """The elements of a list, by index if they are all of one class: numbers only count within a class."""
        container = self.store.groups.get(self._at(item, group))
        if container is None:
            return
        one_class = len({class_of_group(name) or name for name in container.children}) == 1
        order = sorted(container.children, key=_number) if one_class else container.children
        for index, name in enumerate(order):
            path = self._at(item, f"{group}/{name}")
            taken.add(path)
            element = str(index) if one_class else name
            yield _Object(path, self.store.groups[path].name or name, f"{attr}/{element}", class_of_group(name))

    def _found_children(self, item: _Object, taken: set[str]) -> Iterator[_Object]:
        """What nothing announced: sub-layers and lists of them under the attributes that hold them, in write order.

        A model that is compiled for itself, like a GAN's discriminator, holds its own optimizer, wherever it is nested.
        """
        assert item.path is not None
        stack = [(name, name) for name in reversed(self.store.groups[item.path].children)]
        is_model = item.path == "" or (item.spec is not None and item.spec.is_model)
        while stack:
            relative, attr = stack.pop()
            path = self._at(item, relative)
            group = self.store.groups[path]
            if path in taken or (is_model and relative in NOT_LAYERS):
                continue
            in_layers = relative.rpartition("/")[0] in CONTAINERS_OF_LAYERS
            if not group.is_object:
                stack.extend((f"{relative}/{name}", f"{attr}/{name}") for name in reversed(group.children))
            elif in_layers or path in self.filled:
                yield self._found(path, relative, attr, in_layers, item)

    def _found(self, path: str, relative: str, attr: str, in_layers: bool, parent: _Object) -> _Object:
        group = self.store.groups[path]
        last = relative.rpartition("/")[2]
        in_container = "/" in relative
        class_name = class_of_group(last) if in_container else None
        self.guessed_classes += class_name is not None
        foreign = in_container and class_name is None
        if parent.spec is not None and parent.spec.is_known and path in self.filled:
            self.notes.append(Note("odd", f"{path} holds weights of which the configuration does not speak"))
        if in_layers:
            return _Object(path, group.name or last, None, class_name, is_foreign=foreign)
        stripped = "/".join(part.lstrip("_") or part for part in attr.split("/"))
        return _Object(path, group.name or last, stripped, class_name, is_foreign=foreign, announced=False)

    # What each object's own variables are.

    def _own_weights(self, item: _Object) -> tuple[Weight, ...]:
        assert item.path is not None
        self.used.add(item.path)
        stored = self.store.groups[item.path].arrays
        keys = sorted(filter(is_index, stored), key=int)
        others = [name for name in stored if not is_index(name)]
        if canonical_class(item.class_name) == "SpectralNormalization" and len(keys) == 2:
            # The wrapper writes the kernel of its layer a second time, as its own first variable.
            self.extras.append(Weight("kernel", stored[keys[0]][1], stored[keys[0]][0]))
            keys = keys[1:]
        arrays = [stored[name] for name in keys]
        variables = self._variables(item, [tensor for _, tensor in arrays])
        weights = [
            Weight(variable.role if variable else name, tensor, key, _trainable(item.spec, variable))
            for name, (key, tensor), variable in zip(keys, arrays, variables, strict=True)
        ]
        weights += [Weight(name, stored[name][1], stored[name][0], False if item.spec else None) for name in others]
        return tuple(weights)

    def _variables(self, item: _Object, tensors: list[Tensor]) -> list[Variable | None]:
        config: Config | None = item.spec.config if item.spec else None
        among = CELLS if item.attr == "cell" else None
        found: list[Variable | None] = [None] * len(tensors)
        if not item.is_foreign:
            found = assign([(tensor.shape, tensor.dtype) for tensor in tensors], item.class_name, config, among)
        self.unknown_roles += found.count(None)
        if item.spec is None or item.spec.variables is None:
            self.guessed_roles += len(found) - found.count(None)
        elif item.spec.variables and found and found[0] is not None and found[0].role == item.spec.variables[0].role:
            found[0] = item.spec.variables[0]  # a layer with LoRA has frozen its first weight
        return found

    # Objects that the configuration has and the file does not.

    def _reuse_shared(self, objects: list[_Object]) -> None:
        """Put the one stored object wherever the configuration repeats it; say what is missing altogether."""
        stored: dict[str, list[_Object]] = {}
        for item in objects:
            if item.path is not None and item.spec is not None and item.attr is None:
                stored.setdefault(item.spec.name, []).append(item)
        for item in objects:
            for number, child in enumerate(item.children):
                if child.path is not None or child.spec is None or not expects_weights(child.spec):
                    continue
                shared = self._stored_elsewhere(child.spec, item, stored) if child.attr is None else None
                if shared is not None:
                    item.children[number] = shared
                else:
                    self.notes.append(Note("odd", f"the weights of layer {child.name} ({child.class_name}) are not in the file"))

    @staticmethod
    def _stored_elsewhere(spec: LayerSpec, parent: _Object, stored: dict[str, list[_Object]]) -> _Object | None:
        """The stored object of the same description, unless it is one that the parent lies in."""
        for other in stored.get(spec.name, ()):
            if other.spec is not None and same_layer(spec, other.spec) and not f"{parent.path}/".startswith(f"{other.path}/"):
                return other
        return None

    # Helpers.

    def _at(self, item: _Object, relative: str) -> str:
        return f"{item.path}/{relative}" if item.path else relative

    def _groups_with_arrays(self) -> set[str]:
        filled: set[str] = set()
        for path, group in self.store.groups.items():
            above = path
            while group.arrays and above not in filled:
                filled.add(above)
                above = above.rpartition("/")[0]
        return filled

    def _below(self, top: str) -> list[Weight]:
        """All arrays of a group and of the groups in it: its own variables first, in their numeric order."""
        found = []
        for path in sorted(self.store.groups):
            if path == top or path.startswith(f"{top}/"):
                self.used.add(path)
                arrays = self.store.groups[path].arrays
                inner = path[len(top) + 1 :]
                for name in sorted(arrays, key=lambda name: (int(name) if is_index(name) else len(arrays), name)):
                    key, tensor = arrays[name]
                    found.append(Weight(f"{inner}/{name}" if inner else name, tensor, key))
        return found

    def _unused(self) -> Iterator[Weight]:
        for path, group in self.store.groups.items():
            if path not in self.used:
                for name, (key, tensor) in group.arrays.items():
                    yield Weight(f"{path}/{name}", tensor, key)
        yield from self.store.strays

    def _final_notes(self) -> Iterator[Note]:
        yield from self.notes
        if self.guessed_classes:
            yield Note("inferred", f"classes of layers are concluded from the names of their groups ({self.guessed_classes})")
        if self.guessed_roles:
            yield Note("inferred", f"roles of weights are concluded from class and shapes ({self.guessed_roles})")
        if self.unknown_roles:
            yield Note("inferred", f"roles of weights are not known, and they keep their numbers ({self.unknown_roles})")


def _is_unordered(item: _Object) -> bool:
    """Whether the file does not have the order of an object's sub-layers; elements of one list stand in theirs."""
    attributes = {(child.attr or "").partition("/")[0] for child in item.children if not child.announced}
    return len(attributes) > 1 or (len(attributes) == 1 and any(child.announced for child in item.children))


def _number(group: str) -> int:
    last = group.rpartition("_")[2]
    return int(last) if is_index(last) and class_of_group(group) != group else 0


def _trainable(spec: LayerSpec | None, variable: Variable | None) -> bool | None:
    if (variable is not None and not variable.trained) or (spec is not None and not spec.trainable):
        return False
    return spec.trainable if spec is not None and variable is not None else None


def _layer(item: _Object, layers: tuple[Layer, ...]) -> Layer:
    return Layer(item.name, item.attr, item.class_name, item.weights, layers)
