"""Suggestions that were turned down: they are not made again at the same place."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_KEPT = 100
# Later the code around may have become another.
_MAX_AGE_S = 600.0


class Rejections:
    """What a line would have become with each of the last suggestions that were turned down.

    So it is the same suggestion when a part of it was typed.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._rejected: OrderedDict[tuple[str, str], float] = OrderedDict()

    def made(self, completion_id: str, uri: str, line_before: str, text: str) -> None:
        """A suggestion was made.

        Args:
            completion_id: of it.
            uri: of the document.
            line_before: text of the cursor's line left of it.
            text: of the suggestion.
        """
        self._made[completion_id] = (uri, line_before + text)
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

    def holds(self, uri: str, line_before: str, text: str, *, complete: bool) -> bool:
        """Whether a suggestion was turned down at its place, or may come to be one that was.

        Args:
            uri: of the document.
            line_before: text of the cursor's line left of it.
            text: of the suggestion so far.
            complete: whether that is all of it.
        """
        whole = line_before + text
        oldest_s = self._clock() - _MAX_AGE_S
        return any(
            document == uri
            and since_s >= oldest_s
            and (rejected == whole or (not complete and rejected.startswith(whole)))
            for (document, rejected), since_s in self._rejected.items()
        )
