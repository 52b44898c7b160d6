"""What was edited and looked at lately in other files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex

EDIT_ORIGIN, LOOK_ORIGIN = "recent_edit", "recent_look"
_LINES_AROUND = 4
_MAX_LINES = 30
_EDIT_SCORE, _LOOK_SCORE = 1.0, 0.4


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the user was.

    Args:
        path: of the file, relative to the root.
        first_line: zero-based.
        last_line: the last one, too.
        edited: whether something was typed there.
    """

    path: str
    first_line: int
    last_line: int
    edited: bool


def find(view: View, index: WorkspaceIndex, visits: Sequence[Visit]) -> list[Snippet]:
    """The places in other files where the user was last, newest first.

    Args:
        view: of the cursor.
        index: of the workspace.
        visits: newest first.
    """
    found = []
    for age, visit in enumerate(v for v in visits if v.path != view.path):
        data = index.read(visit.path)
        if data is None:
            continue
        lines = data.split(b"\n")
        first = max(0, visit.first_line - _LINES_AROUND)
        last = min(len(lines), visit.last_line + _LINES_AROUND + 1, first + _MAX_LINES)
        start = sum(len(line) + 1 for line in lines[:first])
        text = b"\n".join(lines[first:last])
        score = (_EDIT_SCORE if visit.edited else _LOOK_SCORE) / (1 + age)
        if text.strip():
            found.append(
                Snippet(
                    path=visit.path,
                    start_byte=start,
                    end_byte=start + len(text),
                    text=text.decode("utf-8", "replace").strip("\n"),
                    origin=EDIT_ORIGIN if visit.edited else LOOK_ORIGIN,
                    score=score,
                )
            )
    return found
