"""The plugin's ghost text in a real Neovim: how it grows, shrinks and goes."""

from __future__ import annotations

import itertools
from functools import partial

import pytest

from lsp_server.acceptance.events import Dismissed, Shown
from lsp_server.acceptance.store import read_events
from tests.e2e.conftest import EditPython
from tests.e2e.neovim import NeovimSession

pytestmark = pytest.mark.editor

HEAD = "def grey(r, g, b):\n"
BODY = "return 0.3 * r + 0.6 * g + 0.1 * b"
PIECES = ["return 0.3 * r", " + 0.6 * g", " + 0.1 * b"]
# Opens a line below the function's head; the indentation comes from the ftplugin.
NEW_LINE = "GA<CR>"


def body(**changes: object) -> dict[str, object]:
    """The reply for the first line of the function."""
    return {"after": "(r, g, b):\n    ", "text": BODY, **changes}


def shown_body(edit: EditPython) -> NeovimSession:
    """An editor that shows the whole body as ghost text."""
    editor = edit(body(), text=HEAD)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    return editor


def type_out(editor: NeovimSession, text: str) -> None:
    """Type characters one by one, each only once the one before is in the buffer."""
    for character in text:
        changed = partial(differs, editor, editor.line)
        editor.input("<lt>" if character == "<" else character)
        editor.wait_until(changed, f"{character!r} typed")


def differs(editor: NeovimSession, line: str) -> bool:
    """Whether the cursor's line is another one now."""
    return editor.line != line


def test_it_grows_while_the_model_writes(edit: EditPython) -> None:
    """Each piece is on the screen before the next, and the suggestion is reported once."""
    editor = edit(body(text="", pieces=PIECES, interval_ms=150), text=HEAD)
    editor.watch_screen()
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the whole ghost text")
    seen = [frame[0].strip() for frame in editor.frames()]
    grown = list(dict.fromkeys(line for line in seen if line.startswith("return")))
    assert grown == [PIECES[0], PIECES[0] + PIECES[1], BODY]
    assert len(editor.sent("textDocument/didShowCompletion")) == 1


def test_what_is_typed_as_suggested_never_flickers(edit: EditPython) -> None:
    """In every state of the screen the line reads the same, from the first key to the last."""
    editor = shown_body(edit)
    editor.watch_screen()
    editor.frames()
    type_out(editor, BODY[:-1])
    editor.wait_until(lambda: editor.ghost() == BODY[-1], "the last character")
    frames = editor.frames()
    assert len(frames) >= len(BODY) - 1
    assert {frame[0] for frame in frames} == {"    " + BODY}
    assert len([event for event in read_events() if isinstance(event, Shown)]) <= 1


def test_what_is_typed_while_it_grows_never_flickers(edit: EditPython) -> None:
    """Keys between the pieces take nothing away; the request goes on and serves them all."""
    editor = edit(body(text="", pieces=PIECES, interval_ms=150), text=HEAD)
    editor.watch_screen()
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == PIECES[0], "the first piece")
    editor.frames()
    type_out(editor, "return 0.")
    editor.wait_until(lambda: (editor.ghost() or "").endswith(PIECES[2]), "the last piece")
    lines = [frame[0] for frame in editor.frames()]
    assert all(a == b or b.startswith(a) for a, b in itertools.pairwise(lines))
    assert lines[-1] == "    " + BODY
    assert len(editor.sent("textDocument/inlineCompletion")) == 1


def test_other_text_lets_it_go_without_a_dismissal(edit: EditPython) -> None:
    """Typing something else hides it at once; moving on is not turning down."""
    editor = shown_body(edit)
    editor.watch_screen()
    editor.frames()
    type_out(editor, "x")
    assert editor.ghost() is None
    assert "urn" not in editor.frames()[-1][0]
    assert editor.sent("midfill/didDismissCompletion") == []


def test_leaving_insert_mode_is_a_dismissal(edit: EditPython) -> None:
    """The ghost text goes, and the log has it as turned down."""
    editor = shown_body(edit)
    editor.input("<Esc>")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
    editor.wait_until(
        lambda: [event for event in read_events() if isinstance(event, Dismissed)], "the event"
    )
    assert len(editor.sent("midfill/didDismissCompletion")) == 1


def test_ending_insert_mode_without_an_event_is_a_dismissal(edit: EditPython) -> None:
    """<C-c> brings no InsertLeave; nothing stays on the screen all the same."""
    editor = shown_body(edit)
    editor.input("<C-c>")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
    assert len(editor.sent("midfill/didDismissCompletion")) == 1


def test_the_dismiss_key_turns_it_down(edit: EditPython) -> None:
    """It is gone, insert mode goes on, and it is not made again at that place."""
    editor = shown_body(edit)
    editor.input("<C-]>")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
    assert len(editor.sent("midfill/didDismissCompletion")) == 1
    n_answered = editor.n_answered("textDocument/inlineCompletion")
    editor.input(" <BS>")
    editor.wait_until(
        lambda: editor.n_answered("textDocument/inlineCompletion") > n_answered, "another answer"
    )
    editor.wait_until(lambda: editor.is_settled, "the last answer")
    assert editor.ghost() is None
    assert editor.lua("return vim.api.nvim_get_mode().mode") == "i"


def test_a_request_is_taken_back_when_more_is_typed(edit: EditPython) -> None:
    """The request for the older text is cancelled before the newer one is made."""
    hanging = {"after": "(r, g, b):\n    ", "text": "", "hang": True}
    editor = edit(hanging, {"after": "    x", "text": " = r + g"}, text=HEAD)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.sent("textDocument/inlineCompletion"), "the first request")
    editor.input("x")
    editor.wait_until(lambda: editor.ghost() == " = r + g", "the second suggestion")
    assert editor.n_cancelled >= 1
    assert len(editor.sent("textDocument/inlineCompletion")) - editor.n_cancelled == 1


def test_it_stands_between_the_text_on_both_sides(edit: EditPython) -> None:
    """In the middle of a line the text right of the cursor moves on, and stays."""
    editor = edit({"after": "print(", "text": "r, g"}, text="print()\n")
    editor.watch_screen()
    editor.input("gg0f(a")
    editor.wait_until(lambda: editor.ghost() == "r, g", "the ghost text")
    editor.wait_until(lambda: editor.frames()[-1:] == [["print(r, g)", "~", "~"]], "the screen")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.lines == ["print(r, g)"], "the accepted text")


@pytest.mark.parametrize(
    ("rest", "right", "screen"),
    [
        ("r, g):", ")", ["print(r, g):", "~"]),
        ("r, f(g))", ")", ["print(r, f(g))", "~"]),
        (")", ")", ["print()", "~"]),
        ("r,\n    g)", ")", ["print(r,", "    g)"]),
        ("max[r]", ")", ["print(max[r]", "~"]),
    ],
)
def test_what_is_replaced_is_seen_once(
    edit: EditPython, rest: str, right: str, screen: list[str]
) -> None:
    """Text right of the cursor that the suggestion has too is not drawn a second time."""
    editor = edit(text="print()\n")
    editor.lua("require('midfill').disable()")
    editor.watch_screen()
    editor.input("gg0f(a")
    editor.wait_until(lambda: editor.lua("return vim.fn.mode()") == "i", "insert mode")
    editor.lua("require('midfill.ghost').show(...)", rest, right)
    editor.command("redraw")
    assert editor.frames()[-1][:2] == screen


def test_lines_below_are_shown_and_typed_through(edit: EditPython) -> None:
    """A suggestion of several lines stays while its line break is typed."""
    text = "grey = r\n    return grey"
    editor = edit(body(text=text), text=HEAD + "\n\nprint(grey(1, 2, 3))\n")
    editor.watch_screen()
    editor.input("ggA<CR>")
    editor.wait_until(lambda: editor.ghost() == text, "the ghost text")
    type_out(editor, "grey = r")
    editor.wait_until(lambda: editor.ghost() == "\n    return grey", "the second line")
    editor.input("<CR>")
    editor.wait_until(lambda: editor.ghost() == "return grey", "the rest")
    assert editor.lines[1:3] == ["    grey = r", "    "]


def test_an_answer_that_differs_takes_its_place(edit: EditPython) -> None:
    """Of two suggestions that agree with what is typed, the newer one is shown once it is there."""
    editor = edit(text=HEAD)
    editor.lua("require('midfill').disable()")
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.lua("return vim.fn.mode()") == "i", "insert mode")
    shown = editor.lua(
        """
        local complete = require('midfill.complete')
        local suggestion = require('midfill.suggestion')
        local client = require('midfill.client').of(0)
        local answers = {}
        client.request = function(_, _, _, callback)
          table.insert(answers, callback)
          return true, 1000 + #answers
        end
        client.cancel_request = function() return true end
        local seen = {}
        local function answer(number, text)
          answers[number](nil, { items = { { insertText = text } } })
          local visible = complete.visible()
          table.insert(seen, visible and visible:rest() or '')
        end
        complete.trigger()
        answer(1, 'return r + g')
        require('midfill').enable()
        vim.wait(2000, function() return #answers == 2 end)
        answer(2, 'return r + g')
        complete.trigger()
        answer(3, 'return b')
        return seen
        """
    )
    assert shown == ["return r + g", "return r + g", "return b"]


def test_positions_count_utf16_where_the_client_says_so(edit: EditPython) -> None:
    """With characters beyond the BMP left of the cursor the text goes to the right place."""
    utf16 = (
        "vim.lsp.config('*', { capabilities = { general = { positionEncodings = { 'utf-16' } } } })"
    )
    editor = edit(
        {"after": "größe = '𝄞' + ", "text": "'𝄢𝄢' + ende"}, text="größe = '𝄞' + \n", before=utf16
    )
    encoding = editor.lua("return require('midfill.client').of(0).offset_encoding")
    assert encoding == "utf-16"
    editor.input("ggA")
    editor.wait_until(lambda: editor.ghost() == "'𝄢𝄢' + ende", "the ghost text")
    type_out(editor, "'𝄢")
    editor.wait_until(lambda: editor.ghost() == "𝄢' + ende", "the rest")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.lines == ["größe = '𝄞' + '𝄢𝄢' + ende"], "the accepted text")


def test_it_is_hidden_while_a_menu_is_open(edit: EditPython) -> None:
    """Neovim's own completion menu comes first; closing it brings the ghost text back."""
    editor = edit({"after": "    ret", "text": "urn r + g"}, text=HEAD)
    editor.command("set completeopt=menuone,noselect")
    editor.input(NEW_LINE + "ret")
    editor.wait_until(lambda: editor.ghost() == "urn r + g", "the ghost text")
    editor.lua("vim.schedule(function() vim.fn.complete(5, { 'retain', 'retry' }) end)")
    editor.wait_until(lambda: editor.lua("return vim.fn.pumvisible()"), "the menu")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to hide")
    assert not editor.lua("return require('midfill').is_visible()")
    editor.input("<C-e>")
    editor.wait_until(lambda: editor.ghost() == "urn r + g", "the ghost text to come back")
    assert editor.sent("midfill/didDismissCompletion") == []


def test_it_stands_beside_a_menu_where_that_is_wanted(edit: EditPython) -> None:
    """With `menu = 'show'` <Tab> accepts it until an entry of the menu is selected."""
    editor = edit({"after": "    ret", "text": "urn r + g"}, text=HEAD, options="{ menu = 'show' }")
    editor.command("set completeopt=menuone,noselect")
    editor.input(NEW_LINE + "ret")
    editor.wait_until(lambda: editor.ghost() == "urn r + g", "the ghost text")
    editor.lua("vim.schedule(function() vim.fn.complete(5, { 'retain', 'retry' }) end)")
    editor.wait_until(lambda: editor.lua("return vim.fn.pumvisible()"), "the menu")
    assert editor.ghost() == "urn r + g"
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == "    return r + g", "the accepted text")


# Stand in for plugins that no package index has: what midfill asks them, and nothing else.
_CMP = """
local callbacks = {}
_G.menu_is_open = false
package.loaded['cmp'] = {
  visible = function() return menu_is_open end,
  get_selected_entry = function() return nil end,
  event = { on = function(_, name, call) callbacks[name] = call end },
}
_G.set_menu = function(is_open)
  menu_is_open = is_open
  callbacks[is_open and 'menu_opened' or 'menu_closed']()
end
"""
_BLINK = """
_G.menu_is_open = false
package.loaded['blink.cmp'] = {
  is_menu_visible = function() return menu_is_open end,
  get_selected_item = function() return nil end,
}
_G.set_menu = function(is_open)
  menu_is_open = is_open
  local event = is_open and 'BlinkCmpMenuOpen' or 'BlinkCmpMenuClose'
  vim.api.nvim_exec_autocmds('User', { pattern = event })
end
"""


@pytest.mark.parametrize("plugin", [_CMP, _BLINK], ids=["nvim-cmp", "blink.cmp"])
def test_it_is_hidden_while_the_menu_of_a_plugin_is_open(edit: EditPython, plugin: str) -> None:
    """The events of nvim-cmp and of blink.cmp hide it and bring it back."""
    editor = edit(body(), text=HEAD, before=plugin)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.lua("set_menu(true)")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to hide")
    editor.lua("set_menu(false)")
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text to come back")


def test_the_cursor_and_the_document_looked_at_are_told(edit: EditPython) -> None:
    """Where the cursor rests is told in normal mode, with the document on which it is."""
    editor = edit(body(), text=HEAD * 20)
    editor.input("10G")
    editor.wait_until(
        lambda: [
            sent
            for sent in editor.sent("midfill/didMoveCursor")
            if sent["position"] == {"line": 9, "character": 0}
        ],
        "the place of the cursor",
    )
    focused = editor.sent("textDocument/didFocus")
    assert focused[0]["textDocument"]["uri"].endswith("/project/colours.py")
    assert editor.sent("textDocument/inlineCompletion") == []
