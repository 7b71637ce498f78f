"""Writes keras_h5/keras-2.0.5.h5: Keras 2.0.5 with TensorFlow 1.15, in the folder that is given.

That release sorts the weights that it trains, and with them Adam's state, by name; the layers' names are chosen such that
this is not the model's order.
"""

import sys

import numpy as np
from keras.layers import BatchNormalization, Dense, Input
from keras.models import Model

np.random.seed(0)
x = Input((3,), name="inp")
y = Dense(4, name="second")(x)
y = BatchNormalization(name="norm")(y)
y = Dense(2, name="first")(y)
model = Model(x, y)
model.compile("adam", "mse")
model.train_on_batch(np.random.rand(4, 3), np.random.rand(4, 2))
model.save(sys.argv[1] + "/keras-2.0.5.h5")
