"""A long session in a real Neovim: what the log counts is what was done."""

from __future__ import annotations

import collections
import random
from typing import NamedTuple

import pytest

from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.store import read_events
from tests.e2e.conftest import EditPython
from tests.e2e.neovim import NeovimSession

pytestmark = pytest.mark.editor

N_SUGGESTIONS = 200
ONE_LINE = "alpha(beta, gamma)"
WAYS = ("accept", "word", "line", "words and accept", "dismiss", "type and accept", "type", "other")


class Case(NamedTuple):
    """A line for which the script has a suggestion.

    Args:
        head: keys that begin it.
        text: what is suggested.
        keys: what types all of that.
    """

    head: str
    text: str
    keys: str


def one_line(number: int) -> Case:
    """A suggestion for the rest of a line."""
    return Case(f"x{number} = ", ONE_LINE, ONE_LINE)


def two_lines(number: int) -> Case:
    """A suggestion for a function's body, with a text of its own.

    What was turned down once is not suggested for such a line again.
    """
    lines = f"b{number} = a", f"    return b{number}"
    return Case(f"def f{number}(a):<CR>    ", "\n".join(lines), "<CR>".join(lines))


def suggest(editor: NeovimSession, case: Case) -> None:
    """Begin a new line of the file, and wait for the suggestion."""
    editor.input(f"<Esc>:call append('$', '')<CR>GA{case.head}")
    editor.wait_until(lambda: editor.ghost() == case.text, f"a suggestion for {case.head}")


def press(editor: NeovimSession, key: str) -> None:
    """Press a key, and wait until it has changed the file."""
    before = editor.lines
    editor.input(key)
    editor.wait_until(lambda: editor.lines != before, f"{key} to change the file")


def use(editor: NeovimSession, case: Case, way: str) -> str:
    """Do something with the suggestion; returns what the log is to make of it."""
    text = case.text
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
            press(editor, case.keys)
            editor.wait_until(lambda: editor.ghost() is None, "all of it typed")
            return "unknown"
        case _:
            press(editor, "zz")
            editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
            return "unknown"


def test_what_is_counted_is_what_was_done(edit: EditPython) -> None:
    """200 suggestions, accepted, taken in part, turned down or passed by at random."""
    bodies = [two_lines(number) for number in range(N_SUGGESTIONS)]
    editor = edit(
        {"after": " = ", "text": ONE_LINE},
        *({"after": case.head.replace("<CR>", "\n"), "text": case.text} for case in bodies),
    )
    editor.command("setlocal indentexpr= indentkeys= noautoindent")
    chance = random.Random(11)
    done: collections.Counter[str] = collections.Counter()
    for number in range(N_SUGGESTIONS):
        case = chance.choice((one_line, two_lines))(number)
        suggest(editor, case)
        done[use(editor, case, chance.choice(WAYS))] += 1
    editor.input("<Esc>")
    editor.wait_until(lambda: editor.lua("return vim.fn.mode()") == "n", "normal mode")
    editor.close()
    total = summarise(read_events()).total
    assert total.shown == N_SUGGESTIONS
    # Not even the first, which may be answered before it is known that this editor tells.
    assert total.shown_assumed == 0
    assert {
        "accepted": total.accepted,
        "partially_accepted": total.partially_accepted,
        "dismissed": total.dismissed,
    } == {name: done[name] for name in ("accepted", "partially_accepted", "dismissed")}
    assert min(done.values()) > 10
