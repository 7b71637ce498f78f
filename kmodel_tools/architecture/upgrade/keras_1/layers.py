"""Classes of Keras 0.3 and 1 that Keras 2 calls otherwise, computes otherwise, or has not.

Sources: Keras 1.2.2 and 0.3.3 `layers/*.py`, `engine/topology.py` (`Merge`), `backend/theano_backend.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmodel_tools.architecture.layer_table import ALIASES
from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.keras_1.draft import Draft1

EXPRESSED = {"TimeDistributedDense": "Dense", "MaxoutDense": "Dense"}
"""Classes that Keras 2 has under another name because of what is done to their arguments and weights."""
NAMED_TWICE = {
    "Conv1D": "Convolution1D",
    "Conv2D": "Convolution2D",
    "Conv3D": "Convolution3D",
    "AtrousConv1D": "AtrousConvolution1D",
    "AtrousConv2D": "AtrousConvolution2D",
    "Deconv2D": "Deconvolution2D",
    "SeparableConv2D": "SeparableConvolution2D",
}
"""Names that Keras 1 has twice."""
MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot", "cos": "Dot"}
CONVOLUTIONS = ("Convolution1D", "Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D")
POOLINGS = tuple(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3))
WITHOUT_EQUIVALENT = {
    "SReLU": "is a function that no layer of Keras 2 computes",
    "ParametricSoftplus": "is a function that no layer of Keras 2 computes",
    "AutoEncoder": "is a pair of models, of which Keras 0.3 alone knows which one runs",
    "Siamese": "calls one layer on several inputs in a way of Keras 0.3",
    "SiameseHead": "calls one layer on several inputs in a way of Keras 0.3",
    "LambdaMerge": "holds Python code",
    "TimeDistributedMerge": "merges steps in a way that no layer of Keras 2 does",
}


def refuse_what_has_no_equivalent(draft: Draft1) -> None:
    """Cures `Unknown layer: SReLU`, by saying why."""
    if (why := WITHOUT_EQUIVALENT.get(draft.class_name)) is not None:
        raise draft.refuse(why)


def normalize_by_statistics(draft: Draft1) -> None:
    """Cures ``` The `mode` argument of `BatchNormalization` no longer exists```: mode 0 is what stayed."""
    if draft.class_name == "BatchNormalization" and draft.config.pop("mode", 0) != 0:
        raise draft.refuse("normalizes each sample, or by the batch even in use (mode 1, 2), which no layer of Keras 2 does")


def forget_dropout_of_words(draft: Draft1) -> None:
    """Cures `Keyword argument not understood: dropout`; it concerns training alone."""
    if draft.class_name == "Embedding" and draft.config.pop("dropout", 0.0):
        draft.say("Keras 2 has no dropout of words; training goes without it in")


def transpose_to_said_shape(draft: Draft1) -> None:
    """The size that a Deconvolution2D is told, in terms of what Keras 2 works out.

    Cures `Keyword argument not understood: output_shape`, and outputs of another size or, of Theano, at another place.
    """
    if draft.class_name != "Deconvolution2D":
        return
    config = draft.config
    told = list(config.pop("output_shape", None) or ())
    first = config.get("data_format") == "channels_first"
    sizes = told[2:4] if first else told[1:3]
    kernel, strides = _each(config.get("kernel_size"), 2), _each(config.get("strides", 1), 2)
    if len(sizes) < 2 or not all(sizes):
        return
    same = config.get("padding") == "same"
    rows = [_transposed(*item, same) for item in zip(sizes, kernel, strides, strict=True)]
    if same and draft.is_by_theano():
        _crop_as_theano(draft, [(size // 2, whole - size // 2 - out) for (whole, _), size, out in zip(rows, kernel, sizes, strict=True)])
    elif any(out != usual for (_, usual), out in zip(rows, sizes, strict=True)):
        half = [size // 2 if same else 0 for size in kernel]
        config["output_padding"] = [out - whole + 2 * pad for (whole, _), pad, out in zip(rows, half, sizes, strict=True)]
        if any(not 0 <= pad < step for pad, step in zip(config["output_padding"], strides, strict=True)):
            raise draft.refuse(f"makes an output of {sizes}, which Keras 2 cannot be told")


def _transposed(out: int, size: int, step: int, same: bool) -> tuple[int, int]:
    """How far a transposed convolution reaches that is told to make `out`, and what Keras 2 makes of it untold."""
    count = -(-out // step) if same else -(-(out - size + 1) // step)
    return (count - 1) * step + size, count * step + (0 if same else max(size - step, 0))


def _crop_as_theano(draft: Draft1, crops: Sequence[tuple[int, int]]) -> None:
    """Theano cuts half of the kernel off the start, whatever the stride."""
    if all(before == after for before, after in crops) and _each(draft.config.get("strides", 1), 2) == [1, 1]:
        return
    if any(after < 0 for _, after in crops):
        raise draft.refuse("makes an output that is larger than what its kernel reaches, as Theano alone does")
    draft.config["padding"] = "valid"
    config = {"name": f"{draft.name}_crop", "cropping": [list(crop) for crop in crops], "data_format": draft.config.get("data_format")}
    draft.after.append({"class_name": "Cropping2D", "config": config})
    draft.say("Theano pads on another side than TensorFlow; a layer that crops was put behind")


def pad_as_theano(draft: Draft1) -> None:
    """Pad beforehand, where Theano does it on another side: `same` with even kernels or strides, and `full`.

    Theano's `same` puts half of the kernel before the first element, whatever the stride; TensorFlow distributes what the
    stride leaves. Cures other predictions without a word.
    """
    if draft.class_name not in CONVOLUTIONS or draft.config.get("padding") not in ("same", "full"):
        return
    rank = int(draft.class_name[-2])
    sizes = _each(draft.config.get("kernel_size"), rank)
    strides = _each(draft.config.get("strides", 1), rank)
    rates = _each(draft.config.get("dilation_rate", 1), rank)
    reach = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    full = draft.config["padding"] == "full"
    if not full and (not draft.is_by_theano() or all(size % 2 and step == 1 for size, step in zip(reach, strides, strict=True))):
        return
    pads = [[size - 1, size - 1] if full else [size // 2, (size - 1) // 2] for size in reach]
    config: Json = {"name": f"{draft.name}_pad", "padding": pads[0] if rank == 1 else pads}
    if rank > 1:
        config["data_format"] = draft.config.get("data_format", "channels_last")
    draft.before.append({"class_name": f"ZeroPadding{rank}D", "config": config})
    draft.config["padding"] = "valid"
    draft.say("Theano pads on another side than TensorFlow; a layer of zeros was put before")


def refuse_pooling_as_theano(draft: Draft1) -> None:
    """Theano's `same` pooling starts at another element, unless windows are of 3 (or 1) and move by 1."""
    may_be_theano = draft.source.is_theano or not draft.source.is_told
    if draft.class_name not in POOLINGS or not may_be_theano or draft.config.get("padding") != "same":
        return
    rank = int(draft.class_name[-2])
    sizes = _each(draft.config.get("pool_size", 2), rank)
    strides = _each(draft.config.get("strides") or sizes, rank)
    if any((size, step) not in ((3, 1), (1, 1)) for size, step in zip(sizes, strides, strict=True)):
        if not draft.source.is_told:
            raise draft.refuse("pools (`same`) from where its backend starts, Theano or TensorFlow, and nothing says which it was")
        raise draft.refuse("pools as Theano pads (`same`), which starts at another element than TensorFlow's")


def refuse_states_as_theano(draft: Draft1) -> None:
    """ConvLSTM2D pads its states inside, where nothing can be put before it."""
    if draft.class_name != "ConvLSTM2D" or not draft.is_by_theano():
        return
    sizes, strides = _each(draft.config.get("kernel_size"), 2), _each(draft.config.get("strides", 1), 2)
    if any(size % 2 == 0 for size in sizes) or (draft.config.get("padding") == "same" and strides != [1, 1]):
        raise draft.refuse("pads its states as Theano does (even kernels, or `same` with strides), on another side than TensorFlow")


def spell_merge(draft: Draft1) -> None:
    """Cures `Unknown layer: Merge`: a layer for each way to merge."""
    if draft.class_name != "Merge":
        return
    config, mode = draft.config, draft.config.get("mode")
    if config.get("mode_type", "raw") != "raw":
        _merge_by_code(draft)
        return
    if mode not in MERGES:
        raise draft.refuse(f"merges by {mode!r}")
    draft.class_name = MERGES[str(mode)]
    draft.config = {key: config[key] for key in ("name", "trainable") if key in config}
    if mode == "concat":
        draft.config["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        draft.config |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
    if mode == "cos":  # it has a dimension more
        draft.after.append({"class_name": "Reshape", "config": {"name": f"{draft.name}_reshape", "target_shape": [1, 1]}})


def _merge_by_code(draft: Draft1) -> None:
    config = draft.config
    draft.class_name = "Lambda"
    draft.config = {
        "name": config.get("name"),
        "function": config.get("mode"),
        "function_type": config.get("mode_type"),
        "output_shape": config.get("output_shape"),
        "output_shape_type": config.get("output_shape_type", "raw"),
        "arguments": config.get("arguments") or {},
    }


def expand_maxout(draft: Draft1) -> None:
    """The largest of several Dense layers: a wide one, whose outputs are pooled. Cures `Unknown layer: MaxoutDense`."""
    if draft.class_name != "MaxoutDense":
        return
    count, units = draft.config.pop("nb_feature"), draft.config["units"]
    draft.config["units"] = count * units
    name = draft.name
    draft.after += [
        {"class_name": "Reshape", "config": {"name": f"{name}_parts", "target_shape": [count, units]}},
        {"class_name": "MaxPooling1D", "config": {"name": f"{name}_max", "pool_size": count, "strides": count, "padding": "valid"}},
        {"class_name": "Reshape", "config": {"name": f"{name}_out", "target_shape": [units]}},
    ]
    draft.say("Keras 2 has no MaxoutDense; a Dense and a MaxPooling1D do the same in")


def expand_highway(draft: Draft1) -> None:
    """A gate between a Dense and what came in, as a model of its own: x + t · (h - x). Cures `Unknown layer: Highway`."""
    if draft.class_name != "Highway":
        return
    config, bias = draft.config, bool(draft.config.get("use_bias", True))
    draft.number(("W", "b", "W_carry", "b_carry"))  # Keras 0.3 has no Highway without bias
    shape = draft.shape("W")
    size = shape[0] if shape else (config.get("batch_input_shape") or [None])[-1]
    if not size:
        raise draft.refuse("has an equivalent whose size the weights say; none are at hand")
    shared = {"units": size, "use_bias": bias, "trainable": config.get("trainable", True)}
    kept = {key: value for key, value in config.items() if key.startswith(("kernel_", "bias_"))}
    start = config.pop("batch_input_shape", None)
    gate: Json = {"name": "transform", "activation": "sigmoid", **shared}
    other: Json = {"name": "candidate", "activation": config.get("activation", "linear"), **shared, **kept}
    layers = [
        _node("InputLayer", {"name": "x", "batch_input_shape": start or [None, size], "dtype": "float32", "sparse": False}),
        _node("Dense", gate, "x"),
        _node("Dense", other, "x"),
        _node("Subtract", {"name": "difference"}, "candidate", "x"),
        _node("Multiply", {"name": "part"}, "transform", "difference"),
        _node("Add", {"name": "sum"}, "x", "part"),
    ]
    for role, suffix in (("kernel", "W"), ("bias", "b"))[: 2 if bias else 1]:
        draft.make(role, [draft.piece(suffix)], attr="candidate", why="Keras 2 has no Highway")
        draft.make(role, [draft.piece(f"{suffix}_carry")], attr="transform", why="Keras 2 has no Highway")
    draft.class_name = "Model"
    draft.config = {"name": draft.name, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}
    draft.say("Keras 2 has no Highway; a model of two Dense layers does the same in")


def rename_class(draft: Draft1) -> None:
    """Cures `Unknown layer: Convolution2D` and its like."""
    draft.class_name = EXPRESSED.get(draft.class_name) or ALIASES.get(draft.class_name, draft.class_name)


def _node(kind: str, config: Json, *inputs: str) -> Json:
    calls = [[[name, 0, 0] for name in inputs]] if inputs else []
    return {"name": config["name"], "class_name": kind, "config": config, "inbound_nodes": calls}


def _each(value: Any, rank: int) -> list[int]:
    items = list(value) if isinstance(value, Sequence) else [value]
    return [int(item) for item in items] if len(items) == rank else [int(items[0])] * rank


BEFORE_RENAMING = (refuse_what_has_no_equivalent, normalize_by_statistics, forget_dropout_of_words)
AFTER_RENAMING = (transpose_to_said_shape, pad_as_theano, refuse_pooling_as_theano, refuse_states_as_theano)
LAST = (expand_maxout, expand_highway, rename_class)
"""What is done to a layer, in this order: before and after its arguments get their new names, and when its weights are known."""
