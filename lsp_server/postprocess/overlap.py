"""Text that stands right of or below the cursor already must not be suggested again."""

from __future__ import annotations

_MIN_OVERLAP_CHARS = 2


def overlap_with_line_after(text: str, line_after: str, *, final: bool) -> int:
    """Number of characters at the end of ``text`` that repeat the beginning of ``line_after``.

    Args:
        text: the completion so far.
        line_after: what stands right of the cursor.
        final: no more text comes; until then a single equal character is held back too.
    """
    after = line_after.rstrip()
    for size in range(min(len(text), len(after)), 0, -1):
        if text.endswith(after[:size]):
            if not final or size >= _MIN_OVERLAP_CHARS or size == len(after):
                return size
            return 0
    return 0


def next_line_start(
    text: str, line_before: str, next_line: str, *, final: bool
) -> tuple[int, bool] | None:
    """Where the text begins to repeat the next line of the document.

    Lines of brackets only do not count: they are often right twice.

    Args:
        text: the completion so far.
        line_before: what stands left of the cursor on its line.
        next_line: the first non-blank line below the cursor.
        final: no more text comes.

    Returns:
        None, or the length to keep and whether it is certain. It is not while the last line is
        still growing into the next line: such a line is held back.
    """
    wanted = next_line.strip()
    if not any(character.isalnum() for character in wanted):
        return None
    lines = text.split("\n")
    start = 0
    for number, line in enumerate(lines):
        seen = (line_before + line if number == 0 else line).strip()
        complete = final or number < len(lines) - 1
        keep = max(0, start - 1)
        if complete and seen == wanted:
            return keep, True
        growing = not complete and seen and wanted.startswith(seen)
        # The first line has its beginning typed by the user: hold it only once it is long.
        if growing and (number > 0 or len(seen) == len(wanted)):
            return keep, False
        start += len(line) + 1
    return None
