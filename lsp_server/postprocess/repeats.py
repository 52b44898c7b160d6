"""Small models fall into loops; this finds where one begins."""

from __future__ import annotations

import re

# The same three or more characters five times in a row, at the end of the text.
_LOOP = re.compile(r"(.{3,60}?)\1{4,}\Z", re.DOTALL)
_N_EQUAL_LINES = 3


def repeat_start(text: str) -> int | None:
    """Length up to which the text does not repeat itself; None if it does not at all.

    Args:
        text: the completion so far.
    """
    lines = text.split("\n")
    last = [line.strip() for line in lines[-_N_EQUAL_LINES:]]
    if len(last) == _N_EQUAL_LINES and last[0] and len(set(last)) == 1:
        return len("\n".join(lines[: len(lines) - _N_EQUAL_LINES + 1]))
    loop = _LOOP.search(text)
    if loop and loop.group(1).strip(" \n\t-=#*_."):
        return loop.start() + len(loop.group(1))
    return None
