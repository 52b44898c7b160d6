"""Text that stands right of the cursor already must not be suggested again."""

from __future__ import annotations

import re

from context.block import left_open
from context.lexical import flat
from lsp_server.postprocess.cut import Cut

_MIN_OVERLAP_CHARS = 2
# So much of the text right of the cursor tells that the completion has reached it.
_REACHED_CHARS = 20
_MIN_REACHED_CHARS = 6
_WORD = re.compile(r"\w")
_CLOSER = re.compile(r"[)\]}]")


def overlap_with_line_after(
    text: str, line_after: str, *, final: bool, line_before: str = "", language: str = "python"
) -> int:
    """Number of characters at the end of ``text`` that repeat the beginning of ``line_after``.

    Brackets that close what the completion opened are its own.

    Args:
        text: the completion so far.
        line_after: what stands right of the cursor.
        final: no more text comes; until then a single equal character is held back too.
        line_before: what stands left of the cursor on its line.
        language: LSP language id.
    """
    after = line_after.rstrip()
    for size in range(min(len(text), len(after)), 0, -1):
        if not text.endswith(after[:size]):
            continue
        if _closes_own(text, size, line_before, language):
            continue
        if not final or size >= _MIN_OVERLAP_CHARS or size == len(after):
            return size
        return 0
    return 0


def _closes_own(text: str, size: int, line_before: str, language: str) -> bool:
    """Whether the end of a text closes brackets that it opened itself."""
    if not _CLOSER.search(text, len(text) - size):
        return False
    kept = left_open(flat(line_before + text[: len(text) - size]), language)
    return len(kept) > len(left_open(line_before, language))


def reached_cut(text: str, line_after: str) -> Cut | None:
    """Where a completion has come to the first 20 characters right of the cursor.

    Args:
        text: the completion so far.
        line_after: what stands right of the cursor.
    """
    wanted = line_after.rstrip()[:_REACHED_CHARS]
    if len(wanted) < _MIN_REACHED_CHARS or len(_WORD.findall(wanted)) < 3:
        return None
    start = text.find(wanted)
    while start >= 0:
        splits_word = start > 0 and _WORD.match(wanted) and _WORD.match(text, start - 1)
        if not splits_word:
            return Cut(start + len(wanted), start, "suffix")
        start = text.find(wanted, start + 1)
    return None
