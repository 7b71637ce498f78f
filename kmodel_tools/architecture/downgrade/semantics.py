"""What has another meaning in Keras 2, without a word: the meaning that Keras 3 gives it, expressed in layers that Keras 2 has."""

from __future__ import annotations

from kmodel_tools.architecture.upgrade.channels import FIRST, KERNELS
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.inputs import as_shape
from kmodel_tools.architecture.upgrade.objects import activation_of
from kmodel_tools.architecture.upgrade.semantics import CONV_RANKS, GATES, HARD_SIGMOID, STEEPER, WEIGHTED
from kmodel_tools.architecture.upgrade.widths import put_out
from kmodel_tools.architecture.weight_rules import Scale, Step, Take

FLATTER = 1 / STEEPER
"""Keras 3 has `clip(x / 6 + 0.5, 0, 1)`, Keras 2 `clip(0.2 x + 0.5, 0, 1)`: that of Keras 3 of x is that of Keras 2 of x / 1.2."""
WHY = f"Keras 2's hard_sigmoid(x) is that of Keras 3 at {STEEPER} x"


def hard_sigmoid_of_weighted(draft: Draft) -> None:
    """Dense and convolutions with `hard_sigmoid`: the kernel and bias that lead to it are divided by 1.2."""
    role = WEIGHTED.get(draft.class_name)
    if role is None or activation_of(draft) != HARD_SIGMOID:
        return
    roles = [role]
    if draft.config.get("bias_axes") if draft.is_a("EinsumDense") else draft.config.get("use_bias", True):
        roles.append("bias")
    for name in roles:
        draft.change_weight("", name, [{"steps": (Scale(FLATTER),)}], 0, WHY)
    _say_scaled(draft)


def hard_sigmoid_of_gates(draft: Draft) -> None:
    """Recurrent layers with `hard_sigmoid`: kernels and biases of the gates that it is for are divided by 1.2.

    Raises:
        UpgradeError: The function is applied to the state of an LSTM, which no factor expresses.
    """
    is_cell = draft.class_name.endswith("Cell")
    kind = "ConvLSTM" if draft.class_name in CONV_RANKS else draft.class_name.removesuffix("Cell")
    if kind not in GATES:
        return
    gates, candidate = GATES[kind]
    inner = activation_of(draft) == HARD_SIGMOID
    recurrent = gates > 1 and activation_of(draft, "recurrent_activation") == HARD_SIGMOID
    if inner and kind in ("LSTM", "ConvLSTM"):
        raise draft.refuse("applies hard_sigmoid to its state, and Keras 2 has another function of that name")
    scaled = [inner if gate == candidate else recurrent for gate in range(gates)]
    if not any(scaled):
        return
    axis = CONV_RANKS.get(draft.class_name, 2) - 1
    attr = "" if is_cell else "cell"
    for role in ("kernel", "recurrent_kernel", *(("bias",) if draft.config.get("use_bias", True) else ())):
        two_biases = kind == "GRU" and draft.config.get("reset_after", True)
        along = axis if role != "bias" else 1 if two_biases else 0
        pieces = [{"steps": _part(along, gate, gates, scaled[gate])} for gate in range(gates)]
        draft.change_weight(attr, role, pieces, along, WHY)
    _say_scaled(draft)


def _part(axis: int, gate: int, gates: int, scaled: bool) -> tuple[Step, ...]:
    return (Take(axis, gate, gates), *((Scale(FLATTER),) if scaled else ()))


def _say_scaled(draft: Draft) -> None:
    draft.say(f"hard_sigmoid is another function in Keras 2: weights that lead to it are divided by {STEEPER}, to make up for it")


def hard_sigmoid_alone(draft: Draft) -> None:
    """An Activation with `hard_sigmoid`: a list of two layers of the same name, the first of which divides by 1.2."""
    if draft.is_a("Activation") and activation_of(draft) == HARD_SIGMOID:
        draft.become_a_row(("Rescaling", {"scale": FLATTER, "offset": 0.0}), ("Activation", {"activation": HARD_SIGMOID}))
        draft.say(f"hard_sigmoid is another function in Keras 2: a division by {STEEPER} is put before it, to make up for it")


def refuse_hard_sigmoid_elsewhere(draft: Draft) -> None:
    """Any other layer with `hard_sigmoid` (one with an activation of its own kind) has no rule."""
    handled = draft.class_name in WEIGHTED or draft.class_name.removesuffix("Cell") in GATES or draft.class_name in CONV_RANKS
    applied = (activation_of(draft), activation_of(draft, "recurrent_activation"))
    if not handled and not draft.is_a("Sequential") and HARD_SIGMOID in applied:
        raise draft.refuse("applies hard_sigmoid, and Keras 2 has another function of that name")


def bias_of_channels_first(draft: Draft) -> None:
    """A biased convolution with `channels_first` whose output is, or may be, as wide as it has channels: Keras 3 on TensorFlow errs there.

    The mirror of `upgrade.channels`, which tells where: Keras 2 and other backends add the bias to the channels.
    """
    config = draft.config
    if draft.class_name not in KERNELS or config.get("data_format") != FIRST or not config.get("use_bias", True):
        return
    shape = next(map(as_shape, draft.notes.given.get(draft.paths[0], [])), None) or [None, None, None]
    channels = config.get("filters") or (shape[1] or 0) * int(config.get("depth_multiplier") or 1)
    width = put_out({"class_name": draft.class_name, "config": config}, [shape[-1]])
    if channels != 1 and (not channels or width in (None, channels)):
        draft.say(
            "Keras 3 on TensorFlow adds a bias along the wrong axis where an image with its channels first is as wide as it has channels, "
            "and Keras 2 does not: predictions differ if it is"
        )


RULES = (hard_sigmoid_of_weighted, hard_sigmoid_of_gates, hard_sigmoid_alone, refuse_hard_sigmoid_elsewhere, bias_of_channels_first)
