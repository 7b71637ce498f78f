"""What a conversion will carry, conclude, leave out and lose: worked out before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.converter.choosing import chosen, extracted, named
from kmodel_tools.converter.extras import SAVE_COUNTER, arrays_beside, line_beside
from kmodel_tools.converter.fitting import refuse_gaps
from kmodel_tools.converter.generations import AS_ASKED, in_its_generation
from kmodel_tools.converter.numbering import numbered, order_depends_on_flags
from kmodel_tools.converter.optimizer import CHECKPOINT, carried_state, counts_as_listed, is_fresh, retied, same_layout
from kmodel_tools.converter.planting import planted
from kmodel_tools.converter.precision import beyond_precision
from kmodel_tools.converter.replacing import Replacing
from kmodel_tools.converter.request import Request
from kmodel_tools.converter.salvage import without_damaged
from kmodel_tools.converter.unpacking import refuse_what_is_of_weights, without_state, without_weights
from kmodel_tools.editor import cast, graft, take_averages
from kmodel_tools.errors import ConversionError, KmtError
from kmodel_tools.format import Format, Part
from kmodel_tools.tensor import DType
from kmodel_tools.tree import Model, Weight
from kmodel_tools.upgrader.generation import (
    FIRST,
    GENERATIONS,
    brought_over,
    generation,
    taken_for,
)
from kmodel_tools.verifier import unread_parts


@dataclass(slots=True)
class Plan:
    """A conversion that is being worked out.

    Attributes:
        source: The model, as it was read.
        target: The format that will be written.
        request: What the conversion was asked to do.
        carried: What is carried beside weights.
        left_out: What is left out as asked for, or since the target is a file of weights.
        inferred: What is concluded.
        lost: What the target cannot hold.
        changes: What is expressed in another way.
        holes: Whether weights are missing that could not be read.
        part: Whether weights were chosen that are no whole model.
        cut: Whether layers are gone, and the optimizer's state is not counted as in the source.
        replacing: The layers that are being replaced.
    """

    source: Model
    target: Format
    request: Request
    carried: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    holes: bool = False
    part: bool = False
    cut: bool = False
    replacing: Replacing = field(init=False)

    def __post_init__(self) -> None:
        self.replacing = Replacing(self.request.replace_layers)

    @property
    def weights_only(self) -> bool:
        """Whether the result is no whole model: as asked for, or since a part of the weights is none."""
        return self.request.weights_only or self.part or self.holes

    @property
    def _keeps_optimizer(self) -> bool:
        return self.request.optimizer and not self.request.weights_only

    def model(self) -> Model:
        """The model that will be written, the lists being filled on the way."""
        if Part.WEIGHTS not in self.target.holds:
            return self._document()
        self.inferred += [note.text for note in self.source.notes if note.kind == "inferred"]
        self._extras(self.source)
        if self.source.graph is not None:
            self.left_out.append("the TensorFlow graph with its signatures: what is written holds weights and Keras's configuration")
        model = self.source
        steps = (
            self._averaged,
            *self._names(),
            self._like,
            self._numbered,
            self._marked,
            self._choice,
            self._salvaged,
            self._rounded,
            self._in_range,
        )
        for step in (*steps, self._architecture, self._replaced, self._optimizer, self._assets):
            model = step(model)
        self._remark_order(model)
        self._remark_types(model)
        return replace(model, extras=tuple(extra for extra in model.extras if self._carries(extra)))

    def _names(self) -> tuple[Callable[[Model], Model], Callable[[Model], Model]]:
        return partial(named, self), partial(extracted, self)

    def _choice(self, model: Model) -> Model:
        return chosen(self, model)

    def _document(self) -> Model:
        """The architecture that will be written alone."""
        refuse_what_is_of_weights(self.request, self.target)
        model, self.left_out = without_state(self.source, self.request.optimizer)
        for step in (*self._names(), self._like, self._marked, self._choice, self._architecture, self._replaced):
            model = step(model)
        before, after = (GENERATIONS[era] if (era := generation(item)) is not None else "" for item in (self.source, model))
        if before and before != after:
            self.inferred.append(f"it goes with weights as {after} has them, whose values may be others: write them with --target too")
        return without_weights(model)

    def _like(self, source: Model) -> Model:
        """The model in the layout of another file."""
        like = self.request.like
        if like is None:
            return source
        if generation(source) in FIRST and source.architecture is None and generation(like) not in FIRST:
            raise ConversionError(
                "layers of Keras 0.3 and 1 keep other arrays than those of later releases, and only their architecture tells which",
                cure="give the one that it was saved with (to_json): --like OLD.json",
            )
        self.inferred += taken_for(source, like)
        brought = brought_over(source, like)
        self.inferred += brought.said
        # Without an architecture, nothing is carried, and a remark says what the values mean otherwise.
        (self.inferred if source.architecture is not None else self.lost).extend(brought.remarks)
        source = brought.model
        if like.architecture is not None and not any(True for _ in like.weights()):
            model, remarks, beside = planted(source, like)
            self.inferred += remarks
            self.lost += line_beside(beside)
            if self.target.name == "keras-h5" and not self.weights_only:
                refuse_gaps(model)
            if source.training_config and not model.training_config:
                self.left_out.append("training configuration: it is that of the source, and --like gives another architecture")
            return retied(model, source)
        grafted, how, beside = graft(source, like, "auto" if self.request.mapping is None else "name")
        self.inferred.append(f"weights are paired {how}")
        self.lost += line_beside(beside)
        if grafted.optimizer is not None and self._keeps_optimizer and not counts_as_listed(like):
            self.lost.append("the optimizer's state (the file of --like does not tell in which order its model counts its weights)")
            grafted = replace(grafted, optimizer=None)
        return retied(grafted, source)

    def _numbered(self, source: Model) -> Model:
        """The model, the weights of somebody's own layers in the order that files of Keras number them by."""
        if self.target.name == CHECKPOINT:
            return source
        ordered = numbered(source, self.source)
        self.inferred += ordered.inferred
        self.lost += ordered.lost
        return ordered.model

    def _marked(self, source: Model) -> Model:
        """The model with marks in the place of the layers that are to be replaced."""
        if self.request.replace_layers and (self.request.select or self.request.drop):
            raise KmtError("--replace-layer is for a whole model, and --select and --drop are for a part")
        return self.replacing.mark(source)

    def _replaced(self, model: Model) -> Model:
        """The model with the layers that were asked for."""
        replaced = self.replacing.put(model, generation(model) is Era.KERAS_3)
        self.changes += self.replacing.said
        self.lost += self.replacing.lost
        return replaced

    def _rounded(self, source: Model) -> Model:
        dtype = self.request.dtype
        if dtype is None:
            return source
        count = sum(weight.tensor.dtype.is_float and weight.tensor.dtype is not dtype for _, weight in source.weights())
        self.carried.append(f"{count} of the weights rounded to {dtype.value}, as asked for")
        return cast(source, dtype)

    def _in_range(self, model: Model) -> Model:
        """The model; values that rounding makes infinite, here or in a transfer, are a loss."""
        self.lost += beyond_precision(model)
        return model

    def _remark_types(self, model: Model) -> None:
        """Say of weights in bfloat16 that HDF5 has no name for the type, and what follows from it."""
        count = sum(weight.tensor.dtype is DType.BFLOAT16 for _, weight in model.weights())
        if count and self.target.name == "keras-h5":
            self.inferred.append(
                f"{count} weights are bfloat16, which no Keras loads from a legacy file; --dtype float32 writes what it does"
            )

    def counts_layers(self) -> bool:
        """Whether the target is a checkpoint of objects, in which layers have a number and no name."""
        return self.target.name == CHECKPOINT and self.request.options.get("layout") != "names"

    def _remark_order(self, model: Model) -> None:
        if self.target.name == "keras-h5" and model.format != "keras-h5" and order_depends_on_flags(model):
            self.inferred.append("the source does not say which weights are trained: a legacy file lists them as if no layer was frozen")
        if self.counts_layers():
            who = "Keras 3" if self.request.options.get("target") == "keras3" else "Keras 2 (tf_keras)"
            self.inferred.append(f"the checkpoint is laid out for models of {who}: see --target")
        if self.counts_layers() and model.architecture is None and any(layer.attr is None for layer in model.layers):
            self.inferred.append("the layers are written as those of a Functional or Sequential model: the source does not say which it is")

    def _salvaged(self, source: Model) -> Model:
        """What can be read; a model of which weights are missing is a file of weights."""
        if not self.request.salvage:
            return source
        optimizer = self.request.optimizer and not self.weights_only
        kept = without_damaged(source, optimizer, extras=same_layout(source, self.target))
        self.lost += [*unread_parts(self.source), *kept.losses]
        if not kept.holes:
            return kept.model
        if self.target.name == "keras-archive":
            raise ConversionError(
                f"a .keras archive holds whole models, and of this one is lost: {'; '.join(self.lost)}",
                tuple(self.lost),
                cure="write the weights that are left: NAME.h5, or NAME.weights.h5",
            )
        if self.counts_layers():
            raise ConversionError(
                f"a checkpoint counts the layers that have weights, and some are lost: {'; '.join(self.lost)}",
                tuple(self.lost),
                cure="write the weights that are left under their names: NAME.h5, or --option layout=names",
            )
        self.holes = True
        if not any(True for _ in kept.model.weights()):
            raise ConversionError(f"no weight can be read: {'; '.join(self.lost)}", tuple(self.lost))
        if self.target.name != "keras-h5":  # where the architecture says what is frozen, and so the order; it is not written
            kept = replace(kept, model=replace(kept.model, architecture=None))
        if source.architecture is not None:
            self.left_out.append("architecture and training configuration: without the weights that are lost, it is no whole model")
        return replace(kept.model, training_config=None, optimizer=None)

    def _averaged(self, source: Model) -> Model:
        if not self.request.averages:
            return source
        averaged, count = take_averages(source)
        self.carried.append(f"the moving averages of {count} weights in their place, as asked for")
        return averaged

    def _extras(self, source: Model) -> None:
        """Arrays that fit nowhere in the tree: carried only into the layout that they came from."""
        extras = [extra for extra in source.extras if not _redundant(source, extra.role) and not self._carries(extra)]
        left_out, lost = arrays_beside(extras)
        if lost and self.request.weights_only:
            left_out, lost = [*left_out, *(f"{line}: as asked for" for line in lost)], []
        self.left_out += left_out
        self.lost += lost

    def _carries(self, extra: Weight) -> bool:
        """Whether the target has a place for an array that is not in the tree."""
        if self.target.name != CHECKPOINT:
            upgraded = self.target.name == "keras-archive" and generation(self.source) is not Era.KERAS_3
            return same_layout(self.source, self.target) and self.request.like is None and not upgraded
        options = self.request.options
        if options.get("layout") == "names":
            return self.source.metadata.get("dialect", "").endswith("name-based")
        return extra.role == SAVE_COUNTER and options.get("root") != "model"

    def _architecture(self, model: Model) -> Model:
        return in_its_generation(self, model)

    def _optimizer(self, model: Model) -> Model:
        if model.optimizer is None:
            return model
        if not self._keeps_optimizer:
            self.left_out.append(AS_ASKED)
            return replace(model, optimizer=None)
        state = carried_state(model, self.source, generation(self.source), self.target, self.request, self.cut)
        self.lost += state.lost
        self.left_out += state.left_out
        self.inferred += state.inferred
        if (optimizer := state.optimizer) is not None:
            slots = (
                "no arrays for weights, as it has taken no step" if is_fresh(optimizer) else f"{len(optimizer.slots)} arrays for weights"
            )
            arrays = f"{slots}, {len(optimizer.counters)} counters"
            rest = f", {len(optimizer.extras)} arrays that are not tied to weights" if optimizer.extras else ""
            self.carried.append(f"optimizer {optimizer.class_name or ''}: {arrays}{rest}".replace(" :", ":"))
        return replace(model, optimizer=state.optimizer)

    def _assets(self, model: Model) -> Model:
        if not model.assets:
            return model
        if self.request.weights_only:
            self.left_out.append(f"{len(model.assets)} files of layers: as asked for")
        elif Part.ASSETS not in self.target.holds:
            self.lost += [f"the file {asset.name}" for asset in model.assets]
        else:
            self.carried.append(f"{len(model.assets)} files of layers")
            if self.request.like is not None and model.assets == self.request.like.assets and model.assets != self.source.assets:
                self.inferred.append(f"{len(model.assets)} files of layers are those of --like, not the source's")
            return model
        return replace(model, assets=())


def _redundant(model: Model, role: str) -> bool:
    """Whether an array beside the tree is no loss: a kernel that is stored twice, that of a normalized Embedding as `kernel` too."""
    return role == "kernel" and any(weight.role in ("kernel", "embeddings") for _, weight in model.weights())
