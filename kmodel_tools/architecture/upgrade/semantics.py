"""What has another meaning in Keras 3, without a word: the old meaning, expressed in layers that Keras 3 has."""

from __future__ import annotations

from collections.abc import Mapping

from kmodel_tools.architecture.envelope import Era, settings_of
from kmodel_tools.architecture.layer_classes import variables_of
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.hard_sigmoid import CONV_RANKS, GATES, HARD_SIGMOID, TO_KERAS_3
from kmodel_tools.architecture.upgrade.locally_connected import locally_connected
from kmodel_tools.architecture.upgrade.objects import sizes
from kmodel_tools.architecture.weight_rules import Piece, Reshape, WeightRule


def old_defaults(draft: Draft) -> None:
    """A GRU that does not say `reset_after` is of Keras up to 2.1, which had no other than False; Keras 3 takes True.

    Cures `Layer 'gru_cell' expected 3 variables … Shape mismatch` (the bias has another shape).
    """
    if draft.is_a("GRU", "GRUCell"):
        draft.config.setdefault("reset_after", False)
    if draft.notes.era in (Era.KERAS_1, Era.KERAS_2) and draft.is_a("LSTM", "LSTMCell", "GRU", "GRUCell", *CONV_RANKS):
        draft.config.setdefault("recurrent_activation", HARD_SIGMOID)


def hard_sigmoid_of_weighted(draft: Draft) -> None:
    """Dense and convolutions with `hard_sigmoid`: the kernel and bias that lead to it are 1.2 times as large."""
    TO_KERAS_3.of_weighted(draft)


def hard_sigmoid_of_gates(draft: Draft) -> None:
    """Recurrent layers with `hard_sigmoid`: kernels and biases of the gates that it is for are 1.2 times as large.

    It is the default of Keras up to 2.2, of TensorFlow 1, and of ConvLSTM up to 2.15; passed through, outputs are off by some percent.

    Raises:
        UpgradeError: The function is applied to the state of an LSTM, which no factor expresses.
    """
    TO_KERAS_3.of_gates(draft)


def hard_sigmoid_alone(draft: Draft) -> None:
    """An Activation with `hard_sigmoid`: a list of two layers of the same name, the first of which multiplies by 1.2."""
    TO_KERAS_3.alone(draft)


def refuse_hard_sigmoid_elsewhere(draft: Draft) -> None:
    """Any other layer with the old `hard_sigmoid` (one with an activation of its own kind) has no rule."""
    TO_KERAS_3.refuse_elsewhere(draft)


def refuse_weights_of_gates(draft: Draft) -> None:
    """A recurrent layer whose activation is a layer with weights (PReLU): Keras 3 has not built it when it loads weights, and loads none.

    Source: Keras 3.15.1 `layers/rnn/rnn.py`, `build`, which builds the cell and not what the cell applies.

    Raises:
        UpgradeError: It is such a one.
    """
    kind = draft.class_name.removesuffix("Cell")
    for key in ("activation", "recurrent_activation") if kind in GATES or kind in CONV_RANKS else ():
        value = draft.config.get(key)
        inner = value.get("class_name") if isinstance(value, Mapping) else None
        if isinstance(value, Mapping) and isinstance(inner, str) and variables_of(inner, settings_of(value)):
            raise draft.refuse(f"applies a {inner}, whose weights no recurrent layer of Keras 3 loads")


def masks_of_each_step(draft: Draft) -> None:
    """TimeDistributed around an Embedding or a Masking: the mask of each step goes to no layer behind it in Keras 3.

    Source: tf_keras 2.21 and Keras 3.15.1 `layers/rnn/time_distributed.py`: `compute_mask` is in the first alone.
    """
    inner = draft.config.get("layer")
    if not draft.is_a("TimeDistributed") or not isinstance(inner, Mapping):
        return
    kind = inner.get("class_name")
    if kind == "Masking" or (kind == "Embedding" and settings_of(inner).get("mask_zero")):
        draft.say(f"the mask that its {kind} makes at each step is not passed on in Keras 3: layers behind it take every step")


def refuse_older_interpolation(draft: Draft) -> None:
    """UpSampling2D `bilinear` of Keras 2 itself takes its samples at corners of pixels, and tf.keras 2 and Keras 3 at their middle.

    Source: Keras 2.3.1 `backend/tensorflow_backend.py`, `resize_images`: TensorFlow's `resize_bilinear` of version 1.
    """
    if draft.notes.era is Era.KERAS_2 and draft.is_a("UpSampling2D") and draft.config.get("interpolation", "nearest") != "nearest":
        raise draft.refuse("interpolates between corners of pixels, and layers of Keras 3 do between their middles")


def refuse_normalized_embedding(draft: Draft) -> None:
    """SpectralNormalization around an Embedding: Keras 3 gives its vectors in the dtype of the numbers of words, which are whole.

    Source: Keras 3.15.1 `layers/normalization/spectral_normalization.py`, `call`: `ops.cast(output, inputs.dtype)`.
    """
    inner = draft.config.get("layer")
    if draft.is_a("SpectralNormalization") and isinstance(inner, Mapping) and inner.get("class_name") == "Embedding":
        raise draft.refuse("normalizes an Embedding, whose vectors Keras 3 rounds to whole numbers")


def crop_when_predicting(draft: Draft) -> None:
    """RandomCrop: cropped to the shape of the target and resized when it predicts, which Keras 3 leaves out.

    Cures `expected axis -1 of input shape to have value 80, but received input with shape (4, 196)`.
    """
    if draft.is_a("RandomCrop"):
        if draft.notes.version and draft.notes.version < (2, 8):
            raise draft.refuse("resizes images before it crops them when it predicts, as it did up to TensorFlow 2.7")
        size = {key: draft.config[key] for key in ("height", "width")}
        own = {"seed": draft.config.get("seed")}
        draft.become_a_row(("RandomCrop", {**size, **own}), ("Resizing", {**size, "crop_to_aspect_ratio": True}))
        draft.say("RandomCrop leaves images as they are when it predicts in Keras 3: they are cropped and resized after it, as they were")


def causal_padding(draft: Draft) -> None:
    """SeparableConv1D with causal padding: zeros put before the sequence, and none besides.

    Cures `Invalid value for argument padding` (Keras 3 has it for Conv1D alone).
    Source: tf_keras 2.21 `layers/convolutional/separable_conv1d.py`, `call`.
    """
    if not draft.is_a("SeparableConv1D") or draft.config.get("padding") != "causal":
        return
    (size,), (dilation,) = (sizes(draft.config.get(key) or 1, 1) for key in ("kernel_size", "dilation_rate"))
    before = {"padding": [dilation * (size - 1), 0], "data_format": draft.config.get("data_format")}
    own = {key: value for key, value in draft.config.items() if key not in ("name", "dtype", "trainable")} | {"padding": "valid"}
    roles = ["depthwise_kernel", "pointwise_kernel", *(["bias"] if own.get("use_bias", True) else [])]
    draft.become_a_row(("ZeroPadding1D", before), ("SeparableConv1D", own))
    draft.move_weights(2, roles, "it stands behind a layer that pads")
    draft.say("causal padding is Conv1D's alone in Keras 3: a ZeroPadding1D is put before")


def activation_with_weights(draft: Draft) -> None:
    """A layer whose activation is a layer with weights (PReLU): that one comes behind it, in a list of two.

    Cures `Layer 'p_re_lu' was never built and thus it doesn't have any variables` (Keras 3.15.1 works out shapes without calling
    what a layer applies, and loads weights before it is called).

    Raises:
        UpgradeError: It is a layer that is written as several already.
    """
    value = draft.config.get("activation")
    inner = value.get("class_name") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(inner, str) or not (applied := variables_of(inner, settings_of(value))):
        return
    several = draft.config.get("data_format") == "channels_first" or draft.config.get("padding") == "causal"
    if several or draft.class_name.startswith("Locally"):
        raise draft.refuse(f"applies a {inner}, which is not carried together with the way in which it is written")
    roles = [item.role for item in variables_of(draft.class_name, draft.config) or ()]
    own = {key: item for key, item in draft.config.items() if key not in ("name", "dtype", "trainable")} | {"activation": "linear"}
    behind = {key: item for key, item in settings_of(value).items() if key != "name"}
    draft.become_a_row((draft.class_name, own), (inner, behind))
    name, why = draft.config["name"], "what a layer applies stands behind it"
    draft.move_weights(1, roles, why, applied=False)
    for path in draft.paths:
        pieces = [(item.role, (Piece((*path, "activation"), item.role),)) for item in applied]
        draft.notes.rules += [WeightRule((*path, f"{name}_2"), role, piece, 0, why) for role, piece in pieces]
    draft.say("an activation with weights is a layer of its own behind it")


def axes_in_order(draft: Draft) -> None:
    """LayerNormalization over several axes, which Keras 3 sorts before it shapes the weights; both releases take these as flat.

    Cures `The shape of the target variable and the shape of the target value … must match`. Sources: tf_keras 2.21 and Keras 3.15.1
    `layers/normalization/layer_normalization.py`, `build` and `_broadcast`.
    """
    axes = draft.config.get("axis")
    if not draft.is_a("LayerNormalization") or not isinstance(axes, list) or axes == sorted(axes):
        return
    order = sorted(range(len(axes)), key=lambda place: axes[place])
    draft.config["axis"] = sorted(axes)
    for role in ("gamma", "beta"):
        shape = draft.shape(role)
        if shape is not None and len(shape) == len(axes):
            steps = (Reshape(tuple(shape[place] for place in order)),)
            draft.change_weight("", role, [{"steps": steps}], 0, "Keras 3 sorts the axes")


RULES = (
    old_defaults,
    axes_in_order,
    masks_of_each_step,
    refuse_weights_of_gates,
    activation_with_weights,
    refuse_older_interpolation,
    refuse_normalized_embedding,
    crop_when_predicting,
    hard_sigmoid_of_weighted,
    hard_sigmoid_of_gates,
    hard_sigmoid_alone,
    refuse_hard_sigmoid_elsewhere,
    causal_padding,
    locally_connected,
)
