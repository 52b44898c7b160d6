"""Suggestions that save no key."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w")
_MIN_SIGNS = 3


def is_trivial(text: str) -> bool:
    """Whether a text is nothing but one or two brackets or signs.

    A lone bracket may be right, but the key that accepts it is as long as the bracket, and most
    editors have closed it already. A single letter or digit says what comes: it is no less to
    read than it is to type.

    Args:
        text: the completion.
    """
    ink = text.strip()
    return "\n" not in ink and len(ink) < _MIN_SIGNS and not _WORD.search(ink)
