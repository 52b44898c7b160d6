"""Names that the open file uses and nobody defines: likely to be what is written next.

Whoever writes the use before the definition has said already what it is called, and what it takes.
"""

from __future__ import annotations

import builtins
import functools
import keyword
import re
from typing import NamedTuple

from context.outline import line_start, lines_around
from context.sources.view import View
from context.types import Snippet, SourceFile
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
    imported = {item.local for item in view.imports}
    uses = [
        (name, at)
        for name, at in _uses(view.file, view.cursor)
        if name not in imported and not index.n_defined(name)
    ]
    uses.sort(key=lambda use: abs(use[1] - view.cursor))
    return [_snippet(view, at) for _, at in uses[:_MAX_RESULTS]]


class _Names(NamedTuple):
    """Names in a part of a file.

    Args:
        defined: what is defined or set.
        calls: what is called, and where first.
        others: what stands there otherwise: parameters, variables, imports come from somewhere.
        of_self: attributes of ``self`` and ``cls``, and where they come first.
        set_on_self: those of them that are set.
    """

    defined: set[str]
    calls: dict[str, int]
    others: set[str]
    of_self: dict[str, int]
    set_on_self: set[str]


def _uses(file: SourceFile, cursor: int) -> list[tuple[str, int]]:
    """The first use of each name that a file uses and does not define, but for the cursor's line.

    The answer holds for all of the line's keys.
    """
    of_file = _Names(set(_KNOWN), {}, set(), {}, set())
    start = 0
    for block in file.blocks or (file.data,):
        if start <= cursor < start + len(block) or cursor == start + len(block) == len(file.data):
            line = line_start(block, cursor - start)
            end = block.find(b"\n", cursor - start)
            end = len(block) if end < 0 else end
            _add(of_file, _names_in(block[:line] + block[end:]), start, line, end - line)
        else:
            _add(of_file, _names_in(block), start)
        start += len(block)
    uses = {name: at for name, at in of_file.calls.items() if name not in of_file.others}
    uses |= {n: at for n, at in of_file.of_self.items() if n not in of_file.set_on_self}
    return [(name, at) for name, at in uses.items() if name not in of_file.defined]


def _add(names: _Names, more: _Names, start: int, cut: int = 0, n_cut: int = 0) -> None:
    """Add the names in a part of a file that begins at an offset, with some bytes cut out."""
    names.defined.update(more.defined)
    names.others.update(more.others)
    names.set_on_self.update(more.set_on_self)
    for known, found in ((names.calls, more.calls), (names.of_self, more.of_self)):
        for name, at in found.items():
            known.setdefault(name, start + at + (n_cut if at >= cut else 0))


# At the next line most blocks are the same.
@functools.lru_cache(maxsize=256)
def _names_in(data: bytes) -> _Names:
    groups = (found.groups() for found in _DEFINED.finditer(data))
    names = _Names({n.decode() for each in groups for n in each if n}, {}, set(), {}, set())
    for found in _WORD.finditer(data):
        name = found.group().decode().rstrip("( \t\r\n")
        if found["call"]:
            names.calls.setdefault(name, found.start())
        else:
            names.others.add(name)
    for found in _OF_SELF.finditer(data):
        name = found["name"].decode()
        if found["set"]:
            names.set_on_self.add(name)
        names.of_self.setdefault(name, found.start())
    return names


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
