"""Other layers in the place of some: `--replace-layer NAME=CONFIG`.

A replacement is of Keras 3, and its model perhaps of an earlier generation. So a mark takes the place first, which an upgrade
passes on as it does any class that it does not know, with the name and the calls; then the replacement takes that of the mark.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from kmodel_tools.architecture.envelope import Config, ConfigError, class_of, copied, is_model, iter_mappings, layer_configs, settings_of
from kmodel_tools.architecture.layer_classes import fits
from kmodel_tools.architecture.spec import LayerSpec, find_layer, model_spec
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.matcher import selector
from kmodel_tools.tree import Layer, Model, Path, Weight, join_path, make_from_below, split_path

MARK = "kmt_replacement>"
INSIDE = {"layer": "layer", "cell": "cell"}
"""Arguments of wrappers that hold a layer, and the attributes by which paths have it."""
Json = dict[str, Any]


@dataclass(slots=True)
class Replacing:
    """Layers that are being replaced.

    Attributes:
        wanted: The replacement by the name or pattern that was given.
        marks: By the class that marks a place: the replacement, the path and the class that were there.
        said: A sentence for each, for the report.
        lost: The weights that a replacement has no use for, a line each.
    """

    wanted: Mapping[str, Json]
    marks: dict[str, tuple[Json, Path, str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def mark(self, model: Model) -> Model:
        """A model with marks in the place of the layers that are named.

        Raises:
            KmtError: A name is of no layer, or two are of the same; or it is of an input or a whole model.
        """
        if not self.wanted:
            return model
        if model.architecture is None:
            raise KmtError("a layer is replaced in an architecture, and there is none", cure="give one: --like model.keras")
        architecture = copied(model.architecture)
        try:
            found = dict(_places(architecture))
        except ConfigError as error:
            raise ConversionError(f"the architecture cannot be followed: {error}") from error
        classes: dict[Path, str] = {}
        for name, new in self.wanted.items():
            for path in _named(name, found):
                kind = class_of(found[path])
                if path in classes:
                    raise KmtError(f"--replace-layer names {join_path(path)} twice")
                if kind == "InputLayer" or is_model(kind, settings_of(found[path])):
                    raise KmtError(f"{join_path(path)} is {'an input' if kind == 'InputLayer' else 'a model'}, and no layer to be replaced")
                mark = f"{MARK}{len(self.marks)}"
                self.marks[mark] = (new, path, kind)
                classes[path] = mark
        for path, mark in classes.items():
            _mark(found[path], mark)
        return replace(model, architecture=architecture, layers=_reclassed(model, classes))

    def put(self, model: Model, as_keras_3: bool) -> Model:
        """A model with the replacements in the place of the marks, and their weights where these fit.

        Raises:
            ConversionError: The weights of the layer that was there are not those of the replacement.
        """
        if not self.marks or model.architecture is None:
            return model
        architecture = copied(model.architecture)
        for node in iter_mappings(architecture):
            mark = node.get("registered_name") or node.get("class_name")
            if mark in self.marks and isinstance(node, dict):
                _put(node, self.marks[mark][0], as_keras_3)
        root = model_spec(architecture, None).root
        made: dict[int, Layer] = {}
        for path, layer in model.walk():
            if layer.class_name is not None and self._mark_of(layer) is not None and id(layer) not in made:
                made[id(layer)] = self._weighed(layer, path, find_layer(root, path))
        layers = make_from_below(
            model.layers, attrgetter("layers"), lambda layer, below: made.get(id(layer)) or replace(layer, layers=below)
        )
        kept = {id(weight) for _, weight in replace(model, layers=layers).weights()}
        optimizer = model.optimizer
        if optimizer is not None:
            optimizer = replace(optimizer, slots=tuple(slot for slot in optimizer.slots if id(slot.weight) in kept))
        return replace(model, architecture=architecture, layers=layers, optimizer=optimizer)

    def _mark_of(self, layer: Layer) -> str | None:
        """The mark that a layer is of; an upgrade leaves the package out of a class."""
        kind = layer.class_name or ""
        whole = kind if kind.startswith(MARK) else f"{MARK}{kind}"
        return whole if whole in self.marks else None

    def _weighed(self, layer: Layer, path: Path, spec: LayerSpec | None) -> Layer:
        """The replacement of a layer in the tree, with the weights that it takes over."""
        new, old_path, kind = self.marks[self._mark_of(layer) or ""]
        below = list(Model(layers=(replace(layer, attr=None, name=""),)).weights())
        name, class_name = join_path(path), str(new["class_name"])
        what = f"{name}: {class_name} in the place of {kind}, as asked for"
        if join_path(old_path) != name:
            what = f"{name} (it was {join_path(old_path)}): {class_name} in the place of {kind}, as asked for"
        if spec is not None and spec.variables is None:  # somebody's own: nobody here knows which weights it has
            self.said.append(what + (f", with its {len(below)} weights" if below else ""))
            return replace(layer, class_name=spec.class_name)
        if spec is None or (not spec.variables and not spec.children):
            self.said.append(what)
            self.lost += [f"{join_path((*path, *inner[1:]))} ({class_name}, its replacement, has no such weight)" for inner, _ in below]
            return Layer(layer.name, layer.attr, class_name)
        weights = {weight.role: weight for weight in layer.weights}
        roles = [variable.role for variable in spec.variables or ()]
        if spec.children or layer.layers or set(roles) != set(weights) or not _fit(spec, [weights[role] for role in roles]):
            held = ", ".join(f"{join_path(inner[1:])} {weight.tensor.shape}" for inner, weight in below) or "none"
            raise ConversionError(
                f"the weights of {name} ({kind}: {held}) are not those of its replacement {class_name} ({', '.join(roles) or 'others'})",
                cure="give a replacement without weights, or one that they fit",
            )
        self.said.append(f"{what}, with its weights {', '.join(roles)}")
        return replace(layer, class_name=class_name, weights=tuple(weights[role] for role in roles))


def _fit(spec: LayerSpec, weights: list[Weight]) -> bool:
    """Whether arrays are those of a layer: of fitting shapes, and as many units or filters as it is given."""
    if not fits(spec.variables or (), [(weight.tensor.shape, weight.tensor.dtype) for weight in weights]):
        return False
    size = spec.config.get("units", spec.config.get("filters"))
    return size is None or all(weight.tensor.shape[-1:] == (size,) for weight in weights if weight.role == "bias")


def _named(name: str, found: Mapping[Path, Any]) -> list[Path]:
    """The paths that a name or pattern is of.

    Raises:
        KmtError: None.
    """
    if split_path(name) in found:
        return [split_path(name)]
    wanted = selector((name,), ())
    matched = [path for path in found if wanted(path)]
    if not matched:
        near = [join_path(path) for path in found if path[-1] == name][:3]  # one in a nested model, where it goes by its path
        near = near or difflib.get_close_matches(name, [join_path(path) for path in found], n=3, cutoff=0.5)
        raise KmtError(
            f"--replace-layer: there is no layer {name!r}",
            cure=f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect",
        )
    return [path for path in matched if not any(path[:end] in matched for end in range(1, len(path)))]


def _places(root: Json) -> Iterator[tuple[Path, Json]]:
    """Every layer of a configuration by its path; `spec.MAX_DEPTH` bounds what is followed."""
    stack: list[tuple[Path, Json]] = [((), root)]
    while stack:
        path, node = stack.pop()
        if path:
            yield path, node
        if len(path) > 200:
            raise ConfigError("layers nested more than 200 deep")
        settings = settings_of(node)
        if is_model(class_of(node), settings):
            below = [((*path, str(settings_of(item).get("name") or item.get("name") or "")), item) for item in layer_configs(node)]
            stack.extend((place, item) for place, item in reversed(below) if isinstance(item, dict))
            continue
        for key, attr in INSIDE.items():
            inner = settings.get(key)
            if isinstance(inner, dict) and "class_name" in inner:
                stack.append(((*path, "forward_layer" if class_of(node) == "Bidirectional" else attr), inner))


def _mark(node: Json, mark: str) -> None:
    """Put a mark in the place of a layer; its name, its calls and what it says of the model's input stay."""
    config = settings_of(node)
    kept = {key: config[key] for key in ("name", "trainable", "dtype", "batch_input_shape", "batch_shape") if key in config}
    for key in ("module", "registered_name", "build_config"):
        node.pop(key, None)
    if "config" not in node:  # Keras 0.3 has the arguments in the object itself
        calls: Json = {key: node[key] for key in ("inbound_nodes", "custom_name") if key in node}
        node.clear()
        node.update(calls)
    node["class_name"] = mark
    node["config"] = kept


def _put(node: Json, new: Config, as_keras_3: bool) -> None:
    """Put a replacement in the place of a mark."""
    marked = node.get("config", {})
    kept = {key: marked[key] for key in ("name", "trainable", "dtype", "batch_input_shape") if key in marked}
    if new["class_name"].startswith("SpatialDropout"):
        kept.pop("trainable", None)  # which it does not take
    node["class_name"] = new["class_name"]
    node["config"] = {**kept, **{key: value for key, value in new["config"].items() if key != "name"}}
    node.pop("build_config", None)
    for call in node.get("inbound_nodes") or ():
        if isinstance(call, dict) and isinstance(call.get("kwargs"), dict):  # Keras 3 notes `mask: null` for a layer that takes masks
            call["kwargs"] = {key: value for key, value in call["kwargs"].items() if value is not None}
    if as_keras_3:
        node["module"], node["registered_name"] = new["module"], new["registered_name"]


def _reclassed(model: Model, classes: Mapping[Path, str]) -> tuple[Layer, ...]:
    """The layers of a model, those at some paths of another class."""
    named = {id(layer): classes[path] for path, layer in model.walk() if path in classes}
    for first, others in model.aliases().items():
        layer = model.find(join_path(first))
        named |= {id(layer): classes[path] for path in (first, *others) if path in classes}
    return make_from_below(
        model.layers,
        attrgetter("layers"),
        lambda layer, below: replace(layer, layers=below, class_name=named.get(id(layer), layer.class_name)),
    )
