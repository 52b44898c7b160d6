"""A typing session: what was typed where, and how long each key took.

A session file is JSON lines: first a header with the text of every file at the start, then the
events in order. Lines and columns are zero-based; columns count code points.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server.errors import UsageError

# After a file was opened, after the cursor went elsewhere, or while typing on.
Kind = Literal["cold", "jump", "warm"]
DEFAULT_FILE = Path(__file__).with_name("sessions") / "typing.jsonl"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a session file.

    Args:
        name: for display.
        note: where the session and its gaps come from.
        files: path to text, for every file that is opened.
    """

    name: str
    note: str
    files: dict[str, str]


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """A file is opened, or one that is open gets the focus.

    Args:
        gap_ms: since the event before.
        path: a key of the header's files.
    """

    gap_ms: float
    path: str


class Move(msgspec.Struct, frozen=True, kw_only=True, tag="move"):
    """The cursor goes elsewhere in the file."""

    gap_ms: float
    line: int
    column: int


class Edit(msgspec.Struct, frozen=True, kw_only=True, tag="edit"):
    """A range is replaced by a text; the cursor is at the text's end then.

    Args:
        gap_ms: since the event before.
        line: where the range starts.
        column: where the range starts.
        end_line: where it ends.
        end_column: where it ends.
        text: instead of the range.
    """

    gap_ms: float
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


Event = Open | Move | Edit


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The editor after an event.

    Args:
        path: of the file that has the focus.
        text: of that file.
        line: of the cursor.
        column: of the cursor.
    """

    path: str
    text: str
    line: int
    column: int

    @property
    def before(self) -> str:
        """The text left of the cursor."""
        return self.text[: offset_of(self.text, self.line, self.column)]

    @property
    def after(self) -> str:
        """The text right of the cursor."""
        return self.text[len(self.before) :]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What happens from one request to the next.

    Args:
        number: 0 for the first request.
        kind: what the request follows.
        events: those since the request before, each with the editor after it; the request is
            made after the last one.
        available_ms: time until the next request takes over; infinite for the last one.
    """

    number: int
    kind: Kind
    events: tuple[tuple[Event, Moment], ...]
    available_ms: float

    @property
    def moment(self) -> Moment:
        """The editor when the request is made."""
        return self.events[-1][1]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A typing session with a hash of its file."""

    header: Header
    events: tuple[Event, ...]
    sha256: str = ""


def load(path: Path) -> Session:
    """Read a session file.

    Raises:
        UsageError: there is none (``no_session``), or it is something else (``not_a_session``).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The session {path} cannot be read: {error.strerror}.", code="no_session"
        ) from error
    decode = msgspec.json.Decoder(Event).decode
    try:
        first, *lines = data.splitlines()
        session = Session(
            header=msgspec.json.decode(first, type=Header),
            events=tuple(decode(line) for line in lines if line.strip()),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        list(replay(session))
    except (ValueError, msgspec.MsgspecError) as error:
        raise UsageError(
            f"{path} is no typing session: {error}.",
            code="not_a_session",
            hint="Its first line is the header; then comes one event a line.",
        ) from error
    return session


def dump(session: Session) -> bytes:
    """A session as its file holds it."""
    parts = [session.header, *session.events]
    return b"".join(msgspec.json.encode(part) + b"\n" for part in parts)


def replay(session: Session) -> Iterator[tuple[Event, Moment]]:
    """Each event with the editor after it.

    Raises:
        ValueError: an event does not fit the text.
    """
    texts = dict(session.header.files)
    cursors: dict[str, tuple[int, int]] = {}
    path = ""
    for number, event in enumerate(session.events):
        if isinstance(event, Open):
            path = event.path
            if path not in texts:
                raise ValueError(f"event {number}: the header has no file {path!r}")
        elif not path:
            raise ValueError(f"event {number}: no file is open")
        elif isinstance(event, Move):
            offset_of(texts[path], event.line, event.column)
            cursors[path] = (event.line, event.column)
        else:
            texts[path], cursors[path] = _edited(texts[path], event)
        line, column = cursors.get(path, (0, 0))
        yield event, Moment(path=path, text=texts[path], line=line, column=column)


def steps(session: Session, pause_ms: float, *, every_key: bool = False) -> list[Step]:
    """The requests that an editor makes in a session.

    Args:
        session: what is typed.
        pause_ms: an edit is followed by a request when nothing happens for that long.
        every_key: every edit is followed by a request.
    """
    result: list[Step] = []
    pending: list[tuple[Event, Moment]] = []
    since: list[float] = []
    kind: Kind = "cold"
    seen: set[str] = set()
    replayed = list(replay(session))
    for number, (event, moment) in enumerate(replayed):
        pending.append((event, moment))
        since.append(event.gap_ms)
        if isinstance(event, Open):
            kind = "jump" if event.path in seen else "cold"
            seen.add(event.path)
        elif isinstance(event, Move):
            kind = "jump" if kind == "warm" else kind
        last = number + 1 == len(replayed)
        next_gap_ms = math.inf if last else session.events[number + 1].gap_ms
        if isinstance(event, Edit) and (every_key or next_gap_ms >= pause_ms):
            _set_available(result, sum(since))
            since.clear()
            step = Step(number=len(result), kind=kind, events=tuple(pending), available_ms=math.inf)
            result.append(step)
            pending, kind = [], "warm"
    return result


def _set_available(result: list[Step], available_ms: float) -> None:
    if result:
        result[-1] = msgspec.structs.replace(result[-1], available_ms=available_ms)


def offset_of(text: str, line: int, column: int) -> int:
    """The offset of a position in code points.

    Raises:
        ValueError: there is no such position.
    """
    lines = text.split("\n")
    if not 0 <= line < len(lines) or not 0 <= column <= len(lines[line]):
        raise ValueError(f"there is no line {line + 1}, column {column + 1} in the file")
    return sum(len(before) + 1 for before in lines[:line]) + column


def _edited(text: str, edit: Edit) -> tuple[str, tuple[int, int]]:
    start = offset_of(text, edit.line, edit.column)
    end = offset_of(text, edit.end_line, edit.end_column)
    if end < start:
        raise ValueError("an edit's range ends before it starts")
    *whole, rest = edit.text.split("\n")
    line = edit.line + len(whole)
    column = len(rest) + (0 if whole else edit.column)
    return text[:start] + edit.text + text[end:], (line, column)
