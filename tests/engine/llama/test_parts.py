"""Where the text around the cursor stands in a prompt's tokens."""

from __future__ import annotations

from context.types import Segment
from lsp_server.engine.llama.parts import parts_of
from tests.engine.driver import fim_request

OUTLINE = Segment(role="text", text="xyz")


def test_the_cursor_parts_a_prompt() -> None:
    """The prefix ends at the cursor wherever it stands; a first token belongs to no segment."""
    psm = fim_request("ab", "cd").segments
    tokens = [0, 1, 97, 98, 2, 99, 100, 3]
    parts = parts_of(psm, tokens, (1, 2, 1, 2, 1))
    assert (parts.before, parts.behind) == (tokens[:4], tokens[4:])
    spm = (*psm[2:4], *psm[:2], psm[4])
    tokens = [2, 99, 100, 1, 97, 98, 3]
    parts = parts_of(spm, tokens, (1, 2, 1, 2, 1))
    assert (parts.before, parts.behind) == (tokens[:6], tokens[6:])
    plain = (Segment(role="text", text="ab"),)
    parts = parts_of(plain, [97, 98], (2,))
    assert (parts.before, parts.behind) == ([97, 98], [])


def test_windows_touch_the_cursor() -> None:
    """Of several pieces the one at the cursor counts; a file without text on a side has none."""
    prefix, before, suffix, behind, middle = fim_request("ab", "cd").segments
    segments = (prefix, OUTLINE, before, suffix, behind, OUTLINE, middle)
    tokens = [1, 7, 7, 7, 97, 98, 2, 99, 100, 7, 7, 7, 3]
    parts = parts_of(segments, tokens, (1, 3, 2, 1, 2, 3, 1))
    assert (parts.window_before, parts.window_behind) == ([97, 98], [99, 100])
    alone = parts_of((prefix, suffix, behind, middle), [1, 2, 99, 100, 3], (1, 1, 2, 1))
    assert (alone.window_before, alone.window_behind) == ((), [99, 100])
    plain = parts_of((before,), [97, 98], (2,))
    assert (plain.window_before, plain.window_behind) == ((), ())
