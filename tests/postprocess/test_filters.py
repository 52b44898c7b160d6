"""The single filters: loops, overlap with what stands there already, unsafe characters."""

from __future__ import annotations

import pytest

from lsp_server.postprocess.overlap import next_line_start, overlap_with_line_after
from lsp_server.postprocess.repeats import repeat_start
from lsp_server.postprocess.safety import introduces_unsafe


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("a = 1\nb = 2\nc = 3", None),
        ("x()\nx()\nx()", "x()"),
        ("a\nx()\nx()\nx()", "a\nx()"),
        ("    x()\n        x()\n  x()", "    x()"),
        ("x()\nx()", None),
        ("\n\n\n", None),
        ("foo(bar, bar, bar, bar, bar, bar, ", "foo(bar, "),
        ("abcabcabcabcabc", "abc"),
        ("----------------------------------------", None),
        ("####################", None),
        ("[0, 0, 0, 0, 0, 0, 0, 0]", None),
    ],
)
def test_repeats(text: str, keep: str | None) -> None:
    """Three equal lines or five equal pieces are cut to one; rulers are not loops."""
    start = repeat_start(text)
    assert (None if start is None else text[:start]) == keep


@pytest.mark.parametrize(
    ("text", "after", "final", "size"),
    [
        ("a, b)", ", b)", True, 4),
        ("a, b", ", b)", False, 3),
        ("a, ", ", b)", False, 2),
        ("hello", ")", True, 0),
        ("hello)", ")", True, 1),
        ("value", "e + 1", True, 0),
        ("value", "e + 1", False, 1),
        ("x", "", True, 0),
        ("x:", ":   ", True, 1),
        ("same", "same", True, 4),
    ],
)
def test_overlap_with_line_after(text: str, after: str, final: bool, size: int) -> None:
    """What the text shares with the rest of the line is found, shorter pieces only in passing."""
    assert overlap_with_line_after(text, after, final=final) == size


@pytest.mark.parametrize(
    ("text", "line_before", "next_line", "final", "found"),
    [
        ("x = 1\nreturn x\n", "    ", "    return x", False, (5, True)),
        ("x = 1\n    return", "    ", "    return x", False, (5, False)),
        ("x = 1\n    return x", "    ", "    return x", False, (5, False)),
        ("x = 1\n    return x", "    ", "    return x", True, (5, True)),
        ("x = 1\n    return x + 1\n", "    ", "    return x", False, None),
        ("return x\n", "    ", "    return x", False, (0, True)),
        ("turn x", "    re", "    return x", True, (0, True)),
        ("ret", "    ", "    return x", False, None),
        ("a\n)\n", "f(", ")", True, None),
        ("a\n\n", "", "", True, None),
    ],
)
def test_next_line(
    text: str, line_before: str, next_line: str, final: bool, found: tuple[int, bool] | None
) -> None:
    """A line that stands below already ends the text; one that grows into it is held back."""
    assert next_line_start(text, line_before, next_line, final=final) == found


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\x1b", "\0", "\U000e0041"])
def test_unsafe_characters(character: str) -> None:
    """Hidden characters are refused unless the document has them already."""
    assert introduces_unsafe(f"a{character}b", "plain")
    assert not introduces_unsafe(f"a{character}b", f"has {character} already")


def test_safe_characters() -> None:
    """Tabs, line ends, accents, emoji and CJK are no danger."""
    assert not introduces_unsafe("\tname = 'é 漢字 🎉'\n", "")
