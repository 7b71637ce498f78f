"""Every kind of finding, by theme: what it means and what to do, as the documentation and SARIF show it."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from kmodel_tools.doctor.finding import Evidence, Finding, Kind


@functools.cache
def kinds() -> dict[str, Kind]:
    """Every kind by its identifier, in the order of the documentation, which is that of likelihood within a severity."""
    from kmodel_tools.doctor.kinds import comparison, messages, opening, results, safety

    return {kind.identifier: kind for module in (messages, comparison, opening, results, safety) for kind in module.KINDS}


def finding(
    identifier: str,
    items: Iterable[Evidence],
    cure: str,
    sure: str = "certain",
    severity: str | None = None,
    detail: str = "",
) -> Finding:
    """A finding of a kind.

    Args:
        identifier: The kind.
        items: The evidence.
        cure: The command or line of code that cures it.
        sure: How sure it is.
        severity: Another severity than the kind's.
        detail: What the title does not say.
    """
    kind = kinds()[identifier]
    return Finding(identifier, severity or kind.severity, kind.title, tuple(items), cure, sure, kind.theme, detail)
