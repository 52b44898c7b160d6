"""Lines that stand below the cursor already must not be suggested again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsp_server.postprocess.cut import Cut
from lsp_server.postprocess.surroundings import is_closing

# Of lines that a developer wrote, 0.01 % equal the next one, and 0.4 % are within a tenth of its
# characters: rows of a table that differ in a name or a number. So those with the same words only
# are taken for a line that is there already.
_NEAR_SHARE = 0.1
_WORDS = re.compile(r"\w+")


def below_cut(lines: Sequence[str], below: Sequence[str], start: int = 0) -> Cut | None:
    """The first of a completion's lines that is the next line of the document, or nearly.

    Lines that only close something count together with the line behind them.

    Args:
        lines: complete lines; the first one with what stands left of the cursor.
        below: the first non-blank lines below the cursor.
        start: length of what stands left of the cursor.
    """
    at = -start
    ends: list[tuple[str, int, int]] = []
    for line in lines:
        at += len(line) + 1
        if line.strip():
            ends.append((line, at - len(line) - 1, at))
    for number, (_, begin, _) in enumerate(ends):
        n = _run([line for line, _, _ in ends[number:]], below)
        if n:
            return Cut(ends[number + n - 1][2], max(0, begin - 1), "next_line")
    return None


def _run(lines: Sequence[str], below: Sequence[str]) -> int:
    """How many lines it takes to be sure that the document goes on with them; 0 if it does not."""
    for number, wanted in enumerate(below):
        if number >= len(lines) or not same_line(lines[number], wanted):
            return 0
        if not is_closing(wanted):
            return number + 1
    return 0


def n_held(lines: Sequence[str], growing: str, below: Sequence[str]) -> int:
    """How many lines at the end, with the growing one, may become such a run.

    Args:
        lines: see ``below_cut``.
        growing: the line behind them, so far.
        below: see ``below_cut``.
    """
    seen = [*(line for line in lines), growing]
    for number in range(len(seen)):
        tail = [line for line in seen[number:-1] if line.strip()]
        if len(tail) >= len(below) or not (tail or growing.strip()):
            continue
        if all(map(same_line, tail, below)) and _grows_into(growing, below[len(tail)]):
            return len(seen) - number
    return 0


def same_line(line: str, wanted: str) -> bool:
    """Whether two lines say the same: equal, or with the same words and nearly equal.

    Args:
        line: of the completion.
        wanted: of the document.
    """
    if line.rstrip() == wanted.rstrip():
        return True
    if _indent(line) != _indent(wanted):
        return False
    ours, theirs = line.strip(), wanted.strip()
    longer = max(len(ours), len(theirs))
    if abs(len(ours) - len(theirs)) >= _NEAR_SHARE * longer:
        return False
    if _WORDS.findall(ours) != _WORDS.findall(theirs) or not _WORDS.search(ours):
        return False
    return distance(ours, theirs) < _NEAR_SHARE * longer


def _grows_into(growing: str, wanted: str) -> bool:
    """Whether the beginning of a line may be that of a line which says the same as another."""
    if wanted.startswith(growing.rstrip()):
        return True
    if _indent(growing) != _indent(wanted):
        return False
    ours, theirs = growing.strip(), wanted.strip()
    words, others = _WORDS.findall(ours), _WORDS.findall(theirs)
    if len(words) > len(others) or not all(map(str.__eq__, words[:-1], others)):
        return False
    if words and not others[len(words) - 1].startswith(words[-1]):
        return False
    # A line that is to be so near has its end within these bounds.
    room = int(_NEAR_SHARE * len(theirs) / (1 - _NEAR_SHARE)) + 1
    sizes = range(max(0, len(ours) - room), min(len(theirs), len(ours) + room) + 1)
    return any(distance(ours, theirs[:size]) <= room for size in sizes)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def distance(one: str, other: str) -> int:
    """Levenshtein distance: characters to insert, remove or replace."""
    row = list(range(len(other) + 1))
    for number, sign in enumerate(one, 1):
        before = row
        row = [number]
        for at, wanted in enumerate(other, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (sign != wanted)))
    return row[-1]
