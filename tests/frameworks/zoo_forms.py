"""Models of many forms, made at random: graphs with shared and nested layers, structures of ends, all that they are compiled with."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.frameworks.zoo_layers import slash
from tests.frameworks.zoo_wrapped import Whole, frozen

Framework = Any


class Growth:
    """A graph that grows at random, of layers that take and give vectors of five."""

    def __init__(self, K: Framework, draw: random.Random, depth: int = 0) -> None:
        self.K, self.draw, self.depth = K, draw, depth
        self.made: list[Any] = []
        self.count = 0

    def name(self, kind: str) -> str | None:
        """A name: one of Keras's own, one with a slash, or one that other models have too."""
        self.count += 1
        return self.draw.choice([None, f"{kind}{slash(self.K)}{self.count}", f"{kind}_{self.count}", f"m{self.depth}_{self.count}"])

    def layer(self) -> Any:
        """A layer, new or one that is there already."""
        L = self.K.layers
        draw = self.draw
        if self.made and draw.random() < 0.3:
            return draw.choice(self.made)
        trained = draw.random() < 0.85
        kinds: list[Callable[[], Any]] = [
            lambda: L.Dense(5, activation=draw.choice([None, "relu", "hard_sigmoid"]), name=self.name("dense"), trainable=trained),
            lambda: L.Dense(5, use_bias=False, name=self.name("dense")),
            lambda: L.BatchNormalization(name=self.name("norm"), trainable=trained),
            lambda: L.LayerNormalization(name=self.name("layer")),
            lambda: L.Activation(draw.choice(["tanh", "hard_sigmoid", "relu"]), name=self.name("act")),
            lambda: L.PReLU(name=self.name("prelu")),
            lambda: L.Dropout(0.2, name=self.name("drop")),
        ]
        if self.depth < 3:
            kinds += [self.nested, self.row, self.nested]
        made = draw.choice(kinds)()
        self.made.append(made)
        return made

    def nested(self) -> Any:
        """A Functional in the place of a layer."""
        inner = Growth(self.K, self.draw, self.depth + 1)
        entry = self.K.Input((5,), name=self.name("in"))
        model = self.K.Model(entry, inner.grown([entry], self.draw.randint(1, 4))[-1], name=self.name("model"))
        return frozen(model) if self.draw.random() < 0.15 else model

    def row(self) -> Any:
        """A Sequential in the place of a layer, which may not know its input."""
        inner = Growth(self.K, self.draw, self.depth + 1)
        layers: list[Any] = [self.K.Input((5,))] if self.draw.random() < 0.5 else []
        for _ in range(self.draw.randint(1, 3)):
            found = inner.layer()
            if found not in layers:
                layers.append(found)
        model = self.K.Sequential(layers, name=self.name("row"))
        return frozen(model) if self.draw.random() < 0.15 else model

    def grown(self, tensors: list[Any], count: int) -> list[Any]:
        """Call layers on tensors, until there are so many calls."""
        L, draw = self.K.layers, self.draw
        found = list(tensors)
        for _ in range(count):
            if len(found) > 1 and draw.random() < 0.25:
                kind = draw.choice(["Add", "Multiply", "Average", "Maximum", "Subtract"])
                found.append(getattr(L, kind)(name=self.name("merge"))(draw.sample(found, 2)))
                continue
            given = found[-1] if draw.random() < 0.7 else draw.choice(found)
            layer = self.layer()
            calls = {"training": False} if draw.random() < 0.1 else {}
            found.append(layer(given, **calls))
        return found


def random_graph(K: Framework, seed: str, inputs: int = 1) -> Any:
    """A model of random layers."""
    draw = random.Random(seed)
    growth = Growth(K, draw)
    entries = [K.Input((5,), name=draw.choice([None, f"in_{number}", f"in{slash(K)}{number}"])) for number in range(inputs)]
    found = growth.grown(list(entries), draw.randint(3, 9))
    outputs = [found[-1], *draw.sample(found[inputs:], min(len(found) - inputs, draw.randint(0, 2)))]
    if len(entries) > 1:
        outputs[0] = K.layers.Concatenate()([*entries, outputs[0]])
    form = draw.choice(["list", "dict", "single"])
    many = [tensor for number, tensor in enumerate(outputs) if all(tensor is not other for other in outputs[:number])]
    ends: Any = (
        many[0] if form == "single" else {f"out_{chr(97 + number)}": item for number, item in enumerate(many)} if form == "dict" else many
    )
    return K.Model(entries if len(entries) > 1 else entries[0], ends, name=draw.choice(["model", "a_model", None]))


LOSSES = (
    "mse mae mape msle binary_crossentropy categorical_crossentropy hinge squared_hinge kld poisson cosine_similarity log_cosh huber MSE"
)


NAMES = "accuracy acc mse mae AUC binary_accuracy categorical_accuracy cosine_similarity top_k_categorical_accuracy MeanSquaredError"


def compiled(K: Framework, model: Any, draw: random.Random) -> Any:
    """A model that is compiled with something and has been trained for a step."""
    S, M = K.losses, K.metrics
    made_by = K.optimizers
    schedules = made_by.schedules
    rates = [
        0.01,
        schedules.ExponentialDecay(0.1, 10, 0.9),
        schedules.CosineDecay(0.1, 10),
        schedules.PiecewiseConstantDecay([3], [0.1, 0.01]),
        schedules.PolynomialDecay(0.1, 10),
        schedules.InverseTimeDecay(0.1, 10, 0.5),
        schedules.CosineDecayRestarts(0.1, 10),
    ]
    kinds = [
        made_by.Adam,
        made_by.SGD,
        made_by.RMSprop,
        made_by.Adagrad,
        made_by.Adadelta,
        made_by.Adamax,
        made_by.Nadam,
        made_by.Ftrl,
        made_by.AdamW,
        made_by.Lion,
        made_by.Adafactor,
    ]
    if K.__name__ == "keras":
        kinds += [made_by.Lamb, made_by.Muon, *kinds]
    else:
        kinds += [getattr(made_by.legacy, name) for name in ("Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl")]
    kind = draw.choice(kinds)
    more: dict[str, Any] = {}
    if "legacy" not in kind.__module__:
        more |= {key: value for key, value in (("clipnorm", 1.0), ("use_ema", True), ("weight_decay", 0.01)) if draw.random() < 0.2}
    if kind.__name__ == "SGD" and draw.random() < 0.5:
        more["momentum"] = 0.9
    if kind.__name__ in ("Adam", "AdamW") and draw.random() < 0.3:
        more["amsgrad"] = True
    if kind.__name__ == "RMSprop" and draw.random() < 0.5:
        more |= {"centered": True, "momentum": 0.5}
    try:
        optimizer = kind(draw.choice(rates), **more)
    except ValueError:  # some take no schedule
        optimizer = kind(0.01)
    if draw.random() < 0.25:
        optimizer = draw.choice([kind.__name__.lower(), optimizer])
    objects = [S.MeanSquaredError(), S.Huber(0.5), S.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), S.CosineSimilarity(axis=-1)]
    objects += [S.BinaryFocalCrossentropy(), S.MeanAbsoluteError(reduction="sum"), S.LogCosh(), S.KLDivergence(), S.mean_squared_error]
    loss = draw.choice([*LOSSES.split(), *objects, S.categorical_crossentropy])
    names = NAMES.split()
    made = [
        M.AUC(num_thresholds=20),
        M.Precision(top_k=2),
        M.MeanAbsoluteError(name="m"),
        M.RootMeanSquaredError(),
        M.CategoricalAccuracy(),
    ]
    made += [M.mean_absolute_error, M.Recall(thresholds=[0.3, 0.5]), M.TopKCategoricalAccuracy(3), M.MeanIoU(2), M.F1Score(threshold=0.5)]
    made += [M.MeanMetricWrapper(M.mean_squared_error, name="w"), M.SensitivityAtSpecificity(0.5), M.R2Score(), M.LogCoshError()]
    metrics = draw.sample([*names, *made], draw.randint(0, 3))
    outputs, form = model.outputs, ends_of(model)
    weights = [0.3 + number for number in range(len(outputs))] if isinstance(form, list) and draw.random() < 0.3 else None
    if K.__name__ == "keras" and isinstance(form, list):  # Keras 3 takes a list for each output
        metrics = [metrics] * len(outputs)
        loss = [loss] * len(outputs)
    model.compile(optimizer, loss, metrics=metrics if not isinstance(form, dict) else None, loss_weights=weights, run_eagerly=True)
    if draw.random() < 0.8:
        model.train_on_batch(*batch_for(model))
    return model


def ends_of(model: Any) -> Any:
    """The outputs of a model, in the structure that it gives them in."""
    graph = getattr(model, "_functional", None) or model  # a Sequential of Keras 3 has one inside
    return graph._outputs_struct if hasattr(graph, "_outputs_struct") else model.output


def batch_for(model: Any) -> tuple[Any, Any]:
    """A batch that a model of vectors can be trained on."""
    import numpy as np

    given = [np.abs(np.random.default_rng(1).standard_normal((4, *tensor.shape[1:]))).astype("float32") for tensor in model.inputs]
    form = ends_of(model)
    targets: Any = {key: np.eye(4, int(item.shape[-1])) for key, item in form.items()} if isinstance(form, dict) else None
    if targets is None:
        targets = [np.eye(4, int(item.shape[-1])) for item in model.outputs]
        targets = targets if isinstance(form, list) or len(targets) > 1 else targets[0]
    return given if len(given) > 1 else given[0], targets


def forms(K: Framework, seed: int, size: int) -> Iterator[Whole]:
    """The models: graphs, and graphs that were compiled and trained."""
    for number in range(10 * size):
        count = number % 3 + 1 if number % 3 < 2 else 1
        label = f"graph {seed}/{number}"
        yield label, partial(random_graph, K, label, count), ["vector"] * count
    for number in range(10 * size):
        label = f"compiled {seed}/{number}"
        yield label, partial(_compiled_plain, K, label), ["vector"]
    yield from structures(K)


def _compiled_plain(K: Framework, label: str) -> Any:
    return compiled(K, _plain(K, label), random.Random(label))


def _plain(K: Framework, label: str) -> Any:
    draw = random.Random(label)
    L = K.layers
    entry = K.Input((5,), name="entry")
    x = L.BatchNormalization(name="norm")(L.Dense(5, activation=draw.choice(["relu", "hard_sigmoid"]), name=f"a{slash(K)}b")(entry))
    one = L.Dense(5, activation="sigmoid", name="one")(x)
    ends = draw.choice([one, [one, L.Dense(3, activation="softmax", name="two")(x)], {"p": one, "q": L.Dense(2, name="q")(x)}])
    return (
        K.Model(entry, ends)
        if draw.random() < 0.7
        else K.Sequential([K.Input((5,)), L.Dense(4, "relu"), L.BatchNormalization(), L.Dense(3)])
    )


def structures(K: Framework) -> Iterator[Whole]:
    """Models whose inputs and outputs are dictionaries, lists and nests of them; nested ones too."""
    L = K.layers

    def of_dict() -> Any:
        a, b = K.Input((5,), name="a"), K.Input((6, 4), name="b")
        return K.Model({"a": a, "b": b}, {"x": L.Dense(3)(a), "w": L.LSTM(2)(b)})

    yield "dict", of_dict, ["vector", "sequence"]

    def inner_dict() -> Any:
        a, b = K.Input((5,), name="a"), K.Input((5,), name="b")
        inner = K.Model({"p": a, "q": b}, {"u": L.Dense(3)(a), "v": L.Add()([a, b])}, name="inner")
        one, two = K.Input((5,)), K.Input((5,))
        found = inner({"p": one, "q": L.Dense(5)(two)})
        return K.Model([one, two], [found["v"], found["u"]])

    yield "nested dict", inner_dict, ["vector", "vector"]

    def inner_list() -> Any:
        a, b = K.Input((5,)), K.Input((5,))
        inner = K.Model([a, b], [L.Dense(3)(a), L.Multiply()([a, b])], name="inner")
        one, two = K.Input((5,)), K.Input((5,))
        first = inner([one, two])
        second = inner([first[1], one])
        return K.Model([one, two], [first[0], second[1], second[0]])

    yield "nested list twice", inner_list, ["vector", "vector"]

    yield from _ends(K)


def _ends(K: Framework) -> Iterator[Whole]:
    L = K.layers

    def of_list_of_one() -> Any:
        a = K.Input((5,))
        return K.Model([a], [L.Dense(3)(a)])

    yield "list of one", of_list_of_one, ["vector"]

    def passed_through() -> Any:
        a, b = K.Input((5,), name="a"), K.Input((6, 4), name="b")
        return K.Model([a, b], [b, L.Dense(2)(a), a])

    yield "input as output", passed_through, ["vector", "sequence"]

    def shared() -> Any:
        d = L.Dense(5, name="shared")
        inside = K.Input((5,))
        inner = K.Model(inside, d(d(inside)), name="inner")
        a = K.Input((5,))
        return K.Model(a, d(inner(d(a))))

    yield "shared with nested", shared, ["vector"]

    def siamese() -> Any:
        base = K.Sequential([L.Dense(4, activation="relu"), L.Dense(3)], name="base")
        a, b = K.Input((5,)), K.Input((5,))
        return K.Model([a, b], L.Dot(axes=1, normalize=True)([base(a), base(b)]))

    yield "siamese", siamese, ["vector", "vector"]

    def same_names() -> Any:
        def inner(name: str) -> Any:
            return K.Sequential([K.Input((5,), name="in"), L.Dense(5, name="d"), L.BatchNormalization(name="n")], name=name)

        a = K.Input((5,), name="in")
        return K.Model(a, L.Add(name="d")([inner("one")(a), inner("two")(a)]))

    yield "same names inside", same_names, ["vector"]

    def nested_outputs() -> Any:
        a = K.Input((5,))
        x = L.Dense(5)(a)
        return K.Model(a, {"first": [x, L.ReLU()(x)], "second": {"deep": L.Dense(2)(x)}})

    yield "nested outputs", nested_outputs, ["vector"]
    for policy in ("mixed_float16", "mixed_bfloat16", "float64"):

        def mixed(policy: str = policy) -> Any:
            K.mixed_precision.set_global_policy(policy)
            try:
                a = K.Input((5,))
                x = L.BatchNormalization()(L.Dense(4, activation="relu")(a))
                return K.Model(a, L.Dense(3, dtype="float32")(K.Sequential([L.Dense(4)])(x)))
            finally:
                K.mixed_precision.set_global_policy("float32")

        yield f"global {policy}", mixed, ["vector"]
