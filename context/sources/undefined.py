"""Names that the open file uses and nobody defines: likely to be what is written next.

Whoever writes the use before the definition has said already what it is called, and what it takes.
"""

from __future__ import annotations

import builtins
import keyword
import re

from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex

ORIGIN = "undefined"
_SCORE = 0.9
_MAX_RESULTS = 4
_MAX_FILE_BYTES = 512 * 1024
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
    uses = _uses(view.data, {item.local for item in view.imports}, index)
    ranked = sorted(uses.items(), key=lambda use: abs(use[1] - view.cursor))
    return [_snippet(view, name, at) for name, at in ranked[:_MAX_RESULTS]]


def _uses(data: bytes, imported: set[str], index: WorkspaceIndex) -> dict[str, int]:
    """The first use of each name that is used and not defined."""
    defined = {
        name.decode() for found in _DEFINED.finditer(data) for name in found.groups() if name
    }
    uses: dict[str, int] = {}
    seen_otherwise: set[str] = set()
    for found in _WORD.finditer(data):
        name = found.group().decode().rstrip("( \t\r\n")
        if found["call"]:
            uses.setdefault(name, found.start())
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
    uses = {name: at for name, at in uses.items() if name not in seen_otherwise}
    uses |= {name: at for name, at in of_self.items() if name not in set_on_self}
    return {
        name: at
        for name, at in uses.items()
        if name not in defined
        and name not in imported
        and name not in _KNOWN
        and not index.n_defined(name)
    }


def _snippet(view: View, name: str, at: int) -> Snippet:
    data = view.data
    start, end = at, at
    for _ in range(_LINES_BEFORE + 1):
        start = data.rfind(b"\n", 0, max(start, 0))
        if start < 0:
            break
    for _ in range(_LINES_BEHIND + 1):
        following = data.find(b"\n", end)
        end = len(data) if following < 0 else following + 1
    return Snippet(
        path=view.path,
        start_byte=start + 1,
        end_byte=end,
        text=data[start + 1 : end].decode("utf-8", "replace").strip("\n"),
        origin=ORIGIN,
        score=_SCORE,
    )
