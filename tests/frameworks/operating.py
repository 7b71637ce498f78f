"""What the tests of operations between layers share: inputs of every kind, samples for them, and what two models compute."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.frameworks import making

Array = npt.NDArray[Any]

SHAPES = {"x": (4, 6), "y": (4, 6), "w": (4, 6), "u": (None, 6), "v": (6,), "z": (3,), "n": (4,), "s": (), "b": (4,)}
SHAPES |= {"h": (4,), "d": (4,), "c": (4,), "l": (4,)}
DTYPES = {"z": "int32", "n": "int32", "s": "int32", "b": "bool", "h": "float16", "d": "float64", "c": "uint8", "l": "int64"}
TOLERANCE = {"float16": 1e-2}


def fed(image: tuple[int, int, int]) -> dict[str, Array]:
    """Three samples for each input, of images of one shape."""
    random = np.random.default_rng(0)
    sizes = {name: (3, *(4 if size is None else size for size in shape)) for name, shape in {**SHAPES, "i": image}.items()}
    found: dict[str, Array] = {name: random.standard_normal(shape) for name, shape in sizes.items()}
    found |= {"w": random.random((3, 4, 6)) * 0.8 + 0.1, "b": random.random((3, 4)) > 0.5}
    found |= {"z": random.integers(0, 4, (3, 3)), "s": random.integers(0, 3, 3)}
    found |= {name: random.integers(1, 9, (3, 4)) for name in "ncl"}
    found |= {name: random.random((3, 4)) + 0.1 for name in "hd"}
    return {name: value.astype(DTYPES.get(name, "float32")) for name, value in found.items()}


def inputs_of(keras: Any, image: tuple[int, int, int]) -> SimpleNamespace:
    """An input for each kind, by its letter; `i` is one for images of a shape."""
    shapes: dict[str, tuple[int | None, ...]] = {**SHAPES, "i": image}
    return SimpleNamespace(**{name: keras.Input(shape, name=name, dtype=DTYPES.get(name, "float32")) for name, shape in shapes.items()})


def computed(model: Any, inputs: Any) -> list[Array]:
    """What a model puts out."""
    found = model(inputs, training=False)
    return [np.asarray(item) for item in (found if isinstance(found, (list, tuple)) else [found])]


def assert_same(wanted: list[Array], found: list[Array]) -> None:
    """Two predictions are the same, number for number where they are finite, and infinite or none in the same places."""
    for number, (want, got) in enumerate(zip(wanted, found, strict=True)):
        assert want.shape == got.shape, number
        assert want.dtype == got.dtype, number
        one, other = want.astype("float64"), got.astype("float64")
        finite = np.isfinite(one)
        assert np.array_equal(one[~finite], other[~finite], equal_nan=True), number
        largest = np.abs(one[finite]).max(initial=0.0)
        tolerance = TOLERANCE.get(want.dtype.name, 1e-5) * largest + 1e-6
        assert np.abs(one[finite] - other[finite]).max(initial=0.0) <= tolerance, number


def keras_3_computes(path: Any, inputs: Any) -> list[Array]:
    """What Keras 3 computes with a file, in safe mode."""
    return computed(making.framework("keras").models.load_model(path), inputs)
