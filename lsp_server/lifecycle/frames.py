"""LSP frames: a header with Content-Length, then JSON. Damage costs one frame, never the session.

When a header cannot be trusted, the parser looks for the next one. It is recognised by a
line end right after the length: JSON has no raw line end inside a string, so no text that a
client sends as JSON can look like a header.
"""

from __future__ import annotations

import json
import re
from typing import Literal

import msgspec

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 8 * 1024

FaultCode = Literal["bad_header", "bad_length", "too_large", "bad_json"]

_NEXT_HEADER = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?\n", re.IGNORECASE)
_HEADER_START = re.compile(rb"content-length[ \t]*(?::[ \t]*\d*[ \t]*\r?)?")
_HEADER_NAME = re.compile(rb"[ \t]*[A-Za-z0-9_-]+[ \t]*")
# The longest beginning of a header that may wait for its rest at the end of a chunk.
_HEADER_TAIL_BYTES = 64
_HEADER_END = re.compile(rb"\r?\n\r?\n")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON value that arrived in a frame."""

    value: object


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that was dropped: a stable code and a sentence without any of its content."""

    code: FaultCode
    message: str


class FrameParser:
    """Cuts a byte stream into messages and faults.

    Args:
        max_body_bytes: frames above this size are refused.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._body_length: int | None = None
        self._searching = False
        self._searched = 0

    def feed(self, data: bytes) -> list[Message | Fault]:
        """Take more bytes, cut anywhere.

        Returns:
            every message and fault that is complete now, in order.
        """
        self._buffer += data
        events: list[Message | Fault] = []
        while True:
            if self._searching:
                advanced = self._search()
            elif self._body_length is None:
                advanced = self._read_header(events)
            else:
                advanced = self._read_body(self._body_length, events)
            if not advanced:
                return events

    def _read_header(self, events: list[Message | Fault]) -> bool:
        if not self._buffer:
            return False
        found = _HEADER_END.search(self._buffer, max(0, self._searched - 4))
        if found is None:
            self._searched = len(self._buffer)
            if len(self._buffer) > MAX_HEADER_BYTES:
                events.append(_bad_header("a header line does not end"))
                self._searching = True
                return True
            return False
        header = bytes(self._buffer[: found.start()])
        length = _content_length(header, self._max_body_bytes)
        if isinstance(length, Fault):
            events.append(length)
            self._drop(_last_header(self._buffer, found.end(), self._max_body_bytes))
            self._searching = True
            return True
        self._drop(found.end())
        self._body_length = length
        return True

    def _read_body(self, length: int, events: list[Message | Fault]) -> bool:
        if len(self._buffer) < length:
            # A header inside the body says that the length was too large. Waiting for the
            # rest would swallow the next messages, or hang.
            found = None
            if self._buffer.find(b"\n", self._searched) >= 0:
                start = max(0, self._searched - _HEADER_TAIL_BYTES)
                found = _NEXT_HEADER.search(self._buffer, start)
            self._searched = len(self._buffer)
            if found is None:
                return False
            events.append(_short_body(length))
            self._body_length = None
            self._drop(found.start())
            return True
        body = bytes(self._buffer[:length])
        self._body_length = None
        try:
            value = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            self._recover(body, length, events)
            return True
        self._drop(length)
        events.append(Message(value=value))
        return True

    def _recover(self, body: bytes, length: int, events: list[Message | Fault]) -> None:
        found = _NEXT_HEADER.search(body)
        if found is not None:
            events.append(_short_body(length))
            self._drop(found.start())
            return
        events.append(Fault(code="bad_json", message="The message is no valid JSON."))
        # With a wrong length the next header may begin in what was taken for the body.
        self._drop(_unfinished_header(body))
        self._searching = True

    def _search(self) -> bool:
        found = _NEXT_HEADER.search(self._buffer)
        if found is None:
            self._drop(max(0, len(self._buffer) - _HEADER_TAIL_BYTES))
            return False
        self._drop(found.start())
        self._searching = False
        return True

    def _drop(self, n_bytes: int) -> None:
        del self._buffer[:n_bytes]
        self._searched = 0


def frame(body: bytes) -> bytes:
    """A body with its header, ready to be written."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _last_header(buffer: bytearray, end: int, max_body_bytes: int) -> int:
    """Where to go on after a bad header: the last good one inside it, else its end.

    A frame that was cut off leaves the next frame's header inside its own.
    """
    last = end
    for found in _NEXT_HEADER.finditer(buffer, 1, end):
        # One that is too large was refused already.
        if int(found[1]) <= max_body_bytes:
            last = found.start()
    return last


def _unfinished_header(body: bytes) -> int:
    for at in range(max(0, len(body) - _HEADER_TAIL_BYTES), len(body)):
        tail = body[at:].lower()
        if b"content-length".startswith(tail) or _HEADER_START.fullmatch(tail):
            return at
    return len(body)


def _content_length(header: bytes, max_body_bytes: int) -> int | Fault:
    lengths = set()
    for line in header.splitlines():
        if not line:
            continue
        name, colon, value = line.partition(b":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            return _bad_header("a line is no header")
        name = name.strip().lower()
        if name == b"content-length":
            lengths.add(value.strip())
        elif name.endswith(b"content-length"):
            # The rest of a frame that was cut off runs into this name.
            return _bad_header("Content-Length does not begin its line")
    if not lengths:
        return _bad_header("there is no Content-Length")
    if len(lengths) > 1:
        return Fault(code="bad_length", message="Content-Length is given twice and differs.")
    text = lengths.pop()
    if not text.isdigit():
        return Fault(code="bad_length", message="Content-Length is no whole number.")
    # More digits than this cannot be a size, and int() refuses very long numbers.
    if len(text) > 18 or int(text) > max_body_bytes:
        return Fault(
            code="too_large",
            message=f"A message is over the limit of {max_body_bytes} bytes and was ignored.",
        )
    return int(text)


def _bad_header(what: str) -> Fault:
    return Fault(code="bad_header", message=f"The message header cannot be read: {what}.")


def _short_body(length: int) -> Fault:
    return Fault(
        code="bad_length",
        message=f"Content-Length is {length} bytes, but the next message begins before.",
    )
