"""Layer classes that Keras 3 does not have, or calls otherwise."""

from __future__ import annotations

from kmodel_tools.architecture.layer_table import ALIASES
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import plain_class
from kmodel_tools.architecture.weight_rules import Reshape, Take, Transpose

OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "InstanceProperty"})
GONE = {
    "DenseFeatures": "is made of feature columns, which Keras 3 does not have",
    "DynamicEmbedding": "is not in Keras 3, and no layer of it does the same",
    "DynamicLookup": "is not in Keras 3, and no layer of it does the same",
    "PreprocessingLayer": "is not in Keras 3, and no layer of it does the same",
    "Merge": "was taken out with Keras 2",
    "Highway": "was taken out with Keras 2",
    "MaxoutDense": "was taken out with Keras 2",
    "SReLU": "was taken out with Keras 2",
    "ParametricSoftplus": "was taken out with Keras 2",
    "TimeDistributedDense": "was taken out with Keras 2",
}
"""Classes that Keras 3 cannot express, and why."""


def todays_name(draft: Draft) -> None:
    """A class under the name that Keras 3 has it under: `SyncBatchNormalization`, `LSTMV2`, `Convolution2D`.

    Cures `Unknown layer: 'LSTMV2'`.
    """
    draft.class_name = plain_class(draft.class_name)
    if draft.class_name in ("SyncBatchNormalization",):
        draft.config["synchronized"] = True
    draft.class_name = ALIASES.get(draft.class_name, draft.class_name)


def refuse_what_is_gone(draft: Draft) -> None:
    """Name the layer that has no equivalent.

    Raises:
        UpgradeError: It is of such a class.
    """
    if draft.class_name in OPERATIONS:
        function = draft.config.get("function") or draft.config.get("name")
        raise draft.refuse(f"is the operation {function} of TensorFlow, and stands in no graph, which it is carried with")
    if draft.class_name in GONE:
        raise draft.refuse(GONE[draft.class_name])


def thresholded_relu(draft: Draft) -> None:
    """ThresholdedReLU as ReLU with a threshold: both are x above it and 0 elsewhere.

    Cures `Unknown layer: 'ThresholdedReLU'`.
    """
    if draft.is_a("ThresholdedReLU"):
        theta = draft.config.pop("theta", 1.0)
        theta = float(theta["value"] if isinstance(theta, dict) else theta)
        if theta < 0:
            raise draft.refuse(f"has a negative threshold ({theta}), which no layer of Keras 3 takes")
        draft.class_name = "ReLU"
        draft.config |= {"threshold": theta, "max_value": None, "negative_slope": 0.0}
        draft.say("ThresholdedReLU is not in Keras 3: written as ReLU with that threshold")


def from_cudnn(draft: Draft) -> None:
    """CuDNNLSTM and CuDNNGRU as LSTM and GRU, which compute the same from rearranged weights.

    The kernels of the gates are stored transposed, and there are two biases; those of the GRU are apart in Keras 3 too.
    Cures `Unknown layer: 'CuDNNLSTM'`. Source: Keras 2.2.4 `engine/saving.py`, `_convert_rnn_weights`.
    """
    if not draft.is_a("CuDNNLSTM", "CuDNNGRU"):
        return
    gates = 4 if draft.is_a("CuDNNLSTM") else 3
    draft.class_name = draft.class_name.removeprefix("CuDNN")
    units = int(draft.config["units"])
    draft.config |= {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}
    why = "CuDNN keeps the kernels of its gates transposed"
    kernels = [{"steps": (Take(1, gate, gates), Reshape((units, -1)), Transpose((1, 0)))} for gate in range(gates)]
    draft.change_weight("cell", "kernel", kernels, 1, why)
    draft.change_weight("cell", "recurrent_kernel", [{"steps": (Take(1, gate, gates), Transpose((1, 0)))} for gate in range(gates)], 1, why)
    if draft.is_a("LSTM"):
        draft.change_weight("cell", "bias", [{"steps": (Take(0, part, 2),)} for part in range(2)], None, "CuDNN adds two biases")
    else:
        draft.config["reset_after"] = True
        draft.change_weight("cell", "bias", [{"steps": (Reshape((2, 3 * units)),)}], 0, "CuDNN keeps its two biases in one row")
    draft.say("CuDNN's own recurrent layers are not in Keras 3: written as the general ones, with their weights rearranged")


def random_size(draft: Draft) -> None:
    """RandomHeight and RandomWidth, which change images in training alone, as Identity.

    Cures `Unknown layer: 'RandomHeight'`. In tf_keras they leave the axis without a size, in Keras 3 it keeps the one it has.
    Source: tf_keras 2.21 `layers/preprocessing/image_preprocessing.py`, `RandomHeight.call`.
    """
    if draft.is_a("RandomHeight", "RandomWidth"):
        draft.say(
            f"{draft.class_name} is not in Keras 3: written as Identity, as it predicts; in training it does not change images any more"
        )
        draft.class_name = "Identity"
        draft.drop("factor", "interpolation", "seed")


def other_direction(draft: Draft) -> None:
    """Bidirectional around a layer that goes backwards: its second layer goes forwards, and Keras 3 wants that to be said.

    Cures `Forward layer and backward layer should have different go_backwards value`.
    """
    inner = draft.config.get("layer")
    if not draft.is_a("Bidirectional") or draft.config.get("backward_layer") or not isinstance(inner, dict):
        return
    settings = inner.get("config")
    if isinstance(settings, dict) and settings.get("go_backwards"):
        draft.config["backward_layer"] = {**inner, "config": {**settings, "go_backwards": False}}


def refuse_cells_without_units(draft: Draft) -> None:
    """A cell that does not say how large it is: Keras 2.0 left that out, and could not load its own files.

    Cures `RNN could not be deserialized properly`, which Keras 3 would say of the new file.
    """
    if draft.is_a("SimpleRNNCell", "LSTMCell", "GRUCell") and "units" not in draft.config:
        raise draft.refuse("does not say its units, which Keras 2.0 left out")


RULES = (todays_name, refuse_what_is_gone, refuse_cells_without_units, thresholded_relu, from_cudnn, random_size, other_direction)
