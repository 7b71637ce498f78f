"""Makes sample_models/tf_checkpoint. Run with TensorFlow 2.21, Keras 3.15.1 and tf_keras 2.21."""

import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf_keras

os.chdir(Path(__file__).parent.parent / "tf_checkpoint")  # so that the state file holds no absolute path


def network(framework):
    """A convolution, a batch normalisation, a nested model and a bidirectional layer, trained for one step."""
    layers = framework.layers
    framework.utils.set_random_seed(1)
    inner = framework.Sequential([framework.Input((6, 4)), layers.Dense(4, name="a"), layers.BatchNormalization(name="bn")], name="inner")
    entry = framework.Input((8, 3), name="entry")
    x = layers.Conv1D(4, 3, name="conv")(entry)
    x = inner(x)
    x = layers.Bidirectional(layers.LSTM(2), name="both_ways")(x)
    return framework.Model(entry, layers.Dense(1, name="out")(x), name="network")


def train(model, optimizer):
    """Compile and train for one step."""
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 8, 3), "float32"), np.ones((2, 1), "float32"))
    return model


train(network(tf_keras), "adam").save_weights("keras-2.21.0")
train(network(tf_keras), tf_keras.optimizers.legacy.Adam()).save_weights("keras-2.21.0_legacy_optimizer")
tf.train.Checkpoint(model=train(network(keras), "adam")).write("keras-3.15.1")

with tf.Graph().as_default():
    tf.compat.v1.set_random_seed(1)
    with tf.compat.v1.variable_scope("conv1"):
        weights = tf.compat.v1.get_variable("weights", (3, 3, 1, 4))
        biases = tf.compat.v1.get_variable("biases", (4,))
    with tf.compat.v1.variable_scope("embedding", partitioner=tf.compat.v1.fixed_size_partitioner(3)):
        table = tf.compat.v1.get_variable("table", (10, 2))
    step = tf.compat.v1.train.get_or_create_global_step()
    loss = tf.reduce_sum(weights) + tf.reduce_sum(biases) + tf.reduce_sum(tf.convert_to_tensor(table))
    update = tf.compat.v1.train.AdamOptimizer().minimize(loss, global_step=step)
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(update)
        tf.compat.v1.train.Saver().save(session, "./tensorflow-1", global_step=step, write_meta_graph=False)
        v1 = tf.compat.v1.train.Saver([weights, biases], write_version=tf.compat.v1.train.SaverDef.V1)
        v1.save(session, "./tensorflow-0.ckpt", write_meta_graph=False, write_state=False)
