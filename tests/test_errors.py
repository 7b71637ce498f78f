from __future__ import annotations

from pathlib import Path

from kmodel_tools import errors


def test_a_message_names_the_file_the_problem_the_place_and_the_cure() -> None:
    error = errors.CorruptFileError("is cut short", path=Path("a") / "m.h5", where="dense/kernel", cure="fetch it again")
    assert str(error) == "a/m.h5: is cut short (dense/kernel); fetch it again"
    assert str(errors.KmtError("no such format")) == "no such format"


def test_every_error_has_one_root_and_is_drawn_in_the_docstring() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    for item in classes:
        assert issubclass(item, errors.KmtError)
        assert item.__name__ in (errors.__doc__ or "")


def test_errors_carry_what_they_are_about() -> None:
    assert errors.ConversionError("cannot hold it", ("a vocabulary",)).losses == ("a vocabulary",)
    assert errors.MatchError("left over", match=7).match == 7
    missing = errors.MissingDependencyError("pyyaml", "yaml", "a YAML file")
    assert str(missing) == "a YAML file needs the package pyyaml; pip install 'kmodel_tools[yaml]'"
