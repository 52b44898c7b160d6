"""Suggestions that save no key."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w")
_MIN_CHARS = 2
_MIN_SIGNS = 3


def is_trivial(text: str) -> bool:
    """Whether to type a text takes no more keys than to take it in.

    A lone bracket may be right, but the key that accepts it is as long as the bracket; and most
    editors have closed it already.

    Args:
        text: the completion.
    """
    ink = text.strip()
    if "\n" in ink:
        return False
    return len(ink) < (_MIN_CHARS if _WORD.search(ink) else _MIN_SIGNS)
