"""A closing line that stands below the cursor already."""

from __future__ import annotations

from lsp_server.postprocess.surroundings import Surroundings, is_closing


def without_closing_line(text: str, place: Surroundings) -> str:
    """A whole text without a last line that only closes what the line below closes.

    Two such lines directly below each other, at the same column, close the same block twice.

    Args:
        text: the completion.
        place: of it.
    """
    head, newline, last = text.rstrip().rpartition("\n")
    if not newline or not place.below or not is_closing(last) or not last.strip():
        return text
    return head if last.rstrip() == place.below[0].rstrip() else text
