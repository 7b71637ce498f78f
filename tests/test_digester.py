from __future__ import annotations

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given

from kmodel_tools.digester import digest, digests_of
from kmodel_tools.errors import CorruptFileError
from kmodel_tools.tensor import DType, InMemory, Tensor
from kmodel_tools.tree import Layer, Model, Optimizer, Slot, Weight
from tests.strategies import models


def model(*layers: tuple[str, dict[str, list[float]]]) -> Model:
    made = [
        Layer(name, weights=tuple(Weight(role, Tensor.of(np.array(value, "float32")), role) for role, value in weights.items()))
        for name, weights in layers
    ]
    return Model(layers=tuple(made))


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def test_the_digest_is_what_the_documentation_says() -> None:
    values = np.array([1, 2], "float32")
    one = blake3(framed(b"float32", b"(2,)") + values.tobytes()).digest()
    found = digest(model(("a", {"kernel": [1, 2]})))
    assert found.weights == blake3(framed(b"a/kernel", one)).hexdigest()
    assert found.values == blake3(framed(one)).hexdigest()
    assert found.layers == (("a", blake3(framed(b"kernel", one)).hexdigest()),)
    assert (found.scheme, found.algorithm) == ("kmt1", "blake3")


@pytest.mark.parametrize("length", [8, 16])
def test_of_an_array_with_other_bytes_than_its_shape_needs_there_is_no_digest(length: int) -> None:
    with pytest.raises(CorruptFileError, match="needs 12"):
        digests_of([Tensor(DType.FLOAT32, (3,), InMemory(bytes(length)))])


def test_order_does_not_matter_and_names_do() -> None:
    a, b = ("a", {"kernel": [1.0]}), ("b", {"kernel": [2.0]})
    assert digest(model(a, b)).weights == digest(model(b, a)).weights
    renamed = digest(model(("a", {"kernel": [2.0]}), ("b", {"kernel": [1.0]})))
    assert renamed.weights != digest(model(a, b)).weights
    assert renamed.values == digest(model(a, b)).values


def test_type_and_shape_count() -> None:
    flat = Model(layers=(Layer("a", weights=(Weight("w", Tensor.of(np.zeros((2, 3), "float32")), "w"),)),))
    other = Model(layers=(Layer("a", weights=(Weight("w", Tensor.of(np.zeros((3, 2), "float32")), "w"),)),))
    integers = Model(layers=(Layer("a", weights=(Weight("w", Tensor.of(np.zeros((2, 3), "int32")), "w"),)),))
    assert len({digest(item).values for item in (flat, other, integers)}) == 3


@given(models())
def test_equal_models_have_equal_digests(made: Model) -> None:
    again = Model(layers=tuple(Layer(layer.name, weights=layer.weights) for layer in made.layers))
    assert digest(made) == digest(again)


def test_everything_takes_the_optimizer_and_the_configuration_in() -> None:
    plain = model(("a", {"kernel": [1.0]}))
    weight = plain.layers[0].weights[0]

    def with_state(value: float, config: dict[str, str]) -> str | None:
        optimizer = Optimizer("Adam", (Slot("momentum", weight, Tensor.of([value]), "m"),))
        return digest(Model(layers=plain.layers, optimizer=optimizer, architecture=config), everything=True).all

    assert with_state(1, {}) == with_state(1, {})
    assert len({with_state(1, {}), with_state(2, {}), with_state(1, {"a": "b"}), digest(plain, everything=True).all}) == 4
    assert digest(plain).all is None


def test_names_that_are_no_text_have_digests() -> None:
    """Half of a surrogate pair, as JSON can hold it, and a byte that is no UTF-8, as HDF5 can."""
    weight = Weight("kernel", Tensor.of(np.ones(2, "float32")), "")
    digests = {digest(Model(layers=(Layer(name, None, None, (weight,)),))).weights for name in ("\ud800", "\udcff", "plain")}
    assert len(digests) == 3
