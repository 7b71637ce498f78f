"""Layer classes that Keras 2 does not have, or calls otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from kmodel_tools.architecture.downgrade.accepted import taken
from kmodel_tools.architecture.layer_table import ALIASES
from kmodel_tools.architecture.upgrade.draft import Draft
from kmodel_tools.architecture.upgrade.objects import plain_class


def todays_name(draft: Draft) -> None:
    """A class under the name that both generations have it under."""
    name = plain_class(draft.class_name)
    draft.class_name = ALIASES.get(name, name)


def refuse_what_is_new(draft: Draft) -> None:
    """Name the layer that Keras 2 does not have.

    Cures `Unknown layer: 'RMSNormalization'`, which Keras 2 would say of the new file.

    Raises:
        UpgradeError: It is of such a class.
    """
    if taken(draft.class_name) is None:
        raise draft.refuse("is not in Keras 2, and no layer of it does the same")


def crop_in_predicting(draft: Draft) -> None:
    """RandomCrop: Keras 2 crops and resizes to the target when it predicts, where Keras 3 leaves images as they are.

    Sources: Keras 3.15.1 `random_crop.py`, `transform_images`; tf_keras 2.21 `image_preprocessing.py`, `RandomCrop.call`.

    Raises:
        UpgradeError: Always: no layer of Keras 2 crops in training alone.
    """
    if draft.is_a("RandomCrop"):
        raise draft.refuse("leaves images as they are when it predicts, and that of Keras 2 crops and resizes them")


def normalized_kernel(draft: Draft) -> None:
    """SpectralNormalization: `.h5` files with it load where it is given among the custom objects.

    Without it tf_keras says `Unknown layer: 'SpectralNormalization'` of its own files too: its `layers/serialization.py` does not list
    the module.

    Raises:
        UpgradeError: It is around an Embedding, and Keras 3.15.1 casts what that gives to the dtype of its numbers of words.
    """
    if not draft.is_a("SpectralNormalization"):
        return
    inner = draft.config.get("layer")
    if isinstance(inner, Mapping) and inner.get("class_name") == "Embedding":
        raise draft.refuse("gives the vectors of an Embedding in the dtype of its input in Keras 3, and as they are in Keras 2")
    draft.say(
        "SpectralNormalization is in TensorFlow 2.13 and later, and load_model does not find it by itself: give it "
        'custom_objects={"SpectralNormalization": tf_keras.layers.SpectralNormalization}'
    )


RULES = (todays_name, refuse_what_is_new, crop_in_predicting, normalized_kernel)
