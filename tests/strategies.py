"""Hypothesis strategies for paths, arrays and trees."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kmodel_tools.tensor import Tensor
from kmodel_tools.tree import Layer, Model, Weight

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
COMPONENTS = st.text(min_size=1, max_size=8)
PATHS = st.lists(COMPONENTS, min_size=1, max_size=5).map(tuple)

DTYPES = st.sampled_from(
    ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint8", "bool", "complex64", "complex128"]
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(np.dtype(dtype), SHAPES))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """A model of a few layers with distinct names, each with a few weights."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    layers = []
    for name in names:
        roles = draw(st.lists(NAMES, max_size=3, unique=True))
        weights = tuple(Weight(role, Tensor.of(draw(ARRAYS)), f"{name}:{role}") for role in roles)
        layers.append(Layer(name, weights=weights))
    return Model(layers=tuple(layers))
