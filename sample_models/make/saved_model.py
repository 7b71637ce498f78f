"""Make the samples of SavedModels: `python sample_models/make/saved_model.py FOLDER WHAT…`, WHAT being the names below.

keras export module tf1      TensorFlow 2.21, with tf_keras 2.21 and Keras 3.15.1
keras_2_2 subclassed_2_2     TensorFlow 2.2.0
keras_1                      TensorFlow 1.15.5
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def _trained(keras, layers):
    """A small model with a nested one and a normalisation, after one step of training."""
    tf.random.set_seed(7)
    inputs = keras.Input((4,), name="entry")
    inner = keras.Sequential([layers.Dense(3, input_shape=(5,), name="a"), layers.BatchNormalization(name="norm")], name="inner")
    outputs = inner(layers.Dense(5, name="before")(inputs))
    model = keras.Model(inputs, layers.Dropout(0.5, name="drop")(outputs), name="outer")
    inner.layers[0].trainable = False
    model.compile("adam", "mse")
    random = np.random.RandomState(7)
    model.fit(random.rand(8, 4).astype("float32"), random.rand(8, 3).astype("float32"), verbose=0)
    return model


def keras(folder):
    """A Functional model of tf_keras, without its functions, which keeps it small."""
    import tf_keras

    model = _trained(tf_keras, tf_keras.layers)
    model.save(os.path.join(folder, "tf_keras-2.21.0"), save_format="tf", save_traces=False)


def keras_2_2(folder):
    """A Sequential model of tf.keras 2.2: its description lies in the graph of objects."""
    tf.random.set_seed(7)
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,), name="one")], name="row")
    model.save(os.path.join(folder, "tf.keras-2.2.0"), save_format="tf")


def subclassed_2_2(folder):
    """A subclassed model of tf.keras 2.2."""

    class Net(tf.keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.first = tf.keras.layers.Dense(2, name="first")

        def call(self, inputs):
            return self.first(inputs)

    model = Net()
    model(tf.zeros((1, 3)))
    model._set_inputs(tf.zeros((1, 3)))
    tf.saved_model.save(model, os.path.join(folder, "tf.keras-2.2.0_subclassed"))


def export(folder):
    """An export of Keras 3."""
    import keras

    keras.utils.set_random_seed(7)
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="d1"), keras.layers.BatchNormalization(name="bn")]
    keras.Sequential(layers, name="row").export(os.path.join(folder, "keras-3.15.1_export"), verbose=False)


class Module(tf.Module):
    """Two variables, one of them not trained, a vocabulary, and a function that prints and reads a file."""

    def __init__(self, vocabulary):
        super().__init__()
        self.scale = tf.Variable([1.0, 2.0], name="scale")
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="steps")
        self.words = tf.saved_model.Asset(vocabulary)

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
    def scaled(self, x):
        """Print the words, and scale the inputs."""
        tf.print(tf.io.read_file(self.words.asset_path))
        return {"y": x * self.scale}


def module(folder):
    """A tf.Module with an asset."""
    vocabulary = os.path.join(folder, "words.txt")
    with open(vocabulary, "w") as file:
        file.write("one\ntwo\n")
    built = Module(vocabulary)
    tf.saved_model.save(built, os.path.join(folder, "tensorflow-2.21.0_module"), signatures={"scaled": built.scaled})
    os.remove(vocabulary)


def tf1(folder):
    """A graph of TensorFlow 1 in text form, by its own builder."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(7)
        x = v1.placeholder(tf.float32, (None, 3), name="x")
        with v1.variable_scope("fc", use_resource=False):
            weights = v1.get_variable("weights", (3, 2))
            biases = v1.get_variable("biases", (2,), initializer=v1.zeros_initializer(), trainable=False)
        y = tf.add(tf.matmul(x, weights), biases, name="y")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(os.path.join(folder, "tensorflow-1"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, strip_default_attrs=True)
        builder.save(as_text=True)


def keras_1(folder):
    """A model of tf.keras 1.15, whose configuration lies among the assets."""
    tf.compat.v1.set_random_seed(7)
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,), name="one")], name="row")
    tf.keras.experimental.export_saved_model(model, os.path.join(folder, "tf.keras-1.15.5"))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        globals()[name](sys.argv[1])
