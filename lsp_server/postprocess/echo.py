"""A text that begins with what was typed just before the cursor."""

from __future__ import annotations

import re

from lsp_server.postprocess.surroundings import Surroundings

_MIN_CHARS = 5
_MIN_WORD_CHARS = 3
_WORD = re.compile(r"\w")


def n_echoed(text: str, place: Surroundings, *, final: bool) -> int | None:
    """Number of characters at the beginning that repeat the cursor's whole line so far.

    Args:
        text: the completion so far.
        place: of it.
        final: no more text comes.

    Returns:
        The number; None while that is not known.
    """
    typed = place.scope.line_before.strip()
    if place.scope.kind != "code" or len(typed) < _MIN_CHARS:
        return 0
    if len(_WORD.findall(typed)) < _MIN_WORD_CHARS:
        return 0
    begin = text.lstrip(" \t")
    n_blank = len(text) - len(begin)
    if not begin.startswith(typed):
        return None if not final and typed.startswith(begin) else 0
    whole = place.scope.line_before.lstrip()
    # What the user typed ends with a blank: the one behind the echo is that blank.
    if begin.startswith(whole):
        return n_blank + len(whole)
    return n_blank + len(typed)
