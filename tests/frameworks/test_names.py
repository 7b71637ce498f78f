"""Names of variables in graphs of TensorFlow 1, as `tf.compat.v1` writes them: layers, optimizers, averages, cells."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.frameworks import judge

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]


def saved(folder: Path, build: Callable[[], Any]) -> tuple[str, Any, dict[str, Any]]:
    """Build a graph, set every variable to values of its own, and save it by names: prefix, what was built, values by name."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        made = build()
        variables = v1.global_variables()
        values = {variable.op.name: np.random.default_rng(index).normal(size=variable.shape) for index, variable in enumerate(variables)}
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for variable in variables:
                variable.load(values[variable.op.name].astype(variable.dtype.as_numpy_dtype), session)
            stored = {variable.op.name: session.run(variable) for variable in variables}
            prefix = v1.train.Saver().save(session, str(folder / "model"), write_meta_graph=False)
    return prefix, made, stored


def layers() -> Any:
    return importlib.import_module("tf_keras.api._v1.keras.__internal__.legacy.layers")


OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], dict[str, str]]] = {
    "adam": (lambda train: train.AdamOptimizer(), {"m": "momentum", "v": "velocity"}),
    "momentum": (lambda train: train.MomentumOptimizer(0.1, 0.9), {"momentum": "momentum"}),
    "rmsprop": (lambda train: train.RMSPropOptimizer(0.1, momentum=0.9), {"rms": "velocity", "momentum": "momentum"}),
    "centered": (
        lambda train: train.RMSPropOptimizer(0.1, momentum=0.9, centered=True),
        {"rms": "velocity", "mg": "average_gradient", "momentum": "momentum"},
    ),
    "adagrad": (lambda train: train.AdagradOptimizer(0.1), {"accumulator": "accumulator"}),
    "proximal": (lambda train: train.ProximalAdagradOptimizer(0.1), {"accumulator": "accumulator"}),
    "adadelta": (lambda train: train.AdadeltaOptimizer(), {"accum": "accumulated_grad", "accum_update": "accumulated_delta_var"}),
    "ftrl": (lambda train: train.FtrlOptimizer(0.1), {"accum": "accumulator", "linear": "linear"}),
}


@pytest.mark.parametrize("scope", ["", "train"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slots_are_those_that_the_optimizer_itself_names(name: str, scope: str, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    make, kinds = OPTIMIZERS[name]

    def build() -> Any:
        layers().dense(tf.ones((2, 3)), 4, name="first")
        variables = v1.trainable_variables()
        with v1.variable_scope(scope) if scope else tf.name_scope(""):
            optimizer = make(v1.train)
            optimizer.minimize(tf.add_n([tf.reduce_sum(item) for item in variables]), v1.train.get_or_create_global_step())
        return {optimizer.get_slot(item, kind).op.name: (slot, item.op.name) for item in variables for kind, slot in kinds.items()}

    prefix, expected, values = saved(tmp_path, build)
    optimizer = kmt.read(prefix).optimizer
    assert optimizer is not None
    assert {slot.key: (slot.name, slot.weight.key) for slot in optimizer.slots} == expected
    assert not optimizer.extras
    assert all(judge.same_value(slot.tensor.read(), values[slot.key]) for slot in optimizer.slots)
    assert "iterations" in {counter.role for counter in optimizer.counters}


def test_layers_of_tensorflow_1_have_keras_roles(tmp_path: Path) -> None:
    def build() -> None:
        x = tf.ones((2, 8, 8, 3))
        x = layers().conv2d(x, 4, 3)
        x = layers().batch_normalization(x)
        x = layers().separable_conv2d(x, 5, 2)
        x = layers().conv2d_transpose(x, 3, 2)
        layers().dense(layers().flatten(x), 2)

    prefix, _, values = saved(tmp_path, build)
    model = kmt.read(prefix)
    assert {join_path(path): weight.key for path, weight in model.weights()} == {name: name for name in values}
    assert all(judge.same_value(weight.tensor.read(), values[weight.key]) for _, weight in model.weights())
    untrained = {join_path(path) for path, weight in model.weights() if weight.trainable is False}
    assert untrained == {"batch_normalization/moving_mean", "batch_normalization/moving_variance"}


CELLS = {
    "BasicLSTMCell": lambda cells: cells.BasicLSTMCell(4),
    "LSTMCell": lambda cells: cells.LSTMCell(4, use_peepholes=True, num_proj=2),
    "GRUCell": lambda cells: cells.GRUCell(4),
    "BasicRNNCell": lambda cells: cells.BasicRNNCell(4),
    "MultiRNNCell": lambda cells: cells.MultiRNNCell([cells.BasicLSTMCell(4), cells.GRUCell(4)]),
}


@pytest.mark.parametrize("name", CELLS)
def test_every_kernel_of_a_cell_is_told_from_one_of_keras(name: str, tmp_path: Path) -> None:
    cells = importlib.import_module("tf_keras.api._v1.keras.__internal__.legacy.rnn_cell")

    def build() -> None:
        tf.compat.v1.nn.dynamic_rnn(CELLS[name](cells), tf.ones((2, 5, 3)), dtype=tf.float32)

    prefix, _, values = saved(tmp_path, build)
    joined = [key for key in values if key.rpartition("/")[2] in ("kernel", "bias")]
    said = next(note.text for note in kmt.read(prefix).notes if "recurrent cells" in note.text)
    assert said.startswith(f"{len(joined)} arrays")


def test_a_cell_of_keras_in_a_graph_is_one_of_keras(tmp_path: Path) -> None:
    def build() -> None:
        tf_keras.layers.LSTM(4)(tf.ones((2, 5, 3)))
        tf_keras.layers.GRU(4)(tf.ones((2, 5, 3)))

    prefix, _, _ = saved(tmp_path, build)
    assert not any("recurrent cells" in note.text for note in kmt.read(prefix).notes)


def test_averages_are_slots_of_what_they_average(tmp_path: Path) -> None:
    v1 = tf.compat.v1

    def build() -> Any:
        layers().dense(tf.ones((2, 3)), 4, name="first")
        averages = v1.train.ExponentialMovingAverage(0.9)
        averages.apply(v1.trainable_variables())
        return {averages.average_name(item): item.op.name for item in v1.trainable_variables()}

    prefix, expected, values = saved(tmp_path, build)
    optimizer = kmt.read(prefix).optimizer
    assert optimizer is not None
    assert {slot.key: slot.weight.key for slot in optimizer.slots if slot.name == "average"} == expected
    assert all(judge.same_value(slot.tensor.read(), values[slot.key]) for slot in optimizer.slots)


def test_partitioned_variables_are_whole(tmp_path: Path) -> None:
    v1 = tf.compat.v1

    def build() -> None:
        with v1.variable_scope("emb", partitioner=v1.fixed_size_partitioner(3)):
            table = v1.get_variable("table", (10, 2))
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(tf.convert_to_tensor(table)))

    prefix, _, values = saved(tmp_path, build)
    model = kmt.read(prefix)
    parts = [values[f"emb/table/part_{number}"] for number in range(3)]
    table = model.find("emb/table")
    assert isinstance(table, kmt.Weight)
    assert judge.same_value(table.tensor.read(), np.concatenate(parts))
    assert model.optimizer is not None
    assert [(slot.name, slot.weight is table) for slot in model.optimizer.slots] == [("momentum", True), ("velocity", True)]


def test_slots_of_an_optimizer_of_tensorflow_1_in_an_object_graph(tmp_path: Path) -> None:
    """The graph ties them; their names begin with the variable's, which is no optimizer's class."""
    variable, optimizer = tf.Variable([1.0, 2.0], name="mine"), tf.compat.v1.train.AdamOptimizer()
    optimizer.apply_gradients([(tf.ones(2), variable)])
    found = kmt.read(tf.train.Checkpoint(v=variable, opt=optimizer).write(str(tmp_path / "ckpt"))).optimizer
    assert found is not None
    assert found.class_name is None
    assert [(slot.name, slot.weight.role) for slot in found.slots] == [("momentum", "v"), ("velocity", "v")]


def test_paths_of_objects_made_by_hand(tmp_path: Path) -> None:
    dense = tf_keras.layers.Dense(2)
    dense.build((None, 3))

    part = tf.Module()
    part._w, part.w = tf.Variable([1.0]), tf.Variable([2.0])
    part.layers = [dense, tf.Variable([3.0])]
    held = {"a/b.c": tf.Variable([4.0]), "list": [tf.Variable([5.0])]}
    model = kmt.read(tf.train.Checkpoint(part=part, held=held).write(str(tmp_path / "ckpt")))
    found = {path: weight.tensor.read() for path, weight in model.weights()}
    expected = {
        ("part", "_w"): part._w,
        ("part", "w"): part.w,
        ("part", "layers", "0", "kernel"): dense.kernel,
        ("part", "layers", "0", "bias"): dense.bias,
        ("part", "layers", "1"): part.layers[1],
        ("held", "a/b.c"): held["a/b.c"],
        ("held", "list", "0"): held["list"][0],
    }
    assert found.keys() == expected.keys()
    assert all(judge.same_value(found[path], np.array(value)) for path, value in expected.items())
