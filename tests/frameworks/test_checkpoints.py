"""Checkpoints that kmodel_tools writes, judged by TensorFlow: element types, shards, names, and every optimizer's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import kmodel_tools as kmt
from kmodel_tools.storage.bundle_writer import NUMBERS, write_bundle
from kmodel_tools.tensor import DType, InMemory, Tensor, canonical_strings
from tests.frameworks import making, restoring

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

NARROW = {DType.INT4: ml_dtypes.int4, DType.UINT4: ml_dtypes.uint4}
STRINGS = [b"", b"ascii", "čeština".encode(), bytes(range(256)) * 3]


def _values(dtype: DType, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    count = int(np.prod(shape))
    values = np.arange(count) % 7
    if dtype is DType.BOOL:
        return (values % 2).astype(bool).reshape(shape)
    if dtype.value.startswith("complex"):
        return (values - 3j * values).astype(dtype.numpy()).reshape(shape)
    signed = not dtype.value.startswith("uint")
    return (values - (3 if signed else 0)).astype(NARROW.get(dtype, dtype.numpy())).reshape(shape)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 5)])
@pytest.mark.parametrize("dtype", [pytest.param(dtype, id=dtype.value) for dtype in NUMBERS])
def test_tensorflow_reads_every_element_type(dtype: DType, shape: tuple[int, ...], tmp_path: Path) -> None:
    prefix = str(tmp_path / "ck")
    if dtype is DType.STRING:
        texts = [STRINGS[index % len(STRINGS)] for index in range(int(np.prod(shape)))]
        tensor, wanted = Tensor(dtype, shape, InMemory(canonical_strings(texts))), np.array(texts, object).reshape(shape)
    else:
        wanted = _values(dtype, shape)
        tensor = Tensor(dtype, shape, InMemory(wanted.astype(dtype.numpy()).tobytes()))
    write_bundle(prefix, [("v", tensor), ("w", Tensor.of(np.float32(7)))], overwrite=False, shard_size=1 << 30)
    reader = tf.train.load_checkpoint(prefix)
    assert reader.get_variable_to_dtype_map()["v"] == tf.dtypes.as_dtype(dtype.value)
    assert reader.get_variable_to_shape_map()["v"] == list(shape)
    found = np.asarray(reader.get_tensor("v"), wanted.dtype if dtype is DType.STRING else None)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    assert reader.get_tensor("w") == 7


def test_tensorflow_reads_shards_and_thousands_of_names(tmp_path: Path) -> None:
    prefix = str(tmp_path / "ck")
    arrays = {f"layer_{number}/kernel": np.full((3, number % 5), number, "float32") for number in range(9000)}
    write_bundle(prefix, [(key, Tensor.of(value)) for key, value in arrays.items()], overwrite=False, shard_size=100_000)
    assert len(list(tmp_path.glob("*.data-*"))) > 2
    reader = tf.train.load_checkpoint(prefix)
    assert len(reader.get_variable_to_shape_map()) == 9000
    for key in list(arrays)[::97]:
        np.testing.assert_array_equal(reader.get_tensor(key), arrays[key])


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGD-momentum": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Nadam": {},
    "AdamW": {},
    "Adam": {"amsgrad": True},
    "Adam-average": {"use_ema": True},
    "Adadelta": {},
    "Adagrad": {},
    "Adamax": {},
    "Ftrl": {},
    "Lion": {},
}
LEGACY: dict[str, dict[str, Any]] = {
    "Adam": {"amsgrad": True},
    "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Nadam": {},
    "Adagrad": {},
    "Adadelta": {},
    "Adamax": {},
    "Ftrl": {},
}


def _small(keras: Any, optimizer: Any) -> Any:
    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")])
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("name", [*OPTIMIZERS, *(f"legacy-{name}" for name in LEGACY)])
def test_the_state_of_every_optimizer_is_restored(name: str, tmp_path: Path) -> None:
    keras = making.framework("tf_keras")
    kind = name.removeprefix("legacy-")
    if kind == name:
        optimizer = getattr(keras.optimizers, name.partition("-")[0])(**OPTIMIZERS[name])
    else:
        optimizer = getattr(keras.optimizers.legacy, kind)(**LEGACY[kind])
    model = _small(keras, optimizer)
    model.save_weights(tmp_path / "theirs")
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "both")
    kmt.convert(tmp_path / "theirs", tmp_path / "ours", to="tf-checkpoint")
    kmt.convert(tmp_path / "both-1", tmp_path / "ours-both", to="tf-checkpoint")
    restoring.restores(model, str(tmp_path / "ours"), "model")
    restoring.restores(model, str(tmp_path / "ours-both"), "checkpoint")
    restoring.lists_the_same(str(tmp_path / "ours"), str(tmp_path / "theirs"))
    restoring.lists_the_same(str(tmp_path / "ours-both"), str(tmp_path / "both-1"))


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "Nadam"])
def test_state_from_a_legacy_file_is_restored(name: str, tmp_path: Path) -> None:
    """Keras 2 leaves the variable of Nadam's schedule out of its own legacy files."""
    keras = making.framework("tf_keras")
    model = _small(keras, getattr(keras.optimizers, name.partition("-")[0])(**OPTIMIZERS[name]))
    model.save(tmp_path / "m.h5")
    kmt.convert(tmp_path / "m.h5", tmp_path / "ours", to="tf-checkpoint")
    restoring.restores(model, str(tmp_path / "ours"), "model")
    kmt.convert(tmp_path / "ours", tmp_path / "again.h5", like=tmp_path / "m.h5", lossy=True)
    again = keras.models.load_model(tmp_path / "again.h5")
    for variable, twin in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), twin.numpy(), err_msg=variable.name)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD-momentum", "Adagrad", "Adamax"])
@pytest.mark.parametrize("middle", ["m.keras", "m.weights.h5"])
def test_there_and_back_through_keras_3(name: str, middle: str, tmp_path: Path) -> None:
    keras_2, keras_3 = making.framework("tf_keras"), making.framework("keras")
    kind = name.partition("-")[0]
    model = _small(keras_2, getattr(keras_2.optimizers, kind)(**OPTIMIZERS[name]))
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "theirs")
    other = _small(keras_3, getattr(keras_3.optimizers, kind)(**OPTIMIZERS[name]))
    other.save(tmp_path / "like.keras")
    report = kmt.convert(tmp_path / "theirs-1", tmp_path / middle, like=tmp_path / "like.keras")
    assert any("how often tf.train.Checkpoint has saved" in line for line in report.left_out)
    loaded = other if middle.endswith(".h5") else keras_3.models.load_model(tmp_path / middle)
    if middle.endswith(".h5"):
        other.load_weights(tmp_path / middle)
    for variable, twin in zip(model.optimizer.variables, [loaded.optimizer.variables[0], *loaded.optimizer.variables[2:]], strict=True):
        np.testing.assert_array_equal(variable.numpy(), twin.numpy(), err_msg=variable.name)
    kmt.convert(
        tmp_path / middle,
        tmp_path / "back",
        to="tf-checkpoint",
        options={"root": "checkpoint"},
        like=tmp_path / "like.keras" if middle.endswith(".h5") else None,
    )
    restoring.lists_the_same(str(tmp_path / "back"), str(tmp_path / "theirs-1"))
    restoring.restores(model, str(tmp_path / "back"), "checkpoint")


@pytest.mark.parametrize("name", ["model", "net"])
def test_the_model_is_found_beside_other_things(name: str, tmp_path: Path) -> None:
    keras = making.framework("tf_keras")
    model = _small(keras, keras.optimizers.Adam())
    checkpoint = tf.train.Checkpoint(step=tf.Variable(1), optimizer=model.optimizer, **{name: model})
    checkpoint.save(tmp_path / "theirs")
    (tmp_path / "m.json").write_text(model.to_json())
    with pytest.raises(kmt.ConversionError, match=r"1 arrays that stand beside the model \(step\)"):
        kmt.convert(tmp_path / "theirs-1", tmp_path / "m.keras", like=tmp_path / "m.json", optimizer=False)
    kmt.convert(tmp_path / "theirs-1", tmp_path / "m.keras", like=tmp_path / "m.json", optimizer=False, lossy=True)
    loaded = making.framework("keras").models.load_model(tmp_path / "m.keras")
    for weight, twin in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, twin)


def test_tf_keras_loads_variables_by_name(tmp_path: Path) -> None:
    keras = making.framework("tf_keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")])
    model.save(tmp_path / "m.h5")
    kmt.convert(tmp_path / "m.h5", tmp_path / "names", to="tf-checkpoint", options={"layout": "names"}, optimizer=False)
    assert set(tf.train.load_checkpoint(str(tmp_path / "names")).get_variable_to_shape_map()) == {
        "a/kernel",
        "a/bias",
        "b/kernel",
        "b/bias",
    }
    before = [variable.numpy() for variable in model.weights]
    for variable in model.weights:
        variable.assign(np.zeros_like(variable.numpy()))
    model.load_weights(tmp_path / "names")
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_saver_of_tensorflow_1_restores_what_it_wrote_and_we_copied(tmp_path: Path) -> None:
    def graph() -> Any:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            scope = tf.compat.v1.variable_scope("net", partitioner=tf.compat.v1.fixed_size_partitioner(2))
            with scope:
                kernel = tf.compat.v1.get_variable("kernel", (6, 3), initializer=tf.compat.v1.random_normal_initializer(seed=1))
            loss = tf.reduce_sum(tf.square(tf.convert_to_tensor(kernel)))
            step = tf.compat.v1.train.get_or_create_global_step()
            train = tf.compat.v1.train.AdamOptimizer().minimize(loss, global_step=step)
            yield session, train, kernel

    first = graph()
    session, train, kernel = next(first)
    session.run(tf.compat.v1.global_variables_initializer())
    session.run(train)
    wanted = session.run(tf.convert_to_tensor(kernel))
    tf.compat.v1.train.Saver().save(session, str(tmp_path / "theirs"))
    first.close()
    kmt.convert(tmp_path / "theirs", tmp_path / "ours", to="tf-checkpoint", options={"layout": "names"})
    second = graph()
    session, _, kernel = next(second)
    tf.compat.v1.train.Saver().restore(session, str(tmp_path / "ours"))
    np.testing.assert_array_equal(session.run(tf.convert_to_tensor(kernel)), wanted)
    second.close()


def test_latest_checkpoint_finds_what_we_wrote(tmp_path: Path) -> None:
    keras = making.framework("tf_keras")
    model = _small(keras, "sgd")
    model.save(tmp_path / "m.h5")
    for name in ("plain", 'with "quotes" and čeština'):
        folder = tmp_path / name
        folder.mkdir()
        kmt.convert(tmp_path / "m.h5", folder / name, to="tf-checkpoint")
        assert tf.train.latest_checkpoint(str(folder)) == str(folder / name)
        restoring.restores(model, tf.train.latest_checkpoint(str(folder)), "model")
