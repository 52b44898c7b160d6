"""What stands before the user's eyes in each document, for how long, and how that ends.

Typing what a suggestion says leaves it standing, as editors do; see ``Place.typed_since`` for the
same rule over whole texts.

Source of the rules: a commercial assistant calls a suggestion read after 750 ms, another one leaves
out what was superseded within 500 ms; typing all of a suggestion is told apart from accepting it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from lsp_server.acceptance.events import Ending
from lsp_server.acceptance.retention import Later, Timer
from lsp_server.positions import end_of
from lsp_server.types import Edit, Position, Snapshot

# An editor says that a suggestion was accepted shortly before or after it inserts the text: until
# then all of it may have been typed by hand.
_ACCEPT_S = 1.0
# Editors close brackets and quotes as they are opened.
_CLOSERS = frozenset(")]}\"'`>")
_MAX_CLOSERS = 3

# Called with a name, why it ended, milliseconds it stood there, its characters and those typed.
OnEnd = Callable[[str, Ending, float, int, int], None]


@dataclasses.dataclass(slots=True)
class _Standing:
    """A suggestion that stands at a place.

    Args:
        name: of it.
        uri: of the document.
        at: where its text begins.
        text: of it, from there on.
        since_s: when it came.
        whole: all of it, of which ``text`` is the end where it came again behind a typed part.
        n_done: characters of ``text`` that stand in the document by now.
        n_done_before: the same before the last edit.
        n_taken: characters of the whole that were accepted.
        done_s: when all of it stood in the document.
        timer: at its end there was no accept.
    """

    name: str
    uri: str
    at: Position
    text: str
    since_s: float
    whole: str
    n_done: int = 0
    n_done_before: int = 0
    n_taken: int = 0
    done_s: float | None = None
    timer: Timer | None = None

    @property
    def cursor(self) -> Position:
        """Where what is left of it is shown."""
        return end_of(self.at, self.text[: self.n_done])

    @property
    def n_skipped(self) -> int:
        """Characters of all of it that stood in the document when it came."""
        return len(self.whole) - len(self.text)

    @property
    def n_standing(self) -> int:
        """Characters of all of it that stand in the document by now."""
        return self.n_skipped + self.n_done

    @property
    def is_first_line_done(self) -> bool:
        """Whether its first line, or all of it, stands in the document."""
        n_blank = len(self.whole) - len(self.whole.lstrip())
        ends = (self.whole.find(eol, n_blank) for eol in "\r\n")
        end = min((end for end in ends if end >= 0), default=len(self.whole))
        return self.n_standing >= end > n_blank


class Screen:
    """At most one suggestion in each document.

    Args:
        on_end: told when one stands no longer.
        now_s: the clock, in seconds.
        later: calls something after so many seconds.
    """

    def __init__(self, on_end: OnEnd, now_s: Callable[[], float], later: Later) -> None:
        self._on_end = on_end
        self._now_s = now_s
        self._later = later
        self._by_uri: dict[str, _Standing] = {}

    def show(
        self, name: str, uri: str, at: Position, text: str, *, whole: str, n_taken: int = 0
    ) -> None:
        """A suggestion stands there, or what is left of it, or more of it than before.

        Args:
            name: of the suggestion; that of what is left is the same.
            uri: of the document.
            at: where its text begins.
            text: of it.
            whole: all of it, as it was shown first.
            n_taken: characters of it that were accepted by now.
        """
        standing = self._by_uri.get(uri)
        if standing is not None and standing.name == name:
            is_rest = standing.whole.endswith(text)
            done = standing.text[: standing.n_done]
            if standing.at == at and text.startswith(done) and not is_rest:
                standing.whole = standing.whole[: standing.n_skipped] + text
                standing.text = text
            return
        if standing is not None:
            self._end(standing, "superseded")
        whole = whole if whole.endswith(text) else text
        self._by_uri[uri] = _Standing(name, uri, at, text, self._now_s(), whole, n_taken=n_taken)

    def replace(self, name: str, uri: str, at: Position, text: str) -> None:
        """The user looks at another text in the place of a suggestion.

        Args:
            name: of the suggestion, which stays the same.
            uri: of the document.
            at: where the text begins.
            text: all of it.
        """
        standing = self._by_uri.get(uri)
        if standing is not None and standing.name == name:
            standing.at, standing.text, standing.whole = at, text, text
            standing.n_done = standing.n_done_before = 0

    def before_accept(self, name: str, uri: str, n_end: int) -> tuple[int, bool] | None:
        """How much of a suggestion was in the document before it was accepted.

        Args:
            name: of it.
            uri: of the document.
            n_end: up to where it was accepted.

        Returns:
            Its characters, and whether the accepted text is in the document by now; None where the
            suggestion is not on the screen.
        """
        standing = self._by_uri.get(uri)
        if standing is None or standing.name != name:
            return None
        is_there = standing.n_standing >= n_end
        n_done = standing.n_done_before if is_there else standing.n_done
        return standing.n_skipped + n_done, is_there

    def took(self, name: str, uri: str, n_taken: int) -> None:
        """Of the suggestion so many characters were accepted by now."""
        standing = self._by_uri.get(uri)
        if standing is not None and standing.name == name:
            standing.n_taken = n_taken

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        standing = self._by_uri.get(snapshot.uri)
        if standing is None or not edits:
            return
        if standing.done_s is not None:
            self._end(standing, "superseded")  # nothing was left of it to show
            return
        n_done = _typed(standing, snapshot, edits)
        if n_done is None:
            lines = {line for edit in edits for line in (edit.start.line, edit.end.line)}
            here = standing.at.line <= max(lines) and min(lines) <= standing.cursor.line
            self._end(standing, "typed_over" if here else "superseded")
            return
        standing.n_done, standing.n_done_before = n_done, standing.n_done
        if n_done == len(standing.text):
            standing.done_s = self._now_s()
            standing.timer = self._later(_ACCEPT_S, lambda: self._end(standing, "superseded"))

    def requested(self, uri: str, at: Position) -> None:
        """A suggestion is asked for: if that is elsewhere, the cursor has gone there."""
        standing = self._by_uri.get(uri)
        if standing is not None and standing.cursor != at:
            self._end(standing, "superseded")

    def unanswered(self, uri: str) -> None:
        """The last request brought nothing, which takes the place of what stood there."""
        if (standing := self._by_uri.get(uri)) is not None:
            self._end(standing, "superseded")

    def end(self, name: str, uri: str, how: Ending) -> None:
        """A suggestion was accepted or dismissed."""
        standing = self._by_uri.get(uri)
        if standing is not None and standing.name == name:
            self._end(standing, how)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        if (standing := self._by_uri.get(uri)) is not None:
            self._end(standing, "closed")

    def close(self) -> None:
        """The session ends."""
        for standing in list(self._by_uri.values()):
            self._end(standing, "session_ended")

    def _end(self, standing: _Standing, how: Ending) -> None:
        if self._by_uri.get(standing.uri) is not standing:
            return
        del self._by_uri[standing.uri]
        if standing.timer is not None:
            standing.timer.cancel()
        n_chars = len(standing.whole)
        n_done = n_chars if how == "accepted" else standing.n_standing
        if how not in ("accepted", "dismissed") and not standing.n_taken:
            how = "typed_through" if standing.is_first_line_done else how
        end_s = standing.done_s if standing.done_s is not None else self._now_s()
        visible_ms = 1000 * max(0.0, end_s - standing.since_s)
        self._on_end(standing.name, how, visible_ms, n_chars, max(0, n_done - standing.n_taken))


def _typed(standing: _Standing, snapshot: Snapshot, edits: Sequence[Edit]) -> int | None:
    """Characters of a suggestion that stand in the document; None where it says something else."""
    cursor = standing.cursor
    for edit in edits:
        if edit.start < standing.at:
            return None
        if edit.end > cursor and not _CLOSERS.issuperset(edit.removed):
            return None
        cursor = end_of(edit.start, edit.text)
    typed = _between(snapshot, standing.at, cursor)
    for n_closers in range(_MAX_CLOSERS + 1):
        said = typed[: len(typed) - n_closers]
        if not _CLOSERS.issuperset(typed[len(said) :]):
            return None
        if standing.text.startswith(said):
            return len(said)
    return None


def _between(snapshot: Snapshot, start: Position, end: Position) -> str:
    lines = snapshot.lines
    if start.line >= len(lines) or end < start:
        return ""
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    middle = "".join(lines[start.line + 1 : end.line])
    last = lines[end.line][: end.column] if end.line < len(lines) else ""
    return lines[start.line][start.column :] + middle + last
