"""What becomes of accepted text: how much of it still stands some time later.

Source of the times: telemetry of a commercial assistant (15, 30, 120, 300 and 600 seconds).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from lsp_server.acceptance.kept import Kept
from lsp_server.positions import end_of
from lsp_server.types import Edit, Position, Snapshot

TIMES_S = (15.0, 30.0, 120.0, 300.0, 600.0)
_MAX_FOLLOWED = 200
_MAX_LINES_OFF = 200

# Called with the name of an accepted text, seconds since then, its characters, and those left.
OnRetained = Callable[[str, float, int, int], None]


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> None:
        """It is not to happen any more."""


# Calls something after so many seconds.
Later = Callable[[float, Callable[[], None]], Timer]


@dataclasses.dataclass(slots=True)
class _Accepted:
    """A text that was accepted, and is not in the document yet, or being followed."""

    name: str
    uri: str
    at: Position
    text: str
    n_chars: int = 0
    timers: list[Timer] = dataclasses.field(default_factory=list)


class Retention:
    """Follows accepted texts through the edits of their documents.

    An editor says that a suggestion was accepted shortly before or after it inserts the text.

    Args:
        on_retained: told at each of the times.
        later: the clock.
    """

    def __init__(self, on_retained: OnRetained, later: Later) -> None:
        self._on_retained = on_retained
        self._later = later
        self._texts: dict[str, Snapshot] = {}
        self._kept: dict[str, Kept] = {}
        self._followed: dict[str, _Accepted] = {}
        self._waiting: dict[str, _Accepted] = {}

    def opened(self, snapshot: Snapshot) -> None:
        """A document was opened."""
        self._texts[snapshot.uri] = snapshot

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        self._texts[snapshot.uri] = snapshot
        kept = self._kept.get(snapshot.uri)
        waiting = self._waiting.get(snapshot.uri)
        for edit in edits:
            if kept is not None:
                kept.edit(edit)
        if waiting is not None and any(waiting.text in edit.text for edit in edits):
            del self._waiting[snapshot.uri]
            self._follow(waiting)

    def accepted(
        self, name: str, uri: str, at: Position, text: str, *, is_there: bool | None = None
    ) -> None:
        """A suggestion was accepted, or a further part of it.

        Args:
            name: of the suggestion.
            uri: of the document.
            at: where the text was to be inserted.
            text: with the document's EOLs.
            is_there: whether the document has it already; None where only its text tells. The same
                text may have stood there before.
        """
        found = _Accepted(name=name, uri=uri, at=at, text=text)
        snapshot = self._texts.get(uri)
        if snapshot is None:
            return
        stands = _stands_at(snapshot, at, text)
        if stands if is_there is None else is_there and stands:
            self._follow(found)
        else:
            self._waiting[uri] = found

    def closed(self, uri: str) -> None:
        """A document was closed: nobody knows what becomes of its text."""
        self._texts.pop(uri, None)
        self._kept.pop(uri, None)
        self._waiting.pop(uri, None)
        for name in [each.name for each in self._followed.values() if each.uri == uri]:
            self._forget(name)

    def close(self) -> None:
        """Nothing is told any more."""
        for name in list(self._followed):
            self._forget(name)

    def _follow(self, found: _Accepted) -> None:
        snapshot = self._texts[found.uri]
        at = _place_of(snapshot, found.at, found.text)
        if at is None:
            return
        kept = self._kept.setdefault(found.uri, Kept())
        kept.add(found.name, at, found.text)
        known = self._followed.setdefault(found.name, found)
        known.n_chars += len(found.text)
        for timer in known.timers:
            timer.cancel()
        # The times of a text that is accepted in parts count from the last one.
        known.timers = [self._later(s, self._teller(found.name, s)) for s in TIMES_S]
        while len(self._followed) > _MAX_FOLLOWED:
            self._forget(next(iter(self._followed)))

    def _teller(self, name: str, after_s: float) -> Callable[[], None]:
        def tell() -> None:
            known = self._followed.get(name)
            kept = self._kept.get(known.uri) if known else None
            if known is None or kept is None:
                return
            self._on_retained(name, after_s, known.n_chars, kept.n_kept(name))
            if after_s == TIMES_S[-1]:
                self._forget(name)

        return tell

    def _forget(self, name: str) -> None:
        known = self._followed.pop(name, None)
        if known is None:
            return
        for timer in known.timers:
            timer.cancel()
        if (kept := self._kept.get(known.uri)) is not None:
            kept.forget(name)


def _place_of(snapshot: Snapshot, at: Position, text: str) -> Position | None:
    """Where a text stands: where it was to be, or in the same column some lines off."""
    for off in range(_MAX_LINES_OFF):
        for line in {at.line - off, at.line + off}:
            if line >= 0 and _stands_at(snapshot, Position(line, at.column), text):
                return Position(line, at.column)
    return None


def _stands_at(snapshot: Snapshot, at: Position, text: str) -> bool:
    end = end_of(at, text)
    lines = snapshot.lines
    if end.line >= len(lines):
        return False
    if at.line == end.line:
        return lines[at.line][at.column : end.column] == text
    middle = "".join(lines[at.line + 1 : end.line])
    return lines[at.line][at.column :] + middle + lines[end.line][: end.column] == text
