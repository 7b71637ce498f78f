"""What the doctor found, for programs: JSON, SARIF 2.1.0 (OASIS), and the annotations of GitHub's workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.doctor.finding import SEVERITIES, Finding, Kind
from kmodel_tools.doctor.readers import Readers
from kmodel_tools.render.findings_text import evidence_text
from kmodel_tools.render.json import json_text
from kmodel_tools.render.words import printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
"""GitHub's words for severities."""


def findings_json(
    findings: Sequence[Finding], path: str, other: str | None, elsewhere: Sequence[tuple[str, str]], readers: Readers | None = None
) -> str:
    """Findings as JSON, with who reads the file and what no file shows."""
    counts = {severity: sum(item.severity == severity for item in findings) for severity in SEVERITIES}
    checks = [{"what": what, "check": check} for what, check in elsewhere]
    found = [item.to_dict() for item in findings]
    read_by = None if readers is None else readers.to_dict()
    report = {"schema_version": 1, "path": path, "other": other, "counts": counts, "findings": found}
    return json_text({**report, "readers": read_by, "not_in_a_file": checks})


def findings_sarif(findings: Sequence[Finding], path: str, kinds: Mapping[str, Kind], version: str) -> str:
    """Findings as SARIF, one result each, whose rule is the kind."""
    used = list(dict.fromkeys(item.identifier for item in findings))
    rules = [_rule(kinds[name]) for name in used]
    driver = {"name": "kmt doctor", "version": version, "rules": rules}
    results = [_result(item, path, used.index(item.identifier)) for item in findings]
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.identifier,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": kind.meaning},
        "defaultConfiguration": {"level": kind.severity},
        "properties": {"tags": [kind.theme]},
    }


def _result(item: Finding, path: str, rule: int) -> dict[str, Any]:
    text = printable(f"{item.title}. {'; '.join(evidence_text(piece) for piece in item.evidence)}. Cure: {item.cure}")
    places = list(dict.fromkeys(name for piece in item.evidence if (name := piece.layer or piece.key)))
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    if places:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(name)} for name in places]
    return {
        "ruleId": item.identifier,
        "ruleIndex": rule,
        "level": item.severity,
        "message": {"text": text},
        "locations": [location],
        "properties": {"sure": item.sure, "page": item.page},
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.replace("\\", "/"))


def findings_github(findings: Sequence[Finding], path: str) -> str:
    """Findings as workflow commands, a line each: `::error file=…,title=…::…`."""
    return "".join(_annotation(item, path) for item in findings)


def _annotation(item: Finding, path: str) -> str:
    shown = "; ".join(evidence_text(piece) for piece in item.evidence[:4])
    text = f"{item.title}. {shown}. Cure: {item.cure}"
    head = f"::{LEVELS[item.severity]} file={_property(path)},title={_property(item.identifier)}::"
    return f"{head}{_escaped(printable(text))}\n"


def _escaped(text: str) -> str:
    """As GitHub's runner reads it (`toolkit/packages/core/src/command.ts`)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(printable(text)).replace(":", "%3A").replace(",", "%2C")
