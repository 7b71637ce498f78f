"""Values that a smaller precision cannot hold."""

from __future__ import annotations

from kmodel_tools.derived import count_beyond
from kmodel_tools.tree import Model, join_path

SHOWN = 5


def beyond_precision(model: Model) -> list[str]:
    """A line for each weight of which finite values would be rounded to infinity; reads the weights that are rounded to less."""
    found = [(path, weight.tensor.dtype, count) for path, weight in model.weights() if (count := count_beyond(weight.tensor))]
    lines = [
        f"{count:,} {'value' if count == 1 else 'values'} of {join_path(path)}: beyond {dtype.value}"
        for path, dtype, count in found[:SHOWN]
    ]
    if more := found[SHOWN:]:
        lines.append(f"{sum(count for _, _, count in more):,} values of {len(more):,} more weights: beyond the precision")
    return lines
