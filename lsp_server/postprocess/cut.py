"""Ends of a text, and where they can be seen for the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Cut(NamedTuple):
    """An end of a text.

    Args:
        at: length of text in which the end can be seen for the first time.
        keep: length up to which the text may be shown.
        stop: name of the rule.
    """

    at: int
    keep: int
    stop: str


def first(cuts: Iterable[Cut | None]) -> Cut | None:
    """The end that is seen first; of several seen at once the shortest."""
    return min((cut for cut in cuts if cut is not None), default=None)


def seen_first(text: str, keep_of: Callable[[str], int | None], stop: str) -> Cut | None:
    """The end a function finds, with the length of text it needs for that.

    Args:
        text: the completion so far.
        keep_of: length to keep of a text, None while it may go on; once it is given for a text
            it is given for every longer one.
        stop: name of the rule.
    """
    keep = keep_of(text)
    if keep is None:
        return None
    low, high = keep, len(text)
    while low < high:
        middle = (low + high) // 2
        if keep_of(text[:middle]) is None:
            low = middle + 1
        else:
            high = middle
    return Cut(low, keep, stop)
