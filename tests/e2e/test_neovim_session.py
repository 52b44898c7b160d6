"""A long session in a real Neovim: what the log counts is what was done."""

from __future__ import annotations

import collections
import random

import pytest

from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.store import read_events
from tests.e2e.conftest import EditPython
from tests.e2e.neovim import NeovimSession

pytestmark = pytest.mark.editor

N_SUGGESTIONS = 200
ONE_LINE = "alpha(beta, gamma)"
TWO_LINES = "a):\n    return a"
WAYS = ("accept", "word", "line", "words and accept", "dismiss", "type and accept", "type", "other")


def suggest(editor: NeovimSession, number: int, text: str) -> None:
    """Begin a new line of the file for which the script has a suggestion."""
    head = f"x{number} = " if text == ONE_LINE else f"def f{number}("
    editor.input(f"<Esc>:call append('$', '')<CR>GA{head}")
    editor.wait_until(lambda: editor.ghost() == text, f"suggestion {number}")


def press(editor: NeovimSession, key: str) -> None:
    """Press a key, and wait until it has changed the file."""
    before = editor.lines
    editor.input(key)
    editor.wait_until(lambda: editor.lines != before, f"{key} to change the file")


def use(editor: NeovimSession, text: str, way: str) -> str:
    """Do something with the suggestion; returns what the log is to make of it."""
    match way:
        case "accept":
            press(editor, "<Tab>")
            return "accepted"
        case "word":
            press(editor, "<M-Right>")
            return "partially_accepted"
        case "line":
            press(editor, "<M-C-Right>")
            return "accepted" if text == ONE_LINE else "partially_accepted"
        case "words and accept":
            press(editor, "<M-Right>")
            press(editor, "<M-Right>")
            press(editor, "<Tab>")
            return "accepted"
        case "dismiss":
            editor.input("<C-]>")
            editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
            return "dismissed"
        case "type and accept":
            press(editor, text[:3])
            editor.wait_until(lambda: editor.ghost() == text[3:], "the rest")
            press(editor, "<Tab>")
            return "accepted"
        case "type":
            press(editor, ONE_LINE if text == ONE_LINE else "a):<CR>return a")
            editor.wait_until(lambda: editor.ghost() is None, "all of it typed")
            return "unknown"
        case _:
            press(editor, "zz")
            editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
            return "unknown"


def test_what_is_counted_is_what_was_done(edit: EditPython) -> None:
    """200 suggestions, accepted, taken in part, turned down or passed by at random."""
    # Each line begins otherwise: what was turned down once is not suggested for such a line again.
    editor = edit(
        {"after": " = ", "text": ONE_LINE},
        *({"after": f"f{number}(", "text": TWO_LINES} for number in range(N_SUGGESTIONS)),
        options="{ server = { completion = { multi_line = 'always' } } }",
    )
    chance = random.Random(11)
    done: collections.Counter[str] = collections.Counter()
    for number in range(N_SUGGESTIONS):
        text = chance.choice((ONE_LINE, TWO_LINES))
        suggest(editor, number, text)
        done[use(editor, text, chance.choice(WAYS))] += 1
    editor.input("<Esc>")
    editor.wait_until(lambda: editor.lua("return vim.fn.mode()") == "n", "normal mode")
    editor.close()
    total = summarise(read_events()).total
    assert total.shown == N_SUGGESTIONS
    assert total.shown_assumed == 0
    assert {
        "accepted": total.accepted,
        "partially_accepted": total.partially_accepted,
        "dismissed": total.dismissed,
    } == {name: done[name] for name in ("accepted", "partially_accepted", "dismissed")}
    assert min(done.values()) > 10
