"""Results as JSON: stable order, non-finite numbers as strings, text that is safe to print."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """A result's dictionary as indented JSON; NaN and infinities, which JSON does not have, as strings."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
