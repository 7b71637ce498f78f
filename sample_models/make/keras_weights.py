"""Makes sample_models/keras_weights/sharded.weights.json and its shards. Run with Keras 3.15.1."""

from pathlib import Path

import keras

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(16, activation="relu", name="hidden"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(4, name="out"),
    ],
    name="sharded",
)
folder = Path(__file__).parent.parent / "keras_weights"
model.save_weights(folder / "sharded.weights.json", max_shard_size=1e-6)
