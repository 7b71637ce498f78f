"""Messages in files: the same fields as from memory, whatever lies where, without reading what is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.storage import protobuf
from kmodel_tools.storage.messages import WINDOW, MessageFile, Span, as_number, as_span
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.tensor import ByteRange
from tests.storage import wire


def in_file(path: Path, message: bytes) -> MessageFile:
    path.write_bytes(message)
    return MessageFile(ByteRange.of_file(path))


def listed(file: MessageFile) -> list[tuple[int, int, int | bytes]]:
    return [(number, kind, value if isinstance(value, int) else bytes(file.view(value))) for number, kind, value in file.fields(file.whole)]


def from_memory(message: bytes) -> list[tuple[int, int, int | bytes]]:
    return [(number, kind, value if isinstance(value, int) else bytes(value)) for number, kind, value in protobuf.fields(message)]


FIELDS = st.one_of(
    st.builds(wire.number, st.integers(1, 5000), st.integers(0, (1 << 64) - 1)),
    st.builds(wire.data, st.integers(1, 5000), st.binary(max_size=300)),
    st.builds(lambda value: wire.varint(7 << 3 | 5) + value, st.binary(min_size=4, max_size=4)),
    st.builds(lambda value: wire.varint(8 << 3 | 1) + value, st.binary(min_size=8, max_size=8)),
)


@given(st.lists(FIELDS, max_size=20))
def test_fields_are_those_that_memory_has(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    message = b"".join(parts)
    assert listed(in_file(tmp_path_factory.mktemp("m") / "m.pb", message)) == from_memory(message)
    assert listed(MessageFile(message)) == from_memory(message)


@given(st.binary(max_size=60))
def test_what_memory_refuses_is_refused(tmp_path_factory: pytest.TempPathFactory, message: bytes) -> None:
    file = in_file(tmp_path_factory.mktemp("m") / "m.pb", message)
    try:
        expected = from_memory(message)
    except WireError:
        with pytest.raises(WireError):
            listed(file)
    else:
        assert listed(file) == expected


@pytest.mark.parametrize("size", [WINDOW - 40, WINDOW - 3, WINDOW, WINDOW + 5, 3 * WINDOW])
def test_fields_on_both_sides_of_a_window(tmp_path: Path, size: int) -> None:
    message = wire.data(1, bytes(size)) + wire.number(2, 1 << 62) + wire.data(3, b"x" * 100) + wire.data(4, bytes(size))
    assert listed(in_file(tmp_path / "m.pb", message)) == from_memory(message)


def test_what_is_skipped_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.pb"
    with path.open("wb") as target:
        target.write(wire.varint(1 << 3 | 2) + wire.varint(1 << 30))
        target.seek(1 << 30, 1)
        target.write(wire.number(2, 7))
    file = MessageFile(ByteRange.of_file(path))
    done: list[int] = []
    original = ByteRange.read

    def counted(self: ByteRange) -> bytes:
        done.append(self.length)
        return original(self)

    monkeypatch.setattr(ByteRange, "read", counted)
    assert [number for number, _, _ in file.fields(file.whole)] == [1, 2]
    assert sum(done) <= 2 * WINDOW


def test_a_message_inside_of_another_ends_where_it_ends() -> None:
    file = MessageFile(wire.data(1, wire.data(2, b"abc")[:-1]) + b"c")
    (inner,) = [value for number, _, value in file.fields(Span(0, file.whole.end - 1)) if number == 1]
    with pytest.raises(WireError, match="past the end"):
        list(file.fields(as_span(inner)))


def test_a_number_is_no_message_and_a_message_no_number() -> None:
    with pytest.raises(WireError):
        as_span(3)
    with pytest.raises(WireError):
        as_number(Span(0, 1))
