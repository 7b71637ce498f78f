"""What has another meaning in Keras 2, without a word: the meaning that Keras 3 gives it, expressed in layers that Keras 2 has."""

from __future__ import annotations

from kmodel_tools.architecture.upgrade.channels import FIRST, KERNELS
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.hard_sigmoid import TO_KERAS_2
from kmodel_tools.architecture.upgrade.widths import put_out


def hard_sigmoid_of_weighted(draft: Draft) -> None:
    """Dense and convolutions with `hard_sigmoid`: the kernel and bias that lead to it are divided by 1.2."""
    TO_KERAS_2.of_weighted(draft)


def hard_sigmoid_of_gates(draft: Draft) -> None:
    """Recurrent layers with `hard_sigmoid`: kernels and biases of the gates that it is for are divided by 1.2.

    Raises:
        UpgradeError: The function is applied to the state of an LSTM, which no factor expresses.
    """
    TO_KERAS_2.of_gates(draft)


def hard_sigmoid_alone(draft: Draft) -> None:
    """An Activation with `hard_sigmoid`: a list of two layers of the same name, the first of which divides by 1.2."""
    TO_KERAS_2.alone(draft)


def refuse_hard_sigmoid_elsewhere(draft: Draft) -> None:
    """Any other layer with `hard_sigmoid` (one with an activation of its own kind) has no rule."""
    TO_KERAS_2.refuse_elsewhere(draft)


def bias_of_channels_first(draft: Draft) -> None:
    """A biased convolution with `channels_first` whose output is, or may be, as wide as it has channels: Keras 3 on TensorFlow errs there.

    The mirror of `upgrade.channels`, which tells where: Keras 2 and other backends add the bias to the channels.
    """
    config = draft.config
    if draft.class_name not in KERNELS or config.get("data_format") != FIRST or not config.get("use_bias", True):
        return
    shape = draft.notes.given.get(draft.paths[0]) or [None, None, None]
    channels = config.get("filters") or (shape[1] or 0) * int(config.get("depth_multiplier") or 1)
    width = put_out({"class_name": draft.class_name, "config": config}, [shape[-1]])
    if channels != 1 and (not channels or width in (None, channels)):
        draft.say(
            "Keras 3 on TensorFlow adds a bias along the wrong axis where an image with its channels first is as wide as it has channels, "
            "and Keras 2 does not: predictions differ if it is"
        )


RULES = (hard_sigmoid_of_weighted, hard_sigmoid_of_gates, hard_sigmoid_alone, refuse_hard_sigmoid_elsewhere, bias_of_channels_first)
