"""How much of an accepted text is left, against a document whose characters have owners."""

from __future__ import annotations

import random

import pytest

from lsp_server.acceptance.kept import Kept
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.positions import end_of, split_lines
from lsp_server.types import Edit, Position

PIECES = ["x", "ab", "\n", "\r\n", "\r", "foo(\n    bar,\n)", "é🎉", " ", "", "a\r\nb\r\n"]


class Owned:
    """A text that knows of each character who wrote it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.owners = [""] * len(text)

    def position(self, offset: int) -> Position:
        """Line and column of an offset."""
        return end_of(Position(0, 0), self.text[:offset])

    def offsets(self) -> list[int]:
        """Where an edit may begin or end: not between the two signs of one EOL."""
        return [n for n in range(len(self.text) + 1) if self.text[n - 1 : n + 1] != "\r\n"]

    def replace(self, start: int, end: int, text: str, owner: str = "") -> Edit:
        """Put something in the place of something."""
        edit = Edit(self.position(start), self.position(end), text, self.text[start:end])
        self.text = self.text[:start] + text + self.text[end:]
        self.owners[start:end] = [owner] * len(text)
        return edit


@pytest.mark.parametrize("seed", range(300))
def test_kept_characters_are_those_whose_owner_is_left(seed: int) -> None:
    """Whatever is edited, and wherever."""
    chance = random.Random(seed)
    owned = Owned("def f():\n    pass\n\r\nx = 1\n")
    kept = Kept()
    names: list[str] = []
    for number in range(40):
        offsets = owned.offsets()
        if chance.random() < 0.3:
            at = chance.choice(offsets)
            text = chance.choice(PIECES[:-3]) + chance.choice(PIECES)
            if "\r" in owned.text[at - 1 : at] + text[:1] + text[-1:]:
                continue  # an EOL made of old and new signs belongs to neither
            name = f"s{number}"
            kept.edit(owned.replace(at, at, text, name))
            kept.add(name, owned.position(at), text)
            names.append(name)
            continue
        start, end = sorted(chance.choices(offsets, k=2))
        end = min(end, start + chance.choice([0, 1, 3, 30]))
        if end not in offsets:
            continue
        text = chance.choice(PIECES)
        removed = owned.text[start:end]
        if "\r" in owned.text[start - 1 : start] + text[:1] + text[-1:] + owned.text[end : end + 1]:
            continue
        # What is written again as it was has kept its owner.
        if removed and text and (removed[0] == text[0] or removed[-1] == text[-1]):
            continue
        kept.edit(owned.replace(start, end, text))
        for name in names:
            assert kept.n_kept(name) == owned.owners.count(name)


def test_a_formatter_that_sends_everything_again_takes_nothing_away() -> None:
    """Lines that stay as they were are kept; a changed line keeps what it begins and ends with."""
    lines = [f"value_{n} = compute({n})\n" for n in range(50)]
    owned = Owned("".join(lines))
    kept = Kept()
    kept.add("s", Position(20, 0), lines[20] + lines[21])
    lines[3] = "value_3 = compute(\n    3,\n)\n"
    lines[20] = "value_20=compute(20)\n"
    kept.edit(owned.replace(0, len(owned.text), "".join(lines)))
    assert kept.n_kept("s") == len("value_20") + len("compute(20)\n") + len(lines[21])
    kept.edit(owned.replace(0, len(owned.text), ""))
    assert kept.n_kept("s") == 0


def test_parts_of_one_text_add_up() -> None:
    """Word by word, as it is accepted."""
    kept = Kept()
    kept.add("s", Position(0, 0), "foo")
    kept.add("s", Position(0, 3), "(bar)")
    assert kept.n_kept("s") == 8
    kept.forget("s")
    assert "s" not in kept
    assert kept.n_kept("s") == 0


@pytest.mark.parametrize("seed", range(50))
def test_documents_tell_what_an_edit_did(seed: int) -> None:
    """Applied to the old text in code points, it gives the new one."""
    chance = random.Random(seed)
    document = TextDocument("file:///a.py", "python", 1, "añ🎉b\nc\r\nd\n")
    for version in range(30):
        before = document.text
        n_lines = len(document.lines)
        span = Span(
            start_line=chance.randrange(n_lines), start_character=chance.randrange(6),
            end_line=chance.randrange(n_lines), end_character=chance.randrange(6),
        )  # fmt: skip
        change = Change(text=chance.choice(PIECES), span=None if chance.random() < 0.1 else span)
        (edit,) = document.change(version, [change])
        lines = split_lines(before)
        start = sum(map(len, lines[: edit.start.line])) + edit.start.column
        end = sum(map(len, lines[: edit.end.line])) + edit.end.column
        assert before[start:end] == edit.removed
        assert document.text == before[:start] + edit.text + before[end:]
