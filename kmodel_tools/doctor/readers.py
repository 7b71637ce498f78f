"""Which releases of Keras read a file as it is, and what it takes for Keras 3.

A release reads what it wrote itself. Beyond that only what was tried is said: models of every generation were loaded with each release
in `TRIED`, and their predictions compared with those of the release that wrote them. What no trial shows is left out, so that a release
that is not named may read the file all the same::

    written by                 read by
    Keras 1                    the same release
    Keras 2.0, 2.1             Keras from it to 2.3.1; TensorFlow from 2.4 on, and tf_keras (1)
    Keras 2.2, 2.3             Keras from it to 2.3.1; TensorFlow from 1.15 on, and tf_keras (1)
    tf.keras: .h5, SavedModel  TensorFlow from it on, and tf_keras
    tf.keras: .keras           2.12 to 2.14: the same TensorFlow; then from it on, and tf_keras (2)
    Keras 3                    Keras 3 from it on, where it does not reject what the file says

(1) Of whole models and architectures, without a GRU: Keras 2 says nothing of `reset_after`, which TensorFlow 2 takes for true.
(2) Each counted layers of a class in its own way to name their weights: 2.15 does not find those of 2.14.

Bytecode of a Lambda is read by the Python that wrote it alone, and code of one's own may run under its own release alone. Whether Keras
3.15.1 takes what an earlier release wrote is told by what it is known to reject (`refused`), which was held against the same models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kmodel_tools.architecture.custom_objects import custom_objects
from kmodel_tools.architecture.envelope import Era, era_of_version, version_numbers
from kmodel_tools.architecture.spec import LayerSpec
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import Evidence, Finding
from kmodel_tools.doctor.refused import GONE

TRIED = {
    "Keras": ("2.0.9", "2.1.6", "2.2.4", "2.3.1"),
    "TensorFlow": ("1.15", "2.2", "2.4", "2.12", "2.15"),
    "tf_keras": ("2.21",),
    "Keras 3": ("3.6.0", "3.10.0", "3.13.2", "3.15.1"),
}
"""Releases that models of all others were loaded with."""
COUNTED = {"2.2.4-tf": "2.2", "2.3.0-tf": "2.2"}
"""The releases of TensorFlow from which on files of a version of tf.keras are read; from 2.4 on both have the same number."""
LAST_KERAS, LAST_TF, LAST_TF_KERAS, LAST_KERAS_3 = (releases[-1] for releases in TRIED.values())
NOT_HINDERING = frozenset({"rejected-by-keras-3", "compile-rejected-by-keras-3", "lambda-bytecode"})
FORMATS = frozenset({"keras-h5", "keras-json", "keras-archive", "saved-model"})
VERSION = re.compile(r"\d{1,2}\.\d{1,3}(\.\d{1,3})?(-tf)?")
READS, UNCOMPILED, CONVERTED = "as it is", "with compile=False", "converted"
"""How Keras 3 takes a file: converted means that it does so only after that."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads a file.

    Attributes:
        releases: Ranges of releases that read it as it is: `("TensorFlow 2.2 to 2.15", "tf_keras 2.21")`; empty where none is known.
        conditions: What they need besides: `"your own classes: Scaled"`.
        keras_3: How Keras 3.15.1 takes it: one of `READS`, `UNCOMPILED` and `CONVERTED`, or "" where that is not known.
        convert: The command that makes of it what Keras 3 reads, or "".
        rejected: What of it Keras 3 rejects, as far as known.
    """

    releases: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    keras_3: str = ""
    convert: str = ""
    rejected: tuple[Evidence, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return asdict(self)


def readers_of(case: Case, found: Iterable[Finding]) -> Readers:
    """Say who reads a file; nothing where something keeps it from opening, or every release should refuse it.

    Args:
        case: The file.
        found: The findings that keep it from opening, those about Keras 3 and about safety included.
    """
    known = {item.identifier: item for item in found if item.theme in ("opening", "safety")}
    if case.model is None or any(item.severity == "error" and name not in NOT_HINDERING for name, item in known.items()):
        return Readers()
    if case.model.format == "keras-h5" and not case.weights:
        return Readers()  # Keras writes the group of weights even where it is empty; this file is somebody else's
    rejected = known.get("rejected-by-keras-3")
    bound = "lambda-bytecode" in known or (case.era is not Era.KERAS_3 and bool(_own_names(case)))
    keras_3 = _keras_3(case, known)
    releases = tuple(_releases(case, keras_3, bound))
    convert = rejected.cure if rejected is not None else _carried(case) if keras_3 == CONVERTED else ""
    return Readers(releases, tuple(_conditions(case)) if releases else (), keras_3, convert, rejected.evidence if rejected else ())


def _keras_3(case: Case, known: Mapping[str, Finding]) -> str:
    """How Keras 3.15.1 takes the file."""
    model = case.model
    if model is None or "lambda-bytecode" in known:
        return ""
    if "rejected-by-keras-3" in known or model.format == "tf-checkpoint":
        return CONVERTED
    if model.format == "keras-weights":
        return READS if model.metadata.get("dialect", "").startswith("Keras 3") else ""
    if model.architecture is None or model.format not in ("keras-h5", "keras-archive", "keras-json"):
        return ""
    if model.format == "keras-archive" and case.era is Era.TF_KERAS and version_numbers(model.metadata.get("keras_version", "")) < (2, 15):
        return CONVERTED
    if case.era is not Era.KERAS_3 and _own_names(case):
        return ""
    return UNCOMPILED if "compile-rejected-by-keras-3" in known else READS


def _carried(case: Case) -> str:
    if case.model is not None and case.model.architecture is not None:
        return case.carried("_keras3")
    return f"kmt convert {case.quoted} {case.output('_keras3.weights.h5')} --like MODEL_OF_THE_SAME_LAYERS.keras"


def _releases(case: Case, keras_3: str, bound: bool) -> Iterator[str]:
    """The ranges of releases, those of the line that wrote it first, Keras 3 last.

    Args:
        case: The file.
        keras_3: How Keras 3 takes it.
        bound: Whether only the release that wrote it is sure to read it, for code that it needs.
    """
    model = case.model
    version = "" if model is None or model.format not in FORMATS else model.metadata.get("keras_version", "")
    suffix = f" {UNCOMPILED}" if keras_3 == UNCOMPILED else ""
    if VERSION.fullmatch(version):
        if case.era is Era.KERAS_3:
            last = version if bound or keras_3 == CONVERTED else LAST_KERAS_3
            yield _range("Keras", version, last) + suffix
            return
        earlier = list(_earlier(case, version))
        yield from (item.partition(" to ")[0] for item in earlier[:1]) if bound else earlier
    if keras_3 in (READS, UNCOMPILED):
        yield f"Keras {LAST_KERAS_3}{suffix}"


def _earlier(case: Case, version: str) -> Iterator[str]:
    """The ranges of releases before Keras 3."""
    model, numbers = case.model, version_numbers(version)
    if model is None or case.path.endswith((".yaml", ".yml")) or model.metadata.get("dialect") == "tf.keras in TensorFlow 1":
        return
    era = era_of_version(version) if case.era is None else case.era
    if era in (Era.KERAS_0, Era.KERAS_1):
        yield f"Keras {version}"
    elif era is Era.KERAS_2:
        yield _range("Keras", version, LAST_KERAS)
        if case.era is not None and not any(_is_taken_otherwise(spec) for _, spec in case.layers):
            yield from _later("1.15" if numbers >= (2, 2) else "2.4")
    elif era is Era.TF_KERAS and model.format == "keras-archive" and numbers < (2, 15):
        yield f"TensorFlow {numbers[0]}.{numbers[1]}"
    elif era is Era.TF_KERAS and (version in COUNTED or not version.endswith("-tf")):
        yield from _later(COUNTED.get(version, f"{numbers[0]}.{numbers[1]}"))


def _later(first: str) -> Iterator[str]:
    """TensorFlow from a release on, and the package tf_keras that took over from 2.16 on."""
    if version_numbers(first) < (2, 16):
        yield _range("TensorFlow", first, LAST_TF)
        yield f"tf_keras {LAST_TF_KERAS}"
    else:
        yield _range("tf_keras", first, LAST_TF_KERAS)


def _is_taken_otherwise(spec: LayerSpec) -> bool:
    """Whether TensorFlow 2 makes another layer of what Keras 2 says of one, or may not have its class."""
    kind = spec.class_name.rpartition(">")[2]
    untold = kind in ("GRU", "GRUCell") and "reset_after" not in spec.config
    return untold or kind in GONE or spec.config.get("trainable", True) is None


def _range(line: str, first: str, last: str) -> str:
    return f"{line} {first}" if version_numbers(first) >= version_numbers(last) else f"{line} {first} to {last}"


def _own_names(case: Case) -> list[str]:
    """Classes and functions that the file names and no Keras has."""
    model = case.model
    if model is None or model.architecture is None:
        return []
    used = custom_objects(model.architecture, model.training_config)
    return list(dict.fromkeys(item.name for item in used if item.kind != "lambda"))


def _conditions(case: Case) -> Iterator[str]:
    """What a release needs besides the file."""
    model = case.model
    if model is None:
        return
    if model.architecture is None:
        yield "a model that is made by its code"
        return
    if names := _own_names(case):
        yield f"your own code: {', '.join(names[:6])}{' …' if len(names) > 6 else ''}"
    if any(item.kind == "lambda" for item in custom_objects(model.architecture, model.training_config)):
        yield "the Python that wrote its Lambda layers, and safe_mode=False where that is asked for"
