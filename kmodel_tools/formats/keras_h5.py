"""Legacy HDF5 (`.h5`, `.hdf5`): Keras 0.x to 2.x, tf.keras, and Keras 3's legacy writer; whole models and weights alone.

::

    /                    @model_config @training_config @keras_version @backend        (whole models)
      model_weights      the weights group; in a file of weights alone, the root is it
        @layer_names     names of the layers, in model order
        dense_1          @weight_names  paths of its datasets below it, in order
          dense_1/kernel:0
        top_level_model_weights                                                       (Keras 2.7 and later)
      optimizer_weights  @weight_names

    /  @nb_layers        Keras 0.x: groups layer_0, layer_1 … with datasets param_0, param_1 …
    /  graph             Keras 0.x, a Graph: datasets param_0, param_1 … of all nodes

Long lists of names are split over `layer_names0`, `layer_names1`, …  Sources: Keras 3.15.1
`keras/src/legacy/saving/legacy_h5_format.py`, tf_keras 2.21, Keras 2.3.1 `engine/saving.py`, Keras 0.3.3 `models.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.envelope import ConfigError, Era, era_of_version, trains_in_order_of_names
from kmodel_tools.architecture.legacy_wrappers import place_all_weights
from kmodel_tools.architecture.names import is_index, plain_name, split_keras_1
from kmodel_tools.architecture.operation_modules import tell_modules
from kmodel_tools.architecture.scope_names import JOINED_CELLS, joined_cell
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec, model_spec
from kmodel_tools.damaged import damaged_tensor, offering_salvage
from kmodel_tools.errors import CorruptFileError, KmtError
from kmodel_tools.format import Container, Format, Option, Part, Probe, parse_json
from kmodel_tools.formats._shared.assembly import assembled
from kmodel_tools.formats._shared.optimizer_state import OptimizerSpec, described_optimizer, tie_by_name
from kmodel_tools.storage.hdf5 import Hdf5File, Hdf5Listing, open_hdf5
from kmodel_tools.tensor import DType, Tensor
from kmodel_tools.tree import Layer, Model, Note, Optimizer, Weight, join_path

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"
TOP_LEVEL = "top_level_model_weights"
GRAPH = "graph"
WHOLE, WEIGHTS = "whole", "weights"


def detect(probe: Probe) -> str | None:
    """Say which dialect of legacy HDF5 a file is, or None."""
    head = probe.hdf5
    if "nb_layers" in head.attributes or (GRAPH in head.members and not head.attributes and list(head.members) == [GRAPH]):
        return "Keras 0.x weights"
    if "model_config" in head.attributes:
        return "whole model"
    if MODEL_WEIGHTS in head.members:
        return "whole model without architecture"
    if {"layer_names", "layer_names0"} & head.attributes:
        return "weights"
    return None


def read(probe: Probe) -> Model:
    """Describe the model in a legacy HDF5 file.

    Raises:
        CorruptFileError: The file is damaged, or lists weights that it does not hold.
        UnsupportedFeatureError: It links or stores outside of itself.
    """
    dialect = detect(probe) or ""
    with open_hdf5(probe.range, probe.salvage) as file:
        reader = _Reader(probe.path, file, file.listing(), dialect)
        return reader.keras_0() if dialect.startswith("Keras 0") else reader.model()


@dataclass(slots=True)
class _Reader:
    """The state of reading one file; lives inside of one `with open_hdf5` block."""

    path: str
    file: Hdf5File
    listing: Hdf5Listing
    dialect: str
    notes: list[Note] = field(default_factory=list)
    used: dict[int, None] = field(default_factory=dict)
    variables: dict[str, Weight | None] = field(default_factory=dict)
    listed_as: dict[int, str] = field(default_factory=dict)
    unwritten: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    by_names: int = 0

    def model(self) -> Model:
        root = self.file.attributes()
        config = self._json(root.get("model_config"), "model_config")
        if config is not None:
            tell_modules(config)
        training = self._json(root.get("training_config"), "training_config")
        group = MODEL_WEIGHTS if MODEL_WEIGHTS in self.listing.groups else ""
        if not group and config is not None and not self._lists_layers(root):
            return self._without_weights(config, training, root)
        version, backend = self._version(group or "/", root)
        layer_names = self._names(group, "layer_names")
        weight_names = {name: self._weight_names(_join(group, name)) for name in layer_names}
        era = self._era(version, weight_names)
        spec = self._spec(config, version)
        specs = _specs_by_name(spec.root) if spec else {}
        layers = tuple(self._layer(group, name, weight_names[name], specs.get(name), era) for name in layer_names)
        own = self._top_level(group)
        model = Model(layers=layers, own_weights=own)
        optimizer = self._optimizer(described_optimizer(training, _interleaved(era)), model, config, version)
        self._note_inferred(config is not None, layers)
        return Model(
            name=spec.root.name if spec else "",
            format=FORMAT.name,
            layers=layers,
            own_weights=own,
            architecture=config,
            optimizer=optimizer,
            training_config=training,
            extras=tuple(self._leftovers()),
            metadata=_metadata(self.dialect, version, backend),
            notes=tuple(self.notes),
            inventory=self._inventory(),
        )

    @staticmethod
    def _lists_layers(root: Mapping[str, Any]) -> bool:
        return "layer_names" in root or "layer_names0" in root

    def _without_weights(self, config: Mapping[str, Any], training: Mapping[str, Any] | None, root: Mapping[str, Any]) -> Model:
        """A file that holds an architecture and nothing else."""
        version, backend = self._version("/", root)
        spec = self._spec(config, version)
        layers = tuple(assembled(child.name, child.class_name, child, ()) for child in spec.root.children) if spec else ()
        self.notes.append(Note("odd", "the file holds an architecture and no weights"))
        return Model(
            name=spec.root.name if spec else "",
            format=FORMAT.name,
            layers=layers,
            architecture=config,
            training_config=training,
            extras=tuple(self._leftovers()),
            metadata=_metadata(self.dialect, version, backend),
            notes=tuple(self.notes),
            inventory=self._inventory(),
        )

    # Keras 0.x: no names, no classes, only numbers.

    def keras_0(self) -> Model:
        layers = []
        for group in sorted(self.listing.groups, key=_trailing_number):
            names = sorted((key for key in self.listing.datasets if key.rpartition("/")[0] == group), key=_trailing_number)
            weights = [self._weight(name, str(number), None) for number, name in enumerate(names)]
            layers.append(Layer(group, weights=tuple(weights)))
        self.notes.append(Note("inferred", "Keras 0.x stores neither names nor classes: layers and weights keep their numbers"))
        return Model(
            format=FORMAT.name,
            layers=tuple(layers),
            extras=tuple(self._leftovers()),
            metadata={"dialect": self.dialect},
            notes=tuple(self.notes),
            inventory=self._inventory(),
        )

    # What the attributes say.

    def _json(self, text: Any, where: str) -> Mapping[str, Any] | None:
        if text is None:
            return None
        document = parse_json(text, self.path, where) if isinstance(text, str) else None
        if isinstance(document, str):
            document = parse_json(document, self.path, where)  # written twice over by some tools
        if not isinstance(document, Mapping):
            raise CorruptFileError("is not a JSON object", path=self.path, where=where)
        return document

    def _version(self, group: str, root: Mapping[str, Any]) -> tuple[str, str]:
        """The Keras version and backend; Keras 1 puts the version on the root of whole models only."""
        own = self.file.attributes(group) if group != "/" else root
        return str(own.get("keras_version", root.get("keras_version", ""))), str(own.get("backend", root.get("backend", "")))

    def _weight_names(self, group: str) -> list[str]:
        """The names of a layer's weights; a layer that is listed and has no group was never written."""
        if group in self.listing.groups:
            try:
                return self._names(group, "weight_names")
            except CorruptFileError:
                if not self.file.salvage:
                    raise
        self.unwritten.append(group.rpartition("/")[2])
        return []

    def _names(self, group: str, attribute: str) -> list[str]:
        names = self.file.names(group or "/", attribute)
        if names is None:
            raise CorruptFileError(f"has no list of names {attribute}", path=self.path, where=group or "/")
        return names

    def _era(self, version: str, weight_names: Mapping[str, Sequence[str]]) -> Era:
        if version:
            return era_of_version(version)
        named = [name for names in weight_names.values() for name in names]
        if named and all("/" not in name and split_keras_1(name) for name in named):
            return Era.KERAS_1
        return Era.KERAS_2

    def _spec(self, config: Mapping[str, Any] | None, version: str) -> ModelSpec | None:
        if config is None:
            return None
        try:
            spec = model_spec(config, version or None)
        except ConfigError as error:
            self.notes.append(Note("odd", f"the configuration cannot be followed: {error}"))
            return None
        self.notes += [Note("odd", text) for text in spec.odd]
        return spec

    # Layers and weights.

    def _layer(self, group: str, name: str, weight_names: Sequence[str], spec: LayerSpec | None, era: Era) -> Layer:
        placement = place_all_weights(name, weight_names, spec, era)
        if placement.by == "names" and weight_names:
            self.by_names += 1
        placed = []
        seen: set[str] = set()
        repeated = len(set(weight_names)) < len(weight_names)
        for weight_name, place in zip(weight_names, placement.places, strict=True):
            if weight_name in seen or (repeated and _join(group, name, weight_name) not in self.listing.datasets):
                self.unwritten.append(f"{name}/{weight_name}")  # Keras breaks off at the second of one name
                continue
            seen.add(weight_name)
            weight = self._weight(_join(group, name, weight_name), place.role, place.trainable)
            self._remember(weight_name, weight)
            placed.append((place.steps, weight))
        return assembled(name, spec.class_name if spec else None, spec, placed)

    def _weight(self, key: str, role: str, trainable: bool | None) -> Weight:
        tensor = self.listing.datasets.get(key)
        if tensor is None:
            error = CorruptFileError("a weight is listed and not there", path=self.path, where=key)
            if not self.file.salvage:
                raise offering_salvage(error)
            tensor = self.listing.datasets[key] = damaged_tensor(DType.OPAQUE, (0,), error)
            self.missing.append(key)
        self.used[id(tensor)] = None
        return Weight(role, tensor, key, trainable)

    def _remember(self, variable: str, weight: Weight) -> None:
        """Note a variable's name for tying the optimizer; Keras 3 turns its slashes into underscores there."""
        plain = plain_name(variable)
        self.listed_as[id(weight)] = variable
        for name in {plain, plain.replace("/", "_")}:
            self.variables[name] = None if name in self.variables else weight

    def _top_level(self, group: str) -> tuple[Weight, ...]:
        place = _join(group, TOP_LEVEL)
        if place not in self.listing.groups:
            return ()
        names = self.file.names(place, "weight_names") or []
        weights = []
        for name in names:
            weights.append(self._weight(_join(place, name), plain_name(name).rpartition("/")[2], None))
            self._remember(name, weights[-1])
        return tuple(weights)

    # The optimizer.

    def _optimizer(self, spec: OptimizerSpec, model: Model, config: Mapping[str, Any] | None, version: str) -> Optimizer | None:
        if OPTIMIZER_WEIGHTS not in self.listing.groups:
            return None
        names = self.file.names(OPTIMIZER_WEIGHTS, "weight_names")
        if not names:
            return None
        keys = [_join(OPTIMIZER_WEIGHTS, name) for name in names]
        if not self._all_written(keys):
            return None
        arrays = [self._weight(key, plain_name(name), None) for key, name in zip(keys, names, strict=True)]
        inner = (config or {}).get("config")
        prefix = inner.get("name") if isinstance(inner, Mapping) else None
        variables = dict(self.variables)
        if prefix:
            more = {f"{prefix}_{name}": weight for name, weight in self.variables.items() if "/" not in name}
            variables = {name: None if name in variables and name in more else weight for name, weight in (more | variables).items()}
        weights = [weight for _, weight in model.weights()]
        if trains_in_order_of_names(version):
            weights.sort(key=lambda weight: self.listed_as[id(weight)])
        optimizer, notes = tie_by_name(spec, arrays, weights, variables)
        self.notes += notes
        return optimizer

    def _all_written(self, keys: Sequence[str]) -> bool:
        """Whether the optimizer's state is there: Keras 3 cannot write Adafactor's, whose names repeat, and breaks off."""
        missing = [key for key in keys if key not in self.listing.datasets]
        self.unwritten += missing
        return not missing

    # What is left, and what was concluded.

    def _leftovers(self) -> Iterator[Weight]:
        for key in self.listing.objects:
            tensor = self.listing.datasets[key]
            if id(tensor) not in self.used:
                yield Weight(key.rpartition("/")[2], tensor, key)

    def _inventory(self) -> tuple[tuple[str, Tensor], ...]:
        """Every array: those that the file lists in the order of its lists, then the others."""
        place = {number: index for index, number in enumerate(self.used)}
        keys = sorted((*self.listing.objects, *self.missing), key=lambda key: place.get(id(self.listing.datasets[key]), len(place)))
        return tuple((key, self.listing.datasets[key]) for key in keys)

    def _note_inferred(self, whole: bool, layers: Sequence[Layer]) -> None:
        if self.unwritten:
            listed = ", ".join(self.unwritten[:5]) + (" …" if len(self.unwritten) > 5 else "")
            why = "were never written" if not self.file.salvage else "are not there, or cannot be read"
            start = "" if self.file.salvage else "saving broke off: "
            count = len(self.unwritten)
            text = f"{start}{f'{count} layers or weights' if count > 1 else 'a layer or weight'} are listed and {why} ({listed})"
            self.notes.append(Note("unread", text))
        if not whole:
            self.notes.append(
                Note("inferred", "the file holds no architecture: what is in a layer is concluded from the names of its weights")
            )
            weights = dict(Model(layers=tuple(layers)).weights())
            joined = [join_path(path) for path in weights if joined_cell(path, weights)]
            if joined:
                self.notes.append(Note("inferred", f"{len(joined)} arrays are {JOINED_CELLS} ({joined[0]}{', …' if joined[1:] else ''})"))
        elif self.by_names:
            which = "1 layer" if self.by_names == 1 else f"{self.by_names} layers"
            self.notes.append(Note("inferred", f"the weights of {which} are placed by their names alone"))


def write(model: Model, path: str, overwrite: bool, options: Mapping[str, str]) -> None:
    """Write a model: whole if it has an architecture and nothing else is asked for, else its weights alone.

    Raises:
        KmtError: The file is there already, or cannot be written; or an option has a value that means nothing.
    """
    # Reading has no need of these.
    from kmodel_tools.formats._shared.legacy_writer import layout_of, legacy_objects
    from kmodel_tools.storage.atomic import new_file
    from kmodel_tools.storage.hdf5_writer import Hdf5Image

    content = options.get("content", WHOLE)
    if content not in (WHOLE, WEIGHTS):
        raise KmtError(f"there is no content {content!r}", cure=f"choose {WHOLE} or {WEIGHTS}")
    image = Hdf5Image(legacy_objects(model, layout_of(model), content == WHOLE))
    with new_file(path, overwrite) as file:
        for block in image.blocks():
            file.write(block)


def _interleaved(era: Era) -> bool | None:
    """Whether optimizers of an era list their slots weight by weight; tf.keras has done both."""
    return None if era is Era.TF_KERAS else era is Era.KERAS_3


def _metadata(dialect: str, version: str, backend: str) -> dict[str, str]:
    found = {"dialect": dialect, "keras_version": version, "backend": backend}
    return {key: value for key, value in found.items() if value}


def _join(*parts: str) -> str:
    """A path in the file; HDF5 takes repeated slashes for one, and names in files may begin or end with one."""
    return "/".join(piece for part in parts for piece in part.split("/") if piece)


def _trailing_number(name: str) -> tuple[int, str]:
    last = name.rpartition("_")[2]
    return (int(last) if is_index(last) else -1, name)


def _specs_by_name(root: LayerSpec) -> dict[str, LayerSpec]:
    """Every layer of a configuration by name: the model's own first, then (Keras 1's Merge) those deeper down."""
    found: dict[str, LayerSpec] = {}
    level = [root]
    while level:
        for item in level:
            for child in item.children:
                found.setdefault(child.name, child)
        level = [child for item in level for child in item.children]
    return found


FORMAT = Format(
    name="keras-h5",
    title="Keras HDF5 (.h5)",
    suffixes=(".h5", ".hdf5"),
    containers=frozenset({Container.HDF5}),
    holds=Part.WEIGHTS | Part.NAMES | Part.CLASSES | Part.ARCHITECTURE | Part.TRAINING_CONFIG | Part.OPTIMIZER,
    detect=detect,
    read=read,
    write=write,
    salvages=True,
    options=(Option("content", WHOLE, "whole, or weights alone, which --weights-only asks for"),),
)
