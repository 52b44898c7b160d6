"""Lines in blocks, and their text as bytes."""

from __future__ import annotations

import random

import pytest

from lsp_server.lines import BLOCK_LINES, Lines
from lsp_server.positions import split_lines

PIECES = ["a", "é🎉", "\n", "\r\n", "\r", "\n\n", "x = 1\n" * 40, "\ud800", " "]


def encoded(text: str) -> bytes:
    """A text as context has it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")


@pytest.mark.parametrize("seed", range(4))
def test_edited_copies_have_the_edited_text(seed: int) -> None:
    """Whatever is replaced: all bytes, and the offset of each place, are those of the whole."""
    chance = random.Random(seed)
    lines = Lines(split_lines("value = 1\n" * 3 * BLOCK_LINES))
    for _ in range(200):
        start = chance.randrange(len(lines))
        stop = min(len(lines), start + chance.choice((1, 1, 1, 2, 200)))
        new = split_lines("".join(chance.choices(PIECES, k=chance.randrange(6))) + "\n")
        lines = lines.replaced(start, stop, new if stop == len(lines) else new[:-1])
        assert b"".join(lines.encoded) == encoded("".join(lines))
        line = chance.randrange(len(lines) + 2)
        column = chance.randrange(8)
        before = "".join(lines[:line]) + "".join(each[:column] for each in lines[line : line + 1])
        assert lines.offset(line, column) == len(encoded(before))


def test_an_edit_leaves_the_other_blocks_alone() -> None:
    """They are the very same objects."""
    lines = Lines([f"line {number}\n" for number in range(5 * BLOCK_LINES)])
    before = lines.encoded
    after = lines.replaced(2 * BLOCK_LINES, 2 * BLOCK_LINES + 1, ["another\n"]).encoded
    same = [one is other for one, other in zip(before, after, strict=True)]
    assert same == [True, True, False, True, True]
    assert before is not after
    assert b"".join(before).startswith(b"line 0\nline 1\n")


def test_lines_in_blocks_stay_what_they_are() -> None:
    """Others are put into blocks."""
    lines = Lines(("a\n", "b"))
    assert Lines.of(lines) is lines
    assert Lines.of(("a\n", "b")) == lines
