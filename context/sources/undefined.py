"""Names that the open file uses and nobody defines: likely to be what is written next.

Whoever writes the use before the definition has said already what it is called, and what it takes.
"""

from __future__ import annotations

import builtins
import functools
import keyword
import re

from context.outline import line_start, lines_around
from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex

ORIGIN = "undefined"
_SCORE = 0.9
_MAX_RESULTS = 4
_MAX_FILE_BYTES = 128 * 1024
_LINES_BEFORE, _LINES_BEHIND = 1, 2
# Where a definition may begin: what stands left of the cursor on its line.
_BEGINNING = re.compile(
    r"\s*(?:@.*|(?:async\s+)?(?:d|de|def|def\s+\w*)|c|cl|cla|class?|class\s+\w*)?"
)
_WORD = re.compile(rb"(?<![\w.])[A-Za-z_]\w*(?P<call>\s*\()?")
_OF_SELF = re.compile(
    rb"(?<![\w.])(?:self|cls)\.(?P<name>[A-Za-z_]\w*)(?P<set>\s*(?::[^=\n]+)?=(?!=))?"
)
_DEFINED = re.compile(
    rb"(?:def|class)\s+(\w+)|^\s*(\w+)\s*(?::[^=\n]+)?=(?!=)|^\s*(\w+)\s*:\s*\w", re.MULTILINE
)
_KNOWN = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls"})


def find(view: View, index: WorkspaceIndex) -> list[Snippet]:
    """Places where such names are used, nearest first; none where no definition can begin.

    Args:
        view: of the cursor.
        index: of the workspace.
    """
    innermost = view.enclosing[-1] if view.enclosing else None
    in_body = innermost is not None and innermost.kind == "function"
    if in_body or not _BEGINNING.fullmatch(view.before[-1]) or len(view.data) > _MAX_FILE_BYTES:
        return []
    # Without the cursor's line, so that the answer holds for all of its keys.
    start, end = line_start(view.data, view.cursor), view.data.find(b"\n", view.cursor)
    end = len(view.data) if end < 0 else end
    imported = {item.local for item in view.imports}
    uses = [
        (name, at if at < start else at + end - start)
        for name, at in _uses(view.data[:start] + view.data[end:])
        if name not in imported and not index.n_defined(name)
    ]
    uses.sort(key=lambda use: abs(use[1] - view.cursor))
    return [_snippet(view, at) for _, at in uses[:_MAX_RESULTS]]


@functools.lru_cache(maxsize=4)
def _uses(data: bytes) -> tuple[tuple[str, int], ...]:
    """The first use of each name that a file uses and does not define."""
    groups = (found.groups() for found in _DEFINED.finditer(data))
    defined = {name.decode() for names in groups for name in names if name}
    calls: dict[str, int] = {}
    seen_otherwise: set[str] = set()
    for found in _WORD.finditer(data):
        name = found.group().decode().rstrip("( \t\r\n")
        if found["call"]:
            calls.setdefault(name, found.start())
        else:
            # A parameter, a variable, an import: it comes from somewhere.
            seen_otherwise.add(name)
    set_on_self = set()
    of_self: dict[str, int] = {}
    for found in _OF_SELF.finditer(data):
        name = found["name"].decode()
        if found["set"]:
            set_on_self.add(name)
        of_self.setdefault(name, found.start())
    uses = {name: at for name, at in calls.items() if name not in seen_otherwise}
    uses |= {name: at for name, at in of_self.items() if name not in set_on_self}
    known = defined | _KNOWN
    return tuple((name, at) for name, at in uses.items() if name not in known)


def _snippet(view: View, at: int) -> Snippet:
    start, end = lines_around(view.data, at, at + 1, n_above=_LINES_BEFORE, n_below=_LINES_BEHIND)
    return Snippet(
        path=view.path,
        start_byte=start,
        end_byte=end,
        text=view.data[start:end].decode("utf-8", "replace").strip("\n"),
        origin=ORIGIN,
        score=_SCORE,
    )
