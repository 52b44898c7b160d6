"""Closing brackets and quotes that are not the completion's to close, and those it leaves open."""

from __future__ import annotations

from context.block import balance, left_open
from context.lexical import advance, flat
from context.scope import leading, width
from context.types import CursorScope
from lsp_server.postprocess.cut import Cut, seen_first


def unbalanced_cut(text: str, scope: CursorScope) -> Cut | None:
    """The first closing bracket or quote without a partner.

    What is open left of the cursor, an accepted suggestion's brackets among it, may be closed
    unless the text right of the cursor, or the line below, closes it.

    Args:
        text: the completion so far.
        scope: where the cursor stands.
    """
    after = scope.line_after if scope.line_after.strip() else _closers_below(scope)

    def keep_of(part: str) -> int | None:
        keep = balance(
            scope.line_before,
            part,
            after,
            kind=scope.kind,
            open_brackets=scope.open_brackets,
            language=scope.language,
        )
        return keep if keep < len(part) else None

    return seen_first(text, keep_of, "brackets")


def _closers_below(scope: CursorScope) -> str:
    """The closing brackets that the line below begins with, as far as they concern the cursor's.

    Where the brackets that are open are not known, a line further left closes none of this line.
    """
    below = scope.next_line.strip()
    is_known = scope.open_brackets is not None or not scope.line_before.strip()
    if not is_known and width(leading(scope.next_line)) < width(leading(scope.line_before)):
        return ""
    return below[: len(below) - len(below.lstrip(")]}"))]


def leaves_open(text: str, scope: CursorScope) -> bool:
    """Whether a whole text opens a bracket in the middle of a line and leaves it open there.

    Args:
        text: the completion.
        scope: where the cursor stands.
    """
    after = scope.line_after
    if scope.kind != "code" or not after.strip(")]}>\"'`;, \t"):
        return False
    language = scope.language
    if language == "python" and advance(scope.line_before).quote:
        return False  # in a field of an f-string
    plain = left_open(scope.line_before + after, language)
    return len(left_open(flat(scope.line_before + text + after), language)) > len(plain)
