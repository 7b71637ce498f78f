from __future__ import annotations

import gc
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage import zip as own
from kmodel_tools.storage.zip import member_range, members, write_archive
from kmodel_tools.tensor import ByteRange


def archive(path: Path, *files: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> ByteRange:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files:
            file.writestr(name, data)
    return ByteRange.of_file(path)


def test_a_stored_member_is_read_in_place(tmp_path: Path) -> None:
    found = archive(tmp_path / "a.zip", ("x", b"hello"), ("folder/", b""), ("folder/y", b"world"))
    listed = members(found)
    assert list(listed) == ["x", "folder/y"]
    inner = member_range(found, listed["folder/y"])
    assert (inner.path, inner.read()) == (str(tmp_path / "a.zip"), b"world")


def test_a_compressed_member_lives_as_long_as_its_range(tmp_path: Path) -> None:
    found = archive(tmp_path / "a.zip", ("x", b"hello" * 1000), compression=zipfile.ZIP_DEFLATED)
    inner = member_range(found, members(found)["x"])
    part = inner.slice(5, 5)
    path = inner.path
    del inner
    gc.collect()
    assert part.read() == b"hello"
    assert os.path.exists(path)
    del part
    gc.collect()
    assert not os.path.exists(path)


def _encrypted(path: Path) -> ByteRange:
    archive(path, ("x", b"hello"))
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    return ByteRange.of_file(path)


def test_unsafe_members_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("x")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    unsafe = {
        "a symbolic link": archive(tmp_path / "link", (link, b"/etc/passwd")),
        "leads out": archive(tmp_path / "dots", ("a/../../x", b"")),
        "leads out of": archive(tmp_path / "root", ("/etc/x", b"")),
        "is encrypted": _encrypted(tmp_path / "encrypted"),
    }
    for problem, found in unsafe.items():
        with pytest.raises(UnsupportedFeatureError, match=problem):
            members(found)


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    found = archive(tmp_path / "a.zip", ("x", b"hello"))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.index(b"PK\1\2") + 28
    data[at : at + 2] = b"\0\0"  # the length of its name
    data[at + 2 : at + 4] = b"\1\0"  # that of what stands behind the name
    (tmp_path / "a.zip").write_bytes(data)
    found = ByteRange.of_file(tmp_path / "a.zip")
    with pytest.raises((CorruptFileError, UnsupportedFeatureError)):
        members(found)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "a.zip", ("ß", b"hello" * 1000), compression=zipfile.ZIP_DEFLATED)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index("ß".encode())] = 0x88  # in front of the member; the directory still has it right
    (tmp_path / "a.zip").write_bytes(data)
    found = ByteRange.of_file(tmp_path / "a.zip")
    with pytest.raises(CorruptFileError, match="does not inflate"):
        member_range(found, members(found)["ß"])


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        found = archive(tmp_path / "a.zip", ("x", b"1"), ("x", b"2"))
    with pytest.raises(CorruptFileError, match="two members of one name"):
        members(found)


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    found = archive(tmp_path / "a.zip", ("x", bytes(300 << 20)), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsupportedFeatureError, match="says that it inflates to"):
        member_range(found, members(found)["x"])


def test_damage_is_noticed(tmp_path: Path) -> None:
    found = archive(tmp_path / "a.zip", ("x", b"hello" * 100), compression=zipfile.ZIP_DEFLATED)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[40] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(bytes(data))
    broken = ByteRange.of_file(tmp_path / "b.zip")
    with pytest.raises(CorruptFileError, match="does not inflate"):
        member_range(broken, members(broken)["x"])
    (tmp_path / "c.zip").write_bytes(bytes(data[:60]))
    with pytest.raises(CorruptFileError, match="not a whole zip archive"):
        members(ByteRange.of_file(tmp_path / "c.zip"))
    assert found.length == len(data)


def test_a_damaged_local_header(tmp_path: Path) -> None:
    archive(tmp_path / "a.zip", ("x", b"hello"))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[0] = 0
    (tmp_path / "a.zip").write_bytes(bytes(data))
    found = ByteRange.of_file(tmp_path / "a.zip")
    with pytest.raises(CorruptFileError, match="local header"):
        member_range(found, members(found)["x"])


@pytest.mark.parametrize("limit", [0xFFFFFFFF, 10], ids=["32 bits", "64 bits"])
def test_what_is_written_is_what_zipfile_reads(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "WIDE_FROM", limit)  # in place of members of 4 GiB
    target = io.BytesIO()
    write_archive(target, [("a", 3, [b"abc"]), ("gr\u00f6\u00dfe/b", 20, [b"x" * 15, b"y" * 5]), ("empty", 0, [])])
    with zipfile.ZipFile(target) as file:
        assert file.testzip() is None
        found = {info.filename: file.read(info) for info in file.infolist()}
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in file.infolist())
        assert {info.external_attr >> 16 for info in file.infolist()} == {0o644}
    assert found == {"a": b"abc", "gr\u00f6\u00dfe/b": b"x" * 15 + b"y" * 5, "empty": b""}


def test_a_member_of_another_length_than_it_says_is_not_written() -> None:
    with pytest.raises(CorruptFileError, match="4 bytes instead of 3"):
        write_archive(io.BytesIO(), [("a", 3, [b"ab", b"cd"])])
