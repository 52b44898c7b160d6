"""Where the user edited and looked lately."""

from __future__ import annotations

from context.sources.recent import Visit

_MAX_VISITS = 12
# An edit or a look this near to an earlier one goes on with it.
_NEAR_LINES = 8
_LOOK_LINES = 4
_MAX_LINES = 40


class Visits:
    """The last places, newest first.

    Lines are those at the time of the visit; later edits above may shift them, which a few lines
    around each place make up for.
    """

    def __init__(self) -> None:
        self._visits: list[Visit] = []

    @property
    def newest_first(self) -> tuple[Visit, ...]:
        """All of them."""
        return tuple(self._visits)

    def edited(self, path: str, first_line: int, last_line: int) -> None:
        """Text between two lines was edited."""
        self._add(path, first_line, last_line, edited=True)

    def looked(self, path: str, line: int) -> None:
        """The cursor rests on a line."""
        if not any(v.path == path and v.first_line <= line <= v.last_line for v in self._visits):
            first = max(0, line - _LOOK_LINES)
            self._add(path, first, line + _LOOK_LINES, edited=False)

    def _add(self, path: str, first: int, last: int, *, edited: bool) -> None:
        for visit in self._visits:
            near = (
                visit.path == path
                and visit.edited == edited
                and first <= visit.last_line + _NEAR_LINES
                and visit.first_line <= last + _NEAR_LINES
            )
            if near:
                joined = min(first, visit.first_line), max(last, visit.last_line)
                if joined[1] - joined[0] < _MAX_LINES:
                    first, last = joined
                self._visits.remove(visit)
                break
        self._visits.insert(0, Visit(path=path, first_line=first, last_line=last, edited=edited))
        del self._visits[_MAX_VISITS:]
