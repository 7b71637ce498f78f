"""Names of TensorFlow 1 variables: what layer, role or companion each tells of. The names are those of TensorFlow 1.15.5."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from kmodel_tools import Model, Tensor
from kmodel_tools.architecture.scope_names import keras_roles
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.tree import join_path
from tests.trees import keys_in_tree

Shape = tuple[int, ...]


def read(variables: Mapping[str, Shape]) -> Model:
    model = read_variables({name: Tensor.of(np.zeros(shape, "float32")) for name, shape in variables.items()})
    assert sorted(keys_in_tree(model)) == sorted(variables)
    return model


def named(model: Model) -> dict[str, str]:
    """Key → path."""
    return {weight.key: join_path(path) for path, weight in model.weights()}


def slots(model: Model) -> dict[str, tuple[str, str]]:
    assert model.optimizer is not None
    return {slot.key: (slot.name, slot.weight.key) for slot in model.optimizer.slots}


def counters(model: Model) -> dict[str, str]:
    assert model.optimizer is not None
    return {counter.key: counter.role for counter in model.optimizer.counters}


def notes(model: Model) -> str:
    return "\n".join(note.text for note in model.notes)


@pytest.mark.parametrize(
    ("shapes", "roles"),
    [
        ({"weights": (3, 3, 2, 4), "biases": (4,)}, "kernel bias"),
        ({"weights": (320, 7), "biases": (7,)}, "kernel bias"),
        ({"weights": (3, 3, 5, 6), "biases": (5,)}, "kernel bias"),  # a transposed convolution has its outputs before its inputs
        ({"weights": (3, 2, 4)}, "kernel"),
        ({"weights": (7, 2)}, "weights"),  # a Dense without bias, or a table
        ({"weights": (7, 2), "biases": (7,)}, "weights biases"),
        ({"weights": (7,)}, "weights"),
        ({"weights": (2, 2, 2, 2, 2, 2)}, "weights"),
        ({"weights": (7, 2), "kernel": (7, 2), "biases": (2,)}, "weights kernel bias"),
        ({"weights": (7, 2), "biases": (2,), "bias": (2,)}, "kernel biases bias"),
        ({"biases": (4,)}, "biases"),
        ({"depthwise_weights": (3, 3, 4, 2), "biases": (8,)}, "kernel bias"),
        ({"depthwise_weights": (3, 3, 4, 1), "pointwise_weights": (1, 1, 4, 6), "biases": (6,)}, "depthwise_kernel pointwise_kernel bias"),
        ({"depthwise_kernel": (3, 3, 4, 1), "bias": (4,)}, "kernel bias"),
        ({"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 4, 6)}, "depthwise_kernel pointwise_kernel"),
        ({"W": (7, 2), "b": (2,)}, "W b"),
        ({}, ""),
    ],
)
def test_a_role_is_translated_where_one_answer_is_possible(shapes: dict[str, Shape], roles: str) -> None:
    assert " ".join(keras_roles(shapes).values()) == roles


def test_a_matrix_that_is_normalised_is_a_kernel() -> None:
    model = read({"fc/BatchNorm/beta": (7,), "fc/BatchNorm/moving_mean": (7,), "fc/BatchNorm/moving_variance": (7,), "fc/weights": (3, 7)})
    assert named(model)["fc/weights"] == "fc/kernel"
    assert named(read({"fc/BatchNorm/beta": (3,), "fc/weights": (3, 7)}))["fc/weights"] == "fc/weights"


def test_normalisation_is_a_layer_of_its_own_and_its_statistics_are_not_trained() -> None:
    scope = "conv1/BatchNorm"
    model = read(
        {f"{scope}/{role}": (4,) for role in ("beta", "gamma", "moving_mean", "moving_variance")} | {"conv1/weights": (3, 3, 3, 4)}
    )
    assert list(named(model).values()) == [
        "conv1/kernel",
        *(f"{scope}/{role}" for role in ("gamma", "beta", "moving_mean", "moving_variance")),
    ]
    assert [weight.trainable for _, weight in model.weights()] == [None, None, None, False, False]


def test_numbers_that_make_a_scope_unique_are_part_of_a_name_and_those_of_outputs_are_not() -> None:
    model = read({"dense_1/kernel:0": (2, 3), "dense_1/bias:0": (3,), "Variable_1": (2,)})
    assert named(model) == {"dense_1/kernel:0": "dense_1/kernel", "dense_1/bias:0": "dense_1/bias", "Variable_1": "Variable_1"}


def test_a_name_with_and_without_its_output_number_stays_two() -> None:
    assert len(set(named(read({"d/kernel": (2, 3), "d/kernel:0": (2, 3)})).values())) == 2


CELLS = (
    "rnn/basic_lstm_cell",
    "rnn/multi_rnn_cell/cell_0/lstm_cell",
    "fw/layer_norm_basic_lstm_cell",
    "lstm_fused_cell",
    "r/BasicLSTMCell",
)


@pytest.mark.parametrize("scope", CELLS)
def test_arrays_of_recurrent_cells_keep_their_names_and_are_counted(scope: str) -> None:
    for kernel, bias in (("kernel", "bias"), ("weights", "biases")):
        model = read({f"{scope}/{bias}": (16,), f"{scope}/{kernel}": (7, 16)})
        assert "2 arrays are of TensorFlow 1 recurrent cells" in notes(model)
        assert all(key == path for key, path in named(model).items())
    assert "recurrent cells" in notes(read({"gru_cell/gates/kernel": (7, 8), "gru_cell/candidate/kernel": (7, 4)}))


def test_a_cell_of_keras_is_none_of_those() -> None:
    scope = "lstm/lstm_cell"
    model = read({f"{scope}/bias": (16,), f"{scope}/kernel": (3, 16), f"{scope}/recurrent_kernel": (4, 16)})
    assert "recurrent cells" not in notes(model)
    assert list(named(model).values()) == [f"{scope}/kernel", f"{scope}/recurrent_kernel", f"{scope}/bias"]


V: dict[str, Shape] = {"d/kernel": (2, 3)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("Adam Adam_1", "momentum velocity"),
        ("AdamW AdamW_1", "momentum velocity"),
        ("AdaMax AdaMax_1", "momentum norm"),
        ("Momentum", "momentum"),
        ("RMSProp RMSProp_1", "velocity momentum"),
        ("RMSProp RMSProp_1 RMSProp_2", "velocity average_gradient momentum"),
        ("Adagrad", "accumulator"),
        ("ProximalAdagrad", "accumulator"),
        ("Adadelta Adadelta_1", "accumulated_grad accumulated_delta_var"),
        ("Ftrl Ftrl_1", "accumulator linear"),
        ("ExponentialMovingAverage", "average"),
        ("adam_m adam_v", "momentum velocity"),
        ("Adam Adam_1 Adam_2 Adam_3", "momentum velocity Adam_2 Adam_3"),
        ("RMSProp RMSProp_1 RMSProp_2 RMSProp_3", "RMSProp RMSProp_1 RMSProp_2 RMSProp_3"),
    ],
)
@pytest.mark.parametrize("scope", ["", "train/", "OptimizeLoss/"])
def test_slots_are_tied_to_their_variable(names: str, expected: str, scope: str) -> None:
    model = read(V | {f"{scope}d/kernel/{name}": (2, 3) for name in names.split()})
    assert slots(model) == {
        f"{scope}d/kernel/{name}": (slot, "d/kernel") for name, slot in zip(names.split(), expected.split(), strict=True)
    }
    assert named(model) == {"d/kernel": "d/kernel"}


def test_a_slot_of_another_shape_or_of_no_variable_is_no_slot() -> None:
    model = read({"a/w": (2,), "a/w/Adam": (3,), "b/w/Adam": (2,)})
    assert model.optimizer is None
    assert set(named(model)) == {"a/w", "a/w/Adam", "b/w/Adam"}


def test_a_slot_is_not_tied_to_a_variable_of_another_scope() -> None:
    """`enc/d/w` is not in the file; `d/w` is another variable, for `enc` holds layers of its own."""
    model = read({"d/w": (2,), "enc/d/w/Adam": (2,), "enc/e/w": (2,)})
    assert model.optimizer is None
    assert slots(read({"train/d/w": (2,), "train/train/d/w/Adam": (2,)})) == {"train/train/d/w/Adam": ("momentum", "train/d/w")}


def test_slots_of_an_optimizer_of_another_name_are_told_by_their_shapes() -> None:
    both = V | {"d/bias": (3,), "d/kernel/MyOpt": (2, 3), "d/bias/MyOpt": (3,)}
    model = read(both)
    assert slots(model) == {"d/kernel/MyOpt": ("MyOpt", "d/kernel"), "d/bias/MyOpt": ("MyOpt", "d/bias")}
    assert "arrays called MyOpt are taken for slots" in notes(model)
    assert read(V | {"d/kernel/MyOpt": (2, 3)}).optimizer is None
    assert read({"a": (2,), "a/bias": (2,), "b": (3,), "b/bias": (3,)}).optimizer is None


def test_optimizers_of_tf_keras() -> None:
    model = read(
        V
        | {f"training/Adam/d/kernel/{slot}": (2, 3) for slot in ("m", "v", "vhat")}
        | {f"training/Adam/{name}": () for name in ("iter", "beta_1", "learning_rate", "decay")}
    )
    assert model.optimizer is not None
    assert model.optimizer.class_name == "Adam"
    assert [slot for slot, _ in slots(model).values()] == ["momentum", "velocity", "velocity_hat"]
    assert counters(model)["training/Adam/iter"] == "iterations"
    assert [slot for slot, _ in slots(read(V | {"training_2/RMSprop/d/kernel/mg": (2, 3)})).values()] == ["average_gradient"]
    assert [slot for slot, _ in slots(read(V | {"training/Adamax/d/kernel/v": (2, 3)})).values()] == ["norm"]


def test_optimizers_of_keras_before_tf_1_13_do_not_say_what_their_slots_belong_to() -> None:
    model = read(V | {"training/SGD/Variable": (2, 3), "SGD/lr": (), "SGD/iterations": ()})
    assert model.optimizer is not None
    assert [extra.key for extra in model.optimizer.extras] == ["training/SGD/Variable"]
    assert counters(model) == {"SGD/lr": "learning_rate", "SGD/iterations": "iterations"}
    assert "1 array of the optimizer cannot be tied" in notes(model)


def test_a_layer_that_is_called_as_an_optimizer_is_a_layer() -> None:
    layer = {"Adam/kernel": (2, 3), "Adam/bias": (3,)}
    assert named(read(layer)) == {"Adam/kernel": "Adam/kernel", "Adam/bias": "Adam/bias"}
    found = read(layer | {f"{name}/{slot}": shape for name, shape in layer.items() for slot in ("Adam", "Adam_1")})
    assert slots(found) == {
        f"{name}/{slot}": (meaning, name) for name in layer for slot, meaning in (("Adam", "momentum"), ("Adam_1", "velocity"))
    }
    assert read({"m": (2, 3), "m/v": (2, 3)}).optimizer is None


def test_counters() -> None:
    model = read({"global_step": (), "beta1_power": (), "beta2_power": (), "OptimizeLoss/learning_rate": ()})
    assert list(counters(model).values()) == ["iterations", "beta_1_power", "beta_2_power", "learning_rate"]
    two = read({"train/beta1_power": (), "train/beta1_power_1": ()})
    assert counters(two) == {"train/beta1_power": "train/beta1_power", "train/beta1_power_1": "train/beta1_power_1"}
    assert named(read({"global_step": (2,), "learning_rate": ()})) == {"global_step": "global_step", "learning_rate": "learning_rate"}


def test_corrections_of_averages_are_no_weights() -> None:
    model = read({"bn/moving_mean": (4,), "bn/bn/moving_mean/biased": (4,), "bn/bn/moving_mean/local_step": (), "bn/moving_variance": (4,)})
    assert [extra.key for extra in model.extras] == ["bn/bn/moving_mean/biased", "bn/bn/moving_mean/local_step"]
    scope = "a/b/c/d/e/bn"
    deep = read({f"{scope}/moving_mean": (4,), f"{scope}/{scope}/moving_mean/biased": (4,)})
    assert [extra.key for extra in deep.extras] == [f"{scope}/{scope}/moving_mean/biased"]
    assert "biased" in named(read({"a/biased": (3,)}))["a/biased"]


def test_averages_are_kept_beside_the_weights_and_said() -> None:
    model = read(V | {"d/kernel/ExponentialMovingAverage": (2, 3)})
    assert "there are moving averages of 1 array too: convert them by --averages" in notes(model)


def test_variables_in_parts_are_not_joined_and_said() -> None:
    model = read({"emb/table/part_0": (5, 2), "emb/table/part_1": (5, 2), "emb/table/part_0/Adam": (5, 2), "emb/table/part_1/Adam": (5, 2)})
    assert "1 variable is stored in parts and not joined" in notes(model)
    assert list(slots(model).values()) == [("momentum", "emb/table/part_0"), ("momentum", "emb/table/part_1")]


def test_names_that_are_none_of_keras_are_counted() -> None:
    assert "2 arrays keep their own name, no role of Keras (d/w, d/b)" in notes(read({"d/w": (2, 3), "d/b": (3,)}))
    assert "own name" not in notes(read({"d/kernel": (2, 3), "d/bias": (3,)}))


def test_names_of_any_depth_are_read() -> None:
    deep = "/".join(["s"] * 20_000)
    assert named(read({f"{deep}/w": (1,), f"{deep}/w/Adam": (1,)})) == {f"{deep}/w": f"{deep}/w"}
