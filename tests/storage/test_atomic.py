"""New files are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kmodel_tools.errors import KmtError
from kmodel_tools.storage.atomic import draft_set, new_file


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


def test_a_set_of_files_takes_its_places_together(tmp_path: Path) -> None:
    for name in ("m.index", "m.data-0", "m.data-1", "mine"):
        (tmp_path / name).write_bytes(b"old")

    def write(fails: bool) -> None:
        with draft_set(tmp_path / "m", str(tmp_path / "m.index"), "m.data-?") as name:
            for suffix in (".index", ".data-0"):
                Path(name + suffix).write_bytes(b"new")
            Path(name).with_name("mine").write_bytes(b"new")
            if fails:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(fails=True)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}
    write(fails=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"m.index": b"new", "m.data-0": b"new", "mine": b"old"}


def test_a_set_of_files_is_no_mix_when_moving_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk goes away after each of the steps: then there is no index, or all is there."""
    new = {".index", ".data-0", ".data-1"}
    moves = os.replace
    for allowed in range(4):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        for suffix in new:
            (folder / f"m{suffix}").write_bytes(b"old")
        done: list[str] = []

        def move(source: str, target: str, done: list[str] = done, allowed: int = allowed) -> None:
            if len(done) == allowed:
                raise OSError(28, "No space left on device")
            done.append(target)
            moves(source, target)

        monkeypatch.setattr(os, "replace", move)
        try:
            with draft_set(folder / "m", str(folder / "m.index"), "m.data-?") as name:
                for suffix in new:
                    Path(name + suffix).write_bytes(b"new")
        except KmtError:
            assert len(done) == allowed
        monkeypatch.undo()
        found = {path.read_bytes() for path in folder.iterdir()}
        assert not (folder / "m.index").exists() or found == {b"new"}
        assert all(path.name.startswith("m.") for path in folder.iterdir())
