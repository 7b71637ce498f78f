from __future__ import annotations

import types

import pytest

import kmodel_tools
from kmodel_tools import errors


def test_every_public_name_resolves_and_is_documented() -> None:
    for name in kmodel_tools.__all__:
        value = getattr(kmodel_tools, name)
        if name != "__version__":
            assert value.__doc__, name
            assert value.__module__.startswith("kmodel_tools"), name
    assert sorted(kmodel_tools.__all__) == kmodel_tools.__all__ == dir(kmodel_tools)


def test_every_error_is_public() -> None:
    own = {name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)}
    assert own <= set(kmodel_tools.__all__)


def test_a_verb_wins_over_the_package_of_its_name() -> None:
    import kmodel_tools.formats.keras_h5

    assert isinstance(kmodel_tools.formats, types.FunctionType)
    assert "keras-h5" in {item.name for item in kmodel_tools.formats()}


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(kmodel_tools, "nothing")  # noqa: B009  # as an attribute, a type checker would not have it
