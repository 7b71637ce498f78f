"""Where a model's inputs are said, as Keras 2 has it: `batch_input_shape`."""

from __future__ import annotations

from kmodel_tools.architecture.upgrade.draft import Draft, Json
from kmodel_tools.architecture.upgrade.inputs import SHAPES, as_shape, dtype_name


def downgraded_input(draft: Draft) -> Json:
    """An InputLayer's configuration: `batch_input_shape` for `batch_shape`, and only what every Keras 2 takes.

    Cures `Keyword argument not understood: batch_shape`, and `optional`.

    Raises:
        UpgradeError: Its shape is not said, or it may be left out, which Keras 2 does not know.
    """
    config = draft.config
    shape = as_shape(next((config[key] for key in SHAPES if config.get(key) is not None), None))
    if shape is None:
        raise draft.refuse("does not say the shape of its input")
    if config.get("optional"):
        raise draft.refuse("is an input that may be left out, which Keras 2 does not have")
    flags = {key: bool(config.get(key)) for key in ("sparse", "ragged")}
    return {"batch_input_shape": shape, "dtype": dtype_name(config.get("dtype")), **flags, "name": config["name"]}
