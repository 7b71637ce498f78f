"""Layers around layers, states, masks, arguments of calls, and models of many forms: those that `zoo_layers` cannot list."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.frameworks.zoo_layers import Fresh, activations, slash

Framework = Any
Built = tuple[Any, list[str]]
"""A model, and the kinds of its inputs (`zoo_layers.SHAPES`)."""
Whole = tuple[str, Callable[[], Any], list[str]]
"""What a model is called in reports, what builds it, and the kinds of its inputs."""

CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
LAYERS = ("LSTM", "GRU", "SimpleRNN")


def wrapped(K: Framework, seed: int, size: int) -> Iterator[Whole]:
    """The models."""
    makers = [value for key, value in globals().items() if key.startswith("_made_")]
    for make in makers:
        draw = random.Random(f"{seed} {make.__name__}")
        for number, (label, build, kinds) in enumerate(make(K, draw, size)):
            yield f"{make.__name__[6:]}#{number}({label})", build, kinds


def _one(K: Framework, kind: str, make: Callable[[], Any], batch: int | None = None, **calls: Any) -> Callable[[], Any]:
    """A model of one layer."""

    def build() -> Any:
        from tests.frameworks.zoo_layers import DTYPES, SHAPES

        entry = K.Input(SHAPES[kind], batch_size=batch, name="entry", dtype=DTYPES.get(kind, "float32"))
        return K.Model(entry, make()(entry, **calls))

    return build


def _behind_a_mask(L: Any, make: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda x: make()(L.Masking()(x))


def _both_ways(L: Any, kind: str) -> Any:
    return L.Bidirectional(getattr(L, kind)(2, 2, return_sequences=True))


def _at_each_step(L: Any, make: Callable[[], Any]) -> Any:
    return L.TimeDistributed(make())


def _normalized(L: Any, make: Callable[[], Any], powers: int) -> Any:
    return L.SpectralNormalization(make(), powers)


def _made_bidirectional(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers
    acts = [item for item in activations(K) if not isinstance(item, Fresh)]
    for _ in range(6 * size):
        kind = draw.choice(LAYERS)
        sequences, states, backwards = draw.random() < 0.5, draw.random() < 0.3, draw.random() < 0.2
        merge = draw.choice(["concat", "sum", "mul", "ave", None])
        more: dict[str, Any] = {"return_sequences": sequences, "return_state": states, "go_backwards": backwards}
        if draw.random() < 0.4:
            more["activation"] = draw.choice(acts[:17])
        if draw.random() < 0.4 and kind != "SimpleRNN":
            more["recurrent_activation"] = draw.choice(["hard_sigmoid", "tanh", "sigmoid"])
        if draw.random() < 0.3:
            more["use_bias"] = False
        other = draw.choice([None, None, *LAYERS])
        stateful = draw.random() < 0.2
        more["stateful"] = stateful
        masked = draw.random() < 0.3
        name = draw.choice(["b", f"a{slash(K)}b"])

        def make(kind: str = kind, more: dict[str, Any] = more, other: str | None = other, merge: Any = merge, name: str = name) -> Any:
            back = None
            if other is not None:
                own = {key: value for key, value in more.items() if key not in ("go_backwards", "activation", "recurrent_activation")}
                back = getattr(L, other)(3, go_backwards=not more["go_backwards"], **own)
            return L.Bidirectional(getattr(L, kind)(3, **more), merge_mode=merge, backward_layer=back, name=name)

        build = _one(K, "sequence", make, 4 if stateful else None)
        if masked:
            build = _one(K, "sequence", partial(_behind_a_mask, L, make), 4 if stateful else None)
        yield f"{kind},{merge},{other},{more},masked={masked}", build, ["sequence"]
    for _ in range(size):
        convolution = draw.choice(["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"])
        frames = f"frames_{convolution[-2].lower()}d"
        yield convolution, _one(K, frames, partial(_both_ways, L, convolution)), [frames]


def _made_time_distributed(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers

    def functional() -> Any:
        inside = K.Input((6, 5, 2))
        return K.Model(inside, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(3, 2, activation="hard_sigmoid")(inside))))

    def two() -> Any:
        inside = K.Input((6, 5, 2))
        return K.Model(inside, L.Dense(3, name=f"q{slash(K)}w")(L.Flatten()(L.BatchNormalization()(inside))))

    inner: list[tuple[str, Callable[[], Any]]] = [
        ("Dense", lambda: L.Dense(3, activation="hard_sigmoid")),
        ("Conv2D", lambda: L.Conv2D(3, 2, padding="same")),
        ("DepthwiseConv2D", lambda: L.DepthwiseConv2D(2)),
        ("SeparableConv2D", lambda: L.SeparableConv2D(3, 2)),
        ("Conv2DTranspose", lambda: L.Conv2DTranspose(3, 2)),
        ("BatchNormalization", L.BatchNormalization),
        ("LayerNormalization", lambda: L.LayerNormalization(axis=[1, 2])),
        ("Flatten", L.Flatten),
        ("MaxPooling2D", L.MaxPooling2D),
        ("GlobalAveragePooling2D", L.GlobalAveragePooling2D),
        ("PReLU", L.PReLU),
        ("Activation", lambda: L.Activation("hard_sigmoid")),
        ("Reshape", lambda: L.Reshape((15, 4))),
        ("Dropout", lambda: L.Dropout(0.2)),
        ("Sequential", lambda: K.Sequential([L.Conv2D(3, 2, input_shape=(6, 5, 2)), L.Flatten(), L.Dense(2)])),
        ("Sequential-deferred", lambda: K.Sequential([L.Conv2D(3, 2), L.Flatten(), L.Dense(2)])),
        ("Functional", functional),
        ("Functional-slash", two),
        ("TimeDistributed", lambda: L.TimeDistributed(L.Dense(3))),
        ("TimeDistributed-LSTM", lambda: L.TimeDistributed(L.LSTM(3, recurrent_activation="hard_sigmoid"))),
        ("Bidirectional", lambda: L.TimeDistributed(L.Bidirectional(L.GRU(3)))),
        ("ThresholdedReLU", lambda: L.ThresholdedReLU(0.2)),
        ("CenterCrop", lambda: L.CenterCrop(3, 3)),
        ("RandomCrop", lambda: L.RandomCrop(3, 3)),
        ("Resizing", lambda: L.Resizing(3, 3)),
        ("RandomHeight", lambda: L.RandomHeight(0.2)),
        ("LocallyConnected2D", lambda: L.LocallyConnected2D(3, 2)),
        ("SpectralNormalization", lambda: L.SpectralNormalization(L.Conv2D(3, 2))),
        ("GroupNormalization", lambda: L.GroupNormalization(2)),
        ("UnitNormalization", L.UnitNormalization),
        ("UpSampling2D", lambda: L.UpSampling2D(interpolation="bilinear")),
    ]
    for label, make in inner:
        yield label, _one(K, "frames_2d", partial(_at_each_step, L, make)), ["frames_2d"]


def _made_rnn(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers
    acts = [item for item in activations(K) if not isinstance(item, Fresh)]

    def cell(kind: str, **more: Any) -> Any:
        return getattr(L, kind)(3, **more)

    for _ in range(4 * size):
        kinds = [draw.choice(CELLS) for _ in range(draw.choice([1, 1, 2, 3]))]
        more: dict[str, Any] = {}
        if draw.random() < 0.5:
            more["activation"] = draw.choice(acts)
        if draw.random() < 0.3:
            more["use_bias"] = False
        if draw.random() < 0.3:
            more["dropout"] = 0.2
        around = {key: True for key in ("return_sequences", "return_state", "go_backwards", "unroll") if draw.random() < 0.3}
        how = draw.choice(["list", "stacked"]) if len(kinds) > 1 else "single"
        hard = draw.random() < 0.4

        def make(kinds: list[str] = kinds, more: Any = more, around: Any = around, how: str = how, hard: bool = hard) -> Any:
            made = [cell(k, **more, **({"recurrent_activation": "hard_sigmoid"} if hard and k != "SimpleRNNCell" else {})) for k in kinds]
            inner = made[0] if how == "single" else L.StackedRNNCells(made) if how == "stacked" else made
            return L.RNN(inner, **around)

        yield f"{kinds},{more},{around},{how}", _one(K, "sequence", make), ["sequence"]
    yield (
        "reverse",
        _one(K, "sequence", lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)]), name=f"r{slash(K)}s")),
        ["sequence"],
    )
    yield "both", _one(K, "sequence", lambda: L.Bidirectional(L.RNN(L.LSTMCell(3, recurrent_activation="hard_sigmoid")))), ["sequence"]
    yield "both stacked", _one(K, "sequence", lambda: L.Bidirectional(L.RNN([L.GRUCell(3), L.GRUCell(2)]))), ["sequence"]


def _made_states(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers

    def passed(kind: str, keyword: bool, name: str) -> Callable[[], Any]:
        def build() -> Any:
            entry = K.Input((6, 4))
            found = getattr(L, kind)(3, return_state=True, return_sequences=True, name=f"{name}1")(entry)
            states = list(found[1:])
            second = getattr(L, kind)(3, name=f"{name}2", recurrent_activation="hard_sigmoid") if kind != "SimpleRNN" else L.SimpleRNN(3)
            states = states if len(states) > 1 else states[0] if draw.random() < 0.5 else states
            y = (
                second(found[0], initial_state=states)
                if keyword
                else second([found[0], *(states if isinstance(states, list) else [states])])
            )
            return K.Model(entry, [y, found[1]])

        return build

    for kind in LAYERS:
        for keyword in (True, False):
            yield f"{kind},{keyword}", passed(kind, keyword, draw.choice(["s", f"a{slash(K)}s"])), ["sequence"]

    def from_input(kind: str, keyword: bool) -> Callable[[], Any]:
        def build() -> Any:
            entry, state, other = K.Input((6, 4), name="e"), K.Input((5,), name="h"), K.Input((5,), name="c")
            states = [state, other] if kind == "LSTM" else [state]
            layer = getattr(L, kind)(5, return_state=True)
            found = layer(entry, initial_state=states) if keyword else layer([entry, *states])
            return K.Model([entry, state, other], [*found, L.Dense(2)(other)])

        return build

    for kind in LAYERS:
        for keyword in (True, False):
            yield f"{kind} from an input,{keyword}", from_input(kind, keyword), ["sequence", "vector", "vector"]

    def both() -> Any:
        entry = K.Input((6, 4))
        found = L.Bidirectional(L.LSTM(3, return_state=True, return_sequences=True))(entry)
        mixed = L.Bidirectional(L.LSTM(3), merge_mode="sum")(found[0], initial_state=found[1:])
        return K.Model(entry, [mixed, L.Concatenate()([found[1], found[3]])])

    yield "Bidirectional", both, ["sequence"]

    def stacked() -> Any:
        entry = K.Input((6, 4))
        one, two = ([L.GRUCell(3), L.LSTMCell(2)] for _ in range(2))
        found = L.RNN(one, return_state=True, return_sequences=True)(entry)
        return K.Model(entry, L.RNN(two)(found[0], initial_state=list(found[1:])))

    yield "stacked cells", stacked, ["sequence"]

    def convolved() -> Any:
        entry = K.Input((3, 6, 5, 2))
        found = L.ConvLSTM2D(2, 2, padding="same", return_state=True, return_sequences=True)(entry)
        return K.Model(entry, L.ConvLSTM2D(2, 2, padding="same")(found[0], initial_state=list(found[1:])))

    yield "ConvLSTM2D", convolved, ["frames_2d"]

    def decoder() -> Any:
        source, target = K.Input((6,), dtype="int64", name="src"), K.Input((6,), dtype="int64", name="dst")
        _, h, c = L.LSTM(4, return_state=True, name="encoder")(L.Embedding(9, 4, mask_zero=True)(source))
        shared = L.Embedding(9, 4, mask_zero=True, name=f"emb{slash(K)}t")
        y = L.LSTM(4, return_sequences=True, name="decoder")(shared(target), initial_state=[h, c])
        return K.Model([source, target], L.Dense(9, activation="softmax")(y))

    yield "encoder and decoder", decoder, ["integers", "integers"]


def _made_masks(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers
    behind: list[tuple[str, Callable[[], Any]]] = [
        ("LSTM", lambda: L.LSTM(3)),
        ("LSTM back", lambda: L.LSTM(3, go_backwards=True, return_sequences=True)),
        ("GRU", lambda: L.GRU(3, reset_after=False, return_sequences=True)),
        ("SimpleRNN", lambda: L.SimpleRNN(3, unroll=True)),
        ("RNN", lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2)])),
        ("Bidirectional", lambda: L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="ave")),
        ("GlobalAveragePooling1D", L.GlobalAveragePooling1D),
        ("TimeDistributed", lambda: L.TimeDistributed(L.Dense(2))),
        ("Dense", lambda: L.Dense(3)),
        ("Softmax", lambda: L.Softmax(axis=1)),
        ("BatchNormalization", L.BatchNormalization),
        ("LayerNormalization", L.LayerNormalization),
    ]
    for label, make in behind:
        for source in ("masking", "embedding"):

            def build(make: Callable[[], Any] = make, source: str = source) -> Any:
                if source == "masking":
                    entry = K.Input((6, 4))
                    x = L.Masking()(entry)
                else:
                    entry = K.Input((6,), dtype="int64")
                    x = L.Embedding(9, 4, mask_zero=True)(entry)
                layers = [L.Dropout(0.1), L.Activation("hard_sigmoid")][: draw.choice([0, 1, 2])]
                for layer in layers:
                    x = layer(x)
                y = make()(x)
                return K.Model(entry, L.LSTM(2)(y) if len(y.shape) == 3 and draw.random() < 0.5 else y)

            yield f"{label},{source}", build, ["sequence" if source == "masking" else "integers"]

    def attended(kind: str, **calls: Any) -> Callable[[], Any]:
        def build() -> Any:
            one, two = K.Input((6,), dtype="int64"), K.Input((6, 4))
            q, v = L.Embedding(9, 4, mask_zero=True)(one), L.Masking()(two)
            many = kind == "MultiHeadAttention"
            y = L.MultiHeadAttention(2, 3)(q, v, **calls) if many else getattr(L, kind)()([q, v], **calls)
            return K.Model([one, two], list(y) if isinstance(y, tuple) else y)

        return build

    for kind in ("MultiHeadAttention", "Attention", "AdditiveAttention"):
        for calls in ({}, {"use_causal_mask": True}, {"return_attention_scores": True}, {"training": False}):
            yield f"{kind},{calls}", attended(kind, **calls), ["integers", "sequence"]

    def merged(kind: str) -> Callable[[], Any]:
        def build() -> Any:
            one, two = K.Input((6,), dtype="int64"), K.Input((6, 4))
            y = getattr(L, kind)()([L.Embedding(9, 4, mask_zero=True)(one), L.Masking()(two)])
            return K.Model([one, two], L.LSTM(3)(y))

        return build

    for kind in ("Add", "Concatenate", "Multiply", "Average", "Maximum", "Subtract"):
        yield kind, merged(kind), ["integers", "sequence"]

    def given_mask(kind: str) -> Callable[[], Any]:
        def build() -> Any:
            entry = K.Input((6, 4))
            mask = K.Input((6,), dtype="bool", name="mask")
            return K.Model([entry, mask], getattr(L, kind)(3)(entry, mask=mask))

        return build

    for kind in ("LSTM", "GRU"):
        yield f"{kind} mask=", given_mask(kind), ["sequence", "mask"]


def _made_attention(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers

    def build(calls: str, more: dict[str, Any]) -> Callable[[], Any]:
        def made() -> Any:
            a, b, c = (K.Input((6, 4), name=name) for name in "abc")
            m = L.MultiHeadAttention(2, 3, **more)
            y: Any = {
                "positional": lambda: m(a, b, c),
                "keywords": lambda: m(query=a, value=b, key=c),
                "value": lambda: m(a, value=b),
                "key": lambda: m(a, b, key=c),
                "scores": lambda: m(a, b, return_attention_scores=True),
                "causal": lambda: m(a, a, use_causal_mask=True),
                "twice": lambda: m(m(a, b), c, c),
            }[calls]()
            rest = [L.Add()([b, c])]
            return K.Model([a, b, c], [*(y if isinstance(y, tuple) else [y]), *rest])

        return made

    for calls in ("positional", "keywords", "value", "key", "scores", "causal", "twice"):
        more: dict[str, Any] = {}
        if draw.random() < 0.5:
            more["value_dim"] = 5
        if draw.random() < 0.3:
            more["use_bias"] = False
        yield f"{calls},{more}", build(calls, more), ["sequence"] * 3

    def dense(kind: str, count: int, calls: dict[str, Any], more: dict[str, Any]) -> Callable[[], Any]:
        def made() -> Any:
            given = [K.Input((6, 4), name=name) for name in "abc"]
            y = getattr(L, kind)(**more)(given[:count], **calls)
            return K.Model(given, [*(y if isinstance(y, tuple) else [y]), L.Add()(given)])

        return made

    for kind in ("Attention", "AdditiveAttention"):
        for count in (2, 3):
            for given in ({}, {"use_causal_mask": True}, {"return_attention_scores": True}):
                own: dict[str, Any] = {"use_scale": True} if draw.random() < 0.5 else {"dropout": 0.2}
                if kind == "Attention" and draw.random() < 0.4:
                    own["score_mode"] = "concat"
                yield f"{kind},{count},{given},{own}", dense(kind, count, given, own), ["sequence"] * 3

    def masked(kind: str) -> Callable[[], Any]:
        def made() -> Any:
            a, mask = K.Input((6, 4), name="a"), K.Input((6,), dtype="bool", name="mask")
            if kind == "MultiHeadAttention":
                y = L.MultiHeadAttention(2, 3)(a, a, attention_mask=L.RepeatVector(6)(mask))
            elif kind == "Softmax":
                y = L.Softmax(axis=1)(L.Reshape((6,))(L.Dense(1)(a)), mask)
            else:
                y = getattr(L, kind)()([a, a], mask=[mask, mask])
            return K.Model([a, mask], y)

        return made

    for kind in ("MultiHeadAttention", "Attention", "AdditiveAttention", "Softmax"):
        yield f"{kind} with a mask", masked(kind), ["sequence", "mask"]


def _made_spectral(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers
    for label, make, kind in (
        ("Dense", lambda: L.Dense(3, activation="hard_sigmoid"), "vector"),
        ("Dense-relu", lambda: L.Dense(3, activation="relu", name="d"), "sequence"),
        ("Conv1D", lambda: L.Conv1D(3, 2, padding="causal"), "sequence"),
        ("Conv2D", lambda: L.Conv2D(3, 2, strides=2), "image"),
        ("Conv2DTranspose", lambda: L.Conv2DTranspose(3, 2), "image"),
        ("Embedding", lambda: L.Embedding(9, 3), "integers"),
        ("LocallyConnected1D", lambda: L.LocallyConnected1D(3, 2), "sequence"),
    ):
        for powers in (1, 3):
            yield f"{label},{powers}", _one(K, kind, partial(_normalized, L, make, powers)), [kind]


def _made_sequential(K: Framework, draw: random.Random, size: int) -> Iterator[Whole]:
    L = K.layers

    def built(layers: Callable[[], list[Any]], shape: tuple[int | None, ...], called: bool) -> Callable[[], Any]:
        def build() -> Any:
            model = K.Sequential(layers())
            if called:
                import numpy as np

                model(np.zeros((4, *(size or 4 for size in shape[1:])), "float32"))
            else:
                model.build(shape)
            return model

        return build

    def functional(count: int = 1) -> Any:
        inside = K.Input((5,))
        x = L.Dense(5, name=f"f{slash(K)}a")(inside)
        return K.Model(inside, L.Dense(4, activation="hard_sigmoid")(x))

    rows: list[tuple[str, Callable[[], list[Any]], str, tuple[int | None, ...]]] = [
        ("Dense", lambda: [L.Dense(4), L.BatchNormalization(), L.Dense(2)], "vector", (None, 5)),
        ("hard", lambda: [L.Dense(4), L.Activation("hard_sigmoid"), L.Dense(2)], "vector", (None, 5)),
        ("Conv2D", lambda: [L.Conv2D(4, 2), L.MaxPooling2D(), L.Flatten(), L.Dense(2)], "image", (None, 7, 8, 4)),
        ("LSTM", lambda: [L.LSTM(4, return_sequences=True), L.LSTM(2)], "sequence", (None, 6, 4)),
        ("nested", lambda: [K.Sequential([L.Dense(4), L.Dense(3)]), L.Dense(2)], "vector", (None, 5)),
        ("nested functional", lambda: [functional(), L.Dense(2)], "vector", (None, 5)),
        ("nested late", lambda: [L.Dense(5), functional(), K.Sequential([L.Dense(3)]), L.ReLU()], "vector", (None, 5)),
        ("nested twice", lambda: [K.Sequential([K.Sequential([L.Dense(4)]), functional_of(K, 4)]), L.Dense(2)], "vector", (None, 5)),
        ("TimeDistributed", lambda: [L.TimeDistributed(L.Dense(4)), L.Bidirectional(L.LSTM(2))], "sequence", (None, 6, 4)),
        ("Rescaling", lambda: [L.Rescaling(0.1), L.RandomFlip(), L.RandomRotation(0.1), L.Conv2D(3, 2)], "image", (None, 7, 8, 4)),
        ("Locally", lambda: [L.LocallyConnected2D(3, 2), L.Flatten(), L.Dense(2)], "image", (None, 7, 8, 4)),
        ("Dropout first", lambda: [L.Dropout(0.2), L.Dense(3)], "vector", (None, 5)),
        ("Reshape", lambda: [L.Reshape((5, 1)), L.LSTM(3)], "vector", (None, 5)),
    ]
    for label, layers, kind, shape in rows:
        yield f"{label},called", built(layers, shape, True), [kind]
        yield f"{label},built", built(layers, shape, False), [kind]

        def said(layers: Callable[[], list[Any]] = layers, shape: tuple[int | None, ...] = shape) -> Any:
            return K.Sequential([K.Input(shape[1:]), *layers()], name=f"row{slash(K)}s")

        yield f"{label},Input", said, [kind]
    yield (
        "input_shape",
        lambda: K.Sequential([L.Dense(4, input_shape=(5,)), L.Dense(3, input_shape=(4,)), L.Dense(2, input_dim=3)]),
        ["vector"],
    )
    yield "Embedding", lambda: K.Sequential([L.Embedding(9, 4, input_length=6), L.Flatten(), L.Dense(2)]), ["integers"]
    yield "batch_input_shape", lambda: K.Sequential([L.LSTM(4, stateful=True, batch_input_shape=(4, 6, 4)), L.Dense(2)]), ["sequence"]
    yield "frozen", lambda: frozen(K.Sequential([L.Dense(4, input_shape=(5,)), L.BatchNormalization(), L.Dense(3)])), ["vector"]
    yield "TimeDistributed input_shape", lambda: K.Sequential([L.TimeDistributed(L.Dense(3), input_shape=(6, 4)), L.GRU(2)]), ["sequence"]
    yield "Bidirectional input_shape", lambda: K.Sequential([L.Bidirectional(L.LSTM(3), input_shape=(6, 4)), L.Dense(2)]), ["sequence"]
    yield "Normalization", lambda: adapted(K), ["vector"]


def functional_of(K: Framework, size: int) -> Any:
    """A small Functional of vectors."""
    inside = K.Input((size,))
    return K.Model(inside, K.layers.Add()([K.layers.Dense(size)(inside), inside]))


def frozen(model: Any) -> Any:
    """A model that is not trained."""
    model.trainable = False
    return model


def adapted(K: Framework) -> Any:
    """A Sequential that begins with statistics of data."""
    import numpy as np

    layer = K.layers.Normalization(axis=-1)
    layer.adapt(np.random.default_rng(1).standard_normal((20, 5)).astype("float32"))
    return K.Sequential([K.Input((5,)), layer, K.layers.Dense(3)])
