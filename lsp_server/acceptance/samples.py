"""Text for fine-tuning, kept only if the user wants it: suggestions, and what became of them.

Half a minute after a suggestion was shown, what stands in its place is what the user wanted. Texts
are redacted before they are kept, and files that no prompt may show are left out.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import msgspec

from context.redact import redact
from lsp_server.acceptance.kept import smallest
from lsp_server.acceptance.retention import Later, Timer
from lsp_server.positions import end_of
from lsp_server.types import Edit, Position, Snapshot

AFTER_S = 30.0
N_PREFIX_CHARS = 2000
# Whoever writes a page in half a minute has pasted it.
_MAX_CHARS = 4000
_MAX_FOLLOWED = 100


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion with its text.

    Args:
        completion_id: names it in the acceptance log, with ``session``.
        ts: when it was shown, in seconds since 1970.
        session: the server process' session id.
        language: LSP language id.
        model: id of the model.
        prefix: end of the text before the cursor.
        suggestion: what was shown.
        became: how it ended: ``accepted``, ``partially_accepted``, or as in ``Ended``; "" while
            it stands.
        after: what stood in its place after ``after_s`` seconds.
        after_s: half a minute, or less where the document was closed before.
    """

    completion_id: str
    ts: float
    session: str
    language: str
    model: str
    prefix: str
    suggestion: str
    became: str
    after: str
    after_s: float


@dataclasses.dataclass(slots=True)
class _Followed:
    sample: Sample
    uri: str
    # What comes between the two places was written since.
    start: Position
    end: Position
    timer: Timer | None = None


class Samples:
    """Follows the places where suggestions were shown.

    Args:
        keep: takes a sample that is complete.
        may_keep: whether text of a document may be kept, by its URI.
        later: calls something after so many seconds.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        keep: Callable[[Sample], None],
        may_keep: Callable[[str], bool],
        later: Later,
        clock: Callable[[], float],
    ) -> None:
        self._keep = keep
        self._may_keep = may_keep
        self._later = later
        self._clock = clock
        self._texts: dict[str, Snapshot] = {}
        self._followed: dict[str, _Followed] = {}

    def shown(self, sample: Sample, uri: str, at: Position, snapshot: Snapshot) -> None:
        """A suggestion was shown; its text may still grow.

        Args:
            sample: with its text, and without a prefix.
            uri: of the document.
            at: where it is shown.
            snapshot: the text that it is for.
        """
        known = self._followed.get(sample.completion_id)
        if known is not None:
            if len(sample.suggestion) > len(known.sample.suggestion) and known.start == at:
                known.sample = msgspec.structs.replace(known.sample, suggestion=sample.suggestion)
            return
        if not self._may_keep(uri):
            return
        sample = msgspec.structs.replace(sample, prefix=_tail(snapshot, at), ts=self._clock())
        self._texts.setdefault(uri, snapshot)
        followed = _Followed(sample, uri, at, at)
        followed.timer = self._later(AFTER_S, lambda: self._tell(sample.completion_id))
        self._followed[sample.completion_id] = followed
        while len(self._followed) > _MAX_FOLLOWED:
            self._tell(next(iter(self._followed)))

    def became(self, completion_id: str, how: str) -> None:
        """How a suggestion ended."""
        if (found := self._followed.get(completion_id)) is not None:
            found.sample = msgspec.structs.replace(found.sample, became=how)

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        here = [each for each in self._followed.values() if each.uri == snapshot.uri]
        if not here:
            self._texts.pop(snapshot.uri, None)
            return
        self._texts[snapshot.uri] = snapshot
        for edit in edits:
            for step in smallest(edit):
                for each in here:
                    each.start = _moved(each.start, step, stays=True)
                    each.end = _moved(each.end, step, stays=False)

    def closed(self, uri: str) -> None:
        """A document was closed: what stands there now is all that will be known."""
        for name in [name for name, each in self._followed.items() if each.uri == uri]:
            self._tell(name)
        self._texts.pop(uri, None)

    def close(self) -> None:
        """The session ends."""
        for name in list(self._followed):
            self._tell(name)

    def _tell(self, name: str) -> None:
        found = self._followed.pop(name, None)
        if found is None:
            return
        if found.timer is not None:
            found.timer.cancel()
        sample = found.sample
        after = _between(self._texts[found.uri], found.start, found.end)
        self._keep(
            msgspec.structs.replace(
                sample,
                # In one piece: what looks like a key may begin in one and end in another.
                **_redacted(sample.prefix, sample.suggestion, after),
                after_s=min(AFTER_S, max(0.0, self._clock() - sample.ts)),
            )
        )


def _redacted(prefix: str, suggestion: str, after: str) -> dict[str, str]:
    return {
        "prefix": redact(prefix),
        "suggestion": _behind(prefix, suggestion),
        "after": _behind(prefix, after),
    }


def _behind(prefix: str, text: str) -> str:
    """A text redacted as what goes on from a prefix; nothing of it where a key spans both."""
    line = prefix[prefix.rfind("\n") + 1 :]
    whole, before = redact(line + text), redact(line)
    if whole == line + text:
        return text
    return whole[len(before) :] if whole.startswith(before) else ""


def _tail(snapshot: Snapshot, at: Position) -> str:
    lines = snapshot.lines
    text = lines[at.line][: at.column] if at.line < len(lines) else ""
    for number in range(min(at.line, len(lines)) - 1, -1, -1):
        if len(text) >= N_PREFIX_CHARS:
            break
        text = lines[number] + text
    return text[-N_PREFIX_CHARS:]


def _moved(place: Position, edit: Edit, *, stays: bool) -> Position:
    """Where a place is after an edit; ``stays``: left of what is inserted at it."""
    if place < edit.start or (stays and place == edit.start):
        return place
    if place == edit.start and place < edit.end:
        # What both texts end with was there before.
        pairs = zip(reversed(edit.removed), reversed(edit.text), strict=False)
        n_same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        return end_of(edit.start, edit.text[: len(edit.text) - n_same])
    after = end_of(edit.start, edit.text)
    if place < edit.end:
        return edit.start if stays else after
    column = place.column - edit.end.column + after.column
    same_line = place.line == edit.end.line
    return Position(place.line - edit.end.line + after.line, column if same_line else place.column)


def _between(snapshot: Snapshot, start: Position, end: Position) -> str:
    lines = snapshot.lines
    if start.line >= len(lines) or end.line >= len(lines):
        return ""
    if start.line == end.line:
        return lines[start.line][start.column : end.column][:_MAX_CHARS]
    middle = "".join(lines[start.line + 1 : end.line])
    text = lines[start.line][start.column :] + middle + lines[end.line][: end.column]
    return text[:_MAX_CHARS]
