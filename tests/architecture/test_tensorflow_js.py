"""What TensorFlow.js does otherwise than Keras is refused by the layer's name; all of it was seen on Node, with 4.22."""

from __future__ import annotations

from typing import Any

import pytest

from kmodel_tools.architecture.tensorflow_js import spelled, untaken


def layer(kind: str, name: str = "it", **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **settings}}


def stack(*layers: dict[str, Any], shape: tuple[int, ...] = (5, 4)) -> dict[str, Any]:
    first = layer("InputLayer", "input", batch_input_shape=[None, *shape])
    return {"class_name": "Sequential", "config": {"name": "stack", "layers": [first, *layers]}}


def embedded(*layers: dict[str, Any]) -> dict[str, Any]:
    return stack(layer("Embedding", "words", mask_zero=True), *layers, shape=(5,))


def graph(*entries: tuple[dict[str, Any], list[Any]], end: str, **more: Any) -> dict[str, Any]:
    layers = [{**entry, "name": entry["config"]["name"], "inbound_nodes": calls} for entry, calls in entries]
    return {
        "class_name": "Model",
        "config": {"name": "graph", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[end, 0, 0]], **more},
    }


X: tuple[dict[str, Any], list[Any]] = (layer("InputLayer", "x", batch_input_shape=[None, 4]), [])
LSTM = layer("LSTM", return_sequences=True)
REFUSED = {
    "first": (stack(layer("Conv1D", data_format="channels_first")), "data_format"),
    "dilated": (stack(layer("DepthwiseConv2D", dilation_rate=[2, 2])), "dilation_rate"),
    "transposed": (stack(layer("Conv2DTranspose", dilation_rate=[2, 2])), "dilation_rate"),
    "both": (stack(layer("SeparableConv2D", dilation_rate=[2, 2], strides=[2, 2])), "at once"),
    "alpha": (stack(layer("ELU", alpha=0.5)), "alpha"),
    "negative": (stack(layer("Concatenate", axis=-2)), "axis"),
    "bidirectional": (stack(layer("Bidirectional", layer=layer("RNN"))), "layer=RNN"),
    "states": (stack(layer("RNN", return_state=True, cell=layer("StackedRNNCells", cells=[layer("GRUCell")] * 2))), "opposite order"),
    "half": (stack(layer("Dense", dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}})), "mixed_float16"),
    "encoding": (stack(layer("CategoryEncoding", num_tokens=3)), "shape of its own input"),
    "flat": (stack(layer("Flatten"), shape=(4,)), "flat already"),
    "dimensions": (stack(layer("BatchNormalization"), shape=(2, 2, 2, 2)), "takes 4 dimensions"),
    "each": (stack(layer("TimeDistributed", layer=layer("BatchNormalization", axis=[1])), shape=(3, 4, 4)), "axis 1"),
    "softmax": (stack(layer("Softmax", axis=1)), "axis 1"),
    "object": (stack(layer("Activation", activation=layer("LeakyReLU"))), "does not know the activation 'LeakyReLU'"),
    "training": (graph(X, (layer("Dropout"), [[["x", 0, 0, {"training": True}]]]), end="it"), "training"),
    "dictionary": (graph(X, (layer("Dense"), [[["x", 0, 0]]]), end="it", output_layers={"a": ["it", 0, 0]}), "no dictionaries"),
    "shared": (
        graph(X, (layer("Dense"), [[["x", 0, 0]], [["b", 0, 0]], [["x", 0, 0]]]), (layer("Dense", "b"), [[["it", 0, 0]]]), end="it"),
        "another order",
    ),
    "no shape": (
        stack({"class_name": "Sequential", "config": {"name": "inner", "layers": [layer("Dense")]}}),
        "does not say what it takes",
    ),
    "stale mask": (embedded(layer("LSTM", "a"), layer("RepeatVector", "b", n=3), LSTM), "from elsewhere"),
    "lost mask": (embedded(layer("Conv1D", "a"), LSTM), "another one"),
    "zeros": (embedded(layer("Bidirectional", layer=LSTM)), "would not give zeros"),
    "mask each time": (embedded(layer("TimeDistributed", layer=LSTM)), "gives no mask"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_otherwise_is_refused(name: str) -> None:
    model, message = REFUSED[name]
    assert any(message in sentence for sentence in untaken(model)), untaken(model)


@pytest.mark.parametrize(
    "model",
    [
        embedded(layer("Dense", "a"), layer("LSTM", "b", return_sequences=True), LSTM),
        stack(layer("LSTM", "a", return_sequences=True), layer("BatchNormalization", axis=[2])),
        stack(layer("TimeDistributed", layer=layer("BatchNormalization", axis=[3])), shape=(3, 4, 4, 2)),
        graph(X, (layer("Dense"), [[["x", 0, 0]], [["it", 0, 0]]]), end="it"),
    ],
)
def test_what_it_does_as_keras_is_not(model: dict[str, Any]) -> None:
    assert untaken(model) == []


def test_constraints_and_regularizers_of_activities_are_left_out() -> None:
    found = spelled(layer("Dense", kernel_constraint=layer("MaxNorm"), activity_regularizer="l2"))
    assert found["config"] == {"name": "it", "kernel_constraint": None, "activity_regularizer": None}
