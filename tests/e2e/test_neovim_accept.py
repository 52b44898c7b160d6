"""Accepting in a real Neovim: all, by words, by lines; undo, repeat, and the keys' other uses."""

from __future__ import annotations

from functools import partial

import pytest

from lsp_server.acceptance.events import Accepted, PartiallyAccepted, Retained, Shown
from lsp_server.acceptance.store import read_events
from tests.e2e.conftest import EditPython
from tests.e2e.neovim import NeovimSession

pytestmark = pytest.mark.editor

HEAD = "def grey(r, g, b):\n"
TEXT = "grey = '𝄞' + r\n    return grey"
NEW_LINE = "GA<CR>"


def showing(
    edit: EditPython, text: str = TEXT, options: str = "", before: str = ""
) -> NeovimSession:
    """An editor that shows a suggestion for the first line of a function."""
    reply = {"after": "(r, g, b):\n    ", "text": text}
    editor = edit(reply, text=HEAD, options=options)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == text, "the ghost text")
    return editor


def wait_for_lines(editor: NeovimSession, *lines: str) -> None:
    """Wait until the file reads so."""
    editor.wait_until(lambda: editor.lines == list(lines), f"the lines {lines}")


def reads(editor: NeovimSession, line: str) -> bool:
    """Whether the cursor's line reads so."""
    return editor.line == line


def ghost_with(editor: NeovimSession, ending: str) -> str | None:
    """The ghost text if it has an ending."""
    ghost = editor.ghost() or ""
    return ghost if ghost.endswith(ending) else None


def test_tab_accepts_all_of_it_in_one_step_of_undo(edit: EditPython) -> None:
    """One `u` takes back what was typed after it, the next all of it, and nothing else."""
    editor = showing(edit)
    whole = ["    grey = '𝄞' + r", "    return grey"]
    editor.input("<Tab>")
    wait_for_lines(editor, "def grey(r, g, b):", *whole)
    assert editor.ghost() is None
    editor.wait_until(lambda: [e for e in read_events() if isinstance(e, Accepted)], "the event")
    editor.input("!")
    wait_for_lines(editor, "def grey(r, g, b):", whole[0], whole[1] + "!")
    editor.input("<Esc>u")
    wait_for_lines(editor, "def grey(r, g, b):", *whole)
    editor.input("u")
    wait_for_lines(editor, "def grey(r, g, b):", "    ")
    editor.input("<C-r>")
    wait_for_lines(editor, "def grey(r, g, b):", *whole)
    assert [event.n_chars for event in read_events() if isinstance(event, Accepted)] == [len(TEXT)]


def test_a_dot_repeats_an_accept(edit: EditPython) -> None:
    """The accepted text is written again as it was, behind the indentation that is due there."""
    editor = showing(edit, "grey = r\n    return grey")
    written = ["    grey = r", "    return grey"]
    editor.input("<Tab>")
    wait_for_lines(editor, "def grey(r, g, b):", *written)
    editor.lua("require('midfill').disable()")
    editor.input("<Esc>.")
    wait_for_lines(editor, "def grey(r, g, b):", *written, "grey = r", "    return grey")


def test_words_then_lines_then_the_rest(edit: EditPython) -> None:
    """Each part is inserted and told with all that was taken, in UTF-16 units; once at the end."""
    editor = showing(edit)
    for word, n_utf16 in (("grey", 4), (" =", 6), (" '", 8), ("𝄞", 10)):
        grown = partial(reads, editor, editor.line + word)
        editor.input("<M-Right>")
        editor.wait_until(grown, word)
        told = editor.sent("textDocument/didPartiallyAcceptCompletion")
        assert told[-1]["acceptedLength"] == n_utf16
    assert editor.ghost() == "' + r\n    return grey"
    editor.input("<M-C-Right>")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = '𝄞' + r")
    assert editor.ghost() == "\n    return grey"
    editor.input("<M-C-Right>")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = '𝄞' + r", "    return grey")
    told = editor.sent("textDocument/didPartiallyAcceptCompletion")
    assert [each["acceptedLength"] for each in told] == [4, 6, 8, 10, 15]
    editor.wait_until(lambda: [e for e in read_events() if isinstance(e, Accepted)], "the event")
    events = list(read_events())
    assert [e.n_chars for e in events if isinstance(e, PartiallyAccepted)] == [4, 6, 8, 9, 14]
    assert len([e for e in events if isinstance(e, Shown)]) == 1
    assert [e.n_chars for e in events if isinstance(e, Accepted)] == [len(TEXT)]
    editor.input("<Esc>u")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = '𝄞' + r")


def test_typing_into_it_and_accepting_the_rest_counts_once(edit: EditPython) -> None:
    """What is left after some keys is the same suggestion: one shown, one accepted."""
    editor = showing(edit)
    editor.input("grey")
    editor.wait_until(lambda: editor.ghost() == TEXT[4:], "the rest")
    editor.wait_until(lambda: editor.is_settled, "the answer for it")
    editor.input("<Tab>")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = '𝄞' + r", "    return grey")
    editor.wait_until(lambda: [e for e in read_events() if isinstance(e, Accepted)], "the event")
    assert len([event for event in read_events() if isinstance(event, Shown)]) == 1


@pytest.mark.parametrize("neovim", [(0, 12)], indirect=True, ids=["nvim-0.12"])
def test_accepted_text_is_followed(edit: EditPython) -> None:
    """A quarter of a minute later the log says how much of it still stands."""
    editor = showing(edit, "grey = r")
    editor.input("<Tab>")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = r")
    editor.input("<Esc>r1")
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = 1")
    kept = editor.wait_until(
        lambda: [event for event in read_events() if isinstance(event, Retained)], "the event", 60
    )
    assert (kept[0].after_s, kept[0].n_chars, kept[0].n_kept) == (15.0, 8, 7)


def test_closing_brackets_that_were_typed_by_a_plugin_are_replaced(edit: EditPython) -> None:
    """An inserted `)` right of the cursor is not there twice after an accept."""
    editor = edit({"after": "print", "text": "(r, g)"}, text="")
    editor.command("inoremap ( ()<Left>")
    editor.input("iprint")
    editor.wait_until(lambda: editor.ghost() == "(r, g)", "the ghost text")
    editor.input("(")
    editor.wait_until(lambda: editor.lines == ["print()"], "the brackets")
    editor.wait_until(lambda: (editor.ghost() or "").startswith("r, g"), "the rest")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.lines == ["print(r, g)"], "the accepted text")


def test_tab_does_what_it_did_where_there_is_no_suggestion(edit: EditPython) -> None:
    """It types a tab, jumps in a snippet, or runs a mapping: for all buffers, or for one."""
    editor = edit(text="\n")
    editor.input("ix<Tab>y")
    editor.wait_until(lambda: editor.line == "x   y", "a tab")
    editor.input("<Esc>S")
    editor.lua("vim.snippet.expand('f($1, $2)')")
    editor.input("a<Tab>b")
    editor.wait_until(lambda: editor.line == "f(a, b)", "a jump in the snippet")
    editor.lua("vim.snippet.stop()")
    editor.lua("vim.keymap.set('i', '<Tab>', function() return 'TAB' end, { expr = true })")
    editor.input("<Esc>S<Tab>")
    editor.wait_until(lambda: editor.line == "TAB", "the mapping for all buffers")
    editor.command("inoremap <Tab> <Esc>A!")
    editor.input("<Esc>S<Tab>")
    editor.wait_until(lambda: editor.line == "!", "another mapping")


def test_keys_with_alt_stay_in_insert_mode(edit: EditPython) -> None:
    """Without a suggestion and a mapping they do nothing; Neovim would end insert mode."""
    editor = edit(text="one two\n")
    editor.input("ggA")
    editor.wait_until(lambda: editor.lua("return vim.fn.mode()") == "i", "insert mode")
    editor.input("<M-Right><M-C-Right><M-]><M-[>x")
    editor.wait_until(lambda: editor.line == "one twox", "the typed text")
    editor.lua("vim.keymap.set('i', '<M-Right>', 'RIGHT')")
    editor.input("<M-Right>")
    editor.wait_until(lambda: editor.line == "one twoxRIGHT", "the mapping")


def test_a_mapping_of_the_buffer_is_kept(edit: EditPython) -> None:
    """What a filetype plugin mapped to a key is asked behind us, and restored at the end."""
    mapping = "autocmd FileType python inoremap <buffer> <Tab> BUFFER"
    editor = edit(text="\n", before=f"vim.cmd([[{mapping}]])")
    editor.input("i<Tab>")
    editor.wait_until(lambda: editor.line == "BUFFER", "the mapping of the buffer")
    editor.lua("vim.lsp.enable('midfill', false)")
    editor.wait_until(lambda: not editor.lua("return #vim.lsp.get_clients()"), "the server to go")
    assert editor.lua("return vim.fn.maparg('<Tab>', 'i')") == "BUFFER"


def test_no_key_is_taken_where_that_is_not_wanted(edit: EditPython) -> None:
    """With `keys = false` there are no mappings, and the functions accept."""
    editor = showing(edit, options="{ keys = false }")
    assert editor.lua("return vim.api.nvim_buf_get_keymap(0, 'i')") == []
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line.strip() == "" and editor.line != "    ", "a tab")
    editor.input("<C-u>")
    editor.wait_until(lambda: editor.line == "", "an empty line")
    editor.input("    ")
    editor.wait_until(lambda: editor.ghost() == TEXT, "the ghost text")
    editor.command("imap <C-l> <Plug>(midfill-accept-word)")
    editor.input("<C-l>")
    editor.wait_until(lambda: editor.line == "    grey", "the word")
    assert editor.lua("return require('midfill').accept()") is True
    wait_for_lines(editor, "def grey(r, g, b):", "    grey = '𝄞' + r", "    return grey")
    assert editor.lua("return require('midfill').accept()") is False


def test_a_selected_entry_of_a_menu_has_the_key(edit: EditPython) -> None:
    """While Neovim's own menu is open <Tab> is not an accept."""
    editor = edit({"after": "    ret", "text": "urn r + g"}, text=HEAD, options="{ menu = 'show' }")
    editor.lua(
        "vim.keymap.set('i', '<Tab>', function()"
        " return vim.fn.pumvisible() == 1 and '<C-n>' or '<Tab>' end, { expr = true })"
    )
    editor.command("set completeopt=menuone")
    editor.input(NEW_LINE + "ret")
    editor.wait_until(lambda: editor.ghost() == "urn r + g", "the ghost text")
    editor.lua("vim.schedule(function() vim.fn.complete(5, { 'retain', 'retry' }) end)")
    editor.wait_until(lambda: editor.lua("return vim.fn.pumvisible()"), "the menu")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == "    retry", "the next entry")


def test_other_suggestions_are_gone_through(edit: EditPython) -> None:
    """Each is another text, says which one it is, and is the one that <Tab> accepts."""
    others = [{"text": "grey = g"}, {"text": "grey = b"}]
    reply = {"after": "(r, g, b):\n    ", "text": "grey = r", "others": others}
    editor = edit(reply, text=HEAD)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == "grey = r", "the ghost text")
    seen = ["grey = r"]
    for number, key in ((2, "<M-]>"), (3, "<M-]>"), (1, "<M-]>"), (3, "<M-[>")):
        editor.input(key)
        hint = f" {number}/3"
        ghost = editor.wait_until(partial(ghost_with, editor, hint), f"suggestion {number}")
        seen.append(ghost.removesuffix(hint))
    assert len(set(seen[:3])) == 3
    assert seen[3:] == [seen[0], seen[2]]
    told = [each["item"]["insertText"] for each in editor.sent("textDocument/didShowCompletion")]
    assert told[-4:] == seen[1:]
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == f"    {seen[2]}", "the accepted text")
    editor.wait_until(lambda: [e for e in read_events() if isinstance(e, Accepted)], "the event")
    assert [e.n_chars for e in read_events() if isinstance(e, Accepted)] == [len("grey = r")]


def test_other_suggestions_may_be_asked_for_while_it_grows(edit: EditPython) -> None:
    """The rest of the answer that comes meanwhile does not take their place."""
    reply = {"after": "(r, g, b):\n    ", "text": "grey = r"}
    editor = edit(reply, text=HEAD)
    editor.lua(
        """
        local client = vim.lsp.get_clients()[1]
        local original = client.request
        client.request = function(self, method, params, on_answer, ...)
          if method == 'textDocument/inlineCompletion' then
            return original(self, method, params, function(err, result)
              _G.answer = function() on_answer(err, result) end
            end, ...)
          elseif method == 'midfill/alternatives' then
            local items = vim.deepcopy(require('midfill.complete').visible().items)
            table.insert(items, vim.deepcopy(items[1]))
            items[2].insertText = 'grey = g'
            answer()
            on_answer(nil, { items = items })
            return true, 1000
          end
          return original(self, method, params, on_answer, ...)
        end
        """
    )
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.lua("return answer ~= nil"), "the answer")
    editor.wait_until(lambda: editor.ghost() == "grey = r", "what came before it")
    editor.input("<M-]>")
    editor.wait_until(lambda: editor.ghost() == "grey = g 2/2", "the other suggestion")
