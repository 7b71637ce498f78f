"""More models of Keras 2: every class without weights, and configurations that Keras 3 takes otherwise or means otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.frameworks.zoo import FRAMES_2D, IMAGE, SEQUENCE, VECTOR, VOLUME, Case, Framework, _layer


def _layers(shape: tuple[int, ...], **made: Callable[[Any], Any]) -> list[Case]:
    return [_layer(name, make, shape) for name, make in made.items()]


def _of(kind: str, *given: Any, **settings: Any) -> Callable[[Any], Any]:
    """Makes a layer of a class, by its name."""
    return lambda L: getattr(L, kind)(*given, name="x", **settings)


def _pair(name: str, make: Callable[[Any], Any], shape: tuple[int, ...] = VECTOR) -> Case:
    """A layer that merges two inputs."""

    def build(keras: Framework) -> Any:
        L = keras.layers
        one, two = keras.Input(shape, name="one"), keras.Input(shape, name="two")
        outputs = make(L)([one, two])
        if len(outputs.shape) > 2:
            outputs = L.Flatten(name="flat")(outputs)
        return keras.Model([one, two], L.Dense(2, name="last")(outputs), name="model")

    return Case(name, build, (shape, shape))


def _row(name: str, shape: tuple[int, ...], make: Callable[[Any], list[Any]], integers: bool = False) -> Case:
    """A Sequential."""

    def build(keras: Framework) -> Any:
        return keras.Sequential([keras.Input(shape), *make(keras.layers)], name="row")

    return Case(name, build, (shape,), integers)


def _graph(name: str, shapes: tuple[tuple[int, ...], ...], make: Callable[[Framework, list[Any]], Any]) -> Case:
    """A Functional model, given its inputs."""

    def build(keras: Framework) -> Any:
        inputs = [keras.Input(shape, name=f"in{index}") for index, shape in enumerate(shapes)]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], make(keras, inputs), name="model")

    return Case(name, build, shapes)


ACTIVATIONS = (
    "elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish tanh"
)

WEIGHTLESS: list[Case] = [
    *(_layer(f"Activation-{name}", _of("Activation", name), VECTOR) for name in ACTIVATIONS.split()),
    *(_layer(f"Dense-{name}", _of("Dense", 3, activation=name), VECTOR) for name in ACTIVATIONS.split()),
    *_layers(
        VECTOR,
        ReLU=lambda L: L.ReLU(3.0, 0.1, 0.2, name="x"),
        LeakyReLU=lambda L: L.LeakyReLU(0.2, name="x"),
        ELU=lambda L: L.ELU(0.7, name="x"),
        ThresholdedReLU=lambda L: L.ThresholdedReLU(0.5, name="x"),
        Softmax=lambda L: L.Softmax(name="x"),
        GaussianNoise=lambda L: L.GaussianNoise(0.1, name="x"),
        GaussianDropout=lambda L: L.GaussianDropout(0.1, name="x"),
        AlphaDropout=lambda L: L.AlphaDropout(0.1, name="x"),
        ActivityRegularization=lambda L: L.ActivityRegularization(0.1, 0.2, name="x"),
        RepeatVector=lambda L: L.RepeatVector(3, name="x"),
        Reshape=lambda L: L.Reshape((5, 1), name="x"),
        UnitNormalization=lambda L: L.UnitNormalization(name="x"),
        Rescaling=lambda L: L.Rescaling(0.5, offset=0.1, name="x"),
        Identity=lambda L: L.Identity(name="x"),
    ),
    *_layers(
        SEQUENCE,
        Permute=lambda L: L.Permute((2, 1), name="x"),
        Masking=lambda L: L.Masking(0.0, name="x"),
        MaxPooling1D=lambda L: L.MaxPooling1D(2, padding="same", name="x"),
        AveragePooling1D=lambda L: L.AveragePooling1D(2, padding="same", name="x"),
        GlobalMaxPooling1D=lambda L: L.GlobalMaxPooling1D(name="x"),
        GlobalAveragePooling1D=lambda L: L.GlobalAveragePooling1D(keepdims=True, name="x"),
        SpatialDropout1D=lambda L: L.SpatialDropout1D(0.2, name="x"),
        UpSampling1D=lambda L: L.UpSampling1D(2, name="x"),
        ZeroPadding1D=lambda L: L.ZeroPadding1D((1, 2), name="x"),
        Cropping1D=lambda L: L.Cropping1D((1, 2), name="x"),
        TimeDistributed_activation=lambda L: L.TimeDistributed(L.Activation("hard_sigmoid"), name="x"),
        TimeDistributed_dense=lambda L: L.TimeDistributed(L.Dense(3, activation="hard_sigmoid"), name="x"),
    ),
    *_layers(
        IMAGE,
        MaxPooling2D=lambda L: L.MaxPooling2D((2, 3), (1, 2), name="x"),
        AveragePooling2D=lambda L: L.AveragePooling2D(3, 2, "same", name="x"),
        GlobalMaxPooling2D=lambda L: L.GlobalMaxPooling2D(name="x"),
        GlobalAveragePooling2D=lambda L: L.GlobalAveragePooling2D(name="x"),
        SpatialDropout2D=lambda L: L.SpatialDropout2D(0.2, name="x"),
        UpSampling2D=lambda L: L.UpSampling2D(2, name="x"),
        UpSampling2D_bilinear=lambda L: L.UpSampling2D((2, 3), interpolation="bilinear", name="x"),
        UpSampling2D_bicubic=lambda L: L.UpSampling2D(2, interpolation="bicubic", name="x"),
        ZeroPadding2D=lambda L: L.ZeroPadding2D(((1, 2), (0, 3)), name="x"),
        Cropping2D=lambda L: L.Cropping2D(((1, 2), (0, 3)), name="x"),
        Resizing=lambda L: L.Resizing(5, 9, name="x"),
        Resizing_nearest=lambda L: L.Resizing(5, 9, "nearest", name="x"),
        Resizing_crop=lambda L: L.Resizing(5, 9, crop_to_aspect_ratio=True, name="x"),
        CenterCrop=lambda L: L.CenterCrop(4, 5, name="x"),
        CenterCrop_larger=lambda L: L.CenterCrop(9, 5, name="x"),
        RandomCrop=lambda L: L.RandomCrop(4, 5, name="x"),
        RandomTranslation=lambda L: L.RandomTranslation(0.1, 0.2, name="x"),
        RandomRotation=lambda L: L.RandomRotation(0.1, name="x"),
        RandomZoom=lambda L: L.RandomZoom(0.1, name="x"),
        RandomContrast=lambda L: L.RandomContrast(0.1, name="x"),
        RandomBrightness=lambda L: L.RandomBrightness(0.1, name="x"),
    ),
    *_layers(
        VOLUME,
        MaxPooling3D=lambda L: L.MaxPooling3D(2, name="x"),
        AveragePooling3D=lambda L: L.AveragePooling3D(2, padding="same", name="x"),
        GlobalMaxPooling3D=lambda L: L.GlobalMaxPooling3D(name="x"),
        GlobalAveragePooling3D=lambda L: L.GlobalAveragePooling3D(name="x"),
        SpatialDropout3D=lambda L: L.SpatialDropout3D(0.2, name="x"),
        UpSampling3D=lambda L: L.UpSampling3D(2, name="x"),
        ZeroPadding3D=lambda L: L.ZeroPadding3D(1, name="x"),
        Cropping3D=lambda L: L.Cropping3D(1, name="x"),
    ),
    *(_pair(name, _of(name)) for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]),
    _pair("Concatenate", lambda L: L.Concatenate(axis=1, name="x"), SEQUENCE),
    _pair("Dot", lambda L: L.Dot(axes=(1, 1), normalize=True, name="x"), SEQUENCE),
    _layer("CategoryEncoding", lambda L: L.CategoryEncoding(9, output_mode="multi_hot", name="x"), (6,), integers=True),
    _layer("CategoryEncoding-count", lambda L: L.CategoryEncoding(9, output_mode="count", name="x"), (6,), integers=True),
    _layer("IntegerLookup", lambda L: L.IntegerLookup(vocabulary=[1, 3, 5], output_mode="multi_hot", name="x"), (6,), integers=True),
    _layer("Hashing", lambda L: L.Hashing(7, output_mode="multi_hot", name="x"), (6,), integers=True),
]

WEIGHTED: list[Case] = [
    *(
        _layer(f"{name}-hard_sigmoid", _of(name, 3, *more, activation="hard_sigmoid"), shape)
        for name, more, shape in (
            ("Conv1D", (2,), SEQUENCE),
            ("Conv2D", (2,), IMAGE),
            ("Conv3D", (2,), VOLUME),
            ("Conv2DTranspose", (2,), IMAGE),
            ("DepthwiseConv2D", (), IMAGE),
            ("SeparableConv2D", (2,), IMAGE),
        )
    ),
    *_layers(
        SEQUENCE,
        LSTM_hard=lambda L: L.LSTM(3, recurrent_activation="hard_sigmoid", name="x"),
        LSTM_hard_no_bias=lambda L: L.LSTM(3, recurrent_activation="hard_sigmoid", use_bias=False, name="x"),
        GRU_hard=lambda L: L.GRU(3, recurrent_activation="hard_sigmoid", name="x"),
        GRU_hard_before=lambda L: L.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False, name="x"),
        GRU_hard_twice=lambda L: L.GRU(3, activation="hard_sigmoid", recurrent_activation="hard_sigmoid", name="x"),
        GRU_hard_candidate=lambda L: L.GRU(3, activation="hard_sigmoid", name="x"),
        SimpleRNN_hard=lambda L: L.SimpleRNN(3, activation="hard_sigmoid", name="x"),
        Bidirectional_hard=lambda L: L.Bidirectional(L.LSTM(3, recurrent_activation="hard_sigmoid"), name="x"),
        Bidirectional_backwards=lambda L: L.Bidirectional(L.LSTM(3, go_backwards=True), name="x"),
        Bidirectional_sum=lambda L: L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum", name="x"),
        RNN_cells_hard=lambda L: L.RNN(
            [L.LSTMCell(3, recurrent_activation="hard_sigmoid"), L.GRUCell(2, activation="hard_sigmoid")], name="x"
        ),
        LSTM_backwards=lambda L: L.LSTM(3, go_backwards=True, return_sequences=True, unroll=True, name="x"),
        Conv1D_dilated=lambda L: L.Conv1D(3, 2, dilation_rate=2, padding="same", kernel_regularizer="l2", name="x"),
        Dense_of_everything=lambda L: L.Dense(
            3,
            activation=L.LeakyReLU(0.3),
            kernel_initializer="he_normal",
            bias_initializer="ones",
            kernel_regularizer="l1_l2",
            bias_constraint="non_neg",
            kernel_constraint="max_norm",
            name="x",
        ),
        Normalization_inverted=lambda L: L.Normalization(mean=1.0, variance=2.0, invert=True, name="x"),
    ),
    *_layers(
        IMAGE,
        BatchNormalization_first=lambda L: L.BatchNormalization(axis=1, name="x"),
        LayerNormalization_all=lambda L: L.LayerNormalization(axis=[1, 2, 3], name="x"),
        Conv2D_same=lambda L: L.Conv2D(3, (2, 3), strides=2, padding="same", name="x"),
        Conv2DTranspose_strides=lambda L: L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1, name="x"),
        DepthwiseConv2D_strides=lambda L: L.DepthwiseConv2D(3, strides=2, padding="same", name="x"),
        SeparableConv2D_multiplied=lambda L: L.SeparableConv2D(3, 3, depth_multiplier=2, padding="same", name="x"),
    ),
    _layer(
        "ConvLSTM2D-sigmoid",
        lambda L: L.ConvLSTM2D(2, 2, padding="same", recurrent_activation="sigmoid", return_sequences=True, name="x"),
        FRAMES_2D,
    ),
    _layer("Bidirectional-ConvLSTM2D", lambda L: L.Bidirectional(L.ConvLSTM2D(2, 2, go_backwards=True), name="x"), FRAMES_2D),
    _layer("TimeDistributed-Conv2D", lambda L: L.TimeDistributed(L.Conv2D(2, 2, activation="relu"), name="x"), FRAMES_2D),
    _row("Discretization", VECTOR, lambda L: [L.Discretization([-0.5, 0.0, 0.5]), L.Embedding(4, 2), L.Flatten(), L.Dense(2)]),
    _row("Embedding-masked", (6,), lambda L: [L.Embedding(9, 4, mask_zero=True, input_length=6), L.LSTM(3), L.Dense(2)], integers=True),
    _row("Masking-in_a_row", SEQUENCE, lambda L: [L.Masking(0.0), L.Bidirectional(L.GRU(3, return_sequences=True)), L.LSTM(2)]),
    _row("names", VECTOR, lambda L: [L.Dense(3, name="a/b"), L.Dense(4, name="a_b"), L.BatchNormalization(name="c/d/e")]),
]


def _states(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    sequence, h, c = L.LSTM(3, return_sequences=True, return_state=True, name="first")(inputs[0])
    return L.LSTM(3, name="second")(sequence, initial_state=[h, c])


def _states_both_ways(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    found = L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True), name="first")(inputs[0])
    return L.Bidirectional(L.GRU(3), name="second")(found[0], initial_state=list(found[1:]))


def _nested_twice(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    inside = keras.Input(VECTOR, name="inside")
    inner = keras.Model(inside, L.Dense(5, name="a")(inside), name="inner")
    row = keras.Sequential([L.Dense(5, name="b")], name="deferred")
    x = inner(L.Dense(5, name="before")(inputs[0]))
    y = row(inner(x))
    return [row(y), inner(y)]


def _calls(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    attention = L.MultiHeadAttention(2, 3, name="attention")
    x = attention(inputs[0], value=inputs[0], key=inputs[1], use_causal_mask=True)
    x = L.BatchNormalization(name="norm")(x, training=False)
    y = L.Attention(name="dot")([x, inputs[1]], use_causal_mask=True)
    return L.Dropout(0.5, name="drop")(L.Add(name="sum")([x, y]), training=False)


def _two_outputs_of_one(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    inside = keras.Input(VECTOR, name="inside")
    inner = keras.Model(inside, [L.Dense(2, name="a")(inside), L.Dense(3, name="b", activation="hard_sigmoid")(inside)], name="inner")
    one, two = inner(inputs[0])
    return [L.Concatenate(name="both")([two, one]), inner(L.Dense(5, name="c")(inputs[0]))[1]]


def _slashes(keras: Framework, inputs: list[Any]) -> Any:
    L = keras.layers
    inside = keras.Input(VECTOR, name="in/side")
    inner = keras.Model(inside, L.Dense(5, name="deep/er")(inside), name="in/ner")
    return L.Dense(2, name="block/out")(inner(L.Dense(5, name="block/one")(inputs[0])))


GRAPHS: list[Case] = [
    _graph("graph-states", (SEQUENCE,), _states),
    _graph("graph-states_both_ways", (SEQUENCE,), _states_both_ways),
    _graph("graph-nested_twice", (VECTOR,), _nested_twice),
    _graph("graph-keyword_arguments", (SEQUENCE, SEQUENCE), _calls),
    _graph("graph-two_outputs_of_one", (VECTOR,), _two_outputs_of_one),
    _graph("graph-slashes", (VECTOR,), _slashes),
]
