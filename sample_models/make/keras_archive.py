"""Makes sample_models/keras_archive/vocabulary, an unzipped archive with a vocabulary. Run with Keras 3.15.1 on TensorFlow."""

from pathlib import Path

import keras

keras.utils.set_random_seed(1)
words = keras.layers.TextVectorization(output_sequence_length=4, name="words")
words.adapt(["the cat sat", "the dog sat", "the bird"])
model = keras.Sequential(
    [
        keras.Input((1,), dtype="string", name="text"),
        words,
        keras.layers.Embedding(words.vocabulary_size(), 3, name="embed"),
        keras.layers.LSTM(2, name="read"),
        keras.layers.Dense(1, name="score"),
    ],
    name="sentiment",
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.save(Path(__file__).parent.parent / "keras_archive" / "vocabulary", zipped=False)
