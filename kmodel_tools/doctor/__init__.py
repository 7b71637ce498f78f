"""Why a saved model does not open, gives other results than it did, or is unsafe: findings, the gravest and likeliest first.

Nothing of a file is imported, decoded or run. A check is a function of a `Case` that yields findings; each module holds those of a theme,
in a tuple `CHECKS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from kmodel_tools.doctor import architecture, comparison, containers, messages, opening, precision, refused, safety, training, weights
from kmodel_tools.doctor.case import Case
from kmodel_tools.doctor.finding import SEVERITIES, SURENESS, THEMES, Finding
from kmodel_tools.doctor.kinds import kinds
from kmodel_tools.doctor.readers import Readers, readers_of
from kmodel_tools.errors import KmtError

Check = Callable[[Case], Iterator[Finding]]
BY_THEMES: tuple[tuple[tuple[Check, ...], frozenset[str]], ...] = (
    (containers.CHECKS, frozenset({"safety", "opening"})),
    (safety.CHECKS, frozenset({"safety", "opening"})),
    (opening.CHECKS, frozenset({"opening"})),
    (weights.CHECKS, frozenset({"weights"})),
    (refused.CHECKS, frozenset({"opening"})),
    (architecture.CHECKS, frozenset({"opening", "architecture", "training"})),
    (training.CHECKS, frozenset({"training", "opening"})),
    (precision.CHECKS, frozenset({"precision", "architecture"})),
)
"""Checks, and the themes that their findings are of: what nobody asks for is not looked at."""
CONSEQUENCES = {
    **dict.fromkeys(opening.EXPLAINED, frozenset({"damaged", "not-a-model"})),
    "truncated": frozenset({"damaged", "not-a-model", "saving-broke-off", "weights-missing"}),
    "missing-part": frozenset({"damaged", "not-a-model", "weights-missing"}),
    "lfs-pointer": frozenset({"damaged", "not-a-model", "truncated", "weights-missing", "weights-initial"}),
    "rejected-by-keras-3": frozenset({"compile-rejected-by-keras-3"}),
    "saving-broke-off": frozenset({"weights-missing"}),
}
"""Findings that follow from another one, which says what is the matter."""

NOT_IN_A_FILE = (
    ("the order of classes", "print the class names in training and here: flow_from_directory sorts folders, a LabelEncoder labels"),
    (
        "preprocessing outside of the model",
        "feed one input of training to both programs; compare scale, mean, RGB or BGR, resizing, tokens",
    ),
    ("the split of the data", "a test set that was in training looks too good; one from elsewhere too bad: fix the seed of the split"),
    ("labels and metrics", "compare predictions first, numbers of one batch: if they are equal, labels or the metric differ"),
    ("seeds and shuffling of a run", "keras.utils.set_random_seed(1) before anything else, in both programs"),
)
"""What no file shows, and what to look at instead."""


def diagnose(
    path: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    error: str | None = None,
    themes: Collection[str] | None = None,
) -> tuple[Finding, ...]:
    """Examine one file, or two, or a message that was given for one.

    Args:
        path: A file, a directory, or a checkpoint's prefix.
        other: A second one, to be compared with it.
        error: The message that Keras or TensorFlow gave.
        themes: What to look for, of `finding.THEMES`; everything if it is None.

    Returns:
        The findings, ranked: those about the message, then by severity, by how sure they are, and by how often their kind is
        the cause.

    Raises:
        KmtError: There is nothing at a path, no theme of a name, or a message or other themes for two files.
    """
    unknown = sorted(set(themes or ()) - set(THEMES))
    if unknown:
        raise KmtError(f"there is no theme {unknown[0]!r}", cure=f"the themes are: {', '.join(THEMES)}")
    case = Case(path)
    if other is not None:
        if error is not None:
            raise KmtError("a message is of one file, and two are given", cure="leave out the second file, or --error")
        if themes is not None and "comparison" not in themes:
            raise KmtError("two files are compared, and comparison is not asked for", cure="leave out --only, or the second file")
        return _of_two(case, Case(other), themes)
    wanted = THEMES if themes is None or error is not None else themes
    found = _found(case, wanted)
    answers = () if error is None else ranked(messages.explain(case, error, found))
    return tuple(item for item in (*answers, *ranked(found)) if themes is None or item.theme in themes)


def readers(path: str | os.PathLike[str]) -> Readers:
    """Say which releases of Keras and TensorFlow read a file as it is, and what it takes for Keras 3.

    Raises:
        KmtError: There is nothing at the path.
    """
    case = Case(path)
    return readers_of(case, _found(case, ("opening",)))


def _found(case: Case, wanted: Collection[str]) -> list[Finding]:
    """The findings of these themes, without those that follow from another one."""
    found = [item for checks, own in BY_THEMES if not own.isdisjoint(wanted) for check in checks for item in check(case)]
    said = {follows for item in found for follows in CONSEQUENCES.get(item.identifier, ())}
    return [item for item in found if item.identifier not in said]


BROKEN = frozenset({"truncated", "missing-part", "damaged", "saving-broke-off", "lfs-pointer"})
"""Findings of a file that opens only in part, so that comparing what is left of it would mislead."""


def _of_two(case: Case, other: Case, themes: Collection[str] | None) -> tuple[Finding, ...]:
    """What in two files can change a prediction; where one of them does not open as a whole, what is the matter with it."""
    broken = [replace(item, detail=f"{item.detail} It is {each.path}.".lstrip()) for each in (case, other) for item in _broken(each)]
    found = broken or comparison.compare(case, other)
    return ranked(item for item in found if broken or themes is None or item.theme in themes)


def _broken(case: Case) -> Iterable[Finding]:
    if case.model is None:
        return diagnose(case.path)
    return [item for item in diagnose(case.path, themes=("opening",)) if item.identifier in BROKEN]


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings, the gravest first; within a severity the surest, then in the order of the documentation."""
    order = {identifier: number for number, identifier in enumerate(kinds())}
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda item: (SEVERITIES.index(item.severity), SURENESS.index(item.sure), order[item.identifier]),
        )
    )
