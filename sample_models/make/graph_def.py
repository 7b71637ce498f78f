"""Make the samples of frozen graphs. Run with TensorFlow 2.21 and tf_keras: `python sample_models/make/graph_def.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def keras_model() -> tf_keras.Model:
    """A convolution, a normalisation and a Dense layer."""
    tf_keras.utils.set_random_seed(7)
    layers = tf_keras.layers
    inputs = tf_keras.Input((6, 6, 2), name="image")
    outputs = layers.Conv2D(3, 3, name="conv")(inputs)
    outputs = layers.BatchNormalization(name="norm")(outputs)
    outputs = layers.Flatten(name="flat")(outputs)
    outputs = layers.Dense(4, name="dense")(outputs)
    return tf_keras.Model(inputs, outputs, name="net")


def frozen_2(folder: Path) -> None:
    """A function of TensorFlow 2, its variables turned into constants."""
    model = keras_model()
    function = tf.function(lambda image: model(image, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((None, 6, 6, 2), tf.float32))
    graph = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    (folder / "tensorflow-2.21.pb").write_bytes(graph.SerializeToString(deterministic=True))


def frozen_1(folder: Path) -> None:
    """A graph in the manner of TensorFlow 1, in binary form and as text; with an embedding, and with a half-precision weight."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        v1.set_random_seed(7)
        ids = v1.placeholder(tf.int32, (None, 3), name="ids")
        with v1.variable_scope("embed", use_resource=False):
            table = v1.get_variable("table", (9, 4))
        values = tf.reshape(tf.gather(table, ids), (-1, 12))
        for name, size, dtype in (("fc1", 5, tf.float32), ("fc2", 2, tf.float16)):
            with v1.variable_scope(name, use_resource=False):
                weights = v1.get_variable("weights", (values.shape[-1], size), dtype)
                biases = v1.get_variable("biases", (size,), dtype, v1.ones_initializer())
                values = tf.nn.bias_add(tf.matmul(tf.cast(values, dtype), weights), biases)
        tf.identity(values, name="scores")
        session.run(v1.global_variables_initializer())
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["scores"])
    (folder / "tensorflow-1.pb").write_bytes(frozen.SerializeToString(deterministic=True))
    (folder / "tensorflow-1.pbtxt").write_text(str(frozen))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    frozen_2(target)
    frozen_1(target)
