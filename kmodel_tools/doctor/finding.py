"""What the doctor says: a finding, its evidence, and the kind that it is one of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("error", "warning", "note")
"""`error`: the file does not open, is wrong, or is unsafe; `warning`: results may differ; `note`: worth knowing. The names are SARIF's."""
SURENESS = ("certain", "likely", "possible")
"""How sure a finding is: read off the file; what else it could be is rare; one of several explanations."""
THEMES = ("safety", "opening", "weights", "architecture", "training", "precision", "comparison", "message")
PAGE = "docs/findings.md"
LONGEST_VALUE = 120


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Attributes:
        identifier: Its name, which never changes: `weights-missing`.
        theme: One of `THEMES`.
        severity: One of `SEVERITIES`, unless a finding says otherwise.
        title: What is wrong, in one clause.
        meaning: What it means and what to do, for the page about it.
    """

    identifier: str
    theme: str
    severity: str
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One place of the file that shows a finding.

    Attributes:
        layer: Path of the layer, or "" where it is of none.
        key: What was looked at: a key of a configuration, a weight, a member, an attribute.
        value: What stands there, for people.
    """

    layer: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a file that keeps it from opening, changes what it predicts, or is unsafe.

    Attributes:
        identifier: The kind of finding; `page` tells of it.
        severity: `error`, `warning` or `note`.
        title: What is wrong, in one clause.
        evidence: Where the file shows it.
        cure: The command or line of code that cures it.
        sure: `certain`, `likely` or `possible`.
        theme: The part of the doctor that found it.
        detail: What the title does not say, in a sentence or two, or "".
    """

    identifier: str
    severity: str
    title: str
    evidence: tuple[Evidence, ...]
    cure: str
    sure: str
    theme: str
    detail: str = ""

    @property
    def page(self) -> str:
        """Where the documentation tells of it."""
        return f"{PAGE}#{self.identifier}"

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries and lists, for JSON."""
        return {**asdict(self), "page": self.page}


def shown(value: Any) -> str:
    """A value of a configuration as evidence: JSON, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 2]} …"


def evidence(items: Iterable[tuple[str, str, Any]]) -> tuple[Evidence, ...]:
    """Evidence of `(layer, key, value)`, each once, in order."""
    return tuple(dict.fromkeys(Evidence(layer, key, shown(value)) for layer, key, value in items))


def shape_text(shape: Iterable[int]) -> str:
    """A shape as Python writes it."""
    return str(tuple(shape))


def number(value: float) -> str:
    """A value of a weight in at most ten characters."""
    return f"{value:.4g}"


def literal(name: str) -> str:
    """A name out of a file as a string of Python, which cannot end where it should not."""
    return json.dumps(name)
