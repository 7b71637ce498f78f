"""Every built-in layer class of tf_keras, or of Keras 3, with many values of every argument: a zoo that grows with its size and its seed.

`table` says for each class what it is called on, the arguments that it needs, and values of all others. The cases of a
class are: as it is by default, each argument with one of its values, and some at random all together. What the framework itself
does not build or run (a value that another one excludes) is no case. `zoo_keras_3` holds what Keras 3 alone has.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmodel_tools.architecture.upgrade.objects import ACTIVATIONS
from tests.frameworks.zoo_keras_3 import FUNCTIONS, of_keras_3

Framework = Any
Arguments = Mapping[str, Sequence[Any]]

SHAPES: Mapping[str, tuple[int, ...]] = {
    "vector": (5,),
    "sequence": (6, 4),
    "sequence_1": (4, 6),
    "image": (7, 8, 4),
    "image_1": (4, 7, 8),
    "volume": (5, 6, 5, 2),
    "frames_1d": (3, 6, 4),
    "frames_2d": (3, 6, 5, 2),
    "frames_3d": (2, 4, 4, 4, 2),
    "integers": (6,),
    "strings": (1,),
    "mask": (6,),
}
DTYPES = {"integers": "int64", "strings": "string"}


@dataclass(frozen=True)
class Single:
    """One layer under test.

    Attributes:
        name: What it is called in reports.
        kind: Its class.
        given: What it is called on: keys of `SHAPES`.
        arguments: How it is made.
        calls: Keyword arguments of the call.
    """

    name: str
    kind: str
    given: tuple[str, ...]
    arguments: Mapping[str, Any]
    calls: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fresh:
    """A layer as an argument, made anew for each case."""

    kind: Any
    arguments: tuple[Any, ...] = ()


def slash(K: Framework) -> str:
    """A sign in names that other files or graphs take for another: Keras 3 takes no slash, and TensorFlow no space."""
    return " " if K.__name__ == "keras" else "/"


def activations(K: Framework) -> list[Any]:
    """Functions by name, as objects, and layers."""
    import tensorflow as tf

    A, L = K.activations, K.layers
    is_keras_3 = K.__name__ == "keras"
    names = ACTIVATIONS | FUNCTIONS if is_keras_3 else ACTIVATIONS
    known = [name for name in sorted(names) if hasattr(A, name)]
    objects = [A.hard_sigmoid, A.relu, A.gelu, A.softmax]
    if not is_keras_3:
        objects += [tf.nn.relu, tf.nn.softmax, tf.nn.silu, tf.nn.elu, tf.nn.sigmoid, tf.math.tanh]
    layers = [
        Fresh(L.LeakyReLU, (0.2,)),
        Fresh(L.ReLU, (1.5, 0.1, 0.2)),
        Fresh(L.ELU, (0.6,)),
        Fresh(L.Softmax),
        *([] if is_keras_3 else [Fresh(L.ThresholdedReLU, (0.3,))]),
        Fresh(L.PReLU),
        Fresh(L.Activation, ("hard_sigmoid",)),
        Fresh(L.Activation, ("tanh",)),
    ]
    return [*known, *objects, *layers]


def _around(K: Framework, *roles: str) -> dict[str, list[Any]]:
    """Values of the initializers, regularizers and constraints of some weights."""
    made, R, C = K.initializers, K.regularizers, K.constraints
    first = [
        "zeros",
        "he_uniform",
        "lecun_normal",
        "random_normal",
        made.HeNormal(seed=1),
        made.Constant(0.3),
        made.VarianceScaling(2.0, "fan_out", "uniform", seed=2),
        made.RandomUniform(-1, 1, seed=3),
        made.TruncatedNormal(stddev=0.3),
        made.GlorotNormal(),
        made.LecunUniform(5),
        made.Ones(),
    ]
    second = ["l1", "l2", "l1_l2", R.L1(0.1), R.L2(0.2), R.L1L2(0.1, 0.2)]
    third = [
        "non_neg",
        "unit_norm",
        "max_norm",
        C.MaxNorm(1.5, axis=0),
        C.MinMaxNorm(0.1, 2.0, 0.5, axis=0),
        C.UnitNorm(axis=0),
        C.NonNeg(),
    ]
    found: dict[str, list[Any]] = {}
    for role in roles:
        matrix = [made.Orthogonal(0.7, seed=1), "orthogonal"] if role not in ("bias", "beta", "gamma", "moving_mean") else []
        found |= {f"{role}_initializer": first + matrix, f"{role}_regularizer": second, f"{role}_constraint": third}
    return found


def table(K: Framework) -> dict[str, tuple[str, dict[str, Any], Arguments]]:
    """For each class: what it is called on, the arguments that it needs, values of the others."""
    A = activations(K)
    no = [False]
    both = [True, False]
    linear: dict[str, Any] = {"activation": A, "use_bias": no, "activity_regularizer": ["l2", K.regularizers.L1(0.1)]}
    first: dict[str, Any] = {"data_format": ["channels_first", "channels_last"]}

    def conv(rank: int, **more: Sequence[Any]) -> Arguments:
        pads = ["same", "valid", *(["causal"] if rank == 1 else [])]
        return {
            "padding": pads,
            "strides": [2, (2,) * rank, *([(1, 2), (2, 1)] if rank == 2 else [])],
            "dilation_rate": [2, (2,) * rank],
            **first,
            **linear,
            **_around(K, "bias"),
            **more,
        }

    def kernels(rank: int) -> list[Any]:
        forms: dict[int, list[Any]] = {1: [(2,)], 2: [(2, 3), (1, 2), [3, 2]], 3: [(1, 2, 3)]}
        return [1, 3, *forms[rank]]

    plain = _around(K, "kernel")
    recurrent: dict[str, Any] = {
        "activation": A,
        "recurrent_activation": A,
        "use_bias": no,
        "unit_forget_bias": no,
        "dropout": [0.2],
        "recurrent_dropout": [0.3],
        **_around(K, "kernel", "recurrent", "bias"),
    }
    sequence: dict[str, Any] = {
        "return_sequences": [True],
        "return_state": [True],
        "go_backwards": [True],
        "stateful": [True],
        "unroll": [True],
        "time_major": [True],
        "activity_regularizer": ["l2"],
    }
    scaled: dict[str, Any] = {"center": no, "scale": no, "epsilon": [1e-2], **_around(K, "beta", "gamma")}
    norm: dict[str, Any] = {
        "axis": [1, -2, [-1]],
        "momentum": [0.5],
        "moving_mean_initializer": ["ones"],
        "moving_variance_initializer": ["ones", K.initializers.Constant(2.0)],
        **scaled,
    }
    seed: dict[str, Any] = {"seed": [3]}
    fill: dict[str, Any] = {
        "fill_mode": ["constant", "reflect", "wrap", "nearest"],
        "fill_value": [0.5],
        "interpolation": ["nearest", "bilinear"],
    }
    counted: dict[str, Any] = {"output_mode": ["int", "one_hot", "multi_hot", "count"]}
    looked: dict[str, Any] = {
        "num_oov_indices": [0, 2],
        "output_mode": ["int", "one_hot", "multi_hot", "count", "tf_idf"],
        "pad_to_max_tokens": [True],
        "max_tokens": [9],
        "invert": [True],
        "idf_weights": [[0.5, 0.25, 0.75]],
    }
    found: dict[str, tuple[str, dict[str, Any], Arguments]] = {
        "Dense": ("vector", {"units": 3}, {"units": [1, 7], **linear, **plain, **_around(K, "bias")}),
        "Activation": ("sequence", {"activation": "relu"}, {"activation": A}),
        "ActivityRegularization": ("vector", {}, {"l1": [0.1], "l2": [0.2]}),
        "EinsumDense": (
            "sequence",
            {"equation": "abc,cd->abd", "output_shape": (None, 3)},
            {"bias_axes": ["d", "bd"], "output_shape": [(6, 3)], "activation": A, **plain, **_around(K, "bias")},
        ),
        "Embedding": (
            "integers",
            {"input_dim": 9, "output_dim": 3},
            {"mask_zero": [True], "input_length": [6], "sparse": [True], "activity_regularizer": ["l2"], **_around(K, "embeddings")},
        ),
        "PReLU": ("image", {}, {"shared_axes": [[1], [1, 2], [3], 2], **_around(K, "alpha")}),
        "LeakyReLU": ("vector", {}, {"alpha": [0, 0.1, 1]}),
        "ELU": ("vector", {}, {"alpha": [0.5, 2]}),
        "ReLU": ("vector", {}, {"max_value": [0.7, 6], "negative_slope": [0.1], "threshold": [0.5, 1]}),
        "ThresholdedReLU": ("vector", {}, {"theta": [0, 0.5, 2]}),
        "Softmax": ("sequence", {}, {"axis": [1, 2, [1, 2], -2], "robust_masking": [True]}),
        "Dropout": ("sequence", {"rate": 0.3}, {"noise_shape": [(None, 1, 4), [None, 6, 1]], "rate": [0, 0.9], **seed}),
        "AlphaDropout": ("sequence", {"rate": 0.3}, {"noise_shape": [(4, 1, 4)], **seed}),
        "GaussianDropout": ("vector", {"rate": 0.3}, seed),
        "GaussianNoise": ("vector", {"stddev": 0.3}, seed),
        "SpatialDropout1D": ("sequence", {"rate": 0.3}, seed),
        "SpatialDropout2D": ("image", {"rate": 0.3}, {**first, **seed}),
        "SpatialDropout3D": ("volume", {"rate": 0.3}, {**first, **seed}),
        "Identity": ("image", {}, {}),
        "Masking": ("sequence", {}, {"mask_value": [1, -0.5]}),
        "Flatten": ("image", {}, first),
        "Permute": ("image", {"dims": (2, 1, 3)}, {"dims": [(3, 1, 2), [1, 3, 2]]}),
        "Reshape": ("image", {"target_shape": (-1, 2)}, {"target_shape": [[16, -1], (14, 16), (-1,)]}),
        "RepeatVector": ("vector", {"n": 3}, {"n": [1]}),
        "UnitNormalization": ("sequence", {}, {"axis": [1, (1, 2), -2]}),
        "LayerNormalization": ("image", {}, {"axis": [1, -2, (1, 2), [2, 3], [3, 1]], **scaled}),
        "GroupNormalization": ("image", {"groups": 2}, {"axis": [3, 2], "groups": [1, 4, -1], **scaled}),
        "BatchNormalization": ("image", {}, {"synchronized": [True], "renorm": [], **norm}),
        "experimental.SyncBatchNormalization": ("image", {}, norm),
        "Normalization": (
            "sequence",
            {"mean": 0.5, "variance": 2.0},
            {"mean": [[0.1, 0.2, 0.3, 0.4]], "variance": [[1.0, 2.0, 3.0, 4.0]], "axis": [None], "invert": [True]},
        ),
        "Rescaling": ("image", {"scale": 0.5}, {"scale": [2, [0.1, 0.2, 0.3, 0.4]], "offset": [1, -0.5, [1.0, 2.0, 3.0, 4.0]]}),
        "Resizing": (
            "image",
            {"height": 5, "width": 9},
            {
                "interpolation": ["nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"],
                "crop_to_aspect_ratio": [True],
                "height": [3, 14],
            },
        ),
        "CenterCrop": ("image", {"height": 4, "width": 5}, {"height": [9, 7], "width": [3, 11]}),
        "RandomCrop": ("image", {"height": 4, "width": 5}, {"height": [9, 7], "width": [3, 11], **seed}),
        "RandomFlip": ("image", {}, {"mode": ["horizontal", "vertical"], **seed}),
        "RandomTranslation": ("image", {"height_factor": 0.1, "width_factor": 0.2}, {"height_factor": [(-0.2, 0.3)], **fill, **seed}),
        "RandomRotation": ("image", {"factor": 0.1}, {"factor": [(-0.2, 0.3)], **fill, **seed}),
        "RandomZoom": (
            "image",
            {"height_factor": 0.1},
            {"height_factor": [(-0.2, 0.3)], "width_factor": [0.2, (0.1, 0.2)], **fill, **seed},
        ),
        "RandomContrast": ("image", {"factor": 0.1}, {"factor": [(0.2, 0.3)], **seed}),
        "RandomBrightness": ("image", {"factor": 0.1}, {"factor": [(-0.2, 0.3)], "value_range": [(0, 1), [0.0, 1.0]], **seed}),
        "RandomHeight": ("image", {"factor": 0.1}, {"factor": [(-0.2, 0.3)], "interpolation": ["nearest"], **seed}),
        "RandomWidth": ("image", {"factor": 0.1}, {"factor": [(-0.2, 0.3)], "interpolation": ["nearest"], **seed}),
        "experimental.RandomFourierFeatures": (
            "vector",
            {"output_dim": 6},
            {"kernel_initializer": ["laplacian", K.initializers.RandomNormal(seed=1)], "scale": [2.0, 0.3], "trainable": [True]},
        ),
        "SimpleRNN": ("sequence", {"units": 3}, {**recurrent, **sequence}),
        "LSTM": ("sequence", {"units": 3}, {**recurrent, **sequence, "implementation": [1, 2]}),
        "GRU": ("sequence", {"units": 3}, {**recurrent, **sequence, "implementation": [1, 2], "reset_after": both}),
        "UpSampling1D": ("sequence", {}, {"size": [3]}),
        "UpSampling2D": (
            "image",
            {},
            {
                "size": [3, (1, 2), [2, 3]],
                "interpolation": ["nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"],
                **first,
            },
        ),
        "UpSampling3D": ("volume", {}, {"size": [3, (1, 2, 3)], **first}),
        "ZeroPadding1D": ("sequence", {}, {"padding": [2, (1, 0), [0, 3]]}),
        "ZeroPadding2D": ("image", {}, {"padding": [2, (1, 0), ((1, 2), (0, 3))], **first}),
        "ZeroPadding3D": ("volume", {}, {"padding": [2, (1, 0, 2), ((1, 2), (0, 3), (1, 1))], **first}),
        "Cropping1D": ("sequence", {}, {"cropping": [2, (1, 0), [0, 3]]}),
        "Cropping2D": ("image", {}, {"cropping": [1, (1, 0), ((1, 2), (0, 3))], **first}),
        "Cropping3D": ("volume", {"cropping": 1}, {"cropping": [(1, 0, 2), ((1, 2), (0, 3), (1, 1))], **first}),
        "MultiHeadAttention": (
            "sequence sequence",
            {"num_heads": 2, "key_dim": 3},
            {
                "value_dim": [2],
                "dropout": [0.2],
                "use_bias": no,
                "output_shape": [5, (2, 3)],
                "attention_axes": [1, [1]],
                "softmax_robust_masking": [True],
                **plain,
                **_around(K, "bias"),
            },
        ),
        "Attention": ("[sequence sequence]", {}, {"use_scale": [True], "score_mode": ["concat", "dot"], "dropout": [0.2]}),
        "AdditiveAttention": ("[sequence sequence]", {}, {"use_scale": no, "dropout": [0.2]}),
        "Dot": ("[sequence sequence]", {"axes": 1}, {"axes": [2, (1, 1), [2, 2], -1], "normalize": [True]}),
        "Concatenate": ("[image image image]", {}, {"axis": [1, 2, -2, 3]}),
        "CategoryEncoding": ("integers", {"num_tokens": 9}, {"output_mode": ["count", "multi_hot"], "sparse": []}),
        "Discretization": ("vector", {"bin_boundaries": [-0.5, 0.0, 0.7]}, {"epsilon": [0.1], **counted}),
        "Hashing": ("strings", {"num_bins": 7}, {"mask_value": ["a"], "salt": [3, [5, 6]], **counted}),
        "HashedCrossing": ("(strings strings)", {"num_bins": 7}, {"output_mode": ["int", "one_hot"]}),
        "StringLookup": (
            "strings",
            {"vocabulary": ["a", "b", "c"]},
            {"mask_token": [""], "oov_token": ["?"], "encoding": ["latin-1"], **looked},
        ),
        "IntegerLookup": (
            "integers",
            {"vocabulary": [1, 3, 5]},
            {"mask_token": [0, 7], "oov_token": [-2], "vocabulary_dtype": ["int32"], **looked},
        ),
        "TextVectorization": (
            "strings",
            {"vocabulary": ["a", "b", "c d", "c"]},
            {
                "standardize": [None, "lower", "strip_punctuation", "lower_and_strip_punctuation"],
                "split": [None, "character", "whitespace"],
                "ngrams": [2, (1, 3)],
                "output_mode": ["int", "multi_hot", "count", "tf_idf"],
                "output_sequence_length": [3, 9],
                "pad_to_max_tokens": [True],
                "max_tokens": [9],
                "idf_weights": [[0.5, 0.25, 0.75, 0.1]],
                "encoding": ["latin-1"],
            },
        ),
    }
    for rank, given, frames in ((1, "sequence", "frames_1d"), (2, "image", "frames_2d"), (3, "volume", "frames_3d")):
        size: dict[str, Any] = {"kernel_size": kernels(rank)}
        base = {"filters": 4, "kernel_size": 2}
        found[f"Conv{rank}D"] = (given, base, conv(rank, groups=[2], **size, **plain))
        found[f"Conv{rank}DTranspose"] = (given, base, conv(rank, output_padding=[0, (1,) * rank, 1], **size, **plain))
        found[f"ConvLSTM{rank}D"] = (
            frames,
            base,
            {**conv(rank, **size), **recurrent, **{key: sequence[key] for key in sequence if key not in ("time_major", "unroll")}},
        )
        ends: dict[str, Any] = {"pool_size": [3, (2,) * rank], "strides": [1, 3, (2,) * rank], "padding": ["same"], **first}
        for kind in ("Max", "Average"):
            found[f"{kind}Pooling{rank}D"] = (given, {}, ends)
            found[f"Global{kind}Pooling{rank}D"] = (given, {}, {"keepdims": [True], **first})
        if rank == 3:
            continue
        found[f"DepthwiseConv{rank}D"] = (
            given,
            {"kernel_size": 2},
            conv(rank, depth_multiplier=[2, 3], **size, **_around(K, "depthwise")),
        )
        found[f"SeparableConv{rank}D"] = (
            given,
            base,
            conv(rank, depth_multiplier=[2, 3], **size, **_around(K, "depthwise", "pointwise")),
        )
        local = {key: value for key, value in conv(rank, **size, **plain).items() if key != "dilation_rate"}
        found[f"LocallyConnected{rank}D"] = (given, base, {**local, "implementation": [1, 2, 3]})
    for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply"):
        found[kind] = ("[sequence sequence sequence]", {}, {})
    found["Subtract"] = ("[sequence sequence]", {}, {})
    return of_keras_3(K, found) if K.__name__ == "keras" else found


COMMON: Mapping[str, Sequence[Any]] = {
    "trainable": [False],
    "dtype": ["mixed_float16", "mixed_bfloat16", "float64", "float16"],
}


def singles(K: Framework, seed: int, size: int = 2, only: Sequence[str] = (), together: bool = False) -> Iterator[Single]:
    """The cases of every class, or of some: each argument by itself with `size` of its values (unless only together), and as often some."""
    for kind, (given, needed, varied) in table(K).items():
        if only and kind not in only:
            continue
        draw = random.Random(f"{seed} {kind}")
        inputs = tuple(given.strip("[]()").split())
        own = {**varied, **COMMON}
        sets: list[dict[str, Any]] = [{}]
        for key, values in own.items() if not together else ():
            if key.endswith(("_initializer", "_regularizer", "_constraint")) and draw.random() < 0.5 and size < 4:
                continue
            sets += [{key: value} for value in draw.sample(list(values), min(len(values), max(1, size)))]
        for _ in range(size):
            some = [key for key, values in own.items() if values and draw.random() < min(0.35, 5 / len(own))]
            sets.append({key: draw.choice(list(own[key])) for key in some})
        for number, chosen in enumerate(sets):
            label = ",".join(f"{key}={_shown(value)}" for key, value in chosen.items())
            yield Single(
                f"{kind}#{number}({label})", kind, ("[" + given.strip("[]()") + "]",) if given[0] in "[(" else inputs, {**needed, **chosen}
            )


def _shown(value: Any) -> str:
    value = value.kind if isinstance(value, Fresh) else value
    name = getattr(value, "__name__", None)
    return str(name or (value if isinstance(value, (str, int, float, list, tuple)) or value is None else type(value).__name__))
