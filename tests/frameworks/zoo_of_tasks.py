"""Models as people build them for their tasks: the ways in which layers are put together, and how they are compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Framework = Any


@dataclass(frozen=True)
class Task:
    """A model for a task.

    Attributes:
        build: Makes it, compiled.
        inputs: Shapes of its inputs, without the batch.
        words: Whether the inputs are numbers of words.
        alike: Whether Keras 3 trains it as tf_keras does: nothing in it is drawn at random.
    """

    build: Callable[[Framework], Any]
    inputs: tuple[tuple[int, ...], ...]
    words: bool = False
    alike: bool = True

    @property
    def name(self) -> str:
        """What the tests call it."""
        return self.build.__name__


def _compiled(model: Any, optimizer: Any = "adam", loss: Any = "mse", **more: Any) -> Any:
    model.compile(optimizer, loss, **more)
    return model


def detector(keras: Framework) -> Any:
    """Darknet, as YOLO has it: convolutions without bias, halved by a padding on one side, and outputs of two sizes."""
    layers = keras.layers

    def unit(tensor: Any, filters: int, size: int, half: bool = False) -> Any:
        tensor = layers.ZeroPadding2D(((1, 0), (1, 0)))(tensor) if half else tensor
        how = {"strides": 2, "padding": "valid"} if half else {"padding": "same"}
        tensor = layers.Conv2D(filters, size, use_bias=False, kernel_regularizer=keras.regularizers.l2(5e-4), **how)(tensor)
        return layers.LeakyReLU(0.1)(layers.BatchNormalization()(tensor))

    image = keras.Input((16, 16, 3))
    route = unit(unit(image, 4, 3), 6, 3, half=True)
    route = layers.Add()([route, unit(unit(route, 3, 1), 6, 3)])
    deep = unit(route, 8, 3, half=True)
    up = layers.Concatenate()([layers.UpSampling2D(2)(unit(deep, 4, 1)), route])
    return _compiled(keras.Model(image, [layers.Conv2D(5, 1)(deep), layers.Conv2D(5, 1)(up)]))


def segmenter(keras: Framework) -> Any:
    """A U-Net, with slashes in names."""
    layers = keras.layers
    image = keras.Input((16, 16, 1))
    left = layers.Conv2D(4, 3, padding="same", activation="relu", name="down/conv")(image)
    low = layers.BatchNormalization(name="down/bn")(layers.Conv2D(6, 3, padding="same", activation="elu")(layers.MaxPooling2D()(left)))
    up = layers.Concatenate(axis=3)([layers.Conv2DTranspose(4, 2, strides=2, padding="same")(low), left])
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")(up)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    return _compiled(keras.Model(image, mask), optimizer, "binary_crossentropy", metrics=["accuracy"])


def twins(keras: Framework) -> Any:
    """A Siamese network: one list of layers for both inputs."""
    layers = keras.layers
    one = keras.Sequential([layers.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)), layers.Flatten(), layers.Dense(5)])
    a, b = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    joined = layers.Concatenate()([layers.Multiply()([one(a), one(b)]), layers.Dot(axes=-1, normalize=True)([one(a), one(b)])])
    return _compiled(keras.Model([a, b], layers.Dense(1, activation="sigmoid")(joined)), "rmsprop", "binary_crossentropy")


def translator(keras: Framework) -> Any:
    """An encoder whose states the decoder starts from."""
    layers = keras.layers
    source, target = keras.Input((None,)), keras.Input((None,))
    encoded, *states = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(layers.Embedding(10, 4)(source))
    state = layers.Concatenate()([*states, layers.GlobalMaxPooling1D()(encoded)])
    decoded = layers.LSTM(12, return_sequences=True)(layers.Embedding(10, 4)(target), initial_state=[state, state])
    words = layers.TimeDistributed(layers.Dense(10, activation="softmax"))(decoded)
    return _compiled(keras.Model([source, target], words))


def attention(keras: Framework) -> Any:
    """Attention as it was written before there was a layer of it."""
    layers = keras.layers
    sequence, state = keras.Input((6, 5)), keras.Input((4,))
    read = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(sequence)
    energy = layers.Dense(1, activation="tanh")(layers.Concatenate()([read, layers.RepeatVector(6)(state)]))
    weights = layers.Permute((2, 1))(layers.Softmax(axis=-1)(layers.Permute((2, 1))(energy)))
    context = layers.Flatten()(layers.Dot(axes=1)([weights, read]))
    return _compiled(keras.Model([sequence, state], layers.Dense(3)(context)))


def forger(keras: Framework) -> Any:
    """A GAN: the discriminator is compiled for itself, and frozen inside of the whole."""
    layers = keras.layers
    generator = keras.Sequential(
        [layers.Dense(16, input_dim=4), layers.BatchNormalization(momentum=0.8), layers.Reshape((4, 4, 1))], name="made"
    )
    generator.add(layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"))
    discriminator = keras.Sequential(
        [layers.Conv2D(3, 3, strides=2, padding="same", input_shape=(8, 8, 1)), layers.LeakyReLU(0.2)], name="judge"
    )
    discriminator.add(layers.BatchNormalization(momentum=0.8))
    discriminator.add(layers.Flatten())
    discriminator.add(layers.Dense(1, activation="sigmoid"))
    discriminator.compile("adam", "binary_crossentropy")
    discriminator.trainable = False
    noise = keras.Input((4,))
    return _compiled(keras.Model(noise, discriminator(generator(noise))), keras.optimizers.Adam(2e-4, 0.5), "binary_crossentropy")


def waves(keras: Framework) -> Any:
    """A WaveNet: causal convolutions, further and further apart."""
    layers = keras.layers
    sound = keras.Input((16, 1))
    tensor, skips = layers.Conv1D(4, 2, padding="causal")(sound), []
    for rate in (1, 2, 4):
        gates = [layers.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation=name)(tensor) for name in ("tanh", "sigmoid")]
        skips.append(layers.Conv1D(4, 1)(layers.Multiply()(gates)))
        tensor = layers.Add()([tensor, skips[-1]])
    return _compiled(keras.Model(sound, layers.Conv1D(2, 1)(layers.Add()(skips))), "adamax")


def reviews(keras: Framework) -> Any:
    """A text classifier: convolutions of several widths, beside what a masked sequence says."""
    layers = keras.layers
    text = keras.Input((12,), dtype="int32")
    words = layers.SpatialDropout1D(0.2)(layers.Embedding(10, 4, input_length=12)(text))
    branches = [layers.GlobalMaxPooling1D()(layers.Conv1D(3, size, activation="relu")(words)) for size in (2, 3)]
    branches.append(
        layers.GRU(3)(layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Embedding(10, 4, mask_zero=True)(text)))
    )
    found = layers.Dense(2, activation="softmax")(layers.Dropout(0.5)(layers.Concatenate()(branches)))
    return _compiled(keras.Model(text, found), "adadelta", "categorical_crossentropy", metrics=["acc"])


def clip(keras: Framework) -> Any:
    """A video classifier: one model for every frame."""
    layers = keras.layers
    frame = keras.Sequential([layers.Conv2D(3, 3, input_shape=(6, 6, 1)), layers.BatchNormalization(), layers.GlobalAveragePooling2D()])
    video = keras.Input((4, 6, 6, 1))
    return _compiled(keras.Model(video, layers.Dense(2)(layers.GRU(4)(layers.TimeDistributed(frame)(video)))))


def bottleneck(keras: Framework) -> Any:
    """An autoencoder of two models."""
    layers = keras.layers
    whole, code, given = keras.Input((8,)), keras.Input((2,)), keras.Input((8,))
    encoder = keras.Model(whole, layers.Dense(2, activity_regularizer=keras.regularizers.l1(1e-5))(layers.Dense(5)(whole)), name="encoder")
    decoder = keras.Model(code, layers.Dense(8, activation="sigmoid")(layers.Dense(5)(code)), name="decoder")
    return _compiled(keras.Model(given, decoder(encoder(given)), name="whole"), "sgd", "binary_crossentropy")


def recommender(keras: Framework) -> Any:
    """Wide and deep, of named inputs and outputs, each with a loss of its own."""
    layers = keras.layers
    wide, user = keras.Input((3,), name="wide"), keras.Input((3,), name="user")
    deep = layers.Dense(4, activation="relu", kernel_constraint=keras.constraints.MaxNorm(2))(
        layers.Flatten()(layers.Embedding(10, 2)(user))
    )
    both = layers.PReLU()(layers.Concatenate()([wide, deep]))
    outputs = [layers.Dense(1, name="stars")(both), layers.Dense(2, activation="softmax", name="kind")(both)]
    losses = {"stars": "mse", "kind": "categorical_crossentropy"}
    return _compiled(
        keras.Model([wide, user], outputs), "adagrad", losses, loss_weights={"stars": 0.5, "kind": 1.0}, metrics={"stars": ["mae"]}
    )


def spare_part(keras: Framework) -> Any:
    """A model with an attribute that is a layer, which nobody calls."""
    vector = keras.Input((4,))
    model = keras.Model(vector, keras.layers.Dense(2)(keras.layers.Dense(3, activation="hard_sigmoid")(vector)))
    model.spare = keras.layers.Rescaling(2.0, name="spare")
    return _compiled(model)


TASKS = [
    Task(detector, ((16, 16, 3),)),
    Task(segmenter, ((16, 16, 1),)),
    Task(twins, ((8, 8, 1), (8, 8, 1))),
    Task(translator, ((5,), (7,)), words=True),
    Task(attention, ((6, 5), (4,))),
    Task(forger, ((4,),)),
    Task(waves, ((16, 1),)),
    Task(reviews, ((12,),), words=True, alike=False),
    Task(clip, ((4, 6, 6, 1),), alike=False),  # Keras 3 normalizes the batches of a TimeDistributed frame by frame
    Task(bottleneck, ((8,),)),
    Task(recommender, ((3,), (3,)), words=True),
    Task(spare_part, ((4,),)),
]
