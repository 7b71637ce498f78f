"""Models made by instantiating every built-in layer class that owns weights, and by the shapes that models come in.

Each case is built from a framework's own module, `keras` (Keras 3) or `tf_keras` (Keras 2), which look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Framework = Any
Build = Callable[[Framework], Any]


@dataclass(frozen=True)
class Case:
    """A model of the zoo: its name, how to build it, and the shapes of its inputs without the batch."""

    name: str
    build: Build
    inputs: tuple[tuple[int, ...], ...]
    integers: bool = False


VECTOR = (5,)
SEQUENCE = (6, 5)
IMAGE = (7, 7, 4)
VOLUME = (5, 5, 5, 2)
FRAMES_1D = (3, 6, 4)
FRAMES_2D = (3, 6, 6, 2)
FRAMES_3D = (2, 4, 4, 4, 2)


def _layer(name: str, make: Callable[[Any], Any], shape: tuple[int, ...], integers: bool = False) -> Case:
    """A functional model of one layer under test between an input and a Dense."""

    def build(keras: Framework) -> Any:
        inputs = keras.Input(shape, name="entry", dtype="int32" if integers else "float32")
        outputs = make(keras.layers)(inputs)
        if len(outputs.shape) > 2:
            outputs = keras.layers.Flatten(name="flat")(outputs)
        return keras.Model(inputs, keras.layers.Dense(1, name="last")(outputs), name="model")

    return Case(name, build, (shape,), integers)


def _twice(name: str, make: Callable[[Any], Any], shape: tuple[int, ...]) -> Case:
    """A layer that takes two inputs, given the same tensor twice."""

    def build(keras: Framework) -> Any:
        inputs = keras.Input(shape, name="entry")
        layer = make(keras.layers)
        outputs = layer([inputs, inputs]) if "attention" in name and "Multi" not in name and "Group" not in name else layer(inputs, inputs)
        outputs = keras.layers.Flatten(name="flat")(outputs)
        return keras.Model(inputs, keras.layers.Dense(1, name="last")(outputs), name="model")

    return Case(name, build, (shape,))


def _adapted_normalization(axis: Any) -> Callable[[Any], Any]:
    def make(layers: Any) -> Any:
        return layers.Normalization(axis=axis, name="x")

    return make


def _frozen(layer: Any) -> Any:
    layer.trainable = False
    return layer


SHARED: list[Case] = [
    _layer("Dense", lambda L: L.Dense(3, name="x"), VECTOR),
    _layer("Dense-no_bias", lambda L: L.Dense(3, use_bias=False, name="x"), VECTOR),
    _layer("Dense-frozen", lambda L: _frozen(L.Dense(3, name="x")), VECTOR),
    _layer("Conv1D", lambda L: L.Conv1D(3, 2, name="x"), SEQUENCE),
    _layer("Conv1D-causal_no_bias", lambda L: L.Conv1D(3, 2, padding="causal", use_bias=False, name="x"), SEQUENCE),
    _layer("Conv2D", lambda L: L.Conv2D(4, 3, name="x"), IMAGE),
    _layer("Conv2D-groups", lambda L: L.Conv2D(4, 3, groups=2, name="x"), IMAGE),
    _layer("Conv3D", lambda L: L.Conv3D(3, 2, name="x"), VOLUME),
    _layer("Conv1DTranspose", lambda L: L.Conv1DTranspose(3, 2, name="x"), SEQUENCE),
    _layer("Conv2DTranspose", lambda L: L.Conv2DTranspose(3, 2, name="x"), IMAGE),
    _layer("Conv3DTranspose", lambda L: L.Conv3DTranspose(3, 2, name="x"), VOLUME),
    _layer("DepthwiseConv1D", lambda L: L.DepthwiseConv1D(2, name="x"), SEQUENCE),
    _layer("DepthwiseConv2D", lambda L: L.DepthwiseConv2D(2, depth_multiplier=2, name="x"), IMAGE),
    _layer("DepthwiseConv2D-no_bias", lambda L: L.DepthwiseConv2D(2, use_bias=False, name="x"), IMAGE),
    _layer("SeparableConv1D", lambda L: L.SeparableConv1D(3, 2, name="x"), SEQUENCE),
    _layer("SeparableConv2D", lambda L: L.SeparableConv2D(3, 2, use_bias=False, name="x"), IMAGE),
    _layer("Embedding", lambda L: L.Embedding(9, 4, name="x"), (6,), integers=True),
    _layer("EinsumDense", lambda L: L.EinsumDense("abc,cd->abd", (6, 3), bias_axes="d", name="x"), SEQUENCE),
    _layer("EinsumDense-no_bias", lambda L: L.EinsumDense("abc,cde->abde", (6, 3, 2), name="x"), SEQUENCE),
    _layer("BatchNormalization", lambda L: L.BatchNormalization(name="x"), IMAGE),
    _layer("BatchNormalization-no_scale", lambda L: L.BatchNormalization(scale=False, name="x"), IMAGE),
    _layer("BatchNormalization-no_center", lambda L: L.BatchNormalization(center=False, name="x"), IMAGE),
    _layer("BatchNormalization-bare", lambda L: L.BatchNormalization(center=False, scale=False, name="x"), IMAGE),
    _layer("BatchNormalization-frozen", lambda L: _frozen(L.BatchNormalization(name="x")), IMAGE),
    _layer("LayerNormalization", lambda L: L.LayerNormalization(name="x"), SEQUENCE),
    _layer("LayerNormalization-two_axes", lambda L: L.LayerNormalization(axis=[1, 2], name="x"), SEQUENCE),
    _layer("LayerNormalization-no_center", lambda L: L.LayerNormalization(center=False, name="x"), SEQUENCE),
    _layer("GroupNormalization", lambda L: L.GroupNormalization(2, name="x"), IMAGE),
    _layer("Normalization", _adapted_normalization(-1), VECTOR),
    _layer("Normalization-scalar", _adapted_normalization(None), VECTOR),
    _layer("PReLU", lambda L: L.PReLU(name="x"), SEQUENCE),
    _layer("PReLU-shared", lambda L: L.PReLU(shared_axes=[1], name="x"), SEQUENCE),
    _layer("LSTM", lambda L: L.LSTM(3, name="x"), SEQUENCE),
    _layer("LSTM-no_bias", lambda L: L.LSTM(3, use_bias=False, return_sequences=True, name="x"), SEQUENCE),
    _layer("GRU", lambda L: L.GRU(3, name="x"), SEQUENCE),
    _layer("GRU-reset_before", lambda L: L.GRU(3, reset_after=False, name="x"), SEQUENCE),
    _layer("SimpleRNN", lambda L: L.SimpleRNN(3, name="x"), SEQUENCE),
    _layer("LSTM-dropout", lambda L: L.LSTM(3, dropout=0.1, recurrent_dropout=0.1, name="x"), SEQUENCE),
    _layer("RNN-cell", lambda L: L.RNN(L.LSTMCell(3, name="inner_cell"), name="x"), SEQUENCE),
    _layer("RNN-same_cells", lambda L: L.RNN([L.LSTMCell(3), L.LSTMCell(2)], name="x"), SEQUENCE),
    _layer("RNN-mixed_cells", lambda L: L.RNN([L.LSTMCell(3), L.GRUCell(2)], name="x"), SEQUENCE),
    _layer("ConvLSTM1D", lambda L: L.ConvLSTM1D(2, 2, name="x"), FRAMES_1D),
    _layer("ConvLSTM2D", lambda L: L.ConvLSTM2D(2, 2, name="x"), FRAMES_2D),
    _layer("ConvLSTM3D", lambda L: L.ConvLSTM3D(2, 2, name="x"), FRAMES_3D),
    _layer("Bidirectional-LSTM", lambda L: L.Bidirectional(L.LSTM(3), name="x"), SEQUENCE),
    _layer("Bidirectional-GRU_no_bias", lambda L: L.Bidirectional(L.GRU(3, use_bias=False, name="g"), name="x"), SEQUENCE),
    _layer(
        "Bidirectional-two_layers",
        lambda L: L.Bidirectional(L.GRU(3, name="one"), backward_layer=L.GRU(3, go_backwards=True, name="two"), name="x"),
        SEQUENCE,
    ),
    _layer("TimeDistributed-Dense", lambda L: L.TimeDistributed(L.Dense(3, name="each"), name="x"), SEQUENCE),
    _layer("TimeDistributed-BatchNormalization", lambda L: L.TimeDistributed(L.BatchNormalization(name="each"), name="x"), SEQUENCE),
    _twice("MultiHeadAttention", lambda L: L.MultiHeadAttention(2, 3, name="x"), SEQUENCE),
    _twice("MultiHeadAttention-no_bias", lambda L: L.MultiHeadAttention(2, 3, value_dim=4, use_bias=False, name="x"), SEQUENCE),
    _twice("attention-scaled", lambda L: L.Attention(use_scale=True, name="x"), SEQUENCE),
    _twice("attention-concat", lambda L: L.Attention(use_scale=True, score_mode="concat", name="x"), SEQUENCE),
    _twice("attention-additive", lambda L: L.AdditiveAttention(name="x"), SEQUENCE),
    _layer("Dropout", lambda L: L.Dropout(0.2, seed=1, name="x"), VECTOR),
    _layer("RandomFlip", lambda L: L.RandomFlip(seed=1, name="x"), IMAGE),
]

KERAS_3: list[Case] = [
    _layer("ReversibleEmbedding", lambda L: L.ReversibleEmbedding(9, 4, name="x"), (6,), integers=True),
    _layer("RMSNormalization", lambda L: L.RMSNormalization(name="x"), SEQUENCE),
    _layer("BatchNormalization-renorm", lambda L: L.BatchNormalization(renorm=True, name="x"), IMAGE),
    _layer("SpectralNormalization", lambda L: L.SpectralNormalization(L.Conv2D(3, 2, name="conv"), name="x"), IMAGE),
    _layer("Pipeline", lambda L: L.Pipeline([L.Dense(4, name="p1"), L.Dense(2, name="p2")], name="x"), VECTOR),
    _twice("MultiHeadAttention-gate", lambda L: L.MultiHeadAttention(2, 3, use_gate=True, name="x"), SEQUENCE),
    _twice("GroupedQueryAttention", lambda L: L.GroupQueryAttention(3, 4, 2, name="x"), SEQUENCE),
]

TF_KERAS: list[Case] = [
    _layer("LocallyConnected1D", lambda L: L.LocallyConnected1D(3, 2, name="x"), SEQUENCE),
    _layer("LocallyConnected2D", lambda L: L.LocallyConnected2D(3, 2, name="x"), IMAGE),
    _layer("RandomFourierFeatures", lambda L: L.experimental.RandomFourierFeatures(3, name="x"), VECTOR),
    _layer("SyncBatchNormalization", lambda L: L.experimental.SyncBatchNormalization(name="x"), IMAGE),
]


# Shapes of models.


def _sequential(keras: Framework) -> Any:
    L = keras.layers
    return keras.Sequential(
        [
            keras.Input(VECTOR),
            L.Dense(4, name="one"),
            L.BatchNormalization(name="norm"),
            L.Dense(4, name="two"),
            L.Dropout(0.1),
            L.Dense(1),
        ],
        name="row",
    )


def _nested(keras: Framework) -> Any:
    L = keras.layers
    inner = keras.Sequential(
        [keras.Input(VECTOR), L.Dense(5, name="a"), L.BatchNormalization(name="bn"), L.Dense(5, name="b")], name="inner"
    )
    entry = keras.Input(VECTOR, name="entry")
    x = inner(L.Dense(5, name="before")(entry))
    return keras.Model(entry, L.Dense(1, name="after")(x), name="outer")


def _nested_functional(keras: Framework) -> Any:
    L = keras.layers
    first = keras.Input(VECTOR, name="inside")
    inner = keras.Model(first, L.Dense(5, name="b")(L.BatchNormalization(name="bn")(L.Dense(5, name="a")(first))), name="inner")
    deeper_in = keras.Input(VECTOR, name="deeper_in")
    middle = keras.Model(deeper_in, L.Dense(5, name="c")(inner(deeper_in)), name="middle")
    return keras.Sequential([keras.Input(VECTOR), middle, L.Dense(1, name="last")], name="outer")


def _frozen_part(keras: Framework) -> Any:
    L = keras.layers
    inner = keras.Sequential(
        [
            keras.Input(VECTOR),
            L.Dense(5, name="a"),
            L.BatchNormalization(name="bn", trainable=False),
            L.Dense(5, name="b", trainable=False),
        ],
        name="inner",
    )
    entry = keras.Input(VECTOR, name="entry")
    return keras.Model(entry, L.Dense(1, name="after")(inner(entry)), name="outer")


def _frozen_whole(keras: Framework) -> Any:
    L = keras.layers
    inner = keras.Sequential(
        [keras.Input(VECTOR), L.Dense(5, name="a"), L.BatchNormalization(name="bn"), L.Dense(5, name="b")], name="inner"
    )
    inner.trainable = False
    entry = keras.Input(VECTOR, name="entry")
    return keras.Model(entry, L.Dense(1, name="after")(inner(entry)), name="outer")


def _shared_layer(keras: Framework) -> Any:
    L = keras.layers
    one, two = keras.Input(VECTOR, name="one"), keras.Input(VECTOR, name="two")
    shared = L.Dense(4, name="shared")
    return keras.Model([one, two], L.Dense(1, name="last")(L.Concatenate(name="both")([shared(one), shared(two)])), name="twins")


def _shared_model(keras: Framework) -> Any:
    L = keras.layers
    inner = keras.Sequential([keras.Input(VECTOR), L.Dense(4, name="a"), L.Dense(4, name="b")], name="tower")
    one, two = keras.Input(VECTOR, name="one"), keras.Input(VECTOR, name="two")
    return keras.Model([one, two], L.Dense(1, name="last")(L.Concatenate(name="both")([inner(one), inner(two)])), name="twins")


def _shared_with_nested(keras: Framework) -> Any:
    L = keras.layers
    shared = L.Dense(5, name="shared")
    inside = keras.Input(VECTOR, name="inside")
    inner = keras.Model(inside, L.Dense(5, name="a")(shared(inside)), name="inner")
    entry = keras.Input(VECTOR, name="entry")
    return keras.Model(entry, L.Dense(1, name="last")(shared(inner(entry))), name="outer")


def _several_outputs(keras: Framework) -> Any:
    L = keras.layers
    one, two = keras.Input(VECTOR, name="one"), keras.Input(SEQUENCE, name="two")
    x = L.Concatenate(name="both")([L.Dense(3, name="d1")(one), L.LSTM(3, name="l1")(two)])
    return keras.Model([one, two], [L.Dense(1, name="left")(x), L.Dense(2, name="right")(L.Dense(3, name="d2")(x))], name="forked")


def _many_layers(keras: Framework) -> Any:
    """More than ten layers of a class: names and numbers must not sort as text."""
    L = keras.layers
    entry = keras.Input(VECTOR, name="entry")
    x = entry
    for number in range(12):
        x = L.Dense(5 if number < 11 else 1, name=f"step{12 - number}")(x)
    return keras.Model(entry, x, name="deep")


def _subclassed(keras: Framework) -> Any:
    L = keras.layers

    class Block(L.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = L.Dense(4, name="b_inner")
            self._private = L.Dense(4, name="b_private")

        def call(self, x: Any) -> Any:
            return self._private(self.inner(x))

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="net")
            self.alpha = L.Dense(4, name="first")
            self.block = Block(name="blk")
            self.norm = L.BatchNormalization(name="bn")
            self.head = L.Dense(1, name="out")

        def call(self, x: Any, training: Any = None) -> Any:
            return self.head(self.norm(self.block(self.alpha(x)), training=training))

    return Net()


MODELS: list[Case] = [
    Case("model-sequential", _sequential, (VECTOR,)),
    Case("model-nested", _nested, (VECTOR,)),
    Case("model-nested_functional", _nested_functional, (VECTOR,)),
    Case("model-frozen_part", _frozen_part, (VECTOR,)),
    Case("model-frozen_whole", _frozen_whole, (VECTOR,)),
    Case("model-shared_layer", _shared_layer, (VECTOR, VECTOR)),
    Case("model-shared_model", _shared_model, (VECTOR, VECTOR)),
    Case("model-shared_with_nested", _shared_with_nested, (VECTOR,)),
    Case("model-several_outputs", _several_outputs, (VECTOR, SEQUENCE)),
    Case("model-many_layers", _many_layers, (VECTOR,)),
    Case("model-subclassed", _subclassed, (VECTOR,)),
]
