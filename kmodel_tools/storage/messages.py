"""Protocol-buffer files that may be gigabytes: their fields are walked through a small window, and what is skipped is not read.

A frozen graph holds its constants inside of messages. They stay where they are; only the messages around them are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kmodel_tools.storage.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, read_varint
from kmodel_tools.tensor import ByteRange, InMemory, Source

WINDOW = 64 << 10
"""Bytes of the file that are held at a time."""
HEADER = 32
"""More than the bytes that a field has before its value: two varints."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a bytes field lies in the file: offsets of its first byte and behind its last."""

    start: int
    end: int

    def __len__(self) -> int:
        """Number of bytes."""
        return self.end - self.start


class MessageFile:
    """A file that is one message, or the bytes of one in memory."""

    def __init__(self, stored: ByteRange | bytes) -> None:
        self.stored = stored
        self.whole = Span(0, stored.length if isinstance(stored, ByteRange) else len(stored))
        self._start = 0
        self._window = memoryview(b"")

    def fields(self, span: Span) -> Iterator[tuple[int, int, int | Span]]:
        """Yield `(field number, wire type, value)` of the message at a span; numbers, or the spans of bytes.

        Raises:
            WireError: There is no message.
        """
        at, end = span.start, span.end
        while at < end:
            window, base = self._around(at)
            tag, offset = read_varint(window, at - base)
            wire = tag & 7
            value: int | Span
            if wire == VARINT:
                value, offset = read_varint(window, offset)
                at = base + offset
            elif wire == BYTES:
                length, offset = read_varint(window, offset)
                value = Span(base + offset, base + offset + length)
                at = value.end
            elif wire in (FIXED64, FIXED32):
                size = 8 if wire == FIXED64 else 4
                value = int.from_bytes(window[offset : offset + size], "little")
                at = base + offset + size
            else:
                raise WireError(f"a field has the unknown wire type {wire}")
            if at > end:
                raise WireError("a field runs past the end")
            yield tag >> 3, wire, value

    def _around(self, at: int) -> tuple[memoryview, int]:
        """A window that holds what stands before a field's value, and the offset at which it starts."""
        needed = min(at + HEADER, self.whole.end)
        if at < self._start or needed > self._start + len(self._window):
            self._start = at
            self._window = self._read(at, min(at + WINDOW, self.whole.end))
        return self._window, self._start

    def _read(self, start: int, end: int) -> memoryview:
        if isinstance(self.stored, ByteRange):
            return memoryview(self.stored.slice(start, end - start).read())
        return memoryview(self.stored)[start:end]

    def view(self, value: int | Span) -> memoryview:
        """The bytes of a bytes field.

        Raises:
            WireError: The field holds a number.
        """
        span = as_span(value)
        if self._start <= span.start and span.end <= self._start + len(self._window):
            return self._window[span.start - self._start : span.end - self._start]
        return self._read(span.start, span.end)

    def text(self, value: int | Span) -> str:
        """The bytes of a field as text; what is not UTF-8 is kept as surrogates.

        Raises:
            WireError: The field holds a number.
        """
        return bytes(self.view(value)).decode("utf-8", "surrogateescape")

    def source(self, span: Span) -> Source:
        """The bytes at a span as they are, unread."""
        if isinstance(self.stored, ByteRange):
            return self.stored.slice(span.start, len(span))
        return InMemory(memoryview(self.stored)[span.start : span.end])


def as_span(value: int | Span) -> Span:
    """A bytes field's value.

    Raises:
        WireError: The field holds a number.
    """
    if isinstance(value, int):
        raise WireError("a field holds a number where bytes belong")
    return value


def as_number(value: int | Span) -> int:
    """A number field's value.

    Raises:
        WireError: The field holds bytes.
    """
    if isinstance(value, Span):
        raise WireError("a field holds bytes where a number belongs")
    return value
