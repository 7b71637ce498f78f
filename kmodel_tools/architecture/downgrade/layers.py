"""Layer classes that Keras 2 does not have, or calls otherwise."""

from __future__ import annotations

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


RULES = (todays_name, refuse_what_is_new)
