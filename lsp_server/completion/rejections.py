"""Suggestions that were turned down: at the same place another one is made instead."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from lsp_server.completion.wording import Wording
from lsp_server.types import CompletionRequest, Snapshot

_MAX_KEPT = 100
# Later the user may want another thing there.
_MAX_AGE_S = 600.0
# Lines above by which a place is known, and how far up the headers of its blocks are looked for.
_N_NEAR = 3
_MAX_LINES_UP = 2000


class _Whole(NamedTuple):
    """What a line would have become, and where; the same when a part of it was typed.

    Args:
        uri: of the document.
        text: the line left of the cursor and the suggestion.
        above: see ``neighbourhood``.
    """

    uri: str
    text: str
    above: tuple[str, ...]


class _Made(NamedTuple):
    """A suggestion, and how it came about.

    Args:
        whole: what the line would have become.
        before: text of the line left of the cursor.
        wording: as the model wrote it.
    """

    whole: _Whole
    before: str
    wording: Wording


class Rejections:
    """The last suggestions that were turned down, each with its place.

    A place is what stands around it, not a number of a line: it stays the same whatever is done
    elsewhere in the file, and a body that begins as every body does is not the same place as
    another one. It ends where the lines above it change, after a while, and once the user asks for
    the suggestion.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._rejected: OrderedDict[_Whole, tuple[_Made, float]] = OrderedDict()

    def made(
        self, completion_id: str, request: CompletionRequest, text: str, wording: Wording
    ) -> None:
        """A suggestion was made; one that was asked for is not turned down any more.

        Args:
            completion_id: of it.
            request: where, in which text.
            text: of the suggestion.
            wording: of it by the model.
        """
        before = _before(request)
        above = neighbourhood(request.snapshot, request.line)
        whole = _Whole(request.snapshot.uri, before + text, above)
        if request.trigger == "invoked":
            self._rejected.pop(whole, None)
        self._made[completion_id] = _Made(whole, before, wording)
        while len(self._made) > _MAX_KEPT:
            self._made.popitem(last=False)

    def rejected(self, completion_id: str) -> None:
        """The user turned it down."""
        made = self._made.pop(completion_id, None)
        if made is None:
            return
        self._rejected[made.whole] = made, self._clock()
        self._rejected.move_to_end(made.whole)
        while len(self._rejected) > _MAX_KEPT:
            self._rejected.popitem(last=False)

    def holds(self, request: CompletionRequest, text: str, *, complete: bool) -> bool:
        """Whether a suggestion is one that was turned down at its place, or may come to be one.

        What the user asks for by hand is not held back.

        Args:
            request: where, in which text.
            text: of the suggestion so far.
            complete: whether that is all of it.
        """
        whole = _before(request) + text
        found = (made.whole.text for made in self._at(request, whole))
        return any(rejected == whole or not complete for rejected in found)

    def wordings(self, request: CompletionRequest) -> list[Wording]:
        """What was turned down at a place, as it would stand behind the cursor by now.

        Args:
            request: where, in which text; who asks by hand gets what the model says.
        """
        by_now = _before(request)
        found = (made.wording.seen_from(made.before, by_now) for made in self._at(request, by_now))
        return [wording for wording in found if wording is not None]

    def _at(self, request: CompletionRequest, whole: str) -> list[_Made]:
        """What was turned down at a place and would have made a line that begins so."""
        if request.trigger == "invoked" or not self._rejected:
            return []
        uri, oldest_s = request.snapshot.uri, self._clock() - _MAX_AGE_S
        alike = [
            made
            for made, since_s in self._rejected.values()
            if made.whole.uri == uri and since_s >= oldest_s and made.whole.text.startswith(whole)
        ]
        above = neighbourhood(request.snapshot, request.line) if alike else ()
        return [made for made in alike if made.whole.above == above]


def neighbourhood(snapshot: Snapshot, line: int) -> tuple[str, ...]:
    """What stands above a line: the nearest lines of its block, and the headers of its blocks.

    A header is a line that is indented less than all between it and the line; blank lines say
    nothing.

    Args:
        snapshot: the text.
        line: zero-based line.
    """
    near: list[str] = []
    headers: list[str] = []
    indent = _indent(snapshot.lines[line]) if line < len(snapshot.lines) else 0
    for number in range(min(line, len(snapshot.lines)) - 1, max(-1, line - _MAX_LINES_UP), -1):
        text = snapshot.lines[number].rstrip()
        if not text:
            continue
        if _indent(text) < indent:
            headers.append(text)
            indent = _indent(text)
        elif not headers and len(near) < _N_NEAR:
            near.append(text)
        if indent == 0 and (headers or len(near) == _N_NEAR):
            break
    return (*near, "", *headers)


def _indent(line: str) -> int:
    """Columns that a line is indented by."""
    wide = line.rstrip("\r\n").expandtabs(8)
    return len(wide) - len(wide.lstrip())


def _before(request: CompletionRequest) -> str:
    lines = request.snapshot.lines
    return lines[request.line][: request.column] if request.line < len(lines) else ""
