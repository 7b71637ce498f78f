"""Where two containers of one model cannot agree on the paths of its weights: the one table of it.

A row names what it is about, the container that cannot tell, and why; `where` lists the models of the zoo (`case`) and
of the eras (`release/stem`, with wildcards) that show it. The tests that use the table fail when a model needs a row
that is not here, and when a row is not needed by a model that it lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Row:
    """What, in which container, why, and in which models it shows; `values_too` if not even the values agree."""

    subject: str
    container: str
    reason: str
    where: tuple[str, ...]
    values_too: bool = False


H5_WEIGHTS = "keras-h5 weights"
H5_WHOLE = "keras-h5"
WEIGHTS = "keras-weights"
ARCHIVE = "keras-archive"
CHECKPOINT_2 = "tf-checkpoint of Keras 2"
CHECKPOINT_3 = "tf-checkpoint of Keras 3"
SAVED_MODEL = "saved-model of Keras 2"
EXPORT = "saved-model, exported by Keras 3"

NESTED = (
    "model-nested",
    "model-nested_functional",
    "model-frozen_part",
    "model-frozen_whole",
    "model-shared_model",
    "model-shared_with_nested",
)

TABLE = (
    Row(
        "TimeDistributed",
        H5_WEIGHTS,
        "Keras 2 leaves the wrapped layer's name out, so the wrapper seems to own the weights; Keras 1 puts that name in the "
        "wrapper's place, which looks like a nested model",
        ("TimeDistributed-*", "1.*/rnn", "2.0.9/rnn", "2.3.1/rnn", "tf*/rnn"),
    ),
    Row("Embedding", H5_WEIGHTS, "Keras 1 calls its weight W, as it does a Dense layer's without bias", ("1.*/rnn",)),
    Row(
        "BatchNormalization, LayerNormalization with one of gamma and beta",
        WEIGHTS,
        "the two have the same shape, and only the configuration says which one it is",
        ("BatchNormalization-no_scale", "BatchNormalization-no_center", "LayerNormalization-no_center"),
    ),
    Row("Attention with one scalar", WEIGHTS, "scale and concat_score_weight have the same shape", ("attention-scaled",)),
    Row(
        "RNN of cells of several classes",
        WEIGHTS,
        "cells are numbered within their class, so their order is not stored",
        ("RNN-mixed_cells", "2.1*/n", "3.*/n"),
    ),
    Row(
        "every layer before Keras 3.6",
        WEIGHTS,
        "layers are called by class and number, their names are not stored",
        ("2.1*/f", "2.1*/s", "2.1*/n", "3.0.5/*", "3.1.1/*"),
    ),
    Row(
        "nested model",
        CHECKPOINT_2,
        "the graph of objects has no names, and variables of a nested model do not carry the model's",
        NESTED,
    ),
    Row(
        "nested Functional model",
        CHECKPOINT_3,
        "the layers of a functional model are named before it is nested",
        ("model-nested_functional", "model-shared_with_nested"),
    ),
    Row(
        "model nested in a nested model",
        H5_WEIGHTS,
        "names of weights start with that of the innermost layer",
        ("model-nested_functional",),
    ),
    Row("layer shared with a nested model", H5_WHOLE, "stored once for each of the two", ("model-shared_with_nested",), values_too=True),
    Row("layer shared with a nested model", H5_WEIGHTS, "stored once for each of the two", ("model-shared_with_nested",), values_too=True),
    Row("Pipeline", CHECKPOINT_3, "Keras 3 does not track its list of layers, and the names of their variables repeat", ("Pipeline",)),
    Row(
        "subclassed model",
        WEIGHTS,
        "what is reached as an element of `layers` is stored without its attribute",
        ("model-subclassed", "*/sub"),
    ),
    Row("subclassed model", ARCHIVE, "what is reached as an element of `layers` is stored without its attribute", ("model-subclassed",)),
    Row("subclassed model", H5_WEIGHTS, "layers are stored by name, their attributes are not", ("model-subclassed",)),
    Row(
        "RandomFourierFeatures",
        CHECKPOINT_2,
        "the graph lists variables as they were made, not trained ones first",
        ("RandomFourierFeatures",),
    ),
    Row(
        "wrapper of a layer with a name of its own",
        EXPORT,
        "an export names variables by layers, and not by the attributes that hold them",
        ("TimeDistributed-*", "Bidirectional-two_layers", "SpectralNormalization"),
    ),
    Row(
        "nested Functional model",
        EXPORT,
        "the layers of a functional model are named before it is nested",
        ("model-nested_functional", "model-shared_with_nested"),
    ),
    Row(
        "subclassed model or layer",
        EXPORT,
        "layers that are built when they are first called do not put their names into those of their variables",
        ("model-subclassed", "Pipeline"),
    ),
)


def rows_for(model: str, container: str) -> list[Row]:
    """The rows that apply to a model in a container."""
    return [row for row in TABLE if row.container == container and any(fnmatchcase(model, pattern) for pattern in row.where)]


@dataclass(frozen=True)
class Differs:
    """Where `diff` finds differences between two containers of one model: if just one of them is among these; why; in which models.

    There are none where the other one is among `but_not`.
    """

    containers: tuple[str, ...]
    reason: str
    where: tuple[str, ...]
    but_not: tuple[str, ...] = ()


DIFFERENCES = (
    Differs((EXPORT,), "names of variables repeat; only a checkpoint has them in the same order", ("model-subclassed",), (CHECKPOINT_3,)),
    Differs((CHECKPOINT_3,), "the weights of the list of layers are stored without their layers", ("Pipeline",), (EXPORT,)),
    Differs((H5_WHOLE, H5_WEIGHTS), "the layer is stored once for each of the two models", ("model-shared_with_nested",)),
)


def differences_for(model: str, containers: tuple[str, str]) -> list[Differs]:
    """The rows that apply to a model in two containers."""
    return [
        row
        for row in DIFFERENCES
        if (containers[0] in row.containers) is not (containers[1] in row.containers)
        and not set(containers) & set(row.but_not)
        and any(fnmatchcase(model, pattern) for pattern in row.where)
    ]


CHECKPOINT_REFUSALS: dict[tuple[str, str, str], str] = {
    ("tf_keras", "model-shared_with_nested", "h5"): "4 of its arrays are not tied to weights",
    ("tf_keras", "model-subclassed", "archive"): "21 of its arrays are not tied to weights",
    ("keras", "model-subclassed", "archive"): "22 of its arrays are not tied to weights",
    ("keras", "model-subclassed", "checkpoint"): "does not tell in which order its model counts its weights",
    ("keras", "Pipeline", "checkpoint"): "the two models do not have the same weights",
}
"""Framework, model and source of checkpoints that are refused, and what the refusal says.

A legacy file has a layer that a nested model shares twice; an archive does not tell in which order the attributes of a
subclassed model were set, nor their names; Keras 3 tracks no lists of layers.
"""

LIVE_REFUSALS = frozenset({("keras", "Pipeline", CHECKPOINT_3), ("tf_keras", "model-subclassed", WEIGHTS)})
"""Framework, model and container of which not every weight goes into the live model.

Names repeat and the layers are not tracked; layers of one shape are called by class and number.
"""
