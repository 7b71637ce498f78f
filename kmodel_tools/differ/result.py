"""What `diff` answers, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kmodel_tools.differ.values import Difference, Tolerance
from kmodel_tools.matcher.result import Match
from kmodel_tools.tensor import Shape

ASPECTS = ("layers", "weights", "trainable", "config", "training_config", "optimizer", "assets", "extras")
"""What is compared, in the order in which it is told."""
SAME, DIFFERENT, NOT_COMPARED, NEITHER = "same", "different", "not compared", "in neither"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models.

    Attributes:
        name: Its name.
        format: Its format.
        metadata: What its file says of who wrote it.
        upgraded: Whether it is compared as it is carried to Keras 3, which the other one is of.
        remarks: What was expressed in another way by that, or why it could not be carried; a sentence each.
    """

    name: str
    format: str
    metadata: Mapping[str, str]
    upgraded: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aspect:
    """An aspect of the two models.

    Attributes:
        name: One of `ASPECTS`.
        status: `same`, `different`, `not compared` (one side does not hold it) or `in neither`.
        detail: What was compared, how much of it differs, or why it was not compared.
        not_compared: What of the aspect was left aside because one side does not hold it, and why; one sentence each.
    """

    name: str
    status: str
    detail: str
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that changed.

    Attributes:
        kind: `added`, `removed`, `renamed`, `moved` (to another place among the layers beside it), or `class`, of another one.
        path_a: Its path in `a`, "" where it is not.
        path_b: Its path in `b`, "" where it is not.
        class_a: Its class in `a`.
        class_b: Its class in `b`.
        weights: Number of weights in it and below.
        doubt: Of what is added or removed, what it may be in the other model, or "".
        after: Of what is added or moved, the path in `b` of the layer before it in the same model or layer, "" for the first.
    """

    kind: str
    path_a: str
    path_b: str
    class_a: str | None
    class_b: str | None
    weights: int = 0
    after: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class WeightRecord:
    """A weight that one side has alone; why that is not sure, with the weights of the other side that it may be, or "" and none."""

    path: str
    shape: Shape
    dtype: str
    doubt: str = ""
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Two arrays that are not the same, or the same with other dtypes.

    Attributes:
        path_a: Path of the weight in `a`; of a slot the slot's name and, after a colon, that of its weight.
        path_b: The same in `b`.
        shape_a: Shape in `a`.
        shape_b: Shape in `b`.
        dtype_a: dtype in `a`.
        dtype_b: dtype in `b`.
        differs: Whether that counts as a difference: shapes, kinds of elements, or values beyond the tolerances.
        values: How far the values are apart; None where shapes differ, or one side has strings and the other numbers.
        layout: How `b` comes from `a` by another layout (`transposed`, `reshaped`, `rolled by 2 along axis 1`, …), or None.
        values_of: The path in `a` of another weight whose values `b` has now, or None.
    """

    path_a: str
    path_b: str
    shape_a: Shape
    shape_b: Shape
    dtype_a: str
    dtype_b: str
    differs: bool
    values: Difference | None = None
    layout: str | None = None
    values_of: str | None = None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that differs: the layer's paths ("" for the model), its key, its values; `missing_a`, `missing_b` where it is not set."""

    path_a: str
    path_b: str
    key: str
    a: Any = None
    b: Any = None
    missing_a: bool = False
    missing_b: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """How weights were paired: `name` or `position`, why, how many, and which paths differ (`a`, `b`)."""

    by: str
    why: str
    pairs: int
    elements: int
    left_out: int
    renamed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """All differences of two models, aspect by aspect.

    Attributes:
        a: The first model.
        b: The second.
        pairing: How their weights were paired.
        tolerance: What counted as the same number.
        aspects: Those that were asked for, each with its verdict.
        layers: Layers added, removed, renamed, of another class.
        weights: Weights that changed, those of other shapes first, then the largest change first; then those of another dtype
            with the same values.
        only_a: Weights of `a` alone.
        only_b: Weights of `b` alone.
        trainable: Weights that are trained on one side only.
        config: Settings of layers and of the model.
        training_config: What was compiled, by key.
        optimizer: Slots and counters that changed, as `weights`.
        optimizer_only: Slots and counters that one side has alone, and an optimizer of another class.
        assets: Files that were added, removed or changed.
        extras: Arrays of no layer, by their keys, as `weights`.
        match: Which weight was paired with which.
    """

    a: Side
    b: Side
    pairing: Pairing
    tolerance: Tolerance
    aspects: tuple[Aspect, ...]
    layers: tuple[LayerChange, ...] = ()
    weights: tuple[WeightChange, ...] = ()
    only_a: tuple[WeightRecord, ...] = ()
    only_b: tuple[WeightRecord, ...] = ()
    trainable: tuple[SettingChange, ...] = ()
    config: tuple[SettingChange, ...] = ()
    training_config: tuple[SettingChange, ...] = ()
    optimizer: tuple[WeightChange, ...] = ()
    optimizer_only: tuple[SettingChange, ...] = ()
    assets: tuple[SettingChange, ...] = ()
    extras: tuple[WeightChange, ...] = ()
    match: Match | None = None

    @property
    def same(self) -> bool:
        """Whether no aspect that was compared is different."""
        return all(aspect.status != DIFFERENT for aspect in self.aspects)

    def aspect(self, name: str) -> Aspect:
        """The aspect of that name.

        Raises:
            KeyError: It was not asked for.
        """
        for aspect in self.aspects:
            if aspect.name == name:
                return aspect
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        found = asdict(replace(self, match=None))
        del found["match"]
        return {"same": self.same, **found}
