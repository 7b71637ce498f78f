"""Weights in an architecture that was saved apart from them: `--like model.json`.

Layers are found by name. A checkpoint of Keras 2 numbers some of them instead (`layer_with_weights-1`), files written
before Keras 3.6 number them all, and names are counted anew in each session (`dense_1`, `dense_4`); then the order tells, as it
does to Keras itself, if there are as many layers as the architecture has, and the weights of each are those of its class.

`tf.train.Checkpoint(step=step, net=model)` has the model below a name of its own, beside other things. Nothing in it tells what
`net` is; the architecture does, if all of its weights are there, and below one name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmodel_tools.architecture.envelope import ConfigError, Era, era_of
from kmodel_tools.architecture.layer_classes import fits
from kmodel_tools.architecture.legacy_wrappers import place_all_weights
from kmodel_tools.architecture.names import is_index
from kmodel_tools.architecture.spec import LayerSpec, followed, model_spec
from kmodel_tools.architecture.store_layout import Place, children_of
from kmodel_tools.converter.fitting import CURE, listed, misfits, missing
from kmodel_tools.errors import ConversionError
from kmodel_tools.format import Part
from kmodel_tools.formats import load_format
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.tree import Layer, Model, Path, join_path, split_path
from kmodel_tools.upgrader.generation import FIRST, generation

LEGACY = "keras-h5"
CHECKPOINT = "tf-checkpoint"
OF_THE_SOURCE = frozenset({"keras_version", "dialect", "producer"})
"""Metadata that tell the generation of the weights' file, which need not be that of the architecture."""
OF_THE_ARCHITECTURE = ("keras_version", "backend")


def planted(source: Model, like: Model) -> tuple[Model, tuple[str, ...], tuple[str, ...]]:
    """The weights of a model in the architecture of another, which has none, what was concluded, and what stands beside the model.

    The generation is that of the architecture: it says what the weights are for. What the model was compiled with comes from
    its document too, where that says it.

    Raises:
        ConversionError: The architecture cannot be followed, a weight has no place in it, or was trained for another meaning of
            it. Weights that it lacks are left to the writer, which knows whether it needs them.
    """
    assert like.architecture is not None
    version = like.metadata.get("keras_version")
    era = era_of(like.architecture, version)
    _refuse_other_meaning(generation(source), era)
    metadata = {key: value for key, value in source.metadata.items() if key not in OF_THE_SOURCE}
    metadata |= {key: like.metadata[key] for key in OF_THE_ARCHITECTURE if key in like.metadata}
    training = like.training_config
    bare = replace(source, architecture=like.architecture, training_config=training, format="", metadata=metadata, inventory=None)
    if era is Era.KERAS_0:  # its files number the arrays, and the way to Keras 2 counts them
        return bare, (), ()
    try:
        root = model_spec(like.architecture, version).root
    except ConfigError as error:
        raise ConversionError(f"the architecture cannot be followed: {error}") from error
    model, left, remarks = _planted_at(source, bare, root, era)
    if not left:
        return _fitting(model, root, era), remarks, ()
    found = [(name, part, _planted_at(part, replace(bare, own_weights=()), root, era)) for name, part in _parts(source)]
    fitting = [(name, part, below) for name, part, below in found if not below[1] and not missing(root, below[0])]
    if len(fitting) == 1:
        name, part, (below, _, remarks) = fitting[0]
        inside = {id(weight) for _, weight in part.weights()}
        beside = tuple(join_path(path) for path, weight in source.weights() if id(weight) not in inside)
        return _fitting(below, root, era), (f"the model is what the source calls {name}", *remarks), beside
    gaps = missing(root, model)
    more = f"; it has one for: {listed(gaps)}" if gaps else ""
    more += f"; and it fits {listed(sorted(name for name, _, _ in fitting))} alike" if fitting else ""
    raise ConversionError(f"the architecture has no place for: {listed(left)}{more}", tuple(left), cure=CURE)


def _planted_at(source: Model, bare: Model, root: LayerSpec, era: Era) -> tuple[Model, list[str], tuple[str, ...]]:
    """The weights of a model in an architecture, those that have no place in it, and what was concluded."""
    planter = _Planter(source, era)
    layers = planter.layers(root, (), source.layers)
    if era is Era.KERAS_1 and source.format == LEGACY:
        layers = _in_order_of(source, layers)
    # The names in a legacy file stay, unless layers go by others now.
    keeps_names = source.format == LEGACY and (not planter.by_order or era in FIRST)
    model = replace(bare, name=root.name, layers=layers, inventory=source.inventory if keeps_names else None)
    held = {id(weight.tensor) for _, weight in model.weights()}
    left = [join_path(path) for path, weight in source.weights() if id(weight.tensor) not in held]
    return model, left, planter.remarks()


def _fitting(model: Model, root: LayerSpec, era: Era) -> Model:
    """The model, whose weights are those of the architecture.

    Raises:
        ConversionError: Some are not.
    """
    if wrong := misfits(root, model, era):
        raise ConversionError(f"the weights are not those of the architecture: {listed(wrong)}", tuple(wrong), cure=CURE)
    return model


def _parts(source: Model) -> Iterator[tuple[str, Model]]:
    """What may be the model in a checkpoint that holds more: whatever has layers and no weights of its own, by its name."""
    for layer in source.layers if source.format == CHECKPOINT else ():
        if layer.layers and not layer.weights:
            yield join_path(layer.components), replace(source, layers=layer.layers, own_weights=())


class _Planter:
    """Builds the tree that an architecture announces; holds what the source has, by path."""

    def __init__(self, source: Model, era: Era) -> None:
        self.tree = dict(source.walk())
        self.era = era
        self.listed = _listed_weights(source) if source.format == LEGACY and source.architecture is None else {}
        self.named = source.metadata.get("names") != "groups"
        self.by_order: list[str] = []
        self.renamed: set[Path] = set()

    def remarks(self) -> tuple[str, ...]:
        """What was concluded from the order of layers."""
        count = len(self.by_order)
        return (f"{count} layers are found by their order, not by name: {listed(self.by_order)}",) if count else ()

    def layers(self, spec: LayerSpec, path: Path, held: Sequence[Layer]) -> tuple[Layer, ...]:
        """The layers of a model, or below a layer; `spec.MAX_DEPTH` bounds the nesting."""
        if spec.is_model:
            self._pair_by_order(spec, path, held)
        else:
            self._name_elements(spec, path)
        return tuple(self._layer(child, (*path, *_components(child))) for child in spec.children)

    def _layer(self, spec: LayerSpec, path: Path) -> Layer:
        held = self.tree.get(path)
        if held is not None and self.listed and len(path) == 1 and (placed := self._placed(spec, held)) is not None:
            return placed
        if held is not None and len(spec.children) == 1 and spec.variables == ():
            inner = (*path, *_components(spec.children[0]))
            if held.weights and not held.layers:
                # A file of weights has those of a wrapped layer under the wrapper's name alone,
                self.tree[inner] = held
                held = None
            elif len(held.layers) == 1 and not held.weights and inner not in self.tree and spec.children[0].attr is not None:
                # or below the wrapped layer's name.
                self._put(replace(held.layers[0], attr=spec.children[0].attr), path)
                held = None
        below = self.layers(spec, path, held.layers if held is not None else ())
        known = {(*path, *layer.components) for layer in below} | self.renamed
        found = self.tree.get(path) if held is not None and not spec.is_model else None
        extra = tuple(layer for layer in found.layers if (*path, *layer.components) not in known) if found is not None else ()
        return Layer(spec.name, spec.attr, spec.class_name, held.weights if held is not None else (), (*below, *extra))

    def _placed(self, spec: LayerSpec, held: Layer) -> Layer | None:
        """A layer of a legacy file as one that is read with its architecture; None where the order of its weights does not tell."""
        weights = [weight for _, weight in Model(layers=(held,)).weights()]
        if any(weight.key not in self.listed for weight in weights):
            return None
        found = sorted((*self.listed[weight.key], weight) for weight in weights)
        placement = place_all_weights(spec.name, [name for _, name, _ in found], spec, self.era)
        if placement.by != "spec":
            return None
        placed = [
            (place.steps, replace(weight, role=place.role, trainable=place.trainable))
            for place, (_, _, weight) in zip(placement.places, found, strict=True)
        ]
        return assembled(spec.name, spec.class_name, spec, placed)

    def _put(self, layer: Layer, path: Path) -> None:
        self.tree.update(((*path, *below), item) for below, item in Model(layers=(layer,)).walk())

    def _name_elements(self, spec: LayerSpec, path: Path) -> None:
        """Give the elements of a list their numbers: files in Keras's weights layout call them by their classes (`cells/lstm_cell`)."""
        for place in children_of(Place("", (), spec)):
            group = (*path, *split_path(place.group))
            held = self.tree.get(group)
            if held is not None and (*path, *place.path) not in self.tree:
                self.renamed.add(group)
                self._put(replace(held, name=place.spec.name, attr=place.spec.attr), path)

    def _pair_by_order(self, spec: LayerSpec, path: Path, held: Sequence[Layer]) -> None:
        """Give the layers of a model that names do not find the names of those that are left of the architecture.

        Where names find some of them, these must stand at the same places: names that are counted anew would lead astray.
        """
        wanted = [child for child in spec.children if _may_hold(child)]
        present = [layer for layer in held if _holds(layer)]
        names = {child.name: index for index, child in enumerate(wanted)}
        known = [names.get(layer.name) if layer.attr is None and self.named else None for layer in present]
        if None not in known or len(present) != len(wanted) or any(index not in (None, place) for place, index in enumerate(known)):
            return
        pairs = list(zip(wanted, present, strict=True))
        if not all(_fits(child, layer) for child, layer in pairs):
            return
        for child, layer in pairs:
            if layer.attr is not None or layer.name != child.name:
                self.by_order.append(join_path((*path, child.name)))
            self._put(replace(layer, name=child.name, attr=None), path)


def _in_order_of(source: Model, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Layers in the order of a file that lists all of them: Keras 1 loads by order, and counts layers otherwise than Keras 2 does."""
    places = {layer.name: number for number, layer in enumerate(source.layers)}
    if {layer.name for layer in layers} != places.keys():
        return layers
    return tuple(sorted(layers, key=lambda layer: places[layer.name]))


def _listed_weights(source: Model) -> dict[str, tuple[int, str]]:
    """The place and the name that a legacy file lists each weight under, by its key: the group of its layer, and the name."""
    rank = {key: index for index, (key, _) in enumerate(source.inventory or ())}
    found = {}
    for layer in source.layers:
        for _, weight in Model(layers=(layer,)).weights():
            key = weight.key.removeprefix("model_weights/")
            if key.startswith(f"{layer.name}/") and weight.key in rank:
                found[weight.key] = (rank[weight.key], key.removeprefix(f"{layer.name}/"))
    return found


def _may_hold(spec: LayerSpec) -> bool:
    return any(layer.variables or not layer.is_known for layer in _below(spec))


def _holds(layer: Layer) -> bool:
    return any(True for _ in Model(layers=(layer,)).weights())


def _fits(spec: LayerSpec, layer: Layer) -> bool:
    """Whether the layer's own weights are those that the class has."""
    if spec.is_model or not spec.variables:
        return True
    held = {weight.role: weight.tensor for weight in layer.weights}
    if not held or all(is_index(role) for role in held):
        return len(held) in (0, len(spec.variables))
    found = [held[variable.role] for variable in spec.variables if variable.role in held]
    return len(held) == len(found) and fits(spec.variables, [(tensor.shape, tensor.dtype) for tensor in found])


def _components(spec: LayerSpec) -> Path:
    return (spec.name,) if spec.attr is None else split_path(spec.attr)


def refuse_an_architecture_alone(source: Model) -> None:
    """Make sure that there are weights to be written, if the model has any.

    Raises:
        ConversionError: The file holds an architecture and nothing else, of a model that has weights, or may have.
    """
    if not source.format or Part.WEIGHTS in load_format(source.format).holds:
        return
    spec = followed(source)
    if spec is None or _may_hold(spec.root):
        raise ConversionError(
            "the source is an architecture alone, and holds no weights to be written",
            cure="name the file of its weights as the source, and the architecture with --like",
        )


def _below(root: LayerSpec) -> Iterator[LayerSpec]:
    stack = [root]
    while stack:
        layer = stack.pop()
        yield layer
        stack.extend(layer.children)


def _refuse_other_meaning(of_weights: Era | None, era: Era) -> None:
    """Keras 2 arranges the arrays of some layers otherwise than Keras 1 does, and shapes do not always tell."""
    if of_weights is not None and (of_weights in FIRST) is not (era in FIRST):
        problem = f"the weights are of {of_weights.value}, and the architecture is of {era.value}, which keep other arrays"
        raise ConversionError(problem, cure="give the architecture that they were saved with: --like")
