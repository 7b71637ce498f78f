"""What the arrays of Keras 0.3 and 1 become: gates joined, kernels turned into TensorFlow's order, Theano's flips undone.

::

    convolution      ordering tf: as in Keras 2      ordering th: (out, in, …space)      Convolution1D: (length, 1, in, out)
    LSTM             W_i U_i b_i  W_c U_c b_c  W_f U_f b_f  W_o U_o b_o    →  i f c o side by side
    GRU              W_z U_z b_z  W_r U_r b_r  W_h U_h b_h                 →  z r h side by side

Sources: Keras 1.2.2, 1.0.8 and 0.3.3 `layers/*.py`, `backend/theano_backend.py`; Keras 2.3.1 `engine/saving.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kmodel_tools.architecture.upgrade.keras_1.draft import Draft1
from kmodel_tools.architecture.weight_rules import Flip, Polynomial, Reshape, Step, Transpose

GATES = {"LSTM": ("icfo", "ifco"), "ConvLSTM2D": ("icfo", "ifco"), "GRU": ("zrh", "zrh")}
"""Gates in the order of the file, and in that of Keras 2."""
PARTS = (("W", "kernel"), ("U", "recurrent_kernel"), ("b", "bias"))
TURNED = {1: (2, 1, 0), 2: (2, 3, 1, 0), 3: (2, 3, 4, 1, 0)}
"""From (out, in, …space) to (…space, in, out)."""
JOINED = "gates lie side by side since Keras 2"
TURNED_WHY = "kernels lie as TensorFlow has them since Keras 2"
FLIPPED_WHY = "Theano's convolution flips kernels, TensorFlow's does not"


def has_bias(draft: Draft1) -> bool:
    """Whether a layer has one."""
    return bool(draft.config.get("use_bias", True))


def carry_dense(draft: Draft1) -> None:
    """A kernel and a bias, as they are."""
    _as_they_are(draft, ("kernel", "bias") if has_bias(draft) else ("kernel",))


def carry_embedding(draft: Draft1) -> None:
    """The vectors, as they are."""
    _as_they_are(draft, ("embeddings",))


def carry_prelu(draft: Draft1) -> None:
    """The slopes, as they are."""
    _as_they_are(draft, ("alpha",))


def carry_normalization(draft: Draft1) -> None:
    """Scale, offset and statistics. Keras 0.3 keeps a deviation and divides by it plus epsilon; its variance is worked out.

    Cures other predictions without a word: `running_std` means the variance since Keras 1.0.
    """
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    if draft.cursor is None:
        return
    draft.number(roles)
    for role in roles[:3]:
        draft.make(role, [draft.piece(role)])
    epsilon = float(draft.config.get("epsilon", 1e-6))
    draft.config["epsilon"] = epsilon * epsilon
    variance = Polynomial((0.0, 2 * epsilon, 1.0))  # (s + e)² - e², and Keras 2 adds e² again
    draft.make("moving_variance", [draft.piece("moving_variance", variance)], why="Keras 0.3 keeps the deviation, not the variance")


def carry_locally_connected(draft: Draft1) -> None:
    """Kernels of each place, as they are: they are multiplied by, never convolved with."""
    _as_they_are(draft, ("kernel", "bias") if has_bias(draft) else ("kernel",))


def carry_simple_rnn(draft: Draft1) -> None:
    """Kernels and bias, as they are."""
    roles = ("kernel", "recurrent_kernel", "bias")
    draft.number(roles)
    for role in roles:
        draft.make(role, [draft.piece(role, attr="cell")], attr="cell")


def carry_gates(draft: Draft1) -> None:
    """The arrays of all gates side by side.

    Cures `Layer 'lstm' expected 3 variables, but received 12 variables` and its like.
    """
    stored, wanted = GATES[draft.class_name]
    if draft.config.get("consume_less") == "gpu":  # Keras 1 joins them itself then
        carry_simple_rnn(draft)
        return
    draft.number([f"{part}_{gate}" for gate in stored for part, _ in PARTS])
    for part, role in PARTS:
        steps = _kernel_steps(draft, 2) if draft.class_name == "ConvLSTM2D" and part != "b" else ()
        pieces = [draft.piece(f"{part}_{gate}", *steps) for gate in wanted]
        draft.make(role, pieces, axis=-1, attr="cell", why=JOINED)


def carry_convolution(draft: Draft1) -> None:
    """A kernel in TensorFlow's order, as TensorFlow applies it.

    Cures shapes that differ, and other predictions without a word where the kernel is square or Theano has flipped it.
    """
    rank = {"1": 1, "2": 2, "3": 3}[draft.class_name[-2]]
    roles = ("kernel", "bias") if has_bias(draft) else ("kernel",)
    draft.number(roles)
    steps = _kernel_steps_1d(draft) if rank == 1 else _kernel_steps(draft, rank)
    draft.make("kernel", [draft.piece("kernel", *steps)], why=FLIPPED_WHY if draft.is_by_theano() else TURNED_WHY)
    if has_bias(draft):
        draft.make("bias", [draft.piece("bias")])


def carry_transposed_convolution(draft: Draft1) -> None:
    """A kernel (…space, out, in) of one (…space, in, out), for `Deconvolution2D` calls them as a convolution would."""
    first = draft.config.get("data_format") == "channels_first"
    steps: tuple[Step, ...] = (Transpose((2, 3, 0, 1) if first else (0, 1, 3, 2)),)
    if draft.is_by_theano():
        steps = (*steps, Flip((0, 1)))
    draft.make("kernel", [draft.piece("kernel", *steps)], why=TURNED_WHY)


def carry_separable_convolution(draft: Draft1) -> None:
    """Both kernels in TensorFlow's order; Theano has no such layer."""
    if draft.config.get("data_format") == "channels_first":
        for role in ("depthwise_kernel", "pointwise_kernel"):
            draft.make(role, [draft.piece(role, Transpose((2, 3, 1, 0)))], why=TURNED_WHY)


def carry_maxout(draft: Draft1) -> None:
    """One wide Dense out of several: their kernels (n, in, out) become one of (in, n · out)."""
    count, units = draft.config["nb_feature"], draft.config["units"]
    draft.number(("kernel", "bias") if has_bias(draft) else ("kernel",))
    steps = (Transpose((1, 0, 2)), Reshape((-1, count * units)))
    draft.make("kernel", [draft.piece("kernel", *steps)], why="Keras 2 has no MaxoutDense")
    if has_bias(draft):
        draft.make("bias", [draft.piece("bias", Reshape((count * units,)))], why="Keras 2 has no MaxoutDense")


def _as_they_are(draft: Draft1, roles: Sequence[str]) -> None:
    draft.number(roles)
    for role in roles:
        draft.make(role, [draft.piece(role)])


def _kernel_steps(draft: Draft1, rank: int) -> tuple[Step, ...]:
    steps: tuple[Step, ...] = ()
    if draft.config.get("data_format") == "channels_first":
        steps = (Transpose(TURNED[rank]),)
    if draft.is_by_theano():
        steps = (*steps, Flip(tuple(range(rank))))
    return steps


def _kernel_steps_1d(draft: Draft1) -> tuple[Step, ...]:
    """Of (length, 1, in, out), or (out, in, length, 1) before Keras 1.2; which, the array tells before the release does."""
    length, filters = draft.config["kernel_size"], draft.config["filters"]
    shape = draft.shape("kernel") if draft.cursor is None else None
    early = draft.source.version < (1, 2) if shape is None else shape[:2] != (length, 1) or shape[-1] != filters
    steps: tuple[Step, ...] = (Reshape((filters, -1, length)), Transpose((2, 1, 0))) if early else (Reshape((length, -1, filters)),)
    return (*steps, Flip((0,))) if draft.is_by_theano() else steps


CARRIERS: Mapping[str, Callable[[Draft1], None]] = {
    "Dense": carry_dense,
    "TimeDistributedDense": carry_dense,
    "Embedding": carry_embedding,
    "PReLU": carry_prelu,
    "BatchNormalization": carry_normalization,
    "LocallyConnected1D": carry_locally_connected,
    "LocallyConnected2D": carry_locally_connected,
    "SimpleRNN": carry_simple_rnn,
    "LSTM": carry_gates,
    "GRU": carry_gates,
    "ConvLSTM2D": carry_gates,
    **dict.fromkeys(("Convolution1D", "Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D"), carry_convolution),
    "Deconvolution2D": carry_transposed_convolution,
    "SeparableConvolution2D": carry_separable_convolution,
    "MaxoutDense": carry_maxout,
}
"""What to do with the weights of each class, when its arguments have their new names and its class the old one."""
