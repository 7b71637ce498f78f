from __future__ import annotations

import numpy as np
import pytest

from kmodel_tools.differ import layout
from kmodel_tools.differ.layout import layout_change
from kmodel_tools.tensor import Tensor

VALUES = np.arange(24, dtype=np.float32)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (VALUES.reshape(4, 6), VALUES.reshape(4, 6).T, "transposed"),
        (VALUES[:9].reshape(3, 3), VALUES[:9].reshape(3, 3).T, "transposed"),
        (VALUES.reshape(4, 6), VALUES.reshape(2, 12), "reshaped"),
        (VALUES.reshape(4, 6), VALUES.reshape(6, 4), "reshaped"),
        (VALUES.reshape(1, 2, 3, 4), VALUES.reshape(1, 2, 3, 4).transpose(3, 2, 0, 1), "axes in the order (3, 2, 0, 1)"),
        (VALUES.reshape(4, 6), -VALUES.reshape(4, 6).T, None),
        (VALUES.reshape(4, 6), VALUES.reshape(4, 6).T.astype(np.float64), None),
        (VALUES.reshape(4, 6), VALUES[:20].reshape(4, 5), None),
        (VALUES[:1].reshape(1, 1), VALUES[:1], None),
        (VALUES, VALUES[::-1], "flipped along axis 0"),
        (VALUES.reshape(4, 6), VALUES.reshape(4, 6)[:, ::-1], "flipped along axis 1"),
        (VALUES.reshape(2, 3, 4), VALUES.reshape(2, 3, 4)[::-1, :, ::-1], "flipped along axes (0, 2)"),
        (VALUES.reshape(4, 6), np.roll(VALUES.reshape(4, 6), 2, 1), "rolled by 2 along axis 1"),
        (VALUES.astype(np.float16).reshape(4, 6), np.roll(VALUES.astype(np.float16).reshape(4, 6), 1, 0), "rolled by 1 along axis 0"),
        (VALUES.reshape(4, 6), VALUES.reshape(4, 6)[[2, 0, 3, 1]], "permuted along axis 0"),
        (VALUES.reshape(4, 6), VALUES[[5, 4, *range(6, 24), *range(4)]].reshape(4, 6), "the same values in another order"),
        (VALUES.astype(np.complex128).reshape(4, 6), VALUES.astype(np.complex128).reshape(4, 6)[::-1], "flipped along axis 0"),
        (np.array([0, 1, 0, 0, 1, 1], np.int32), np.array([1, 0, 0, 0, 1, 1], np.int32), None),
        (VALUES, np.sort(VALUES) + (np.arange(24) < 2) * np.float32(2), None),
    ],
)
def test_layouts(a: np.ndarray, b: np.ndarray, expected: str | None) -> None:
    assert layout_change(Tensor.of(a), Tensor.of(np.ascontiguousarray(b))) == expected


def test_of_large_arrays_only_that_the_values_are_the_same_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LIMIT", 10)
    a = Tensor.of(VALUES.reshape(4, 6))
    assert layout_change(a, Tensor.of(np.ascontiguousarray(VALUES.reshape(4, 6).T))) == "the same values in another order"
    assert layout_change(a, Tensor.of(np.ascontiguousarray(VALUES.reshape(4, 6).T) + 1)) is None
    assert layout_change(a, Tensor.of(VALUES.reshape(3, 8))) == "reshaped"
