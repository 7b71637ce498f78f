"""Models with somebody's own classes, saved by tf_keras, carried to Keras 3 and loaded there with the same classes written for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kmodel_tools as kmt
from tests.conftest import ERAS
from tests.frameworks import making
from tests.frameworks.custom_classes import custom_classes

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")
pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

Array = npt.NDArray[Any]
Build = Callable[[Any, Any], Any]
VECTOR, SEQUENCE = (4,), (5, 4)
PACKAGE = "Pkg>Scaled"


def _row(shape: tuple[int, ...], *makers: Callable[[Any, Any], Any]) -> Build:
    def build(keras: Any, own: Any) -> Any:
        return keras.Sequential([keras.layers.InputLayer(shape), *(make(keras.layers, own) for make in makers)])

    return build


def _graph(make: Callable[[Any, Any, Any], Any]) -> Build:
    def build(keras: Any, own: Any) -> Any:
        inputs = keras.Input(VECTOR)
        return keras.Model(inputs, make(keras, own, inputs))

    return build


def _shared(keras: Any, own: Any, inputs: Any) -> Any:
    scaled = own.Scaled()
    return keras.layers.Add()([scaled(inputs), scaled(keras.layers.Dense(4)(inputs))])


def _nested(keras: Any, own: Any, inputs: Any) -> Any:
    inner = keras.Sequential([keras.layers.Dense(4), own.Scaled(2.0), own.Squared(4, 2.0)])
    return keras.layers.Dense(2)(inner(inputs))


def _net(keras: Any, own: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return own.Net(inputs, own.Scaled()(keras.layers.Dense(4)(inputs)))


CASES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "weights": (_row(VECTOR, lambda L, own: L.Dense(3), lambda L, own: own.Scaled(3.0)), VECTOR),
    "frozen": (_row(VECTOR, lambda L, own: own.Scaled(trainable=False), lambda L, own: L.Dense(2)), VECTOR),
    "derived": (_row(VECTOR, lambda L, own: own.Squared(3, 2.0, activation="tanh")), VECTOR),
    "wrapper": (_row(VECTOR, lambda L, own: own.Residual(L.Dense(4))), VECTOR),
    "block": (_row(VECTOR, lambda L, own: own.Block(3), lambda L, own: L.Dense(2)), VECTOR),
    "cell": (_row(SEQUENCE, lambda L, own: L.RNN(own.Cell(3, name="turning"))), SEQUENCE),
    "cells": (_row(SEQUENCE, lambda L, own: L.RNN([own.Cell(3), L.LSTMCell(2)])), SEQUENCE),
    "two_directions": (_row(SEQUENCE, lambda L, own: L.Bidirectional(L.RNN(own.Cell(3)))), SEQUENCE),
    "distributed": (_row(SEQUENCE, lambda L, own: L.TimeDistributed(own.Scaled())), SEQUENCE),
    "objects": (
        _row(
            VECTOR,
            lambda L, own: L.Dense(
                3, activation=own.swish6, kernel_initializer=own.Even(), kernel_regularizer=own.Small(), bias_constraint=own.Capped()
            ),
            lambda L, own: L.Activation(own.swish6),
            lambda L, own: own.Scaled(initializer=own.Even(0.25)),
        ),
        VECTOR,
    ),
    "shared": (_graph(_shared), VECTOR),
    "nested": (_graph(_nested), VECTOR),
    "net": (_net, VECTOR),
}
PRIVATE = "layers inside of block (Block) are written under their attributes"


def _own(name: str, packaged: bool = False) -> Any:
    keras = making.framework(name)
    own = custom_classes(keras)
    if packaged:
        own.Scaled = keras.saving.register_keras_serializable(package="Pkg")(own.Scaled)
    return own


def _made(build: Build, shape: tuple[int, ...], own: Any) -> tuple[Any, Array, Array]:
    """A model of tf_keras of which every weight has values of its own, inputs, and what it predicts."""
    keras = making.framework("tf_keras")
    keras.backend.clear_session()
    model = build(keras, own)
    random = np.random.default_rng(3)
    model.set_weights([random.uniform(0.2, 1.2, weight.shape).astype("float32") for weight in model.get_weights()])
    x = random.standard_normal((3, *shape)).astype("float32")
    return model, x, np.asarray(model(x, training=False))


def _same(path: Path, custom: dict[str, Any], x: Array, wanted: Array) -> None:
    loaded = making.framework("keras").models.load_model(path, custom_objects=custom)
    found = np.asarray(loaded(x, training=False))
    assert np.abs(wanted - found).max() <= 1e-5 * np.abs(wanted).max() + 1e-6


@pytest.mark.parametrize("case", CASES)
def test_a_model_with_custom_objects_loads_in_keras_3_with_them(case: str, tmp_path: Path) -> None:
    model, x, wanted = _made(*CASES[case], _own("tf_keras"))
    custom = vars(_own("keras"))
    for name, options in (("m.h5", {}), ("m.keras", {}), ("saved", {"save_format": "tf"})):
        source, destination = tmp_path / name, tmp_path / f"{name}.new.keras"
        model.save(source, **options)
        if case == "block" and name == "m.h5":
            with pytest.raises(kmt.ConversionError, match=r"the source does not have those of: block; .* --target keras3"):
                kmt.convert(source, destination)
            destination = tmp_path / "new.h5"
            kmt.convert(source, destination, target="keras3")
        elif case == "block" and name == "saved":
            report = kmt.convert(source, destination)
            assert any(line.startswith(PRIVATE) for line in report.inferred)
            with pytest.raises(ValueError, match="norm"):
                _same(destination, custom, x, wanted)
            destination = tmp_path / "saved.h5"
            kmt.convert(source, destination, target="keras3")
        else:
            report = kmt.convert(source, destination)
            needed = {item.name for item in report.custom}
            assert needed <= set(custom)
            assert all(f'"{name}": ' in report.stub for name in needed)
            _same(destination, {name: custom[name] for name in needed}, x, wanted)
        _same(destination, custom, x, wanted)


def test_the_key_of_a_registered_class_is_its_registered_name(tmp_path: Path) -> None:
    model, x, wanted = _made(*CASES["weights"], _own("tf_keras", packaged=True))
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        report = kmt.convert(tmp_path / name, tmp_path / "new.keras", overwrite=True)
        assert [item.name for item in report.custom] == [PACKAGE]
        _same(tmp_path / "new.keras", {PACKAGE: _own("keras").Scaled}, x, wanted)


def test_losses_and_metrics_of_somebody(tmp_path: Path) -> None:
    own, new = _own("tf_keras"), _own("keras")
    for loss in (own.distance, own.Absolute()):
        model, x, wanted = _made(*CASES["derived"], own)
        model.compile("adam", loss=loss, metrics=[own.distance])
        model.fit(x, wanted, verbose=0)
        wanted = np.asarray(model(x, training=False))
        for name in ("m.h5", "m.keras"):
            model.save(tmp_path / name)
            report = kmt.convert(tmp_path / name, tmp_path / "new.keras", overwrite=True)
            custom = {item.name: getattr(new, item.name) for item in report.custom}
            assert set(custom) >= {"Squared", "distance"}
            _same(tmp_path / "new.keras", custom, x, wanted)


def test_what_a_checkpoint_does_not_say_of_a_custom_layer_is_a_loss(tmp_path: Path) -> None:
    own, custom = _own("tf_keras"), vars(_own("keras"))
    model, x, wanted = _made(*CASES["weights"], own)
    (tmp_path / "m.json").write_text(model.to_json())
    model.save_weights(tmp_path / "ck")
    with pytest.raises(kmt.ConversionError, match="the order of count, scale, shift of scaled"):
        kmt.convert(tmp_path / "ck", tmp_path / "new.keras", like=tmp_path / "m.json")
    model.compile("adam", "mse")
    model.fit(x, wanted, verbose=0)
    model.save_weights(tmp_path / "trained")
    report = kmt.convert(tmp_path / "trained", tmp_path / "new.keras", like=tmp_path / "m.json", optimizer=False)
    assert any(line.startswith("count of scaled: not trained") for line in report.inferred)
    _same(tmp_path / "new.keras", custom, x, np.asarray(model(x, training=False)))


# Lambda layers, and other layers in their place.


def _halved(keras: Any, own: Any) -> Any:
    return keras.layers.Lambda(lambda x: x * 0.5, name="half")


LAMBDAS: dict[str, tuple[Build, str, str]] = {
    "row": (
        _row(VECTOR, lambda L, own: L.Dense(3), lambda L, own: L.Lambda(lambda x: x * 0.5, name="half")),
        "half",
        "Rescaling(scale=0.5)",
    ),
    "graph": (
        _graph(lambda keras, own, x: keras.layers.Add()([_halved(keras, own)(x), keras.layers.Dense(4)(x)])),
        "half",
        '{"class_name": "Rescaling", "config": {"scale": 0.5}}',
    ),
    "nested": (
        _graph(lambda keras, own, x: keras.layers.Dense(2)(keras.Sequential([keras.layers.Dense(4), _halved(keras, own)], name="in")(x))),
        "*/half",
        "Rescaling(scale=0.5)",
    ),
    "two_inputs": (
        _graph(lambda keras, own, x: keras.layers.Lambda(lambda pair: pair[0] + pair[1], name="sum")([x, keras.layers.Dense(4)(x)])),
        "sum",
        "Add()",
    ),
}


@pytest.mark.parametrize("case", LAMBDAS)
def test_a_lambda_is_replaced_in_every_generation(case: str, tmp_path: Path) -> None:
    build, name, layer = LAMBDAS[case]
    model, x, wanted = _made(build, VECTOR, None)
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    kept = kmt.convert(tmp_path / "m.h5", tmp_path / "keras_3.keras")
    assert "safe_mode=False" in kept.stub
    with pytest.raises(ValueError, match="whose `function` is a Python lambda"):
        making.framework("keras").models.load_model(tmp_path / "keras_3.keras")
    for source in ("m.h5", "m.keras", "keras_3.keras"):
        report = kmt.convert(tmp_path / source, tmp_path / "new.keras", replace_layers={name: layer}, overwrite=True)
        assert [line for line in report.changes if "in the place of Lambda" in line]
        assert (report.custom, report.stub, report.lost) == ((), "", ())
        _same(tmp_path / "new.keras", {}, x, wanted)


def test_a_lambda_of_bytecode_loads_as_the_stub_says(tmp_path: Path) -> None:
    model, x, wanted = _made(LAMBDAS["graph"][0], VECTOR, None)
    model.save(tmp_path / "m.h5")
    report = kmt.convert(tmp_path / "m.h5", tmp_path / "new.keras")
    names: dict[str, Any] = {}
    exec(report.stub, names)  # it is what people paste
    found = np.asarray(names["model"](x, training=False))
    assert np.abs(wanted - found).max() <= 1e-6


def test_the_stub_runs_when_it_is_filled(tmp_path: Path) -> None:
    model, x, wanted = _made(_row(VECTOR, lambda L, own: L.Dense(3, activation=own.swish6)), VECTOR, _own("tf_keras"))
    model.save(tmp_path / "m.h5")
    report = kmt.convert(tmp_path / "m.h5", tmp_path / "new.keras")
    body = 'raise NotImplementedError("put your code here")'
    assert report.stub.count(body) == 1
    names: dict[str, Any] = {}
    exec(report.stub.replace(body, "return x * keras.ops.relu6(x + 3.0) / 6.0"), names)  # as above
    assert np.abs(wanted - np.asarray(names["model"](x))).max() <= 1e-5
    assert os.path.exists(tmp_path / "new.keras")


def test_a_layer_takes_over_the_weights_that_fit_it(tmp_path: Path) -> None:
    model, x, wanted = _made(_row(VECTOR, lambda L, own: own.Squared(3, 1.0, name="x")), VECTOR, _own("tf_keras"))
    model.save(tmp_path / "m.h5")
    report = kmt.convert(tmp_path / "m.h5", tmp_path / "new.keras", replace_layers={"x": "Dense(units=3)"})
    assert report.changes == ("x: Dense in the place of Squared, as asked for, with its weights kernel, bias",)
    _same(tmp_path / "new.keras", {}, x, wanted)


def _lambdas_of_eras() -> list[Any]:
    files = [ERAS / era / "misc.h5" for era in ("1.0.8_theano_th", "1.2.2_tensorflow", "2.0.9", "2.3.1", "tf2.2.0")]
    files += [ERAS / era / "v3lambda.keras" for era in ("2.12.0", "3.0.5", "3.15.1")]
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in files if path.exists()]


@pytest.mark.corpus
@pytest.mark.parametrize("path", _lambdas_of_eras())
def test_a_lambda_of_any_release_is_replaced(path: Path, tmp_path: Path) -> None:
    (found,) = [item for item in kmt.inspect(path).custom_objects if item.kind == "lambda"]
    layers = dict.fromkeys(found.used_by, "Rescaling(scale=2.0)")
    kmt.convert(path, tmp_path / "m.keras", replace_layers=layers, optimizer=False)
    with np.load(path.with_name(f"{path.stem}_io.npz")) as stored:
        _same(tmp_path / "m.keras", {}, stored["x"], stored["y"])
