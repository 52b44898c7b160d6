"""White space at the beginning of a text, where the cursor's line has its indentation already."""

from __future__ import annotations

from context.scope import leading, width
from lsp_server.postprocess.surroundings import Surroundings


def n_leading(text: str, place: Surroundings, *, final: bool) -> int | None:
    """Number of blanks at the beginning that are not to be inserted.

    On a line that is blank but for its indentation the model may write that indentation again. It
    is kept where only with it the line is as deep as the block.

    Args:
        text: the completion so far.
        place: of it.
        final: no more text comes.

    Returns:
        The number; None while that is not known.
    """
    line_before = place.scope.line_before
    if not line_before or line_before.strip():
        return 0
    lead = leading(text)
    if lead == text and not final:
        return None
    if not lead or text[len(lead) :].startswith("\n"):
        return 0
    wanted = _wanted(place)
    if width(line_before + lead) <= wanted:
        return 0
    # What is missing of the block's indent, if anything.
    for size in range(len(lead) + 1):
        if width(line_before + lead[len(lead) - size :]) >= wanted:
            return len(lead) - size
    return len(lead)


def _wanted(place: Surroundings) -> int:
    """Columns of indentation that the line is to have.

    Between brackets the typed blanks alone tell nothing, and the line above does.
    """
    columns = width(place.scope.indent)
    if place.scope.open_brackets and place.above:
        columns = max(columns, width(leading(place.above[-1])))
    return columns
