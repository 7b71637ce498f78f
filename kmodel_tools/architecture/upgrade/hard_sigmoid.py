"""`hard_sigmoid`, which is another function in Keras 2 and in Keras 3: that of either, expressed by that of the other.

::

    Keras 2    clip(0.2 x + 0.5, 0, 1)
    Keras 3    clip(x / 6 + 0.5, 0, 1)

What the function is applied to is multiplied by a constant: the weights that lead to it, or, where there are none, by a layer
before it. Both directions go by this: the old function of x is the new one of 1.2 x.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import activation_of
from kmodel_tools.architecture.weight_rules import Scale, Step, Take

HARD_SIGMOID = "hard_sigmoid"
STEEPER = 1.2
"""What x of the old function is multiplied by to be that of the new one."""

GATES = {"LSTM": (4, 2), "ConvLSTM": (4, 2), "GRU": (3, 2), "SimpleRNN": (1, 0)}
"""Number of gates of recurrent layers, and the position of the one that `activation` and not `recurrent_activation` is for."""
CONV_RANKS = {"ConvLSTM1D": 3, "ConvLSTM2D": 4, "ConvLSTM3D": 5}
WEIGHTED = {
    "Dense": "kernel",
    "EinsumDense": "kernel",
    "LocallyConnected1D": "kernel",
    "LocallyConnected2D": "kernel",
    **{f"Conv{rank}D": "kernel" for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": "kernel" for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": "kernel" for rank in (1, 2)},
    **{f"SeparableConv{rank}D": "pointwise_kernel" for rank in (1, 2)},
}
"""Layers that apply a function to what is linear in a kernel, and that kernel."""
UNBOUND = frozenset({"activity_regularizer"})
"""Regularizers that look at what a layer puts out, which is as it was."""


@dataclass(frozen=True, slots=True)
class Carried:
    """How `hard_sigmoid` is carried to another generation.

    Attributes:
        factor: What its argument is multiplied by.
        to: The generation.
        why: How the two functions differ, in a clause: the reason of each rule for a weight.
        kind: What sentences call the function that the layer applies.
        scaled: What becomes of weights, as sentences say it.
        inserted: What the layer before it does, as sentences say it.
    """

    factor: float
    to: str
    why: str
    kind: str
    scaled: str
    inserted: str

    def of_weighted(self, draft: Draft) -> None:
        """Dense and convolutions: scale the kernel and bias that lead to it."""
        role = WEIGHTED.get(draft.class_name)
        if role is None or activation_of(draft) != HARD_SIGMOID:
            return
        roles = [role]
        if draft.config.get("bias_axes") if draft.is_a("EinsumDense") else draft.config.get("use_bias", True):
            roles.append("bias")
        for name in roles:
            draft.change_weight("", name, [{"steps": (Scale(self.factor),)}], 0, self.why)
        self._say_scaled(draft)

    def of_gates(self, draft: Draft) -> None:
        """Recurrent layers: scale kernels and biases of the gates that it is for.

        Raises:
            UpgradeError: The function is applied to the state of an LSTM, which no factor expresses.
        """
        kind = "ConvLSTM" if draft.class_name in CONV_RANKS else draft.class_name.removesuffix("Cell")
        if kind not in GATES:
            return
        gates, candidate = GATES[kind]
        inner = activation_of(draft) == HARD_SIGMOID
        recurrent = gates > 1 and activation_of(draft, "recurrent_activation") == HARD_SIGMOID
        if inner and kind in ("LSTM", "ConvLSTM"):
            raise draft.refuse(f"applies {self.kind} to its state, and {self.to} has another function of that name")
        scaled = [inner if gate == candidate else recurrent for gate in range(gates)]
        if not any(scaled):
            return
        axis = CONV_RANKS.get(draft.class_name, 2) - 1
        attr = "" if draft.class_name.endswith("Cell") else "cell"
        for role in ("kernel", "recurrent_kernel", *(("bias",) if draft.config.get("use_bias", True) else ())):
            two_biases = kind == "GRU" and draft.config.get("reset_after", True)
            along = axis if role != "bias" else 1 if two_biases else 0
            pieces = [{"steps": self._part(along, gate, gates, scaled[gate])} for gate in range(gates)]
            draft.change_weight(attr, role, pieces, along, self.why)
        self._say_scaled(draft)

    def _part(self, axis: int, gate: int, gates: int, scaled: bool) -> tuple[Step, ...]:
        return (Take(axis, gate, gates), *((Scale(self.factor),) if scaled else ()))

    def _say_scaled(self, draft: Draft) -> None:
        draft.say(f"hard_sigmoid is another function in {self.to}: weights that lead to it are {self.scaled}, to make up for it")
        bound = [
            key for key, value in draft.config.items() if value and key.endswith(("_regularizer", "_constraint")) and key not in UNBOUND
        ]
        if bound:
            draft.say(f"its regularizers and constraints weigh otherwise in training, since its weights are {self.scaled}")

    def alone(self, draft: Draft) -> None:
        """An Activation: put a list of two layers of the same name in its place, the first of which multiplies."""
        if draft.is_a("Activation") and activation_of(draft) == HARD_SIGMOID:
            draft.become_a_row(("Rescaling", {"scale": self.factor, "offset": 0.0}), ("Activation", {"activation": HARD_SIGMOID}))
            draft.say(f"hard_sigmoid is another function in {self.to}: {self.inserted} is put before it, to make up for it")

    def refuse_elsewhere(self, draft: Draft) -> None:
        """Refuse any other layer that applies it.

        Raises:
            UpgradeError: It is such a one.
        """
        handled = draft.class_name in WEIGHTED or draft.class_name.removesuffix("Cell") in GATES or draft.class_name in CONV_RANKS
        applied = (activation_of(draft), activation_of(draft, "recurrent_activation"))
        if not handled and not draft.is_a("Sequential") and HARD_SIGMOID in applied:
            raise draft.refuse(f"applies {self.kind}, and {self.to} has another function of that name")


TO_KERAS_3 = Carried(
    factor=STEEPER,
    to="Keras 3",
    why=f"Keras 3's hard_sigmoid(x) is the old one at x / {STEEPER}",
    kind="the old hard_sigmoid",
    scaled=f"{STEEPER} times as large",
    inserted=f"a multiplication by {STEEPER}",
)
TO_KERAS_2 = Carried(
    factor=1 / STEEPER,
    to="Keras 2",
    why=f"Keras 2's hard_sigmoid(x) is that of Keras 3 at {STEEPER} x",
    kind="hard_sigmoid",
    scaled=f"divided by {STEEPER}",
    inserted=f"a division by {STEEPER}",
)
