"""New files are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kmodel_tools.errors import KmtError
from kmodel_tools.storage.atomic import new_file


def test_a_new_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_file(tmp_path / "x") as file:
        file.write(b"abc")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def write_and_fail() -> None:
        with new_file(tmp_path / "x", overwrite=True) as file:
            file.write(b"abc")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_what_is_there_is_replaced_on_demand_only(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(KmtError, match="is there already; --force replaces it"), new_file(tmp_path / "x"):
        pass
    os.chmod(tmp_path / "x", 0o640)
    with new_file(tmp_path / "x", overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with new_file(tmp_path / "link", overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(KmtError, match="its folder does not exist"), new_file(tmp_path / "no" / "x"):
        pass
    with pytest.raises(KmtError, match="no regular file"), new_file(tmp_path, overwrite=True):
        pass
