"""Suggestions that were turned down: they are not made again at the same place."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

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
        self._made: OrderedDict[str, _Whole] = OrderedDict()
        self._rejected: OrderedDict[_Whole, float] = OrderedDict()

    def made(self, completion_id: str, request: CompletionRequest, text: str) -> None:
        """A suggestion was made; one that was asked for is not turned down any more.

        Args:
            completion_id: of it.
            request: where, in which text.
            text: of the suggestion.
        """
        whole = _Whole(
            request.snapshot.uri,
            _before(request) + text,
            neighbourhood(request.snapshot, request.line),
        )
        if request.trigger == "invoked":
            self._rejected.pop(whole, None)
        self._made[completion_id] = whole
        while len(self._made) > _MAX_KEPT:
            self._made.popitem(last=False)

    def rejected(self, completion_id: str) -> None:
        """The user turned it down."""
        whole = self._made.pop(completion_id, None)
        if whole is None:
            return
        self._rejected[whole] = self._clock()
        self._rejected.move_to_end(whole)
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
        if request.trigger == "invoked" or not self._rejected:
            return False
        whole, oldest_s = _before(request) + text, self._clock() - _MAX_AGE_S
        alike = [
            rejected.above
            for rejected, since_s in self._rejected.items()
            if rejected.uri == request.snapshot.uri
            and since_s >= oldest_s
            and (rejected.text == whole or (not complete and rejected.text.startswith(whole)))
        ]
        return bool(alike) and neighbourhood(request.snapshot, request.line) in alike


def neighbourhood(snapshot: Snapshot, line: int) -> tuple[str, ...]:
    """What stands above a line: the nearest lines, and the headers of the blocks it is in.

    A header is a line that is indented less than all between it and the nearest one; blank lines
    say nothing.

    Args:
        snapshot: the text.
        line: zero-based line.
    """
    near: list[str] = []
    headers: list[str] = []
    indent: int | None = None
    for number in range(min(line, len(snapshot.lines)) - 1, max(-1, line - _MAX_LINES_UP), -1):
        text = snapshot.lines[number].rstrip()
        if not text:
            continue
        if len(near) < _N_NEAR:
            near.append(text)
        width = len(text.expandtabs(8)) - len(text.expandtabs(8).lstrip())
        if indent is not None and width < indent:
            headers.append(text)
        indent = width if indent is None else min(indent, width)
        if indent == 0 and len(near) == _N_NEAR:
            break
    return (*near, "", *headers)


def _before(request: CompletionRequest) -> str:
    lines = request.snapshot.lines
    return lines[request.line][: request.column] if request.line < len(lines) else ""
