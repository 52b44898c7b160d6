"""Where in a prompt's tokens the text around the cursor stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from context.types import Segment


class Parts(NamedTuple):
    """Parts of a prompt, each in prompt order.

    Args:
        before: all up to the cursor, with what stands before the open file.
        behind: all behind it.
        window_before: the text that ends at the cursor, as far as nothing of the file is left out.
        window_behind: the same of the text that begins there.
    """

    before: Sequence[int]
    behind: Sequence[int]
    window_before: Sequence[int]
    window_behind: Sequence[int]


def parts_of(segments: Sequence[Segment], tokens: Sequence[int], counts: Sequence[int]) -> Parts:
    """Take a prompt apart.

    Args:
        segments: of the prompt.
        tokens: of the prompt, shape (n,).
        counts: how many tokens each segment has.
    """
    # A token for the beginning of the text belongs to no segment.
    at = len(tokens) - sum(counts)
    cursor, role = len(tokens), "text"
    window_before: Sequence[int] = ()
    window_behind: Sequence[int] = ()
    for segment, count in zip(segments, counts, strict=True):
        role = segment.role if segment.role != "text" else role
        own = tokens[at : at + count]
        at += count
        if role == "fim_prefix":
            cursor = at
            window_before = own if segment.role == "text" else ()
        elif role == "fim_suffix" and segment.role == "text" and not window_behind:
            window_behind = own
    return Parts(tokens[:cursor], tokens[cursor:], window_before, window_behind)
