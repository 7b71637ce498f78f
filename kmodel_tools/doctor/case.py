"""A file as the doctor has it in hand: what could be read of it, each value read once."""

from __future__ import annotations

import functools
import os
import shlex
from typing import Any

from kmodel_tools.architecture.envelope import Era, era_of
from kmodel_tools.architecture.spec import LayerSpec, ModelSpec, followed
from kmodel_tools.doctor.facts import Facts, facts_of
from kmodel_tools.doctor.finding import literal
from kmodel_tools.errors import KmtError
from kmodel_tools.format import Probe
from kmodel_tools.formats import read_model
from kmodel_tools.tree import Model, Path, Weight, join_path, split_path

ADDED = frozenset({"AddLoss", "AddMetric"})


class Case:
    """One file.

    Attributes:
        path: The path as the user gave it.
        probe: A look at it, or None where there is nothing to look at.
        model: The model in it, with what is damaged described as such, or None if it does not open.
        error: Why it does not open, or None.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file as far as it opens.

        Raises:
            KmtError: There is nothing at the path.
        """
        self.path = os.fspath(path)
        self.probe: Probe | None = None
        self.model: Model | None = None
        self.error: KmtError | None = None
        try:
            self.probe = Probe(self.path, salvage=True)
            self.model = read_model(self.path, salvage=True)
        except KmtError as error:
            if not os.path.lexists(self.path) and not os.path.isfile(f"{self.path}.index") and not beside(self.path):
                raise
            self.error = error

    @property
    def quoted(self) -> str:
        """The path as an argument of a shell."""
        return argument(self.path)

    @property
    def stem(self) -> str:
        """The path without its suffix: where a converted file may go."""
        for suffix in (".weights.h5", ".weights.json", ".keras", ".h5", ".hdf5", ".json", ".yaml", ".index", ".ckpt", ".pb", ".pbtxt"):
            if self.path.endswith(suffix):
                return self.path.removesuffix(suffix)
        return self.path.rstrip("/")

    def output(self, ending: str) -> str:
        """A path for what a cure writes, as an argument of a shell."""
        return argument(self.stem + ending)

    def converted(self, ending: str) -> str:
        """A path for a converted model, as an argument of a shell: whole where there is an architecture, else its weights."""
        whole = self.model is not None and self.model.architecture is not None
        return self.output(f"{ending}{'.keras' if whole else '.weights.h5'}")

    def carried(self, ending: str) -> str:
        """The command that carries the model to Keras 3; an architecture alone stays one."""
        dropped = "".join(f" --drop {argument(join_path(path))}" for path in self.added)
        if self.model is not None and self.model.format == "keras-json":
            return f"kmt convert {self.quoted} {self.output(ending + '.json')} --target keras3{dropped}"
        return f"kmt convert {self.quoted} {self.output(ending + '.keras')}{dropped}"

    @functools.cached_property
    def added(self) -> tuple[Path, ...]:
        """Layers in which Keras 2 keeps losses and metrics that were added to a model; predictions do not pass through them."""
        return tuple(path for path, spec in self.layers if spec.class_name in ADDED)

    @property
    def uncompiled(self) -> str:
        """The line that loads the model without what it was compiled with; Keras 3 loads no SavedModel, but what becomes of it."""
        if self.model is not None and self.model.format == "saved-model":
            made = self.stem + "_keras3.keras"
            return f"{self.carried('_keras3')}  # and then: keras.models.load_model({literal(made)}, compile=False)"
        return f"keras.models.load_model({literal(self.path)}, compile=False)"

    @functools.cached_property
    def spec(self) -> ModelSpec | None:
        """What the configuration says, or None where there is none that can be followed."""
        return None if self.model is None else followed(self.model)

    @functools.cached_property
    def remains(self) -> tuple[tuple[str, Any], ...]:
        """The configurations of a file that does not open as a model, as far as they can be read."""
        from kmodel_tools.doctor.containers import configurations

        return () if self.probe is None else tuple(configurations(self.probe))

    @functools.cached_property
    def objects(self) -> tuple[tuple[str, Any], ...]:
        """What Keras states of the objects of a SavedModel; those of a subclassed model are in no architecture."""
        from kmodel_tools.formats.saved_model.keras_nodes import descriptions

        if self.probe is None or self.model is None or self.model.format != "saved-model":
            return ()
        try:
            return tuple(("object", data) for data in descriptions(self.probe))
        except KmtError:
            return ()

    @functools.cached_property
    def era(self) -> Era | None:
        """The generation that the configuration is of, or None where there is none."""
        if self.model is None or self.model.architecture is None:
            return None
        return era_of(self.model.architecture, self.model.metadata.get("keras_version"))

    @functools.cached_property
    def layers(self) -> tuple[tuple[Path, LayerSpec], ...]:
        """Every layer of the configuration with its path, a model before what it holds."""
        if self.spec is None:
            return ()
        found: list[tuple[Path, LayerSpec]] = []
        stack: list[tuple[Path, LayerSpec]] = [((), self.spec.root)]
        while stack:
            path, layer = stack.pop()
            found.append((path, layer))
            stack.extend(((*path, *components(child)), child) for child in reversed(layer.children))
        return tuple(found)

    def line_to(self, path: Path) -> str:
        """The layer at a path as Python reaches it from `model`: through nested models by name; of a part, the layer that it is one of."""
        text, node = "model", None if self.spec is None else self.spec.root
        while path and node is not None:
            child = next((each for each in node.children if path[: len(components(each))] == components(each)), None)
            if child is None or child.attr is not None:
                break
            text, node, path = f"{text}.get_layer({literal(child.name)})", child, path[len(components(child)) :]
        return text

    def line_of_words(self, path: Path) -> str:
        """The line that gives a layer its words, in its configuration too: to a layer that was made with words Keras gives no others.

        Source: Keras 3.15.1 `layers/preprocessing/index_lookup.py` (`load_assets`), `text_vectorization.py` (`_lookup_layer`).
        """
        plain = next((spec.class_name.rpartition(">")[2] for each, spec in self.layers if each == path), "")
        layer = self.line_to(path) + ("._lookup_layer" if plain == "TextVectorization" else "")
        words = "layer.input_vocabulary = WORDS_OF_TRAINING_IN_THEIR_ORDER; layer.set_vocabulary(layer.input_vocabulary)"
        return f"layer = {layer}; {words}  # and save again"

    @functools.cached_property
    def weights(self) -> tuple[tuple[Path, Weight], ...]:
        """Every weight with its path."""
        return () if self.model is None else tuple(self.model.weights())

    @functools.cached_property
    def facts(self) -> dict[int, Facts]:
        """What the values of each weight show, by the weight's identity; a weight that cannot be read is not there."""
        found = ((id(weight), facts_of(weight.tensor)) for _, weight in self.weights)
        return {key: facts for key, facts in found if facts is not None}


def argument(path: str) -> str:
    """A path as an argument of a shell, which no command takes for an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def components(spec: LayerSpec) -> Path:
    """What a layer adds to the paths below it."""
    return (spec.name,) if spec.attr is None else split_path(spec.attr)


def beside(path: str) -> tuple[str, ...]:
    """The files that a path is the beginning of: shards of a checkpoint without its index."""
    folder, name = os.path.split(path)
    if not name or not os.path.isdir(folder or "."):
        return ()
    return tuple(sorted(item for item in os.listdir(folder or ".") if item.startswith(f"{name}.data-") and "-of-" in item))
